//! Pages that need no sign-in.

pub mod home;
pub mod registration;

use actix_session::Session;
use actix_web::HttpRequest;

use super::{
    auth::identity,
    icons::Icon,
    page::{NavGroup, NavItem, Page},
    theme::Theme,
};

/// A page outside the signed-in areas, with the ways in and the message kept for it.
#[must_use]
pub fn page(request: &HttpRequest, session: &Session, title: impl Into<String>) -> Page {
    let path = request.path();
    Page::public(title)
        .path(path)
        .theme(Theme::of(request))
        .nav(vec![NavGroup::new(
            "",
            vec![
                NavItem::new("Register", "/register", Icon::Institution, path),
                NavItem::new("Sign in", "/sign-in", Icon::Key, path),
            ],
        )])
        .flash(identity::take_flash(session))
}
