//! `provost audit`: is the audit log as it was written?

use clap::Subcommand;
use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{config::Config, services::audit_anchor};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Walk the whole log and find the first entry that was changed, removed or slipped in, and a missing end
    #[command(after_help = "\
Each entry carries a keyed hash of the one before. How many there are, and the last hash, is noted every minute in
audit.anchors in the data folder and in the server's log; against that a cut-off end shows. Keep copies of it elsewhere.

Example:
  provost audit verify")]
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    match command {
        Command::Verify { json } => verify(config, *json),
    }
}

fn verify(config: &Config, as_json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let found = audit_anchor::verify(&platform).map_err(sentence)?;
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
