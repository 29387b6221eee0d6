//! What is done again and again, by one node at a time. A job is short; what takes long, or must survive a crash,
//! is an operation that the job enqueues.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;

use super::{
    backups::{copies, retention},
    housekeeping,
    leaving::deletion,
    log_archives,
    monitoring::{alerts, sizes},
    operations::Failure,
    platform::Platform,
    reconcile, servers, subscriptions, upkeep,
};
use crate::{
    db::now,
    models::{ModelResult, platform::scheduled_jobs},
};

/// A recurring job.
struct Job {
    /// Its row in the shared database.
    name: &'static str,
    every: Duration,
    /// Does it once; the words of an error are for the log and the operator.
    run: fn(&Arc<Platform>) -> Result<(), String>,
}

/// The table of jobs: a new one is a line here.
const JOBS: &[Job] = &[
    Job { name: "housekeeping", every: Duration::from_secs(600), run: housekeeping::run },
    Job { name: "sizes", every: Duration::from_secs(60), run: sizes::run },
    Job { name: "alerts", every: Duration::from_secs(60), run: alerts::run },
    Job { name: "subscriptions", every: Duration::from_secs(1_800), run: subscriptions::run },
    Job { name: "backups", every: Duration::from_secs(60), run: |p| told(retention::request_due(p)) },
    Job {
        name: "backup trials",
        every: Duration::from_secs(300),
        run: |p| told(retention::request_trials(p)),
    },
    Job { name: "backups' order", every: Duration::from_secs(3_600), run: |p| told(retention::tidy(p)) },
    Job { name: "deletions", every: Duration::from_secs(600), run: deletion::run },
    Job { name: "reconciliation", every: Duration::from_secs(86_400), run: reconcile::run },
    Job { name: "upkeep", every: Duration::from_secs(600), run: upkeep::run },
    Job { name: "weekly upkeep", every: Duration::from_secs(7 * 86_400), run: upkeep::request_due },
    Job { name: "log archives", every: Duration::from_secs(86_400), run: log_archives::run },
    Job { name: "servers", every: Duration::from_secs(60), run: |p| servers::check_all(p) },
    Job { name: "copies", every: Duration::from_secs(600), run: |p| told(copies::drop_due(p)) },
];

/// The words of a failure are all that the schedule keeps.
fn told<T>(outcome: Result<T, Failure>) -> Result<(), String> {
    outcome.map(|_| ()).map_err(|failure| failure.to_string())
}

impl Job {
    fn every(&self) -> TimeDelta {
        TimeDelta::from_std(self.every).unwrap_or(TimeDelta::MAX)
    }
}

/// Runs the jobs that are due and that no other node has taken. Begins none once `keep_going` says no. Blocks.
pub(super) fn run_due(platform: &Arc<Platform>, keep_going: impl Fn() -> bool) {
    let due = match due(platform) {
        Ok(due) => due,
        Err(error) => return log::warn!("the schedule could not be read: {error}"),
    };
    for job in due.into_iter().filter(|_| keep_going()) {
        match platform
            .shared
            .get()
            .map_err(Into::into)
            .and_then(|mut c| scheduled_jobs::take(&mut c, job.name, job.every()))
        {
            Ok(true) => carry_out(platform, job),
            Ok(false) => {}
            Err(error) => log::warn!("the job {} could not be taken: {error}", job.name),
        }
    }
}

fn due(platform: &Platform) -> ModelResult<Vec<&'static Job>> {
    let mut connection = platform.shared.get()?;
    let known = scheduled_jobs::all(&mut connection)?;
    for job in JOBS.iter().filter(|job| known.iter().all(|(name, _)| name != job.name)) {
        scheduled_jobs::enter(&mut connection, job.name, job.every())?;
    }
    let due = known.iter().filter(|(_, at)| *at <= now());
    Ok(due.filter_map(|(name, _)| JOBS.iter().find(|job| job.name == name)).collect())
}

fn carry_out(platform: &Arc<Platform>, job: &Job) {
    let outcome = (job.run)(platform);
    if let Err(error) = &outcome {
        log::warn!("the job {} failed cause={error:?}", job.name);
    }
    let noted = platform.shared.get().map_err(Into::into).and_then(|mut c| {
        scheduled_jobs::ended(&mut c, job.name, outcome.as_ref().err().map(String::as_str))
    });
    if let Err(error) = noted {
        log::warn!("the end of the job {} was not noted: {error}", job.name);
    }
}
