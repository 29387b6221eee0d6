//! kill -9 at every crash point of archiving and of deleting: an institution is as it was, or archived with a proved
//! backup; and what is to be deleted ends deleted, with nothing left.
//!
//! Part of `scripts/test slow`.

use std::{fs, sync::Arc, time::Duration};

use chrono::TimeDelta;
use diesel::prelude::*;
use provost::{
    db::{
        Id, now,
        schema_shared::{institution_deletions, institution_keys, login_index},
        schema_tenant::{activity_log, users},
        tenant::TenantConn,
    },
    models::{
        Actor,
        platform::{
            admins::{self, AdminRole, NewAdmin},
            backups::{self as registry, Reason},
            operations::{self, Kind, OperationStatus},
            platform_secrets, tenant_copies, tenant_databases,
        },
    },
    services::{
        backups,
        leaving::{self, deletion},
        operations::{archive, delete},
        platform::Platform,
    },
};

use crate::{
    leaving::assert_no_strays,
    support::{
        Site, approve,
        child::{Sleeper, die_at, do_work},
        engine, register, status,
    },
};

fn prepared() -> (Site, Arc<Platform>, Id) {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id).to_string();
    do_work(&site, &operation, "provisioning");
    (site, platform, id)
}

fn ask_for_archiving(platform: &Platform, id: Id) -> String {
    let audit = platform.audit(Actor::command_line());
    let connection = &mut *platform.shared.get().expect("shared");
    leaving::request_archive(connection, &audit, id, "They left.").expect("asked").to_string()
}

#[track_caller]
fn assert_succeeded(platform: &Platform, id: Id, kind: Kind, what: &str) {
    let ended = operations::latest(&mut platform.shared.get().expect("shared"), id, kind);
    let ended = ended.expect("read").expect("an operation");
    assert_eq!(ended.status, OperationStatus::Succeeded, "{what}: {:?}", ended.error);
}

/// Either its database serves, or a verified backup and its key are there.
#[track_caller]
fn assert_nothing_is_lost(platform: &Platform, id: Id, what: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    let row = tenant_databases::find(shared, id).expect("read").expect("a row");
    let serves = row.status == tenant_databases::DatabaseStatus::Ready;
    let saved = registry::last_verified(shared, id).expect("read").is_some()
        && platform_secrets::institution_key(shared, id).expect("read").is_some();
    assert!(serves || saved, "{what}");
    let place = provost::services::tenants::place(&row);
    assert!(!serves || platform.engine.exists(&place).expect("asked"), "{what}");
    assert_no_strays(platform, what);
}

#[test]
#[ignore = "slow"]
fn archiving_survives_kill_at_every_point() {
    let points = archive::crash_points(engine());
    let (site, platform, id) = prepared();
    for point in &points {
        let operation = ask_for_archiving(&platform, id);
        die_at(&site, &operation, &format!("{point}:1"));
        assert_nothing_is_lost(&platform, id, point);
        do_work(&site, &operation, point);
        assert_succeeded(&platform, id, Kind::Archive, point);
        assert_eq!(status(&platform, id), "archived", "{point}");
        assert_nothing_is_lost(&platform, id, point);
        let copies = tenant_copies::of_institution(&mut platform.shared.get().expect("shared"), id);
        assert!(copies.expect("read").is_empty(), "{point}");
        let back = {
            let audit = platform.audit(Actor::command_line());
            let connection = &mut *platform.shared.get().expect("shared");
            leaving::request_return(connection, &audit, id).expect("asked").to_string()
        };
        do_work(&site, &back, point);
        assert_eq!(status(&platform, id), "active", "{point}");
        let shared = &mut *platform.shared.get().expect("shared");
        let tenant = platform.tenants.open(shared, id).unwrap_or_else(|error| panic!("{point}: {error}"));
        let people: i64 =
            users::table.count().get_result(&mut *tenant.get().expect("a connection")).expect("people");
        assert_eq!(people, 1, "{point}");
    }
    println!("{}: killed at {} points of archiving; 0 violations", engine(), points.len());
}

