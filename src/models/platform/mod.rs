//! Records of the platform, in the shared database.

pub mod audit;
pub mod operations;
pub mod outgoing_mails;
pub mod platform_secrets;
pub mod security_log;
pub mod sessions;
pub mod tenant_databases;
pub mod throttles;
