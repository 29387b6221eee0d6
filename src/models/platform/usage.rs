//! What was asked of each institution, by hour (two days) and by day (two years), and of the platform as a whole.

use std::collections::HashMap;

use chrono::{NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Binary, Nullable, Text, Timestamp},
};

use super::{slow_queries, tenant_figures};
use crate::{
    db::{
        Id,
        locks::Lock,
        meter::{Figures, Histogram},
        now,
        schema_shared::{active_users, page_usage, usage_figures},
        shared::SharedConn,
        types::Uuid,
    },
    models::ModelResult,
};

/// Hours are kept for so long.
const HOURS_KEPT: TimeDelta = TimeDelta::days(2);
/// Days are kept for so long, the spread of their times for as long as hours.
const DAYS_KEPT: TimeDelta = TimeDelta::days(731);
/// Which pages were used is kept for so long.
const PAGES_KEPT: TimeDelta = TimeDelta::days(31);

crate::text_enum! {
    /// What a row of figures is about.
    Period { Hour = "hour", Day = "day" }
}

impl Period {
    /// When the period began that holds `at`.
    #[must_use]
    pub fn start(self, at: NaiveDateTime) -> NaiveDateTime {
        let hour = if self == Self::Hour { at.hour() } else { 0 };
        at.date().and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default())
    }
}

/// The figures of one period.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = usage_figures)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Usage {
    pub starts_at: NaiveDateTime,
    pub institution_id: Id,
    pub requests: i64,
    pub errors: i64,
    pub bytes: i64,
    pub micros: i64,
    pub p50_micros: i64,
    pub p95_micros: i64,
    pub p99_micros: i64,
    pub waits: i64,
    pub wait_micros: i64,
    pub slow_queries: i64,
    pub users: i64,
    pub size_bytes: Option<i64>,
    pub histogram: Option<Vec<u8>>,
}

/// Waits until nobody else writes figures of several institutions: two that do, each in an order of its own, would wait
/// for each other's rows.
///
/// # Errors
/// Any database error.
pub(super) fn alone(connection: &mut SharedConn) -> ModelResult<()> {
    if let SharedConn::Postgres(connection) = connection {
        Lock::Figures.hold_in_transaction(connection)?;
    }
    Ok(())
}

/// Adds what a node counted of some institutions, and for the platform as a whole, to the hour and the day of `at`.
/// Nodes add one after another, so that nothing is lost between two of them.
///
/// # Errors
/// Any database error; nothing was added then.
pub fn add(
    connection: &mut SharedConn,
    at: NaiveDateTime,
    counted: &[(Id, Figures)],
    routes: &HashMap<u16, String>,
) -> ModelResult<()> {
    connection.write_tx(|c| {
        c.commit_without_waiting()?;
        alone(c)?;
        tenant_figures::begin_day(c, Period::Day.start(at))?;
        for period in [Period::Hour, Period::Day] {
            add_period(c, period, at, counted)?;
        }
        for (id, figures) in counted {
            add_pages(c, Period::Day.start(at), *id, figures, routes)?;
            slow_queries::add(c, *id, figures, at)?;
        }
        Ok(())
    })
}

fn add_period(
    c: &mut SharedConn,
    period: Period,
    at: NaiveDateTime,
    counted: &[(Id, Figures)],
) -> ModelResult<()> {
    let starts_at = period.start(at);
    let ids: Vec<Id> = counted.iter().map(|(id, _)| *id).collect();
    let known: Vec<(Id, Option<Vec<u8>>)> = usage_figures::table
        .filter(usage_figures::period.eq(period))
        .filter(usage_figures::starts_at.eq(starts_at))
        .filter(usage_figures::institution_id.eq_any(ids))
        .select((usage_figures::institution_id, usage_figures::histogram))
        .load(c)?;
    let known: HashMap<Id, Vec<u8>> =
        known.into_iter().filter_map(|(id, bytes)| bytes.map(|bytes| (id, bytes))).collect();
    for (id, figures) in counted {
        let mut histogram = known.get(id).map(|bytes| Histogram::from_bytes(bytes)).unwrap_or_default();
        histogram.add(&figures.histogram);
        let users = if period == Period::Day { note_users(c, starts_at, *id, figures)? } else { 0 };
        upsert(c, period, starts_at, *id, figures, &histogram, users)?;
        if period == Period::Day && *id != Id::NIL {
            tenant_figures::set_usage(c, *id, starts_at, at, figures.requests > 0)?;
        }
    }
    Ok(())
}

