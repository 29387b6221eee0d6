//! `provost migrate`: databases follow the version of Provost.

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome, open, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{
    config::Config,
    db::{migrate::Migrate as _, shared::SharedConn},
    models::Actor,
    services::{
        fleet::{self, Migrated},
        platform::Platform,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring the shared database up to date; the server does so by itself when it starts
    Shared,
    /// Bring every institution's database up to date
    #[command(after_help = "\
One query finds the databases that are behind. A few at once are migrated, each by itself: one that fails stays as
it was, the others go on, and the exit code is 1. Run it again after an interruption: it goes on where it stopped.

Example:
  provost migrate tenants")]
    Tenants {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Shared => shared(config),
        Command::Tenants { json } => tenants(config, json),
    }
}

fn shared(config: &Config) -> Outcome {
    if !Platform::exists(&config.settings).map_err(sentence)? {
        return open_existing(config).map(|_| ());
    }
    let pending = SharedConn::open(&config.settings.database)
        .map_err(sentence)?
        .pending()
        .map_err(|error| format!("The shared database cannot be looked at: {error}."))?;
    // Opening checks the keys first, and migrates.
    open(config)?;
    for name in &pending {
        print_line(name);
    }
    let count = counted(pending.len(), "migration", "migrations");
    print_line(&match pending.len() {
        0 => "The shared database is up to date.".into(),
        _ => format!("{count} applied; the shared database is up to date."),
    });
    Ok(())
}

#[derive(Serialize)]
struct Reported<'a> {
    domain: &'a str,
    database: &'a str,
    from: &'a str,
    migrations: &'a [String],
    error: Option<&'a str>,
}

fn tenants(config: &Config, json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let audit = platform.audit(Actor::command_line());
    let mut reports: Vec<Migrated> = Vec::new();
    fleet::migrate_tenants(&platform, &audit, |report| {
        if !json {
            print_line(&match &report.outcome {
                Ok(ran) => format!("{}: {}", report.domain, counted(ran.len(), "migration", "migrations")),
                Err(error) => format!("{}: FAILED. {error}", report.domain),
            });
        }
        reports.push(report.clone());
    })
    .map_err(sentence)?;
    reports.sort_by(|a, b| a.domain.cmp(&b.domain));
    if json {
        let reported = reports.iter().map(|report| Reported {
            domain: &report.domain,
            database: &report.database,
            from: &report.from,
            migrations: report.outcome.as_deref().unwrap_or_default(),
            error: report.outcome.as_ref().err().map(String::as_str),
        });
        print_json(&reported.collect::<Vec<_>>())?;
    } else if reports.is_empty() {
        print_line("Every institution's database is up to date.");
    }
    match reports.iter().filter(|report| report.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!(
            "{} could not be migrated and stayed as before. Correct the cause and run this again.",
            counted(failed, "database", "databases")
        )),
    }
}
