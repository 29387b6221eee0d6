//! What r2d2 keeps: a slot for one connection, which whoever borrows it fills.

use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use diesel::r2d2::R2D2Connection;
use r2d2::{ManageConnection, NopErrorHandler};
use scheduled_thread_pool::ScheduledThreadPool;

use super::{PoolLimits, budget::Permit};

/// Idle for longer than this, a connection is asked whether it still lives before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// For all pools together: on them r2d2 makes empty slots and closes what has been idle for too long.
static THREADS: LazyLock<Arc<ScheduledThreadPool>> = LazyLock::new(|| {
    Arc::new(ScheduledThreadPool::builder().num_threads(2).thread_name_pattern("pools-{}").build())
});

/// A slot on loan.
pub(super) type Loan<C> = r2d2::PooledConnection<Slots<C>>;

/// Room for one connection and its share of the budget.
pub(super) struct Slot<C> {
    /// Nothing until the first borrower opens it; a slot that comes back empty is dropped.
    pub(super) connection: Option<C>,
    // Dropped, and with it given to another, after the connection is closed.
    pub(super) permit: Option<Permit>,
    since: Instant,
    /// The work on it failed: it is asked whether it lives before its next use.
    pub(super) suspect: bool,
}

impl<C: R2D2Connection> Slot<C> {
    /// Lets go of a connection that died while it was idle. Blocks.
    pub(super) fn check(&mut self) {
        let trusted = !self.suspect && self.since.elapsed() < TRUSTED_FOR;
        self.connection.take_if(|connection| !trusted && connection.ping().is_err());
        self.suspect = false;
    }
}

/// Tells r2d2 about slots.
pub(super) struct Slots<C>(PhantomData<fn() -> C>);

impl<C: R2D2Connection + 'static> ManageConnection for Slots<C> {
    type Connection = Slot<C>;
    type Error = Infallible;

    /// Neither blocks nor fails: r2d2 would try again without end, on threads that all tenants share.
    fn connect(&self) -> Result<Slot<C>, Infallible> {
        Ok(Slot { connection: None, permit: None, since: Instant::now(), suspect: false })
    }

    /// Not where a slot is taken out, which must not block, but in [`Slot::check`].
    fn is_valid(&self, _: &mut Slot<C>) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, slot: &mut Slot<C>) -> bool {
        slot.since = Instant::now();
        let wanted = slot.permit.as_ref().is_some_and(Permit::is_wanted);
        std::thread::panicking() || wanted || slot.connection.as_mut().is_none_or(C::is_broken)
    }
}

/// An r2d2 pool that holds nothing yet.
pub(super) fn pool<C: R2D2Connection + 'static>(limits: PoolLimits) -> r2d2::Pool<Slots<C>> {
    r2d2::Pool::builder()
        .max_size(u32::try_from(limits.connections).unwrap_or(u32::MAX).max(1))
        .min_idle(Some(0))
        .idle_timeout(Some(limits.idle.max(Duration::from_secs(1))))
        .test_on_check_out(false)
        .error_handler(Box::new(NopErrorHandler))
        .thread_pool(Arc::clone(&THREADS))
        .build_unchecked(Slots(PhantomData))
}
