//! How people reach Provost: the kit every page is built from, and the features on top of it.
//!
//! The kit knows no session, no database and no feature. A feature declares its columns, its
//! fields and its words; the kit turns them into a page.

pub mod assets;
pub mod badge;
pub mod cell;
pub mod confirm;
pub mod error_page;
pub mod forms;
pub mod icons;
pub mod list;
pub mod operation_view;
pub mod page;
pub mod record;
pub mod respond;
pub mod stat;
pub mod theme;
pub mod time;
pub mod words;

pub mod auth;
pub mod client;
mod form_body;
pub mod health;
pub mod middleware;
pub mod public;

/// The platform, as every handler gets it.
pub type State = actix_web::web::Data<crate::services::platform::Platform>;
