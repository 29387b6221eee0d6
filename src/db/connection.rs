//! The shape that both connection types share: open by target, write in one kind of transaction.

use super::Target;

/// A database could not be opened. The text is for the log and the operator, not for visitors.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {target}: {reason}")]
pub struct OpenError {
    target: String,
    reason: String,
}

impl OpenError {
    pub(super) fn new(target: &Target, reason: impl std::fmt::Display) -> Self {
        Self { target: target.to_string(), reason: reason.to_string() }
    }

    /// It was opened, and is not what was asked for.
    #[must_use]
    pub fn unusable(reason: &dyn std::fmt::Display) -> Self {
        Self { target: "the database".into(), reason: reason.to_string() }
    }
}

/// Defines a connection enum over both engines in the calling module.
macro_rules! connection {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(diesel::MultiConnection)]
        pub enum $name {
            /// A PostgreSQL session.
            Postgres(diesel::PgConnection),
            /// A SQLite file.
            Sqlite(diesel::SqliteConnection),
        }

        $crate::db::types::teach_id_to!(MultiBackend);

        impl $name {
            /// Opens an existing database.
            ///
            /// # Errors
            /// When it is missing, unreachable or refuses the credentials.
            pub fn open(target: &$crate::db::Target) -> Result<Self, $crate::db::OpenError> {
                match target {
                    $crate::db::Target::Sqlite(path) => $crate::db::target::open_sqlite(path).map(Self::Sqlite),
                    $crate::db::Target::Postgres(url) => $crate::db::target::open_postgres(url).map(Self::Postgres),
                }
            }

            /// Runs `work` in a write transaction: the only way to write.
            ///
            /// BEGIN IMMEDIATE on SQLite, because a plain BEGIN that reads before it writes fails with
            /// "database is locked" under concurrency. Inside another `write_tx` it is a savepoint.
            ///
            /// # Errors
            /// What `work` or the commit returns; everything is rolled back then.
            pub fn write_tx<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E>
            where
                E: From<diesel::result::Error>,
            {
                use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
                type Manager = <$name as Connection>::TransactionManager;

                let outermost = {
                    let status = Manager::transaction_manager_status_mut(self);
                    matches!(status.transaction_depth(), Ok(None))
                };
                match self {
                    Self::Sqlite(connection) if outermost => {
                        AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
                    }
                    _ => Manager::begin_transaction(self)?,
                }
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(self))) {
                    Ok(Ok(value)) => {
                        Manager::commit_transaction(self)?;
                        Ok(value)
                    }
                    Ok(Err(error)) => {
                        // The first error is the one worth telling; a failed rollback marks the connection broken.
                        let _ = Manager::rollback_transaction(self);
                        Err(error)
                    }
                    Err(panic) => {
                        let _ = Manager::rollback_transaction(self);
                        std::panic::resume_unwind(panic)
                    }
                }
            }

            /// Lets the present transaction commit without waiting for PostgreSQL's disk: a crash of the server may
            /// lose it, never half of it. For notes of what has been done and would only be done again, and for
            /// what a later commit on the same server makes durable. SQLite always waits.
            ///
            /// # Errors
            /// Any database error.
            pub fn commit_without_waiting(&mut self) -> diesel::QueryResult<()> {
                use diesel::connection::SimpleConnection as _;
                if let Self::Postgres(connection) = self {
                    connection.batch_execute("SET LOCAL synchronous_commit = off")?;
                }
                Ok(())
            }

            /// The engine behind this connection.
            #[must_use]
            pub fn engine(&self) -> $crate::db::Engine {
                match self {
                    Self::Postgres(_) => $crate::db::Engine::Postgres,
                    Self::Sqlite(_) => $crate::db::Engine::Sqlite,
                }
            }
        }
    };
}
pub(super) use connection;
