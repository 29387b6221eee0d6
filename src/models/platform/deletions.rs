//! Institutions that are to be deleted: one asks, another agrees, thirty days pass, and until then one act takes it
//! back. Also whom to tell of an institution whose database is gone, and what to forget about its people.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde_json::json;

use super::{
    audit::Audit,
    institutions::{self, Institution, Status},
    registrations, sandboxes,
};
use crate::{
    db::{
        Id, now,
        schema_shared::{
            account_tokens, active_users, institution_contacts, institution_deletions, login_index,
            notifications, sessions,
        },
        shared::SharedConn,
    },
    models::{ModelError, ModelResult},
};

/// From the question to the end.
pub const GRACE: TimeDelta = TimeDelta::days(30);
/// From the agreement to the end, so that everybody is reminded whenever somebody agrees.
pub const GRACE_AFTER_AGREEMENT: TimeDelta = TimeDelta::days(8);

/// A deletion that is to come.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institution_deletions)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Deletion {
    pub institution_id: Id,
    /// None when it was asked on the command line.
    pub asked_by: Option<Id>,
    pub asked_by_name: String,
    pub reason: String,
    pub asked_at: NaiveDateTime,
    pub due_at: NaiveDateTime,
    pub agreed_by: Option<Id>,
    pub agreed_by_name: Option<String>,
    pub agreed_at: Option<NaiveDateTime>,
    /// Days before the end at which its people were told last.
    pub reminded: Option<i32>,
    /// 1 when it happens as soon as the other one agrees.
    pub at_once: i32,
}

impl Deletion {
    /// Whether there are no days of grace.
    #[must_use]
    pub const fn is_at_once(&self) -> bool {
        self.at_once == 1
    }

    /// Whether it happens by itself at `at`.
    #[must_use]
    pub fn is_due(&self, at: NaiveDateTime) -> bool {
        self.agreed_at.is_some() && self.due_at <= at
    }
}

/// The deletion of an institution, if one is to come.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Deletion>> {
    let row = institution_deletions::table.find(institution_id).select(Deletion::as_select());
    Ok(row.first(connection).optional()?)
}

/// Every deletion that was agreed to and ends before `until`, the soonest first.
///
/// # Errors
/// Any database error.
pub fn agreed_until(connection: &mut SharedConn, until: NaiveDateTime) -> ModelResult<Vec<Deletion>> {
    Ok(institution_deletions::table
        .filter(institution_deletions::agreed_at.is_not_null())
        .filter(institution_deletions::due_at.le(until))
        .order(institution_deletions::due_at)
        .limit(500)
        .select(Deletion::as_select())
        .load(connection)?)
}

/// Whether nobody works there any more, so that a deletion need not wait: it is archived, or a sandbox.
///
/// # Errors
/// Any database error.
pub fn may_be_at_once(connection: &mut SharedConn, institution: &Institution) -> ModelResult<bool> {
    Ok(institution.status == Status::Archived || sandboxes::is_one(connection, institution.id)?)
}

/// Asks that an institution be deleted. Call it inside a `write_tx`.
///
/// # Errors
/// `Changed` when somebody has asked before, or the institution is not one that can go; `Refused` without a reason, and
/// without the days of grace while people work there.
pub fn ask(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    reason: &str,
    at_once: bool,
) -> ModelResult<(Institution, Deletion)> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the institution is to be deleted.".into()));
    }
    let institution = institutions::find(connection, institution_id)?;
    if !matches!(institution.status, Status::Active | Status::Suspended | Status::Archived) {
        return Err(institutions::changed(connection, institution_id)?);
    }
    if let Some(known) = find(connection, institution_id)? {
        let sentence = format!("{} has asked for its deletion already.", known.asked_by_name);
        return Err(ModelError::Changed(sentence));
    }
    if at_once && !may_be_at_once(connection, &institution)? {
        let sentence = format!("{} is in use. Archive it first, or let the 30 days pass.", institution.name);
        return Err(ModelError::Refused(sentence));
    }
    let at = now();
    let due_at = if at_once { at } else { at + GRACE };
    diesel::insert_into(institution_deletions::table)
        .values((
            institution_deletions::institution_id.eq(institution_id),
            institution_deletions::asked_by.eq(audit.actor.id),
            institution_deletions::asked_by_name.eq(&audit.actor.name),
            institution_deletions::reason.eq(reason),
            institution_deletions::asked_at.eq(at),
            institution_deletions::due_at.eq(due_at),
            institution_deletions::at_once.eq(i32::from(at_once)),
        ))
        .execute(connection)?;
    let detail = json!({ "reason": reason, "due_at": due_at, "at_once": at_once });
    audit.record(connection, "institution.deletion_asked", &institution.subject(), &detail)?;
    let asked = find(connection, institution_id)?.ok_or(ModelError::NOT_FOUND)?;
    Ok((institution, asked))
}

