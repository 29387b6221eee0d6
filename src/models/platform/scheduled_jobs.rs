//! When each recurring job is due. The row is what several nodes agree on: who moves it on runs the job.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{now, schema_shared::scheduled_jobs, shared::SharedConn},
    models::{ModelError, ModelResult},
};

/// Enters a job that no node knew yet; it is due for the first time after `every`.
///
/// # Errors
/// Any database error.
pub fn enter(connection: &mut SharedConn, name: &str, every: TimeDelta) -> ModelResult<()> {
    let entered = diesel::insert_into(scheduled_jobs::table)
        .values((scheduled_jobs::name.eq(name), scheduled_jobs::next_run_at.eq(now() + every)))
        .execute(connection)
        .map_err(ModelError::from);
    match entered {
        // Another node was faster.
        Err(error) if error.is_unique_violation() => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Every job that is known, and when it is due.
///
/// # Errors
/// Any database error.
pub fn all(connection: &mut SharedConn) -> ModelResult<Vec<(String, NaiveDateTime)>> {
    Ok(scheduled_jobs::table
        .order(scheduled_jobs::next_run_at)
        .select((scheduled_jobs::name, scheduled_jobs::next_run_at))
        .load(connection)?)
}

/// Takes a job that is due: false when another node was faster. A node that dies with it leaves it undone until it is
/// due again.
///
/// # Errors
/// Any database error.
pub fn take(connection: &mut SharedConn, name: &str, every: TimeDelta) -> ModelResult<bool> {
    let at = now();
    let taken = diesel::update(scheduled_jobs::table.find(name))
        .filter(scheduled_jobs::next_run_at.le(at))
        .set((scheduled_jobs::next_run_at.eq(at + every), scheduled_jobs::last_run_at.eq(at)))
        .execute(connection)?;
    Ok(taken == 1)
}

/// Notes how the last run ended.
///
/// # Errors
/// Any database error.
pub fn ended(connection: &mut SharedConn, name: &str, error: Option<&str>) -> ModelResult<()> {
    diesel::update(scheduled_jobs::table.find(name))
        .set(scheduled_jobs::last_error.eq(error))
        .execute(connection)?;
    Ok(())
}
