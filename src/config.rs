//! The only reader of the environment: flags, variables and a `.env` file become [`Settings`].
//! What it does not understand it refuses, so that a typing error never goes unnoticed.

use std::{env, net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    app::WebSettings,
    db::Target,
    services::settings::{BackupSettings, Limits, S3Settings, Settings, SignupPolicy},
    web::client::TrustedProxies,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
const ENV_FILE: &str = ".env";
/// Cheaper hashes are guessed too fast: a warning.
const LOW_PASSWORD_COST: u32 = 10;

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
    listen: Option<String>,
    /// Folder for everything that is kept in files [default: ./provost-data]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATA_DIR",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    data_dir: Option<PathBuf>,
    /// Shared database, sqlite:FILE or postgres://...; its server also holds the tenants [default: a file in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    database_url: Option<String>,
    /// Where people reach the platform; links in mails start with it [default: http:// and the listen address]
    #[arg(
        long,
        global = true,
        env = "PROVOST_PUBLIC_URL",
        value_name = "URL",
        help_heading = "Configuration"
    )]
    public_url: Option<String>,
    /// File of the master key [default: master.key in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MASTER_KEY_FILE",
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    master_key_file: Option<PathBuf>,
    /// Mail server, smtps://user:password@host; without one, mails are written to outbox/ in the data folder
    #[arg(
        long,
        global = true,
        env = "PROVOST_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    smtp_url: Option<String>,
    /// Address that mails come from [default: no-reply@ and the public URL's host]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MAIL_FROM",
        value_name = "E-MAIL",
        help_heading = "Configuration"
    )]
    mail_from: Option<String>,
    /// What happens to a registration: approval or automatic [default: approval]
    #[arg(
        long,
        global = true,
        env = "PROVOST_SIGNUP",
        value_name = "POLICY",
        help_heading = "Configuration"
    )]
    signup: Option<String>,
    /// First part of every tenant database's name [default: provost_]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DATABASE_PREFIX",
        value_name = "PREFIX",
        help_heading = "Configuration"
    )]
    database_prefix: Option<String>,
    /// Proxies whose X-Forwarded-For is believed, separated by commas [default: none]
    #[arg(
        long,
        global = true,
        env = "PROVOST_TRUSTED_PROXIES",
        value_name = "ADDRESSES",
        help_heading = "Configuration"
    )]
    trusted_proxies: Option<String>,
    /// Connections to all tenant databases together [default: what server and system bear]
    #[arg(
        long,
        global = true,
        env = "PROVOST_CONNECTION_BUDGET",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    connection_budget: Option<usize>,
    /// Connections to one tenant database [default: 3]
    #[arg(
        long,
        global = true,
        env = "PROVOST_TENANT_CONNECTIONS",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    tenant_connections: Option<usize>,
    /// Longest wait for a database connection, in seconds [default: 3]
    #[arg(
        long,
        global = true,
        env = "PROVOST_GATE_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    gate_seconds: Option<u64>,
    /// Operations carried out at once [default: 2]
    #[arg(
        long,
        global = true,
        env = "PROVOST_OPERATION_WORKERS",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    operation_workers: Option<usize>,
    /// Institutions' databases migrated at once [default: twice the processors, at most 8]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MIGRATIONS_AT_ONCE",
        value_name = "COUNT",
        help_heading = "Configuration"
    )]
    migrations_at_once: Option<usize>,
    /// Longest wait of a migration for whoever holds the database, in seconds [default: 2]
    #[arg(
        long,
        global = true,
        env = "PROVOST_MIGRATION_LOCK_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    migration_lock_seconds: Option<u64>,
    /// A worker silent for this long loses its operation to another, in seconds [default: 30]
    #[arg(
        long,
        global = true,
        env = "PROVOST_LEASE_SECONDS",
        value_name = "SECONDS",
        help_heading = "Configuration"
    )]
    lease_seconds: Option<u64>,
    /// A super admin's session ends after this long without a request, in minutes [default: 15]
    #[arg(
        long,
        global = true,
        env = "PROVOST_ADMIN_IDLE_MINUTES",
        value_name = "MINUTES",
        help_heading = "Configuration"
    )]
    admin_idle_minutes: Option<u64>,
    /// An institution user's session ends after this long without a request, in minutes [default: 30]
    #[arg(
        long,
        global = true,
        env = "PROVOST_IDLE_MINUTES",
        value_name = "MINUTES",
        help_heading = "Configuration"
    )]
    idle_minutes: Option<u64>,
    /// Every session ends after this long, in hours [default: 8]
    #[arg(
        long,
        global = true,
        env = "PROVOST_SESSION_HOURS",
        value_name = "HOURS",
        help_heading = "Configuration"
    )]
    session_hours: Option<u64>,
    /// What a reader of /metrics has to present, as "Authorization: Bearer TOKEN" [default: none, everybody may read]
    #[arg(
        long,
        global = true,
        env = "PROVOST_METRICS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    metrics_token: Option<String>,
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
    webhooks_to_private_networks: Option<bool>,
    /// An alert says that the disk is filling when less than this is free, in percent; 0 for never [default: 10]
    #[arg(
        long,
        global = true,
        env = "PROVOST_DISK_ALERT_PERCENT",
        value_name = "PERCENT",
        help_heading = "Configuration"
    )]
    disk_alert_percent: Option<u64>,
    /// Collect no figures, to measure what collecting costs
    #[arg(long, global = true, env = "PROVOST_TEST_UNMETERED", hide = true)]
    unmetered: bool,
    /// Records can still be changed for this long when a trial or a paid time is over, in days [default: 14]
    #[arg(
        long,
        global = true,
        env = "PROVOST_GRACE_DAYS",
        value_name = "DAYS",
        help_heading = "Configuration"
    )]
    grace_days: Option<u64>,
    /// Cost of password hashing, 10 to 16; lower only for tests [default: 12]
    #[arg(
        long,
        global = true,
        env = "PROVOST_PASSWORD_COST",
        value_name = "COST",
        help_heading = "Configuration"
    )]
    password_cost: Option<u32>,
    /// Folder of the backups, best on another disk [default: backups in the data folder]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_DIR",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    backup_dir: Option<PathBuf>,
    /// Folder of pg_dump and pg_restore [default: the PATH, or the newest in /usr/lib/postgresql]
    #[arg(
        long,
        global = true,
        env = "PROVOST_POSTGRES_TOOLS",
        value_name = "FOLDER",
        help_heading = "Configuration"
    )]
    postgres_tools: Option<PathBuf>,
    /// Every backup is kept for so many days [default: 7]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_DAYS",
        value_name = "DAYS",
        help_heading = "Configuration"
    )]
    backup_keep_days: Option<u32>,
    /// The first of a week is kept for so many weeks [default: 5]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_WEEKS",
        value_name = "WEEKS",
        help_heading = "Configuration"
    )]
    backup_keep_weeks: Option<u32>,
    /// The first of a month is kept for so many months [default: 12]
    #[arg(
        long,
        global = true,
        env = "PROVOST_BACKUP_KEEP_MONTHS",
        value_name = "MONTHS",
        help_heading = "Configuration"
    )]
    backup_keep_months: Option<u32>,
    /// Address of an S3 service to keep the backups in [default: none, the folder]
    #[arg(long, global = true, env = "PROVOST_S3_URL", value_name = "URL", help_heading = "Configuration")]
    s3_url: Option<String>,
    /// Bucket of the backups
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_BUCKET",
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    s3_bucket: Option<String>,
    /// Region of the bucket [default: us-east-1]
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_REGION",
        value_name = "NAME",
        help_heading = "Configuration"
    )]
    s3_region: Option<String>,
    /// Name of the access key
    #[arg(long, global = true, env = "PROVOST_S3_KEY", value_name = "KEY", help_heading = "Configuration")]
    s3_key: Option<String>,
    /// Secret of the access key
    #[arg(
        long,
        global = true,
        env = "PROVOST_S3_SECRET_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    s3_secret_key: Option<String>,
}

