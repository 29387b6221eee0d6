//! `InstitutionUser`, `Registrar`, `Owner`: handler arguments that hold the only handle to tenant data.

use std::sync::Arc;

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::Method};
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
            profile::{self, LocalSettings},
            users::{self, Role, User, UserStatus},
        },
        platform::{
            admins::{self, AdminRole, AdminStatus, PlatformAdmin},
            announcements::{Announcement, Level},
            institutions::{Institution, Status},
            notifications,
            sandboxes::Sandbox,
            subscriptions::{self, Entered, Standing, Terms},
            support_accesses::{self, SupportAccess},
            tenant_databases::WriteBlock,
        },
    },
    services::{
        sandboxes,
        tenants::{Maintenance, TenantError},
    },
    web::{
        auth::permission,
        client::Client,
        icons::Icon,
        middleware::measured::visited_by,
        page::{Area, Banner, NavGroup, NavItem, Notice, NoticeKind, Page, Viewer},
        theme::Theme,
        time::Clock,
        words::Noun,
    },
};

const DAY: Noun = Noun::new("day", "days");
const MOVING: &str = "The institution's records are being moved to another server. They can be read, and in a few minutes be changed again.";
const READ_ONLY: &str = "The subscription of this institution has run out, so its records can be read and not changed. \
    Ask the platform's administrators how to go on.";

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
            .banner(
                self.marked(self.moving_banner().or_else(|| self.support_banner()).or_else(|| self.banner())),
            )
            .flash(identity::take_flash(&self.session))
            .viewer(Viewer {
                name: self.name.clone(),
                email: self.email.clone(),
                role_label: role.into(),
                unread: self.unread,
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

    /// A sandbox says on each page that it is one, whatever else there is to say.
    fn marked(&self, banner: Option<Banner>) -> Option<Banner> {
        let Some(sandbox) = &self.sandbox else { return banner };
        let sentence = sandboxes::sentence(sandbox);
        Some(match banner {
            Some(banner) => Banner { text: format!("{sentence} {}", banner.text), ..banner },
            None => Banner::new(NoticeKind::Warning, sentence),
        })
    }

    fn moving_banner(&self) -> Option<Banner> {
        self.write_block.map(|WriteBlock::Move| Banner::new(NoticeKind::Warning, MOVING))
    }

    fn support_banner(&self) -> Option<Banner> {
        let access = self.support.as_ref()?;
        let text = format!(
            "Support access until {}: you see what a viewer sees, and {} can read that you were here. Reason: {}",
            self.clock.exact(access.expires_at),
            self.institution.name,
            access.reason
        );
        let place = format!("/platform/institutions/{}", self.institution.domain);
        Some(Banner::new(NoticeKind::Warning, text).link("Back to the platform", place))
    }

    /// What is not as usual, the gravest only: what is owed before what is announced, but for work on the platform.
    fn banner(&self) -> Option<Banner> {
        let announced = self.announced();
        match announced {
            Some((Level::Maintenance, banner)) => Some(banner),
            other => match (self.terms_banner(), other) {
                (Some(own), Some((Level::Warning, said))) if own.kind == NoticeKind::Info => Some(said),
                (own, other) => own.or(other.map(|(_, banner)| banner)),
            },
        }
    }

    fn terms_banner(&self) -> Option<Banner> {
        let now = crate::db::now();
        let (kind, text) = match self.terms.standing(now) {
            Standing::Good => return None,
            Standing::Trial(end) => trial_words(end - now)?,
            Standing::Grace(until) => {
                let why = if self.terms.was_trial() { "The trial" } else { "The subscription" };
                let until = self.clock.exact(until);
                let text = format!(
                    "{why} has ended. Records can be changed until {until}, and only read after that. Ask the \
                     platform's administrators how to go on."
                );
                (NoticeKind::Warning, text)
            }
            Standing::ReadOnly => (NoticeKind::Error, format!("{READ_ONLY} Exports work.")),
        };
        Some(Banner::new(kind, text))
    }

    /// The gravest announcement that is meant for this institution and not put away.
    fn announced(&self) -> Option<(Level, Banner)> {
        if self.announcements.is_empty() {
            return None;
        }
        let (now, dismissed) = (crate::db::now(), identity::dismissed(&self.session));
        let open = self.announcements.iter().filter(|known| {
            known.holds(now) && known.concerns(&self.institution) && !dismissed.contains(&known.id)
        });
        let gravest = open.max_by_key(|known| known.level)?;
        let kind = if gravest.level == Level::Info { NoticeKind::Info } else { NoticeKind::Warning };
        let banner = Banner::new(kind, gravest.text.as_str());
        let banner = if gravest.dismissible == 1 {
            banner.dismiss(format!("/announcements/{}/dismissal", gravest.id))
        } else {
            banner
        };
        Some((gravest.level, banner))
    }

    /// Refuses whatever would change a record while the institution is read-only. Signing in and one's own account
    /// are not the institution's records.
    fn may_send(&self, request: &HttpRequest) -> Result<(), AppError> {
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
            let found = find(&request, who, move |c| subscriptions::enter_by_domain(c, &domain)).await?;
            let found = found.filter(|found| found.institution.status != Status::Deleted);
            if let Some(error) = found.as_ref().and_then(|found| closed(&found.institution)) {
                return Err(error);
            }
            let who = Identity::required(&session, &request)?;
            // The session decides which institution is open; the address can only agree with it.
            let found = found
                .filter(|found| who.institution_id == Some(found.institution.id) || found.guest.is_some());
            let user = Self::enter(&request, session, who, found.ok_or(AppError::NotFound)?).await?;
            user.may_send(&request)?;
            Ok(user)
        })
    }
}

