//! What nobody may do with an institution just now, and what they are told.

use actix_web::{HttpRequest, http::Method};

use super::InstitutionUser;
use crate::{
    error::AppError,
    models::platform::{
        institutions::{Institution, Status},
        subscriptions::Standing,
        tenant_databases::WriteBlock,
    },
    services::tenants::{Maintenance, TenantError},
};

pub(super) const MOVING: &str = "The institution's records are being moved to another server. They can be read, and in a few minutes be changed again.";
pub(super) const READ_ONLY: &str = "The subscription of this institution has run out, so its records can be read and not changed. \
    Ask the platform's administrators how to go on.";

impl InstitutionUser {
    /// Refuses whatever would change a record while the institution is read-only. Signing in and one's own account
    /// are not the institution's records.
    pub(super) fn may_send(&self, request: &HttpRequest) -> Result<(), AppError> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        // Who takes a file along is noted in the institution's own log.
        let takes = [".csv", ".zip"].iter().any(|ending| request.path().ends_with(ending));
        if self.write_block == Some(WriteBlock::Move) && (!reads || takes) {
            let then = if reads { "Files can be taken after that." } else { "Nothing was changed." };
            return Err(AppError::Unavailable(format!("{MOVING} {then}"), 30));
        }
        if !reads && self.terms.standing(crate::db::now()) == Standing::ReadOnly {
            return Err(AppError::ReadOnly(format!("{READ_ONLY} Nothing was changed.")));
        }
        Ok(())
    }
}

/// What everybody is told of an institution that nobody can enter.
pub(super) fn closed(institution: &Institution) -> Option<AppError> {
    let name = institution.name.clone();
    match institution.status {
        Status::Suspended => Some(AppError::Suspended(name)),
        Status::Archived => Some(AppError::Archived(name)),
        _ => None,
    }
}

/// What opening a tenant database can answer, in a visitor's terms.
impl From<TenantError> for AppError {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::NotFound => Self::NotFound,
            TenantError::NotActive(_) => {
                Self::Unavailable("This institution is not open right now.".into(), 60)
            }
            TenantError::Pool(error) => error.into(),
            TenantError::Behind => Self::from(TenantError::Maintenance(Maintenance::UnderWay)),
            TenantError::Maintenance(why) => {
                let (words, wait) = maintenance_words(why);
                Self::Maintenance(words.into(), wait)
            }
            other => Self::internal(other),
        }
    }
}

/// What somebody is told whose institution is closed for maintenance, and when to come back.
fn maintenance_words(why: Maintenance) -> (&'static str, i64) {
    match why {
        Maintenance::UnderWay | Maintenance::Next => {
            ("The institution's records are being brought up to date at this moment.", 5)
        }
        Maintenance::HeldBack => {
            ("The institution's records wait for their turn to be brought up to date.", 120)
        }
        Maintenance::Newer => {
            ("The institution's records have been brought up to date, and this server has not yet.", 60)
        }
        Maintenance::Quarantined => (
            "The institution's records could not be brought up to date. The platform's administrators know and \
             look after it.",
            600,
        ),
    }
}
