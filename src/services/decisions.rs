//! Registering, deciding and suspending: the record, its mails and the work it starts, in one transaction.

use chrono::TimeDelta;

use super::{mail::Message, mail_texts::Recipient, operations::provision, outbox, platform::Platform};
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        institution::users::{self, User},
        platform::{
            audit::Audit,
            institutions::{self, Institution, Status},
            notifications::{self, News, Topic},
            platform_settings::{self, SignupPolicy},
            registrations::{self, NewRegistration, RegisterError, Registered, Registration},
        },
        text::Email,
    },
};

/// How long an institution may try the platform out that was set up without a decision.
const TRIAL: TimeDelta = TimeDelta::days(14);

/// What happens to registrations now: as chosen on the settings page, or else as configured.
///
/// # Errors
/// Any database error.
pub fn signup_policy(connection: &mut SharedConn, platform: &Platform) -> ModelResult<SignupPolicy> {
    Ok(platform_settings::signup_override(connection)?.unwrap_or(platform.settings.signup))
}

/// Takes a registration, and sets the institution up at once when the policy says so.
///
/// # Errors
/// [`RegisterError::Taken`], or any database error.
pub fn register(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    mut new: NewRegistration,
) -> Result<Registered, RegisterError> {
    let registered = connection.write_tx(|connection| -> Result<_, RegisterError> {
        let policy = signup_policy(connection, platform)?;
        if policy == SignupPolicy::Automatic {
            new.trial_ends_at = Some(now() + TRIAL);
        }
        let registered = registrations::register(connection, audit, &new)?;
        tell(connection, platform, &registered, |to, name, status| {
            platform.mail_texts.registration_received(to, name, status)
        })?;
        match policy {
            SignupPolicy::Approval => {
                let text = format!("{} waits for a decision.", registered.institution.name);
                let href = format!("/platform/registrations/{}", registered.registration.id);
                notifications::tell_admins(connection, Topic::Registration, &text, &href)?;
                Ok(registered)
            }
            SignupPolicy::Automatic => {
                // The policy decides, not the visitor.
                let policy = platform.audit(Actor::system());
                Ok(approve_in_tx(connection, platform, &policy, registered.registration.id)?)
            }
        }
    })?;
    platform.operations.wake();
    Ok(registered)
}

/// Approves a waiting registration and starts setting its institution up.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn approve(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
) -> ModelResult<Registered> {
    let approved = connection.write_tx(|connection| approve_in_tx(connection, platform, audit, id))?;
    platform.operations.wake();
    Ok(approved)
}

fn approve_in_tx(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
) -> ModelResult<Registered> {
    let approved = registrations::approve(connection, audit, id)?;
    provision::start(connection, audit, approved.institution.id)?;
    tell(connection, platform, &approved, |to, name, status| {
        platform.mail_texts.registration_approved(to, name, status)
    })?;
    Ok(approved)
}

/// Rejects a waiting registration; its admin is told the reason.
///
/// # Errors
/// [`ModelError::Refused`] without a reason; otherwise as [`approve`].
pub fn reject(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
    reason: &str,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let rejected = registrations::reject(connection, audit, id, reason)?;
        tell(connection, platform, &rejected, |to, name, status| {
            platform.mail_texts.registration_rejected(to, name, reason, status)
        })?;
        Ok(rejected)
    })
}

/// Takes a rejection back.
///
/// # Errors
/// As [`registrations::reconsider`].
pub fn reconsider(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let reopened = registrations::reconsider(connection, audit, id)?;
        tell(connection, platform, &reopened, |to, name, status| {
            platform.mail_texts.registration_reopened(to, name, status)
        })?;
        Ok(reopened)
    })
}

/// Suspends an active institution: everybody there is cut off from their next request on.
///
/// # Errors
/// As [`institutions::suspend`].
pub fn suspend(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
    reason: &str,
) -> ModelResult<Institution> {
    let owners = active_owners(connection, platform, id);
    let suspended = connection.write_tx(|connection| {
        let institution = institutions::suspend(connection, audit, id, reason)?;
        let told = Registered { registration: registrations::latest_of(connection, id)?, institution };
        tell_owners(connection, platform, &told, &owners, |to, name| {
            platform.mail_texts.institution_suspended(to, name, reason)
        })?;
        ModelResult::Ok(told.institution)
    })?;
    platform.tenants.retire(id);
    Ok(suspended)
}

