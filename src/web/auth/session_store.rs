//! Sessions in the shared database: listed, revoked at once, and never revived once ended.

use std::collections::HashMap;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use chrono::TimeDelta;

use super::identity;
use crate::{
    db::{pools::SharedPool, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::sessions::{self, Holder, IdleLimits, Lifetime},
    },
    services::{settings::Limits, tokens::Token},
};

/// Before sign-in a session only carries a choice or a message.
const ANONYMOUS_IDLE: TimeDelta = TimeDelta::minutes(10);

/// The store that actix-session works on.
pub struct DatabaseSessions {
    pool: SharedPool,
    limits: Limits,
}

type State = HashMap<String, String>;

impl DatabaseSessions {
    /// Sessions of this pool's database.
    #[must_use]
    pub fn new(pool: SharedPool, limits: Limits) -> Self {
        Self { pool, limits }
    }

    fn idle(&self) -> IdleLimits {
        IdleLimits {
            anonymous: ANONYMOUS_IDLE,
            super_admin: delta(self.limits.super_admin_idle),
            institution: delta(self.limits.institution_idle),
        }
    }
}

impl SessionStore for DatabaseSessions {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        // A token that cannot be one of ours was never issued: it is not adopted.
        let Some(hash) = hash_of(key) else { return Ok(None) };
        let limits = self.idle();
        let find = move |c: &mut SharedConn| {
            let found = sessions::find(c, &hash)?;
            // Reading goes on where this cannot be written, as on a full disk: the session then ends earlier.
            if let Some(Err(error)) = found.as_ref().map(|session| sessions::touch(c, session, limits)) {
                log::warn!("session not prolonged cause={:?}", error.to_string());
            }
            ModelResult::Ok(found)
        };
        let found = self.pool.run(find).await.map_err(|error| LoadError::Other(error.into()))?;
        let Some(session) = found else { return Ok(None) };
        let mut state: State =
            serde_json::from_str(&session.state).map_err(|error| LoadError::Deserialization(error.into()))?;
        identity::mark(&mut state, &session);
        Ok(Some(state))
    }

    async fn save(&self, mut state: State, _ttl: &Duration) -> Result<SessionKey, SaveError> {
        let token = Token::generate().map_err(|error| SaveError::Other(error.into()))?;
        let hash = token.hash();
        let holder = Holder {
            user_id: identity::user_in(&state),
            institution_id: identity::institution_in(&state),
            ip: identity::take_ip(&mut state),
            user_agent: identity::take_user_agent(&mut state),
        };
        let idle = self.idle().of(holder.user_id, holder.institution_id);
        let lifetime = Lifetime { idle, absolute: delta(self.limits.session_length) };
        identity::unmark(&mut state);
        let text = serde_json::to_string(&state).map_err(|error| SaveError::Serialization(error.into()))?;
        self.pool
            .run(move |c| sessions::create(c, &hash, &holder, &text, lifetime))
            .await
            .map_err(|error| SaveError::Other(error.into()))?;
        token.reveal().to_owned().try_into().map_err(|_| SaveError::Other(ModelError::NOT_FOUND.into()))
    }

    /// Where the row is gone nothing is written: a request in flight must not revive a revoked session.
    /// Its work is done all the same, so its answer stands; the next request finds nobody signed in.
    async fn update(
        &self,
        key: SessionKey,
        mut state: State,
        _ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let hash = hash_of(&key).ok_or_else(|| UpdateError::Other(ModelError::NOT_FOUND.into()))?;
        identity::unmark(&mut state);
        let text = serde_json::to_string(&state).map_err(|error| UpdateError::Serialization(error.into()))?;
        // Only messages and choices are ever updated: losing one is better than losing the page.
        match self.pool.run(move |c| sessions::update_state(c, &hash, &text)).await {
            Err(error) if !error.is_not_found() => {
                log::warn!("session state not kept cause={:?}", error.to_string());
            }
            _ => {}
        }
        Ok(key)
    }

    /// Nothing to do: [`Self::load`] prolongs, in the same visit to the database.
    async fn update_ttl(&self, _key: &SessionKey, _ttl: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let Some(hash) = hash_of(key) else { return Ok(()) };
        Ok(self.pool.run(move |c| sessions::end(c, &hash)).await?)
    }
}

fn hash_of(key: &SessionKey) -> Option<[u8; 32]> {
    Token::from_presented(key.as_ref()).map(|token| token.hash())
}

fn delta(time: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}
