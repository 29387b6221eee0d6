//! The engine of each server, opened at its first use and kept. Whatever names a place is done by the engine of the
//! server that the place is on.

use std::{
    collections::HashMap,
    io::{Read, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    db::{
        Engine, Id, Target,
        engine::{
            Act, Condition, Contents, CopyTools, Dumped, EngineError, Examined, Finding, HOME, Leftover,
            Opener, Permit, Place, PostgresEngine, Room, SqliteEngine, Stray, TenantEngine, for_target,
        },
        pools::SharedPool,
        shared::SharedConn,
        tenant::TenantConn,
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

/// A server that could not be asked.
#[derive(Debug, Clone)]
pub struct Unheard {
    /// Which.
    pub server: DatabaseServer,
    /// What went wrong.
    pub why: String,
}

impl Unheard {
    /// For a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("The server {} could not be asked: {}", self.server.name, self.why)
    }
}

/// What is there on the servers that could be asked.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names of what is listed")]
pub struct Survey {
    pub databases: Vec<String>,
    pub roles: Vec<String>,
    pub leftovers: Vec<Leftover>,
    pub unheard: Vec<Unheard>,
}

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

    /// Those that answered at their last check: who waits for one that is silent keeps everybody waiting.
    fn answering(&self) -> Result<Vec<Served>, EngineError> {
        Ok(self.all()?.into_iter().filter(|(server, _)| !server.is_silent()).collect())
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

/// Says of which server it is, where there are several.
fn of_server(server: &DatabaseServer, error: EngineError) -> EngineError {
    if server.is_home() {
        return error;
    }
    EngineError { message: format!("The server {}: {}", server.name, error.message), ..error }
}

fn unreadable(error: &ModelError) -> EngineError {
    if error.is_not_found() {
        EngineError::permanent("The server that this database is on is not known any more.")
    } else {
        EngineError::transient(format!("The list of servers cannot be read: {error}."))
    }
}

/// What is done at a place, by the engine of its server; and what is asked of all servers together.
impl Engines {
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

    /// As [`TenantEngine::create_role`].
    ///
    /// # Errors
    /// As there.
    pub fn create_role(&self, place: &Place, password: &str, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.create_role(place, password, permit)
    }

    /// As [`TenantEngine::create`].
    ///
    /// # Errors
    /// As there.
    pub fn create(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.create(place, permit)
    }

    /// As [`TenantEngine::grant_and_open`].
    ///
    /// # Errors
    /// As there.
    pub fn grant_and_open(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.grant_and_open(place, permit)
    }

    /// As [`TenantEngine::verify`]; a foreign database on another server proves nothing and is left out.
    ///
    /// # Errors
    /// As there.
    pub fn verify(
        &self,
        place: &Place,
        connection: &mut TenantConn,
        password: Option<&str>,
        foreign: Option<&Place>,
    ) -> Result<(), EngineError> {
        let foreign = foreign.filter(|foreign| foreign.server_id == place.server_id);
        self.of(place.server_id)?.verify(place, connection, password, foreign)
    }

    /// As [`TenantEngine::drop_database`].
    ///
    /// # Errors
    /// As there.
    pub fn drop_database(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.drop_database(place, permit)
    }

    /// As [`TenantEngine::drop_role`].
    ///
    /// # Errors
    /// As there.
    pub fn drop_role(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.drop_role(place, permit)
    }

    /// As [`TenantEngine::exists`].
    ///
    /// # Errors
    /// As there.
    pub fn exists(&self, place: &Place) -> Result<bool, EngineError> {
        self.of(place.server_id)?.exists(place)
    }

    /// As [`TenantEngine::size`].
    ///
    /// # Errors
    /// As there.
    pub fn size(&self, place: &Place) -> Result<u64, EngineError> {
        self.of(place.server_id)?.size(place)
    }

    /// As [`TenantEngine::log_size`].
    ///
    /// # Errors
    /// As there.
    pub fn log_size(&self, place: &Place) -> Result<u64, EngineError> {
        self.of(place.server_id)?.log_size(place)
    }

    /// As [`TenantEngine::opener`].
    ///
    /// # Errors
    /// As there.
    pub fn opener(&self, place: &Place, password: Option<&str>) -> Result<Opener, EngineError> {
        self.of(place.server_id)?.opener(place, password)
    }

    /// As [`TenantEngine::open_as_owner`].
    ///
    /// # Errors
    /// As there.
    pub fn open_as_owner(&self, place: &Place) -> Result<TenantConn, EngineError> {
        self.of(place.server_id)?.open_as_owner(place)
    }

    /// As [`TenantEngine::dump`].
    ///
    /// # Errors
    /// As there.
    pub fn dump(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        out: &mut dyn Write,
    ) -> Result<Dumped, EngineError> {
        self.of(place.server_id)?.dump(place, tools, out)
    }

    /// As [`TenantEngine::load`].
    ///
    /// # Errors
    /// As there.
    pub fn load(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        input: &mut dyn Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError> {
        self.of(place.server_id)?.load(place, tools, input, permit)
    }

    /// As [`TenantEngine::contents`].
    ///
    /// # Errors
    /// As there.
    pub fn contents(&self, place: &Place) -> Result<Contents, EngineError> {
        self.of(place.server_id)?.contents(place)
    }

    /// As [`TenantEngine::stop_writing`].
    ///
    /// # Errors
    /// As there.
    pub fn stop_writing(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.stop_writing(place, permit)
    }

    /// As [`TenantEngine::allow_writing`].
    ///
    /// # Errors
    /// As there.
    pub fn allow_writing(&self, place: &Place) -> Result<(), EngineError> {
        self.of(place.server_id)?.allow_writing(place)
    }

    /// As [`TenantEngine::marks`]; a server that does not answer has no telling, and does not hold up the others.
    ///
    /// # Errors
    /// When the only server does not answer.
    pub fn marks(&self, places: &[Place]) -> Result<Vec<Option<String>>, EngineError> {
        if places.iter().all(|place| place.server_id == HOME) {
            return self.home.marks(places);
        }
        let mut marks = vec![None; places.len()];
        let mut by_server: HashMap<Id, Vec<usize>> = HashMap::new();
        for (index, place) in places.iter().enumerate() {
            by_server.entry(place.server_id).or_default().push(index);
        }
        for (server, indexes) in by_server {
            let theirs: Vec<Place> = indexes.iter().map(|index| places[*index].clone()).collect();
            match self.of(server).and_then(|engine| engine.marks(&theirs)) {
                Ok(found) => indexes.into_iter().zip(found).for_each(|(index, mark)| marks[index] = mark),
                Err(error) => log::warn!("changes on a server could not be asked for: {error}"),
            }
        }
        Ok(marks)
    }

    /// As [`TenantEngine::list`], of all servers.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn list(&self) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        for (server, engine) in self.all()? {
            names.extend(engine.list().map_err(|error| of_server(&server, error))?);
        }
        names.sort();
        Ok(names)
    }

    /// As [`TenantEngine::roles`], of all servers.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn roles(&self) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        for (server, engine) in self.all()? {
            names.extend(engine.roles().map_err(|error| of_server(&server, error))?);
        }
        Ok(names)
    }

    /// As [`TenantEngine::condition`].
    ///
    /// # Errors
    /// As there.
    pub fn condition(&self, place: &Place) -> Result<Condition, EngineError> {
        self.of(place.server_id)?.condition(place)
    }

    /// As [`TenantEngine::tend`].
    ///
    /// # Errors
    /// As there.
    pub fn tend(&self, place: &Place, act: Act, room: Room<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.tend(place, act, room)
    }

    /// As [`TenantEngine::adopt`].
    ///
    /// # Errors
    /// As there.
    pub fn adopt(&self, place: &Place, from: Id) -> Result<(), EngineError> {
        self.of(place.server_id)?.adopt(place, from)
    }

    /// As [`TenantEngine::write_anew`].
    ///
    /// # Errors
    /// As there.
    pub fn write_anew(&self, place: &Place) -> Result<(), EngineError> {
        self.of(place.server_id)?.write_anew(place)
    }

    /// As [`TenantEngine::examine`].
    ///
    /// # Errors
    /// As there.
    pub fn examine(&self, place: &Place, connection: &mut TenantConn) -> Result<Examined, EngineError> {
        self.of(place.server_id)?.examine(place, connection)
    }

    /// As [`TenantEngine::expected_shape`], of a database on this server.
    ///
    /// # Errors
    /// As there.
    pub fn expected_shape(&self, server: Id) -> Result<Option<Vec<String>>, EngineError> {
        self.of(server)?.expected_shape()
    }

    /// As [`TenantEngine::strays`], of all servers that answer.
    ///
    /// # Errors
    /// When the list of servers cannot be read.
    pub fn strays(&self, in_transaction: Duration, idle: Duration) -> Result<Vec<Stray>, EngineError> {
        let mut strays = Vec::new();
        for (server, engine) in self.answering()? {
            match engine.strays(in_transaction, idle) {
                Ok(found) => strays.extend(found),
                Err(error) => log::warn!("the sessions of {} could not be looked at: {error}", server.name),
            }
        }
        Ok(strays)
    }

    /// As [`TenantEngine::sees_sessions`], of all servers that answer.
    ///
    /// # Errors
    /// When the list of servers cannot be read.
    pub fn sees_sessions(&self) -> Result<bool, EngineError> {
        Ok(self.answering()?.iter().all(|(_, engine)| engine.sees_sessions().unwrap_or(true)))
    }

    /// As [`TenantEngine::end_session`], on the server that has it: the names of database and role are asked as well.
    ///
    /// # Errors
    /// When a server does not answer before it is found.
    pub fn end_session(&self, stray: &Stray) -> Result<bool, EngineError> {
        for (_, engine) in self.answering()? {
            if engine.end_session(stray)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is there on all servers, and which of them could not be asked: whoever did not answer at the last check is
    /// not asked again.
    ///
    /// # Errors
    /// When the list of servers cannot be read.
    pub fn survey(&self) -> Result<Survey, EngineError> {
        let mut survey = Survey::default();
        for (server, engine) in self.all()? {
            let asked = if server.is_silent() {
                Err(EngineError::transient(server.problem.clone().unwrap_or_default()))
            } else {
                engine.list().and_then(|names| Ok((names, engine.roles()?, engine.leftovers()?)))
            };
            match asked {
                Ok((databases, roles, leftovers)) => {
                    survey.databases.extend(databases);
                    survey.roles.extend(roles);
                    survey.leftovers.extend(leftovers);
                }
                Err(error) => survey.unheard.push(Unheard { server, why: error.message }),
            }
        }
        survey.databases.sort();
        Ok(survey)
    }

    /// As [`TenantEngine::remove_leftover`], on the servers that have it and answer.
    ///
    /// # Errors
    /// When one does not that answered at its last check.
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<(), EngineError> {
        for (_, engine) in self.answering()? {
            if engine.leftovers()?.contains(leftover) {
                engine.remove_leftover(leftover)?;
            }
        }
        Ok(())
    }

    /// As [`TenantEngine::drop_unknown`], on the servers that have it and answer.
    ///
    /// # Errors
    /// When one does not that answered at its last check.
    pub fn drop_unknown(&self, listed: &str) -> Result<(), EngineError> {
        for (_, engine) in self.answering()? {
            if engine.list()?.iter().any(|name| name == listed) {
                engine.drop_unknown(listed)?;
            }
        }
        Ok(())
    }

    /// As [`TenantEngine::drop_unknown_role`], on the servers that have it and answer.
    ///
    /// # Errors
    /// When one does not that answered at its last check.
    pub fn drop_unknown_role(&self, role: &str) -> Result<(), EngineError> {
        for (_, engine) in self.answering()? {
            if engine.roles()?.iter().any(|name| name == role) {
                engine.drop_unknown_role(role)?;
            }
        }
        Ok(())
    }

    /// As [`TenantEngine::sessions`], of all servers that answer: names are given once on the whole platform.
    ///
    /// # Errors
    /// When the list of servers cannot be read.
    pub fn sessions(&self) -> Result<HashMap<String, usize>, EngineError> {
        let mut sessions = HashMap::new();
        for (server, engine) in self.answering()? {
            match engine.sessions() {
                Ok(found) => sessions.extend(found),
                Err(error) => log::warn!("the sessions of {} could not be counted: {error}", server.name),
            }
        }
        Ok(sessions)
    }

    /// As [`TenantEngine::diagnose`], of all servers.
    ///
    /// # Errors
    /// When the server that the configuration names does not answer.
    pub fn diagnose(&self) -> Result<Vec<Finding>, EngineError> {
        let mut findings = self.home.diagnose()?;
        for (server, engine) in self.all()?.into_iter().filter(|(server, _)| !server.is_home()) {
            let name = &server.name;
            match engine.diagnose() {
                Ok(found) => findings.extend(found.into_iter().map(|finding| Finding {
                    problem: format!("Server {name}: {}", finding.problem),
                    ..finding
                })),
                Err(error) => findings.push(Finding {
                    problem: format!("Server {name}: {error}"),
                    remedy: format!("Start it, or correct its address on /platform/servers/{}.", server.id),
                    fatal: true,
                }),
            }
        }
        Ok(findings)
    }
}
