//! What a worker writes. A worker holds a lease and a fence; every write of it is conditional on both, so
//! one that was asleep while another took over changes nothing any more.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use super::{OPEN, Operation, OperationStatus, StepStatus, find};
use crate::{
    db::{
        Id, now,
        schema_shared::{operation_steps, operations},
        shared::SharedConn,
    },
    models::{ModelResult, platform::SharedBackend},
};

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

/// Operations whose time has come and that nobody works on, whatever their status.
fn due<'a>() -> operations::BoxedQuery<'a, SharedBackend> {
    operations::table
        .filter(operations::next_attempt_at.le(now()))
        .filter(operations::lease_expires_at.is_null().or(operations::lease_expires_at.lt(now())))
        .into_boxed()
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
    // What somebody left in the middle comes first. One status at a time is read in the order of the index, however
    // long the queue is.
    for status in [OperationStatus::Running, OperationStatus::RollingBack, OperationStatus::Queued] {
        let waiting: Vec<Operation> = due()
            .filter(operations::status.eq(status))
            .order(operations::next_attempt_at)
            .limit(8)
            .select(Operation::as_select())
            .load(connection)?;
        for operation in waiting {
            let taken = take(connection, &operation, owner, lease)?;
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }
    Ok(None)
}

/// Takes this operation alone, once it is due and nobody works on it.
///
/// # Errors
/// Any database error.
pub fn claim(
    connection: &mut SharedConn,
    id: Id,
    owner: &str,
    lease: Duration,
) -> ModelResult<Option<(Claim, Operation)>> {
    let waiting: Option<Operation> = due()
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::id.eq(id))
        .select(Operation::as_select())
        .first(connection)
        .optional()?;
    waiting.map_or(Ok(None), |operation| take(connection, &operation, owner, lease))
}

/// `None` when somebody else was faster. A claim that a crash of the server forgets was never there: its fence
/// may be given out again, so that the worker's name, which no other has, counts as much.
fn take(
    connection: &mut SharedConn,
    operation: &Operation,
    owner: &str,
    lease: Duration,
) -> ModelResult<Option<(Claim, Operation)>> {
    let claim = Claim { id: operation.id, owner: owner.to_owned(), fence: operation.fence + 1 };
    let status = match operation.status {
        OperationStatus::RollingBack => OperationStatus::RollingBack,
        _ => OperationStatus::Running,
    };
    connection.write_tx(|connection| {
        connection.commit_without_waiting()?;
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
        if taken == 1 { Ok(Some((claim, find(connection, operation.id)?))) } else { Ok(None) }
    })
}

/// The operation, for as long as the claim holds.
#[diesel::dsl::auto_type]
fn claimed<'a>(claim: &'a Claim) -> _ {
    let (id, fence, owner): (Id, i64, &'a str) = (claim.id, claim.fence, &claim.owner);
    operations::table
        .filter(operations::id.eq(id))
        .filter(operations::fence.eq(fence))
        .filter(operations::lease_owner.eq(owner))
}

/// Whether the lease is held and lasts for so long at least. Writes nothing.
///
/// # Errors
/// Any database error.
pub fn holds(connection: &mut SharedConn, claim: &Claim, for_at_least: Duration) -> ModelResult<bool> {
    let held = claimed(claim).filter(operations::lease_expires_at.gt(expiry(for_at_least)));
    Ok(diesel::select(diesel::dsl::exists(held)).get_result(connection)?)
}

/// Makes the lease last from now on again. False when it was lost.
///
/// # Errors
/// Any database error.
pub fn renew(connection: &mut SharedConn, claim: &Claim, lease: Duration) -> ModelResult<bool> {
    let renewed = diesel::update(claimed(claim))
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
    let set = diesel::update(claimed(claim))
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
    /// It stopped at a safe place and will be begun again: that start does not count.
    PutOff,
    /// What it did is taken back.
    Undone,
}

/// Records steps, under the lease. False when it was lost: nothing is recorded then. Where a crash of the server
/// loses the record, the step is done again, as after any other crash.
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
        connection.commit_without_waiting()?;
        if !renew(connection, claim, lease)? {
            return Ok(false);
        }
        crate::crash_point!("operation:recording");
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
        StepChange::PutOff => diesel::update(step)
            .set((s::status.eq(StepStatus::Pending), s::attempts.eq(s::attempts - 1)))
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
    let postponed = diesel::update(claimed(claim))
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

/// Gives the operation back, for another worker to go on with after `wait`. False when the lease was lost.
///
/// # Errors
/// Any database error.
pub fn give_back(connection: &mut SharedConn, claim: &Claim, wait: TimeDelta) -> ModelResult<bool> {
    let given = diesel::update(claimed(claim))
        .set((
            operations::status.eq(OperationStatus::Queued),
            operations::next_attempt_at.eq(now() + wait),
            operations::lease_owner.eq(None::<String>),
            operations::lease_expires_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)?;
    Ok(given == 1)
}

/// Lets an operation that waits go on at once. Wake the workers after.
///
/// # Errors
/// Any database error.
pub fn hurry(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(operations::table.find(id))
        .filter(operations::status.eq(OperationStatus::Queued))
        .set(operations::next_attempt_at.eq(now()))
        .execute(connection)?;
    Ok(())
}

/// Ends the operation. False when the lease was lost: it is not ended then.
///
/// # Errors
/// Any database error.
pub fn finish(connection: &mut SharedConn, claim: &Claim, ending: Ending<'_>) -> ModelResult<bool> {
    let finished = diesel::update(claimed(claim))
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

fn expiry(lease: Duration) -> NaiveDateTime {
    now() + TimeDelta::from_std(lease).unwrap_or(TimeDelta::seconds(30))
}

/// Ends every open operation but set-ups, which look for themselves what is left to do.
///
/// # Errors
/// Any database error.
pub fn give_all_up(connection: &mut SharedConn, why: &str) -> ModelResult<usize> {
    let ended = diesel::update(operations::table)
        .filter(operations::status.eq_any(OPEN))
        .filter(operations::kind.ne(super::Kind::Provision))
        .set((
            operations::status.eq(OperationStatus::Failed),
            operations::error.eq(why),
            operations::finished_at.eq(now()),
            operations::lease_owner.eq(None::<String>),
            operations::fence.eq(operations::fence + 1),
        ))
        .execute(connection)?;
    Ok(ended)
}
