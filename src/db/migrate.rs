//! Schema migrations of both kinds of database, embedded in the binary. Those of tenants are values of their own:
//! [`TenantMigrations`].

use diesel::{
    backend::Backend,
    migration::{MigrationConnection, MigrationSource},
    pg::Pg,
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{shared::SharedConn, tenant::TenantConn, tenant_migrations::TenantMigrations};

const SHARED_POSTGRES: EmbeddedMigrations = embed_migrations!("migrations_shared/postgres");
const SHARED_SQLITE: EmbeddedMigrations = embed_migrations!("migrations_shared/sqlite");

/// Why a migration did not run; for the log and the operator.
#[derive(Debug, thiserror::Error)]
#[error("migration failed: {0}")]
pub struct MigrateError(String);

/// A database whose schema this binary knows how to bring up to date.
pub trait Migrate {
    /// Applies what is pending, each migration in its own transaction; returns their names.
    ///
    /// # Errors
    /// The database's own words; what ran before the failing migration stays applied.
    fn migrate(&mut self) -> Result<Vec<String>, MigrateError>;

    /// Names of the migrations that [`Migrate::migrate`] would apply. Changes nothing but the table it keeps.
    ///
    /// # Errors
    /// The database's own words.
    fn pending(&mut self) -> Result<Vec<String>, MigrateError>;

    /// Takes back every migration, newest first; for tests and development.
    ///
    /// # Errors
    /// As [`Migrate::migrate`].
    fn revert_all(&mut self) -> Result<(), MigrateError>;
}

impl Migrate for SharedConn {
    fn migrate(&mut self) -> Result<Vec<String>, MigrateError> {
        match self {
            Self::Postgres(connection) => run::<Pg, _>(connection, SHARED_POSTGRES),
            Self::Sqlite(connection) => run::<Sqlite, _>(connection, SHARED_SQLITE),
        }
    }

    fn pending(&mut self) -> Result<Vec<String>, MigrateError> {
        match self {
            Self::Postgres(connection) => pending::<Pg, _>(connection, SHARED_POSTGRES),
            Self::Sqlite(connection) => pending::<Sqlite, _>(connection, SHARED_SQLITE),
        }
    }

    fn revert_all(&mut self) -> Result<(), MigrateError> {
        match self {
            Self::Postgres(connection) => revert::<Pg, _>(connection, SHARED_POSTGRES),
            Self::Sqlite(connection) => revert::<Sqlite, _>(connection, SHARED_SQLITE),
        }
    }
}

impl Migrate for TenantConn {
    fn migrate(&mut self) -> Result<Vec<String>, MigrateError> {
        TenantMigrations::embedded().build(self).map_err(told)
    }

    fn pending(&mut self) -> Result<Vec<String>, MigrateError> {
        TenantMigrations::embedded().pending(self).map_err(told)
    }

    fn revert_all(&mut self) -> Result<(), MigrateError> {
        let course = TenantMigrations::embedded().revert_to(self, "", &|| Ok(()));
        course.failure.map_or(Ok(()), |failure| Err(told(failure)))
    }
}

/// The shared schema version this binary was built with.
///
/// # Errors
/// When the binary embeds no migration.
pub fn shared_schema_version() -> Result<String, MigrateError> {
    let migrations = MigrationSource::<Sqlite>::migrations(&SHARED_SQLITE).map_err(told)?;
    let names = migrations.iter().map(|migration| migration.name().to_string());
    names.max().ok_or_else(|| MigrateError("no shared migration is embedded".into()))
}

fn run<DB: Backend, C>(connection: &mut C, source: EmbeddedMigrations) -> Result<Vec<String>, MigrateError>
where
    C: MigrationHarness<DB> + MigrationConnection + diesel::Connection<Backend = DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let versions = connection.run_pending_migrations(source).map_err(told)?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

fn pending<DB: Backend, C>(
    connection: &mut C,
    source: EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError>
where
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let pending = connection.pending_migrations(source).map_err(told)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn revert<DB: Backend, C>(connection: &mut C, source: EmbeddedMigrations) -> Result<(), MigrateError>
where
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    connection.revert_all_migrations(source).map_err(told)?;
    Ok(())
}

fn told(error: impl std::fmt::Display) -> MigrateError {
    MigrateError(error.to_string())
}
