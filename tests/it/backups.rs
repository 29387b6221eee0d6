//! Backups: taken while people write, verified by restoring, restored into new databases; and every way in which that
//! may go wrong.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::TimeDelta;
use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id, now,
        schema_shared::{
            backups as backups_table, operations as operations_table, sessions, tenant_copies as copies_table,
        },
        schema_tenant::users,
    },
    models::{
        Actor, ModelError,
        institution::users::Role,
        platform::{
            alerts::Alert,
            audit,
            backups::{self as registry, Backup, Reason},
            operations::{self, Kind, Operation, OperationStatus},
            tenant_copies::{self, Purpose},
            tenant_databases,
        },
    },
    services::{
        backups::{self, RestoreHow, copies, platform as whole, retention},
        monitoring::alerts,
        platform::Platform,
    },
};

use crate::support::{
    Folder, Site,
    app::{Institution, PASSWORD, TestApp, eventually, unique},
    engine, finished, names, server,
};

/// Takes a backup at once.
#[track_caller]
fn take(platform: &Platform, of: Option<Id>) -> Backup {
    let audit = platform.audit(Actor::command_line());
    backups::take(platform, &audit, of, Reason::Requested).expect("taken")
}

#[track_caller]
fn verify(platform: &Platform, backup: Id) -> Operation {
    let audit = platform.audit(Actor::command_line());
    let connection = &mut *platform.shared.get().expect("shared");
    let id = backups::request_verification(connection, &audit, backup).expect("asked");
    platform.operations.wake();
    finished(platform, id)
}

#[track_caller]
fn restore(platform: &Platform, backup: Id, how: RestoreHow) -> Operation {
    let audit = platform.audit(Actor::command_line());
    let connection = &mut *platform.shared.get().expect("shared");
    let id = backups::request_restore(connection, &audit, backup, how).expect("asked");
    platform.operations.wake();
    finished(platform, id)
}

fn again(platform: &Platform, id: Id) -> Backup {
    registry::find(&mut platform.shared.get().expect("shared"), id).expect("a row")
}

fn file(platform: &Platform, backup: &Backup) -> PathBuf {
    let owner = backup.institution_id.map_or_else(|| "shared".into(), |id| id.to_string());
    platform.settings.backups.folder.join(owner).join(format!("{}.backup", backup.id))
}

fn people(app: &TestApp, institution: &Institution) -> Vec<String> {
    let mut shared = app.platform.shared.get().expect("shared");
    let tenant = app.platform.tenants.open(&mut shared, institution.id).expect("opened");
    let connection = &mut *tenant.get().expect("connection");
    users::table.order(users::email).select(users::email).load(connection).expect("people")
}

/// Nothing but the databases that serve and the copies that have a row.
#[track_caller]
fn assert_no_strays(platform: &Platform) {
    let shared = &mut *platform.shared.get().expect("shared");
    let mut known: Vec<String> = Vec::new();
    for row in tenant_databases::all(shared).expect("read") {
        known.push(if engine() == Engine::Sqlite {
            row.database.location
        } else {
            row.database.database_name
        });
    }
    for copy in tenant_copies::all(shared).expect("read") {
        known.push(if engine() == Engine::Sqlite { copy.location } else { copy.database_name });
    }
    let mut listed = platform.engine.list().expect("listed");
    listed.retain(|name| !known.contains(name));
    assert_eq!(listed, Vec::<String>::new());
    let mut roles = platform.engine.roles().expect("roles");
    roles.retain(|name| !known.contains(name));
    assert_eq!(roles, Vec::<String>::new());
    let log = audit::verify(shared, &platform.keys.audit_key()).expect("verified");
    assert_eq!(log.broken, None);
}

