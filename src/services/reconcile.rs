//! Looks in both directions for what the registry says and is not there, and for what is there and the registry does
//! not know. Reports first; mends one thing at a time, when somebody asks, and only what is still as it was reported.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;

use super::{
    backups::{
        copies,
        storage::{self, Names},
    },
    operations::{self as work, Failure, provision},
    platform::Platform,
    servers::{self, Survey, Unheard},
    tenants,
};
use crate::{
    db::{
        Engine, Id,
        engine::{Leftover, LeftoverKind},
        now,
    },
    models::{
        ModelError, ModelResult,
        platform::{
            audit::{Audit, Subject},
            backups,
            institutions::Status,
            notifications::{self, Topic},
            operations::{self, Kind, OperationStatus},
            reconciliation::{self, Finding, FindingKind, Found},
            tenant_copies::{self, TenantCopy},
            tenant_databases::{self, DatabaseRow, DatabaseStatus},
        },
    },
};

/// What the registry says.
struct Known {
    rows: Vec<DatabaseRow>,
    copies: Vec<TenantCopy>,
}

impl Known {
    fn read(platform: &Platform) -> Result<Self, Failure> {
        let mut connection = platform.shared.get()?;
        Ok(Self {
            rows: tenant_databases::all(&mut connection)?,
            copies: tenant_copies::all(&mut connection)?,
        })
    }

    /// As the engine lists them, with the institution.
    fn databases(&self) -> HashMap<&str, Option<Id>> {
        let rows = self.rows.iter().map(|row| (listed_row(row), Some(row.database.institution_id)));
        rows.chain(self.copies.iter().map(|copy| (listed_copy(copy), copy.institution_id))).collect()
    }

    fn roles(&self) -> HashSet<&str> {
        let serving = self.rows.iter().filter(|row| row.database.status != DatabaseStatus::Dropped);
        let serving = serving.map(|row| row.database.database_name.as_str());
        serving.chain(self.copies.iter().map(|copy| copy.database_name.as_str())).collect()
    }
}

fn listed<'a>(engine: Engine, name: &'a str, location: &'a str) -> &'a str {
    match engine {
        Engine::Sqlite => location,
        Engine::Postgres => name,
    }
}

fn listed_row(row: &DatabaseRow) -> &str {
    listed(row.database.engine, &row.database.database_name, &row.database.location)
}

fn listed_copy(copy: &TenantCopy) -> &str {
    listed(copy.engine, &copy.database_name, &copy.location)
}

fn found(kind: FindingKind, subject: impl Into<String>, of: Option<Id>, detail: impl Into<String>) -> Found {
    Found { kind, subject: subject.into(), institution_id: of, detail: detail.into() }
}

/// What a look showed.
#[derive(Debug)]
pub struct Looked {
    /// Databases by their rows.
    pub registered: usize,
    /// Databases on the servers that could be asked.
    pub there: usize,
    /// In what both differ, as far as could be seen.
    pub found: Vec<Found>,
    /// Of what is on these nothing is known, so that nothing is said of it.
    pub unheard: Vec<Unheard>,
}

impl Looked {
    fn is_unheard(&self, server: Id) -> bool {
        self.unheard.iter().any(|one| one.server.id == server)
    }
}

