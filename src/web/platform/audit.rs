//! `/platform/audit`: who changed what on the platform.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Path, block},
};
use serde_json::Value;

use super::{institutions::found, list_file::ListFile};
use crate::{
    error::AppError,
    models::platform::audit::{self, AuditEntry, AuditFilter},
    services::audit_anchor,
    web::{
        State,
        auth::Auditor,
        cell::Cell,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        record::{Record, RecordPage, Section},
        respond::{html, see_other},
        time::Clock,
        words::Noun,
    },
};

/// Counted in the list and by the check.
pub(super) const ENTRIES: Noun = Noun::new("entry", "entries");
const PATH: &str = "/platform/audit";

const COLUMNS: &[Column] = &[
    Column::new("action", "What"),
    Column::new("subject", "About"),
    Column::new("who", "Who"),
    Column::new("ip", "IP address").minor(),
    Column::new("at", "When").sortable(),
];

/// What is recorded, as a person reads it.
const ACTIONS: &[(&str, &str)] = &[
    ("institution.registered", "Registered institution"),
    ("institution.approved", "Approved institution"),
    ("institution.rejected", "Rejected institution"),
    ("institution.reconsidered", "Reconsidered institution"),
    ("institution.provisioning_started", "Started set-up"),
    ("institution.provisioning_failed", "Could not finish set-up"),
    ("institution.activated", "Activated institution"),
    ("institution.suspended", "Suspended institution"),
    ("institution.reactivated", "Reactivated institution"),
    ("institution.sandbox_requested", "Asked for sandbox"),
    ("institution.giving_up_requested", "Asked to give sandbox up"),
    ("institution.given_up", "Gave sandbox up"),
    ("institution.archiving_requested", "Asked for archiving"),
    ("institution.closed", "Closed institution"),
    ("institution.archived", "Archived institution"),
    ("institution.brought_back", "Brought institution back"),
    ("institution.deletion_asked", "Asked for deletion"),
    ("institution.deletion_agreed", "Agreed to deletion"),
    ("institution.deletion_cancelled", "Took deletion back"),
    ("institution.deletion_begun", "Began deletion"),
    ("institution.deleted", "Deleted institution"),
    ("reconciliation.repaired", "Mended a difference"),
    ("reconciliation.exported", "Exported differences"),
    ("institution_data.gathered", "Made export"),
    ("institution_data.exported", "Took export"),
    ("institution.sessions_ended", "Signed everybody out"),
    ("institution.updated", "Changed profile"),
    ("institution.admin_invited", "Invited institution admin"),
    ("subscription.changed", "Changed subscription"),
    ("subscription.paid", "Marked subscription as paid"),
    ("subscription.past_due", "Marked subscription as past due"),
    ("subscription.cancelled", "Cancelled subscription"),
    ("subscription.expired", "Made institution read-only"),
    ("announcement.created", "Added announcement"),
    ("announcement.updated", "Changed announcement"),
    ("announcement.ended", "Ended announcement"),
    ("plan.created", "Added plan"),
    ("plan.updated", "Changed plan"),
    ("plan.archived", "Archived plan"),
    ("plan.restored", "Restored plan"),
    ("plans.exported", "Exported plans"),
    ("registration.admin_named", "Named first admin"),
    ("institution.support_access_opened", "Opened support access"),
    ("institution.support_access_ended", "Ended support access"),
    ("platform_admin.created", "Made platform admin"),
    ("platform_admin.invited", "Invited platform admin"),
    ("platform_admin.accepted", "Accepted invitation"),
    ("platform_admin.role_changed", "Changed role"),
    ("platform_admin.disabled", "Disabled platform admin"),
    ("platform_admin.enabled", "Enabled platform admin"),
    ("platform_admin.reset_sent", "Sent password reset"),
    ("platform_admin.signed_out", "Ended all sessions"),
    ("platform_admin.password_changed", "Changed own password"),
    ("institution.move_requested", "Asked for a move"),
    ("institution.moved", "Moved institution"),
    ("institution.restored", "Restored institution"),
    ("backup.requested", "Asked for a backup"),
    ("backup.taken", "Took backup"),
    ("backup.verified", "Verified backup"),
    ("backup.found_faulty", "Found faulty backup"),
    ("backup.expired", "Let a backup go"),
    ("backup.restore_requested", "Asked for a restore"),
    ("backup.restore_beside_requested", "Asked for a copy beside"),
    ("backups.exported", "Exported backups"),
    ("rollout.started", "Started rollout"),
    ("rollout.paused", "Paused rollout"),
    ("rollout.resumed", "Let rollout go on"),
    ("rollout.stopped", "Stopped rollout"),
    ("rollout.cancelled", "Cancelled rollout"),
    ("rollout.ended", "Ended rollout"),
    ("database.migrated", "Migrated database"),
    ("database.migration_failed", "Could not migrate database"),
    ("database.migration_tried_again", "Tried migration again"),
    ("database.rolled_back", "Took database back"),
    ("schemas.exported", "Exported schemas"),
    ("server.added", "Added server"),
    ("server.updated", "Changed server"),
    ("server.accepting", "Let server accept"),
    ("server.draining", "Let server drain"),
    ("server.removed", "Removed server"),
    ("servers.exported", "Exported servers"),
    ("keys.rotated", "Rotated keys"),
    ("operation.tried_again", "Tried operation again"),
    ("operation.rolled_back", "Rolled operation back"),
    ("maintenance.requested", "Asked for maintenance"),
    ("database.maintained", "Looked after database"),
    ("database.session_ended", "Ended database session"),
    ("audit_log.archived", "Archived audit log"),
    ("activity_log.archived", "Archived activity log"),
    ("log_archive.exported", "Exported archive of a log"),
    ("setting.changed", "Changed setting"),
    ("alert.acknowledged", "Took care of alert"),
    ("webhook.created", "Added webhook"),
    ("webhook.enabled", "Enabled webhook"),
    ("webhook.disabled", "Disabled webhook"),
    ("webhook.secret_renewed", "Made new webhook secret"),
    ("webhook.removed", "Removed webhook"),
    ("registrations.exported", "Exported registrations"),
    ("institutions.exported", "Exported institutions"),
    ("operations.exported", "Exported operations"),
    ("databases.exported", "Exported databases"),
    ("alerts.exported", "Exported alerts"),
    ("platform_admins.exported", "Exported admins"),
    ("audit_log.exported", "Exported audit log"),
];

