//! What an operator may set, as plain values. `config.rs` reads them from the environment.

use std::{path::PathBuf, time::Duration};

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
    /// Whether webhooks may lead into private networks.
    pub webhooks_to_private_networks: bool,
    /// An alert says so when less than this part of the disk is free, in percent; none is told of at 0.
    pub disk_alert_percent: u64,
    /// What a reader of `/metrics` has to present; none means that everybody may read them.
    pub metrics_token: Option<String>,
    /// Sizes and times.
    pub limits: Limits,
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
            super_admin_idle: Duration::from_secs(15 * 60),
            institution_idle: Duration::from_secs(30 * 60),
            session_length: Duration::from_secs(8 * 60 * 60),
            password_queue: super::passwords::DEFAULT_QUEUE,
            slow_query: crate::db::meter::SLOW_AFTER,
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
            webhooks_to_private_networks: false,
            disk_alert_percent: 10,
            metrics_token: None,
            limits: Limits::default(),
            data_dir,
        }
    }
}
