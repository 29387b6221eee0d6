//! How an institution leaves: archived with a proved backup, brought back in one act, deleted by two and after a grace.

use std::{fs, time::Duration};

use chrono::TimeDelta;
use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id, now,
        schema_shared::{
            backups as backups_table, institution_deletions, institution_keys, login_index, registrations,
        },
    },
    models::{
        Actor,
        platform::{
            audit, backups as registry,
            operations::{self, Kind, Operation, OperationStatus},
            tenant_copies, tenant_databases,
        },
    },
    services::{
        backups::{self, copies, retention},
        leaving::{self, deletion},
        platform::Platform,
    },
};

use crate::support::{
    app::{Institution, PASSWORD, TestApp, eventually},
    caller::Caller,
    engine, finished, status,
};

/// Nothing stands around that no row knows, and the log of what was done is whole.
#[track_caller]
pub fn assert_no_strays(platform: &Platform, what: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    let mut known = Vec::new();
    for row in tenant_databases::all(shared).expect("read") {
        if row.database.status != tenant_databases::DatabaseStatus::Dropped {
            known.extend([row.database.location, row.database.database_name]);
        }
    }
    for copy in tenant_copies::all(shared).expect("read") {
        known.extend([copy.location, copy.database_name]);
    }
    let mut strays = platform.engine.list().expect("listed");
    strays.extend(platform.engine.roles().expect("roles"));
    strays.retain(|name| !known.contains(name));
    assert_eq!(strays, Vec::<String>::new(), "{what}");
    assert_eq!(audit::verify(shared, &platform.keys.audit_key()).expect("read").broken, None, "{what}");
}

fn operation_of(app: &TestApp, location: &str) -> Operation {
    let id = location.rsplit('/').next().unwrap_or_default().parse().expect("an operation");
    finished(&app.platform, id)
}

#[track_caller]
fn archive(app: &TestApp, admin: &Caller, institution: &Institution) {
    let place = format!("/platform/institutions/{}/archiving", institution.domain);
    let form = admin.get(&place).is(200).form("main form");
    let answer = form.fill("reason", "The contract ended.").submit(admin).is(303);
    let ended = operation_of(app, answer.location());
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
}

fn agree_and_let_time_pass(app: &TestApp, id: Id) {
    let connection = &mut *app.platform.shared.get().expect("shared");
    diesel::update(institution_deletions::table.find(id))
        .set(institution_deletions::due_at.eq(now() - TimeDelta::hours(1)))
        .execute(connection)
        .expect("aged");
}

fn rows(platform: &Platform, id: Id) -> (i64, i64, i64, i64) {
    let c = &mut *platform.shared.get().expect("shared");
    let count = |c: &mut _| {
        (
            institution_keys::table.filter(institution_keys::institution_id.eq(id)).count().get_result(c),
            login_index::table.filter(login_index::institution_id.eq(id)).count().get_result(c),
            backups_table::table.filter(backups_table::institution_id.eq(id)).count().get_result(c),
            registrations::table
                .filter(registrations::institution_id.eq(id))
                .filter(registrations::admin_email.is_not_null())
                .count()
                .get_result(c),
        )
    };
    let (keys, logins, backups, names) = count(c);
    (keys.expect("keys"), logins.expect("logins"), backups.expect("backups"), names.expect("names"))
}

