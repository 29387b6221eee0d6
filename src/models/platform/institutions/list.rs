//! The list of institutions: its filters, its pages, and what its tiles count.

use std::{collections::HashMap, sync::LazyLock};

use chrono::NaiveDateTime;
use diesel::{
    dsl::{exists, not},
    expression::SqlLiteral,
    prelude::*,
    sql_types::Integer,
};

use super::{Kind, Status};
use crate::{
    db::{
        Id,
        schema_shared::{institutions, sandboxes},
        shared::SharedConn,
    },
    models::{ModelResult, Paging, Slice, containing, country::Country, ordered, platform::SharedBackend},
};

/// An institution as a list shows it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institutions)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct InstitutionRow {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub status: Status,
    pub status_changed_at: NaiveDateTime,
    pub plan: String,
    pub created_at: NaiveDateTime,
}

/// Filters of the institutions list.
#[derive(Debug, Clone, Default)]
pub struct InstitutionFilter {
    /// Part of a name or domain.
    pub q: String,
    /// Only this status.
    pub status: Option<Status>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this country.
    pub country: Option<String>,
    /// Only on this plan.
    pub plan: Option<String>,
    /// Only sandboxes, or only those that are none.
    pub sandbox: Option<bool>,
}

fn matching<'a>(filter: &InstitutionFilter) -> institutions::BoxedQuery<'a, SharedBackend> {
    let mut query =
        containing!(institutions::table.into_boxed(), filter.q, institutions::name_key, institutions::domain);
    if let Some(status) = filter.status {
        query = query.filter(institutions::status.eq(status));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(institutions::kind.eq(kind));
    }
    if let Some(country) = &filter.country {
        query = query.filter(institutions::country.eq(country.clone()));
    }
    if let Some(plan) = &filter.plan {
        query = query.filter(institutions::plan.eq(plan.clone()));
    }
    let known = || sandboxes::table.filter(sandboxes::institution_id.eq(institutions::id));
    match filter.sandbox {
        Some(true) => query.filter(exists(known())),
        Some(false) => query.filter(not(exists(known()))),
        None => query,
    }
}

/// One page of the institutions that match. Sorts by `name` (default), `domain`, `country`, `kind`,
/// `status` or `created`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &InstitutionFilter,
    paging: &Paging,
) -> ModelResult<Slice<InstitutionRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "domain" => ordered!(query, down, institutions::domain, institutions::id),
        "country" => ordered!(query, down, by_country(), institutions::name_key),
        "kind" => ordered!(query, down, institutions::kind, institutions::name_key),
        "status" => ordered!(query, down, institutions::status, institutions::created_at),
        "created" => ordered!(query, down, institutions::created_at, institutions::id),
        _ => ordered!(query, down, institutions::name_key, institutions::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select(InstitutionRow::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching institutions before the one with this id, newest first: for reading all that
/// match in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &InstitutionFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<InstitutionRow>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(institutions::id.lt(last));
    }
    Ok(query
        .order(institutions::id.desc())
        .limit(limit)
        .select(InstitutionRow::as_select())
        .load(connection)?)
}

/// An order that a person reads as alphabetical: by the names of the countries, not by their codes.
pub(in crate::models::platform) fn by_country() -> SqlLiteral<Integer> {
    static ORDER: LazyLock<String> = LazyLock::new(|| Country::order_by_name("institutions.country"));
    diesel::dsl::sql(&ORDER)
}

/// How many institutions stand where; a status nobody is in is left out.
///
/// # Errors
/// Any database error.
pub fn counts_by_status(connection: &mut SharedConn) -> ModelResult<HashMap<Status, i64>> {
    let rows: Vec<(Status, i64)> = institutions::table
        .group_by(institutions::status)
        .select((institutions::status, diesel::dsl::count_star()))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

/// Countries that institutions are in, in alphabetical order, for the filter.
///
/// # Errors
/// Any database error.
pub fn countries(connection: &mut SharedConn) -> ModelResult<Vec<String>> {
    Ok(institutions::table
        .select(institutions::country)
        .distinct()
        .order(institutions::country)
        .limit(400)
        .load(connection)?)
}