#[test]
fn a_backup_is_sealed_verified_and_restored_into_a_new_database() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let before = people(&app, &mit);
    let backup = take(&app.platform, Some(mit.id));
    let path = file(&app.platform, &backup);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("folder"))), (0o600, 0o700));
    let sealed = fs::read(&path).expect("the file");
    assert!(!sealed.windows(8).any(|part| part == b"owner@mi"), "an address can be read");
    assert_eq!(backup.bytes, i64::try_from(sealed.len()).expect("small"));
    assert_eq!(backup.verified_at, None);

    let verified = verify(&app.platform, backup.id);
    assert_eq!(verified.status, OperationStatus::Succeeded, "{:?}", verified.error);
    assert!(again(&app.platform, backup.id).verified_at.is_some());
    assert_no_strays(&app.platform);

    // Somebody comes after the backup, somebody is signed in, and the state of before is wanted.
    let late = format!("late.{}@mit.edu", unique());
    app.new_user(&mit, &late, Role::Viewer);
    let (signed_in, other) = (app.sign_in(&late, PASSWORD), app.owner(&eth));
    let old = tenant_databases::find(&mut app.platform.shared.get().expect("shared"), mit.id);
    let old = old.expect("read").expect("row");
    let restored = restore(&app.platform, backup.id, RestoreHow::default());
    assert_eq!(restored.status, OperationStatus::Succeeded, "{:?}", restored.error);
    assert_eq!(people(&app, &mit), before);
    let new = tenant_databases::find(&mut app.platform.shared.get().expect("shared"), mit.id);
    let new = new.expect("read").expect("row");
    assert_ne!((&new.database_name, &new.location), (&old.database_name, &String::new()));
    assert_eq!(new.generation, old.generation + 1);
    signed_in.get(&mit.path("")).is(303);
    app.visitor().post("/sign-in", &[("email", &late), ("password", PASSWORD)]).is(422);
    app.owner(&mit).get(&mit.path("/users")).is(200);
    other.get(&eth.path("")).is(200);
    assert_no_strays(&app.platform);

    // The state of a moment ago was saved, and the replaced database stays for a while.
    let all = registry::of(&mut app.platform.shared.get().expect("shared"), Some(mit.id)).expect("read");
    assert_eq!(all.first().map(|saved| saved.reason), Some(Reason::BeforeRestore));
    let kept = tenant_copies::of_institution(&mut app.platform.shared.get().expect("shared"), mit.id);
    let kept = kept.expect("read");
    assert_eq!(kept.iter().map(|copy| copy.purpose).collect::<Vec<_>>(), [Purpose::Previous]);
    assert!(app.platform.engine.exists(&copies::place(&kept[0])).expect("asked"));
    assert_eq!(copies::drop_due(&app.platform).expect("dropped"), 0, "not yet");
    diesel::update(copies_table::table)
        .set(copies_table::drop_after.eq(now() - TimeDelta::hours(1)))
        .execute(&mut *app.platform.shared.get().expect("shared"))
        .expect("aged");
    assert_eq!(copies::drop_due(&app.platform).expect("dropped"), 1);
    assert!(!app.platform.engine.exists(&copies::place(&kept[0])).expect("asked"));
    assert_no_strays(&app.platform);
    app.owner(&mit).get(&mit.path("/users")).is(200);
    // And back again to what was saved.
    let restored = restore(&app.platform, all[0].id, RestoreHow::default());
    assert_eq!(restored.status, OperationStatus::Succeeded, "{:?}", restored.error);
    app.sign_in(&late, PASSWORD).get(&mit.path("")).is(200);
}

