//! Deciding about a registration, and taking a rejection back.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{Decision, Registered, find, institution_model, latest_of};
use crate::{
    db::{Id, now, schema_shared::registrations, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{audit::Audit, institutions::Status},
    },
};

/// Approves a waiting registration: its institution goes to `provisioning`. The caller starts the
/// provisioning operation inside the same transaction.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn approve(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Registered> {
    decide(connection, audit, id, Decision::Approved, None)
}

/// Rejects a waiting registration for a reason that its admin is told.
///
/// # Errors
/// [`ModelError::Refused`] without a reason; otherwise as [`approve`].
pub fn reject(connection: &mut SharedConn, audit: &Audit, id: Id, reason: &str) -> ModelResult<Registered> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the registration is rejected; its admin is told.".into()));
    }
    decide(connection, audit, id, Decision::Rejected, Some(reason))
}

fn decide(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    decision: Decision,
    reason: Option<&str>,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let decided = diesel::update(registrations::table.find(id))
            .filter(registrations::decision.is_null())
            .set((
                registrations::decision.eq(decision),
                registrations::decided_at.eq(now()),
                registrations::decided_by.eq(audit.actor.id),
                registrations::decided_by_name.eq(&audit.actor.name),
                registrations::reason.eq(reason),
            ))
            .execute(connection)?;
        let registration = find(connection, id)?;
        if decided == 0 {
            return Err(registration.decided());
        }
        let (to, action) = match decision {
            Decision::Approved => (Status::Provisioning, "institution.approved"),
            Decision::Rejected => (Status::Rejected, "institution.rejected"),
        };
        let from = [Status::PendingApproval];
        let institution =
            institution_model::transition(connection, audit, registration.institution_id, &from, to, reason)?;
        audit.record(connection, action, &institution.subject(), &json!({ "reason": reason }))?;
        Ok(Registered { registration, institution })
    })
}

/// Takes a rejection back: the registration waits for a decision again.
///
/// # Errors
/// [`ModelError::Changed`] when it is not rejected any more, [`ModelError::Refused`] when a newer
/// registration of the same institution counts, `NotFound`, or any database error.
pub fn reconsider(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let before = find(connection, id)?;
        if latest_of(connection, before.institution_id)?.id != id {
            return Err(ModelError::Refused(
                "The institution has registered again since; decide about its newer registration.".into(),
            ));
        }
        let reopened = diesel::update(registrations::table.find(id))
            .filter(registrations::decision.eq(Decision::Rejected))
            .set((
                registrations::decision.eq(None::<Decision>),
                registrations::decided_at.eq(None::<NaiveDateTime>),
                registrations::decided_by.eq(None::<Id>),
                registrations::decided_by_name.eq(None::<String>),
                registrations::reason.eq(None::<String>),
            ))
            .execute(connection)?;
        if reopened == 0 {
            return Err(before.decided());
        }
        let (from, to) = ([Status::Rejected], Status::PendingApproval);
        let institution =
            institution_model::transition(connection, audit, before.institution_id, &from, to, None)?;
        let detail = json!({ "rejected_for": before.reason });
        audit.record(connection, "institution.reconsidered", &institution.subject(), &detail)?;
        Ok(Registered { registration: find(connection, id)?, institution })
    })
}
