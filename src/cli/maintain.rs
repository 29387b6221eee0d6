//! `provost maintain`: looking after institutions' databases, or saying what that would bring.

use clap::Args;
use serde::Serialize;

use super::{
    Outcome, institution, open_existing,
    output::{bytes, counted, print_json, print_line, sentence},
};
use crate::{
    config::Config,
    db::Id,
    models::{
        Actor,
        platform::{
            maintenance::Run,
            tenant_databases::{self, DatabaseStatus},
        },
    },
    services::{
        platform::Platform,
        upkeep::{self, Tended},
    },
};

pub(super) const HELP: &str = "\
Counts what is in a database, gives back the room of what was removed, works its log in and builds indexes anew, each
only where it is worth it and while people work. The server does so once a week by itself. The exit code is 1 when
something failed.

Examples:
  provost maintain ada.edu
  provost maintain --all --dry-run --json";

/// What `provost maintain` is told.
#[derive(Debug, Args)]
pub(super) struct Maintain {
    /// The institution's domain
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    domain: Option<String>,
    /// Every institution's database
    #[arg(long)]
    all: bool,
    /// Only say what is worth doing
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    domain: String,
    /// What is worth doing, at a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    worth: Option<Vec<Worth>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Vec<Run>>,
    skipped: Option<&'static str>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Worth {
    act: &'static str,
    why: String,
}

pub(super) fn run(config: &Config, asked: &Maintain) -> Outcome {
    let platform = open_existing(config)?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let wanted: Vec<(String, Id)> = match &asked.domain {
        Some(domain) => vec![(domain.clone(), institution::find(connection, domain)?.id)],
        None => {
            let rows = tenant_databases::all(connection).map_err(sentence)?;
            let ready = rows.into_iter().filter(|row| row.database.status == DatabaseStatus::Ready);
            ready.map(|row| (row.domain, row.database.institution_id)).collect()
        }
    };
    let mut lines = Vec::new();
    for (domain, id) in wanted {
        let line = if asked.dry_run { look(&platform, domain, id) } else { tend(&platform, domain, id) };
        if !asked.json {
            print(&line);
        }
        lines.push(line);
    }
    let failed = lines.iter().filter(|line| has_failed(line)).count();
    if asked.json {
        print_json(&lines)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} failed.", counted(lines.len(), "database", "databases"))),
    }
}

fn has_failed(line: &Line) -> bool {
    line.error.is_some() || line.done.as_ref().is_some_and(|runs| runs.iter().any(|run| run.error.is_some()))
}

fn blank(domain: String) -> Line {
    Line { domain, worth: None, done: None, skipped: None, error: None }
}

fn look(platform: &Platform, domain: String, id: Id) -> Line {
    let looked = platform
        .shared
        .get()
        .map_err(sentence)
        .and_then(|mut c| tenant_databases::find(&mut c, id).map_err(sentence))
        .and_then(|database| database.ok_or_else(|| "It has no database.".to_owned()))
        .and_then(|database| upkeep::look(platform, &database).map_err(sentence));
    match looked {
        Ok((_, wishes)) => {
            let worth = wishes.into_iter().map(|wish| Worth { act: wish.act.as_str(), why: wish.why });
            Line { worth: Some(worth.collect()), ..blank(domain) }
        }
        Err(error) => Line { error: Some(error), ..blank(domain) },
    }
}

fn tend(platform: &Platform, domain: String, id: Id) -> Line {
    match upkeep::tend(platform, &platform.audit(Actor::command_line()), id) {
        Ok(Tended::Done(runs)) => Line { done: Some(runs), ..blank(domain) },
        Ok(Tended::Skipped(why)) => Line { skipped: Some(why), ..blank(domain) },
        Err(failure) => Line { error: Some(sentence(failure)), ..blank(domain) },
    }
}

fn print(line: &Line) {
    let domain = &line.domain;
    for worth in line.worth.iter().flatten() {
        print_line(&format!("{domain}: {} is worth it, {}", worth.act, worth.why));
    }
    if line.worth.as_ref().is_some_and(Vec::is_empty) {
        print_line(&format!("{domain}: nothing is worth doing"));
    }
    for run in line.done.iter().flatten() {
        let size = |count: i64| bytes(u64::try_from(count).unwrap_or(0));
        let (before, after) = (size(run.bytes_before), size(run.bytes_after));
        let outcome = run.error.clone().unwrap_or_else(|| format!("{before} before, {after} now"));
        print_line(&format!("{domain}: {}, {outcome}, {} ms", run.act, run.milliseconds));
    }
    if let Some(why) = line.skipped {
        print_line(&format!("{domain}: left alone. {why}"));
    }
    if let Some(error) = &line.error {
        eprintln!("{domain}: {error}");
    }
}
