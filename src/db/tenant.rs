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

    /// Waits until nobody else migrates this database; held until this session ends. SQLite's own lock on
    /// writers is enough there.
    ///
    /// # Errors
    /// Any database error.
    pub fn lock_for_migration(&mut self) -> diesel::QueryResult<()> {
        if let Self::Postgres(connection) = self { Lock::TenantMigration.hold(connection) } else { Ok(()) }
    }
}
