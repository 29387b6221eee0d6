//! Pools under pressure: within their limits, and one tenant's trouble is its own.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{connection::SimpleConnection as _, prelude::*};
use provost::db::{
    Engine, Id, Target,
    engine::{Place, SqliteEngine, TenantEngine as _},
    pools::{PoolError, PoolLimits, TenantDb, TenantPools},
    tenant::TenantConn,
};

use crate::support::{Folder, Site, approve, engine, finished, names, register, server};

#[derive(Debug)]
enum Trouble {
    Pool(PoolError),
    Database,
}

impl From<PoolError> for Trouble {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<diesel::result::Error> for Trouble {
    fn from(_: diesel::result::Error) -> Self {
        Self::Database
    }
}

const LIMITS: PoolLimits =
    PoolLimits { connections: 3, wait: Duration::from_millis(300), idle: Duration::from_secs(60), crowd: 1 };

fn places(engine: &SqliteEngine, count: usize) -> Vec<Place> {
    (0..count)
        .map(|number| {
            let institution_id = Id::new();
            let name = format!("provost_{number}");
            let location = engine.location(&name, institution_id);
            let place = Place { institution_id, name, location, server_id: Id::NIL };
            engine.create(&place, &|| Ok(())).expect("made");
            place
        })
        .collect()
}

fn open(pools: &TenantPools, engine: &SqliteEngine, place: &Place, generation: i64) -> TenantDb {
    let opener = engine.opener(place, None).expect("opener");
    pools.open(place.institution_id, generation, opener).expect("handle")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

/// How many files under a folder this process has open.
fn open_files(folder: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("fds").filter_map(Result::ok);
    links.filter(|link| std::fs::read_link(link.path()).is_ok_and(|path| path.starts_with(folder))).count()
}

/// A figure from this process's status: kilobytes, or a count.
fn status(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("line");
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("number")
}

fn memory() -> i64 {
    status("VmRSS:")
}

fn threads() -> i64 {
    status("Threads:")
}

fn touch(connection: &mut TenantConn) -> Result<(), Trouble> {
    Ok(connection.batch_execute("UPDATE institution SET version = version")?)
}

#[test]
fn a_thousand_tenants_are_touched_within_the_limit_of_files() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let places = places(&engine, 1_000);
    let pools = TenantPools::new(LIMITS, 20);
    let before = memory();
    runtime().block_on(async {
        for place in &places {
            open(&pools, &engine, place, 1).run(touch).await.expect("touched");
            assert!(pools.statistics().used <= 20);
        }
    });
    assert!(open_files(folder.path()) <= 3 * 20, "{}", open_files(folder.path()));
    eprintln!(
        "1,000 tenants touched, 20 connections kept: {} more kB, {} threads",
        memory() - before,
        threads()
    );
    pools.close();
    assert_eq!(open_files(folder.path()), 0);
}

#[test]
fn a_busy_tenant_is_told_so_in_time_while_another_answers() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let places = places(&engine, 2);
    let pools = TenantPools::new(LIMITS, 10);
    let [busy, calm] = [0, 1].map(|number| open(&pools, &engine, &places[number], 1));
    let held: Vec<_> = (0..3).map(|_| busy.get().expect("connection")).collect();
    runtime().block_on(async {
        let began = Instant::now();
        let (refused, answered) = tokio::join!(busy.run(touch), async {
            calm.run(touch).await.expect("answered");
            began.elapsed()
        });
        assert!(matches!(refused, Err(Trouble::Pool(PoolError::Busy))), "{refused:?}");
        assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
        assert!(answered < Duration::from_millis(250), "{answered:?}");
    });
    drop(held);
    runtime().block_on(busy.run(touch)).expect("free again");
}

