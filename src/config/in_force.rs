//! What is in force, for those who run the platform: the values, and what to think about again.

use super::Config;

/// Cheaper hashes are guessed too fast: a warning.
const LOW_PASSWORD_COST: u32 = 10;

impl Config {
    /// What an operator should think about again, a sentence each; the server starts all the same.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let cost = self.settings.password_cost;
        let cheap = cost < LOW_PASSWORD_COST;
        let cheap = cheap.then(|| {
            format!("PROVOST_PASSWORD_COST is {cost}: stolen passwords are guessed fast; use 10 to 16.")
        });
        cheap.into_iter().collect()
    }

    /// Name and value of what is in force, secrets hidden; for `provost config`.
    #[must_use]
    pub fn in_force(&self) -> Vec<(&'static str, String)> {
        let (settings, limits, backups) = (&self.settings, &self.settings.limits, &self.settings.backups);
        let proxies: Vec<String> = self.web.trusted_proxies.0.iter().map(ToString::to_string).collect();
        vec![
            ("PROVOST_LISTEN", self.listen.clone()),
            ("PROVOST_DATA_DIR", settings.data_dir.display().to_string()),
            ("PROVOST_DATABASE_URL", settings.database.to_string()),
            ("PROVOST_PUBLIC_URL", settings.public_url.clone()),
            ("PROVOST_MASTER_KEY_FILE", settings.master_key_file.display().to_string()),
            ("PROVOST_SMTP_URL", settings.smtp_url.as_ref().map_or("none", |_| "set (hidden)").into()),
            ("PROVOST_MAIL_FROM", settings.mail_from.clone()),
            ("PROVOST_SIGNUP", settings.signup.to_string()),
            ("PROVOST_DATABASE_PREFIX", settings.database_prefix.clone()),
            ("PROVOST_TRUSTED_PROXIES", if proxies.is_empty() { "none".into() } else { proxies.join(",") }),
            (
                "PROVOST_METRICS_TOKEN",
                settings.metrics_token.as_ref().map_or("none", |_| "set (hidden)").into(),
            ),
            ("PROVOST_WEBHOOKS_TO_PRIVATE_NETWORKS", settings.webhooks_to_private_networks.to_string()),
            ("PROVOST_DISK_ALERT_PERCENT", settings.disk_alert_percent.to_string()),
            (
                "PROVOST_CONNECTION_BUDGET",
                limits.connection_budget.map_or("derived".into(), |n| n.to_string()),
            ),
            ("PROVOST_TENANT_CONNECTIONS", limits.tenant_connections.to_string()),
            ("PROVOST_GATE_SECONDS", limits.gate_wait.as_secs().to_string()),
            ("PROVOST_OPERATION_WORKERS", limits.operation_workers.to_string()),
            ("PROVOST_MIGRATIONS_AT_ONCE", limits.migrations_at_once.to_string()),
            ("PROVOST_MIGRATION_LOCK_SECONDS", limits.migration_lock_wait.as_secs().to_string()),
            ("PROVOST_LEASE_SECONDS", limits.lease.as_secs().to_string()),
            ("PROVOST_ADMIN_IDLE_MINUTES", (limits.super_admin_idle.as_secs() / 60).to_string()),
            ("PROVOST_IDLE_MINUTES", (limits.institution_idle.as_secs() / 60).to_string()),
            ("PROVOST_SESSION_HOURS", (limits.session_length.as_secs() / 3_600).to_string()),
            ("PROVOST_GRACE_DAYS", (limits.grace.as_secs() / 86_400).to_string()),
            ("PROVOST_PASSWORD_COST", settings.password_cost.to_string()),
            ("PROVOST_BACKUP_DIR", backups.folder.display().to_string()),
            ("PROVOST_S3_URL", backups.s3.as_ref().map_or("none".into(), |s3| s3.endpoint.to_string())),
            ("PROVOST_S3_BUCKET", backups.s3.as_ref().map_or("none".into(), |s3| s3.bucket.clone())),
            ("PROVOST_S3_REGION", backups.s3.as_ref().map_or("none".into(), |s3| s3.region.clone())),
            ("PROVOST_S3_KEY", backups.s3.as_ref().map_or("none", |_| "set (hidden)").into()),
            ("PROVOST_S3_SECRET_KEY", backups.s3.as_ref().map_or("none", |_| "set (hidden)").into()),
            (
                "PROVOST_POSTGRES_TOOLS",
                backups.postgres_tools.as_ref().map_or("found".into(), |folder| folder.display().to_string()),
            ),
            ("PROVOST_BACKUP_KEEP_DAYS", backups.keep_days.to_string()),
            ("PROVOST_BACKUP_KEEP_WEEKS", backups.keep_weeks.to_string()),
            ("PROVOST_BACKUP_KEEP_MONTHS", backups.keep_months.to_string()),
        ]
    }
}
