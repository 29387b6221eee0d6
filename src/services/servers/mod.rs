//! Servers of institutions' databases: adding, checking, and choosing the one that takes the next database.

pub mod emptying;
mod engines;

use std::time::Instant;

pub(super) use engines::Parts;
pub use engines::{Engines, Survey, Unheard};

use super::{operations::Failure, platform::Platform};
use crate::{
    db::{Engine, Id, engine::TenantEngine, shared::SharedConn, target::shown_address},
    models::{
        ModelError,
        platform::{
            audit::Audit,
            servers::{self, Checked, DatabaseServer, NewServer, ServerChanges},
        },
    },
};

/// The address of the data folder, for a platform whose shared database is on PostgreSQL.
pub const DATA_FOLDER: &str = "sqlite:";
/// How an address is written.
pub const EXAMPLE: &str = "Write it as postgres://provost@db2.example.org:5432/postgres.";

/// What is entered of a server.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Its name.
    pub name: String,
    /// Its address; [`DATA_FOLDER`] for this machine.
    pub address: String,
    /// The password, where it is not in the address; none for the present one.
    pub password: Option<String>,
    /// Databases at most.
    pub capacity: i64,
    /// Connections that one node may open there; none for what the check finds.
    pub most_connections: Option<i64>,
}

/// Looks at a server: version, rights, connections, round trip. Blocks.
#[must_use]
pub fn examine(engine: &dyn TenantEngine) -> Checked {
    let facts = match engine.facts() {
        Ok(facts) => facts,
        Err(error) => return Checked { problem: Some(error.message), ..Checked::default() },
    };
    // The second time nothing need be opened.
    let began = Instant::now();
    let found = engine.facts().and_then(|_| {
        let round_trip = began.elapsed();
        engine.diagnose().map(|findings| (round_trip, findings))
    });
    let (round_trip, problem) = match found {
        Ok((round_trip, findings)) => {
            let words: Vec<String> = findings
                .into_iter()
                .filter(|finding| finding.fatal)
                .map(|finding| format!("{} {}.", finding.problem, finding.remedy.trim_end_matches('.')))
                .collect();
            (Some(round_trip), (!words.is_empty()).then(|| words.join(" ")))
        }
        Err(error) => (None, Some(error.message)),
    };
    Checked {
        identity: Some(facts.identity),
        server_version: Some(facts.version),
        connections: i64::try_from(facts.connections).ok(),
        round_trip_micros: round_trip.and_then(|time| i64::try_from(time.as_micros()).ok()),
        problem,
    }
}

/// Checks a server and notes what was found. Blocks.
///
/// # Errors
/// Any database error.
pub fn check(platform: &Platform, id: Id) -> Result<DatabaseServer, ModelError> {
    let checked = match platform.engine.of(id) {
        Ok(engine) => examine(&*engine),
        Err(error) => Checked { problem: Some(error.message), ..Checked::default() },
    };
    let connection = &mut *platform.shared.get()?;
    match servers::note_check(connection, id, &checked) {
        Err(error) if error.is_unique_violation() => {
            let problem = Some("This is a server that is known under another name already.".to_owned());
            servers::note_check(connection, id, &Checked { identity: None, problem, ..checked })?;
        }
        outcome => outcome?,
    }
    servers::find(connection, id)
}

