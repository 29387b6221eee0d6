//! The schema of tenant databases as a list of migrations: what each is, whether a database has it, and running
//! it there and back.

use std::{fs, path::Path, sync::Arc, time::Instant};

use diesel::{connection::SimpleConnection, prelude::*, sql_types::Text};
use sha2::{Digest as _, Sha256};

use super::{Engine, tenant::TenantConn};

/// Where a database keeps the versions that it has; diesel's own table.
const SETUP: &str = "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                     run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
/// The first line of a migration that is special: `-- provost: destructive, outside transaction`.
const FLAGS: &str = "-- provost:";

/// The scripts of a migration that is part of the binary.
macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            [
                include_str!(concat!("../../migrations_tenant/sqlite/", $name, "/up.sql")),
                include_str!(concat!("../../migrations_tenant/sqlite/", $name, "/down.sql")),
                include_str!(concat!("../../migrations_tenant/postgres/", $name, "/up.sql")),
                include_str!(concat!("../../migrations_tenant/postgres/", $name, "/down.sql")),
            ],
        )),+]
    };
}

/// The migrations of tenant databases, oldest first: a new one is a line here, and a test says so.
const EMBEDDED: &[(&str, [&str; 4])] = &embedded!["2026-11-21-000001_institution"];

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantMigration {
    /// Its folder's name; names order as they are to run.
    pub name: String,
    /// What it does, as its first comment says.
    pub about: String,
    /// Whether it takes something away that going back cannot bring back.
    pub destructive: bool,
    /// Whether it runs in a transaction, so that a failure leaves nothing behind.
    pub in_transaction: bool,
    /// Tells whether it is the same as the one that ran elsewhere.
    pub checksum: String,
    sqlite: Scripts,
    postgres: Scripts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scripts {
    up: String,
    down: String,
}

/// All of them, oldest first. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantMigrations(Arc<[TenantMigration]>);

/// A migration that ran, or was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Which.
    pub name: String,
    /// How long it took.
    pub milliseconds: i64,
}

/// What became of a database.
#[derive(Debug, Default)]
pub struct Course {
    /// What ran, in that order, also before a failure.
    pub ran: Vec<Ran>,
    /// The newest migration that the database has, where it could be asked.
    pub version: Option<String>,
    /// Why it went no further.
    pub failure: Option<MigrateFailure>,
}

/// Why a migration did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MigrateFailure {
    /// Which, where it was one.
    pub migration: Option<String>,
    /// The database's own words, as a sentence.
    pub message: String,
    /// Somebody else holds what it needs, or the database is away: it may pass by itself.
    pub passing: bool,
    /// The caller may no longer act.
    pub forbidden: bool,
}

/// Asked when nobody else can migrate the same database, right before it is changed: whether the caller may.
pub type MayMigrate<'a> = &'a dyn Fn() -> Result<(), String>;

impl TenantMigration {
    fn new(name: &str, [sqlite_up, sqlite_down, postgres_up, postgres_down]: [&str; 4]) -> Self {
        let flags: Vec<&str> = [sqlite_up, postgres_up]
            .into_iter()
            .filter_map(|up| up.lines().next()?.strip_prefix(FLAGS))
            .collect();
        let says = |word: &str| flags.iter().any(|flags| flags.split(',').any(|flag| flag.trim() == word));
        let mut hash = Sha256::new();
        for text in [sqlite_up, sqlite_down, postgres_up, postgres_down] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let checksum = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let scripts = |up: &str, down: &str| Scripts { up: up.to_owned(), down: down.to_owned() };
        Self {
            name: name.to_owned(),
            about: about(name, sqlite_up),
            destructive: says("destructive"),
            in_transaction: !says("outside transaction"),
            checksum,
            sqlite: scripts(sqlite_up, sqlite_down),
            postgres: scripts(postgres_up, postgres_down),
        }
    }

    /// What the database notes: the digits before the name.
    fn version(&self) -> String {
        version_of(&self.name)
    }

