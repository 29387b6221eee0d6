//! The platform's connection budget: every tenant connection carries one permit of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PoolError, pool::Deadline};

/// Permits for as many connections as the server, or the limit of open files, bears.
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    pub(super) total: usize,
    /// How many wait for a permit: then a connection that comes back is closed, not kept.
    waiting: Arc<AtomicUsize>,
}

/// The right to one open connection; given back when dropped.
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
    waiting: Arc<AtomicUsize>,
}

impl Permit {
    /// Whether somebody waits for a permit.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }
}

/// Counts one who waits, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Budget {
    pub(super) fn new(total: usize) -> Self {
        let total = total.max(1);
        Self { permits: Arc::new(Semaphore::new(total)), total, waiting: Arc::default() }
    }

    pub(super) fn used(&self) -> usize {
        self.total - self.permits.available_permits()
    }

    /// A permit at once, if one is free.
    fn try_take(&self) -> Option<Permit> {
        Arc::clone(&self.permits).try_acquire_owned().ok().map(|permit| self.permit(permit))
    }

    /// A permit; `reclaim` closes idle connections, on a blocking thread, when none is free.
    pub(super) async fn take(
        &self,
        deadline: Deadline,
        reclaim: impl FnOnce() + Send + 'static,
    ) -> Result<Permit, PoolError> {
        if let Some(permit) = self.try_take() {
            return Ok(permit);
        }
        // Counted before reclaiming: a connection that comes back later is closed, one that came back
        // earlier is found by `reclaim`.
        let _waiting = Waiting::new(&self.waiting);
        let reclaimed = tokio::task::spawn_blocking(reclaim);
        if reclaimed.await.is_err() {
            return Err(PoolError::Panicked);
        }
        match tokio::time::timeout_at(deadline.instant(), Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.permit(permit)),
            _ => Err(PoolError::BudgetSpent),
        }
    }

    /// As [`Self::take`], on a thread that may block.
    pub(super) fn take_blocking(
        &self,
        deadline: Deadline,
        reclaim: impl FnOnce(),
    ) -> Result<Permit, PoolError> {
        if let Some(permit) = self.try_take() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        reclaim();
        loop {
            if let Some(permit) = self.try_take() {
                return Ok(permit);
            }
            if !deadline.pause() {
                return Err(PoolError::BudgetSpent);
            }
        }
    }

    fn permit(&self, permit: OwnedSemaphorePermit) -> Permit {
        Permit { _permit: permit, waiting: Arc::clone(&self.waiting) }
    }
}
