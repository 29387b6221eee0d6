//! What an operator may set, as plain values. `config` reads them from the environment.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::db::Target;
pub use crate::models::platform::platform_settings::SignupPolicy;

/// Everything that can be set. Start from [`Settings::new`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of everything that Provost keeps in files.
    pub data_dir: PathBuf,
    /// The shared database; its engine also holds the tenants.
    pub database: Target,
    /// First part of every tenant database's name.
    pub database_prefix: String,
    /// Where people reach the platform, without a slash at the end; links in mails start with it.
    pub public_url: String,
    /// What happens to a registration.
    pub signup: SignupPolicy,
    /// Where the master key is.
    pub master_key_file: PathBuf,
    /// The mail server; without one, mails go into `outbox/` in the data folder.
    pub smtp_url: Option<String>,
    /// The address that mails come from.
    pub mail_from: String,
    /// What the platform calls itself.
    pub platform_name: String,
    /// bcrypt's cost.
    pub password_cost: u32,
    /// Whether figures are collected; only a measurement of what that costs says no.
    pub metered: bool,
    /// Whether recurring jobs begin by themselves; only a test that looks for the traces of others says no.
    pub scheduled: bool,
    /// Whether webhooks may lead into private networks.
    pub webhooks_to_private_networks: bool,
    /// An alert says so when less than this part of the disk is free, in percent; none is told of at 0.
    pub disk_alert_percent: u64,
    /// What a reader of `/metrics` has to present; none means that everybody may read them.
    pub metrics_token: Option<String>,
    /// Where backups lie and how long they are kept.
    pub backups: BackupSettings,
    /// Sizes and times.
    pub limits: Limits,
    /// A folder of tenant migrations beyond those of the binary, for tests of what a later version will bring.
    pub later_migrations: Option<PathBuf>,
}

/// Where backups lie and how long they are kept.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The folder of backups.
    pub folder: PathBuf,
    /// The folder of PostgreSQL's programs; without one they are looked for.
    pub postgres_tools: Option<PathBuf>,
    /// Where backups lie instead of in the folder, in which they are then only written.
    pub s3: Option<S3Settings>,
    /// Days that every backup is kept.
    pub keep_days: u32,
    /// Weeks that the first of a week is kept.
    pub keep_weeks: u32,
    /// Months that the first of a month is kept.
    pub keep_months: u32,
}

/// A bucket of whatever speaks S3.
#[derive(Clone)]
pub struct S3Settings {
    /// Address of the service, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: url::Url,
    /// The bucket; it exists.
    pub bucket: String,
    /// The region, where the service has any.
    pub region: String,
    /// Name of the access key.
    pub key: String,
    /// The access key's secret.
    pub secret: String,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Settings({} {}, secret hidden)", self.endpoint, self.bucket)
    }
}

impl BackupSettings {
    /// The defaults for a data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join("backups"),
            postgres_tools: None,
            s3: None,
            keep_days: 7,
            keep_weeks: 5,
            keep_months: 12,
        }
    }
}

/// Sizes and times.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections to the shared database.
    pub shared_connections: usize,
    /// Connections to one tenant's database.
    pub tenant_connections: usize,
    /// Connections to all tenants' databases; none means as many as server and system bear.
    pub connection_budget: Option<usize>,
    /// Longest wait for a connection.
    pub gate_wait: Duration,
    /// Connections unused for this long are closed.
    pub connection_idle: Duration,
    /// Operations carried out at once by this process.
    pub operation_workers: usize,
    /// A worker that is silent for this long has lost its operation to another.
    pub lease: Duration,
    /// Wait before the second attempt of a failed step; it doubles each time.
    pub retry_wait: Duration,
    /// Institutions' databases migrated at once by a rollout.
    pub migrations_at_once: usize,
    /// Longest wait of a migration for whoever holds the database; it is tried again a few times.
    pub migration_lock_wait: Duration,
    /// A super admin's session ends after this long without a request.
    pub super_admin_idle: Duration,
    /// An institution user's session ends after this long without a request.
    pub institution_idle: Duration,
    /// Every session ends after this long.
    pub session_length: Duration,
    /// How many may wait to have their password checked.
    pub password_queue: usize,
    /// A query of a tenant that takes this long is noted as slow.
    pub slow_query: Duration,
    /// How long records can still be changed when a trial or a paid time is over.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shared_connections: 8,
            tenant_connections: 3,
            connection_budget: None,
            gate_wait: Duration::from_secs(3),
            connection_idle: Duration::from_secs(120),
            operation_workers: 2,
            lease: Duration::from_secs(30),
            retry_wait: Duration::from_secs(1),
            migrations_at_once: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .saturating_mul(2)
                .min(8),
            migration_lock_wait: Duration::from_secs(2),
            super_admin_idle: Duration::from_secs(15 * 60),
            institution_idle: Duration::from_secs(30 * 60),
            session_length: Duration::from_secs(8 * 60 * 60),
            password_queue: super::passwords::DEFAULT_QUEUE,
            slow_query: crate::db::meter::SLOW_AFTER,
            grace: Duration::from_secs(14 * 24 * 60 * 60),
        }
    }
}

impl Settings {
    /// The defaults, with everything in one folder.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            database: Target::Sqlite(data_dir.join("shared.db")),
            database_prefix: "provost_".into(),
            public_url: "http://127.0.0.1:8080".into(),
            signup: SignupPolicy::Approval,
            master_key_file: data_dir.join("master.key"),
            smtp_url: None,
            mail_from: "no-reply@provost.example".into(),
            platform_name: "Provost".into(),
            password_cost: super::passwords::DEFAULT_COST,
            metered: true,
            scheduled: true,
            webhooks_to_private_networks: false,
            disk_alert_percent: 10,
            metrics_token: None,
            backups: BackupSettings::new(&data_dir),
            limits: Limits::default(),
            later_migrations: None,
            data_dir,
        }
    }
}
