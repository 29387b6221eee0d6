//! The pools of all tenants, opened on demand, within one budget.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::{
    PoolError, PoolLimits, Pooled,
    budget::{Budget, Permit},
    company::Company,
    pool::{self, Deadline, Entered, Pool},
};
use crate::db::{
    Id, OpenError,
    meter::{Meter, Meters},
    tenant::TenantConn,
};

/// A pool per tenant that was asked for since the start. Cheap to clone.
#[derive(Clone)]
pub struct TenantPools(Arc<Core>);

struct Core {
    limits: PoolLimits,
    /// Of the files and the server that the configuration names.
    budget: Arc<Budget>,
    /// Of each other server.
    others: Mutex<HashMap<Id, Arc<Budget>>>,
    meters: Arc<Meters>,
    pools: Mutex<HashMap<Id, Generation>>,
    /// Who asks at present.
    company: Company,
    /// Refused by now; somebody may still be at work in them.
    retired: Mutex<Vec<(Id, Weak<Pool<TenantConn>>)>>,
}

struct Generation {
    number: i64,
    pool: Arc<Pool<TenantConn>>,
    budget: Arc<Budget>,
}

/// A handle to one tenant's database at one generation. Once a newer generation is known, it is refused.
#[derive(Clone)]
pub struct TenantDb {
    institution_id: Id,
    core: Arc<Core>,
    pool: Arc<Pool<TenantConn>>,
    budget: Arc<Budget>,
}

/// What the pools hold at this moment.
#[derive(Debug, Clone)]
pub struct PoolStatistics {
    /// Tenant connections open.
    pub used: usize,
    /// Tenant connections allowed.
    pub budget: usize,
    /// Tenants with at least one open connection, the most recently used first.
    pub tenants: Vec<TenantPoolStatistics>,
}

/// What one tenant's pool holds.
#[derive(Debug, Clone, Copy)]
pub struct TenantPoolStatistics {
    /// Whose.
    pub institution_id: Id,
    /// Connections at work.
    pub in_use: usize,
    /// Connections kept for the next request.
    pub idle: usize,
    /// Connections allowed.
    pub most: usize,
    /// Since the last use.
    pub seconds_since_use: u64,
    /// How long the connection that was taken first of all is held by now.
    pub seconds_held: u64,
}

impl TenantPools {
    /// No pools yet; `budget` is the number of connections that all tenants together may have.
    #[must_use]
    pub fn new(limits: PoolLimits, budget: usize) -> Self {
        Self::metered(limits, budget, Arc::default())
    }

    /// As [`Self::new`]; `meters` count what each tenant asks for.
    #[must_use]
    pub fn metered(limits: PoolLimits, budget: usize, meters: Arc<Meters>) -> Self {
        Self(Arc::new(Core {
            limits,
            budget: Arc::new(Budget::new(budget)),
            others: Mutex::default(),
            meters,
            pools: Mutex::default(),
            company: Company::default(),
            retired: Mutex::default(),
        }))
    }

