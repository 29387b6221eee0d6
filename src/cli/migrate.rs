//! `provost migrate`: databases follow the version of Provost.

mod watch;

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    Outcome, open, open_existing,
    output::{confirm, counted, print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{migrate::Migrate as _, shared::SharedConn},
    models::{
        Actor, ModelResult,
        platform::{
            audit::Audit,
            institutions,
            rollouts::{self as model, Rollout},
        },
    },
    services::{
        platform::Platform,
        rollouts::{self, Order, Plan, Started},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring the shared database up to date; the server does so by itself when it starts
    Shared,
    /// Bring every institution's database up to date, the canaries first and then wave by wave
    #[command(after_help = "\
One query finds the databases that are behind. The migrations are tried on one of them and taken back, then the canaries
are migrated, then everybody else, a few at once. One that fails stays as it was and is kept in quarantine with the
reason, the others go on; where too many fail, all stops until somebody decides. A running server does the work, or
this command, which can be left and run again: it goes on where it stopped. The exit code is 1 when one is left behind.

Examples:
  provost migrate tenants --plan
  provost migrate tenants --canary ada.edu --canary byron.edu")]
    Tenants(Tenants),
    /// Hold the rollout under way: what is being migrated ends, nothing else begins
    Pause,
    /// Let a rollout that is paused, or has stopped, go on
    Resume(Follow),
    /// End the rollout under way: who is migrated stays so, everybody else is left as they are
    Cancel,
    /// Take databases back to the schema before; their pages are closed until they are migrated again
    Rollback {
        /// Only this institution's; without it everybody whom the last rollout brought along
        domain: Option<String>,
        /// Do not ask; without a terminal nobody is asked
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        follow: Follow,
    },
}

#[derive(Debug, Args)]
pub(super) struct Follow {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Tenants {
    /// Only say who is where and what would run
    #[arg(long)]
    plan: bool,
    /// Only try the migrations on one database, the first canary's, and take them back
    #[arg(long)]
    dry_run: bool,
    /// Domain of an institution that goes first; can be given again [default: the first three]
    #[arg(long, value_name = "DOMAIN")]
    canary: Vec<String>,
    /// Institutions in a wave
    #[arg(long, value_name = "COUNT", default_value_t = rollouts::WAVE_SIZE,
          value_parser = clap::value_parser!(i32).range(1..=100_000))]
    wave_size: i32,
    /// Stop when more than so many in a hundred fail, and at least three
    #[arg(long, value_name = "PERCENT", default_value_t = rollouts::FAILURE_PERCENT,
          value_parser = clap::value_parser!(i32).range(1..=100))]
    failure_rate: i32,
    /// Run migrations that take something away for good; every database is backed up right before
    #[arg(long)]
    allow_destructive: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Shared => shared(config),
        Command::Tenants(asked) => tenants(config, &asked),
        Command::Pause => control(config, "is paused", rollouts::pause).map(|_| ()),
        Command::Cancel => control(config, "is cancelled", rollouts::cancel).map(|_| ()),
        Command::Resume(Follow { json }) => {
            let (platform, rollout) = control(config, "goes on", rollouts::resume)?;
            watch::to_the_end(
                &platform,
                Started { rollout: rollout.id, operation: rollout.operation_id },
                json,
            )
        }
        Command::Rollback { domain, yes, follow } => roll_back(config, domain.as_deref(), yes, follow.json),
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

fn tenants(config: &Config, asked: &Tenants) -> Outcome {
    let platform = open_existing(config)?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let plan = rollouts::plan(connection, &platform).map_err(sentence)?;
    if asked.plan {
        return print_plan(&plan, asked.json);
    }
    if plan.behind == 0 {
        if asked.json {
            return print_json(&json!([]));
        }
        print_line("Every institution's database is up to date.");
        return Ok(());
    }
    if asked.dry_run {
        return dry_run(&platform, asked);
    }
    let order = Order {
        canaries: asked.canary.clone(),
        wave_size: asked.wave_size,
        failure_percent: asked.failure_rate,
        destructive_agreed: asked.allow_destructive,
    };
    let audit = command_line(&platform);
    // What an earlier call has begun is gone on with.
    let started = match model::open(connection).map_err(sentence)? {
        Some(open) => Started { rollout: open.id, operation: open.operation_id },
        None => rollouts::start(connection, &platform, &audit, &order).map_err(sentence)?,
    };
    watch::to_the_end(&platform, started, asked.json)
}

