//! The operation that deletes an institution: its people are cut off, its databases go, then its keys with everything
//! that is known of its people, and last the files that nobody can read any more.
//!
//! No step can be taken back. Killed at any point it goes on from there: before the step `end` the institution is
//! archived, afterwards it is deleted.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work, archive};
use crate::{
    db::{Engine, now},
    models::platform::{
        backups as registry, deletions,
        institutions::{self, Status},
        platform_secrets, sandboxes, tenant_copies,
        tenant_databases::{self, DatabaseStatus},
    },
    services::{
        backups::{copies, storage},
        leaving,
    },
};

/// Every step, in order.
pub const STEPS: [&str; 5] = ["close", "detach", "databases", "end", "files"];

/// The steps where nothing ever served: a sandbox whose set-up failed.
pub const STEPS_OF_GIVING_UP: [&str; 3] = ["databases", "end", "files"];

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Input {
    /// The end of the grace.
    pub due_at: NaiveDateTime,
    /// It never served, so that nobody has to agree and nobody is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "close" => "Sign everybody out and close the institution (from here on nothing can be undone)",
        "detach" => "Take the database out of service",
        "databases" => "Remove the database and every copy",
        "end" => "Destroy the keys, and forget its people",
        "files" => "Remove the files of its backups",
        _ => "Unknown step",
    }
}

/// Names of the crash points inside the steps, for the kill sweep.
#[must_use]
pub fn crash_points(engine: Engine) -> Vec<String> {
    let of_steps = STEPS
        .iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")));
    let inside: &[&str] = match engine {
        Engine::Sqlite => &["sqlite:trashed"],
        Engine::Postgres => &["postgres:closed", "postgres:dropped"],
    };
    let own = ["delete:detached", "delete:copy-dropped", "delete:ended", "delete:file-removed"];
    of_steps.chain(inside.iter().chain(&own).map(ToString::to_string)).collect()
}

/// Carries out deletions.
pub(super) struct Delete;

impl Handler for Delete {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        match step {
            "close" => close(work).map(|()| None),
            "detach" => detach(work),
            "databases" => drop_databases(work).map(Some),
            "end" if work.input::<Input>()?.given_up => give_up(work).map(|()| None),
            "end" => end(work).map(|()| None),
            "files" => remove_files(work).map(Some),
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }
}

/// Looked at once more: somebody may have taken it back since it was enqueued.
fn close(work: &Work<'_>) -> Result<(), Failure> {
    let asked = deletions::require(&mut *work.shared()?, work.institution_id()?)?;
    let input: Input = work.input()?;
    if asked.agreed_at.is_none() || asked.due_at != input.due_at {
        return Err(Failure::Permanent("The deletion was taken back, and asked for anew.".into()));
    }
    archive::close(work, &asked.reason)
}

fn detach(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let institution_id = work.institution_id()?;
    let present = tenant_databases::find(&mut *work.shared()?, institution_id)?;
    let present = present.filter(|database| database.status == DatabaseStatus::Ready);
    if let Some(present) = &present {
        work.write_tx(|connection| archive::detach(connection, work, present, None))?;
        crate::crash_point!("delete:detached");
    }
    work.platform.tenants.retire(institution_id);
    Ok(present.map(|database| database.database_name))
}

fn drop_databases(work: &Work<'_>) -> Result<String, Failure> {
    let (engine, institution_id) = (&work.platform.engine, work.institution_id()?);
    let copies = tenant_copies::of_institution(&mut *work.shared()?, institution_id)?;
    for copy in &copies {
        let place = copies::place(copy);
        engine.drop_database(&place, &|| work.permit())?;
        engine.drop_role(&place, &|| work.permit())?;
        crate::crash_point!("delete:copy-dropped");
        work.write_tx(|connection| Ok(tenant_copies::remove(connection, copy.id)?))?;
    }
    Ok(match copies.len() {
        0 => "There was none".into(),
        1 => "1 database".into(),
        count => format!("{count} databases"),
    })
}

/// One transaction: without the key no backup can be read, nobody is known any more, and everybody is told.
fn end(work: &Work<'_>) -> Result<(), Failure> {
    let (platform, institution_id) = (work.platform, work.institution_id()?);
    let mut shared = work.shared()?;
    let institution = institutions::find(&mut shared, institution_id)?;
    if institution.status == Status::Deleted {
        return Ok(());
    }
    let people = leaving::contacts(&mut shared, platform, &institution)?;
    drop(shared);
    work.write_tx(|connection| {
        let asked = deletions::require(connection, institution_id)?;
        let backups = registry::forget_all(connection, institution_id)?;
        platform_secrets::delete_institution_key(connection, institution_id)?;
        deletions::forget_people(connection, institution_id)?;
        deletions::forget(connection, institution_id)?;
        let audit = work.audit();
        let institution = institutions::mark_deleted(connection, &audit, institution_id, &asked.reason)?;
        let detail = json!({
            "reason": asked.reason, "asked_by": asked.asked_by_name, "asked_at": asked.asked_at,
            "agreed_by": asked.agreed_by_name, "backups_forgotten": backups,
        });
        audit.record(connection, "institution.deleted", &institution.subject(), &detail)?;
        let (link, when) = (platform.link("/"), now().format("%-d %B %Y").to_string());
        let admins = leaving::super_admins(connection)?;
        for people in [(Some(institution_id), &*people), (None, &*admins)] {
            leaving::tell(connection, platform, people, |to| {
                platform.mail_texts.institution_deleted(to, &institution.name, &when, &link)
            })?;
        }
        Ok(())
    })?;
    crate::crash_point!("delete:ended");
    Ok(())
}

/// One transaction: what never served is forgotten, and its domain is free again.
fn give_up(work: &Work<'_>) -> Result<(), Failure> {
    let institution_id = work.institution_id()?;
    work.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        if institution.status == Status::Deleted {
            return Ok(());
        }
        registry::forget_all(connection, institution_id)?;
        platform_secrets::delete_institution_key(connection, institution_id)?;
        deletions::forget_people(connection, institution_id)?;
        let audit = work.audit();
        sandboxes::mark_given_up(connection, &audit, institution_id)?;
        let detail = json!({ "domain": institution.domain });
        audit.record(connection, "institution.given_up", &institution.subject(), &detail)?;
        Ok(())
    })?;
    crate::crash_point!("delete:ended");
    Ok(())
}

fn remove_files(work: &Work<'_>) -> Result<String, Failure> {
    let storage = storage::of(&work.platform.settings.backups);
    let owner = format!("{}/", work.institution_id()?);
    let names = storage.list().map_err(|error| storage::explain("list the backups", &error))?;
    let mut removed = 0;
    for name in names.iter().filter(|name| name.starts_with(&owner)) {
        work.still_mine()?;
        storage.remove(name).map_err(|error| storage::explain("remove a backup", &error))?;
        crate::crash_point!("delete:file-removed");
        removed += 1;
    }
    Ok(if removed == 1 { "1 file".into() } else { format!("{removed} files") })
}