    /// The handle to a tenant whose pool exists at this generation. An older pool is retired.
    ///
    /// # Errors
    /// `Stale` when a newer generation is known already.
    pub fn find(&self, institution_id: Id, generation: i64) -> Result<Option<TenantDb>, PoolError> {
        let mut pools = self.0.pools();
        match pools.get(&institution_id) {
            Some(known) if known.number == generation => Ok(Some(self.handle(institution_id, known))),
            Some(known) if known.number > generation => Err(PoolError::Stale),
            Some(_) => {
                let old = pools.remove(&institution_id);
                drop(pools);
                if let Some(old) = old {
                    self.0.let_go(institution_id, &old.pool);
                }
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The handle to a tenant at this generation; `open` makes its connections.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn open(
        &self,
        institution_id: Id,
        generation: i64,
        open: impl Fn() -> Result<TenantConn, OpenError> + Send + Sync + 'static,
    ) -> Result<TenantDb, PoolError> {
        self.open_within(&self.0.budget, institution_id, generation, open)
    }

    /// As [`Self::open`], on a server that bears so many connections of its own.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn open_on(
        &self,
        (server, most): (Id, usize),
        institution_id: Id,
        generation: i64,
        open: impl Fn() -> Result<TenantConn, OpenError> + Send + Sync + 'static,
    ) -> Result<TenantDb, PoolError> {
        let budget = {
            let mut others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
            let known = others.entry(server).or_insert_with(|| Arc::new(Budget::new(most)));
            if known.total != most.max(1) {
                *known = Arc::new(Budget::new(most));
            }
            Arc::clone(known)
        };
        self.open_within(&budget, institution_id, generation, open)
    }

    fn open_within(
        &self,
        budget: &Arc<Budget>,
        institution_id: Id,
        generation: i64,
        open: impl Fn() -> Result<TenantConn, OpenError> + Send + Sync + 'static,
    ) -> Result<TenantDb, PoolError> {
        if let Some(found) = self.find(institution_id, generation)? {
            return Ok(found);
        }
        let mut pools = self.0.pools();
        // Another request may have opened it meanwhile: one pool per tenant.
        if let Some(known) = pools.get(&institution_id).filter(|known| known.number >= generation) {
            return Ok(self.handle(institution_id, known));
        }
        let (meters, meter) = (Arc::clone(&self.0.meters), self.0.meters.tenant(institution_id));
        let watched = Arc::clone(&meter);
        let open = move || {
            open().map(|mut connection| {
                connection.watch(meters.watch(&watched));
                connection
            })
        };
        let pool = Arc::new(Pool::new(self.0.limits, meter, open));
        let newest = Generation { number: generation, pool, budget: Arc::clone(budget) };
        let handle = self.handle(institution_id, &newest);
        if let Some(old) = pools.insert(institution_id, newest) {
            self.0.let_go(institution_id, &old.pool);
        }
        Ok(handle)
    }

    /// Waits until nobody is at work any more with a handle that was refused since; false when that takes longer than
    /// `most`. Blocks.
    #[must_use]
    pub fn is_settled(&self, institution_id: Id, most: Duration) -> bool {
        let deadline = Deadline::after(most);
        loop {
            let busy = {
                let mut retired = self.0.retired.lock().unwrap_or_else(PoisonError::into_inner);
                retired.retain(|(_, pool)| pool.strong_count() > 0);
                let of_tenant = retired.iter().filter(|(id, _)| *id == institution_id);
                of_tenant.filter_map(|(_, pool)| pool.upgrade()).any(|pool| pool.in_use() > 0)
            };
            if !busy {
                return true;
            }
            if !deadline.pause() {
                return false;
            }
        }
    }

    /// Refuses every handle to this tenant that was given out by this process, and lets its connections go.
    pub fn retire(&self, institution_id: Id) {
        let old = self.0.pools().remove(&institution_id);
        if let Some(old) = old {
            self.0.let_go(institution_id, &old.pool);
        }
    }

    /// Closes everything that is idle and refuses new work; what is running finishes.
    pub fn close(&self) {
        let all = std::mem::take(&mut *self.0.pools());
        for known in all.values() {
            known.pool.retire();
        }
    }

    /// Figures for the page of databases.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        let mut tenants: Vec<_> = self
            .0
            .pools()
            .iter()
            .map(|(id, known)| TenantPoolStatistics {
                institution_id: *id,
                in_use: known.pool.in_use(),
                idle: known.pool.idle(),
                most: known.pool.limits.connections,
                seconds_since_use: known.pool.last_used().elapsed().as_secs(),
                seconds_held: known.pool.longest_held().as_secs(),
            })
            .filter(|tenant| tenant.in_use + tenant.idle > 0)
            .collect();
        tenants.sort_by_key(|tenant| tenant.seconds_since_use);
        let others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        let budgets = || others.values().chain([&self.0.budget]);
        let used = budgets().map(|budget| budget.used()).sum();
        PoolStatistics { used, budget: budgets().map(|budget| budget.total).sum(), tenants }
    }

    fn handle(&self, institution_id: Id, known: &Generation) -> TenantDb {
        TenantDb {
            institution_id,
            core: Arc::clone(&self.0),
            pool: Arc::clone(&known.pool),
            budget: Arc::clone(&known.budget),
        }
    }
}

impl TenantDb {
    /// Whose database it is.
    #[must_use]
    pub fn institution_id(&self) -> Id {
        self.institution_id
    }

