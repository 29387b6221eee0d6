//! `/platform/migrations/{id}`: one rollout, watched live, held, let go on, ended, taken back.

use actix_web::HttpResponse;
use askama::Template;

use super::{PATH, TENANTS, state_badge};
use crate::{
    db::{Id, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        platform::{
            audit::Audit,
            operations::{self, Operation, OperationStep},
            rollouts::{self, Direction, Rollout, RolloutState, RolloutTenant, Stage, TenantStatus},
        },
    },
    services::rollouts as service,
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::FormData,
        icons::Icon,
        list::{Column, ListSpec, ListView, Row},
        operation_view::OperationView,
        page::{Action, Notice, Page},
        platform::{acting::settled, operations as operation_pages},
        respond::{html, see_other},
        time::Clock,
        words::Noun,
    },
};

/// Rows of the quarantine that are shown.
const SHOWN: i64 = 100;
const COLUMNS: &[Column] = &[
    Column::new("institution", "Institution"),
    Column::new("error", "Why"),
    Column::new("attempts", "Attempts").numeric(),
];

#[derive(Template)]
#[template(path = "platform/rollout.html")]
struct RolloutView {
    page: Page,
    operation: OperationView,
    failed: Option<ListView>,
}

struct Found {
    rollout: Rollout,
    operation: Operation,
    steps: Vec<OperationStep>,
    counts: Vec<(TenantStatus, i64)>,
    failed: Vec<RolloutTenant>,
}

fn look(c: &mut SharedConn, rollout: Rollout) -> ModelResult<Found> {
    Ok(Found {
        operation: operations::find(c, rollout.operation_id)?,
        steps: operations::steps(c, rollout.operation_id)?,
        counts: rollouts::counts(c, rollout.id)?,
        failed: rollouts::failed_of(c, rollout.id, SHOWN)?,
        rollout,
    })
}

/// `GET /platform/migrations/operations/{id}`: every platform admin; the rollout of an operation.
pub async fn of_operation(
    platform: State,
    _: AnyAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let rollout = platform.shared.run(move |c| rollouts::of_operation(c, id)).await?;
    Ok(see_other(format!("{PATH}/{}", rollout.id)))
}

/// `GET /platform/migrations/{id}`: every platform admin; renews itself while it runs.
pub async fn show(
    platform: State,
    admin: AnyAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let find = move |c: &mut SharedConn| {
        let rollout = rollouts::find(c, id)?;
        look(c, rollout)
    };
    let found = platform.shared.run(find).await?;
    let page = admin
        .page(found.operation.subject.as_str())
        .crumb("Migrations", PATH)
        .badge(state_badge(found.rollout.state));
    let failed = (!found.failed.is_empty()).then(|| failed_list(&admin, &found.failed));
    Ok(html(&RolloutView { page, operation: view(&admin, &found), failed })?)
}

fn view(admin: &AnyAdmin, found: &Found) -> OperationView {
    let (rollout, clock) = (&found.rollout, Clock::utc());
    let mut view = operation_pages::view(admin, &clock, &found.operation, &found.steps);
    view.actions = if admin.is_operator() { actions(rollout, &found.counts) } else { Vec::new() };
    if let Some(reason) = &rollout.reason {
        view = view.notice(match rollout.state {
            RolloutState::Stopped | RolloutState::Failed => Notice::error(reason.as_str()),
            _ => Notice::warning(reason.as_str()),
        });
    }
    match rollout.state {
        RolloutState::Paused => view.summary = "Paused".into(),
        RolloutState::Stopped => view.summary = "Stopped: somebody has to decide".into(),
        RolloutState::Cancelled => view.summary = "Cancelled".into(),
        RolloutState::Running if rollout.direction == Direction::Up && rollout.stage == Stage::Canaries => {
            view.summary = "Running: those that go first".into();
        }
        _ => {}
    }
    view = view
        .fact("To the schema", Cell::mono(rollout.target_version.as_str()))
        .fact("Institutions in a wave", Cell::number(i64::from(rollout.wave_size)))
        .fact("Stops above", format!("{} in a hundred failed", rollout.failure_percent));
    for status in TenantStatus::ALL {
        if let Some((_, count)) = found.counts.iter().find(|(known, _)| known == status) {
            view = view.fact(status_label(*status), Cell::number(*count));
        }
    }
    view
}

const fn status_label(status: TenantStatus) -> &'static str {
    match status {
        TenantStatus::Waiting => "Waiting",
        TenantStatus::Done => "Done",
        TenantStatus::Failed => "In quarantine",
        TenantStatus::Skipped => "Left as they were",
    }
}

