//! The operation that moves an institution's database to another server, of the same engine or the other one.
//!
//! Its people can read all the while, and not write from the step `block` on. Until the one transaction of the step
//! `switch` is committed the old database serves, afterwards the new one does. Whatever fails before, the way back lifts
//! the block and the old one serves as if nothing had been.

use std::{io, thread, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work, restore};
use crate::{
    db::{
        Engine, Id,
        engine::{EngineError, Place, TenantEngine, transfer},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            backups::Reason,
            institutions,
            operations::{self, Kind, NewOperation, Operation},
            servers::{self, DatabaseServer},
            tenant_copies::{self, Purpose, TenantCopy},
            tenant_databases::{self, DatabaseStatus, NewTenantDatabase, TenantDatabase, WriteBlock},
        },
    },
    services::{
        backups::{self, copies},
        disk, tenants,
    },
};

/// How long whoever is at work in the database may take to end.
const LAST_WORK: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// Where to.
    pub server_id: Id,
    /// The backup of the present state, made beforehand.
    pub save_id: Id,
    /// The database that serves when this is asked: another one is not moved.
    pub from: String,
}

/// The steps of a move to an engine.
#[must_use]
pub fn steps(to: Engine) -> Vec<&'static str> {
    let all = ["check", "save", "reserve", "role", "block", "copy", "open", "compare", "switch"];
    all.into_iter().filter(|step| to == Engine::Postgres || *step != "role").collect()
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "check" => "See that the server is fit and has room",
        "save" => "Back up the present state",
        "reserve" => "Reserve a name for the new database",
        "role" => "Make its role on the server",
        "block" => "Let people read, and not change",
        "copy" => "Copy every row",
        "open" => "Grant rights, open it, and prove that it is closed to others",
        "compare" => "Compare schema, counts and rows",
        "switch" => "Let the new database serve",
        _ => "Unknown step",
    }
}

/// Names of the crash points inside the steps, for the kill sweep.
#[must_use]
pub fn crash_points(from: Engine, to: Engine) -> Vec<String> {
    let of_steps = steps(to)
        .into_iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")));
    let inside: &[&str] = match (from, to) {
        (Engine::Postgres, Engine::Postgres) => &["postgres:copy-made", "postgres:copy-filled"],
        (_, Engine::Postgres) => &["postgres:database-made", "transfer:filled"],
        (_, Engine::Sqlite) => &["sqlite:renamed", "transfer:filled"],
    };
    let own = ["backup:part-written", "backup:file-named", "move:noted", "move:blocked", "move:switched"];
    of_steps.chain(inside.iter().chain(&own).map(ToString::to_string)).collect()
}

/// Asks for a move. Wake the workers after the commit.
///
/// # Errors
/// `Refused` says why not there; `Changed` when one is under way.
pub fn request(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    server_id: Id,
) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let (institution, database) = tenant_databases::find_with_institution(connection, institution_id)?;
        let ready = database.filter(|database| database.status == DatabaseStatus::Ready);
        let database = ready.ok_or_else(|| {
            ModelError::Refused(format!("{} has no database that could be moved.", institution.name))
        })?;
        let server = servers::hold(connection, server_id)?;
        let held = servers::counts(connection)?.get(&server_id).copied().unwrap_or(0);
        if let Some(words) = unfit(&server, held, &database) {
            return Err(ModelError::Refused(words));
        }
        for other in [Kind::Restore, Kind::Provision] {
            if operations::latest(connection, institution_id, other)?.is_some_and(|known| !known.is_over()) {
                let sentence = format!("Another operation works on the database of {}.", institution.name);
                return Err(ModelError::Changed(sentence));
            }
        }
        let input = json!(Input { server_id, save_id: Id::new(), from: database.database_name.clone() });
        let new = NewOperation {
            kind: Kind::Move,
            institution_id: Some(institution_id),
            subject: &institution.name,
            input: &input,
            steps: &steps(server.engine),
            total: 0,
        };
        let id = operations::enqueue(connection, &new, &audit.actor)?;
        let detail = json!({ "to": server.name, "database": database.database_name });
        audit.record(connection, "institution.move_requested", &institution.subject(), &detail)?;
        Ok(id)
    })
}

