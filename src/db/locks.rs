//! The advisory locks of this program on PostgreSQL, all in one place so that no number means two things.
//!
//! They are per database: what the shared database locks concerns the platform, a tenant's own concerns that
//! institution alone. SQLite needs none of them, because it has one writer at a time.

use diesel::{PgConnection, QueryResult, RunQueryDsl, sql_types::Integer};

/// The first number of every lock.
const SPACE: i32 = 20_261_121;

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Appending to the audit log.
    AuditChain = 1,
    /// Migrating the shared database and making keys, at the start of a node.
    Start = 2,
    /// Migrating a tenant database.
    TenantMigration = 3,
    /// Who owns an institution.
    Owners = 4,
    /// Who runs the platform.
    PlatformAdmins = 5,
    /// Adding up the figures of all nodes.
    Figures = 50,
    /// How much an institution holds, while it is counted and added to.
    Quota = 20,
    /// Beginning to migrate the fleet.
    Rollouts = 6,
}

impl Lock {
    /// Waits for the lock and holds it until the transaction ends.
    ///
    /// # Errors
    /// Any database error.
    pub fn hold_in_transaction(self, connection: &mut PgConnection) -> QueryResult<()> {
        self.call("SELECT pg_advisory_xact_lock($1, $2)", connection)
    }

    /// Waits for the lock and holds it until [`Self::release`] or the end of the session.
    ///
    /// # Errors
    /// Any database error.
    pub fn hold(self, connection: &mut PgConnection) -> QueryResult<()> {
        self.call("SELECT pg_advisory_lock($1, $2)", connection)
    }

    /// Lets the next one in.
    ///
    /// # Errors
    /// Any database error.
    pub fn release(self, connection: &mut PgConnection) -> QueryResult<()> {
        self.call("SELECT pg_advisory_unlock($1, $2)", connection)
    }

    fn call(self, statement: &str, connection: &mut PgConnection) -> QueryResult<()> {
        diesel::sql_query(statement)
            .bind::<Integer, _>(SPACE)
            .bind::<Integer, _>(self as i32)
            .execute(connection)?;
        Ok(())
    }
}