/// Agrees to what somebody else has asked for. Call it inside a `write_tx`.
///
/// # Errors
/// `Refused` for whoever asked, `Changed` when it was taken back or agreed to already.
pub fn agree(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
) -> ModelResult<(Institution, Deletion)> {
    let institution = institutions::find(connection, institution_id)?;
    let asked = require(connection, institution_id)?;
    if let Some(name) = &asked.agreed_by_name {
        return Err(ModelError::Changed(format!("{name} has agreed already.")));
    }
    if asked.asked_by == audit.actor.id {
        return Err(ModelError::Refused(
            "You asked for this deletion. Another super admin has to agree to it.".into(),
        ));
    }
    let at = now();
    let due_at = if asked.is_at_once() { at } else { asked.due_at.max(at + GRACE_AFTER_AGREEMENT) };
    // It may have been brought back since.
    if asked.is_at_once() && !may_be_at_once(connection, &institution)? {
        return Err(ModelError::Refused(format!(
            "{} is in use again. Take the deletion back, and ask for it anew.",
            institution.name
        )));
    }
    let agreed = diesel::update(institution_deletions::table.find(institution_id))
        .filter(institution_deletions::agreed_at.is_null())
        .set((
            institution_deletions::agreed_by.eq(audit.actor.id),
            institution_deletions::agreed_by_name.eq(&audit.actor.name),
            institution_deletions::agreed_at.eq(at),
            institution_deletions::due_at.eq(due_at),
        ))
        .execute(connection)?;
    if agreed == 0 {
        return Err(ModelError::Changed("Somebody else has agreed or taken it back meanwhile.".into()));
    }
    let asked = require(connection, institution_id)?;
    let detail = json!({ "asked_by": asked.asked_by_name, "due_at": asked.due_at });
    audit.record(connection, "institution.deletion_agreed", &institution.subject(), &detail)?;
    Ok((institution, asked))
}

/// Takes a deletion back that has not begun. Call it inside a `write_tx`.
///
/// # Errors
/// `Changed` when there is none.
pub fn cancel(connection: &mut SharedConn, audit: &Audit, institution_id: Id) -> ModelResult<Institution> {
    let institution = institutions::find(connection, institution_id)?;
    let asked = require(connection, institution_id)?;
    forget(connection, institution_id)?;
    let detail = json!({ "asked_by": asked.asked_by_name, "agreed_by": asked.agreed_by_name });
    audit.record(connection, "institution.deletion_cancelled", &institution.subject(), &detail)?;
    Ok(institution)
}

/// The deletion that there must be.
///
/// # Errors
/// `Changed` when somebody took it back.
pub fn require(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Deletion> {
    let gone = || ModelError::Changed("No deletion is asked for, or it was taken back.".into());
    find(connection, institution_id)?.ok_or_else(gone)
}

/// Notes that its people were told so many days before the end. False when they were before.
///
/// # Errors
/// Any database error.
pub fn note_reminder(connection: &mut SharedConn, known: &Deletion, days: i32) -> ModelResult<bool> {
    let open = institution_deletions::reminded.is_null().or(institution_deletions::reminded.gt(days));
    let noted = diesel::update(institution_deletions::table.find(known.institution_id))
        .filter(institution_deletions::due_at.eq(known.due_at))
        .filter(open)
        .set(institution_deletions::reminded.eq(days))
        .execute(connection)?;
    Ok(noted == 1)
}

/// Takes the row out.
///
/// # Errors
/// Any database error.
pub fn forget(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::delete(institution_deletions::table.find(institution_id)).execute(connection)?;
    Ok(())
}

/// Keeps whom to tell, sealed; what was kept before goes.
///
/// # Errors
/// Any database error.
pub fn keep_contacts(connection: &mut SharedConn, institution_id: Id, sealed: &[u8]) -> ModelResult<()> {
    connection.write_tx(|connection| {
        forget_contacts(connection, institution_id)?;
        diesel::insert_into(institution_contacts::table)
            .values((
                institution_contacts::institution_id.eq(institution_id),
                institution_contacts::sealed.eq(sealed),
                institution_contacts::created_at.eq(now()),
            ))
            .execute(connection)?;
        Ok(())
    })
}

/// Whom to tell, sealed.
///
/// # Errors
/// Any database error.
pub fn contacts(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Vec<u8>>> {
    let row = institution_contacts::table.find(institution_id).select(institution_contacts::sealed);
    Ok(row.first(connection).optional()?)
}

/// Forgets whom to tell.
///
/// # Errors
/// Any database error.
pub fn forget_contacts(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::delete(institution_contacts::table.find(institution_id)).execute(connection)?;
    Ok(())
}

/// Forgets everything that the shared database knows about the people of an institution. Names of those who acted stay
/// in the history and the audit log.
///
/// # Errors
/// Any database error.
pub fn forget_people(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::delete(login_index::table.filter(login_index::institution_id.eq(id))).execute(connection)?;
    diesel::delete(sessions::table.filter(sessions::institution_id.eq(id))).execute(connection)?;
    diesel::delete(account_tokens::table.filter(account_tokens::institution_id.eq(id)))
        .execute(connection)?;
    diesel::delete(notifications::table.filter(notifications::institution_id.eq(id))).execute(connection)?;
    diesel::delete(active_users::table.filter(active_users::institution_id.eq(id))).execute(connection)?;
    registrations::forget_people(connection, id)?;
    forget_contacts(connection, id)
}