fn actions(rollout: &Rollout, counts: &[(TenantStatus, i64)]) -> Vec<Action> {
    let place = |rest: &str| format!("{PATH}/{}/{rest}", rollout.id);
    let cancel = || Action::ask("Cancel rollout", place("cancellation")).icon(Icon::X).danger();
    let back = || Action::ask("Roll everybody back", place("rollback")).icon(Icon::Undo).danger();
    let some_done = counts.iter().any(|(status, count)| *status == TenantStatus::Done && *count > 0);
    let may_go_back = rollout.direction == Direction::Up && some_done;
    let mut actions = match rollout.state {
        RolloutState::Running => {
            vec![Action::post("Pause rollout", place("pause")).icon(Icon::Pause), cancel()]
        }
        RolloutState::Paused | RolloutState::Stopped => {
            vec![Action::post("Go on", place("pause/remove")).icon(Icon::Play), cancel()]
        }
        _ => Vec::new(),
    };
    if may_go_back && rollout.state != RolloutState::Running {
        actions.push(back());
    }
    actions
}

fn failed_list(admin: &AnyAdmin, failed: &[RolloutTenant]) -> ListView {
    let spec = ListSpec::new(TENANTS, Noun::new("institution", "institutions"), COLUMNS);
    let row = |tenant: &RolloutTenant| {
        let id = tenant.institution_id;
        let row = Row::new(id, format!("/platform/institutions/{}", tenant.domain))
            .cell(Cell::text(tenant.name.as_str()).note(tenant.domain.as_str()))
            .cell(Cell::lines(tenant.error.as_deref().unwrap_or_default()))
            .cell(Cell::number(i64::from(tenant.attempts)));
        super::with_attempt(row, admin, id)
    };
    ListView::plain(spec, failed.iter().map(row).collect()).region("quarantine")
}

type Act = fn(&mut SharedConn, &Audit, Id) -> ModelResult<Rollout>;

async fn control(
    (platform, admin, id): (State, Operator, Id),
    act: Act,
    done: &'static str,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| act(c, &audit, id)).await;
    platform.operations.wake();
    settled(&admin, outcome, |_| Notice::success(done), &format!("{PATH}/{id}"))
}

/// `POST /platform/migrations/{id}/pause`: operators.
pub async fn pause(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let done = "The rollout is paused. What is being migrated ends; nothing else begins.";
    control((platform, admin, id), service::pause, done).await
}

/// `POST /platform/migrations/{id}/pause/remove`: operators.
pub async fn resume(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    control((platform, admin, id), service::resume, "The rollout goes on.").await
}

async fn found(platform: &State, id: Id) -> Result<(Rollout, Vec<(TenantStatus, i64)>), AppError> {
    let find = move |c: &mut SharedConn| ModelResult::Ok((rollouts::find(c, id)?, rollouts::counts(c, id)?));
    Ok(platform.shared.run(find).await?)
}

fn of(counts: &[(TenantStatus, i64)], status: TenantStatus) -> i64 {
    counts.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
}

/// `GET /platform/migrations/{id}/cancellation`: operators.
pub async fn ask_cancel(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (rollout, counts) = found(&platform, id).await?;
    let place = format!("{PATH}/{id}");
    let confirm = Confirm::new(format!("{place}/cancellation"), "Cancel rollout")
        .says("Who has been migrated stays so. Everybody else is left as they are, and nothing else begins.")
        .count("done already", of(&counts, TenantStatus::Done))
        .count("left as they are", of(&counts, TenantStatus::Waiting))
        .undo("You can start another rollout at any time.")
        .danger()
        .cancel(place);
    let page =
        admin.page(format!("Cancel the rollout to {}?", rollout.target_version)).crumb("Migrations", PATH);
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/migrations/{id}/cancellation`: operators.
pub async fn cancel(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    control((platform, admin, id), service::cancel, "The rollout is cancelled.").await
}

fn question(admin: &AnyAdmin, rollout: &Rollout, done: i64) -> ConfirmPage {
    let place = format!("{PATH}/{}", rollout.id);
    let confirm = Confirm::new(format!("{place}/rollback"), "Roll everybody back")
        .says("Everybody whom this rollout brought along goes back to the schema they had.")
        .says("What was written in the newer schema only is lost; each database is backed up right before.")
        .says("Their pages are closed for maintenance until they are migrated again, or an older Provost serves them.")
        .count("institutions go back", done)
        .typed(rollout.target_version.as_str())
        .danger()
        .cancel(place);
    let page =
        admin.page(format!("Roll everybody back from {}?", rollout.target_version)).crumb("Migrations", PATH);
    ConfirmPage::new(page, confirm)
}

/// `GET /platform/migrations/{id}/rollback`: operators.
pub async fn ask_roll_back(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (rollout, counts) = found(&platform, id).await?;
    Ok(html(&question(&admin, &rollout, of(&counts, TenantStatus::Done)))?)
}

/// `POST /platform/migrations/{id}/rollback`: operators.
pub async fn roll_back(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (rollout, counts) = found(&platform, id).await?;
    if let Err(page) = question(&admin, &rollout, of(&counts, TenantStatus::Done)).answer(&data)? {
        return Ok(page);
    }
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| service::roll_back(c, &audit, id)).await;
    platform.operations.wake();
    let back = outcome.as_ref().map_or(id, |started| started.rollout);
    settled(&admin, outcome, |_| Notice::success("They are being taken back."), &format!("{PATH}/{back}"))
}
