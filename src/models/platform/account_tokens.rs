//! One-time tokens behind links: set-up, invitations, password resets. Only their hash is stored.

use chrono::{Duration, NaiveDateTime};
use diesel::prelude::*;

use super::SharedBackend;
use crate::{
    db::{Id, now, schema_shared::account_tokens, shared::SharedConn},
    models::{ModelError, ModelResult},
};

crate::text_enum! {
    /// What a token allows.
    Purpose { Setup = "setup", Invitation = "invitation", PasswordReset = "password_reset" }
}

impl Purpose {
    /// How long a link of this purpose works.
    #[must_use]
    pub fn lifetime(self) -> Duration {
        match self {
            Self::Setup => Duration::hours(24),
            Self::Invitation => Duration::days(7),
            Self::PasswordReset => Duration::minutes(30),
        }
    }
}

/// A stored token.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = account_tokens)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct AccountToken {
    pub id: Id,
    pub purpose: Purpose,
    pub institution_id: Option<Id>,
    pub user_id: Option<Id>,
    pub created_at: NaiveDateTime,
    pub expires_at: NaiveDateTime,
    pub used_at: Option<NaiveDateTime>,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// None for platform admins.
    pub institution_id: Option<Id>,
    /// None for the set-up of the platform.
    pub user_id: Option<Id>,
}

/// Stores a new token and makes the holder's earlier ones of the same purpose useless.
///
/// # Errors
/// Any database error.
pub fn create(
    connection: &mut SharedConn,
    purpose: Purpose,
    holder: Holder,
    token_hash: &[u8],
    lifetime: Duration,
) -> ModelResult<AccountToken> {
    connection.write_tx(|connection| {
        revoke_for(connection, holder, purpose)?;
        let (id, at) = (Id::new(), now());
        diesel::insert_into(account_tokens::table)
            .values((
                account_tokens::id.eq(id),
                account_tokens::token_hash.eq(token_hash),
                account_tokens::purpose.eq(purpose),
                account_tokens::institution_id.eq(holder.institution_id),
                account_tokens::user_id.eq(holder.user_id),
                account_tokens::created_at.eq(at),
                account_tokens::expires_at.eq(at + lifetime),
            ))
            .execute(connection)?;
        Ok(account_tokens::table.find(id).select(AccountToken::as_select()).first(connection)?)
    })
}

/// The unused, unexpired token with this hash and purpose.
///
/// # Errors
/// Any database error.
pub fn find_valid(
    connection: &mut SharedConn,
    purpose: Purpose,
    token_hash: &[u8],
) -> ModelResult<Option<AccountToken>> {
    Ok(account_tokens::table
        .filter(account_tokens::token_hash.eq(token_hash))
        .filter(account_tokens::purpose.eq(purpose))
        .filter(account_tokens::used_at.is_null())
        .filter(account_tokens::expires_at.gt(now()))
        .select(AccountToken::as_select())
        .first(connection)
        .optional()?)
}

/// Passes while this token can still be used.
///
/// # Errors
/// [`ModelError::Changed`] when it was used or has run out, or any database error.
pub fn require_valid(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    let open = account_tokens::table
        .find(id)
        .filter(account_tokens::used_at.is_null())
        .filter(account_tokens::expires_at.gt(now()));
    if diesel::select(diesel::dsl::exists(open)).get_result(connection)? { Ok(()) } else { Err(run_out()) }
}

/// Whether this holder was sent such a link after `since`, and it can still be used.
///
/// # Errors
/// Any database error.
pub fn sent_since(
    connection: &mut SharedConn,
    holder: Holder,
    purpose: Purpose,
    since: NaiveDateTime,
) -> ModelResult<bool> {
    let newest: Option<NaiveDateTime> = open_of(holder, purpose)
        .select(account_tokens::created_at)
        .order(account_tokens::created_at.desc())
        .first(connection)
        .optional()?;
    Ok(newest.is_some_and(|at| at > since))
}

/// Uses a token up; of two who try at once one succeeds. Call it inside the `write_tx` of what it allows.
///
/// # Errors
/// [`ModelError::Changed`] when it was used or has run out, or any database error.
pub fn use_once(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    let at = now();
    let used = diesel::update(account_tokens::table.find(id))
        .filter(account_tokens::used_at.is_null())
        .filter(account_tokens::expires_at.gt(at))
        .set(account_tokens::used_at.eq(at))
        .execute(connection)?;
    if used == 0 { Err(run_out()) } else { Ok(()) }
}

fn run_out() -> ModelError {
    ModelError::Changed("This link was already used or has run out. Ask for a new one.".into())
}

/// Makes every unused token of this holder and purpose useless.
///
/// # Errors
/// Any database error.
pub fn revoke_for(connection: &mut SharedConn, holder: Holder, purpose: Purpose) -> ModelResult<()> {
    let open: Vec<Id> = open_of(holder, purpose).select(account_tokens::id).load(connection)?;
    diesel::update(account_tokens::table.filter(account_tokens::id.eq_any(open)))
        .set(account_tokens::used_at.eq(now()))
        .execute(connection)?;
    Ok(())
}

/// The unused tokens of a holder.
fn open_of(holder: Holder, purpose: Purpose) -> account_tokens::BoxedQuery<'static, SharedBackend> {
    let query = account_tokens::table
        .filter(account_tokens::purpose.eq(purpose))
        .filter(account_tokens::used_at.is_null())
        .into_boxed();
    let query = match holder.institution_id {
        Some(id) => query.filter(account_tokens::institution_id.eq(id)),
        None => query.filter(account_tokens::institution_id.is_null()),
    };
    match holder.user_id {
        Some(id) => query.filter(account_tokens::user_id.eq(id)),
        None => query.filter(account_tokens::user_id.is_null()),
    }
}

/// Deletes tokens that ran out before `before`; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        let old = account_tokens::table.filter(account_tokens::expires_at.lt(before));
        Ok(diesel::delete(old).execute(connection)?)
    })
}
