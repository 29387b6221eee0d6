//! Signing in, resetting and accepting, across the shared database and the tenants'.
//!
//! A person may have several accounts under one e-mail: one as platform admin, one per institution.

mod credentials;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    db::{Id, now, pools::PoolError, shared::SharedConn, tenant::TenantConn, trouble::Trouble},
    models::{
        Actor, ModelError, ModelResult,
        institution::users::{self, UserStatus},
        platform::{
            account_tokens::{self, AccountToken, Holder, Purpose},
            admins::{self, AdminStatus},
            login_index,
            security_log::{self, SecurityEvent},
        },
        text::Email,
    },
    services::{
        mail_texts::Recipient,
        outbox,
        passwords::PasswordError,
        platform::Platform,
        tenants::TenantError,
        tokens::{NoRandom, Token},
    },
};

pub use credentials::{accept_invitation, change_password, reset_password};

/// More accounts than this under one e-mail are not tried.
const MOST_ACCOUNTS: usize = 8;
/// A reset link younger than this is not replaced by another.
const NEWEST_STAYS: TimeDelta = TimeDelta::minutes(1);

/// One account: a platform admin, or a user of an institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// None for a platform admin.
    pub institution_id: Option<Id>,
    /// The admin or user.
    pub user_id: Id,
}

impl Account {
    fn holder(self) -> Holder {
        Holder { institution_id: self.institution_id, user_id: Some(self.user_id) }
    }
}

/// Why accounts could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Too many people sign in at this moment.
    #[error("hashing is busy")]
    Busy,
    /// The token is unknown, used or too old.
    #[error("this link is no longer valid")]
    LinkExpired,
    /// From the shared or tenant database.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tenant database cannot be opened.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A failure of ours: hashing, randomness, a damaged record.
    #[error("{0}")]
    Internal(String),
}

impl From<NoRandom> for AccountError {
    fn from(error: NoRandom) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<PoolError> for AccountError {
    fn from(error: PoolError) -> Self {
        Self::Model(error.into())
    }
}

impl From<PasswordError> for AccountError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            other => Self::Internal(other.to_string()),
        }
    }
}

/// What an e-mail and a password came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The accounts under this e-mail: whose owners may want to know that somebody tried.
    pub tried: Vec<Account>,
    /// Those that the password opens.
    pub opened: Vec<Account>,
}

/// Tries e-mail and password. An unknown e-mail costs as much as a wrong password. An account that cannot be
/// looked at keeps nobody from another one; where nothing opens, it is an error and no wrong password.
///
/// # Errors
/// [`AccountError::Busy`] when the hashing pool is full; database errors.
pub async fn attempt(platform: &Arc<Platform>, email: &str, password: &str) -> Result<Attempt, AccountError> {
    let mut attempt = Attempt { tried: candidates(platform, email).await?, opened: Vec::new() };
    let mut failed = None;
    if attempt.tried.is_empty() {
        platform.passwords.verify(password.to_owned(), None).await?;
    }
    for account in attempt.tried.iter().copied() {
        match opens(platform, account, password).await {
            Ok(true) => attempt.opened.push(account),
            Ok(false) => {}
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        Some(error) if attempt.opened.is_empty() => Err(error),
        _ => Ok(attempt),
    }
}

async fn opens(platform: &Arc<Platform>, account: Account, password: &str) -> Result<bool, AccountError> {
    let stored = stored_hash(platform, account).await?;
    let opens = platform.passwords.verify(password.to_owned(), stored.as_deref()).await?;
    if opens {
        rehash(platform, account, password, stored).await?;
    }
    Ok(opens)
}

/// Whether this password opens this account.
///
/// # Errors
/// As [`matching`].
pub async fn proves(
    platform: &Arc<Platform>,
    account: Account,
    password: &str,
) -> Result<bool, AccountError> {
    let stored = stored_hash(platform, account).await?;
    Ok(platform.passwords.verify(password.to_owned(), stored.as_deref()).await?)
}

async fn candidates(platform: &Arc<Platform>, email: &str) -> Result<Vec<Account>, AccountError> {
    let Ok(email) = Email::parse(email) else { return Ok(Vec::new()) };
    let normalised = email.normalised().to_owned();
    let hash = platform.keys.email_hash(&email);
    let accounts = platform
        .shared
        .run(move |c| {
            let admin = admins::find_by_email(c, &normalised)?;
            let admin = admin.map(|admin| Account { institution_id: None, user_id: admin.id });
            let members = login_index::find(c, &hash)?;
            let members = members
                .into_iter()
                .map(|login| Account { institution_id: Some(login.institution_id), user_id: login.user_id });
            ModelResult::Ok(admin.into_iter().chain(members).take(MOST_ACCOUNTS).collect::<Vec<_>>())
        })
        .await?;
    Ok(accounts)
}

/// The hash of an account that may sign in now; none for one that may not.
async fn stored_hash(platform: &Arc<Platform>, account: Account) -> Result<Option<String>, AccountError> {
    let user = account.user_id;
    let found = match account.institution_id {
        None => platform
            .shared
            .run(move |c| admins::find(c, user))
            .await
            .map(|admin| admin.password_hash.filter(|_| admin.status == AdminStatus::Active)),
        Some(institution) => match platform.tenant(institution).await {
            Ok(db) => db.run(move |c| active_hash(c, user)).await,
            // Suspended, being moved, failed: the same answer as a wrong password.
            Err(TenantError::NotFound | TenantError::NotActive(_)) => Ok(None),
            Err(error) => return Err(error.into()),
        },
    };
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(other?),
    }
}

