//! What is true: records, their rules and their SQL. No web, no templates, no configuration.

pub mod actor;
mod bulk;
pub mod country;
pub mod database_name;
pub mod domain;
pub mod error;
pub mod institution;
pub mod limits;
pub mod paging;
pub mod platform;
pub mod search;
pub mod text;
pub mod time_zone;

pub use actor::Actor;
pub use error::{ModelError, ModelResult};
pub use limits::{Limits, Resource, Usage};
pub use paging::{Paging, Slice};
pub(crate) use paging::{containing, ordered};
