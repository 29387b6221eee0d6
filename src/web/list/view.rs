//! A list ready to be drawn.

use askama::{Template, filters::HtmlSafe};

use super::{
    query::{Dir, ListQuery},
    spec::{Column, Filter, FilterKind, ListSpec, SIZES},
};
use crate::web::{
    cell::Cell,
    icons::Icon,
    page::{Action, Page},
    words::grouped,
};

/// One record of the list.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    /// Where the first cell leads.
    pub href: Option<String>,
    pub cells: Vec<Cell>,
    pub actions: Vec<Action>,
    /// Whether it has a tick box, where there are bulk actions.
    pub selectable: bool,
}

impl Row {
    pub fn new(id: impl ToString, href: impl Into<String>) -> Self {
        Self { href: Some(href.into()), ..Self::plain(id) }
    }

    /// A row that leads nowhere.
    pub fn plain(id: impl ToString) -> Self {
        Self { id: id.to_string(), href: None, cells: Vec::new(), actions: Vec::new(), selectable: true }
    }

    /// As the page names the row: of an id, which may be an address or a domain, what HTML and CSS take as it is.
    fn anchor(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let named = |c: char| if plain(c) { c.to_string() } else { format!("_{:x}", u32::from(c)) };
        self.id.chars().map(named).collect()
    }

    /// The next cell, in the order of the columns.
    pub fn cell(mut self, cell: impl Into<Cell>) -> Self {
        self.cells.push(cell.into());
        self
    }

    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// A row no bulk action is for.
    pub fn fixed(mut self) -> Self {
        self.selectable = false;
        self
    }
}

/// A filter in force, with the address that removes it.
#[derive(Debug, Clone)]
pub struct Chip {
    pub label: String,
    pub href: String,
}

/// A list ready to be drawn: by [`ListPage`], or by `{{ list }}` within another page.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/list.html")]
pub struct ListView {
    pub spec: ListSpec,
    pub query: ListQuery,
    pub total: i64,
    pub rows: Vec<Row>,
    /// Where there are several lists on a page, each needs a word of its own.
    pub region: &'static str,
}

impl HtmlSafe for ListView {}

impl ListView {
    /// `total` counts all that match, on every page.
    pub fn new(spec: ListSpec, query: ListQuery, total: i64, rows: Vec<Row>) -> Self {
        Self { spec, query, total, rows, region: "list" }
    }

    /// Rows within another page: no search, no pager, nothing in the address.
    pub fn plain(spec: ListSpec, rows: Vec<Row>) -> Self {
        let query = ListQuery::parse(&spec, "");
        let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        Self::new(spec, query, total, rows)
    }

    /// Tells this list from another on the same page.
    pub fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    fn path(&self) -> &str {
        &self.spec.path
    }

    fn chips(&self) -> Vec<Chip> {
        let search =
            self.query.q().map(|q| Chip {
                label: format!("“{q}”"),
                href: self.query.without_search().href(self.path()),
            });
        let filters = self.spec.filters.iter().filter_map(|filter| {
            let value = self.query.filter(filter.key)?;
            Some(Chip {
                label: format!("{}: {}", filter.label, filter.words(value)),
                href: self.query.without_filter(filter.key).href(self.path()),
            })
        });
        search.into_iter().chain(filters).collect()
    }

