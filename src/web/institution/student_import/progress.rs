//! An import that runs, or that failed, as a person watches it.

use actix_web::HttpResponse;

use crate::{
    error::AppError,
    models::{
        institution::imports::ImportHead,
        platform::operations::{Operation, OperationStatus, OperationStep, StepStatus},
    },
    web::{
        auth::InstitutionUser,
        cell::Cell,
        icons::Icon,
        operation_view::{OperationPage, OperationView, StepState, StepView},
        page::{Action, Notice},
        respond::html,
        time::{Clock, span},
    },
};

/// The page of an import that runs or failed.
pub(super) fn show(
    user: &InstitutionUser,
    head: &ImportHead,
    operation: &Operation,
    steps: &[OperationStep],
) -> Result<HttpResponse, AppError> {
    let summary = match operation.status {
        OperationStatus::Queued => "Waiting to begin",
        OperationStatus::Running => "Importing",
        _ => "The import failed; no student was changed",
    };
    let mut view = OperationView::new(summary, !operation.is_over())
        .fact("File", head.file_name.as_str())
        .fact("Started by", operation.actor_name.as_str())
        .fact("Started", Cell::time(&user.clock, operation.created_at));
    if operation.is_over() {
        let cause = operation.error.clone().unwrap_or_else(|| "The work was stopped.".into());
        view = view
            .notice(Notice::error(cause))
            .action(Action::link("Upload the file again", user.path("/students/import")).icon(Icon::Upload));
    }
    if !operation.is_over() {
        view = view.progress(operation.progress_done, operation.progress_total);
    }
    for step in steps {
        view = view.step(step_view(&user.clock, step));
    }
    let page = user
        .page(format!("Import {}", head.file_name))
        .crumb("Students", user.path("/students"))
        .crumb("Import", user.path("/students/import"));
    Ok(html(&OperationPage::new(page, view))?)
}

fn step_view(clock: &Clock, step: &OperationStep) -> StepView {
    let state = match step.status {
        StepStatus::Pending => StepState::Waiting,
        StepStatus::Running => StepState::Running,
        StepStatus::Done => StepState::Done,
        StepStatus::Failed => StepState::Failed,
        StepStatus::Undone => StepState::Undone,
    };
    let mut view = StepView::new(step.name.as_str(), state).started(step.started_at.map(|at| clock.when(at)));
    if let (Some(from), Some(to)) = (step.started_at, step.finished_at) {
        view = view.took(span((to - from).num_milliseconds()));
    }
    view.note(step.error.clone().unwrap_or_default())
}