#[test]
fn an_archived_institution_is_gone_for_its_people_and_comes_back_whole() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let (admin, owner, other) = (app.super_admin(), app.owner(&mit), app.owner(&eth));
    let place = format!("/platform/institutions/{}", mit.domain);
    assert!(admin.get(&place).is(200).text().contains(&format!("{place}/archiving")));
    let page = admin.get(&format!("{place}/archiving")).is(200).main();
    for words in ["person who can sign in is cut off1", "open session ends at once1", "bring it back"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    admin.post(&format!("{place}/archiving"), &[]).is(422).shows("Say why");
    admin.get(&format!("{place}/archiving/remove")).leads_to(&place);

    archive(&app, &admin, &mit);
    assert_eq!(status(&app.platform, mit.id), "archived");
    owner.get(&mit.path("")).is(403).shows("Institution archived");
    app.visitor().get(&mit.path("/students")).is(403);
    app.visitor().post("/sign-in", &[("email", &mit.owner_email), ("password", PASSWORD)]).is(422);
    other.get(&eth.path("")).is(200);
    assert_no_strays(&app.platform, "archived");
    let shared = &mut *app.platform.shared.get().expect("shared");
    let row = tenant_databases::find(shared, mit.id).expect("read").expect("kept, with its name");
    assert_eq!(row.status, tenant_databases::DatabaseStatus::Dropped);
    assert!(tenant_copies::of_institution(shared, mit.id).expect("read").is_empty());
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("is archived")));
    // There is nothing to copy or to tend to, and that is said.
    let page = admin.get(&place).is(200).text();
    assert!(!page.contains(&format!("{place}/backups")) && !page.contains(&format!("{place}/maintenance")));
    let audit = app.platform.audit(Actor::command_line());
    let refused = backups::take(&app.platform, &audit, Some(mit.id), registry::Reason::Requested)
        .expect_err("no database")
        .to_string();
    assert!(refused.ends_with("has no database to back up."), "{refused}");
    // However old it gets, the backup stays.
    diesel::update(backups_table::table)
        .set(backups_table::kept_until.eq(now() - TimeDelta::days(1)))
        .execute(shared)
        .expect("aged");
    retention::tidy(&app.platform).expect("tidied");
    let kept = registry::last_verified(shared, mit.id).expect("read").expect("verified");
    assert_eq!(kept.reason, registry::Reason::BeforeArchive);

    let form = admin.get(&format!("{place}/archiving/remove")).is(200).form("main form");
    let ended = operation_of(&app, form.submit(&admin).is(303).location());
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(status(&app.platform, mit.id), "active");
    let owner = app.owner(&mit);
    owner.get(&mit.path("/users")).is(200).shows(&mit.owner_email);
    assert_no_strays(&app.platform, "back");
    let history = admin.get(&place).is(200).main();
    assert!(history.contains("archived the institution"), "{history}");
    assert!(history.contains("brought the institution back"), "{history}");
    // And once more, from what was brought back.
    archive(&app, &admin, &mit);
    assert_no_strays(&app.platform, "archived again");
}

#[test]
fn an_institution_that_cannot_be_archived_is_as_before() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let platform = &app.platform;
    let folder = &platform.settings.backups.folder;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.parent().expect("a parent")).expect("made");
    fs::write(folder, "in the way").expect("blocked");
    app.suspend(&mit);
    let audit = platform.audit(Actor::command_line());
    let id = {
        let connection = &mut *platform.shared.get().expect("shared");
        leaving::request_archive(connection, &audit, mit.id, "Gone.").expect("asked")
    };
    platform.operations.wake();
    let ended = finished(platform, id);
    assert_eq!(ended.status, OperationStatus::RolledBack, "{:?}", ended.error);
    assert_eq!(status(platform, mit.id), "suspended");
    assert!(!ended.may_be_tried_again());
    app.super_admin().post(&format!("/platform/operations/{id}/attempts"), &[]).is(303);
    assert_eq!(finished(platform, id).status, OperationStatus::RolledBack, "nothing is tried again");
    app.reactivate(&mit);
    app.owner(&mit).get(&mit.path("")).is(200);
    assert_no_strays(platform, "as before");
    fs::remove_file(folder).expect("unblocked");
}

