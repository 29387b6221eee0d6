//! `provost monitor` and `provost alert`: how the platform stands, and what needs somebody.

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome, open_existing,
    output::{bytes, counted, print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{Id, now, shared::SharedConn},
    models::{
        ModelResult, Paging,
        platform::{
            alerts::{self, Alert, AlertFilter, AlertState},
            institutions::{self, Status},
            tenant_figures::{self, Standout, Which},
            usage::{self, Period},
            waiting::{Waiting, waiting},
        },
    },
    services::platform::Platform,
};

pub(super) const EXAMPLES: &str = "\
The figures are those that the servers have noted; each notes its own once a minute.

Example:
  provost monitor --json";

/// Institutions shown that ask for most.
const NOISIEST: i64 = 10;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List alerts: what fires now, or with --all what ever did
    #[command(after_help = "Example:\n  provost alert list --json")]
    List {
        /// Those that are resolved as well
        #[arg(long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run_alert(config: &Config, command: &Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { all, json } => list(&platform, *all, *json),
    }
}

fn list(platform: &Platform, all: bool, json: bool) -> Outcome {
    let filter = AlertFilter { state: (!all).then_some(AlertState::Firing), ..AlertFilter::default() };
    let newest = Paging { sort: String::new(), descending: true, limit: 1_000, offset: 0 };
    let mut connection = platform.shared.get().map_err(sentence)?;
    let found = alerts::page(&mut connection, &filter, &newest).map_err(sentence)?.rows;
    if json {
        return print_json(&found);
    }
    let cells = |alert: &Alert| {
        let state = if alert.resolved_at.is_some() { "resolved" } else { alert.severity.as_str() };
        let since = alert.firing_since.format("%Y-%m-%d %H:%M").to_string();
        let care = alert.acknowledged_by.clone().unwrap_or_else(|| "nobody".into());
        [state.to_owned(), since, alert.rule.clone(), care, alert.summary.clone()]
    };
    print_table(
        ["STATE", "SINCE", "RULE", "TAKEN CARE OF BY", "WHAT"],
        &found.iter().map(cells).collect::<Vec<_>>(),
    );
    eprintln!("{}", counted(found.len(), "alert", "alerts"));
    Ok(())
}

#[derive(Serialize)]
struct Overview {
    institutions: Vec<(Status, i64)>,
    registrations_waiting: i64,
    operations_running: i64,
    operations_failed: i64,
    requests_today: i64,
    errors_today: i64,
    p95_micros_today: i64,
    pool_waits_today: i64,
    tenant_bytes: i64,
    alerts: Vec<Alert>,
    noisiest: Vec<Noisy>,
}

#[derive(Serialize)]
struct Noisy {
    domain: String,
    requests: i64,
    errors: i64,
    p95_micros: i64,
    waits: i64,
    slow_queries: i64,
    bytes: Option<i64>,
    growth_bytes: i64,
}

impl From<Standout> for Noisy {
    fn from(one: Standout) -> Self {
        let figures = one.figures;
        Self {
            domain: one.domain,
            requests: figures.requests,
            errors: figures.errors,
            p95_micros: figures.p95_micros,
            waits: figures.waits,
            slow_queries: figures.slow_queries,
            bytes: figures.size(),
            growth_bytes: figures.growth_bytes,
        }
    }
}

fn look(c: &mut SharedConn) -> ModelResult<Overview> {
    let counts = institutions::counts_by_status(c)?;
    let today = usage::since(c, Period::Day, Id::NIL, Period::Day.start(now()))?.pop();
    let Waiting { registrations, failed_operations, running_operations, .. } = waiting(c)?;
    let of = |pick: fn(&usage::Usage) -> i64| today.as_ref().map_or(0, pick);
    Ok(Overview {
        institutions: Status::ALL
            .iter()
            .map(|status| (*status, counts.get(status).copied().unwrap_or_default()))
            .collect(),
        registrations_waiting: registrations,
        operations_running: running_operations,
        operations_failed: failed_operations,
        requests_today: of(|day| day.requests),
        errors_today: of(|day| day.errors),
        p95_micros_today: of(|day| day.p95_micros),
        pool_waits_today: of(|day| day.waits),
        tenant_bytes: tenant_figures::total_size(c)?,
        alerts: alerts::firing(c, 1_000)?,
        noisiest: tenant_figures::standouts(c, Which::Noisiest, NOISIEST)?
            .into_iter()
            .map(Noisy::from)
            .collect(),
    })
}

pub(super) fn run(config: &Config, json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let seen = look(&mut connection).map_err(sentence)?;
    if json {
        return print_json(&seen);
    }
    for alert in &seen.alerts {
        print_line(&format!(
            "{}: {} {}",
            alert.severity.as_str().to_uppercase(),
            alert.summary,
            alert.advice
        ));
    }
    for (status, count) in seen.institutions.iter().filter(|(_, count)| *count > 0) {
        print_line(&format!("Institutions, {}: {count}", status.label().to_lowercase()));
    }
    print_line(&format!("Registrations waiting: {}", seen.registrations_waiting));
    print_line(&format!(
        "Operations: {} running, {} failed",
        seen.operations_running, seen.operations_failed
    ));
    print_line(&format!(
        "Requests today: {}, {} of them errors, 95 % within {} ms",
        seen.requests_today,
        seen.errors_today,
        seen.p95_micros_today / 1_000
    ));
    print_line(&format!("Databases: {}", bytes(u64::try_from(seen.tenant_bytes).unwrap_or(0))));
    let cells = |one: &Noisy| {
        [
            one.requests.to_string(),
            one.errors.to_string(),
            format!("{} ms", one.p95_micros / 1_000),
            one.waits.to_string(),
            one.domain.clone(),
        ]
    };
    if !seen.noisiest.is_empty() {
        print_table(
            ["REQUESTS", "ERRORS", "95 % WITHIN", "WAITS", "INSTITUTION"],
            &seen.noisiest.iter().map(cells).collect::<Vec<_>>(),
        );
    }
    Ok(())
}
