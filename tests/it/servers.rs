//! Several servers under one platform: added, checked, filled by room, drained and removed.

use chrono::TimeDelta;
use diesel::prelude::*;
use provost::{
    db::{Engine, Id, engine::HOME, schema_tenant::students, shared::SharedConn},
    models::{
        Actor, ModelError,
        platform::{
            admins::AdminRole,
            backups::Reason,
            operations::{self, Kind, OperationStatus},
            servers::{self, DatabaseServer},
            tenant_databases::{self, NewTenantDatabase, TenantDatabase},
        },
    },
    services::{
        backups::{self, RestoreHow, copies, retention},
        doctor, leaving, monitoring,
        servers::{self as service, Entered},
        upkeep,
    },
};

use crate::support::{
    app::{Institution, PASSWORD, TestApp, eventually},
    approve,
    binary::provost,
    caller::Caller,
    engine, finished, names,
    own_server::OwnServer,
    status,
};

/// Address and password, as they are entered.
pub fn parts(server: &OwnServer) -> (String, String) {
    let mut url = url::Url::parse(&server.url).expect("url");
    let password = url.password().expect("a password").to_owned();
    url.set_password(None).expect("set");
    (url.into(), password)
}

/// Another server than the platform's own, known under this name.
pub fn added(app: &TestApp, server: &OwnServer, name: &str) -> DatabaseServer {
    let (address, password) = parts(server);
    let entered = Entered {
        name: name.into(),
        address,
        password: Some(password),
        capacity: 100,
        most_connections: None,
    };
    let audit = app.platform.audit(Actor::command_line());
    service::add(&app.platform, &audit, &entered).expect("added")
}

pub fn database(app: &TestApp, institution: &Institution) -> TenantDatabase {
    let mut shared = app.platform.shared.get().expect("shared");
    tenant_databases::find(&mut shared, institution.id).expect("read").expect("a database")
}

pub fn add_student(caller: &Caller, institution: &Institution, name: &str, number: &str) {
    let form = caller.get(&institution.path("/students/new")).is(200).form("main form");
    form.fill("name", name).fill("student_number", number).submit(caller).is(303);
}

pub fn student_numbers(app: &TestApp, institution: &Institution) -> Vec<String> {
    let mut shared = app.platform.shared.get().expect("shared");
    let tenant = app.platform.tenants.open(&mut shared, institution.id).expect("opened");
    let connection = &mut *tenant.get().expect("connection");
    students::table
        .order(students::student_number)
        .select(students::student_number)
        .load(connection)
        .expect("students")
}

