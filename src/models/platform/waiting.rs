//! The work that waits for a super admin: the counts in the navigation.

use diesel::prelude::*;

use crate::{
    db::{
        schema_shared::{institutions, operations},
        shared::SharedConn,
    },
    models::{
        ModelResult,
        platform::{institutions::Status, operations::OPEN},
    },
};

/// Counts shown beside the navigation's entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Institutions whose registration is to be decided.
    pub registrations: i64,
    /// Institutions whose database could not be made.
    pub failed_provisionings: i64,
    /// Failed operations that a super admin can do something about.
    pub failed_operations: i64,
    /// Alerts that fire and that nobody takes care of.
    pub alerts: i64,
    /// Operations at work.
    pub running_operations: i64,
}

/// Counts what waits; each count reads an index only.
///
/// # Errors
/// Any database error.
pub fn waiting(connection: &mut SharedConn) -> ModelResult<Waiting> {
    let in_status = |status: Status| institutions::table.filter(institutions::status.eq(status)).count();
    Ok(Waiting {
        registrations: in_status(Status::PendingApproval).get_result(connection)?,
        failed_provisionings: in_status(Status::ProvisioningFailed).get_result(connection)?,
        failed_operations: super::operations::failed_count(connection)?,
        alerts: super::alerts::unacknowledged(connection)?,
        running_operations: operations::table
            .filter(operations::status.eq_any(OPEN))
            .count()
            .get_result(connection)?,
    })
}
