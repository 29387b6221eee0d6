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
