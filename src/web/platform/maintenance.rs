//! `/platform/maintenance`: what looking after databases would bring, and what it has brought.

use actix_web::{HttpRequest, HttpResponse, web::Path};

use super::{acting::begin, institutions::found};
use crate::{
    db::{Id, engine::Act},
    error::AppError,
    models::platform::maintenance::{self, Named, Need, Run, RunFilter},
    services::upkeep::{self, Task},
    web::{
        State,
        auth::{AnyAdmin, Operator},
        badge::{Badge, Tone},
        cell::Cell,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::Action,
        respond::html,
        time::Clock,
        words::{Noun, bytes, growth, short_time},
    },
};

const PATH: &str = "/platform/maintenance";
const RUNS: &str = "/platform/maintenance/runs";

const NEEDS: &[Column] = &[
    Column::new("institution", "Institution"),
    Column::new("what", "Worth doing"),
    Column::new("spare", "To be gained").numeric().sortable(),
    Column::new("size", "Size").numeric().sortable(),
    Column::new("log", "Log").numeric().minor(),
    Column::new("looked", "Looked at").sortable(),
];

const RUN_COLUMNS: &[Column] = &[
    Column::new("institution", "Institution"),
    Column::new("what", "What"),
    Column::new("outcome", "Outcome"),
    Column::new("gain", "Size").numeric(),
    Column::new("took", "Took").numeric(),
    Column::new("at", "When").sortable(),
];

const fn label(act: Act) -> &'static str {
    match act {
        Act::Analyse => "Count for the query planner",
        Act::Vacuum => "Give room back",
        Act::Checkpoint => "Work the log in",
        Act::Reindex => "Build indexes anew",
    }
}

fn labels(acts: &str) -> String {
    acts.split(' ').filter_map(|word| word.parse().ok()).map(label).collect::<Vec<_>>().join(", ")
}

fn needs_spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("database", "databases"), NEEDS)
        .sorted_by("spare", Dir::Desc)
        .search("Institution")
        .empty(
            "Nothing is worth doing",
            "Every database is looked at once a day, by its own statistics.",
            None,
        )
}

fn need_row(clock: &Clock, Named { row, domain, name }: Named<Need>) -> Row {
    let place = format!("{}/{domain}", super::institutions::PATH);
    Row::new(row.institution_id, place.as_str())
        .cell(Cell::text(name).note(domain))
        .cell(Cell::text(labels(&row.acts)).note(row.why))
        .cell(Cell::figure(bytes(row.spare_bytes)))
        .cell(Cell::figure(bytes(row.bytes)))
        .cell(Cell::figure(bytes(row.log_bytes)))
        .cell(Cell::time(clock, row.looked_at))
        .action(Action::post("Tend to it", format!("{place}/maintenance")))
}

/// `GET /platform/maintenance`: operators.
pub async fn list(request: HttpRequest, platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let spec = needs_spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (q, paging) = (query.q().unwrap_or_default().to_owned(), query.paging());
    let slice = platform.shared.run(move |c| maintenance::needs(c, &q, &paging)).await?;
    let clock = Clock::utc();
    let rows: Vec<Row> = slice.rows.into_iter().map(|found| need_row(&clock, found)).collect();
    let mut page = admin.page("Maintenance").intro(
        "What is worth doing for institutions' databases. It is done once a week by itself, while people work.",
    );
    if slice.total > 0 {
        page = page.action(Action::post("Tend to all", PATH).icon(Icon::Refresh));
    }
    page = page
        .also(Action::link("History", RUNS).icon(Icon::Activity))
        .also(Action::link("Connections", format!("{PATH}/connections")).icon(Icon::Database))
        .also(Action::link("Doctor", super::doctor::PATH).icon(Icon::Check));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `POST /platform/maintenance`: operators; every database that needs it.
pub async fn tend_to_all(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    asked(&platform, &admin, Task::Tend, None, PATH).await
}

/// `POST /platform/institutions/{domain}/maintenance`: operators; this one.
pub async fn tend(platform: State, admin: Operator, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let back = format!("{}/{}", super::institutions::PATH, institution.domain);
    asked(&platform, &admin, Task::Tend, Some(institution.id), &back).await
}

/// Asks for the operation and leads to its page; who was too late is told so on the page before.
pub(super) async fn asked(
    platform: &State,
    admin: &AnyAdmin,
    task: Task,
    institution_id: Option<Id>,
    back: &str,
) -> Result<HttpResponse, AppError> {
    begin(platform, admin, move |c, audit| upkeep::request(c, audit, task, institution_id), back).await
}

fn runs_spec() -> ListSpec {
    ListSpec::new(RUNS, Noun::new("act", "acts"), RUN_COLUMNS)
        .sorted_by("at", Dir::Desc)
        .search("Institution")
        .filter(Filter::one_of("act", "What", Act::ALL.iter().map(|act| (act.as_str(), label(*act)))))
        .empty("Nothing was done yet", "What is done for institutions' databases is kept here.", None)
}

fn run_row(clock: &Clock, Named { row, domain, name }: Named<Run>) -> Row {
    let outcome = match &row.error {
        None => Badge::new(Tone::Good, "Done"),
        Some(_) => Badge::new(Tone::Bad, "Failed"),
    };
    let gain = growth(row.bytes_after - row.bytes_before);
    Row::new(row.id, format!("{}/{domain}", super::institutions::PATH))
        .cell(Cell::text(name).note(domain))
        .cell(Cell::text(label(row.act)).note(row.error.unwrap_or(row.why)))
        .cell(outcome)
        .cell(Cell::figure(bytes(row.bytes_after)).note(gain))
        .cell(Cell::figure(short_time(row.milliseconds.saturating_mul(1_000))))
        .cell(Cell::time(clock, row.at))
}

/// `GET /platform/maintenance/runs`: operators.
pub async fn runs(request: HttpRequest, platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let spec = runs_spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let filter = RunFilter {
        q: query.q().unwrap_or_default().to_owned(),
        act: query.chosen("act"),
        institution_id: None,
    };
    let paging = query.paging();
    let slice = platform.shared.run(move |c| maintenance::runs(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| run_row(&clock, found)).collect();
    let page = admin
        .page("History of maintenance")
        .crumb("Maintenance", PATH)
        .intro("What was done for institutions' databases, and their sizes since.");
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}
