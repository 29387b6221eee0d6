//! Lists of operations: the page with its filters, and those that need somebody.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{Kind, OPEN, Operation, OperationStatus};
use crate::{
    db::{
        Id,
        schema_shared::{operation_steps, operations},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend},
};

/// Filters of the operations page.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// Words in the subject.
    pub q: String,
    /// Only this status.
    pub status: Option<OperationStatus>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this institution.
    pub institution_id: Option<Id>,
}

fn matching<'a>(filter: &OperationFilter) -> operations::BoxedQuery<'a, SharedBackend> {
    let mut query = containing!(operations::table.into_boxed(), filter.q, operations::search_key);
    if let Some(status) = filter.status {
        query = query.filter(operations::status.eq(status));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(operations::kind.eq(kind));
    }
    if let Some(id) = filter.institution_id {
        query = query.filter(operations::institution_id.eq(id));
    }
    query
}

/// One page of operations, newest first unless asked otherwise.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &OperationFilter,
    paging: &Paging,
) -> ModelResult<Slice<Operation>> {
    let total = matching(filter).count().get_result(connection)?;
    let rows = ordered!(matching(filter), paging.descending, operations::created_at, operations::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Operation::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching operations before the one with this id, newest first: for reading all that
/// match in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &OperationFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<Operation>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(operations::id.lt(last));
    }
    Ok(query.order(operations::id.desc()).limit(limit).select(Operation::as_select()).load(connection)?)
}

/// Whose operations of this kind have ended without success since then.
///
/// # Errors
/// Any database error.
pub fn institutions_failed_since(
    connection: &mut SharedConn,
    kind: Kind,
    since: NaiveDateTime,
) -> ModelResult<Vec<Id>> {
    let found: Vec<Option<Id>> = operations::table
        .filter(operations::kind.eq(kind))
        .filter(operations::status.eq_any([OperationStatus::Failed, OperationStatus::RolledBack]))
        .filter(operations::finished_at.ge(since))
        .select(operations::institution_id)
        .load(connection)?;
    Ok(found.into_iter().flatten().collect())
}

/// Whose operations of this kind are not over.
///
/// # Errors
/// Any database error.
pub fn institutions_with_open(connection: &mut SharedConn, kind: Kind) -> ModelResult<Vec<Id>> {
    let found: Vec<Option<Id>> = operations::table
        .filter(operations::kind.eq(kind))
        .filter(operations::status.eq_any(OPEN))
        .select(operations::institution_id)
        .load(connection)?;
    Ok(found.into_iter().flatten().collect())
}

/// Operations that were due before `since` and that no living worker holds.
///
/// # Errors
/// Any database error.
pub fn left_alone(connection: &mut SharedConn, since: NaiveDateTime) -> ModelResult<Vec<Operation>> {
    Ok(operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::next_attempt_at.lt(since))
        .filter(operations::lease_expires_at.is_null().or(operations::lease_expires_at.lt(since)))
        .order(operations::id)
        .limit(100)
        .select(Operation::as_select())
        .load(connection)?)
}

/// How many operations of a kind wait or are at work.
///
/// # Errors
/// Any database error.
pub fn open_count(connection: &mut SharedConn, kind: Kind) -> ModelResult<i64> {
    Ok(operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::kind.eq(kind))
        .count()
        .get_result(connection)?)
}

/// Whether one of a kind that is for no institution waits or is at work.
///
/// # Errors
/// Any database error.
pub fn is_open_without_institution(connection: &mut SharedConn, kind: Kind) -> ModelResult<bool> {
    let open: i64 = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::kind.eq(kind))
        .filter(operations::institution_id.is_null())
        .count()
        .get_result(connection)?;
    Ok(open > 0)
}

