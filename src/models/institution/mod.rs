//! Records of one institution, in its own tenant database.

pub mod activity;
pub mod imports;
pub mod masking;
pub mod people;
pub mod profile;
pub mod quota;
pub mod student_bulk;
pub mod student_rules;
pub mod students;
pub mod users;

pub use activity::Activity;
