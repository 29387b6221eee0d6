//! Pieces of dashboards: a number with its meaning, a limit, an empty place.

use askama::{Template, filters::HtmlSafe};

use super::{badge::Tone, icons::Icon, page::Action, words::grouped};

/// A number, its word, and where to look closer.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/stat.html")]
pub struct Stat {
    pub label: String,
    pub value: String,
    /// What changed, or what the number is made of: "12 more than last week".
    pub change: Option<String>,
    pub href: Option<String>,
    pub tone: Tone,
}

impl HtmlSafe for Stat {}

impl Stat {
    pub fn new(label: impl Into<String>, n: i64) -> Self {
        Self::text(label, grouped(n))
    }

    /// A figure that is written already, as "99.9 %".
    pub fn text(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), change: None, href: None, tone: Tone::Neutral }
    }

    pub fn change(mut self, words: impl Into<String>) -> Self {
        self.change = Some(words.into());
        self
    }

    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// Marks a number that asks for attention.
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Why a place is empty, and the next step.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/empty.html")]
pub struct Empty {
    pub icon: Icon,
    pub title: String,
    pub text: String,
    pub action: Option<Action>,
}

impl HtmlSafe for Empty {}

impl Empty {
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { icon: Icon::Inbox, title: title.into(), text: text.into(), action: None }
    }

    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = icon;
        self
    }

    pub fn action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }
}
