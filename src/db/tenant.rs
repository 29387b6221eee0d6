//! The connection to one institution's own database.

use super::locks::Lock;

super::connection::connection! {
    /// A connection to one tenant database.
    TenantConn
}

impl TenantConn {
    /// Waits until nobody else migrates this database; held until this session ends. SQLite's own lock on
    /// writers is enough there.
    ///
    /// # Errors
    /// Any database error.
    pub fn lock_for_migration(&mut self) -> diesel::QueryResult<()> {
        if let Self::Postgres(connection) = self { Lock::TenantMigration.hold(connection) } else { Ok(()) }
    }
}
