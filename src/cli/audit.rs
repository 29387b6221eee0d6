//! `provost audit`: is the audit log as it was written?

use clap::Subcommand;
use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{config::Config, models::platform::audit};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Walk the whole log and find the first entry that was changed, removed or slipped in
    #[command(after_help = "\
Each entry carries a keyed hash of the one before. Note the number of entries and the last hash somewhere else:
that a tail was cut off shows only against such a note.

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
    let mut connection = platform.shared.get().map_err(sentence)?;
    let found = audit::verify(&mut connection, &platform.keys.audit_key()).map_err(sentence)?;
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
             and compare it with a backup.",
            broken.reason
        )),
    }
}
