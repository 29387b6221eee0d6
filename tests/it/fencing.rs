//! Two workers awake: one that slept past its lease and the one that took over. The late one acts no more.

use std::time::Duration;

use provost::{
    db::{Engine, Id},
    models::{
        Actor,
        platform::operations::{self, OperationStatus},
    },
    services::{operations::try_again, platform::Platform},
};

use crate::{
    kill_sweep::assert_active_once,
    support::{
        Site, app::eventually, approve, assert_nothing_is_left, child::Sleeper, engine, finished, register,
        slow,
    },
};

fn site() -> Site {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(600);
    site
}

fn lease_is_over(platform: &Platform, operation: Id) -> bool {
    let found = operations::find(&mut platform.shared.get().expect("shared"), operation).expect("read");
    found.lease_expires_at.is_none_or(|end| end < provost::db::now())
}

/// All of them in the slow tests, the first of them otherwise.
fn chosen<'a>(points: &[&'a str]) -> Vec<&'a str> {
    points.iter().take(if slow() { usize::MAX } else { 1 }).copied().collect()
}

/// Where a worker may fall asleep: before an act, between looking and acting, within, and after.
fn points() -> Vec<&'static str> {
    let all = chosen(&[
        "provision:placed:2",
        "operation:claimed:1",
        "step:keys:begun:1",
        "provision:placed:1",
        "step:role:acted:1",
        "step:database:acted:1",
        "provision:placed:3",
        "step:seed:begun:1",
        "step:login:begun:1",
        "step:verify:begun:1",
        "step:activate:begun:1",
        "step:activate:acted:1",
        "operation:steps-done:1",
    ]);
    let has_roles = engine() == Engine::Postgres;
    all.into_iter().filter(|point| has_roles || !(point.contains("role") || point.ends_with(":3"))).collect()
}

#[test]
fn a_worker_that_slept_past_its_lease_leaves_the_work_to_who_took_over() {
    for point in points() {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id);
        let sleeper = Sleeper::at(&site, &operation.to_string(), point);
        eventually("the lease is over", || lease_is_over(&platform, operation));
        // On SQLite one process alone works: there another worker of the woken one takes over.
        let workers = (engine() == Engine::Postgres).then(|| platform.start_workers().expect("workers"));
        if workers.is_some() {
            assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded, "{point}");
        }
        sleeper.wake();
        assert_active_once(&platform, id, point);
        if let Some(workers) = workers {
            workers.stop();
        }
    }
    println!("{}: slept at {} points, 0 violations", engine(), points().len());
}

#[test]
fn a_worker_that_slept_while_it_acted_is_waited_for() {
    if engine() == Engine::Sqlite {
        return;
    }
    // Within the engine, with the lock on the database's name.
    for point in chosen(&["postgres:database-made:1", "postgres:role-made:1", "postgres:database-opened:1"]) {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id);
        let sleeper = Sleeper::at(&site, &operation.to_string(), point);
        let workers = platform.start_workers().expect("workers");
        let ours = std::process::id().to_string();
        eventually("the work is taken over", || {
            let found = operations::find(&mut platform.shared.get().expect("shared"), operation);
            found.expect("read").lease_owner.is_some_and(|owner| owner.starts_with(&format!("{ours}-")))
        });
        sleeper.wake();
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded, "{point}");
        assert_active_once(&platform, id, point);
        workers.stop();
    }
}

#[test]
#[ignore = "slow"]
fn a_worker_that_sleeps_within_a_transaction_is_not_waited_for_long() {
    if engine() == Engine::Sqlite {
        return;
    }
    let site = site();
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    // It holds the lock on the operation's row, until the server ends its transaction.
    let sleeper = Sleeper::at(&site, &operation.to_string(), "operation:recording:2");
    let workers = platform.start_workers().expect("workers");
    assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    sleeper.wake();
    assert_active_once(&platform, id, "asleep within a transaction");
    workers.stop();
}

#[test]
fn a_late_worker_makes_nothing_anew_that_was_taken_back() {
    if engine() == Engine::Sqlite {
        return;
    }
    // The role's and the database's turn: looked, and about to act.
    for point in chosen(&["provision:placed:1", "provision:placed:2"]) {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id);
        let sleeper = Sleeper::at(&site, &operation.to_string(), point);
        site.block("mit_edu");
        let workers = platform.start_workers().expect("workers");
        assert_eq!(finished(&platform, operation).status, OperationStatus::RolledBack, "{point}");
        site.unblock("mit_edu");
        sleeper.wake();
        assert_nothing_is_left(&platform, id);
        workers.stop();
    }
}

#[test]
fn a_late_worker_takes_nothing_back_that_was_made_anew() {
    if engine() == Engine::Sqlite {
        return;
    }
    for point in chosen(&["step:role:undone:1", "step:database:undone:1", "step:keys:undone:1"]) {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        site.block("mit_edu");
        let operation = approve(&platform, id);
        let sleeper = Sleeper::at(&site, &operation.to_string(), point);
        let workers = platform.start_workers().expect("workers");
        assert_eq!(finished(&platform, operation).status, OperationStatus::RolledBack, "{point}");
        site.unblock("mit_edu");
        let audit = platform.audit(Actor::command_line());
        try_again(&mut platform.shared.get().expect("shared"), &audit, operation).expect("queued");
        platform.operations.wake();
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded, "{point}");
        sleeper.wake();
        // Anew: what is kept in memory would still work.
        let anew = site.open();
        let mut shared = anew.shared.get().expect("shared");
        let tenant = anew.tenants.open_in_any_state(&mut shared, id).expect("its key is there");
        tenant.get().expect("its database is there");
        workers.stop();
    }
}
