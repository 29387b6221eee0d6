//! What time does to subscriptions: owners are told before something ends, then it is past due, and only after the
//! grace records can be read and no longer changed.

use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};

use super::{decisions, platform::Platform};
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        platform::{
            audit::Audit,
            notifications::{self, Topic},
            registrations::{self, Registered},
            subscriptions::{self, Change, Subscribed, SubscriptionStatus, days},
        },
    },
};

/// Days before an end at which owners are told, the earliest first.
const REMINDERS: [i32; 2] = [7, 1];
/// Rows looked at in one go.
const CHUNK: i64 = 200;

/// What one run of the schedule did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what happened")]
pub struct Swept {
    pub reminded: usize,
    pub past_due: usize,
    pub expired: usize,
}

/// The scheduled job.
pub(super) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    let swept = sweep(platform, now()).map_err(|error| error.to_string())?;
    if swept != Swept::default() {
        log::info!("subscriptions: {swept:?}");
    }
    Ok(())
}

/// Looks at everything that ends soon or has ended at `at`, and does what is due. Done twice, it does nothing more.
///
/// # Errors
/// Any database error; what was done until then stays.
pub fn sweep(platform: &Platform, at: NaiveDateTime) -> ModelResult<Swept> {
    let mut swept = Swept::default();
    let mut last = None;
    loop {
        let mut connection = platform.shared.get()?;
        let chunk = subscriptions::ending(&mut connection, at + days(REMINDERS[0].into()), last, CHUNK)?;
        let Some(end) = chunk.last() else { return Ok(swept) };
        last = Some(end.institution.id);
        for known in &chunk {
            match attend(&mut connection, platform, known, at) {
                // Somebody changed it at this very moment; the next run looks again.
                Err(ModelError::Changed(_)) => {}
                outcome => match outcome? {
                    Some(Done::Reminded) => swept.reminded += 1,
                    Some(Done::PastDue) => swept.past_due += 1,
                    Some(Done::Expired) => swept.expired += 1,
                    None => {}
                },
            }
        }
    }
}

enum Done {
    Reminded,
    PastDue,
    Expired,
}

fn attend(
    connection: &mut SharedConn,
    platform: &Platform,
    known: &Subscribed,
    at: NaiveDateTime,
) -> ModelResult<Option<Done>> {
    let Some(end) = known.ends_at() else { return Ok(None) };
    if end > at {
        return remind(connection, platform, known, end - at);
    }
    let audit = platform.audit(Actor::system());
    match known.subscription.status {
        SubscriptionStatus::Trial | SubscriptionStatus::Active => {
            // Counted from now on: whoever was not told in time still has all of it.
            let reason = match known.subscription.status {
                SubscriptionStatus::Trial => "The trial has ended.",
                _ => "The paid time has ended.",
            };
            past_due(connection, platform, &audit, known, at, reason)?;
            connection.write_tx(|c| {
                tell_admins(c, known, &format!("{} is past due. {reason}", known.institution.name))
            })?;
            Ok(Some(Done::PastDue))
        }
        _ => {
            let owners = decisions::active_owners(connection, platform, known.institution.id);
            connection.write_tx(|c| {
                let id = known.institution.id;
                let version = known.subscription.version;
                subscriptions::change(c, &audit, id, version, &Change::Expired, "The grace has ended.")?;
                let (told, link) = (about(c, known)?, platform.link("/sign-in"));
                decisions::tell_owners(c, platform, &told, &owners, |to, name| {
                    platform.mail_texts.read_only_now(to, name, &link)
                })
            })?;
            Ok(Some(Done::Expired))
        }
    }
}

fn remind(
    connection: &mut SharedConn,
    platform: &Platform,
    known: &Subscribed,
    left: TimeDelta,
) -> ModelResult<Option<Done>> {
    let due = REMINDERS.iter().copied().filter(|limit| left <= days(i64::from(*limit))).min();
    let told = known.subscription.reminded;
    let Some(due) = due.filter(|due| told.is_none_or(|told| told > *due)) else { return Ok(None) };
    let what = match known.subscription.status {
        SubscriptionStatus::Trial => "trial",
        SubscriptionStatus::Active => "paid time",
        // Who is in their grace was told of its end when it began.
        _ => return Ok(None),
    };
    let owners = decisions::active_owners(connection, platform, known.institution.id);
    connection.write_tx(|c| {
        if !subscriptions::note_reminder(c, &known.subscription, due)? {
            return Ok(None);
        }
        let (told, link) = (about(c, known)?, platform.link("/sign-in"));
        decisions::tell_owners(c, platform, &told, &owners, |to, name| {
            platform.mail_texts.ends_soon(to, name, what, left.num_days().max(1), &link)
        })?;
        let text = format!("The {what} of {} ends soon.", known.institution.name);
        tell_admins(c, known, &text)?;
        Ok(Some(Done::Reminded))
    })
}

/// Marks a subscription as past due, with the grace that was set; its owners are told until when they can go on.
///
/// # Errors
/// As [`subscriptions::change`].
pub fn past_due(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    known: &Subscribed,
    at: NaiveDateTime,
    reason: &str,
) -> ModelResult<Subscribed> {
    let until = at + grace(platform);
    end(connection, platform, audit, known, &Change::PastDue(until), until, reason)
}

/// Cancels a subscription: what is paid for stays, and then the grace.
///
/// # Errors
/// As [`subscriptions::change`].
pub fn cancel(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    known: &Subscribed,
    reason: &str,
) -> ModelResult<Subscribed> {
    let paid = known.subscription.period_ends_at.unwrap_or_else(now).max(now());
    let until = paid + grace(platform);
    end(connection, platform, audit, known, &Change::Cancelled(until), until, reason)
}

fn end(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    known: &Subscribed,
    change: &Change,
    until: NaiveDateTime,
    reason: &str,
) -> ModelResult<Subscribed> {
    let owners = decisions::active_owners(connection, platform, known.institution.id);
    connection.write_tx(|c| {
        let id = known.institution.id;
        let now = subscriptions::change(c, audit, id, known.subscription.version, change, reason)?;
        let told = about(c, known)?;
        let (link, until) = (platform.link("/sign-in"), until.format("%-d %B %Y").to_string());
        decisions::tell_owners(c, platform, &told, &owners, |to, name| {
            platform.mail_texts.grace_begins(to, name, reason, &until, &link)
        })?;
        Ok(now)
    })
}

fn tell_admins(connection: &mut SharedConn, known: &Subscribed, text: &str) -> ModelResult<()> {
    let href = format!("/platform/institutions/{}/subscription", known.institution.domain);
    notifications::tell_admins(connection, Topic::Subscription, text, &href)
}

/// How long records can still be changed when something is owed.
fn grace(platform: &Platform) -> TimeDelta {
    TimeDelta::from_std(platform.settings.limits.grace).unwrap_or(TimeDelta::MAX)
}

fn about(connection: &mut SharedConn, known: &Subscribed) -> ModelResult<Registered> {
    let id: Id = known.institution.id;
    let registration = registrations::latest_of(connection, id)?;
    Ok(Registered { registration, institution: known.institution.clone() })
}
