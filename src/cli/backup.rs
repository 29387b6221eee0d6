//! `provost backup`, `provost restore` and `provost restore-platform`: what the pages of backups do, and what is done
//! when there is no page left.

use std::sync::Arc;

use chrono::NaiveDateTime;
use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome,
    follow::follow,
    institution, open, open_existing,
    output::{bytes, confirm, counted, print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::Id,
    models::{
        Actor, Paging,
        platform::{
            backups::{self as registry, Backup, BackupFilter, BackupRow, Reason},
            operations,
            tenant_copies::{self, Purpose},
        },
    },
    services::{
        backups::{self, RestoreHow, SHARED, platform as whole},
        platform::Platform,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Back up one institution's database, all of them, or the shared one
    #[command(after_help = "\
Each backup is written, sealed and entered before the next begins. The exit code is 1 when one of them failed.

Examples:
  provost backup run ada.edu
  provost backup run --all --json
  provost backup run --shared")]
    Run {
        /// The institution's domain
        #[arg(required_unless_present_any = ["all", "shared"], conflicts_with_all = ["all", "shared"])]
        domain: Option<String>,
        /// Every institution's, and the shared one
        #[arg(long, conflicts_with = "shared")]
        all: bool,
        /// The shared database alone
        #[arg(long)]
        shared: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the backups, the newest first
    #[command(after_help = "Example:\n  provost backup list --institution ada.edu --json")]
    List {
        /// Only this institution's
        #[arg(long, value_name = "DOMAIN")]
        institution: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Restore a backup for a trial, compare it, and let the trial go: only then it counts
    #[command(after_help = "Example:\n  provost backup verify ada.edu")]
    Verify {
        /// The backup's id, or an institution's domain for its newest one
        #[arg(value_name = "ID|DOMAIN")]
        which: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::Run { domain: Some(domain), json, .. } => {
            let id = institution::find(&mut *platform.shared.get().map_err(sentence)?, &domain)?.id;
            take(&platform, &[(domain, Some(id))], json)
        }
        Command::Run { all: true, json, .. } => {
            let standings = registry::standings(&mut *platform.shared.get().map_err(sentence)?);
            let mut owners: Vec<(String, Option<Id>)> = standings
                .map_err(sentence)?
                .into_iter()
                .map(|found| (found.domain, Some(found.institution_id)))
                .collect();
            // Last: it knows the others then.
            owners.push((SHARED.into(), None));
            take(&platform, &owners, json)
        }
        Command::Run { json, .. } => take(&platform, &[(SHARED.into(), None)], json),
        Command::List { institution, json } => list(&platform, institution.as_deref(), json),
        Command::Verify { which, json } => verify(&platform, &which, json),
    }
}

#[derive(Serialize)]
struct Taken<'a> {
    of: &'a str,
    backup: Option<Id>,
    bytes: Option<i64>,
    rows: Option<i64>,
    error: Option<String>,
}

fn take(platform: &Platform, owners: &[(String, Option<Id>)], json: bool) -> Outcome {
    let audit = platform.audit(Actor::command_line());
    let (mut taken, mut failed) = (Vec::new(), 0);
    for (of, owner) in owners {
        let line = match backups::take(platform, &audit, *owner, Reason::Requested) {
            Ok(backup) => {
                let size = bytes(u64::try_from(backup.bytes).unwrap_or(0));
                if !json {
                    print_line(&format!("{of}: {} rows, {size}, {}", backup.row_total, backup.id));
                }
                let (bytes, rows) = (Some(backup.bytes), Some(backup.row_total));
                Taken { of, backup: Some(backup.id), bytes, rows, error: None }
            }
            Err(failure) => {
                failed += 1;
                if !json {
                    eprintln!("{of}: {failure}");
                }
                Taken { of, backup: None, bytes: None, rows: None, error: Some(failure.to_string()) }
            }
        };
        taken.push(line);
    }
    if json {
        print_json(&taken)?;
    }
    if failed > 0 {
        Err(format!("{} of {} failed.", failed, counted(owners.len(), "backup", "backups")))
    } else {
        Ok(())
    }
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    of: String,
    domain: Option<String>,
    taken_at: NaiveDateTime,
    reason: Reason,
    bytes: i64,
    rows: i64,
    schema_version: String,
    verified_at: Option<NaiveDateTime>,
    kept_until: NaiveDateTime,
    fault: Option<String>,
}

fn list(platform: &Platform, domain: Option<&str>, json: bool) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution_id = domain.map(|domain| institution::find(&mut connection, domain)).transpose()?;
    let filter = BackupFilter {
        institution_id: institution_id.map(|institution| institution.id),
        ..BackupFilter::default()
    };
    let everything = Paging { sort: "taken".into(), descending: true, limit: i64::MAX, offset: 0 };
    let rows = registry::page(&mut connection, &filter, &everything).map_err(sentence)?.rows;
    let listed: Vec<Listed> = rows
        .into_iter()
        .map(|BackupRow { backup, domain }| Listed {
            id: backup.id,
            of: backup.subject,
            domain,
            taken_at: backup.taken_at,
            reason: backup.reason,
            bytes: backup.bytes,
            rows: backup.row_total,
            schema_version: backup.schema_version,
            verified_at: backup.verified_at,
            kept_until: backup.kept_until,
            fault: backup.fault,
        })
        .collect();
    if json {
        return print_json(&listed);
    }
    let cells = |row: &Listed| {
        let state = match (&row.fault, &row.verified_at) {
            (Some(_), _) => "faulty",
            (None, Some(_)) => "verified",
            (None, None) => "not verified",
        };
        let size = bytes(u64::try_from(row.bytes).unwrap_or(0));
        let taken = row.taken_at.format("%Y-%m-%d %H:%M").to_string();
        let of = row.domain.clone().unwrap_or_else(|| row.of.clone());
        [row.id.to_string(), taken, size, state.to_owned(), row.reason.label().to_owned(), of]
    };
    let heading = ["BACKUP", "TAKEN (UTC)", "SIZE", "STATE", "REASON", "OF"];
    print_table(heading, &listed.iter().map(cells).collect::<Vec<_>>());
    eprintln!("{}", counted(listed.len(), "backup", "backups"));
    Ok(())
}

/// The backup with this id, or the newest usable one of a domain.
fn find(platform: &Platform, which: &str) -> Result<Backup, String> {
    let mut connection = platform.shared.get().map_err(sentence)?;
    if let Ok(id) = which.parse::<Id>() {
        return registry::find(&mut connection, id).map_err(|error| match error.is_not_found() {
            true => format!("There is no backup {which}. See provost backup list."),
            false => sentence(error),
        });
    }
    drop(connection);
    newest(platform, which, |_| true)
}

/// The newest usable backup of a domain that is `wanted`.
fn newest(platform: &Platform, domain: &str, wanted: impl Fn(&Backup) -> bool) -> Result<Backup, String> {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = institution::find(&mut connection, domain)?;
    let all = registry::of(&mut connection, Some(institution.id)).map_err(sentence)?;
    let usable = all.into_iter().find(|backup| backup.fault.is_none() && wanted(backup));
    usable.ok_or_else(|| format!("{} has no backup. Run: provost backup run {domain}", institution.name))
}

fn verify(platform: &Arc<Platform>, which: &str, json: bool) -> Outcome {
    let backup = find(platform, which)?;
    let audit = platform.audit(Actor::command_line());
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let id = backups::request_verification(connection, &audit, backup.id).map_err(sentence)?;
    follow(platform, id)?;
    if json {
        return print_json(&serde_json::json!({
            "backup": backup.id, "of": backup.subject, "taken_at": backup.taken_at, "operation": id,
        }));
    }
    print_line(&format!("The backup {} of {} can be restored.", backup.id, backup.subject));
    Ok(())
}

/// What `provost restore` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The institution's domain
    domain: String,
    /// The backup to restore; see provost backup list [default: the newest that no restore made of what it replaced]
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// Beside the database that serves, to look into; it goes by itself after 7 days
    #[arg(long, conflicts_with = "without_saving")]
    beside: bool,
    /// Without a backup of the present state, because that is lost
    #[arg(long)]
    without_saving: bool,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) const RESTORE_HELP: &str = "\
The backup becomes a new database, which is compared before it serves. The present state is backed up first, and the
replaced database is kept for 7 days. Everybody there is signed out.

