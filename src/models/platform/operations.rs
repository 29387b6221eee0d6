//! Durable pieces of work: what is asked, how far it is, who works on it.
//!
//! A worker holds a lease and a fence. Every write of a worker is conditional on both, so one that was
//! asleep while another took over changes nothing any more.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{
        Id, now,
        schema_shared::{operation_steps, operations},
        shared::SharedConn,
    },
    models::{Actor, ModelError, ModelResult, Paging, Slice},
};

crate::text_enum! {
    /// What is to be done.
    Kind {
        /// Give an institution its database.
        Provision = "provision",
        /// Read registrations from a file.
        ImportRegistrations = "import_registrations",
        /// Read students from a file.
        ImportStudents = "import_students",
        /// Approve or reject many registrations.
        DecideRegistrations = "decide_registrations",
    }
}

crate::text_enum! {
    /// How far an operation is.
    OperationStatus {
        /// Waits for a worker, or for its next attempt.
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        /// Ended without its work being taken back.
        Failed = "failed",
        /// What was done is being taken back.
        RollingBack = "rolling_back",
        /// Ended, and nothing of it is left.
        RolledBack = "rolled_back",
    }
}

crate::text_enum! {
    /// How far a step is.
    StepStatus {
        Pending = "pending",
        Running = "running",
        Done = "done",
        Failed = "failed",
        Undone = "undone",
    }
}

/// Operations that a worker may take.
const OPEN: [OperationStatus; 3] =
    [OperationStatus::Queued, OperationStatus::Running, OperationStatus::RollingBack];

/// An operation.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operations)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Operation {
    pub id: Id,
    pub kind: Kind,
    pub institution_id: Option<Id>,
    pub subject: String,
    pub status: OperationStatus,
    pub input: String,
    pub result: Option<String>,
    pub attempts: i32,
    pub next_attempt_at: NaiveDateTime,
    pub lease_owner: Option<String>,
    pub lease_expires_at: Option<NaiveDateTime>,
    pub fence: i64,
    pub error: Option<String>,
    pub progress_done: i64,
    pub progress_total: i64,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub created_at: NaiveDateTime,
    pub started_at: Option<NaiveDateTime>,
    pub finished_at: Option<NaiveDateTime>,
}

impl Operation {
    /// Whether it is over, well or not.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !OPEN.contains(&self.status)
    }

    /// Whether "Try again" makes sense.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        matches!(self.status, OperationStatus::Failed | OperationStatus::RolledBack)
    }

    /// Whether "Roll back" makes sense.
    #[must_use]
    pub fn may_be_rolled_back(&self) -> bool {
        matches!(self.status, OperationStatus::Failed | OperationStatus::Queued)
            && self.kind == Kind::Provision
    }
}

/// One step of an operation.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operation_steps)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct OperationStep {
    pub id: Id,
    pub operation_id: Id,
    pub position: i32,
    pub name: String,
    pub status: StepStatus,
    pub attempts: i32,
    pub started_at: Option<NaiveDateTime>,
    pub finished_at: Option<NaiveDateTime>,
    pub detail: Option<String>,
    pub error: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NewOperation<'a> {
    /// What kind.
    pub kind: Kind,
    /// For which institution, where it is for one.
    pub institution_id: Option<Id>,
    /// What it is about, for a person: a name, a file.
    pub subject: &'a str,
    /// What its handler needs to know; no secrets.
    pub input: &'a serde_json::Value,
    /// Its steps, in order.
    pub steps: &'a [&'a str],
    /// Units of work, where they are counted.
    pub total: i64,
}

/// A worker's right to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The operation.
    pub id: Id,
    /// The worker.
    pub owner: String,
    /// Grows with each claim.
    pub fence: i64,
}

/// How an operation ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// One of the statuses that are ends.
    pub status: OperationStatus,
    /// JSON for its page.
    pub result: Option<&'a str>,
    /// Why it did not succeed, for a person.
    pub error: Option<&'a str>,
}

