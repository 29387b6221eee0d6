//! Where tenant databases live: one trait, two engines.
//!
//! Every step can be run again: it looks, acts only where something is missing, and refuses to touch
//! what is not this platform's.

mod postgres;
mod scram;
mod sqlite;

use std::{collections::HashMap, path::Path};

pub use postgres::PostgresEngine;
pub use sqlite::SqliteEngine;

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
    /// A folder under the data folder, or the server.
    pub location: String,
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

    /// How many connections all tenants together may have.
    ///
    /// # Errors
    /// The server's words.
    fn connection_budget(&self, shared_connections: usize) -> Result<usize, EngineError>;

    /// What would keep provisioning from working. Changes nothing.
    ///
    /// # Errors
    /// When nothing can be found out, such as a server that does not answer.
    fn diagnose(&self) -> Result<Vec<Finding>, EngineError>;
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
