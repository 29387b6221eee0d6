//! `provost institution sandbox`: a masked copy of an institution to try things out in.

use std::sync::Arc;

use serde_json::json;

use super::{
    Outcome,
    follow::follow,
    institution::find,
    output::{confirm, print_json, print_line, sentence},
};
use crate::{
    db::Id,
    models::{Actor, domain::Domain, platform::sandboxes, text::Email},
    services::{
        platform::Platform,
        sandboxes::{self as service, Wanted as Asked},
    },
};

pub(super) const HELP: &str = "\
A new institution gets a copy of the records in a database of its own, and everybody in it is masked before anybody can
enter it. Nobody of the original can sign in there, and no mail leaves it but the invitation of its first admin.

Examples:
  provost institution sandbox ada.edu --admin-email tests@ada.edu
  provost institution sandbox ada.edu --backup ID --domain trial.ada.edu --admin-email tests@ada.edu --json";

/// What `provost institution sandbox` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// The domain of the institution that is copied, such as ada.edu
    domain: String,
    /// The state of this backup, as provost backup list names it; without, one is taken now
    #[arg(long, value_name = "ID")]
    backup: Option<Id>,
    /// The sandbox's own domain; without, sandbox.DOMAIN or the next that is free
    #[arg(long = "domain", value_name = "DOMAIN")]
    own_domain: Option<String>,
    /// The sandbox's own name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Who is invited as its first admin
    #[arg(long, value_name = "EMAIL")]
    admin_email: String,
    /// Their name
    #[arg(long, value_name = "NAME", default_value = "Sandbox admin")]
    admin_name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) const GIVE_UP_HELP: &str = "\
What was made of it is removed, and its domain is free again. The running server does it, or this command where no server
runs. To try its set-up again instead: provost operation retry.

Example:
  provost institution give-up sandbox.ada.edu --yes";

/// What `provost institution give-up` is told.
#[derive(Debug, clap::Args)]
pub(super) struct GiveUp {
    /// The sandbox's domain, such as sandbox.ada.edu
    domain: String,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn give_up(platform: &Arc<Platform>, wanted: &GiveUp) -> Outcome {
    let institution = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let institution = find(connection, &wanted.domain)?;
        service::require_given_up(connection, &institution).map_err(sentence)?;
        institution
    };
    let question = format!("Whatever was made of {} is removed.", institution.name);
    confirm(&question, wanted.yes)?;
    let audit = platform.audit(Actor::command_line());
    let operation = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        service::give_up(connection, &audit, institution.id).map_err(sentence)?
    };
    follow(platform, operation)?;
    if wanted.json {
        return print_json(&json!({ "domain": institution.domain, "operation": operation }));
    }
    print_line(&format!("{} is given up; the domain {} is free.", institution.name, institution.domain));
    Ok(())
}

pub(super) fn run(platform: &Arc<Platform>, wanted: &Wanted) -> Outcome {
    let begun = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let source = find(connection, &wanted.domain)?;
        let domain = match &wanted.own_domain {
            Some(domain) => domain.clone(),
            None => service::propose_domain(connection, &source.domain).map_err(sentence)?,
        };
        let asked = Asked {
            source_id: source.id,
            backup_id: wanted.backup,
            domain: Domain::parse(&domain)
                .map_err(|error| format!("{domain:?} cannot be a domain: {error}."))?,
            name: wanted.name.clone().unwrap_or_else(|| service::propose_name(&source.name)),
            admin_name: wanted.admin_name.clone(),
            admin_email: Email::parse(&wanted.admin_email).map_err(sentence)?,
        };
        let audit = platform.audit(Actor::command_line());
        service::request(connection, platform, &audit, &asked).map_err(sentence)?
    };
    follow(platform, begun.operation)?;
    let connection = &mut *platform.shared.get().map_err(sentence)?;
    let sandbox = sandboxes::find(connection, begun.institution.id).map_err(sentence)?;
    if wanted.json {
        return print_json(&json!({
            "domain": begun.institution.domain,
            "name": begun.institution.name,
            "sandbox_of": wanted.domain,
            "state_of": sandbox.and_then(|sandbox| sandbox.state_of),
            "admin_email": wanted.admin_email,
            "operation": begun.operation,
        }));
    }
    print_line(&format!(
        "{} is there, under {}. {} is invited by e-mail.",
        begun.institution.name, begun.institution.domain, wanted.admin_email
    ));
    Ok(())
}
