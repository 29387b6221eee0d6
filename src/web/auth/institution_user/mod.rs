//! `InstitutionUser`, `Registrar`, `Owner`: handler arguments that hold the only handle to tenant data.

mod banners;
mod entering;
mod page;
mod refusals;

use std::sync::Arc;

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;

use super::identity;
use crate::{
    db::{Id, pools::TenantDb},
    error::AppError,
    models::{
        Actor,
        institution::{activity::Activity, users::Role},
        platform::{
            announcements::Announcement, institutions::Institution, sandboxes::Sandbox, subscriptions::Terms,
            support_accesses::SupportAccess, tenant_databases::WriteBlock,
        },
    },
    web::{auth::permission, client::Client, page::Notice, theme::Theme, time::Clock},
};

/// A signed-in, active user of the institution in the address; session, institution status, user and
/// roles are checked on this very request.
pub struct InstitutionUser {
    /// The user.
    pub id: Id,
    /// As they write it.
    pub name: String,
    /// As they write it.
    pub email: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The institution, as the platform's registry knows it.
    pub institution: Institution,
    /// On which terms it is here: its limits, and whether its records can be changed.
    pub terms: Terms,
    /// Why records cannot be changed for the moment.
    write_block: Option<WriteBlock>,
    /// The institution's own database.
    pub db: TenantDb,
    /// How the institution tells the time.
    pub clock: Clock,
    /// This browser's session.
    pub session_id: Id,
    /// Where the request comes from.
    pub client: Client,
    /// Set where it is a copy of another one.
    sandbox: Option<Sandbox>,
    /// Set for a platform admin who looks inside.
    support: Option<SupportAccess>,
    /// What the platform announces now, to whomever.
    announcements: Arc<Vec<Announcement>>,
    /// Notifications that the user has not read.
    unread: i64,
    session: Session,
    path: String,
    way_back: String,
    theme: Theme,
}

impl InstitutionUser {
    /// Author of the changes this request makes.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.client.actor(self.id, &self.name)
    }

    /// The right to change this institution's records in this user's name, within what its plan allows.
    #[must_use]
    pub fn activity(&self) -> Activity {
        Activity::new(self.actor()).within(self.terms.limits.clone())
    }

    /// Whether records may be written.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.is_owner() || self.roles.contains(&Role::Registrar)
    }

    /// Whether users and settings may be changed.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.roles.contains(&Role::Owner)
    }

    /// An address of this institution: `path("/students")`.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/i/{}{rest}", self.institution.domain)
    }

    /// Keeps a message for the next page.
    ///
    /// # Errors
    /// When the session cannot hold it.
    pub fn flash(&self, notice: Notice) -> Result<(), AppError> {
        identity::flash(&self.session, notice)
    }
}

/// The word people read for a role.
#[must_use]
pub fn role_label(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Registrar => "Registrar",
        Role::Viewer => "Viewer",
    }
}

permission! {
    /// May write records: registrars and owners.
    Registrar(InstitutionUser), may_write, "Only registrars and owners may change records."
}
permission! {
    /// May change users and settings.
    Owner(InstitutionUser), is_owner, "Only owners may see and change users and settings."
}
