//! Connection pools: one for the shared database, one per tenant, opened on demand.

/// No connection could be had; each variant is a different thing to tell a person.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Every connection of this database is busy and none came free in time.
    #[error("every connection of this database is busy")]
    Busy,
    /// The platform's connection budget is spent and nothing idle can be closed.
    #[error("the platform's connection budget is spent")]
    BudgetSpent,
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Unreachable(String),
    /// The handle is older than the tenant's present generation (suspended, moved, restored, deleted).
    #[error("this handle to the tenant is out of date")]
    Stale,
    /// The work panicked; the connection is gone.
    #[error("the work on the database panicked")]
    Panicked,
}
