//! One database on its way to another schema: the work itself, and the note of what became of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use serde_json::json;

use crate::{
    db::{
        Id,
        shared::SharedConn,
        tenant_migrations::{Course, MigrateFailure},
    },
    models::{
        Actor, ModelResult,
        platform::{
            audit::{Audit, Subject},
            backups::Reason,
            rollouts::{self, Direction, Job, TenantStatus},
            schema_ledger::{self, LedgerStatus, Note},
            tenant_databases,
        },
    },
    services::{backups, operations::Failure, platform::Platform, tenants},
};

/// Attempts at a database that somebody else holds.
const MOST_ATTEMPTS: i32 = 3;

/// What became of one database.
pub(super) struct Report {
    pub(super) job: Job,
    pub(super) direction: Direction,
    course: Course,
    attempts: i32,
    milliseconds: i64,
}

/// Who asks, whether they may still act, and whether to stop trying.
pub(super) struct Asker<'a> {
    pub(super) platform: &'a Platform,
    /// Asked with the database locked, right before each change.
    pub(super) may: &'a (dyn Fn() -> Result<(), Failure> + Sync),
    pub(super) halt: &'a AtomicBool,
}

/// Brings one database to where its job says, or finds it there; a few attempts where somebody else holds it. `None`
/// when the asker may no longer act: then there is nothing to note.
pub(super) fn bring(asker: &Asker<'_>, job: Job, direction: Direction) -> Option<Report> {
    let began = Instant::now();
    let (mut attempts, mut ran) = (0, Vec::new());
    let saved = saved(asker.platform, &job, direction);
    let course = loop {
        if let Err(failure) = saved {
            break Course { failure: Some(told(failure)), ..Course::default() };
        }
        attempts += 1;
        let mut course = attempt(asker, &job, direction);
        ran.append(&mut course.ran);
        match &course.failure {
            Some(failure) if failure.forbidden => return None,
            Some(failure)
                if failure.passing && attempts < MOST_ATTEMPTS && !asker.halt.load(Ordering::SeqCst) =>
            {
                thread::sleep(asker.platform.settings.limits.retry_wait * (1 << attempts));
            }
            _ => break course,
        }
    };
    let milliseconds = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    Some(Report { job, direction, course: Course { ran, ..course }, attempts, milliseconds })
}

/// A backup, where something is to be taken away.
fn saved(platform: &Platform, job: &Job, direction: Direction) -> Result<(), Failure> {
    let destructive =
        || platform.migrations.after(&job.database.schema_version).any(|migration| migration.destructive);
    if direction == Direction::Down || destructive() {
        let audit = platform.audit(Actor::system());
        backups::take(platform, &audit, Some(job.database.institution_id), Reason::BeforeMigration)?;
    }
    Ok(())
}

fn attempt(asker: &Asker<'_>, job: &Job, direction: Direction) -> Course {
    let platform = asker.platform;
    let opened = prepared(asker, job, direction).and_then(|()| {
        let mut connection = platform.engine.open_as_owner(&tenants::place(&job.database))?;
        connection.wait_for_others(platform.settings.limits.migration_lock_wait)?;
        Ok(connection)
    });
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(failure) => return Course { failure: Some(told(failure)), ..Course::default() },
    };
    let may = || (asker.may)().map_err(|failure| failure.to_string());
    match direction {
        Direction::Up => platform.migrations.migrate(&mut connection, &may),
        Direction::Down => platform.migrations.revert_to(&mut connection, &job.to_version, &may),
    }
}

/// What comes before the database is touched. On its way back the registry goes first: nobody may enter a database
/// whose schema is being taken away.
fn prepared(asker: &Asker<'_>, job: &Job, direction: Direction) -> Result<(), Failure> {
    let (platform, id) = (asker.platform, job.database.institution_id);
    if job.database.write_block.is_some() {
        return Err(Failure::Transient("The database is being moved to another server.".into()));
    }
    if direction == Direction::Down {
        (asker.may)()?;
        let reason = held_back(&job.to_version);
        platform.shared.get()?.write_tx(|connection| {
            tenant_databases::set_schema_version(connection, id, &job.to_version, Some(&reason))
        })?;
        platform.tenants.retire(id);
    }
    Ok(())
}

