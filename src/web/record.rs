//! A record: its facts, what can be done with it, and its history.

use askama::{Template, filters::HtmlSafe};

use super::{
    cell::Cell,
    chart::Chart,
    list::ListView,
    page::{Action, Notice, Page},
    time::When,
};

/// One record, drawn by [`RecordPage`] or, within another page, by `{{ record }}`.
#[derive(Debug, Clone, Default, Template)]
#[template(path = "kit/record.html")]
pub struct Record {
    pub notice: Option<Notice>,
    pub sections: Vec<Section>,
    /// How things went, under the facts.
    pub charts: Vec<Chart>,
    /// Quieter actions in the side column.
    pub actions: Vec<Action>,
    /// Lists of what belongs to the record, under the facts.
    pub lists: Vec<Related>,
    pub history: Option<Timeline>,
}

impl HtmlSafe for Record {}

/// A heading and the list under it.
#[derive(Debug, Clone)]
pub struct Related {
    pub title: String,
    pub list: ListView,
}

impl Record {
    pub fn new() -> Self {
        Self::default()
    }

    /// Something to know before reading on, as why it failed.
    pub fn notice(mut self, notice: impl Into<Option<Notice>>) -> Self {
        self.notice = notice.into();
        self
    }

    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    pub fn chart(mut self, chart: Chart) -> Self {
        self.charts.push(chart);
        self
    }

    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    pub fn list(mut self, title: impl Into<String>, list: ListView) -> Self {
        self.lists.push(Related { title: title.into(), list });
        self
    }

    pub fn history(mut self, entries: Vec<Entry>) -> Self {
        self.history = Some(Timeline { entries, more: None });
        self
    }

    /// The history with a link to all of it.
    pub fn history_of(mut self, timeline: Timeline) -> Self {
        self.history = Some(timeline);
        self
    }
}

/// Facts that belong together.
#[derive(Debug, Clone)]
pub struct Section {
    pub title: String,
    pub facts: Vec<(String, Cell)>,
    /// Where they can be changed.
    pub edit: Option<String>,
}

impl Section {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), facts: Vec::new(), edit: None }
    }

    pub fn fact(mut self, label: impl Into<String>, value: impl Into<Cell>) -> Self {
        self.facts.push((label.into(), value.into()));
        self
    }

    pub fn edit(mut self, href: impl Into<String>) -> Self {
        self.edit = Some(href.into());
        self
    }
}

/// What happened, the newest first; `{{ timeline }}` writes it.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/timeline.html")]
pub struct Timeline {
    pub entries: Vec<Entry>,
    /// Where all of it is.
    pub more: Option<Action>,
}

impl HtmlSafe for Timeline {}

/// Who did what, when.
#[derive(Debug, Clone)]
pub struct Entry {
    pub when: When,
    pub who: String,
    /// A sentence without its subject: "approved the registration".
    pub what: String,
    pub detail: Option<String>,
    pub changes: Vec<Change>,
}

/// One field before and after.
#[derive(Debug, Clone)]
pub struct Change {
    pub field: String,
    pub before: String,
    pub after: String,
}

impl Entry {
    pub fn new(when: When, who: impl Into<String>, what: impl Into<String>) -> Self {
        Self { when, who: who.into(), what: what.into(), detail: None, changes: Vec::new() }
    }

    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into()).filter(|text| !text.is_empty());
        self
    }

    pub fn change(
        mut self,
        field: impl Into<String>,
        before: impl Into<String>,
        after: impl Into<String>,
    ) -> Self {
        self.changes.push(Change { field: field.into(), before: before.into(), after: after.into() });
        self
    }
}

/// The generic page of a record.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/record_page.html")]
pub struct RecordPage {
    pub page: Page,
    pub record: Record,
}

impl RecordPage {
    pub fn new(page: Page, record: Record) -> Self {
        Self { page, record }
    }
}
