//! Light, dark or as the system says: a cookie read on the server, so that no page flashes.

use actix_web::{HttpRequest, HttpResponse, cookie::Cookie, cookie::SameSite, cookie::time::Duration};

use super::{forms::FormData, respond::local_path};

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
pub async fn switch(request: HttpRequest, body: String) -> HttpResponse {
    let data = FormData::parse(&body);
    let theme = Theme::parse(data.get("theme").unwrap_or_default());
    let back = local_path(data.get("return").unwrap_or_default());
    let cookie = Cookie::build(COOKIE, theme.as_str())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(request.connection_info().scheme() == "https")
        .max_age(Duration::days(365))
        .finish();
    HttpResponse::SeeOther().cookie(cookie).insert_header(("Location", back)).finish()
}
