//! Records of the platform, in the shared database.

pub mod audit;
pub mod security_log;
pub mod sessions;
pub mod throttles;
pub mod waiting;