#[test]
fn a_server_is_added_checked_filled_and_drained() {
    let (app, second) = (TestApp::start(), OwnServer::start(&[]));
    let (address, password) = parts(&second);
    let admin = app.super_admin();
    admin.get("/platform/servers").is(200).shows("main").shows("Accepting").shows("1 server");
    let form = admin.get("/platform/servers/new").is(200).form("main form");
    let form = form.fill("name", "second");
    form.submit(&admin).is(422).shows("Enter address");
    form.fill("address", &second.url).submit(&admin).is(422).shows("password in its own field");
    form.fill("address", "mysql://x/y").submit(&admin).is(422);
    form.fill("address", &address).fill("password", "wrong").submit(&admin).is(422);
    let form = form.fill("address", &address).fill("password", &password).fill("capacity", "3");
    let place = form.submit(&admin).is(303).location().to_owned();
    let page = admin.get(&place).is(200).shows("PostgreSQL").shows("0 of 3");
    assert!(!page.text().contains(&password));
    let edit = admin.get(&format!("{place}/edit")).is(200);
    assert!(!edit.text().contains(&password));
    form.fill("name", "third").submit(&admin).is(422).shows("second, which is known already");

    // Half of nothing is on the platform's own server, all of the other is free; then the other is the fuller one.
    let home = format!("/platform/servers/{HOME}");
    admin.post(&format!("{home}/draining"), &[]).is(303);
    admin.get(&home).is(200).shows("Draining");
    let mit = app.institution("mit.edu");
    let row = database(&app, &mit);
    assert_eq!((row.engine, row.server_id.to_string()), (Engine::Postgres, place[18..].to_owned()));
    let owner = app.owner(&mit);
    add_student(&owner, &mit, "Marie Curie", "S-1");
    assert_eq!(student_numbers(&app, &mit), ["S-1"]);
    admin.get(&place).is(200).shows("1 of 3").shows("mit.edu");
    admin.get("/platform/institutions/mit.edu").is(200).shows("second");

    // What is done with a database is done where it is.
    let audit = app.platform.audit(Actor::command_line());
    let backup = backups::take(&app.platform, &audit, Some(mit.id), Reason::Requested).expect("taken");
    assert_eq!(backup.engine, Engine::Postgres);
    add_student(&owner, &mit, "Ève Curie", "S-2");
    let operation = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        let how = RestoreHow::default();
        backups::request_restore(connection, &audit, backup.id, how).expect("asked")
    };
    app.platform.operations.wake();
    let ended = finished(&app.platform, operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(student_numbers(&app, &mit), ["S-1"]);
    assert_eq!(database(&app, &mit).server_id, row.server_id);
    let urgent: Vec<_> = doctor::examine(&app.platform)
        .into_iter()
        .filter(|check| ["Rights", "Institutions' databases"].contains(&check.name))
        .flat_map(|check| check.findings)
        .filter(|finding| finding.urgent)
        .collect();
    assert_eq!(urgent, []);

    // Where nothing has room, the step says what to do, and the institution can be tried again.
    admin.post(&format!("{place}/draining"), &[]).is(303);
    let eth = app.registered("ethz.ch");
    let operation = approve(&app.platform, eth.id);
    let ended = finished(&app.platform, operation);
    assert!(ended.error.as_deref().is_some_and(|words| words.contains("No server has room")), "{ended:?}");
    assert_eq!(status(&app.platform, eth.id), "provisioning_failed");
    admin.post(&format!("{home}/draining/remove"), &[]).is(303);
    let removal = format!("{place}/removal");
    let ask = admin.get(&removal).is(200).form(&format!("form[action=\"{removal}\"]"));
    ask.submit(&admin).is(303);
    admin.get(&place).is(200).shows("Move them first");
    admin.get(&format!("{home}/removal")).is(200);
    assert_eq!(admin.get("/platform/servers.csv").is(200).text().lines().count(), 3);
    for words in ["server.added", "server.draining", "server.accepting"] {
        admin.get(&format!("/platform/audit?q={words}")).is(200);
    }

    // A server that is away is told of, and keeps nothing from the others.
    second.stop();
    admin.post(&format!("{place}/check"), &[]).is(303);
    admin.get(&place).is(200).shows("In trouble");
    let caltech = app.institution("caltech.edu");
    assert_eq!(database(&app, &caltech).server_id, HOME);
    second.start_again();
    admin.post(&format!("{place}/check"), &[]).is(303);
    assert!(!admin.get(&place).is(200).text().contains("In trouble"));
    app.sign_in(&mit.owner_email, PASSWORD);
}

#[test]
fn another_address_is_used_from_the_next_request_on() {
    let (app, second) = (TestApp::start(), OwnServer::start(&[]));
    let server = added(&app, &second, "second");
    let audit = app.platform.audit(Actor::command_line());
    {
        let connection = &mut *app.platform.shared.get().expect("shared");
        servers::set_state(connection, &audit, HOME, servers::ServerState::Draining).expect("draining");
    }
    let mit = app.institution("mit.edu");
    let owner = app.owner(&mit);
    let admin = app.super_admin();
    let place = format!("/platform/servers/{}", server.id);
    let form = admin.get(&format!("{place}/edit")).is(200).form("main form");
    // The same server by another name, with the password that is stored.
    let other = server.address.replace("127.0.0.1", "localhost");
    form.fill("address", &other).submit(&admin).is(303);
    admin.get(&place).is(200).shows("localhost");
    owner.get(&mit.path("/students")).is(200);
    let form = admin.get(&format!("{place}/edit")).is(200).form("main form");
    form.fill("address", &other.replace("provost@", "nobody@")).submit(&admin).is(422);
    owner.get(&mit.path("/students")).is(200);
}

#[test]
fn the_data_folder_serves_a_platform_on_postgresql() {
    if engine() != Engine::Postgres {
        return;
    }
    let app = TestApp::start();
    let admin = app.super_admin();
    let form = admin.get("/platform/servers/new").is(200).form("main form");
    let form = form.fill("name", "folder").fill("address", "sqlite:");
    form.submit(&admin).is(303);
    admin.post(&format!("/platform/servers/{HOME}/draining"), &[]).is(303);
    let mit = app.institution("mit.edu");
    assert_eq!(database(&app, &mit).engine, Engine::Sqlite);
    let owner = app.owner(&mit);
    add_student(&owner, &mit, "Marie Curie", "S-1");
    assert_eq!(student_numbers(&app, &mit), ["S-1"]);
    let audit = app.platform.audit(Actor::command_line());
    let backup = backups::take(&app.platform, &audit, Some(mit.id), Reason::Requested).expect("taken");
    assert_eq!(backup.engine, Engine::Sqlite);
    let operation = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        backups::request_verification(connection, &audit, backup.id).expect("asked")
    };
    app.platform.operations.wake();
    assert_eq!(finished(&app.platform, operation).status, OperationStatus::Succeeded);
}

