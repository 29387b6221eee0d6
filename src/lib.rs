//! Provost: one isolated database per institution, many institutions from one place.
//!
//! Imports run downwards only:
//! `main → cli → app → routes → web → services → models → db`. A test holds the rule.

pub mod app;
pub mod cli;
pub mod config;
pub mod db;
pub mod error;
pub mod models;
pub mod routes;
pub mod services;
pub mod web;
