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
        platform::{
            institution_profile::{self, Mirror},
            institutions::Kind,
        },
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
    let mirror = Mirror {
        name: saved.name.clone(),
        kind: saved.kind.parse().unwrap_or(Kind::Other),
        country: saved.country.clone(),
        website: saved.website.clone(),
        time_zone: saved.time_zone.clone(),
    };
    platform.shared.run(move |c| institution_profile::mirror(c, &audit, institution_id, &mirror)).await?;
    Ok(saved)
}
