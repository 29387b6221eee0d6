//! `/`: what this platform is, and the two ways in.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::{
    error::AppError,
    models::platform::platform_settings::SignupPolicy,
    services::decisions,
    web::{State, page::Page, respond::html},
};

#[derive(Template)]
#[template(path = "public/home.html")]
struct HomeView {
    page: Page,
    /// Whether a registration is set up at once, with nobody to decide.
    automatic: bool,
}

/// `GET /`: everybody.
pub async fn show(request: HttpRequest, session: Session, platform: State) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    // The front page shows even while the database is away.
    let policy = platform.shared.run(move |c| decisions::signup_policy(c, &state)).await;
    let policy = policy.unwrap_or(platform.settings.signup);
    let page = super::page(&request, &session, "Run your institution from one place");
    Ok(html(&HomeView { page, automatic: policy == SignupPolicy::Automatic })?)
}
