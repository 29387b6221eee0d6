//! What the address asks of a list, and the addresses that ask a little differently.

use chrono::NaiveDate;
use unicode_normalization::UnicodeNormalization;
use url::form_urlencoded;

use super::spec::{ListSpec, SIZES};
use crate::models::Paging;

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dir {
    #[default]
    Asc,
    Desc,
}

impl Dir {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    pub fn reversed(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }

    /// What `aria-sort` calls it.
    pub fn aria(self) -> &'static str {
        match self {
            Self::Asc => "ascending",
            Self::Desc => "descending",
        }
    }
}

/// A search text longer than this is cut: nobody types it, and every letter costs time.
const LONGEST_SEARCH: usize = 100;
/// A page number beyond this is somebody playing with the address.
const LAST_PAGE: i64 = 1_000_000;

/// The state of a list, held to its spec: what it does not know is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    q: String,
    filters: Vec<(&'static str, String)>,
    sort: &'static str,
    dir: Dir,
    page: i64,
    size: i64,
    default_sort: (&'static str, Dir),
}

impl ListQuery {
    /// Reads a raw query string against the spec.
    pub fn parse(spec: &ListSpec, raw: &str) -> Self {
        let mut query = Self {
            q: String::new(),
            filters: Vec::new(),
            sort: spec.sort,
            dir: spec.dir,
            page: 1,
            size: SIZES[0],
            default_sort: (spec.sort, spec.dir),
        };
        for (key, value) in form_urlencoded::parse(raw.as_bytes()) {
            query.take(spec, &key, value.trim());
        }
        query
    }

    fn take(&mut self, spec: &ListSpec, key: &str, value: &str) {
        match key {
            "q" if spec.search.is_some() => self.q = searchable(value),
            "sort" => {
                let known = spec.columns.iter().find(|column| column.sortable && column.key == value);
                self.sort = known.map_or(self.sort, |column| column.key);
            }
            "dir" if value == "asc" => self.dir = Dir::Asc,
            "dir" if value == "desc" => self.dir = Dir::Desc,
            "page" => self.page = value.parse().unwrap_or(1).clamp(1, LAST_PAGE),
            "size" => {
                let size = value.parse().unwrap_or(SIZES[0]);
                self.size = if SIZES.contains(&size) { size } else { SIZES[0] };
            }
            _ => {
                let known = spec.filters.iter().find(|filter| filter.key == key && filter.accepts(value));
                if let Some(filter) = known {
                    self.set(filter.key, value.to_owned());
                }
            }
        }
    }

    fn set(&mut self, key: &'static str, value: String) {
        self.filters.retain(|(known, _)| *known != key);
        self.filters.push((key, value));
    }

    /// The search text, when there is one.
    pub fn q(&self) -> Option<&str> {
        Some(self.q.as_str()).filter(|q| !q.is_empty())
    }

    /// What narrows the list, search text first: which rows an export took along.
    pub fn narrowed_by(&self) -> Vec<(&'static str, String)> {
        let q = self.q().map(|q| ("q", q.to_owned()));
        q.into_iter().chain(self.filters.iter().filter(|(_, value)| !value.is_empty()).cloned()).collect()
    }

    /// The chosen value of a filter.
    pub fn filter(&self, key: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// The chosen value of a filter, as the type it is of.
    pub fn chosen<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.filter(key).and_then(|value| value.parse().ok())
    }

    /// The chosen date of a date filter.
    pub fn date(&self, key: &str) -> Option<NaiveDate> {
        self.chosen(key)
    }

    /// The key of the column to sort by: one of the spec's.
    pub fn sort(&self) -> &'static str {
        self.sort
    }

    pub fn dir(&self) -> Dir {
        self.dir
    }

    pub fn descending(&self) -> bool {
        self.dir == Dir::Desc
    }

    pub fn page(&self) -> i64 {
        self.page
    }

    pub fn size(&self) -> i64 {
        self.size
    }

    pub fn limit(&self) -> i64 {
        self.size
    }

    pub fn offset(&self) -> i64 {
        (self.page - 1) * self.size
    }

    /// Which rows the address asks for, in the words of the models.
    pub fn paging(&self) -> Paging {
        Paging {
            sort: self.sort.to_owned(),
            descending: self.descending(),
            limit: self.limit(),
            offset: self.offset(),
        }
    }

    /// The last page of a list of `total`.
    pub fn pages(&self, total: i64) -> i64 {
        ((total + self.size - 1) / self.size).max(1)
    }

    /// Moves back to the last page when the list became shorter than the address thinks.
    pub fn fit(&mut self, total: i64) {
        self.page = self.page.min(self.pages(total));
    }

    /// Whether a search or a filter narrows the list.
    pub fn narrowed(&self) -> bool {
        !self.q.is_empty() || !self.filters.is_empty()
    }

    pub fn with_page(&self, page: i64) -> Self {
        Self { page, ..self.clone() }
    }

    pub fn with_size(&self, size: i64) -> Self {
        Self { size, page: 1, ..self.clone() }
    }

    /// Sorted by a column; by the same one again: the other way round.
    pub fn with_sort(&self, key: &'static str) -> Self {
        let dir = if self.sort == key { self.dir.reversed() } else { Dir::Asc };
        Self { sort: key, dir, page: 1, ..self.clone() }
    }

    pub fn with_filter(&self, key: &'static str, value: impl Into<String>) -> Self {
        let mut query = Self { page: 1, ..self.clone() };
        query.set(key, value.into());
        query
    }

    pub fn without_filter(&self, key: &str) -> Self {
        let mut query = Self { page: 1, ..self.clone() };
        query.filters.retain(|(known, _)| *known != key);
        query
    }

    pub fn without_search(&self) -> Self {
        Self { q: String::new(), page: 1, ..self.clone() }
    }

    /// Everything shown, in the same order.
    pub fn cleared(&self) -> Self {
        Self { q: String::new(), filters: Vec::new(), page: 1, ..self.clone() }
    }

    /// The parameters that differ from the defaults.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.narrowing();
        pairs.extend(self.order());
        if self.page > 1 {
            pairs.push(("page", self.page.to_string()));
        }
        pairs
    }

    /// What narrows the list: the search and the filters.
    fn narrowing(&self) -> Vec<(&'static str, String)> {
        let q = self.q().map(|q| ("q", q.to_owned()));
        q.into_iter().chain(self.filters.iter().cloned()).collect()
    }

    /// How the list is laid out: a filter form carries this along.
    pub(super) fn order(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if (self.sort, self.dir) != self.default_sort {
            pairs.push(("sort", self.sort.to_owned()));
            pairs.push(("dir", self.dir.as_str().to_owned()));
        }
        if self.size != SIZES[0] {
            pairs.push(("size", self.size.to_string()));
        }
        pairs
    }

    /// As a query string, without the question mark.
    pub fn query_string(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }

    /// What narrows the list, and nothing else, as a query string.
    pub fn narrowing_string(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.narrowing()).finish()
    }

    /// The address of the list in this state.
    pub fn href(&self, path: &str) -> String {
        match self.query_string() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The address of all matching rows as CSV.
    pub fn csv_href(&self, path: &str) -> String {
        Self { page: 1, size: SIZES[0], ..self.clone() }.href(&format!("{path}.csv"))
    }
}

