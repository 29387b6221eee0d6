//! The operation that archives an institution: its people are cut off, a backup is taken and proved by restoring it,
//! and only then the database goes.
//!
//! Until the one transaction of the step `detach` is committed everything can be taken back; afterwards the database
//! is a copy that nobody uses, and whatever happens it is dropped.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work};
use crate::{
    db::{Engine, Id, now, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            backups::{self as registry, Backup, Reason},
            deletions,
            institutions::{self, Status},
            operations::{self, Operation},
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases::{self, DatabaseStatus, TenantDatabase},
        },
    },
    services::{
        backups::{self, copies},
        leaving, tenants,
    },
};

/// Every step, in order.
pub const STEPS: [&str; 9] =
    ["close", "copy", "record", "reserve", "load", "compare", "remove", "detach", "drop"];

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// Made beforehand, so that a step that is run again makes no second one.
    pub backup_id: Id,
    /// Why.
    pub reason: String,
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "close" => "Sign everybody out and close the institution",
        "copy" => "Copy, seal and store the database",
        "record" => "Enter the backup",
        "reserve" => "Reserve a name for the trial",
        "load" => "Restore the backup into a database of its own",
        "compare" => "Compare schema and rows",
        "remove" => "Remove the trial",
        "detach" => "Take the database out of service",
        "drop" => "Remove the database",
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
        Engine::Sqlite => &["sqlite:copy-written", "sqlite:trashed"],
        Engine::Postgres => {
            &["postgres:copy-made", "postgres:copy-filled", "postgres:closed", "postgres:dropped"]
        }
    };
    let saved = ["backup:part-written", "backup:file-named", "backup:manifest-named", "archive:detached"];
    of_steps.chain(inside.iter().chain(&saved).map(ToString::to_string)).collect()
}

/// Carries out archiving.
pub(super) struct Archive;

