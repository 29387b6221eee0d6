//! Tenant databases as SQLite files: a folder per tenant, under a path that is never used twice.

pub(super) mod copy;
mod leftovers;
mod upkeep;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use diesel::{connection::SimpleConnection, prelude::*, sql_types::Integer};

use super::{
    Act, Condition, Contents, CopyTools, Dumped, EngineError, Examined, Facts, Finding, Leftover, Opener,
    Permit, Place, Room, TenantEngine, schema_version, try_reading_and_writing,
};
use crate::db::{
    Engine, Id, OpenError, Target, target::create_sqlite, tenant::TenantConn,
    tenant_migrations::TenantMigrations, trouble::Trouble,
};

/// "PRV1": tells a tenant database from any other SQLite file.
const APPLICATION_ID: i32 = 0x5052_5631;
/// Where SQLite's header keeps `user_version`, here a stamp of the institution.
const USER_VERSION_AT: usize = 60;
const FILE_NAME: &str = "institution.db";
/// A SQLite connection in WAL mode has the database, its log and its shared memory open.
const FILES_PER_CONNECTION: u64 = 3;
/// Files that everything else needs: sockets, logs, the shared database.
const FILES_RESERVED: u64 = 512;
/// More connections than this cost memory and save no time.
const MOST_CONNECTIONS: u64 = 256;

/// SQLite in the data folder.
pub struct SqliteEngine {
    data_dir: PathBuf,
    migrations: TenantMigrations,
    /// One thread at a time builds the template.
    template: Mutex<()>,
    /// One thread at a time acts on a place. One process alone works on a data folder.
    places: [Mutex<()>; 16],
    /// One database at a time is tended to: all of them are on one disk.
    tending: Mutex<()>,
}

impl SqliteEngine {
    /// The engine of a data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            migrations: TenantMigrations::embedded(),
            template: Mutex::new(()),
            places: Default::default(),
            tending: Mutex::default(),
        }
    }

    /// With another schema than the binary's own.
    #[must_use]
    pub fn with_migrations(mut self, migrations: TenantMigrations) -> Self {
        self.migrations = migrations;
        self
    }

    fn folder(&self, place: &Place) -> Result<PathBuf, EngineError> {
        let inside = place.location.strip_prefix("tenants/").filter(|name| {
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
        });
        match inside {
            Some(_) => Ok(self.data_dir.join(&place.location)),
            None => Err(EngineError::permanent(format!("{:?} is no tenant folder.", place.location))),
        }
    }

    /// Waits until no other thread acts on this place; a few others may have to wait as well.
    fn lock(&self, place: &Place) -> MutexGuard<'_, ()> {
        let number = place.institution_id.as_bytes().iter().fold(0_u8, |sum, byte| sum ^ byte);
        self.places[usize::from(number % 16)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, place: &Place) -> Result<PathBuf, EngineError> {
        Ok(self.folder(place)?.join(FILE_NAME))
    }

    fn template_path(&self) -> PathBuf {
        self.data_dir.join("templates").join(format!("{}.db", schema_version(&self.migrations)))
    }

    /// The template's path; the template is built when it is missing.
    fn template(&self) -> Result<PathBuf, EngineError> {
        let path = self.template_path();
        let _building = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        if path.exists() {
            return Ok(path);
        }
        let folder = self.data_dir.join("templates");
        make_folder(&folder).map_err(|error| explain("make the folder of templates", &error))?;
        // What an interrupted build has left, so that no full disk stays full of it.
        sweep_parts(&folder).map_err(|error| explain("remove a half-built template", &error))?;
        let part = folder.join(format!("{}.part", Id::new()));
        private_file(&part).map_err(|error| explain("make the template", &error))?;
        build_template(&part, &self.migrations).inspect_err(|_| {
            let _ = sweep_parts(&folder);
        })?;
        let placed = fs::rename(&part, &path).and_then(|()| sync_folder(&folder));
        placed.map_err(|error| explain("put the template in place", &error))?;
        crate::crash_point!("sqlite:template-built");
        Ok(path)
    }
}

impl TenantEngine for SqliteEngine {
    fn kind(&self) -> Engine {
        Engine::Sqlite
    }

