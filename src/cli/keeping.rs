//! `provost keeping`: what is kept for how long, as the page of settings says it.

use clap::{Args, Subcommand};

use super::{
    Outcome, open_existing,
    output::{print_json, print_line, sentence},
};
use crate::{
    config::Config,
    models::{
        Actor,
        platform::platform_settings::{self, Keeping},
    },
};

const LEAST: Keeping = Keeping::LEAST;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show for how many days what is kept
    #[command(after_help = "Example:\n  provost keeping show --json")]
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Choose for how many days what is kept; what is left out stays as it is
    #[command(after_help = "Example:\n  provost keeping set --audit 1095 --mails 14")]
    Set(Chosen),
}

#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// The audit log; older entries are archived, and the log can still be verified
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.audit_days))]
    audit: Option<i64>,
    /// Institutions' own logs; older entries are archived with each institution's key
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.activity_days))]
    activity: Option<i64>,
    /// Sign-ins and refusals
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.security_days))]
    security: Option<i64>,
    /// Operations that are over, and maintenance
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.operation_days))]
    operations: Option<i64>,
    /// Notifications
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.notification_days))]
    notifications: Option<i64>,
    /// Sent mails, old links and uploaded files
    #[arg(long, value_name = "DAYS", value_parser = days(LEAST.mail_days))]
    mails: Option<i64>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Chosen {
    fn is_empty(&self) -> bool {
        let all = [self.audit, self.activity, self.security, self.operations, self.notifications, self.mails];
        all.iter().all(Option::is_none)
    }
}

fn days(least: i64) -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(least..=Keeping::MOST_DAYS)
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    let platform = open_existing(config)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let (before, version) = platform_settings::keeping_at(&mut connection).map_err(sentence)?;
    let chosen = match command {
        Command::Show { json } => return shown(&before, *json),
        Command::Set(chosen) => chosen,
    };
    if chosen.is_empty() {
        return Err(
            "Say what to keep for how long, such as --audit 1095. See provost help keeping set.".into()
        );
    }
    let keeping = Keeping {
        audit_days: chosen.audit.unwrap_or(before.audit_days),
        activity_days: chosen.activity.unwrap_or(before.activity_days),
        security_days: chosen.security.unwrap_or(before.security_days),
        operation_days: chosen.operations.unwrap_or(before.operation_days),
        notification_days: chosen.notifications.unwrap_or(before.notification_days),
        mail_days: chosen.mails.unwrap_or(before.mail_days),
    };
    let audit = platform.audit(Actor::command_line());
    platform_settings::set_keeping(&mut connection, &audit, version, &keeping).map_err(sentence)?;
    shown(&keeping, chosen.json)
}

fn shown(keeping: &Keeping, json: bool) -> Outcome {
    if json {
        return print_json(keeping);
    }
    for (what, days) in [
        ("Audit log", keeping.audit_days),
        ("Institutions' own logs", keeping.activity_days),
        ("Sign-ins and refusals", keeping.security_days),
        ("Operations and maintenance", keeping.operation_days),
        ("Notifications", keeping.notification_days),
        ("Sent mails, old links, uploaded files", keeping.mail_days),
    ] {
        print_line(&format!("{what:<40}{days} days"));
    }
    Ok(())
}
