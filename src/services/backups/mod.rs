//! Backups: a copy of a database at one moment, sealed with its owner's key, and verified by restoring it.
//!
//! The file is written aside, synced and named; then its manifest; then the row. So a row means a whole file, a
//! manifest as well, and whatever is left of an interrupted one has neither.

pub mod cipher;
pub mod copies;
pub mod manifest;
pub mod platform;
pub mod retention;
pub mod storage;

use std::io::{self, Read as _, Write as _};

use serde_json::json;

use self::{
    cipher::{Binding, Digested, Opener, Sealer},
    manifest::{Manifest, OwnerKey, hex},
    storage::{Names, explain},
};
use super::{
    keys::KeyError,
    leaving,
    operations::{Failure, back_up, restore, verify_backup},
    platform::Platform,
    secrets::Purpose,
    tenants,
};
use crate::{
    db::{
        Engine, Id,
        engine::{Contents, CopyTools, Dumped, EngineError, Permit, Place, dump_shared},
        migrate::shared_schema_version,
        now,
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{
            audit::{Audit, Subject},
            backups::{self, Backup, Reason},
            deletions,
            institutions::{self, Institution, Status},
            operations::{self, Kind, NewOperation},
            tenant_databases::{self, DatabaseStatus, TenantDatabase},
        },
    },
};

/// What the shared database is called among the backups.
pub const SHARED: &str = "Shared database";
/// Larger manifests are none of ours.
const MOST_MANIFEST: u64 = 4 * 1024 * 1024;

/// Backs up an institution's database, or the shared one, here and now: before whatever may harm it. Blocks.
///
/// # Errors
/// What is missing or full; earlier backups are untouched.
pub fn take(
    platform: &Platform,
    audit: &Audit,
    institution_id: Option<Id>,
    reason: Reason,
) -> Result<Backup, Failure> {
    let manifest = copy(platform, Id::new(), institution_id, reason)?;
    platform.shared.get()?.write_tx(|connection| record(connection, audit, &manifest))
}

/// Asks for a backup by the workers. Wake them after the commit.
///
/// # Errors
/// `Changed` when one is under way, `Refused` when there is nothing to back up.
pub fn request(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Option<Id>,
    reason: Reason,
) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let subject = match institution_id {
            Some(id) => {
                let (institution, database) = tenant_databases::find_with_institution(connection, id)?;
                if database.is_none_or(|database| database.status != DatabaseStatus::Ready) {
                    let sentence = format!("{} has no database to back up.", institution.name);
                    return Err(ModelError::Refused(sentence));
                }
                institution.name
            }
            None => SHARED.to_owned(),
        };
        let input = json!(back_up::Input { backup_id: Id::new(), reason });
        let id = enqueue(connection, audit, Kind::BackUp, institution_id, &subject, &input, &back_up::STEPS)?;
        note(connection, audit, "backup.requested", institution_id, &subject, &json!({ "reason": reason }))?;
        Ok(id)
    })
}

/// Asks for a trial restore. Wake the workers after the commit.
///
/// # Errors
/// `Changed` when one is under way for this institution.
pub fn request_verification(connection: &mut SharedConn, audit: &Audit, backup_id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let backup = backups::find(connection, backup_id)?;
        if let Some(id) = backup.institution_id {
            let institution = institutions::find(connection, id)?;
            leaving::require_staying(connection, &institution)?;
        }
        let input = json!(verify_backup::Input { backup_id });
        let (of, subject) = (backup.institution_id, &backup.subject);
        enqueue(connection, audit, Kind::VerifyBackup, of, subject, &input, &verify_backup::STEPS)
    })
}

/// How a backup is to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreHow {
    /// Beside the database that serves, to look into.
    pub beside: bool,
    /// Without a backup of the present state, because that cannot be read any more.
    pub without_saving: bool,
}