fn active_hash(connection: &mut TenantConn, user: Id) -> ModelResult<Option<String>> {
    if users::find(connection, user)?.status == UserStatus::Active {
        users::password_hash(connection, user)
    } else {
        Ok(None)
    }
}

/// Stores the hash anew when the cost was changed since.
async fn rehash(
    platform: &Arc<Platform>,
    account: Account,
    password: &str,
    stored: Option<String>,
) -> Result<(), AccountError> {
    let Some(old) = stored.filter(|stored| platform.passwords.needs_rehash(stored)) else { return Ok(()) };
    let (user, new) = (account.user_id, platform.passwords.hash(password.to_owned()).await?);
    match account.institution_id {
        None => platform.shared.run(move |c| admins::rehash(c, user, &old, &new)).await?,
        Some(institution) => {
            let db = platform.tenant(institution).await?;
            unless_only_read(db.run(move |c| users::rehash_password(c, user, &old, &new)).await)?;
        }
    }
    Ok(())
}

/// Nobody is kept out because his institution's records cannot be changed for the moment.
fn unless_only_read(noted: ModelResult<()>) -> ModelResult<()> {
    match noted {
        Err(ModelError::Database(error)) if Trouble::of(&error.to_string()) == Some(Trouble::ReadOnly) => {
            log::debug!("a sign-in was not noted: {error}");
            Ok(())
        }
        other => other,
    }
}

/// Notes a sign-in on the account that was chosen, and in its owner's log.
///
/// # Errors
/// Database errors.
pub async fn note_sign_in(
    platform: &Arc<Platform>,
    account: Account,
    from: Actor,
) -> Result<(), AccountError> {
    let user = account.user_id;
    match account.institution_id {
        None => platform.shared.run(move |c| admins::touch_sign_in(c, user)).await?,
        Some(institution) => {
            let db = platform.tenant(institution).await?;
            unless_only_read(db.run(move |c| users::record_sign_in(c, user)).await)?;
        }
    }
    let institution = account.institution_id;
    let log = move |c: &mut SharedConn| {
        security_log::record(c, &SecurityEvent::of_account("sign_in", institution, user, &from))
    };
    Ok(platform.shared.run(log).await?)
}

/// Sends a reset link to every account of this e-mail. The caller answers the same whether there is one.
///
/// # Errors
/// Database errors; the other accounts have got their link then.
pub async fn send_reset(platform: &Arc<Platform>, email: &str) -> Result<(), AccountError> {
    let mut outcome = Ok(());
    for account in candidates(platform, email).await? {
        outcome = outcome.and(send_reset_to(platform, account).await);
    }
    outcome
}

async fn send_reset_to(platform: &Arc<Platform>, account: Account) -> Result<(), AccountError> {
    let holder = account.holder();
    let since = now() - NEWEST_STAYS;
    // Whoever asks on and on must not make useless what is just being read.
    let just_sent =
        move |c: &mut SharedConn| account_tokens::sent_since(c, holder, Purpose::PasswordReset, since);
    if stored_hash(platform, account).await?.is_none() || platform.shared.run(just_sent).await? {
        return Ok(());
    }
    send_reset_link(platform, account).await
}

/// Sends a reset link to one account, and makes its earlier ones useless. Nobody but its owner sees the link.
///
/// # Errors
/// Database errors.
pub async fn send_reset_link(platform: &Arc<Platform>, account: Account) -> Result<(), AccountError> {
    let (name, address) = name_and_email(platform, account).await?;
    let token = Token::generate()?;
    let link = platform.link(&format!("/password-reset/{}", token.reveal()));
    let to = Recipient { email: &address, name: &name };
    let message = platform.mail_texts.password_reset(to, &link, "30 minutes");
    let keys = platform.keys.clone();
    let lifetime = Purpose::PasswordReset.lifetime();
    platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                let (purpose, holder) = (Purpose::PasswordReset, account.holder());
                account_tokens::create(c, purpose, holder, &token.hash(), lifetime)?;
                outbox::enqueue(c, &keys, account.institution_id, &message)
            })
        })
        .await?;
    Ok(())
}

/// The account a link speaks for, while the link is valid.
///
/// # Errors
/// [`AccountError::LinkExpired`]; database errors.
pub async fn behind_link(
    platform: &Arc<Platform>,
    token: &str,
    purpose: Purpose,
) -> Result<AccountToken, AccountError> {
    let hash = Token::from_presented(token).ok_or(AccountError::LinkExpired)?.hash();
    let found = platform.shared.run(move |c| account_tokens::find_valid(c, purpose, &hash)).await?;
    found.ok_or(AccountError::LinkExpired)
}

/// Name and e-mail of an account, as its owner writes them.
///
/// # Errors
/// Database errors; `NotFound` when it is gone.
pub async fn name_and_email(
    platform: &Arc<Platform>,
    account: Account,
) -> Result<(String, Email), AccountError> {
    let id = account.user_id;
    let (name, email) = match account.institution_id {
        None => {
            let admin = platform.shared.run(move |c| admins::find(c, id)).await?;
            (admin.name, admin.email)
        }
        Some(institution) => {
            let db = platform.tenant(institution).await?;
            let user = db.run(move |c| users::find(c, id)).await?;
            (user.name, user.email)
        }
    };
    let email =
        Email::parse(&email).map_err(|error| AccountError::Internal(format!("stored e-mail: {error}")))?;
    Ok((name, email))
}
