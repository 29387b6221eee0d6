//! Choosing a password: by an invitation, by a reset link, or knowing the present one.
//!
//! Whatever may be busy comes first. A platform admin's change is one transaction. An institution user's
//! password lives in the institution's own database, whose write names the state it comes from: of two who
//! use one link at once one succeeds, and after a hiccup in between the link still works.

use std::sync::Arc;

use super::{Account, AccountError, name_and_email, stored_hash};
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        institution::{activity::Activity, users},
        platform::{
            account_tokens::{self, AccountToken, Purpose},
            admins,
            security_log::{self, SecurityEvent},
            sessions,
        },
    },
    services::{keys::Keys, mail::Message, mail_texts::Recipient, outbox, platform::Platform},
};

/// An invited person chooses name and password; the invitation is used up.
///
/// # Errors
/// [`AccountError::LinkExpired`] when it was accepted or withdrawn; hashing and database errors, after which
/// the link still works.
pub async fn accept_invitation(
    platform: &Arc<Platform>,
    link: &AccountToken,
    account: Account,
    actor: Actor,
    password: &str,
) -> Result<(), AccountError> {
    let hash = platform.passwords.hash(password.to_owned()).await?;
    let (link, user) = (link.id, account.user_id);
    let accepted = match account.institution_id {
        None => {
            let audit = platform.audit(actor);
            let accept = move |c: &mut SharedConn| {
                account_tokens::use_once(c, link)?;
                admins::accept(c, &audit, user, &audit.actor.name, &hash)?;
                note(c, "invitation.accepted", account, &audit.actor)
            };
            platform.shared.run(move |c| c.write_tx(accept)).await
        }
        Some(institution) => {
            let db = platform.tenant(institution).await?;
            let activity = Activity::new(actor.clone());
            let name = actor.name.clone();
            db.run(move |c| users::accept_invitation(c, &activity, user, &name, &hash))
                .await
                .map_err(too_late)?;
            let settle = move |c: &mut SharedConn| {
                account_tokens::revoke_for(c, account.holder(), Purpose::Invitation)?;
                note(c, "invitation.accepted", account, &actor)
            };
            platform.shared.run(move |c| c.write_tx(settle)).await
        }
    };
    accepted.map_err(too_late)
}

/// Replaces a password whose owner is signed in, and ends every session but `keep`; the owner is told by mail.
///
/// # Errors
/// `Changed` when it was replaced meanwhile; hashing and database errors.
pub async fn change_password(
    platform: &Arc<Platform>,
    account: Account,
    actor: Actor,
    password: &str,
    keep: Id,
) -> Result<(), AccountError> {
    let change = Change::prepare(platform, account, actor, password).await?;
    change.carry_out(platform, Some(keep), None).await
}

/// Replaces a password by the link that was mailed, which is used up, and ends every session; the owner is
/// told by mail.
///
/// # Errors
/// [`AccountError::LinkExpired`] when the link was used meanwhile; hashing and database errors, after which it
/// still works.
pub async fn reset_password(
    platform: &Arc<Platform>,
    link: &AccountToken,
    account: Account,
    actor: Actor,
    password: &str,
) -> Result<(), AccountError> {
    let change = Change::prepare(platform, account, actor, password).await?;
    match change.carry_out(platform, None, Some(link.id)).await {
        Err(AccountError::Model(error)) => Err(too_late(error)),
        outcome => outcome,
    }
}

/// A new password with everything that goes with it, ready to be written.
struct Change {
    account: Account,
    actor: Actor,
    old_hash: String,
    new_hash: String,
    message: Message,
    keys: Keys,
}

impl Change {
    async fn prepare(
        platform: &Arc<Platform>,
        account: Account,
        actor: Actor,
        password: &str,
    ) -> Result<Self, AccountError> {
        let old_hash = stored_hash(platform, account).await?.ok_or(ModelError::NOT_FOUND)?;
        let (name, email) = name_and_email(platform, account).await?;
        let new_hash = platform.passwords.hash(password.to_owned()).await?;
        let to = Recipient { email: &email, name: &name };
        let when = now().format("%Y-%m-%d %H:%M UTC").to_string();
        let message = platform.mail_texts.password_changed(to, &when, &platform.link("/password-reset"));
        Ok(Self { account, actor, old_hash, new_hash, message, keys: platform.keys.clone() })
    }

    async fn carry_out(
        self,
        platform: &Arc<Platform>,
        keep: Option<Id>,
        link: Option<Id>,
    ) -> Result<(), AccountError> {
        let user = self.account.user_id;
        let Some(institution) = self.account.institution_id else {
            let audit = platform.audit(self.actor.clone());
            let write = move |c: &mut SharedConn| {
                link.map_or(Ok(()), |link| account_tokens::use_once(c, link))?;
                admins::set_password(c, &audit, user, &self.old_hash, &self.new_hash)?;
                self.settle(c, keep)
            };
            return Ok(platform.shared.run(move |c| c.write_tx(write)).await?);
        };
        let db = platform.tenant(institution).await?;
        // Before as well as after: should the last step fail, no session of a thief is left.
        let begin = move |c: &mut SharedConn| {
            link.map_or(Ok(()), |link| account_tokens::require_valid(c, link))?;
            sessions::end_all_of_user(c, user, keep).map(drop)
        };
        platform.shared.run(move |c| c.write_tx(begin)).await?;
        let (activity, old, new) =
            (Activity::new(self.actor.clone()), self.old_hash.clone(), self.new_hash.clone());
        db.run(move |c| users::set_password_hash(c, &activity, user, &old, &new)).await?;
        Ok(platform.shared.run(move |c| c.write_tx(|c| self.settle(c, keep))).await?)
    }

    /// What the old password opened is closed, and the owner is told.
    fn settle(&self, connection: &mut SharedConn, keep: Option<Id>) -> ModelResult<()> {
        sessions::end_all_of_user(connection, self.account.user_id, keep)?;
        account_tokens::revoke_for(connection, self.account.holder(), Purpose::PasswordReset)?;
        note(connection, "password.changed", self.account, &self.actor)?;
        outbox::enqueue(connection, &self.keys, self.account.institution_id, &self.message)
    }
}

fn note(connection: &mut SharedConn, event: &str, account: Account, actor: &Actor) -> ModelResult<()> {
    let event = SecurityEvent::of_account(event, account.institution_id, account.user_id, actor);
    security_log::record(connection, &event)
}

/// Somebody else used the same link first.
fn too_late(error: ModelError) -> AccountError {
    match error {
        ModelError::Changed(_) => AccountError::LinkExpired,
        error => error.into(),
    }
}
