//! What holds for an institution now: how much it may hold, and whether its records can be changed.

use chrono::NaiveDateTime;

use super::{Subscription, SubscriptionStatus};
use crate::models::{
    Limits,
    platform::{institutions::Institution, plans::Plan},
};

/// The terms of an institution, as every request carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How much it may hold: the plan's limits, or what was agreed instead.
    pub limits: Limits,
    /// Keys of what the plan includes.
    pub features: Vec<String>,
    /// How the subscription stands.
    pub status: SubscriptionStatus,
    trial_ends_at: Option<NaiveDateTime>,
    grace_until: Option<NaiveDateTime>,
}

/// What follows from the terms at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything works.
    Good,
    /// Everything works until the trial ends.
    Trial(NaiveDateTime),
    /// Something is owed; everything still works until then.
    Grace(NaiveDateTime),
    /// Records can be read and exported, and not changed.
    ReadOnly,
}

impl Terms {
    pub(super) fn of(institution: &Institution, subscription: &Subscription, plan: Option<&Plan>) -> Self {
        let limit = |own: Option<i64>, plans: fn(&Plan) -> Option<i64>| own.or_else(|| plan.and_then(plans));
        Self {
            limits: Limits {
                plan: plan.map_or_else(|| institution.plan.clone(), |plan| plan.name.clone()),
                users: limit(subscription.max_users, |plan| plan.max_users),
                students: limit(subscription.max_students, |plan| plan.max_students),
                storage_bytes: limit(subscription.max_storage_bytes, |plan| plan.max_storage_bytes),
            },
            features: plan
                .map(|plan| plan.features.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            status: subscription.status,
            trial_ends_at: institution.trial_ends_at,
            grace_until: subscription.grace_until,
        }
    }

    /// How the institution stands at `at`. Nothing changes at once: between what is owed and reading only lies
    /// the grace, whether or not the schedule has been by.
    #[must_use]
    pub fn standing(&self, at: NaiveDateTime) -> Standing {
        match self.status {
            SubscriptionStatus::Active => Standing::Good,
            SubscriptionStatus::Trial => self.trial_ends_at.map_or(Standing::Good, Standing::Trial),
            SubscriptionStatus::PastDue | SubscriptionStatus::Cancelled => match self.grace_until {
                Some(until) if until > at => Standing::Grace(until),
                _ => Standing::ReadOnly,
            },
            SubscriptionStatus::Expired => Standing::ReadOnly,
        }
    }

    /// Whether a trial is what came to its end.
    #[must_use]
    pub const fn was_trial(&self) -> bool {
        self.trial_ends_at.is_some()
    }
}
