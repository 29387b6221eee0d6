//! `/`: what this platform is, and the two ways in.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::{
    error::AppError,
    web::{page::Page, respond::html},
};

#[derive(Template)]
#[template(path = "public/home.html")]
struct HomeView {
    page: Page,
}

/// `GET /`: everybody.
pub async fn show(request: HttpRequest, session: Session) -> Result<HttpResponse, AppError> {
    let page = super::page(&request, &session, "Run your institution from one place");
    Ok(html(&HomeView { page })?)
}