/// In what the registry and the servers that answer differ. Opens no database.
///
/// # Errors
/// When the shared database cannot be asked.
pub fn look(platform: &Platform) -> Result<Looked, Failure> {
    // Listed before the rows are read: what is made meanwhile has its row before.
    let there = platform.engine.survey()?;
    let known = Known::read(platform)?;
    let registered = known.rows.len();
    let mut all = Vec::new();
    for domain in tenant_databases::institutions_without(&mut *platform.shared.get()?)? {
        all.push(found(FindingKind::NoDatabase, domain, None, "It is in use, and has no database."));
    }
    let listed: HashSet<&str> = there.databases.iter().map(String::as_str).collect();
    let heard = |server: Id| there.unheard.iter().all(|one| one.server.id != server);
    for row in known.rows.iter().filter(|row| heard(row.database.server_id)) {
        all.extend(look_at_row(platform, row, &listed, &known)?);
    }
    for copy in known.copies.iter().filter(|copy| heard(copy.server_id)) {
        if !listed.contains(listed_copy(copy)) {
            all.extend(look_at_copy(platform, copy)?);
        }
    }
    all.extend(unknown(platform, &there, &known)?);
    all.extend(there.leftovers.iter().map(|left| {
        let (kind, detail) = match left.kind {
            LeftoverKind::Invalid => (FindingKind::InvalidDatabase, "Its removal was interrupted."),
            LeftoverKind::StrayLog => (FindingKind::StrayLog, "There is a log, and no database beside it."),
            LeftoverKind::Trash => (FindingKind::Trash, "A folder was moved away and not removed."),
        };
        let of = known.databases().get(left.name.as_str()).copied().flatten();
        found(kind, left.name.as_str(), of, detail)
    }));
    Ok(Looked { registered, there: there.databases.len(), found: all, unheard: there.unheard })
}

fn look_at_row(
    platform: &Platform,
    row: &DatabaseRow,
    listed: &HashSet<&str>,
    known: &Known,
) -> Result<Option<Found>, Failure> {
    let (name, id) = (listed_row(row), row.database.institution_id);
    let is_there = listed.contains(name);
    match row.database.status {
        // Looked at once more: it may have been made a moment ago.
        DatabaseStatus::Ready if !is_there && !platform.engine.exists(&tenants::place(&row.database))? => {
            let detail = format!("It belongs to {}.", row.domain);
            Ok(Some(found(FindingKind::MissingDatabase, name, Some(id), detail)))
        }
        DatabaseStatus::Dropped if is_there && known.copies.iter().all(|copy| listed_copy(copy) != name) => {
            let detail = format!("{} is archived or deleted.", row.domain);
            Ok(Some(found(FindingKind::LeftDatabase, name, Some(id), detail)))
        }
        DatabaseStatus::Reserved => {
            let last = operations::latest(&mut *platform.shared.get()?, id, Kind::Provision)?;
            let at_work = last.is_some_and(|operation| !operation.is_over());
            let detail = format!("Nobody works on the set-up of {}.", row.domain);
            Ok((!at_work).then(|| found(FindingKind::HalfMade, name, Some(id), detail)))
        }
        _ => Ok(None),
    }
}

fn look_at_copy(platform: &Platform, copy: &TenantCopy) -> Result<Option<Found>, Failure> {
    let mut connection = platform.shared.get()?;
    let operation = copy.operation_id.map(|id| operations::find(&mut connection, id)).transpose()?;
    drop(connection);
    // Entered before it is made: whoever makes it is at work.
    if operation.is_some_and(|operation| !operation.is_over())
        || platform.engine.exists(&copies::place(copy))?
    {
        return Ok(None);
    }
    let detail = format!("It was made as “{}”.", copy.purpose);
    Ok(Some(found(FindingKind::MissingCopy, listed_copy(copy), copy.institution_id, detail)))
}

/// Databases and roles of this platform's name that nobody knows.
fn unknown(platform: &Platform, there: &Survey, known: &Known) -> Result<Vec<Found>, Failure> {
    // A folder is in the data folder and therefore ours; a name on a server says whose it is.
    let ours = |name: &&String| name.contains('/') || name.starts_with(platform.prefix.as_str());
    let strange = |known: &Known| {
        let (databases, roles) = (known.databases(), known.roles());
        let strays =
            there.databases.iter().filter(ours).filter(|name| !databases.contains_key(name.as_str()));
        let lone = there.roles.iter().filter(ours).filter(|role| !roles.contains(role.as_str()));
        let detail = "No institution and no copy has this name.";
        let strays = strays.map(|name| found(FindingKind::UnknownDatabase, name.as_str(), None, detail));
        strays
            .chain(lone.map(|role| found(FindingKind::UnknownRole, role.as_str(), None, detail)))
            .collect::<Vec<_>>()
    };
    let first = strange(known);
    if first.is_empty() {
        return Ok(first);
    }
    // Read again: one that was just put in service went from one table to the other meanwhile.
    let again = strange(&Known::read(platform)?);
    Ok(first.into_iter().filter(|one| again.contains(one)).collect())
}

