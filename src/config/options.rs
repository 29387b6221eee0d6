//! The options of every command, each with the variable that may be set instead. What they mean: `read.rs`.

use std::path::PathBuf;

use clap::Args;

/// Options of every command; each can be set in the environment instead.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(
        long,
        global = true,
        env = "PROVOST_LISTEN",
        value_name = "ADDRESS:PORT",
        help_heading = "Configuration"
    )]
    pub(super) listen: Option<String>,
    /// Folder for everything that is kept in files [default: ./provost-data]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATA_DIR",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    pub(super) data_dir: Option<PathBuf>,
    /// Shared database, sqlite:FILE or postgres://...; its server also holds the tenants [default: a file in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    pub(super) database_url: Option<String>,
    /// Where people reach the platform; links in mails start with it [default: http:// and the listen address]
    #[arg(
        long,
        global = true,
        env = "PROVOST_PUBLIC_URL",
        value_name = "URL",
        help_heading = "Configuration"
    )]
    pub(super) public_url: Option<String>,
    /// File of the master key [default: master.key in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MASTER_KEY_FILE",
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    pub(super) master_key_file: Option<PathBuf>,
    /// Mail server, smtps://user:password@host; without one, mails are written to outbox/ in the data folder
    #[arg(
        long,
        global = true,
        env = "PROVOST_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    pub(super) smtp_url: Option<String>,
    /// Address that mails come from [default: no-reply@ and the public URL's host]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MAIL_FROM",
        value_name = "E-MAIL",
        help_heading = "Configuration"
    )]
    pub(super) mail_from: Option<String>,
    /// What happens to a registration: approval or automatic [default: approval]
    #[arg(
        long,
        global = true,
        env = "PROVOST_SIGNUP",
        value_name = "POLICY",
        help_heading = "Configuration"
    )]
    pub(super) signup: Option<String>,
    /// First part of every tenant database's name [default: provost_]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATABASE_PREFIX",
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    pub(super) database_prefix: Option<String>,
    /// Proxies whose X-Forwarded-For is believed, separated by commas [default: none]
    #[arg(
        long,
        global = true,
        env = "PROVOST_TRUSTED_PROXIES",
        value_name = "ADDRESSES",
        help_heading = "Configuration"
    )]
    pub(super) trusted_proxies: Option<String>,
    /// Connections to all tenant databases together [default: what server and system bear]
    #[arg(
        long,
        global = true,
        env = "PROVOST_CONNECTION_BUDGET",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    pub(super) connection_budget: Option<usize>,
    /// Connections to one tenant database [default: 3]
    #[arg(
        long,
        global = true,
        env = "PROVOST_TENANT_CONNECTIONS",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    pub(super) tenant_connections: Option<usize>,
    /// Longest wait for a database connection, in seconds [default: 3]
    #[arg(
        long,
        global = true,
        env = "PROVOST_GATE_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    pub(super) gate_seconds: Option<u64>,
    /// Operations carried out at once [default: 2]
    #[arg(
        long,
        global = true,
        env = "PROVOST_OPERATION_WORKERS",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    pub(super) operation_workers: Option<usize>,
    /// Institutions' databases migrated at once [default: twice the processors, at most 8]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MIGRATIONS_AT_ONCE",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    pub(super) migrations_at_once: Option<usize>,
    /// Longest wait of a migration for whoever holds the database, in seconds [default: 2]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MIGRATION_LOCK_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    pub(super) migration_lock_seconds: Option<u64>,
    /// A worker silent for this long loses its operation to another, in seconds [default: 30]
    #[arg(
        long,
        global = true,
        env = "PROVOST_LEASE_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    pub(super) lease_seconds: Option<u64>,
    /// A super admin's session ends after this long without a request, in minutes [default: 15]
    #[arg(
        long,
        global = true,
        env = "PROVOST_ADMIN_IDLE_MINUTES",
        value_name = "MINUTES",
        help_heading = "Configuration"
    )]
    pub(super) admin_idle_minutes: Option<u64>,
    /// An institution user's session ends after this long without a request, in minutes [default: 30]
    #[arg(
        long,
        global = true,
        env = "PROVOST_IDLE_MINUTES",
        value_name = "MINUTES",
        help_heading = "Configuration"
    )]
    pub(super) idle_minutes: Option<u64>,
    /// Every session ends after this long, in hours [default: 8]
    #[arg(
        long,
        global = true,
        env = "PROVOST_SESSION_HOURS",
        value_name = "HOURS",
        help_heading = "Configuration"
    )]
    pub(super) session_hours: Option<u64>,
    /// What a reader of /metrics has to present, as "Authorization: Bearer TOKEN" [default: none, everybody may read]
    #[arg(
        long,
        global = true,
        env = "PROVOST_METRICS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    pub(super) metrics_token: Option<String>,
    /// Let webhooks lead into private networks and to this machine [default: false]
    #[arg(
        long,
        global = true,
        env = "PROVOST_WEBHOOKS_TO_PRIVATE_NETWORKS",
        value_name = "YES",
        num_args = 0..=1,
        default_missing_value = "true",
        help_heading = "Configuration"
    )]
    pub(super) webhooks_to_private_networks: Option<bool>,
    /// An alert says that the disk is filling when less than this is free, in percent; 0 for never [default: 10]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DISK_ALERT_PERCENT",
        value_name = "PERCENT",
        help_heading = "Configuration"
    )]
    pub(super) disk_alert_percent: Option<u64>,
    /// Collect no figures, to measure what collecting costs
    #[arg(long, global = true, env = "PROVOST_TEST_UNMETERED", hide = true)]
    pub(super) unmetered: bool,
    /// Records can still be changed for this long when a trial or a paid time is over, in days [default: 14]
    #[arg(
        long,
        global = true,
        env = "PROVOST_GRACE_DAYS",
        value_name = "DAYS",
        help_heading = "Configuration"
    )]
    pub(super) grace_days: Option<u64>,
    /// Cost of password hashing, 10 to 16; lower only for tests [default: 12]
    #[arg(
        long,
        global = true,
        env = "PROVOST_PASSWORD_COST",
        value_name = "COST",
        help_heading = "Configuration"
    )]
    pub(super) password_cost: Option<u32>,
    /// Folder of the backups, best on another disk [default: backups in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_DIR",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    pub(super) backup_dir: Option<PathBuf>,
    /// Folder of pg_dump and pg_restore [default: the PATH, or the newest in /usr/lib/postgresql]
    #[arg(
        long,
        global = true,
        env = "PROVOST_POSTGRES_TOOLS",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    pub(super) postgres_tools: Option<PathBuf>,
    /// Every backup is kept for so many days [default: 7]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_DAYS",
        value_name = "DAYS",
        help_heading = "Configuration"
    )]
    pub(super) backup_keep_days: Option<u32>,
    /// The first of a week is kept for so many weeks [default: 5]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_WEEKS",
        value_name = "WEEKS",
        help_heading = "Configuration"
    )]
    pub(super) backup_keep_weeks: Option<u32>,
    /// The first of a month is kept for so many months [default: 12]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_MONTHS",
        value_name = "MONTHS",
        help_heading = "Configuration"
    )]
    pub(super) backup_keep_months: Option<u32>,
    /// Address of an S3 service to keep the backups in [default: none, the folder]
    #[arg(long, global = true, env = "PROVOST_S3_URL", value_name = "URL", help_heading = "Configuration")]
    pub(super) s3_url: Option<String>,
    /// Bucket of the backups
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_BUCKET",
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    pub(super) s3_bucket: Option<String>,
    /// Region of the bucket [default: us-east-1]
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_REGION",
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    pub(super) s3_region: Option<String>,
    /// Name of the access key
    #[arg(long, global = true, env = "PROVOST_S3_KEY", value_name = "KEY", help_heading = "Configuration")]
    pub(super) s3_key: Option<String>,
    /// Secret of the access key
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_SECRET_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    pub(super) s3_secret_key: Option<String>,
}

impl Options {
    /// These options with everything in one folder, `folder` unless another is named.
    ///
    /// # Errors
    /// When a database or a key elsewhere was asked for.
    pub fn in_own_folder(mut self, folder: &str) -> Result<Self, String> {
        for (name, set) in [
            ("PROVOST_DATABASE_URL", self.database_url.is_some()),
            ("PROVOST_MASTER_KEY_FILE", self.master_key_file.is_some()),
        ] {
            if set {
                return Err(format!(
                    "{name} is set, but a demo keeps everything in a folder of its own. Unset it."
                ));
            }
        }
        self.data_dir.get_or_insert_with(|| folder.into());
        Ok(self)
    }
}
