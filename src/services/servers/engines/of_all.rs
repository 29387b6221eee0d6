//! What is asked of all servers together. Where one that is silent would keep everybody waiting, it is left out.

use std::{collections::HashMap, time::Duration};

use super::{Engines, Served};
use crate::{
    db::{
        Id,
        engine::{EngineError, Finding, HOME, Leftover, Place, Stray},
    },
    models::platform::servers::DatabaseServer,
};

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

impl Engines {
    /// Those that answered at their last check: who waits for one that is silent keeps everybody waiting.
    fn answering(&self) -> Result<Vec<Served>, EngineError> {
        Ok(self.all()?.into_iter().filter(|(server, _)| !server.is_silent()).collect())
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

/// Says of which server it is, where there are several.
fn of_server(server: &DatabaseServer, error: EngineError) -> EngineError {
    if server.is_home() {
        return error;
    }
    EngineError { message: format!("The server {}: {}", server.name, error.message), ..error }
}
