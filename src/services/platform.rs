//! The long-lived whole: everything that a request or a command needs, opened in an order in which a
//! wrong setting is refused before anything is created.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use super::{
    announcements::Announcements,
    keys::{self, KeyError, Keys},
    mail::{Mailer, Sender},
    mail_texts::MailTexts,
    monitoring::Watched,
    operations::Operations,
    outbox::Outbox,
    passwords::Passwords,
    rollouts::FirstTouches,
    servers::{Engines, Parts},
    settings::Settings,
    tenants::{TenantError, Tenants},
};
use crate::{
    db::{
        Id, Target, lane,
        meter::Meters,
        migrate::Migrate,
        pools::{PoolLimits, SharedPool, TenantDb, TenantPools},
        shared::SharedConn,
        target::create_sqlite,
        tenant_migrations::TenantMigrations,
        trouble::Trouble,
    },
    models::{
        Actor,
        database_name::NamePrefix,
        platform::{audit::Audit, schema_ledger},
        text::Email,
    },
};

/// Why Provost does not start: one sentence or two for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    /// Takes any error's words as they are, and ends them as a sentence.
    pub fn new(words: impl std::fmt::Display) -> Self {
        let mut words = words.to_string();
        if !words.ends_with(['.', '!', '?']) {
            words.push('.');
        }
        Self(words)
    }
}

/// The platform.
pub struct Platform {
    /// The shared database.
    pub shared: SharedPool,
    /// The institutions' databases.
    pub tenants: Tenants,
    /// Where the institutions' databases are made: the engine of each server.
    pub engine: Arc<Engines>,
    /// The schema of the institutions' databases.
    pub migrations: TenantMigrations,
    /// Databases that are brought along because somebody wants in.
    pub(super) first_touches: FirstTouches,
    /// All keys.
    pub keys: Keys,
    /// Password hashing.
    pub passwords: Passwords,
    /// Mail on its way.
    pub outbox: Outbox,
    /// The words of mails.
    pub mail_texts: MailTexts,
    /// What is counted of every request.
    pub meters: Arc<Meters>,
    /// What the pages know of the servers without asking them each time.
    pub watched: Watched,
    /// Long work.
    pub operations: Operations,
    /// What is announced to institutions now.
    pub announcements: Announcements,
    /// First part of every tenant database's name.
    pub prefix: NamePrefix,
    /// What was set.
    pub settings: Settings,
}

impl Platform {
    /// Opens the platform; at the first run creates data folder, master key and shared database, later
    /// brings the shared database up to this version.
    ///
    /// # Errors
    /// What is wrong and what to do; nothing was created then that a corrected start would stumble over.
    pub fn open(settings: Settings) -> Result<Arc<Self>, StartError> {
        let checked = Checked::of(&settings)?;
        let existing = Existing::look(&settings)?;
        let mut connection = existing.ready(&settings)?;
        let keys = with_start_lock(&mut connection, |connection| {
            connection
                .migrate()
                .map_err(|error| told("The shared database could not be brought up to date", error))?;
            Keys::load_or_create(&settings.master_key_file, connection).map_err(key_words)
        })?;
        drop(connection);
        let platform = Self::assemble(settings, checked, keys)?;
        platform
            .shared
            .get()
            .map_err(Into::into)
            .and_then(|mut connection| schema_ledger::remember(&mut connection, platform.migrations.all()))
            .map_err(|error| told("The schema of tenants could not be noted", error))?;
        if let Err(error) = platform.engine.close_shared_database() {
            log::warn!("{error}");
        }
        Ok(platform)
    }

