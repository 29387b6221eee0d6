//! Durable operations: recorded before they begin, done step by step, by exactly one worker at a time.
//!
//! A kind of operation is a [`Handler`] in the table below; the runner does the rest: leases, retries,
//! taking over from dead workers, compensation.

pub mod archive;
pub mod back_up;
pub mod delete;
mod failure;
pub mod import_students;
mod lease;
mod maintain;
pub mod move_database;
pub mod provision;
pub mod restore;
mod runner;
pub mod sandbox;
pub mod verify_backup;
mod work;
mod workers;

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use failure::Failure;
pub use work::{Fence, Work};
pub use workers::Workers;

use super::platform::Platform;
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            audit::{Audit, Subject},
            operations::{self, Kind, Operation, OperationStatus},
        },
    },
};

/// How one kind of operation is carried out.
pub trait Handler: Send + Sync {
    /// Does a step, or finds it done: the step may have been begun before, even by a worker that died.
    /// What it returns is shown beside the step.
    ///
    /// # Errors
    /// [`Failure`] says whether trying again may help.
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure>;

    /// Takes back what a step did, if it did anything. Called in reverse order after the last attempt.
    ///
    /// # Errors
    /// As [`Self::perform`].
    fn undo(&self, _step: &str, _work: &Work<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether a failed operation leaves nothing behind once it is undone.
    fn can_be_undone(&self) -> bool {
        false
    }

    /// Whether what the operation made is in use by now. Then nothing of it may be taken back any more.
    ///
    /// # Errors
    /// Any database error.
    fn is_in_use(&self, _connection: &mut SharedConn, _operation: &Operation) -> ModelResult<bool> {
        Ok(false)
    }

    /// Called in the transaction that ends the operation without success.
    ///
    /// # Errors
    /// Any database error; the operation is not ended then.
    fn gave_up(&self, _connection: &mut SharedConn, _work: &Work<'_>, _error: &str) -> ModelResult<()> {
        Ok(())
    }

    /// Called in the transaction that puts the operation back into the queue.
    ///
    /// # Errors
    /// `Changed` or `Refused` when it must not be tried again.
    fn tried_again(
        &self,
        _connection: &mut SharedConn,
        _audit: &Audit,
        _operation: &Operation,
    ) -> ModelResult<()> {
        Ok(())
    }
}

/// The table of handlers: a new kind of operation is a line here.
fn handler(kind: Kind) -> Option<&'static dyn Handler> {
    match kind {
        Kind::Provision => Some(&provision::Provision),
        Kind::ImportRegistrations => Some(&super::registration_import::Import),
        Kind::DecideRegistrations => Some(&super::bulk_decisions::Decide),
        Kind::BackUp => Some(&back_up::BackUp),
        Kind::VerifyBackup => Some(&verify_backup::VerifyBackup),
        Kind::Restore => Some(&restore::Restore),
        Kind::Archive => Some(&archive::Archive),
        Kind::Delete => Some(&delete::Delete),
        Kind::Move => Some(&move_database::Move),
        Kind::ImportStudents => Some(&import_students::ImportStudents),
        Kind::MigrateFleet => Some(&super::rollouts::MigrateFleet),
        Kind::Maintain => Some(&maintain::Maintain),
    }
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(kind: Kind, step: &str) -> &'static str {
    match kind {
        Kind::Provision => provision::step_label(step),
        Kind::ImportRegistrations => "Read the file and register each row",
        Kind::ImportStudents => "Read the file and enter each student",
        Kind::DecideRegistrations => "Decide one registration after the other",
        Kind::BackUp => back_up::step_label(step),
        Kind::VerifyBackup => verify_backup::step_label(step),
        Kind::Restore => restore::step_label(step),
        Kind::Archive => archive::step_label(step),
        Kind::Delete => delete::step_label(step),
        Kind::Move => move_database::step_label(step),
        Kind::MigrateFleet => super::rollouts::step_label(step),
        Kind::Maintain => maintain::step_label(step),
    }
}

/// Wakes the workers of this process.
#[derive(Clone, Default)]
pub struct Operations(Arc<Signal>);

#[derive(Default)]
struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Operations {
    /// Something was enqueued, and committed: look now. Forgotten, it is found within a second.
    pub fn wake(&self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_all();
    }

    /// Waits for [`Self::wake`], or for `most`; `seen` is what the last call returned.
    fn sleep(&self, seen: u64, most: Duration) -> u64 {
        let count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(count, most, |count| *count == seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Puts an operation that ended badly back into the queue, from where it stopped. Wake the workers after.
///
/// # Errors
/// `Changed` when it is no longer in that state.
pub fn try_again(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let operation = operations::find(connection, id)?;
        operations::requeue(connection, id, OperationStatus::Queued)?;
        if let Some(handler) = handler(operation.kind) {
            handler.tried_again(connection, audit, &operation)?;
        }
        record(connection, audit, "operation.tried_again", &operation)
    })
}

/// Takes back what an operation did. Wake the workers after.
///
/// # Errors
/// `Changed` when it is not waiting or failed, or when what it made is in use.
pub fn roll_back(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let operation = operations::find(connection, id)?;
        let handler = handler(operation.kind).filter(|handler| handler.can_be_undone());
        let handler = handler
            .ok_or_else(|| ModelError::Refused("This kind of operation cannot be rolled back.".into()))?;
        operations::requeue(connection, id, OperationStatus::RollingBack)?;
        if handler.is_in_use(connection, &operation)? {
            let sentence = format!("{} is in use already; nothing of it is taken back.", operation.subject);
            return Err(ModelError::Changed(sentence));
        }
        record(connection, audit, "operation.rolled_back", &operation)
    })
}

fn record(
    connection: &mut SharedConn,
    audit: &Audit,
    action: &str,
    operation: &Operation,
) -> ModelResult<()> {
    let subject = Subject {
        kind: "operation",
        id: Some(operation.id),
        label: &operation.subject,
        institution_id: operation.institution_id,
    };
    audit.record(connection, action, &subject, &serde_json::json!({ "kind": operation.kind }))
}

/// Waits until an operation is over, whoever works on it; `None` when it is not over in time. Blocks.
///
/// # Errors
/// Any database error.
pub fn wait_for(platform: &Platform, id: Id, most: Duration) -> ModelResult<Option<Operation>> {
    let end = Instant::now() + most;
    loop {
        let operation = operations::find(&mut *platform.shared.get()?, id)?;
        if operation.is_over() {
            return Ok(Some(operation));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
