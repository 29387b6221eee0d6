//! kill -9 at every crash point: after a restart the institution is active, or nothing of it is left.
//!
//! Runs with the feature `crash-points` and `PROVOST_TEST_SLOW=1`. The process that dies is this test
//! binary itself, started again for the one test `child`.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id, Target,
        schema_shared::{
            audit_log, institution_keys, institution_status_changes, login_index, operations, outgoing_mails,
        },
        schema_tenant::{institution, users},
    },
    models::platform::{
        audit,
        operations::{Kind, OperationStatus, latest},
        tenant_databases,
    },
    services::{operations::provision, platform::Platform, secrets::MasterKey, settings::Settings},
};

use crate::support::{Site, approve, engine, finished, names, register, run_on_server, server, status};

/// Short, so that the dead worker's operation is soon taken over.
const LEASE: Duration = Duration::from_millis(1_500);

fn wanted() -> bool {
    std::env::var_os("PROVOST_TEST_SLOW").is_some()
}

fn site() -> Site {
    let mut site = Site::new();
    site.settings.limits.lease = LEASE;
    site
}

/// What dies: opens the platform that the environment names, and does the work.
#[test]
#[ignore = "started by the sweeps"]
fn child() {
    let Ok(work) = std::env::var("PROVOST_SWEEP_WORK") else { return };
    let variable = |name: &str| std::env::var(name).expect(name);
    let mut settings = Settings::new(variable("PROVOST_SWEEP_DATA").into());
    settings.database = Target::parse(&variable("PROVOST_SWEEP_DATABASE")).expect("target");
    settings.database_prefix = variable("PROVOST_SWEEP_PREFIX");
    settings.password_cost = 4;
    settings.limits.lease = LEASE;
    settings.limits.retry_wait = Duration::from_millis(20);
    settings.limits.shared_connections = 4;
    settings.limits.connection_budget = Some(8);
    let platform = Platform::open(settings).expect("opened");
    if work == "rotate" {
        platform.keys.rotate(&mut platform.shared.get().expect("shared")).expect("rotated");
        return;
    }
    let workers = platform.start_workers().expect("workers");
    let id: Id = work.parse().expect("an operation");
    finished(&platform, id);
    workers.stop();
}

/// Starts `child`, to die at a crash point or to run to its end.
fn run_child(site: &Site, work: &str, crash_at: Option<&str>) -> ExitStatus {
    let database = match &site.settings.database {
        Target::Sqlite(path) => format!("sqlite:{}", path.display()),
        Target::Postgres(url) => url.clone(),
    };
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command
        .args(["kill_sweep::child", "--exact", "--ignored"])
        .env("PROVOST_SWEEP_WORK", work)
        .env("PROVOST_SWEEP_DATA", &site.settings.data_dir)
        .env("PROVOST_SWEEP_DATABASE", database)
        .env("PROVOST_SWEEP_PREFIX", &site.settings.database_prefix)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(point) = crash_at {
        command.env("PROVOST_CRASH_AT", point);
    }
    command.status().expect("child")
}

fn die_at(site: &Site, work: &str, point: &str) {
    let status = run_child(site, work, Some(point));
    assert_eq!(status.signal(), Some(9), "the point {point} was not passed: {status:?}");
}

#[test]
fn provisioning_survives_kill_at_every_point() {
    if !wanted() {
        return;
    }
    let points = provision::crash_points(engine());
    for point in &points {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id);
        die_at(&site, &operation.to_string(), &format!("{point}:1"));
        assert_closed(&site, point);
        assert!(run_child(&site, &operation.to_string(), None).success(), "{point}");
        assert_active_once(&platform, id, point);
    }
    println!("{}: killed at {} points of provisioning, 0 violations", engine(), points.len());
}

