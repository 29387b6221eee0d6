//! Whoever is signed in, platform admin or institution user, where a page is for either.

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, dev::Payload};

use super::{AnyAdmin, Identity, InstitutionUser};
use crate::{
    error::AppError,
    web::{page::Page, time::Clock},
};

/// A signed-in person, checked on this very request.
pub enum Somebody {
    /// A platform admin.
    Admin(Box<AnyAdmin>),
    /// A user of an institution.
    User(Box<InstitutionUser>),
}

impl Somebody {
    /// Whom a session says that it belongs to.
    ///
    /// # Errors
    /// As those of [`AnyAdmin`] and [`InstitutionUser`].
    pub async fn of(request: &HttpRequest, session: &Session, who: Identity) -> Result<Self, AppError> {
        Ok(match who.institution_id {
            None => Self::Admin(Box::new(AnyAdmin::from_request(request, &mut Payload::None).await?)),
            Some(id) => {
                let user = InstitutionUser::of_session(request, session.clone(), who, id).await?;
                Self::User(Box::new(user))
            }
        })
    }

    /// As they write it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Admin(admin) => &admin.name,
            Self::User(user) => &user.name,
        }
    }

    /// As they write it.
    #[must_use]
    pub fn email(&self) -> &str {
        match self {
            Self::Admin(admin) => &admin.email,
            Self::User(user) => &user.email,
        }
    }

    /// The clock of their institution; the platform's is in UTC.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match self {
            Self::Admin(_) => Clock::utc(),
            Self::User(user) => user.clock,
        }
    }

    /// A page in their frame, with the message kept for it.
    #[must_use]
    pub fn page(&self, title: &str) -> Page {
        match self {
            Self::Admin(admin) => admin.page(title),
            Self::User(user) => user.page(title),
        }
    }
}
