//! Plans: what institutions can subscribe to, what it costs, and how much they may hold for it.

pub mod entry;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    SharedBackend, ago,
    audit::{Audit, Subject},
};
use crate::{
    db::{
        now,
        schema_shared::{institutions, plans},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, Paging, Slice, containing, ordered, search::fold},
};

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = plans)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Plan {
    pub key: String,
    pub name: String,
    pub description: String,
    /// In minor units: cents.
    pub price_month: i64,
    pub price_year: i64,
    /// ISO 4217.
    pub currency: String,
    pub max_users: Option<i64>,
    pub max_students: Option<i64>,
    pub max_storage_bytes: Option<i64>,
    /// Keys, separated by blanks.
    pub features: String,
    pub position: i32,
    pub archived_at: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

/// What of a plan people enter.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset, Insertable, serde::Serialize)]
#[diesel(table_name = plans, treat_none_as_null = true, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct PlanFields {
    pub name: String,
    pub description: String,
    pub price_month: i64,
    pub price_year: i64,
    pub currency: String,
    pub max_users: Option<i64>,
    pub max_students: Option<i64>,
    pub max_storage_bytes: Option<i64>,
    pub features: String,
    pub position: i32,
}

/// Which plans are asked for.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// Part of a name or key.
    pub q: String,
    /// The archived ones instead of those on offer; none for all.
    pub archived: Option<bool>,
}

/// A plan and how many institutions are on it.
pub type PlanRow = (Plan, i64);

impl Plan {
    fn subject(&self) -> Subject<'_> {
        Subject { kind: "plan", id: None, label: &self.key, institution_id: None }
    }

    /// What people entered.
    #[must_use]
    pub fn fields(&self) -> PlanFields {
        PlanFields {
            name: self.name.clone(),
            description: self.description.clone(),
            price_month: self.price_month,
            price_year: self.price_year,
            currency: self.currency.clone(),
            max_users: self.max_users,
            max_students: self.max_students,
            max_storage_bytes: self.max_storage_bytes,
            features: self.features.clone(),
            position: self.position,
        }
    }
}

/// The plan with this key.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, key: &str) -> ModelResult<Plan> {
    Ok(plans::table.find(key).select(Plan::as_select()).first(connection)?)
}

/// Keys and names of all plans, in their order.
///
/// # Errors
/// Any database error.
pub fn names(connection: &mut SharedConn) -> ModelResult<Vec<(String, String)>> {
    let sorted = plans::table.order((plans::position, plans::key));
    Ok(sorted.select((plans::key, plans::name)).load(connection)?)
}

/// Every plan on offer, in their order.
///
/// # Errors
/// Any database error.
pub fn on_offer(connection: &mut SharedConn) -> ModelResult<Vec<Plan>> {
    let offered = PlanFilter { archived: Some(false), ..PlanFilter::default() };
    let all = Paging { sort: "position".into(), descending: false, limit: 200, offset: 0 };
    Ok(page(connection, &offered, &all)?.rows.into_iter().map(|(plan, _)| plan).collect())
}

fn matching<'a>(filter: &PlanFilter) -> plans::BoxedQuery<'a, SharedBackend> {
    let query = containing!(plans::table.into_boxed(), filter.q, plans::search_key);
    match filter.archived {
        Some(true) => query.filter(plans::archived_at.is_not_null()),
        Some(false) => query.filter(plans::archived_at.is_null()),
        None => query,
    }
}

/// One page of the plans that match. Sorts by `position` (default), `name`, `price`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &PlanFilter,
    paging: &Paging,
) -> ModelResult<Slice<PlanRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "name" => ordered!(query, down, plans::search_key, plans::key),
        "price" => ordered!(query, down, plans::price_month, plans::key),
        _ => ordered!(query, down, plans::position, plans::key),
    };
    let rows: Vec<Plan> =
        sorted.limit(paging.limit).offset(paging.offset).select(Plan::as_select()).load(connection)?;
    Ok(Slice { rows: with_institutions(connection, rows)?, total })
}

/// The next `limit` matching plans after this key: for reading all that match in bounded pieces.
///
/// # Errors
/// Any database error.
pub fn after(
    connection: &mut SharedConn,
    filter: &PlanFilter,
    last: Option<String>,
    limit: i64,
) -> ModelResult<Vec<PlanRow>> {
    let mut query = matching(filter);
    if let Some(last) = last {
        query = query.filter(plans::key.gt(last));
    }
    let rows = query.order(plans::key).limit(limit).select(Plan::as_select()).load(connection)?;
    with_institutions(connection, rows)
}

