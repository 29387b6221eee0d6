//! Records of the platform, in the shared database.

pub mod audit;
