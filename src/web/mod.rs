//! How people reach Provost: the kit every page is built from, and the features on top of it.
//!
//! The kit knows no session, no database and no feature. A feature declares its columns, its
//! fields and its words; the kit turns them into a page.

pub mod assets;
pub mod auth;
pub mod badge;
pub mod cell;
pub mod chart;
pub mod client;
pub mod confirm;
pub mod csv_file;
pub mod error_page;
pub mod file_download;
mod form_body;
pub mod forms;
pub mod health;
pub mod icons;
pub mod institution;
pub mod limits;
pub mod list;
pub mod middleware;
pub mod operation_view;
pub mod page;
pub mod platform;
pub mod public;
pub mod record;
mod record_id;
pub mod respond;
pub mod stat;
pub mod theme;
pub mod time;
mod upload;
pub mod words;

pub use record_id::RecordId;

/// The platform, as every handler gets it.
pub type State = actix_web::web::Data<crate::services::platform::Platform>;
