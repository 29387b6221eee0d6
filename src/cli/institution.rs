//! `provost institution`: what a super admin does on the pages, under the same rules.

use std::{collections::HashMap, sync::Arc};

use chrono::NaiveDateTime;
use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome,
    follow::follow,
    leaving, open_existing,
    output::{confirm, counted, print_json, print_line, print_table, sentence},
    plan, sandbox,
};
use crate::{
    config::Config,
    db::{Id, shared::SharedConn},
    models::{
        Actor, Paging,
        domain::Domain,
        institution::users,
        platform::{
            institutions::{self, Institution, InstitutionFilter, Status},
            operations::{self, Kind},
            registrations, sandboxes, tenant_databases,
        },
    },
    services::{decisions, platform::Platform},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List institutions and how they stand
    #[command(after_help = "\
Examples:
  provost institution list --status pending_approval
  provost institution list --search college --json
  provost institution list --sandbox yes")]
    List {
        /// Only this status
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Status::ALL.iter().map(|s| s.as_str())))]
        status: Option<String>,
        /// Only names and domains with this in them
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only sandboxes, or only those that are none
        #[arg(long, value_parser = ["yes", "no"])]
        sandbox: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one institution: profile, database, history
    Show {
        /// Its domain, such as ada.edu
        domain: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a registration: the institution gets its database
    #[command(after_help = "\
The running server makes the database. With --wait, this command does it where no server runs, shows the steps,
and ends with 0 when the institution is active and with 1 when it could not be set up.

Example:
  provost institution approve ada.edu --wait")]
    Approve {
        /// Its domain, such as ada.edu
        domain: String,
        /// Stay until the database is ready or could not be made
        #[arg(long)]
        wait: bool,
    },
    /// Reject a registration; its admin is told the reason
    #[command(
        after_help = "Example:\n  provost institution reject ada.edu --reason 'The domain is not yours.'"
    )]
    Reject {
        /// Its domain, such as ada.edu
        domain: String,
        /// Why; the admin reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Suspend an institution: everybody there is cut off from their next request on, the records stay
    #[command(after_help = "Example:\n  provost institution suspend ada.edu --reason 'Unpaid since March.'")]
    Suspend {
        /// Its domain, such as ada.edu
        domain: String,
        /// Why; the admin reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask; without a terminal nobody is asked
        #[arg(long)]
        yes: bool,
    },
    /// Show or change on which terms an institution is here: plan, trial, limits, payment
    #[command(after_help = "\
Examples:
  provost institution plan ada.edu --json
  provost institution plan ada.edu --set premium --reason 'Ordered on 3 May.'
  provost institution plan ada.edu --paid-until 2027-12-31 --reason 'Invoice 4711.'")]
    Plan(plan::Wanted),
    /// Bring a suspended institution back
    Reactivate {
        /// Its domain, such as ada.edu
        domain: String,
    },
    /// Make a sandbox: an institution of its own with a masked copy of this one's records
    #[command(after_help = sandbox::HELP)]
    Sandbox(sandbox::Wanted),
    /// Give up a sandbox whose set-up failed: what was made of it goes, and its domain is free again
    #[command(after_help = sandbox::GIVE_UP_HELP)]
    GiveUp(sandbox::GiveUp),
    /// Archive an institution: back it up, prove the backup by restoring it, and remove its database
    #[command(after_help = leaving::ARCHIVE_HELP)]
    Archive(leaving::Archive),
    /// Bring an archived institution back, with all its records
    BringBack(leaving::BringBack),
    /// Ask for the deletion of an institution, agree to it, or take it back
    #[command(after_help = leaving::DELETE_HELP)]
    Delete(leaving::Delete),
}

pub(super) fn run(config: &Config, command: Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { status, search, sandbox, json } => {
            let filter = InstitutionFilter {
                q: search.unwrap_or_default(),
                status: status.as_deref().map(str::parse).transpose()?,
                sandbox: sandbox.map(|choice| choice == "yes"),
                ..InstitutionFilter::default()
            };
            list(&platform, &filter, json)
        }
        Command::Show { domain, json } => show(&platform, &domain, json),
        Command::Approve { domain, wait } => approve(&platform, &domain, wait),
        Command::Reject { domain, reason } => reject(&platform, &domain, &reason),
        Command::Suspend { domain, reason, yes } => suspend(&platform, &domain, &reason, yes),
        Command::Plan(wanted) => plan::institution_plan(&platform, &wanted),
        Command::Reactivate { domain } => reactivate(&platform, &domain),
        Command::Sandbox(wanted) => sandbox::run(&platform, &wanted),
        Command::GiveUp(wanted) => sandbox::give_up(&platform, &wanted),
        Command::Archive(wanted) => leaving::archive(&platform, &wanted),
        Command::BringBack(wanted) => leaving::bring_back(&platform, &wanted),
        Command::Delete(wanted) => leaving::delete(&platform, &wanted),
    }
}

