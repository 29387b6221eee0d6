//! One worker: it takes what is due, does its steps, tries again, and takes back what cannot be finished.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use super::{
    Failure, Handler, Work, handler,
    lease::Held,
    workers::{LOOK_EVERY, pause},
};
use crate::{
    db::Id,
    models::{
        ModelResult,
        platform::{
            notifications::{self, Topic},
            operations::{self, Ending, OperationStatus, OperationStep, StepChange, StepStatus},
        },
    },
    services::platform::Platform,
};

/// Attempts before a failing operation is taken back: half a minute, in which a server may be restarted.
const MOST_ATTEMPTS: i32 = 6;
/// A step begun so often has killed its workers: it is given up.
const MOST_STARTS: i32 = 8;
/// How often an operation that somebody holds back is looked at, in case nobody says that it may go on.
const LOOK_AT_HELD_EVERY: TimeDelta = TimeDelta::seconds(10);

/// One worker.
pub(super) struct Runner {
    platform: Arc<Platform>,
    stopping: Arc<AtomicBool>,
    held: Held,
    name: String,
    /// Works on this operation alone.
    only: Option<Id>,
    /// When the next attempt at what this worker has put off is due.
    due: Cell<Option<Instant>>,
}

impl Runner {
    /// A worker for whatever is due, or for `only` this operation.
    pub(super) fn new(
        platform: &Arc<Platform>,
        stopping: &Arc<AtomicBool>,
        held: &Held,
        number: usize,
        only: Option<Id>,
    ) -> Self {
        Self {
            platform: Arc::clone(platform),
            stopping: Arc::clone(stopping),
            held: held.clone(),
            name: format!("{}-{number}-{}", std::process::id(), Id::new()),
            only,
            due: Cell::new(None),
        }
    }

    /// Works until it is time to stop.
    pub(super) fn run(&self) {
        let mut seen = 0;
        while !self.stopping.load(Ordering::SeqCst) {
            match self.work_once() {
                Ok(true) => {}
                Ok(false) => seen = self.platform.operations.sleep(seen, self.until_next_look()),
                Err(error) => {
                    log::warn!("an operation could not be worked on: {error}");
                    pause(&self.stopping, LOOK_EVERY);
                }
            }
        }
    }

    fn until_next_look(&self) -> Duration {
        let due = self.due.get().filter(|due| *due > Instant::now());
        self.due.set(due);
        due.map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()).min(LOOK_EVERY))
    }

    /// Works on one operation; false when none is due.
    fn work_once(&self) -> ModelResult<bool> {
        let lease = self.platform.settings.limits.lease;
        let claimed = {
            let connection = &mut *self.platform.shared.get()?;
            match self.only {
                Some(id) => operations::claim(connection, id, &self.name, lease)?,
                None => operations::claim_next(connection, &self.name, lease)?,
            }
        };
        let Some((claim, operation)) = claimed else { return Ok(false) };
        crate::crash_point!("operation:claimed");
        let _holding = self.held.hold(&claim);
        let work = Work {
            platform: &self.platform,
            operation: &operation,
            claim: &claim,
            stopping: &self.stopping,
            due: &self.due,
            progress_at: Cell::new(None),
            result: Cell::new(None),
        };
        let outcome = match handler(operation.kind) {
            Some(handler) if operation.status == OperationStatus::RollingBack => {
                work.roll_back(handler, operation.error.as_deref().unwrap_or("Rolled back on request."))
            }
            Some(handler) => work.go_forward(handler),
            None => work.end(None, OperationStatus::Failed, "This version of Provost cannot do this."),
        };
        match outcome {
            Err(Failure::LeaseLost) => {
                log::warn!("operation {} was taken over by another worker", operation.id)
            }
            Err(error) => {
                log::warn!("operation {} stopped and will be taken up again: {error}", operation.id)
            }
            Ok(()) => {}
        }
        Ok(true)
    }
}

