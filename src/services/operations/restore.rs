//! The operation that restores a backup: always into a new database, which is compared before anybody may enter it.
//! Then it serves instead of the present one, or stands beside it to be looked into.
//!
//! Until the one transaction of the step `swap` is committed the present database serves, afterwards the new one does:
//! there is no state between.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work};
use crate::{
    db::{Engine, Id, shared::SharedConn},
    models::{
        ModelResult,
        institution::users,
        platform::{
            backups::{self as registry, Backup, Reason},
            deletions,
            institutions::{self, Status},
            login_index::{self, Login},
            operations::{self, Operation, StepStatus},
            servers,
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases::{self, DatabaseStatus, NewTenantDatabase},
        },
        text::Email,
    },
    services::{
        backups::{self, copies},
        leaving, tenants,
    },
};

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Input {
    /// Which one.
    pub backup_id: Id,
    /// The backup of the present state, made beforehand.
    pub save_id: Id,
    /// Beside the present database, to look into.
    pub beside: bool,
    /// The present state is lost, or not worth keeping.
    pub without_saving: bool,
}

/// The steps of a restore on an engine.
#[must_use]
pub fn steps(engine: Engine, beside: bool) -> Vec<&'static str> {
    match (beside, engine) {
        (true, _) => vec!["reserve", "load", "compare"],
        (false, Engine::Sqlite) => vec!["reserve", "load", "compare", "migrate", "open", "save", "swap"],
        (false, Engine::Postgres) => {
            vec!["reserve", "role", "load", "compare", "migrate", "open", "save", "swap"]
        }
    }
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "reserve" => "Reserve a name for the new database",
        "role" => "Make its role on the server",
        "load" => "Restore into the new database",
        "compare" => "Compare schema and rows with the backup",
        "migrate" => "Bring it to the schema of this version",
        "open" => "Grant rights, open it, and prove that it is closed to others",
        "save" => "Back up the present state",
        "swap" => "Let the new database serve",
        _ => "Unknown step",
    }
}

/// Names of the crash points inside the steps, for the kill sweep.
#[must_use]
pub fn crash_points(engine: Engine, beside: bool) -> Vec<String> {
    let of_steps = steps(engine, beside)
        .into_iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")));
    let inside: &[&str] = match engine {
        Engine::Sqlite => &["sqlite:copy-written"],
        Engine::Postgres => &["postgres:copy-made", "postgres:copy-filled"],
    };
    let saved: &[&str] =
        if beside { &[] } else { &["backup:part-written", "backup:file-named", "restore:swapped"] };
    of_steps.chain(inside.iter().chain(saved).map(ToString::to_string)).collect()
}

/// Carries out restores.
pub(super) struct Restore;

