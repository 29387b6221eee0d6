//! The list of tenant databases with their institutions: its filters, its pages, and its file.

use diesel::prelude::*;

use super::{DatabaseStatus, TenantDatabase};
use crate::{
    db::{
        Engine, Id,
        schema_shared::{institutions, tenant_databases, tenant_figures},
        shared::SharedConn,
    },
    models::{
        ModelResult, Paging, Slice, containing, ordered,
        platform::{SharedBackend, institutions::Status, tenant_figures::TenantFigures},
    },
};

/// Filters of the databases page.
#[derive(Debug, Clone, Default)]
pub struct DatabaseFilter {
    /// Part of the database's name, or of its institution's name or domain.
    pub q: String,
    /// Only this status.
    pub status: Option<DatabaseStatus>,
    /// Only this schema version.
    pub version: Option<String>,
    /// Only older than this version.
    pub older_than: Option<String>,
    /// Only newer than this version.
    pub newer_than: Option<String>,
    /// Only those in quarantine.
    pub quarantined: bool,
    /// Only those of this engine.
    pub engine: Option<Engine>,
    /// Only those on this server.
    pub server_id: Option<Id>,
}

/// A database with the institution it belongs to.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct DatabaseRow {
    pub database: TenantDatabase,
    pub domain: String,
    pub name: String,
    pub institution_status: Status,
    pub figures: TenantFigures,
}

type Matching<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::InnerJoin<
        diesel::dsl::InnerJoin<institutions::table, tenant_databases::table>,
        tenant_figures::table,
    >,
    SharedBackend,
>;

/// What a row of the list is read from.
type Columns = (
    diesel::dsl::AsSelect<TenantDatabase, SharedBackend>,
    institutions::domain,
    institutions::name,
    institutions::status,
    diesel::dsl::AsSelect<TenantFigures, SharedBackend>,
);

fn columns() -> Columns {
    (
        TenantDatabase::as_select(),
        institutions::domain,
        institutions::name,
        institutions::status,
        TenantFigures::as_select(),
    )
}

fn matching<'a>(filter: &DatabaseFilter) -> Matching<'a> {
    let mut query = containing!(
        institutions::table
            .inner_join(tenant_databases::table)
            .inner_join(tenant_figures::table)
            .into_boxed(),
        filter.q,
        tenant_databases::database_name,
        institutions::name_key,
        institutions::domain
    );
    if let Some(status) = filter.status {
        query = query.filter(tenant_databases::status.eq(status));
    }
    if let Some(version) = &filter.version {
        query = query.filter(tenant_databases::schema_version.eq(version.clone()));
    }
    if let Some(version) = &filter.older_than {
        query = query.filter(tenant_databases::schema_version.lt(version.clone()));
    }
    if let Some(version) = &filter.newer_than {
        query = query.filter(tenant_databases::schema_version.gt(version.clone()));
    }
    if filter.quarantined {
        query = query.filter(tenant_databases::quarantined_at.is_not_null());
    }
    if let Some(engine) = filter.engine {
        query = query.filter(tenant_databases::engine.eq(engine));
    }
    if let Some(server) = filter.server_id {
        query = query.filter(tenant_databases::server_id.eq(server));
    }
    query
}

/// One page of the databases that match. Sorts by `name` (default), `institution`, `version`, or a figure: `size`, `growth`,
/// `requests`, `errors`, `p95`, `waits`, `slow`, `active`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &DatabaseFilter,
    paging: &Paging,
) -> ModelResult<Slice<DatabaseRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let down = paging.descending;
    let by = tenant_figures::institution_id;
    let sorted = match paging.sort.as_str() {
        "institution" => {
            ordered!(matching(filter), down, institutions::name_key, tenant_databases::id)
        }
        "size" => ordered!(matching(filter), down, tenant_figures::size_bytes, by),
        "growth" => ordered!(matching(filter), down, tenant_figures::growth_bytes, by),
        "requests" => ordered!(matching(filter), down, tenant_figures::requests, by),
        "errors" => ordered!(matching(filter), down, tenant_figures::error_permille, by),
        "p95" => ordered!(matching(filter), down, tenant_figures::p95_micros, by),
        "waits" => ordered!(matching(filter), down, tenant_figures::waits, by),
        "slow" => ordered!(matching(filter), down, tenant_figures::slow_queries, by),
        "active" => ordered!(matching(filter), down, blank last tenant_figures::last_activity_at, by),
        "version" => {
            ordered!(
                matching(filter),
                paging.descending,
                tenant_databases::schema_version,
                tenant_databases::id
            )
        }
        _ => ordered!(
            matching(filter),
            paging.descending,
            tenant_databases::database_name,
            tenant_databases::id
        ),
    };
    let rows = sorted.limit(paging.limit).offset(paging.offset).select(columns()).load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching databases before the one with this id, newest first: for reading all that
/// match in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &DatabaseFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<DatabaseRow>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(tenant_databases::id.lt(last));
    }
    Ok(query.order(tenant_databases::id.desc()).limit(limit).select(columns()).load(connection)?)
}
