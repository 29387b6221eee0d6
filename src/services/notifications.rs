//! Telling the people of an institution: who they are is in its own database, what they are told in the shared one.

use super::platform::Platform;
use crate::{
    db::{Id, pools::TenantDb},
    models::{
        ModelResult,
        institution::users,
        platform::{
            institutions::Institution,
            notifications::{self, News, Topic},
        },
    },
};

/// Tells every owner that a limit is near.
///
/// # Errors
/// Any database error.
pub async fn limit_is_near(
    platform: &Platform,
    db: &TenantDb,
    institution: &Institution,
    text: String,
) -> ModelResult<()> {
    let owners: Vec<Id> = db.run(users::active_owners).await?.into_iter().map(|owner| owner.id).collect();
    let (id, href) = (institution.id, format!("/i/{}/settings", institution.domain));
    platform
        .shared
        .run(move |c| {
            let news = News { topic: Topic::Limit, institution_id: Some(id), text: &text, href: &href };
            c.write_tx(|c| notifications::tell(c, &owners, &news))
        })
        .await
}
