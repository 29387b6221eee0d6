//! `provost admin`: platform admins without a browser.

use std::io::{IsTerminal, Read};

use chrono::NaiveDateTime;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Outcome, open, open_existing,
    output::{print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::{Id, shared::SharedConn},
    models::{
        Actor, ModelResult, Paging,
        platform::{
            admins::{self, AdminFilter, AdminRole, AdminStatus, NewAdmin, PlatformAdmin},
            audit::Audit,
        },
        text::Email,
    },
    services::password_policy::check_password,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a platform admin, a super admin unless another role is named
    Create {
        /// E-mail to sign in with
        #[arg(long)]
        email: String,
        /// Name as the person writes it
        #[arg(long)]
        name: String,
        /// What they may do: super_admin, operator, support or auditor
        #[arg(long, default_value_t = AdminRole::SuperAdmin)]
        role: AdminRole,
        /// Read the password from standard input instead of asking for it
        #[arg(long)]
        password_stdin: bool,
    },
    /// List platform admins
    #[command(after_help = "Example:\n  provost admin list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change what an admin may do
    #[command(after_help = "Example:\n  provost admin role ada@example.org operator")]
    Role {
        /// Their e-mail
        email: String,
        /// super_admin, operator, support or auditor
        role: AdminRole,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign an admin out everywhere, and let them in no more
    Disable(Which),
    /// Let an admin in again
    Enable(Which),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their e-mail
    email: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    id: Id,
    email: String,
    name: String,
    role: AdminRole,
    status: AdminStatus,
    last_sign_in_at: Option<NaiveDateTime>,
}

impl From<PlatformAdmin> for Shown {
    fn from(admin: PlatformAdmin) -> Self {
        Self {
            id: admin.id,
            email: admin.email,
            name: admin.name,
            role: admin.role,
            status: admin.status,
            last_sign_in_at: admin.last_sign_in_at,
        }
    }
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Create { email, name, role, password_stdin } => {
            create(config, &email, &name, role, password_stdin)
        }
        Command::List { json } => list(config, json),
        Command::Role { email, role, json } => {
            change(config, &email, json, |c, audit, id| admins::change_role(c, audit, id, role))
        }
        Command::Disable(which) => change(config, &which.email, which.json, admins::disable),
        Command::Enable(which) => change(config, &which.email, which.json, admins::enable),
    }
}

fn list(config: &Config, json: bool) -> Outcome {
    let platform = open_existing(config)?;
    let all = Paging { sort: "name".into(), descending: false, limit: 1_000, offset: 0 };
    let mut connection = platform.shared.get().map_err(sentence)?;
    let rows = admins::page(&mut connection, &AdminFilter::default(), &all).map_err(sentence)?.rows;
    if json {
        return print_json(&rows.into_iter().map(Shown::from).collect::<Vec<_>>());
    }
    let cells =
        |admin: PlatformAdmin| [admin.email, admin.role.to_string(), admin.status.to_string(), admin.name];
    print_table(["E-MAIL", "ROLE", "STATUS", "NAME"], &rows.into_iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

fn change(
    config: &Config,
    email: &str,
    json: bool,
    act: impl FnOnce(&mut SharedConn, &Audit, Id) -> ModelResult<PlatformAdmin>,
) -> Outcome {
    let platform = open_existing(config)?;
    let mut connection = platform.shared.get().map_err(sentence)?;
    let normalised = Email::parse(email).map_err(|error| format!("The e-mail cannot be used: {error}."))?;
    let known = admins::find_by_email(&mut connection, &normalised.normalised()).map_err(sentence)?;
    let known =
        known.ok_or_else(|| format!("There is no platform admin {email}. See provost admin list."))?;
    let audit = platform.audit(Actor::command_line());
    let admin = act(&mut connection, &audit, known.id).map_err(sentence)?;
    if json {
        return print_json(&Shown::from(admin));
    }
    print_line(&format!("{} is {} and {} now.", admin.email, admin.role, admin.status));
    Ok(())
}

fn create(config: &Config, email: &str, name: &str, role: AdminRole, from_stdin: bool) -> Outcome {
    let email = Email::parse(email).map_err(|error| format!("The e-mail cannot be used: {error}."))?;
    if name.trim().is_empty() {
        return Err("The name is empty.".into());
    }
    if name.chars().any(char::is_control) {
        return Err("The name holds a line break or another control character.".into());
    }
    let password = read_password(from_stdin)?;
    check_password(&password, &[name, email.as_str()])
        .map_err(|error| format!("The password cannot be used: {error}."))?;
    let platform = open(config)?;
    let hash = platform.passwords.hash_sync(&password).map_err(|error| format!("{error}."))?;
    let mut connection = platform.shared.get().map_err(|error| format!("The shared database: {error}."))?;
    let new =
        NewAdmin { email: email.as_str(), email_normalised: &email.normalised(), name: name.trim(), role };
    let admin = admins::create(&mut connection, &platform.audit(Actor::command_line()), &new, &hash)
        .map_err(|error| error.to_string())?;
    print_line(&format!(
        "{} can now sign in at {} with {}.",
        admin.name,
        platform.link("/sign-in"),
        admin.email
    ));
    Ok(())
}

pub(super) fn read_password(from_stdin: bool) -> Result<String, String> {
    if from_stdin || !std::io::stdin().is_terminal() {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| format!("No password could be read: {error}."))?;
        // The line's end is the shell's, everything else is the password.
        return Ok(text
            .strip_suffix('\n')
            .map_or(text.clone(), |line| line.trim_end_matches('\r').to_owned()));
    }
    rpassword::prompt_password("Password: ").map_err(|error| format!("No password could be read: {error}."))
}
