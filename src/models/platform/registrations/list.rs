//! The list of registrations: its filters, its pages, and what a bulk decision works through.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{Decision, Source, Stand};
use crate::{
    db::{
        Id,
        schema_shared::{institutions, registrations},
        shared::SharedConn,
    },
    models::{
        ModelResult, Paging, Slice, containing, ordered,
        platform::{
            SharedBackend,
            institutions::{Kind, Status, by_country},
        },
    },
};

/// A registration as a list shows it.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct RegistrationRow {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub institution_status: Status,
    pub source: Source,
    pub admin_name: Option<String>,
    pub admin_email: Option<String>,
    pub submitted_at: NaiveDateTime,
    pub decision: Option<Decision>,
    pub decided_at: Option<NaiveDateTime>,
    pub decided_by_name: Option<String>,
    pub reason: Option<String>,
}

impl RegistrationRow {
    /// Waiting, or as it was decided.
    #[must_use]
    pub fn stand(&self) -> Stand {
        self.decision.into()
    }
}

type Columns = (
    registrations::id,
    institutions::domain,
    institutions::name,
    institutions::kind,
    institutions::country,
    institutions::status,
    registrations::source,
    registrations::admin_name,
    registrations::admin_email,
    registrations::submitted_at,
    registrations::decision,
    registrations::decided_at,
    registrations::decided_by_name,
    registrations::reason,
);

/// The columns of a [`RegistrationRow`], in its order.
const COLUMNS: Columns = (
    registrations::id,
    institutions::domain,
    institutions::name,
    institutions::kind,
    institutions::country,
    institutions::status,
    registrations::source,
    registrations::admin_name,
    registrations::admin_email,
    registrations::submitted_at,
    registrations::decision,
    registrations::decided_at,
    registrations::decided_by_name,
    registrations::reason,
);

/// Filters of the registrations list.
#[derive(Debug, Clone, Default)]
pub struct RegistrationFilter {
    /// Part of the institution's name or domain, or of the admin's name or e-mail.
    pub q: String,
    /// Only those that stand so.
    pub status: Option<Stand>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this country.
    pub country: Option<String>,
    /// Only those that came in so.
    pub source: Option<Source>,
}

type Matching<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::InnerJoin<registrations::table, institutions::table>,
    SharedBackend,
>;

fn matching<'a>(filter: &RegistrationFilter) -> Matching<'a> {
    let mut query = containing!(
        registrations::table.inner_join(institutions::table).into_boxed(),
        filter.q,
        institutions::name_key,
        institutions::domain,
        registrations::search_key
    );
    query = match filter.status {
        None => query,
        Some(Stand::Waiting) => query.filter(registrations::decision.is_null()),
        Some(Stand::Approved) => query.filter(registrations::decision.eq(Decision::Approved)),
        Some(Stand::Rejected) => query.filter(registrations::decision.eq(Decision::Rejected)),
    };
    if let Some(kind) = filter.kind {
        query = query.filter(institutions::kind.eq(kind));
    }
    if let Some(country) = &filter.country {
        query = query.filter(institutions::country.eq(country.clone()));
    }
    if let Some(source) = filter.source {
        query = query.filter(registrations::source.eq(source));
    }
    query
}

/// One page of the registrations that match. Sorts by `submitted` (default), `name`, `domain`, `country`,
/// `kind`, `status` or `decided`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &RegistrationFilter,
    paging: &Paging,
) -> ModelResult<Slice<RegistrationRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "name" => ordered!(query, down, institutions::name_key, registrations::id),
        "domain" => ordered!(query, down, institutions::domain, registrations::id),
        "country" => ordered!(query, down, by_country(), institutions::name_key),
        "kind" => ordered!(query, down, institutions::kind, institutions::name_key),
        // Waiting comes last, and first the other way round.
        "status" => {
            ordered!(
                query,
                down,
                registrations::decision.is_null(),
                registrations::decision,
                registrations::id
            )
        }
        "decided" => ordered!(query, down, blank last registrations::decided_at, registrations::id),
        _ => ordered!(query, down, registrations::submitted_at, registrations::id),
    };
    let rows = sorted.limit(paging.limit).offset(paging.offset).select(COLUMNS).load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching registrations before the one with this id, newest first: for reading all that
/// match in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &RegistrationFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<RegistrationRow>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(registrations::id.lt(last));
    }
    Ok(query.order(registrations::id.desc()).limit(limit).select(COLUMNS).load(connection)?)
}

/// Ids of up to `limit` registrations that match, oldest first: what a bulk decision works through.
///
/// # Errors
/// Any database error.
pub fn ids_matching(
    connection: &mut SharedConn,
    filter: &RegistrationFilter,
    limit: i64,
) -> ModelResult<Vec<Id>> {
    Ok(matching(filter)
        .order(registrations::id.asc())
        .limit(limit)
        .select(registrations::id)
        .load(connection)?)
}

/// How many registrations match.
///
/// # Errors
/// Any database error.
pub fn count(connection: &mut SharedConn, filter: &RegistrationFilter) -> ModelResult<i64> {
    Ok(matching(filter).count().get_result(connection)?)
}

/// Those of these registrations that still wait for a decision, oldest first.
///
/// # Errors
/// Any database error.
pub fn still_waiting(connection: &mut SharedConn, ids: &[Id]) -> ModelResult<Vec<Id>> {
    let mut waiting = Vec::new();
    for chunk in ids.chunks(1_000) {
        let found: Vec<Id> = registrations::table
            .filter(registrations::id.eq_any(chunk))
            .filter(registrations::decision.is_null())
            .order(registrations::id)
            .select(registrations::id)
            .load(connection)?;
        waiting.extend(found);
    }
    Ok(waiting)
}

/// How many registrations wait for a decision.
///
/// # Errors
/// Any database error.
pub fn waiting(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(registrations::table.filter(registrations::decision.is_null()).count().get_result(connection)?)
}

/// How many institutions registered on each day since `since`; days without any are left out.
///
/// # Errors
/// Any database error.
pub fn by_day(
    connection: &mut SharedConn,
    since: chrono::NaiveDateTime,
) -> ModelResult<std::collections::HashMap<chrono::NaiveDate, i64>> {
    #[derive(QueryableByName)]
    struct Day {
        #[diesel(sql_type = diesel::sql_types::Text)]
        day: String,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    // Both engines write a moment with its date first.
    let found: Vec<Day> = diesel::sql_query(
        "SELECT substr(CAST(submitted_at AS text), 1, 10) AS day, count(*) AS number FROM registrations \
         WHERE submitted_at >= $1 AND source <> 'sandbox' GROUP BY 1",
    )
    .bind::<diesel::sql_types::Timestamp, _>(since)
    .load(connection)?;
    Ok(found.into_iter().filter_map(|row| Some((row.day.parse().ok()?, row.number))).collect())
}
