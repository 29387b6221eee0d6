//! kill -9 at every crash point of looking after databases: everybody is served, what is begun again ends well, and the
//! audit log tells of everything that was done.
//!
//! Part of `scripts/test slow`.

use std::time::Duration;

use diesel::prelude::*;
use provost::{
    db::{Id, now, schema_shared::audit_log, schema_tenant::users},
    models::{
        Actor, Paging,
        platform::{
            audit,
            maintenance::{self, Need, RunFilter},
            operations::{self, Kind, OperationStatus},
        },
    },
    services::{
        platform::Platform,
        upkeep::{self, Task},
    },
};

use crate::support::{
    Site, approve,
    child::{die_at, do_work},
    engine, register,
};

/// Each database is counted, which is one act; on the second pass of a point it is the other database's.
const POINTS: [&str; 9] = [
    "step:tend:begun:1",
    "upkeep:done:1",
    "upkeep:acted:1",
    "upkeep:told:1",
    "upkeep:done:2",
    "upkeep:acted:2",
    "upkeep:told:2",
    "step:tend:acted:1",
    "step:tend:recorded:1",
];

/// As a look would say it of a database that was never looked after.
fn need(platform: &Platform, institution_id: Id) {
    let need = Need {
        institution_id,
        bytes: 1,
        spare_bytes: 0,
        log_bytes: 0,
        dead_rows: 0,
        acts: "analyse".into(),
        why: "never analysed".into(),
        looked_at: now(),
    };
    maintenance::note_need(&mut platform.shared.get().expect("shared"), &need).expect("noted");
}

#[track_caller]
fn assert_served(platform: &Platform, id: Id, what: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    let tenant = platform.tenants.open(shared, id).unwrap_or_else(|error| panic!("{what}: {error}"));
    let connection = &mut *tenant.get().expect("a connection");
    let written = diesel::update(users::table).set(users::version.eq(users::version + 1)).execute(connection);
    assert_eq!(written, Ok(1), "{what}: people can write");
}

fn told(platform: &Platform) -> i64 {
    audit_log::table
        .filter(audit_log::action.eq("database.maintained"))
        .count()
        .get_result(&mut *platform.shared.get().expect("shared"))
        .expect("counted")
}

#[test]
#[ignore = "slow"]
fn looking_after_databases_survives_kill_at_every_point() {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let institutions = ["mit.edu", "ethz.ch"].map(|domain| {
        let id = register(&platform, domain);
        do_work(&site, &approve(&platform, id).to_string(), "provisioning");
        id
    });
    let audit = platform.audit(Actor::command_line());
    for point in POINTS {
        institutions.iter().for_each(|id| need(&platform, *id));
        let before = told(&platform);
        let operation = {
            let connection = &mut *platform.shared.get().expect("shared");
            upkeep::request(connection, &audit, Task::Tend, None).expect("asked").to_string()
        };
        die_at(&site, &operation, point);
        institutions.iter().for_each(|id| assert_served(&platform, *id, point));
        do_work(&site, &operation, point);
        let c = &mut *platform.shared.get().expect("shared");
        let ended = operations::find(c, operation.parse().expect("an id")).expect("an operation");
        assert_eq!((ended.kind, ended.status), (Kind::Maintain, OperationStatus::Succeeded), "{point}");
        assert_eq!(maintenance::needing_count(c).expect("counted"), 0, "{point}");
        assert!(told(&platform) >= before + 2, "{point}: the audit log tells of both");
        let newest = Paging { sort: "at".into(), descending: true, limit: 100, offset: 0 };
        let runs = maintenance::runs(c, &RunFilter::default(), &newest).expect("read").rows;
        assert!(runs.iter().all(|run| run.row.error.is_none()), "{point}: {runs:?}");
        assert_eq!(audit::verify(c, &platform.keys.audit_key()).expect("read").broken, None, "{point}");
        institutions.iter().for_each(|id| assert_served(&platform, *id, point));
    }
    println!("{}: killed at {} points of looking after databases; 0 violations", engine(), POINTS.len());
}
