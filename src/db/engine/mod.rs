//! Where tenant databases live: one trait, two engines.
//!
//! Every step can be run again: it looks, acts only where something is missing, and refuses to touch
//! what is not this platform's.

mod copies;
mod error;
mod found;
mod place;
mod postgres;
mod scram;
mod sqlite;
pub mod transfer;
mod trial;
mod upkeep;

use std::{
    collections::HashMap,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

pub use copies::{Contents, CopyTools, Dumped, dump_shared, load_shared};
pub use error::EngineError;
pub use found::{Facts, Finding, Leftover, LeftoverKind};
pub use place::{HOME, Place};
pub use postgres::PostgresEngine;
pub use sqlite::SqliteEngine;
pub use upkeep::{Act, Condition, Examined, Room, Stray, Wish};

use self::{
    error::{cannot_read, cannot_write},
    place::{MAX_NAME_BYTES, quote},
    trial::try_reading_and_writing,
};
use super::{Engine, Id, OpenError, Target, tenant::TenantConn, tenant_migrations::TenantMigrations};

/// Opens connections to one tenant's database.
pub type Opener = Box<dyn Fn() -> Result<TenantConn, OpenError> + Send + Sync>;

/// Asked when nobody else can act on the same place any more, right before something is made or removed:
/// whether the caller may still act, or another has taken over meanwhile.
pub type Permit<'a> = &'a dyn Fn() -> Result<(), EngineError>;

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
