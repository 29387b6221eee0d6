//! One pool: a gate before a stack of idle connections.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{PoolError, PoolLimits, budget::Permit};
use crate::db::{OpenError, connection::Reusable};

/// Idle for longer than this, a connection is asked whether it still lives before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How often a thread that may block looks again for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// The moment after which a wait is given up.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    pub(super) fn instant(self) -> tokio::time::Instant {
        self.0.into()
    }

    /// Sleeps a moment; false when there is no time left.
    pub(super) fn pause(self) -> bool {
        let left = self.0.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(LOOK_AGAIN));
        !left.is_zero()
    }
}

type Open<C> = dyn Fn() -> Result<C, OpenError> + Send + Sync;

/// Connections of one database.
pub(super) struct Pool<C> {
    pub(super) limits: PoolLimits,
    open: Box<Open<C>>,
    /// One permit per connection; closed when the pool is retired, which also turns away who waits.
    gate: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<C>>>,
    /// Milliseconds since `born`, for finding the least recently used pool.
    last_used: AtomicU64,
    born: Instant,
}

struct Idle<C> {
    connection: C,
    permit: Option<Permit>,
    since: Instant,
    suspect: bool,
}

impl<C: Reusable> Pool<C> {
    pub(super) fn new(
        limits: PoolLimits,
        open: impl Fn() -> Result<C, OpenError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            limits,
            open: Box::new(open),
            gate: Arc::new(Semaphore::new(limits.connections)),
            idle: Mutex::default(),
            last_used: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    /// Waits for a place in the pool.
    pub(super) async fn enter(pool: &Arc<Self>, deadline: Deadline) -> Result<Entered<C>, PoolError> {
        let gate = Arc::clone(&pool.gate).acquire_owned();
        match tokio::time::timeout_at(deadline.instant(), gate).await {
            Ok(Ok(place)) => Ok(Self::entered(pool, place)),
            Ok(Err(_)) => Err(PoolError::Stale),
            Err(_) => Err(PoolError::Busy),
        }
    }

    /// As [`Self::enter`], on a thread that may block.
    pub(super) fn enter_blocking(pool: &Arc<Self>, deadline: Deadline) -> Result<Entered<C>, PoolError> {
        loop {
            match Arc::clone(&pool.gate).try_acquire_owned() {
                Ok(place) => return Ok(Self::entered(pool, place)),
                Err(TryAcquireError::Closed) => return Err(PoolError::Stale),
                Err(TryAcquireError::NoPermits) if deadline.pause() => {}
                Err(TryAcquireError::NoPermits) => return Err(PoolError::Busy),
            }
        }
    }

    fn entered(pool: &Arc<Self>, place: OwnedSemaphorePermit) -> Entered<C> {
        let used = u64::try_from(pool.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        pool.last_used.store(used, Ordering::Relaxed);
        let idle = pool.idle_connections().pop();
        Entered { pool: Arc::clone(pool), idle, place }
    }

    /// Refuses everybody from now on; closes what is idle, and what is in use as it comes back.
    pub(super) fn retire(&self) {
        self.gate.close();
        self.take_idle();
    }

    /// Takes the idle connections out, for the caller to drop: closing may write to disk.
    pub(super) fn close_idle_for(&self, time: Duration) {
        let old: Vec<_> =
            self.idle_connections().extract_if(.., |idle| idle.since.elapsed() >= time).collect();
        drop(old);
    }

    /// Closes every idle connection; says how many.
    pub(super) fn take_idle(&self) -> usize {
        let taken = std::mem::take(&mut *self.idle_connections());
        taken.len()
    }

    pub(super) fn idle(&self) -> usize {
        self.idle_connections().len()
    }

    pub(super) fn in_use(&self) -> usize {
        self.limits.connections.saturating_sub(self.gate.available_permits())
    }

    pub(super) fn last_used(&self) -> Instant {
        self.born + Duration::from_millis(self.last_used.load(Ordering::Relaxed))
    }

    fn idle_connections(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_back(&self, idle: Idle<C>) {
        let mut stack = self.idle_connections();
        // Checked under the lock: whoever retires the pool empties the stack after closing the gate.
        if !self.gate.is_closed() {
            stack.push(idle);
        }
    }
}

/// A place in a pool, with an idle connection if there was one.
pub(super) struct Entered<C: Reusable> {
    pool: Arc<Pool<C>>,
    idle: Option<Idle<C>>,
    place: OwnedSemaphorePermit,
}

impl<C: Reusable> Entered<C> {
    /// Whether [`Self::connect`] opens a new connection.
    pub(super) fn needs_new(&self) -> bool {
        self.idle.is_none()
    }

    /// Opens, or checks, the connection. Blocks.
    pub(super) fn connect(self, permit: Option<Permit>) -> Result<Pooled<C>, PoolError> {
        let Self { pool, idle, place } = self;
        let mut permit = permit;
        let mut living = None;
        if let Some(mut idle) = idle {
            let trusted = !idle.suspect && idle.since.elapsed() < TRUSTED_FOR;
            let alive = trusted || idle.connection.is_alive();
            permit = idle.permit;
            living = alive.then_some(idle.connection);
        }
        let connection = match living {
            Some(connection) => connection,
            None => (pool.open)().map_err(|error| PoolError::Unreachable(error.to_string()))?,
        };
        let idle = Idle { connection, permit, since: Instant::now(), suspect: false };
        Ok(Pooled { loan: Some(idle), pool, _place: place })
    }
}

/// A connection on loan; it goes back when dropped, or is closed when it is broken.
pub struct Pooled<C: Reusable> {
    /// Taken by `drop` alone.
    loan: Option<Idle<C>>,
    pool: Arc<Pool<C>>,
    // Dropped after `drop` has put the connection back, so whoever enters next finds it.
    _place: OwnedSemaphorePermit,
}

impl<C: Reusable> Pooled<C> {
    /// Has the connection checked before its next use, because the work on it failed.
    fn suspect(&mut self) {
        if let Some(loan) = &mut self.loan {
            loan.suspect = true;
        }
    }
}

impl<C: Reusable> Deref for Pooled<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.loan.as_ref().unwrap_or_else(|| unreachable!()).connection
    }
}

impl<C: Reusable> DerefMut for Pooled<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.loan.as_mut().unwrap_or_else(|| unreachable!()).connection
    }
}

