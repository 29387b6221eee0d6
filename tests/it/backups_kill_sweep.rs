//! kill -9 at every crash point of a backup, a trial and a restore: the old database serves or the new one, and a
//! backup is whole or none.
//!
//! Part of `scripts/test slow`.

use std::{fs, sync::Arc, time::Duration};

use diesel::prelude::*;
use provost::{
    db::{Engine, Id, schema_tenant::users},
    models::{
        Actor,
        platform::{
            audit,
            backups::{self as registry, Backup, Reason},
            operations::{self, Kind, OperationStatus},
            tenant_copies::{self, Purpose},
            tenant_databases,
        },
    },
    services::{
        backups::{self, RestoreHow, retention},
        operations::{restore, verify_backup},
        platform::Platform,
    },
};

use crate::support::{
    Site, approve,
    child::{die_at, do_work},
    engine, register,
};

fn prepared() -> (Site, Arc<Platform>, Id, Backup) {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id).to_string();
    do_work(&site, &operation, "provisioning");
    let audit = platform.audit(Actor::command_line());
    let backup = backups::take(&platform, &audit, Some(id), Reason::Requested).expect("taken");
    (site, platform, id, backup)
}

fn of_steps(steps: &[&str]) -> Vec<String> {
    steps
        .iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")))
        .collect()
}

/// Whoever serves can be entered and read, and nothing stands around without a row.
#[track_caller]
fn assert_whole(platform: &Platform, id: Id, what: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    let tenant = platform.tenants.open(shared, id).unwrap_or_else(|error| panic!("{what}: {error}"));
    let people: i64 =
        users::table.count().get_result(&mut *tenant.get().expect("a connection")).expect("people");
    assert_eq!(people, 1, "{what}");
    assert_eq!(audit::verify(shared, &platform.keys.audit_key()).expect("read").broken, None, "{what}");
    let mut known = Vec::new();
    for row in tenant_databases::all(shared).expect("read") {
        known.push(row.database.database_name);
        known.push(row.database.location);
    }
    for copy in tenant_copies::all(shared).expect("read") {
        known.push(copy.database_name);
        known.push(copy.location);
    }
    let mut strays = platform.engine.list().expect("listed");
    strays.extend(platform.engine.roles().expect("roles"));
    strays.retain(|name| !known.contains(name));
    assert_eq!(strays, Vec::<String>::new(), "{what}");
    // Every row has its file, of that length.
    for backup in registry::of(shared, Some(id)).expect("read") {
        let path =
            platform.settings.backups.folder.join(id.to_string()).join(format!("{}.backup", backup.id));
        let length = fs::metadata(&path).unwrap_or_else(|error| panic!("{what}: {error}")).len();
        assert_eq!(i64::try_from(length).expect("small"), backup.bytes, "{what}");
    }
}

#[track_caller]
fn assert_succeeded(platform: &Platform, id: Id, kind: Kind, what: &str) {
    let ended = operations::latest(&mut platform.shared.get().expect("shared"), id, kind);
    let ended = ended.expect("read").expect("an operation");
    assert_eq!(ended.status, OperationStatus::Succeeded, "{what}: {:?}", ended.error);
}

#[test]
#[ignore = "slow"]
fn backing_up_survives_kill_at_every_point() {
    let mut points = of_steps(&["copy", "record"]);
    let inside =
        ["backup:part-written", "backup:manifest-written", "backup:file-named", "backup:manifest-named"];
    points.extend(inside.map(str::to_owned));
    let (site, platform, id, _) = prepared();
    let mut taken = 1;
    for point in &points {
        let audit = platform.audit(Actor::command_line());
        let operation = {
            let connection = &mut *platform.shared.get().expect("shared");
            backups::request(connection, &audit, Some(id), Reason::Requested).expect("asked")
        };
        die_at(&site, &operation.to_string(), &format!("{point}:1"));
        let rows = registry::of(&mut platform.shared.get().expect("shared"), Some(id)).expect("read").len();
        assert!(rows == taken || rows == taken + 1, "{point}");
        assert_whole(&platform, id, point);
        do_work(&site, &operation.to_string(), point);
        assert_succeeded(&platform, id, Kind::BackUp, point);
        taken += 1;
        let rows = registry::of(&mut platform.shared.get().expect("shared"), Some(id)).expect("read").len();
        assert_eq!(rows, taken, "{point}: one backup for one request");
        assert_whole(&platform, id, point);
    }
    assert_eq!(retention::tidy(&platform).expect("tidied").adopted, 0);
    println!("{}: killed at {} points of backing up; 0 violations", engine(), points.len());
}

#[test]
#[ignore = "slow"]
fn a_trial_survives_kill_at_every_point() {
    let mut points = of_steps(&verify_backup::STEPS);
    points.extend(match engine() {
        Engine::Sqlite => vec!["sqlite:copy-written".to_owned()],
        Engine::Postgres => vec!["postgres:copy-made".to_owned(), "postgres:copy-filled".to_owned()],
    });
    let (site, platform, id, backup) = prepared();
    for point in &points {
        let audit = platform.audit(Actor::command_line());
        let operation = {
            let connection = &mut *platform.shared.get().expect("shared");
            backups::request_verification(connection, &audit, backup.id).expect("asked")
        };
        die_at(&site, &operation.to_string(), &format!("{point}:1"));
        assert_whole(&platform, id, point);
        do_work(&site, &operation.to_string(), point);
        assert_succeeded(&platform, id, Kind::VerifyBackup, point);
        assert_whole(&platform, id, point);
        let copies = tenant_copies::all(&mut platform.shared.get().expect("shared")).expect("read");
        assert!(copies.is_empty(), "{point}: {copies:?}");
    }
    println!("{}: killed at {} points of trials; 0 violations", engine(), points.len());
}

#[test]
#[ignore = "slow"]
fn restoring_survives_kill_at_every_point() {
    let mut count = 0;
    for beside in [false, true] {
        let points = restore::crash_points(engine(), beside);
        let (site, platform, id, backup) = prepared();
        for point in &points {
            let what = format!("{point}, beside: {beside}");
            let serving = || {
                let row = tenant_databases::find(&mut platform.shared.get().expect("shared"), id);
                row.expect("read").expect("row").database_name
            };
            let old = serving();
            let audit = platform.audit(Actor::command_line());
            let operation = {
                let how = RestoreHow { beside, without_saving: false };
                let connection = &mut *platform.shared.get().expect("shared");
                backups::request_restore(connection, &audit, backup.id, how).expect("asked")
            };
            die_at(&site, &operation.to_string(), &format!("{point}:1"));
            assert_whole(&platform, id, &what);
            do_work(&site, &operation.to_string(), &what);
            assert_succeeded(&platform, id, Kind::Restore, &what);
            assert_whole(&platform, id, &what);
            let shared = &mut *platform.shared.get().expect("shared");
            let left = |purpose| tenant_copies::of_operation(shared, operation, purpose).expect("read");
            let purpose = if beside { Purpose::Beside } else { Purpose::Previous };
            let mut left = left;
            assert_eq!(left(purpose).map(|copy| copy.database_name == old), Some(!beside), "{what}");
            assert!(left(Purpose::Incoming).is_none(), "{what}");
            assert_eq!(serving() == old, beside, "{what}");
        }
        count += points.len();
    }
    println!("{}: killed at {count} points of restores; 0 violations", engine());
}