/// What everybody is told of an institution that nobody can enter.
fn closed(institution: &Institution) -> Option<AppError> {
    let name = institution.name.clone();
    match institution.status {
        Status::Suspended => Some(AppError::Suspended(name)),
        Status::Archived => Some(AppError::Archived(name)),
        _ => None,
    }
}

/// An institution, and for its own user the way into its database.
struct Found {
    institution: Institution,
    terms: Terms,
    write_block: Option<WriteBlock>,
    sandbox: Option<Sandbox>,
    announcements: Arc<Vec<Announcement>>,
    unread: i64,
    db: Option<Result<TenantDb, TenantError>>,
    /// A platform admin whom the institution lets in for now.
    guest: Option<(PlatformAdmin, SupportAccess)>,
    /// Read already where its database had a connection to spare.
    user: Option<ModelResult<(User, LocalSettings)>>,
}

/// One visit to the shared database, because every request begins with it, and on the same thread a look at the
/// user where nothing has to be waited for.
async fn find(
    request: &HttpRequest,
    who: Option<Identity>,
    look: impl FnOnce(&mut SharedConn) -> ModelResult<Entered> + Send + 'static,
) -> Result<Option<Found>, AppError> {
    let platform = super::state_of(request)?;
    let state = platform.clone();
    let visit = move |c: &mut SharedConn| {
        let Entered { institution, database, terms, sandbox } = look(c)?;
        let own = who.is_some_and(|who| who.institution_id == Some(institution.id));
        let guest = match who {
            Some(Identity { user_id, institution_id: None, .. }) => guest(c, institution.id, user_id)?,
            _ => None,
        };
        let enters = own || guest.is_some();
        let db = enters.then(|| state.tenants.open_found(c, &institution, database.as_ref()));
        let (announcements, unread) = match who.filter(|_| enters) {
            Some(who) => (state.announcements.current(c), notifications::unread(c, who.user_id)?),
            None => (Arc::default(), 0),
        };
        let write_block = database.and_then(|database| database.write_block);
        ModelResult::Ok(Found {
            institution,
            terms,
            write_block,
            sandbox,
            announcements,
            unread,
            db,
            guest,
            user: None,
        })
    };
    let then = move |mut found: Found| {
        if let (Some(Ok(db)), Some(who), None) = (&found.db, who, &found.guest) {
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

/// The platform admin behind a session, if they have an access open here and may still have one.
fn guest(
    c: &mut SharedConn,
    institution_id: Id,
    admin_id: Id,
) -> ModelResult<Option<(PlatformAdmin, SupportAccess)>> {
    let Some(access) = support_accesses::find_open(c, institution_id, admin_id)? else { return Ok(None) };
    let admin = admins::find(c, admin_id)?;
    let may = matches!(admin.role, AdminRole::SuperAdmin | AdminRole::Support);
    Ok((may && admin.status == AdminStatus::Active).then_some((admin, access)))
}

impl InstitutionUser {
    /// The user of a session, on a page that is no institution's own.
    pub(super) async fn of_session(
        request: &HttpRequest,
        session: Session,
        who: Identity,
        institution_id: Id,
    ) -> Result<Self, AppError> {
        let look = move |c: &mut SharedConn| subscriptions::enter_by_id(c, institution_id);
        let found = find(request, Some(who), look).await?.ok_or(AppError::NotFound)?;
        if let Some(error) = closed(&found.institution) {
            return Err(error);
        }
        Self::enter(request, session, who, found).await
    }

    async fn enter(
        request: &HttpRequest,
        session: Session,
        who: Identity,
        found: Found,
    ) -> Result<Self, AppError> {
        let Found { institution, terms, write_block, sandbox, announcements, unread, db, guest, user } =
            found;
        let db = match db.ok_or(AppError::NotFound)? {
            Err(TenantError::Behind) => super::state_of(request)?.tenant(institution.id).await?,
            db => db?,
        };
        if let Some((admin, access)) = guest {
            let local = db.run(profile::local).await?;
            let name = format!("{} (support of the platform)", admin.name);
            let caller = Caller { id: admin.id, name, email: admin.email, roles: vec![Role::Viewer], local };
            let place = Place { institution, terms, write_block, sandbox, announcements, unread, db };
            return Ok(Self::new(request, session, who, place, caller, Some(access)));
        }
        visited_by(request, db.meter(), who.user_id);
        let found = match user {
            Some(user) => user,
            None => db.run(move |c| users::find_here(c, who.user_id)).await,
        };
        let (user, local) = match found {
            Ok((user, local)) if user.status == UserStatus::Active => (user, local),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => return Err(AppError::SignInNeeded(format!("/i/{}", institution.domain))),
        };
        let caller = Caller { id: user.id, name: user.name, email: user.email, roles: user.roles, local };
        let place = Place { institution, terms, write_block, sandbox, announcements, unread, db };
        Ok(Self::new(request, session, who, place, caller, None))
    }

    fn new(
        request: &HttpRequest,
        session: Session,
        who: Identity,
        place: Place,
        caller: Caller,
        support: Option<SupportAccess>,
    ) -> Self {
        let Place { institution, terms, write_block, sandbox, announcements, unread, db } = place;
        Self {
            id: caller.id,
            name: caller.name,
            email: caller.email,
            roles: caller.roles,
            institution,
            terms,
            write_block,
            db,
            clock: Clock::local(&caller.local.time_zone, &caller.local.locale),
            session_id: who.session_id,
            client: Client::of(request),
            sandbox,
            support,
            announcements,
            unread,
            session,
            path: request.path().to_owned(),
            way_back: Theme::way_back(request),
            theme: Theme::of(request),
        }
    }
}

/// Where they are, and what is said there.
struct Place {
    institution: Institution,
    terms: Terms,
    write_block: Option<WriteBlock>,
    sandbox: Option<Sandbox>,
    announcements: Arc<Vec<Announcement>>,
    unread: i64,
    db: TenantDb,
}

/// Who calls, as a user of the institution or as its guest.
struct Caller {
    id: Id,
    name: String,
    email: String,
    roles: Vec<Role>,
    local: LocalSettings,
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

permission! {
    /// May write records: registrars and owners.
    Registrar(InstitutionUser), may_write, "Only registrars and owners may change records."
}
permission! {
    /// May change users and settings.
    Owner(InstitutionUser), is_owner, "Only owners may see and change users and settings."
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