/// A search text as it is looked for: composed, one line, not endless.
fn searchable(text: &str) -> String {
    let text: String = text.nfc().filter(|c| !c.is_control()).take(LONGEST_SEARCH).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{
        list::{Column, Filter},
        words::Noun,
    };

    const COLUMNS: &[Column] = &[
        Column::new("name", "Name").sortable(),
        Column::new("marks", "Marks").sortable().numeric(),
        Column::new("note", "Note"),
    ];

    fn spec() -> ListSpec {
        ListSpec::new("/i/mit.edu/students", Noun::new("student", "students"), COLUMNS)
            .search("Name")
            .filter(Filter::one_of("status", "Status", [("active", "Active"), ("left", "Left")]))
            .filter(Filter::date("from", "From"))
    }

    #[test]
    fn what_the_spec_does_not_know_is_dropped() {
        let query = ListQuery::parse(
            &spec(),
            "q=++Ada%00+&status=hacked&from=2026-02-30&sort=note&dir=up&page=-3&size=7&x=y",
        );
        assert_eq!(query.q(), Some("Ada"));
        assert_eq!(query.pairs(), [("q", "Ada".to_owned())]);
        assert_eq!((query.sort(), query.page(), query.size()), ("name", 1, 25));
        let long = ListQuery::parse(&spec(), &format!("q={}&page=99999999999999999999", "é".repeat(500)));
        assert_eq!(long.q().map(|q| q.chars().count()), Some(100));
        assert_eq!(long.offset(), 0);
    }

    #[test]
    fn addresses_round_trip() {
        let raw = "q=a%26b+%C3%A9&status=active&from=2026-09-05&sort=marks&dir=desc&size=50&page=3";
        let query = ListQuery::parse(&spec(), raw);
        assert_eq!(query.query_string(), raw);
        assert_eq!(ListQuery::parse(&spec(), &query.query_string()), query);
        assert_eq!((query.offset(), query.limit()), (100, 50));
        assert_eq!(query.narrowing_string(), "q=a%26b+%C3%A9&status=active&from=2026-09-05");
        assert_eq!(
            query.csv_href("/s"),
            "/s.csv?q=a%26b+%C3%A9&status=active&from=2026-09-05&sort=marks&dir=desc"
        );
        assert_eq!(query.cleared().href("/s"), "/s?sort=marks&dir=desc&size=50");
        assert_eq!(ListQuery::parse(&spec(), "").href("/s"), "/s");
    }

    #[test]
    fn a_head_turns_the_sort_round_and_starts_over() {
        let query = ListQuery::parse(&spec(), "page=4");
        assert_eq!(query.with_sort("name").query_string(), "sort=name&dir=desc");
        assert_eq!(query.with_sort("marks").query_string(), "sort=marks&dir=asc");
        assert_eq!(query.with_filter("status", "left").query_string(), "status=left");
    }

    #[test]
    fn a_shorter_list_moves_the_page_back() {
        let mut query = ListQuery::parse(&spec(), "page=9");
        query.fit(51);
        assert_eq!(query.page(), 3);
        query.fit(0);
        assert_eq!(query.page(), 1);
    }
}