/// Variables that are not options: for the tests and the developers.
const OTHER_VARIABLES: &[&str] = &["PROVOST_CRASH_AT", "PROVOST_BIN"];

/// Everything in force, ready to use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port.
    pub listen: String,
    /// What services need.
    pub settings: Settings,
    /// What the web app needs.
    pub web: WebSettings,
    /// `settings.public_url`, read.
    pub public_url: url::Url,
}

/// Reads the file `.env` of the present folder, for development; no other folder's. Call it before the flags
/// are parsed.
///
/// # Errors
/// A sentence for the operator when there is a file and it cannot be read to its end.
pub fn load_env_file() -> Result<(), String> {
    match dotenvy::from_path(ENV_FILE) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // The line, or the end of it that is told here, may hold a secret.
        Err(dotenvy::Error::LineParse(line, _)) => {
            let text = std::fs::read_to_string(ENV_FILE).unwrap_or_default();
            let at = text.lines().position(|known| known.trim().ends_with(line.trim()));
            let place = at.map_or("A line".to_owned(), |index| format!("Line {}", index + 1));
            Err(format!(
                "{place} of the file .env cannot be read; write NAME=value, with quotes around a value that holds \
                 blanks."
            ))
        }
        Err(error) => Err(format!("The file .env cannot be read: {error}.")),
    }
}

