//! Sign-ins, refusals and credential changes: who, when, from where.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::security_log, shared::SharedConn},
    models::{Actor, ModelResult},
};

/// One event of the log. The e-mail itself is never stored: its keyed hash tells who was meant.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = security_log)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct SecurityEvent<'a> {
    pub event: &'a str,
    pub account_hash: Option<&'a [u8]>,
    pub institution_id: Option<Id>,
    pub user_id: Option<Id>,
    pub ip: &'a str,
    pub user_agent: &'a str,
    pub detail: &'a str,
}

impl<'a> SecurityEvent<'a> {
    /// What happened to one account, from where `actor` is.
    #[must_use]
    pub fn of_account(event: &'a str, institution_id: Option<Id>, user_id: Id, actor: &'a Actor) -> Self {
        Self {
            event,
            account_hash: None,
            institution_id,
            user_id: Some(user_id),
            ip: actor.ip.as_deref().unwrap_or_default(),
            user_agent: actor.user_agent.as_deref().unwrap_or_default(),
            detail: "",
        }
    }
}

/// An event as it is shown.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = security_log)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct SecurityEntry {
    pub id: Id,
    pub at: NaiveDateTime,
    pub event: String,
    pub ip: String,
    pub user_agent: String,
    pub detail: String,
}

/// Writes one event.
///
/// # Errors
/// Any database error.
pub fn record(connection: &mut SharedConn, event: &SecurityEvent<'_>) -> ModelResult<()> {
    connection.write_tx(|c| {
        diesel::insert_into(security_log::table)
            .values((security_log::id.eq(Id::new()), security_log::at.eq(now()), event))
            .execute(c)?;
        Ok(())
    })
}

/// Forgets events from before `before`; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection
        .write_tx(|c| Ok(diesel::delete(security_log::table.filter(security_log::at.lt(before))).execute(c)?))
}

/// The latest events of a user, newest first.
///
/// # Errors
/// Any database error.
pub fn of_user(connection: &mut SharedConn, user_id: Id, limit: i64) -> ModelResult<Vec<SecurityEntry>> {
    Ok(security_log::table
        .filter(security_log::user_id.eq(user_id))
        .order(security_log::at.desc())
        .limit(limit)
        .select(SecurityEntry::as_select())
        .load(connection)?)
}
