//! Deleting an institution: one super admin asks, another agrees, thirty days pass with reminders, and then the
//! schedule begins the operation that cannot be undone.

use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use serde_json::json;

use super::{contacts, super_admins, tell};
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        platform::{
            audit::Audit,
            deletions::{self, Deletion},
            institutions::{self, Institution},
            notifications::{self, News, Topic},
            operations::{self, Kind, NewOperation},
        },
    },
    services::{decisions, operations::delete, platform::Platform},
};

/// Days before the end at which everybody is told, the earliest first.
const REMINDERS: [i32; 2] = [7, 1];
/// A deletion that failed is begun again after so long.
const AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

/// What one run of the schedule did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what happened")]
pub struct Swept {
    pub reminded: usize,
    pub begun: usize,
}

/// The day, as mails say it.
fn day(at: NaiveDateTime) -> String {
    at.format("%-d %B %Y").to_string()
}

/// Where super admins look.
fn page(institution: &Institution) -> String {
    format!("/platform/institutions/{}/deletion", institution.domain)
}

/// Where an institution takes its data along.
fn export_page(institution: &Institution) -> String {
    format!("/i/{}/export", institution.domain)
}

/// Whether there is somebody else who could agree to what `actor` asks for.
///
/// # Errors
/// `Refused` with what to do when there is not.
pub fn require_second(
    connection: &mut SharedConn,
    actor: &Actor,
    institution: &Institution,
) -> ModelResult<()> {
    let needed = if actor.id.is_some() { 2 } else { 1 };
    if super_admins(connection)?.len() >= needed {
        return Ok(());
    }
    Err(ModelError::Refused(format!(
        "Two people must agree to a deletion, and there is only one super admin. Invite a second one, or let the \
         operator of the server ask with: provost institution delete {} --reason '...'; you can then agree to it here.",
        institution.domain
    )))
}

/// Asks that an institution be deleted; its owners and the super admins are told. `at_once` leaves out the days of grace,
/// where [`deletions::may_be_at_once`] says so.
///
/// # Errors
/// As [`deletions::ask`] and [`require_second`].
pub fn ask(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution_id: Id,
    reason: &str,
    at_once: bool,
) -> ModelResult<Deletion> {
    let institution = institutions::find(connection, institution_id)?;
    let owners = decisions::active_owners(connection, platform, institution_id);
    let (own, people) = (Some(institution_id), contacts(connection, platform, &institution)?);
    connection.write_tx(|connection| {
        require_second(connection, &audit.actor, &institution)?;
        let (institution, asked) = deletions::ask(connection, audit, institution_id, reason, at_once)?;
        let (name, when) = (institution.name.as_str(), day(asked.due_at));
        let when = (!at_once).then_some(when.as_str());
        let (inside, outside) =
            (platform.link(&export_page(&institution)), platform.link(&page(&institution)));
        let texts = &platform.mail_texts;
        let admins = super_admins(connection)?;
        for (people, link) in [((own, &*people), &inside), ((None, &*admins), &outside)] {
            tell(connection, platform, people, |to| texts.deletion_asked(to, name, reason, when, link))?;
        }
        let text = match when {
            Some(when) => format!("{name} is to be deleted on {when}, once a second super admin agrees."),
            None => format!("{name} is to be deleted as soon as a second super admin agrees."),
        };
        notifications::tell_admins(connection, Topic::Operation, &text, &page(&institution))?;
        // Nobody gets in any more to whom the rest could be said.
        let Some(when) = when else { return Ok(asked) };
        let ids: Vec<Id> = owners.iter().map(|owner| owner.id).collect();
        let text = format!("{name} is to be deleted on {when}. Take your data along in time.");
        let href = export_page(&institution);
        let news =
            News { topic: Topic::Suspension, institution_id: Some(institution_id), text: &text, href: &href };
        notifications::tell(connection, &ids, &news)?;
        Ok(asked)
    })
}

/// Agrees to the deletion that somebody else has asked for; one that need not wait is begun.
///
/// # Errors
/// As [`deletions::agree`].
pub fn agree(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution_id: Id,
) -> ModelResult<Deletion> {
    let agreed = connection.write_tx(|connection| {
        let (institution, agreed) = deletions::agree(connection, audit, institution_id)?;
        let text = if agreed.is_at_once() {
            format!("{} is being deleted.", institution.name)
        } else {
            format!("{} will be deleted on {}.", institution.name, day(agreed.due_at))
        };
        notifications::tell_admins(connection, Topic::Operation, &text, &page(&institution))?;
        if agreed.is_at_once() {
            begin(connection, platform, &agreed, now())?;
        }
        ModelResult::Ok(agreed)
    })?;
    platform.operations.wake();
    Ok(agreed)
}

