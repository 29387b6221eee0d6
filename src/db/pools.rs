//! Connection pools: one for the shared database, one per tenant, opened on demand.
//!
//! A pool here is a gate (as many permits as it may have connections, with a time limit) before an r2d2
//! pool and, for tenants, a platform-wide budget. r2d2 keeps the connections, closes them when they are
//! old or long idle, and drops those that come back broken, on a few threads shared by all pools. It does
//! not open them: that is done on the thread of the work that needs one, so a database that does not
//! answer delays its own callers only, and nothing tries it again behind their backs.

mod budget;
mod company;
mod pool;
mod slot;
mod tenants;

use std::{sync::Arc, time::Duration};

pub use pool::Pooled;
use pool::{Deadline, Pool};
pub use tenants::{PoolStatistics, TenantDb, TenantPoolStatistics, TenantPools};

use super::{Target, meter::Meter, shared::SharedConn};

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

/// How large a pool may grow, and how long it waits and keeps.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Connections at most.
    pub connections: usize,
    /// Longest wait for a connection.
    pub wait: Duration,
    /// Connections unused for this long are closed.
    pub idle: Duration,
    /// Of those who had to wait for a connection, so many are at work at once while other databases are asked as well.
    pub crowd: usize,
}

/// The pool of the shared database. It has connections of its own, outside the tenants' budget, so that
/// busy tenants cannot starve the control plane.
#[derive(Clone)]
pub struct SharedPool(Arc<Pool<SharedConn>>);

impl SharedPool {
    /// A pool that opens nothing yet.
    #[must_use]
    pub fn new(target: Target, limits: PoolLimits) -> Self {
        Self::metered(target, limits, Arc::default())
    }

    /// As [`Self::new`]; `meter` counts who had to wait.
    #[must_use]
    pub fn metered(target: Target, limits: PoolLimits, meter: Arc<Meter>) -> Self {
        Self(Arc::new(Pool::new(limits, meter, move || SharedConn::open(&target))))
    }

    /// Runs `work` on a blocking thread with a connection: the only way from async code to the database.
    ///
    /// # Errors
    /// What `work` returns, or why there was no connection.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut SharedConn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PoolError> + Send + 'static,
    {
        self.run_then(work, |found| found).await
    }

    /// As [`Self::run`]; `then` follows on the same thread, when the connection has gone back.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_then<T, U, E, F>(
        &self,
        work: F,
        then: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U, E>
    where
        F: FnOnce(&mut SharedConn) -> Result<T, E> + Send + 'static,
        U: Send + 'static,
        E: From<PoolError> + Send + 'static,
    {
        let deadline = Deadline::after(self.0.limits.wait);
        let entered = Pool::enter(&self.0, false, deadline).await?;
        // Everybody's requests begin here: nobody gives way.
        let task = move || pool::run(entered.connect(None, deadline)?, work).map(then);
        pool::on_blocking_thread(false, task).await
    }

    /// A connection for a thread that may block: command line, workers. Async code uses [`Self::run`].
    ///
    /// # Errors
    /// Why there was no connection.
    pub fn get(&self) -> Result<Pooled<SharedConn>, PoolError> {
        let deadline = Deadline::after(self.0.limits.wait);
        Ok(Pool::enter_blocking(&self.0, deadline)?.connect(None, deadline)?.unwatched())
    }

    /// Closes what is idle and refuses new work; what is running finishes.
    pub fn close(&self) {
        self.0.retire();
    }

    /// Connections in use and idle.
    #[must_use]
    pub fn in_use_and_idle(&self) -> (usize, usize) {
        (self.0.in_use(), self.0.idle())
    }
}
