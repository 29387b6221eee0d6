//! Provost: many educational institutions run from one place, one isolated database each.

pub mod models;
pub mod services;