#[test]
fn a_copy_beside_can_be_looked_into_and_goes_by_itself() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let backup = take(&app.platform, Some(mit.id));
    let generation = |app: &TestApp| {
        let row = tenant_databases::find(&mut app.platform.shared.get().expect("shared"), mit.id);
        row.expect("read").expect("row").generation
    };
    let before = generation(&app);
    let beside = restore(&app.platform, backup.id, RestoreHow { beside: true, ..RestoreHow::default() });
    assert_eq!(beside.status, OperationStatus::Succeeded, "{:?}", beside.error);
    assert_eq!(generation(&app), before);
    let copy = tenant_copies::of_operation(
        &mut app.platform.shared.get().expect("shared"),
        beside.id,
        Purpose::Beside,
    );
    let copy = copy.expect("read").expect("a copy");
    assert!(beside.result.is_some_and(|result| result.contains(&copy.database_name)));
    let contents = app.platform.engine.contents(&copies::place(&copy)).expect("readable");
    assert_eq!(contents.tables.get("users"), Some(&1));
    if engine() == Engine::Postgres {
        let entering = format!(
            "SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname, '{}') AND rolcanlogin \
             AND has_database_privilege(rolname, '{}', 'CONNECT')",
            app.settings().database_prefix,
            copy.database_name
        );
        assert_eq!(names(&mut server(), &entering), Vec::<String>::new());
    }
    assert_no_strays(&app.platform);
}

#[test]
fn what_people_write_meanwhile_is_whole_or_not_in_the_backup() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            // At most so many: a failure in the other thread must not keep this one at work for ever.
            while !stop.load(Ordering::SeqCst) && written < 3_000 {
                app.new_user(&mit, &format!("{}@busy.example", unique()), Role::Viewer);
                written += 1;
            }
            written
        });
        for _ in 0..3 {
            let backup = take(&app.platform, Some(mit.id));
            let verified = verify(&app.platform, backup.id);
            assert_eq!(verified.status, OperationStatus::Succeeded, "{:?}", verified.error);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(writer.join().expect("wrote") > 0);
    });
    assert_no_strays(&app.platform);
}

#[test]
fn a_damaged_swapped_or_foreign_file_is_found_and_does_not_count() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let (mine, other) = (take(&app.platform, Some(mit.id)), take(&app.platform, Some(eth.id)));
    let path = file(&app.platform, &mine);
    let good = fs::read(&path).expect("the file");
    let mut met = 0;
    let damage: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes[3] ^= 1,
        |bytes| bytes[40] ^= 1,
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        },
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(0),
    ];
    for spoil in damage {
        let mut bad = good.clone();
        spoil(&mut bad);
        fs::write(&path, &bad).expect("spoilt");
        let ended = verify(&app.platform, mine.id);
        assert_eq!(ended.status, OperationStatus::RolledBack, "{met}");
        let row = again(&app.platform, mine.id);
        assert!(row.verified_at.is_none() && row.fault.is_some(), "{met}: {:?}", ended.error);
        met += 1;
    }
    // Another institution's file under this one's name, and another's key.
    fs::copy(file(&app.platform, &other), &path).expect("swapped");
    let ended = verify(&app.platform, mine.id);
    assert!(ended.error.is_some_and(|words| words.contains("cannot be opened with this key")));
    fs::write(&path, &good).expect("mended");
    let ended = verify(&app.platform, mine.id);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_no_strays(&app.platform);

    // A damaged one is never restored: the present database goes on serving.
    let mut bad = good;
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&path, &bad).expect("spoilt");
    let ended = restore(&app.platform, mine.id, RestoreHow::default());
    assert_eq!(ended.status, OperationStatus::RolledBack, "{:?}", ended.error);
    // Somebody is told, until there is a good one.
    let faulty = |of: Vec<Alert>| of.iter().filter(|alert| alert.rule == "backup_faulty").count();
    assert_eq!(verify(&app.platform, mine.id).status, OperationStatus::RolledBack);
    assert_eq!(faulty(alerts::evaluate(&app.platform).expect("looked").fired), 1);
    let newer = take(&app.platform, Some(mit.id));
    assert_eq!(faulty(alerts::evaluate(&app.platform).expect("looked").resolved), 0, "not tried out yet");
    assert_eq!(verify(&app.platform, newer.id).status, OperationStatus::Succeeded);
    assert_eq!(faulty(alerts::evaluate(&app.platform).expect("looked").resolved), 1);
    app.owner(&mit).get(&mit.path("/users")).is(200);
    assert_no_strays(&app.platform);
    fs::remove_file(&path).expect("removed");
    let ended = verify(&app.platform, mine.id);
    assert!(ended.error.is_some_and(|words| words.contains("not there any more")));
    println!("{}: {met} kinds of damage found; 0 violations", engine());
}

