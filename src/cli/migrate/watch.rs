//! Following a rollout until it ends or somebody has to decide, whoever carries it out.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

use crate::{
    cli::{
        Outcome,
        output::{counted, print_json, print_line, sentence},
    },
    models::{
        ModelResult,
        platform::{
            operations::{self, Operation, OperationStatus},
            rollouts::{self, Rollout, RolloutState, RolloutTenant, TenantStatus},
        },
    },
    services::{operations::Workers, platform::Platform, rollouts::Started},
};

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Letters of the bar.
const WIDTH: usize = 30;

#[derive(Serialize)]
struct Reported<'a> {
    domain: &'a str,
    status: TenantStatus,
    from: &'a str,
    to: &'a str,
    milliseconds: i64,
    attempts: i32,
    error: Option<&'a str>,
}

/// Waits, shows how far it is, and says at the end who was left behind. A running server carries it out, or this
/// process.
pub(super) fn to_the_end(platform: &Arc<Platform>, started: Started, json: bool) -> Outcome {
    platform.operations.wake();
    let mut worker = None;
    let ended = watch(platform, started, json, &mut worker);
    if let Some(worker) = worker {
        worker.stop();
    }
    let (operation, rollout) = ended?;
    let tenants = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        rollouts::tenants_of(connection, started.rollout).map_err(sentence)?
    };
    report(&tenants, json)?;
    if rollout.is_open() && !operation.is_over() {
        let reason = rollout.reason.unwrap_or_default();
        return Err(format!(
            "{reason} Decide: provost migrate resume, provost migrate cancel or provost migrate rollback."
        ));
    }
    if operation.status == OperationStatus::Failed {
        return Err(sentence(operation.error.as_deref().unwrap_or("The rollout ended without success.")));
    }
    let failed = tenants.iter().filter(|tenant| tenant.status == TenantStatus::Failed).count();
    match (failed, rollout.state) {
        (0, RolloutState::Cancelled) => {
            Err(sentence(rollout.reason.as_deref().unwrap_or("It was cancelled.")))
        }
        (0, _) => Ok(()),
        _ => Err(format!(
            "{} could not be migrated and stayed as before. Correct the cause and run this again.",
            counted(failed, "database", "databases")
        )),
    }
}

fn report(tenants: &[RolloutTenant], json: bool) -> Outcome {
    if json {
        let reported: Vec<_> = tenants
            .iter()
            .map(|tenant| Reported {
                domain: &tenant.domain,
                status: tenant.status,
                from: &tenant.from_version,
                to: &tenant.to_version,
                milliseconds: tenant.milliseconds,
                attempts: tenant.attempts,
                error: tenant.error.as_deref(),
            })
            .collect();
        return print_json(&reported);
    }
    for tenant in tenants.iter().filter(|tenant| tenant.status == TenantStatus::Failed) {
        print_line(&format!("{}: FAILED. {}", tenant.domain, tenant.error.as_deref().unwrap_or_default()));
    }
    let done = tenants.iter().filter(|tenant| tenant.status == TenantStatus::Done).count();
    print_line(&format!("{} migrated.", counted(done, "database", "databases")));
    Ok(())
}

fn watch(
    platform: &Arc<Platform>,
    started: Started,
    json: bool,
    worker: &mut Option<Workers>,
) -> Result<(Operation, Rollout), String> {
    let mut shown = String::new();
    loop {
        // On SQLite one process alone works. Whoever it is now may end before this is done.
        if worker.is_none() {
            *worker = platform.start_worker_for(started.operation).map_err(sentence)?;
        }
        let (operation, rollout) = look(platform, started).map_err(sentence)?;
        let held = matches!(rollout.state, RolloutState::Paused | RolloutState::Stopped);
        let last = operation.is_over() || (held && operation.status == OperationStatus::Queued);
        let line = bar(&operation, &rollout);
        if line != shown && !json {
            show(&line, last);
            shown = line;
        }
        if last {
            return Ok((operation, rollout));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn look(platform: &Platform, started: Started) -> ModelResult<(Operation, Rollout)> {
    let mut connection = platform.shared.get()?;
    Ok((
        operations::find(&mut connection, started.operation)?,
        rollouts::find(&mut connection, started.rollout)?,
    ))
}

/// "[=====     ] 412 of 2,000, waves, running".
fn bar(operation: &Operation, rollout: &Rollout) -> String {
    let (done, total) = (operation.progress_done, operation.progress_total.max(1));
    let full = usize::try_from(done * i64::try_from(WIDTH).unwrap_or(1) / total).unwrap_or(0).min(WIDTH);
    let total = operation.progress_total;
    format!("[{:WIDTH$}] {done} of {total}, {}, {}", "=".repeat(full), rollout.stage, rollout.state)
}

/// On a terminal one line that changes; elsewhere a line for each change.
fn show(line: &str, last: bool) {
    let mut out = std::io::stderr();
    let _ = if out.is_terminal() {
        write!(out, "\r\x1b[K{line}{}", if last { "\n" } else { "" }).and_then(|()| out.flush())
    } else {
        writeln!(out, "{line}")
    };
}
