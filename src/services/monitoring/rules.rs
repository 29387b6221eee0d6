//! What is worth waking somebody for. A rule looks, and says what it found; a new one is a line in [`RULES`].

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::{
    db::now,
    models::platform::{
        alerts::{Found, Severity},
        backups::{self, Backup, Standing},
        institutions,
        operations::{self, Operation},
        servers::{self, ServerRow, ServerState},
        tenant_figures::{Standout, Which, standouts},
    },
    services::{
        backups::retention::{self, Overdue},
        disk,
        leaks::{self, Leak},
        platform::Platform,
    },
};

/// A rule: its name, and its look. A rule that cannot look leaves its alerts as they are.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) look: fn(&Platform) -> Result<Vec<Found>, String>,
}

/// The rules.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "connections_near_budget", look: connections },
    Rule { name: "operation_failed", look: failed_operations },
    Rule { name: "trial_ending", look: trials },
    Rule { name: "disk_filling", look: disk_room },
    Rule { name: "log_large", look: logs },
    Rule { name: "database_unreachable", look: unreachable },
    Rule { name: "server_in_trouble", look: troubled_servers },
    Rule { name: "servers_full", look: room_on_servers },
    Rule { name: "backup_too_old", look: old_backups },
    Rule { name: "backup_faulty", look: faulty_backups },
    Rule { name: "connection_leak", look: leaking },
];

/// The names of all rules, each of which has its page in the runbooks.
#[must_use]
pub fn rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// A trial that ends so soon is told of, and one that ended so recently still is.
const TRIAL_AHEAD: TimeDelta = TimeDelta::days(3);
const TRIAL_BEHIND: TimeDelta = TimeDelta::days(1);
/// Failures older than this are history.
const RECENT: TimeDelta = TimeDelta::days(7);
/// A SQLite log larger than this is not worked in as it should be.
const LARGE_LOG: i64 = 64 * 1024 * 1024;
/// Failed operations that are looked at, and how many of a kind are told of together.
const MOST_FAILED: i64 = 1_000;
const MANY_FAILED: usize = 5;
/// One of so many places for databases should be free.
const LEAST_FREE: i64 = 20;
/// Findings of one rule: beyond so many, one more tells nobody anything.
const MOST: i64 = 50;

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn connections(platform: &Platform) -> Result<Vec<Found>, String> {
    let pools = platform.tenants.statistics();
    // What this node has open, or what the server has, whichever is more.
    let server: usize = platform.watched.sessions(platform).values().sum();
    let used = pools.used.max(server.min(pools.budget));
    if used * 10 < pools.budget * 9 || pools.budget < 4 {
        return Ok(Vec::new());
    }
    Ok(vec![Found {
        rule: "connections_near_budget",
        subject: String::new(),
        institution_id: None,
        severity: if used >= pools.budget { Severity::Critical } else { Severity::Warning },
        summary: format!("{used} of {} database connections are in use.", pools.budget),
        advice:
            "See which institutions hold them. Raise PROVOST_CONNECTION_BUDGET only if the server bears more."
                .into(),
        link: "/platform/databases?sort=waits&dir=desc".into(),
    }])
}

/// One for each, or, where many of a kind have failed, one for all of them: a full disk at night is one cause.
fn failed_operations(platform: &Platform) -> Result<Vec<Found>, String> {
    let mut connection = platform.shared.get().map_err(words)?;
    let failed = operations::failed_since(&mut connection, now() - RECENT, MOST_FAILED).map_err(words)?;
    let mut by_kind: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
    for operation in failed {
        by_kind.entry(operation.kind.as_str()).or_default().push(operation);
    }
    let told = |(kind, failed): (&str, Vec<Operation>)| {
        if failed.len() > MANY_FAILED {
            return vec![many_failed(kind, failed.len())];
        }
        failed.into_iter().map(one_failed).collect()
    };
    Ok(by_kind.into_iter().flat_map(told).collect())
}

