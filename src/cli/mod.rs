//! The command line: the same verbs as the pages, for operators and scripts.
//!
//! Exit codes: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.

mod admin;
mod serve;

use std::{process::ExitCode, sync::Arc};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    config::{self, Config, Options},
    services::platform::Platform,
};

/// Runs many educational institutions from one place, each in a database of its own.
#[derive(Debug, Parser)]
#[command(name = "provost", version, about, subcommand_required = false, propagate_version = true)]
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
    /// Super admins of the platform
    #[command(subcommand)]
    Admin(admin::Command),
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
    config::load_env_file();
    let arguments = Arguments::parse();
    let quiet = !matches!(arguments.command, None | Some(Command::Serve));
    start_log(if quiet { "warn" } else { "info" });
    match carry_out(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("provost: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: Arguments) -> Outcome {
    config::refuse_unknown_variables(&Arguments::command())?;
    let config = arguments.options.read()?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(config),
        Command::Admin(command) => admin::run(&config, command),
        Command::Config { json } => {
            print_config(&config, json);
            Ok(())
        }
    }
}

/// One line per record whatever a name holds: control characters are escaped.
fn start_log(level: &str) {
    use std::io::Write as _;
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or(format!("{level},actix_server=warn")),
    )
    .format(|out, record| {
        let text = record.args().to_string();
        let safe: String = text
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
            .collect();
        let at = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        writeln!(out, "{at} {:5} {} {safe}", record.level(), record.target())
    })
    .init();
}

fn print_config(config: &Config, json: bool) {
    let values = config.in_force();
    if json {
        let map: serde_json::Map<_, _> = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), serde_json::Value::from(value)))
            .collect();
        println!("{}", serde_json::Value::from(map));
    } else {
        for (name, value) in values {
            println!("{name}={value}");
        }
    }
}

/// Opens the platform of this configuration.
fn open(config: &Config) -> Result<Arc<Platform>, String> {
    Platform::open(config.settings.clone()).map_err(|error| error.to_string())
}