#[test]
fn beside_others_those_who_had_to_queue_work_one_after_the_other() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let limits = PoolLimits { wait: Duration::from_secs(30), ..LIMITS };
    let pools = TenantPools::new(limits, 10);
    let places = places(&engine, 2);
    let [db, calm] = [0, 1].map(|number| open(&pools, &engine, &places[number], 1));
    let held: Vec<_> = (0..limits.connections).map(|_| db.get().expect("connection")).collect();
    let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let queued = || {
        let (at_work, most) = (Arc::clone(&at_work), Arc::clone(&most));
        db.run(move |connection| {
            most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let done = (0..50).try_for_each(|_| touch(connection));
            at_work.fetch_sub(1, Ordering::SeqCst);
            done
        })
    };
    runtime().block_on(async {
        // Somebody else is at work, and all have queued by the time the connections come free: each future is begun in
        // this order.
        let free = async { drop(held) };
        let (calm, one, two, three, ()) = tokio::join!(calm.run(touch), queued(), queued(), queued(), free);
        calm.and(one).and(two).and(three).expect("done");
    });
    assert_eq!(most.load(Ordering::SeqCst), LIMITS.crowd);
    // Who need not queue is not kept from working beside others.
    let beside: Vec<_> = (0..limits.connections).map(|_| db.get().expect("connection")).collect();
    assert_eq!(beside.len(), limits.connections);
}

#[test]
fn a_spent_budget_closes_what_is_idle_but_never_what_is_in_use() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let places = places(&engine, 3);
    let pools = TenantPools::new(LIMITS, 2);
    let tenants: Vec<_> = places.iter().map(|place| open(&pools, &engine, place, 1)).collect();
    let (mut first, second) = (tenants[0].get().expect("first"), tenants[1].get().expect("second"));
    assert!(matches!(tenants[2].get(), Err(PoolError::BudgetSpent)));
    drop(second);
    tenants[2].get().expect("the second's idle connection made room");
    touch(&mut first).expect("in use and untouched");
    assert!(pools.statistics().used <= 2);

    // Whoever waits gets what comes back.
    let waiter = tenants[1].clone();
    let held = tenants[2].get().expect("third");
    let waiting = std::thread::spawn(move || waiter.get().map(|_| ()));
    std::thread::sleep(Duration::from_millis(50));
    drop(held);
    waiting.join().expect("joined").expect("served");
}

#[test]
fn a_newer_generation_refuses_older_handles() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let place = places(&engine, 1).remove(0);
    let pools = TenantPools::new(LIMITS, 10);
    let old = open(&pools, &engine, &place, 1);
    let mut held = old.get().expect("connection");
    let new = open(&pools, &engine, &place, 2);
    assert!(matches!(old.get(), Err(PoolError::Stale)));
    assert!(matches!(pools.find(place.institution_id, 1), Err(PoolError::Stale)));
    touch(&mut held).expect("what runs may finish");
    drop(held);
    new.get().expect("connection");
    assert_eq!(pools.statistics().used, 1, "the old connection did not stay");
}

#[test]
fn broken_and_panicked_connections_do_not_come_back() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let place = places(&engine, 1).remove(0);
    let pools = TenantPools::new(LIMITS, 10);
    let tenant = open(&pools, &engine, &place, 1);
    runtime().block_on(async {
        let panicked =
            tenant.run(|_| -> Result<(), Trouble> { panic!("a mistake (expected in this test)") }).await;
        assert!(matches!(panicked, Err(Trouble::Pool(PoolError::Panicked))));
    });
    assert_eq!(pools.statistics().used, 0);
    runtime().block_on(tenant.run(touch)).expect("a new one");
}

#[test]
fn another_institutions_file_is_not_opened() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let mut places = places(&engine, 2);
    places[0].location = places[1].location.clone();
    let opener = engine.opener(&places[0], None).expect("opener");
    let refused = opener().err().expect("refused").to_string();
    assert!(refused.contains("not this institution's"), "{refused}");
}