fn one_failed(operation: Operation) -> Found {
    Found {
        rule: "operation_failed",
        subject: operation.id.to_string(),
        institution_id: operation.institution_id,
        severity: Severity::Warning,
        summary: format!(
            "The operation \u{201c}{}\u{201d} about {} has failed.",
            operation.kind.as_str().replace('_', " "),
            operation.subject
        ),
        advice: "Read its steps, then try it again or roll it back.".into(),
        link: format!("/platform/operations/{}", operation.id),
    }
}

fn many_failed(kind: &str, count: usize) -> Found {
    let more = if i64::try_from(count).is_ok_and(|count| count >= MOST_FAILED) { " or more" } else { "" };
    Found {
        rule: "operation_failed",
        subject: kind.to_owned(),
        institution_id: None,
        severity: Severity::Critical,
        summary: format!(
            "{count}{more} operations \u{201c}{}\u{201d} have failed in the last week.",
            kind.replace('_', " ")
        ),
        advice: "So many have one cause: read the steps of the newest, mend that, and try one again.".into(),
        link: format!("/platform/operations?status=failed&kind={kind}"),
    }
}

fn trials(platform: &Platform) -> Result<Vec<Found>, String> {
    let mut connection = platform.shared.get().map_err(words)?;
    let (from, until) = (now() - TRIAL_BEHIND, now() + TRIAL_AHEAD);
    let ending = institutions::trials_ending(&mut connection, from, until, MOST).map_err(words)?;
    Ok(ending
        .into_iter()
        .map(|institution| Found {
            rule: "trial_ending",
            subject: institution.id.to_string(),
            institution_id: Some(institution.id),
            severity: Severity::Warning,
            summary: format!("The trial of {} ends within three days.", institution.name),
            advice: "Ask them how they want to go on, or prolong the trial.".into(),
            link: format!("/platform/institutions/{}", institution.domain),
        })
        .collect())
}

fn disk_room(platform: &Platform) -> Result<Vec<Found>, String> {
    let folder = &platform.settings.data_dir;
    let least = platform.settings.disk_alert_percent;
    let percent = disk::room(folder).map_err(words)?.free_percent;
    if percent >= least {
        return Ok(Vec::new());
    }
    Ok(vec![Found {
        rule: "disk_filling",
        subject: String::new(),
        institution_id: None,
        severity: if percent < least.div_ceil(2) { Severity::Critical } else { Severity::Warning },
        summary: format!("{percent} % of the disk that holds {} are free.", folder.display()),
        advice: "Remove what is not needed or enlarge the disk. Writing fails when it is full.".into(),
        link: "/platform/databases?sort=growth&dir=desc".into(),
    }])
}

fn logs(platform: &Platform) -> Result<Vec<Found>, String> {
    let mut connection = platform.shared.get().map_err(words)?;
    let large = standouts(&mut connection, Which::LargeLog(LARGE_LOG), MOST).map_err(words)?;
    let told = |one: Standout| {
        let megabytes = one.figures.log_bytes / 1_000_000;
        about(
            one.clone(),
            "log_large",
            Severity::Warning,
            format!("The write-ahead log of {} has grown to {megabytes} MB.", one.name),
            "Somebody may have been reading for very long. It shrinks when the last of them is done; restarting \
             Provost ends them all.",
        )
    };
    Ok(large.into_iter().map(told).collect())
}

fn unreachable(platform: &Platform) -> Result<Vec<Found>, String> {
    let mut connection = platform.shared.get().map_err(words)?;
    let gone = standouts(&mut connection, Which::Unreachable, MOST).map_err(words)?;
    let told = |one: Standout| {
        let summary = format!("The database of {} is missing or does not answer.", one.name);
        about(
            one,
            "database_unreachable",
            Severity::Critical,
            summary,
            "Run provost doctor to see what is wrong.",
        )
    };
    Ok(gone.into_iter().map(told).collect())
}

fn troubled_servers(platform: &Platform) -> Result<Vec<Found>, String> {
    let known = servers::all(&mut *platform.shared.get().map_err(words)?).map_err(words)?;
    let told = |server: servers::DatabaseServer| {
        // What the library has said is on the server's page.
        let problem = server.problem?.split(" (").next().unwrap_or_default().to_owned();
        Some(Found {
            rule: "server_in_trouble",
            subject: server.id.to_string(),
            institution_id: None,
            severity: Severity::Critical,
            summary: format!("The server {} is in trouble. {problem}", server.name),
            advice: "Nothing new goes there. Mend it, then check it on its page.".into(),
            link: format!("/platform/servers/{}", server.id),
        })
    };
    Ok(known.into_iter().filter_map(told).collect())
}

