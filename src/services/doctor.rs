//! What is wrong with a platform or soon will be, and what to do about it. Changes nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use chrono::TimeDelta;
use serde::Serialize;

use super::{
    disk,
    operations::Failure,
    platform::Platform,
    reconcile::{self, Looked},
    secrets::MasterKey,
};
use crate::{
    db::{Engine, engine::Finding as EngineFinding, now},
    models::{
        Paging,
        platform::{
            institutions::{self, InstitutionFilter, Status},
            operations, outgoing_mails,
            reconciliation::FindingKind,
            tenant_databases,
        },
    },
};

/// Less free space than this is a problem.
const LEAST_FREE_BYTES: u64 = 1024 * 1024 * 1024;
/// Longer than this nothing waits while a server runs.
const PATIENCE: TimeDelta = TimeDelta::minutes(5);
/// Failures older than this are history.
const RECENT: TimeDelta = TimeDelta::days(7);
/// Names told of each finding.
const MOST_NAMES: usize = 10;

/// Something that somebody has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// Whether something does not work because of it, now.
    pub urgent: bool,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What was seen, where that tells something.
    pub seen: String,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

type Seen = Result<(String, Vec<Finding>), Failure>;
type Look = fn(&Platform) -> Seen;

/// Looks at everything. A check that cannot be made is a finding itself.
#[must_use]
pub fn examine(platform: &Platform) -> Vec<Check> {
    let checks: [(&'static str, Look); 9] = [
        ("Files and keys", files),
        ("Rights", rights),
        ("Connections", connections),
        ("Disk space", disk_space),
        ("Institutions' databases", databases),
        ("Schema", schema),
        ("Set-up of institutions", failed_institutions),
        ("Operations", open_operations),
        ("Mail", mail),
    ];
    checks.into_iter().map(|(name, look)| check(name, look(platform))).collect()
}

fn check(name: &'static str, seen: Seen) -> Check {
    match seen {
        Ok((seen, findings)) => Check { name, seen, findings },
        Err(failure) => {
            let remedy = "Correct this first, then run provost doctor again.";
            Check { name, seen: String::new(), findings: vec![urgent(failure.to_string(), remedy)] }
        }
    }
}

fn urgent(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { problem: problem.into(), remedy: remedy.into(), urgent: true }
}

fn soon(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { problem: problem.into(), remedy: remedy.into(), urgent: false }
}

/// "a, b, c and 4 more"; nothing when there are none.
fn named(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn files(platform: &Platform) -> Seen {
    let settings = &platform.settings;
    let mut findings = Vec::new();
    let mut private = vec![settings.data_dir.clone(), settings.master_key_file.clone()];
    if let crate::db::Target::Sqlite(path) = &settings.database {
        private.push(path.clone());
    }
    for path in private {
        findings.extend(open_to_others(&path));
    }
    let key = MasterKey::load(&settings.master_key_file)
        .map_err(|error| Failure::Permanent(format!("{error}.")))?;
    if !key.older_ids().is_empty() {
        let problem = "A rotation of the master key was interrupted: the old key is still in the file.";
        findings.push(soon(problem, "Run: provost keys rotate"));
    }
    Ok((format!("data in {}", settings.data_dir.display()), findings))
}

fn open_to_others(path: &PathBuf) -> Option<Finding> {
    let meta = fs::metadata(path).ok()?;
    let mode = meta.permissions().mode() & 0o777;
    let wanted = if meta.is_dir() { "700" } else { "600" };
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        urgent(
            format!("{shown} can be used by other users of this machine (mode {mode:03o})."),
            format!("Run: chmod {wanted} {shown}"),
        )
    })
}

fn rights(platform: &Platform) -> Seen {
    let translate =
        |found: EngineFinding| Finding { problem: found.problem, remedy: found.remedy, urgent: found.fatal };
    let findings = platform.engine.diagnose()?.into_iter().map(translate).collect();
    Ok((format!("institutions live on {}", platform.engine.kind()), findings))
}

fn connections(platform: &Platform) -> Seen {
    let limits = platform.settings.limits;
    let borne = platform.engine.connection_budget(limits.shared_connections)?;
    let budget = limits.connection_budget.unwrap_or(borne);
    let mut findings = Vec::new();
    if budget > borne {
        let remedy = match platform.engine.kind() {
            Engine::Postgres => "Raise the server's max_connections, or lower PROVOST_CONNECTION_BUDGET.",
            Engine::Sqlite => {
                "Raise the limit of open files (LimitNOFILE), or lower PROVOST_CONNECTION_BUDGET."
            }
        };
        let problem = format!("The budget of {budget} connections is more than the {borne} that can be had.");
        findings.push(urgent(problem, remedy));
    }
    if budget < limits.tenant_connections * 2 {
        let problem = format!("{budget} connections for all institutions let only one or two work at once.");
        findings.push(soon(
            problem,
            "Raise max_connections or the limit of open files, or lower \
             PROVOST_TENANT_CONNECTIONS.",
        ));
    }
    let files = rlimit::Resource::NOFILE.get_hard().unwrap_or(0);
    if files < 1_024 && platform.engine.kind() == Engine::Postgres {
        let problem = format!("Only {files} files and connections may be open at once.");
        findings
            .push(soon(problem, "Raise the limit, for example with LimitNOFILE=65536 in the systemd unit."));
    }
    Ok((format!("{budget} for institutions, {} for the platform", limits.shared_connections), findings))
}

