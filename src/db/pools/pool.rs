//! One pool: a gate before the slots that r2d2 keeps.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::r2d2::R2D2Connection;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{
    PoolError, PoolLimits,
    budget::Permit,
    slot::{self, Loan, Slots},
};
use crate::db::{OpenError, lane, meter::Meter};

/// How often a thread that may block looks again for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(3);
/// How long r2d2 may take to make a slot before it is asked anew.
const ASK_AGAIN: Duration = Duration::from_millis(50);

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
pub(super) struct Pool<C: R2D2Connection + 'static> {
    pub(super) limits: PoolLimits,
    open: Box<Open<C>>,
    /// One permit per connection; closed when the pool is retired, which also turns away who waits.
    gate: Arc<Semaphore>,
    /// One permit for each who may be at work at once of those who had to queue.
    crowd: Arc<Semaphore>,
    slots: r2d2::Pool<Slots<C>>,
    /// Counts who had to wait at the gate.
    pub(super) meter: Arc<Meter>,
    /// Since when each place is taken, for finding what is never given back.
    held: Mutex<BTreeMap<u64, Instant>>,
    /// Milliseconds since `born`, for finding the least recently used pool.
    last_used: AtomicU64,
    born: Instant,
}

impl<C: R2D2Connection + 'static> Pool<C> {
    pub(super) fn new(
        limits: PoolLimits,
        meter: Arc<Meter>,
        open: impl Fn() -> Result<C, OpenError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            limits,
            open: Box::new(open),
            gate: Arc::new(Semaphore::new(limits.connections)),
            crowd: Arc::new(Semaphore::new(limits.crowd)),
            slots: slot::pool(limits),
            meter,
            held: Mutex::default(),
            last_used: AtomicU64::new(0),
            born: Instant::now(),
        }
    }

    /// Waits for a place in the pool, and `beside_others` for a turn among those who wait.
    pub(super) async fn enter(
        pool: &Arc<Self>,
        beside_others: bool,
        deadline: Deadline,
    ) -> Result<Entered<C>, PoolError> {
        match Arc::clone(&pool.gate).try_acquire_owned() {
            Ok(place) => return Ok(Self::entered(pool, place, Course::AtOnce)),
            Err(TryAcquireError::Closed) => return Err(PoolError::Stale),
            Err(TryAcquireError::NoPermits) => {}
        }
        let began = Instant::now();
        let queue = async {
            let place = Arc::clone(&pool.gate).acquire_owned().await?;
            let turn = match beside_others {
                true => Some(Arc::clone(&pool.crowd).acquire_owned().await?),
                false => None,
            };
            Ok::<_, AcquireError>((place, turn))
        };
        let outcome = tokio::time::timeout_at(deadline.instant(), queue).await;
        pool.meter.waited(began.elapsed());
        match outcome {
            Ok(Ok((place, turn))) => Ok(Self::entered(pool, place, Course::Queued(turn))),
            Ok(Err(_)) => Err(PoolError::Stale),
            Err(_) => Err(PoolError::Busy),
        }
    }

    /// As [`Self::enter`], on a thread that may block.
    pub(super) fn enter_blocking(pool: &Arc<Self>, deadline: Deadline) -> Result<Entered<C>, PoolError> {
        loop {
            match Arc::clone(&pool.gate).try_acquire_owned() {
                Ok(place) => return Ok(Self::entered(pool, place, Course::AtOnce)),
                Err(TryAcquireError::Closed) => return Err(PoolError::Stale),
                Err(TryAcquireError::NoPermits) if deadline.pause() => {}
                Err(TryAcquireError::NoPermits) => return Err(PoolError::Busy),
            }
        }
    }

    /// As [`Self::enter`], only if an open connection is idle.
    pub(super) fn enter_now(pool: &Arc<Self>) -> Option<Entered<C>> {
        let place = Arc::clone(&pool.gate).try_acquire_owned().ok()?;
        Some(Self::entered(pool, place, Course::AtOnce)).filter(|entered| !entered.needs_new())
    }

    fn entered(pool: &Arc<Self>, permit: OwnedSemaphorePermit, course: Course) -> Entered<C> {
        let used = u64::try_from(pool.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        pool.last_used.store(used, Ordering::Relaxed);
        let mut held = pool.held.lock().unwrap_or_else(PoisonError::into_inner);
        let number = held.last_key_value().map_or(0, |(last, _)| last + 1);
        held.insert(number, Instant::now());
        drop(held);
        let (queued, turn) = match course {
            Course::AtOnce => (false, None),
            Course::Queued(turn) => (true, turn),
        };
        let place = Place { pool: Arc::clone(pool), number, _permit: permit, _turn: turn };
        Entered { loan: pool.slots.try_get(), place, queued }
    }

    /// Refuses everybody from now on; closes what is idle, and what is in use as it comes back.
    pub(super) fn retire(&self) {
        self.gate.close();
        self.crowd.close();
        self.close_idle();
    }

    /// Closes every idle connection; says how many.
    pub(super) fn close_idle(&self) -> usize {
        let mut closed = 0;
        while let Some(mut loan) = self.slots.try_get() {
            let (connection, permit) = (loan.connection.take(), loan.permit.take());
            // The slot goes first, because closing may take its time and others wait for slots.
            drop(loan);
            closed += usize::from(connection.is_some());
            drop(connection);
            drop(permit);
        }
        closed
    }

    pub(super) fn idle(&self) -> usize {
        usize::try_from(self.slots.state().idle_connections).unwrap_or(usize::MAX)
    }

    pub(super) fn in_use(&self) -> usize {
        self.limits.connections.saturating_sub(self.gate.available_permits())
    }

    /// For how long the place that was taken first of all is taken by now.
    pub(super) fn longest_held(&self) -> Duration {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().min().map_or(Duration::ZERO, Instant::elapsed)
    }

    pub(super) fn last_used(&self) -> Instant {
        self.born + Duration::from_millis(self.last_used.load(Ordering::Relaxed))
    }

    /// A slot, made by r2d2 when none is idle. Who has a place never waits for another's.
    fn slot(&self, deadline: Deadline) -> Result<Loan<C>, PoolError> {
        loop {
            // Asked anew, because r2d2 wakes nobody when room is made by closing.
            if let Ok(loan) = self.slots.get_timeout(ASK_AGAIN) {
                return Ok(loan);
            }
            if !deadline.pause() {
                return Err(PoolError::Busy);
            }
        }
    }
}

