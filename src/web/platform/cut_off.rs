//! Whom it would hit that an institution is suspended, archived or deleted.

use crate::{
    db::{pools::TenantDb, tenant::TenantConn},
    error::AppError,
    models::{
        ModelResult,
        institution::{students, users},
        platform::institutions::{self, Institution},
    },
    web::{State, confirm::Confirm, words::Noun},
};

/// For a question about who is cut off.
pub(super) const PEOPLE: Noun =
    Noun::new("person who can sign in is cut off", "people who can sign in are cut off");
const SESSIONS: Noun = Noun::new("open session ends at once", "open sessions end at once");

/// What would be cut off.
pub(super) struct CutOff {
    sessions: i64,
    /// Unknown where the database cannot be asked.
    pub inside: Option<Inside>,
}

/// Who is in an institution's database.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    /// Those who can sign in.
    pub people: i64,
    pub students: i64,
}

impl CutOff {
    /// Counts, as of now; `db` where the institution's database can be asked.
    pub async fn count(
        platform: &State,
        institution: &Institution,
        db: Option<TenantDb>,
    ) -> Result<Self, AppError> {
        let id = institution.id;
        let sessions = platform.shared.run(move |c| institutions::open_sessions(c, id)).await?;
        let count = |c: &mut TenantConn| {
            ModelResult::Ok(Inside {
                people: users::active_count(c)?,
                students: students::counts(c)?.total(),
            })
        };
        let inside = match db {
            Some(db) => db.run(count).await.ok(),
            None => None,
        };
        Ok(Self { sessions, inside })
    }

    /// A question with the sessions that end.
    pub fn sessions(&self, confirm: Confirm) -> Confirm {
        confirm.count(SESSIONS.of(self.sessions), self.sessions)
    }
}
