//! `InstitutionUser`, `Registrar`, `Owner`: handler arguments that hold the only handle to tenant data.

use std::ops::Deref;

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use chrono::TimeDelta;
use futures_util::future::LocalBoxFuture;

use super::identity::{self, Identity};
use crate::{
    db::{Id, pools::TenantDb, shared::SharedConn},
    error::AppError,
    models::{
        Actor, ModelResult,
        institution::{
            activity::Activity,
            profile::LocalSettings,
            users::{self, Role, User, UserStatus},
        },
        platform::{
            institutions::{Institution, Status},
            tenant_databases::{self, TenantDatabase},
        },
    },
    services::tenants::{Maintenance, TenantError},
    web::{
        client::Client,
        icons::Icon,
        page::{Area, Banner, NavGroup, NavItem, Notice, NoticeKind, Page, Viewer},
        theme::Theme,
        time::Clock,
        words::Noun,
    },
};

const DAY: Noun = Noun::new("day", "days");

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
    /// The institution's own database.
    pub db: TenantDb,
    /// How the institution tells the time.
    pub clock: Clock,
    /// This browser's session.
    pub session_id: Id,
    /// Where the request comes from.
    pub client: Client,
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

    /// The right to change this institution's records in this user's name.
    #[must_use]
    pub fn activity(&self) -> Activity {
        Activity::new(self.actor())
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

    /// A page of this institution, with navigation, viewer and the message kept for it.
    #[must_use]
    pub fn page(&self, title: impl Into<String>) -> Page {
        let role = self.roles.first().map_or("No role", |role| role_label(*role));
        Page::new(Area::Institution, self.institution.name.clone(), self.path(""))
            .title(title)
            .path(self.way_back.clone())
            .theme(self.theme)
            .search(self.path("/students"), "Find a student")
            .nav(self.navigation())
            .banner(self.trial_banner())
            .flash(identity::take_flash(&self.session))
            .viewer(Viewer {
                name: self.name.clone(),
                email: self.email.clone(),
                role_label: role.into(),
                account_href: "/account".into(),
                sign_out: "/sign-out".into(),
            })
    }

    fn navigation(&self) -> Vec<NavGroup> {
        let item = |label: &str, rest: &str, icon| NavItem::new(label, self.path(rest), icon, &self.path);
        let mut office = vec![item("Activity", "/activity", Icon::Activity)];
        if self.is_owner() {
            office.push(item("Users", "/users", Icon::Users));
            office.push(item("Settings", "/settings", Icon::Settings));
        }
        vec![
            NavGroup::new(
                "Records",
                vec![
                    NavItem::root("Overview", self.path(""), Icon::Chart, &self.path),
                    item("Students", "/students", Icon::Students),
                ],
            ),
            NavGroup::new("Office", office),
        ]
    }

    fn trial_banner(&self) -> Option<Banner> {
        trial_words(self.institution.trial_ends_at? - crate::db::now())
            .map(|(kind, text)| Banner::new(kind, text))
    }
}

/// What is said of a trial that lasts so much longer; nothing while the end is far off.
fn trial_words(left: TimeDelta) -> Option<(NoticeKind, String)> {
    // `num_days` cuts towards zero: the first day after the end would be 0 as well.
    if left <= TimeDelta::zero() {
        let text = "The trial has ended. Ask the platform's administrators how to go on.";
        return Some((NoticeKind::Warning, text.to_owned()));
    }
    match left.num_days() {
        0 => Some((NoticeKind::Warning, "The trial ends within a day.".to_owned())),
        days @ 1..=7 => Some((NoticeKind::Info, format!("The trial ends in {}.", DAY.count(days)))),
        _ => None,
    }
}

impl FromRequest for InstitutionUser {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let session = session.await.map_err(|error| AppError::internal(error.to_string()))?;
            let domain = request.match_info().get("domain").unwrap_or_default().to_owned();
            let who = Identity::of(&session);
            let found = find(&request, who, move |c| tenant_databases::find_by_domain(c, &domain)).await?;
            if let Some(Found { institution, .. }) = &found
                && institution.status == Status::Suspended
            {
                return Err(AppError::Suspended(institution.name.clone()));
            }
            let who = Identity::required(&session, &request)?;
            // The session decides which institution is open; the address can only agree with it.
            let found = found.filter(|found| who.institution_id == Some(found.institution.id));
            Self::enter(&request, session, who, found.ok_or(AppError::NotFound)?).await
        })
    }
}