#[test]
fn the_command_line_knows_servers() {
    let (app, second) = (TestApp::start(), OwnServer::start(&[]));
    app.institution("mit.edu");
    let site = app.into_site();
    let run = |arguments: &[&str]| provost(&site, arguments).output().expect("run");
    let added = run(&["server", "add", "second", &second.url, "--capacity", "5", "--json"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let wrong = second.url.replace(&parts(&second).1, "wrong");
    let refused = run(&["server", "add", "third", &wrong]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("does not let the role in") && !said.contains("does not answer"), "{said}");
    let drained: serde_json::Value =
        serde_json::from_slice(&run(&["server", "drain", "main", "--json"]).stdout).expect("JSON");
    assert_eq!(drained["databases"], 1, "what it holds, and not none");
    assert!(run(&["server", "accept", "main"]).status.success());
    let listed = run(&["server", "list", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(rows[1]["name"], "second");
    assert_eq!(rows[1]["capacity"], 5);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains(&parts(&second).1));
    assert!(run(&["server", "check"]).status.success());
    assert!(run(&["server", "drain", "second"]).status.success());
    assert!(!run(&["server", "drain", "second"]).status.success());
    assert!(run(&["server", "accept", "second"]).status.success());
    assert!(run(&["server", "remove", "second"]).status.success());
    assert!(!run(&["server", "remove", "main"]).status.success());
    let _: Id = HOME;
}

/// The operation that an answer leads to has ended well.
#[track_caller]
fn done(app: &TestApp, operation: Id) {
    app.platform.operations.wake();
    let ended = finished(&app.platform, operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
}

fn fired(app: &TestApp) -> Vec<String> {
    let changes = monitoring::alerts::evaluate(&app.platform).expect("looked");
    changes.fired.into_iter().map(|alert| alert.rule).collect()
}

#[test]
fn a_server_is_emptied_and_removed_with_everybody_who_was_there() {
    let (app, second, third) = (TestApp::start(), OwnServer::start(&[]), OwnServer::start(&[]));
    let admin = app.super_admin();
    let from = added(&app, &second, "second");
    admin.post(&format!("/platform/servers/{HOME}/draining"), &[]).is(303);
    let [mit, eth, left] = ["mit.edu", "ethz.ch", "left.edu"].map(|domain| app.institution(domain));
    let to = added(&app, &third, "third");
    let audit = app.platform.audit(Actor::command_line());
    let archived = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        leaving::request_archive(connection, &audit, left.id, "They left.").expect("asked")
    };
    done(&app, archived);

    // Only what drains is emptied, and who does it types the name.
    let place = format!("/platform/servers/{}", from.id);
    assert!(!admin.get(&place).is(200).text().contains("Move everything elsewhere"));
    let emptying = format!("{place}/emptying");
    let typed = [("confirmation", "second")];
    admin.post(&emptying, &typed).leads_to(&place);
    admin.get(&place).is(200).shows("Let it drain first");
    admin.post(&format!("{place}/draining"), &[]).is(303);
    let page = admin.get(&place).is(200).shows("Move everything elsewhere");
    assert_eq!(page.words("section#databases tbody tr").len(), 2, "{}", page.main());
    admin.get(&emptying).is(200).shows("databases serve here2").shows("have room elsewhere100");
    admin.post(&emptying, &[]).is(422);
    app.platform_admin(AdminRole::Operator).post(&emptying, &typed).is(403);
    admin.post(&emptying, &typed).leads_to(&place);
    for institution in [&mit, &eth] {
        let moved = {
            let connection = &mut *app.platform.shared.get().expect("shared");
            operations::latest(connection, institution.id, Kind::Move).expect("read").expect("asked").id
        };
        done(&app, moved);
        assert_eq!(database(&app, institution).server_id, to.id);
        app.owner(institution).get(&institution.path("")).is(200);
    }

    // What was replaced is kept for a while; where its server is lost, it is lost as well.
    let remove = || admin.post(&format!("{place}/removal"), &[]).is(303).location().to_owned();
    assert_eq!(remove(), place);
    admin.get(&place).is(200).shows("Replaced databases go after 7 days");
    second.stop();
    app.sql("UPDATE tenant_copies SET drop_after = '2026-01-01 00:00:00'");
    admin.post(&format!("{place}/check"), &[]).is(303);
    assert_eq!(copies::drop_due(&app.platform).expect("looked"), 0);
    admin.get(&format!("{place}/removal")).is(200).shows("It does not answer");
    assert_eq!(remove(), "/platform/servers");

    // Who was archived there comes back elsewhere.
    let back = {
        let connection = &mut *app.platform.shared.get().expect("shared");
        leaving::request_return(connection, &audit, left.id).expect("asked")
    };
    done(&app, back);
    assert_eq!(database(&app, &left).server_id, to.id);
    app.owner(&left).get(&left.path("")).is(200);
}

#[test]
fn a_silent_server_is_told_of_once_and_keeps_no_others_waiting() {
    let (app, second) = (TestApp::with(|settings| settings.scheduled = false), OwnServer::start(&[]));
    let mit = app.institution("mit.edu");
    let server = added(&app, &second, "second");
    admin_drains_home(&app);
    let (eth, caltech) = (app.institution("ethz.ch"), app.institution("caltech.edu"));
    monitoring::measure(&app.platform, TimeDelta::zero()).expect("measured");
    assert_eq!(fired(&app), Vec::<String>::new());

    let admin = app.super_admin();
    let list =
        |query: &str| admin.get(&format!("/platform/databases?{query}")).is(200).words("tbody tr").len();
    assert_eq!((list("server=second"), list("server=main"), list("server=nobody")), (2, 1, 3));
    assert_eq!(list("engine=postgres"), if engine() == Engine::Postgres { 3 } else { 2 });
    admin.get("/platform/databases").is(200).shows("PostgreSQL on second");
    let file = admin.get("/platform/databases.csv?server=second").is(200).text();
    assert_eq!(file.lines().count(), 3, "{file}");
    assert!(file.lines().skip(1).all(|line| line.contains(",second,")), "{file}");
    let listed = provost(app.site(), &["database", "list", "--server", "second", "--json"]).output();
    let listed: serde_json::Value = serde_json::from_slice(&listed.expect("run").stdout).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["server"], "second");
    assert!(!provost(app.site(), &["database", "list", "--server", "none"]).status().expect("run").success());

    second.stop();
    app.platform.tenants.retire(eth.id);
    app.platform.tenants.retire(caltech.id);
    monitoring::measure(&app.platform, TimeDelta::zero()).expect("measured");
    service::check(&app.platform, server.id).expect("checked");
    assert_eq!(fired(&app), ["server_in_trouble"], "one alert and not one for each database");
    admin.get("/platform/alerts").is(200).shows("The server second is in trouble.");
    // What is asked of all is asked of those that answer.
    assert_eq!(monitoring::measure(&app.platform, TimeDelta::zero()), Ok(1));
    assert_eq!(upkeep::look_around(&app.platform, TimeDelta::zero()).expect("looked"), 1);
    assert_eq!(retention::request_due(&app.platform).expect("asked"), 2, "the shared one, and mit.edu");
    assert!(database(&app, &mit).server_id == HOME);

    second.start_again();
    service::check(&app.platform, server.id).expect("checked");
    assert_eq!(monitoring::measure(&app.platform, TimeDelta::zero()), Ok(3));
    assert_eq!(fired(&app), Vec::<String>::new());
    admin.get("/platform/alerts?state=firing").is(200).shows("No alerts");
    // All of the places are taken.
    app.sql("UPDATE database_servers SET capacity = 2 WHERE name = 'second'");
    assert_eq!(fired(&app), ["servers_full"]);
    admin.get("/platform/alerts").is(200).shows("No server has room");
    let file = admin.get("/platform/alerts.csv?state=firing").is(200).text();
    assert_eq!(file.lines().count(), 2, "{file}");
    assert!(file.contains("servers_full,critical,"), "{file}");
    admin.get("/platform/audit?q=alerts.exported").is(200).shows("alerts.csv");
}

fn admin_drains_home(app: &TestApp) {
    app.super_admin().post(&format!("/platform/servers/{HOME}/draining"), &[]).is(303);
}

/// A server that is known and need not answer.
fn known(app: &TestApp, name: &str) -> DatabaseServer {
    let new = servers::NewServer {
        id: Id::new(),
        name,
        engine: Engine::Postgres,
        address: "postgres://nobody@127.0.0.1:9/postgres",
        sealed_url: b"",
        capacity: 10,
        most_connections: None,
    };
    let audit = app.platform.audit(Actor::command_line());
    let shared = &mut *app.platform.shared.get().expect("shared");
    servers::create(shared, &audit, &new, &servers::Checked::default()).expect("added")
}

/// Until somebody waits for a lock; on SQLite a second writer waits for the first one anyway.
fn until_somebody_waits(app: &TestApp) {
    let sql = "SELECT count(*)::text AS name FROM pg_stat_activity \
               WHERE wait_event_type = 'Lock' AND datname = current_database()";
    if engine() == Engine::Postgres {
        let shared = &mut *app.platform.shared.get().expect("shared");
        eventually("somebody waits", || names(shared, sql) != ["0"]);
    }
}

#[test]
fn a_server_that_is_being_chosen_is_not_removed_and_one_that_is_being_removed_not_chosen() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let (mit, eth) = (app.registered("mit.edu"), app.registered("ethz.ch"));
    let audit = app.platform.audit(Actor::command_line());
    let platform = &app.platform;
    let pick = |c: &mut SharedConn, institution: &Institution, wanted: Id| {
        c.write_tx(|c| -> Result<bool, ModelError> {
            let found = servers::with_most_room(c, |server| server.id == wanted)?;
            let Some(server) = found else { return Ok(false) };
            let new = NewTenantDatabase {
                id: Id::new(),
                institution_id: institution.id,
                engine: server.engine,
                database_name: &institution.domain,
                location: &institution.domain,
                schema_version: "1",
                server_id: server.id,
            };
            // The other one comes between the choice and its row.
            until_somebody_waits(&app);
            tenant_databases::reserve(c, &new)?;
            Ok(true)
        })
    };
    // Chosen first: the removal waits, and then sees what is there.
    let second = known(&app, "second");
    std::thread::scope(|scope| {
        let chosen = scope.spawn(|| pick(&mut platform.shared.get().expect("shared"), &mit, second.id));
        if engine() == Engine::Sqlite {
            assert!(chosen.join().expect("ran").expect("chosen"));
            let refused = servers::remove(&mut platform.shared.get().expect("shared"), &audit, second.id);
            assert!(refused.expect_err("held").to_string().contains("holds 1 database"));
            return;
        }
        let shared = &mut *platform.shared.get().expect("shared");
        let share = "SELECT count(*)::text AS name FROM pg_locks WHERE mode = 'RowShareLock' \
                     AND relation = 'database_servers'::regclass";
        eventually("it is chosen", || names(shared, share) != ["0"]);
        let refused = servers::remove(shared, &audit, second.id).expect_err("held").to_string();
        assert!(refused.contains("holds 1 database"), "{refused}");
        assert!(chosen.join().expect("ran").expect("chosen"));
    });
    // Removed first: whoever chooses waits, and then finds it gone.
    let third = known(&app, "third");
    std::thread::scope(|scope| {
        let shared = &mut *platform.shared.get().expect("shared");
        let chooses = shared.write_tx(|c| -> Result<_, ModelError> {
            servers::remove(c, &audit, third.id)?;
            let chooses = scope.spawn(|| {
                let shared = &mut *platform.shared.get().expect("shared");
                shared.write_tx(|c| -> Result<_, ModelError> {
                    Ok((
                        servers::with_most_room(c, |server| server.id == third.id)?,
                        servers::hold(c, third.id),
                    ))
                })
            });
            until_somebody_waits(&app);
            Ok(chooses)
        });
        let (found, held) = chooses.expect("removed").join().expect("ran").expect("asked");
        assert_eq!(found, None);
        assert!(held.expect_err("gone").to_string().contains("not known any more"));
    });
    // A move that is asked for names it as well.
    let fourth = known(&app, "fourth");
    let input = serde_json::json!({ "server_id": fourth.id });
    let new = operations::NewOperation {
        kind: Kind::Move,
        institution_id: Some(eth.id),
        subject: "A move",
        input: &input,
        steps: &["check"],
        total: 0,
    };
    let shared = &mut *platform.shared.get().expect("shared");
    shared
        .write_tx(|c| -> Result<(), ModelError> {
            operations::enqueue(c, &new, &audit.actor)?;
            let refused = servers::remove(c, &audit, fourth.id).expect_err("wanted").to_string();
            assert!(refused.contains("is being moved to the server fourth"), "{refused}");
            Err(ModelError::Refused("Taken back.".into()))
        })
        .expect_err("taken back");
    servers::remove(shared, &audit, fourth.id).expect("removed");
}
