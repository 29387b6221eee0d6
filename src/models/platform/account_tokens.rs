//! One-time tokens behind links: set-up, invitations, password resets. Only their hash is stored.

use chrono::{Duration, NaiveDateTime};
use diesel::prelude::*;

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
            Self::PasswordReset => Duration::hours(1),
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

/// Stores the hash of a new token. The account is none for platform admins' institution, and both are none
/// for the set-up of the platform.
///
/// # Errors
/// Any database error.
pub fn create(
    connection: &mut SharedConn,
    token_hash: &[u8],
    purpose: Purpose,
    institution_id: Option<Id>,
    user_id: Option<Id>,
) -> ModelResult<AccountToken> {
    let (id, at) = (Id::new(), now());
    diesel::insert_into(account_tokens::table)
        .values((
            account_tokens::id.eq(id),
            account_tokens::token_hash.eq(token_hash),
            account_tokens::purpose.eq(purpose),
            account_tokens::institution_id.eq(institution_id),
            account_tokens::user_id.eq(user_id),
            account_tokens::created_at.eq(at),
            account_tokens::expires_at.eq(at + purpose.lifetime()),
        ))
        .execute(connection)?;
    Ok(account_tokens::table.find(id).select(AccountToken::as_select()).first(connection)?)
}

/// The unused, unexpired token with this hash and purpose.
///
/// # Errors
/// Any database error.
pub fn find_valid(
    connection: &mut SharedConn,
    token_hash: &[u8],
    purpose: Purpose,
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
    if used == 0 {
        return Err(ModelError::Changed(
            "This link was already used or has run out. Ask for a new one.".into(),
        ));
    }
    Ok(())
}

/// Makes every unused token of this user and purpose useless.
///
/// # Errors
/// Any database error.
pub fn revoke_for(connection: &mut SharedConn, user_id: Id, purpose: Purpose) -> ModelResult<()> {
    diesel::update(account_tokens::table)
        .filter(account_tokens::user_id.eq(user_id))
        .filter(account_tokens::purpose.eq(purpose))
        .filter(account_tokens::used_at.is_null())
        .set(account_tokens::used_at.eq(now()))
        .execute(connection)?;
    Ok(())
}

/// Makes every unused set-up token useless: the platform has its first admin, or a newer address.
///
/// # Errors
/// Any database error.
pub fn revoke_setup(connection: &mut SharedConn) -> ModelResult<()> {
    diesel::update(account_tokens::table)
        .filter(account_tokens::purpose.eq(Purpose::Setup))
        .filter(account_tokens::used_at.is_null())
        .set(account_tokens::used_at.eq(now()))
        .execute(connection)?;
    Ok(())
}

/// Deletes tokens that ran out before `before`; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    Ok(diesel::delete(account_tokens::table.filter(account_tokens::expires_at.lt(before)))
        .execute(connection)?)
}