/// Told of while there is time to add one.
fn room_on_servers(platform: &Platform) -> Result<Vec<Found>, String> {
    let rows = servers::with_counts(&mut *platform.shared.get().map_err(words)?).map_err(words)?;
    let open: Vec<ServerRow> = rows.into_iter().filter(|(s, _)| s.state == ServerState::Accepting).collect();
    let all: i64 = open.iter().map(|(server, _)| server.capacity).sum();
    let free: i64 = open.iter().map(|(server, held)| (server.capacity - held).max(0)).sum();
    if free > 0 && free >= all / LEAST_FREE {
        return Ok(Vec::new());
    }
    let (severity, summary) = match free {
        0 => (Severity::Critical, "No server has room for another institution's database.".to_owned()),
        _ => (Severity::Warning, format!("Only {free} of {all} places for databases are free.")),
    };
    Ok(vec![Found {
        rule: "servers_full",
        subject: String::new(),
        institution_id: None,
        severity,
        summary,
        advice: "Add a server, raise the capacity of one, or let one accept again. Set-ups fail where there is no \
                 room."
            .into(),
        link: "/platform/servers".into(),
    }])
}

fn old_backups(platform: &Platform) -> Result<Vec<Found>, String> {
    let late = retention::overdue(platform).map_err(words)?;
    let told = |(one, why): (Standing, Overdue)| Found {
        rule: "backup_too_old",
        subject: one.institution_id.to_string(),
        institution_id: Some(one.institution_id),
        severity: Severity::Warning,
        summary: match why {
            Overdue::NeverVerified => format!("There is no verified backup of {}.", one.name),
            Overdue::ChangedSince => {
                format!("{} has been used since its last backup, which is more than two days old.", one.name)
            }
            Overdue::NotVerifiedLately => {
                format!("No backup of {} was verified for more than a week.", one.name)
            }
        },
        advice: "Back it up and verify the backup; failed operations say what is in the way.".into(),
        link: format!("/platform/institutions/{}", one.domain),
    };
    Ok(late.into_iter().take(usize::try_from(MOST).unwrap_or_default()).map(told).collect())
}

fn faulty_backups(platform: &Platform) -> Result<Vec<Found>, String> {
    let found = backups::faulty(&mut *platform.shared.get().map_err(words)?, MOST).map_err(words)?;
    let told = |backup: Backup| Found {
        rule: "backup_faulty",
        subject: backup.id.to_string(),
        institution_id: backup.institution_id,
        severity: Severity::Critical,
        summary: format!("A backup of {} cannot be restored.", backup.subject),
        advice: "Make and verify a new one, and look at the disk that keeps the backups.".into(),
        link: format!("/platform/backups/{}", backup.id),
    };
    Ok(found.into_iter().map(told).collect())
}

fn leaking(platform: &Platform) -> Result<Vec<Found>, String> {
    let found = leaks::find(platform).map_err(words)?;
    let told = |leak: Leak| Found {
        rule: "connection_leak",
        subject: match &leak.session {
            Some(session) => format!("{}/{}", leak.subject, session.pid),
            None => leak.subject.clone(),
        },
        institution_id: leak.institution_id,
        severity: Severity::Warning,
        summary: format!("A connection to the database of {} stands around for too long.", leak.subject),
        advice: "See what it does, and end it if it does not end by itself.".into(),
        link: "/platform/maintenance/connections".into(),
    };
    Ok(found.into_iter().take(usize::try_from(MOST).unwrap_or_default()).map(told).collect())
}

fn about(one: Standout, rule: &'static str, severity: Severity, summary: String, advice: &str) -> Found {
    Found {
        rule,
        subject: one.institution_id.to_string(),
        institution_id: Some(one.institution_id),
        severity,
        summary,
        advice: advice.into(),
        link: format!("/platform/institutions/{}", one.domain),
    }
}
