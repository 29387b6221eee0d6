//! Every URL of the site, one line each: who may call, method, path, handler.
//!
//! The table registers the routes and is walked by a test as every kind of caller, so a route
//! that is missing from it does not exist.

use actix_web::{
    HttpRequest, HttpResponse, Resource, ResponseError, Route as Handler, guard,
    http::header::{self, HeaderValue},
    web::{self, ServiceConfig},
};

use crate::{
    error::AppError,
    web::{assets, auth, health, institution, platform, public, theme},
};

/// Who gets past a route's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever holds a one-time token that is part of the path.
    Token,
    /// Everybody who is signed in.
    SignedIn,
    /// Platform admins of every role.
    AnyAdmin,
    /// Super admins.
    SuperAdmin,
    /// Those who look after the fleet, and super admins.
    Operator,
    /// Those who help institutions, and super admins.
    Support,
    /// Those who read who did what, and super admins.
    Auditor,
    /// Every user of the institution in the path.
    Member,
    /// Its registrars and owners.
    Registrar,
    /// Its owners.
    Owner,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Who may call.
    pub access: Access,
    /// "GET" or "POST".
    pub method: &'static str,
    /// Pattern with `{parameters}`.
    pub path: &'static str,
}

macro_rules! routes {
    ($($access:ident $method:ident $path:literal => $handler:path;)+) => {
        /// The whole table.
        pub const ROUTES: &[Route] =
            &[$(Route { access: Access::$access, method: stringify!($method), path: $path }),+];

        /// Every route; of two patterns that fit, the earlier line wins.
        fn resources() -> Resources {
            let mut resources = Resources::default();
            $(resources.add($path, route(stringify!($method)).to($handler));)+
            resources
        }
    };
}

