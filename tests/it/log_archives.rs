//! Logs that have grown old: into a file, out of the database, and still as they were written.

use std::{fs, io::Read as _, path::PathBuf};

use chrono::TimeDelta;
use diesel::{connection::SimpleConnection as _, prelude::*};
use provost::{
    db::{Id, now, schema_shared},
    models::{
        Actor,
        institution::activity::{self, ActivityFilter},
        platform::{
            admins::AdminRole,
            audit, institutions,
            log_archives::{self as registry, LogArchive},
            platform_settings::{self, Keeping},
        },
    },
    services::{audit_anchor, housekeeping, log_archives as service, platform::Platform},
};

use crate::{routes::world::add_student, support::app::TestApp};

/// Archives all of a log but what the audit log keeps in any case.
pub fn archive(platform: &Platform, institution: Option<Id>) -> usize {
    let audit = platform.audit(Actor::command_line());
    match institution {
        Some(id) => {
            let found = institutions::find(&mut platform.shared.get().expect("shared"), id).expect("found");
            let moment = now() + TimeDelta::days(1);
            let made = service::archive_activity(platform, &audit, &found, moment, TimeDelta::zero());
            made.expect("archived").iter().count()
        }
        None => {
            let keeping = Keeping { audit_days: -1, ..Keeping::default() };
            service::archive_audit(platform, &audit, &keeping, TimeDelta::zero()).expect("archived").len()
        }
    }
}

fn archives(platform: &Platform) -> Vec<LogArchive> {
    registry::of_audit(&mut platform.shared.get().expect("shared")).expect("read")
}

fn file(platform: &Platform, archive: &LogArchive) -> PathBuf {
    let owner = archive.institution_id.map_or_else(|| "audit".into(), |id| id.to_string());
    platform.settings.backups.folder.join(owner).join(format!("{}.archive", archive.id))
}

fn lines(platform: &Platform, archive: &LogArchive) -> Vec<String> {
    let mut text = String::new();
    service::open(platform, archive).expect("opened").read_to_string(&mut text).expect("read");
    text.lines().map(str::to_owned).collect()
}

/// Entries in the log itself.
fn left(platform: &Platform) -> i64 {
    schema_shared::audit_log::table
        .count()
        .get_result(&mut *platform.shared.get().expect("shared"))
        .expect("counted")
}

#[track_caller]
fn assert_holds(platform: &Platform) -> i64 {
    let short = audit_anchor::verify(platform).expect("read");
    let whole = service::verify_with_archives(platform).expect("read");
    assert_eq!((&short.broken, &whole.broken), (&None, &None));
    assert_eq!((short.entries, short.head), (whole.entries, whole.head));
    whole.entries
}

#[test]
fn old_audit_entries_leave_the_log_and_it_can_still_be_verified() {
    let app = TestApp::start();
    let platform = &app.platform;
    app.institution("evry.example");
    let before = assert_holds(platform);
    // The database itself lets nothing go that is in no archive.
    let refused = platform.shared.get().expect("shared").batch_execute("DELETE FROM audit_log");
    assert!(refused.expect_err("refused").to_string().contains("append-only"));

    assert_eq!(archive(platform, None), 1);
    let first = archives(platform).remove(0);
    assert_eq!((first.first_sequence, first.last_sequence), (Some(1), Some(before - 1)));
    // The newest stays, and that it was archived is one more.
    assert_eq!(left(platform), 2);
    assert_eq!(assert_holds(platform), before + 1);
    let sealed = fs::read(file(platform, &first)).expect("a file");
    assert!(!sealed.windows(4).any(|part| part == b"evry"), "names can be read");
    let text = lines(platform, &first);
    assert_eq!(i64::try_from(text.len()).expect("few"), first.entries);
    assert!(text.iter().any(|line| line.contains("evry.example")), "{text:?}");

    app.institution("lyon.example");
    assert_eq!(archive(platform, None), 1);
    let total = assert_holds(platform);
    assert_eq!(archives(platform).iter().map(|one| one.entries).sum::<i64>() + left(platform), total);

    // By the policy nothing is old enough.
    let admin = app.super_admin();
    let page = admin.get("/platform/audit/archives").is(200);
    assert_eq!(page.words("main tbody tr").len(), 2);
    admin.post("/platform/audit/archives", &[]).leads_to("/platform/audit/archives");
    admin.get("/platform/audit/archives").is(200).shows("No entry is as old as the policy says.");
    admin.post("/platform/audit/archives/verification", &[]).is(303);
    admin.get("/platform/audit/archives").is(200).shows("as written, archives and log together");
    let auditor = app.platform_admin(AdminRole::Auditor);
    let download = auditor.get(&format!("/platform/audit/archives/{}", first.id)).is(200);
    assert!(download.header("content-disposition").is_some_and(|name| name.contains(".jsonl")));
    assert_eq!(download.text().lines().count(), text.len());
    let operator = app.platform_admin(AdminRole::Operator);
    operator.get(&format!("/platform/audit/archives/{}", first.id)).is(403);
}

