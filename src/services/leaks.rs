//! Connections that were taken and never given back: of this process, and sessions on the server that no pool keeps.

use std::time::Duration;

use serde_json::json;

use super::{operations::Failure, platform::Platform};
use crate::{
    db::{Id, engine::Stray},
    models::{
        ModelError,
        platform::{
            audit::{Audit, Subject},
            tenant_databases,
        },
    },
};

/// Nobody holds a connection, or a transaction, for so long.
const HELD: Duration = Duration::from_secs(60);
/// Pools close what is idle after their own limit; this many times as long, and a session belongs to none of them.
const IDLE_TIMES: u32 = 4;

/// A connection that stands around.
#[derive(Debug, Clone)]
pub struct Leak {
    /// Whose database it is, where that is known.
    pub institution_id: Option<Id>,
    /// Domain of the institution, or the name of the database.
    pub subject: String,
    /// For how long.
    pub seconds: i64,
    /// The session on the server; without one, this process holds the connection.
    pub session: Option<Stray>,
}

impl Leak {
    /// What is wrong with it.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match &self.session {
            None => "Held by this process",
            Some(session) if session.in_transaction => "In the middle of a transaction",
            Some(_) => "Idle, and kept by no pool",
        }
    }
}

/// Whether sessions on the server can be seen at all. Blocks.
///
/// # Errors
/// The server's words.
pub fn sees_sessions(platform: &Platform) -> Result<bool, Failure> {
    Ok(platform.engine.sees_sessions()?)
}

/// What stands around at this moment. Blocks.
///
/// # Errors
/// The server, or the shared database.
pub fn find(platform: &Platform) -> Result<Vec<Leak>, Failure> {
    let strays = platform.engine.strays(HELD, platform.settings.limits.connection_idle * IDLE_TIMES)?;
    let pools = platform.tenants.statistics().tenants;
    let held: Vec<_> = pools.iter().filter(|pool| pool.seconds_held > HELD.as_secs()).collect();
    let mut leaks = Vec::new();
    let connection = &mut *platform.shared.get()?;
    for pool in held {
        let (institution, _) = tenant_databases::find_with_institution(connection, pool.institution_id)?;
        leaks.push(Leak {
            institution_id: Some(institution.id),
            subject: institution.domain,
            seconds: i64::try_from(pool.seconds_held).unwrap_or(i64::MAX),
            session: None,
        });
    }
    for session in strays {
        let known = tenant_databases::find_by_name(connection, &session.database)?;
        let institution_id = known.map(|database| database.institution_id);
        let subject = match institution_id {
            Some(id) => tenant_databases::find_with_institution(connection, id)?.0.domain,
            None => session.database.clone(),
        };
        leaks.push(Leak { institution_id, subject, seconds: session.seconds, session: Some(session) });
    }
    Ok(leaks)
}

/// Ends a session that stands around, by its number; says whose it was. Blocks.
///
/// # Errors
/// `Permanent` when it does not stand around any more, the server's words.
pub fn end(platform: &Platform, audit: &Audit, pid: i32) -> Result<String, Failure> {
    let gone = || Failure::Permanent("This session is at work again, or has ended already.".into());
    let leaks = find(platform)?;
    let of = |leak: &Leak| leak.session.as_ref().is_some_and(|session| session.pid == pid);
    let leak = leaks.into_iter().find(of).ok_or_else(gone)?;
    let session = leak.session.ok_or_else(gone)?;
    if !platform.engine.end_session(&session)? {
        return Err(gone());
    }
    platform.shared.get()?.write_tx(|c| {
        let subject = Subject {
            kind: "database session",
            id: None,
            label: &leak.subject,
            institution_id: leak.institution_id,
        };
        let detail = json!({ "role": session.role, "seconds": session.seconds });
        audit.record(c, "database.session_ended", &subject, &detail)?;
        Ok::<_, ModelError>(())
    })?;
    Ok(leak.subject)
}
