//! Where tenant databases live: one trait, two engines.
//!
//! Every step can be run again: it looks, acts only where something is missing, and refuses to touch
//! what is not this platform's.

mod postgres;
mod scram;
mod sqlite;
pub mod transfer;
mod upkeep;

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

pub use postgres::PostgresEngine;
pub use sqlite::SqliteEngine;
pub use upkeep::{Act, Condition, Examined, Room, Stray, Wish};

use super::{Engine, Id, OpenError, Target, tenant::TenantConn, tenant_migrations::TenantMigrations};

/// The longest name that PostgreSQL keeps whole.
const MAX_NAME_BYTES: usize = 63;

/// Why a step on an engine failed: what happened and what to do, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// A sentence or two.
    pub message: String,
    /// Whether the same step may succeed a little later without anybody's help.
    pub transient: bool,
}

impl EngineError {
    /// Somebody has to do something.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }

    /// It may pass by itself.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true }
    }
}

/// A tenant database: whose, under which name, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The institution it belongs to.
    pub institution_id: Id,
    /// A name that is safe as an identifier: `DatabaseName` has checked it.
    pub name: String,
    /// A folder under the data folder, or the server's address for people.
    pub location: String,
    /// On which server; [`HOME`] is where the configuration puts databases.
    pub server_id: Id,
}

/// The server that the configuration names: the data folder, or the one of the shared database.
pub const HOME: Id = Id::NIL;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its version, as it tells it.
    pub version: String,
    /// Tells it from every other, whatever addresses it answers at.
    pub identity: String,
    /// Connections that tenants together may have.
    pub connections: usize,
}

impl Place {
    /// The name as a quoted SQL identifier. Names are checked where they are made; this is the second look.
    fn quoted(&self) -> Result<String, EngineError> {
        quote(&self.name)
    }
}

/// Quotes an identifier after checking that it needs no quoting at all.
fn quote(name: &str) -> Result<String, EngineError> {
    let safe = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(safe) {
        return Err(EngineError::permanent(format!("{name:?} is not usable as the name of a database.")));
    }
    Ok(format!("\"{name}\""))
}

/// Something that keeps provisioning from working, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// Whether provisioning fails because of it.
    pub fatal: bool,
}

/// Opens connections to one tenant's database.
pub type Opener = Box<dyn Fn() -> Result<TenantConn, OpenError> + Send + Sync>;

/// Asked when nobody else can act on the same place any more, right before something is made or removed:
/// whether the caller may still act, or another has taken over meanwhile.
pub type Permit<'a> = &'a dyn Fn() -> Result<(), EngineError>;

/// What is there and should not be, beside whole databases and roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Of what.
    pub kind: LeftoverKind,
    /// The name of a database, or a path in the data folder.
    pub name: String,
}

/// Of what something was left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A database that an interrupted removal left unusable.
    Invalid,
    /// The log of a database that is gone.
    StrayLog,
    /// A folder that was moved away to be removed.
    Trash,
}

/// What is in a database, to compare a copy with what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// Digest of everything that the schema says.
    pub schema: String,
    /// Every table and how many rows it has.
    pub tables: BTreeMap<String, i64>,
}

impl Contents {
    /// The first thing in which `copy` differs, for a person.
    #[must_use]
    pub fn difference(&self, copy: &Self) -> Option<String> {
        for (table, rows) in &self.tables {
            match copy.tables.get(table) {
                Some(found) if found == rows => {}
                Some(found) => return Some(format!("{table} has {found} rows instead of {rows}")),
                None => return Some(format!("{table} is missing")),
            }
        }
        if let Some(table) = copy.tables.keys().find(|table| !self.tables.contains_key(*table)) {
            return Some(format!("{table} is one table too many"));
        }
        (self.schema != copy.schema).then(|| "the schema is another one".to_owned())
    }

    /// Rows of all tables together.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.tables.values().sum()
    }
}

/// What was copied, counted at the very moment of the copy.
#[derive(Debug, Clone)]
pub struct Dumped {
    /// What is in it.
    pub contents: Contents,
    /// What made it, with its version.
    pub tool: String,
}