#[test]
fn an_archive_that_is_altered_or_gone_is_found() {
    let app = TestApp::start();
    let platform = &app.platform;
    app.institution("evry.example");
    archive(platform, None);
    app.registered("lyon.example");
    archive(platform, None);
    assert_holds(platform);
    let broken = |what: &str| {
        let found = service::verify_with_archives(platform).expect("read").broken;
        found.unwrap_or_else(|| panic!("{what} was not found")).reason
    };
    let second = archives(platform).remove(1);
    // The file.
    let path = file(platform, &second);
    let whole = fs::read(&path).expect("a file");
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&path, &altered).expect("written");
    assert!(broken("an altered file").contains("cannot be read"));
    fs::remove_file(&path).expect("removed");
    assert!(broken("a missing file").contains("cannot be read"));
    fs::write(&path, &whole).expect("written");
    assert_holds(platform);
    // The row, in ways that look right.
    app.sql(&format!(
        "UPDATE log_archives SET entries = entries + 1 WHERE last_sequence = {}",
        second.last_sequence.expect("a number")
    ));
    assert!(broken("an altered row").contains("is not as it was made"));
    app.sql("DELETE FROM log_archives WHERE first_sequence = 1");
    assert!(broken("a missing row").contains("is missing"));
}

#[test]
fn an_institutions_own_old_entries_are_archived_under_its_key() {
    let app = TestApp::start();
    let platform = &app.platform;
    let (evry, lyon) = (app.institution("evry.example"), app.institution("lyon.example"));
    let owner = app.owner(&evry);
    add_student(&owner, &evry, "Zoé Dubois", "S-1");
    let count = || {
        let mut shared = platform.shared.get().expect("shared");
        let db = platform.tenants.open(&mut shared, evry.id).expect("opened");
        let connection = &mut *db.get().expect("connection");
        activity::count(connection, &ActivityFilter::default()).expect("counted")
    };
    let before = count();
    assert!(before > 0);
    assert!(!owner.get(&evry.path("/activity")).is(200).main().contains("archived"));
    assert_eq!(archive(platform, Some(evry.id)), 1);
    assert_eq!(count(), 0);
    owner
        .get(&evry.path("/activity"))
        .is(200)
        .shows("is archived; those who run the platform can look it up.");
    let other = app.owner(&lyon);
    assert!(!other.get(&lyon.path("/activity")).is(200).main().contains("archived"));
    let made: LogArchive = schema_shared::log_archives::table
        .filter(schema_shared::log_archives::institution_id.eq(evry.id))
        .select(LogArchive::as_select())
        .first(&mut *platform.shared.get().expect("shared"))
        .expect("a row");
    let text = lines(platform, &made);
    assert_eq!((i64::try_from(text.len()).expect("few"), made.entries), (before, before));
    assert!(text.iter().any(|line| line.contains("Zoé Dubois")), "{text:?}");
    // Another's key does not open it, nor does its file pass for another's.
    let as_other = LogArchive { institution_id: Some(lyon.id), ..made.clone() };
    assert!(service::open(platform, &as_other).is_err());
    app.super_admin().get("/platform/audit/archives?q=evry").is(200).shows("Université of evry.example");
    assert_holds(platform);
}

