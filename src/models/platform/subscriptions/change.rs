//! Every change of a subscription goes through here: rules, both rows, history and audit in one transaction.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{Subscribed, Subscription, SubscriptionStatus, find};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, subscription_changes, subscriptions},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{ago, audit::Audit, plans, sandboxes},
    },
};

/// Limits that were agreed instead of the plan's; none means the plan's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what is limited")]
pub struct Overrides {
    pub users: Option<i64>,
    pub students: Option<i64>,
    pub storage_bytes: Option<i64>,
}

/// What becomes of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another plan, another end of the trial, other limits.
    Terms {
        /// Its key.
        plan: String,
        /// None for no trial.
        trial_ends_at: Option<NaiveDateTime>,
        /// Instead of the plan's.
        limits: Overrides,
    },
    /// Paid until then; none when nothing runs out.
    Paid(Option<NaiveDateTime>),
    /// Something is owed, and records can be changed until then.
    PastDue(NaiveDateTime),
    /// Ended, and records can be changed until then.
    Cancelled(NaiveDateTime),
    /// The grace is over.
    Expired,
}

impl Change {
    const fn action(&self) -> &'static str {
        match self {
            Self::Terms { .. } => "subscription.changed",
            Self::Paid(_) => "subscription.paid",
            Self::PastDue(_) => "subscription.past_due",
            Self::Cancelled(_) => "subscription.cancelled",
            Self::Expired => "subscription.expired",
        }
    }
}

/// Changes the subscription that was read as `version`; nothing is written when nothing differs.
///
/// # Errors
/// `Changed` when somebody else saved first or it stands so already; `Refused` without a reason, or for a plan that
/// is not on offer; `NotFound`; any database error.
pub fn change(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    version: i64,
    change: &Change,
    reason: &str,
) -> ModelResult<Subscribed> {
    if reason.trim().is_empty() {
        return Err(ModelError::Refused("Say why; it is kept in the history.".into()));
    }
    connection.write_tx(|connection| {
        let before = find(connection, institution_id)?;
        if before.subscription.version != version {
            let sentence =
                format!("Somebody else changed this subscription {}.", ago(before.subscription.updated_at));
            return Err(ModelError::Changed(sentence));
        }
        let limits_only = matches!(change, Change::Terms { trial_ends_at: None, .. });
        if !limits_only && sandboxes::is_one(connection, institution_id)? {
            return Err(ModelError::Refused("There is nothing to pay for a sandbox.".into()));
        }
        let mut after = before.clone();
        apply(connection, &mut after, change, reason)?;
        let differences = differences(&before, &after);
        if differences.is_empty() {
            return Ok(before);
        }
        write(connection, &before, &mut after)?;
        for (field, old, new) in &differences {
            note(connection, audit, institution_id, (field, old.as_deref(), new.as_deref()), reason)?;
        }
        let changed: Vec<_> = differences
            .iter()
            .map(|(field, old, new)| json!({ "field": field, "from": old, "to": new }))
            .collect();
        let detail = json!({ "changes": changed, "reason": reason });
        audit.record(connection, change.action(), &after.institution.subject(), &detail)?;
        find(connection, institution_id)
    })
}

fn apply(connection: &mut SharedConn, to: &mut Subscribed, change: &Change, reason: &str) -> ModelResult<()> {
    use SubscriptionStatus::{Active, Cancelled, Expired, PastDue, Trial};
    let subscription = &mut to.subscription;
    match change {
        Change::Terms { plan, trial_ends_at, limits } => {
            if *plan != to.institution.plan {
                let wanted = plans::find(connection, plan).map_err(|error| {
                    if error.is_not_found() {
                        ModelError::Refused(format!("There is no plan with the key {plan}."))
                    } else {
                        error
                    }
                })?;
                if wanted.archived_at.is_some() {
                    return Err(ModelError::Refused(format!(
                        "The plan {} is no longer on offer.",
                        wanted.name
                    )));
                }
                to.institution.plan.clone_from(plan);
            }
            if *trial_ends_at != to.institution.trial_ends_at {
                to.institution.trial_ends_at = *trial_ends_at;
                match trial_ends_at {
                    Some(_) => (subscription.status, subscription.grace_until) = (Trial, None),
                    None if subscription.status == Trial => subscription.status = Active,
                    None => {}
                }
            }
            let own = (subscription.max_users, subscription.max_students, subscription.max_storage_bytes);
            let wanted = (limits.users, limits.students, limits.storage_bytes);
            if own != wanted {
                (subscription.max_users, subscription.max_students, subscription.max_storage_bytes) = wanted;
                subscription.limits_reason =
                    (*limits != Overrides::default()).then(|| reason.trim().to_owned());
            }
        }
        Change::Paid(until) => {
            (subscription.status, subscription.period_ends_at) = (Active, *until);
            (subscription.grace_until, to.institution.trial_ends_at) = (None, None);
        }
        Change::PastDue(until) => {
            not_again(subscription, PastDue)?;
            (subscription.status, subscription.grace_until) = (PastDue, Some(*until));
        }
        Change::Cancelled(until) => {
            not_again(subscription, Cancelled)?;
            (subscription.status, subscription.grace_until) = (Cancelled, Some(*until));
        }
        Change::Expired => {
            not_again(subscription, Expired)?;
            subscription.status = Expired;
        }
    }
    Ok(())
}

