//! What needs somebody: each alert fires once, is told once, and is resolved by what it was about.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde_json::json;

use super::audit::{Audit, Subject};
use crate::{
    db::{Id, now, schema_shared::alerts, shared::SharedConn},
    models::{
        ModelError, ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend, search::fold,
    },
};

/// Resolved alerts are kept for so long.
const KEPT: TimeDelta = TimeDelta::days(400);

crate::text_enum! {
    /// How grave it is.
    Severity { Critical = "critical", Warning = "warning" }
}

crate::text_enum! {
    /// Which alerts a list shows.
    AlertState { Firing = "firing", Resolved = "resolved" }
}

/// What a rule has found: one for each subject that something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule.
    pub rule: &'static str,
    /// What tells this subject from the rule's others.
    pub subject: String,
    /// The institution concerned, if one is.
    pub institution_id: Option<Id>,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub summary: String,
    /// What to do.
    pub advice: String,
    /// The page where it is done.
    pub link: String,
}

/// An alert.
#[derive(Debug, Clone, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = alerts)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Alert {
    pub id: Id,
    pub rule: String,
    pub subject: String,
    pub institution_id: Option<Id>,
    pub severity: Severity,
    pub summary: String,
    pub advice: String,
    pub link: String,
    pub firing_since: NaiveDateTime,
    pub resolved_at: Option<NaiveDateTime>,
    pub acknowledged_at: Option<NaiveDateTime>,
    pub acknowledged_by: Option<String>,
}

/// What a look at all rules has changed.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Alerts that fire since now.
    pub fired: Vec<Alert>,
    /// Alerts that have just been resolved.
    pub resolved: Vec<Alert>,
}

/// Brings the alerts of these rules to what was found; the alerts of other rules stay. Call it in a `write_tx` with
/// what tells people of the changes.
///
/// # Errors
/// Any database error.
pub fn settle(c: &mut SharedConn, rules: &[&str], found: &[Found]) -> ModelResult<Changes> {
    let open: Vec<Alert> = alerts::table
        .filter(alerts::resolved_at.is_null())
        .filter(alerts::rule.eq_any(rules))
        .select(Alert::as_select())
        .load(c)?;
    let is = |alert: &Alert, found: &Found| alert.rule == found.rule && alert.subject == found.subject;
    let mut changes = Changes::default();
    for alert in &open {
        if let Some(still) = found.iter().find(|found| is(alert, found)) {
            if alert.summary != still.summary {
                diesel::update(alerts::table.find(alert.id))
                    .set((alerts::summary.eq(&still.summary), alerts::severity.eq(still.severity)))
                    .execute(c)?;
            }
            continue;
        }
        let at = now();
        diesel::update(alerts::table.find(alert.id)).set(alerts::resolved_at.eq(at)).execute(c)?;
        changes.resolved.push(Alert { resolved_at: Some(at), ..alert.clone() });
    }
    for new in found.iter().filter(|found| open.iter().all(|alert| !is(alert, found))) {
        changes.fired.extend(fire(c, new)?);
    }
    Ok(changes)
}

fn fire(c: &mut SharedConn, new: &Found) -> ModelResult<Option<Alert>> {
    let id = Id::new();
    // Two findings of one subject, or another node at the same moment, make one alert.
    let known = alerts::table
        .filter(alerts::rule.eq(new.rule))
        .filter(alerts::subject.eq(&new.subject))
        .filter(alerts::resolved_at.is_null());
    if diesel::select(diesel::dsl::exists(known)).get_result(c)? {
        return Ok(None);
    }
    diesel::insert_into(alerts::table)
        .values((
            alerts::id.eq(id),
            alerts::rule.eq(new.rule),
            alerts::subject.eq(&new.subject),
            alerts::institution_id.eq(new.institution_id),
            alerts::severity.eq(new.severity),
            alerts::summary.eq(&new.summary),
            alerts::advice.eq(&new.advice),
            alerts::link.eq(&new.link),
            alerts::search_key.eq(fold(&format!("{}\t{}", new.summary, new.rule))),
            alerts::firing_since.eq(now()),
        ))
        .execute(c)?;
    find(c, id).map(Some)
}