Examples:
  provost restore ada.edu
  provost restore ada.edu --backup 019a8e2c-7d31-7f50-b1a4-2f6f0d1c9e77 --beside";

pub(super) fn restore(config: &Config, asked: &Restore) -> Outcome {
    let platform = open_existing(config)?;
    let backup = match &asked.backup {
        Some(id) => find(&platform, id)?,
        // Run again, it must not bring back what it has just replaced.
        None => newest(&platform, &asked.domain, |backup| backup.reason != Reason::BeforeRestore)?,
    };
    let institution = institution::find(&mut *platform.shared.get().map_err(sentence)?, &asked.domain)?;
    if backup.institution_id != Some(institution.id) {
        return Err(format!(
            "The backup {} is of {}, not of {}.",
            backup.id, backup.subject, institution.name
        ));
    }
    if !asked.beside {
        let question = format!("{} goes back to its state of {} UTC.", institution.name, backup.taken_at);
        confirm(&question, asked.yes)?;
    }
    let how = RestoreHow { beside: asked.beside, without_saving: asked.without_saving };
    let audit = platform.audit(Actor::command_line());
    let id = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        backups::request_restore(connection, &audit, backup.id, how).map_err(sentence)?
    };
    follow(&platform, id)?;
    let restored = restored(&platform, &institution.domain, &backup, id)?;
    if asked.json {
        return print_json(&restored);
    }
    let name = &institution.name;
    print_line(&if asked.beside {
        let copy = restored.location.or(restored.database).unwrap_or_default();
        format!("{name} stands beside its present database for 7 days, as {copy}.")
    } else {
        format!("{name} is back at its state of {} UTC.", backup.taken_at)
    });
    Ok(())
}