#[test]
fn what_is_kept_how_long_is_chosen_and_obeyed() {
    let app = TestApp::start();
    let (ada, bob) = (app.super_admin(), app.super_admin());
    let path = "/platform/settings/keeping";
    let (first, second) = (ada.get(path).is(200).form("main form"), bob.get(path).is(200).form("main form"));
    ada.get(path)
        .is(200)
        .form("main form")
        .fill("audit", "364")
        .submit(&ada)
        .is(422)
        .shows("between 365 and");
    first.fill("audit", "400").fill("security", "40").submit(&ada).leads_to(path);
    second.fill("audit", "500").submit(&bob).is(409);
    let mut c = app.platform.shared.get().expect("shared");
    let keeping = platform_settings::keeping(&mut c).expect("read");
    assert_eq!((keeping.audit_days, keeping.security_days, keeping.activity_days), (400, 40, 1_095));
    let events = |c: &mut provost::db::shared::SharedConn| -> i64 {
        schema_shared::security_log::table.count().get_result(c).expect("counted")
    };
    let there = events(&mut c);
    assert!(there > 0);
    diesel::update(schema_shared::security_log::table)
        .set(schema_shared::security_log::at.eq(now() - TimeDelta::days(39)))
        .execute(&mut *c)
        .expect("aged");
    housekeeping::sweep(&mut c).expect("swept");
    assert_eq!(events(&mut c), there);
    diesel::update(schema_shared::security_log::table)
        .set(schema_shared::security_log::at.eq(now() - TimeDelta::days(41)))
        .execute(&mut *c)
        .expect("aged");
    assert_eq!(
        housekeeping::sweep(&mut c).expect("swept").security_events,
        usize::try_from(there).expect("few")
    );
    assert_eq!(audit::verify(&mut c, &app.platform.keys.audit_key()).expect("read").broken, None);
}

#[cfg(feature = "crash-points")]
#[test]
#[ignore = "slow"]
fn archiving_survives_kill_at_every_point() {
    use crate::support::child::{die_at, do_work};
    let points = ["archive:part-written", "archive:file-named", "archive:entered", "archive:removing"];
    for activity in [false, true] {
        for point in points {
            let app = TestApp::start();
            let evry = app.institution("evry.example");
            add_student(&app.owner(&evry), &evry, "Zoé Dubois", "S-1");
            let site = app.into_site();
            let platform = site.open();
            let theirs = || {
                let mut shared = platform.shared.get().expect("shared");
                let db = platform.tenants.open(&mut shared, evry.id).expect("opened");
                let connection = &mut *db.get().expect("connection");
                activity::count(connection, &ActivityFilter::default()).expect("counted")
            };
            let archived = || -> i64 {
                let all = schema_shared::log_archives::table.select(schema_shared::log_archives::entries);
                let all: Vec<i64> = all.load(&mut *platform.shared.get().expect("shared")).expect("read");
                all.into_iter().sum()
            };
            let (entries, own) = (assert_holds(&platform), theirs());
            let whose = if activity { evry.id.to_string() } else { "audit".into() };
            let work = format!("archive {whose}");
            die_at(&site, &work, &format!("{point}:1"));
            assert!(assert_holds(&platform) >= entries, "{point}");
            if activity {
                assert!(theirs() == own || archived() == own, "{point}: entries are nowhere");
            }
            do_work(&site, &work, point);
            assert!(assert_holds(&platform) >= entries, "{point}");
            if activity {
                assert_eq!((theirs(), archived()), (0, own), "{point}");
            } else {
                assert_eq!(archived() + left(&platform), assert_holds(&platform), "{point}");
            }
        }
    }
    println!("killed at {} points of archiving; 0 violations", 2 * points.len());
}