    /// Opens a platform that was started before, by this version: creates, migrates and closes nothing, so
    /// that it may be done beside a running server of any version.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub fn open_present(settings: Settings) -> Result<Arc<Self>, StartError> {
        let checked = Checked::of(&settings)?;
        let mut connection = SharedConn::open(&settings.database)
            .map_err(|error| told("The shared database cannot be reached", error))?;
        keys::check(&settings.master_key_file, &mut connection).map_err(key_words)?;
        let pending =
            connection.pending().map_err(|error| told("The shared database cannot be looked at", error))?;
        if !pending.is_empty() {
            return Err(StartError::new(
                "The shared database is of an older version of Provost. Stop the servers of that version, then \
                 run: provost migrate shared",
            ));
        }
        let keys = Keys::load(&settings.master_key_file, &mut connection).map_err(key_words)?;
        let keys = keys.ok_or_else(|| {
            StartError::new("The first start of this platform did not end. Run: provost serve")
        })?;
        drop(connection);
        Self::assemble(settings, checked, keys)
    }

    fn assemble(settings: Settings, checked: Checked, keys: Keys) -> Result<Arc<Self>, StartError> {
        let Checked { prefix, mailer } = checked;
        let migrations = match &settings.later_migrations {
            Some(folder) => TenantMigrations::with_folder(folder).map_err(StartError::new)?,
            None => TenantMigrations::embedded(),
        };
        let passwords =
            Passwords::new(keys.password_pepper(), settings.password_cost, settings.limits.password_queue)
                .map_err(StartError::new)?;
        let limits = settings.limits;
        let pool = |connections, crowd| PoolLimits {
            connections,
            wait: limits.gate_wait,
            idle: limits.connection_idle,
            crowd,
        };
        let meters = Arc::new(Meters::new(settings.metered, limits.slow_query));
        let shared = SharedPool::metered(
            settings.database.clone(),
            pool(limits.shared_connections, limits.shared_connections),
            Arc::clone(meters.platform()),
        );
        let engine = Arc::new(Engines::new(Parts {
            shared: shared.clone(),
            database: settings.database.clone(),
            data_dir: settings.data_dir.clone(),
            prefix: prefix.as_str().to_owned(),
            tenant_connections: settings.limits.tenant_connections,
            migrations: migrations.clone(),
            keys: keys.clone(),
        }));
        let budget = match limits.connection_budget {
            // The limit of open files is raised by asking.
            Some(budget) => engine.connection_budget(limits.shared_connections).map(|_| budget),
            None => engine.connection_budget(limits.shared_connections),
        };
        let budget = budget.map_err(StartError::new)?;
        let pools =
            TenantPools::metered(pool(limits.tenant_connections, lane::crowd()), budget, Arc::clone(&meters));
        Ok(Arc::new(Self {
            tenants: Tenants::new(pools, Arc::clone(&engine), keys.clone(), migrations.version()),
            outbox: Outbox::new(shared.clone(), keys.clone(), mailer),
            mail_texts: MailTexts {
                platform: settings.platform_name.clone(),
                public_url: settings.public_url.clone(),
            },
            meters,
            watched: Watched::default(),
            operations: Operations::default(),
            announcements: Announcements::default(),
            migrations,
            first_touches: FirstTouches::default(),
            shared,
            engine,
            keys,
            passwords,
            prefix,
            settings,
        }))
    }

    /// Whether these settings name a platform that was started before. Changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub fn exists(settings: &Settings) -> Result<bool, StartError> {
        match &settings.database {
            Target::Sqlite(path) => Ok(path.exists()),
            target => SharedConn::open(target)
                .map(|mut connection| has_secrets(&mut connection))
                .map_err(|error| told("The shared database cannot be reached", error)),
        }
    }

    /// The right to change platform records in this name.
    #[must_use]
    pub fn audit(&self, actor: Actor) -> Audit {
        Audit::new(self.keys.audit_key(), actor)
    }

    /// The database of an active institution; one that is behind is brought along first.
    ///
    /// # Errors
    /// Why it cannot be entered.
    pub async fn tenant(self: &Arc<Self>, institution_id: Id) -> Result<TenantDb, TenantError> {
        let tenants = self.tenants.clone();
        let open = move |connection: &mut SharedConn| tenants.open(connection, institution_id);
        match self.shared.run(open.clone()).await {
            Err(TenantError::Behind) => {
                self.catch_up(institution_id).await?;
                self.shared.run(open).await
            }
            result => result,
        }
    }

    /// An absolute address on the platform.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.settings.public_url.trim_end_matches('/'))
    }

    /// Closes every pool; what is running finishes. The workers are stopped by their own handle.
    pub fn close(&self) {
        self.tenants.close();
        self.shared.close();
    }
}

/// Settings that are refused before anything is touched.
struct Checked {
    prefix: NamePrefix,
    mailer: Mailer,
}

impl Checked {
    fn of(settings: &Settings) -> Result<Self, StartError> {
        let prefix = NamePrefix::parse(&settings.database_prefix).map_err(StartError::new)?;
        Ok(Self { prefix, mailer: mailer(settings)? })
    }
}

/// What is there before the start, looked at without changing it.
enum Existing {
    Connected(SharedConn),
    /// No SQLite file yet.
    Nothing,
}

