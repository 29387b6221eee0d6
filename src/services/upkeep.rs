//! Looking after institutions' databases: what each needs, by its own statistics, and doing what is worth it while
//! people use them. What is known is kept, so that no page asks an engine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    disk,
    operations::{Failure, Work},
    platform::Platform,
    tenants,
};
use crate::{
    db::{
        Id,
        engine::{Act, Condition, EngineError, Wish},
        now,
        shared::SharedConn,
    },
    models::{
        Actor, ModelError, ModelResult,
        platform::{
            audit::{Audit, Subject},
            maintenance::{self, Need, Run},
            operations::{self, Kind, NewOperation},
            rollouts,
            tenant_databases::{self, DatabaseStatus, TenantDatabase},
        },
    },
};

/// What is known of a database is good for so long.
const GOOD_FOR: TimeDelta = TimeDelta::hours(20);
/// Databases looked at in one run, and the time that it may take.
const MOST: i64 = 500;
const LONGEST: Duration = Duration::from_secs(5);
/// What is left free on the disk whatever is done.
const LEFT_FREE: u64 = 256 * 1024 * 1024;
/// What the operation over all is about.
const EVERYBODY: &str = "Every database that needs it";

/// What an operation of this kind is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Look after one institution's database, or after all that need it.
    Tend,
    /// Look at the whole fleet, and change nothing.
    Examine,
}

/// The scheduled look at what was not looked at for most of a day.
pub(super) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    look_around(platform, GOOD_FOR).map(|_| ()).map_err(|failure| failure.to_string())
}

