//! Subscriptions: on which terms an institution is here. Its plan and the end of its trial stand in its own row,
//! everything else here; an institution without a row has simply always been active.

mod change;
mod terms;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use super::{institutions::Institution, plans::Plan, sandboxes::Sandbox, tenant_databases::TenantDatabase};
use crate::{
    db::{
        Id, now,
        schema_shared::{
            institutions, plans, sandboxes, subscription_changes, subscriptions, tenant_databases,
        },
        shared::SharedConn,
    },
    models::{ModelResult, platform::institutions::Status},
};

pub use change::{Change, Overrides, change, note_reminder};
pub use terms::{Standing, Terms};

crate::text_enum! {
    /// How a subscription stands.
    SubscriptionStatus {
        /// Tried out, until the trial ends.
        Trial = "trial",
        /// Paid, or nothing to pay.
        Active = "active",
        /// Something is owed; records can be changed while the grace lasts.
        PastDue = "past_due",
        /// Ended by somebody; as above.
        Cancelled = "cancelled",
        /// The grace is over: records can be read and exported.
        Expired = "expired",
    }
}

impl SubscriptionStatus {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Trial => "Trial",
            Self::Active => "Active",
            Self::PastDue => "Past due",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
        }
    }
}

/// The row of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = subscriptions, treat_none_as_null = true, treat_none_as_default_value = false)]
#[diesel(primary_key(institution_id))]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Subscription {
    pub institution_id: Id,
    pub status: SubscriptionStatus,
    pub started_at: NaiveDateTime,
    /// Until when it is paid; none when nothing runs out.
    pub period_ends_at: Option<NaiveDateTime>,
    /// Until when records can be changed although something is owed.
    pub grace_until: Option<NaiveDateTime>,
    /// Instead of what the plan says.
    pub max_users: Option<i64>,
    pub max_students: Option<i64>,
    pub max_storage_bytes: Option<i64>,
    pub limits_reason: Option<String>,
    /// Of the coming end people were told so many days before.
    pub reminded: Option<i32>,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

impl Subscription {
    fn new(institution_id: Id, trial: bool) -> Self {
        let status = if trial { SubscriptionStatus::Trial } else { SubscriptionStatus::Active };
        let at = now();
        Self {
            institution_id,
            status,
            started_at: at,
            period_ends_at: None,
            grace_until: None,
            max_users: None,
            max_students: None,
            max_storage_bytes: None,
            limits_reason: None,
            reminded: None,
            updated_at: at,
            version: 1,
        }
    }
}

/// One change of a subscription.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = subscription_changes)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct SubscriptionChange {
    pub id: Id,
    pub at: NaiveDateTime,
    pub actor_name: String,
    pub field: String,
    pub old_value: Option<String>,
    pub new_value: Option<String>,
    pub reason: String,
}

/// An institution with all that its terms are made of.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the rows themselves")]
pub struct Subscribed {
    pub institution: Institution,
    pub subscription: Subscription,
    pub plan: Option<Plan>,
}

impl Subscribed {
    fn of((institution, subscription, plan): (Institution, Option<Subscription>, Option<Plan>)) -> Self {
        let subscription = subscription
            .unwrap_or_else(|| Subscription::new(institution.id, institution.trial_ends_at.is_some()));
        Self { institution, subscription, plan }
    }

    /// What holds for the institution.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms::of(&self.institution, &self.subscription, self.plan.as_ref())
    }

    /// When what runs now comes to its end: a trial, a paid time, the grace.
    #[must_use]
    pub fn ends_at(&self) -> Option<NaiveDateTime> {
        match self.subscription.status {
            SubscriptionStatus::Trial => self.institution.trial_ends_at,
            SubscriptionStatus::Active => self.subscription.period_ends_at,
            SubscriptionStatus::PastDue | SubscriptionStatus::Cancelled => self.subscription.grace_until,
            SubscriptionStatus::Expired => None,
        }
    }
}

/// What every request of an institution user starts from.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the rows themselves")]
pub struct Entered {
    pub institution: Institution,
    pub database: Option<TenantDatabase>,
    pub terms: Terms,
    pub sandbox: Option<Sandbox>,
}

type EnteredRow = (Institution, Option<TenantDatabase>, Option<Subscription>, Option<Plan>, Option<Sandbox>);

