//! Secrets at rest: a master key in a file wraps a data key per institution, which seals what must be read again.

mod master_key;
mod platform_secret;
mod seal;

pub use master_key::{KeyFileError, MasterKey, check_value, verify_check_value};
pub use platform_secret::{DerivedKey, KeyUse, PlatformSecret, keyed_hash};
pub use seal::{DataKey, KeyId, Purpose, SealError, Sealed, SecretKey, associated_data, open, seal};
