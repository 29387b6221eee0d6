//! The page that says what went wrong and what to do about it.

use askama::Template;

use super::page::{Action, Page};

/// An error as a person is told it.
#[derive(Debug, Clone, Template)]
#[template(path = "errors/error.html")]
pub struct ErrorPage {
    pub page: Page,
    pub status: u16,
    /// What happened and, where it helps, why.
    pub what: String,
    /// What to do next.
    pub todo: String,
    /// To be named when asking for help.
    pub request_id: Option<String>,
    pub links: Vec<Action>,
}

impl ErrorPage {
    /// The page's title says what happened in a few words.
    pub fn new(page: Page, status: u16, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { page, status, what: what.into(), todo: todo.into(), request_id: None, links: Vec::new() }
    }

    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    pub fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.links.push(Action::link(label, href));
        self
    }

    /// The same within a person's own frame. The address is left out of it: two addresses that are alike in
    /// what they answer must be so to the letter.
    #[must_use]
    pub fn in_frame(mut self, frame: Page) -> Self {
        let home = frame.home.clone();
        if !self.links.is_empty() {
            self.links = vec![Action::link("Go to the overview", home.as_str())];
        }
        self.page = frame.title(std::mem::take(&mut self.page.title)).path(home);
        self
    }
}