#[test]
#[ignore = "slow"]
fn deleting_survives_kill_at_every_point() {
    let points = delete::crash_points(engine());
    for point in &points {
        let (site, platform, id) = prepared();
        let audit = platform.audit(Actor::command_line());
        backups::take(&platform, &audit, Some(id), Reason::Requested).expect("taken");
        {
            let connection = &mut *platform.shared.get().expect("shared");
            let admin = NewAdmin {
                email: "ada@platform.example",
                email_normalised: "ada@platform.example",
                name: "Ada",
                role: AdminRole::SuperAdmin,
            };
            admins::create(connection, &audit, &admin, "$2b$04$not.a.real.hash").expect("made");
            let asked = deletion::ask(connection, &platform, &audit, id, "They left.", false);
            asked.expect("asked");
            diesel::update(institution_deletions::table.find(id))
                .set((
                    institution_deletions::agreed_at.eq(now()),
                    institution_deletions::agreed_by_name.eq("Grace"),
                    institution_deletions::due_at.eq(now() - TimeDelta::hours(1)),
                ))
                .execute(connection)
                .expect("agreed");
        }
        assert_eq!(deletion::sweep(&platform, now()).expect("swept").begun, 1, "{point}");
        let operation = {
            let connection = &mut *platform.shared.get().expect("shared");
            operations::latest(connection, id, Kind::Delete).expect("read").expect("begun").id.to_string()
        };
        die_at(&site, &operation, &format!("{point}:1"));
        assert!(["active", "archived", "deleted"].contains(&status(&platform, id).as_str()), "{point}");
        assert_no_strays(&platform, point);
        do_work(&site, &operation, point);
        assert_succeeded(&platform, id, Kind::Delete, point);
        assert_eq!(status(&platform, id), "deleted", "{point}");
        assert_no_strays(&platform, point);
        let c = &mut *platform.shared.get().expect("shared");
        let keys: i64 = institution_keys::table.count().get_result(c).expect("keys");
        let logins: i64 = login_index::table.count().get_result(c).expect("logins");
        assert_eq!((keys, logins), (0, 0), "{point}");
        assert!(tenant_copies::of_institution(c, id).expect("read").is_empty(), "{point}");
        let folder = platform.settings.backups.folder.join(id.to_string());
        assert_eq!(fs::read_dir(folder).map(|files| files.count()).unwrap_or_default(), 0, "{point}");
    }
    println!("{}: killed at {} points of deleting; 0 violations", engine(), points.len());
}

#[test]
fn what_is_written_in_the_last_moment_is_not_lost() {
    let (site, platform, id) = prepared();
    let operation = ask_for_archiving(&platform, id);
    let sleeper = Sleeper::at(&site, &operation, "step:record:recorded:1");
    let place = {
        let shared = &mut *platform.shared.get().expect("shared");
        let row = tenant_databases::find(shared, id).expect("read").expect("a row");
        provost::services::tenants::place(&row)
    };
    let mut connection: TenantConn = platform.engine.open_as_owner(&place).expect("opened");
    diesel::insert_into(activity_log::table)
        .values((
            activity_log::id.eq(Id::new()),
            activity_log::at.eq(now()),
            activity_log::actor_name.eq("Late"),
            activity_log::action.eq("late"),
            activity_log::record_kind.eq("late"),
            activity_log::record_label.eq("late"),
            activity_log::changes.eq("[]"),
            activity_log::search_key.eq("late"),
        ))
        .execute(&mut connection)
        .expect("written");
    drop(connection);
    sleeper.wake();
    let ended = operations::latest(&mut platform.shared.get().expect("shared"), id, Kind::Archive);
    let ended = ended.expect("read").expect("an operation");
    assert_eq!(ended.status, OperationStatus::RolledBack, "{:?}", ended.error);
    assert_eq!(status(&platform, id), "active");
    assert_no_strays(&platform, "rolled back");
}