/// Forgets some of the operations that were over before a moment, with their steps; those that a rollout is told of stay
/// with it. Says how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let gone: Vec<Id> = operations::table
            .filter(operations::finished_at.lt(before))
            .filter(operations::status.ne_all(OPEN))
            .filter(operations::kind.ne(Kind::MigrateFleet))
            .order(operations::finished_at)
            .limit(500)
            .select(operations::id)
            .load(c)?;
        let steps = operation_steps::table.filter(operation_steps::operation_id.eq_any(gone.clone()));
        diesel::delete(steps).execute(c)?;
        Ok(diesel::delete(operations::table.filter(operations::id.eq_any(gone))).execute(c)?)
    })
}

/// Whether an operation of any other kind than this waits or is at work for an institution.
///
/// # Errors
/// Any database error.
pub fn is_busy(connection: &mut SharedConn, institution_id: Id, but: Kind) -> ModelResult<bool> {
    let open: i64 = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::institution_id.eq(institution_id))
        .filter(operations::kind.ne(but))
        .count()
        .get_result(connection)?;
    Ok(open > 0)
}

/// What has failed and was not made good since: by a later operation of the same kind for the same institution, such as
/// the next night's backup.
fn not_made_good<'a>() -> operations::BoxedQuery<'a, SharedBackend> {
    use diesel::dsl::{exists, not};
    let later = diesel::alias!(operations as later_operations);
    let same =
        later.field(operations::institution_id).eq(operations::institution_id).or(operations::institution_id
            .is_null()
            .and(later.field(operations::subject).eq(operations::subject)));
    let made_good = later
        .filter(later.field(operations::kind).eq(operations::kind))
        .filter(later.field(operations::status).eq(OperationStatus::Succeeded))
        .filter(later.field(operations::id).gt(operations::id))
        .filter(same.assume_not_null());
    operations::table
        .filter(operations::status.eq(OperationStatus::Failed))
        .filter(not(exists(made_good)))
        .into_boxed()
}

/// How many failed operations wait for a super admin: those that they can try again or take back.
///
/// # Errors
/// Any database error.
pub fn failed_count(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(not_made_good().filter(operations::kind.ne(Kind::ImportStudents)).count().get_result(connection)?)
}

/// Operations that failed after `since`, and were neither taken back nor made good; the newest first.
///
/// # Errors
/// Any database error.
pub fn failed_since(
    connection: &mut SharedConn,
    since: NaiveDateTime,
    limit: i64,
) -> ModelResult<Vec<Operation>> {
    Ok(not_made_good()
        .filter(operations::kind.ne(Kind::ImportStudents))
        .filter(operations::finished_at.gt(since))
        .order(operations::id.desc())
        .limit(limit)
        .select(Operation::as_select())
        .load(connection)?)
}

/// How many operations are at work or wait for it.
///
/// # Errors
/// Any database error.
pub fn running_count(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(operations::table.filter(operations::status.eq_any(OPEN)).count().get_result(connection)?)
}

/// Whether an older operation of the same institution waits or is at work.
///
/// # Errors
/// Any database error.
pub fn open_before(connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
    let open: i64 = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::institution_id.eq(operation.institution_id))
        .filter(operations::id.lt(operation.id))
        .count()
        .get_result(connection)?;
    Ok(open > 0)
}

/// Whether a move to this server is asked for or under way.
///
/// # Errors
/// Any database error.
pub fn is_moved_to(connection: &mut SharedConn, server_id: Id) -> ModelResult<bool> {
    let inputs: Vec<String> = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::kind.eq(Kind::Move))
        .select(operations::input)
        .load(connection)?;
    let id = server_id.to_string();
    let names = |input: &str| {
        let input: serde_json::Value = serde_json::from_str(input).unwrap_or_default();
        input["server_id"].as_str() == Some(&id)
    };
    Ok(inputs.iter().any(|input| names(input)))
}

/// Passes when nothing of the institution waits or is at work.
///
/// # Errors
/// `Changed` otherwise.
pub fn require_quiet(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    let open: Option<String> = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::institution_id.eq(institution_id))
        .select(operations::subject)
        .first(connection)
        .optional()?;
    match open {
        Some(subject) => Err(ModelError::Changed(format!(
            "An operation of {subject} is under way. Wait until it is over, then try again."
        ))),
        None => Ok(()),
    }
}