fn upsert(
    c: &mut SharedConn,
    period: Period,
    starts_at: NaiveDateTime,
    id: Id,
    figures: &Figures,
    histogram: &Histogram,
    users: i64,
) -> ModelResult<()> {
    let stored = histogram.to_bytes();
    diesel::sql_query(
        "INSERT INTO usage_figures (period, starts_at, institution_id, requests, errors, bytes, micros, waits, \
         wait_micros, slow_queries, p50_micros, p95_micros, p99_micros, users, histogram) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (period, starts_at, institution_id) DO UPDATE SET \
         requests = usage_figures.requests + excluded.requests, errors = usage_figures.errors + excluded.errors, \
         bytes = usage_figures.bytes + excluded.bytes, micros = usage_figures.micros + excluded.micros, \
         waits = usage_figures.waits + excluded.waits, \
         wait_micros = usage_figures.wait_micros + excluded.wait_micros, \
         slow_queries = usage_figures.slow_queries + excluded.slow_queries, \
         p50_micros = excluded.p50_micros, p95_micros = excluded.p95_micros, p99_micros = excluded.p99_micros, \
         users = excluded.users, histogram = excluded.histogram",
    )
    .bind::<Text, _>(period.as_str())
    .bind::<Timestamp, _>(starts_at)
    .bind::<Uuid, _>(id)
    .bind::<BigInt, _>(whole(figures.requests))
    .bind::<BigInt, _>(whole(figures.errors))
    .bind::<BigInt, _>(whole(figures.bytes))
    .bind::<BigInt, _>(whole(figures.micros))
    .bind::<BigInt, _>(whole(figures.waits))
    .bind::<BigInt, _>(whole(figures.wait_micros))
    .bind::<BigInt, _>(whole(figures.slow_queries()))
    .bind::<BigInt, _>(whole(histogram.percentile(50)))
    .bind::<BigInt, _>(whole(histogram.percentile(95)))
    .bind::<BigInt, _>(whole(histogram.percentile(99)))
    .bind::<BigInt, _>(users)
    .bind::<Nullable<Binary>, _>(Some(stored))
    .execute(c)?;
    Ok(())
}

