//! `provost keys`: the master key and what it seals.

use clap::Subcommand;
use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{
    config::Config,
    models::{
        Actor,
        platform::{audit::Subject, backups::Reason},
    },
    services::backups,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new master key and seal everything again with it
    #[command(after_help = "\
A running server goes on working. Interrupted, run it again: it finishes what was begun. Copy the new key file to
where you keep the old one; backups made before still need the old one.

Example:
  provost keys rotate")]
    Rotate {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    match command {
        Command::Rotate { json } => rotate(config, *json),
    }
}

fn rotate(config: &Config, json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let count = platform.keys.rotate(&mut connection).map_err(sentence)?;
    let audit = platform.audit(Actor::command_line());
    let subject = Subject { kind: "master key", id: None, label: "master key", institution_id: None };
    connection
        .write_tx(|connection| {
            audit.record(connection, "keys.rotated", &subject, &json!({ "sealed_again": count }))
        })
        .map_err(sentence)?;
    let file = config.settings.master_key_file.display();
    if json {
        print_json(&json!({ "sealed_again": count, "master_key_file": file.to_string() }))?;
    } else {
        print_line(&format!(
            "The master key is new; {} sealed again. Copy {} to a safe place, apart from the database and its backups.",
            counted(count, "secret is", "secrets are"),
            file
        ));
    }
    drop(connection);
    // The backups of the shared database from before open with the old key alone.
    backups::take(&platform, &audit, None, Reason::Requested).map_err(|failure| {
        format!("The shared database could not be backed up under the new key: {failure} Run: provost backup run --shared")
    })?;
    Ok(())
}
