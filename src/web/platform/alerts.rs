//! `/platform/alerts`: what needs somebody, what did, and who takes care of it.

use actix_web::{HttpRequest, HttpResponse};

use super::{acting::act, list_file::ListFile};
use crate::{
    error::AppError,
    models::platform::alerts::{self, Alert, AlertFilter, AlertState, Severity},
    services::monitoring::alerts::runbook,
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator},
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::moment,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        respond::html,
        time::Clock,
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/alerts";

const COLUMNS: &[Column] = &[
    Column::new("summary", "What"),
    Column::new("state", "State"),
    Column::new("since", "Since").sortable(),
    Column::new("resolved", "Resolved").minor(),
    Column::new("care", "Taken care of by").minor(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("alert", "alerts"), COLUMNS)
        .sorted_by("since", Dir::Desc)
        .search("What has happened")
        .filter(Filter::one_of("state", "State", [("firing", "Firing"), ("resolved", "Resolved")]))
        .filter(Filter::one_of("severity", "Severity", [("critical", "Critical"), ("warning", "Warning")]))
        .csv()
        .empty(
            "No alerts",
            "What needs somebody appears here, and is told by e-mail and to the webhooks.",
            None,
        )
}

fn filter(query: &ListQuery) -> AlertFilter {
    AlertFilter {
        q: query.q().unwrap_or_default().to_owned(),
        state: query.chosen::<AlertState>("state"),
        severity: query.chosen("severity"),
    }
}

/// How an alert stands.
fn badge(alert: &Alert) -> Badge {
    if alert.resolved_at.is_some() {
        return Badge::new(Tone::Past, "Resolved");
    }
    match alert.severity {
        Severity::Critical => Badge::new(Tone::Bad, "Critical"),
        Severity::Warning => Badge::new(Tone::Waiting, "Warning").icon(Icon::Alert),
    }
}

fn row(admin: &AnyAdmin, clock: &Clock, alert: Alert, minor: bool) -> Row {
    let care = Action::post("Take care of it", format!("{PATH}/{}/acknowledgement", alert.id));
    let open = alert.resolved_at.is_none() && alert.acknowledged_at.is_none() && admin.is_operator();
    let state = badge(&alert);
    let note = format!("{} {}", alert.advice, runbook(&alert));
    let mut row = Row::new(alert.id, alert.link)
        .cell(Cell::text(alert.summary).note(note))
        .cell(state)
        .cell(Cell::time(clock, alert.firing_since));
    if minor {
        row = row.cell(Cell::time(clock, alert.resolved_at));
    }
    row = row.cell(alert.acknowledged_by);
    if open { row.action(care) } else { row }
}

/// The alerts that fire, within another page.
pub(super) fn firing_list(admin: &AnyAdmin, clock: &Clock, firing: Vec<Alert>) -> ListView {
    const FEW: &[Column] = &[
        Column::new("summary", "What"),
        Column::new("state", "State"),
        Column::new("since", "Since"),
        Column::new("care", "Taken care of by").minor(),
    ];
    let rows = firing.into_iter().map(|alert| row(admin, clock, alert, false)).collect();
    ListView::plain(ListSpec::new(PATH, Noun::new("alert", "alerts"), FEW), rows).region("alerts")
}

/// `GET /platform/alerts`: every admin.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| alerts::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|alert| row(&admin, &clock, alert, true)).collect();
    let mut page = admin.page("Alerts").intro(
        "Looked for every minute. Each is told once when it begins, and resolves itself when it is over.",
    );
    if admin.is_super_admin() {
        page = page.also(Action::link("Webhooks", super::webhooks::PATH));
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/alerts.csv`: every admin; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "alerts.csv",
        action: "alerts.exported",
        heads: &[
            "rule",
            "severity",
            "summary",
            "advice",
            "firing_since",
            "resolved_at",
            "acknowledged_at",
            "acknowledged_by",
            "link",
        ],
        key: |alert: &Alert| alert.id,
        cells: |alert| {
            vec![
                alert.rule,
                alert.severity.as_str().to_owned(),
                alert.summary,
                alert.advice,
                moment(alert.firing_since),
                alert.resolved_at.map(moment).unwrap_or_default(),
                alert.acknowledged_at.map(moment).unwrap_or_default(),
                alert.acknowledged_by.unwrap_or_default(),
                alert.link,
            ]
        },
        page: alerts::page,
        after: alerts::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// `POST /platform/alerts/{id}/acknowledgement`: operators; says to the others that one takes care of it.
pub async fn acknowledge(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let done = |_| Notice::success("The others see that you take care of it.");
    act(&platform, &admin, move |c, audit| alerts::acknowledge(c, audit, id), done, PATH).await
}
