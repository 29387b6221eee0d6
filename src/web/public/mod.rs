//! Pages that need no sign-in.

pub mod home;
pub mod registration;

use actix_session::Session;
use actix_web::HttpRequest;

use super::{
    auth::identity::{self, Identity},
    icons::Icon,
    page::{NavGroup, NavItem, Page, Width},
    theme::Theme,
};

/// A page outside the signed-in areas, with the ways in, or back in, and the message kept for it.
#[must_use]
pub fn page(request: &HttpRequest, session: &Session, title: impl Into<String>) -> Page {
    let path = request.path();
    bare_page(request, title)
        .nav(vec![NavGroup::new("", ways(session, path))])
        .flash(identity::take_flash(session))
}

fn ways(session: &Session, path: &str) -> Vec<NavItem> {
    match Identity::of(session) {
        Some(Identity { institution_id: None, .. }) => {
            vec![NavItem::new("Go to the platform", "/platform", Icon::Institution, path)]
        }
        Some(_) => vec![NavItem::new("Go to your account", "/account", Icon::User, path)],
        None => vec![
            NavItem::new("Register", "/register", Icon::Institution, path),
            NavItem::new("Sign in", "/sign-in", Icon::Key, path),
        ],
    }
}

/// A narrow page for one who came by a link: one thing to do, and nowhere else to go.
#[must_use]
pub fn narrow_page(request: &HttpRequest, title: impl Into<String>) -> Page {
    bare_page(request, title).width(Width::Narrow)
}

fn bare_page(request: &HttpRequest, title: impl Into<String>) -> Page {
    // A public form is answered at the address that shows it, so that address is always a way back.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Page::public(title).path(path).theme(Theme::of(request))
}
