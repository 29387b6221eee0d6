//! A rollout as an operation: a few threads migrate, the worker writes down what became of each, several at a time.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{CANARIES, Input, LEAST_FAILURES, one, rehearse};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelResult,
        platform::{
            audit::Audit,
            operations::Operation,
            rollouts::{self, Direction, Job, NewTenant, Rollout, RolloutState, Stage, TenantStatus},
            tenant_databases::{self, TenantDatabase},
        },
    },
    services::operations::{Failure, Handler, Work},
};

use one::{Asker, Report};

/// What is known is written down at least this often.
const NOTE_EVERY: Duration = Duration::from_millis(250);
/// Reports in one transaction.
const NOTE_MOST: usize = 64;

/// The handler of [`Kind::MigrateFleet`](crate::models::platform::operations::Kind).
pub(in crate::services) struct MigrateFleet;

impl Handler for MigrateFleet {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let rollout = rollouts::of_operation(&mut *work.shared()?, work.operation.id)?;
        match step {
            "plan" => plan(work, &rollout).map(Some),
            "rehearse" => rehearsed(work, &rollout),
            "canaries" => {
                let said = sweep(work, &rollout, Stage::Canaries)?;
                work.write_tx(|connection| Ok(rollouts::enter_waves(connection, rollout.id)?))?;
                Ok(said)
            }
            "waves" => {
                let said = sweep(work, &rollout, Stage::Waves)?;
                end(work, &rollout)?;
                Ok(said)
            }
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn gave_up(&self, connection: &mut SharedConn, work: &Work<'_>, error: &str) -> ModelResult<()> {
        let rollout = rollouts::of_operation(connection, work.operation.id)?;
        if rollout.is_open() {
            rollouts::turn(connection, rollout.id, &rollouts::OPEN, RolloutState::Failed, Some(error))?;
        }
        Ok(())
    }

    fn tried_again(&self, connection: &mut SharedConn, _: &Audit, operation: &Operation) -> ModelResult<()> {
        let rollout = rollouts::of_operation(connection, operation.id)?;
        if let Some(other) = rollouts::open(connection)? {
            return Err(crate::models::ModelError::Changed(format!(
                "{} has begun another rollout meanwhile.",
                other.actor_name
            )));
        }
        rollouts::turn(connection, rollout.id, &[RolloutState::Failed], RolloutState::Running, None)?;
        Ok(())
    }
}

/// Writes down whose turn is when.
fn plan(work: &Work<'_>, rollout: &Rollout) -> Result<String, Failure> {
    let input: Input = work.input()?;
    let tenants = work.write_tx(|connection| {
        let tenants = match (input.undoes, input.only) {
            (Some(undone), _) => undoing(connection, undone)?,
            (None, Some(only)) => {
                let database = tenant_databases::find(connection, only)?;
                database.map(|database| entered(&database, 0, &rollout.target_version)).into_iter().collect()
            }
            (None, None) => everybody(connection, rollout, &input.canaries)?,
        };
        rollouts::enter(connection, rollout.id, &tenants)?;
        crate::crash_point!("rollout:planned");
        Ok(tenants.len())
    })?;
    Ok(format!("{tenants} database{}", if tenants == 1 { "" } else { "s" }))
}

fn everybody(connection: &mut SharedConn, rollout: &Rollout, canaries: &[Id]) -> ModelResult<Vec<NewTenant>> {
    let behind = tenant_databases::outdated(connection, &rollout.target_version)?;
    let named = |database: &TenantDatabase| canaries.contains(&database.institution_id);
    let (first, rest): (Vec<_>, Vec<_>) = if canaries.is_empty() {
        let mut first = behind;
        let rest = first.split_off(first.len().min(CANARIES));
        (first, rest)
    } else {
        behind.into_iter().partition(named)
    };
    let size = usize::try_from(rollout.wave_size).unwrap_or(1).max(1);
    let first = first.iter().map(|database| entered(database, 0, &rollout.target_version));
    let waves = (1..).zip(rest.chunks(size)).flat_map(|(wave, databases)| {
        databases.iter().map(move |database| entered(database, wave, &rollout.target_version))
    });
    Ok(first.chain(waves).collect())
}

fn entered(database: &TenantDatabase, wave: i32, to: &str) -> NewTenant {
    NewTenant {
        institution_id: database.institution_id,
        wave,
        from_version: database.schema_version.clone(),
        to_version: to.to_owned(),
    }
}

/// Everybody whom that rollout brought along and who still is where it brought them.
fn undoing(connection: &mut SharedConn, rollout_id: Id) -> ModelResult<Vec<NewTenant>> {
    let mut tenants = Vec::new();
    for done in rollouts::done_of(connection, rollout_id)? {
        let database = tenant_databases::find(connection, done.institution_id)?;
        if database.is_some_and(|database| database.schema_version == done.to_version) {
            tenants.push(NewTenant {
                institution_id: done.institution_id,
                wave: 1,
                from_version: done.to_version,
                to_version: done.from_version,
            });
        }
    }
    Ok(tenants)
}

/// Tries the migrations on the first database of all, and takes them back. One that cannot be entered now says
/// nothing about them.
fn rehearsed(work: &Work<'_>, rollout: &Rollout) -> Result<Option<String>, Failure> {
    let first = {
        let connection = &mut *work.shared()?;
        let jobs = rollouts::next_wave(connection, rollout, Stage::Waves)?;
        let mut behind = jobs.into_iter().filter(|job| job.database.schema_version < job.to_version);
        behind.next().map(|job| (job.database, job.domain))
    };
    let Some((database, domain)) = first else { return Ok(None) };
    match rehearse(work.platform, &database, domain) {
        Ok(shown) => {
            let took: i64 = shown.ran.iter().map(|ran| ran.milliseconds).sum();
            Ok(Some(format!("{}: {} in {took} ms", shown.domain, counted(shown.ran.len()))))
        }
        Err(Failure::Transient(words)) => Ok(Some(format!("Not tried: {words}"))),
        Err(failure) => Err(failure),
    }
}

fn counted(migrations: usize) -> String {
    format!("{migrations} migration{}", if migrations == 1 { "" } else { "s" })
}

/// Goes through the waves of a stage, for as long as the rollout may go on.
fn sweep(work: &Work<'_>, begun: &Rollout, stage: Stage) -> Result<Option<String>, Failure> {
    loop {
        let (rollout, jobs) = {
            let connection = &mut *work.shared()?;
            let rollout = rollouts::find(connection, begun.id)?;
            let jobs = rollouts::next_wave(connection, &rollout, stage)?;
            (rollout, jobs)
        };
        match rollout.state {
            RolloutState::Running => {}
            RolloutState::Paused | RolloutState::Stopped => return Err(Failure::Held),
            _ => return Ok(rollout.reason),
        }
        if jobs.is_empty() {
            return Ok(None);
        }
        wave(work, &rollout, jobs)?;
    }
}

/// Migrates the databases of one wave, a few at once.
fn wave(work: &Work<'_>, rollout: &Rollout, jobs: Vec<Job>) -> Result<(), Failure> {
    let threads = work.platform.settings.limits.migrations_at_once.clamp(1, jobs.len().max(1));
    let queue = Mutex::new(VecDeque::from(jobs));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let halt = AtomicBool::new(false);
    let fence = work.fence();
    let may = || fence.check();
    let (tell, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let tell = tell.clone();
            let asker = Asker { platform: work.platform, may: &may, halt: &halt };
            let (next, halt) = (&next, &halt);
            scope.spawn(move || {
                while let Some(job) = next().filter(|_| !halt.load(Ordering::SeqCst)) {
                    match one::bring(&asker, job, rollout.direction) {
                        // The receiver goes only once the worker has stopped.
                        Some(report) => drop(tell.send(report)),
                        None => halt.store(true, Ordering::SeqCst),
                    }
                }
            });
        }
        drop(tell);
        let collected = collect(work, rollout, &reports, &halt);
        halt.store(true, Ordering::SeqCst);
        collected
    })
}

