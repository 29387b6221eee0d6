//! One page of an ordered list: no list is ever read without a bound.

/// Which rows of a list are wanted, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// Key of the column to sort by; a key the model does not know sorts by its default.
    pub sort: String,
    /// Largest first.
    pub descending: bool,
    /// Rows wanted.
    pub limit: i64,
    /// Rows to skip.
    pub offset: i64,
}

/// Rows of one page, and how many there are in all.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The rows asked for.
    pub rows: Vec<T>,
    /// All rows that match.
    pub total: i64,
}

/// Orders a boxed query by columns, all in the same direction; the last one settles ties. Engines disagree on
/// where a NULL goes: of a column that may be NULL, say `blank last`, which holds in both directions.
macro_rules! ordered {
    ($query:expr, $descending:expr, blank last $column:expr, $ties:expr) => {
        if $descending {
            $query.order(($column.is_null().asc(), $column.desc(), $ties.desc()))
        } else {
            $query.order(($column.is_null().asc(), $column.asc(), $ties.asc()))
        }
    };
    ($query:expr, $descending:expr, $($column:expr),+) => {
        if $descending { $query.order(($($column.desc(),)+)) } else { $query.order(($($column.asc(),)+)) }
    };
}
pub(crate) use ordered;

/// Narrows a boxed query to rows with the words in one of the folded columns; no words, no narrowing.
macro_rules! containing {
    ($query:expr, $words:expr, $column:expr $(, $other:expr)*) => {
        if $words.trim().is_empty() {
            $query
        } else {
            let pattern = $crate::models::search::contains_pattern(&$words);
            $query.filter($column.like(pattern.clone()).escape('\\')$(.or($other.like(pattern.clone()).escape('\\')))*)
        }
    };
}
pub(crate) use containing;