    fn scripts(&self, engine: Engine) -> &Scripts {
        match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &self.postgres,
        }
    }
}

/// The first comment that is no flag, or the name as words.
fn about(name: &str, up: &str) -> String {
    let comment = up
        .lines()
        .take_while(|line| line.starts_with("--"))
        .find(|line| !line.starts_with(FLAGS))
        .map(|line| line.trim_start_matches('-').trim().to_owned());
    comment.unwrap_or_else(|| name.split_once('_').map_or(name, |(_, words)| words).replace('_', " "))
}

fn version_of(name: &str) -> String {
    name.split('_').next().unwrap_or(name).replace('-', "")
}

impl TenantMigrations {
    /// Those of this binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self(EMBEDDED.iter().map(|(name, scripts)| TenantMigration::new(name, *scripts)).collect())
    }

    /// Those of this binary and of a folder with `sqlite/` and `postgres/` in it, for tests of what a later version
    /// will bring.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn with_folder(folder: &Path) -> Result<Self, String> {
        let mut all: Vec<TenantMigration> = Self::embedded().0.to_vec();
        let unreadable = |path: &Path, error| format!("{} cannot be read: {error}", path.display());
        let sqlite = folder.join("sqlite");
        for entry in fs::read_dir(&sqlite).map_err(|error| unreadable(&sqlite, error))? {
            let name = entry.map_err(|error| unreadable(&sqlite, error))?.file_name();
            let name = name.to_string_lossy();
            let text = |engine: &str, file: &str| {
                let path = folder.join(engine).join(&*name).join(file);
                fs::read_to_string(&path).map_err(|error| unreadable(&path, error))
            };
            let scripts = [
                text("sqlite", "up.sql")?,
                text("sqlite", "down.sql")?,
                text("postgres", "up.sql")?,
                text("postgres", "down.sql")?,
            ];
            all.push(TenantMigration::new(&name, scripts.each_ref().map(String::as_str)));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(all.into()))
    }

    /// All, oldest first.
    #[must_use]
    pub fn all(&self) -> &[TenantMigration] {
        &self.0
    }

    /// The newest migration's name: the schema that this binary works with.
    #[must_use]
    pub fn version(&self) -> &str {
        self.0.last().map_or("", |newest| &newest.name)
    }

    /// What a database with this version has yet to run.
    pub fn after<'a>(&'a self, version: &'a str) -> impl DoubleEndedIterator<Item = &'a TenantMigration> {
        self.0.iter().filter(move |migration| *migration.name > *version)
    }

    /// The version before this one; none before the first.
    #[must_use]
    pub fn before(&self, version: &str) -> Option<&str> {
        self.0.iter().rev().map(|migration| &*migration.name).find(|name| *name < version)
    }

    /// Brings a database up to date, each migration by itself. Nobody else migrates it meanwhile, and what another has
    /// done is not done again.
    pub fn migrate(&self, connection: &mut TenantConn, may: MayMigrate<'_>) -> Course {
        self.course(connection, |course, connection| {
            for migration in self.missing(connection)? {
                course.run(connection, migration, may, true)?;
            }
            Ok(())
        })
    }

    /// Takes back what is newer than `version`, the newest first.
    pub fn revert_to(&self, connection: &mut TenantConn, version: &str, may: MayMigrate<'_>) -> Course {
        self.course(connection, |course, connection| {
            let applied = applied(connection)?;
            for migration in self.after(version).rev().filter(|known| applied.contains(&known.version())) {
                course.run(connection, migration, may, false)?;
            }
            Ok(())
        })
    }

    fn course(
        &self,
        connection: &mut TenantConn,
        work: impl FnOnce(&mut Course, &mut TenantConn) -> Result<(), MigrateFailure>,
    ) -> Course {
        let mut course = Course::default();
        let locked = connection.lock_for_migration().map_err(|error| MigrateFailure::of(None, &error));
        crate::crash_point!("migrate:locked");
        course.failure = locked.and_then(|()| work(&mut course, connection)).err();
        course.version = self.version_in(connection);
        course
    }

    /// The newest migration that the database has.
    fn version_in(&self, connection: &mut TenantConn) -> Option<String> {
        let applied = applied(connection).ok()?;
        let newest = self.0.iter().rev().find(|known| applied.contains(&known.version()));
        newest.map(|known| known.name.clone())
    }

    /// What the database has not run yet.
    ///
    /// # Errors
    /// When it has run what this binary does not know.
    fn missing(&self, connection: &mut TenantConn) -> Result<Vec<&TenantMigration>, MigrateFailure> {
        let applied = applied(connection)?;
        if let Some(unknown) = applied.iter().find(|v| self.0.iter().all(|known| known.version() != **v)) {
            return Err(MigrateFailure::permanent(format!(
                "The database has the migration {unknown}, which this version of Provost does not know."
            )));
        }
        Ok(self.0.iter().filter(|known| !applied.contains(&known.version())).collect())
    }

    /// Runs what is missing in a transaction that is rolled back; what cannot run in one is left out.
    ///
    /// # Errors
    /// Why a migration would fail.
    pub fn rehearse(&self, connection: &mut TenantConn) -> Result<Vec<Ran>, MigrateFailure> {
        connection.lock_for_migration().map_err(|error| MigrateFailure::of(None, &error))?;
        let missing = self.missing(connection)?;
        let outcome = connection.write_tx::<(), Rehearsed>(|connection| {
            let mut ran = Vec::new();
            for migration in missing.iter().take_while(|migration| migration.in_transaction) {
                let began = Instant::now();
                let up = &migration.scripts(connection.engine()).up;
                connection
                    .batch_execute(up)
                    .map_err(|error| Rehearsed(Err(MigrateFailure::of(Some(&migration.name), &error))))?;
                ran.push(Ran { name: migration.name.clone(), milliseconds: since(began) });
            }
            Err(Rehearsed(Ok(ran)))
        });
        outcome.err().map_or_else(|| Ok(Vec::new()), |Rehearsed(result)| result)
    }

    /// Fills an empty database.
    ///
    /// # Errors
    /// The database's own words.
    pub fn build(&self, connection: &mut TenantConn) -> Result<Vec<String>, MigrateFailure> {
        connection.batch_execute(SETUP).map_err(|error| MigrateFailure::of(None, &error))?;
        let course = self.migrate(connection, &|| Ok(()));
        match course.failure {
            Some(failure) => Err(failure),
            None => Ok(course.ran.into_iter().map(|ran| ran.name).collect()),
        }
    }

    /// The version that a database itself says; `None` where it cannot be read.
    #[must_use]
    pub fn found_in(&self, connection: &mut TenantConn) -> Option<String> {
        // The table knows versions by their digits, as diesel wrote them.
        let newest = applied(connection).ok()?.into_iter().max()?;
        let known = self.all().iter().find(|migration| migration.version() == newest);
        Some(known.map_or(newest, |migration| migration.name.clone()))
    }

    /// What [`Self::build`] would run.
    ///
    /// # Errors
    /// As there.
    pub fn pending(&self, connection: &mut TenantConn) -> Result<Vec<String>, MigrateFailure> {
        connection.batch_execute(SETUP).map_err(|error| MigrateFailure::of(None, &error))?;
        Ok(self.missing(connection)?.into_iter().map(|migration| migration.name.clone()).collect())
    }
}