/// The scheduled job: checks every server.
pub(super) fn check_all(platform: &Platform) -> Result<(), String> {
    let known = platform.shared.get().map_err(Into::into).and_then(|mut c| servers::all(&mut c));
    for server in known.map_err(|error| error.to_string())? {
        check(platform, server.id).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Adds a server whose check found nothing wrong. Blocks.
///
/// # Errors
/// `Refused` says what to correct or to grant.
pub fn add(platform: &Platform, audit: &Audit, entered: &Entered) -> Result<DatabaseServer, ModelError> {
    let url = full_url(entered, None)?;
    let engine = usable(platform, &url)?;
    let checked = examine(&*engine);
    if let Some(problem) = checked.problem {
        return Err(ModelError::Refused(problem));
    }
    // So that the one which the configuration names is recognised.
    check(platform, crate::db::engine::HOME)?;
    let id = Id::new();
    let sealed = seal(platform, id, &url)?;
    let new = NewServer {
        id,
        name: &entered.name,
        engine: engine.kind(),
        address: &shown(&url),
        sealed_url: &sealed,
        capacity: entered.capacity,
        most_connections: entered.most_connections,
    };
    servers::create(&mut *platform.shared.get()?, audit, &new, &checked)
}

/// Changes a server that was read as `version`; another address is checked first, and must lead to the very same
/// server. Blocks.
///
/// # Errors
/// As [`add`]; `Changed` when somebody else was faster.
pub fn change(
    platform: &Platform,
    audit: &Audit,
    server: &DatabaseServer,
    version: i64,
    entered: &Entered,
) -> Result<DatabaseServer, ModelError> {
    let moved_to = match other_address(platform, server, entered)? {
        None => None,
        Some(url) => {
            let found = examine(&*usable(platform, &url)?);
            if let Some(problem) = found.problem {
                return Err(ModelError::Refused(problem));
            }
            if server.identity.is_some() && server.identity != found.identity {
                return Err(ModelError::Refused(
                    "At this address answers another server. Add it as one of its own, and move institutions there."
                        .into(),
                ));
            }
            Some((shown(&url), seal(platform, server.id, &url)?))
        }
    };
    let changes = ServerChanges {
        name: entered.name.clone(),
        capacity: entered.capacity,
        most_connections: entered.most_connections,
        moved_to,
    };
    let saved = servers::update(&mut *platform.shared.get()?, audit, server.id, version, &changes)?;
    platform.engine.forget(server.id);
    Ok(saved)
}

/// The address that was entered, where it differs from the present one.
fn other_address(
    platform: &Platform,
    server: &DatabaseServer,
    entered: &Entered,
) -> Result<Option<String>, ModelError> {
    let Some(sealed) = &server.sealed_url else { return Ok(None) };
    let present = platform.keys.open_server_url(server.id, sealed);
    let present =
        present.map_err(|error| ModelError::Refused(format!("The address cannot be read: {error}.")))?;
    // What is shown of an address is that address without its password.
    if entered.password.is_none() && entered.address == server.address {
        return Ok(None);
    }
    let url = full_url(entered, Some(&present))?;
    Ok((url != *present).then_some(url))
}

/// The address with the password that was entered, or else with that of `present`.
fn full_url(entered: &Entered, present: Option<&str>) -> Result<String, ModelError> {
    if entered.address == DATA_FOLDER {
        return Ok(DATA_FOLDER.into());
    }
    let unusable = || ModelError::Refused(format!("The address cannot be read. {EXAMPLE}"));
    let mut url = url::Url::parse(&entered.address).map_err(|_| unusable())?;
    let known = present.and_then(|text| url::Url::parse(text).ok());
    match (&entered.password, known.as_ref().and_then(url::Url::password)) {
        (Some(password), _) => url.set_password(Some(password)).map_err(|()| unusable())?,
        // Encoded as it stands there.
        (None, Some(password)) if url.password().is_none() => {
            let plain = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
            url.set_password(Some(&plain)).map_err(|()| unusable())?;
        }
        _ => {}
    }
    Ok(url.into())
}

fn usable(platform: &Platform, url: &str) -> Result<std::sync::Arc<dyn TenantEngine>, ModelError> {
    if url == DATA_FOLDER && platform.engine.kind() == Engine::Sqlite {
        return Err(ModelError::Refused("The data folder is the server main already.".into()));
    }
    platform.engine.at(url).map_err(|error| ModelError::Refused(error.message))
}

fn shown(url: &str) -> String {
    if url == DATA_FOLDER { DATA_FOLDER.into() } else { shown_address(url) }
}

fn seal(platform: &Platform, id: Id, url: &str) -> Result<Vec<u8>, ModelError> {
    let sealed = platform.keys.seal_server_url(id, url);
    sealed.map_err(|error| ModelError::Refused(format!("The address could not be sealed: {error}.")))
}

/// The server that takes the next database.
///
/// # Errors
/// What to do when none has room.
pub fn place_new(
    connection: &mut SharedConn,
    suits: impl Fn(&DatabaseServer) -> bool,
) -> Result<DatabaseServer, Failure> {
    servers::with_most_room(connection, suits)?.ok_or_else(|| {
        Failure::Permanent(
            "No server has room for another database. Add a server, raise the capacity of one, or let one accept again \
             on /platform/servers; then try again."
                .into(),
        )
    })
}

/// The server for a copy of what was on `present`: that very one where the engine is the same, because room was made
/// for it there; another one where it is not, or where the last check found that one in trouble and another has room.
///
/// # Errors
/// As [`place_new`].
pub fn place_copy(
    connection: &mut SharedConn,
    present: Option<(Id, Engine)>,
    engine: Engine,
) -> Result<Id, Failure> {
    let suits = |server: &DatabaseServer| server.engine == engine;
    let Some((server, _)) = present.filter(|(_, kind)| *kind == engine) else {
        return place_new(connection, suits).map(|server| server.id);
    };
    let known = servers::find(connection, server)?;
    if !suits(&known) {
        // The server that it was on is gone.
        return place_new(connection, suits).map(|server| server.id);
    }
    if known.problem.is_none() {
        return Ok(server);
    }
    let sound = servers::with_most_room(connection, |server| suits(server) && server.problem.is_none())?;
    Ok(sound.map_or(server, |other| other.id))
}