#[test]
fn rolling_back_survives_kill_at_every_point() {
    if !wanted() {
        return;
    }
    let undone: &[&str] = match engine() {
        Engine::Sqlite => &["database", "keys", "reserve"],
        Engine::Postgres => &["database", "role", "keys", "reserve"],
    };
    for step in undone {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        block(&site);
        let operation = approve(&platform, id);
        die_at(&site, &operation.to_string(), &format!("step:{step}:undone:1"));
        assert!(run_child(&site, &operation.to_string(), None).success(), "{step}");
        let shared = &mut *platform.shared.get().expect("shared");
        let ended = latest(shared, id, Kind::Provision).expect("read").expect("operation");
        assert_eq!(ended.status, OperationStatus::RolledBack, "{step}");
        assert_eq!(status(&platform, id), "provisioning_failed", "{step}");
        assert!(tenant_databases::find(shared, id).expect("read").is_none(), "{step}");
        let keys: i64 = institution_keys::table.count().get_result(shared).expect("keys");
        assert_eq!(keys, 0, "{step}");
        assert_eq!(audit::verify(shared, &platform.keys.audit_key()).expect("read").broken, None, "{step}");
        if engine() == Engine::Postgres {
            assert!(platform.engine.list().expect("listed").is_empty(), "{step}");
        }
    }
    println!("{}: killed at {} points of rolling back, 0 violations", engine(), undone.len());
}

#[test]
fn rotation_survives_kill_at_every_point() {
    if !wanted() {
        return;
    }
    let points = ["rotate:added:1", "rotate:one:1", "rotate:one:2", "rotate:one:3", "rotate:rewrapped:1"];
    let site = site();
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    assert!(run_child(&site, &operation.to_string(), None).success());
    for point in points {
        die_at(&site, "rotate", point);
        let still = site.open();
        still.tenants.open(&mut still.shared.get().expect("shared"), id).expect("readable after the kill");
        assert!(run_child(&site, "rotate", None).success(), "{point}");
        let key = MasterKey::load(&site.settings.master_key_file).expect("key");
        assert!(key.older_ids().is_empty(), "{point}");
        let again = site.open();
        again.tenants.open(&mut again.shared.get().expect("shared"), id).expect("readable after rotation");
    }
    println!("{}: killed at {} points of rotation, 0 violations", engine(), points.len());
}

fn block(site: &Site) {
    match engine() {
        Engine::Sqlite => {
            std::fs::write(site.settings.data_dir.join("tenants"), "in the way").expect("blocked")
        }
        Engine::Postgres => {
            run_on_server(&format!("CREATE DATABASE {}mit_edu", site.settings.database_prefix))
        }
    }
}

/// At no moment may a half-made database be entered by anybody else.
fn assert_closed(site: &Site, point: &str) {
    if engine() != Engine::Postgres {
        return;
    }
    let open = format!(
        "SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{}') AND datallowconn \
         AND has_database_privilege('public', oid, 'CONNECT')",
        site.settings.database_prefix
    );
    assert_eq!(names(&mut server(), &open), Vec::<String>::new(), "{point}");
}

fn assert_active_once(platform: &Platform, id: Id, point: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    assert_eq!(status(platform, id), "active", "{point}");
    let ended = latest(shared, id, Kind::Provision).expect("read").expect("operation");
    assert_eq!(ended.status, OperationStatus::Succeeded, "{point}");
    let once = [
        ("operations", operations::table.count().get_result::<i64>(shared)),
        ("keys", institution_keys::table.count().get_result(shared)),
        ("login index", login_index::table.count().get_result(shared)),
        ("mails", outgoing_mails::table.count().get_result(shared)),
        (
            "activations",
            audit_log::table.filter(audit_log::action.eq("institution.activated")).count().get_result(shared),
        ),
        (
            "status changes",
            institution_status_changes::table
                .filter(institution_status_changes::to_status.eq("active"))
                .count()
                .get_result(shared),
        ),
    ];
    for (what, count) in once {
        assert_eq!(count.expect("count"), 1, "{what} after {point}");
    }
    assert_eq!(audit::verify(shared, &platform.keys.audit_key()).expect("read").broken, None, "{point}");
    assert_eq!(platform.engine.list().expect("listed").len(), 1, "{point}");
    let tenant = platform.tenants.open(shared, id).expect("opened");
    let mut connection = tenant.get().expect("connection");
    let institutions: i64 = institution::table.count().get_result(&mut *connection).expect("count");
    let people: i64 = users::table.count().get_result(&mut *connection).expect("count");
    assert_eq!((institutions, people), (1, 1), "{point}");
    if engine() == Engine::Sqlite {
        let row = tenant_databases::find(shared, id).expect("read").expect("row");
        let folder = platform.settings.data_dir.join(row.location);
        let parts = std::fs::read_dir(folder).expect("folder").filter_map(Result::ok);
        assert_eq!(
            parts.filter(|entry| entry.path().extension().is_some_and(|e| e == "part")).count(),
            0,
            "{point}"
        );
    }
}
