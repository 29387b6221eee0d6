//! The profile of an institution in its own database, mirrored in the registry.

use super::platform::Platform;
use crate::{
    db::{Id, pools::TenantDb},
    models::{
        ModelResult,
        institution::{
            Activity,
            profile::{self, Profile, ProfileChanges},
        },
        platform::institutions::{self, Institution, Kind},
    },
};

/// Changes the profile that was read as `version`, then the registry's row. Saving again mends a mirror
/// that the first time did not reach.
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
    let actor = activity.actor.clone();
    let saved = db.run(move |c| profile::update(c, &activity, version, &changes)).await?;
    let audit = platform.audit(actor);
    let profile = saved.clone();
    platform
        .shared
        .run(move |c| {
            let known = institutions::find(c, institution_id)?;
            let mirrored = institutions::ProfileChanges {
                name: profile.name,
                kind: profile.kind.parse().unwrap_or(Kind::Other),
                country: profile.country,
                region: known.region.clone(),
                website: profile.website,
                time_zone: profile.time_zone,
            };
            if mirrored == mirror_of(&known) {
                return Ok(());
            }
            institutions::update_profile(c, &audit, institution_id, known.version, &mirrored).map(drop)
        })
        .await?;
    Ok(saved)
}

/// What the registry says now.
fn mirror_of(known: &Institution) -> institutions::ProfileChanges {
    institutions::ProfileChanges {
        name: known.name.clone(),
        kind: known.kind,
        country: known.country.clone(),
        region: known.region.clone(),
        website: known.website.clone(),
        time_zone: known.time_zone.clone(),
    }
}