/// Notes who was there that day; says how many it were by now.
fn note_users(c: &mut SharedConn, day: NaiveDateTime, id: Id, figures: &Figures) -> ModelResult<i64> {
    for user in &figures.users {
        diesel::sql_query(
            "INSERT INTO active_users (starts_at, institution_id, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind::<Timestamp, _>(day)
        .bind::<Uuid, _>(id)
        .bind::<Uuid, _>(*user)
        .execute(c)?;
    }
    Ok(active_users::table
        .filter(active_users::starts_at.eq(day))
        .filter(active_users::institution_id.eq(id))
        .count()
        .get_result(c)?)
}

fn add_pages(
    c: &mut SharedConn,
    day: NaiveDateTime,
    id: Id,
    figures: &Figures,
    routes: &HashMap<u16, String>,
) -> ModelResult<()> {
    for (number, requests) in &figures.routes {
        let Some(route) = routes.get(number) else { continue };
        diesel::sql_query(
            "INSERT INTO page_usage (starts_at, institution_id, route, requests) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (starts_at, institution_id, route) DO UPDATE SET \
             requests = page_usage.requests + excluded.requests",
        )
        .bind::<Timestamp, _>(day)
        .bind::<Uuid, _>(id)
        .bind::<Text, _>(route)
        .bind::<BigInt, _>(whole(*requests))
        .execute(c)?;
    }
    Ok(())
}

/// The periods since `since` of an institution, or with [`Id::NIL`] of the platform, the oldest first.
///
/// # Errors
/// Any database error.
pub fn since(
    connection: &mut SharedConn,
    period: Period,
    institution_id: Id,
    since: NaiveDateTime,
) -> ModelResult<Vec<Usage>> {
    Ok(usage_figures::table
        .filter(usage_figures::institution_id.eq(institution_id))
        .filter(usage_figures::period.eq(period))
        .filter(usage_figures::starts_at.ge(since))
        .order(usage_figures::starts_at)
        .limit(1_000)
        .select(Usage::as_select())
        .load(connection)?)
}

/// The pages of an institution that were asked for most since `since`: pattern and requests.
///
/// # Errors
/// Any database error.
pub fn pages(
    connection: &mut SharedConn,
    institution_id: Id,
    since: NaiveDateTime,
    limit: i64,
) -> ModelResult<Vec<(String, i64)>> {
    #[derive(QueryableByName)]
    struct Page {
        #[diesel(sql_type = Text)]
        route: String,
        #[diesel(sql_type = BigInt)]
        requests: i64,
    }
    let found: Vec<Page> = diesel::sql_query(
        "SELECT route, CAST(sum(requests) AS bigint) AS requests FROM page_usage \
         WHERE institution_id = $1 AND starts_at >= $2 GROUP BY route ORDER BY 2 DESC, 1 LIMIT $3",
    )
    .bind::<Uuid, _>(institution_id)
    .bind::<Timestamp, _>(since)
    .bind::<BigInt, _>(limit)
    .load(connection)?;
    Ok(found.into_iter().map(|page| (page.route, page.requests)).collect())
}

/// Notes the size of a database, or with [`Id::NIL`] of all of them, on a day.
///
/// # Errors
/// Any database error.
pub fn set_size(c: &mut SharedConn, institution_id: Id, at: NaiveDateTime, bytes: i64) -> ModelResult<()> {
    diesel::sql_query(
        "INSERT INTO usage_figures (period, starts_at, institution_id, requests, errors, bytes, micros, waits, \
         wait_micros, slow_queries, p50_micros, p95_micros, p99_micros, users, size_bytes) \
         VALUES ('day', $1, $2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, $3) \
         ON CONFLICT (period, starts_at, institution_id) DO UPDATE SET size_bytes = excluded.size_bytes",
    )
    .bind::<Timestamp, _>(Period::Day.start(at))
    .bind::<Uuid, _>(institution_id)
    .bind::<BigInt, _>(bytes)
    .execute(c)?;
    Ok(())
}

/// The size that a database had at the end of `day`, or of the last day before it that is known.
///
/// # Errors
/// Any database error.
pub fn size_on(
    connection: &mut SharedConn,
    institution_id: Id,
    day: NaiveDateTime,
) -> ModelResult<Option<i64>> {
    let found: Option<Option<i64>> = usage_figures::table
        .filter(usage_figures::institution_id.eq(institution_id))
        .filter(usage_figures::period.eq(Period::Day))
        .filter(usage_figures::starts_at.le(day))
        .filter(usage_figures::size_bytes.is_not_null())
        .order(usage_figures::starts_at.desc())
        .select(usage_figures::size_bytes)
        .first(connection)
        .optional()?;
    Ok(found.flatten())
}

/// Forgets what has had its time; says how many rows.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn) -> ModelResult<usize> {
    let at = now();
    connection.write_tx(|c| {
        let of = |period: Period, before: NaiveDateTime| {
            usage_figures::table
                .filter(usage_figures::period.eq(period))
                .filter(usage_figures::starts_at.lt(before))
        };
        let mut gone = diesel::delete(of(Period::Hour, at - HOURS_KEPT)).execute(c)?;
        gone += diesel::delete(of(Period::Day, at - DAYS_KEPT)).execute(c)?;
        // A day that has been over for two is not added to any more.
        diesel::update(
            usage_figures::table
                .filter(usage_figures::period.eq(Period::Day))
                .filter(usage_figures::starts_at.lt(at - HOURS_KEPT - TimeDelta::days(1)))
                .filter(usage_figures::starts_at.ge(at - HOURS_KEPT - TimeDelta::days(7))),
        )
        .set(usage_figures::histogram.eq(None::<Vec<u8>>))
        .execute(c)?;
        gone +=
            diesel::delete(page_usage::table.filter(page_usage::starts_at.lt(at - PAGES_KEPT))).execute(c)?;
        gone += diesel::delete(active_users::table.filter(active_users::starts_at.lt(at - HOURS_KEPT)))
            .execute(c)?;
        Ok(gone)
    })
}

pub(super) fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
