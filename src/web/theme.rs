//! Light, dark or as the system says: a cookie read on the server, so that no page flashes.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    http::Method,
};

use super::{forms::FormData, middleware::guard::OverTls, respond::local_path};

/// The cookie that remembers the choice.
pub const COOKIE: &str = "theme";

/// What the person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// All of them, in the order the switch shows them.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The choice this browser made before; anything unknown is [`Theme::System`].
    pub fn of(request: &HttpRequest) -> Self {
        request.cookie(COOKIE).map(|cookie| Self::parse(cookie.value())).unwrap_or_default()
    }

    /// Where switching leads back to: a page's own address, its query included. What answers a form cannot
    /// be asked for again, so it has none.
    pub fn way_back(request: &HttpRequest) -> String {
        match *request.method() {
            Method::GET | Method::HEAD => {
                request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned()
            }
            _ => String::new(),
        }
    }

    /// The theme a word names.
    pub fn parse(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The word for it, in the cookie and in `<html data-theme>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What the switch calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "As the system",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}

/// `POST /theme`: remembers the choice for a year and goes back to where the person was.
pub async fn switch(request: HttpRequest, data: FormData) -> HttpResponse {
    let theme = Theme::parse(data.get("theme").unwrap_or_default());
    let back = local_path(data.get("return").unwrap_or_default());
    let cookie = Cookie::build(COOKIE, theme.as_str())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(request.app_data::<OverTls>().is_some_and(|tls| tls.0))
        .max_age(Duration::days(365))
        .finish();
    HttpResponse::SeeOther().cookie(cookie).insert_header(("Location", back)).finish()
}
