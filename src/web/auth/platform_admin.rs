//! `AnyAdmin`, `SuperAdmin`, `Operator`, `Support`, `Auditor`: a handler with such an argument is for these platform
//! admins only.

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;

use super::identity::{self, Identity};
use crate::{
    db::Id,
    error::AppError,
    models::{
        Actor,
        platform::{
            admins::{self, AdminRole, AdminStatus},
            audit::Audit,
            notifications,
            waiting::{Waiting, waiting},
        },
    },
    web::{
        State,
        auth::permission,
        client::Client,
        icons::Icon,
        middleware::framed::remember,
        page::{Area, NavGroup, NavItem, Notice, Page, Viewer},
        theme::Theme,
    },
};

/// A signed-in, active platform admin of whatever role, checked on this very request.
pub struct AnyAdmin {
    /// The admin.
    pub id: Id,
    /// As they write it.
    pub name: String,
    /// As they write it.
    pub email: String,
    /// What they may do.
    pub role: AdminRole,
    /// Where the request comes from.
    pub client: Client,
    waiting: Waiting,
    unread: i64,
    session: Session,
    path: String,
    way_back: String,
    theme: Theme,
}

impl AnyAdmin {
    /// Author of the changes this request makes.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.client.actor(self.id, &self.name)
    }

    /// The right to change platform records in this admin's name.
    #[must_use]
    pub fn audit(&self, platform: &State) -> Audit {
        platform.audit(self.actor())
    }

    /// Whether they may do everything.
    #[must_use]
    pub fn is_super_admin(&self) -> bool {
        self.role == AdminRole::SuperAdmin
    }

    /// Whether they may look after the fleet.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.is_super_admin() || self.role == AdminRole::Operator
    }

    /// Whether they may help institutions.
    #[must_use]
    pub fn is_support(&self) -> bool {
        self.is_super_admin() || self.role == AdminRole::Support
    }

    /// Whether they may read who did what.
    #[must_use]
    pub fn is_auditor(&self) -> bool {
        self.is_super_admin() || self.role == AdminRole::Auditor
    }

    /// Keeps a message for the next page.
    ///
    /// # Errors
    /// When the session cannot hold it.
    pub fn flash(&self, notice: Notice) -> Result<(), AppError> {
        identity::flash(&self.session, notice)
    }

    /// A page of the platform area, with navigation, viewer and the message kept for it.
    #[must_use]
    pub fn page(&self, title: impl Into<String>) -> Page {
        self.frame().title(title).flash(identity::take_flash(&self.session))
    }

    fn frame(&self) -> Page {
        Page::new(Area::Platform, "Platform", "/platform")
            .path(self.way_back.clone())
            .theme(self.theme)
            .search("/platform/institutions", "Find an institution")
            .nav(self.navigation())
            .viewer(Viewer {
                name: self.name.clone(),
                email: self.email.clone(),
                role_label: self.role.label().into(),
                unread: self.unread,
                account_href: "/account".into(),
                sign_out: "/sign-out".into(),
            })
    }

    fn navigation(&self) -> Vec<NavGroup> {
        let item = |label: &str, href: &str, icon| NavItem::new(label, href, icon, &self.path);
        let mut running = vec![
            item("Operations", "/platform/operations", Icon::Play)
                .count(self.waiting.failed_operations, "failed"),
            item("Databases", "/platform/databases", Icon::Database),
            item("Alerts", "/platform/alerts", Icon::Alert).count(self.waiting.alerts, "firing"),
            item("Backups", "/platform/backups", Icon::Archive),
            item("Migrations", "/platform/migrations", Icon::ArrowUp),
        ];
        if self.is_operator() {
            running.push(item("Reconciliation", "/platform/reconciliation", Icon::Search));
            running.push(item("Maintenance", "/platform/maintenance", Icon::Refresh));
            running.push(item("Doctor", "/platform/doctor", Icon::Check));
            running.push(item("Servers", "/platform/servers", Icon::Server));
        }
        if self.is_auditor() {
            running.push(item("Admins", "/platform/admins", Icon::Shield));
            running.push(item("Audit log", "/platform/audit", Icon::Activity));
        }
        if self.is_super_admin() {
            running.push(item("Announcements", "/platform/announcements", Icon::Bell));
            running.push(item("Plans", "/platform/plans", Icon::Key));
            running.push(item("Settings", "/platform/settings", Icon::Settings));
        }
        vec![
            NavGroup::new(
                "Institutions",
                vec![
                    NavItem::root("Overview", "/platform", Icon::Chart, &self.path),
                    item("Registrations", "/platform/registrations", Icon::List)
                        .count(self.waiting.registrations, "waiting"),
                    item("Institutions", "/platform/institutions", Icon::Institution)
                        .count(self.waiting.failed_provisionings, "could not be set up"),
                ],
            ),
            NavGroup::new("Running the platform", running),
        ]
    }
}

impl FromRequest for AnyAdmin {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let session = session.await.map_err(|error| AppError::internal(error.to_string()))?;
            let who = Identity::required(&session, &request)?;
            if who.institution_id.is_some() {
                return Err(AppError::NotFound);
            }
            let platform = super::state_of(&request)?;
            let (admin, waiting, unread) = platform
                .shared
                .run(move |c| {
                    Ok::<_, crate::models::ModelError>((
                        admins::find(c, who.user_id)?,
                        waiting(c)?,
                        notifications::unread(c, who.user_id)?,
                    ))
                })
                .await?;
            if admin.status != AdminStatus::Active {
                return Err(AppError::SignInNeeded("/platform".into()));
            }
            let me = Self {
                id: admin.id,
                name: admin.name,
                email: admin.email,
                role: admin.role,
                client: Client::of(&request),
                waiting,
                unread,
                session,
                path: request.path().to_owned(),
                way_back: Theme::way_back(&request),
                theme: Theme::of(&request),
            };
            remember(&request, me.frame());
            Ok(me)
        })
    }
}

permission! {
    /// May do everything.
    SuperAdmin(AnyAdmin), is_super_admin, "Only super admins may do this."
}
permission! {
    /// May look after the fleet.
    Operator(AnyAdmin), is_operator, "Only operators and super admins may do this."
}
permission! {
    /// May help institutions.
    Support(AnyAdmin), is_support, "Only support and super admins may do this."
}
permission! {
    /// May read who did what.
    Auditor(AnyAdmin), is_auditor, "Only auditors and super admins may see this."
}
