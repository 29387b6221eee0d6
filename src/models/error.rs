//! What a model function can answer besides its result.

use crate::db::pools::PoolError;

/// Why a model function did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The database refused or failed; `NotFound` among them is a missing record.
    #[error(transparent)]
    Database(diesel::result::Error),
    /// No connection could be had.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Somebody else was faster: the state or version is no longer what the caller saw.
    /// The text says who did what, for a person.
    #[error("{0}")]
    Changed(String),
    /// A rule forbids it. The text says which one and what to do, for a person.
    #[error("{0}")]
    Refused(String),
}

impl From<diesel::result::Error> for ModelError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl ModelError {
    /// The record asked for does not exist (or is not the caller's, which is the same answer).
    pub const NOT_FOUND: Self = Self::Database(diesel::result::Error::NotFound);

    /// Whether a missing record is the reason.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Database(diesel::result::Error::NotFound))
    }

    /// Whether a UNIQUE constraint refused the write.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        use diesel::result::{DatabaseErrorKind::UniqueViolation, Error::DatabaseError};
        matches!(self, Self::Database(DatabaseError(UniqueViolation, _)))
    }
}

/// Result of a model function.
pub type ModelResult<T> = Result<T, ModelError>;
