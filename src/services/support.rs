//! Ending a look into an institution: on the platform, and in the institution's own log.

use super::platform::Platform;
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        institution::activity::Activity,
        platform::{
            audit::Audit,
            institutions::{Institution, Status},
            support_accesses,
        },
    },
};

/// Ends what a platform admin has open at an institution, and leaves a trace where its own people see it.
///
/// # Errors
/// As [`support_accesses::end`].
pub fn end(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution: &Institution,
    admin_id: Id,
) -> ModelResult<()> {
    support_accesses::end(connection, audit, institution, admin_id)?;
    if institution.status == Status::Active
        && let Err(error) = note_end(connection, platform, audit, institution)
    {
        // It has ended all the same.
        log::warn!("the log of {} does not say that a look into it has ended: {error}", institution.domain);
    }
    Ok(())
}

fn note_end(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution: &Institution,
) -> Result<(), String> {
    let tenant = platform.tenants.open(connection, institution.id).map_err(|error| error.to_string())?;
    let mut tenant = tenant.get().map_err(|error| error.to_string())?;
    let activity = Activity::new(audit.actor.clone());
    let noted =
        tenant.write_tx(|c| activity.record(c, "support.ended", "support", None, &institution.name, &[]));
    noted.map_err(|error: ModelError| error.to_string())
}
