//! How an institution leaves the platform: archived, brought back, deleted; and whom to tell of it.

pub mod deletion;
pub mod export;

use serde_json::json;

use super::{
    backups::{self, RestoreHow},
    decisions,
    mail::Message,
    mail_texts::Recipient,
    operations::{Failure, archive},
    outbox,
    platform::Platform,
    secrets::Purpose,
};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            admins::{self, AdminRole},
            audit::Audit,
            backups as registry, deletions,
            institutions::{self, Institution, Status},
            operations::{self, Kind, NewOperation},
            registrations,
            tenant_databases::{self, DatabaseStatus},
        },
        text::Email,
    },
};

/// Asks that an institution be archived. Wake the workers after the commit.
///
/// # Errors
/// `Refused` without a reason or a database, `Changed` when it is not there any more or something is under way.
pub fn request_archive(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    reason: &str,
) -> ModelResult<Id> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the institution is archived.".into()));
    }
    connection.write_tx(|connection| {
        let (institution, database) = tenant_databases::find_with_institution(connection, institution_id)?;
        if !matches!(institution.status, Status::Active | Status::Suspended) {
            return Err(institutions::changed(connection, institution_id)?);
        }
        if database.is_none_or(|database| database.status != DatabaseStatus::Ready) {
            return Err(ModelError::Refused(format!("{} has no database to archive.", institution.name)));
        }
        operations::require_quiet(connection, institution_id)?;
        let input = json!(archive::Input { backup_id: Id::new(), reason: reason.to_owned() });
        let new = NewOperation {
            kind: Kind::Archive,
            institution_id: Some(institution_id),
            subject: &institution.name,
            input: &input,
            steps: &archive::STEPS,
            total: 0,
        };
        let id = operations::enqueue(connection, &new, &audit.actor)?;
        let detail = json!({ "reason": reason });
        audit.record(connection, "institution.archiving_requested", &institution.subject(), &detail)?;
        Ok(id)
    })
}

/// Asks that an archived institution be brought back from its newest verified backup. Wake the workers after the
/// commit.
///
/// # Errors
/// `Changed` when it is not archived, `Refused` when there is nothing to bring it back from.
pub fn request_return(connection: &mut SharedConn, audit: &Audit, institution_id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        institution.require_status(connection, Status::Archived)?;
        let nothing = || {
            let sentence = format!("{} has no verified backup to be brought back from.", institution.name);
            ModelError::Refused(sentence)
        };
        let backup = registry::last_verified(connection, institution_id)?.ok_or_else(nothing)?;
        let how = RestoreHow { beside: false, without_saving: true };
        backups::request_restore(connection, audit, backup.id, how)
    })
}

/// Passes when an institution is not just being archived or deleted.
///
/// # Errors
/// `Changed` otherwise, `Refused` when it is deleted.
pub fn require_staying(connection: &mut SharedConn, institution: &Institution) -> ModelResult<()> {
    if institution.status == Status::Deleted {
        let sentence = format!("{} is deleted, and its keys with it.", institution.name);
        return Err(ModelError::Refused(sentence));
    }
    for kind in [Kind::Archive, Kind::Delete] {
        if operations::latest(connection, institution.id, kind)?.is_some_and(|found| !found.is_over()) {
            let sentence = format!("{} is being archived or deleted right now.", institution.name);
            return Err(ModelError::Changed(sentence));
        }
    }
    Ok(())
}

/// Somebody to tell: address and name.
pub(super) type Contact = (Email, String);

/// Whom to tell of an institution: its owners, where its database cannot be asked those who were kept, and where
/// nobody is known whoever registered it.
pub(super) fn contacts(
    connection: &mut SharedConn,
    platform: &Platform,
    institution: &Institution,
) -> ModelResult<Vec<Contact>> {
    let mut found = kept_contacts(connection, platform, institution.id)?;
    if found.is_empty() {
        let owners = decisions::active_owners(connection, platform, institution.id);
        found =
            owners.into_iter().filter_map(|one| Some((Email::parse(&one.email).ok()?, one.name))).collect();
    }
    if found.is_empty() {
        let first = registrations::latest_of(connection, institution.id)?;
        let email = first.admin_email.and_then(|email| Email::parse(&email).ok());
        found.extend(email.map(|email| (email, first.admin_name.unwrap_or_default())));
    }
    Ok(found)
}

fn kept_contacts(
    connection: &mut SharedConn,
    platform: &Platform,
    institution_id: Id,
) -> ModelResult<Vec<Contact>> {
    let Some(sealed) = deletions::contacts(connection, institution_id)? else { return Ok(Vec::new()) };
    let opened = platform.keys.data_key(connection, institution_id).map_err(|error| error.to_string());
    let opened = opened.and_then(|key| key.ok_or_else(|| "there is no key".to_owned())).and_then(|key| {
        let plain = key.open(Purpose::Contacts, &sealed).map_err(|error| error.to_string())?;
        serde_json::from_slice::<Vec<(String, String)>>(&plain).map_err(|error| error.to_string())
    });
    let kept = opened.unwrap_or_else(|error| {
        log::warn!("whom to tell of institution {institution_id} cannot be read: {error}");
        Vec::new()
    });
    Ok(kept.into_iter().filter_map(|(email, name)| Some((Email::parse(&email).ok()?, name))).collect())
}

/// Keeps whom to tell once the database is gone. Call it inside a `write_tx`.
pub(super) fn keep_contacts(
    connection: &mut SharedConn,
    platform: &Platform,
    institution_id: Id,
    contacts: &[Contact],
) -> Result<(), Failure> {
    let plain: Vec<(&str, &str)> =
        contacts.iter().map(|(email, name)| (email.as_str(), name.as_str())).collect();
    let key = platform.keys.data_key_or_new(connection, institution_id)?;
    let sealed = key
        .seal(Purpose::Contacts, json!(plain).to_string().as_bytes())
        .map_err(|error| Failure::Transient(format!("{error}.")))?;
    Ok(deletions::keep_contacts(connection, institution_id, &sealed)?)
}

/// Puts a message to each of them into the outbox: people of an institution, or of the platform where there is none.
pub(super) fn tell(
    connection: &mut SharedConn,
    platform: &Platform,
    (of, contacts): (Option<Id>, &[Contact]),
    words: impl Fn(Recipient<'_>) -> Message,
) -> ModelResult<()> {
    for (email, name) in contacts {
        outbox::enqueue(connection, &platform.keys, of, &words(Recipient { email, name }))?;
    }
    Ok(())
}

/// Those who decide.
pub(super) fn super_admins(connection: &mut SharedConn) -> ModelResult<Vec<Contact>> {
    let all = admins::all_active(connection)?.into_iter();
    let super_admins = all.filter(|admin| admin.role == AdminRole::SuperAdmin);
    Ok(super_admins.filter_map(|admin| Some((Email::parse(&admin.email).ok()?, admin.name))).collect())
}