/// Asks for a restore. Wake the workers after the commit.
///
/// # Errors
/// `Changed` when one is under way, `Refused` when this backup cannot be restored.
pub fn request_restore(
    connection: &mut SharedConn,
    audit: &Audit,
    backup_id: Id,
    how: RestoreHow,
) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let backup = backups::find(connection, backup_id)?;
        let Some(institution_id) = backup.institution_id else {
            return Err(ModelError::Refused(
                "The shared database is restored with the platform: stop the servers and run provost \
                 restore-platform."
                    .into(),
            ));
        };
        let institution = institutions::find(connection, institution_id)?;
        leaving::require_staying(connection, &institution)?;
        let leaves = deletions::find(connection, institution_id)?.is_some();
        if institution.status == Status::Archived && leaves && !how.beside {
            let sentence = format!("{} is to be deleted. Take that back first.", institution.name);
            return Err(ModelError::Refused(sentence));
        }
        let input = json!(restore::Input {
            backup_id,
            save_id: Id::new(),
            beside: how.beside,
            without_saving: how.without_saving,
        });
        let steps = restore::steps(backup.engine, how.beside);
        let (of, name) = (Some(institution_id), &institution.name);
        let id = enqueue(connection, audit, Kind::Restore, of, name, &input, &steps)?;
        let action = if how.beside { "backup.restore_beside_requested" } else { "backup.restore_requested" };
        let detail = json!({ "backup_id": backup_id, "taken_at": backup.taken_at });
        note(connection, audit, action, of, name, &detail)?;
        Ok(id)
    })
}

fn enqueue(
    connection: &mut SharedConn,
    audit: &Audit,
    kind: Kind,
    institution_id: Option<Id>,
    subject: &str,
    input: &serde_json::Value,
    steps: &[&str],
) -> ModelResult<Id> {
    // Without an institution no index forbids a second one.
    if institution_id.is_none() && operations::is_open_without_institution(connection, kind)? {
        return Err(ModelError::Changed(format!("This is already under way for {subject}.")));
    }
    let new = NewOperation { kind, institution_id, subject, input, steps, total: 0 };
    operations::enqueue(connection, &new, &audit.actor)
}

/// Leaves a trace.
pub(super) fn note(
    connection: &mut SharedConn,
    audit: &Audit,
    action: &str,
    institution_id: Option<Id>,
    label: &str,
    detail: &serde_json::Value,
) -> ModelResult<()> {
    let kind = if institution_id.is_some() { "institution" } else { "platform" };
    audit.record(connection, action, &Subject { kind, id: institution_id, label, institution_id }, detail)
}

/// What is copied.
enum Source {
    Institution(Box<Institution>, Box<TenantDatabase>),
    Shared,
}

impl Source {
    fn find(platform: &Platform, institution_id: Option<Id>) -> Result<Self, Failure> {
        let Some(id) = institution_id else { return Ok(Self::Shared) };
        let (institution, database) =
            tenant_databases::find_with_institution(&mut *platform.shared.get()?, id)?;
        let database = database
            .filter(|database| database.status != DatabaseStatus::Dropped)
            .ok_or_else(|| Failure::Permanent(format!("{} has no database to back up.", institution.name)))?;
        Ok(Self::Institution(Box::new(institution), Box::new(database)))
    }

    fn names(&self) -> (String, Option<String>) {
        match self {
            Self::Institution(institution, _) => (institution.name.clone(), Some(institution.domain.clone())),
            Self::Shared => (SHARED.to_owned(), None),
        }
    }

    fn engine(&self, platform: &Platform) -> Engine {
        match self {
            Self::Institution(_, database) => database.engine,
            Self::Shared => platform.engine.kind(),
        }
    }

    fn mark(&self, platform: &Platform) -> Option<String> {
        match self {
            Self::Institution(_, database) => {
                platform.engine.marks(&[tenants::place(database)]).ok()?.into_iter().next().flatten()
            }
            Self::Shared => None,
        }
    }

