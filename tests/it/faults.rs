//! What goes wrong around provisioning on PostgreSQL: rights, connections, the server itself. Each says what
//! to do, is found by the doctor, and is over when it was done.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use provost::{
    db::{Engine, Id, Target, shared::SharedConn},
    models::platform::{
        audit,
        operations::{self, Operation, OperationStatus, StepStatus},
        tenant_databases,
    },
    services::{doctor, platform::Platform, tenants},
};

use crate::support::{
    Site,
    app::{TestApp, eventually},
    approve, assert_nothing_is_left, engine, finished, names,
    own_server::OwnServer,
    register, session, status, superuser_url,
};

fn postgres() -> bool {
    engine() == Engine::Postgres
}

fn look(platform: &Platform, operation: Id) -> Operation {
    operations::find(&mut platform.shared.get().expect("shared"), operation).expect("read")
}

/// Everything that the doctor finds, problem and remedy.
fn findings(platform: &Platform) -> Vec<String> {
    let checks = doctor::examine(platform);
    let findings = checks.into_iter().flat_map(|check| check.findings);
    findings.map(|finding| format!("{} {}", finding.problem, finding.remedy)).collect()
}

fn count(findings: &[String], words: &str) -> usize {
    findings.iter().filter(|finding| finding.contains(words)).count()
}

#[test]
fn a_missing_right_is_named_and_once_granted_the_work_is_finished() {
    if !postgres() {
        return;
    }
    for right in ["CREATEDB", "CREATEROLE"] {
        let site = Site::as_role("CREATEDB CREATEROLE");
        let role = format!("{}platform", site.settings.database_prefix);
        let mut superuser = session(&superuser_url());
        let app = TestApp::on(site);
        let admin = app.super_admin();
        // The first time the template is missing, the second time it is there.
        for domain in ["a.edu", "b.edu"] {
            superuser.batch_execute(&format!("ALTER ROLE {role} NO{right}")).expect("taken");
            let wanted = format!("ALTER ROLE \"{role}\" {right}");
            assert_eq!(count(&findings(&app.platform), &wanted), 1, "{:#?}", findings(&app.platform));
            let id = register(&app.platform, domain);
            let failed = finished(&app.platform, approve(&app.platform, id));
            assert_eq!(failed.status, OperationStatus::RolledBack, "{failed:#?}");
            assert!(failed.error.as_deref().is_some_and(|words| words.contains(&wanted)), "{failed:#?}");
            let page = format!("/platform/operations/{}", failed.id);
            admin.get(&page).is(200).shows(&wanted).shows("Try again");
            assert_nothing_is_left(&app.platform, id);

            superuser.batch_execute(&format!("ALTER ROLE {role} {right}")).expect("granted");
            let page = admin.get(&page);
            page.form("form[action$=\"/attempts\"]").submit(&admin).is(303);
            let operation = finished(&app.platform, failed.id);
            assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
            assert_eq!(status(&app.platform, id), "active");
        }
    }
}

