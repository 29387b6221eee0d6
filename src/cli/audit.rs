//! `provost audit`: is the audit log as it was written? And archiving what is old of it.

use chrono::TimeDelta;
use clap::Subcommand;
use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{
    config::Config,
    models::{Actor, platform::platform_settings},
    services::{audit_anchor, log_archives},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Walk the whole log and find the first entry that was changed, removed or slipped in, and a missing end
    #[command(after_help = "\
Each entry carries a keyed hash of the one before. How many there are, and the last hash, is noted every minute in
audit.anchors in the data folder and in the server's log; against that a cut-off end shows. Keep copies of it elsewhere.

Examples:
  provost audit verify
  provost audit verify --archives")]
    Verify {
        /// Read the archives too: every entry that was ever written
        #[arg(long)]
        archives: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what is older than the policy says into an archive, and take it out of the log
    #[command(after_help = "\
The archive is sealed and lies with the backups. The log can be verified as before: its chain goes on from the archive's.
The server does so by itself, a month at a time.

Example:
  provost audit archive")]
    Archive {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    match command {
        Command::Verify { archives, json } => verify(config, *archives, *json),
        Command::Archive { json } => archive(config, *json),
    }
}

fn archive(config: &Config, as_json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let keeping = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        platform_settings::keeping(connection).map_err(sentence)?
    };
    let audit = platform.audit(Actor::command_line());
    let made =
        log_archives::archive_audit(&platform, &audit, &keeping, TimeDelta::zero()).map_err(sentence)?;
    if as_json {
        let lines: Vec<_> = made
            .iter()
            .map(|one| {
                json!({
                    "id": one.id, "first": one.first_sequence, "last": one.last_sequence,
                    "entries": one.entries, "bytes": one.bytes,
                })
            })
            .collect();
        return print_json(&lines);
    }
    for one in &made {
        let entries = counted(usize::try_from(one.entries).unwrap_or(0), "entry", "entries");
        print_line(&format!("{}: {entries}, up to {} UTC", one.id, one.last_at));
    }
    if made.is_empty() {
        print_line(&format!("No entry is older than {} days.", keeping.audit_days));
    }
    Ok(())
}

fn verify(config: &Config, archives: bool, as_json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let found = match archives {
        true => log_archives::verify_with_archives(&platform).map_err(sentence)?,
        false => audit_anchor::verify(&platform).map_err(sentence)?,
    };
    if found.broken.is_none() {
        audit_anchor::note(&platform).map_err(sentence)?;
    }
    let entries = counted(usize::try_from(found.entries).unwrap_or(0), "entry", "entries");
    if as_json {
        let broken = found.broken.as_ref();
        print_json(&json!({
            "entries": found.entries, "head": found.head, "whole": broken.is_none(),
            "broken_at": broken.map(|broken| broken.sequence), "reason": broken.map(|broken| &broken.reason),
        }))?;
    } else {
        print_line(&format!("{entries} as written; the last hash is {}", found.head));
    }
    match found.broken {
        None => Ok(()),
        Some(broken) => Err(format!(
            "The audit log is not as it was written. {} The {entries} before it hold. Keep this database as it is \
             and compare it with a backup. (If you have put an older backup in its place, that is why: then move \
             {} away.)",
            broken.reason,
            audit_anchor::path(&platform).display()
        )),
    }
}
