//! One decision about many registrations, as an operation whose progress can be watched.

use serde::{Deserialize, Serialize};

use super::{
    decisions,
    operations::{Failure, Handler, Work},
};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            operations::{self, Kind, NewOperation},
            registrations::{self, Decision},
        },
    },
};

/// More registrations than this are not decided in one go.
pub const MOST: i64 = 50_000;

/// What is decided about which registrations: the input of the operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkDecision {
    /// The decision.
    pub decision: Decision,
    /// Why, when they are rejected.
    pub reason: String,
    /// The registrations, as they matched when the decision was made.
    pub ids: Vec<Id>,
}

/// What became of them: the result of the operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkOutcome {
    /// Decided as wished.
    pub decided: i64,
    /// Somebody had decided about them before.
    pub decided_before: i64,
}

/// Writes the operation down. Wake the workers after the transaction.
///
/// # Errors
/// Any database error.
pub fn start(connection: &mut SharedConn, audit: &Audit, bulk: &BulkDecision) -> ModelResult<Id> {
    let count = i64::try_from(bulk.ids.len()).unwrap_or(i64::MAX);
    let verb = match bulk.decision {
        Decision::Approved => "Approve",
        Decision::Rejected => "Reject",
    };
    let new = NewOperation {
        kind: Kind::DecideRegistrations,
        institution_id: None,
        subject: &format!("{verb} {count} registration{}", if count == 1 { "" } else { "s" }),
        input: &serde_json::json!(bulk),
        steps: &["decide"],
        total: count,
    };
    operations::enqueue(connection, &new, &audit.actor)
}

/// The handler of [`Kind::DecideRegistrations`]: one decision after the other, each in a transaction of its
/// own. Begun again after a crash, those that are decided already are counted and left alone.
pub(super) struct Decide;

impl Handler for Decide {
    fn perform(&self, _step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let bulk: BulkDecision = work.input()?;
        let total = i64::try_from(bulk.ids.len()).unwrap_or(i64::MAX);
        let mut outcome = BulkOutcome::default();
        for (done, id) in (1_i64..).zip(&bulk.ids) {
            match decide(work, &bulk, *id) {
                Ok(()) => outcome.decided += 1,
                Err(ModelError::Changed(_)) if decided_by_us(work, &bulk, *id)? => outcome.decided += 1,
                Err(ModelError::Changed(_)) => outcome.decided_before += 1,
                Err(error) => return Err(error.into()),
            }
            work.progress(done, total)?;
        }
        work.set_result(&serde_json::json!(outcome));
        Ok(Some(outcome.sentence(bulk.decision)))
    }
}

impl BulkOutcome {
    fn sentence(&self, decision: Decision) -> String {
        let Self { decided, decided_before } = self;
        match decided_before {
            0 => format!("{decided} {decision}."),
            _ => format!("{decided} {decision}; {decided_before} had been decided by somebody before."),
        }
    }
}

fn decide(work: &Work<'_>, bulk: &BulkDecision, id: Id) -> ModelResult<()> {
    let (platform, audit) = (work.platform, work.audit());
    let connection = &mut *platform.shared.get()?;
    match bulk.decision {
        Decision::Approved => decisions::approve(connection, platform, &audit, id)?,
        Decision::Rejected => decisions::reject(connection, platform, &audit, id, &bulk.reason)?,
    };
    Ok(())
}

/// Whether it was this very operation that had decided, before a crash.
fn decided_by_us(work: &Work<'_>, bulk: &BulkDecision, id: Id) -> ModelResult<bool> {
    let registration = registrations::find(&mut *work.platform.shared.get()?, id)?;
    Ok(registration.decision == Some(bulk.decision)
        && registration.decided_by == work.operation.actor_id
        && registration.decided_at >= Some(work.operation.created_at))
}