/// An institution, and for its own user the way into its database.
struct Found {
    institution: Institution,
    db: Option<Result<TenantDb, TenantError>>,
    /// Read already where its database had a connection to spare.
    user: Option<ModelResult<(User, LocalSettings)>>,
}

/// One visit to the shared database, because every request begins with it, and on the same thread a look at the
/// user where nothing has to be waited for.
async fn find(
    request: &HttpRequest,
    who: Option<Identity>,
    look: impl FnOnce(&mut SharedConn) -> ModelResult<(Institution, Option<TenantDatabase>)> + Send + 'static,
) -> Result<Option<Found>, AppError> {
    let platform = super::state_of(request)?;
    let tenants = platform.tenants.clone();
    let visit = move |c: &mut SharedConn| {
        let (institution, database) = look(c)?;
        let own = who.is_some_and(|who| who.institution_id == Some(institution.id));
        let db = own.then(|| tenants.open_found(c, &institution, database.as_ref()));
        ModelResult::Ok(Found { institution, db, user: None })
    };
    let then = move |mut found: Found| {
        if let (Some(Ok(db)), Some(who)) = (&found.db, who) {
            found.user = db.run_now(|c| users::find_here(c, who.user_id));
        }
        found
    };
    match platform.shared.run_then(visit, then).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl InstitutionUser {
    /// The user of a session, on a page that is no institution's own.
    pub(super) async fn of_session(
        request: &HttpRequest,
        session: Session,
        who: Identity,
        institution_id: Id,
    ) -> Result<Self, AppError> {
        let look = move |c: &mut SharedConn| tenant_databases::find_with_institution(c, institution_id);
        let found = find(request, Some(who), look).await?.ok_or(AppError::NotFound)?;
        if found.institution.status == Status::Suspended {
            return Err(AppError::Suspended(found.institution.name));
        }
        Self::enter(request, session, who, found).await
    }

    async fn enter(
        request: &HttpRequest,
        session: Session,
        who: Identity,
        found: Found,
    ) -> Result<Self, AppError> {
        let Found { institution, db, user } = found;
        let db = match db.ok_or(AppError::NotFound)? {
            Err(TenantError::Behind) => super::state_of(request)?.tenant(institution.id).await?,
            db => db?,
        };
        let found = match user {
            Some(user) => user,
            None => db.run(move |c| users::find_here(c, who.user_id)).await,
        };
        let (user, local) = match found {
            Ok((user, local)) if user.status == UserStatus::Active => (user, local),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => return Err(AppError::SignInNeeded(format!("/i/{}", institution.domain))),
        };
        Ok(Self {
            id: user.id,
            name: user.name,
            email: user.email,
            roles: user.roles,
            institution,
            db,
            clock: Clock::local(&local.time_zone, &local.locale),
            session_id: who.session_id,
            client: Client::of(request),
            session,
            path: request.path().to_owned(),
            way_back: Theme::way_back(request),
            theme: Theme::of(request),
        })
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
        Maintenance::UnderWay => {
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

/// A narrower permission: the wrapped user, once checked.
macro_rules! permission {
    ($(#[$meta:meta])* $name:ident, $check:ident, $refusal:literal) => {
        $(#[$meta])*
        pub struct $name(pub InstitutionUser);

        impl Deref for $name {
            type Target = InstitutionUser;

            fn deref(&self) -> &InstitutionUser {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = AppError;
            type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let user = InstitutionUser::from_request(request, payload);
                Box::pin(async move {
                    let user = user.await?;
                    if user.$check() { Ok(Self(user)) } else { Err(AppError::Forbidden($refusal.into())) }
                })
            }
        }
    };
}

permission! {
    /// May write records: registrars and owners.
    Registrar, may_write, "Only registrars and owners may change records."
}
permission! {
    /// May change users and settings.
    Owner, is_owner, "Only owners may see and change users and settings."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_is_over_is_said_to_be_over() {
        let said = |hours| trial_words(TimeDelta::hours(hours)).map(|(_, text)| text);
        assert_eq!(said(24 * 9), None);
        assert_eq!(said(25).as_deref(), Some("The trial ends in 1 day."));
        assert_eq!(said(3).as_deref(), Some("The trial ends within a day."));
        for hours in [0, -1, -23, -48] {
            assert!(said(hours).is_some_and(|text| text.contains("has ended")), "{hours} hours");
        }
    }
}