/// How somebody came to a place: at once, or after a wait, and then perhaps with a turn among those who waited.
enum Course {
    AtOnce,
    Queued(Option<OwnedSemaphorePermit>),
}

/// The right to one connection of a pool.
struct Place<C: R2D2Connection + 'static> {
    pool: Arc<Pool<C>>,
    number: u64,
    _permit: OwnedSemaphorePermit,
    /// Of those who queued.
    _turn: Option<OwnedSemaphorePermit>,
}

impl<C: R2D2Connection + 'static> Drop for Place<C> {
    fn drop(&mut self) {
        self.pool.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        // Whoever retires the pool closes what is idle after the gate: what came back since is closed here.
        if self.pool.gate.is_closed() {
            self.pool.close_idle();
        }
    }
}

/// A place in a pool, with an idle slot if there was one.
pub(super) struct Entered<C: R2D2Connection + 'static> {
    loan: Option<Loan<C>>,
    place: Place<C>,
    /// Every place was taken at first: this database is asked for more than it can do.
    pub(super) queued: bool,
}

impl<C: R2D2Connection + 'static> Entered<C> {
    /// Whether [`Self::connect`] opens a new connection.
    pub(super) fn needs_new(&self) -> bool {
        self.loan.as_ref().is_none_or(|loan| loan.connection.is_none())
    }

    /// Opens, or checks, the connection. Blocks.
    pub(super) fn connect(self, permit: Option<Permit>, deadline: Deadline) -> Result<Pooled<C>, PoolError> {
        let Self { loan, place, .. } = self;
        let mut loan = match loan {
            Some(loan) => loan,
            None => place.pool.slot(deadline)?,
        };
        loan.check();
        if loan.connection.is_none() {
            let opened = (place.pool.open)().map_err(|error| PoolError::Unreachable(error.to_string()))?;
            loan.connection = Some(opened);
        }
        loan.permit = loan.permit.take().or(permit);
        Ok(Pooled { loan, _place: place })
    }
}

/// A connection on loan; it goes back when dropped, or is closed when it is broken.
pub struct Pooled<C: R2D2Connection + 'static> {
    loan: Loan<C>,
    // Dropped after the connection has gone back, so whoever enters next finds it.
    _place: Place<C>,
}

impl<C: R2D2Connection + 'static> Pooled<C> {
    /// For a borrower whose failures are not seen here: the connection is asked whether it lives before its
    /// next use, or a dead one would be handed on and on.
    pub(super) fn unwatched(mut self) -> Self {
        self.loan.suspect = true;
        self
    }
}

impl<C: R2D2Connection + 'static> Deref for Pooled<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.loan.connection.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl<C: R2D2Connection + 'static> DerefMut for Pooled<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.loan.connection.as_mut().unwrap_or_else(|| unreachable!())
    }
}

/// Runs `work` with a connection, which then goes back.
pub(super) fn run<C: R2D2Connection + 'static, T, E>(
    mut connection: Pooled<C>,
    work: impl FnOnce(&mut C) -> Result<T, E>,
) -> Result<T, E> {
    let result = work(&mut connection);
    connection.loan.suspect |= result.is_err();
    result
}

/// Does what blocks where that is allowed. Whoever stops waiting leaves it running. Work that had to queue for its own
/// database gives way to everybody else's: who asks for too much slows down themselves.
pub(super) async fn on_blocking_thread<T, E>(
    queued: bool,
    task: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<PoolError> + Send + 'static,
{
    let task = if queued { lane::in_slow_lane(task) } else { tokio::task::spawn_blocking(task) };
    task.await.unwrap_or_else(|_| Err(PoolError::Panicked.into()))
}
