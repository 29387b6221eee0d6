//! `/platform`: what waits, how things stand, what happened.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;
use chrono::{NaiveDate, TimeDelta};

use super::{
    alerts::firing_list, audit::action_label, databases, figures, institutions::PATH as INSTITUTIONS,
};
use crate::{
    db::{Id, now, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult, Paging,
        platform::{
            alerts::{self, Alert},
            audit,
            institutions::{self, Status},
            operations::{self, Operation, OperationFilter, OperationStatus},
            registrations::{self, RegistrationFilter, RegistrationRow, Stand},
            tenant_databases,
            tenant_figures::{self, Standout, Which},
            usage::{self, Period, Usage},
        },
    },
    web::{
        State,
        auth::AnyAdmin,
        badge::Tone,
        cell::Cell,
        chart::Chart,
        icons::Icon,
        list::{Column, ListSpec, ListView, Row},
        page::{Action, Page},
        record::{Entry, Timeline},
        respond::html,
        stat::Stat,
        time::Clock,
        words::Noun,
    },
};

#[derive(Template)]
#[template(path = "platform/home.html")]
struct HomeView {
    page: Page,
    stats: Vec<Stat>,
    alerts: Option<ListView>,
    charts: Vec<Chart>,
    noisy: ListView,
    waiting: ListView,
    /// Where all of them are, when there are more than shown.
    all_waiting: Option<Action>,
    /// What runs, and what has failed.
    operations: ListView,
    /// For those who may read who did what.
    activity: Option<Timeline>,
}

const COLUMNS: &[Column] = &[
    Column::new("name", "Institution"),
    Column::new("country", "Country"),
    Column::new("submitted", "Submitted"),
];
/// Rows shown of each kind.
const SHOWN: i64 = 8;
/// Operations shown that run, and as many that have failed.
const OPERATIONS: i64 = 5;
/// Entries of the audit log among which those by people are looked for.
const ENTRIES_SEEN: i64 = 2_000;
/// Institutions shown that ask for most.
const NOISIEST: i64 = 10;

struct Now {
    counts: HashMap<Status, i64>,
    failed: i64,
    running: i64,
    alerts: Vec<Alert>,
    usage: Vec<Usage>,
    registered: HashMap<NaiveDate, i64>,
    noisy: Vec<Standout>,
    names: HashMap<Id, String>,
    waiting: Vec<RegistrationRow>,
    operations: Vec<Operation>,
    activity: Vec<audit::AuditEntry>,
}

/// `GET /platform`: every admin.
pub async fn show(platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let now = platform.shared.run(look).await?;
    let clock = Clock::utc();
    let count = |status| now.counts.get(&status).copied().unwrap_or_default();
    let waiting_count = count(Status::PendingApproval);
    let stats = stats(count, now.failed, now.running);
    let alerts = (!now.alerts.is_empty()).then(|| firing_list(&admin, &clock, now.alerts));
    let charts = vec![
        figures::requests_chart(&now.usage),
        figures::registrations_chart(&now.registered),
        figures::size_chart(&now.usage),
    ];
    let (pools, sessions) = (platform.tenants.statistics(), databases::sessions(&platform).await?);
    let names = now.names;
    let noisy = figures::noisy_list(now.noisy, |one| {
        let database = names.get(&one.institution_id).map_or("", String::as_str);
        databases::connections(&pools, &sessions, one.institution_id, database)
    });
    let rows = now.waiting.into_iter().map(|row| {
        Row::new(row.id, format!("/platform/registrations/{}", row.id))
            .cell(Cell::text(row.name).note(row.domain))
            .cell(super::country_name(&row.country))
            .cell(Cell::time(&clock, row.submitted_at))
    });
    let spec = ListSpec::new("/platform/registrations", Noun::new("registration", "registrations"), COLUMNS)
        .empty("Nothing waits for you", "New registrations appear here.", None);
    let entries = now.activity.into_iter().map(|entry| {
        Entry::new(clock.when(entry.at), entry.actor_name, lower(&action_label(&entry.action)))
            .detail(entry.subject_label)
    });
    let view = HomeView {
        page: admin.page("Overview"),
        stats,
        alerts,
        charts,
        noisy,
        waiting: ListView::plain(spec, rows.collect()).region("waiting"),
        all_waiting: (waiting_count > SHOWN)
            .then(|| Action::link("See all that wait", "/platform/registrations?status=waiting")),
        operations: super::operations::side_list(now.operations),
        activity: admin.is_auditor().then(|| Timeline {
            entries: entries.collect(),
            more: Some(Action::link("Audit log", "/platform/audit").icon(Icon::Activity)),
        }),
    };
    Ok(html(&view)?)
}

fn look(c: &mut SharedConn) -> ModelResult<Now> {
    let oldest = Paging { sort: "submitted".into(), descending: false, limit: SHOWN, offset: 0 };
    let waiting = RegistrationFilter { status: Some(Stand::Waiting), ..RegistrationFilter::default() };
    let noisy = tenant_figures::standouts(c, Which::Noisiest, NOISIEST)?;
    let ids: Vec<Id> = noisy.iter().map(|one| one.institution_id).collect();
    Ok(Now {
        running: operations::running_count(c)?,
        alerts: alerts::firing(c, SHOWN)?,
        usage: usage::since(c, Period::Day, Id::NIL, figures::chart_start())?,
        registered: registrations::by_day(c, figures::chart_start())?,
        names: tenant_databases::names_of(c, &ids)?,
        noisy,
        counts: institutions::counts_by_status(c)?,
        failed: operations::failed_count(c)?,
        waiting: registrations::page(c, &waiting, &oldest)?.rows,
        operations: at_work(c)?,
        activity: audit::newest_by_people(c, ENTRIES_SEEN, SHOWN)?,
    })
}

/// What runs, and what has failed of late.
fn at_work(c: &mut SharedConn) -> ModelResult<Vec<Operation>> {
    let mut found = Vec::new();
    for status in [OperationStatus::Running, OperationStatus::RollingBack] {
        let filter = OperationFilter { status: Some(status), ..OperationFilter::default() };
        found.extend(operations::older_than(c, &filter, None, OPERATIONS)?);
    }
    found.extend(operations::failed_since(c, now() - TimeDelta::days(7), OPERATIONS)?);
    Ok(found)
}

fn stats(count: impl Fn(Status) -> i64, failed_operations: i64, running: i64) -> Vec<Stat> {
    let of = |label: &str, status: Status, n: i64| {
        Stat::new(label, n).href(format!("{INSTITUTIONS}?status={status}"))
    };
    let toned = |stat: Stat, n: i64, tone: Tone, words: &str| {
        if n > 0 { stat.tone(tone).change(words) } else { stat }
    };
    let waiting = count(Status::PendingApproval);
    let failed = count(Status::ProvisioningFailed);
    vec![
        of("Active institutions", Status::Active, count(Status::Active)),
        toned(
            Stat::new("Waiting for a decision", waiting).href("/platform/registrations?status=waiting"),
            waiting,
            Tone::Waiting,
            "decide now",
        ),
        of("Suspended", Status::Suspended, count(Status::Suspended)),
        toned(of("Set-up failed", Status::ProvisioningFailed, failed), failed, Tone::Bad, "needs somebody"),
        Stat::new("Operations running", running).href("/platform/operations?status=running"),
        toned(
            Stat::new("Failed operations", failed_operations).href("/platform/operations?status=failed"),
            failed_operations,
            Tone::Bad,
            "look at them",
        ),
    ]
}

fn lower(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