/// Ends the transaction of a rehearsal, with what came of it.
struct Rehearsed(Result<Vec<Ran>, MigrateFailure>);

impl From<diesel::result::Error> for Rehearsed {
    fn from(error: diesel::result::Error) -> Self {
        Self(Err(MigrateFailure::of(None, &error)))
    }
}

impl Course {
    /// Runs one migration, up or down, unless another has done so in the meantime.
    fn run(
        &mut self,
        connection: &mut TenantConn,
        migration: &TenantMigration,
        may: MayMigrate<'_>,
        up: bool,
    ) -> Result<(), MigrateFailure> {
        let began = Instant::now();
        let act = |connection: &mut TenantConn| {
            if applied(connection)?.contains(&migration.version()) == up {
                return Ok(false);
            }
            may().map_err(MigrateFailure::forbidden)?;
            migration
                .perform(connection, up)
                .map_err(|error| MigrateFailure::of(Some(&migration.name), &error))?;
            crate::crash_point!("migrate:performed");
            Ok(true)
        };
        let acted = if migration.in_transaction { connection.write_tx(act) } else { act(connection) };
        crate::crash_point!("migrate:committed");
        if acted.map_err(|error: MigrateFailure| error.about(&migration.name))? {
            self.ran.push(Ran { name: migration.name.clone(), milliseconds: since(began) });
        }
        Ok(())
    }
}

