//! What is true: records, their rules and their SQL. No web, no templates, no configuration.

pub mod country;
pub mod database_name;
pub mod domain;
pub mod text;
pub mod time_zone;
