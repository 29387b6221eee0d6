//! Emptying a server: what serves there moves to servers of the same engine, a few databases at a time.

use std::collections::HashSet;

use crate::{
    db::{Engine, Id, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            operations::{self, Kind},
            servers::{self, DatabaseServer, ServerRow, ServerState},
            tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus},
        },
    },
    services::operations::move_database,
};

/// Moves that wait or run at once, so that other work has its turn.
pub const AT_ONCE: usize = 50;

/// A move that was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose database moves.
    pub institution_id: Id,
    /// Its domain.
    pub domain: String,
    /// The operation.
    pub operation: Id,
}

/// How far emptying a server is.
#[derive(Debug, Clone, Default)]
pub struct Emptying {
    /// What was asked for now.
    pub asked: Vec<Asked>,
    /// Databases that a move was asked for before.
    pub under_way: usize,
    /// Databases whose turn comes later.
    pub later: usize,
    /// What cannot be moved now, and why: institution, domain and sentence.
    pub refused: Vec<(Id, String, String)>,
}

/// The databases that serve on a server, by name.
///
/// # Errors
/// Any database error.
pub fn serving(connection: &mut SharedConn, server_id: Id) -> ModelResult<Vec<DatabaseRow>> {
    let filter = DatabaseFilter {
        server_id: Some(server_id),
        status: Some(DatabaseStatus::Ready),
        ..DatabaseFilter::default()
    };
    tenant_databases::all_of(connection, &filter)
}

/// How many databases the other servers of its engine have room for.
///
/// # Errors
/// Any database error.
pub fn room_elsewhere(connection: &mut SharedConn, server: &DatabaseServer) -> ModelResult<i64> {
    let others = others(connection, server)?;
    Ok(others.iter().map(|(other, held)| other.capacity - held).sum())
}

fn others(connection: &mut SharedConn, server: &DatabaseServer) -> ModelResult<Vec<ServerRow>> {
    let mut rows = servers::with_counts(connection)?;
    rows.retain(|(other, held)| {
        other.id != server.id
            && other.engine == server.engine
            && other.problem.is_none()
            && other.has_room(*held)
    });
    Ok(rows)
}

/// Asks for the moves of up to so many more databases, passing over those of some institutions. Called again it goes on;
/// wake the workers after it.
///
/// # Errors
/// `Refused` when the server still takes databases, or no other one has room; any database error.
pub fn empty(
    connection: &mut SharedConn,
    audit: &Audit,
    server_id: Id,
    more: usize,
    but: &HashSet<Id>,
) -> ModelResult<Emptying> {
    let server = servers::find(connection, server_id)?;
    if server.state == ServerState::Accepting {
        return Err(ModelError::Refused(format!(
            "The server {} takes new databases still. Let it drain first.",
            server.name
        )));
    }
    let mut room = others(connection, &server)?;
    let moving: HashSet<Id> =
        operations::institutions_with_open(connection, Kind::Move)?.into_iter().collect();
    let mut found = Emptying::default();
    let rows = serving(connection, server_id)?;
    for row in rows.into_iter().filter(|row| !but.contains(&row.database.institution_id)) {
        let institution_id = row.database.institution_id;
        if moving.contains(&institution_id) {
            found.under_way += 1;
            continue;
        }
        if found.asked.len() >= more {
            found.later += 1;
            continue;
        }
        let Some(target) = take_place(&mut room) else {
            if found.asked.is_empty() {
                return Err(no_room(&server));
            }
            found.later += 1;
            continue;
        };
        match move_database::request(connection, audit, institution_id, target) {
            Ok(operation) => found.asked.push(Asked { institution_id, domain: row.domain, operation }),
            Err(ModelError::Refused(words) | ModelError::Changed(words)) => {
                found.refused.push((institution_id, row.domain, words));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn no_room(server: &DatabaseServer) -> ModelError {
    let kind = match server.engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    ModelError::Refused(format!(
        "No other server with {kind} has room. Add one, or raise the capacity of one; then try again."
    ))
}

/// A place on the server with the largest part of its capacity free.
fn take_place(room: &mut [ServerRow]) -> Option<Id> {
    let free = |(server, held): &ServerRow| ((server.capacity - held) << 32) / server.capacity.max(1);
    let best =
        room.iter_mut().filter(|(server, held)| *held < server.capacity).max_by_key(|row| free(row))?;
    best.1 += 1;
    Some(best.0.id)
}
