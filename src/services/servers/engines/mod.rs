//! The engine of each server, opened at its first use and kept. Whatever names a place is done by the engine of the
//! server that the place is on.

mod at_a_place;
mod of_all;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use of_all::{Survey, Unheard};

use crate::{
    db::{
        Engine, Id, Target,
        engine::{EngineError, HOME, PostgresEngine, SqliteEngine, TenantEngine, for_target},
        pools::SharedPool,
        shared::SharedConn,
        tenant_migrations::TenantMigrations,
    },
    models::{
        ModelError,
        platform::servers::{self, DatabaseServer},
    },
    services::keys::Keys,
};

/// How long another node's change of an address may go unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Connections of a server that was never checked.
const FEW_CONNECTIONS: usize = 20;

/// What an engine is made of, whichever server it is for.
#[derive(Clone)]
pub(in crate::services) struct Parts {
    pub(in crate::services) shared: SharedPool,
    pub(in crate::services) database: Target,
    pub(in crate::services) data_dir: PathBuf,
    pub(in crate::services) prefix: String,
    pub(in crate::services) tenant_connections: usize,
    pub(in crate::services) migrations: TenantMigrations,
    pub(in crate::services) keys: Keys,
}

/// A server and its engine.
pub type Served = (DatabaseServer, Arc<dyn TenantEngine>);

/// Every engine there is.
pub struct Engines {
    home: Arc<dyn TenantEngine>,
    parts: Parts,
    others: Mutex<HashMap<Id, Known>>,
}

#[derive(Clone)]
struct Known {
    engine: Arc<dyn TenantEngine>,
    /// Connections that one node may open there.
    connections: usize,
    version: i64,
    seen: Instant,
}

impl Engines {
    pub(in crate::services) fn new(parts: Parts) -> Self {
        let home = for_target(
            &parts.database,
            &parts.data_dir,
            &parts.prefix,
            &parts.keys.platform_id(),
            parts.tenant_connections,
            parts.migrations.clone(),
        );
        Self { home: Arc::from(home), parts, others: Mutex::default() }
    }

    /// The engine that the configuration names.
    #[must_use]
    pub fn home(&self) -> &Arc<dyn TenantEngine> {
        &self.home
    }

    /// The engine of the shared database.
    #[must_use]
    pub fn kind(&self) -> Engine {
        self.home.kind()
    }

    /// As [`TenantEngine::prepare`], of the server that the configuration names.
    ///
    /// # Errors
    /// As there.
    pub fn prepare(&self) -> Result<(), EngineError> {
        self.home.prepare()
    }

    /// As [`TenantEngine::close_shared_database`].
    ///
    /// # Errors
    /// As there.
    pub fn close_shared_database(&self) -> Result<(), EngineError> {
        self.home.close_shared_database()
    }

    /// As [`TenantEngine::connection_budget`], of the server that the configuration names.
    ///
    /// # Errors
    /// As there.
    pub fn connection_budget(&self, shared_connections: usize) -> Result<usize, EngineError> {
        self.home.connection_budget(shared_connections)
    }

    /// The engine of a server.
    ///
    /// # Errors
    /// When the server is not known any more, or its address cannot be read.
    pub fn of(&self, server: Id) -> Result<Arc<dyn TenantEngine>, EngineError> {
        if server == HOME { Ok(Arc::clone(&self.home)) } else { Ok(self.known(server)?.engine) }
    }

    /// The engine that would serve an address, for a server that is not entered yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn at(&self, url: &str) -> Result<Arc<dyn TenantEngine>, EngineError> {
        let parts = &self.parts;
        if url == super::DATA_FOLDER {
            return Ok(Arc::new(
                SqliteEngine::new(&parts.data_dir).with_migrations(parts.migrations.clone()),
            ));
        }
        match Target::parse(url).map_err(EngineError::permanent)? {
            Target::Sqlite(_) => Err(EngineError::permanent(format!(
                "SQLite databases live in the data folder only; write {}.",
                super::DATA_FOLDER
            ))),
            Target::Postgres(url) => Ok(Arc::new(
                PostgresEngine::new(
                    &url,
                    &parts.prefix,
                    &parts.keys.platform_id(),
                    parts.tenant_connections,
                    parts.migrations.clone(),
                )
                .elsewhere(),
            )),
        }
    }

    /// The server of a place, and the connections that this node may open there; none where the platform's own budget
    /// holds.
    pub(in crate::services) fn budget(&self, server: Id) -> Result<Option<(Id, usize)>, EngineError> {
        if server == HOME { Ok(None) } else { Ok(Some((server, self.known(server)?.connections))) }
    }

    /// Every server that this platform knows, with its engine.
    ///
    /// # Errors
    /// When the shared database cannot be read.
    pub fn all(&self) -> Result<Vec<Served>, EngineError> {
        let rows = self.parts.shared.get().map_err(Into::into).and_then(|mut c| servers::all(&mut c));
        let rows = rows.map_err(|error| unreadable(&error))?;
        rows.into_iter().map(|row| self.of(row.id).map(|engine| (row, engine))).collect()
    }

    /// Whatever is known of a server is read anew at its next use.
    pub fn forget(&self, server: Id) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).remove(&server);
    }

    fn known(&self, server: Id) -> Result<Known, EngineError> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let known = others.get(&server).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.seen.elapsed() < LOOK_AGAIN) {
            return Ok(known.clone());
        }
        let row =
            match self.look().and_then(|mut c| servers::find(&mut c, server).map_err(|e| unreadable(&e))) {
                Ok(row) => row,
                // What was known goes on working while the shared database is away.
                Err(error) => return known.ok_or(error),
            };
        let fresh = match known {
            Some(known) if known.version == row.version => Known { seen: Instant::now(), ..known },
            _ => self.open(&row)?,
        };
        others.insert(server, fresh.clone());
        Ok(fresh)
    }

    /// Beside the pool: whoever asks may hold its last connection.
    fn look(&self) -> Result<SharedConn, EngineError> {
        SharedConn::open(&self.parts.database)
            .map_err(|error| EngineError::transient(format!("The shared database {error}.")))
    }

    fn open(&self, row: &DatabaseServer) -> Result<Known, EngineError> {
        let sealed = row.sealed_url.as_deref().unwrap_or_default();
        let url = self.parts.keys.open_server_url(row.id, sealed).map_err(|error| {
            EngineError::permanent(format!("The address of the server {} cannot be read: {error}.", row.name))
        })?;
        let most = row.most_connections.or(row.connections).and_then(|most| usize::try_from(most).ok());
        Ok(Known {
            engine: self.at(&url)?,
            connections: most.unwrap_or(FEW_CONNECTIONS).max(1),
            version: row.version,
            seen: Instant::now(),
        })
    }
}

fn unreadable(error: &ModelError) -> EngineError {
    if error.is_not_found() {
        EngineError::permanent("The server that this database is on is not known any more.")
    } else {
        EngineError::transient(format!("The list of servers cannot be read: {error}."))
    }
}
