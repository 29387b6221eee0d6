//! From the options as they were typed to settings that hold, with a sentence where one does not.

use std::{net::IpAddr, time::Duration};

use super::{Config, Options};
use crate::{
    app::WebSettings,
    db::Target,
    services::settings::{BackupSettings, Limits, S3Settings, Settings, SignupPolicy},
    web::client::TrustedProxies,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

impl Options {
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
            settings.later_migrations = std::env::var_os("PROVOST_TEST_MIGRATIONS").map(Into::into);
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