/// The alert with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Alert> {
    Ok(alerts::table.find(id).select(Alert::as_select()).first(connection)?)
}

/// The alerts that fire, the gravest and then the oldest first.
///
/// # Errors
/// Any database error.
pub fn firing(connection: &mut SharedConn, limit: i64) -> ModelResult<Vec<Alert>> {
    Ok(alerts::table
        .filter(alerts::resolved_at.is_null())
        .order((alerts::severity.asc(), alerts::acknowledged_at.is_not_null(), alerts::id.asc()))
        .limit(limit)
        .select(Alert::as_select())
        .load(connection)?)
}

/// How many alerts fire and nobody has acknowledged.
///
/// # Errors
/// Any database error.
pub fn unacknowledged(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(alerts::table
        .filter(alerts::resolved_at.is_null())
        .filter(alerts::acknowledged_at.is_null())
        .count()
        .get_result(connection)?)
}

/// Notes that somebody takes care of an alert.
///
/// # Errors
/// [`ModelError::Changed`] when somebody else does already, or it is resolved; `NotFound`; any database error.
pub fn acknowledge(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Alert> {
    connection.write_tx(|c| {
        let noted = diesel::update(alerts::table.find(id))
            .filter(alerts::acknowledged_at.is_null())
            .filter(alerts::resolved_at.is_null())
            .set((alerts::acknowledged_at.eq(now()), alerts::acknowledged_by.eq(&audit.actor.name)))
            .execute(c)?;
        let alert = find(c, id)?;
        if noted == 0 {
            return Err(ModelError::Changed(match &alert.acknowledged_by {
                Some(name) => format!("{name} already takes care of it."),
                None => "It is resolved.".into(),
            }));
        }
        let subject = Subject {
            kind: "alert",
            id: Some(id),
            label: &alert.summary,
            institution_id: alert.institution_id,
        };
        audit.record(c, "alert.acknowledged", &subject, &json!({ "rule": alert.rule }))?;
        Ok(alert)
    })
}

/// Filters of the page of alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Words in the summary.
    pub q: String,
    /// Only those that fire, or only those that do not.
    pub state: Option<AlertState>,
    /// Only of this severity.
    pub severity: Option<Severity>,
}

fn matching<'a>(filter: &AlertFilter) -> alerts::BoxedQuery<'a, SharedBackend> {
    let mut query = containing!(alerts::table.into_boxed(), filter.q, alerts::search_key);
    query = match filter.state {
        Some(AlertState::Firing) => query.filter(alerts::resolved_at.is_null()),
        Some(AlertState::Resolved) => query.filter(alerts::resolved_at.is_not_null()),
        None => query,
    };
    match filter.severity {
        Some(severity) => query.filter(alerts::severity.eq(severity)),
        None => query,
    }
}

/// One page of alerts, by when they began.
///
/// # Errors
/// Any database error.
pub fn page(connection: &mut SharedConn, filter: &AlertFilter, paging: &Paging) -> ModelResult<Slice<Alert>> {
    let total = matching(filter).count().get_result(connection)?;
    let rows = ordered!(matching(filter), paging.descending, alerts::firing_since, alerts::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Alert::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching alerts before the one with this id, newest first: for reading all that match in bounded
/// pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &AlertFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<Alert>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(alerts::id.lt(last));
    }
    Ok(query.order(alerts::id.desc()).limit(limit).select(Alert::as_select()).load(connection)?)
}

/// Forgets what was resolved long ago; says how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn) -> ModelResult<usize> {
    connection.write_tx(|c| {
        Ok(diesel::delete(alerts::table.filter(alerts::resolved_at.lt(now() - KEPT))).execute(c)?)
    })
}