impl TenantMigration {
    fn perform(&self, connection: &mut TenantConn, up: bool) -> QueryResult<()> {
        let scripts = self.scripts(connection.engine());
        connection.batch_execute(if up { &scripts.up } else { &scripts.down })?;
        // The digits of a folder's name: nothing that ends a quoted string.
        let version = self.version();
        connection.batch_execute(&if up {
            format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')")
        } else {
            format!("DELETE FROM __diesel_schema_migrations WHERE version = '{version}'")
        })
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn applied(connection: &mut TenantConn) -> Result<Vec<String>, MigrateFailure> {
    let rows: Vec<Version> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(connection)
        .map_err(|error| MigrateFailure::of(None, &error))?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

fn since(began: Instant) -> i64 {
    i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl MigrateFailure {
    fn of(migration: Option<&str>, error: &diesel::result::Error) -> Self {
        let text = error.to_string();
        let held = ["lock timeout", "is locked", "deadlock detected"].iter().any(|sign| text.contains(sign));
        let trouble = super::trouble::Trouble::of(&text);
        let message = match (held, trouble) {
            (true, _) => "Somebody else has held the database for too long.".to_owned(),
            (_, Some(trouble)) => format!("The database could not be used: {}", trouble.words()),
            _ => format!("{}.", text.trim().trim_end_matches('.')),
        };
        Self {
            migration: migration.map(ToOwned::to_owned),
            message,
            passing: held || trouble.is_some(),
            forbidden: false,
        }
    }

    fn permanent(message: String) -> Self {
        Self { migration: None, message, passing: false, forbidden: false }
    }

    fn forbidden(message: String) -> Self {
        Self { migration: None, message, passing: false, forbidden: true }
    }

    fn about(mut self, migration: &str) -> Self {
        self.migration.get_or_insert_with(|| migration.to_owned());
        self
    }
}

impl From<diesel::result::Error> for MigrateFailure {
    fn from(error: diesel::result::Error) -> Self {
        Self::of(None, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_part_of_the_binary() {
        for engine in ["sqlite", "postgres"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations_tenant").join(engine);
            let entries =
                fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
            names.sort();
            let known: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, known, "add the missing one to EMBEDDED");
        }
    }

    #[test]
    fn the_first_comments_say_what_a_migration_is() {
        let up = "-- provost: destructive, outside transaction\n-- Drops what nobody reads.\nDROP TABLE a;";
        let special = TenantMigration::new("2027-01-01-000001_drop_a", [up, "", up, ""]);
        assert!(special.destructive && !special.in_transaction);
        assert_eq!(special.about, "Drops what nobody reads.");
        let plain = TenantMigration::new("2027-01-01-000002_add_b", ["CREATE TABLE b (x int);", "", "", ""]);
        assert!(!plain.destructive && plain.in_transaction && plain.checksum != special.checksum);
        assert_eq!((&*plain.about, &*plain.version()), ("add b", "20270101000002"));
    }
}