/// What a restore has made.
#[derive(Serialize)]
struct Restored {
    domain: String,
    backup: Id,
    state_of: chrono::NaiveDateTime,
    operation: Id,
    database: Option<String>,
    /// Where a copy beside is found: the name of the database, or its file in the data folder.
    location: Option<String>,
}

fn restored(platform: &Platform, domain: &str, backup: &Backup, operation: Id) -> Result<Restored, String> {
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let ended = operations::find(connection, operation).map_err(sentence)?;
    let result: Option<serde_json::Value> = ended.result.and_then(|text| serde_json::from_str(&text).ok());
    let database = result.as_ref().and_then(|result| result["database"].as_str()).map(ToOwned::to_owned);
    let copy = tenant_copies::of_operation(connection, operation, Purpose::Beside).map_err(sentence)?;
    Ok(Restored {
        domain: domain.to_owned(),
        backup: backup.id,
        state_of: backup.taken_at,
        operation,
        database,
        location: copy.map(|copy| copy.location),
    })
}

pub(super) const PLATFORM_HELP: &str = "\
For a new machine that has the backups and the master key, and nothing else. The shared database comes first, then every
institution from its newest backup. Interrupted, run it again: what is back already is left as it is.

Example:
  provost restore-platform --data-dir /srv/provost --master-key-file /root/master.key --yes";

#[derive(Serialize)]
struct Brought {
    domain: String,
    state_of: Option<String>,
    error: Option<String>,
}

pub(super) fn restore_platform(config: &Config, yes: bool, json: bool) -> Outcome {
    if Platform::exists(&config.settings).unwrap_or(false) {
        eprintln!("The shared database is there; what is missing of the institutions is restored.");
    } else {
        confirm("A whole platform is restored from its backups.", yes)?;
        let manifest = whole::restore_shared(&config.settings).map_err(sentence)?;
        eprintln!("The shared database is back at its state of {} UTC.", manifest.taken_at);
    }
    let platform = open(config)?;
    let mut brought = Vec::new();
    for wanted in whole::wanted(&platform).map_err(sentence)?.into_iter().filter(|wanted| !wanted.there) {
        let state_of = wanted.backup.as_ref().map(|backup| backup.taken_at.to_string());
        let outcome = match (&wanted.backup, wanted.unheard) {
            (_, Some(sentence)) => Err(sentence),
            (Some(backup), None) => {
                whole::request(&platform, backup).map_err(sentence).and_then(|id| follow(&platform, id))
            }
            (None, None) => Err("There is no backup of it.".to_owned()),
        };
        brought.push(Brought { domain: wanted.domain, state_of, error: outcome.err() });
    }
    let failed = brought.iter().filter(|one| one.error.is_some()).count();
    if json {
        print_json(&brought)?;
    } else {
        for one in &brought {
            let state = one.state_of.as_deref().unwrap_or("no backup");
            print_line(&format!("{}: {}", one.domain, one.error.as_deref().unwrap_or(state)));
        }
    }
    let count = counted(brought.len(), "institution", "institutions");
    if failed > 0 { Err(format!("{failed} of {count} could not be restored.")) } else { Ok(()) }
}