impl Handler for Restore {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let input: Input = work.input()?;
        let purpose = purpose(&input);
        let backup = registry::find(&mut *work.shared()?, input.backup_id)?;
        match step {
            "reserve" => Ok(Some(copies::reserve(work, &backup, purpose)?.database_name)),
            "role" => make_role(work, purpose).map(Some),
            "load" => {
                let copy = copies::find(work, purpose)?;
                backups::load(work.platform, &backup, &copies::place(&copy), &|| work.permit())?;
                Ok(None)
            }
            "compare" => {
                let copy = copies::find(work, purpose)?;
                let found = work.platform.engine.contents(&copies::place(&copy))?;
                let same = backups::compare(&backup, &found)?;
                if input.beside {
                    work.set_result(&json!({ "database": copy.database_name }));
                }
                Ok(Some(same))
            }
            "migrate" => migrate(work),
            "open" => open(work).map(|()| None),
            "save" => save(work, &input).map(Some),
            "swap" => swap(work, &backup),
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        let purpose = purpose(&work.input()?);
        if step == "reserve" { copies::drop_of(work, purpose) } else { Ok(()) }
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    /// Once the new database serves, it is the institution's own.
    fn is_in_use(&self, connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
        serves(connection, operation)
    }
}

fn purpose(input: &Input) -> Purpose {
    if input.beside { Purpose::Beside } else { Purpose::Incoming }
}

/// Whether the database that this operation reserved is the one that serves.
pub(super) fn serves(connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
    let Some(institution_id) = operation.institution_id else { return Ok(false) };
    let steps = operations::steps(connection, operation.id)?;
    let reserved = steps.into_iter().find(|step| step.name == "reserve" && step.status == StepStatus::Done);
    let Some(name) = reserved.and_then(|step| step.detail) else { return Ok(false) };
    let serving = tenant_databases::find(connection, institution_id)?;
    Ok(serving.is_some_and(|database| database.database_name == name))
}

pub(super) fn make_role(work: &Work<'_>, purpose: Purpose) -> Result<String, Failure> {
    let copy = copies::find(work, purpose)?;
    let password = password(work, &copy)?
        .ok_or_else(|| Failure::Permanent("The new database has no password.".into()))?;
    let engine = work.platform.engine.of(copy.server_id)?;
    engine.prepare()?;
    engine.create_role(&copies::place(&copy), &password, &|| work.permit())?;
    Ok(copy.database_name)
}

fn password(work: &Work<'_>, copy: &TenantCopy) -> Result<Option<zeroize::Zeroizing<String>>, Failure> {
    let (id, sealed) = (work.institution_id()?, copy.sealed_password.as_deref());
    Ok(tenants::unsealed(&work.platform.keys, &mut *work.shared()?, id, sealed)?)
}

/// A backup of an older version is brought up to this one before anybody sees it.
pub(super) fn migrate(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let copy = copies::find(work, Purpose::Incoming)?;
    let mut connection = work.platform.engine.open_as_owner(&copies::place(&copy))?;
    let course = work.platform.migrations.migrate(&mut connection, &|| Ok(()));
    if let Some(failure) = course.failure {
        return Err(Failure::Permanent(format!("The restored copy could not be migrated: {failure}")));
    }
    let ran: Vec<String> = course.ran.into_iter().map(|ran| ran.name).collect();
    Ok((!ran.is_empty()).then(|| ran.join(", ")))
}

pub(super) fn open(work: &Work<'_>) -> Result<(), Failure> {
    let copy = copies::find(work, Purpose::Incoming)?;
    let (place, engine) = (copies::place(&copy), &work.platform.engine);
    engine.grant_and_open(&place, &|| work.permit())?;
    let password = password(work, &copy)?;
    let password = password.as_ref().map(|text| text.as_str());
    let foreign = tenant_databases::any_other(&mut *work.shared()?, work.institution_id()?, copy.server_id)?;
    let mut connection = engine.opener(&place, password)?()
        .map_err(|error| Failure::Transient(format!("The new database {error}.")))?;
    engine.verify(&place, &mut connection, password, foreign.as_ref().map(tenants::place).as_ref())?;
    Ok(())
}

/// As late as possible, so that little is written between this and the swap; and the replaced database is kept.
fn save(work: &Work<'_>, input: &Input) -> Result<String, Failure> {
    let institution_id = work.institution_id()?;
    let present = tenant_databases::find(&mut *work.shared()?, institution_id)?;
    let present = present.filter(|database| database.status == DatabaseStatus::Ready);
    let Some(present) = present.filter(|_| !input.without_saving) else {
        return Ok("Left out".into());
    };
    if !work.platform.engine.exists(&tenants::place(&present))? {
        return Ok("There is nothing: the present database does not exist".into());
    }
    let reason = Reason::BeforeRestore;
    let manifest =
        backups::copy(work.platform, input.save_id, Some(institution_id), reason).map_err(|failure| {
            let advice = "If the present state is lost, restore without saving it.";
            match failure {
                Failure::Permanent(words) => Failure::Permanent(format!("{words} {advice}")),
                Failure::Transient(words) => Failure::Transient(format!("{words} {advice}")),
                other => other,
            }
        })?;
    let backup = work.write_tx(|connection| backups::record(connection, &work.audit(), &manifest))?;
    Ok(format!("{} rows, {} bytes", backup.row_total, backup.bytes))
}

/// One transaction: the new database serves at a new generation, its people are who can sign in, nobody is signed in,
/// and the old one has a date to go.
fn swap(work: &Work<'_>, backup: &Backup) -> Result<Option<String>, Failure> {
    let institution_id = work.institution_id()?;
    if serves(&mut *work.shared()?, work.operation)? {
        work.platform.tenants.retire(institution_id);
        return Ok(None);
    }
    let copy = copies::find(work, Purpose::Incoming)?;
    let logins = logins(work, &copy)?;
    let people = {
        let mut shared = work.shared()?;
        let institution = institutions::find(&mut shared, institution_id)?;
        leaving::contacts(&mut shared, work.platform, &institution)?
    };
    let version = work.platform.migrations.version();
    work.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        let present = tenant_databases::find(connection, institution_id)?.ok_or_else(|| {
            Failure::Permanent(
                "The institution's row among the databases is gone: nothing was changed.".into(),
            )
        })?;
        let new = NewTenantDatabase {
            id: present.id,
            institution_id,
            engine: copy.engine,
            database_name: &copy.database_name,
            location: &copy.location,
            schema_version: version,
            server_id: copy.server_id,
        };
        servers::hold(connection, copy.server_id)?;
        tenant_copies::remove(connection, copy.id)?;
        if !tenant_databases::replace(connection, &present, &new, copy.sealed_password.as_deref())? {
            return Err(Failure::Transient("The institution's database was changed meanwhile.".into()));
        }
        copies::keep_previous(connection, work, &present, Some(backup.id))?;
        login_index::remove_institution(connection, institution_id)?;
        for (hash, login) in &logins {
            login_index::add(connection, hash, *login)?;
        }
        let audit = work.audit();
        institutions::end_sessions(connection, &audit, institution_id)?;
        let detail = json!({
            "backup_id": backup.id, "taken_at": backup.taken_at, "database": copy.database_name,
            "instead_of": present.database_name,
        });
        audit.record(connection, "institution.restored", &institution.subject(), &detail)?;
        if institution.status == Status::Archived {
            institutions::bring_back(connection, &audit, institution_id, Status::Active, None)?;
            deletions::forget_contacts(connection, institution_id)?;
            let (texts, link) = (&work.platform.mail_texts, work.platform.link("/sign-in"));
            leaving::tell(connection, work.platform, (Some(institution_id), &people), |to| {
                texts.institution_reactivated(to, &institution.name, &link)
            })?;
        }
        Ok(())
    })?;
    crate::crash_point!("restore:swapped");
    work.platform.tenants.retire(institution_id);
    work.set_result(&json!({ "database": copy.database_name, "state_of": backup.taken_at.to_string() }));
    Ok(Some(copy.database_name))
}

/// Who can sign in by the restored database.
fn logins(work: &Work<'_>, copy: &TenantCopy) -> Result<Vec<(Vec<u8>, Login)>, Failure> {
    let (platform, institution_id) = (work.platform, work.institution_id()?);
    let password = password(work, copy)?;
    let mut connection =
        platform.engine.opener(&copies::place(copy), password.as_ref().map(|text| text.as_str()))?()
            .map_err(|error| Failure::Transient(format!("The new database {error}.")))?;
    let people = users::all_logins(&mut connection)?;
    let known = people.into_iter().filter_map(|(user_id, email)| {
        let email = Email::parse(&email).ok()?;
        Some((platform.keys.email_hash(&email), Login { institution_id, user_id }))
    });
    Ok(known.collect())
}
