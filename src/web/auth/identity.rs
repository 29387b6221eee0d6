//! What a session says of its holder. The names of its keys live here and nowhere else.

use std::collections::HashMap;

use actix_session::Session;
use actix_web::HttpRequest;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    db::Id,
    error::AppError,
    models::platform::sessions,
    web::{client::Client, page::Notice},
};

const USER: &str = "user";
const INSTITUTION: &str = "institution";
const SESSION: &str = "session";
const IP: &str = "ip";
const USER_AGENT: &str = "user_agent";
const FLASH: &str = "flash";
/// Announcements that were put away.
const DISMISSED: &str = "dismissed";
/// Accounts that matched at sign-in, waiting for the person's choice.
const CHOICE: &str = "choice";

/// The holder of a signed-in session, not yet checked against the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The session's own id, for listing and ending it.
    pub session_id: Id,
    /// Platform admin or institution user.
    pub user_id: Id,
    /// None for a platform admin.
    pub institution_id: Option<Id>,
}

impl Identity {
    /// The holder of this request's session, if somebody is signed in.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        Some(Self {
            session_id: read(session, SESSION)?,
            user_id: read(session, USER)?,
            institution_id: read(session, INSTITUTION),
        })
    }

    /// As [`Identity::of`], sending the anonymous to the sign-in page and back afterwards.
    ///
    /// # Errors
    /// [`AppError::SignInNeeded`].
    pub fn required(session: &Session, request: &HttpRequest) -> Result<Self, AppError> {
        Self::of(session).ok_or_else(|| {
            let back = if request.method() == actix_web::http::Method::GET {
                request.uri().path_and_query().map_or("/", |path| path.as_str())
            } else {
                "/"
            };
            AppError::SignInNeeded(back.to_owned())
        })
    }

    /// Signs a person in under a new token; whatever the session held before is gone.
    ///
    /// # Errors
    /// When the session cannot hold it.
    pub fn sign_in(
        session: &Session,
        client: &Client,
        user: Id,
        institution: Option<Id>,
    ) -> Result<(), AppError> {
        session.clear();
        session.renew();
        write(session, USER, &user)?;
        if let Some(institution) = institution {
            write(session, INSTITUTION, &institution)?;
        }
        write(session, IP, &client.ip)?;
        write(session, USER_AGENT, &client.user_agent)
    }
}

/// Keeps a message for the next page this person sees.
///
/// # Errors
/// When the session cannot hold it.
pub fn flash(session: &Session, notice: Notice) -> Result<(), AppError> {
    write(session, FLASH, &notice)
}

/// The message kept for this page; it is shown once.
#[must_use]
pub fn take_flash(session: &Session) -> Option<Notice> {
    let notice = read(session, FLASH);
    if notice.is_some() {
        session.remove(FLASH);
    }
    notice
}

/// More announcements than this are not remembered as put away.
const MOST_DISMISSED: usize = 20;

/// Puts an announcement away until the person signs in again.
///
/// # Errors
/// When the session cannot hold it.
pub fn dismiss(session: &Session, announcement: Id) -> Result<(), AppError> {
    let mut known = dismissed(session);
    if !known.contains(&announcement) {
        known.push(announcement);
    }
    let begin = known.len().saturating_sub(MOST_DISMISSED);
    write(session, DISMISSED, &&known[begin..])
}

/// The announcements that were put away.
#[must_use]
pub fn dismissed(session: &Session) -> Vec<Id> {
    read(session, DISMISSED).unwrap_or_default()
}

/// Remembers the accounts that matched, as (institution, user).
///
/// # Errors
/// When the session cannot hold it.
pub fn offer_choice(session: &Session, accounts: &[(Option<Id>, Id)]) -> Result<(), AppError> {
    session.clear();
    session.renew();
    write(session, CHOICE, &accounts)
}

/// The accounts remembered by [`offer_choice`].
#[must_use]
pub fn offered_choice(session: &Session) -> Vec<(Option<Id>, Id)> {
    read(session, CHOICE).unwrap_or_default()
}

fn read<T: DeserializeOwned>(session: &Session, key: &str) -> Option<T> {
    session.get(key).ok().flatten()
}

fn write<T: Serialize>(session: &Session, key: &str, value: &T) -> Result<(), AppError> {
    session.insert(key, value).map_err(|error| AppError::internal(error.to_string()))
}

// What the store reads from and hides in the stored state: actix-session keeps each value as JSON.

type State = HashMap<String, String>;

pub(super) fn user_in(state: &State) -> Option<Id> {
    state.get(USER).and_then(|json| serde_json::from_str(json).ok())
}

pub(super) fn institution_in(state: &State) -> Option<Id> {
    state.get(INSTITUTION).and_then(|json| serde_json::from_str(json).ok())
}

/// Adds what only the row knows; a renewed session carries it over.
pub(super) fn mark(state: &mut State, row: &sessions::Session) {
    for (key, value) in [(SESSION, &row.id.to_string()), (IP, &row.ip), (USER_AGENT, &row.user_agent)] {
        state.insert(key.into(), serde_json::Value::from(value.as_str()).to_string());
    }
}

/// Removes what [`mark`] added, before the state is stored.
pub(super) fn unmark(state: &mut State) {
    for key in [SESSION, IP, USER_AGENT] {
        state.remove(key);
    }
}

pub(super) fn take_ip(state: &mut State) -> String {
    take_text(state, IP)
}

pub(super) fn take_user_agent(state: &mut State) -> String {
    take_text(state, USER_AGENT)
}

fn take_text(state: &mut State, key: &str) -> String {
    state.remove(key).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}