/// Why a server cannot take this database.
#[must_use]
pub fn unfit(server: &DatabaseServer, held: i64, database: &TenantDatabase) -> Option<String> {
    if server.id == database.server_id {
        Some(format!("The database is on the server {} already.", server.name))
    } else if !server.has_room(held) {
        Some(format!(
            "The server {} takes no database now: it is full or draining. Choose another one, or change that on its page.",
            server.name
        ))
    } else {
        None
    }
}

/// Carries out moves.
pub(super) struct Move;

impl Handler for Move {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let input: Input = work.input()?;
        match step {
            "check" => check(work, &input).map(Some),
            "save" => save(work, &input).map(Some),
            "reserve" => reserve(work, &input).map(Some),
            "role" => restore::make_role(work, Purpose::Incoming).map(Some),
            "block" => block(work, &input).map(|()| None),
            "copy" => copy(work, &input).map(|()| None),
            "open" => restore::open(work).map(|()| None),
            "compare" => compare(work, &input).map(Some),
            "switch" => switch(work, &input),
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        match step {
            "block" => unblock(work),
            "reserve" => copies::drop_of(work, Purpose::Incoming),
            _ => Ok(()),
        }
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    /// Once the new database serves, it is the institution's own.
    fn is_in_use(&self, connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
        restore::serves(connection, operation)
    }
}

/// The database that is to be moved, as long as it is the one that was asked for.
fn present(work: &Work<'_>, input: &Input) -> Result<TenantDatabase, Failure> {
    let found = tenant_databases::find(&mut *work.shared()?, work.institution_id()?)?;
    found.filter(|database| database.database_name == input.from).ok_or_else(changed)
}

fn changed() -> Failure {
    Failure::Permanent("Another database serves this institution since the move was asked for.".into())
}

fn check(work: &Work<'_>, input: &Input) -> Result<String, Failure> {
    let (platform, database) = (work.platform, present(work, input)?);
    if database.schema_version != platform.migrations.version() {
        return Err(Failure::Permanent(
            "The database is not of this version's schema. Run provost migrate tenants, then try again."
                .into(),
        ));
    }
    let server = {
        let connection = &mut *work.shared()?;
        let server = servers::find(connection, input.server_id)?;
        // What this operation has reserved itself, in an earlier attempt, is not counted against it.
        let mine = tenant_copies::of_operation(connection, work.operation.id, Purpose::Incoming)?;
        let held = servers::counts(connection)?.get(&server.id).copied().unwrap_or(0);
        if let Some(words) = unfit(&server, held - i64::from(mine.is_some()), &database) {
            return Err(Failure::Permanent(words));
        }
        server
    };
    let engine = platform.engine.of(server.id)?;
    if let Some(found) = engine.diagnose()?.into_iter().find(|finding| finding.fatal) {
        return Err(Failure::Permanent(format!("{} {}; then try again.", found.problem, found.remedy)));
    }
    engine.prepare()?;
    let size = platform.engine.size(&tenants::place(&database))?;
    if engine.kind() == Engine::Sqlite
        && let Ok(room) = disk::room(&platform.settings.data_dir)
        && room.free_bytes / 2 < size
    {
        return Err(Failure::Permanent(format!(
            "The database needs up to {} MB, and the data folder has {} MB left. Free some space, then try again.",
            size * 2 / 1_000_000,
            room.free_bytes / 1_000_000
        )));
    }
    Ok(format!("{}, {size} bytes", server.name))
}

fn save(work: &Work<'_>, input: &Input) -> Result<String, Failure> {
    let of = Some(work.institution_id()?);
    let manifest = backups::copy(work.platform, input.save_id, of, Reason::BeforeMove)?;
    let backup = work.write_tx(|connection| backups::record(connection, &work.audit(), &manifest))?;
    Ok(format!("{} rows, {} bytes", backup.row_total, backup.bytes))
}

fn reserve(work: &Work<'_>, input: &Input) -> Result<String, Failure> {
    let wanted = copies::Wanted {
        institution_id: Some(work.institution_id()?),
        schema_version: work.platform.migrations.version(),
        backup_id: Some(input.save_id),
        purpose: Purpose::Incoming,
        server_id: input.server_id,
    };
    let copy = work.write_tx(|connection| copies::reserve_on(work, connection, &wanted))?;
    Ok(copy.database_name)
}

/// From here on nothing is written to the database that serves: no new handle can, those given out before are refused,
/// and whoever is at work ends or is ended.
fn block(work: &Work<'_>, input: &Input) -> Result<(), Failure> {
    let id = work.institution_id()?;
    let import = operations::latest(&mut *work.shared()?, id, Kind::ImportStudents)?;
    if import.is_some_and(|import| !import.is_over()) {
        return Err(Failure::Held);
    }
    let database = present(work, input)?;
    work.write_tx(|connection| {
        Ok(tenant_databases::set_write_block(connection, id, Some(WriteBlock::Move))?)
    })?;
    crate::crash_point!("move:noted");
    if !work.platform.tenants.settle(&mut *work.shared()?, id, LAST_WORK)? {
        return Err(Failure::Transient("Somebody is still at work in the database.".into()));
    }
    work.platform.engine.stop_writing(&tenants::place(&database), &|| work.permit())?;
    crate::crash_point!("move:blocked");
    Ok(())
}

/// The registry first: pages say that records can be changed again, and the server follows at once.
fn unblock(work: &Work<'_>) -> Result<(), Failure> {
    let id = work.institution_id()?;
    work.write_tx(|connection| Ok(tenant_databases::set_write_block(connection, id, None)?))?;
    let database = tenant_databases::find(&mut *work.shared()?, id)?;
    let Some(database) = database else { return Ok(()) };
    work.platform.engine.allow_writing(&tenants::place(&database))?;
    work.platform.tenants.retire(id);
    Ok(())
}

/// From nothing each time: what an interrupted attempt left under this name goes first.
fn copy(work: &Work<'_>, input: &Input) -> Result<(), Failure> {
    let (from, copy) = (present(work, input)?, copies::find(work, Purpose::Incoming)?);
    let (source, target) = (tenants::place(&from), copies::place(&copy));
    let engines = &work.platform.engine;
    let (old, new) = (engines.of(source.server_id)?, engines.of(target.server_id)?);
    if old.kind() == new.kind() {
        return stream(work, (&*old, &source), (&*new, &target));
    }
    let permit = || work.permit();
    new.drop_database(&target, &permit)?;
    new.create(&target, &permit)?;
    new.grant_and_open(&target, &permit)?;
    let (mut reader, mut writer) = (old.open_as_owner(&source)?, new.open_as_owner(&target)?);
    Ok(transfer::copy(&mut reader, &mut writer, &permit)?)
}

/// What one server writes the other reads, without a file between.
fn stream(
    work: &Work<'_>,
    (old, source): (&dyn TenantEngine, &Place),
    (new, target): (&dyn TenantEngine, &Place),
) -> Result<(), Failure> {
    let tools = backups::tools(work.platform);
    let (mut reader, mut writer) =
        io::pipe().map_err(|error| Failure::Transient(format!("No pipe could be made: {error}.")))?;
    thread::scope(|scope| {
        let dumping = scope.spawn(move || old.dump(source, tools, &mut writer));
        let loaded = new.load(target, tools, &mut reader, &|| work.permit());
        // Whoever still writes is told that nobody reads.
        drop(reader);
        let dumped = dumping.join().unwrap_or_else(|_| Err(EngineError::transient("The copying stopped.")));
        // The cause comes first: a copy that ends early cannot be loaded either.
        match (dumped, loaded) {
            (Ok(_), loaded) => Ok(loaded?),
            (Err(cause), Ok(())) => Err(cause.into()),
            (Err(cause), Err(effect)) if cause.message.contains("could not be written") => {
                log::debug!("{cause}");
                Err(effect.into())
            }
            (Err(cause), Err(_)) => Err(cause.into()),
        }
    })
}

fn compare(work: &Work<'_>, input: &Input) -> Result<String, Failure> {
    let (from, copy) = (present(work, input)?, copies::find(work, Purpose::Incoming)?);
    let (source, target) = (tenants::place(&from), copies::place(&copy));
    let engines = &work.platform.engine;
    let (mut was, is) = (engines.contents(&source)?, engines.contents(&target)?);
    if !same_version(&*engines.of(source.server_id)?, &*engines.of(target.server_id)?)? {
        // Each says the same schema in words of its own; the same migrations have made both.
        was.schema.clone_from(&is.schema);
    }
    let different = |words: String| Failure::Permanent(format!("What was copied is not the same: {words}."));
    if let Some(words) = was.difference(&is) {
        return Err(different(words));
    }
    let rows =
        transfer::difference(&mut engines.open_as_owner(&source)?, &mut engines.open_as_owner(&target)?)?;
    match rows {
        Some(words) => Err(different(words)),
        None => Ok(format!("{} tables, {} rows", is.tables.len(), is.rows())),
    }
}

/// Whether both write a schema in the same words.
fn same_version(one: &dyn TenantEngine, other: &dyn TenantEngine) -> Result<bool, Failure> {
    let major = |engine: &dyn TenantEngine| -> Result<String, EngineError> {
        Ok(engine.facts()?.version.split('.').next().unwrap_or_default().to_owned())
    };
    Ok(major(one)? == major(other)?)
}

/// One transaction: the new database serves at a new generation and can be written, and the old one has a date to go.
/// Whoever is signed in stays so: people and sessions are the same.
fn switch(work: &Work<'_>, input: &Input) -> Result<Option<String>, Failure> {
    let id = work.institution_id()?;
    if restore::serves(&mut *work.shared()?, work.operation)? {
        work.platform.tenants.retire(id);
        return Ok(None);
    }
    let copy = copies::find(work, Purpose::Incoming)?;
    let version = work.platform.migrations.version();
    let server = work.write_tx(|connection| {
        let institution = institutions::find(connection, id)?;
        let present = tenant_databases::find(connection, id)?.ok_or_else(changed)?;
        let untouched = present.database_name == input.from
            && present.schema_version == version
            && present.write_block == Some(WriteBlock::Move);
        if !untouched {
            return Err(changed());
        }
        let server = servers::hold(connection, copy.server_id)?;
        let before = servers::find(connection, present.server_id)?;
        serve(connection, work, &present, &copy, version)?;
        let detail = json!({
            "from": before.name, "to": server.name, "database": copy.database_name,
            "instead_of": present.database_name,
        });
        work.audit().record(connection, "institution.moved", &institution.subject(), &detail)?;
        Ok(server)
    })?;
    crate::crash_point!("move:switched");
    work.platform.tenants.retire(id);
    work.set_result(&json!({ "database": copy.database_name, "server": server.name }));
    Ok(Some(copy.database_name))
}

fn serve(
    connection: &mut SharedConn,
    work: &Work<'_>,
    present: &TenantDatabase,
    copy: &TenantCopy,
    version: &str,
) -> Result<(), Failure> {
    let new = NewTenantDatabase {
        id: present.id,
        institution_id: present.institution_id,
        engine: copy.engine,
        database_name: &copy.database_name,
        location: &copy.location,
        schema_version: version,
        server_id: copy.server_id,
    };
    tenant_copies::remove(connection, copy.id)?;
    if !tenant_databases::replace(connection, present, &new, copy.sealed_password.as_deref())? {
        return Err(changed());
    }
    copies::keep_previous(connection, work, present, copy.backup_id)
}
