//! Bringing a whole platform back, on a machine that has nothing but the backups and the master key.
//!
//! The shared database comes first, from the newest of its backups that the master key opens; then every institution,
//! each by the same operation that restores one alone. Whoever was interrupted begins again: what is done is found.

use std::{collections::HashMap, io, sync::Arc};

use super::{
    RestoreHow, compare,
    manifest::{Manifest, OwnerKey},
    read_manifest, reading, retention, storage,
    storage::Names,
};
use crate::{
    db::{
        Id,
        engine::{CopyTools, load_shared},
        shared::SharedConn,
    },
    models::{
        Actor, ModelError, ModelResult,
        platform::{
            backups::{self, Backup},
            operations, servers as registry, sessions, tenant_copies,
        },
    },
    services::{operations::Failure, platform::Platform, secrets::MasterKey, servers, settings::Settings},
};

/// Restores the shared database into the place that the settings name, which must be empty. Returns what it was
/// restored from.
///
/// # Errors
/// A missing or foreign master key, no usable backup, a database that is there already.
pub fn restore_shared(settings: &Settings) -> Result<Manifest, Failure> {
    let master = MasterKey::load(&settings.master_key_file)
        .map_err(|error| Failure::Permanent(format!("{error}.")))?;
    if let crate::db::Target::Sqlite(path) = &settings.database
        && path.exists()
    {
        return Err(Failure::Permanent(format!(
            "The shared database {} is there already. Nothing is restored over it: move it away, then try again.",
            path.display()
        )));
    }
    let storage = storage::of(&settings.backups);
    let key = OwnerKey::Master(&master);
    let mut refused = None;
    for manifest in candidates(&*storage, &key)? {
        match load_and_compare(settings, &*storage, &manifest, &key) {
            Ok(()) => {
                let connection = &mut SharedConn::open(&settings.database)
                    .map_err(|error| Failure::Transient(format!("The shared database {error}.")))?;
                forget_the_past(connection)?;
                return Ok(manifest);
            }
            Err(failure) => {
                log::warn!("the backup {} of the shared database is not used: {failure}", manifest.backup_id);
                let _ = take_away(settings);
                refused = Some(failure);
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        Failure::Permanent(format!(
            "There is no backup of the shared database in {} that this master key opens. Set PROVOST_BACKUP_DIR to the \
             folder of the backups, and PROVOST_MASTER_KEY_FILE to the key that they were made with.",
            settings.backups.folder.display()
        ))
    }))
}

/// The authentic backups of the shared database, the newest first.
fn candidates(storage: &dyn storage::Storage, key: &OwnerKey<'_>) -> Result<Vec<Manifest>, Failure> {
    let names = storage.list().map_err(|error| storage::explain("list the backups", &error))?;
    let mut found = Vec::new();
    for name in &names {
        let Some((None, id)) = Names::read(name) else { continue };
        let input = storage.open(name).map_err(|error| storage::explain("read a backup", &error))?;
        match Manifest::of_object(&read_manifest(input)?, key) {
            Ok(manifest) if manifest.backup_id == id && manifest.institution_id.is_none() => {
                found.push(manifest)
            }
            Ok(_) => log::warn!("the backup {name} says that it is another one"),
            Err(failure) => log::warn!("the backup {name} is left out: {failure}"),
        }
    }
    found.sort_by_key(|manifest| std::cmp::Reverse(manifest.taken_at));
    Ok(found)
}

fn load_and_compare(
    settings: &Settings,
    storage: &dyn storage::Storage,
    manifest: &Manifest,
    key: &OwnerKey<'_>,
) -> Result<(), Failure> {
    if manifest.engine != settings.database.engine() {
        return Err(Failure::Permanent(format!(
            "The backup is of a platform on {}, but PROVOST_DATABASE_URL names {}.",
            manifest.engine,
            settings.database.engine()
        )));
    }
    make_folder(settings)?;
    let tools = CopyTools { folder: settings.backups.postgres_tools.as_deref() };
    let contents =
        reading(storage, manifest, key, |input| Ok(load_shared(&settings.database, tools, input)?))?;
    compare(&manifest.to_row()?, &contents).map(|_| ())
}

