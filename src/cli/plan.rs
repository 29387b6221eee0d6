//! `provost plan` and `provost institution plan`: what institutions subscribe to, and on which terms one is here.

mod define;

use chrono::{NaiveDate, NaiveTime};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Outcome, institution, open_existing,
    output::{print_json, print_line, print_table, sentence},
};
use crate::{
    config::Config,
    db::now,
    models::{
        Actor, Paging,
        platform::{
            plans::{self, PlanFilter, PlanRow},
            subscriptions::{self, Change, Overrides, Subscribed},
        },
    },
    services::{platform::Platform, subscriptions as terms},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the plans, their prices and limits
    #[command(after_help = "Example:\n  provost plan list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one plan: prices, limits, features
    Show {
        /// Its key, as provost plan list prints it
        key: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a plan
    #[command(after_help = define::EXAMPLES)]
    Create {
        /// Its key, for scripts; it stays
        key: String,
        #[command(flatten)]
        entered: define::Entered,
    },
    /// Change a plan; what is left out stays as it is
    #[command(after_help = define::EXAMPLES)]
    Change {
        /// Its key, as provost plan list prints it
        key: String,
        #[command(flatten)]
        entered: define::Entered,
    },
    /// Take a plan off the offer; institutions that are on it stay on it
    Archive {
        /// Its key, as provost plan list prints it
        key: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put an archived plan on offer again
    Restore {
        /// Its key, as provost plan list prints it
        key: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> Outcome {
    let platform = open_existing(config)?;
    match command {
        Command::List { json } => list(&platform, *json),
        Command::Show { key, json } => define::show(&platform, key, *json),
        Command::Create { key, entered } => define::create(&platform, key, entered),
        Command::Change { key, entered } => define::change(&platform, key, entered),
        Command::Archive { key, json } => define::set_archived(&platform, key, true, *json),
        Command::Restore { key, json } => define::set_archived(&platform, key, false, *json),
    }
}

#[derive(Serialize)]
struct Listed {
    key: String,
    name: String,
    price_month: i64,
    price_year: i64,
    currency: String,
    users: Option<i64>,
    students: Option<i64>,
    storage_bytes: Option<i64>,
    features: Vec<String>,
    institutions: i64,
    archived: bool,
}

impl From<PlanRow> for Listed {
    fn from((plan, institutions): PlanRow) -> Self {
        Self {
            key: plan.key,
            name: plan.name,
            price_month: plan.price_month,
            price_year: plan.price_year,
            currency: plan.currency,
            users: plan.max_users,
            students: plan.max_students,
            storage_bytes: plan.max_storage_bytes,
            features: plan.features.split_whitespace().map(str::to_owned).collect(),
            institutions,
            archived: plan.archived_at.is_some(),
        }
    }
}

fn list(platform: &Platform, json: bool) -> Outcome {
    let all = Paging { sort: "position".into(), descending: false, limit: 1_000, offset: 0 };
    let mut connection = platform.shared.get().map_err(sentence)?;
    let rows = plans::page(&mut connection, &PlanFilter::default(), &all).map_err(sentence)?.rows;
    if json {
        return print_json(&rows.into_iter().map(Listed::from).collect::<Vec<_>>());
    }
    let number = |n: Option<i64>| n.map_or_else(|| "no limit".into(), |n| n.to_string());
    let cells = |(plan, institutions): &PlanRow| {
        [
            plan.key.clone(),
            number(plan.max_users),
            number(plan.max_students),
            institutions.to_string(),
            plan.name.clone(),
        ]
    };
    let heading = ["PLAN", "USERS", "STUDENTS", "INSTITUTIONS", "NAME"];
    print_table(heading, &rows.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

/// What `provost institution plan` is asked for; nothing, and it only shows.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Its domain, such as ada.edu
    domain: String,
    /// The key of another plan, as provost plan list prints it
    #[arg(long, value_name = "PLAN")]
    set: Option<String>,
    /// The trial lasts to the end of this day (UTC)
    #[arg(long, value_name = "YYYY-MM-DD")]
    trial_until: Option<NaiveDate>,
    /// Limit of users, instead of the plan's
    #[arg(long, value_name = "COUNT")]
    users: Option<i64>,
    /// Limit of students, instead of the plan's
    #[arg(long, value_name = "COUNT")]
    students: Option<i64>,
    /// The limits of the plan again
    #[arg(long, conflicts_with_all = ["users", "students"])]
    plan_limits: bool,
    /// Paid to the end of this day (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["set", "trial_until", "users", "students", "plan_limits"])]
    paid_until: Option<NaiveDate>,
    /// Something is owed: a banner, and after the grace records are read-only
    #[arg(long, conflicts_with_all = ["set", "trial_until", "users", "students", "plan_limits", "paid_until"])]
    past_due: bool,
    /// Cancel the subscription
    #[arg(long, conflicts_with_all = ["set", "trial_until", "users", "students", "plan_limits", "paid_until", "past_due"])]
    cancel: bool,
    /// Why; kept in the history
    #[arg(long, value_name = "TEXT", default_value = "Changed at the command line.")]
    reason: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Wanted {
    fn changes_terms(&self) -> bool {
        self.set.is_some()
            || self.trial_until.is_some()
            || self.users.is_some()
            || self.students.is_some()
            || self.plan_limits
    }
}

#[derive(Serialize)]
struct Shown {
    domain: String,
    plan: String,
    status: subscriptions::SubscriptionStatus,
    trial_ends_at: Option<chrono::NaiveDateTime>,
    period_ends_at: Option<chrono::NaiveDateTime>,
    grace_until: Option<chrono::NaiveDateTime>,
    users: Option<i64>,
    students: Option<i64>,
    storage_bytes: Option<i64>,
}

pub(super) fn institution_plan(platform: &Platform, wanted: &Wanted) -> Outcome {
    let mut connection = platform.shared.get().map_err(sentence)?;
    let institution = institution::find(&mut connection, &wanted.domain)?;
    let mut known = subscriptions::find(&mut connection, institution.id).map_err(sentence)?;
    let audit = platform.audit(Actor::command_line());
    let end_of = |day: NaiveDate| day.and_time(NaiveTime::from_hms_opt(23, 59, 0).unwrap_or_default());
    let change = if wanted.changes_terms() {
        let own = &known.subscription;
        let kept = |asked: Option<i64>, own: Option<i64>| asked.or(own.filter(|_| !wanted.plan_limits));
        Some(Change::Terms {
            plan: wanted.set.clone().unwrap_or_else(|| known.institution.plan.clone()),
            trial_ends_at: wanted.trial_until.map(end_of).or(known.institution.trial_ends_at),
            limits: Overrides {
                users: kept(wanted.users, own.max_users),
                students: kept(wanted.students, own.max_students),
                storage_bytes: kept(None, own.max_storage_bytes),
            },
        })
    } else {
        wanted.paid_until.map(|day| Change::Paid(Some(end_of(day))))
    };
    if let Some(change) = change {
        let version = known.subscription.version;
        known =
            subscriptions::change(&mut connection, &audit, institution.id, version, &change, &wanted.reason)
                .map_err(sentence)?;
    } else if wanted.past_due {
        known = terms::past_due(&mut connection, platform, &audit, &known, now(), &wanted.reason)
            .map_err(sentence)?;
    } else if wanted.cancel {
        known = terms::cancel(&mut connection, platform, &audit, &known, &wanted.reason).map_err(sentence)?;
    }
    shown(known, wanted.json)
}

fn shown(known: Subscribed, json: bool) -> Outcome {
    let limits = known.terms().limits;
    let shown = Shown {
        domain: known.institution.domain,
        plan: known.institution.plan,
        status: known.subscription.status,
        trial_ends_at: known.institution.trial_ends_at,
        period_ends_at: known.subscription.period_ends_at,
        grace_until: known.subscription.grace_until,
        users: limits.users,
        students: limits.students,
        storage_bytes: limits.storage_bytes,
    };
    if json {
        return print_json(&shown);
    }
    let line = |name: &str, value: String| print_line(&format!("{name:<14}{value}"));
    let number = |n: Option<i64>| n.map_or_else(|| "no limit".into(), |n| n.to_string());
    line("Plan", limits.plan);
    line("Status", shown.status.label().to_owned());
    for (name, at) in [
        ("Trial ends", shown.trial_ends_at),
        ("Paid until", shown.period_ends_at),
        ("Grace until", shown.grace_until),
    ] {
        if let Some(at) = at {
            line(name, format!("{} UTC", at.format("%Y-%m-%d %H:%M")));
        }
    }
    line("Users", number(shown.users));
    line("Students", number(shown.students));
    Ok(())
}
