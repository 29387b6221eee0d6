//! `/platform/databases`: where each institution's records are.

use std::{collections::HashMap, sync::Arc};

use actix_web::{HttpRequest, HttpResponse};

use super::{institutions::noted, list_file::ListFile, status_badge};
use crate::{
    db::{Engine, Id, pools::PoolStatistics, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        platform::{
            sandboxes, servers,
            tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus, TenantDatabase},
        },
    },
    web::{
        State,
        auth::AnyAdmin,
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::moment,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        record::Section,
        respond::html,
        time::Clock,
        words::{Noun, bytes, grouped, growth, percent, short_time},
    },
};

const PATH: &str = "/platform/databases";

const COLUMNS: &[Column] = &[
    Column::new("name", "Database").sortable(),
    Column::new("institution", "Institution").sortable(),
    Column::new("status", "Status"),
    Column::new("size", "Size").numeric().sortable(),
    Column::new("growth", "Growth").numeric().sortable().minor(),
    Column::new("requests", "Requests").numeric().sortable(),
    Column::new("errors", "Errors").numeric().sortable().minor(),
    Column::new("p95", "p95").numeric().sortable().minor(),
    Column::new("waits", "Waits").numeric().sortable().minor(),
    Column::new("slow", "Slow").numeric().sortable().minor(),
    Column::new("connections", "Open").numeric().minor(),
    Column::new("active", "Last activity").sortable().minor(),
];

/// The list as it is asked for. What all databases have in common is nothing to choose by.
struct Asked {
    spec: ListSpec,
    query: ListQuery,
    filter: DatabaseFilter,
    /// Names of the servers, where there are several.
    servers: HashMap<Id, String>,
}

async fn asked(request: &HttpRequest, platform: &State) -> Result<Asked, AppError> {
    let look = |c: &mut SharedConn| ModelResult::Ok((servers::all(c)?, tenant_databases::versions(c)?));
    let (servers, versions) = platform.shared.run(look).await?;
    let mut spec = spec();
    if servers.len() > 1 {
        let names = servers.iter().map(|server| (server.name.clone(), server.name.clone()));
        spec = spec.filter(Filter::one_of("server", "Server", names));
    }
    let both = [Engine::Sqlite, Engine::Postgres].map(|engine| (engine.as_str(), engine_label(engine)));
    if both.iter().all(|(engine, _)| servers.iter().any(|server| server.engine.as_str() == *engine)) {
        spec = spec.filter(Filter::one_of("engine", "Engine", both));
    }
    if versions.len() > 1 {
        let versions = versions.into_iter().map(|count| (count.version.clone(), count.version));
        spec = spec.filter(Filter::one_of("version", "Schema", versions));
    }
    let query = ListQuery::parse(&spec, request.query_string());
    let on = query.filter("server").and_then(|name| servers.iter().find(|server| server.name == name));
    let filter = DatabaseFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.chosen("status"),
        engine: query.chosen("engine"),
        version: query.filter("version").map(ToOwned::to_owned),
        server_id: on.map(|server| server.id),
        ..DatabaseFilter::default()
    };
    let servers = match servers.len() {
        0 | 1 => HashMap::new(),
        _ => servers.into_iter().map(|server| (server.id, server.name)).collect(),
    };
    Ok(Asked { spec, query, filter, servers })
}

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("database", "databases"), COLUMNS)
        .search("Database or institution")
        .filter(Filter::one_of(
            "status",
            "Status",
            DatabaseStatus::ALL.iter().map(|s| (s.as_str(), label(*s))),
        ))
        .csv()
        .empty(
            "No databases yet",
            "An institution's database is made when its registration is approved.",
            None,
        )
}

const fn label(status: DatabaseStatus) -> &'static str {
    match status {
        DatabaseStatus::Reserved => "Reserved",
        DatabaseStatus::Ready => "Ready",
        DatabaseStatus::Dropped => "Dropped",
    }
}

fn badge(status: DatabaseStatus) -> Badge {
    let tone = match status {
        DatabaseStatus::Reserved => Tone::Waiting,
        DatabaseStatus::Ready => Tone::Good,
        DatabaseStatus::Dropped => Tone::Past,
    };
    Badge::new(tone, label(status))
}

