//! Connections, pools, engines and migrations. The lowest layer: it knows no record's meaning.
//!
//! [`shared::SharedConn`] and [`tenant::TenantConn`] are different types, so that a tenant query
//! against the shared database, or the reverse, does not compile:
//!
//! ```compile_fail,E0308
//! fn wrong(shared: &mut provost::db::shared::SharedConn) {
//!     let _ = provost::models::institution::users::count(shared);
//! }
//! ```
//!
//! ```
//! fn right(tenant: &mut provost::db::tenant::TenantConn) {
//!     let _ = provost::models::institution::users::count(tenant);
//! }
//! ```

mod connection;
pub mod crash;
pub mod engine;
pub mod lane;
pub mod locks;
pub mod meter;
pub mod migrate;
pub mod pools;
pub mod schema_shared;
pub mod schema_tenant;
pub mod shared;
pub mod target;
pub mod tenant;
pub mod tenant_migrations;
pub mod trouble;
pub mod types;

pub use connection::OpenError;
pub use target::{Engine, Target};
pub use types::{Id, now};