#[test]
fn a_missing_or_old_tool_is_named_and_nothing_is_left() {
    if engine() != Engine::Postgres {
        return;
    }
    let folder = Folder::new();
    let tools = folder.path().to_owned();
    let app = TestApp::with(|settings| settings.backups.postgres_tools = Some(tools.clone()));
    let mit = app.institution("mit.edu");
    let audit = app.platform.audit(Actor::command_line());
    let refused = || {
        backups::take(&app.platform, &audit, Some(mit.id), Reason::Requested)
            .expect_err("refused")
            .to_string()
    };
    assert!(refused().contains("There is no usable pg_dump"), "{}", refused());
    let tool = |text: &str| {
        let path = tools.join("pg_dump");
        fs::write(&path, text).expect("a tool");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    };
    tool("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n");
    assert!(refused().contains("is pg_dump (PostgreSQL) 9.6.1"), "{}", refused());
    tool(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'pg_dump (PostgreSQL) 99.1'; exit; }\necho half; echo 'pg_dump: error: out of luck' >&2; exit 1\n",
    );
    assert!(refused().contains("out of luck"), "{}", refused());
    tool(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'pg_dump (PostgreSQL) 99.1'; exit; }\ncat /proc/$$/cmdline | tr '\\0' ' ' > \"$0.line\"; env > \"$0.env\"; exit 1\n",
    );
    refused();
    let line = fs::read_to_string(tools.join("pg_dump.line")).expect("the command line");
    let password = url::Url::parse(&crate::support::postgres_url()).expect("url");
    if let Some(password) = password.password() {
        assert!(!line.contains(&format!(":{password}@")), "the password is on the command line");
    }
    assert!(!fs::read_to_string(tools.join("pg_dump.env")).expect("env").contains("PROVOST_SMTP_URL"));
    let left = fs::read_dir(&app.settings().backups.folder).expect("folder").count();
    assert_eq!(left, 0, "a part was left");
}

#[test]
fn the_last_verified_one_stays_and_what_has_no_row_is_found_again() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let first = take(&app.platform, Some(mit.id));
    assert_eq!(verify(&app.platform, first.id).status, OperationStatus::Succeeded);
    let second = take(&app.platform, Some(mit.id));
    let third = take(&app.platform, Some(mit.id));
    let shared = || app.platform.shared.get().expect("shared");
    diesel::update(backups_table::table)
        .set(backups_table::kept_until.eq(now() - TimeDelta::days(1)))
        .execute(&mut *shared())
        .expect("aged");
    let tidied = retention::tidy(&app.platform).expect("tidied");
    assert_eq!((tidied.expired, tidied.adopted), (2, 0));
    assert!(file(&app.platform, &first).exists() && !file(&app.platform, &second).exists());
    assert!(!file(&app.platform, &third).exists());

    // As after a crash before the row, and the rest of another one.
    let whole = take(&app.platform, Some(mit.id));
    registry::forget(&mut shared(), whole.id).expect("forgotten");
    let part = app.settings().backups.folder.join("x.part");
    fs::write(&part, "half").expect("part");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 24 * 3600);
    fs::File::options().write(true).open(&part).and_then(|file| file.set_modified(old)).expect("aged");
    let folder = app.settings().backups.folder.join(mit.id.to_string());
    fs::copy(folder.join(format!("{}.json", whole.id)), folder.join(format!("{}.json", Id::new())))
        .expect("forged");
    let tidied = retention::tidy(&app.platform).expect("tidied");
    assert_eq!((tidied.adopted, tidied.swept), (1, 1));
    assert_eq!(again(&app.platform, whole.id).digest, whole.digest);

    // Without its key nothing of an institution can be opened any more.
    app.sql("DELETE FROM institution_keys");
    assert!(verify(&app.platform, whole.id).error.is_some_and(|words| words.contains("no data key")));
}

