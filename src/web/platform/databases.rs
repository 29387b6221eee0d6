//! `/platform/databases`: where each institution's records are.

use actix_web::{HttpRequest, HttpResponse};

use super::status_badge;
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
    let filter =
        DatabaseFilter { q: query.q().unwrap_or_default().to_owned(), status: query.chosen("status") };
    let paging = query.paging();
    let slice = platform.shared.run(move |c| tenant_databases::page(c, &filter, &paging)).await?;
    let total = slice.total;
    let state = platform.clone();
    // Sizes are asked of files or the server, a page's worth of them, off the threads that answer.
    let sized = actix_web::web::block(move || {
        let size = |row: &DatabaseRow| state.engine.size(&tenants::place(&row.database)).ok();
        slice.rows.into_iter().map(|row| (size(&row), row)).collect::<Vec<_>>()
    });
    let sized = sized.await.map_err(|error| AppError::internal(error.to_string()))?;
    let pools = platform.tenants.statistics();
    let show = |(size, row): (Option<u64>, DatabaseRow)| {
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
