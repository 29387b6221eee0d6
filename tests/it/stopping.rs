//! A clean stop in the middle of work: nothing is waited for, nothing is lost, and the next start goes on.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use provost::{
    db::{Engine, Id},
    models::{
        Actor,
        platform::{
            operations::{self, Operation, OperationStatus, StepStatus},
            registrations::Decision,
        },
    },
    services::{
        bulk_decisions::{self, BulkDecision, BulkOutcome},
        operations::Workers,
        outbox,
        platform::Platform,
    },
};

use crate::support::{Site, app::eventually, approve, finished, register, status};

/// Units of a bulk act that takes longer than a stop may.
const MANY: usize = 400;

fn look(platform: &Platform, operation: Id) -> Operation {
    operations::find(&mut platform.shared.get().expect("shared"), operation).expect("read")
}

/// Stops the workers and asserts that somebody else may go on at once.
#[track_caller]
fn stop(platform: &Platform, workers: Workers, operation: Id) {
    let begin = Instant::now();
    workers.stop();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let left = look(platform, operation);
    assert_eq!((left.status, left.lease_owner), (OperationStatus::Queued, None));
    let connection = &mut *platform.shared.get().expect("shared");
    let steps = operations::steps(connection, operation).expect("steps");
    let next = steps.iter().find(|step| step.status != StepStatus::Done).expect("something is left");
    assert_eq!((next.status, next.attempts), (StepStatus::Pending, 0), "{next:?}");
}

#[test]
fn a_bulk_act_stops_between_two_units_and_is_taken_up_again() {
    let site = Site::new();
    let platform = site.open();
    let audit = platform.audit(Actor::command_line());
    let ids: Vec<Id> = (0..MANY)
        .map(|number| {
            let institution = register(&platform, &format!("u{number}.example"));
            let connection = &mut *platform.shared.get().expect("shared");
            provost::models::platform::registrations::latest_of(connection, institution).expect("there").id
        })
        .collect();
    let bulk = BulkDecision { decision: Decision::Rejected, reason: "Closed.".into(), ids };
    let operation = bulk_decisions::start(&mut platform.shared.get().expect("shared"), &audit, &bulk);
    let operation = operation.expect("started");
    let workers = platform.start_workers().expect("workers");
    eventually("some are decided", || look(&platform, operation).progress_done > 0);
    stop(&platform, workers, operation);
    let workers = platform.start_workers().expect("workers");
    let ended = finished(&platform, operation);
    let outcome: BulkOutcome = serde_json::from_str(&ended.result.expect("a result")).expect("readable");
    assert_eq!(outcome, BulkOutcome { decided: i64::try_from(MANY).expect("few"), decided_before: 0 });
    workers.stop();
}

#[test]
fn a_set_up_stops_between_two_steps_and_is_taken_up_again() {
    let site = Site::new();
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    let workers = platform.start_workers().expect("workers");
    eventually("it is begun", || look(&platform, operation).started_at.is_some());
    stop(&platform, workers, operation);
    assert_eq!(status(&platform, id), "provisioning");
    let workers = platform.start_workers().expect("workers");
    assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    workers.stop();
}

#[test]
fn a_worker_for_one_operation_leaves_the_others_and_the_mail_alone() {
    let site = Site::new();
    let platform = site.open();
    let (first, second) = (register(&platform, "a.edu"), register(&platform, "b.edu"));
    let (other, ours) = (approve(&platform, first), approve(&platform, second));
    let worker = platform.start_worker_for(ours).expect("started").expect("nobody else works");
    assert_eq!(finished(&platform, ours).status, OperationStatus::Succeeded);
    if platform.engine.kind() == Engine::Sqlite {
        assert!(site.open().start_worker_for(other).expect("asked").is_none(), "one process alone");
    }
    worker.stop();
    let left = look(&platform, other);
    assert_eq!((left.status, left.started_at), (OperationStatus::Queued, None));
    assert!(!site.settings.data_dir.join("outbox").exists(), "no mail was sent");
    assert_eq!(platform.outbox.send_due().expect("sent"), 1);
}

#[test]
fn no_further_mail_is_begun_once_it_is_time_to_stop() {
    let site = Site::new();
    let platform = site.open();
    for number in 0..3 {
        let email = provost::models::text::Email::parse(&format!("a{number}@b.example")).expect("an address");
        let to = provost::services::mail_texts::Recipient { email: &email, name: "Ada" };
        let mail = platform.mail_texts.institution_ready(to, "Here", &platform.link("/sign-in"));
        outbox::enqueue(&mut platform.shared.get().expect("shared"), &platform.keys, None, &mail)
            .expect("kept");
    }
    let asked = Cell::new(0);
    let once = || asked.replace(asked.get() + 1) == 0;
    assert_eq!(platform.outbox.send_due_while(once).expect("sent"), 1);
    assert_eq!(platform.outbox.send_due().expect("sent"), 2);
}