/// Writes down an operation and its steps. Call it in the `write_tx` of the decision; wake the workers after.
///
/// # Errors
/// `Changed` when the same is already under way for this institution.
pub fn enqueue(connection: &mut SharedConn, new: &NewOperation<'_>, actor: &Actor) -> ModelResult<Id> {
    let id = Id::new();
    connection.write_tx(|connection| {
        let inserted = diesel::insert_into(operations::table)
            .values((
                operations::id.eq(id),
                operations::kind.eq(new.kind),
                operations::institution_id.eq(new.institution_id),
                operations::subject.eq(new.subject),
                operations::status.eq(OperationStatus::Queued),
                operations::input.eq(new.input.to_string()),
                operations::attempts.eq(0),
                operations::next_attempt_at.eq(now()),
                operations::fence.eq(0_i64),
                operations::progress_done.eq(0_i64),
                operations::progress_total.eq(new.total),
                operations::actor_id.eq(actor.id),
                operations::actor_name.eq(&actor.name),
                operations::created_at.eq(now()),
            ))
            .execute(connection)
            .map_err(ModelError::from);
        match inserted {
            Err(error) if error.is_unique_violation() => {
                return Err(ModelError::Changed(format!("This is already under way for {}.", new.subject)));
            }
            result => result?,
        };
        for (position, name) in (0..).zip(new.steps) {
            insert_step(connection, id, position, name)?;
        }
        Ok(id)
    })
}

