//! Users of an institution across both databases: the user in the tenant's, invitation, sign-in and
//! sessions in the shared one.
//!
//! The tenant's database is written first: it holds the rules. What follows in the shared one can be
//! done again ("Send the invitation again") should the power fail in between.

use std::sync::Arc;

use crate::{
    db::{Id, pools::TenantDb},
    models::{
        ModelError, ModelResult,
        institution::{
            Activity,
            users::{self, NewUser, Role, User},
        },
        platform::{
            account_tokens::{self, Holder, Purpose},
            institutions::Institution,
            login_index::{self, Login},
            sessions,
        },
        text::Email,
    },
    services::{
        accounts::{self, Account, AccountError},
        mail_texts::Recipient,
        outbox,
        platform::Platform,
        tokens::Token,
    },
};

/// How long an invitation is good for, in words.
const VALID_FOR: &str = "7 days";

/// Makes a user and sends the invitation.
///
/// # Errors
/// Refused when the address is a user's already; any database error.
pub async fn invite(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution: &Institution,
    activity: Activity,
    new: NewUser,
) -> ModelResult<Id> {
    let inviter = activity.actor.name.clone();
    let id = db.run(move |c| users::create_invited(c, &activity, &new)).await?;
    send(platform, db, institution, (&inviter, Some(institution.id)), id).await?;
    Ok(id)
}

/// As [`invite`], in the name of the platform: this mail goes out to a sandbox as well, for nobody else could let
/// anybody in there.
///
/// # Errors
/// As [`invite`].
pub async fn invite_for_platform(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution: &Institution,
    activity: Activity,
    new: NewUser,
) -> ModelResult<Id> {
    let inviter = activity.actor.name.clone();
    let id = db.run(move |c| users::create_invited(c, &activity, &new)).await?;
    send(platform, db, institution, (&inviter, None), id).await?;
    Ok(id)
}

/// Sends an invitation, and makes the earlier ones of this user useless.
///
/// # Errors
/// `Changed` when the user has accepted already; any database error.
pub async fn send_invitation(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution: &Institution,
    inviter: &str,
    id: Id,
) -> ModelResult<()> {
    send(platform, db, institution, (inviter, Some(institution.id)), id).await
}

/// `of` is whose mail it is.
async fn send(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution: &Institution,
    (inviter, of): (&str, Option<Id>),
    id: Id,
) -> ModelResult<()> {
    let user = db.run(move |c| users::find(c, id)).await?;
    if user.status != users::UserStatus::Invited {
        return Err(ModelError::Changed(format!("{} has accepted already.", user.name)));
    }
    let email = email_of(&user)?;
    let token = Token::generate().map_err(|error| ModelError::Refused(format!("{error}.")))?;
    let link = platform.link(&format!("/invitations/{}", token.reveal()));
    let to = Recipient { email: &email, name: &user.name };
    let roles = role_words(&user.roles);
    let message =
        platform.mail_texts.institution_invitation(to, inviter, &institution.name, &roles, &link, VALID_FOR);
    let (keys, hash) = (platform.keys.clone(), platform.keys.email_hash(&email));
    let (institution_id, token_hash) = (institution.id, token.hash());
    platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                login_index::add(c, &hash, Login { institution_id, user_id: id })?;
                let holder = Holder { institution_id: Some(institution_id), user_id: Some(id) };
                let lifetime = Purpose::Invitation.lifetime();
                account_tokens::create(c, Purpose::Invitation, holder, &token_hash, lifetime)?;
                outbox::enqueue(c, &keys, of, &message)
            })
        })
        .await
}

/// Changes name and roles; other roles end the user's sessions but `keep`, so that no session outlives them.
///
/// # Errors
/// As [`users::update`].
pub async fn update(
    platform: &Arc<Platform>,
    db: &TenantDb,
    activity: Activity,
    (id, version): (Id, i64),
    (name, roles): (String, Vec<Role>),
    keep: Id,
) -> ModelResult<()> {
    let changed = db
        .run(move |c| {
            let before = users::find(c, id)?.roles;
            users::update(c, &activity, id, version, &name, &roles)?;
            ModelResult::Ok(before != users::find(c, id)?.roles)
        })
        .await?;
    if changed {
        platform.shared.run(move |c| sessions::end_all_of_user(c, id, Some(keep))).await?;
    }
    Ok(())
}

/// Sends an active user a link to a new password.
///
/// # Errors
/// As [`users::reset_sent`]; [`AccountError`] when the link cannot be made.
pub async fn send_reset(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution_id: Id,
    activity: Activity,
    id: Id,
) -> Result<User, AccountError> {
    let user = db.run(move |c| users::reset_sent(c, &activity, id)).await?;
    let account = Account { institution_id: Some(institution_id), user_id: id };
    accounts::send_reset_link(platform, account).await?;
    Ok(user)
}

/// Ends every session of a user but `keep`.
///
/// # Errors
/// As [`users::signed_out`].
pub async fn sign_out(
    platform: &Arc<Platform>,
    db: &TenantDb,
    activity: Activity,
    id: Id,
    keep: Id,
) -> ModelResult<User> {
    let user = db.run(move |c| users::signed_out(c, &activity, id)).await?;
    platform.shared.run(move |c| sessions::end_all_of_user(c, id, Some(keep))).await?;
    Ok(user)
}

/// Keeps a user from signing in and ends their sessions.
///
/// # Errors
/// As [`users::disable`].
pub async fn disable(platform: &Arc<Platform>, db: &TenantDb, activity: Activity, id: Id) -> ModelResult<()> {
    db.run(move |c| users::disable(c, &activity, id)).await?;
    platform.shared.run(move |c| sessions::end_all_of_user(c, id, None)).await?;
    Ok(())
}

/// Removes a user, or withdraws an invitation: sessions, links and sign-in go with them. Returns their name.
/// Where the first try did not get to its end, the next one finishes.
///
/// # Errors
/// As [`users::remove`].
pub async fn remove(
    platform: &Arc<Platform>,
    db: &TenantDb,
    institution_id: Id,
    activity: Activity,
    id: Id,
) -> ModelResult<String> {
    let login = Login { institution_id, user_id: id };
    let name = match db.run(move |c| users::remove(c, &activity, id)).await {
        Ok(user) => user.name,
        // Only what is left of a user of this very institution: an id proves nothing.
        Err(error) if error.is_not_found() => {
            if !platform.shared.run(move |c| login_index::exists(c, login)).await? {
                return Err(error);
            }
            "the user".to_owned()
        }
        Err(error) => return Err(error),
    };
    platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                let holder = Holder { institution_id: Some(institution_id), user_id: Some(id) };
                sessions::end_all_of_user(c, id, None)?;
                account_tokens::revoke_for(c, holder, Purpose::Invitation)?;
                account_tokens::revoke_for(c, holder, Purpose::PasswordReset)?;
                login_index::remove(c, login)
            })
        })
        .await?;
    Ok(name)
}

fn email_of(user: &User) -> ModelResult<Email> {
    Email::parse(&user.email).map_err(|error| ModelError::Refused(format!("{error}.")))
}

fn role_words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.label().to_lowercase()).collect::<Vec<_>>().join(" and ")
}