fn make_folder(settings: &Settings) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.data_dir)
        .map_err(|error| storage::explain("make the data folder", &error))
}

/// What a refused backup left, so that the next one can be tried.
fn take_away(settings: &Settings) -> io::Result<()> {
    match &settings.database {
        crate::db::Target::Sqlite(path) if path.exists() => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Nobody is signed in on the new machine, nobody works, and no database stands beside another.
fn forget_the_past(connection: &mut SharedConn) -> ModelResult<()> {
    connection.write_tx(|connection| {
        sessions::end_all(connection)?;
        operations::give_all_up(
            connection,
            "The platform was restored from a backup while this was under way.",
        )?;
        tenant_copies::remove_all(connection)
    })
}

/// An institution that is to be brought back.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its domain.
    pub domain: String,
    /// Its newest backup that is not faulty; none when there is none.
    pub backup: Option<Backup>,
    /// Whether its database is there and can be read already.
    pub there: bool,
    /// Why nobody knows: its server could not be asked.
    pub unheard: Option<String>,
}

/// What is left to restore after [`restore_shared`]: backups that are newer than the shared database are entered first,
/// and those whose files are gone are forgotten.
///
/// # Errors
/// The storage, or any database error.
pub fn wanted(platform: &Platform) -> Result<Vec<Wanted>, Failure> {
    let storage = storage::of(&platform.settings.backups);
    retention::adopt(platform, &*storage)?;
    let there: std::collections::HashSet<String> =
        storage.list().map_err(|error| storage::explain("list the backups", &error))?.into_iter().collect();
    let unheard = unheard(platform)?;
    let mut connection = platform.shared.get()?;
    let standings = backups::standings(&mut connection)?;
    let mut wanted = Vec::with_capacity(standings.len());
    for found in standings {
        let mut usable = None;
        for backup in backups::of(&mut connection, Some(found.institution_id))? {
            if !there.contains(&Names::of(backup.institution_id, backup.id).file) {
                backups::forget(&mut connection, backup.id)?;
            } else if backup.fault.is_none() && usable.is_none() {
                usable = Some(backup);
            }
        }
        let place = crate::db::engine::Place {
            institution_id: found.institution_id,
            name: found.database_name,
            location: found.location,
            server_id: found.server_id,
        };
        let unheard = unheard.get(&found.server_id).cloned();
        // A server that does not answer is asked once, and not again for each institution.
        let there = unheard.is_none() && platform.engine.contents(&place).is_ok();
        wanted.push(Wanted { domain: found.domain, backup: usable, there, unheard });
    }
    wanted.sort_by(|a, b| a.domain.cmp(&b.domain));
    Ok(wanted)
}

/// The servers that do not answer now, whatever the restored database says of them, and what is to be done.
fn unheard(platform: &Platform) -> Result<HashMap<Id, String>, Failure> {
    let known = registry::all(&mut *platform.shared.get()?)?;
    let mut unheard = HashMap::new();
    for server in known {
        let now = servers::check(platform, server.id)?;
        if now.is_silent() {
            let why = now.problem.unwrap_or_default();
            unheard.insert(
                server.id,
                format!(
                    "Its server {} could not be asked: {why} Start that server and run this again; if it is lost, \
                     see \"One of several servers is lost\" in docs/runbooks.md.",
                    now.name
                ),
            );
        }
    }
    Ok(unheard)
}

/// Asks for the restore of one institution; the one that is under way already where there is one.
///
/// # Errors
/// Any database error.
pub fn request(platform: &Arc<Platform>, backup: &Backup) -> Result<Id, Failure> {
    let connection = &mut *platform.shared.get()?;
    let how = RestoreHow { beside: false, without_saving: true };
    let audit = platform.audit(Actor::command_line());
    match super::request_restore(connection, &audit, backup.id, how) {
        Ok(id) => Ok(id),
        Err(ModelError::Changed(words)) => {
            let id = backup.institution_id.ok_or_else(|| Failure::Permanent(words.clone()))?;
            let under_way = operations::latest(connection, id, operations::Kind::Restore)?;
            under_way.map(|operation| operation.id).ok_or(Failure::Permanent(words))
        }
        Err(error) => Err(error.into()),
    }
}
