//! Why a step was not done, and whether trying again may help.

use crate::{
    db::{engine::EngineError, pools::PoolError, trouble::Trouble},
    models::ModelError,
    services::{keys::KeyError, tenants::TenantError},
};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may pass by itself: tried again a few times.
    #[error("{0}")]
    Transient(String),
    /// Somebody has to do something first.
    #[error("{0}")]
    Permanent(String),
    /// Another worker has taken over: this one stops and writes nothing.
    #[error("another worker has taken over")]
    LeaseLost,
    /// The process is about to end: the step stopped at a safe place and will be begun again.
    #[error("the server is stopping")]
    Stopping,
    /// Somebody holds the operation back: it waits at a safe place until they let it go on.
    #[error("it is held back")]
    Held,
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        if error.transient { Self::Transient(error.message) } else { Self::Permanent(error.message) }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Transient(match error {
            PoolError::Busy | PoolError::BudgetSpent => {
                "Every database connection is in use. Wait a moment, or raise the connection budget, then try \
                 again."
                    .into()
            }
            PoolError::Unreachable(text) => words(&text),
            other => format!("The database could not be used: {other}."),
        })
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Pool(error) => error.into(),
            ModelError::Changed(words) | ModelError::Refused(words) => Self::Permanent(words),
            ModelError::Database(error) => error.into(),
        }
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Transient(words(&error.to_string()))
    }
}

/// What a database said, and what to do where that is known.
fn words(text: &str) -> String {
    match Trouble::of(text) {
        Some(trouble) => format!("The database could not be used: {}", trouble.words()),
        None => format!("The database could not be used: {}.", text.trim().trim_end_matches('.')),
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Database(error) => error.into(),
            other => Self::Permanent(format!("A key could not be used: {other}.")),
        }
    }
}

impl From<TenantError> for Failure {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Pool(error) => error.into(),
            TenantError::Database(error) => error.into(),
            TenantError::Key(error) => error.into(),
            TenantError::Engine(error) => error.into(),
            TenantError::Behind | TenantError::Maintenance(_) => Self::Transient(format!("{error}.")),
            other => Self::Permanent(format!("The institution's database cannot be entered: {other}.")),
        }
    }
}
