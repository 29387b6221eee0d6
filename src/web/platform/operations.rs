//! `/platform/operations`: long work, watched live, tried again, rolled back.

use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDateTime;

use super::{acting::settled, list_file::ListFile};
use crate::{
    db::now,
    error::AppError,
    models::{
        ModelResult,
        platform::{
            institutions,
            operations::{
                self, Kind, Operation, OperationFilter, OperationStatus, OperationStep, StepStatus,
            },
        },
    },
    services::operations::{self as service, step_label},
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator},
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::moment,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        operation_view::{OperationPage, OperationView, StepState, StepView},
        page::{Action, Notice},
        respond::html,
        time::{Clock, span},
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/operations";

const COLUMNS: &[Column] = &[
    Column::new("subject", "About"),
    Column::new("status", "Status"),
    Column::new("kind", "Work"),
    Column::new("who", "Started by").minor(),
    Column::new("took", "Took").numeric().minor(),
    Column::new("created", "Started").sortable(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("operation", "operations"), COLUMNS)
        .sorted_by("created", Dir::Desc)
        .search("Institution or file")
        .filter(Filter::one_of(
            "status",
            "Status",
            OperationStatus::ALL.iter().map(|s| (s.as_str(), status_label(*s))),
        ))
        .filter(Filter::one_of("kind", "Work", Kind::ALL.iter().map(|k| (k.as_str(), kind_label(*k)))))
        .csv()
        .empty(
            "No operations yet",
            "Setting up an institution and large imports appear here while they run, and stay.",
            None,
        )
}

fn filter(query: &ListQuery) -> OperationFilter {
    OperationFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.chosen("status"),
        kind: query.chosen("kind"),
        institution_id: None,
    }
}

const fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Provision => "Set up institution",
        Kind::ImportRegistrations => "Import registrations",
        Kind::ImportStudents => "Import students",
        Kind::DecideRegistrations => "Decide registrations",
        Kind::MigrateFleet => "Migrate databases",
        Kind::BackUp => "Back up",
        Kind::VerifyBackup => "Verify backup",
        Kind::Restore => "Restore",
        Kind::Archive => "Archive institution",
        Kind::Delete => "Delete institution",
        Kind::Maintain => "Look after databases",
        Kind::Move => "Move",
    }
}

const fn status_label(status: OperationStatus) -> &'static str {
    match status {
        OperationStatus::Queued => "Waiting",
        OperationStatus::Running => "Running",
        OperationStatus::Succeeded => "Done",
        OperationStatus::Failed => "Failed",
        OperationStatus::RollingBack => "Rolling back",
        OperationStatus::RolledBack => "Rolled back",
    }
}

fn badge(status: OperationStatus) -> Badge {
    let tone = match status {
        OperationStatus::Queued => Tone::Waiting,
        OperationStatus::Running | OperationStatus::RollingBack => Tone::Working,
        OperationStatus::Succeeded => Tone::Good,
        OperationStatus::Failed => Tone::Bad,
        OperationStatus::RolledBack => Tone::Held,
    };
    Badge::new(tone, status_label(status))
}

fn row(clock: &Clock, operation: Operation) -> Row {
    let took = elapsed(&operation);
    Row::new(operation.id, format!("{PATH}/{}", operation.id))
        .cell(operation.subject)
        .cell(badge(operation.status))
        .cell(kind_label(operation.kind))
        .cell(operation.actor_name)
        .cell(took.map_or_else(Cell::nothing, Cell::figure))
        .cell(Cell::time(clock, operation.created_at))
}

fn elapsed(operation: &Operation) -> Option<String> {
    let began = operation.started_at?;
    Some(span((operation.finished_at.unwrap_or_else(now) - began).num_milliseconds()))
}

/// Operations within another page.
pub(super) fn plain_list(clock: &Clock, found: Vec<Operation>) -> ListView {
    let spec = ListSpec::new(PATH, Noun::new("operation", "operations"), COLUMNS);
    ListView::plain(spec, found.into_iter().map(|operation| row(clock, operation)).collect())
        .region("operations")
}

