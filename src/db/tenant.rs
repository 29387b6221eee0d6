//! The connection to one institution's own database.

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
        use diesel::RunQueryDsl;
        if let Self::Postgres(connection) = self {
            diesel::sql_query("SELECT pg_advisory_lock(20261121, 3)").execute(connection)?;
        }
        Ok(())
    }
}
