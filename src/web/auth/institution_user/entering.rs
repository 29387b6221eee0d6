//! The way in: session, institution, user and roles, looked up anew on every request.

use std::sync::Arc;

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;

use super::{InstitutionUser, refusals::closed};
use crate::{
    db::{Id, pools::TenantDb, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        institution::{
            profile::{self, LocalSettings},
            users::{self, Role, User, UserStatus},
        },
        platform::{
            admins::{self, AdminRole, AdminStatus, PlatformAdmin},
            announcements::Announcement,
            institutions::{Institution, Status},
            notifications,
            sandboxes::Sandbox,
            subscriptions::{self, Entered, Terms},
            support_accesses::{self, SupportAccess},
            tenant_databases::WriteBlock,
        },
    },
    services::tenants::TenantError,
    web::{
        auth::{identity::Identity, state_of},
        client::Client,
        middleware::measured::visited_by,
        theme::Theme,
        time::Clock,
    },
};

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
    let platform = state_of(request)?;
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
    pub(in crate::web::auth) async fn of_session(
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
            Err(TenantError::Behind) => state_of(request)?.tenant(institution.id).await?,
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
