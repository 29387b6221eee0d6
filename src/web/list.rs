//! The one list: search, filters, sort, pages, CSV, bulk actions and the empty state.
//!
//! A feature declares a [`ListSpec`], reads a [`ListQuery`] from the address, asks its model for
//! the rows and a total, and shows a [`ListView`]. The whole state is in the address.

mod bulk;
mod query;
mod spec;
mod view;

pub use bulk::BulkSelection;
pub use query::{Dir, ListQuery};
pub use spec::{BulkAction, Column, Filter, FilterKind, ListSpec, SIZES};
pub use view::{Chip, ListPage, ListView, Row};
