//! Counted failures per account and per address, in the shared database: neither a restart nor a
//! second node forgives.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::{
    prelude::*,
    sql_types::{Text, Timestamp},
};

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

/// Counts a try of each subject, unless one of them has to wait; the seconds to wait, 0 when it may be made.
///
/// Name the subjects in one order everywhere (the account before the address), or two callers could wait for each
/// other.
///
/// # Errors
/// Any database error.
pub fn enter(connection: &mut SharedConn, subjects: &[(&str, Rule)]) -> ModelResult<i64> {
    connection.write_tx(|c| {
        let wait = wait_seconds(c, subjects)?;
        if wait > 0 {
            return Ok(wait);
        }
        for (subject, rule) in subjects {
            if !count(c, subject, *rule)? {
                return Ok(wait_seconds(c, subjects)?.max(1));
            }
        }
        Ok(0)
    })
}

fn wait_seconds(connection: &mut SharedConn, subjects: &[(&str, Rule)]) -> ModelResult<i64> {
    let until: Option<NaiveDateTime> = throttles::table
        .filter(throttles::subject.eq_any(subjects.iter().map(|(subject, _)| *subject)))
        .select(diesel::dsl::max(throttles::blocked_until))
        .first(connection)?;
    Ok(until.map_or(0, |until| ((until - now()).num_milliseconds() + 999) / 1_000).max(0))
}

/// Counts one more try; from `rule.free` on each doubles the wait. False when the subject has to wait.
///
/// One statement looks, and adds or inserts, so that tries at the same moment follow one another: the first ones
/// do not clash, and none slips in between another's look and its count.
fn count(connection: &mut SharedConn, subject: &str, rule: Rule) -> ModelResult<bool> {
    let at = now();
    let counted = diesel::sql_query(
        "INSERT INTO throttles (subject, failures, last_failure_at, blocked_until) VALUES ($1, 1, $2, $3) \
         ON CONFLICT (subject) DO UPDATE SET \
         failures = CASE WHEN throttles.last_failure_at > $4 THEN throttles.failures + 1 ELSE 1 END, \
         last_failure_at = excluded.last_failure_at WHERE throttles.blocked_until <= excluded.last_failure_at",
    )
    .bind::<Text, _>(subject)
    .bind::<Timestamp, _>(at)
    .bind::<Timestamp, _>(long_ago(at))
    .bind::<Timestamp, _>(at - MEMORY)
    .execute(connection)?;
    if counted == 0 {
        return Ok(false);
    }
    let failures: i32 = throttles::table.find(subject).select(throttles::failures).first(connection)?;
    diesel::update(throttles::table.find(subject))
        .set(throttles::blocked_until.eq(match rule.wait_after(failures) {
            wait if wait.is_zero() => long_ago(at),
            wait => at + wait,
        }))
        .execute(connection)?;
    Ok(true)
}

/// When a subject that need not wait was blocked. Not this moment: a clock that is a little behind would wait for it.
fn long_ago(at: NaiveDateTime) -> NaiveDateTime {
    at - MEMORY
}

/// Takes one counted try back, because it was none: somebody proved who they are.
///
/// # Errors
/// Any database error.
pub fn take_back(connection: &mut SharedConn, subject: &str) -> ModelResult<()> {
    connection.write_tx(|c| {
        diesel::update(throttles::table.find(subject).filter(throttles::failures.gt(0)))
            .set((
                throttles::failures.eq(throttles::failures - 1),
                throttles::blocked_until.eq(long_ago(now())),
            ))
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