routes! {
    Public GET "/" => public::home::show;
    Public GET "/health/live" => health::live;
    Public GET "/health/ready" => health::ready;
    Public GET "/metrics" => health::metrics;
    Public GET "/favicon.ico" => assets::favicon;
    Public GET "/static/{hash}/{path:.*}" => assets::serve;
    Public POST "/theme" => theme::switch;

    Public GET "/setup" => auth::setup::explain;
    Token GET "/setup/{token}" => auth::setup::show;
    Token POST "/setup/{token}" => auth::setup::submit;
    Public GET "/sign-in" => auth::sign_in::show;
    Public POST "/sign-in" => auth::sign_in::submit;
    Public GET "/sign-in/choice" => auth::sign_in::choose;
    Public POST "/sign-in/choice" => auth::sign_in::submit_choice;
    Public POST "/sign-out" => auth::sign_in::sign_out;
    Public GET "/password-reset" => auth::password_reset::show;
    Public POST "/password-reset" => auth::password_reset::submit;
    Token GET "/password-reset/{token}" => auth::password_reset::show_new;
    Token POST "/password-reset/{token}" => auth::password_reset::submit_new;
    Token GET "/invitations/{token}" => auth::invitation::show;
    Token POST "/invitations/{token}" => auth::invitation::submit;
    SignedIn GET "/account" => auth::account::show;
    SignedIn POST "/account/password" => auth::account::change_password;
    Public GET "/account/sessions/current" => auth::account::session_left;
    SignedIn POST "/account/sessions/remove" => auth::account::end_other_sessions;
    SignedIn POST "/account/sessions/{id}/remove" => auth::account::end_session;

    SignedIn GET "/notifications" => auth::notifications::list;
    SignedIn POST "/notifications/readings" => auth::notifications::mark_all_read;
    SignedIn POST "/notifications/{id}/reading" => auth::notifications::mark_read;
    SignedIn POST "/announcements/{id}/dismissal" => auth::notifications::dismiss;

    Public GET "/register" => public::registration::show;
    Public POST "/register" => public::registration::submit;
    Token GET "/registrations/{token}" => public::registration::status;

    AnyAdmin GET "/platform" => platform::home::show;
    AnyAdmin GET "/platform/registrations" => platform::registrations::list;
    AnyAdmin GET "/platform/registrations.csv" => platform::registrations::export;
    SuperAdmin POST "/platform/registrations/approvals" => platform::registration_decisions::approve_many;
    SuperAdmin POST "/platform/registrations/rejections" => platform::registration_decisions::reject_many;
    SuperAdmin GET "/platform/registrations/import" => platform::registration_import::show;
    SuperAdmin POST "/platform/registrations/import" => platform::registration_import::upload;
    SuperAdmin GET "/platform/registrations/import/{id}" => platform::registration_import::check;
    SuperAdmin POST "/platform/registrations/import/{id}" => platform::registration_import::apply;
    SuperAdmin GET "/platform/registrations/import/{id}/refused.csv" => platform::registration_import::refused;
    AnyAdmin GET "/platform/registrations/{id}" => platform::registrations::detail;
    SuperAdmin POST "/platform/registrations/{id}/approval" => platform::registration_decisions::approve;
    SuperAdmin GET "/platform/registrations/{id}/rejection" => platform::registration_decisions::ask_reject;
    SuperAdmin POST "/platform/registrations/{id}/rejection" => platform::registration_decisions::reject;
    SuperAdmin POST "/platform/registrations/{id}/reconsideration" => platform::registration_decisions::reconsider;
    AnyAdmin GET "/platform/institutions" => platform::institutions::list;
    AnyAdmin GET "/platform/institutions.csv" => platform::institutions::export;
    AnyAdmin GET "/platform/institutions/{domain}" => platform::institutions::detail;
    SuperAdmin GET "/platform/institutions/{domain}/edit" => platform::institutions::edit;
    SuperAdmin POST "/platform/institutions/{domain}" => platform::institutions::save;
    SuperAdmin GET "/platform/institutions/{domain}/invitation" => platform::invitation::show;
    SuperAdmin POST "/platform/institutions/{domain}/invitation" => platform::invitation::invite;
    SuperAdmin GET "/platform/institutions/{domain}/suspension" => platform::suspension::ask;
    SuperAdmin POST "/platform/institutions/{domain}/suspension" => platform::suspension::suspend;
    SuperAdmin GET "/platform/institutions/{domain}/suspension/remove" => platform::suspension::ask_reactivate;
    SuperAdmin POST "/platform/institutions/{domain}/suspension/remove" => platform::suspension::reactivate;
    SuperAdmin GET "/platform/institutions/{domain}/archiving" => platform::leaving::ask_archive;
    SuperAdmin POST "/platform/institutions/{domain}/archiving" => platform::leaving::archive;
    SuperAdmin GET "/platform/institutions/{domain}/archiving/remove" => platform::leaving::ask_return;
    SuperAdmin POST "/platform/institutions/{domain}/archiving/remove" => platform::leaving::bring_back;
    SuperAdmin GET "/platform/institutions/{domain}/sandboxes" => platform::sandbox::ask;
    SuperAdmin POST "/platform/institutions/{domain}/sandboxes" => platform::sandbox::make;
    SuperAdmin GET "/platform/institutions/{domain}/set-up/remove" => platform::sandbox::ask_give_up;
    SuperAdmin POST "/platform/institutions/{domain}/set-up/remove" => platform::sandbox::give_up;
    SuperAdmin GET "/platform/institutions/{domain}/export" => platform::export::show;
    SuperAdmin GET "/platform/institutions/{domain}/export.zip" => platform::export::download;
    SuperAdmin GET "/platform/institutions/{domain}/deletion" => platform::leaving::deletion;
    SuperAdmin POST "/platform/institutions/{domain}/deletion" => platform::leaving::ask_deletion;
    SuperAdmin POST "/platform/institutions/{domain}/deletion/agreement" => platform::leaving::agree;
    SuperAdmin POST "/platform/institutions/{domain}/deletion/remove" => platform::leaving::cancel;
    Support GET "/platform/institutions/{domain}/support-access" => platform::support_access::ask;
    Support POST "/platform/institutions/{domain}/support-access" => platform::support_access::open;
    Support POST "/platform/institutions/{domain}/support-access/remove" => platform::support_access::end;
    SuperAdmin GET "/platform/institutions/{domain}/sessions/remove" => platform::suspension::ask_end_sessions;
    SuperAdmin POST "/platform/institutions/{domain}/sessions/remove" => platform::suspension::end_sessions;
    AnyAdmin GET "/platform/operations" => platform::operations::list;
    AnyAdmin GET "/platform/operations.csv" => platform::operations::export;
    AnyAdmin GET "/platform/operations/{id}" => platform::operations::detail;
    Operator POST "/platform/operations/{id}/attempts" => platform::operations::retry;
    Operator POST "/platform/operations/{id}/rollback" => platform::operations::roll_back;
    AnyAdmin GET "/platform/databases" => platform::databases::list;
    AnyAdmin GET "/platform/databases.csv" => platform::databases::export;
    Auditor GET "/platform/admins" => platform::admins::list;
    Auditor GET "/platform/admins.csv" => platform::admins::export;
    AnyAdmin GET "/platform/alerts" => platform::alerts::list;
    AnyAdmin GET "/platform/alerts.csv" => platform::alerts::export;
    Operator POST "/platform/alerts/{id}/acknowledgement" => platform::alerts::acknowledge;
    SuperAdmin GET "/platform/webhooks" => platform::webhooks::list;
    SuperAdmin POST "/platform/webhooks" => platform::webhooks::create;
    SuperAdmin GET "/platform/webhooks/new" => platform::webhooks::ask_new;
    SuperAdmin GET "/platform/webhooks/{id}" => platform::webhooks::detail;
    SuperAdmin POST "/platform/webhooks/{id}/tests" => platform::webhooks::test;
    SuperAdmin POST "/platform/webhooks/{id}/disabling" => platform::webhooks::disable;
    SuperAdmin POST "/platform/webhooks/{id}/disabling/remove" => platform::webhooks::enable;
    SuperAdmin GET "/platform/webhooks/{id}/secret" => platform::webhooks::ask_secret;
    SuperAdmin POST "/platform/webhooks/{id}/secret" => platform::webhooks::renew_secret;
    SuperAdmin GET "/platform/webhooks/{id}/removal" => platform::webhooks::ask_remove;
    SuperAdmin POST "/platform/webhooks/{id}/removal" => platform::webhooks::remove;
    SuperAdmin GET "/platform/institutions/{domain}/subscription" => platform::subscription::show;
    SuperAdmin POST "/platform/institutions/{domain}/subscription" => platform::subscription::save;
    SuperAdmin GET "/platform/institutions/{domain}/subscription/edit" => platform::subscription::edit;
    SuperAdmin GET "/platform/institutions/{domain}/subscription/payment" => platform::subscription::ask_paid;
    SuperAdmin POST "/platform/institutions/{domain}/subscription/payment" => platform::subscription::paid;
    SuperAdmin GET "/platform/institutions/{domain}/subscription/arrears" => platform::subscription::ask_past_due;
    SuperAdmin POST "/platform/institutions/{domain}/subscription/arrears" => platform::subscription::past_due;
    SuperAdmin GET "/platform/institutions/{domain}/subscription/cancellation" => platform::subscription::ask_cancel;
    SuperAdmin POST "/platform/institutions/{domain}/subscription/cancellation" => platform::subscription::cancel;
    SuperAdmin GET "/platform/announcements" => platform::announcements::list;
    SuperAdmin POST "/platform/announcements" => platform::announcements::create;
    SuperAdmin GET "/platform/announcements/new" => platform::announcements::new;
    SuperAdmin GET "/platform/announcements/{id}/edit" => platform::announcements::edit;
    SuperAdmin POST "/platform/announcements/{id}" => platform::announcements::save;
    SuperAdmin POST "/platform/announcements/{id}/end" => platform::announcements::end;
    SuperAdmin GET "/platform/plans" => platform::plans::list;
    SuperAdmin GET "/platform/plans.csv" => platform::plans::export;
    SuperAdmin POST "/platform/plans" => platform::plans::create;
    SuperAdmin GET "/platform/plans/new" => platform::plans::new;
    SuperAdmin GET "/platform/plans/{plan}/edit" => platform::plans::edit;
    SuperAdmin POST "/platform/plans/{plan}" => platform::plans::save;
    SuperAdmin POST "/platform/plans/{plan}/archiving" => platform::plans::archive;
    SuperAdmin POST "/platform/plans/{plan}/archiving/remove" => platform::plans::restore;
    AnyAdmin GET "/platform/migrations" => platform::migrations::show;
    Operator POST "/platform/migrations" => platform::migrations::start;
    Operator GET "/platform/migrations/new" => platform::migrations::new;
    AnyAdmin GET "/platform/migrations/tenants" => platform::migrations::tenants::list;
    AnyAdmin GET "/platform/migrations/tenants.csv" => platform::migrations::tenants::export;
    Operator POST "/platform/migrations/tenants/{id}/attempts" => platform::migrations::tenants::try_again;
    Operator GET "/platform/migrations/tenants/{id}/rollback" => platform::migrations::tenants::ask_roll_back;
    Operator POST "/platform/migrations/tenants/{id}/rollback" => platform::migrations::tenants::roll_back;
    AnyAdmin GET "/platform/migrations/operations/{id}" => platform::migrations::rollout::of_operation;
    AnyAdmin GET "/platform/migrations/{id}" => platform::migrations::rollout::show;
    Operator POST "/platform/migrations/{id}/pause" => platform::migrations::rollout::pause;
    Operator POST "/platform/migrations/{id}/pause/remove" => platform::migrations::rollout::resume;
    Operator GET "/platform/migrations/{id}/cancellation" => platform::migrations::rollout::ask_cancel;
    Operator POST "/platform/migrations/{id}/cancellation" => platform::migrations::rollout::cancel;
    Operator GET "/platform/migrations/{id}/rollback" => platform::migrations::rollout::ask_roll_back;
    Operator POST "/platform/migrations/{id}/rollback" => platform::migrations::rollout::roll_back;
    SuperAdmin GET "/platform/institutions/{domain}/move" => platform::move_institution::ask;
    SuperAdmin POST "/platform/institutions/{domain}/move" => platform::move_institution::start;
    Operator POST "/platform/institutions/{domain}/backups" => platform::backups::back_up;
    AnyAdmin GET "/platform/backups" => platform::backups::list;
    Operator POST "/platform/backups" => platform::backups::back_up_shared;
    AnyAdmin GET "/platform/backups.csv" => platform::backups::export;
    AnyAdmin GET "/platform/backups/{id}" => platform::backups::detail;
    Operator POST "/platform/backups/{id}/verification" => platform::backups::verify;
    Operator POST "/platform/backups/{id}/copy" => platform::backups::copy;
    SuperAdmin GET "/platform/backups/{id}/restore" => platform::backups::ask_restore;
    SuperAdmin POST "/platform/backups/{id}/restore" => platform::backups::restore;
    Operator GET "/platform/reconciliation" => platform::reconciliation::list;
    Operator POST "/platform/reconciliation" => platform::reconciliation::look;
    Operator GET "/platform/reconciliation.csv" => platform::reconciliation::export;
    SuperAdmin GET "/platform/reconciliation/{id}/repair" => platform::reconciliation::ask_repair;
    SuperAdmin POST "/platform/reconciliation/{id}/repair" => platform::reconciliation::repair;
    Operator GET "/platform/servers" => platform::servers::list;
    SuperAdmin POST "/platform/servers" => platform::servers::create;
    Operator GET "/platform/servers.csv" => platform::servers::export;
    SuperAdmin GET "/platform/servers/new" => platform::servers::new;
    Operator GET "/platform/servers/{id}" => platform::servers::detail;
    SuperAdmin POST "/platform/servers/{id}" => platform::servers::save;
    SuperAdmin GET "/platform/servers/{id}/edit" => platform::servers::edit;
    Operator POST "/platform/servers/{id}/check" => platform::servers::check;
    SuperAdmin POST "/platform/servers/{id}/draining" => platform::servers::drain;
    SuperAdmin POST "/platform/servers/{id}/draining/remove" => platform::servers::accept;
    SuperAdmin GET "/platform/servers/{id}/emptying" => platform::emptying::ask;
    SuperAdmin POST "/platform/servers/{id}/emptying" => platform::emptying::start;
    SuperAdmin GET "/platform/servers/{id}/removal" => platform::servers::ask_remove;
    SuperAdmin POST "/platform/servers/{id}/removal" => platform::servers::remove;
    SuperAdmin GET "/platform/admins/new" => platform::admins::ask_invite;
    SuperAdmin POST "/platform/admins" => platform::admins::invite;
    SuperAdmin GET "/platform/admins/{id}/role" => platform::admins::ask_role;
    SuperAdmin POST "/platform/admins/{id}/role" => platform::admins::change_role;
    SuperAdmin POST "/platform/admins/{id}/password-reset" => platform::admins::send_reset;
    SuperAdmin POST "/platform/admins/{id}/sessions/remove" => platform::admins::end_sessions;
    SuperAdmin POST "/platform/admins/{id}/invitation" => platform::admins::invite_again;
    SuperAdmin GET "/platform/admins/{id}/disabling" => platform::admins::ask_disable;
    SuperAdmin POST "/platform/admins/{id}/disabling" => platform::admins::disable;
    SuperAdmin POST "/platform/admins/{id}/disabling/remove" => platform::admins::enable;
    Auditor GET "/platform/audit" => platform::audit::list;
    Auditor GET "/platform/audit.csv" => platform::audit::export;
    Auditor POST "/platform/audit/verification" => platform::audit::verify;
    Auditor GET "/platform/audit/archives" => platform::log_archives::list;
    SuperAdmin POST "/platform/audit/archives" => platform::log_archives::archive;
    Auditor POST "/platform/audit/archives/verification" => platform::log_archives::verify;
    Auditor GET "/platform/audit/archives/{id}" => platform::log_archives::download;
    Auditor GET "/platform/audit/{sequence}" => platform::audit::detail;
    SuperAdmin GET "/platform/settings" => platform::settings::show;
    SuperAdmin POST "/platform/settings" => platform::settings::save;
    SuperAdmin GET "/platform/settings/keeping" => platform::keeping::show;
    SuperAdmin POST "/platform/settings/keeping" => platform::keeping::save;
    Operator GET "/platform/maintenance" => platform::maintenance::list;
    Operator POST "/platform/maintenance" => platform::maintenance::tend_to_all;
    Operator GET "/platform/maintenance/runs" => platform::maintenance::runs;
    Operator GET "/platform/maintenance/connections" => platform::leaks::list;
    SuperAdmin POST "/platform/maintenance/connections/{pid}/removal" => platform::leaks::end;
    Operator POST "/platform/institutions/{domain}/maintenance" => platform::maintenance::tend;
    Operator GET "/platform/doctor" => platform::doctor::show;
    Operator POST "/platform/doctor" => platform::doctor::look;
    Member GET "/i/{domain}" => institution::home::show;
    Member GET "/i/{domain}/students" => institution::students::list;
    Registrar POST "/i/{domain}/students" => institution::students::create;
    Member GET "/i/{domain}/students.csv" => institution::students::csv;
    Registrar GET "/i/{domain}/students/new" => institution::students::new;
    Registrar POST "/i/{domain}/students/archivings" => institution::students::archive_many;
    Registrar POST "/i/{domain}/students/archivings/{id}/remove" => institution::students::undo_archive;
    Registrar GET "/i/{domain}/students/import" => institution::student_import::new;
    Registrar POST "/i/{domain}/students/import" => institution::student_import::upload;
    Registrar GET "/i/{domain}/students/import/template.csv" => institution::student_import::template;
    Registrar GET "/i/{domain}/students/import/{id}" => institution::student_import::show;
    Registrar POST "/i/{domain}/students/import/{id}/columns" => institution::student_import::set_columns;
    Registrar POST "/i/{domain}/students/import/{id}" => institution::student_import::apply;
    Member GET "/i/{domain}/students/{id}" => institution::students::show;
    Registrar POST "/i/{domain}/students/{id}" => institution::students::update;
    Registrar GET "/i/{domain}/students/{id}/edit" => institution::students::edit;
    Registrar POST "/i/{domain}/students/{id}/archiving" => institution::students::archive;
    Registrar POST "/i/{domain}/students/{id}/archiving/remove" => institution::students::restore;
    Member GET "/i/{domain}/activity" => institution::activity::list;
    Member GET "/i/{domain}/activity.csv" => institution::activity::csv;
    Member GET "/i/{domain}/activity/{id}" => institution::activity::show;
    Owner GET "/i/{domain}/users" => institution::users::list;
    Owner GET "/i/{domain}/users.csv" => institution::users::csv;
    Owner POST "/i/{domain}/users" => institution::users::create;
    Owner GET "/i/{domain}/users/new" => institution::users::new;
    Owner GET "/i/{domain}/users/{id}" => institution::users::show;
    Owner POST "/i/{domain}/users/{id}" => institution::users::update;
    Owner GET "/i/{domain}/users/{id}/edit" => institution::users::edit;
    Owner POST "/i/{domain}/users/{id}/disabling" => institution::users::disable;
    Owner POST "/i/{domain}/users/{id}/disabling/remove" => institution::users::enable;
    Owner POST "/i/{domain}/users/{id}/password-reset" => institution::users::send_reset;
    Owner POST "/i/{domain}/users/{id}/sessions/remove" => institution::users::end_sessions;
    Owner POST "/i/{domain}/users/{id}/invitation" => institution::users::invite_again;
    Owner POST "/i/{domain}/users/{id}/invitation/remove" => institution::users::withdraw;
    Owner GET "/i/{domain}/users/{id}/removal" => institution::users::ask_remove;
    Owner POST "/i/{domain}/users/{id}/removal" => institution::users::remove;
    Owner GET "/i/{domain}/export" => institution::export::show;
    Owner GET "/i/{domain}/export.zip" => institution::export::download;
    Owner GET "/i/{domain}/settings" => institution::settings::show;
    Owner POST "/i/{domain}/settings" => institution::settings::update;
}