impl From<EnteredRow> for Entered {
    fn from((institution, database, subscription, plan, sandbox): EnteredRow) -> Self {
        let terms = Subscribed::of((institution.clone(), subscription, plan)).terms();
        Self { institution, database, terms, sandbox }
    }
}

macro_rules! entered {
    ($connection:expr, $found:expr) => {{
        let row: EnteredRow = institutions::table
            .left_join(tenant_databases::table)
            .left_join(subscriptions::table)
            .left_join(plans::table.on(plans::key.eq(institutions::plan)))
            .left_join(sandboxes::table.on(sandboxes::institution_id.eq(institutions::id)))
            .filter($found)
            .select((
                Institution::as_select(),
                Option::<TenantDatabase>::as_select(),
                Option::<Subscription>::as_select(),
                Option::<Plan>::as_select(),
                Option::<Sandbox>::as_select(),
            ))
            .first($connection)?;
        row.into()
    }};
}

/// The institution with this domain, its database and its terms, in one query.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn enter_by_domain(connection: &mut SharedConn, domain: &str) -> ModelResult<Entered> {
    Ok(entered!(connection, institutions::domain.eq(domain)))
}

/// As [`enter_by_domain`], by the institution's id.
///
/// # Errors
/// As [`enter_by_domain`].
pub fn enter_by_id(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Entered> {
    Ok(entered!(connection, institutions::id.eq(institution_id)))
}

/// The terms of one institution.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Subscribed> {
    let row = institutions::table
        .left_join(subscriptions::table)
        .left_join(plans::table.on(plans::key.eq(institutions::plan)))
        .filter(institutions::id.eq(institution_id))
        .select((Institution::as_select(), Option::<Subscription>::as_select(), Option::<Plan>::as_select()))
        .first(connection)?;
    Ok(Subscribed::of(row))
}

/// Everybody whose trial, paid time or grace ends before `before`, by id after `last`: what the schedule looks at.
///
/// # Errors
/// Any database error.
pub fn ending(
    connection: &mut SharedConn,
    before: NaiveDateTime,
    last: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<Subscribed>> {
    use SubscriptionStatus::{Active, Cancelled, PastDue, Trial};
    let ending = (subscriptions::status.eq(Trial).and(institutions::trial_ends_at.le(before)))
        .or(subscriptions::status.eq(Active).and(subscriptions::period_ends_at.le(before)))
        .or(subscriptions::status.eq_any([PastDue, Cancelled]).and(subscriptions::grace_until.le(before)));
    let mut query = subscriptions::table
        .inner_join(institutions::table)
        .left_join(plans::table.on(plans::key.eq(institutions::plan)))
        .filter(institutions::status.eq_any([Status::Active, Status::Suspended]))
        .filter(ending)
        .into_boxed();
    if let Some(last) = last {
        query = query.filter(institutions::id.gt(last));
    }
    let rows: Vec<(Institution, Subscription, Option<Plan>)> = query
        .order(institutions::id)
        .limit(limit)
        .select((Institution::as_select(), Subscription::as_select(), Option::<Plan>::as_select()))
        .load(connection)?;
    Ok(rows
        .into_iter()
        .map(|(institution, subscription, plan)| Subscribed { institution, subscription, plan })
        .collect())
}

/// The history of a subscription, newest first.
///
/// # Errors
/// Any database error.
pub fn changes(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Vec<SubscriptionChange>> {
    Ok(subscription_changes::table
        .filter(subscription_changes::institution_id.eq(institution_id))
        .order(subscription_changes::id.desc())
        .limit(100)
        .select(SubscriptionChange::as_select())
        .load(connection)?)
}

/// Begins the subscription of an institution that registers, or that registers again.
///
/// # Errors
/// Any database error.
pub fn begin(connection: &mut SharedConn, institution_id: Id, trial: bool) -> ModelResult<()> {
    diesel::delete(subscriptions::table.find(institution_id)).execute(connection)?;
    diesel::insert_into(subscriptions::table)
        .values(Subscription::new(institution_id, trial))
        .execute(connection)?;
    Ok(())
}

/// So many days as a span.
#[must_use]
pub fn days(count: i64) -> TimeDelta {
    TimeDelta::try_days(count).unwrap_or(TimeDelta::MAX)
}
