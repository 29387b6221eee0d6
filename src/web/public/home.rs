//! `/`: what this platform is, and the two ways in.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::{
    error::AppError,
    web::{auth::identity, page::Page, respond::html, theme::Theme},
};

#[derive(Template)]
#[template(path = "public/home.html")]
struct HomeView {
    page: Page,
}

/// `GET /`: everybody.
pub async fn show(request: HttpRequest, session: Session) -> Result<HttpResponse, AppError> {
    let page = Page::public("Run your institution from one place")
        .path(request.path())
        .theme(Theme::of(&request))
        .flash(identity::take_flash(&session));
    Ok(html(&HomeView { page })?)
}
