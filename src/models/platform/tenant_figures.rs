//! The present figures of each tenant database, a row each: what lists are sorted by and pages show without asking
//! any engine.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Nullable, Timestamp},
};

use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, tenant_databases, tenant_figures},
        shared::SharedConn,
        types::Uuid,
    },
    models::{
        ModelResult,
        platform::{
            servers,
            tenant_databases::{DatabaseStatus, TenantDatabase},
            usage,
        },
    },
};

/// What is known of one database; requests, errors, times and waits are today's, by UTC.
#[derive(Debug, Clone, Default, Queryable, Selectable)]
#[diesel(table_name = tenant_figures)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct TenantFigures {
    pub requests: i64,
    pub errors: i64,
    pub error_permille: i64,
    pub p50_micros: i64,
    pub p95_micros: i64,
    pub p99_micros: i64,
    pub waits: i64,
    pub wait_micros: i64,
    pub slow_queries: i64,
    pub last_activity_at: Option<NaiveDateTime>,
    pub size_bytes: i64,
    /// Within seven days.
    pub growth_bytes: i64,
    /// Of the log that is still to be worked in, on SQLite.
    pub log_bytes: i64,
    pub measured_at: Option<NaiveDateTime>,
    pub unreachable_since: Option<NaiveDateTime>,
}

impl TenantFigures {
    /// The size, once it was measured.
    #[must_use]
    pub fn size(&self) -> Option<i64> {
        self.measured_at.map(|_| self.size_bytes)
    }
}

/// The figures of an institution's database.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, institution_id: Id) -> ModelResult<TenantFigures> {
    let found = tenant_figures::table
        .find(institution_id)
        .select(TenantFigures::as_select())
        .first(connection)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Sets what is told of a day to nothing where it was told of an earlier one.
pub(super) fn begin_day(c: &mut SharedConn, day: NaiveDateTime) -> ModelResult<()> {
    diesel::update(tenant_figures::table.filter(tenant_figures::day.lt(day)))
        .set((
            tenant_figures::day.eq(None::<NaiveDateTime>),
            tenant_figures::requests.eq(0),
            tenant_figures::errors.eq(0),
            tenant_figures::error_permille.eq(0),
            tenant_figures::p50_micros.eq(0),
            tenant_figures::p95_micros.eq(0),
            tenant_figures::p99_micros.eq(0),
            tenant_figures::waits.eq(0),
            tenant_figures::wait_micros.eq(0),
            tenant_figures::slow_queries.eq(0),
        ))
        .execute(c)?;
    Ok(())
}

/// Takes the figures of this day over.
pub(super) fn set_usage(
    c: &mut SharedConn,
    institution_id: Id,
    day: NaiveDateTime,
    at: NaiveDateTime,
    active: bool,
) -> ModelResult<()> {
    diesel::sql_query(
        "UPDATE tenant_figures SET day = $1, requests = u.requests, errors = u.errors, \
         error_permille = CASE WHEN u.requests = 0 THEN 0 ELSE u.errors * 1000 / u.requests END, \
         p50_micros = u.p50_micros, p95_micros = u.p95_micros, p99_micros = u.p99_micros, waits = u.waits, \
         wait_micros = u.wait_micros, slow_queries = u.slow_queries, \
         last_activity_at = coalesce($2, tenant_figures.last_activity_at) \
         FROM usage_figures u WHERE u.period = 'day' AND u.starts_at = $3 AND u.institution_id = $4 \
         AND tenant_figures.institution_id = $5",
    )
    .bind::<Timestamp, _>(day)
    .bind::<Nullable<Timestamp>, _>(active.then_some(at))
    .bind::<Timestamp, _>(day)
    .bind::<Uuid, _>(institution_id)
    .bind::<Uuid, _>(institution_id)
    .execute(c)?;
    Ok(())
}

/// The ready databases whose size is not known or was measured before `before`, the longest ago first; not those on a
/// silent server, which would keep the others from their turn.
///
/// # Errors
/// Any database error.
pub fn to_measure(
    connection: &mut SharedConn,
    before: NaiveDateTime,
    limit: i64,
) -> ModelResult<Vec<TenantDatabase>> {
    let silent = servers::silent(connection)?;
    let stale = tenant_figures::measured_at.is_null().or(tenant_figures::measured_at.lt(before));
    Ok(tenant_figures::table
        .inner_join(
            tenant_databases::table.on(tenant_databases::institution_id.eq(tenant_figures::institution_id)),
        )
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .filter(tenant_databases::server_id.ne_all(silent))
        .filter(stale)
        .order((tenant_figures::measured_at.is_not_null(), tenant_figures::measured_at))
        .limit(limit)
        .select(TenantDatabase::as_select())
        .load(connection)?)
}

