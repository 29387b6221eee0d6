//! The slow queries of each institution: their text without values, how often, how long.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Text, Timestamp},
};

use super::usage::whole;
use crate::{
    db::{Id, meter::Figures, now, schema_shared::slow_queries, shared::SharedConn, types::Uuid},
    models::ModelResult,
};

/// Queries kept of one institution: the costliest.
const MOST: i64 = 50;
/// A query that has not been slow for so long is forgotten.
const KEPT: TimeDelta = TimeDelta::days(30);

/// A query that was slow.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = slow_queries)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct SlowQuery {
    pub fingerprint: i64,
    pub statement: String,
    pub runs: i64,
    pub total_micros: i64,
    pub worst_micros: i64,
    pub last_seen_at: NaiveDateTime,
}

/// Adds what a node saw; the cheapest give way.
pub(super) fn add(
    c: &mut SharedConn,
    institution_id: Id,
    figures: &Figures,
    at: NaiveDateTime,
) -> ModelResult<()> {
    if figures.statements.is_empty() || institution_id == Id::NIL {
        return Ok(());
    }
    for (fingerprint, query) in &figures.statements {
        diesel::sql_query(
            "INSERT INTO slow_queries (institution_id, fingerprint, statement, runs, total_micros, worst_micros, \
             first_seen_at, last_seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (institution_id, fingerprint) DO UPDATE SET runs = slow_queries.runs + excluded.runs, \
             total_micros = slow_queries.total_micros + excluded.total_micros, \
             worst_micros = CASE WHEN slow_queries.worst_micros > excluded.worst_micros \
             THEN slow_queries.worst_micros ELSE excluded.worst_micros END, last_seen_at = excluded.last_seen_at",
        )
        .bind::<Uuid, _>(institution_id)
        .bind::<BigInt, _>(*fingerprint)
        .bind::<Text, _>(&query.statement)
        .bind::<BigInt, _>(whole(query.runs))
        .bind::<BigInt, _>(whole(query.total_micros))
        .bind::<BigInt, _>(whole(query.worst_micros))
        .bind::<Timestamp, _>(at)
        .bind::<Timestamp, _>(at)
        .execute(c)?;
    }
    let beyond: Vec<i64> = slow_queries::table
        .filter(slow_queries::institution_id.eq(institution_id))
        .order(slow_queries::total_micros.desc())
        .offset(MOST)
        .limit(1_000)
        .select(slow_queries::fingerprint)
        .load(c)?;
    if !beyond.is_empty() {
        let cheapest = slow_queries::table
            .filter(slow_queries::institution_id.eq(institution_id))
            .filter(slow_queries::fingerprint.eq_any(beyond));
        diesel::delete(cheapest).execute(c)?;
    }
    Ok(())
}

/// The queries of an institution that took longest in all.
///
/// # Errors
/// Any database error.
pub fn costliest(connection: &mut SharedConn, institution_id: Id, limit: i64) -> ModelResult<Vec<SlowQuery>> {
    Ok(slow_queries::table
        .filter(slow_queries::institution_id.eq(institution_id))
        .order(slow_queries::total_micros.desc())
        .limit(limit)
        .select(SlowQuery::as_select())
        .load(connection)?)
}

/// Forgets what has long not been slow; says how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let old = slow_queries::table.filter(slow_queries::last_seen_at.lt(now() - KEPT));
        Ok(diesel::delete(old).execute(c)?)
    })
}