impl Handler for Archive {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let (platform, institution_id) = (work.platform, work.institution_id()?);
        let copied = |input: &Input| {
            backups::copy(platform, input.backup_id, Some(institution_id), Reason::BeforeArchive)
        };
        match step {
            "close" => {
                let input: Input = work.input()?;
                close(work, &input.reason).map(|()| None)
            }
            "copy" => {
                let manifest = copied(&work.input()?)?;
                Ok(Some(format!("{} rows, {} bytes", manifest.contents.rows(), manifest.bytes)))
            }
            "record" => {
                let manifest = copied(&work.input()?)?;
                work.write_tx(|connection| backups::record(connection, &work.audit(), &manifest))?;
                Ok(None)
            }
            "reserve" => Ok(Some(copies::reserve(work, &backup(work)?, Purpose::Scratch)?.database_name)),
            "load" => {
                let copy = copies::find(work, Purpose::Scratch)?;
                backups::load(platform, &backup(work)?, &copies::place(&copy), &|| work.permit())?;
                Ok(None)
            }
            "compare" => {
                let (backup, copy) = (backup(work)?, copies::find(work, Purpose::Scratch)?);
                let same = backups::compare(&backup, &platform.engine.contents(&copies::place(&copy))?)?;
                work.write_tx(|connection| Ok(registry::mark_verified(connection, backup.id)?))?;
                Ok(Some(same))
            }
            "remove" => copies::drop_of(work, Purpose::Scratch).map(|()| None),
            "detach" => archived(work).map(Some),
            "drop" => copies::drop_of(work, Purpose::Previous).map(|()| None),
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        match step {
            "reserve" => copies::drop_of(work, Purpose::Scratch),
            "close" => reopen(work),
            _ => Ok(()),
        }
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    /// Once the database is out of service, the backup is all there is.
    fn is_in_use(&self, connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
        let Some(institution_id) = operation.institution_id else { return Ok(false) };
        let present = tenant_databases::find(connection, institution_id)?;
        Ok(present.is_some_and(|database| database.status == DatabaseStatus::Dropped))
    }

    /// What was copied then is not what is there now.
    fn tried_again(&self, _: &mut SharedConn, _: &Audit, _: &Operation) -> ModelResult<()> {
        Err(ModelError::Refused("Ask on the institution's page that it be archived, again.".into()))
    }
}

fn backup(work: &Work<'_>) -> Result<Backup, Failure> {
    let input: Input = work.input()?;
    Ok(registry::find(&mut *work.shared()?, input.backup_id)?)
}

/// Nobody gets in from now on; whom to tell is kept while it can be read.
pub(super) fn close(work: &Work<'_>, reason: &str) -> Result<(), Failure> {
    let (platform, institution_id) = (work.platform, work.institution_id()?);
    let mut shared = work.shared()?;
    let institution = institutions::find(&mut shared, institution_id)?;
    if operations::open_before(&mut shared, work.operation)? {
        return Err(Failure::Held);
    }
    let people = leaving::contacts(&mut shared, platform, &institution)?;
    drop(shared);
    work.write_tx(|connection| {
        leaving::keep_contacts(connection, platform, institution_id, &people)?;
        if institutions::find(connection, institution_id)?.status != Status::Archived {
            institutions::archive(connection, &work.audit(), institution_id, reason)?;
        }
        Ok(())
    })?;
    platform.tenants.retire(institution_id);
    Ok(())
}

/// As it was before.
fn reopen(work: &Work<'_>) -> Result<(), Failure> {
    let institution_id = work.institution_id()?;
    work.write_tx(|connection| {
        if institutions::find(connection, institution_id)?.status != Status::Archived {
            return Ok(());
        }
        let history = institutions::status_changes(connection, institution_id)?;
        let before = history.first().and_then(|change| change.from_status).unwrap_or(Status::Suspended);
        let why = Some("It could not be archived.");
        institutions::bring_back(connection, &work.audit(), institution_id, before, why)?;
        Ok(deletions::forget_contacts(connection, institution_id)?)
    })?;
    work.platform.tenants.retire(institution_id);
    Ok(())
}

/// Nothing was written since the copy; then the database goes out of service, and its people are told.
fn archived(work: &Work<'_>) -> Result<String, Failure> {
    let (platform, institution_id) = (work.platform, work.institution_id()?);
    let (input, backup) = (work.input::<Input>()?, backup(work)?);
    let mut shared = work.shared()?;
    let present = tenant_databases::find(&mut shared, institution_id)?;
    let institution = institutions::find(&mut shared, institution_id)?;
    let people = leaving::contacts(&mut shared, platform, &institution)?;
    drop(shared);
    let Some(present) = present.filter(|database| database.status == DatabaseStatus::Ready) else {
        platform.tenants.retire(institution_id);
        return Ok("Done before".into());
    };
    let found = platform.engine.contents(&tenants::place(&present))?;
    if backup.verified_at.is_none() || backups::compare(&backup, &found).is_err() {
        return Err(Failure::Permanent(
            "Something was still written while the backup was taken. Ask for archiving once more.".into(),
        ));
    }
    work.write_tx(|connection| {
        detach(connection, work, &present, Some(backup.id))?;
        let detail = json!({ "backup_id": backup.id, "database": present.database_name });
        let audit = work.audit();
        audit.record(connection, "institution.archived", &institution.subject(), &detail)?;
        let (texts, link) = (&platform.mail_texts, platform.link("/"));
        leaving::tell(connection, platform, (Some(institution_id), &people), |to| {
            texts.institution_archived(to, &institution.name, &input.reason, &link)
        })?;
        Ok(())
    })?;
    crate::crash_point!("archive:detached");
    platform.tenants.retire(institution_id);
    work.set_result(&json!({ "backup": backup.id.to_string(), "rows": backup.row_total }));
    Ok(present.database_name)
}

/// The database that served becomes a copy that nobody uses: what is left of the operation, or the schedule, drops it.
pub(super) fn detach(
    connection: &mut SharedConn,
    work: &Work<'_>,
    present: &TenantDatabase,
    backup_id: Option<Id>,
) -> Result<(), Failure> {
    if !tenant_databases::detach(connection, present)? {
        return Err(Failure::Transient("The institution's database was changed meanwhile.".into()));
    }
    tenant_copies::insert(
        connection,
        &TenantCopy {
            id: Id::new(),
            institution_id: Some(present.institution_id),
            purpose: Purpose::Previous,
            engine: present.engine,
            server_id: present.server_id,
            database_name: present.database_name.clone(),
            location: present.location.clone(),
            sealed_password: None,
            schema_version: present.schema_version.clone(),
            backup_id,
            operation_id: Some(work.operation.id),
            drop_after: now(),
            created_at: now(),
        },
    )?;
    Ok(())
}
