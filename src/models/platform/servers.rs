//! Where institutions' databases live: servers, how many databases each takes, and which takes the next one.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    SharedBackend, ago,
    audit::{Audit, Subject},
    operations,
    tenant_databases::DatabaseStatus,
};
use crate::{
    db::{
        Engine, Id,
        engine::HOME,
        now,
        schema_shared::{database_servers, tenant_copies, tenant_databases},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, Paging, Slice, containing, ordered},
};

crate::text_enum! {
    /// Whether a server takes new databases.
    ServerState {
        Accepting = "accepting",
        /// What is there stays and works; nothing new comes.
        Draining = "draining",
    }
}

impl ServerState {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepting => "Accepting",
            Self::Draining => "Draining",
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = database_servers)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct DatabaseServer {
    pub id: Id,
    pub name: String,
    pub engine: Engine,
    /// Without password; empty for what the configuration names.
    pub address: String,
    /// Password included; none for what the configuration names.
    pub sealed_url: Option<Vec<u8>>,
    /// Databases at most.
    pub capacity: i64,
    /// Connections that one node may open there; none for what the last check found.
    pub most_connections: Option<i64>,
    pub state: ServerState,
    /// What the server says of itself, whatever its address is.
    pub identity: Option<String>,
    pub server_version: Option<String>,
    /// Connections that tenants together may have, by the last check.
    pub connections: Option<i64>,
    pub round_trip_micros: Option<i64>,
    pub checked_at: Option<NaiveDateTime>,
    /// What the last check found wrong, and what to do.
    pub problem: Option<String>,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

impl DatabaseServer {
    /// Whether it is the one that the configuration names.
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.id == HOME
    }

    /// Whether it did not answer at the last check: nothing need be asked of it until it does.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.problem.is_some() && self.round_trip_micros.is_none()
    }

    /// What a log entry about this server says it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kind: "server", id: Some(self.id), label: &self.name, institution_id: None }
    }

    /// Whether it takes a database more, where it holds so many.
    #[must_use]
    pub fn has_room(&self, databases: i64) -> bool {
        self.state == ServerState::Accepting && databases < self.capacity
    }
}

/// A server and how many databases it holds, those beside the serving ones included.
pub type ServerRow = (DatabaseServer, i64);

/// What is said of a new server.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewServer<'a> {
    pub id: Id,
    pub name: &'a str,
    pub engine: Engine,
    pub address: &'a str,
    pub sealed_url: &'a [u8],
    pub capacity: i64,
    pub most_connections: Option<i64>,
}

/// What people change of a server.
#[derive(Debug, Clone)]
pub struct ServerChanges {
    /// Its name.
    pub name: String,
    /// Databases at most.
    pub capacity: i64,
    /// Connections that one node may open there.
    pub most_connections: Option<i64>,
    /// Another address, and the same sealed with its password.
    pub moved_to: Option<(String, Vec<u8>)>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Checked {
    pub identity: Option<String>,
    pub server_version: Option<String>,
    pub connections: Option<i64>,
    pub round_trip_micros: Option<i64>,
    pub problem: Option<String>,
}

/// Which servers are asked for.
#[derive(Debug, Clone, Default)]
pub struct ServerFilter {
    /// Part of a name or address.
    pub q: String,
    /// Only this state.
    pub state: Option<ServerState>,
}

/// The server with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<DatabaseServer> {
    Ok(database_servers::table.find(id).select(DatabaseServer::as_select()).first(connection)?)
}

/// The server with this id, which nobody removes and whose state nobody changes until the end of the caller's `write_tx`:
/// ask for it before a row names it. What the configuration names is never removed, and needs no holding.
///
/// # Errors
/// `Refused` when it is not known any more; any database error.
pub fn hold(connection: &mut SharedConn, id: Id) -> ModelResult<DatabaseServer> {
    held(connection, id)?.ok_or_else(|| {
        ModelError::Refused("The server that was chosen is not known any more. Choose another.".into())
    })
}

fn held(connection: &mut SharedConn, id: Id) -> ModelResult<Option<DatabaseServer>> {
    // On SQLite whoever writes is alone.
    if let SharedConn::Postgres(postgres) = connection
        && id != HOME
    {
        let row = database_servers::table.find(id).select(database_servers::id);
        row.for_share().first::<Id>(postgres).optional()?;
    }
    match find(connection, id) {
        Err(error) if error.is_not_found() => Ok(None),
        found => found.map(Some),
    }
}