/// The scheduled work, once a week: by an operation, where anybody needs anything.
pub(super) fn request_due(platform: &Arc<Platform>) -> Result<(), String> {
    let asked = platform.shared.get().map_err(ModelError::from).and_then(|mut c| {
        if maintenance::needing_count(&mut c)? == 0 {
            return Ok(false);
        }
        match request(&mut c, &platform.audit(Actor::system()), Task::Tend, None) {
            Ok(_) => Ok(true),
            Err(ModelError::Changed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    });
    if asked.map_err(|error| error.to_string())? {
        platform.operations.wake();
    }
    Ok(())
}

/// Looks at databases of which nothing is known that is younger than `good_for`, and keeps what it found; says how many.
/// One that cannot be reached is passed over: an alert tells of it.
///
/// # Errors
/// When the shared database fails.
pub fn look_around(platform: &Platform, good_for: TimeDelta) -> Result<usize, Failure> {
    let version = platform.migrations.version();
    let stale = maintenance::to_look_at(&mut *platform.shared.get()?, version, now() - good_for, MOST)?;
    let (began, mut looked) = (Instant::now(), 0);
    for database in stale.iter().take_while(|_| began.elapsed() < LONGEST) {
        match look(platform, database) {
            Ok(_) => looked += 1,
            Err(failure) => log::info!("{} was not looked at: {failure}", database.database_name),
        }
    }
    Ok(looked)
}

/// Looks at one database, and keeps what it found.
///
/// # Errors
/// When it cannot be reached.
pub fn look(platform: &Platform, database: &TenantDatabase) -> Result<(Condition, Vec<Wish>), Failure> {
    let condition = platform.engine.condition(&tenants::place(database))?;
    let wishes = condition.wishes();
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let words = |of: fn(&Wish) -> &str| wishes.iter().map(of).collect::<Vec<_>>();
    let need = Need {
        institution_id: database.institution_id,
        bytes: number(condition.bytes),
        spare_bytes: number(condition.spare_bytes),
        log_bytes: number(condition.log_bytes),
        dead_rows: number(condition.dead_rows),
        acts: words(|wish| wish.act.as_str()).join(" "),
        why: words(|wish| &wish.why).join("; "),
        looked_at: now(),
    };
    maintenance::note_need(&mut *platform.shared.get()?, &need)?;
    Ok((condition, wishes))
}

/// Asks for an operation. Wake the workers after the commit.
///
/// # Errors
/// `Changed` when the same is under way.
pub fn request(
    connection: &mut SharedConn,
    audit: &Audit,
    task: Task,
    institution_id: Option<Id>,
) -> ModelResult<Id> {
    connection.write_tx(|c| {
        let (subject, total) = match (task, institution_id) {
            (Task::Examine, _) => ("The whole fleet".to_owned(), 0),
            (Task::Tend, None) => (EVERYBODY.to_owned(), maintenance::needing_count(c)?),
            (Task::Tend, Some(id)) => {
                let (institution, database) = tenant_databases::find_with_institution(c, id)?;
                if database.is_none_or(|database| database.status != DatabaseStatus::Ready) {
                    let sentence = format!("{} has no database to look after.", institution.name);
                    return Err(ModelError::Refused(sentence));
                }
                (institution.name, 1)
            }
        };
        if institution_id.is_none() && operations::is_open_without_institution(c, Kind::Maintain)? {
            let sentence = "Databases are being looked after already. Wait until that is done.";
            return Err(ModelError::Changed(sentence.into()));
        }
        let step = match task {
            Task::Tend => "tend",
            Task::Examine => "examine",
        };
        let new = NewOperation {
            kind: Kind::Maintain,
            institution_id,
            subject: &subject,
            input: &json!(task),
            steps: &[step],
            total,
        };
        let id = operations::enqueue(c, &new, &audit.actor)?;
        let about = Subject { kind: "operation", id: Some(id), label: &subject, institution_id };
        audit.record(c, "maintenance.requested", &about, &json!({ "task": task }))?;
        Ok(id)
    })
}

/// What became of an institution's database.
#[derive(Debug, Clone, Serialize)]
pub enum Tended {
    /// This was done.
    Done(Vec<Run>),
    /// Somebody else works on it.
    Skipped(&'static str),
}

/// Looks after one institution's database: what is worth doing, and a count in any case. Blocks.
///
/// # Errors
/// When it cannot be reached. What an act fails with is noted, and the next one is done.
pub fn tend(platform: &Platform, audit: &Audit, institution_id: Id) -> Result<Tended, Failure> {
    let connection = &mut *platform.shared.get()?;
    let (institution, database) = tenant_databases::find_with_institution(connection, institution_id)?;
    let ready = database.filter(|database| database.status == DatabaseStatus::Ready);
    let Some(database) = ready else { return Ok(Tended::Skipped("It has no database.")) };
    if let Some(why) = in_the_way(connection, platform, &database)? {
        return Ok(Tended::Skipped(why));
    }
    let mut wishes = platform.engine.condition(&tenants::place(&database))?.wishes();
    wishes.retain(|wish| wish.act != Act::Analyse);
    wishes.push(Wish { act: Act::Analyse, why: "with every visit".into() });
    let mut runs = Vec::new();
    for wish in wishes {
        let run = act(platform, &database, wish)?;
        crate::crash_point!("upkeep:done");
        maintenance::note_run(connection, &run)?;
        crate::crash_point!("upkeep:acted");
        runs.push(run);
    }
    let acts: Vec<_> = runs.iter().map(|run| run.act).collect();
    let gained: i64 = runs.iter().map(|run| run.bytes_before - run.bytes_after).sum();
    let subject = Subject {
        kind: "institution",
        id: Some(institution_id),
        label: &institution.name,
        institution_id: Some(institution_id),
    };
    connection.write_tx(|c| {
        audit.record(c, "database.maintained", &subject, &json!({ "acts": acts, "bytes_gained": gained }))
    })?;
    crate::crash_point!("upkeep:told");
    // Last, because it takes the database out of the queue: what is not told of is begun again.
    look(platform, &database)?;
    Ok(Tended::Done(runs))
}

/// Who works on the database, or will in a moment.
fn in_the_way(
    connection: &mut SharedConn,
    platform: &Platform,
    database: &TenantDatabase,
) -> Result<Option<&'static str>, Failure> {
    if *database.schema_version != *platform.migrations.version() {
        return Ok(Some("Its schema is another version's."));
    }
    if rollouts::open(connection)?.is_some() {
        return Ok(Some("Databases are being migrated."));
    }
    let busy = operations::is_busy(connection, database.institution_id, Kind::Maintain)?;
    Ok(busy.then_some("Another operation works on it."))
}

fn act(platform: &Platform, database: &TenantDatabase, wish: Wish) -> Result<Run, Failure> {
    let place = tenants::place(database);
    let size = || platform.engine.size(&place).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let (bytes_before, began, at) = (size()?, Instant::now(), now());
    let done = platform.engine.tend(&place, wish.act, &|needed| room_for(platform, needed));
    Ok(Run {
        id: Id::new(),
        institution_id: database.institution_id,
        act: wish.act,
        why: wish.why,
        bytes_before,
        bytes_after: size()?,
        milliseconds: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        error: done.err().map(|error| error.message),
        at,
    })
}

fn room_for(platform: &Platform, needed: u64) -> Result<(), EngineError> {
    let unknown = |error| EngineError::transient(format!("The room on the disk is not known: {error}."));
    let free = disk::room(&platform.settings.data_dir).map_err(unknown)?.free_bytes;
    if free < needed.saturating_add(LEFT_FREE) {
        let sentence = "There is too little room on the disk to write the database anew.";
        return Err(EngineError::permanent(sentence));
    }
    Ok(())
}

/// What looking after many has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Databases that were looked after.
    pub tended: i64,
    /// Where somebody else was at work.
    pub skipped: i64,
    /// What could not be reached, or where an act failed.
    pub failed: i64,
    /// Bytes given back.
    pub bytes_gained: i64,
}

impl Sum {
    /// Adds what became of one.
    pub fn add(&mut self, outcome: &Result<Tended, Failure>) {
        match outcome {
            Ok(Tended::Done(runs)) => {
                self.bytes_gained += runs.iter().map(|run| run.bytes_before - run.bytes_after).sum::<i64>();
                if runs.iter().any(|run| run.error.is_some()) { self.failed += 1 } else { self.tended += 1 }
            }
            Ok(Tended::Skipped(_)) => self.skipped += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// The step of the operation: one institution, or all that need it one after the other. Begun again after a crash, those
/// that were looked after need nothing any more.
pub(super) fn perform(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let (platform, audit) = (work.platform, work.audit());
    let mut sum = Sum::default();
    if let Some(id) = work.operation.institution_id {
        let outcome = tend(platform, &audit, id)?;
        if let Tended::Skipped(why) = outcome {
            return Err(Failure::Permanent(format!("{why} Try again when that is done.")));
        }
        sum.add(&Ok(outcome));
    } else {
        let mut last = Id::NIL;
        while let Some(next) = maintenance::needing_after(&mut *work.shared()?, last, 1)?.pop() {
            work.still_mine()?;
            let outcome = tend(platform, &audit, next);
            if let Err(failure) = &outcome {
                log::warn!("the database of {next} was not looked after: {failure}");
            }
            sum.add(&outcome);
            last = next;
            let done = sum.tended + sum.skipped + sum.failed;
            work.progress(done, work.operation.progress_total.max(done + 1))?;
        }
        let done = sum.tended + sum.skipped + sum.failed;
        work.progress(done, done)?;
    }
    work.set_result(&json!(sum));
    Ok(Some(format!("{} looked after, {} left alone, {} failed", sum.tended, sum.skipped, sum.failed)))
}
