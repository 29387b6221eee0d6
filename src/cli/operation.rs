//! `provost operation`: long work, looked at, tried again and taken back without a browser.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome,
    follow::follow,
    open_existing,
    output::{counted, print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{Id, shared::SharedConn},
    models::{
        Actor, ModelResult,
        platform::operations::{self, Kind, Operation, OperationFilter, OperationStatus, OperationStep},
    },
    services::{
        operations::{roll_back, step_label, try_again},
        platform::Platform,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List operations, the newest first
    #[command(after_help = "Example:\n  provost operation list --status failed --json")]
    List {
        /// Only these: queued, running, succeeded, failed, rolling_back or rolled_back
        #[arg(long, value_name = "STATUS")]
        status: Option<OperationStatus>,
        /// Only this work, such as provision, back_up, restore, move or migrate_fleet
        #[arg(long, value_name = "KIND")]
        kind: Option<Kind>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: i64,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one operation with its steps
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Try an operation again that has failed, and follow it to its end
    Retry {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take back what an operation that has failed had begun
    Rollback {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { status, kind, limit, json } => list(&platform, status, kind, limit, json),
        Command::Show { id, json } => show(&platform, find(&platform, &id)?.id, json),
        Command::Retry { id, json } => {
            let operation = find(&platform, &id)?;
            let audit = platform.audit(Actor::command_line());
            begin(&platform, |c| try_again(c, &audit, operation.id))?;
            let ended = follow(&platform, operation.id);
            told(&platform, operation.id, json)?;
            ended
        }
        Command::Rollback { id, json } => {
            let operation = find(&platform, &id)?;
            let audit = platform.audit(Actor::command_line());
            begin(&platform, |c| roll_back(c, &audit, operation.id))?;
            // Taken back, it has ended as it was asked to.
            let ended = follow(&platform, operation.id);
            told(&platform, operation.id, json)?;
            match find(&platform, &id)?.status {
                OperationStatus::RolledBack => Ok(()),
                _ => ended,
            }
        }
    }
}

fn begin(platform: &Platform, work: impl FnOnce(&mut SharedConn) -> ModelResult<()>) -> Outcome {
    work(&mut *platform.shared.get().map_err(sentence)?).map_err(sentence)
}

fn find(platform: &Platform, id: &str) -> Result<Operation, String> {
    let unknown = || format!("There is no operation {id}. See: provost operation list");
    let id: Id = id.parse().map_err(|_| unknown())?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    operations::find(connection, id).map_err(|error| match error.is_not_found() {
        true => unknown(),
        false => sentence(error),
    })
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    kind: Kind,
    subject: String,
    status: OperationStatus,
    attempts: i32,
    done: i64,
    total: i64,
    started_by: String,
    created_at: chrono::NaiveDateTime,
    started_at: Option<chrono::NaiveDateTime>,
    finished_at: Option<chrono::NaiveDateTime>,
    error: Option<String>,
}

fn listed(operation: Operation) -> Listed {
    Listed {
        id: operation.id,
        kind: operation.kind,
        subject: operation.subject,
        status: operation.status,
        attempts: operation.attempts,
        done: operation.progress_done,
        total: operation.progress_total,
        started_by: operation.actor_name,
        created_at: operation.created_at,
        started_at: operation.started_at,
        finished_at: operation.finished_at,
        error: operation.error,
    }
}

fn list(
    platform: &Platform,
    status: Option<OperationStatus>,
    kind: Option<Kind>,
    limit: i64,
    json: bool,
) -> Outcome {
    let filter = OperationFilter { status, kind, ..OperationFilter::default() };
    let found = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        operations::older_than(connection, &filter, None, limit.max(0)).map_err(sentence)?
    };
    let rows: Vec<Listed> = found.into_iter().map(listed).collect();
    if json {
        return print_json(&rows);
    }
    let cells = |row: &Listed| {
        [
            row.id.to_string(),
            row.created_at.format("%Y-%m-%d %H:%M").to_string(),
            row.kind.to_string(),
            row.status.to_string(),
            row.subject.clone(),
            row.error.clone().unwrap_or_default(),
        ]
    };
    let heading = ["OPERATION", "STARTED", "WORK", "STATUS", "ABOUT", "WHY"];
    print_table(heading, &rows.iter().map(cells).collect::<Vec<_>>());
    eprintln!("{}", counted(rows.len(), "operation", "operations"));
    Ok(())
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    operation: Listed,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    name: String,
    what: &'static str,
    status: operations::StepStatus,
    attempts: i32,
    detail: Option<String>,
    error: Option<String>,
}

fn show(platform: &Platform, id: Id, json: bool) -> Outcome {
    let (operation, steps) = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let operation = operations::find(connection, id).map_err(sentence)?;
        (operation, operations::steps(connection, id).map_err(sentence)?)
    };
    let kind = operation.kind;
    let step = |step: OperationStep| Step {
        what: step_label(kind, &step.name),
        name: step.name,
        status: step.status,
        attempts: step.attempts,
        detail: step.detail,
        error: step.error,
    };
    let shown = Shown { operation: listed(operation), steps: steps.into_iter().map(step).collect() };
    if json {
        return print_json(&shown);
    }
    let operation = &shown.operation;
    print_line(&format!("{} {}: {}", operation.kind, operation.subject, operation.status));
    for step in &shown.steps {
        let note = step.error.as_deref().or(step.detail.as_deref()).unwrap_or_default();
        print_line(format!("  {:<8} {}  {note}", step.status.to_string(), step.what).trim_end());
    }
    operation.error.iter().for_each(|error| print_line(error));
    Ok(())
}

fn told(platform: &Arc<Platform>, id: Id, json: bool) -> Outcome {
    if json { show(platform, id, true) } else { Ok(()) }
}