/// Keeps every new session of the platform out, until let in again. The doctor knows the remedy.
fn without_free_connections(site: &Site, remedy: &str, keep_out: impl FnOnce() -> Box<dyn FnOnce()>) {
    let mut settings = site.settings.clone();
    settings.limits.retry_wait = Duration::from_millis(250);
    settings.limits.lease = Duration::from_millis(1_000);
    let platform = Platform::open(settings).expect("opened");
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    let all: Vec<_> = (0..4).map(|_| platform.shared.get().expect("shared")).collect();
    drop(all);
    let let_in = keep_out();
    let workers = platform.start_workers().expect("workers");
    let mut words = None;
    eventually("an attempt has failed", || {
        words = look(&platform, operation).error;
        words.is_some()
    });
    let words = words.expect("words");
    assert!(words.contains("no connection left") && words.contains("try again"), "{words}");
    let found = findings(&platform);
    assert!(count(&found, remedy) >= 1, "{found:#?}");
    let another = Platform::open(site.settings.clone()).err().expect("refused").to_string();
    assert!(another.contains("no connection left"), "{another}");
    let tried = look(&platform, operation);
    assert!(!tried.is_over(), "retried by itself: {tried:#?}");
    let_in();
    let ended = finished(&platform, operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(status(&platform, id), "active");
    workers.stop();
}

#[test]
fn a_server_without_a_free_connection_is_tried_again_until_it_has_one() {
    if !postgres() {
        return;
    }
    let server = OwnServer::start(&["--max-connections", "14"]);
    let site = server.site();
    without_free_connections(&site, "Raise the server's max_connections", || {
        let target = Target::Postgres(server.url.clone());
        let mut held = Vec::new();
        while let Ok(session) = SharedConn::open(&target) {
            held.push(session);
        }
        assert!(!held.is_empty());
        Box::new(move || drop(held))
    });
}

#[test]
fn a_role_at_its_limit_of_connections_is_tried_again_until_it_is_raised() {
    if !postgres() {
        return;
    }
    let site = Site::as_role("CREATEDB CREATEROLE");
    let role = format!("{}platform", site.settings.database_prefix);
    let limit = move |limit: i32| {
        let statement = format!("ALTER ROLE {role} CONNECTION LIMIT {limit}");
        session(&superuser_url()).batch_execute(&statement).expect("limited");
    };
    without_free_connections(&site, "CONNECTION LIMIT -1", || {
        limit(1);
        Box::new(move || limit(-1))
    });
}

#[test]
fn a_server_that_is_down_is_named_and_waited_for() {
    if !postgres() {
        return;
    }
    let server = OwnServer::start(&[]);
    let mut site = server.site();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let app = TestApp::on(site);
    let institution = app.institution("a.edu");
    let platform = &app.platform;
    server.stop();
    let found = findings(platform);
    assert!(count(&found, "does not answer. Start it") >= 1, "{found:#?}");
    app.visitor().get("/register").is(503).shows("The database");
    app.visitor().get("/metrics").is(200).shows("provost_shared_database_up 0");
    let page = app.visitor().post("/sign-in", &[("email", &institution.owner_email), ("password", "x")]);
    page.is(503);
    server.start_again();
    // Nobody restarts Provost.
    let id = register(platform, "mit.edu");
    let operation = approve(platform, id);
    server.stop();
    server.start_again();
    let ended = finished(platform, operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    app.owner(&institution).get(&institution.path("/students")).is(200);
}

#[test]
#[ignore = "slow"]
fn a_server_that_is_killed_again_and_again_loses_nothing() {
    if !postgres() {
        return;
    }
    let server = OwnServer::start(&["--durable"]);
    let mut site = server.site();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    // From the first statement to after the end, in steps that meet every stage.
    let delays = [0, 20, 40, 60, 80, 100, 130, 160, 200, 260, 340, 450];
    let mut longest = Duration::ZERO;
    for (number, delay) in delays.into_iter().enumerate() {
        let domain = format!("k{number}.edu");
        let id = register(&platform, &domain);
        let operation = approve(&platform, id);
        let at = Instant::now() + Duration::from_millis(delay);
        eventually("the moment has come", || Instant::now() >= at);
        server.kill();
        server.start_again();
        let begin = Instant::now();
        let ended = finished(&platform, operation);
        longest = longest.max(begin.elapsed());
        assert_eq!(ended.status, OperationStatus::Succeeded, "{delay} ms: {ended:#?}");
        assert_eq!(status(&platform, id), "active", "{delay} ms");
        let shared = &mut *platform.shared.get().expect("shared");
        platform.tenants.open(shared, id).expect("opened").get().expect("entered");
        let checked = audit::verify(shared, &platform.keys.audit_key()).expect("read");
        assert_eq!(checked.broken, None, "{delay} ms");
        let done = operations::steps(shared, operation).expect("steps");
        assert!(done.iter().all(|step| step.status == StepStatus::Done), "{delay} ms");
        assert_eq!(platform.engine.list().expect("listed").len(), number + 1, "{delay} ms");
    }
    assert_eq!(platform.engine.roles().expect("listed").len(), delays.len());
    workers.stop();
    println!("postgres: the server was killed {} times; recovered within {longest:?}", delays.len());
}

#[test]
fn the_doctor_finds_a_database_whose_removal_was_interrupted() {
    if !postgres() {
        return;
    }
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    finished(&platform, approve(&platform, id));
    let name = format!("{}mit_edu", site.settings.database_prefix);
    let mut superuser = session(&superuser_url());
    let spoil = format!("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}'");
    superuser.batch_execute(&spoil).expect("spoilt");
    let found = findings(&platform);
    assert_eq!(count(&found, &format!("DROP DATABASE \"{name}\"")), 1, "{found:#?}");

    // Nobody is in a database that is being removed.
    platform.tenants.retire(id);
    // What is half removed is removed, and made anew where it is wanted.
    let row =
        tenant_databases::find(&mut platform.shared.get().expect("shared"), id).expect("read").expect("row");
    platform.engine.drop_database(&tenants::place(&row), &|| Ok(())).expect("dropped");
    assert!(!platform.engine.exists(&tenants::place(&row)).expect("asked"));
    workers.stop();
}

/// The server's own upkeep comes to a database whenever it likes, and no role but a superuser may end it.
#[test]
fn who_may_not_be_ended_is_waited_for_where_a_database_is_removed() {
    if !postgres() {
        return;
    }
    let app = TestApp::start();
    let institution = app.institution("mit.edu");
    let row = tenant_databases::find(&mut app.platform.shared.get().expect("shared"), institution.id)
        .expect("read")
        .expect("row");
    let mut url = url::Url::parse(&superuser_url()).expect("url");
    url.set_path(&row.database_name);
    let inside = session(url.as_str());
    let waiting = format!(
        "SELECT datname::text AS name FROM pg_stat_activity WHERE query = 'DROP DATABASE IF EXISTS \"{}\"'",
        row.database_name
    );
    let leaves = std::thread::spawn(move || {
        let mut server = session(&superuser_url());
        eventually("a removal without force", || !names(&mut server, &waiting).is_empty());
        drop(inside);
    });
    app.platform.tenants.retire(institution.id);
    let place = tenants::place(&row);
    let dropped = app.platform.engine.drop_database(&place, &|| Ok(()));
    assert!(dropped.is_ok(), "{dropped:?}");
    leaves.join().expect("left");
    assert!(!app.platform.engine.exists(&place).expect("asked"));
}

#[test]
fn an_interrupted_removal_does_not_bar_the_way() {
    if !postgres() {
        return;
    }
    let site = Site::new();
    let platform = site.open();
    platform.engine.prepare().expect("prepared");
    let name = format!("{}mit_edu", site.settings.database_prefix);
    let mut superuser = session(&superuser_url());
    superuser
        .batch_execute(&format!("CREATE DATABASE {name} OWNER \"{}_owner\"", site.settings.database_prefix))
        .expect("made");
    let spoil = format!("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}'");
    superuser.batch_execute(&spoil).expect("spoilt");
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    let ended = finished(&platform, approve(&platform, id));
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    workers.stop();
}