fn not_again(subscription: &Subscription, wanted: SubscriptionStatus) -> ModelResult<()> {
    if subscription.status == wanted {
        let word = wanted.label().to_lowercase();
        return Err(ModelError::Changed(format!("The subscription is {word} already.")));
    }
    Ok(())
}

type Difference = (&'static str, Option<String>, Option<String>);

fn differences(before: &Subscribed, after: &Subscribed) -> Vec<Difference> {
    let values = |known: &Subscribed| {
        let moment = |at: Option<NaiveDateTime>| at.map(|at| at.format("%Y-%m-%d %H:%M").to_string());
        let number = |n: Option<i64>| n.map(|n| n.to_string());
        let subscription = &known.subscription;
        [
            ("plan", Some(known.institution.plan.clone())),
            ("status", Some(subscription.status.to_string())),
            ("trial_ends_at", moment(known.institution.trial_ends_at)),
            ("period_ends_at", moment(subscription.period_ends_at)),
            ("grace_until", moment(subscription.grace_until)),
            ("max_users", number(subscription.max_users)),
            ("max_students", number(subscription.max_students)),
            ("max_storage_bytes", number(subscription.max_storage_bytes)),
        ]
    };
    let pairs = values(before).into_iter().zip(values(after));
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((field, old), (_, new))| (field, old, new))
        .collect()
}

fn write(connection: &mut SharedConn, before: &Subscribed, after: &mut Subscribed) -> ModelResult<()> {
    let (id, at) = (after.institution.id, now());
    after.subscription.updated_at = at;
    if before.ends_at() != after.ends_at() {
        after.subscription.reminded = None;
    }
    after.subscription.version = before.subscription.version + 1;
    let saved = diesel::update(subscriptions::table.find(id))
        .filter(subscriptions::version.eq(before.subscription.version))
        .set(&after.subscription)
        .execute(connection)?;
    if saved == 0 {
        // Who never had a row gets one; who has one was changed meanwhile, and the key says so.
        diesel::insert_into(subscriptions::table)
            .values(&after.subscription)
            .execute(connection)
            .map_err(ModelError::from)
            .map_err(|error| {
                if error.is_unique_violation() {
                    ModelError::Changed("Somebody else changed this subscription just now.".into())
                } else {
                    error
                }
            })?;
    }
    diesel::update(institutions::table.find(id))
        .set((
            institutions::plan.eq(&after.institution.plan),
            institutions::trial_ends_at.eq(after.institution.trial_ends_at),
            institutions::updated_at.eq(at),
        ))
        .execute(connection)?;
    Ok(())
}

fn note(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    (field, old, new): (&str, Option<&str>, Option<&str>),
    reason: &str,
) -> ModelResult<()> {
    diesel::insert_into(subscription_changes::table)
        .values((
            subscription_changes::id.eq(Id::new()),
            subscription_changes::institution_id.eq(institution_id),
            subscription_changes::at.eq(now()),
            subscription_changes::actor_id.eq(audit.actor.id),
            subscription_changes::actor_name.eq(&audit.actor.name),
            subscription_changes::field.eq(field),
            subscription_changes::old_value.eq(old),
            subscription_changes::new_value.eq(new),
            subscription_changes::reason.eq(reason.trim()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Notes that people were told of the coming end so many days before; false when another node was faster.
///
/// # Errors
/// Any database error.
pub fn note_reminder(connection: &mut SharedConn, known: &Subscription, days: i32) -> ModelResult<bool> {
    let open = subscriptions::reminded.is_null().or(subscriptions::reminded.gt(days));
    let noted = diesel::update(subscriptions::table.find(known.institution_id))
        .filter(subscriptions::version.eq(known.version))
        .filter(open)
        .set(subscriptions::reminded.eq(days))
        .execute(connection)?;
    Ok(noted == 1)
}