impl Existing {
    fn look(settings: &Settings) -> Result<Self, StartError> {
        writable(&settings.data_dir)?;
        match &settings.database {
            Target::Sqlite(path) if !path.exists() => {
                if has_tenants(&settings.data_dir) {
                    return Err(StartError(format!(
                        "The shared database {} is missing, but {} holds institutions. Put it back from a backup, \
                         or set PROVOST_DATABASE_URL to where it is.",
                        path.display(),
                        settings.data_dir.display()
                    )));
                }
                Ok(Self::Nothing)
            }
            target => {
                let mut connection = SharedConn::open(target)
                    .map_err(|error| told("The shared database cannot be reached", error))?;
                if has_secrets(&mut connection) {
                    keys::check(&settings.master_key_file, &mut connection).map_err(key_words)?;
                }
                Ok(Self::Connected(connection))
            }
        }
    }

    /// Creates what is missing.
    fn ready(self, settings: &Settings) -> Result<SharedConn, StartError> {
        let folder = &settings.data_dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| told(&format!("The data folder {} cannot be made", folder.display()), error))?;
        match (self, &settings.database) {
            // Creating is repeated where it may have been interrupted.
            (_, Target::Sqlite(path)) => {
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(
                    |error| told(&format!("The shared database {} cannot be made", path.display()), error),
                )?;
                create_sqlite(path)
                    .map(SharedConn::Sqlite)
                    .map_err(|error| told("The shared database cannot be made", error))
            }
            (Self::Connected(connection), Target::Postgres(_)) => Ok(connection),
            (Self::Nothing, target) => SharedConn::open(target).map_err(StartError::new),
        }
    }
}

/// Refuses a data folder that could not be used, without leaving anything in it.
fn writable(folder: &Path) -> Result<(), StartError> {
    let nearest = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    if !nearest.is_dir() {
        return Err(StartError(format!(
            "The data folder cannot be {}: {} is a file.",
            folder.display(),
            nearest.display()
        )));
    }
    let probe = nearest.join(format!(".provost-{}", Id::new()));
    DirBuilder::new().mode(0o700).create(&probe).and_then(|()| fs::remove_dir(&probe)).map_err(|error| {
        StartError(format!(
            "The data folder {} cannot be written ({error}). Give it to the user that runs Provost, or set \
             PROVOST_DATA_DIR to another folder.",
            folder.display()
        ))
    })
}

fn has_tenants(data_dir: &Path) -> bool {
    fs::read_dir(data_dir.join("tenants")).is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether the database was in use before: its table of secrets is there.
fn has_secrets(connection: &mut SharedConn) -> bool {
    crate::models::platform::platform_secrets::find(connection, "check").is_ok()
}

/// One node at a time migrates and makes keys.
fn with_start_lock<T>(
    connection: &mut SharedConn,
    work: impl FnOnce(&mut SharedConn) -> Result<T, StartError>,
) -> Result<T, StartError> {
    connection.lock_for_start().map_err(|error| told("The shared database is busy", error))?;
    let result = work(connection);
    // The session, and the lock with it, ends anyway when this fails.
    let _ = connection.unlock_after_start();
    result
}

fn mailer(settings: &Settings) -> Result<Mailer, StartError> {
    let address = Email::parse(&settings.mail_from).map_err(|error| {
        StartError(format!("PROVOST_MAIL_FROM is not an e-mail address ({error}): {}.", settings.mail_from))
    })?;
    let sender = Sender { name: settings.platform_name.clone(), address };
    match &settings.smtp_url {
        Some(url) => Mailer::smtp(url, sender).map_err(StartError::new),
        None => {
            Ok(Mailer::outbox(settings.data_dir.join("outbox"), sender, is_loopback(&settings.public_url)))
        }
    }
}

/// Whether only this machine reaches the platform: somebody tries it out.
fn is_loopback(public_url: &str) -> bool {
    url::Url::parse(public_url).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

fn key_words(error: KeyError) -> StartError {
    StartError::new(error)
}

fn told(what: &str, error: impl std::fmt::Display) -> StartError {
    let text = error.to_string();
    // The cause as well: it names the address that was tried.
    let words = Trouble::of(&text).map(|trouble| format!("{} ", trouble.words())).unwrap_or_default();
    StartError::new(format!("{what}: {words}{}", text.trim_end()))
}
