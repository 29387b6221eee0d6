//! `provost support`: who looks into an institution now, and ending it. It is opened in a browser only, by the person.

use chrono::NaiveDateTime;
use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome, open_existing,
    output::{print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::Id,
    models::{
        Actor,
        platform::{
            institutions,
            support_accesses::{self, OpenAccess},
        },
    },
    services::support,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List who looks into which institution now, and why
    #[command(after_help = "Example:\n  provost support list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End one, from its next request on; the institution's own log says so
    End {
        /// Its id, as provost support list prints it
        id: Id,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    domain: String,
    admin: String,
    admin_email: String,
    reason: String,
    opened_at: NaiveDateTime,
    expires_at: NaiveDateTime,
}

impl From<OpenAccess> for Listed {
    fn from(open: OpenAccess) -> Self {
        Self {
            id: open.access.id,
            domain: open.domain,
            admin: open.admin_name,
            admin_email: open.admin_email,
            reason: open.access.reason,
            opened_at: open.access.created_at,
            expires_at: open.access.expires_at,
        }
    }
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    let platform = open_existing(config)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let open = support_accesses::open_anywhere(&mut connection).map_err(sentence)?;
    match command {
        Command::List { json: true } => print_json(&open.into_iter().map(Listed::from).collect::<Vec<_>>()),
        Command::List { json: false } => {
            let cells = |open: OpenAccess| {
                let until = open.access.expires_at.format("%Y-%m-%d %H:%M").to_string();
                [open.access.id.to_string(), open.domain, open.admin_email, until, open.access.reason]
            };
            let rows: Vec<_> = open.into_iter().map(cells).collect();
            print_table(["ID", "INSTITUTION", "ADMIN", "UNTIL", "REASON"], &rows);
            Ok(())
        }
        Command::End { id, json } => {
            let known = open.into_iter().find(|open| open.access.id == *id);
            let known = known.ok_or_else(|| format!("No access {id} is open. See provost support list."))?;
            let institution =
                institutions::find_by_domain(&mut connection, &known.domain).map_err(sentence)?;
            let audit = platform.audit(Actor::command_line());
            support::end(&mut connection, &platform, &audit, &institution, known.access.admin_id)
                .map_err(sentence)?;
            if *json {
                return print_json(&Listed::from(known));
            }
            print_line(&format!("{} looks no more into {}.", known.admin_name, institution.name));
            Ok(())
        }
    }
}