    fn cells<'v>(&'v self, row: &'v Row) -> impl Iterator<Item = (&'v Column, &'v Cell)> {
        self.spec.columns.iter().zip(&row.cells)
    }

    fn options<'v>(&self, filter: &'v Filter) -> Option<&'v [crate::web::forms::Choice]> {
        match &filter.kind {
            FilterKind::OneOf(options) => Some(options),
            FilterKind::Date => None,
        }
    }

    fn chosen(&self, filter: &Filter) -> &str {
        self.query.filter(filter.key).unwrap_or_default()
    }

    /// A list within another page has no order that it could tell of.
    fn aria_sort(&self, column: &Column) -> Option<&'static str> {
        (self.spec.has_filters() && column.key == self.query.sort()).then(|| self.query.dir().aria())
    }

    fn sort_href(&self, column: &Column) -> String {
        self.query.with_sort(column.key).href(self.path())
    }

    fn ascending(&self) -> bool {
        self.query.dir() == Dir::Asc
    }

    fn page_href(&self, page: i64) -> String {
        self.query.with_page(page).href(self.path())
    }

    fn last_page_href(&self) -> String {
        self.page_href(self.query.pages(self.total))
    }

    /// Page sizes, each with its address and whether it is the one in force.
    fn sizes(&self) -> [(i64, String, bool); 3] {
        SIZES.map(|size| (size, self.query.with_size(size).href(self.path()), size == self.query.size()))
    }

    fn counted(&self) -> String {
        self.spec.noun.count(self.total)
    }

    /// Whether anything can be done with many: with rows of this page, or with those of others.
    fn has_bulk(&self) -> bool {
        self.has_ticks() || (!self.spec.bulk.is_empty() && !self.rows.is_empty() && self.more_than_shown())
    }

    fn has_ticks(&self) -> bool {
        !self.spec.bulk.is_empty() && self.rows.iter().any(|row| row.selectable)
    }

    fn has_actions(&self) -> bool {
        self.rows.iter().any(|row| !row.actions.is_empty())
    }

    /// Nothing matches, though there may be records.
    fn nothing_matches(&self) -> bool {
        self.total == 0 && self.query.narrowed()
    }

    /// There are records, but not on this page.
    fn past_the_end(&self) -> bool {
        self.total > 0 && self.rows.is_empty()
    }

    /// "26–50 of 5,000 students", "3 students".
    fn range(&self) -> String {
        let shown = i64::try_from(self.rows.len()).unwrap_or(0);
        if shown >= self.total || shown == 0 {
            return self.spec.noun.count(self.total);
        }
        let first = self.query.offset() + 1;
        format!(
            "{}–{} of {}",
            grouped(first),
            grouped(self.query.offset() + shown),
            self.spec.noun.count(self.total)
        )
    }

    fn more_than_shown(&self) -> bool {
        self.total > i64::try_from(self.rows.len()).unwrap_or(0)
    }

    /// Whether there are pages, or will be with another page size.
    fn paged(&self) -> bool {
        self.spec.has_filters() && self.total > SIZES[0]
    }

    /// The ways to other pages: label, icon, and the address where there is one.
    fn steps(&self) -> [(&'static str, Icon, Option<String>); 4] {
        let (page, last) = (self.query.page(), self.query.pages(self.total));
        let back = |to| (page > 1).then(|| self.page_href(to));
        let forth = |to| (page < last).then(|| self.page_href(to));
        [
            ("First page", Icon::ChevronsLeft, back(1)),
            ("Previous page", Icon::ChevronLeft, back(page - 1)),
            ("Next page", Icon::ChevronRight, forth(page + 1)),
            ("Last page", Icon::ChevronsRight, forth(last)),
        ]
    }

    fn total_words(&self) -> String {
        grouped(self.total)
    }
}

/// The generic page of a list.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/list_page.html")]
pub struct ListPage {
    pub page: Page,
    pub list: ListView,
}

impl ListPage {
    pub fn new(page: Page, list: ListView) -> Self {
        Self { page, list }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{list::BulkAction, words::Noun};

    fn view(total: i64, selectable: bool) -> String {
        let spec =
            ListSpec::new("/s", Noun::new("student", "students"), &[Column::new("name", "Name").sortable()])
                .search("Name")
                .bulk(BulkAction::new("Archive students", "/s/archivings"));
        let query = ListQuery::parse(&spec, "");
        let row = if selectable { Row::plain(1) } else { Row::plain(1).fixed() };
        ListView::new(spec, query, total, vec![row.cell("Ada")]).to_string()
    }

    #[test]
    fn all_that_match_can_be_chosen_where_no_row_of_the_page_can() {
        let decided = view(30, false);
        assert!(decided.contains("All 30 that match"));
        assert!(!decided.contains("tick-cell"));
        assert!(!view(1, false).contains("data-bulk"), "nothing is there to be done");
        assert!(view(1, true).contains("tick-cell"));
    }

    #[test]
    fn a_row_has_a_name_that_html_takes_whatever_it_is_of() {
        let spec = ListSpec::new("/s", Noun::new("page", "pages"), &[Column::new("page", "Page")]);
        let html =
            ListView::plain(spec, vec![Row::plain("/i/{domain}").cell("it")]).region("pages").to_string();
        assert!(html.contains("id=\"pages-_2fi_2f_7bdomain_7d\""), "{html}");
    }

    #[test]
    fn only_a_list_with_an_order_of_its_own_tells_of_it() {
        assert!(view(1, true).contains("aria-sort=\"ascending\""));
        let spec =
            ListSpec::new("/s", Noun::new("student", "students"), &[Column::new("name", "Name").sortable()]);
        let within = ListView::plain(spec, vec![Row::plain(1).cell("Ada")]).to_string();
        assert!(!within.contains("aria-sort"));
    }
}
