//! `provost server`: where institutions' databases live.

use std::{collections::HashSet, sync::Arc};

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome,
    follow::follow,
    institution, open_existing,
    output::{counted, print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::Id,
    models::{
        Actor,
        platform::servers::{self, DatabaseServer, ServerRow, ServerState},
    },
    services::{
        operations::move_database,
        platform::Platform,
        servers::{self as service, Entered, emptying},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the servers: what they hold, and what the last check found
    #[command(after_help = "Example:\n  provost server list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a server and add it
    #[command(after_help = "\
Its role needs the rights CREATEDB and CREATEROLE. What is missing is said, and nothing is added then.

Examples:
  provost server add second postgres://provost@db2.example.org/postgres --password-stdin < password
  provost server add folder sqlite: --capacity 500")]
    Add {
        /// What people call it
        name: String,
        /// Where it is; sqlite: is the data folder
        address: String,
        /// Read the role's password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Databases at most
        #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
        capacity: i64,
        /// Connections of one node; without it as many as the server has
        #[arg(long, value_name = "COUNT")]
        connections: Option<i64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check one server, or all: exit code 1 when something is wrong
    #[command(after_help = "Example:\n  provost server check")]
    Check {
        /// Its name
        name: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let nothing new come to a server
    #[command(after_help = "Example:\n  provost server drain second")]
    Drain {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let new databases come to a server again
    #[command(after_help = "Example:\n  provost server accept second")]
    Accept {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move an institution's database to another server; its people can read meanwhile, and not change
    #[command(after_help = "\
A backup is taken first, and every row is compared. Whatever fails, the present database serves on.
The steps are shown until they end. The exit code is 0 when the institution is on the other server.

Example:
  provost server move ada.edu --to second")]
    Move {
        /// The institution's domain
        domain: String,
        /// The name of the other server
        #[arg(long, value_name = "SERVER")]
        to: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move everything on a server that drains to the others, one institution after another
    #[command(after_help = "\
What cannot be moved now is said, and the rest goes on; begun again, it goes on where it ended. The exit code is 0
when nothing is left to move.

Example:
  provost server drain second && provost server empty second")]
    Empty {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a server that holds nothing
    #[command(after_help = "Example:\n  provost server remove second")]
    Remove {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { json } => list(&platform, json),
        Command::Add { name, address, password_stdin, capacity, connections, json } => {
            let password = password_stdin.then(|| super::admin::read_password(true)).transpose()?;
            let entered = Entered { name, address, password, capacity, most_connections: connections };
            let audit = platform.audit(Actor::command_line());
            let server = service::add(&platform, &audit, &entered).map_err(sentence)?;
            done(&platform, server, json, "takes databases now")
        }
        Command::Check { name, json } => check(&platform, name.as_deref(), json),
        Command::Drain { name, json } => {
            set_state(&platform, &name, ServerState::Draining, json, "takes nothing new")
        }
        Command::Accept { name, json } => {
            set_state(&platform, &name, ServerState::Accepting, json, "takes new databases again")
        }
        Command::Move { domain, to, json } => move_to(&platform, &domain, &to, json),
        Command::Empty { name, json } => empty(&platform, &name, json),
        Command::Remove { name, json } => {
            let server = find(&platform, &name)?;
            let audit = platform.audit(Actor::command_line());
            let removed = {
                let connection = &mut *platform.shared.get().map_err(sentence)?;
                servers::remove(connection, &audit, server.id).map_err(sentence)?
            };
            done(&platform, removed, json, "is removed")
        }
    }
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    name: String,
    engine: String,
    address: String,
    state: ServerState,
    databases: i64,
    capacity: i64,
    connections: Option<i64>,
    version: Option<String>,
    round_trip_micros: Option<i64>,
    checked_at: Option<chrono::NaiveDateTime>,
    problem: Option<String>,
}

fn listed((server, databases): ServerRow) -> Listed {
    Listed {
        id: server.id,
        name: server.name,
        engine: server.engine.to_string(),
        address: server.address,
        state: server.state,
        databases,
        capacity: server.capacity,
        connections: server.most_connections.or(server.connections),
        version: server.server_version,
        round_trip_micros: server.round_trip_micros,
        checked_at: server.checked_at,
        problem: server.problem,
    }
}

fn rows(platform: &Platform) -> Result<Vec<Listed>, String> {
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    Ok(servers::with_counts(connection).map_err(sentence)?.into_iter().map(listed).collect())
}

fn list(platform: &Platform, json: bool) -> Outcome {
    let rows = rows(platform)?;
    if json {
        return print_json(&rows);
    }
    let cells = |row: &Listed| {
        [
            row.name.clone(),
            row.state.as_str().to_owned(),
            format!("{} of {}", row.databases, row.capacity),
            row.version.clone().unwrap_or_else(|| row.engine.clone()),
            if row.problem.is_some() { "in trouble" } else { "" }.to_owned(),
            row.address.clone(),
        ]
    };
    let heading = ["SERVER", "STATE", "DATABASES", "VERSION", "CHECK", "ADDRESS"];
    print_table(heading, &rows.iter().map(cells).collect::<Vec<_>>());
    eprintln!("{}", counted(rows.len(), "server", "servers"));
    Ok(())
}

pub(super) fn find(platform: &Platform, name: &str) -> Result<DatabaseServer, String> {
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    servers::find_by_name(connection, name).map_err(|error| match error.is_not_found() {
        true => format!("There is no server {name}. See: provost server list"),
        false => sentence(error),
    })
}

fn check(platform: &Platform, name: Option<&str>, json: bool) -> Outcome {
    let wanted = match name {
        Some(name) => vec![find(platform, name)?],
        None => servers::all(&mut *platform.shared.get().map_err(sentence)?).map_err(sentence)?,
    };
    let mut troubled = 0;
    for server in &wanted {
        let seen = service::check(platform, server.id).map_err(sentence)?;
        troubled += usize::from(seen.problem.is_some());
        if !json {
            let words = seen.problem.as_deref().unwrap_or("ok");
            print_line(&format!("{}: {words}", seen.name));
        }
    }
    if json {
        let all = rows(platform)?;
        print_json(&all.iter().filter(|row| wanted.iter().any(|s| s.id == row.id)).collect::<Vec<_>>())?;
    }
    match troubled {
        0 => Ok(()),
        count => Err(format!("{} in trouble.", counted(count, "server is", "servers are"))),
    }
}

fn move_to(platform: &Arc<Platform>, domain: &str, to: &str, json: bool) -> Outcome {
    let server = find(platform, to)?;
    let (institution, operation) = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let institution = institution::find(connection, domain)?;
        let audit = platform.audit(Actor::command_line());
        let asked = move_database::request(connection, &audit, institution.id, server.id);
        (institution, asked.map_err(sentence)?)
    };
    follow(platform, operation)?;
    if json {
        return print_json(&serde_json::json!({
            "domain": institution.domain, "server": server.name, "operation": operation,
        }));
    }
    print_line(&format!("{} is on the server {} now.", institution.name, server.name));
    Ok(())
}

fn empty(platform: &Arc<Platform>, name: &str, json: bool) -> Outcome {
    let server = find(platform, name)?;
    let audit = platform.audit(Actor::command_line());
    let (mut moved, mut failed): (Vec<String>, Vec<(String, String)>) = Default::default();
    let mut tried = HashSet::new();
    loop {
        let found = {
            let connection = &mut *platform.shared.get().map_err(sentence)?;
            emptying::empty(connection, &audit, server.id, 1, &tried).map_err(sentence)?
        };
        for (institution, domain, why) in found.refused {
            tried.insert(institution);
            failed.push((domain, why));
        }
        let Some(asked) = found.asked.into_iter().next() else { break };
        tried.insert(asked.institution_id);
        match follow(platform, asked.operation) {
            Ok(()) => moved.push(asked.domain),
            Err(why) => failed.push((asked.domain, why)),
        }
    }
    if json {
        let failed: Vec<_> =
            failed.iter().map(|(domain, why)| serde_json::json!({ "domain": domain, "why": why })).collect();
        print_json(&serde_json::json!({ "server": server.name, "moved": moved, "failed": failed }))?;
    } else {
        let count = counted(moved.len(), "institution", "institutions");
        print_line(&format!("{count} moved away from the server {}.", server.name));
        failed.iter().for_each(|(domain, why)| eprintln!("{domain}: {why}"));
    }
    match failed.len() {
        0 => Ok(()),
        n => Err(format!("{} not be moved.", counted(n, "institution could", "institutions could"))),
    }
}

fn set_state(platform: &Platform, name: &str, state: ServerState, json: bool, words: &str) -> Outcome {
    let server = find(platform, name)?;
    let audit = platform.audit(Actor::command_line());
    let changed = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        servers::set_state(connection, &audit, server.id, state).map_err(sentence)?
    };
    done(platform, changed, json, words)
}

fn done(platform: &Platform, server: DatabaseServer, json: bool, words: &str) -> Outcome {
    if json {
        let counts = servers::counts(&mut *platform.shared.get().map_err(sentence)?).map_err(sentence)?;
        let databases = counts.get(&server.id).copied().unwrap_or(0);
        return print_json(&listed((server, databases)));
    }
    print_line(&format!("The server {} {words}.", server.name));
    Ok(())
}
