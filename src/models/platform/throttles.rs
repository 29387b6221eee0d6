//! Counted failures per account and per address, in the shared database: neither a restart nor a
//! second node forgives.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{now, schema_shared::throttles, shared::SharedConn},
    models::ModelResult,
};

/// How a kind of subject is slowed down.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Failures that cost nothing.
    pub free: i32,
    /// The longest wait, in seconds. Short for accounts: a stranger must not lock their owner out for good.
    pub longest_seconds: i64,
}

/// Sign-in and reset attempts for one account.
pub const ACCOUNT: Rule = Rule { free: 5, longest_seconds: 60 };
/// Attempts from one address, whatever the account.
pub const ADDRESS: Rule = Rule { free: 20, longest_seconds: 15 * 60 };
/// Registrations from one address.
pub const REGISTRATION: Rule = Rule { free: 10, longest_seconds: 60 * 60 };

/// Failures older than this are forgotten.
const MEMORY: TimeDelta = TimeDelta::hours(24);

/// Seconds the subjects still have to wait; 0 when they may try now.
///
/// # Errors
/// Any database error.
pub fn wait_seconds(connection: &mut SharedConn, subjects: &[&str]) -> ModelResult<i64> {
    let until: Option<NaiveDateTime> = throttles::table
        .filter(throttles::subject.eq_any(subjects))
        .select(diesel::dsl::max(throttles::blocked_until))
        .first(connection)?;
    Ok(until.map_or(0, |until| ((until - now()).num_milliseconds() + 999) / 1_000).max(0))
}

/// Counts one more failure; from `rule.free` on each doubles the wait. The database does the adding, so
/// that tries at the same moment are all counted.
///
/// # Errors
/// Any database error; a unique violation when two first tries meet.
pub fn count(connection: &mut SharedConn, subject: &str, rule: Rule) -> ModelResult<()> {
    connection.write_tx(|c| {
        let at = now();
        let remembered = throttles::table.find(subject).filter(throttles::last_failure_at.gt(at - MEMORY));
        let known = diesel::update(remembered)
            .set((throttles::failures.eq(throttles::failures + 1), throttles::last_failure_at.eq(at)))
            .execute(c)?;
        if known == 0 {
            diesel::delete(throttles::table.find(subject)).execute(c)?;
            diesel::insert_into(throttles::table)
                .values((
                    throttles::subject.eq(subject),
                    throttles::failures.eq(1),
                    throttles::last_failure_at.eq(at),
                    throttles::blocked_until.eq(at),
                ))
                .execute(c)?;
        }
        let failures: i32 = throttles::table.find(subject).select(throttles::failures).first(c)?;
        diesel::update(throttles::table.find(subject))
            .set(throttles::blocked_until.eq(at + rule.wait_after(failures)))
            .execute(c)?;
        Ok(())
    })
}

/// Takes one counted try back, because it was none: somebody proved who they are.
///
/// # Errors
/// Any database error.
pub fn take_back(connection: &mut SharedConn, subject: &str) -> ModelResult<()> {
    connection.write_tx(|c| {
        diesel::update(throttles::table.find(subject).filter(throttles::failures.gt(0)))
            .set((throttles::failures.eq(throttles::failures - 1), throttles::blocked_until.eq(now())))
            .execute(c)?;
        Ok(())
    })
}

/// Forgets a subject's failures, after it proved itself.
///
/// # Errors
/// Any database error.
pub fn forgive(connection: &mut SharedConn, subject: &str) -> ModelResult<()> {
    connection.write_tx(|c| {
        diesel::delete(throttles::table.find(subject)).execute(c)?;
        Ok(())
    })
}

/// Removes what nobody counts any more.
///
/// # Errors
/// Any database error.
pub fn sweep(connection: &mut SharedConn) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let old = throttles::last_failure_at.lt(now() - MEMORY);
        Ok(diesel::delete(throttles::table.filter(old)).execute(c)?)
    })
}

impl Rule {
    fn wait_after(self, failures: i32) -> TimeDelta {
        let over = failures - self.free;
        if over < 0 {
            return TimeDelta::zero();
        }
        let doubled = 1_i64.checked_shl(over.unsigned_abs().min(30)).unwrap_or(i64::MAX);
        TimeDelta::seconds(doubled.min(self.longest_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::ACCOUNT;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<i64> =
            [1, 4, 5, 6, 8, 11, 12, 500].map(|n| ACCOUNT.wait_after(n).num_seconds()).into();
        assert_eq!(waits, [0, 0, 1, 2, 8, 60, 60, 60]);
    }
}
