//! Signed-in browsers. Only the hash of a token is stored, so a stolen dump opens no session.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::sessions, shared::SharedConn},
    models::{ModelError, ModelResult},
};

/// A session as its owner sees it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = sessions)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Session {
    pub id: Id,
    pub institution_id: Option<Id>,
    pub user_id: Option<Id>,
    pub state: String,
    pub ip: String,
    pub user_agent: String,
    pub created_at: NaiveDateTime,
    pub last_seen_at: NaiveDateTime,
}

/// Whose session it is; both are empty before sign-in.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// The platform admin or institution user.
    pub user_id: Option<Id>,
    /// The user's institution; none for a platform admin.
    pub institution_id: Option<Id>,
    /// Address at sign-in.
    pub ip: String,
    /// The browser's description of itself at sign-in.
    pub user_agent: String,
}

/// How long a session lives by the server's clock.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Without a request.
    pub idle: TimeDelta,
    /// In all.
    pub absolute: TimeDelta,
}

#[derive(Insertable)]
#[diesel(table_name = sessions)]
struct NewSession<'a> {
    id: Id,
    token_hash: &'a [u8],
    institution_id: Option<Id>,
    user_id: Option<Id>,
    state: &'a str,
    ip: &'a str,
    user_agent: &'a str,
    created_at: NaiveDateTime,
    last_seen_at: NaiveDateTime,
    idle_expires_at: NaiveDateTime,
    expires_at: NaiveDateTime,
}

/// Starts a session under a new token.
///
/// # Errors
/// Any database error.
pub fn create(
    connection: &mut SharedConn,
    token_hash: &[u8],
    holder: &Holder,
    state: &str,
    lifetime: Lifetime,
) -> ModelResult<Id> {
    let at = now();
    let session = NewSession {
        id: Id::new(),
        token_hash,
        institution_id: holder.institution_id,
        user_id: holder.user_id,
        state,
        ip: &holder.ip,
        user_agent: &holder.user_agent,
        created_at: at,
        last_seen_at: at,
        idle_expires_at: at + lifetime.idle,
        expires_at: at + lifetime.absolute,
    };
    connection.write_tx(|c| {
        diesel::insert_into(sessions::table).values(&session).execute(c)?;
        Ok(session.id)
    })
}

/// The live session of a token, if there is one.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, token_hash: &[u8]) -> ModelResult<Option<Session>> {
    let at = now();
    Ok(sessions::table
        .filter(sessions::token_hash.eq(token_hash))
        .filter(sessions::idle_expires_at.gt(at))
        .filter(sessions::expires_at.gt(at))
        .select(Session::as_select())
        .first(connection)
        .optional()?)
}

/// Replaces a session's state. A session that was ended meanwhile stays ended.
///
/// # Errors
/// `NotFound` when the session is gone.
pub fn update_state(connection: &mut SharedConn, token_hash: &[u8], state: &str) -> ModelResult<()> {
    let changed = connection.write_tx(|c| {
        diesel::update(sessions::table.filter(sessions::token_hash.eq(token_hash)))
            .set(sessions::state.eq(state))
            .execute(c)
    })?;
    if changed == 0 { Err(ModelError::NOT_FOUND) } else { Ok(()) }
}

/// Idle limits by who holds the session.
#[derive(Debug, Clone, Copy)]
pub struct IdleLimits {
    /// Not signed in yet.
    pub anonymous: TimeDelta,
    /// Platform admins.
    pub super_admin: TimeDelta,
    /// Users of an institution.
    pub institution: TimeDelta,
}

impl IdleLimits {
    /// The limit that applies to a holder.
    #[must_use]
    pub fn of(&self, user_id: Option<Id>, institution_id: Option<Id>) -> TimeDelta {
        match (user_id, institution_id) {
            (None, _) => self.anonymous,
            (Some(_), None) => self.super_admin,
            (Some(_), Some(_)) => self.institution,
        }
    }
}

/// Notes that a session is in use. Written at most once a minute, because every request is one.
///
/// # Errors
/// Any database error.
pub fn touch(connection: &mut SharedConn, session: &Session, limits: IdleLimits) -> ModelResult<()> {
    let at = now();
    if session.last_seen_at > at - TimeDelta::minutes(1) {
        return Ok(());
    }
    let idle_expires_at = at + limits.of(session.user_id, session.institution_id);
    connection.write_tx(|c| {
        diesel::update(sessions::table.find(session.id))
            .set((sessions::last_seen_at.eq(at), sessions::idle_expires_at.eq(idle_expires_at)))
            .execute(c)?;
        Ok(())
    })
}

/// Ends the session of a token.
///
/// # Errors
/// Any database error.
pub fn end(connection: &mut SharedConn, token_hash: &[u8]) -> ModelResult<()> {
    connection.write_tx(|c| {
        diesel::delete(sessions::table.filter(sessions::token_hash.eq(token_hash))).execute(c)
    })?;
    Ok(())
}

/// The live sessions of a user, newest first; at most 100.
///
/// # Errors
/// Any database error.
pub fn of_user(connection: &mut SharedConn, user_id: Id) -> ModelResult<Vec<Session>> {
    let at = now();
    Ok(sessions::table
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::idle_expires_at.gt(at))
        .filter(sessions::expires_at.gt(at))
        .order(sessions::last_seen_at.desc())
        .limit(100)
        .select(Session::as_select())
        .load(connection)?)
}

/// When a session ends whatever happens; none when it is over.
///
/// # Errors
/// Any database error.
pub fn absolute_end(connection: &mut SharedConn, session_id: Id) -> ModelResult<Option<NaiveDateTime>> {
    Ok(sessions::table
        .find(session_id)
        .filter(sessions::expires_at.gt(now()))
        .select(sessions::expires_at)
        .first(connection)
        .optional()?)
}

/// Ends one session of a user.
///
/// # Errors
/// `NotFound` when it is not that user's or is gone.
pub fn end_one(connection: &mut SharedConn, user_id: Id, session_id: Id) -> ModelResult<()> {
    let ended = connection.write_tx(|c| {
        diesel::delete(
            sessions::table.filter(sessions::user_id.eq(user_id)).filter(sessions::id.eq(session_id)),
        )
        .execute(c)
    })?;
    if ended == 0 { Err(ModelError::NOT_FOUND) } else { Ok(()) }
}

/// Ends every session of a user except `keep`; returns how many.
///
/// # Errors
/// Any database error.
pub fn end_all_of_user(connection: &mut SharedConn, user_id: Id, keep: Option<Id>) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let all = diesel::delete(sessions::table.filter(sessions::user_id.eq(user_id)));
        Ok(match keep {
            Some(id) => all.filter(sessions::id.ne(id)).execute(c)?,
            None => all.execute(c)?,
        })
    })
}

/// Ends every session there is.
///
/// # Errors
/// Any database error.
pub fn end_all(connection: &mut SharedConn) -> ModelResult<usize> {
    Ok(diesel::delete(sessions::table).execute(connection)?)
}

/// Removes what has expired; returns how many.
///
/// # Errors
/// Any database error.
pub fn sweep(connection: &mut SharedConn) -> ModelResult<usize> {
    let at = now();
    connection.write_tx(|c| {
        let expired = sessions::idle_expires_at.lt(at).or(sessions::expires_at.lt(at));
        Ok(diesel::delete(sessions::table.filter(expired)).execute(c)?)
    })
}
