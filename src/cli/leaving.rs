//! `provost institution archive|bring-back|delete`: how an institution leaves, and comes back.

use std::sync::Arc;

use serde_json::json;

use super::{
    Outcome,
    follow::follow,
    institution::find,
    output::{confirm, counted, print_json, print_line, sentence},
};
use crate::{
    models::{
        Actor,
        platform::{deletions, institutions},
    },
    services::{
        leaving::{self, deletion},
        platform::Platform,
    },
};

pub(super) const ARCHIVE_HELP: &str = "\
Its people are cut off, a backup is taken and restored for a trial, and only then the database is removed. If anything
fails, all is as before. The running server does it, or this command where no server runs.

Example:
  provost institution archive ada.edu --reason 'The contract ended in May.'";

/// What `provost institution archive` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Archive {
    /// Its domain, such as ada.edu
    domain: String,
    /// Why; its owners read it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long)]
    yes: bool,
}

/// What `provost institution bring-back` is told.
#[derive(Debug, clap::Args)]
pub(super) struct BringBack {
    /// Its domain, such as ada.edu
    domain: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn archive(platform: &Arc<Platform>, wanted: &Archive) -> Outcome {
    let (institution, sessions) = {
        let mut connection = platform.shared.get().map_err(sentence)?;
        let institution = find(&mut connection, &wanted.domain)?;
        let sessions = institutions::open_sessions(&mut connection, institution.id).map_err(sentence)?;
        (institution, sessions)
    };
    let sessions = counted(usize::try_from(sessions).unwrap_or(0), "open session", "open sessions");
    let question = format!("Archiving {} ends {sessions}; its database becomes a backup.", institution.name);
    confirm(&question, wanted.yes)?;
    let audit = platform.audit(Actor::command_line());
    let id = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        leaving::request_archive(connection, &audit, institution.id, &wanted.reason).map_err(sentence)?
    };
    follow(platform, id)?;
    if wanted.json {
        return print_json(&json!({ "domain": institution.domain, "status": "archived", "operation": id }));
    }
    print_line(&format!(
        "{} is archived. To have it back: provost institution bring-back {}",
        institution.name, institution.domain
    ));
    Ok(())
}

pub(super) fn bring_back(platform: &Arc<Platform>, wanted: &BringBack) -> Outcome {
    let audit = platform.audit(Actor::command_line());
    let (institution, id) = {
        let connection = &mut *platform.shared.get().map_err(sentence)?;
        let institution = find(connection, &wanted.domain)?;
        let id = leaving::request_return(connection, &audit, institution.id).map_err(sentence)?;
        (institution, id)
    };
    follow(platform, id)?;
    if wanted.json {
        return print_json(&json!({ "domain": institution.domain, "status": "active", "operation": id }));
    }
    print_line(&format!("{} is active again, with its records.", institution.name));
    Ok(())
}

pub(super) const DELETE_HELP: &str = "\
Two must agree: a super admin and another, or a super admin and the operator who runs this command. Then 30 days pass,
in which it can be taken back; everybody is told before. One that is archived, or a sandbox, need not wait for them.
With --json alone, it shows how far it is.

Examples:
  provost institution delete ada.edu --reason 'They asked for it on 3 May.'
  provost institution delete ada.edu --reason 'They asked for it.' --at-once
  provost institution delete ada.edu --agree
  provost institution delete ada.edu --cancel
  provost institution delete ada.edu --json";

/// What `provost institution delete` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Its domain, such as ada.edu
    domain: String,
    /// Ask for it, and say why; its owners read it
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["agree", "cancel"])]
    reason: Option<String>,
    /// Without the 30 days: for one that is archived, and for a sandbox
    #[arg(long, requires = "reason")]
    at_once: bool,
    /// Agree to what a super admin has asked for
    #[arg(long, conflicts_with = "cancel")]
    agree: bool,
    /// Take it back
    #[arg(long)]
    cancel: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long)]
    yes: bool,
}

pub(super) fn delete(platform: &Arc<Platform>, wanted: &Delete) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = find(&mut connection, &wanted.domain)?;
    let (id, audit) = (institution.id, platform.audit(Actor::command_line()));
    if wanted.agree || wanted.reason.is_some() {
        let question = format!("{} will be deleted with all its backups, for good.", institution.name);
        confirm(&question, wanted.yes)?;
    }
    if let Some(reason) = &wanted.reason {
        deletion::ask(&mut connection, platform, &audit, id, reason, wanted.at_once).map_err(sentence)?;
    } else if wanted.agree {
        deletion::agree(&mut connection, platform, &audit, id).map_err(sentence)?;
    } else if wanted.cancel {
        deletion::cancel(&mut connection, platform, &audit, id).map_err(sentence)?;
    } else if !wanted.json {
        return Err("Give --reason to ask for it, --agree, --cancel, or --json to see how far it is.".into());
    }
    let asked = deletions::find(&mut connection, id).map_err(sentence)?;
    if wanted.json {
        return print_json(&json!({
            "domain": institution.domain,
            "asked_by": asked.as_ref().map(|asked| &asked.asked_by_name),
            "agreed_by": asked.as_ref().and_then(|asked| asked.agreed_by_name.as_ref()),
            "reason": asked.as_ref().map(|asked| &asked.reason),
            "due_at": asked.as_ref().map(|asked| asked.due_at),
            "at_once": asked.as_ref().map(|asked| asked.is_at_once()),
        }));
    }
    print_line(&match asked {
        Some(asked) if asked.agreed_at.is_some() && asked.is_at_once() => {
            format!("{} is being deleted.", institution.name)
        }
        Some(asked) if asked.agreed_at.is_some() => {
            format!("{} is deleted on {} UTC.", institution.name, asked.due_at.format("%Y-%m-%d %H:%M"))
        }
        Some(_) => "It is asked for. A super admin has to agree on the institution's page.".to_owned(),
        None => format!("{} is not deleted.", institution.name),
    });
    Ok(())
}