#[test]
fn an_unreachable_server_is_a_quick_answer() {
    let target = provost::db::Target::parse("postgres://nobody@127.0.0.1:9/none").expect("target");
    let pool = provost::db::pools::SharedPool::new(target, LIMITS);
    let began = Instant::now();
    let failed = runtime().block_on(pool.run(|_| Ok::<_, PoolError>(())));
    assert!(matches!(failed, Err(PoolError::Unreachable(_))), "{failed:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_tenant_whose_database_is_dead_delays_nobody_else() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let places = places(&engine, 20);
    let pools = TenantPools::new(LIMITS, 40);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let dead = pools.open(Id::new(), 1, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(1));
        TenantConn::open(&Target::parse("postgres://nobody@127.0.0.1:9/none").expect("target"))
    });
    let dead = dead.expect("handle");
    runtime().block_on(async {
        let began = Instant::now();
        let callers = (0..6).map(|_| dead.run(touch));
        let living = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            for place in &places {
                let began = Instant::now();
                open(&pools, &engine, place, 1).run(touch).await.expect("touched");
                assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
            }
        };
        let (refused, ()) = tokio::join!(futures_util::future::join_all(callers), living);
        for refusal in refused {
            let refusal = refusal.expect_err("refused");
            let expected = matches!(&refusal, Trouble::Pool(PoolError::Unreachable(reason))
                if reason.contains("cannot open"))
                || matches!(refusal, Trouble::Pool(PoolError::Busy));
            assert!(expected, "{refusal:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    });
    assert_eq!(pools.statistics().used, 20, "the dead tenant holds nothing of the budget");
    // Nothing tries again by itself.
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

#[test]
#[ignore = "r2d2 looks twice a minute"]
fn what_is_idle_for_long_is_closed() {
    let folder = Folder::new();
    let engine = SqliteEngine::new(folder.path());
    let place = places(&engine, 1).remove(0);
    let pools = TenantPools::new(PoolLimits { idle: Duration::from_secs(1), ..LIMITS }, 10);
    open(&pools, &engine, &place, 1).get().expect("connection");
    assert_eq!(pools.statistics().used, 1);
    let began = Instant::now();
    while pools.statistics().used > 0 {
        assert!(began.elapsed() < Duration::from_secs(90));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(open_files(folder.path()), 0);
}

#[test]
fn postgres_never_sees_more_connections_than_the_budget() {
    if engine() != Engine::Postgres {
        return;
    }
    let mut site = Site::new();
    site.settings.limits.connection_budget = Some(4);
    // On a machine that has other things to do everybody takes their turn later, and is served all the same.
    site.settings.limits.gate_wait = Duration::from_secs(60);
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ids: Vec<Id> = (0..6).map(|number| register(&platform, &format!("u{number}.edu"))).collect();
    let operations: Vec<Id> = ids.iter().map(|id| approve(&platform, *id)).collect();
    for operation in operations {
        finished(&platform, operation);
    }
    workers.stop();
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watcher = {
        let (most, stop, prefix) =
            (Arc::clone(&most), Arc::clone(&stop), site.settings.database_prefix.clone());
        std::thread::spawn(move || {
            let mut server = server();
            let query = format!(
                "SELECT datname::text AS name FROM pg_stat_activity WHERE starts_with(datname, '{prefix}')"
            );
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                most.fetch_max(names(&mut server, &query).len(), std::sync::atomic::Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    runtime().block_on(async {
        let tasks = (0..60).map(|number| {
            let (platform, id) = (Arc::clone(&platform), ids[number % ids.len()]);
            async move {
                let tenant = platform.tenant(id).await.expect("handle");
                tenant
                    .run(|connection| {
                        diesel::sql_query("SELECT pg_sleep(0.02)").execute(connection)?;
                        Ok::<_, Trouble>(())
                    })
                    .await
                    .expect("worked")
            }
        });
        futures_util::future::join_all(tasks).await;
    });
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    watcher.join().expect("watched");
    let most = most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most}");
}