fn held_back(version: &str) -> String {
    format!("Taken back to {version}.")
}

fn told(failure: Failure) -> MigrateFailure {
    MigrateFailure {
        migration: None,
        passing: matches!(failure, Failure::Transient(_)),
        forbidden: matches!(failure, Failure::LeaseLost),
        message: failure.to_string(),
    }
}

impl Report {
    /// Why it is not where it should be.
    pub(super) fn error(&self) -> Option<String> {
        let failure = self.course.failure.as_ref()?;
        Some(match &failure.migration {
            Some(migration) => format!("{migration}: {}", failure.message),
            None => failure.message.clone(),
        })
    }

    /// Whether only somebody else was in the way.
    pub(super) fn is_passing(&self) -> bool {
        self.course.failure.as_ref().is_some_and(|failure| failure.passing)
    }

    /// Writes it down: where the database is now, what ran, and its line in the rollout. What failed is in quarantine.
    /// [`Self::record`] follows in the same transaction.
    ///
    /// # Errors
    /// Any database error.
    pub(super) fn note(
        &self,
        connection: &mut SharedConn,
        platform: &Platform,
        rollout_id: Option<Id>,
    ) -> ModelResult<()> {
        let (id, error) = (self.job.database.institution_id, self.error());
        let quarantine = match (&error, self.direction) {
            (Some(error), _) => Some(error.clone()),
            (None, Direction::Down) => Some(held_back(&self.job.to_version)),
            (None, Direction::Up) => None,
        };
        tenant_databases::set_schema_version(connection, id, self.is_now(), quarantine.as_deref())?;
        self.note_migrations(connection, platform, rollout_id)?;
        if let Some(rollout) = rollout_id {
            let status = if error.is_some() { TenantStatus::Failed } else { TenantStatus::Done };
            let figures = (status, self.attempts, self.milliseconds);
            rollouts::settle(connection, rollout, id, figures, error.as_deref())?;
        }
        Ok(())
    }

    /// Its entry in the audit log. Of several reports all are noted before the first is recorded: whoever appends to
    /// the log holds it to the end, and must not wait for a row then that another holds who waits for the log.
    ///
    /// # Errors
    /// Any database error.
    pub(super) fn record(&self, connection: &mut SharedConn, audit: &Audit) -> ModelResult<()> {
        let (id, error) = (self.job.database.institution_id, self.error());
        let action = match (&error, self.direction) {
            (Some(_), _) => "database.migration_failed",
            (None, Direction::Up) => "database.migrated",
            (None, Direction::Down) => "database.rolled_back",
        };
        let ran: Vec<&str> = self.course.ran.iter().map(|ran| &*ran.name).collect();
        let detail = json!({ "from": self.job.database.schema_version, "to": self.is_now(), "migrations": ran, "error": error });
        let subject =
            Subject { kind: "institution", id: Some(id), label: &self.job.domain, institution_id: Some(id) };
        audit.record(connection, action, &subject, &detail)
    }

    /// The schema version that the database has now.
    fn is_now(&self) -> &str {
        self.course.version.as_deref().unwrap_or(&self.job.database.schema_version)
    }

    fn note_migrations(
        &self,
        connection: &mut SharedConn,
        platform: &Platform,
        rollout_id: Option<Id>,
    ) -> ModelResult<()> {
        let done = match self.direction {
            Direction::Up => LedgerStatus::Applied,
            Direction::Down => LedgerStatus::Reverted,
        };
        let checksum = |name: &str| {
            let known = platform.migrations.all().iter().find(|known| known.name == name);
            known.map(|known| known.checksum.as_str()).unwrap_or_default()
        };
        let note = |migration, status, milliseconds, error| Note {
            institution_id: self.job.database.institution_id,
            migration,
            checksum: checksum(migration),
            status,
            rollout_id,
            milliseconds,
            error,
        };
        for ran in &self.course.ran {
            schema_ledger::note(connection, &note(&ran.name, done, ran.milliseconds, None))?;
        }
        if let Some(MigrateFailure { migration: Some(name), message, .. }) = &self.course.failure {
            let failed = note(name, LedgerStatus::Failed, self.milliseconds, Some(message));
            schema_ledger::note(connection, &failed)?;
        }
        Ok(())
    }
}