/// How the runner carries an operation through.
impl Work<'_> {
    fn record(&self, changes: &[(Id, StepChange<'_>)]) -> Result<(), Failure> {
        let lease = self.platform.settings.limits.lease;
        self.keep(operations::record_steps(&mut *self.shared()?, self.claim, lease, changes)?)
    }

    fn go_forward(&self, handler: &dyn Handler) -> Result<(), Failure> {
        let steps = operations::steps(&mut *self.shared()?, self.operation.id)?;
        let open: Vec<&OperationStep> = steps.iter().filter(|step| step.status != StepStatus::Done).collect();
        if let Some(first) = open.first() {
            self.record(&[(first.id, StepChange::Begun)])?;
        }
        for (index, step) in open.iter().enumerate() {
            crate::crash_point!(format!("step:{}:begun", step.name));
            let done = match self.perform(handler, step) {
                Ok(detail) => detail,
                Err(Failure::LeaseLost) => return Err(Failure::LeaseLost),
                Err(Failure::Stopping) => {
                    return self.give_back(&[(step.id, StepChange::PutOff)], TimeDelta::zero());
                }
                Err(Failure::Held) => {
                    return self.give_back(&[(step.id, StepChange::PutOff)], LOOK_AT_HELD_EVERY);
                }
                Err(failure) => return self.failed(handler, step, &failure),
            };
            crate::crash_point!(format!("step:{}:acted", step.name));
            let mut changes = vec![(step.id, StepChange::Done(done.as_deref()))];
            if let Some(next) = open.get(index + 1) {
                if self.is_stopping() {
                    return self.give_back(&changes, TimeDelta::zero());
                }
                // The end of a step and the beginning of the next are one write to the disk.
                changes.push((next.id, StepChange::Begun));
            }
            self.record(&changes)?;
            crate::crash_point!(format!("step:{}:recorded", step.name));
        }
        crate::crash_point!("operation:steps-done");
        let result = self.result.take();
        let ending = Ending { status: OperationStatus::Succeeded, result: result.as_deref(), error: None };
        self.keep(operations::finish(&mut *self.shared()?, self.claim, ending)?)
    }

    /// Another worker, or this one after a restart, goes on after `wait`.
    fn give_back(&self, changes: &[(Id, StepChange<'_>)], wait: TimeDelta) -> Result<(), Failure> {
        let lease = self.platform.settings.limits.lease;
        self.shared()?.write_tx(|connection| {
            self.keep(operations::record_steps(connection, self.claim, lease, changes)?)?;
            self.keep(operations::give_back(connection, self.claim, wait)?)
        })
    }

    fn perform(&self, handler: &dyn Handler, step: &OperationStep) -> Result<Option<String>, Failure> {
        if step.attempts >= MOST_STARTS {
            return Err(Failure::Permanent("The step was begun again and again and never ended.".into()));
        }
        let result = catch_unwind(AssertUnwindSafe(|| handler.perform(&step.name, self)));
        result.unwrap_or_else(|_| {
            Err(Failure::Permanent("The step stopped at a mistake in Provost itself.".into()))
        })
    }

    fn failed(&self, handler: &dyn Handler, step: &OperationStep, failure: &Failure) -> Result<(), Failure> {
        let words = failure.to_string();
        log::warn!("operation {}, step {}: {words}", self.operation.id, step.name);
        self.record(&[(step.id, StepChange::Failed(&words))])?;
        let attempts = self.operation.attempts + 1;
        if matches!(failure, Failure::Transient(_)) && attempts < MOST_ATTEMPTS {
            return self.postpone(OperationStatus::Queued, attempts, &words);
        }
        if handler.can_be_undone() {
            return self.roll_back(handler, &words);
        }
        self.end(Some(handler), OperationStatus::Failed, &words)
    }

    fn postpone(&self, status: OperationStatus, attempts: i32, words: &str) -> Result<(), Failure> {
        let base =
            TimeDelta::from_std(self.platform.settings.limits.retry_wait).unwrap_or(TimeDelta::seconds(1));
        let wait = base * (1 << (attempts - 1).clamp(0, 6));
        let mut connection = self.shared()?;
        self.keep(operations::postpone(&mut connection, self.claim, status, attempts, wait, words)?)?;
        // After what was recorded, so that it is due when it is looked for.
        self.due.set(wait.to_std().ok().map(|wait| Instant::now() + wait));
        Ok(())
    }

    /// Takes every step back, the last one first. `words` say why.
    fn roll_back(&self, handler: &dyn Handler, words: &str) -> Result<(), Failure> {
        let steps = operations::steps(&mut *self.shared()?, self.operation.id)?;
        // Asked under the claim: what another worker was about to commit is committed, or never will be.
        if self.write_tx(|connection| Ok(handler.is_in_use(connection, self.operation)?))? {
            return self.ended_after_all(&steps);
        }
        for step in steps.iter().rev().filter(|step| step.status != StepStatus::Undone) {
            if step.status == StepStatus::Pending && step.attempts == 0 {
                continue;
            }
            if self.is_stopping() {
                let (status, now) = (OperationStatus::RollingBack, TimeDelta::zero());
                let connection = &mut *self.shared()?;
                let attempts = self.attempts_to_undo();
                let put_off = operations::postpone(connection, self.claim, status, attempts, now, words)?;
                return self.keep(put_off);
            }
            let undone =
                catch_unwind(AssertUnwindSafe(|| handler.undo(&step.name, self))).unwrap_or_else(|_| {
                    Err(Failure::Permanent("Undoing stopped at a mistake in Provost itself.".into()))
                });
            match undone {
                Ok(()) => self.record(&[(step.id, StepChange::Undone)])?,
                Err(Failure::LeaseLost) => return Err(Failure::LeaseLost),
                Err(failure) => return self.undo_failed(handler, step, &failure, words),
            }
            crate::crash_point!(format!("step:{}:undone", step.name));
        }
        self.end(Some(handler), OperationStatus::RolledBack, words)
    }

    /// All of it was done; only the note of that was missing.
    fn ended_after_all(&self, steps: &[OperationStep]) -> Result<(), Failure> {
        log::warn!("operation {}: what it made is in use, so nothing is taken back", self.operation.id);
        let open = steps.iter().filter(|step| step.status != StepStatus::Done);
        let done: Vec<_> = open.map(|step| (step.id, StepChange::Done(step.detail.as_deref()))).collect();
        self.record(&done)?;
        let ending = Ending { status: OperationStatus::Succeeded, result: None, error: None };
        self.keep(operations::finish(&mut *self.shared()?, self.claim, ending)?)
    }

    fn attempts_to_undo(&self) -> i32 {
        if self.operation.status == OperationStatus::RollingBack { self.operation.attempts } else { 0 }
    }

    fn undo_failed(
        &self,
        handler: &dyn Handler,
        step: &OperationStep,
        failure: &Failure,
        words: &str,
    ) -> Result<(), Failure> {
        log::warn!("operation {}, undoing {}: {failure}", self.operation.id, step.name);
        // Whatever is left of it, trying again begins with this step.
        self.record(&[(step.id, StepChange::Failed(&failure.to_string()))])?;
        let both = format!("{words} Taking back what was done failed too: {failure}");
        let attempts = self.attempts_to_undo() + 1;
        if attempts < MOST_ATTEMPTS {
            return self.postpone(OperationStatus::RollingBack, attempts, words);
        }
        self.end(Some(handler), OperationStatus::Failed, &both)
    }

    fn end(
        &self,
        handler: Option<&dyn Handler>,
        status: OperationStatus,
        words: &str,
    ) -> Result<(), Failure> {
        let result = self.result.take();
        let ending = Ending { status, result: result.as_deref(), error: Some(words) };
        self.shared()?.write_tx(|connection| {
            self.keep(operations::finish(connection, self.claim, ending)?)?;
            if let Some(handler) = handler {
                handler.gave_up(connection, self, words)?;
            }
            let text = format!("{}: an operation failed. {words}", self.operation.subject);
            let href = format!("/platform/operations/{}", self.operation.id);
            notifications::tell_admins(connection, Topic::Operation, &text, &href)?;
            Ok(())
        })
    }
}