    fn dump(&self, platform: &Platform, out: &mut dyn io::Write) -> Result<Dumped, EngineError> {
        match self {
            Self::Institution(_, database) => {
                platform.engine.dump(&tenants::place(database), tools(platform), out)
            }
            Self::Shared => dump_shared(&platform.settings.database, tools(platform), out),
        }
    }

    fn schema_version(&self) -> Result<String, Failure> {
        match self {
            Self::Institution(_, database) => Ok(database.schema_version.clone()),
            Self::Shared => shared_schema_version().map_err(|error| Failure::Permanent(format!("{error}."))),
        }
    }
}

/// What copying needs, by the settings.
pub(crate) fn tools(platform: &Platform) -> CopyTools<'_> {
    let settings = &platform.settings.backups;
    CopyTools { folder: settings.postgres_tools.as_deref() }
}

/// The key of an owner's backups.
///
/// # Errors
/// When the institution's key is destroyed, and its backups with it.
pub(crate) fn owner_key<'a>(
    platform: &'a Platform,
    connection: &mut SharedConn,
    institution_id: Option<Id>,
) -> Result<OwnerKey<'a>, Failure> {
    match institution_id {
        Some(id) => {
            let key = platform.keys.data_key(connection, id)?.ok_or(KeyError::NoDataKey)?;
            Ok(OwnerKey::Institution(key))
        }
        None => Ok(OwnerKey::Platform(&platform.keys)),
    }
}

/// Writes file and manifest of a backup with this id; one that is there already is taken as it is.
///
/// # Errors
/// What is missing or full.
pub(crate) fn copy(
    platform: &Platform,
    id: Id,
    institution_id: Option<Id>,
    reason: Reason,
) -> Result<Manifest, Failure> {
    let storage = storage::of(&platform.settings.backups);
    let names = Names::of(institution_id, id);
    let key = owner_key(platform, &mut *platform.shared.get()?, institution_id)?;
    match storage.open(&names.manifest) {
        Ok(input) => return Manifest::of_object(&read_manifest(input)?, &key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain("look for the backup", &error)),
    }
    let source = Source::find(platform, institution_id)?;
    let failed = |error: io::Error| explain("write the backup", &error);
    // Before the copy, so that what is written meanwhile counts as a change since.
    let (mark, taken_at) = (source.mark(platform), now());
    let kept_until = {
        let known = backups::of(&mut *platform.shared.get()?, institution_id)?;
        retention::kept_until(&platform.settings.backups, &known, taken_at)
    };
    let (part, file) = storage.part().map_err(failed)?;
    let written = write_copy(platform, &source, &key, Binding { institution_id, backup_id: id }, file);
    let (dumped, digest, bytes, plain_bytes) = written.inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })?;
    crate::crash_point!("backup:part-written");
    let (subject, domain) = source.names();
    let manifest = Manifest {
        backup_id: id,
        institution_id,
        domain,
        subject,
        engine: source.engine(platform),
        schema_version: source.schema_version()?,
        reason,
        taken_at,
        kept_until,
        mark,
        provost: env!("CARGO_PKG_VERSION").into(),
        tool: dumped.tool,
        bytes,
        plain_bytes,
        digest: hex(&digest),
        contents: dumped.contents,
    };
    let (manifest_part, mut file) = storage.part().map_err(failed)?;
    let object = manifest.to_object(&key)?;
    file.write_all(object.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    crate::crash_point!("backup:manifest-written");
    storage.keep(&part, &names.file).map_err(failed)?;
    crate::crash_point!("backup:file-named");
    storage.keep(&manifest_part, &names.manifest).map_err(failed)?;
    crate::crash_point!("backup:manifest-named");
    Ok(manifest)
}

type Written = (Dumped, Vec<u8>, u64, u64);