#[test]
fn two_people_and_thirty_days_delete_an_institution_for_good() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let admin = app.super_admin();
    let place = format!("/platform/institutions/{}/deletion", mit.domain);
    // One alone cannot.
    admin.get(&place).is(200).shows("there is only one super admin");
    let fields = [("reason", "They left."), ("confirmation", "mit.edu")];
    admin.post(&place, &fields).leads_to(&place);
    admin.get(&place).is(200).shows("Nothing was changed");
    let second = app.super_admin();
    let form = admin.get(&place).is(200).form("main form");
    form.fill("reason", "They left.").fill("confirmation", "mit").submit(&admin).is(422);
    form.fill("reason", "They left.").fill("confirmation", "mit.edu").submit(&admin).leads_to(&place);
    admin.get(&place).is(200).shows("Another super admin has to agree");
    admin.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    admin.get(&place).is(200).shows("Another super admin has to agree to it.");
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("is to be deleted on")));
    // Without the second nothing happens, however late it is.
    agree_and_let_time_pass(&app, mit.id);
    assert_eq!(deletion::sweep(&app.platform, now()).expect("swept"), deletion::Swept::default());
    // Taken back in one act.
    let page = second.get(&place).is(200);
    assert!(page.text().contains(&format!("{place}/agreement")));
    second.post(&format!("{place}/remove"), &[]).is(303);
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("is not deleted")));
    for caller in [&admin, &app.owner(&mit)] {
        caller.get("/notifications").is(200).shows("stays: its deletion was taken back");
    }
    second.post(&format!("{place}/remove"), &[]).is(303);

    admin.post(&place, &fields).leads_to(&place);
    second.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    let owner = app.owner(&mit);
    owner.get(&mit.path("")).is(200);
    let in_days = |days| now() + TimeDelta::days(30) - TimeDelta::days(days) + TimeDelta::minutes(5);
    let swept = |at| deletion::sweep(&app.platform, at).expect("swept");
    let reminded = deletion::Swept { reminded: 1, begun: 0 };
    assert_eq!(swept(in_days(8)), deletion::Swept::default());
    assert_eq!(swept(in_days(7)), reminded);
    assert_eq!(swept(in_days(7)), deletion::Swept::default(), "once is enough");
    assert_eq!(swept(in_days(1)), reminded);
    assert_eq!(swept(in_days(1)), deletion::Swept::default());
    let mails = app.mails(&mit.owner_email);
    assert!(mails.iter().any(|mail| mail.contains("is deleted in 7 days")), "{mails:?}");
    assert!(mails.iter().any(|mail| mail.contains("is deleted within a day")), "{mails:?}");

    let audit = app.platform.audit(Actor::command_line());
    let backup =
        backups::take(&app.platform, &audit, Some(mit.id), registry::Reason::Requested).expect("a backup");
    let folder = app.platform.settings.backups.folder.join(mit.id.to_string());
    assert!(folder.join(format!("{}.backup", backup.id)).is_file());
    agree_and_let_time_pass(&app, mit.id);
    assert_eq!(swept(now()), deletion::Swept { reminded: 0, begun: 1 });
    let id = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        operations::latest(connection, mit.id, Kind::Delete).expect("read").expect("begun").id
    };
    let ended = finished(&app.platform, id);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(status(&app.platform, mit.id), "deleted");
    assert_eq!(rows(&app.platform, mit.id), (0, 0, 0, 0));
    assert_eq!(rows(&app.platform, eth.id).0, 1);
    assert_no_strays(&app.platform, "deleted");
    let left = fs::read_dir(&folder).map(|files| files.count()).unwrap_or_default();
    assert_eq!(left, 0, "files of backups");
    owner.get(&mit.path("")).is(303);
    app.owner(&eth).get(&mit.path("")).is(404);
    app.owner(&eth).get(&eth.path("")).is(200);
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("gone for good")));
    // What was done stays to be read, and nobody takes the domain over.
    let page = second.get(&format!("/platform/institutions/{}", mit.domain)).is(200).main();
    assert!(page.contains("deleted the institution") && page.contains("They left."), "{page}");
    let taken = provost::models::platform::institutions::find_by_domain(
        &mut app.platform.shared.get().expect("shared"),
        &mit.domain,
    );
    assert_eq!(taken.expect("kept").id, mit.id);
    assert_eq!(swept(now()), deletion::Swept::default());
    assert_eq!(copies::drop_due(&app.platform).expect("dropped"), 0);
    println!("{}: archived, brought back, deleted", engine());
}

#[test]
fn an_archived_institution_is_deleted_too_and_its_people_are_told() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let (admin, second) = (app.super_admin(), app.super_admin());
    archive(&app, &admin, &mit);
    let place = format!("/platform/institutions/{}", mit.domain);
    let fields = [("when", "grace"), ("reason", "They left."), ("confirmation", "mit.edu")];
    admin.post(&format!("{place}/deletion"), &fields).is(303);
    // Who wants it back takes the deletion back first.
    admin.post(&format!("{place}/archiving/remove"), &[]).leads_to(&place);
    admin.get(&place).is(200).shows("Take that back first");
    second.post(&format!("{place}/deletion/agreement"), &[]).is(303);
    agree_and_let_time_pass(&app, mit.id);
    deletion::sweep(&app.platform, now()).expect("swept");
    let id = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        operations::latest(connection, mit.id, Kind::Delete).expect("read").expect("begun").id
    };
    assert_eq!(finished(&app.platform, id).status, OperationStatus::Succeeded);
    assert_eq!(status(&app.platform, mit.id), "deleted");
    assert_eq!(rows(&app.platform, mit.id), (0, 0, 0, 0));
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("gone for good")));
    if engine() == Engine::Sqlite {
        let trash = app.platform.settings.data_dir.join("trash");
        assert_eq!(fs::read_dir(trash).map(|files| files.count()).unwrap_or_default(), 0);
    }
}