/// Writes down what the threads report until the last has ended.
fn collect(
    work: &Work<'_>,
    rollout: &Rollout,
    reports: &Receiver<Report>,
    halt: &AtomicBool,
) -> Result<(), Failure> {
    let (mut batch, mut noted_at, mut stopping) = (Vec::new(), Instant::now(), false);
    loop {
        let wait = NOTE_EVERY.saturating_sub(noted_at.elapsed()).max(Duration::from_millis(1));
        let ended = match reports.recv_timeout(wait) {
            Ok(report) => {
                batch.push(report);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if ended || batch.len() >= NOTE_MOST || noted_at.elapsed() >= NOTE_EVERY {
            let go_on = note(work, rollout, &batch)?;
            batch.clear();
            noted_at = Instant::now();
            stopping = stopping || work.is_stopping();
            if !go_on || stopping {
                halt.store(true, Ordering::SeqCst);
            }
        }
        if ended {
            return if stopping { Err(Failure::Stopping) } else { Ok(()) };
        }
    }
}

/// Writes down a few reports, and says whether the rollout may go on. Lost by a crash of the server, they are found
/// again: what a database has is in the database.
fn note(work: &Work<'_>, rollout: &Rollout, batch: &[Report]) -> Result<bool, Failure> {
    let audit = work.audit();
    let (done, total, go_on) = work.step_tx(|connection| {
        for report in batch {
            report.note(connection, work.platform, Some(rollout.id))?;
        }
        for report in batch {
            report.record(connection, &audit)?;
        }
        crate::crash_point!("rollout:noting");
        let counts = rollouts::counts(connection, rollout.id)?;
        let of = |status| counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
        let (done, failed) = (of(TenantStatus::Done), of(TenantStatus::Failed));
        let now = rollouts::find(connection, rollout.id)?;
        if of(TenantStatus::Waiting) > 0
            && let Some(reason) = too_much(&now, done, failed)
        {
            let (from, to) = ([RolloutState::Running], RolloutState::Stopped);
            if now.state == RolloutState::Running {
                rollouts::turn(connection, rollout.id, &from, to, Some(&reason))?;
                audit.record(connection, "rollout.stopped", &now.subject(), &json!({ "reason": reason }))?;
            }
            return Ok((done + failed, counts.iter().map(|(_, count)| count).sum(), false));
        }
        let total = counts.iter().map(|(_, count)| count).sum();
        Ok((done + failed, total, now.state == RolloutState::Running))
    })?;
    crate::crash_point!("rollout:noted");
    match work.progress(done, total) {
        // Those at work are waited for, and noted, first.
        Err(Failure::Stopping) => Ok(false),
        result => result.map(|()| go_on),
    }
}

/// Why a rollout must stop: a canary failed, or too large a share of all.
fn too_much(rollout: &Rollout, done: i64, failed: i64) -> Option<String> {
    let new = failed - rollout.forgiven;
    if rollout.direction == Direction::Up && rollout.stage == Stage::Canaries && new > 0 {
        return Some("One of those that go first failed.".into());
    }
    let share = new * 100 > i64::from(rollout.failure_percent) * (done + new);
    (new >= LEAST_FAILURES && share).then(|| {
        let percent = rollout.failure_percent;
        format!("{new} of {} failed, which is more than {percent} in a hundred.", done + new)
    })
}

/// The rollout is over, with what it came to.
fn end(work: &Work<'_>, rollout: &Rollout) -> Result<(), Failure> {
    let counts = work.write_tx(|connection| {
        let now = rollouts::find(connection, rollout.id)?;
        let counts = rollouts::counts(connection, rollout.id)?;
        if now.state == RolloutState::Running {
            rollouts::turn(connection, rollout.id, &[RolloutState::Running], RolloutState::Done, None)?;
            let detail: serde_json::Map<_, _> =
                counts.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
            work.audit().record(connection, "rollout.ended", &now.subject(), &json!(detail))?;
        }
        Ok(counts)
    })?;
    crate::crash_point!("rollout:ended");
    let of = |status| counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count);
    work.set_result(&json!({
        "brought_along": of(TenantStatus::Done),
        "in_quarantine": of(TenantStatus::Failed),
        "left_as_they_were": of(TenantStatus::Skipped) + of(TenantStatus::Waiting),
    }));
    Ok(())
}