    /// What is counted of this tenant.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.pool.meter)
    }

    /// Runs `work` on a blocking thread with a connection to this tenant's database.
    ///
    /// # Errors
    /// What `work` returns, or why there was no connection.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut TenantConn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<PoolError> + Send + 'static,
    {
        let deadline = Deadline::after(self.pool.limits.wait);
        let beside_others = self.core.company.joins(self.institution_id);
        let entered = Pool::enter(&self.pool, beside_others, deadline).await?;
        let permit = self.permit(&entered, deadline).await?;
        let queued = entered.queued;
        pool::on_blocking_thread(queued, move || pool::run(entered.connect(permit, deadline)?, work)).await
    }

    /// As [`Self::run`], on a thread that may block. `None`, and nothing done, when no open connection is idle:
    /// then [`Self::run`] waits without a thread.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_now<T, E>(&self, work: impl FnOnce(&mut TenantConn) -> Result<T, E>) -> Option<Result<T, E>>
    where
        E: From<PoolError>,
    {
        self.core.company.joins(self.institution_id);
        let entered = Pool::enter_now(&self.pool)?;
        let deadline = Deadline::after(self.pool.limits.wait);
        Some(
            entered
                .connect(None, deadline)
                .map_err(E::from)
                .and_then(|connection| pool::run(connection, work)),
        )
    }

    /// A connection for a thread that may block: workers, command line. Async code uses [`Self::run`].
    ///
    /// # Errors
    /// Why there was no connection.
    pub fn get(&self) -> Result<Pooled<TenantConn>, PoolError> {
        let deadline = Deadline::after(self.pool.limits.wait);
        let entered = Pool::enter_blocking(&self.pool, deadline)?;
        let permit = if entered.needs_new() {
            Some(self.budget.take_blocking(deadline, || self.core.reclaim(&self.budget))?)
        } else {
            None
        };
        Ok(entered.connect(permit, deadline)?.unwatched())
    }

    async fn permit(
        &self,
        entered: &Entered<TenantConn>,
        deadline: Deadline,
    ) -> Result<Option<Permit>, PoolError> {
        if !entered.needs_new() {
            return Ok(None);
        }
        let (core, budget) = (Arc::clone(&self.core), Arc::clone(&self.budget));
        self.budget.take(deadline, move || core.reclaim(&budget)).await.map(Some)
    }
}

impl Core {
    fn pools(&self) -> MutexGuard<'_, HashMap<Id, Generation>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_go(&self, institution_id: Id, pool: &Arc<Pool<TenantConn>>) {
        // Noted first: whoever waits for the last to leave must not miss one.
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|(_, pool)| pool.strong_count() > 0);
        retired.push((institution_id, Arc::downgrade(pool)));
        drop(retired);
        pool.retire();
    }

    /// Closes the idle connections of the least recently used pool within `budget` that has any, those of pools at rest
    /// first. A connection in use is never closed.
    fn reclaim(&self, budget: &Arc<Budget>) {
        loop {
            let victim = self
                .pools()
                .values()
                .filter(|known| Arc::ptr_eq(&known.budget, budget) && known.pool.idle() > 0)
                .min_by_key(|known| (known.pool.in_use() > 0, known.pool.last_used()))
                .map(|known| Arc::clone(&known.pool));
            // Another may have emptied it in the meantime: then the next.
            match victim {
                Some(pool) if pool.close_idle() == 0 => {}
                _ => return,
            }
        }
    }
}
