//! Watching over the platform: figures from this process into the shared database, sizes in the background, alerts,
//! and the webhooks that are told of them.

pub mod alerts;
mod figures;
mod network;
mod rules;
mod sessions;
pub(super) mod sizes;
pub mod webhooks;

pub use figures::{FLUSH_EVERY, flush};
pub use network::{AddressError, check_address};
pub use rules::rule_names;
pub use sessions::Watched;
pub use sizes::measure;