pub(super) fn action_label(action: &str) -> String {
    let known = ACTIONS.iter().find(|(key, _)| *key == action);
    known.map_or_else(|| action.replace(['.', '_'], " "), |(_, label)| (*label).to_owned())
}

fn spec(institution: Option<&str>) -> ListSpec {
    let spec = ListSpec::new(PATH, ENTRIES, COLUMNS)
        .sorted_by("at", Dir::Desc)
        .search("Person, institution or action")
        .filter(Filter::one_of("action", "What", ACTIONS.iter().copied()));
    // Not offered as a list of thousands: an institution's page leads here with its own domain.
    let spec = match institution {
        Some(domain) => spec.filter(Filter::one_of("institution", "Institution", [(domain, domain)])),
        None => spec,
    };
    spec.csv().empty("Nothing recorded yet", "Every change on the platform is recorded here.", None)
}

/// The list that an address asks for, and what that means to the model.
async fn asked(
    request: &HttpRequest,
    platform: &State,
) -> Result<(ListSpec, ListQuery, AuditFilter), AppError> {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let domain = pairs.into_iter().find(|(key, value)| key == "institution" && !value.is_empty());
    let institution = match domain {
        Some((_, domain)) => Some(found(platform, &domain).await?),
        None => None,
    };
    let spec = spec(institution.as_ref().map(|institution| institution.domain.as_str()));
    let query = ListQuery::parse(&spec, request.query_string());
    let filter = AuditFilter {
        q: query.q().unwrap_or_default().to_owned(),
        action: query.filter("action").map(str::to_owned),
        institution_id: institution.map(|institution| institution.id),
    };
    Ok((spec, query, filter))
}