#[test]
fn an_archived_institution_need_not_wait_once_two_agree() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let mit = app.institution("mit.edu");
    let (admin, second) = (app.super_admin(), app.super_admin());
    let place = format!("/platform/institutions/{}/deletion", mit.domain);
    let fields = [("when", "at_once"), ("reason", "They left."), ("confirmation", "mit.edu")];
    // While people work there, the days stand.
    assert!(!admin.get(&place).is(200).main().contains("As soon as"));
    admin.post(&place, &fields).leads_to(&place);
    admin.get(&place).is(200).shows("is in use. Archive it first");
    archive(&app, &admin, &mit);
    admin.post(&place, &fields[..2]).is(422);
    let form = admin.get(&place).is(200).form("main form");
    let form = fields.iter().fold(form, |form, (name, value)| form.fill(name, value));
    form.submit(&admin).leads_to(&place);
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("is to be deleted")));
    admin.get(&place).is(200).shows("As soon as another super admin agrees");
    // Not by one alone, however often they look; taken back in one act.
    admin.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    assert_eq!(deletion::sweep(&app.platform, now()).expect("swept"), deletion::Swept::default());
    second.post(&format!("{place}/remove"), &[]).is(303);
    assert_eq!(status(&app.platform, mit.id), "archived");
    let command = |arguments: &[&str]| {
        let output = crate::support::binary::provost(app.site(), arguments).output().expect("run");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let asked =
        ["institution", "delete", "mit.edu", "--reason", "They left.", "--at-once", "--yes", "--json"];
    assert_eq!(command(&asked)["at_once"], true);
    second.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    let id = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        operations::latest(connection, mit.id, Kind::Delete).expect("read").expect("begun").id
    };
    assert_eq!(finished(&app.platform, id).status, OperationStatus::Succeeded);
    assert_eq!(status(&app.platform, mit.id), "deleted");
    assert_eq!(rows(&app.platform, mit.id), (0, 0, 0, 0));
    assert_no_strays(&app.platform, "deleted at once");
    assert!(app.mails(&mit.owner_email).iter().any(|mail| mail.contains("gone for good")));
}

/// What is in an archive, by name.
fn unpacked(archive: &[u8]) -> std::collections::BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).expect("an archive");
    let mut found = std::collections::BTreeMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).expect("a file");
        let (mut text, name) = (String::new(), file.name().expect("a name").into_owned());
        std::io::Read::read_to_string(&mut file, &mut text).expect("text");
        found.insert(name, text);
    }
    found
}

#[test]
fn the_data_can_be_taken_along_by_those_who_may_and_nobody_else() {
    let app = TestApp::start();
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    let (owner, neighbour, registrar) = (app.owner(&mit), app.owner(&eth), app.registrar(&mit));
    let admin = app.super_admin();
    let form = owner.get(&mit.path("/students/new")).is(200).form("main form");
    form.fill("name", "=1+1").fill("student_number", "S-1").submit(&owner).is(303);
    owner.get(&mit.path("/settings")).is(200).shows("Export all data");
    let link = mit.path("/export.zip");
    let page = owner.get(&mit.path("/export")).is(200);
    assert!(page.attributes("main a", "href").contains(&link), "{}", page.text());
    let taken = owner.get(&link).is(200);
    assert_eq!(taken.header("content-type"), Some("application/zip"));
    let files = unpacked(&taken.body);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected =
        ["README.txt", "activity.csv", "manifest.json", "settings.csv", "students.csv", "users.csv"];
    assert_eq!(names, expected);
    assert!(files["students.csv"].contains("'=1+1"), "{}", files["students.csv"]);
    assert!(files["users.csv"].contains(&mit.owner_email));
    assert!(!files.values().any(|text| text.contains("$2b$")), "a hash of a password");
    assert!(files["README.txt"].contains("students.csv: 1 rows"), "{}", files["README.txt"]);
    let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).expect("JSON");
    assert_eq!(manifest["rows"]["students.csv"], 1);
    owner.get(&mit.path("/activity")).is(200).shows("Took export");

    // Nobody else's: not another institution's, not below an owner.
    neighbour.get(&link).is(404);
    registrar.get(&link).is(403);
    app.visitor().get(&link).is(303);
    owner.get("/platform/institutions/mit.edu/export.zip").is(404);
    let place = "/platform/institutions/mit.edu/export";
    let page = admin.get(place).is(200);
    let own = format!("{place}.zip");
    assert!(page.attributes("main a", "href").contains(&own), "{}", page.text());
    assert_eq!(unpacked(&admin.get(&own).is(200).body).len(), 6);
    admin.get("/platform/audit?action=institution_data.exported").is(200).shows("Took export");
    archive(&app, &admin, &mit);
    admin.get(&own).leads_to(place);
    admin.get(place).is(200).shows("Nothing was exported");
}