/// Refuses variables that start with `PROVOST_` and mean nothing.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_unknown_variables(command: &clap::Command) -> Result<(), String> {
    let known: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()).collect();
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str().filter(|text| text.starts_with("PROVOST_")) else { continue };
        let other = OTHER_VARIABLES.contains(&text) || text.starts_with("PROVOST_TEST_");
        if !other && !known.contains(&name.as_os_str()) {
            return Err(format!("The environment variable {text} is unknown; check its spelling."));
        }
    }
    Ok(())
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

    /// Checks every value and fills in the defaults. Creates nothing.
    ///
    /// # Errors
    /// A sentence for the operator that names the setting.
    pub fn read(&self) -> Result<Config, String> {
        let data_dir = self.data_dir.clone().unwrap_or_else(|| "provost-data".into());
        let listen = self.listen.clone().unwrap_or_else(|| DEFAULT_LISTEN.into());
        let Ok(address) = listen.parse::<std::net::SocketAddr>() else {
            return Err(format!(
                "PROVOST_LISTEN is {listen:?}; write an address and a port, such as 127.0.0.1:8080."
            ));
        };
        if address.ip().is_unspecified() && self.public_url.is_none() {
            return Err(format!(
                "PROVOST_LISTEN is {listen}, which is every address of this machine; set PROVOST_PUBLIC_URL to the \
                 one that people use, such as https://provost.example.org."
            ));
        }
        let mut settings = Settings::new(data_dir);
        if let Some(url) = &self.database_url {
            settings.database =
                Target::parse(url).map_err(|error| format!("PROVOST_DATABASE_URL: {error}"))?;
        }
        let public_url = self.read_public_url(&listen)?;
        settings.public_url = public_url.as_str().trim_end_matches('/').to_owned();
        settings.mail_from = match &self.mail_from {
            Some(address) => address.clone(),
            None => default_sender(&public_url),
        };
        if let Some(file) = &self.master_key_file {
            settings.master_key_file.clone_from(file);
        }
        settings.smtp_url.clone_from(&self.smtp_url);
        if let Some(policy) = &self.signup {
            settings.signup = policy
                .parse::<SignupPolicy>()
                .map_err(|_| format!("PROVOST_SIGNUP is {policy:?}; write approval or automatic."))?;
        }
        if let Some(prefix) = &self.database_prefix {
            settings.database_prefix.clone_from(prefix);
        }
        if let Some(cost) = self.password_cost {
            settings.password_cost = within("PROVOST_PASSWORD_COST", cost, 4, 16)?;
        }
        if let Some(token) = self.metrics_token.as_deref().map(str::trim).filter(|token| !token.is_empty()) {
            if token.len() < 16 {
                return Err("PROVOST_METRICS_TOKEN is short; write 16 letters or more.".into());
            }
            settings.metrics_token = Some(token.to_owned());
        }
        settings.webhooks_to_private_networks = self.webhooks_to_private_networks.unwrap_or(false);
        if let Some(percent) = self.disk_alert_percent {
            settings.disk_alert_percent = within("PROVOST_DISK_ALERT_PERCENT", percent, 0, 100)?;
        }
        settings.metered = !self.unmetered;
        self.read_limits(&mut settings.limits)?;
        #[cfg(feature = "crash-points")]
        {
            settings.later_migrations = env::var_os("PROVOST_TEST_MIGRATIONS").map(Into::into);
        }
        self.read_backups(&mut settings.backups)?;
        let web = WebSettings { trusted_proxies: self.read_proxies()?, workers: None };
        Ok(Config { listen, settings, web, public_url })
    }

    fn read_public_url(&self, listen: &str) -> Result<url::Url, String> {
        let text = self.public_url.clone().unwrap_or_else(|| format!("http://{listen}"));
        let wrong = |why: &str| {
            Err(format!("PROVOST_PUBLIC_URL is {text:?}; {why}, such as https://provost.example.org."))
        };
        match url::Url::parse(&text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                wrong("it has to start with https:// or http://")
            }
            Ok(url) if url.path() != "/" || url.query().is_some() => {
                wrong("write scheme, host and port only")
            }
            Ok(url) if url.host_str().is_some() => Ok(url),
            _ => wrong("write a web address"),
        }
    }

    fn read_limits(&self, limits: &mut Limits) -> Result<(), String> {
        if let Some(count) = self.connection_budget {
            limits.connection_budget = Some(within("PROVOST_CONNECTION_BUDGET", count, 1, 100_000)?);
        }
        if let Some(count) = self.tenant_connections {
            limits.tenant_connections = within("PROVOST_TENANT_CONNECTIONS", count, 1, 100)?;
        }
        if let Some(count) = self.operation_workers {
            limits.operation_workers = within("PROVOST_OPERATION_WORKERS", count, 1, 64)?;
        }
        if let Some(count) = self.migrations_at_once {
            limits.migrations_at_once = within("PROVOST_MIGRATIONS_AT_ONCE", count, 1, 64)?;
        }
        for (name, given, unit, limit) in [
            (
                "PROVOST_MIGRATION_LOCK_SECONDS",
                self.migration_lock_seconds,
                1,
                &mut limits.migration_lock_wait,
            ),
            ("PROVOST_GATE_SECONDS", self.gate_seconds, 1, &mut limits.gate_wait),
            ("PROVOST_LEASE_SECONDS", self.lease_seconds, 1, &mut limits.lease),
            ("PROVOST_ADMIN_IDLE_MINUTES", self.admin_idle_minutes, 60, &mut limits.super_admin_idle),
            ("PROVOST_IDLE_MINUTES", self.idle_minutes, 60, &mut limits.institution_idle),
            ("PROVOST_SESSION_HOURS", self.session_hours, 3_600, &mut limits.session_length),
            ("PROVOST_GRACE_DAYS", self.grace_days, 24 * 3_600, &mut limits.grace),
        ] {
            if let Some(count) = given {
                *limit = Duration::from_secs(within(name, count, 1, 10_000)? * unit);
            }
        }
        Ok(())
    }

    fn read_backups(&self, backups: &mut BackupSettings) -> Result<(), String> {
        if let Some(folder) = &self.backup_dir {
            backups.folder.clone_from(folder);
        }
        backups.postgres_tools.clone_from(&self.postgres_tools);
        backups.s3 = self.read_s3()?;
        for (name, given, least, limit) in [
            ("PROVOST_BACKUP_KEEP_DAYS", self.backup_keep_days, 1, &mut backups.keep_days),
            ("PROVOST_BACKUP_KEEP_WEEKS", self.backup_keep_weeks, 0, &mut backups.keep_weeks),
            ("PROVOST_BACKUP_KEEP_MONTHS", self.backup_keep_months, 0, &mut backups.keep_months),
        ] {
            if let Some(count) = given {
                *limit = within(name, count, least, 1_000)?;
            }
        }
        Ok(())
    }

    fn read_s3(&self) -> Result<Option<S3Settings>, String> {
        let Some(address) = &self.s3_url else {
            return match &self.s3_bucket {
                Some(_) => Err("PROVOST_S3_BUCKET is set, but PROVOST_S3_URL is not; set both.".into()),
                None => Ok(None),
            };
        };
        let endpoint = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| {
            format!("PROVOST_S3_URL is {address:?}; write an address such as https://s3.eu-central-1.amazonaws.com.")
        })?;
        let needed = |name: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| format!("PROVOST_S3_URL is set, but {name} is not; set both."))
        };
        Ok(Some(S3Settings {
            endpoint,
            bucket: needed("PROVOST_S3_BUCKET", &self.s3_bucket)?,
            region: self.s3_region.clone().unwrap_or_else(|| "us-east-1".into()),
            key: needed("PROVOST_S3_KEY", &self.s3_key)?,
            secret: needed("PROVOST_S3_SECRET_KEY", &self.s3_secret_key)?,
        }))
    }

    fn read_proxies(&self) -> Result<TrustedProxies, String> {
        let mut proxies = Vec::new();
        for text in self.trusted_proxies.iter().flat_map(|list| list.split(',')).map(str::trim) {
            let address: IpAddr = text
                .parse()
                .map_err(|_| format!("PROVOST_TRUSTED_PROXIES holds {text:?}, which is no IP address."))?;
            proxies.push(address);
        }
        Ok(TrustedProxies(proxies))
    }
}

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

/// A bare IP address or localhost is no domain to send mail from.
fn default_sender(public_url: &url::Url) -> String {
    let host = public_url.domain().filter(|host| host.contains('.')).unwrap_or("provost.example");
    format!("no-reply@{host}")
}

fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, min: T, max: T) -> Result<T, String> {
    if value < min || value > max {
        return Err(format!("{name} is {value}; it has to be between {min} and {max}."));
    }
    Ok(value)
}
