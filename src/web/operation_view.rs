//! A durable operation as a person watches it: its steps, their times, what can be done now.

use askama::{Template, filters::HtmlSafe};

use super::{
    badge::Tone,
    icons::Icon,
    page::{Action, Notice, Page},
    time::When,
    words::grouped,
};

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    Waiting,
    Running,
    Done,
    Failed,
    /// Taken back by its compensation.
    Undone,
}

impl StepState {
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Undone => "Undone",
        }
    }

    pub fn tone(self) -> Tone {
        match self {
            Self::Waiting => Tone::Past,
            Self::Running => Tone::Working,
            Self::Done => Tone::Good,
            Self::Failed => Tone::Bad,
            Self::Undone => Tone::Held,
        }
    }

    pub fn icon(self) -> Icon {
        match self {
            Self::Waiting => Icon::Circle,
            Self::Running => Icon::Loader,
            Self::Done => Icon::Check,
            Self::Failed => Icon::X,
            Self::Undone => Icon::Undo,
        }
    }
}

/// One step.
#[derive(Debug, Clone)]
pub struct StepView {
    pub label: String,
    pub state: StepState,
    pub started: Option<When>,
    /// "1.4 s", by [`super::time::span`].
    pub took: Option<String>,
    /// One line that is always shown, as "attempt 2 of 5" or the reason of a failure.
    pub note: Option<String>,
    /// All there is to know, shown on demand.
    pub detail: Option<String>,
}

impl StepView {
    pub fn new(label: impl Into<String>, state: StepState) -> Self {
        Self { label: label.into(), state, started: None, took: None, note: None, detail: None }
    }

    pub fn started(mut self, when: impl Into<Option<When>>) -> Self {
        self.started = when.into();
        self
    }

    pub fn took(mut self, span: impl Into<String>) -> Self {
        self.took = Some(span.into());
        self
    }

    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into()).filter(|text| !text.is_empty());
        self
    }

    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into()).filter(|text| !text.is_empty());
        self
    }
}

/// The operation; `{{ operation }}` writes its steps, [`OperationPage`] a page of its own.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/operation.html")]
pub struct OperationView {
    /// Set while it runs: the page then renews itself.
    pub live: bool,
    /// What is going on, in a sentence.
    pub summary: String,
    pub notice: Option<Notice>,
    pub elapsed: Option<String>,
    /// How many of how many records are done.
    pub progress: Option<(i64, i64)>,
    pub steps: Vec<StepView>,
    pub facts: Vec<(String, super::cell::Cell)>,
    pub actions: Vec<Action>,
}

impl HtmlSafe for OperationView {}

impl OperationView {
    pub fn new(summary: impl Into<String>, live: bool) -> Self {
        Self {
            live,
            summary: summary.into(),
            notice: None,
            elapsed: None,
            progress: None,
            steps: Vec::new(),
            facts: Vec::new(),
            actions: Vec::new(),
        }
    }

    pub fn notice(mut self, notice: impl Into<Option<Notice>>) -> Self {
        self.notice = notice.into();
        self
    }

    pub fn elapsed(mut self, span: impl Into<String>) -> Self {
        self.elapsed = Some(span.into());
        self
    }

    /// How many of how many records are done; of none there is nothing to show.
    pub fn progress(mut self, done: i64, total: i64) -> Self {
        self.progress = (total > 0).then_some((done.min(total), total));
        self
    }

    /// "1,200 of 5,000", for who cannot see how long a bar is.
    fn progress_words(&self) -> String {
        let (done, total) = self.progress.unwrap_or_default();
        format!("{} of {}", grouped(done), grouped(total))
    }

    pub fn step(mut self, step: StepView) -> Self {
        self.steps.push(step);
        self
    }

    pub fn fact(mut self, label: impl Into<String>, value: impl Into<super::cell::Cell>) -> Self {
        self.facts.push((label.into(), value.into()));
        self
    }

    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    fn done(&self) -> usize {
        self.steps.iter().filter(|step| step.state == StepState::Done).count()
    }
}

/// The generic page of an operation.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/operation_page.html")]
pub struct OperationPage {
    pub page: Page,
    pub operation: OperationView,
}

impl OperationPage {
    pub fn new(page: Page, operation: OperationView) -> Self {
        Self { page, operation }
    }
}