pub(super) const fn engine_label(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// `GET /platform/databases`: every admin.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let Asked { spec, query, filter, servers } = asked(&request, &platform).await?;
    let paging = query.paging();
    let read = move |c: &mut SharedConn| {
        let slice = tenant_databases::page(c, &filter, &paging)?;
        let ids: Vec<Id> = slice.rows.iter().map(|row| row.database.institution_id).collect();
        ModelResult::Ok((slice, sandboxes::among(c, &ids)?))
    };
    let (slice, sandboxes) = platform.shared.run(read).await?;
    let pools = platform.tenants.statistics();
    let sessions = sessions(&platform).await?;
    let clock = Clock::utc();
    let show = |row: DatabaseRow| {
        let open = connections(&pools, &sessions, row.database.institution_id, &row.database.database_name);
        let (figures, sandbox_of) = (row.figures, sandboxes.get(&row.database.institution_id));
        let engine = engine_label(row.database.engine);
        let place = servers.get(&row.database.server_id);
        let place = place.map_or_else(|| engine.to_owned(), |name| format!("{engine} on {name}"));
        Row::new(row.database.id, format!("/platform/institutions/{}", row.domain))
            .cell(Cell::mono(row.database.database_name).note(place))
            .cell(Cell::text(row.name).note(noted(row.domain, sandbox_of)))
            .cell(Cell::badges(vec![badge(row.database.status), status_badge(row.institution_status)]))
            .cell(figures.size().map_or_else(Cell::nothing, |size| Cell::figure(bytes(size))))
            .cell(Cell::figure(growth(figures.growth_bytes)))
            .cell(Cell::number(figures.requests))
            .cell(Cell::figure(percent(figures.error_permille)))
            .cell(Cell::figure(short_time(figures.p95_micros)))
            .cell(Cell::number(figures.waits))
            .cell(Cell::number(figures.slow_queries))
            .cell(Cell::number(i64::try_from(open).unwrap_or(i64::MAX)))
            .cell(Cell::time(&clock, figures.last_activity_at))
    };
    let total = slice.total;
    let rows = slice.rows.into_iter().map(show).collect();
    let count = |n: usize| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    let page = admin.page("Databases").intro(format!(
        "Each institution has one of its own. {} of {} connections are open now. Requests, errors, the time within \
         which 95 % were answered (p95), waits for a connection and slow queries are today's; sizes are measured \
         every half hour.",
        count(pools.used),
        count(pools.budget)
    ));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, total, rows)))?)
}

/// Sessions on the server by name of the database, as they were some seconds ago at most.
pub(super) async fn sessions(platform: &State) -> Result<Arc<HashMap<String, usize>>, AppError> {
    let platform = platform.clone();
    let asked = actix_web::web::block(move || platform.watched.sessions(&platform));
    asked.await.map_err(|error| AppError::internal(error.to_string()))
}

/// Connections of one institution: what the server says where there is one, or else what this process has.
pub(super) fn connections(
    pools: &PoolStatistics,
    sessions: &HashMap<String, usize>,
    institution_id: Id,
    database: &str,
) -> usize {
    let own = pools.tenants.iter().find(|pool| pool.institution_id == institution_id);
    let own = own.map_or(0, |pool| pool.in_use + pool.idle);
    sessions.get(database).copied().unwrap_or_default().max(own)
}

/// `GET /platform/databases.csv`: super admins; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let Asked { query, filter, .. } = asked(&request, &platform).await?;
    ListFile {
        name: "databases.csv",
        action: "databases.exported",
        heads: &[
            "database",
            "institution",
            "domain",
            "status",
            "engine",
            "server",
            "bytes",
            "schema",
            "generation",
            "measured_at",
            "growth",
            "requests",
            "errors",
            "p50_micros",
            "p95_micros",
            "p99_micros",
            "waits",
            "slow_queries",
            "last_activity_at",
        ],
        key: |(row, _): &(DatabaseRow, String)| row.database.id,
        cells: |(row, server)| {
            let figures = row.figures;
            vec![
                row.database.database_name,
                row.name,
                row.domain,
                row.database.status.as_str().to_owned(),
                engine_label(row.database.engine).to_owned(),
                server,
                figures.size().map(|size| size.to_string()).unwrap_or_default(),
                row.database.schema_version,
                row.database.generation.to_string(),
                figures.measured_at.map(moment).unwrap_or_default(),
                figures.growth_bytes.to_string(),
                figures.requests.to_string(),
                figures.errors.to_string(),
                figures.p50_micros.to_string(),
                figures.p95_micros.to_string(),
                figures.p99_micros.to_string(),
                figures.waits.to_string(),
                figures.slow_queries.to_string(),
                figures.last_activity_at.map(moment).unwrap_or_default(),
            ]
        },
        page: tenant_databases::page,
        after: with_servers,
    }
    .send(&platform, &admin, &query, filter)
    .await
}

/// Databases in the order of the file, each with the name of its server.
fn with_servers(
    connection: &mut SharedConn,
    filter: &DatabaseFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<(DatabaseRow, String)>> {
    let names: HashMap<Id, String> =
        servers::all(connection)?.into_iter().map(|server| (server.id, server.name)).collect();
    let rows = tenant_databases::older_than(connection, filter, before, limit)?;
    let named = |row: DatabaseRow| {
        let name = names.get(&row.database.server_id).cloned().unwrap_or_default();
        (row, name)
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The database on the page of its institution.
pub(super) fn facts(
    platform: &State,
    database: &TenantDatabase,
    server: Cell,
    on_server: Option<usize>,
) -> Section {
    let pools = platform.tenants.statistics();
    let pool = pools.tenants.iter().find(|pool| pool.institution_id == database.institution_id);
    let connections = pool.map_or_else(
        || "none open in this process".to_owned(),
        |pool| format!("{} at work, {} idle, {} allowed", pool.in_use, pool.idle, pool.most),
    );
    let section = Section::new("Database")
        .fact("Name", Cell::mono(database.database_name.as_str()))
        .fact("Status", badge(database.status))
        .fact("Engine", engine_label(database.engine))
        .fact("Server", server)
        .fact("Schema version", Cell::mono(database.schema_version.as_str()))
        .fact("Generation", Cell::number(database.generation))
        .fact("Connections", connections);
    match on_server {
        Some(sessions) => {
            section.fact("On the server", Cell::number(i64::try_from(sessions).unwrap_or(i64::MAX)))
        }
        None => section,
    }
}
