//! Records of the platform, in the shared database.

pub mod account_tokens;
pub mod admins;
pub mod alerts;
pub mod announcements;
pub mod audit;
pub mod backups;
pub mod deletions;
pub mod fleet_reports;
pub mod imports;
pub mod institutions;
pub mod log_archives;
pub mod login_index;
pub mod maintenance;
pub mod notifications;
pub mod operations;
pub mod outgoing_mails;
pub mod plans;
pub mod platform_secrets;
pub mod platform_settings;
pub mod reconciliation;
pub mod registrations;
pub mod rollouts;
pub mod sandboxes;
pub mod scheduled_jobs;
pub mod schema_ledger;
pub mod security_log;
pub mod servers;
pub mod sessions;
pub mod slow_queries;
pub mod subscriptions;
pub mod support_accesses;
pub mod tenant_copies;
pub mod tenant_databases;
pub mod tenant_figures;
pub mod throttles;
pub mod usage;
pub mod waiting;
pub mod webhooks;

/// What diesel compiles boxed queries of this database for.
pub(crate) type SharedBackend = <crate::db::shared::SharedConn as diesel::Connection>::Backend;

/// A span of time as people say it: "2 minutes ago".
pub(crate) fn ago(at: chrono::NaiveDateTime) -> String {
    let minutes = (crate::db::now() - at).num_minutes();
    let counted = |count: i64, word: &str| format!("{count} {word}{} ago", if count == 1 { "" } else { "s" });
    match minutes {
        ..1 => "just now".into(),
        1..60 => counted(minutes, "minute"),
        60..1_440 => counted(minutes / 60, "hour"),
        _ => counted(minutes / 1_440, "day"),
    }
}