fn disk_space(platform: &Platform) -> Seen {
    let folder = &platform.settings.data_dir;
    let Ok(disk::Room { free_bytes: free, .. }) = disk::room(folder) else {
        return Ok(("could not be measured".into(), Vec::new()));
    };
    let megabytes = free / 1024 / 1024;
    let mut findings = Vec::new();
    if free < LEAST_FREE_BYTES {
        let problem = format!("Only {megabytes} MB are free where {} is.", folder.display());
        findings.push(urgent(problem, "Free some space, or move the data folder to a larger disk."));
    }
    Ok((format!("{megabytes} MB free"), findings))
}

/// What the registry and the engine do not agree about, a sentence for each kind of difference.
fn databases(platform: &Platform) -> Seen {
    let Looked { registered, there, found, unheard } = reconcile::look(platform)?;
    let mut findings = Vec::new();
    for kind in FindingKind::ALL {
        // Half-removed ones are among the rights of the server already.
        let names = found.iter().filter(|found| found.kind == *kind && *kind != FindingKind::InvalidDatabase);
        let names: Vec<String> = names.map(|found| found.subject.clone()).collect();
        if !names.is_empty() {
            let remedy = match kind.repair() {
                Some(_) => format!("{} See provost reconcile.", kind.remedy()),
                None => kind.remedy().to_owned(),
            };
            let problem = format!("{}: {}.", kind.problem(), named(&names));
            findings.push(Finding { problem, remedy, urgent: kind.is_urgent() });
        }
    }
    // That they do not answer is among the findings about the servers.
    let names: Vec<String> = unheard.into_iter().map(|one| one.server.name).collect();
    let not_asked =
        if names.is_empty() { String::new() } else { format!("; could not be asked: {}", named(&names)) };
    Ok((format!("{registered} registered, {there} there{not_asked}"), findings))
}

fn schema(platform: &Platform) -> Seen {
    let version = platform.migrations.version();
    let outdated = tenant_databases::outdated(&mut *platform.shared.get()?, version)?;
    let mut findings = Vec::new();
    if !outdated.is_empty() {
        let names: Vec<String> = outdated.into_iter().map(|database| database.database_name).collect();
        let problem = format!("Databases have an older schema than this version: {}.", named(&names));
        findings.push(urgent(problem, "Run: provost migrate tenants"));
    }
    Ok((format!("version {version}"), findings))
}

fn failed_institutions(platform: &Platform) -> Seen {
    let filter =
        InstitutionFilter { status: Some(Status::ProvisioningFailed), ..InstitutionFilter::default() };
    let paging = Paging { sort: "domain".into(), descending: false, limit: 100, offset: 0 };
    let failed = institutions::page(&mut *platform.shared.get()?, &filter, &paging)?;
    let findings = failed.rows.iter().map(|row| {
        urgent(
            format!("{} is approved and could not be set up.", row.name),
            format!(
                "See why with provost institution show {0}; then run: provost database create {0}",
                row.domain
            ),
        )
    });
    Ok((format!("{} failed", failed.total), findings.collect()))
}

fn open_operations(platform: &Platform) -> Seen {
    let mut connection = platform.shared.get()?;
    let waiting = operations::left_alone(&mut connection, now() - PATIENCE)?;
    let failed = operations::failed_since(&mut connection, now() - RECENT, 100)?;
    drop(connection);
    let describe = |operation: &operations::Operation| format!("{} ({})", operation.subject, operation.kind);
    let mut findings = Vec::new();
    if !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().map(describe).collect();
        let problem = format!("Nobody works on what has been waiting for minutes: {}.", named(&names));
        findings.push(urgent(problem, "Start the server: provost serve"));
    }
    for operation in &failed {
        let error = operation.error.as_deref().unwrap_or("no reason was recorded");
        let link = platform.link(&format!("/platform/operations/{}", operation.id));
        findings.push(soon(
            format!("{} failed in the last 7 days: {error}", describe(operation)),
            format!("Look at {link} and try it again there."),
        ));
    }
    Ok((format!("{} waiting too long, {} failed lately", waiting.len(), failed.len()), findings))
}

fn mail(platform: &Platform) -> Seen {
    let unsent = outgoing_mails::unsent(&mut *platform.shared.get()?, now() - PATIENCE)?;
    let mut findings = Vec::new();
    if unsent.stuck > 0 {
        findings.push(urgent(
            format!("Mails that were not sent yet: {}.", unsent.stuck),
            "See that the server runs and that PROVOST_SMTP_URL is right; its log says why. They are tried again.",
        ));
    }
    if unsent.given_up > 0 {
        findings.push(soon(
            format!("Mails that were given up: {}.", unsent.given_up),
            "Their addresses may be wrong; the server's log names the reason. Invitations can be sent again.",
        ));
    }
    let local = ["http://127.", "http://localhost", "http://[::1]"];
    let public = !local.iter().any(|start| platform.settings.public_url.starts_with(start));
    if platform.settings.smtp_url.is_none() && public {
        findings.push(soon(
            "No mail server is set: mails are written to the outbox folder and reach nobody.",
            "Set PROVOST_SMTP_URL.",
        ));
    }
    let way = if platform.settings.smtp_url.is_some() { "by SMTP" } else { "into the outbox folder" };
    Ok((way.into(), findings))
}