/// `GET /platform/audit`: super admins.
pub async fn list(request: HttpRequest, platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let (spec, query, filter) = asked(&request, &platform).await?;
    let paging = query.paging();
    let slice = platform.shared.run(move |c| audit::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let show = |entry: AuditEntry| {
        Row::new(entry.sequence, format!("{PATH}/{}", entry.sequence))
            .cell(action_label(&entry.action))
            .cell(Cell::text(entry.subject_label).note(entry.subject_kind))
            .cell(entry.actor_name)
            .cell(entry.ip.map_or_else(Cell::nothing, Cell::mono))
            .cell(Cell::time(&clock, entry.at))
    };
    let rows = slice.rows.into_iter().map(show).collect();
    let page = admin
        .page("Audit log")
        .intro("Every change on the platform. Each entry carries the hash of the one before, so nothing can be altered unseen.")
        .also(Action::post("Verify the log", format!("{PATH}/verification")).icon(Icon::Check))
        .also(Action::link("Archives", format!("{PATH}/archives")).icon(Icon::Archive));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/audit.csv`: super admins; all that match, the newest first.
pub async fn export(request: HttpRequest, platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let (_, query, filter) = asked(&request, &platform).await?;
    ListFile {
        name: "audit.csv",
        action: "audit_log.exported",
        heads: &["sequence", "at", "actor", "action", "subject_kind", "subject", "detail", "ip", "hash"],
        key: |entry: &AuditEntry| entry.sequence,
        cells: |entry| {
            vec![
                entry.sequence.to_string(),
                entry.at.to_string(),
                entry.actor_name,
                entry.action,
                entry.subject_kind,
                entry.subject_label,
                entry.detail,
                entry.ip.unwrap_or_default(),
                hex(&entry.hash),
            ]
        },
        page: audit::page,
        after: audit::older_than,
    }
    .send(&platform, &admin, &query, filter)
    .await
}

/// `POST /platform/audit/verification`: auditors; walks the whole chain.
pub async fn verify(platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let verified = block(move || audit_anchor::verify(&state)).await.map_err(AppError::internal)?;
    let found = verified.map_err(AppError::internal)?;
    let entries = ENTRIES.count(found.entries);
    admin.flash(match found.broken {
        None => Notice::success(format!("{entries} as written. The last hash is {}.", found.head)),
        Some(broken) => Notice::error(format!(
            "The audit log is not as it was written. {} The {entries} before it hold. Keep the shared database as \
             it is and compare it with a backup.",
            broken.reason
        )),
    })?;
    Ok(see_other(PATH))
}

/// `GET /platform/audit/{sequence}`: super admins.
pub async fn detail(
    platform: State,
    admin: Auditor,
    sequence: Path<String>,
) -> Result<HttpResponse, AppError> {
    let sequence: i64 = sequence.parse().map_err(|_| AppError::NotFound)?;
    let entry = platform.shared.run(move |c| audit::find(c, sequence)).await?;
    let clock = Clock::utc();
    let mut detail = Section::new("Detail");
    for (label, value) in lines("", &serde_json::from_str(&entry.detail).unwrap_or(Value::Null)) {
        detail = detail.fact(label, Cell::text(value));
    }
    let mut record = Record::new().section(
        Section::new("Entry")
            .fact("What", action_label(&entry.action))
            .fact("Who", entry.actor_name.as_str())
            .fact("About", Cell::text(entry.subject_label.as_str()).note(entry.subject_kind.as_str()))
            .fact("When", Cell::text(clock.exact(entry.at)).note("UTC"))
            .fact("IP address", entry.ip.as_deref().map_or_else(Cell::nothing, Cell::mono)),
    );
    if !detail.facts.is_empty() {
        record = record.section(detail);
    }
    record = record.section(
        Section::new("Place in the chain")
            .fact("Number", Cell::number(entry.sequence))
            .fact("Hash", Cell::mono(hex(&entry.hash)))
            .fact("Hash of the one before", Cell::mono(hex(&entry.previous_hash))),
    );
    let page = admin.page(format!("Entry {}", entry.sequence)).crumb("Audit log", PATH);
    Ok(html(&RecordPage::new(page, record))?)
}

/// JSON as labels and values: `before.name`, `after.name`, ...
fn lines(prefix: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let path = if prefix.is_empty() {
                    key.replace('_', " ")
                } else {
                    format!("{prefix}, {}", key.replace('_', " "))
                };
                lines(&path, value)
            })
            .collect(),
        Value::Null => Vec::new(),
        Value::String(text) => vec![(prefix.to_owned(), text.clone())],
        other => vec![(prefix.to_owned(), other.to_string())],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