/// What copying needs beside the database.
#[derive(Debug, Clone, Copy)]
pub struct CopyTools<'a> {
    /// The folder of PostgreSQL's programs, where it was set.
    pub folder: Option<&'a Path>,
}

/// Where tenant databases live. Everything blocks.
pub trait TenantEngine: Send + Sync {
    /// Which engine it is.
    fn kind(&self) -> Engine;

    /// The location of a database to be made; `unique` is never used twice.
    fn location(&self, name: &str, unique: Id) -> String;

    /// Whether tenants have passwords of their own.
    fn has_passwords(&self) -> bool;

    /// Makes what all tenants share, roles and the template of the present schema version, where missing.
    ///
    /// # Errors
    /// What is missing, and what to grant or do.
    fn prepare(&self) -> Result<(), EngineError>;

    /// Takes the right to enter the shared database from everybody but the platform.
    ///
    /// # Errors
    /// Who has to do it instead.
    fn close_shared_database(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes the login role of a tenant, with this password, where missing.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn create_role(&self, place: &Place, password: &str, permit: Permit<'_>) -> Result<(), EngineError>;

    /// Makes the database from the template, where missing. Nobody can enter it yet.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn create(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError>;

    /// Grants the tenant's role its rights, takes them from everybody else, and only then opens the database.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn grant_and_open(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError>;

    /// Proves, with a connection of the tenant's own role, that it can read and write, cannot change the schema, and cannot
    /// enter `foreign`, another tenant's database.
    ///
    /// # Errors
    /// What does not hold; the database must not be used then.
    fn verify(
        &self,
        place: &Place,
        connection: &mut TenantConn,
        password: Option<&str>,
        foreign: Option<&Place>,
    ) -> Result<(), EngineError>;

    /// Removes the database, if it is there and this platform's.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn drop_database(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError>;

    /// Removes the tenant's role, if it is there. The database goes first.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn drop_role(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError>;

    /// Whether the database is there.
    ///
    /// # Errors
    /// The server's words.
    fn exists(&self, place: &Place) -> Result<bool, EngineError>;

    /// The locations (SQLite) or names (PostgreSQL) of all tenant databases there are.
    ///
    /// # Errors
    /// The server's words.
    fn list(&self) -> Result<Vec<String>, EngineError>;

    /// The names of all tenants' roles there are; none on SQLite.
    ///
    /// # Errors
    /// The server's words.
    fn roles(&self) -> Result<Vec<String>, EngineError> {
        Ok(Vec::new())
    }

    /// What interrupted removals have left.
    ///
    /// # Errors
    /// The server's words.
    fn leftovers(&self) -> Result<Vec<Leftover>, EngineError>;

    /// Removes one of them, if it is still one.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn remove_leftover(&self, leftover: &Leftover) -> Result<(), EngineError>;

    /// Removes a database that [`Self::list`] named and no row knows.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn drop_unknown(&self, listed: &str) -> Result<(), EngineError>;

    /// Removes a role that [`Self::roles`] named and no row knows.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    fn drop_unknown_role(&self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// The server's words.
    fn size(&self, place: &Place) -> Result<u64, EngineError>;

    /// Bytes of a log that is to be worked into the database, where each database has one of its own.
    ///
    /// # Errors
    /// The server's words.
    fn log_size(&self, _: &Place) -> Result<u64, EngineError> {
        Ok(0)
    }

    /// Sessions that the server has open, by the name of the database; none where there is no server.
    ///
    /// # Errors
    /// The server's words.
    fn sessions(&self) -> Result<HashMap<String, usize>, EngineError> {
        Ok(HashMap::new())
    }

    /// Makes connections with the tenant's own rights.
    ///
    /// # Errors
    /// When name or location cannot be.
    fn opener(&self, place: &Place, password: Option<&str>) -> Result<Opener, EngineError>;

    /// A connection that may change the schema.
    ///
    /// # Errors
    /// The server's words.
    fn open_as_owner(&self, place: &Place) -> Result<TenantConn, EngineError>;

    /// Writes a copy of the database, as it is at one moment, while others go on writing.
    ///
    /// # Errors
    /// A missing program, a full disk, the server's words.
    fn dump(&self, place: &Place, tools: CopyTools<'_>, out: &mut dyn Write) -> Result<Dumped, EngineError>;

    /// Makes a database from what [`Self::dump`] wrote. Nobody but the platform can enter it yet; what an
    /// interrupted attempt left under this name goes first.
    ///
    /// # Errors
    /// As [`Self::dump`], and whatever `input` says of itself.
    fn load(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        input: &mut dyn Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError>;

    /// Makes a database that was loaded from a copy of another institution's the one of its own place; does nothing where
    /// the engine tells them apart by their names alone.
    ///
    /// # Errors
    /// When it is neither's.
    fn adopt(&self, _place: &Place, _from: Id) -> Result<(), EngineError> {
        Ok(())
    }

    /// Counts what is in a database.
    ///
    /// # Errors
    /// The server's words.
    fn contents(&self, place: &Place) -> Result<Contents, EngineError>;

    /// For each place a text that differs once the database was written to; `None` where there is no telling. It may
    /// differ without a change, and never stays equal with one.
    ///
    /// # Errors
    /// The server's words.
    fn marks(&self, places: &[Place]) -> Result<Vec<Option<String>>, EngineError>;

    /// How a database stands: what is dead in it, and what has never been done.
    ///
    /// # Errors
    /// The server's words.
    fn condition(&self, place: &Place) -> Result<Condition, EngineError>;

    /// Does something for a database while others use it, one at a time on each server. Whoever holds it is waited for
    /// a moment only: that is an error that passes.
    ///
    /// # Errors
    /// Somebody in the way, no room, the server's words.
    fn tend(&self, place: &Place, act: Act, room: Room<'_>) -> Result<(), EngineError>;

    /// Writes the whole database anew, its statistics too: of rows that were changed or removed nothing is left in its
    /// files. For a database that nobody uses yet.
    ///
    /// # Errors
    /// No room, the server's words.
    fn write_anew(&self, place: &Place) -> Result<(), EngineError>;

    /// Looks into a database for what is wrong with it. Changes nothing.
    ///
    /// # Errors
    /// The server's words.
    fn examine(&self, place: &Place, connection: &mut TenantConn) -> Result<Examined, EngineError>;

    /// Every line of the schema that a database of the present version has; none where that is not known but from
    /// databases themselves.
    ///
    /// # Errors
    /// The engine's words.
    fn expected_shape(&self) -> Result<Option<Vec<String>>, EngineError> {
        Ok(None)
    }

    /// Sessions in tenants' databases that have stood in the middle of a transaction for longer than `in_transaction`, or
    /// idle for longer than `idle`: no pool keeps one for so long. None where there is no server.
    ///
    /// # Errors
    /// The server's words.
    fn strays(&self, _in_transaction: Duration, _idle: Duration) -> Result<Vec<Stray>, EngineError> {
        Ok(Vec::new())
    }

    /// Whether the platform's role may see what tenants' sessions do; without, [`Self::strays`] sees none.
    ///
    /// # Errors
    /// The server's words.
    fn sees_sessions(&self) -> Result<bool, EngineError> {
        Ok(true)
    }

    /// Ends a session that [`Self::strays`] has told of; what it had not committed is taken back. False when it is gone.
    ///
    /// # Errors
    /// The server's words.
    fn end_session(&self, _stray: &Stray) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// How many connections all tenants together may have.
    ///
    /// # Errors
    /// The server's words.
    fn connection_budget(&self, shared_connections: usize) -> Result<usize, EngineError>;

    /// Lets nobody write any more with the tenant's own rights, and waits until whoever did has ended. What has been
    /// read stays readable.
    ///
    /// # Errors
    /// The server's words.
    fn stop_writing(&self, _place: &Place, _permit: Permit<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    /// Takes [`Self::stop_writing`] back; does nothing where the database is gone.
    ///
    /// # Errors
    /// The server's words.
    fn allow_writing(&self, _place: &Place) -> Result<(), EngineError> {
        Ok(())
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    fn facts(&self) -> Result<Facts, EngineError>;

    /// What would keep provisioning from working. Changes nothing.
    ///
    /// # Errors
    /// When nothing can be found out, such as a server that does not answer.
    fn diagnose(&self) -> Result<Vec<Finding>, EngineError>;
}

/// As [`TenantEngine::dump`], of the shared database.
///
/// # Errors
/// As there.
pub fn dump_shared(
    target: &Target,
    tools: CopyTools<'_>,
    out: &mut dyn Write,
) -> Result<Dumped, EngineError> {
    match target {
        Target::Sqlite(path) => sqlite::copy::dump(path, out),
        Target::Postgres(url) => postgres::copy::dump(url, None, tools.folder, out),
    }
}

/// Fills a shared database that is not there yet (SQLite) or empty (PostgreSQL).
///
/// # Errors
/// As [`TenantEngine::load`].
pub fn load_shared(
    target: &Target,
    tools: CopyTools<'_>,
    input: &mut dyn Read,
) -> Result<Contents, EngineError> {
    match target {
        Target::Sqlite(path) => {
            sqlite::copy::load(path, input)?;
            sqlite::copy::contents_of(path)
        }
        Target::Postgres(url) => postgres::copy::load_empty(url, tools.folder, input),
    }
}

/// What was to be copied could not be read.
fn cannot_read(error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::InvalidData => EngineError::permanent(error.to_string()),
        _ => EngineError::transient(format!("The copy could not be read: {error}.")),
    }
}

/// Where a copy was to go, it could not be written.
fn cannot_write(error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::transient(
            "There is no space left on the disk for the copy. Free some space, then try again.",
        ),
        _ => EngineError::transient(format!("The copy could not be written: {error}.")),
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The engine that goes with the shared database.
#[must_use]
pub fn for_target(
    shared: &Target,
    data_dir: &Path,
    prefix: &str,
    platform_id: &str,
    tenant_connections: usize,
    migrations: TenantMigrations,
) -> Box<dyn TenantEngine> {
    match shared {
        Target::Sqlite(_) => Box::new(SqliteEngine::new(data_dir).with_migrations(migrations)),
        Target::Postgres(url) => {
            Box::new(PostgresEngine::new(url, prefix, platform_id, tenant_connections, migrations))
        }
    }
}

/// The schema version as part of a name: letters, digits and `_` only.
fn schema_version(migrations: &TenantMigrations) -> String {
    let letters = migrations.version().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_');
    letters.collect::<String>().to_ascii_lowercase()
}

/// The row that a usable tenant database has exactly one of is written and the write taken back.
fn try_reading_and_writing(connection: &mut TenantConn) -> Result<(), EngineError> {
    use diesel::prelude::*;

    use super::schema_tenant::institution;
    /// Takes the write back.
    enum Outcome {
        Rows(usize),
        Failed(diesel::result::Error),
    }
    impl From<diesel::result::Error> for Outcome {
        fn from(error: diesel::result::Error) -> Self {
            Self::Failed(error)
        }
    }
    let outcome = connection.write_tx::<(), Outcome>(|connection| {
        let rows = diesel::update(institution::table)
            .set(institution::version.eq(institution::version + 1))
            .execute(connection)?;
        Err(Outcome::Rows(rows))
    });
    match outcome {
        Err(Outcome::Rows(1)) => Ok(()),
        Err(Outcome::Rows(rows)) => Err(EngineError::permanent(format!(
            "The new database describes {rows} institutions instead of one. Roll back and try again."
        ))),
        Err(Outcome::Failed(error)) => {
            Err(EngineError::permanent(format!("The new database cannot be read and written: {error}.")))
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn only_harmless_names_become_identifiers() {
        assert_eq!(quote("provost_mit_edu").expect("harmless"), "\"provost_mit_edu\"");
        for bad in ["", "a\"b", "A", "a b", "a;drop", "é", &"a".repeat(64)] {
            assert!(quote(bad).is_err(), "{bad}");
        }
    }
}