#[test]
fn the_schedule_takes_what_changed_and_tries_some_out() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let wait = |asked: usize| {
        eventually("the backups are taken", || {
            let open: i64 = provost::db::schema_shared::operations::table
                .filter(provost::db::schema_shared::operations::finished_at.is_null())
                .count()
                .get_result(&mut *app.platform.shared.get().expect("shared"))
                .expect("counted");
            open == 0
        });
        asked
    };
    assert_eq!(
        wait(retention::request_due(&app.platform).expect("asked")),
        3,
        "two institutions and the registry"
    );
    assert_eq!(retention::request_due(&app.platform).expect("asked"), 0, "not again on the same day");
    let age = || {
        diesel::update(backups_table::table)
            .set(backups_table::taken_at.eq(now() - TimeDelta::days(2)))
            .execute(&mut *app.platform.shared.get().expect("shared"))
            .expect("aged");
    };
    age();
    // Statistics of the server come a moment late, and the log of SQLite is written back when it closes.
    let _ = wait(retention::request_due(&app.platform).expect("asked"));
    age();
    app.new_user(&mit, "new@mit.edu", Role::Viewer);
    let taken =
        |id: Id| registry::of(&mut app.platform.shared.get().expect("shared"), Some(id)).expect("read").len();
    let before = (taken(mit.id), taken(eth.id));
    // An idle session of PostgreSQL tells of its changes within ten seconds.
    eventually("what has changed is taken", || {
        wait(retention::request_due(&app.platform).expect("asked"));
        taken(mit.id) == before.0 + 1
    });
    assert!(taken(eth.id) <= before.1 + 1);

    let standing = registry::standings(&mut app.platform.shared.get().expect("shared")).expect("read");
    assert!(standing.iter().all(|found| found.last_good_at.is_none() && found.last_taken_at.is_some()));
    assert!(wait(retention::request_trials(&app.platform).expect("asked")) > 0);
    wait(retention::request_trials(&app.platform).expect("asked"));
    let standing = registry::standings(&mut app.platform.shared.get().expect("shared")).expect("read");
    assert!(standing.iter().all(|found| found.last_good_at.is_some()), "{standing:?}");
    assert_no_strays(&app.platform);
}

#[test]
fn what_fails_keeps_no_others_from_their_turn() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let shared = || app.platform.shared.get().expect("shared");
    let latest = |one: &Institution| {
        operations::latest(&mut shared(), one.id, Kind::BackUp).expect("read").expect("asked for").id
    };
    assert_eq!(retention::request_due(&app.platform).expect("asked"), 3, "the shared one as well");
    let before = [&mit, &eth].map(|one| finished(&app.platform, latest(one)).id);
    // Both have changed since, and that of one has failed.
    let aged = now() - TimeDelta::days(2);
    diesel::update(backups_table::table)
        .set(backups_table::taken_at.eq(aged))
        .execute(&mut *shared())
        .expect("aged");
    let failed = |hours: i64| {
        let of = operations_table::table.filter(operations_table::id.eq(before[0]));
        let at = now() - TimeDelta::hours(hours);
        diesel::update(of)
            .set((operations_table::status.eq(OperationStatus::Failed), operations_table::finished_at.eq(at)))
            .execute(&mut *shared())
            .expect("failed");
    };
    failed(1);
    app.new_user(&mit, "new@mit.edu", Role::Viewer);
    app.new_user(&eth, "new@ethz.ch", Role::Viewer);
    eventually("the other has its turn", || {
        retention::request_due(&app.platform).expect("asked");
        latest(&eth) != before[1]
    });
    assert_eq!(latest(&mit), before[0], "not at once");
    failed(5);
    assert_eq!(retention::request_due(&app.platform).expect("asked"), 1);
    assert_ne!(latest(&mit), before[0], "after some hours again");
}

