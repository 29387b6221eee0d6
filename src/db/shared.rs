//! The connection to the shared database: the registry of the platform.

super::connection::connection! {
    /// A connection to the shared database.
    SharedConn
}

impl SharedConn {
    /// Waits until no other node migrates or makes keys. SQLite's own lock on writers is enough there.
    ///
    /// # Errors
    /// Any database error.
    pub fn lock_for_start(&mut self) -> diesel::QueryResult<()> {
        self.start_lock("SELECT pg_advisory_lock(20261121, 2)")
    }

    /// Lets the next node in.
    ///
    /// # Errors
    /// Any database error.
    pub fn unlock_after_start(&mut self) -> diesel::QueryResult<()> {
        self.start_lock("SELECT pg_advisory_unlock(20261121, 2)")
    }

    fn start_lock(&mut self, statement: &str) -> diesel::QueryResult<()> {
        use diesel::RunQueryDsl;
        if let Self::Postgres(connection) = self {
            diesel::sql_query(statement).execute(connection)?;
        }
        Ok(())
    }
}