fn insert_step(connection: &mut SharedConn, operation_id: Id, position: i32, name: &str) -> ModelResult<()> {
    diesel::insert_into(operation_steps::table)
        .values((
            operation_steps::id.eq(Id::new()),
            operation_steps::operation_id.eq(operation_id),
            operation_steps::position.eq(position),
            operation_steps::name.eq(name),
            operation_steps::status.eq(StepStatus::Pending),
            operation_steps::attempts.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// One operation.
///
/// # Errors
/// Any database error; `NotFound` when there is none.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Operation> {
    Ok(operations::table.find(id).select(Operation::as_select()).first(connection)?)
}

/// The steps of an operation, in order.
///
/// # Errors
/// Any database error.
pub fn steps(connection: &mut SharedConn, operation_id: Id) -> ModelResult<Vec<OperationStep>> {
    Ok(operation_steps::table
        .filter(operation_steps::operation_id.eq(operation_id))
        .order(operation_steps::position)
        .select(OperationStep::as_select())
        .load(connection)?)
}

/// The newest operation of a kind for an institution.
///
/// # Errors
/// Any database error.
pub fn latest(connection: &mut SharedConn, institution_id: Id, kind: Kind) -> ModelResult<Option<Operation>> {
    Ok(operations::table
        .filter(operations::institution_id.eq(institution_id))
        .filter(operations::kind.eq(kind))
        .order((operations::created_at.desc(), operations::id.desc()))
        .select(Operation::as_select())
        .first(connection)
        .optional()?)
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

/// Operations that failed after `since` without being taken back, newest first.
///
/// # Errors
/// Any database error.
pub fn failed_since(connection: &mut SharedConn, since: NaiveDateTime) -> ModelResult<Vec<Operation>> {
    Ok(operations::table
        .filter(operations::status.eq(OperationStatus::Failed))
        .filter(operations::finished_at.gt(since))
        .order(operations::id.desc())
        .limit(100)
        .select(Operation::as_select())
        .load(connection)?)
}

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

#[diesel::declare_sql_function]
extern "SQL" {
    /// SQL's own `lower`.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
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
    let matching = || {
        let mut query = operations::table.into_boxed();
        if !filter.q.trim().is_empty() {
            let pattern = crate::models::search::contains_pattern(&filter.q);
            query = query.filter(lower(operations::subject).like(pattern).escape('\\'));
        }
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
    };
    let total = matching().count().get_result(connection)?;
    let ordered = if paging.descending {
        matching().order((operations::created_at.desc(), operations::id.desc()))
    } else {
        matching().order((operations::created_at.asc(), operations::id.asc()))
    };
    let rows =
        ordered.limit(paging.limit).offset(paging.offset).select(Operation::as_select()).load(connection)?;
    Ok(Slice { rows, total })
}

/// Takes the operation that has waited longest and that nobody works on. `None` when there is none.
///
/// # Errors
/// Any database error.
pub fn claim_next(
    connection: &mut SharedConn,
    owner: &str,
    lease: Duration,
) -> ModelResult<Option<(Claim, Operation)>> {
    let due: Vec<Operation> = operations::table
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::next_attempt_at.le(now()))
        .filter(operations::lease_expires_at.is_null().or(operations::lease_expires_at.lt(now())))
        .order((operations::next_attempt_at, operations::id))
        .limit(8)
        .select(Operation::as_select())
        .load(connection)?;
    for operation in due {
        let claim = Claim { id: operation.id, owner: owner.to_owned(), fence: operation.fence + 1 };
        let status = match operation.status {
            OperationStatus::RollingBack => OperationStatus::RollingBack,
            _ => OperationStatus::Running,
        };
        let taken = diesel::update(operations::table.find(operation.id))
            .filter(operations::fence.eq(operation.fence))
            .filter(operations::status.eq(operation.status))
            .set((
                operations::status.eq(status),
                operations::lease_owner.eq(owner),
                operations::lease_expires_at.eq(expiry(lease)),
                operations::fence.eq(claim.fence),
                operations::started_at.eq(operation.started_at.unwrap_or_else(now)),
            ))
            .execute(connection)?;
        if taken == 1 {
            return Ok(Some((claim, find(connection, operation.id)?)));
        }
    }
    Ok(None)
}

/// Makes the lease last from now on again. False when it was lost.
///
/// # Errors
/// Any database error.
pub fn renew(connection: &mut SharedConn, claim: &Claim, lease: Duration) -> ModelResult<bool> {
    let renewed = diesel::update(operations::table.find(claim.id))
        .filter(operations::fence.eq(claim.fence))
        .filter(operations::lease_owner.eq(&claim.owner))
        .set(operations::lease_expires_at.eq(expiry(lease)))
        .execute(connection)?;
    Ok(renewed == 1)
}

/// Lets every lease go: for the only process that can work on these operations, when it starts.
///
/// # Errors
/// Any database error.
pub fn release_all(connection: &mut SharedConn) -> ModelResult<()> {
    diesel::update(operations::table)
        .filter(operations::status.eq_any(OPEN))
        .set((
            operations::lease_owner.eq(None::<String>),
            operations::lease_expires_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)?;
    Ok(())
}

/// Records how far the units of work are. False when the lease was lost.
///
/// # Errors
/// Any database error.
pub fn set_progress(connection: &mut SharedConn, claim: &Claim, done: i64, total: i64) -> ModelResult<bool> {
    let set = diesel::update(operations::table.find(claim.id))
        .filter(operations::fence.eq(claim.fence))
        .set((operations::progress_done.eq(done), operations::progress_total.eq(total)))
        .execute(connection)?;
    Ok(set == 1)
}

/// What to write about a step.
#[derive(Debug, Clone, Copy)]
pub enum StepChange<'a> {
    /// A worker begins.
    Begun,
    /// It is done.
    Done(Option<&'a str>),
    /// It failed; why, for a person.
    Failed(&'a str),
    /// What it did is taken back.
    Undone,
}

/// Records steps, under the lease. False when it was lost: nothing is recorded then.
///
/// # Errors
/// Any database error.
pub fn record_steps(
    connection: &mut SharedConn,
    claim: &Claim,
    lease: Duration,
    changes: &[(Id, StepChange<'_>)],
) -> ModelResult<bool> {
    connection.write_tx(|connection| {
        if !renew(connection, claim, lease)? {
            return Ok(false);
        }
        for (id, change) in changes {
            record_step(connection, *id, change)?;
        }
        Ok(true)
    })
}

fn record_step(connection: &mut SharedConn, id: Id, change: &StepChange<'_>) -> ModelResult<()> {
    use operation_steps as s;
    let step = s::table.find(id);
    match change {
        StepChange::Begun => diesel::update(step)
            .set((
                s::status.eq(StepStatus::Running),
                s::attempts.eq(s::attempts + 1),
                s::started_at.eq(now()),
                s::finished_at.eq(None::<NaiveDateTime>),
                s::error.eq(None::<String>),
            ))
            .execute(connection)?,
        StepChange::Done(detail) => diesel::update(step)
            .set((s::status.eq(StepStatus::Done), s::finished_at.eq(now()), s::detail.eq(*detail)))
            .execute(connection)?,
        StepChange::Failed(error) => diesel::update(step)
            .set((s::status.eq(StepStatus::Failed), s::finished_at.eq(now()), s::error.eq(*error)))
            .execute(connection)?,
        StepChange::Undone => diesel::update(step)
            .set((s::status.eq(StepStatus::Undone), s::finished_at.eq(now())))
            .execute(connection)?,
    };
    Ok(())
}

/// Lets the operation go until its next attempt. False when the lease was lost.
///
/// # Errors
/// Any database error.
pub fn postpone(
    connection: &mut SharedConn,
    claim: &Claim,
    status: OperationStatus,
    attempts: i32,
    wait: TimeDelta,
    error: &str,
) -> ModelResult<bool> {
    let postponed = diesel::update(operations::table.find(claim.id))
        .filter(operations::fence.eq(claim.fence))
        .set((
            operations::status.eq(status),
            operations::attempts.eq(attempts),
            operations::next_attempt_at.eq(now() + wait),
            operations::error.eq(error),
            operations::lease_owner.eq(None::<String>),
            operations::lease_expires_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)?;
    Ok(postponed == 1)
}

/// Ends the operation. False when the lease was lost: it is not ended then.
///
/// # Errors
/// Any database error.
pub fn finish(connection: &mut SharedConn, claim: &Claim, ending: Ending<'_>) -> ModelResult<bool> {
    let finished = diesel::update(operations::table.find(claim.id))
        .filter(operations::fence.eq(claim.fence))
        .set((
            operations::status.eq(ending.status),
            operations::result.eq(ending.result),
            operations::error.eq(ending.error),
            operations::finished_at.eq(now()),
            operations::lease_owner.eq(None::<String>),
            operations::lease_expires_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)?;
    Ok(finished == 1)
}

/// Puts an operation that ended badly back into the queue; its done steps stay done. The caller holds the
/// `write_tx`, records who asked, and wakes the workers after.
///
/// # Errors
/// `Changed` when it is not over, went well, or the same is under way again.
pub fn requeue(connection: &mut SharedConn, id: Id, status: OperationStatus) -> ModelResult<()> {
    let from: &[OperationStatus] = match status {
        OperationStatus::RollingBack => &[OperationStatus::Failed, OperationStatus::Queued],
        _ => &[OperationStatus::Failed, OperationStatus::RolledBack],
    };
    let requeued = diesel::update(operations::table.find(id))
        .filter(operations::status.eq_any(from))
        .set((
            operations::status.eq(status),
            operations::attempts.eq(0),
            operations::next_attempt_at.eq(now()),
            operations::fence.eq(operations::fence + 1),
            operations::error.eq(None::<String>),
            operations::finished_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)
        .map_err(ModelError::from);
    match requeued {
        Ok(1) => {}
        Ok(_) => return Err(ModelError::Changed("The operation is no longer in the state you saw.".into())),
        Err(error) if error.is_unique_violation() => {
            return Err(ModelError::Changed("The same is already under way.".into()));
        }
        Err(error) => return Err(error),
    }
    if status == OperationStatus::Queued {
        diesel::update(operation_steps::table)
            .filter(operation_steps::operation_id.eq(id))
            .filter(operation_steps::status.ne(StepStatus::Done))
            .set((operation_steps::status.eq(StepStatus::Pending), operation_steps::attempts.eq(0)))
            .execute(connection)?;
    }
    Ok(())
}

fn expiry(lease: Duration) -> NaiveDateTime {
    now() + TimeDelta::from_std(lease).unwrap_or(TimeDelta::seconds(30))
}
