//! Migrations over the fleet, beside a bare loop of the same SQL at the same concurrency.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use provost::{
    db::Engine,
    models::{Actor, platform::operations::OperationStatus},
    services::{
        operations,
        platform::Platform,
        rollouts::{self, Order},
    },
};

use crate::{
    place::{self, Bench, Place},
    report::{self, Limit, median},
};

const NAME: &str = "2099-01-01-000001_nicknames";
/// As diesel's table has it.
const VERSION: &str = "20990101000001";
const UP: &str = "ALTER TABLE students ADD COLUMN nickname TEXT;
CREATE TABLE nicknames (id INTEGER NOT NULL PRIMARY KEY, nickname TEXT NOT NULL);
CREATE INDEX nicknames_nickname ON nicknames (nickname);";
const DOWN: &str = "DROP TABLE nicknames; ALTER TABLE students DROP COLUMN nickname;";
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(600);

pub fn run(bench: &Bench) {
    let (count, least) = if bench.engine == Engine::Sqlite { (2_000, 80.0) } else { (200, 60.0) };
    let mut place = bench.place();
    place.fill(|platform| place::fleet(platform, count));
    nothing_to_do(bench.engine, &place, count);

    let before = place.fill(|platform| platform.migrations.version().to_owned());
    place.settings.later_migrations = Some(write(&place));
    let databases: Vec<String> = (0..count).map(|n| place.database(&place::domain(n))).collect();
    let (mut own, mut bare, mut threads) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        threads = place.fill(|platform| {
            own.push(rolled_out(platform));
            platform.settings.limits.migrations_at_once
        });
        each(bench.engine, &databases, threads, &back());
        let there = format!("UPDATE tenant_databases SET schema_version = '{before}'");
        place.shared().batch_execute(&there).expect("taken back");
        let begin = Instant::now();
        each(bench.engine, &databases, threads, &there_and_noted());
        bare.push(begin.elapsed().as_secs_f64());
        each(bench.engine, &databases, threads, &back());
    }
    let (own, bare) = (median(own), median(bare));
    report::figure(
        bench.engine,
        "migration of the fleet, share of a bare loop's speed",
        100.0 * bare / own,
        " %",
        Limit::AtLeast(least),
        &format!("{own:.2} against {bare:.2} s, {count} institutions, {threads} at once, median of {ROUNDS}"),
    );
}

/// The command of a stranger, from its start to its end.
fn nothing_to_do(engine: Engine, place: &Place, count: usize) {
    let times = (0..5).map(|_| {
        let begin = Instant::now();
        assert!(place.command(&["migrate", "tenants"]).status().expect("it runs").success());
        begin.elapsed().as_secs_f64() * 1_000.0
    });
    let what = format!("migrate tenants with nothing to do over {count}");
    report::figure(
        engine,
        &what,
        median(times),
        " ms",
        Limit::Under(100.0),
        "the whole command, median of 5",
    );
}

/// Migrations beyond those of the binary.
pub fn write(place: &Place) -> PathBuf {
    let folder = place.settings.data_dir.join("later");
    for engine in ["sqlite", "postgres"] {
        let migration = folder.join(engine).join(NAME);
        std::fs::create_dir_all(&migration).expect("a folder");
        std::fs::write(migration.join("up.sql"), UP).expect("written");
        std::fs::write(migration.join("down.sql"), DOWN).expect("written");
    }
    folder
}

/// Seconds from the request to the last database.
fn rolled_out(platform: &Platform) -> f64 {
    let audit = platform.audit(Actor::command_line());
    let order = Order { wave_size: 100_000, ..Order::default() };
    let begin = Instant::now();
    let started = rollouts::start(&mut platform.shared.get().expect("shared"), platform, &audit, &order);
    platform.operations.wake();
    let ended = operations::wait_for(platform, started.expect("started").operation, PATIENCE);
    let seconds = begin.elapsed().as_secs_f64();
    let ended = ended.expect("read").expect("over in time");
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    seconds
}

fn there_and_noted() -> String {
    format!("BEGIN; {UP} INSERT INTO __diesel_schema_migrations (version) VALUES ('{VERSION}'); COMMIT;")
}

fn back() -> String {
    format!("BEGIN; {DOWN} DELETE FROM __diesel_schema_migrations WHERE version = '{VERSION}'; COMMIT;")
}

/// Runs the statements in every database, on so many threads, and does nothing else.
fn each(engine: Engine, databases: &[String], threads: usize, sql: &str) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(database) = databases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match engine {
                        Engine::Sqlite => {
                            rusqlite::Connection::open(database)
                                .expect("opened")
                                .execute_batch(sql)
                                .expect("done");
                        }
                        Engine::Postgres => {
                            PgConnection::establish(database)
                                .expect("opened")
                                .batch_execute(sql)
                                .expect("done");
                        }
                    }
                }
            });
        }
    });
}
