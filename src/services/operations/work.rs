//! What a handler works with: the operation, the platform, and the right to write while the claim holds.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::Failure;
use crate::{
    db::{Id, engine::EngineError, pools::Pooled, shared::SharedConn},
    models::{
        Actor,
        platform::{
            audit::Audit,
            operations::{self, Claim, Operation},
        },
    },
    services::platform::Platform,
};

/// How often progress is written at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What a handler works with.
pub struct Work<'a> {
    /// The platform.
    pub platform: &'a Arc<Platform>,
    /// The operation, as it was when it was claimed.
    pub operation: &'a Operation,
    pub(super) claim: &'a Claim,
    pub(super) stopping: &'a AtomicBool,
    pub(super) due: &'a Cell<Option<Instant>>,
    pub(super) progress_at: Cell<Option<Instant>>,
    pub(super) result: Cell<Option<String>>,
}

/// Whether the worker still holds the operation, for any thread.
#[derive(Clone)]
pub struct Fence {
    platform: Arc<Platform>,
    claim: Claim,
}

impl Fence {
    /// As [`Work::still_mine`].
    ///
    /// # Errors
    /// As there.
    pub fn check(&self) -> Result<(), Failure> {
        let lease = self.platform.settings.limits.lease;
        let mut connection = self.platform.shared.get()?;
        // Written, with a wait for the disk, only where it was not written a moment ago.
        let mine = operations::holds(&mut connection, &self.claim, lease / 2)?
            || operations::renew(&mut connection, &self.claim, lease)?;
        if mine { Ok(()) } else { Err(Failure::LeaseLost) }
    }
}

impl Work<'_> {
    /// A connection to the shared database.
    ///
    /// # Errors
    /// Why there is none.
    pub fn shared(&self) -> Result<Pooled<SharedConn>, Failure> {
        Ok(self.platform.shared.get()?)
    }

    /// What the operation was given.
    ///
    /// # Errors
    /// When it is not what this version expects, or any database error.
    pub fn input<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        let input = operations::input(&mut *self.shared()?, self.operation.id)?;
        serde_json::from_str(&input)
            .map_err(|error| Failure::Permanent(format!("The operation's input cannot be read: {error}.")))
    }

    /// The right to change platform records in the name of whoever asked for the operation.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let actor = Actor {
            id: self.operation.actor_id,
            name: self.operation.actor_name.clone(),
            ip: None,
            user_agent: None,
        };
        self.platform.audit(actor)
    }

    /// The institution that the operation is for.
    ///
    /// # Errors
    /// When it is for none.
    pub fn institution_id(&self) -> Result<Id, Failure> {
        let missing = || Failure::Permanent("The operation names no institution.".into());
        self.operation.institution_id.ok_or_else(missing)
    }

    /// Records how far the units of work are; cheap enough to call for each one. Also says when to stop:
    /// because the process is about to end, or because another worker has taken over.
    ///
    /// # Errors
    /// `Stopping`, `LeaseLost`, or any database error.
    pub fn progress(&self, done: i64, total: i64) -> Result<(), Failure> {
        if done < total && self.is_stopping() {
            return Err(Failure::Stopping);
        }
        let due = self.progress_at.get().is_none_or(|at: Instant| at.elapsed() >= PROGRESS_EVERY);
        if !due && done != total {
            return Ok(());
        }
        self.progress_at.set(Some(Instant::now()));
        self.keep(operations::set_progress(&mut *self.shared()?, self.claim, done, total)?)
    }

    /// Checks that this worker still holds the operation, and for half a lease from now on: call it after a
    /// long wait and before an act that cannot be conditional on the fence.
    ///
    /// # Errors
    /// `LeaseLost`, or any database error.
    pub fn still_mine(&self) -> Result<(), Failure> {
        self.fence().check()
    }

    /// The right to act, for threads that help with the work.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { platform: Arc::clone(self.platform), claim: self.claim.clone() }
    }

    /// A transaction of the shared database that is committed only if this worker still holds the operation.
    ///
    /// # Errors
    /// `LeaseLost`, what `work` returns, or any database error.
    pub fn write_tx<T>(
        &self,
        work: impl FnOnce(&mut SharedConn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let lease = self.platform.settings.limits.lease;
        self.shared()?.write_tx(|connection| {
            self.keep(operations::renew(connection, self.claim, lease)?)?;
            work(connection)
        })
    }

    /// As [`Self::write_tx`], for a step that others follow: it does not wait for PostgreSQL's disk. The server's
    /// log keeps the order, so whatever is durable later has this before it.
    ///
    /// # Errors
    /// As [`Self::write_tx`].
    pub fn step_tx<T>(&self, work: impl FnOnce(&mut SharedConn) -> Result<T, Failure>) -> Result<T, Failure> {
        self.write_tx(|connection| {
            connection.commit_without_waiting()?;
            work(connection)
        })
    }

    /// As [`Self::still_mine`], for the engine, which asks when it has waited for everybody else.
    ///
    /// # Errors
    /// Another has taken over, or any database error.
    pub fn permit(&self) -> Result<(), EngineError> {
        self.still_mine().map_err(|failure| EngineError::transient(failure.to_string()))
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// What the operation's page shows at the end.
    pub fn set_result(&self, result: &serde_json::Value) {
        self.result.set(Some(result.to_string()));
    }

    pub(super) fn keep(&self, mine: bool) -> Result<(), Failure> {
        if mine { Ok(()) } else { Err(Failure::LeaseLost) }
    }
}