fn command_line(platform: &Platform) -> Audit {
    platform.audit(Actor::command_line())
}

#[derive(Serialize)]
struct Listed<'a> {
    version: &'a str,
    databases: i64,
    in_quarantine: i64,
}

fn print_plan(plan: &Plan, json: bool) -> Outcome {
    if json {
        let versions: Vec<_> = plan
            .versions
            .iter()
            .map(|count| Listed {
                version: &count.version,
                databases: count.tenants,
                in_quarantine: count.quarantined,
            })
            .collect();
        let pending: Vec<_> = plan
            .pending
            .iter()
            .map(|migration| {
                json!({
                    "name": migration.name, "about": migration.about, "destructive": migration.destructive,
                    "in_transaction": migration.in_transaction, "checksum": migration.checksum,
                })
            })
            .collect();
        return print_json(&json!({
            "version": plan.version, "behind": plan.behind, "newer": plan.newer,
            "in_quarantine": plan.quarantined, "versions": versions, "pending": pending,
        }));
    }
    let row = |count: &crate::models::platform::tenant_databases::VersionCount| {
        [count.tenants.to_string(), count.quarantined.to_string(), count.version.clone()]
    };
    print_table(["DATABASES", "QUARANTINE", "VERSION"], &plan.versions.iter().map(row).collect::<Vec<_>>());
    for migration in &plan.pending {
        let grave = if migration.destructive { " (takes something away for good)" } else { "" };
        print_line(&format!("to run: {}: {}{grave}", migration.name, migration.about));
    }
    if plan.behind == 0 {
        print_line("Every institution's database is up to date.");
    }
    Ok(())
}

fn dry_run(platform: &Platform, asked: &Tenants) -> Outcome {
    let shown =
        rollouts::rehearse_first(platform, asked.canary.first().map(String::as_str)).map_err(sentence)?;
    let Some(shown) = shown else { return Err("That institution has no database that is behind.".into()) };
    if asked.json {
        let ran: Vec<_> = shown
            .ran
            .iter()
            .map(|ran| json!({ "name": ran.name, "milliseconds": ran.milliseconds }))
            .collect();
        return print_json(&json!({ "domain": shown.domain, "migrations": ran }));
    }
    for ran in &shown.ran {
        print_line(&format!("{}: {} ms", ran.name, ran.milliseconds));
    }
    let count = counted(shown.ran.len(), "migration", "migrations");
    print_line(&format!("{count} ran at {} and were taken back; nothing was changed.", shown.domain));
    Ok(())
}

/// Does something to the rollout under way.
fn control(
    config: &Config,
    done: &str,
    act: fn(&mut SharedConn, &Audit, crate::db::Id) -> ModelResult<Rollout>,
) -> Result<(Arc<Platform>, Rollout), String> {
    let platform = open_existing(config)?;
    let rollout = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let open = model::open(connection).map_err(sentence)?;
        let open = open.ok_or_else(|| "No rollout is under way.".to_owned())?;
        act(connection, &command_line(&platform), open.id).map_err(sentence)?
    };
    eprintln!("The rollout to {} {done}.", rollout.target_version);
    Ok((platform, rollout))
}

fn roll_back(config: &Config, domain: Option<&str>, yes: bool, json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let audit = command_line(&platform);
    let whose = domain.unwrap_or("everybody whom the last rollout brought along");
    confirm(
        &format!(
            "What was written in the newer schema only is lost: {whose}. Each database is backed up first."
        ),
        yes,
    )?;
    let started = match domain {
        Some(domain) => {
            let institution = institutions::find_by_domain(connection, domain)
                .map_err(|_| format!("No institution has the domain {domain}."))?;
            rollouts::roll_back_one(connection, &platform, &audit, institution.id)
        }
        None => {
            let newest = model::newest(connection, 100).map_err(sentence)?;
            let last = newest.into_iter().find(|rollout| rollout.direction == model::Direction::Up);
            let last = last.ok_or_else(|| "There was no rollout yet.".to_owned())?;
            rollouts::roll_back(connection, &audit, last.id)
        }
    };
    watch::to_the_end(&platform, started.map_err(sentence)?, json)
}