fn write_copy(
    platform: &Platform,
    source: &Source,
    key: &OwnerKey<'_>,
    binding: Binding,
    file: std::fs::File,
) -> Result<Written, Failure> {
    let failed = |error: io::Error| explain("write the backup", &error);
    let wrap = |plain: &[u8]| key.seal(Purpose::BackupKey, plain);
    let mut sealer = Sealer::new(Digested::new(file), binding, wrap).map_err(failed)?;
    let dumped = source.dump(platform, &mut sealer)?;
    let (digested, plain_bytes) = sealer.finish().map_err(failed)?;
    let (file, digest, bytes) = digested.end();
    file.sync_all().map_err(failed)?;
    Ok((dumped, digest, bytes, plain_bytes))
}

/// Enters a backup whose file and manifest are in place; again, it changes nothing.
///
/// # Errors
/// Any database error.
pub(crate) fn record(
    connection: &mut SharedConn,
    audit: &Audit,
    manifest: &Manifest,
) -> Result<Backup, Failure> {
    let row = manifest.to_row()?;
    if backups::insert_once(connection, &row)? {
        let detail = json!({
            "backup_id": row.id, "reason": row.reason, "bytes": row.bytes, "rows": row.row_total,
        });
        note(connection, audit, "backup.taken", row.institution_id, &row.subject, &detail)?;
    }
    Ok(backups::find(connection, row.id)?)
}

/// Makes a database of a backup, in a place of its own, and compares it. Returns what is in it.
///
/// # Errors
/// A damaged or altered file, a foreign or destroyed key, a difference.
pub(crate) fn load(
    platform: &Platform,
    backup: &Backup,
    place: &Place,
    permit: Permit<'_>,
) -> Result<(), Failure> {
    let engine = platform.engine.of(place.server_id)?;
    if backup.engine != engine.kind() {
        return Err(Failure::Permanent(format!(
            "The backup is of a {} database, which cannot become a {} one.",
            backup.engine,
            engine.kind()
        )));
    }
    let key = owner_key(platform, &mut *platform.shared.get()?, backup.institution_id)?;
    let manifest = Manifest::of_line(&backup.manifest)?;
    reading(&*storage::of(&platform.settings.backups), &manifest, &key, |input| {
        Ok(engine.load(place, tools(platform), input, permit)?)
    })
}

/// Opens the file of a backup for `work`, and then makes sure that it was read whole and is the one of the manifest.
pub(crate) fn reading<T>(
    storage: &dyn storage::Storage,
    manifest: &Manifest,
    key: &OwnerKey<'_>,
    work: impl FnOnce(&mut dyn io::Read) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = |error: io::Error| explain("read the backup", &error);
    let names = Names::of(manifest.institution_id, manifest.backup_id);
    let mut input = Digested::new(storage.open(&names.file).map_err(failed)?);
    let unwrap = |sealed: &[u8]| key.open(Purpose::BackupKey, sealed);
    let mut opener = Opener::new(&mut input, manifest.binding(), unwrap).map_err(failed)?;
    let done = work(&mut opener)?;
    io::copy(&mut opener, &mut io::sink()).map_err(failed)?;
    drop(opener);
    let (_, digest, bytes) = input.end();
    if hex(&digest) != manifest.digest || bytes != manifest.bytes {
        return Err(Failure::Permanent("The backup's file is not the one that was written.".into()));
    }
    Ok(done)
}

/// Says in what a restored database differs from what was backed up.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(backup: &Backup, restored: &Contents) -> Result<String, Failure> {
    let manifest = Manifest::of_line(&backup.manifest)?;
    match manifest.contents.difference(restored) {
        Some(difference) => {
            Err(Failure::Permanent(format!("What was restored is not what was backed up: {difference}.")))
        }
        None => Ok(format!("{} tables, {} rows", restored.tables.len(), restored.rows())),
    }
}

/// The object of a manifest, of a bounded length.
pub(crate) fn read_manifest(input: impl io::Read) -> Result<String, Failure> {
    let mut text = String::new();
    input
        .take(MOST_MANIFEST)
        .read_to_string(&mut text)
        .map_err(|error| explain("read the manifest of a backup", &error))?;
    Ok(text)
}