/// As [`look`], and opens every database and the storage of backups.
///
/// # Errors
/// As there.
pub fn look_closely(platform: &Platform) -> Result<Looked, Failure> {
    let mut looked = look(platform)?;
    for row in Known::read(platform)?.rows {
        if looked.is_unheard(row.database.server_id) {
            continue;
        }
        if row.database.status == DatabaseStatus::Ready
            && let Some(version) = drifted(platform, &row)
        {
            let detail = format!("The row says {}, the database {version}.", row.database.schema_version);
            let of = Some(row.database.institution_id);
            looked.found.push(found(FindingKind::VersionDrift, listed_row(&row), of, detail));
        }
    }
    let storage = storage::of(&platform.settings.backups);
    // The rows first: a file is there before its row.
    let rows = backups::owners(&mut *platform.shared.get()?)?;
    let files = storage.list().map_err(|error| storage::explain("list the backups", &error))?;
    let files: HashSet<String> = files.into_iter().collect();
    for (id, owner, subject) in rows {
        let is_gone = !files.contains(&Names::of(owner, id).file);
        // Forgotten in this moment, its time being over.
        if is_gone && backups::find(&mut *platform.shared.get()?, id).is_ok() {
            looked.found.push(found(
                FindingKind::MissingBackup,
                id.to_string(),
                owner,
                format!("It was of {subject}."),
            ));
        }
    }
    Ok(looked)
}

/// What a database itself says, where that is not what its row says. One that cannot be opened says nothing.
fn drifted(platform: &Platform, row: &DatabaseRow) -> Option<String> {
    let mut connection = platform.engine.open_as_owner(&tenants::place(&row.database)).ok()?;
    let version = platform.migrations.found_in(&mut connection)?;
    if version == row.database.schema_version {
        return None;
    }
    // It may have been migrated in this moment.
    let again =
        tenant_databases::find(&mut *platform.shared.get().ok()?, row.database.institution_id).ok()??;
    (version != again.schema_version).then_some(version)
}

/// Looks closely, and keeps what was found. Returns how many differences are new, and which servers could not be asked:
/// what was found there before is forgotten until they answer.
///
/// # Errors
/// As [`look`]; what was kept before stays then.
pub fn refresh(platform: &Platform) -> Result<(usize, Vec<Unheard>), Failure> {
    let Looked { found, unheard, .. } = look_closely(platform)?;
    for one in unheard.iter().filter(|one| !one.server.is_silent()) {
        // Pages and alerts tell of it by its check.
        servers::check(platform, one.server.id)?;
    }
    let mut connection = platform.shared.get()?;
    let new = reconciliation::settle(&mut connection, &found)?;
    if new > 0 {
        let text = format!("Where the registry and the databases differ: {new} new.");
        connection
            .write_tx(|c| notifications::tell_admins(c, Topic::Alert, &text, "/platform/reconciliation"))?;
    }
    Ok((new, unheard))
}

/// The scheduled job.
pub(super) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    let (_, unheard) = refresh(platform).map_err(|failure| failure.to_string())?;
    for one in unheard {
        log::warn!("reconciliation: {}", one.sentence());
    }
    Ok(())
}

/// Mends one difference, if it is still there. Blocks.
///
/// # Errors
/// `Permanent` when it is gone, not known for long enough, or cannot be mended by a click.
pub fn repair(platform: &Arc<Platform>, audit: &Audit, id: Id) -> Result<Finding, Failure> {
    let finding = reconciliation::find(&mut *platform.shared.get()?, id)?;
    if !finding.may_be_repaired(now()) {
        return Err(Failure::Permanent(format!("Not by a click, or not yet. {}", finding.kind.remedy())));
    }
    let looked = look_closely(platform)?;
    if !looked.found.iter().any(|found| finding.is(found)) {
        if let Some(one) = looked.unheard.first() {
            let sentence =
                format!("{} Whether it is still so is not known; try again later.", one.sentence());
            return Err(Failure::Transient(sentence));
        }
        platform.shared.get()?.write_tx(|connection| reconciliation::forget(connection, id))?;
        return Err(Failure::Permanent("It is not there any more.".into()));
    }
    mend(platform, audit, &finding)?;
    platform.shared.get()?.write_tx(|connection| -> ModelResult<()> {
        reconciliation::forget(connection, id)?;
        let subject = Subject {
            kind: "reconciliation",
            id: Some(id),
            label: &finding.subject,
            institution_id: finding.institution_id,
        };
        let detail = json!({ "kind": finding.kind, "detail": finding.detail });
        audit.record(connection, "reconciliation.repaired", &subject, &detail)
    })?;
    Ok(finding)
}