#[test]
fn only_one_restore_at_a_time_and_the_registry_by_its_own_way() {
    let site = Site::new();
    let platform = site.open();
    let shared = take(&platform, None);
    let audit = platform.audit(Actor::command_line());
    let refused = backups::request_restore(
        &mut platform.shared.get().expect("shared"),
        &audit,
        shared.id,
        RestoreHow::default(),
    );
    assert!(matches!(refused, Err(ModelError::Refused(_))));
    let asked = || {
        let connection = &mut *platform.shared.get().expect("shared");
        backups::request(connection, &audit, None, Reason::Requested)
    };
    asked().expect("asked");
    assert!(matches!(asked(), Err(ModelError::Changed(_))));
}

#[test]
fn a_whole_platform_comes_back_from_backups_and_the_master_key() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    app.new_super_admin("ada@platform.example");
    app.new_user(&mit, "grace@mit.edu", Role::Registrar);
    take(&app.platform, Some(mit.id));
    let registry_backup = take(&app.platform, None);
    // Newer than the registry's backup: found again by what lies beside it.
    app.new_user(&eth, "albert@ethz.ch", Role::Viewer);
    take(&app.platform, Some(eth.id));
    let verified = verify(&app.platform, registry_backup.id);
    assert_eq!(verified.status, OperationStatus::Succeeded, "{:?}", verified.error);
    let folder = Folder::new();
    for (from, to) in
        [(&app.settings().backups.folder, "backups"), (&app.settings().master_key_file, "master.key")]
    {
        let copied =
            std::process::Command::new("cp").arg("-a").arg(from).arg(folder.path().join(to)).status();
        assert!(copied.expect("cp").success());
    }
    drop(app);

    let mut site = Site::new();
    site.settings.backups.folder = folder.path().join("backups");
    let none = whole::restore_shared(&site.settings).expect_err("no key").to_string();
    assert!(none.contains("no master key"), "{none}");
    site.settings.master_key_file = folder.path().join("master.key");
    let manifest = whole::restore_shared(&site.settings).expect("restored");
    assert_eq!(manifest.backup_id, registry_backup.id);
    let over = whole::restore_shared(&site.settings).expect_err("refused").to_string();
    assert!(over.contains("already"), "{over}");

    let platform = site.open();
    let open: i64 =
        sessions::table.count().get_result(&mut *platform.shared.get().expect("c")).expect("count");
    assert_eq!(open, 0);
    let workers = platform.start_workers().expect("workers");
    for wanted in whole::wanted(&platform).expect("listed") {
        assert!(!wanted.there, "{}", wanted.domain);
        let id = whole::request(&platform, &wanted.backup.expect("a backup")).expect("asked");
        platform.operations.wake();
        let ended = finished(&platform, id);
        assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    }
    assert!(whole::wanted(&platform).expect("listed").iter().all(|wanted| wanted.there));
    assert_no_strays(&platform);
    workers.stop();
    platform.close();
    drop(platform);
    let app = TestApp::on(site);
    app.sign_in("ada@platform.example", PASSWORD).get("/platform/institutions").is(200).shows("mit.edu");
    app.sign_in("grace@mit.edu", PASSWORD).get(&mit.path("/students")).is(200);
    app.sign_in("albert@ethz.ch", PASSWORD).get(&eth.path("")).is(200);
}

