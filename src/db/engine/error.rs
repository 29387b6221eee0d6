//! Why a step on an engine failed, in words for a person, and whether it may pass by itself.

use std::io;

/// Why a step on an engine failed: what happened and what to do, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// A sentence or two.
    pub message: String,
    /// Whether the same step may succeed a little later without anybody's help.
    pub transient: bool,
}

impl EngineError {
    /// Somebody has to do something.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }

    /// It may pass by itself.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true }
    }
}

/// What was to be copied could not be read.
pub(super) fn cannot_read(error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::InvalidData => EngineError::permanent(error.to_string()),
        _ => EngineError::transient(format!("The copy could not be read: {error}.")),
    }
}

/// Where a copy was to go, it could not be written.
pub(super) fn cannot_write(error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::transient(
            "There is no space left on the disk for the copy. Free some space, then try again.",
        ),
        _ => EngineError::transient(format!("The copy could not be written: {error}.")),
    }
}