/// Brings a suspended institution back.
///
/// # Errors
/// As [`institutions::reactivate`].
pub fn reactivate(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    id: Id,
) -> ModelResult<Institution> {
    let owners = active_owners(connection, platform, id);
    connection.write_tx(|connection| {
        let institution = institutions::reactivate(connection, audit, id)?;
        let told = Registered { registration: registrations::latest_of(connection, id)?, institution };
        let sign_in = platform.link("/sign-in");
        tell_owners(connection, platform, &told, &owners, |to, name| {
            platform.mail_texts.institution_reactivated(to, name, &sign_in)
        })?;
        let ids: Vec<Id> = owners.iter().map(|owner| owner.id).collect();
        let href = format!("/i/{}", told.institution.domain);
        let text = "The suspension is lifted: everybody can sign in again.";
        let news = News { topic: Topic::Suspension, institution_id: Some(id), text, href: &href };
        notifications::tell(connection, &ids, &news)?;
        Ok(told.institution)
    })
}

/// The address of a registration's status page, for its admin only.
#[must_use]
pub fn status_path(platform: &Platform, registration: &Registration) -> String {
    format!("/registrations/{}", platform.keys.registration_link_token(registration.id))
}

/// Puts a message to the first admin into the outbox; an import may have named none.
fn tell(
    connection: &mut SharedConn,
    platform: &Platform,
    about: &Registered,
    words: impl FnOnce(Recipient<'_>, &str, &str) -> Message,
) -> ModelResult<()> {
    let Some(email) = about.registration.admin_email.as_deref().and_then(|email| Email::parse(email).ok())
    else {
        return Ok(());
    };
    let to = Recipient { email: &email, name: about.registration.admin_name.as_deref().unwrap_or_default() };
    let status = platform.link(&status_path(platform, &about.registration));
    let message = words(to, &about.institution.name, &status);
    outbox::enqueue(connection, &platform.keys, Some(about.institution.id), &message)
}

/// The institution's own owners, read before its status changes; none when its database cannot be read, which
/// must not keep anybody from suspending it.
pub(super) fn active_owners(
    connection: &mut SharedConn,
    platform: &Platform,
    institution_id: Id,
) -> Vec<User> {
    let owners = platform
        .tenants
        .open_in_any_state(connection, institution_id)
        .map_err(|error| error.to_string())
        .and_then(|tenant| tenant.get().map_err(|error| error.to_string()))
        .and_then(|mut tenant| users::active_owners(&mut tenant).map_err(|error| error.to_string()));
    owners.unwrap_or_else(|error| {
        log::warn!("the owners of institution {institution_id} cannot be read: {error}");
        Vec::new()
    })
}

/// Puts a message to every owner into the outbox, or to the first admin when there is none.
pub(super) fn tell_owners(
    connection: &mut SharedConn,
    platform: &Platform,
    about: &Registered,
    owners: &[User],
    words: impl Fn(Recipient<'_>, &str) -> Message,
) -> ModelResult<()> {
    let name = &about.institution.name;
    let mut told = false;
    for owner in owners {
        let Ok(email) = Email::parse(&owner.email) else { continue };
        let to = Recipient { email: &email, name: &owner.name };
        outbox::enqueue(connection, &platform.keys, Some(about.institution.id), &words(to, name))?;
        told = true;
    }
    if told { Ok(()) } else { tell(connection, platform, about, |to, name, _| words(to, name)) }
}

/// Whether a registration's admin may still be named: its institution has no database yet.
///
/// # Errors
/// [`ModelError::Refused`] otherwise.
pub fn require_unprovisioned(institution: &Institution) -> ModelResult<()> {
    match institution.status {
        Status::PendingApproval | Status::Rejected => Ok(()),
        _ => Err(ModelError::Refused("The institution is set up already; invite its admin instead.".into())),
    }
}