/// Waits for whoever holds the server, and keeps everybody from holding it until the end of the caller's `write_tx`.
fn hold_alone(connection: &mut SharedConn, id: Id) -> ModelResult<DatabaseServer> {
    if let SharedConn::Postgres(postgres) = connection {
        let row = database_servers::table.find(id).select(database_servers::id);
        row.for_update().first::<Id>(postgres).optional()?;
    }
    find(connection, id)
}

/// The server with this name.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find_by_name(connection: &mut SharedConn, name: &str) -> ModelResult<DatabaseServer> {
    let named = database_servers::table.filter(database_servers::name.eq(name));
    Ok(named.select(DatabaseServer::as_select()).first(connection)?)
}

/// Every server, by name. There are few.
///
/// # Errors
/// Any database error.
pub fn all(connection: &mut SharedConn) -> ModelResult<Vec<DatabaseServer>> {
    let sorted = database_servers::table.order(database_servers::name);
    Ok(sorted.select(DatabaseServer::as_select()).load(connection)?)
}

/// Servers that did not answer at the last check.
///
/// # Errors
/// Any database error.
pub fn silent(connection: &mut SharedConn) -> ModelResult<Vec<Id>> {
    Ok(database_servers::table
        .filter(database_servers::problem.is_not_null())
        .filter(database_servers::round_trip_micros.is_null())
        .select(database_servers::id)
        .load(connection)?)
}

/// How many databases each server holds: those that serve, are being made, or stand beside.
///
/// # Errors
/// Any database error.
pub fn counts(connection: &mut SharedConn) -> ModelResult<HashMap<Id, i64>> {
    use diesel::dsl::count_star;
    let serving: Vec<(Id, i64)> = tenant_databases::table
        .filter(tenant_databases::status.ne(DatabaseStatus::Dropped))
        .group_by(tenant_databases::server_id)
        .select((tenant_databases::server_id, count_star()))
        .load(connection)?;
    let beside: Vec<(Id, i64)> = tenant_copies::table
        .group_by(tenant_copies::server_id)
        .select((tenant_copies::server_id, count_star()))
        .load(connection)?;
    let mut counts = HashMap::new();
    for (server, count) in serving.into_iter().chain(beside) {
        *counts.entry(server).or_default() += count;
    }
    Ok(counts)
}

/// Every server with what it holds.
///
/// # Errors
/// Any database error.
pub fn with_counts(connection: &mut SharedConn) -> ModelResult<Vec<ServerRow>> {
    let (servers, counts) = (all(connection)?, counts(connection)?);
    Ok(counted(servers, &counts))
}

fn counted(servers: Vec<DatabaseServer>, counts: &HashMap<Id, i64>) -> Vec<ServerRow> {
    let count = |server: &DatabaseServer| counts.get(&server.id).copied().unwrap_or(0);
    servers
        .into_iter()
        .map(|server| (count(&server), server))
        .map(|(count, server)| (server, count))
        .collect()
}

