//! `/platform/databases`: where each institution's records are.

use actix_web::{HttpRequest, HttpResponse};

use super::{note_export, status_badge};
use crate::{
    db::Engine,
    error::AppError,
    models::platform::tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus, TenantDatabase},
    services::tenants,
    web::{
        State,
        auth::SuperAdmin,
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::{CHUNK, CsvFile},
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        record::Section,
        respond::html,
        words::{Noun, bytes, grouped},
    },
};

const PATH: &str = "/platform/databases";

const COLUMNS: &[Column] = &[
    Column::new("name", "Database").sortable(),
    Column::new("institution", "Institution").sortable(),
    Column::new("status", "Status"),
    Column::new("engine", "Engine"),
    Column::new("size", "Size").numeric(),
    Column::new("connections", "Connections").numeric().minor(),
    Column::new("version", "Schema").minor(),
];

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

fn filter(query: &ListQuery) -> DatabaseFilter {
    DatabaseFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.chosen("status"),
        ..DatabaseFilter::default()
    }
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

const fn engine_label(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// `GET /platform/databases`: super admins.
pub async fn list(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| tenant_databases::page(c, &filter, &paging)).await?;
    let total = slice.total;
    let sized = measured(platform.clone(), slice.rows).await?;
    let pools = platform.tenants.statistics();
    let show = |(size, row): Measured| {
        let pool = pools.tenants.iter().find(|pool| pool.institution_id == row.database.institution_id);
        Row::new(row.database.id, format!("/platform/institutions/{}", row.domain))
            .cell(Cell::mono(row.database.database_name))
            .cell(Cell::text(row.name).note(row.domain))
            .cell(Cell::badges(vec![badge(row.database.status), status_badge(row.institution_status)]))
            .cell(engine_label(row.database.engine))
            .cell(size_cell(size))
            .cell(pool.map_or_else(Cell::nothing, |pool| {
                Cell::number(i64::try_from(pool.in_use + pool.idle).unwrap_or(i64::MAX))
            }))
            .cell(Cell::mono(row.database.schema_version))
    };
    let rows = sized.into_iter().map(show).collect();
    let count = |n: usize| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    let page = admin.page("Databases").intro(format!(
        "Each institution has one of its own. {} of {} connections are open now.",
        count(pools.used),
        count(pools.budget)
    ));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, total, rows)))?)
}

/// A database and how large it is, where that can be told.
type Measured = (Option<u64>, DatabaseRow);

/// Sizes are asked of files or the server, for a bounded number of rows, off the threads that answer.
async fn measured(platform: State, rows: Vec<DatabaseRow>) -> Result<Vec<Measured>, AppError> {
    let size = move |row: &DatabaseRow| platform.engine.size(&tenants::place(&row.database)).ok();
    let sized = actix_web::web::block(move || rows.into_iter().map(|row| (size(&row), row)).collect());
    sized.await.map_err(|error| AppError::internal(error.to_string()))
}

/// `GET /platform/databases.csv`: super admins; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    let filter = filter(&query);
    note_export(
        &platform,
        &admin,
        ("databases.exported", "databases.csv"),
        &query,
        (&filter, tenant_databases::page),
    )
    .await?;
    let file = CsvFile {
        name: "databases.csv",
        heads: &["database", "institution", "domain", "status", "engine", "bytes", "schema", "generation"],
        key: |(_, row): &Measured| row.database.id,
        cells: |(size, row)| {
            vec![
                row.database.database_name,
                row.name,
                row.domain,
                row.database.status.as_str().to_owned(),
                engine_label(row.database.engine).to_owned(),
                size.map(|size| size.to_string()).unwrap_or_default(),
                row.database.schema_version,
                row.database.generation.to_string(),
            ]
        },
    };
    file.stream(move |last| {
        let (platform, filter) = (platform.clone(), filter.clone());
        async move {
            let read = move |c: &mut _| tenant_databases::older_than(c, &filter, last, CHUNK);
            let rows = platform.shared.run(read).await?;
            measured(platform, rows).await
        }
    })
    .await
}

fn size_cell(size: Option<u64>) -> Cell {
    size.and_then(|size| i64::try_from(size).ok())
        .map_or_else(Cell::nothing, |size| Cell::figure(bytes(size)))
}

/// The database on the page of its institution.
pub(super) fn facts(platform: &State, database: &TenantDatabase) -> Section {
    let pools = platform.tenants.statistics();
    let pool = pools.tenants.iter().find(|pool| pool.institution_id == database.institution_id);
    let connections = pool.map_or_else(
        || "none open in this process".to_owned(),
        |pool| format!("{} at work, {} waiting, {} allowed", pool.in_use, pool.idle, pool.most),
    );
    Section::new("Database")
        .fact("Name", Cell::mono(database.database_name.as_str()))
        .fact("Status", badge(database.status))
        .fact("Engine", engine_label(database.engine))
        .fact("Schema version", Cell::mono(database.schema_version.as_str()))
        .fact("Generation", Cell::number(database.generation))
        .fact("Connections", connections)
}