/// The institution with this domain, however it was typed.
pub(super) fn find(connection: &mut SharedConn, domain: &str) -> Result<Institution, String> {
    let domain = Domain::parse(domain).map_err(|error| format!("{domain:?} cannot be a domain: {error}."))?;
    institutions::find_by_domain(connection, domain.as_str()).map_err(|error| {
        if error.is_not_found() {
            format!("There is no institution with the domain {domain}. See provost institution list.")
        } else {
            sentence(error)
        }
    })
}

#[derive(Serialize)]
struct Listed {
    domain: String,
    name: String,
    kind: institutions::Kind,
    country: String,
    status: Status,
    status_changed_at: NaiveDateTime,
    plan: String,
    registered_at: NaiveDateTime,
    sandbox_of: Option<String>,
}

fn list(platform: &Platform, filter: &InstitutionFilter, json: bool) -> Outcome {
    let paging = Paging { sort: "domain".into(), descending: false, limit: i64::MAX, offset: 0 };
    let mut connection = platform.shared.get().map_err(sentence)?;
    let rows = institutions::page(&mut connection, filter, &paging).map_err(sentence)?.rows;
    if json {
        let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
        let mut originals = HashMap::new();
        for some in ids.chunks(500) {
            originals.extend(sandboxes::among(&mut connection, some).map_err(sentence)?);
        }
        let listed = rows.into_iter().map(|row| Listed {
            sandbox_of: originals.remove(&row.id),
            domain: row.domain,
            name: row.name,
            kind: row.kind,
            country: row.country,
            status: row.status,
            status_changed_at: row.status_changed_at,
            plan: row.plan,
            registered_at: row.created_at,
        });
        return print_json(&listed.collect::<Vec<_>>());
    }
    let cells = |row: &institutions::InstitutionRow| {
        [row.domain.clone(), row.status.to_string(), row.country.clone(), row.name.clone()]
    };
    print_table(["DOMAIN", "STATUS", "COUNTRY", "NAME"], &rows.iter().map(cells).collect::<Vec<_>>());
    eprintln!("{}", counted(rows.len(), "institution", "institutions"));
    Ok(())
}

#[derive(Serialize)]
struct Shown {
    domain: String,
    name: String,
    kind: institutions::Kind,
    country: String,
    region: Option<String>,
    website: Option<String>,
    time_zone: String,
    status: Status,
    status_changed_at: NaiveDateTime,
    plan: String,
    trial_ends_at: Option<NaiveDateTime>,
    registered_at: NaiveDateTime,
    first_admin: Option<String>,
    sandbox_of: Option<String>,
    database: Option<ShownDatabase>,
    history: Vec<ShownChange>,
}

#[derive(Serialize)]
struct ShownDatabase {
    engine: String,
    name: String,
    location: String,
    status: String,
    schema_version: String,
}

#[derive(Serialize)]
struct ShownChange {
    at: NaiveDateTime,
    to: Status,
    by: String,
    reason: Option<String>,
}

fn show(platform: &Platform, domain: &str, json: bool) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = find(&mut connection, domain)?;
    let shown = gather(&mut connection, institution).map_err(sentence)?;
    if json {
        return print_json(&shown);
    }
    let line = |name: &str, value: &str| print_line(&format!("{name:<14}{value}"));
    line("Name", &shown.name);
    line("Domain", &shown.domain);
    line("Kind", shown.kind.label());
    line("Country", &shown.country);
    line("Time zone", &shown.time_zone);
    line("Website", shown.website.as_deref().unwrap_or("none"));
    line("First admin", shown.first_admin.as_deref().unwrap_or("none named"));
    if let Some(of) = &shown.sandbox_of {
        line("Sandbox of", of);
    }
    line("Status", &format!("{} since {} UTC", shown.status.label(), at(shown.status_changed_at)));
    match &shown.database {
        Some(database) => {
            line("Database", &format!("{} ({}, {})", database.name, database.engine, database.status));
            line("", &format!("in {}, schema {}", database.location, database.schema_version));
        }
        None => line("Database", "none"),
    }
    for (index, change) in shown.history.iter().enumerate() {
        let reason = change.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("{} {} by {}{reason}", at(change.at), change.to.label(), change.by);
        line(if index == 0 { "History" } else { "" }, &text);
    }
    Ok(())
}