/// The server that takes the next database: accepting, with the largest part of its capacity free; one that the last
/// check found in trouble only where there is no other. None when no server has room. Call it inside the `write_tx` that
/// enters the database: until its end nobody removes the server.
///
/// # Errors
/// Any database error.
pub fn with_most_room(
    connection: &mut SharedConn,
    suits: impl Fn(&DatabaseServer) -> bool,
) -> ModelResult<Option<DatabaseServer>> {
    // Parts of 2^32, because fractions have no order.
    let free = |(server, count): &ServerRow| ((server.capacity - count) << 32) / server.capacity.max(1);
    let mut open = with_counts(connection)?;
    open.retain(|(server, count)| server.has_room(*count) && suits(server));
    open.sort_by_key(|row| (row.0.problem.is_none(), free(row), row.0.is_home()));
    while let Some((server, count)) = open.pop() {
        // Between the two looks it may have been removed, or told to drain.
        if let Some(held) = held(connection, server.id)?.filter(|held| held.has_room(count)) {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

fn matching<'a>(filter: &ServerFilter) -> database_servers::BoxedQuery<'a, SharedBackend> {
    let query = containing!(
        database_servers::table.into_boxed(),
        filter.q,
        database_servers::name,
        database_servers::address
    );
    match filter.state {
        Some(state) => query.filter(database_servers::state.eq(state)),
        None => query,
    }
}

/// One page of the servers that match, by name.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &ServerFilter,
    paging: &Paging,
) -> ModelResult<Slice<ServerRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let sorted = ordered!(matching(filter), paging.descending, database_servers::name);
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select(DatabaseServer::as_select())
        .load(connection)?;
    Ok(Slice { rows: counted(rows, &counts(connection)?), total })
}

/// The next `limit` matching servers after this name.
///
/// # Errors
/// Any database error.
pub fn after(
    connection: &mut SharedConn,
    filter: &ServerFilter,
    last: Option<String>,
    limit: i64,
) -> ModelResult<Vec<ServerRow>> {
    let mut query = matching(filter);
    if let Some(last) = last {
        query = query.filter(database_servers::name.gt(last));
    }
    let rows = query
        .order(database_servers::name)
        .limit(limit)
        .select(DatabaseServer::as_select())
        .load(connection)?;
    Ok(counted(rows, &counts(connection)?))
}

/// Adds a server that was checked.
///
/// # Errors
/// `Refused` when the name is taken or the server is known already; any database error.
pub fn create(
    connection: &mut SharedConn,
    audit: &Audit,
    new: &NewServer<'_>,
    checked: &Checked,
) -> ModelResult<DatabaseServer> {
    connection.write_tx(|connection| {
        require_free_name(connection, new.name, new.id)?;
        require_unknown(connection, checked.identity.as_deref(), new.id)?;
        diesel::insert_into(database_servers::table)
            .values((
                database_servers::id.eq(new.id),
                database_servers::name.eq(new.name),
                database_servers::engine.eq(new.engine),
                database_servers::address.eq(new.address),
                database_servers::sealed_url.eq(new.sealed_url),
                database_servers::capacity.eq(new.capacity),
                database_servers::most_connections.eq(new.most_connections),
                database_servers::state.eq(ServerState::Accepting),
                database_servers::created_at.eq(now()),
                database_servers::updated_at.eq(now()),
                database_servers::version.eq(1_i64),
            ))
            .execute(connection)?;
        note_check(connection, new.id, checked)?;
        let server = find(connection, new.id)?;
        let detail = json!({ "address": new.address, "capacity": new.capacity });
        audit.record(connection, "server.added", &server.subject(), &detail)?;
        Ok(server)
    })
}

fn require_free_name(connection: &mut SharedConn, name: &str, id: Id) -> ModelResult<()> {
    match find_by_name(connection, name) {
        Ok(known) if known.id != id => {
            Err(ModelError::Refused(format!("There is a server named {name} already. Choose another name.")))
        }
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// One server under two names would count its room twice.
fn require_unknown(connection: &mut SharedConn, identity: Option<&str>, id: Id) -> ModelResult<()> {
    let Some(identity) = identity else { return Ok(()) };
    let known: Option<String> = database_servers::table
        .filter(database_servers::identity.eq(identity))
        .filter(database_servers::id.ne(id))
        .select(database_servers::name)
        .first(connection)
        .optional()?;
    match known {
        Some(name) => Err(ModelError::Refused(format!("This is the server {name}, which is known already."))),
        None => Ok(()),
    }
}

/// Changes the server that was read as `version`. Under another address every handle to its databases is refused, so
/// that all go there from their next request on.
///
/// # Errors
/// `Changed` when somebody else saved first, `Refused` when the name is taken; any database error.
pub fn update(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    version: i64,
    changes: &ServerChanges,
) -> ModelResult<DatabaseServer> {
    connection.write_tx(|connection| {
        let before = find(connection, id)?;
        require_free_name(connection, &changes.name, id)?;
        let saved = diesel::update(database_servers::table.find(id))
            .filter(database_servers::version.eq(version))
            .set((
                database_servers::name.eq(&changes.name),
                database_servers::capacity.eq(changes.capacity),
                database_servers::most_connections.eq(changes.most_connections),
                database_servers::updated_at.eq(now()),
                database_servers::version.eq(version + 1),
            ))
            .execute(connection)?;
        if saved == 0 {
            let sentence = format!("Somebody else changed this server {}.", ago(before.updated_at));
            return Err(ModelError::Changed(sentence));
        }
        if let Some((address, sealed)) = &changes.moved_to {
            diesel::update(database_servers::table.find(id))
                .set((database_servers::address.eq(address), database_servers::sealed_url.eq(sealed)))
                .execute(connection)?;
            diesel::update(tenant_databases::table.filter(tenant_databases::server_id.eq(id)))
                .set((
                    tenant_databases::generation.eq(tenant_databases::generation + 1),
                    tenant_databases::updated_at.eq(now()),
                ))
                .execute(connection)?;
        }
        let after = find(connection, id)?;
        let told = |server: &DatabaseServer| {
            json!({
                "name": server.name, "address": server.address, "capacity": server.capacity,
                "most_connections": server.most_connections,
            })
        };
        let detail = json!({ "before": told(&before), "after": told(&after) });
        audit.record(connection, "server.updated", &after.subject(), &detail)?;
        Ok(after)
    })
}

/// Lets a server take new databases, or no more.
///
/// # Errors
/// `Changed` when it is so already; any database error.
pub fn set_state(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    state: ServerState,
) -> ModelResult<DatabaseServer> {
    connection.write_tx(|connection| {
        let server = find(connection, id)?;
        let changed = diesel::update(database_servers::table.find(id))
            .filter(database_servers::state.ne(state))
            .set((
                database_servers::state.eq(state),
                database_servers::updated_at.eq(now()),
                database_servers::version.eq(database_servers::version + 1),
            ))
            .execute(connection)?;
        if changed == 0 {
            let words = state.label().to_lowercase();
            return Err(ModelError::Changed(format!("The server {} is {words} already.", server.name)));
        }
        let action = match state {
            ServerState::Accepting => "server.accepting",
            ServerState::Draining => "server.draining",
        };
        audit.record(connection, action, &server.subject(), &json!({}))?;
        find(connection, id)
    })
}

/// Notes what a check found. What could not be found out stays as it was known.
///
/// # Errors
/// Any database error; a unique violation when another row is this very server.
pub fn note_check(connection: &mut SharedConn, id: Id, checked: &Checked) -> ModelResult<()> {
    diesel::update(database_servers::table.find(id))
        .set((
            checked.identity.as_ref().map(|text| database_servers::identity.eq(text)),
            checked.server_version.as_ref().map(|text| database_servers::server_version.eq(text)),
            checked.connections.map(|most| database_servers::connections.eq(most)),
            database_servers::round_trip_micros.eq(checked.round_trip_micros),
            database_servers::problem.eq(&checked.problem),
            database_servers::checked_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Forgets a server that holds nothing, or that is silent and serves nothing.
///
/// # Errors
/// `Refused` while it holds databases, or when the configuration names it; any database error.
pub fn remove(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<DatabaseServer> {
    connection.write_tx(|connection| {
        let server = hold_alone(connection, id)?;
        if server.is_home() {
            return Err(ModelError::Refused(
                "This server is the one that the configuration names: it stays. Let it drain, so that nothing new \
                 comes."
                    .into(),
            ));
        }
        let serving: i64 = tenant_databases::table
            .filter(tenant_databases::server_id.eq(id))
            .filter(tenant_databases::status.ne(DatabaseStatus::Dropped))
            .count()
            .get_result(connection)?;
        let beside: i64 =
            tenant_copies::table.filter(tenant_copies::server_id.eq(id)).count().get_result(connection)?;
        if serving > 0 || (beside > 0 && !server.is_silent()) {
            let (held, what) = match serving {
                0 => (beside, "Replaced databases go after 7 days; wait for that."),
                _ => (serving, "Move them first; replaced databases go after 7 days."),
            };
            let s = if held == 1 { "" } else { "s" };
            let sentence = format!("The server {} holds {held} database{s}. {what}", server.name);
            return Err(ModelError::Refused(sentence));
        }
        if operations::is_moved_to(connection, id)? {
            let sentence = format!(
                "An institution is being moved to the server {}. Wait for that, or take the move back.",
                server.name
            );
            return Err(ModelError::Refused(sentence));
        }
        // What a server that is lost has kept is lost as well.
        diesel::delete(tenant_copies::table.filter(tenant_copies::server_id.eq(id))).execute(connection)?;
        // Of archived institutions only a name is left, which must not lead to a server that is not there.
        diesel::update(tenant_databases::table.filter(tenant_databases::server_id.eq(id)))
            .set(tenant_databases::server_id.eq(HOME))
            .execute(connection)?;
        diesel::delete(database_servers::table.find(id)).execute(connection)?;
        audit.record(connection, "server.removed", &server.subject(), &json!({ "address": server.address }))?;
        Ok(server)
    })
}