/// Each with how many institutions are on it.
///
/// # Errors
/// Any database error.
pub fn with_institutions(connection: &mut SharedConn, rows: Vec<Plan>) -> ModelResult<Vec<PlanRow>> {
    let keys: Vec<String> = rows.iter().map(|plan| plan.key.clone()).collect();
    let counts: Vec<(String, i64)> = institutions::table
        .filter(institutions::plan.eq_any(keys))
        .group_by(institutions::plan)
        .select((institutions::plan, diesel::dsl::count_star()))
        .load(connection)?;
    let count = |key: &str| counts.iter().find(|(known, _)| known == key).map_or(0, |(_, count)| *count);
    Ok(rows.into_iter().map(|plan| (count(&plan.key), plan)).map(|(count, plan)| (plan, count)).collect())
}

/// Adds a plan. Its key stays for ever: records and scripts name it.
///
/// # Errors
/// `Refused` when the key is taken; any database error.
pub fn create(
    connection: &mut SharedConn,
    audit: &Audit,
    key: &str,
    fields: &PlanFields,
) -> ModelResult<Plan> {
    let made = connection.write_tx(|connection| -> ModelResult<Plan> {
        let at = now();
        diesel::insert_into(plans::table)
            .values((
                plans::key.eq(key),
                fields,
                plans::search_key.eq(search_key(key, &fields.name)),
                plans::created_at.eq(at),
                plans::updated_at.eq(at),
                plans::version.eq(1_i64),
            ))
            .execute(connection)?;
        let plan = find(connection, key)?;
        audit.record(connection, "plan.created", &plan.subject(), &json!({ "after": fields }))?;
        Ok(plan)
    });
    match made {
        Err(error) if error.is_unique_violation() => Err(ModelError::Refused(format!(
            "There is a plan with the key {key} already. Choose another key."
        ))),
        outcome => outcome,
    }
}

/// Changes the plan that was read as `version`. Institutions on it are held to the new limits from their next
/// request on; what they hold already stays.
///
/// # Errors
/// `Changed` when somebody else saved first, `NotFound`, or any database error.
pub fn update(
    connection: &mut SharedConn,
    audit: &Audit,
    key: &str,
    version: i64,
    fields: &PlanFields,
) -> ModelResult<Plan> {
    connection.write_tx(|connection| {
        let before = find(connection, key)?;
        let saved = diesel::update(plans::table.find(key))
            .filter(plans::version.eq(version))
            .set((
                fields,
                plans::search_key.eq(search_key(key, &fields.name)),
                plans::updated_at.eq(now()),
                plans::version.eq(version + 1),
            ))
            .execute(connection)?;
        if saved == 0 {
            let sentence = format!("Somebody else changed this plan {}.", ago(before.updated_at));
            return Err(ModelError::Changed(sentence));
        }
        let detail = json!({ "before": before.fields(), "after": fields });
        audit.record(connection, "plan.updated", &before.subject(), &detail)?;
        find(connection, key)
    })
}

/// Takes a plan off the offer, or puts it back. Institutions that are on it stay on it.
///
/// # Errors
/// `Changed` when it is so already; `Refused` for the plan that registrations start on; `NotFound`; any database error.
pub fn set_archived(
    connection: &mut SharedConn,
    audit: &Audit,
    key: &str,
    archived: bool,
) -> ModelResult<Plan> {
    if archived && key == super::registrations::FIRST_PLAN {
        return Err(ModelError::Refused("New institutions start on this plan, so it stays on offer.".into()));
    }
    connection.write_tx(|connection| {
        let known = find(connection, key)?;
        if known.archived_at.is_some() == archived {
            let word = if archived { "archived" } else { "on offer" };
            return Err(ModelError::Changed(format!("The plan {} is {word} already.", known.name)));
        }
        diesel::update(plans::table.find(key))
            .set((
                plans::archived_at.eq(archived.then(now)),
                plans::updated_at.eq(now()),
                plans::version.eq(plans::version + 1),
            ))
            .execute(connection)?;
        let action = if archived { "plan.archived" } else { "plan.restored" };
        audit.record(connection, action, &known.subject(), &json!({}))?;
        find(connection, key)
    })
}

fn search_key(key: &str, name: &str) -> String {
    fold(&format!("{name} {key}"))
}
