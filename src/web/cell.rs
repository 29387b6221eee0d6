//! One value as a list or a record shows it.

use askama::{Template, filters::HtmlSafe};
use chrono::{NaiveDate, NaiveDateTime};

use super::{
    badge::Badge,
    time::{Clock, When},
    words::grouped,
};

/// What is to be shown; most come by `into()`, the others by a constructor.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/cell.html")]
pub struct Cell {
    pub value: Value,
    /// A second, quieter line.
    pub note: Option<String>,
}

impl HtmlSafe for Cell {}

/// The kinds of value.
#[derive(Debug, Clone)]
pub enum Value {
    Nothing,
    Text(String),
    /// Text whose line breaks matter.
    Lines(String),
    Mono(String),
    Number(String),
    Link {
        text: String,
        href: String,
    },
    Badge(Badge),
    Badges(Vec<Badge>),
    Time(When),
    Date {
        iso: String,
        text: String,
    },
}

impl Cell {
    fn of(value: Value) -> Self {
        Self { value, note: None }
    }

    /// No value: shown as a quiet dash.
    pub fn nothing() -> Self {
        Self::of(Value::Nothing)
    }

    /// Words; an empty text is shown as no value.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::nothing() } else { Self::of(Value::Text(text)) }
    }

    /// Words with their line breaks kept, as a remark or an address.
    pub fn lines(text: impl Into<String>) -> Self {
        Self::of(Value::Lines(text.into()))
    }

    /// Something to be read letter by letter: a code, a domain, an id.
    pub fn mono(text: impl Into<String>) -> Self {
        Self::of(Value::Mono(text.into()))
    }

    pub fn number(n: i64) -> Self {
        Self::of(Value::Number(grouped(n)))
    }

    /// A number that is written already, as "12.5" or "1.4 MB".
    pub fn figure(text: impl Into<String>) -> Self {
        Self::of(Value::Number(text.into()))
    }

    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self::of(Value::Link { text: text.into(), href: href.into() })
    }

    /// An address to write to.
    pub fn email(address: impl Into<String>) -> Self {
        let text = address.into();
        if text.is_empty() {
            return Self::nothing();
        }
        let href = format!("mailto:{text}");
        Self::link(text, href)
    }

    /// A number to call.
    pub fn phone(number: impl Into<String>) -> Self {
        let text = number.into();
        if text.is_empty() {
            return Self::nothing();
        }
        let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        Self::link(text, format!("tel:{digits}"))
    }

    pub fn badge(badge: Badge) -> Self {
        Self::of(Value::Badge(badge))
    }

    pub fn badges(badges: Vec<Badge>) -> Self {
        if badges.is_empty() { Self::nothing() } else { Self::of(Value::Badges(badges)) }
    }

    /// A moment (UTC), relative, with the exact one in its title.
    pub fn time(clock: &Clock, at: impl Into<Option<NaiveDateTime>>) -> Self {
        at.into().map_or_else(Self::nothing, |at| Self::of(Value::Time(clock.when(at))))
    }

    /// A calendar date.
    pub fn date(clock: &Clock, date: impl Into<Option<NaiveDate>>) -> Self {
        date.into().map_or_else(Self::nothing, |date| {
            Self::of(Value::Date { iso: date.to_string(), text: clock.date(date) })
        })
    }

    /// The value without its second line, for the inside of a link.
    pub fn value_only(&self) -> Self {
        Self::of(self.value.clone())
    }

    /// A second, quieter line under the value; nothing when it is empty.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into()).filter(|note| !note.is_empty());
        self
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::text(text.as_str())
    }
}

impl From<i64> for Cell {
    fn from(n: i64) -> Self {
        Self::number(n)
    }
}

impl From<i32> for Cell {
    fn from(n: i32) -> Self {
        Self::number(n.into())
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Self {
        Self::text(if yes { "Yes" } else { "No" })
    }
}

impl From<Badge> for Cell {
    fn from(badge: Badge) -> Self {
        Self::badge(badge)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::nothing, Into::into)
    }
}
