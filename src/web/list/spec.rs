//! What a feature declares of its list.

use std::borrow::Cow;

use super::query::Dir;
use crate::web::{forms::Choice, icons::Icon, page::Action, stat::Empty, words::Noun};

/// The page sizes a person may choose; the first is the default.
pub const SIZES: [i64; 3] = [25, 50, 100];

/// A column: what it is called and whether it can be sorted by.
#[derive(Debug, Clone)]
pub struct Column {
    pub key: &'static str,
    pub label: Cow<'static, str>,
    pub sortable: bool,
    /// Right-aligned, with figures of equal width.
    pub numeric: bool,
    /// Left out of a narrow screen's card.
    pub minor: bool,
}

impl Column {
    pub const fn new(key: &'static str, label: &'static str) -> Self {
        Self { key, label: Cow::Borrowed(label), sortable: false, numeric: false, minor: false }
    }

    pub const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }

    pub const fn numeric(mut self) -> Self {
        self.numeric = true;
        self
    }

    pub const fn minor(mut self) -> Self {
        self.minor = true;
        self
    }
}

/// A narrowing that is part of the address.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The name of the query parameter.
    pub key: &'static str,
    pub label: &'static str,
    pub kind: FilterKind,
    /// What nothing chosen is called.
    pub unset: &'static str,
}

/// How it is chosen.
#[derive(Debug, Clone)]
pub enum FilterKind {
    /// One of these; anything else in the address is dropped.
    OneOf(Vec<Choice>),
    /// A date, `2026-09-05`.
    Date,
}

impl Filter {
    pub fn one_of(
        key: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = impl Into<Choice>>,
    ) -> Self {
        Self {
            key,
            label,
            kind: FilterKind::OneOf(options.into_iter().map(Into::into).collect()),
            unset: "Any",
        }
    }

    pub fn date(key: &'static str, label: &'static str) -> Self {
        Self { key, label, kind: FilterKind::Date, unset: "Any" }
    }

    /// Says what the list holds while nothing is chosen, where that is not everything.
    pub const fn unset(mut self, label: &'static str) -> Self {
        self.unset = label;
        self
    }

    /// Whether the value may stand in the address.
    pub(super) fn accepts(&self, value: &str) -> bool {
        match &self.kind {
            FilterKind::OneOf(options) => options.iter().any(|option| option.value == value),
            FilterKind::Date => value.parse::<chrono::NaiveDate>().is_ok(),
        }
    }

    /// The words for a value.
    pub(super) fn words(&self, value: &str) -> String {
        let known = match &self.kind {
            FilterKind::OneOf(options) => options.iter().find(|option| option.value == value),
            FilterKind::Date => None,
        };
        known.map_or_else(|| value.to_owned(), |option| option.label.clone())
    }
}

/// Something that can be done to many records at once: posts the selection to `action`, which
/// reads it by [`super::BulkSelection::parse`] and answers with a confirmation or a redirect.
#[derive(Debug, Clone)]
pub struct BulkAction {
    pub label: String,
    pub action: String,
    pub icon: Option<Icon>,
    pub danger: bool,
}

impl BulkAction {
    pub fn new(label: impl Into<String>, action: impl Into<String>) -> Self {
        Self { label: label.into(), action: action.into(), icon: None, danger: false }
    }

    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    pub fn danger(mut self) -> Self {
        self.danger = true;
        self
    }
}

/// A list as a feature declares it.
#[derive(Debug, Clone)]
pub struct ListSpec {
    pub path: String,
    pub noun: Noun,
    pub columns: Vec<Column>,
    /// What the search box looks through; without it there is no box.
    pub search: Option<&'static str>,
    pub filters: Vec<Filter>,
    pub sort: &'static str,
    pub dir: Dir,
    pub csv: bool,
    pub bulk: Vec<BulkAction>,
    /// Shown while there is nothing at all.
    pub empty: Option<Empty>,
}

impl ListSpec {
    /// A list at `path`, sorted by its first sortable column until told otherwise.
    pub fn new(path: impl Into<String>, noun: Noun, columns: &[Column]) -> Self {
        let sort = columns.iter().find(|column| column.sortable).map_or("", |column| column.key);
        Self {
            path: path.into(),
            noun,
            columns: columns.to_vec(),
            search: None,
            filters: Vec::new(),
            sort,
            dir: Dir::Asc,
            csv: false,
            bulk: Vec::new(),
            empty: None,
        }
    }

    pub fn sorted_by(mut self, key: &'static str, dir: Dir) -> Self {
        self.sort = key;
        self.dir = dir;
        self
    }

    /// Adds the search box; `what` says what is looked through: "Name, number or e-mail".
    pub fn search(mut self, what: &'static str) -> Self {
        self.search = Some(what);
        self
    }

    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds the link to `{path}.csv`, which answers the list as filtered.
    pub fn csv(mut self) -> Self {
        self.csv = true;
        self
    }

    pub fn bulk(mut self, action: BulkAction) -> Self {
        self.bulk.push(action);
        self
    }

    /// Without its bulk acts, for who may only look.
    pub fn without_bulk(mut self) -> Self {
        self.bulk.clear();
        self
    }

    /// What to say, and the next step, while there is nothing at all.
    pub fn empty(
        mut self,
        title: impl Into<String>,
        text: impl Into<String>,
        action: Option<Action>,
    ) -> Self {
        self.empty = Some(Empty { action, ..Empty::new(title, text) });
        self
    }

    pub(super) fn has_filters(&self) -> bool {
        self.search.is_some() || !self.filters.is_empty()
    }
}
