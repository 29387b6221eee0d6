//! The threads of a process that work by themselves: who may start them, what each repeats, how they end.

use std::{
    fmt::Display,
    fs::{File, OpenOptions, TryLockError},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{lease::Held, runner::Runner};
use crate::{
    db::{Engine, Id, lane},
    models::platform::{operations, servers},
    services::{
        monitoring,
        platform::{Platform, StartError},
        schedule,
    },
};

/// How often a worker looks by itself.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what webhooks are to be told is looked at.
const LOOK_FOR_WEBHOOKS_EVERY: Duration = Duration::from_secs(2);
/// How often the schedule is looked at.
const LOOK_AT_SCHEDULE_EVERY: Duration = Duration::from_secs(5);

/// The running workers of this process.
pub struct Workers {
    platform: Arc<Platform>,
    stopping: Arc<AtomicBool>,
    held: Held,
    threads: Vec<JoinHandle<()>>,
    /// On SQLite one process alone works; let go when it ends, however it ends.
    _lock: Option<File>,
}

impl Platform {
    /// Starts the workers for operations, mail and what is done again and again.
    ///
    /// # Errors
    /// On SQLite when another process already works on the same data folder.
    pub fn start_workers(self: &Arc<Self>) -> Result<Workers, StartError> {
        let Turn::Ours(lock) = turn_of(self)? else {
            return Err(StartError::new(format!(
                "Another Provost already works on {}. Stop it first, or give this one a data folder of its own.",
                self.settings.data_dir.display()
            )));
        };
        let mut workers = Workers::new(self, lock);
        for number in 0..self.settings.limits.operation_workers.max(1) {
            workers.add_runner(number, None)?;
        }
        workers.renew_leases()?;
        workers.send_mail()?;
        if self.settings.scheduled {
            workers.keep_schedule()?;
        }
        workers.keep_figures()?;
        workers.tell_webhooks()?;
        Ok(workers)
    }

    /// Starts a worker for this operation alone, without mail. `None` while another process works on the
    /// same SQLite files: it may do the operation as well.
    ///
    /// # Errors
    /// When no worker can be started.
    pub fn start_worker_for(self: &Arc<Self>, operation: Id) -> Result<Option<Workers>, StartError> {
        let Turn::Ours(lock) = turn_of(self)? else { return Ok(None) };
        let mut workers = Workers::new(self, lock);
        workers.add_runner(0, Some(operation))?;
        workers.renew_leases()?;
        Ok(Some(workers))
    }
}

impl Workers {
    fn new(platform: &Arc<Platform>, lock: Option<File>) -> Self {
        Self {
            platform: Arc::clone(platform),
            stopping: Arc::default(),
            held: Held::default(),
            threads: Vec::new(),
            _lock: lock,
        }
    }

    fn add_runner(&mut self, number: usize, only: Option<Id>) -> Result<(), StartError> {
        let runner = Runner::new(&self.platform, &self.stopping, &self.held, number, only);
        self.threads.push(spawn("operations", move || {
            // The threads that it starts inherit it.
            lane::give_way();
            runner.run();
        })?);
        Ok(())
    }

    fn renew_leases(&mut self) -> Result<(), StartError> {
        let (platform, stop, held) =
            (Arc::clone(&self.platform), Arc::clone(&self.stopping), self.held.clone());
        let lease = platform.settings.limits.lease;
        self.threads.push(spawn("leases", move || {
            while pause(&stop, lease / 3) {
                held.renew(&platform.shared, lease);
            }
        })?);
        Ok(())
    }

    fn send_mail(&mut self) -> Result<(), StartError> {
        let (platform, stop) = (Arc::clone(&self.platform), Arc::clone(&self.stopping));
        self.threads.push(spawn("mail", move || {
            while pause(&stop, LOOK_EVERY) {
                if let Err(error) = platform.outbox.send_due_while(|| !stop.load(Ordering::SeqCst)) {
                    log::warn!("the outbox could not be read: {error}");
                }
            }
        })?);
        Ok(())
    }

    fn keep_schedule(&mut self) -> Result<(), StartError> {
        let (platform, stop) = (Arc::clone(&self.platform), Arc::clone(&self.stopping));
        self.threads.push(spawn("schedule", move || {
            lane::give_way();
            while pause(&stop, LOOK_AT_SCHEDULE_EVERY) {
                schedule::run_due(&platform, || !stop.load(Ordering::SeqCst));
            }
        })?);
        Ok(())
    }

    fn keep_figures(&mut self) -> Result<(), StartError> {
        let (platform, stop) = (Arc::clone(&self.platform), Arc::clone(&self.stopping));
        self.threads.push(spawn("figures", move || {
            loop {
                let again = pause(&stop, monitoring::FLUSH_EVERY);
                if let Err(error) = monitoring::flush(&platform) {
                    log::warn!("the figures could not be kept: {error}");
                }
                if !again {
                    return;
                }
            }
        })?);
        Ok(())
    }

    fn tell_webhooks(&mut self) -> Result<(), StartError> {
        let (platform, stop) = (Arc::clone(&self.platform), Arc::clone(&self.stopping));
        self.threads.push(spawn("webhooks", move || {
            while pause(&stop, LOOK_FOR_WEBHOOKS_EVERY) {
                let sent = monitoring::webhooks::send_due_while(&platform, || !stop.load(Ordering::SeqCst));
                if let Err(error) = sent {
                    log::warn!("the webhooks could not be read: {error}");
                }
            }
        })?);
        Ok(())
    }

    /// Lets what is being done end at its present step or unit, gives the rest back, and waits for that.
    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.platform.operations.wake();
        for thread in self.threads.drain(..) {
            // A worker's panic was logged where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.platform.operations.wake();
    }
}

/// Whether this process may work.
enum Turn {
    /// On SQLite for as long as the lock is held.
    Ours(Option<File>),
    Anothers,
}

/// On SQLite, makes sure that no other process works, and frees what a dead one had claimed.
fn turn_of(platform: &Platform) -> Result<Turn, StartError> {
    let shared_here = platform.engine.kind() == Engine::Sqlite;
    let servers = platform.shared.get().map_err(Into::into).and_then(|mut c| servers::all(&mut c));
    let servers = servers.map_err(StartError::new)?;
    if servers.iter().all(|server| server.engine != Engine::Sqlite) {
        return Ok(Turn::Ours(None));
    }
    let path = platform.settings.data_dir.join("workers.lock");
    let failed =
        |error: &dyn Display| StartError::new(format!("The lock {} cannot be had: {error}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Turn::Anothers),
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    if !shared_here {
        return Ok(Turn::Ours(Some(file)));
    }
    let freed = platform.shared.get().map_err(Into::into).and_then(|mut c| operations::release_all(&mut c));
    freed.map_err(StartError::new)?;
    Ok(Turn::Ours(Some(file)))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|error| StartError::new(format!("No thread could be started: {error}")))
}

/// Sleeps in small pieces; false when it is time to stop.
pub(super) fn pause(stopping: &AtomicBool, time: Duration) -> bool {
    let end = Instant::now() + time;
    while !stopping.load(Ordering::SeqCst) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    false
}