impl<C: Reusable> Drop for Pooled<C> {
    fn drop(&mut self) {
        let Some(mut loan) = self.loan.take() else { return };
        let wanted = loan.permit.as_ref().is_some_and(Permit::is_wanted);
        if std::thread::panicking() || loan.connection.is_broken() || wanted {
            return;
        }
        loan.since = Instant::now();
        self.pool.put_back(loan);
    }
}

/// Runs `work` with a connection where blocking is allowed. Whoever stops waiting leaves it running.
pub(super) async fn on_blocking_thread<C, T, E>(
    connect: impl FnOnce() -> Result<Pooled<C>, PoolError> + Send + 'static,
    work: impl FnOnce(&mut C) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    C: Reusable,
    T: Send + 'static,
    E: From<PoolError> + Send + 'static,
{
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = connect()?;
        let result = work(&mut connection);
        if result.is_err() {
            connection.suspect();
        }
        result
    });
    task.await.unwrap_or_else(|_| Err(PoolError::Panicked.into()))
}

/// Calls `work` again and again on a thread of its own, until it answers false.
pub(super) fn every(pause: Duration, work: impl Fn() -> bool + Send + 'static) {
    let pause = pause.max(Duration::from_millis(100));
    let spawned = std::thread::Builder::new().name("pools".into()).spawn(move || {
        loop {
            std::thread::sleep(pause);
            if !work() {
                return;
            }
        }
    });
    if let Err(error) = spawned {
        log::warn!("Idle database connections will not be closed: no thread could be started: {error}");
    }
}
