//! One decision about many registrations, as an operation whose progress can be watched.

use serde::{Deserialize, Serialize};

use super::{decisions, platform::Platform};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
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

/// Decides one after the other, each in a transaction of its own; run again after a crash, those that are
/// decided already are counted and left alone.
///
/// # Errors
/// Any database error, or what `progress` returns.
pub fn run(
    platform: &Platform,
    bulk: &BulkDecision,
    actor: Actor,
    mut progress: impl FnMut(i64, i64) -> ModelResult<()>,
) -> ModelResult<BulkOutcome> {
    let audit = platform.audit(actor);
    let (mut outcome, total) = (BulkOutcome::default(), i64::try_from(bulk.ids.len()).unwrap_or(i64::MAX));
    for (done, id) in (1_i64..).zip(&bulk.ids) {
        // The connection goes back after each, so that pages get their turn.
        match decide(platform, &audit, bulk, *id) {
            Ok(()) => outcome.decided += 1,
            Err(ModelError::Changed(_)) if decided_by_us(platform, &audit, bulk, *id)? => outcome.decided += 1,
            Err(ModelError::Changed(_)) => outcome.decided_before += 1,
            Err(error) => return Err(error),
        }
        if done % 20 == 0 || done == total {
            progress(done, total)?;
        }
    }
    Ok(outcome)
}

fn decide(platform: &Platform, audit: &Audit, bulk: &BulkDecision, id: Id) -> ModelResult<()> {
    let connection = &mut *platform.shared.get()?;
    match bulk.decision {
        Decision::Approved => decisions::approve(connection, platform, audit, id)?,
        Decision::Rejected => decisions::reject(connection, platform, audit, id, &bulk.reason)?,
    };
    Ok(())
}

/// Whether it was this very decision that a run before a crash had made.
fn decided_by_us(platform: &Platform, audit: &Audit, bulk: &BulkDecision, id: Id) -> ModelResult<bool> {
    let registration = registrations::find(&mut *platform.shared.get()?, id)?;
    Ok(registration.decision == Some(bulk.decision) && registration.decided_by == audit.actor.id)
}
