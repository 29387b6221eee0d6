//! Mails that wait to be sent, sealed, written in the transaction of the change that they tell of.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::outgoing_mails, shared::SharedConn},
    models::ModelResult,
};

/// A mail that is due.
#[derive(Debug, Clone, Queryable)]
pub struct DueMail {
    /// Its id.
    pub id: Id,
    /// The sealed message.
    pub sealed: Option<Vec<u8>>,
    /// Attempts made so far.
    pub attempts: i32,
}

/// Stores a sealed mail, due at once.
///
/// # Errors
/// Any database error.
pub fn insert(connection: &mut SharedConn, sealed: &[u8]) -> ModelResult<Id> {
    let id = Id::new();
    diesel::insert_into(outgoing_mails::table)
        .values((
            outgoing_mails::id.eq(id),
            outgoing_mails::sealed.eq(sealed),
            outgoing_mails::created_at.eq(now()),
            outgoing_mails::attempts.eq(0),
            outgoing_mails::next_attempt_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(id)
}

/// The mails that are due, oldest first.
///
/// # Errors
/// Any database error.
pub fn due(connection: &mut SharedConn, limit: i64) -> ModelResult<Vec<DueMail>> {
    Ok(outgoing_mails::table
        .filter(outgoing_mails::sent_at.is_null())
        .filter(outgoing_mails::sealed.is_not_null())
        .filter(outgoing_mails::next_attempt_at.le(now()))
        .order(outgoing_mails::next_attempt_at)
        .limit(limit)
        .select((outgoing_mails::id, outgoing_mails::sealed, outgoing_mails::attempts))
        .load(connection)?)
}

/// Takes a mail for sending: for `hold` no other worker does. False when another was faster.
///
/// # Errors
/// Any database error.
pub fn claim(connection: &mut SharedConn, mail: &DueMail, hold: TimeDelta) -> ModelResult<bool> {
    let claimed = diesel::update(outgoing_mails::table.find(mail.id))
        .filter(outgoing_mails::attempts.eq(mail.attempts))
        .filter(outgoing_mails::sent_at.is_null())
        .set((
            outgoing_mails::attempts.eq(mail.attempts + 1),
            outgoing_mails::next_attempt_at.eq(now() + hold),
        ))
        .execute(connection)?;
    Ok(claimed == 1)
}

/// Marks a mail as sent and erases what it said.
///
/// # Errors
/// Any database error.
pub fn mark_sent(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(outgoing_mails::table.find(id))
        .set((
            outgoing_mails::sent_at.eq(now()),
            outgoing_mails::sealed.eq(None::<Vec<u8>>),
            outgoing_mails::error.eq(None::<String>),
        ))
        .execute(connection)?;
    Ok(())
}

/// Notes why a mail was not sent, and when to try again; never again erases what it said.
///
/// # Errors
/// Any database error.
pub fn mark_failed(
    connection: &mut SharedConn,
    id: Id,
    error: &str,
    again_at: Option<NaiveDateTime>,
) -> ModelResult<()> {
    let mail = outgoing_mails::table.find(id);
    diesel::update(mail).set(outgoing_mails::error.eq(error)).execute(connection)?;
    match again_at {
        Some(at) => diesel::update(mail).set(outgoing_mails::next_attempt_at.eq(at)).execute(connection)?,
        None => diesel::update(mail).set(outgoing_mails::sealed.eq(None::<Vec<u8>>)).execute(connection)?,
    };
    Ok(())
}

/// Forgets mails that were sent before `before`; returns how many. What they said was erased when they went.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let old = outgoing_mails::table.filter(outgoing_mails::sent_at.lt(before));
        Ok(diesel::delete(old).execute(c)?)
    })
}

/// Mails that were not sent, for the doctor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsent {
    /// Refused at least once and to be tried again, or waiting for longer than they should.
    pub stuck: i64,
    /// Given up.
    pub given_up: i64,
}

/// Counts the mails that were not sent although they were due before `since`.
///
/// # Errors
/// Any database error.
pub fn unsent(connection: &mut SharedConn, since: NaiveDateTime) -> ModelResult<Unsent> {
    let unsent = outgoing_mails::table.filter(outgoing_mails::sent_at.is_null());
    let stuck = unsent
        .filter(outgoing_mails::sealed.is_not_null())
        .filter(outgoing_mails::error.is_not_null().or(outgoing_mails::next_attempt_at.lt(since)))
        .count()
        .get_result(connection)?;
    let given_up = unsent.filter(outgoing_mails::sealed.is_null()).count().get_result(connection)?;
    Ok(Unsent { stuck, given_up })
}