/// Registers what answers everybody alike, signed in or not: no session need be read for it.
pub fn configure_plain(config: &mut ServiceConfig) {
    resources().register(config, is_plain);
}

/// Registers the pages, and the answer to every other address.
pub fn configure_pages(config: &mut ServiceConfig) {
    resources().register(config, |path| !is_plain(path));
    config.default_service(web::to(nothing_here));
}

/// Files that are part of the program, and what machines ask.
fn is_plain(path: &str) -> bool {
    ["/static/", "/favicon.ico", "/health/", "/metrics"].iter().any(|start| path.starts_with(start))
}

/// Resources in the order of their first line: one per path, so that a wrong method is a 405.
#[derive(Default)]
struct Resources(Vec<(&'static str, Resource)>);

impl Resources {
    fn add(&mut self, path: &'static str, route: Handler) {
        let known = self.0.iter().position(|(known, _)| *known == path);
        let resource = match known {
            Some(at) => self.0.remove(at).1,
            None => web::resource(path).default_service(web::to(wrong_method)),
        };
        self.0.insert(known.unwrap_or(self.0.len()), (path, resource.route(route)));
    }

    fn register(self, config: &mut ServiceConfig, chosen: impl Fn(&str) -> bool) {
        for (_, resource) in self.0.into_iter().filter(|(path, _)| chosen(path)) {
            config.service(resource);
        }
    }
}

fn route(method: &str) -> Handler {
    match method {
        "GET" => Handler::new().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => Handler::new().guard(guard::Post()),
    }
}

/// Says which methods the address does answer, as HTTP asks for.
async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let mut response = AppError::MethodNotAllowed.error_response();
    let pattern = request.match_pattern().unwrap_or_default();
    let known = ROUTES.iter().filter(|route| route.path == pattern);
    let methods: Vec<_> =
        known.map(|route| if route.method == "GET" { "GET, HEAD" } else { route.method }).collect();
    if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

async fn nothing_here() -> Result<HttpResponse, AppError> {
    Err(AppError::NotFound)
}
