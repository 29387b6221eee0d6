//! Provost: one isolated database per institution, many institutions from one place.
//!
//! Imports run downwards only:
//! `main → cli → app → routes → web → services → models → db`. A test holds the rule.

pub mod db;
pub mod models;
pub mod services;
pub mod web;