#[test]
fn super_admins_back_up_verify_and_restore_on_the_pages() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let admin = app.super_admin();
    let home = "/platform/institutions/mit.edu";
    let wait = |answer: crate::support::caller::Answer| {
        let path = answer.is(303).location().to_owned();
        let id: Id = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an operation");
        let ended = finished(&app.platform, id);
        assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
        admin.get(&path).is(200).shows("Done");
        ended
    };
    admin.get("/platform/backups").is(200).shows("No backups yet");
    let page = admin.get(home).is(200).shows("Last verified backup");
    wait(page.form(&format!("form[action=\"{home}/backups\"]")).submit(&admin));
    let list = admin.get("/platform/backups?q=mit").is(200).shows("Not verified");
    let place = list
        .attributes("main tbody a", "href")
        .into_iter()
        .find(|link| link.starts_with("/platform/backups/"));
    let place = place.expect("a link");
    let page = admin.get(&place).is(200).shows("What is in it").shows("SHA-256");
    wait(page.form(&format!("form[action=\"{place}/verification\"]")).submit(&admin));
    admin.get("/platform/backups?state=verified").is(200).shows("1 backup");
    admin.get(&place).is(200).shows("Verified");
    wait(admin.post(&format!("{place}/copy"), &[]));
    admin.get(&place).is(200).shows("Copy beside");

    let late = format!("late.{}@mit.edu", unique());
    app.new_user(&mit, &late, Role::Viewer);
    let ask = format!("{place}/restore");
    let form = admin.get(&ask).is(200).form(&format!("form[action=\"{ask}\"]"));
    form.submit(&admin).is(422);
    form.fill("confirmation", "ethz.ch").submit(&admin).is(422);
    wait(form.fill("confirmation", "mit.edu").submit(&admin));
    app.visitor().post("/sign-in", &[("email", &late), ("password", PASSWORD)]).is(422);
    wait(admin.post("/platform/backups", &[]));
    let csv = admin.get("/platform/backups.csv").is(200);
    assert_eq!(csv.text().lines().count(), 4, "{}", csv.text());
    let shared = admin.get("/platform/backups?q=shared").is(200);
    let links = shared.attributes("main tbody a", "href");
    let shared = links.iter().find(|link| link.starts_with("/platform/backups/")).expect("a link");
    admin.get(&format!("{shared}/restore")).is(404);
    admin.get("/platform/audit?q=restored").is(200);
    assert_no_strays(&app.platform);
}

