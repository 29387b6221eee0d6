//! The connection to the shared database: the registry of the platform.

use super::locks::Lock;

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
        if let Self::Postgres(connection) = self { Lock::Start.hold(connection) } else { Ok(()) }
    }

    /// Lets the next node in.
    ///
    /// # Errors
    /// Any database error.
    pub fn unlock_after_start(&mut self) -> diesel::QueryResult<()> {
        if let Self::Postgres(connection) = self { Lock::Start.release(connection) } else { Ok(()) }
    }
}