/// What measuring a database brought: its size and its log's, or nothing where it could not be reached.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Whose.
    pub institution_id: Id,
    /// Bytes of the database and of its log.
    pub bytes: Option<(i64, i64)>,
}

/// Notes what was measured.
///
/// # Errors
/// Any database error.
pub fn set_sizes(connection: &mut SharedConn, measured: &[Measured]) -> ModelResult<()> {
    let at = now();
    connection.write_tx(|c| {
        c.commit_without_waiting()?;
        usage::alone(c)?;
        for Measured { institution_id, bytes } in measured {
            let row = tenant_figures::table.find(*institution_id);
            let Some((size, log)) = bytes else {
                let since = diesel::dsl::sql::<Nullable<Timestamp>>("coalesce(unreachable_since, ")
                    .bind::<Timestamp, _>(at)
                    .sql(")");
                diesel::update(row)
                    .set((tenant_figures::measured_at.eq(at), tenant_figures::unreachable_since.eq(since)))
                    .execute(c)?;
                continue;
            };
            usage::set_size(c, *institution_id, at, *size)?;
            let before = usage::size_on(c, *institution_id, at - TimeDelta::days(7))?;
            diesel::update(row)
                .set((
                    tenant_figures::size_bytes.eq(size),
                    tenant_figures::growth_bytes.eq(before.map_or(0, |before| size - before)),
                    tenant_figures::log_bytes.eq(log),
                    tenant_figures::measured_at.eq(at),
                    tenant_figures::unreachable_since.eq(None::<NaiveDateTime>),
                ))
                .execute(c)?;
        }
        let all = total_size(c)?;
        usage::set_size(c, Id::NIL, at, all)
    })
}

/// Bytes of all databases together, as they were last measured.
///
/// # Errors
/// Any database error.
pub fn total_size(connection: &mut SharedConn) -> ModelResult<i64> {
    #[derive(QueryableByName)]
    struct Sum {
        #[diesel(sql_type = BigInt)]
        bytes: i64,
    }
    let sum: Sum =
        diesel::sql_query("SELECT CAST(coalesce(sum(size_bytes), 0) AS bigint) AS bytes FROM tenant_figures")
            .get_result(connection)?;
    Ok(sum.bytes)
}

/// An institution whose database stands out.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct Standout {
    pub institution_id: Id,
    pub domain: String,
    pub name: String,
    pub figures: TenantFigures,
}

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Most requests today.
    Noisiest,
    /// Databases that could not be reached, though their server answers.
    Unreachable,
    /// Logs of more than so many bytes.
    LargeLog(i64),
}

/// The institutions that stand out in one way, the first first.
///
/// # Errors
/// Any database error.
pub fn standouts(connection: &mut SharedConn, which: Which, limit: i64) -> ModelResult<Vec<Standout>> {
    let query = tenant_figures::table.inner_join(institutions::table).into_boxed();
    // A server that does not answer at all has an alert of its own.
    let silent: Vec<Id> = match which {
        Which::Unreachable => servers::silent(connection)?,
        _ => Vec::new(),
    };
    let query = match which {
        Which::Noisiest => query
            .filter(tenant_figures::requests.gt(0))
            .order((tenant_figures::requests.desc(), tenant_figures::institution_id.desc())),
        Which::Unreachable => query
            .filter(tenant_figures::unreachable_since.is_not_null())
            .filter(
                tenant_figures::institution_id.ne_all(
                    tenant_databases::table
                        .filter(tenant_databases::server_id.eq_any(silent))
                        .select(tenant_databases::institution_id),
                ),
            )
            .order((tenant_figures::unreachable_since.asc(), tenant_figures::institution_id.asc())),
        Which::LargeLog(bytes) => query
            .filter(tenant_figures::log_bytes.gt(bytes))
            .order((tenant_figures::log_bytes.desc(), tenant_figures::institution_id.desc())),
    };
    Ok(query
        .limit(limit)
        .select((
            tenant_figures::institution_id,
            institutions::domain,
            institutions::name,
            TenantFigures::as_select(),
        ))
        .load(connection)?)
}