/// Operations in a narrow column.
pub(super) fn side_list(found: Vec<Operation>) -> ListView {
    const FEW: &[Column] = &[Column::new("subject", "About"), Column::new("status", "Status")];
    let row = |operation: Operation| {
        Row::new(operation.id, format!("{PATH}/{}", operation.id))
            .cell(Cell::text(operation.subject).note(kind_label(operation.kind)))
            .cell(badge(operation.status))
    };
    let spec = ListSpec::new(PATH, Noun::new("operation", "operations"), FEW).empty(
        "Nothing runs, nothing has failed",
        "Set-ups, backups, migrations and other long work appear here while they run.",
        None,
    );
    ListView::plain(spec, found.into_iter().map(row).collect()).region("operations")
}

/// `GET /platform/operations`: super admins.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| operations::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|operation| row(&clock, operation)).collect();
    Ok(html(&ListPage::new(admin.page("Operations"), ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/operations.csv`: super admins; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "operations.csv",
        action: "operations.exported",
        heads: &["about", "status", "work", "started_by", "created_at", "started_at", "finished_at", "error"],
        key: |operation: &Operation| operation.id,
        cells: |operation| {
            vec![
                operation.subject,
                operation.status.as_str().to_owned(),
                operation.kind.as_str().to_owned(),
                operation.actor_name,
                moment(operation.created_at),
                operation.started_at.map(moment).unwrap_or_default(),
                operation.finished_at.map(moment).unwrap_or_default(),
                operation.error.unwrap_or_default(),
            ]
        },
        page: operations::page,
        after: operations::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// `GET /platform/operations/{id}`: super admins; renews itself while it runs.
pub async fn detail(
    platform: State,
    admin: AnyAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (operation, steps, institution) = platform
        .shared
        .run(move |c| {
            let operation = operations::find(c, id)?;
            let steps = operations::steps(c, id)?;
            let institution = operation.institution_id.map(|id| institutions::find(c, id)).transpose()?;
            ModelResult::Ok((operation, steps, institution))
        })
        .await?;
    let page =
        admin.page(operation.subject.as_str()).crumb("Operations", PATH).badge(badge(operation.status));
    let clock = Clock::utc();
    let mut operation_view = view(&admin, &clock, &operation, &steps);
    if let Some(institution) = institution {
        let place = format!("/platform/institutions/{}", institution.domain);
        operation_view = operation_view.fact("Institution", Cell::link(institution.name, place));
    }
    if operation.kind == Kind::MigrateFleet {
        let place = format!("/platform/migrations/operations/{}", operation.id);
        operation_view = operation_view.fact("Rollout", Cell::link("See everybody in it", place));
    }
    Ok(html(&OperationPage::new(page, operation_view))?)
}

pub(super) fn view(
    admin: &AnyAdmin,
    clock: &Clock,
    operation: &Operation,
    steps: &[OperationStep],
) -> OperationView {
    let notice = operation.error.as_ref().map(|error| match operation.status {
        OperationStatus::Queued | OperationStatus::Running => {
            Notice::warning(format!("The last attempt did not succeed: {error}"))
        }
        // Nothing is left that would need somebody.
        OperationStatus::RolledBack => Notice::warning(error.as_str()),
        _ => Notice::error(error.as_str()),
    });
    let mut view = OperationView::new(summary(operation), !operation.is_over()).notice(notice);
    if let Some(elapsed) = elapsed(operation) {
        view = view.elapsed(elapsed);
    }
    // A failed import of students kept nothing, however far it was.
    if operation.kind != Kind::ImportStudents || operation.status != OperationStatus::Failed {
        view = view.progress(operation.progress_done, operation.progress_total);
    }
    for step in steps {
        view = view.step(step_view(clock, operation, step));
    }
    view = view
        .fact("Work", kind_label(operation.kind))
        .fact("Started by", operation.actor_name.as_str())
        .fact("Started", Cell::time(clock, operation.created_at));
    if operation.attempts > 0 {
        view = view.fact("Failed attempts", Cell::number(i64::from(operation.attempts)));
    }
    if let Some(at) = operation.finished_at {
        view = view.fact("Ended", Cell::time(clock, at));
    }
    for (label, value) in results(clock, operation.result.as_deref()) {
        view = view.fact(label, value);
    }
    let path = format!("{PATH}/{}", operation.id);
    if operation.may_be_tried_again() && admin.is_operator() {
        view = view.action(Action::post("Try again", format!("{path}/attempts")).icon(Icon::Refresh));
    }
    if operation.may_be_rolled_back() && admin.is_operator() {
        view = view.action(Action::post("Roll back", format!("{path}/rollback")).icon(Icon::Undo).danger());
    }
    view
}

fn summary(operation: &Operation) -> &'static str {
    match operation.status {
        OperationStatus::Queued if operation.attempts > 0 => "Waiting for the next attempt",
        OperationStatus::Queued => "Waiting for its turn",
        OperationStatus::Running => "Running",
        OperationStatus::Succeeded => "Done",
        OperationStatus::Failed => "Failed",
        OperationStatus::RollingBack => "Taking back what was done",
        OperationStatus::RolledBack => "Rolled back: nothing of it is left",
    }
}

fn step_view(clock: &Clock, operation: &Operation, step: &OperationStep) -> StepView {
    let state = match step.status {
        StepStatus::Pending => StepState::Waiting,
        StepStatus::Running => StepState::Running,
        StepStatus::Done => StepState::Done,
        StepStatus::Failed => StepState::Failed,
        StepStatus::Undone => StepState::Undone,
    };
    let mut view = StepView::new(step_label(operation.kind, &step.name), state)
        .started(step.started_at.map(|at| clock.when(at)))
        .note(step.error.clone().or_else(|| step.detail.clone()).unwrap_or_default());
    if let (Some(from), Some(to)) = (step.started_at, step.finished_at) {
        view = view.took(span((to - from).num_milliseconds().max(0)));
    }
    if step.attempts > 1 {
        view = view.detail(format!("Begun {} times.", step.attempts));
    }
    view
}

/// The counts that an operation ended with.
fn results(clock: &Clock, result: Option<&str>) -> Vec<(String, Cell)> {
    let Some(Ok(serde_json::Value::Object(fields))) = result.map(serde_json::from_str) else {
        return Vec::new();
    };
    let moment_of = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok();
    let cell = |key: &str, value: serde_json::Value| match value {
        serde_json::Value::Number(n) => n.as_i64().map(Cell::number),
        serde_json::Value::String(id) if key == "backup" => {
            let page = format!("{}/{id}", super::backups::PATH);
            Some(Cell::link(id, page))
        }
        serde_json::Value::String(text) => {
            Some(moment_of(&text).map_or_else(|| Cell::text(text), |at| Cell::time(clock, at)))
        }
        _ => None,
    };
    let label = |key: &str| {
        let words = key.replace('_', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    fields.into_iter().filter_map(|(key, value)| Some((label(&key), cell(&key, value)?))).collect()
}

/// `POST /platform/operations/{id}/attempts`: super admins.
pub async fn retry(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| service::try_again(c, &audit, id)).await;
    platform.operations.wake();
    settled(&admin, outcome, |()| Notice::success("It is tried again."), &format!("{PATH}/{id}"))
}

/// `POST /platform/operations/{id}/rollback`: super admins.
pub async fn roll_back(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| service::roll_back(c, &audit, id)).await;
    platform.operations.wake();
    settled(
        &admin,
        outcome,
        |()| Notice::success("What was done is being taken back."),
        &format!("{PATH}/{id}"),
    )
}
