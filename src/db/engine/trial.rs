//! Whether a tenant database can be used.

use diesel::prelude::*;

use super::EngineError;
use crate::db::{schema_tenant::institution, tenant::TenantConn};

/// The row that a usable tenant database has exactly one of is written and the write taken back.
pub(super) fn try_reading_and_writing(connection: &mut TenantConn) -> Result<(), EngineError> {
    /// Takes the write back.
    enum Outcome {
        Rows(usize),
        Failed(diesel::result::Error),
    }
    impl From<diesel::result::Error> for Outcome {
        fn from(error: diesel::result::Error) -> Self {
            Self::Failed(error)
        }
    }
    let outcome = connection.write_tx::<(), Outcome>(|connection| {
        let rows = diesel::update(institution::table)
            .set(institution::version.eq(institution::version + 1))
            .execute(connection)?;
        Err(Outcome::Rows(rows))
    });
    match outcome {
        Err(Outcome::Rows(1)) => Ok(()),
        Err(Outcome::Rows(rows)) => Err(EngineError::permanent(format!(
            "The new database describes {rows} institutions instead of one. Roll back and try again."
        ))),
        Err(Outcome::Failed(error)) => {
            Err(EngineError::permanent(format!("The new database cannot be read and written: {error}.")))
        }
        Ok(()) => Ok(()),
    }
}