fn at(time: NaiveDateTime) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M")
}

fn gather(connection: &mut SharedConn, institution: Institution) -> crate::models::ModelResult<Shown> {
    let database = tenant_databases::find(connection, institution.id)?;
    let history = institutions::status_changes(connection, institution.id)?;
    let registration = registrations::latest_of(connection, institution.id)?;
    let admin = registration.admin_email.map(|email| match registration.admin_name {
        Some(name) => format!("{name} <{email}>"),
        None => email,
    });
    let sandbox_of = sandboxes::find(connection, institution.id)?.map(|sandbox| sandbox.source_name);
    Ok(Shown {
        domain: institution.domain,
        name: institution.name,
        kind: institution.kind,
        country: institution.country,
        region: institution.region,
        website: institution.website,
        time_zone: institution.time_zone,
        status: institution.status,
        status_changed_at: institution.status_changed_at,
        plan: institution.plan,
        trial_ends_at: institution.trial_ends_at,
        registered_at: institution.created_at,
        first_admin: admin,
        sandbox_of,
        database: database.map(|database| ShownDatabase {
            engine: database.engine.to_string(),
            name: database.database_name,
            location: database.location,
            status: database.status.to_string(),
            schema_version: database.schema_version,
        }),
        history: history
            .into_iter()
            .map(|change| ShownChange {
                at: change.at,
                to: change.to_status,
                by: change.actor_name,
                reason: change.reason,
            })
            .collect(),
    })
}

fn approve(platform: &Arc<Platform>, domain: &str, wait: bool) -> Outcome {
    let (institution, operation) = {
        let mut connection = platform.shared.get().map_err(sentence)?;
        let institution = find(&mut connection, domain)?;
        let registration = waiting_registration(&mut connection, &institution)?;
        let audit = platform.audit(Actor::command_line());
        decisions::approve(&mut connection, platform, &audit, registration).map_err(sentence)?;
        let operation =
            operations::latest(&mut connection, institution.id, Kind::Provision).map_err(sentence)?;
        (institution, operation)
    };
    print_line(&format!("{} is approved.", institution.name));
    match operation.filter(|_| wait) {
        Some(operation) => {
            follow(platform, operation.id)?;
            print_line(&format!("{} is active: {}", institution.name, platform.link("/sign-in")));
        }
        None => print_line("The running server sets it up; see provost institution show, or give --wait."),
    }
    Ok(())
}

fn reject(platform: &Platform, domain: &str, reason: &str) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = find(&mut connection, domain)?;
    let registration = waiting_registration(&mut connection, &institution)?;
    let audit = platform.audit(Actor::command_line());
    decisions::reject(&mut connection, platform, &audit, registration, reason).map_err(sentence)?;
    print_line(&format!("{} is rejected; its admin is told why.", institution.name));
    Ok(())
}

/// The registration to decide about. Whether it still waits is checked where it is decided.
fn waiting_registration(connection: &mut SharedConn, institution: &Institution) -> Result<Id, String> {
    let registration = registrations::latest_of(connection, institution.id).map_err(sentence)?;
    Ok(registration.id)
}

fn suspend(platform: &Platform, domain: &str, reason: &str, yes: bool) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = find(&mut connection, domain)?;
    institution.require_status(&mut connection, Status::Active).map_err(sentence)?;
    let sessions = institutions::open_sessions(&mut connection, institution.id).map_err(sentence)?;
    let sessions = counted(usize::try_from(sessions).unwrap_or(0), "open session", "open sessions");
    // Who can sign in is known in the institution's own database, which may be out of reach.
    let people = platform.tenants.open(&mut connection, institution.id).ok().and_then(|db| db.get().ok());
    let people = people.and_then(|mut tenant| users::active_count(&mut tenant).ok());
    let whom = match people.and_then(|people| usize::try_from(people).ok()) {
        Some(people) => format!("{} with {sessions}", counted(people, "person", "people")),
        None => sessions,
    };
    confirm(&format!("Suspending {} cuts off {whom}. The records stay.", institution.name), yes)?;
    let audit = platform.audit(Actor::command_line());
    decisions::suspend(&mut connection, platform, &audit, institution.id, reason).map_err(sentence)?;
    print_line(&format!("{} is suspended; cut off: {whom}.", institution.name));
    Ok(())
}

fn reactivate(platform: &Platform, domain: &str) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = find(&mut connection, domain)?;
    let audit = platform.audit(Actor::command_line());
    decisions::reactivate(&mut connection, platform, &audit, institution.id).map_err(sentence)?;
    print_line(&format!("{} is active again; its people can sign in.", institution.name));
    Ok(())
}
