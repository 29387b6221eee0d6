//! The life of an institution: every change of its status, the history of them, and suspension.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{Institution, Status, find};
use crate::{
    db::{
        Id, now,
        schema_shared::{institution_status_changes, institutions, sessions},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{ago, audit::Audit, tenant_databases},
    },
};

/// One change of status.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institution_status_changes)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct StatusChange {
    pub id: Id,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub reason: Option<String>,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub at: NaiveDateTime,
}

impl StatusChange {
    /// "Ada suspended this institution 2 minutes ago."
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{} {} this institution {}.",
            self.actor_name,
            self.to_status.deed(self.from_status),
            ago(self.at)
        )
    }
}

/// The history of an institution's status, newest first.
///
/// # Errors
/// Any database error.
pub fn status_changes(connection: &mut SharedConn, id: Id) -> ModelResult<Vec<StatusChange>> {
    Ok(institution_status_changes::table
        .filter(institution_status_changes::institution_id.eq(id))
        .order(institution_status_changes::id.desc())
        .limit(200)
        .select(StatusChange::as_select())
        .load(connection)?)
}

/// The error that says who brought the institution where it is now.
///
/// # Errors
/// `NotFound` when there is no such institution, or any database error.
pub fn changed(connection: &mut SharedConn, id: Id) -> ModelResult<ModelError> {
    let last = institution_status_changes::table
        .filter(institution_status_changes::institution_id.eq(id))
        .order(institution_status_changes::id.desc())
        .select(StatusChange::as_select())
        .first(connection)?;
    Ok(ModelError::Changed(last.sentence()))
}

/// Moves an institution from one of the statuses in `from` to `to` and writes the history line.
/// Every change of status goes through here; call it inside the `write_tx` of the change and record
/// the audit entry there.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn transition(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    from: &[Status],
    to: Status,
    reason: Option<&str>,
) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let institution = find(connection, id)?;
        let at = now();
        let moved = diesel::update(institutions::table.find(id))
            .filter(institutions::status.eq_any(from))
            .filter(institutions::status.eq(institution.status))
            .set((
                institutions::status.eq(to),
                institutions::status_changed_at.eq(at),
                institutions::updated_at.eq(at),
            ))
            .execute(connection)?;
        if moved == 0 {
            return Err(changed(connection, id)?);
        }
        add_history(connection, audit, id, Some(institution.status), to, reason)?;
        Ok(Institution { status: to, status_changed_at: at, updated_at: at, ..institution })
    })
}

pub(in crate::models::platform) fn add_history(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    from: Option<Status>,
    to: Status,
    reason: Option<&str>,
) -> ModelResult<()> {
    diesel::insert_into(institution_status_changes::table)
        .values((
            institution_status_changes::id.eq(Id::new()),
            institution_status_changes::institution_id.eq(id),
            institution_status_changes::from_status.eq(from),
            institution_status_changes::to_status.eq(to),
            institution_status_changes::reason.eq(reason),
            institution_status_changes::actor_id.eq(audit.actor.id),
            institution_status_changes::actor_name.eq(&audit.actor.name),
            institution_status_changes::at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// How many sessions of an institution are open: what a suspension ends at once.
///
/// # Errors
/// Any database error.
pub fn open_sessions(connection: &mut SharedConn, id: Id) -> ModelResult<i64> {
    Ok(sessions::table
        .filter(sessions::institution_id.eq(id))
        .filter(sessions::idle_expires_at.gt(now()))
        .filter(sessions::expires_at.gt(now()))
        .count()
        .get_result(connection)?)
}

/// Signs everybody of an institution out; returns how many sessions were open.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn end_sessions(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        let institution = find(connection, id)?;
        let ended =
            diesel::delete(sessions::table.filter(sessions::institution_id.eq(id))).execute(connection)?;
        let detail = json!({ "sessions_ended": ended });
        audit.record(connection, "institution.sessions_ended", &institution.subject(), &detail)?;
        Ok(ended)
    })
}

/// Suspends an active institution: ends its sessions and puts every open handle to its database out of
/// date, so that it takes effect on the next request of everybody.
///
/// # Errors
/// [`ModelError::Refused`] without a reason, [`ModelError::Changed`] with who decided instead, `NotFound`,
/// or any database error.
pub fn suspend(connection: &mut SharedConn, audit: &Audit, id: Id, reason: &str) -> ModelResult<Institution> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the institution is suspended.".into()));
    }
    connection.write_tx(|connection| {
        let institution =
            transition(connection, audit, id, &[Status::Active], Status::Suspended, Some(reason))?;
        tenant_databases::raise_generation(connection, id)?;
        let ended =
            diesel::delete(sessions::table.filter(sessions::institution_id.eq(id))).execute(connection)?;
        let detail = json!({ "reason": reason, "sessions_ended": ended });
        audit.record(connection, "institution.suspended", &institution.subject(), &detail)?;
        Ok(institution)
    })
}

/// Brings a suspended institution back; its people sign in again.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn reactivate(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let institution = transition(connection, audit, id, &[Status::Suspended], Status::Active, None)?;
        tenant_databases::raise_generation(connection, id)?;
        audit.record(connection, "institution.reactivated", &institution.subject(), &json!({}))?;
        Ok(institution)
    })
}

/// Closes an institution for its people, for good unless it is brought back: ends its sessions and puts every open
/// handle to its database out of date.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn archive(connection: &mut SharedConn, audit: &Audit, id: Id, reason: &str) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let from = [Status::Active, Status::Suspended];
        let institution = transition(connection, audit, id, &from, Status::Archived, Some(reason))?;
        tenant_databases::raise_generation(connection, id)?;
        let ended =
            diesel::delete(sessions::table.filter(sessions::institution_id.eq(id))).execute(connection)?;
        let detail = json!({ "reason": reason, "sessions_ended": ended });
        audit.record(connection, "institution.closed", &institution.subject(), &detail)?;
        Ok(institution)
    })
}

/// Opens an archived institution again: `Active` when it is wanted back, or as it was when archiving failed.
///
/// # Errors
/// As [`archive`].
pub fn bring_back(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    to: Status,
    reason: Option<&str>,
) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let institution = transition(connection, audit, id, &[Status::Archived], to, reason)?;
        tenant_databases::raise_generation(connection, id)?;
        let detail = json!({ "status": to, "reason": reason });
        audit.record(connection, "institution.brought_back", &institution.subject(), &detail)?;
        Ok(institution)
    })
}

/// The last turn of an institution whose database and keys are gone. The caller records the rest.
///
/// # Errors
/// As [`archive`].
pub fn mark_deleted(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    reason: &str,
) -> ModelResult<Institution> {
    transition(connection, audit, id, &[Status::Archived], Status::Deleted, Some(reason))
}
