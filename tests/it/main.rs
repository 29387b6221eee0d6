//! The one integration binary: the real app, driven the way its users do.

mod announcements;
mod audit_page;
mod backups;
#[cfg(feature = "crash-points")]
mod backups_kill_sweep;
mod command_line;
mod courtesies;
mod credentials;
mod disk_full;
mod errors;
mod faults;
#[cfg(feature = "crash-points")]
mod fencing;
#[cfg(feature = "crash-points")]
mod fleet_proof;
mod institution_models;
#[cfg(feature = "crash-points")]
mod kill_sweep;
mod layers;
mod leaving;
#[cfg(feature = "crash-points")]
mod leaving_kill_sweep;
mod lists;
mod log_archives;
mod logs;
mod main_job;
mod monitoring;
mod moves;
#[cfg(feature = "crash-points")]
mod moves_kill_sweep;
mod nodes;
mod pages;
mod plans;
mod platform_models;
mod platform_roles;
mod platform_services;
mod pools;
mod provisioning;
mod reconciliation;
mod rollouts;
mod routes;
mod runbooks;
mod sandboxes;
#[cfg(feature = "crash-points")]
mod sandboxes_kill_sweep;
mod schema;
mod servers;
mod sessions;
mod sign_in;
mod stopping;
mod strangers;
mod support;
mod tenancy;
mod thousands;
mod traces;
mod upkeep;
#[cfg(feature = "crash-points")]
mod upkeep_kill_sweep;