    fn location(&self, name: &str, unique: Id) -> String {
        format!("tenants/{name}-{}", unique.to_string().replace('-', ""))
    }

    fn has_passwords(&self) -> bool {
        false
    }

    fn prepare(&self) -> Result<(), EngineError> {
        self.template().map(|_| ())
    }

    fn create_role(&self, _: &Place, _: &str, _: Permit<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    fn create(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let (folder, file) = (self.folder(place)?, self.file(place)?);
        let template = self.template()?;
        let _alone = self.lock(place);
        permit()?;
        if file.exists() {
            return Ok(());
        }
        let failed = |error: io::Error| explain("make the database's file", &error);
        // The way out first: on a full disk what is half-made could not be moved away.
        for folder in ["trash", "tenants"] {
            make_folder(&self.data_dir.join(folder)).map_err(failed)?;
        }
        make_folder(&folder).map_err(failed)?;
        crate::crash_point!("sqlite:folder-made");
        // Nobody has the template open, and a clean file's header is all that must change.
        let mut content = fs::read(&template).map_err(failed)?;
        let stamp = stamp(place.institution_id).to_be_bytes();
        match content.get_mut(USER_VERSION_AT..USER_VERSION_AT + stamp.len()) {
            Some(field) => field.copy_from_slice(&stamp),
            None => return Err(EngineError::permanent("The template of databases is damaged: remove it.")),
        }
        let part = folder.join("institution.db.part");
        write_private(&part, &content).map_err(failed)?;
        crate::crash_point!("sqlite:part-written");
        fs::rename(&part, &file).and_then(|()| sync_folder(&folder)).map_err(failed)?;
        sync_folder(&self.data_dir.join("tenants")).map_err(failed)?;
        crate::crash_point!("sqlite:renamed");
        Ok(())
    }

    fn grant_and_open(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let (folder, file) = (self.folder(place)?, self.file(place)?);
        let _alone = self.lock(place);
        permit()?;
        for (path, mode) in [(folder, 0o700), (file, 0o600)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                .map_err(|error| explain("restrict the database's file to its owner", &error))?;
        }
        Ok(())
    }

    fn verify(
        &self,
        place: &Place,
        connection: &mut TenantConn,
        _: Option<&str>,
        _: Option<&Place>,
    ) -> Result<(), EngineError> {
        try_reading_and_writing(connection)?;
        for (path, wanted) in [(self.folder(place)?, 0o700), (self.file(place)?, 0o600)] {
            let mode = fs::metadata(&path).map_err(|error| explain("look at the database's file", &error))?;
            let mode = mode.permissions().mode() & 0o777;
            if mode != wanted {
                let path = path.display();
                return Err(EngineError::permanent(format!(
                    "{path} has mode {mode:o} instead of {wanted:o}."
                )));
            }
        }
        Ok(())
    }

    fn drop_database(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        let folder = self.folder(place)?;
        let trash = self.data_dir.join("trash");
        let _alone = self.lock(place);
        permit()?;
        let failed = |error: io::Error| explain("remove the database's folder", &error);
        make_folder(&trash).map_err(failed)?;
        let gone = trash.join(Id::new().to_string());
        // Renamed first: whoever still has a file open writes into the trash, not beside a new database.
        match fs::rename(&folder, &gone) {
            Ok(()) => sync_folder(&self.data_dir.join("tenants")).map_err(failed)?,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(failed(error)),
        }
        crate::crash_point!("sqlite:trashed");
        for left in fs::read_dir(&trash).map_err(failed)? {
            fs::remove_dir_all(left.map_err(failed)?.path()).or_else(ignore_missing).map_err(failed)?;
        }
        Ok(())
    }

    fn drop_role(&self, _: &Place, _: Permit<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    fn exists(&self, place: &Place) -> Result<bool, EngineError> {
        Ok(self.file(place)?.exists())
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        let failed = |error: io::Error| explain("list the tenant databases", &error);
        let entries = match fs::read_dir(self.data_dir.join("tenants")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            found.push(format!("tenants/{}", entry.file_name().to_string_lossy()));
        }
        found.sort();
        Ok(found)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, EngineError> {
        leftovers::list(&self.data_dir)
    }

    fn remove_leftover(&self, leftover: &Leftover) -> Result<(), EngineError> {
        leftovers::remove(&self.data_dir, leftover)
    }

    fn drop_unknown(&self, listed: &str) -> Result<(), EngineError> {
        let place = Place {
            institution_id: Id::NIL,
            server_id: super::HOME,
            name: String::new(),
            location: listed.to_owned(),
        };
        self.drop_database(&place, &|| Ok(()))
    }

    fn size(&self, place: &Place) -> Result<u64, EngineError> {
        let mut size = 0;
        for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
            match fs::metadata(self.folder(place)?.join(name)) {
                Ok(meta) => size += meta.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(explain("measure the database", &error)),
            }
        }
        Ok(size)
    }

    fn log_size(&self, place: &Place) -> Result<u64, EngineError> {
        match fs::metadata(self.folder(place)?.join(format!("{FILE_NAME}-wal"))) {
            Ok(meta) => Ok(meta.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(explain("measure the database's log", &error)),
        }
    }

    fn opener(&self, place: &Place, _: Option<&str>) -> Result<Opener, EngineError> {
        let target = Target::Sqlite(self.file(place)?);
        let expected = stamp(place.institution_id);
        Ok(Box::new(move || open_stamped(&target, expected)))
    }

    fn open_as_owner(&self, place: &Place) -> Result<TenantConn, EngineError> {
        self.opener(place, None)?().map_err(|error| EngineError::transient(format!("The database {error}.")))
    }

    fn dump(&self, place: &Place, _: CopyTools<'_>, out: &mut dyn io::Write) -> Result<Dumped, EngineError> {
        copy::dump(&self.file(place)?, out)
    }

    fn load(
        &self,
        place: &Place,
        _: CopyTools<'_>,
        input: &mut dyn io::Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError> {
        if self.folder(place)?.exists() {
            self.drop_database(place, permit)?;
        }
        let _alone = self.lock(place);
        permit()?;
        let failed = |error: io::Error| explain("make the database's file", &error);
        for folder in [self.data_dir.join("trash"), self.data_dir.join("tenants"), self.folder(place)?] {
            make_folder(&folder).map_err(failed)?;
        }
        copy::load(&self.file(place)?, input)?;
        sync_folder(&self.data_dir.join("tenants")).map_err(failed)
    }

    fn contents(&self, place: &Place) -> Result<Contents, EngineError> {
        copy::contents_of(&self.file(place)?)
    }

    fn marks(&self, places: &[Place]) -> Result<Vec<Option<String>>, EngineError> {
        places.iter().map(|place| Ok(copy::mark(&self.file(place)?))).collect()
    }

    fn condition(&self, place: &Place) -> Result<Condition, EngineError> {
        upkeep::condition(&mut self.open_as_owner(place)?, self.log_size(place)?)
    }

    fn tend(&self, place: &Place, act: Act, room: Room<'_>) -> Result<(), EngineError> {
        let _alone = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        upkeep::tend(&mut self.open_as_owner(place)?, act, self.size(place)?, room)
    }

    fn adopt(&self, place: &Place, from: Id) -> Result<(), EngineError> {
        let own = stamp(place.institution_id);
        if self.open_as_owner(place).is_ok() {
            return Ok(());
        }
        let target = Target::Sqlite(self.file(place)?);
        open_stamped(&target, stamp(from))
            .map_err(|error| error.to_string())
            .and_then(|mut connection| {
                let statement = format!("PRAGMA user_version = {own}; PRAGMA wal_checkpoint(TRUNCATE)");
                connection.batch_execute(&statement).map_err(|error| error.to_string())
            })
            .map_err(|error| EngineError::transient(format!("The copy cannot be made another's: {error}.")))
    }

    fn write_anew(&self, place: &Place) -> Result<(), EngineError> {
        upkeep::write_anew(&mut self.open_as_owner(place)?)
    }

    fn examine(&self, place: &Place, connection: &mut TenantConn) -> Result<Examined, EngineError> {
        upkeep::examine(connection, self.size(place)?)
    }

    fn expected_shape(&self) -> Result<Option<Vec<String>>, EngineError> {
        upkeep::expected_shape(&self.migrations).map(Some)
    }

    fn connection_budget(&self, _: usize) -> Result<usize, EngineError> {
        let limit = rlimit::increase_nofile_limit(u64::MAX).map_err(|error| {
            EngineError::permanent(format!("The limit of open files is unknown: {error}."))
        })?;
        let connections = limit.saturating_sub(FILES_RESERVED.min(limit / 2)) / FILES_PER_CONNECTION;
        Ok(usize::try_from(connections.clamp(1, MOST_CONNECTIONS)).unwrap_or(1))
    }

    fn facts(&self) -> Result<Facts, EngineError> {
        Ok(Facts {
            version: "SQLite".into(),
            identity: "the data folder".into(),
            connections: self.connection_budget(0)?,
        })
    }

    fn diagnose(&self) -> Result<Vec<Finding>, EngineError> {
        let mut findings = Vec::new();
        let probe = self.data_dir.join(format!("{}.probe", Id::new()));
        if let Err(error) = write_private(&probe, b"probe") {
            findings.push(Finding {
                problem: format!("The data folder {} cannot be written: {error}.", self.data_dir.display()),
                remedy: "Give the user that runs Provost the folder, and free some space.".into(),
                fatal: true,
            });
        }
        let _ = fs::remove_file(&probe);
        if rlimit::Resource::NOFILE.get_hard().is_ok_and(|limit| limit < 1024) {
            findings.push(Finding {
                problem: "Fewer than 1,024 files may be open at once.".into(),
                remedy: "Raise the limit, for example with LimitNOFILE=65536 in the systemd unit.".into(),
                fatal: false,
            });
        }
        Ok(findings)
    }
}

#[derive(QueryableByName)]
struct Stamp {
    #[diesel(sql_type = Integer)]
    application_id: i32,
    #[diesel(sql_type = Integer)]
    user_version: i32,
}

/// Opens a file only if it is the tenant database of this institution.
fn open_stamped(target: &Target, expected: i32) -> Result<TenantConn, OpenError> {
    let mut connection = TenantConn::open(target)?;
    let query = "SELECT application_id, user_version FROM pragma_application_id(), pragma_user_version()";
    let stamp: Stamp = diesel::sql_query(query)
        .get_result(&mut connection)
        .map_err(|error| OpenError::new(target, error))?;
    if stamp.application_id != APPLICATION_ID || stamp.user_version != expected {
        return Err(OpenError::new(target, "the file is not this institution's database"));
    }
    Ok(connection)
}

/// 31 bits that tell one institution's file from another's.
fn stamp(institution_id: Id) -> i32 {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(institution_id.as_bytes());
    i32::from_be_bytes([hash[0] & 0x7f, hash[1], hash[2], hash[3] | 1])
}

fn build_template(path: &Path, migrations: &TenantMigrations) -> Result<(), EngineError> {
    let failed = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        match Trouble::of(&text) {
            Some(trouble) => {
                EngineError::transient(format!("The template was not built: {}", trouble.words()))
            }
            None => EngineError::permanent(format!("The template was not built: {text}.")),
        }
    };
    let mut connection = TenantConn::Sqlite(create_sqlite(path).map_err(|error| failed(&error))?);
    migrations.build(&mut connection).map_err(|error| failed(&error))?;
    connection
        .batch_execute(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA wal_checkpoint(TRUNCATE);"))
        .map_err(|error| failed(&error))?;
    drop(connection);
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| explain("store the template", &error))
}

/// Removes half-built templates with what SQLite has put beside them.
fn sweep_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".part") {
            fs::remove_file(path).or_else(ignore_missing)?;
        }
    }
    Ok(())
}

fn explain(act: &str, error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::transient(format!(
            "There is no space left on the disk to {act}. Free some space, then try again."
        )),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            EngineError::permanent(format!(
                "Provost may not {act} ({error}). Give the user that runs it the data folder, then try again."
            ))
        }
        _ => EngineError::transient(format!("Provost could not {act}: {error}.")),
    }
}

/// Makes a folder for its owner only, unless it is there.
fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
