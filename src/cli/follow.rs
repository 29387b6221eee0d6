//! Following an operation from the command line until it ends, whoever carries it out.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use super::{Outcome, output::sentence};
use crate::{
    db::Id,
    models::{
        ModelResult,
        platform::operations::{self, Operation, OperationStatus, OperationStep, StepStatus},
    },
    services::{
        operations::{Workers, step_label},
        platform::Platform,
    },
};

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits for the end of an operation and shows its steps. A running server carries it out, or this process,
/// which does nothing else.
pub(super) fn follow(platform: &Arc<Platform>, id: Id) -> Outcome {
    let mut worker = None;
    let ended = watch(platform, id, &mut worker);
    if let Some(worker) = worker {
        worker.stop();
    }
    let operation = ended?;
    match operation.status {
        OperationStatus::Succeeded => Ok(()),
        _ => Err(sentence(operation.error.as_deref().unwrap_or("The operation ended without success."))),
    }
}

fn watch(platform: &Arc<Platform>, id: Id, worker: &mut Option<Workers>) -> Result<Operation, String> {
    let mut shown = String::new();
    loop {
        // On SQLite one process alone works. Whoever it is now may end before this is done.
        if worker.is_none() {
            *worker = platform.start_worker_for(id).map_err(sentence)?;
        }
        let (operation, steps) = look(platform, id).map_err(sentence)?;
        let line = describe(&operation, &steps);
        if line != shown {
            show(&line, operation.is_over());
            shown = line;
        }
        if operation.is_over() {
            return Ok(operation);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn look(platform: &Platform, id: Id) -> ModelResult<(Operation, Vec<OperationStep>)> {
    let mut connection = platform.shared.get()?;
    Ok((operations::find(&mut connection, id)?, operations::steps(&mut connection, id)?))
}

/// "Lindenhof: step 3 of 8, make the database".
fn describe(operation: &Operation, steps: &[OperationStep]) -> String {
    let subject = &operation.subject;
    let at = steps.iter().find(|step| step.status != StepStatus::Done);
    match (operation.status, at) {
        (OperationStatus::Succeeded, _) => format!("{subject}: done"),
        (OperationStatus::Failed | OperationStatus::RolledBack, _) => format!("{subject}: failed"),
        (OperationStatus::RollingBack, _) => format!("{subject}: taking back what was done"),
        (_, Some(step)) => {
            let label = step_label(operation.kind, &step.name);
            format!("{subject}: step {} of {}, {label}", step.position + 1, steps.len())
        }
        (_, None) => format!("{subject}: finishing"),
    }
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
