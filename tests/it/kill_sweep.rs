//! kill -9 at every crash point: after a restart the institution is active, or nothing of it is left.
//!
//! Part of `scripts/test slow`. All the while outsiders try to enter the databases.

use std::time::Duration;

use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id,
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
    services::{operations::provision, platform::Platform, secrets::MasterKey},
};

use crate::support::{
    Site, approve,
    child::{die_at, dies_at, do_work},
    engine, names,
    outsiders::Outsiders,
    register, server, status,
};

/// Short, so that the dead worker's operation is soon taken over.
const LEASE: Duration = Duration::from_millis(1_000);
/// Chooses the second points of the stacked faults.
const SEED: u64 = 20_261_121;

fn site() -> Site {
    let mut site = Site::new();
    site.settings.limits.lease = LEASE;
    site
}

#[test]
#[ignore = "slow"]
fn provisioning_survives_kill_at_every_point() {
    let points = provision::crash_points(engine());
    let mut polls = 0;
    for point in &points {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id).to_string();
        let outsiders = Outsiders::watch(&site);
        die_at(&site, &operation, &format!("{point}:1"));
        outsiders.look();
        assert_closed(&site, point);
        do_work(&site, &operation, point);
        assert_active_once(&platform, id, point);
        outsiders.look();
        polls += outsiders.refused(point);
    }
    println!(
        "{}: killed at {} points of provisioning; {polls} attempts of outsiders refused; 0 violations",
        engine(),
        points.len()
    );
}

#[test]
#[ignore = "slow"]
fn provisioning_survives_a_second_kill_while_it_recovers() {
    let points = provision::crash_points(engine());
    let (mut kills, mut polls, mut random) = (0, 0, SEED);
    for point in &points {
        // Knuth's generator: the same other points in every run.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(random >> 33).expect("a small number") % points.len();
        let what = format!("{point}, again, then {}", points[other]);
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        let operation = approve(&platform, id).to_string();
        let outsiders = Outsiders::watch(&site);
        for stop in [point, point, &points[other]] {
            // Recovery may have nothing left to do at that point, and then it ends.
            kills += usize::from(dies_at(&site, &operation, &format!("{stop}:1")));
            outsiders.look();
            assert_closed(&site, &what);
        }
        do_work(&site, &operation, &what);
        assert_active_once(&platform, id, &what);
        polls += outsiders.refused(&what);
    }
    println!(
        "{}: killed {kills} times in {} provisionings (seed {SEED}); {polls} attempts of outsiders refused; \
         0 violations",
        engine(),
        points.len()
    );
}

#[test]
#[ignore = "slow"]
fn rolling_back_survives_kill_at_every_point() {
    let undone: &[&str] = match engine() {
        Engine::Sqlite => &["database", "keys", "reserve"],
        Engine::Postgres => &["database", "role", "keys", "reserve"],
    };
    for step in undone {
        let site = site();
        let platform = site.open();
        let id = register(&platform, "mit.edu");
        site.block("mit_edu");
        let operation = approve(&platform, id).to_string();
        die_at(&site, &operation, &format!("step:{step}:undone:1"));
        do_work(&site, &operation, step);
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
#[ignore = "slow"]
fn rotation_survives_kill_at_every_point() {
    let points = ["rotate:added:1", "rotate:one:1", "rotate:one:2", "rotate:one:3", "rotate:rewrapped:1"];
    let site = site();
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id).to_string();
    do_work(&site, &operation, "provisioning");
    for point in points {
        die_at(&site, "rotate", point);
        let still = site.open();
        still.tenants.open(&mut still.shared.get().expect("shared"), id).expect("readable after the kill");
        do_work(&site, "rotate", point);
        let key = MasterKey::load(&site.settings.master_key_file).expect("key");
        assert!(key.older_ids().is_empty(), "{point}");
        let again = site.open();
        again.tenants.open(&mut again.shared.get().expect("shared"), id).expect("readable after rotation");
    }
    println!("{}: killed at {} points of rotation, 0 violations", engine(), points.len());
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

/// What holds of an institution that was set up once, whatever happened on the way.
pub fn assert_active_once(platform: &Platform, id: Id, point: &str) {
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