fn mend(platform: &Arc<Platform>, audit: &Audit, finding: &Finding) -> Result<(), Failure> {
    let (engine, subject) = (&platform.engine, finding.subject.as_str());
    let left = |kind| Leftover { kind, name: subject.to_owned() };
    match finding.kind {
        FindingKind::UnknownDatabase => engine.drop_unknown(subject)?,
        FindingKind::UnknownRole => engine.drop_unknown_role(subject)?,
        FindingKind::InvalidDatabase => engine.remove_leftover(&left(LeftoverKind::Invalid))?,
        FindingKind::StrayLog => engine.remove_leftover(&left(LeftoverKind::StrayLog))?,
        FindingKind::Trash => engine.remove_leftover(&left(LeftoverKind::Trash))?,
        FindingKind::LeftDatabase => {
            let row = row_of(platform, finding)?;
            engine.drop_database(&tenants::place(&row.database), &|| Ok(()))?;
            engine.drop_role(&tenants::place(&row.database), &|| Ok(()))?;
        }
        FindingKind::VersionDrift => {
            let row = row_of(platform, finding)?;
            let (id, why) = (row.database.institution_id, row.database.quarantine_reason.clone());
            if let Some(version) = drifted(platform, &row) {
                platform.shared.get()?.write_tx(|connection| {
                    tenant_databases::set_schema_version(connection, id, &version, why.as_deref())
                })?;
                platform.tenants.retire(id);
            }
        }
        FindingKind::HalfMade => finish(platform, audit, &row_of(platform, finding)?)?,
        FindingKind::MissingCopy => {
            let copies = Known::read(platform)?.copies;
            for copy in copies.iter().filter(|copy| listed_copy(copy) == subject) {
                engine.drop_role(&copies::place(copy), &|| Ok(()))?;
                platform.shared.get()?.write_tx(|connection| tenant_copies::remove(connection, copy.id))?;
            }
        }
        FindingKind::MissingBackup => {
            let id: Id = subject.parse().map_err(|_| Failure::Permanent("This is no backup.".into()))?;
            platform.shared.get()?.write_tx(|connection| backups::forget(connection, id))?;
        }
        FindingKind::NoDatabase | FindingKind::MissingDatabase => {
            return Err(Failure::Permanent(finding.kind.remedy().into()));
        }
    }
    Ok(())
}

fn row_of(platform: &Platform, finding: &Finding) -> Result<DatabaseRow, Failure> {
    let rows = Known::read(platform)?.rows;
    let row = rows.into_iter().find(|row| listed_row(row) == finding.subject);
    row.ok_or_else(|| Failure::Permanent("Its row is gone.".into()))
}

/// A set-up that nobody works on is taken back where it failed, and begun again where it was never ended.
fn finish(platform: &Arc<Platform>, audit: &Audit, row: &DatabaseRow) -> Result<(), Failure> {
    let id = row.database.institution_id;
    let mut connection = platform.shared.get()?;
    let last = operations::latest(&mut connection, id, Kind::Provision)?;
    let failed = last.filter(|operation| operation.status == OperationStatus::Failed);
    let outcome = match (failed, row.institution_status) {
        (Some(operation), _) => work::roll_back(&mut connection, audit, operation.id),
        (None, Status::Provisioning | Status::ProvisioningFailed) => {
            provision::start(&mut connection, audit, id).map(|_| ())
        }
        _ => Err(ModelError::Refused("Nothing is known of how it came about.".into())),
    };
    platform.operations.wake();
    Ok(outcome?)
}