/// Takes a deletion back before it has begun; everybody is told.
///
/// # Errors
/// As [`deletions::cancel`]; `Refused` once it has begun.
pub fn cancel(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution_id: Id,
) -> ModelResult<Institution> {
    let institution = institutions::find(connection, institution_id)?;
    let people = contacts(connection, platform, &institution)?;
    let owners = decisions::active_owners(connection, platform, institution_id);
    connection.write_tx(|connection| {
        let asked = deletions::require(connection, institution_id)?;
        if has_begun(connection, &asked)? {
            return Err(ModelError::Refused(
                "The deletion has begun. What it has done cannot be taken back.".into(),
            ));
        }
        let institution = deletions::cancel(connection, audit, institution_id)?;
        let texts = &platform.mail_texts;
        let link = platform.link("/");
        let admins = super_admins(connection)?;
        for people in [(Some(institution_id), &*people), (None, &*admins)] {
            tell(connection, platform, people, |to| texts.deletion_cancelled(to, &institution.name, &link))?;
        }
        let text = format!("{} stays: its deletion was taken back.", institution.name);
        notifications::tell_admins(connection, Topic::Operation, &text, &page(&institution))?;
        let (ids, href) =
            (owners.iter().map(|owner| owner.id).collect::<Vec<Id>>(), export_page(&institution));
        let news =
            News { topic: Topic::Suspension, institution_id: Some(institution_id), text: &text, href: &href };
        notifications::tell(connection, &ids, &news)?;
        Ok(institution)
    })
}

/// Whether the operation that cannot be undone was begun.
///
/// # Errors
/// Any database error.
pub fn has_begun(connection: &mut SharedConn, asked: &Deletion) -> ModelResult<bool> {
    let begun = operations::latest(connection, asked.institution_id, Kind::Delete)?;
    Ok(begun.is_some_and(|operation| operation.created_at >= asked.asked_at))
}

/// The scheduled job.
pub(in crate::services) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    let swept = sweep(platform, now()).map_err(|error| error.to_string())?;
    if swept != Swept::default() {
        log::info!("deletions: {swept:?}");
    }
    Ok(())
}

/// Looks at every deletion that was agreed to: reminds before the end, and begins what is due at `at`. Done twice, it
/// does nothing more.
///
/// # Errors
/// Any database error; what was done until then stays.
pub fn sweep(platform: &Platform, at: NaiveDateTime) -> ModelResult<Swept> {
    let mut swept = Swept::default();
    let mut connection = platform.shared.get()?;
    let soon = at + TimeDelta::days(i64::from(REMINDERS[0]));
    for known in deletions::agreed_until(&mut connection, soon)? {
        let outcome = if known.is_due(at) {
            begin(&mut connection, platform, &known, at).map(|begun| swept.begun += usize::from(begun))
        } else {
            remind(&mut connection, platform, &known, at).map(|told| swept.reminded += usize::from(told))
        };
        match outcome {
            // Taken back at this very moment, or under way.
            Ok(()) | Err(ModelError::Changed(_)) => {}
            Err(error) => return Err(error),
        }
    }
    drop(connection);
    if swept.begun > 0 {
        platform.operations.wake();
    }
    Ok(swept)
}

fn remind(
    connection: &mut SharedConn,
    platform: &Platform,
    known: &Deletion,
    at: NaiveDateTime,
) -> ModelResult<bool> {
    let left = known.due_at - at;
    let due = REMINDERS.into_iter().filter(|limit| left <= TimeDelta::days(i64::from(*limit))).min();
    let Some(due) = due.filter(|due| known.reminded.is_none_or(|told| told > *due)) else { return Ok(false) };
    let institution = institutions::find(connection, known.institution_id)?;
    let people = contacts(connection, platform, &institution)?;
    connection.write_tx(|connection| {
        if !deletions::note_reminder(connection, known, due)? {
            return Ok(false);
        }
        let (name, when, texts) = (institution.name.as_str(), day(known.due_at), &platform.mail_texts);
        let link = platform.link(&export_page(&institution));
        let days = i64::from(due);
        let people = (Some(institution.id), &*people);
        tell(connection, platform, people, |to| texts.deletion_soon(to, name, days, &when, &link))?;
        let (link, admins) = (platform.link(&page(&institution)), super_admins(connection)?);
        tell(connection, platform, (None, &admins), |to| texts.deletion_soon(to, name, days, &when, &link))?;
        Ok(true)
    })
}

fn begin(
    connection: &mut SharedConn,
    platform: &Platform,
    known: &Deletion,
    at: NaiveDateTime,
) -> ModelResult<bool> {
    connection.write_tx(|connection| {
        let known = deletions::require(connection, known.institution_id)?;
        let last = operations::latest(connection, known.institution_id, Kind::Delete)?;
        let wait = |operation: &operations::Operation| {
            operation.created_at >= known.asked_at
                && operation.finished_at.is_none_or(|ended| ended > now() - AGAIN_AFTER)
        };
        if !known.is_due(at) || last.as_ref().is_some_and(wait) {
            return Ok(false);
        }
        let institution = institutions::find(connection, known.institution_id)?;
        let new = NewOperation {
            kind: Kind::Delete,
            institution_id: Some(institution.id),
            subject: &institution.name,
            input: &json!(delete::Input { due_at: known.due_at, given_up: false }),
            steps: &delete::STEPS,
            total: 0,
        };
        let audit = platform.audit(Actor::system());
        operations::enqueue(connection, &new, &audit.actor)?;
        let detail = json!({ "asked_by": known.asked_by_name, "agreed_by": known.agreed_by_name });
        audit.record(connection, "institution.deletion_begun", &institution.subject(), &detail)?;
        Ok(true)
    })
}
