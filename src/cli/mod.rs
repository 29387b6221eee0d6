//! The command line: the same verbs as the pages, for operators and scripts.
//!
//! Exit codes: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.

mod admin;
mod announcement;
mod audit;
mod backup;
mod database;
mod demo;
mod doctor;
mod follow;
mod institution;
mod keeping;
mod keys;
mod leaving;
mod maintain;
mod migrate;
mod monitor;
mod operation;
mod output;
mod plan;
mod reconcile;
mod sandbox;
mod serve;
mod server;
mod support;
mod webhook;

use std::{process::ExitCode, sync::Arc};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    config::{self, Config, Options},
    services::platform::Platform,
};

const EXAMPLES: &str = "\
Examples:
  provost demo                           try it out: a sample platform, sign-ins printed
  provost                                start the web server with everything in ./provost-data
  provost institution list --json       every institution, for a script
  provost institution approve ada.edu --wait
  provost doctor                         look for what is wrong, and say what to do

Every setting can also be given in the environment or in a .env file; `provost config` prints what is in force.
Exit codes: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.";

/// The command line as it is declared: for tests that hold documents to it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs many educational institutions from one place, each in a database of its own.
#[derive(Debug, Parser)]
#[command(
    name = "provost", version, about, subcommand_required = false, propagate_version = true,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the web server (what `provost` alone does)
    Serve,
    /// Run the server on a sample platform with invented institutions, and print its sign-ins
    #[command(after_help = demo::HELP)]
    Demo {
        /// Throw an earlier demo away and begin again
        #[arg(long)]
        fresh: bool,
    },
    /// Platform admins: make them, list them, change what they may do
    #[command(subcommand)]
    Admin(admin::Command),
    /// What the platform says to its institutions, over their pages
    #[command(subcommand)]
    Announcement(announcement::Command),
    /// Institutions: list them, decide about them, suspend them
    #[command(subcommand)]
    Institution(institution::Command),
    /// Plans that institutions subscribe to
    #[command(subcommand)]
    Plan(plan::Command),
    /// What is kept for how long
    #[command(subcommand)]
    Keeping(keeping::Command),
    /// Who looks into an institution now
    #[command(subcommand)]
    Support(support::Command),
    /// The institutions' databases
    #[command(subcommand)]
    Database(database::Command),
    /// Long work: what runs, what has failed, trying it again
    #[command(subcommand)]
    Operation(operation::Command),
    /// Servers of the institutions' databases
    #[command(subcommand)]
    Server(server::Command),
    /// Backups: take them, list them, prove that they can be restored
    #[command(subcommand)]
    Backup(backup::Command),
    /// Bring an institution back to the state of a backup, or put that beside it
    #[command(after_help = backup::RESTORE_HELP)]
    Restore(backup::Restore),
    /// Bring a whole platform back from its backups, on a machine without one
    #[command(after_help = backup::PLATFORM_HELP)]
    RestorePlatform {
        /// Do not ask; without a terminal nobody is asked
        #[arg(long)]
        yes: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring databases to the schema of this version of Provost
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// The platform's keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// How the platform stands: institutions, requests, times, sizes, what needs somebody
    #[command(after_help = monitor::EXAMPLES)]
    Monitor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// What needs somebody
    #[command(subcommand)]
    Alert(monitor::Command),
    /// Programs that are told of alerts
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// The log of everything that super admins and operators did
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look after institutions' databases while people work
    #[command(after_help = maintain::HELP)]
    Maintain(maintain::Maintain),
    /// Look for what is wrong or soon will be, and say what to do
    #[command(after_help = doctor::EXAMPLES)]
    Doctor {
        /// Look into every institution's database as well
        #[arg(long)]
        fleet: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show where the registry and what is really there differ, and mend it
    #[command(after_help = reconcile::EXAMPLES)]
    Reconcile(reconcile::Wanted),
    /// Print the settings in force, secrets hidden
    Config {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Why a command did not do what it was asked: one sentence for the operator.
type Outcome = Result<(), String>;

/// Reads the command line, starts the log, runs the command.
#[must_use]
pub fn run() -> ExitCode {
    let env_file = config::load_env_file();
    let arguments = Arguments::parse();
    let quiet = !matches!(arguments.command, None | Some(Command::Serve | Command::Demo { .. }));
    start_log(if quiet { "warn" } else { "info" });
    match env_file.and_then(|()| carry_out(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("provost: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: Arguments) -> Outcome {
    config::refuse_unknown_variables(&Arguments::command())?;
    let config = match &arguments.command {
        Some(Command::Demo { .. }) => arguments.options.in_own_folder(demo::FOLDER)?.read()?,
        _ => arguments.options.read()?,
    };
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(config),
        Command::Demo { fresh } => demo::run(config, fresh),
        Command::Admin(command) => admin::run(&config, command),
        Command::Announcement(command) => announcement::run(&config, command),
        Command::Institution(command) => institution::run(&config, command),
        Command::Plan(command) => plan::run(&config, &command),
        Command::Keeping(command) => keeping::run(&config, &command),
        Command::Support(command) => support::run(&config, &command),
        Command::Database(command) => database::run(&config, command),
        Command::Operation(command) => operation::run(&config, command),
        Command::Server(command) => server::run(&config, command),
        Command::Backup(command) => backup::run(&config, command),
        Command::Restore(asked) => backup::restore(&config, &asked),
        Command::RestorePlatform { yes, json } => backup::restore_platform(&config, yes, json),
        Command::Migrate(command) => migrate::run(&config, command),
        Command::Keys(command) => keys::run(&config, &command),
        Command::Monitor { json } => monitor::run(&config, json),
        Command::Alert(command) => monitor::run_alert(&config, &command),
        Command::Webhook(command) => webhook::run(&config, command),
        Command::Audit(command) => audit::run(&config, &command),
        Command::Reconcile(wanted) => reconcile::run(&config, wanted),
        Command::Maintain(asked) => maintain::run(&config, &asked),
        Command::Doctor { fleet, json } => doctor::run(&config, fleet, json),
        Command::Config { json } => print_config(&config, json),
    }
}

/// One line per record whatever a name holds: control characters are escaped.
fn start_log(level: &str) {
    use std::io::Write as _;
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or(format!("{level},actix_server=warn")),
    )
    .format(|out, record| {
        let text = one_line(&record.args().to_string());
        let at = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        writeln!(out, "{at} {:5} {} {text}", record.level(), record.target())
    })
    .init();
}

/// Escapes what would begin a new line, move a terminal's cursor or turn the direction of writing around.
fn one_line(text: &str) -> String {
    let turns = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn print_config(config: &Config, json: bool) -> Outcome {
    let values = config.in_force();
    if json {
        let map: serde_json::Map<_, _> = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), serde_json::Value::from(value)))
            .collect();
        return output::print_json(&map);
    }
    for (name, value) in values {
        output::print_line(&format!("{name}={value}"));
    }
    Ok(())
}

/// Opens a platform that is there already: a look at the wrong folder must not make a new platform in it,
/// and one with a newer binary must not change the database under a running server.
fn open_existing(config: &Config) -> Result<Arc<Platform>, String> {
    if !Platform::exists(&config.settings).map_err(|error| error.to_string())? {
        return Err(format!(
            "There is no platform in {} yet. Start one with provost serve, or name its folder with --data-dir.",
            config.settings.database
        ));
    }
    Platform::open_present(config.settings.clone()).map_err(|error| error.to_string())
}

/// Opens the platform of this configuration; at the first run it is created, later migrated.
fn open(config: &Config) -> Result<Arc<Platform>, String> {
    Platform::open(config.settings.clone()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_record_stays_one_line_whatever_a_name_holds() {
        let forged =
            "Ada\r\n2026-01-01T00:00:00.000Z INFO  provost all is well\u{1b}[2J\u{85}\u{2028}\u{202e}x";
        assert_eq!(
            one_line(forged),
            r"Ada\r\n2026-01-01T00:00:00.000Z INFO  provost all is well\u{1b}[2J\u{85}\u{2028}\u{202e}x"
        );
        assert_eq!(one_line("Zoë 李 🗼 محمد"), "Zoë 李 🗼 محمد");
    }
}
