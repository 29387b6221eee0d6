//! Everything a person can be told instead of the page they asked for.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};

use crate::{
    db::{Id, pools::PoolError, trouble::Trouble},
    models::{ModelError, ModelResult},
    web::{
        error_page::ErrorPage,
        page::Page,
        respond::{self, RenderError},
        words::waiting_time,
    },
};

/// The answer of a handler that could not do its work.
#[derive(Debug)]
pub enum AppError {
    /// No such page or record, or not this caller's: the same answer.
    NotFound,
    /// A one-time link that is used up, replaced, too old, or was never ours: the same answer.
    LinkExpired,
    /// The caller is known but may not do this; the text says who may.
    Forbidden(String),
    /// The request itself is wrong.
    BadRequest(String),
    /// The address exists, but not for this method.
    MethodNotAllowed,
    /// Somebody else was faster; the text says who did what.
    Conflict(String),
    /// Nobody is signed in: off to the sign-in page, and back to this local path afterwards.
    SignInNeeded(String),
    /// The institution of this address is suspended.
    Suspended(String),
    /// The institution of this address is archived.
    Archived(String),
    /// Records of this institution can be read and exported, and not changed; the text says why.
    ReadOnly(String),
    /// The body is larger than a form or file may be.
    TooLarge(String),
    /// Too many attempts; the wait in seconds.
    TooMany(i64),
    /// The institution's database is not of this version's schema; the wait in seconds is a hint.
    Maintenance(String, i64),
    /// Busy or down for now; the wait in seconds is a hint.
    Unavailable(String, i64),
    /// A defect or failure of ours. The cause is for the log only.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    /// Wraps a failure whose cause nobody outside should read.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Title, what happened, what to do.
    fn words(&self) -> (&'static str, String, String) {
        let own = |text: &String| text.clone();
        match self {
            Self::NotFound => (
                "Page not found",
                "There is nothing at this address, or it is not yours to see.".into(),
                "Check the address, or go back and follow the link again.".into(),
            ),
            Self::LinkExpired => (
                "This link no longer works",
                "It has been used already, has run out, or was replaced by a newer one.".into(),
                "For a new password, ask for another link; it works for 30 minutes. If you were invited, ask whoever \
                 invited you to send the invitation again."
                    .into(),
            ),
            Self::Forbidden(text) => ("Not allowed", own(text), "Ask somebody who may do this.".into()),
            Self::BadRequest(text) => ("Request not understood", own(text), "Go back and try again.".into()),
            Self::MethodNotAllowed => (
                "Not possible here",
                "This address does not answer that kind of request.".into(),
                "Go back and use the page's own links and buttons.".into(),
            ),
            Self::Conflict(text) => {
                ("Already changed", own(text), "Go back and look at the present state.".into())
            }
            Self::SignInNeeded(_) => ("Sign in", "You are not signed in.".into(), "Sign in first.".into()),
            Self::Suspended(name) => (
                "Institution suspended",
                format!(
                    "{name} is suspended. Nobody can sign in or see its records for now; nothing is deleted."
                ),
                "If this is your institution, ask the platform's administrators why and what is needed."
                    .into(),
            ),
            Self::Archived(name) => (
                "Institution archived",
                format!("{name} has left the platform. Nobody can sign in; its records are kept in a backup for now."),
                "If this is your institution and it is to come back, ask the platform's administrators.".into(),
            ),
            Self::ReadOnly(text) => (
                "Read-only for now",
                own(text),
                "Ask the platform's administrators what is needed to go on. Everything can be read and exported."
                    .into(),
            ),
            Self::TooLarge(text) => ("Too large", own(text), "Send less at once.".into()),
            Self::TooMany(seconds) => (
                "Too many attempts",
                "There were too many attempts in a short time.".into(),
                format!("Wait {}, then try again.", waiting_time(*seconds)),
            ),
            Self::Maintenance(text, _) => (
                "Closed for maintenance",
                own(text),
                "Come back a little later. Nothing is lost, and other institutions are not affected.".into(),
            ),
            Self::Unavailable(text, _) => {
                ("Not available right now", own(text), "Try again in a moment; nothing was lost.".into())
            }
            Self::Internal(_) => (
                "Something went wrong",
                "The server could not finish this. The problem has been recorded.".into(),
                "Try again. If it happens again, tell the administrators the reference below.".into(),
            ),
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal(cause) => cause.fmt(f),
            other => f.write_str(&other.words().1),
        }
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::LinkExpired => StatusCode::NOT_FOUND,
            Self::Forbidden(_) | Self::Suspended(_) | Self::Archived(_) | Self::ReadOnly(_) => {
                StatusCode::FORBIDDEN
            }
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::SignInNeeded(_) => StatusCode::SEE_OTHER,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Maintenance(..) | Self::Unavailable(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The one place where a failure is logged, once, under the id that the page shows.
    fn error_response(&self) -> HttpResponse {
        if let Self::SignInNeeded(back) = self {
            let back = percent_encoding::utf8_percent_encode(back, percent_encoding::NON_ALPHANUMERIC);
            return respond::see_other(format!("/sign-in?return={back}"));
        }
        let (title, what, todo) = self.words();
        let status = self.status_code();
        let mut page = ErrorPage::new(Page::public(title), status.as_u16(), what, todo);
        if matches!(self, Self::NotFound | Self::Forbidden(_) | Self::Suspended(_) | Self::Archived(_)) {
            page = page.link("Go to the front page", "/");
        }
        if matches!(self, Self::LinkExpired) {
            page = page.link("Ask for another link", "/password-reset").link("Sign in", "/sign-in");
        }
        if let Self::Internal(cause) = self {
            let id = Id::new();
            log::error!("request failed id={id} cause={:?}", cause.to_string());
            page = page.request_id(id.to_string());
        }
        let mut response = match respond::html_with_status(status, &page) {
            Ok(response) => response,
            Err(_) => HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(title),
        };
        response.extensions_mut().insert(page);
        if let Self::TooMany(seconds) | Self::Maintenance(_, seconds) | Self::Unavailable(_, seconds) = self {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(*seconds));
        }
        response
    }
}

impl From<ModelError> for AppError {
    fn from(error: ModelError) -> Self {
        match error {
            missing if missing.is_not_found() => Self::NotFound,
            ModelError::Pool(error) => error.into(),
            ModelError::Changed(text) | ModelError::Refused(text) => Self::Conflict(text),
            ModelError::Database(cause) => storage_trouble(&cause).unwrap_or_else(|| Self::internal(cause)),
        }
    }
}

/// A full disk, another writer or a server that went away is no defect: it is told in words, and nothing was
/// saved.
fn storage_trouble(cause: &diesel::result::Error) -> Option<AppError> {
    let text = cause.to_string();
    let Some(trouble) = Trouble::of(&text) else { return waited_in_vain(&text) };
    let (words, wait) = match trouble {
        Trouble::DiskFull | Trouble::ServerDiskFull => {
            ("The server's disk is full, so nothing was saved.", 60)
        }
        Trouble::ReadOnly => ("The database can only be read right now, so nothing was saved.", 60),
        Trouble::NoConnection | Trouble::RoleLimit => {
            ("The database is busy: every connection of it is in use.", 10)
        }
        Trouble::Away | Trouble::Refused | Trouble::NoDatabase | Trouble::DiskFailed => {
            ("The database went away, so nothing was saved.", 10)
        }
    };
    log::error!("storage trouble cause={text:?}");
    Some(AppError::Unavailable(words.into(), wait))
}

/// Another writer, or a question that takes too long.
fn waited_in_vain(text: &str) -> Option<AppError> {
    let any = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let (words, wait) =
        if any(&["is locked", "lock timeout", "deadlock detected", "could not serialize access"]) {
            ("Somebody else is writing to this database and takes long, so nothing was saved.", 5)
        } else if text.contains("statement timeout") {
            ("The database takes too long to answer, so nothing was saved.", 10)
        } else {
            return None;
        };
    log::warn!("waited in vain cause={text:?}");
    Some(AppError::Unavailable(words.into(), wait))
}

impl From<PoolError> for AppError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy => {
                Self::Unavailable("The database is busy: every connection of it is in use.".into(), 2)
            }
            PoolError::BudgetSpent => {
                Self::Unavailable("The platform is busy: all its database connections are in use.".into(), 5)
            }
            PoolError::Unreachable(cause) => {
                log::error!("database unreachable cause={cause:?}");
                Self::Unavailable("The database does not answer.".into(), 30)
            }
            PoolError::Stale => {
                Self::Unavailable("The institution's database has just been moved or closed.".into(), 1)
            }
            cause @ PoolError::Panicked => Self::internal(cause),
        }
    }
}

impl From<RenderError> for AppError {
    fn from(error: RenderError) -> Self {
        Self::internal(error.0)
    }
}

/// Splits off what a person is to be told beside the form or on the next page.
///
/// # Errors
/// Every other failure.
pub fn told<T>(result: ModelResult<T>) -> Result<Result<T, String>, AppError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(ModelError::Changed(text) | ModelError::Refused(text)) => Ok(Err(text)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind::Unknown, Error::DatabaseError};

    use super::*;

    #[test]
    fn another_writer_is_no_defect() {
        for (told, status) in [
            ("database is locked", 503),
            ("database table is locked: users", 503),
            ("canceling statement due to lock timeout", 503),
            ("canceling statement due to statement timeout", 503),
            ("deadlock detected", 503),
            ("syntax error at or near \"SELEKT\"", 500),
        ] {
            let cause = DatabaseError(Unknown, Box::new(told.to_owned()));
            let answer = AppError::from(ModelError::Database(cause)).error_response();
            assert_eq!(answer.status(), status, "{told}");
            assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), status == 503, "{told}");
        }
    }
}
