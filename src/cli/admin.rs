//! `provost admin`: platform admins without a browser.

use std::io::{IsTerminal, Read};

use clap::Subcommand;

use super::{Outcome, open, output::print_line};
use crate::{
    config::Config,
    models::{
        Actor,
        platform::admins::{self, AdminRole, NewAdmin},
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
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Create { email, name, role, password_stdin } => {
            create(config, &email, &name, role, password_stdin)
        }
    }
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
