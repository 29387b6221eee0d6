//! The connection to one institution's own database.

use diesel::connection::Connection as _;

use super::{locks::Lock, meter::Watch};

super::connection::connection! {
    /// A connection to one tenant database.
    TenantConn
}

impl TenantConn {
    /// Lets every query be watched from now on.
    pub fn watch(&mut self, watch: Option<Watch>) {
        match (self, watch) {
            (_, None) => {}
            (Self::Postgres(connection), Some(watch)) => connection.set_instrumentation(watch),
            (Self::Sqlite(connection), Some(watch)) => connection.set_instrumentation(watch),
        }
    }

    /// Nothing can be written through this connection from now on.
    ///
    /// # Errors
    /// Any database error.
    pub fn only_read(&mut self) -> diesel::QueryResult<()> {
        use diesel::connection::SimpleConnection as _;
        match self {
            Self::Postgres(connection) => connection.batch_execute("SET default_transaction_read_only = on"),
            Self::Sqlite(connection) => connection.batch_execute("PRAGMA query_only = ON"),
        }
    }

    /// Waits until nobody else migrates this database; held until this session ends. SQLite's own lock on
    /// writers is enough there.
    ///
    /// # Errors
    /// Any database error.
    pub fn lock_for_migration(&mut self) -> diesel::QueryResult<()> {
        if let Self::Postgres(connection) = self { Lock::TenantMigration.hold(connection) } else { Ok(()) }
    }

    /// From now on waits this long for others, and then gives up.
    ///
    /// # Errors
    /// Any database error.
    pub fn wait_for_others(&mut self, most: std::time::Duration) -> diesel::QueryResult<()> {
        use diesel::connection::SimpleConnection as _;
        let milliseconds = most.as_millis();
        match self {
            Self::Postgres(connection) => {
                connection.batch_execute(&format!("SET lock_timeout = '{milliseconds}ms'"))
            }
            Self::Sqlite(connection) => {
                connection.batch_execute(&format!("PRAGMA busy_timeout = {milliseconds}"))
            }
        }
    }
}