#[test]
fn the_command_line_backs_up_restores_and_brings_a_platform_back() {
    use crate::support::binary::provost;
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    app.new_super_admin("ada@platform.example");
    // The binary works by itself: this process stops.
    let site = app.into_site();
    let run = |site: &Site, arguments: &[&str]| {
        let output = provost(site, arguments).output().expect("run");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    run(&site, &["backup", "run", "mit.edu"]);
    run(&site, &["backup", "verify", "mit.edu"]);
    run(&site, &["restore", "mit.edu", "--beside"]);
    let restored = || {
        let told = run(&site, &["restore", "mit.edu", "--yes", "--json"]);
        serde_json::from_str::<serde_json::Value>(&told).expect("JSON")["backup"].clone()
    };
    assert_eq!(restored(), restored(), "run again, it does not bring back what it has just replaced");
    let all: serde_json::Value =
        serde_json::from_str(&run(&site, &["backup", "run", "--all", "--json"])).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    let listed: serde_json::Value =
        serde_json::from_str(&run(&site, &["backup", "list", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(5), "{listed}");
    let taken_at = listed[0]["taken_at"].as_str().expect("a time");
    assert!(taken_at.contains('T'), "as every other command writes it: {taken_at}");
    assert!(run(&site, &["backup", "list", "--institution", "mit.edu"]).contains("Before a restore"));

    let new = Site::new();
    fs::create_dir_all(&new.settings.data_dir).expect("folder");
    fs::copy(&site.settings.master_key_file, &new.settings.master_key_file).expect("the key");
    fs::set_permissions(&new.settings.master_key_file, fs::Permissions::from_mode(0o600)).expect("mode");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(&site.settings.backups.folder)
        .arg(&new.settings.backups.folder)
        .status();
    assert!(copied.expect("cp").success());
    drop(site);
    assert!(run(&new, &["restore-platform", "--yes"]).contains("mit.edu"));
    assert_eq!(run(&new, &["restore-platform", "--yes", "--json"]).trim(), "[]", "nothing is left to do");
    let app = TestApp::on(new);
    app.sign_in("ada@platform.example", PASSWORD).get("/platform").is(200);
    app.owner(&mit).get(&mit.path("/users")).is(200);
}

#[test]
fn a_full_disk_is_told_and_the_last_good_backup_stays() {
    use crate::support::disk::Disk;
    let folder = Folder::new();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 4) else { return };
    let place = disk.path().join("backups");
    let app = TestApp::with(|settings| settings.backups.folder = place.clone());
    let mit = app.institution("mit.edu");
    let good = take(&app.platform, Some(mit.id));
    disk.fill(8);
    let audit = app.platform.audit(Actor::command_line());
    let told = backups::take(&app.platform, &audit, Some(mit.id), Reason::Requested).expect_err("full");
    assert!(told.to_string().contains("no space left"), "{told}");
    let rows = registry::of(&mut app.platform.shared.get().expect("shared"), Some(mit.id)).expect("read");
    assert_eq!(rows.len(), 1);
    let parts = fs::read_dir(&place).expect("folder").filter_map(Result::ok);
    assert_eq!(parts.filter(|entry| entry.path().extension().is_some_and(|end| end == "part")).count(), 0);
    let verified = verify(&app.platform, good.id);
    assert_eq!(verified.status, OperationStatus::Succeeded, "{:?}", verified.error);
    disk.empty();
    take(&app.platform, Some(mit.id));
}

#[test]
fn backups_in_a_bucket_are_the_same_backups() {
    use crate::support::bucket::FakeBucket;
    let bucket = FakeBucket::start();
    let s3 = bucket.settings();
    let app = TestApp::with(|settings| settings.backups.s3 = Some(s3));
    let mit = app.institution("mit.edu");
    let backup = take(&app.platform, Some(mit.id));
    assert_eq!(bucket.names().len(), 2, "{:?}", bucket.names());
    let parts = fs::read_dir(&app.settings().backups.folder).expect("folder").count();
    assert_eq!(parts, 0, "what was sent is gone here");
    let verified = verify(&app.platform, backup.id);
    assert_eq!(verified.status, OperationStatus::Succeeded, "{:?}", verified.error);
    let restored = restore(&app.platform, backup.id, RestoreHow::default());
    assert_eq!(restored.status, OperationStatus::Succeeded, "{:?}", restored.error);
    app.owner(&mit).get(&mit.path("/users")).is(200);

    registry::forget(&mut app.platform.shared.get().expect("shared"), backup.id).expect("forgotten");
    assert_eq!(retention::tidy(&app.platform).expect("tidied").adopted, 1);
    diesel::update(backups_table::table)
        .set(backups_table::kept_until.eq(now() - TimeDelta::days(1)))
        .execute(&mut *app.platform.shared.get().expect("shared"))
        .expect("aged");
    assert_eq!(retention::tidy(&app.platform).expect("tidied").expired, 1, "the newest stays");
    assert_eq!(bucket.names().len(), 2, "{:?}", bucket.names());
    // A service that refuses: told, and nothing is entered.
    bucket.refuse();
    let audit = app.platform.audit(Actor::command_line());
    let told = backups::take(&app.platform, &audit, Some(mit.id), Reason::Requested).expect_err("refused");
    assert!(told.to_string().contains("403") && !told.to_string().contains("Signature"), "{told}");
    let rows = registry::of(&mut app.platform.shared.get().expect("shared"), Some(mit.id)).expect("read");
    assert_eq!(rows.len(), 1);
}
