//! A database that is behind when somebody wants in: it is brought along at once, by one of those who ask, unless it
//! is not its turn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore};

use super::{
    one::{self, Asker},
    unchanged,
};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        Actor,
        platform::{
            rollouts::{self, Direction, Job, RolloutState, Stage},
            tenant_databases::{self, TenantDatabase},
        },
    },
    services::{
        operations::Failure,
        platform::Platform,
        tenants::{Maintenance, TenantError},
    },
};

/// How long somebody waits for their database to be brought along before they are told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who must wait for a rollout's canaries looks again so often: they take a moment where all is well.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Databases that are brought along at a touch at the same time; a storm of people must not take every thread.
const AT_ONCE: usize = 4;

/// Who is being brought along at this moment, by this process.
pub struct FirstTouches {
    gates: Mutex<HashMap<Id, Arc<AsyncMutex<()>>>>,
    room: Arc<Semaphore>,
}

impl Default for FirstTouches {
    fn default() -> Self {
        Self { gates: Mutex::default(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl FirstTouches {
    /// Waits until nobody else brings this database along.
    async fn enter(&self, id: Id) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            // Those whom nobody holds or waits for are forgotten.
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(id).or_default())
        };
        gate.lock_owned().await
    }
}

impl Platform {
    /// Brings an institution's database that is behind up to date, or waits for who does.
    ///
    /// # Errors
    /// `Maintenance` when it is not its turn, cannot be done, or takes too long for a visitor.
    pub async fn catch_up(self: &Arc<Self>, institution_id: Id) -> Result<(), TenantError> {
        let work = async {
            loop {
                match self.touched(institution_id).await {
                    Err(TenantError::Maintenance(Maintenance::Next)) => tokio::time::sleep(LOOK_AGAIN).await,
                    other => return other,
                }
            }
        };
        tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or(Err(TenantError::Maintenance(Maintenance::UnderWay)))
    }

    async fn touched(self: &Arc<Self>, institution_id: Id) -> Result<(), TenantError> {
        let gate = self.first_touches.enter(institution_id).await;
        let room = Arc::clone(&self.first_touches.room).acquire_owned().await;
        let platform = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Held to the end, even when the person goes away meanwhile.
            let _held = (gate, room);
            touch(&platform, institution_id)
        })
        .await
        .unwrap_or(Err(TenantError::Maintenance(Maintenance::UnderWay)))
    }
}

/// Blocks.
fn touch(platform: &Platform, id: Id) -> Result<(), TenantError> {
    let (database, domain) = {
        let mut shared = platform.shared.get()?;
        let (institution, database) = tenant_databases::find_with_institution(&mut shared, id)?;
        let database = database.ok_or(TenantError::NotFound)?;
        if *database.schema_version >= *platform.migrations.version() {
            // Another was faster; whoever opens it looks again.
            return Ok(());
        }
        allowed(&mut shared, platform, &database)?;
        (database, institution.domain)
    };
    let may = || {
        let mut shared = platform.shared.get()?;
        let now = tenant_databases::find(&mut shared, id)?;
        let now = now.ok_or_else(|| Failure::Permanent("The database is gone.".into()))?;
        allowed(&mut shared, platform, &now).map(|_| ()).map_err(|_| Failure::LeaseLost)
    };
    let to_version = platform.migrations.version().to_owned();
    let job = Job { database, domain, to_version };
    let asker = Asker { platform, may: &may, halt: &AtomicBool::new(true) };
    let report = one::bring(&asker, job, Direction::Up);
    // Something else has come first, or somebody is in the way, which says nothing against the database.
    let report = report.filter(|report| !report.is_passing());
    let report = report.ok_or(TenantError::Maintenance(Maintenance::Next))?;
    let audit = platform.audit(Actor::system());
    platform.shared.get()?.write_tx(|shared| {
        let rollout = rollouts::open(shared)?.map(|open| open.id);
        report.note(shared, platform, rollout)?;
        report.record(shared, &audit)
    })?;
    match report.error() {
        None => Ok(()),
        Some(error) => {
            log::warn!(
                "the database of {} was not brought along at its first touch: {error}",
                report.job.domain
            );
            Err(TenantError::Maintenance(Maintenance::Quarantined))
        }
    }
}

/// Whether it is the turn of a database that is behind: soon while a rollout is at its canaries, not while it is held
/// or on its way back, and never where something would be taken away for good that nobody has agreed to.
fn allowed(
    shared: &mut SharedConn,
    platform: &Platform,
    database: &TenantDatabase,
) -> Result<(), TenantError> {
    let hold = |why| Err(TenantError::Maintenance(why));
    if database.quarantine_reason.is_some() {
        return hold(Maintenance::Quarantined);
    }
    let open = rollouts::open(shared)?;
    let running = open
        .as_ref()
        .is_none_or(|open| open.direction == Direction::Up && open.state == RolloutState::Running);
    let agreed = open.as_ref().is_some_and(|open| open.destructive_agreed != 0);
    let mut after = platform.migrations.after(&database.schema_version);
    if !running
        || (!agreed && after.any(|migration| migration.destructive))
        || unchanged(shared, platform).is_err()
    {
        return hold(Maintenance::HeldBack);
    }
    if open.is_some_and(|open| open.stage == Stage::Canaries) {
        return hold(Maintenance::Next);
    }
    Ok(())
}