/// More records than are read at once, which nothing makes small.
fn fill_long(app: &TestApp, of: &Institution, count: usize) {
    use provost::models::institution::{
        Activity,
        people::PersonFields,
        students::{self, StudentFields, StudentStatus},
    };
    let activity = Activity::new(Actor::command_line());
    let added = app.behind(of).write_tx::<_, provost::models::ModelError>(|c| {
        for number in 0..count {
            let notes: String = (0..850).map(|_| Id::new().to_string()[24..].to_owned()).collect();
            let person = PersonFields { name: format!("Student {number}"), ..PersonFields::default() };
            let fields = StudentFields {
                student_number: format!("S-{number:05}"),
                person,
                status: StudentStatus::Active,
                admission_year: None,
                programme: None,
                notes: Some(notes),
            };
            students::create(c, &activity, &fields)?;
        }
        Ok(())
    });
    added.expect("added");
}

#[test]
fn who_takes_much_data_slowly_keeps_nobody_waiting() {
    use std::io::{Read as _, Write as _};
    let app = TestApp::with(|settings| settings.limits.tenant_connections = 1);
    let mit = app.institution("mit.edu");
    fill_long(&app, &mit, 1_500);
    let owner = app.owner(&mit);
    let whole = unpacked(&owner.get(&mit.path("/export.zip")).is(200).body);
    let lines = |text: &str| text.lines().count() - 1;
    assert_eq!(lines(&whole["students.csv"]), 1_500);
    assert!(whole["README.txt"].contains("students.csv: 1500 rows"), "{}", whole["README.txt"]);
    assert!(whole["students.csv"].contains("S-01499") && whole["students.csv"].contains("S-00000"));
    assert!(lines(&whole["activity.csv"]) > 1_500);
    assert_eq!(whole["students.csv"].matches('\u{FEFF}').count(), 1);

    // Somebody begins to take it, and takes no more: the only connection is free for others.
    let cookie = owner.cookie("provost").or_else(|| owner.cookie("__Host-provost")).expect("signed in");
    let mut stream = std::net::TcpStream::connect(app.address).expect("connected");
    let name = if owner.cookie("provost").is_some() { "provost" } else { "__Host-provost" };
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\ncookie: {name}={cookie}\r\n\r\n",
        mit.path("/export.zip"),
        app.address
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut begun = [0; 512];
    stream.read_exact(&mut begun).expect("begun");
    assert!(begun.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begun));
    for _ in 0..3 {
        eventually("the connection is free", || owner.get(&mit.path("/students")).status == 200);
    }
}

#[test]
fn a_download_that_has_begun_waits_for_a_busy_database() {
    use std::io::{Read as _, Write as _};
    let app = TestApp::with(|settings| {
        settings.limits.tenant_connections = 1;
        settings.limits.gate_wait = Duration::from_millis(100);
        settings.scheduled = false;
    });
    let mit = app.institution("mit.edu");
    fill_long(&app, &mit, 2_500);
    let owner = app.owner(&mit);
    let (name, cookie) = ["provost", "__Host-provost"]
        .into_iter()
        .find_map(|name| Some((name, owner.cookie(name)?)))
        .expect("signed in");
    let mut stream = std::net::TcpStream::connect(app.address).expect("connected");
    let path = mit.path("/export.zip");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: {name}={cookie}\r\n\r\n",
        app.address
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut whole = vec![0; 512];
    stream.read_exact(&mut whole).expect("begun");
    // Somebody has the only connection, until the download has been refused it.
    let tenant =
        app.platform.tenants.open(&mut app.platform.shared.get().expect("shared"), mit.id).expect("opened");
    let mut held = None;
    eventually("the connection is had", || {
        held = tenant.get().ok();
        held.is_some()
    });
    let rest = std::thread::spawn(move || stream.read_to_end(&mut whole).map(|_| whole));
    let (meter, mut waits) = (app.platform.meters.tenant(mit.id), 0);
    meter.take();
    eventually("it was refused and asked again", || {
        waits += meter.take().waits;
        rest.is_finished() || waits > 2
    });
    assert!(!rest.is_finished(), "it did not break off");
    drop(held);
    let whole = rest.join().expect("read").expect("read to its end");
    assert!(whole.ends_with(b"0\r\n\r\n"), "the last chunk of all");
}
