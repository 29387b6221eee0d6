//! The profile of an institution in its own database, mirrored in the registry.
//!
//! Once there is a database, it is what counts, whoever changes it: owner or super admin. It is written first,
//! the registry after; saving again mends a mirror that the first time did not reach.

use super::{platform::Platform, tenants::TenantError};
use crate::{
    db::{Id, pools::TenantDb, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        institution::{
            Activity,
            profile::{self, Profile, ProfileChanges},
        },
        platform::{
            audit::Audit,
            institutions::{self, Institution, Kind, Status},
        },
    },
};

/// Tries at the mirror when others write the same row.
const MIRROR_TRIES: usize = 3;

/// Why a super admin's change was not saved.
#[derive(Debug, thiserror::Error)]
pub enum CorrectError {
    /// From the registry or the institution's database.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The institution's database cannot be opened.
    #[error(transparent)]
    Tenant(#[from] TenantError),
}

/// An owner changes the profile that was read as `version`.
///
/// # Errors
/// `Changed` when somebody saved in between; any database error.
pub async fn update(
    platform: &Platform,
    db: &TenantDb,
    institution_id: Id,
    activity: Activity,
    version: i64,
    changes: ProfileChanges,
) -> ModelResult<Profile> {
    let audit = platform.audit(activity.actor.clone());
    let saved = db.run(move |c| profile::update(c, &activity, version, &changes)).await?;
    let profile = saved.clone();
    platform.shared.run(move |c| mirror(c, &audit, institution_id, &profile)).await?;
    Ok(saved)
}

/// A super admin corrects what the registry said as `version`: in the institution's own database too, once it
/// has one.
///
/// # Errors
/// `Changed` when somebody saved in between; `Refused` while the database is being made; any database error.
pub async fn correct(
    platform: &Platform,
    institution: &Institution,
    actor: Actor,
    version: i64,
    changes: institutions::ProfileChanges,
) -> Result<Institution, CorrectError> {
    let (id, audit) = (institution.id, platform.audit(actor.clone()));
    match institution.status {
        Status::Provisioning => {
            return Err(ModelError::Refused(
                "The institution is being set up at this moment. Save again when that is done.".into(),
            )
            .into());
        }
        Status::Active | Status::Suspended => {
            let known = platform.shared.run(move |c| institutions::find(c, id)).await?;
            if known.version == version {
                write_own(platform, id, Activity::new(actor), changes.clone()).await?;
            }
        }
        _ => {}
    }
    Ok(platform.shared.run(move |c| institutions::update_profile(c, &audit, id, version, &changes)).await?)
}

/// Writes what both sides know into the institution's own database.
async fn write_own(
    platform: &Platform,
    id: Id,
    activity: Activity,
    new: institutions::ProfileChanges,
) -> Result<(), CorrectError> {
    let tenants = platform.tenants.clone();
    // Suspended or not: it is read again when the institution is reactivated.
    let db = platform.shared.run(move |c| tenants.open_in_any_state(c, id)).await?;
    db.run(move |c| {
        let now = profile::find(c)?;
        let changes = ProfileChanges {
            name: new.name,
            kind: new.kind.to_string(),
            country: new.country,
            website: new.website,
            time_zone: new.time_zone,
            locale: now.locale,
            week_start: now.week_start,
        };
        profile::update(c, &activity, now.version, &changes)
    })
    .await?;
    Ok(())
}

/// Brings the registry's row to what the institution says of itself. The owner's save has been done: somebody
/// who writes the row at the same moment only makes this try again.
fn mirror(c: &mut SharedConn, audit: &Audit, id: Id, profile: &Profile) -> ModelResult<()> {
    let mut tries = 0;
    loop {
        let known = institutions::find(c, id)?;
        let wanted = institutions::ProfileChanges {
            name: profile.name.clone(),
            kind: profile.kind.parse().unwrap_or(Kind::Other),
            country: profile.country.clone(),
            region: known.region.clone(),
            website: profile.website.clone(),
            time_zone: profile.time_zone.clone(),
        };
        if wanted == said(&known) {
            return Ok(());
        }
        tries += 1;
        match institutions::update_profile(c, audit, id, known.version, &wanted) {
            Err(ModelError::Changed(_)) if tries < MIRROR_TRIES => {}
            outcome => return outcome.map(drop),
        }
    }
}

/// What the registry says now.
fn said(known: &Institution) -> institutions::ProfileChanges {
    institutions::ProfileChanges {
        name: known.name.clone(),
        kind: known.kind,
        country: known.country.clone(),
        region: known.region.clone(),
        website: known.website.clone(),
        time_zone: known.time_zone.clone(),
    }
}
