//! Looking after databases: what is worth doing is found, done while people work, and told of with what it brought; and
//! the doctor's round over the fleet.

use chrono::TimeDelta;
use diesel::{QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _};
use provost::{
    db::{Engine, engine::Act, tenant::TenantConn},
    models::{
        Actor, Paging,
        platform::{
            admins::AdminRole,
            maintenance::{self, RunFilter},
            operations::{Kind, OperationStatus, is_busy},
            tenant_databases,
        },
    },
    services::{
        fleet_doctor::{self, Complaint, Report},
        tenants,
        upkeep::{self, Tended},
    },
};

use crate::support::{
    app::{Institution, TestApp, eventually},
    engine, finished, postgres_url, run_on_server, session, superuser_url,
};

/// Much comes and goes, and its room stays.
fn leave_room(app: &TestApp, institution: &Institution) {
    let fill = match engine() {
        Engine::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             INSERT INTO activity_log SELECT randomblob(16), '2026-01-01 00:00:00', NULL, 'x', 'made.up', \
             'students', NULL, 'x', hex(randomblob(1000)), 'x', NULL, NULL FROM n"
        }
        Engine::Postgres => {
            "INSERT INTO activity_log SELECT gen_random_uuid(), now(), NULL, 'x', 'made.up', 'students', NULL, \
             'x', (SELECT string_agg(md5(random()::text || g || i), '') FROM generate_series(1, 60) i), 'x', NULL, \
             NULL FROM generate_series(1, 3000) g"
        }
    };
    let mut connection = app.behind(institution);
    connection.batch_execute(fill).expect("filled");
    connection.batch_execute("DELETE FROM activity_log WHERE action = 'made.up'").expect("removed");
}

/// Waits until a look finds that something is worth doing; PostgreSQL counts a moment later.
fn needed(app: &TestApp) {
    eventually("a look finds what is worth doing", || {
        upkeep::look_around(&app.platform, TimeDelta::zero()).expect("looked");
        let mut c = app.platform.shared.get().expect("shared");
        let all = Paging { sort: "spare".into(), descending: true, limit: 10, offset: 0 };
        let found = maintenance::needs(&mut c, "", &all).expect("read").rows;
        found.iter().any(|need| need.row.acts.contains("vacuum"))
    });
}

#[test]
fn room_is_given_back_while_people_work_and_the_gain_is_told() {
    let app = TestApp::start();
    let (evry, lyon) = (app.institution("evry.example"), app.institution("lyon.example"));
    leave_room(&app, &evry);
    needed(&app);
    let operator = app.platform_admin(AdminRole::Operator);
    let page = operator.get("/platform/maintenance").is(200);
    page.shows("Give room back");
    let begun = operator.post("/platform/maintenance", &[]).is(303);
    let id = begun.location().rsplit('/').next().expect("an id").parse().expect("an id");
    let operation = finished(&app.platform, id);
    assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
    let mut c = app.platform.shared.get().expect("shared");
    let newest = Paging { sort: "at".into(), descending: true, limit: 20, offset: 0 };
    let filter = RunFilter { institution_id: Some(evry.id), ..RunFilter::default() };
    let runs = maintenance::runs(&mut c, &filter, &newest).expect("read").rows;
    assert!(runs.iter().all(|run| run.row.error.is_none()), "{runs:?}");
    let vacuum = runs.iter().find(|run| run.row.act == Act::Vacuum).expect("vacuumed");
    assert!(vacuum.row.bytes_after < vacuum.row.bytes_before, "{vacuum:?}");
    assert!(runs.iter().any(|run| run.row.act == Act::Analyse));
    let need = maintenance::need_of(&mut c, evry.id).expect("read").expect("known");
    assert!(!need.acts.contains("vacuum"), "{need:?}");
    drop(c);
    operator.get("/platform/maintenance/runs?q=evry&act=vacuum").is(200).shows("evry.example");
    assert!(operator.get("/platform/maintenance/runs?q=nobody").is(200).words("main tbody tr").is_empty());
    app.owner(&evry).get(&evry.path("/students")).is(200);

    // One alone, from its page.
    let one = operator.post(&format!("/platform/institutions/{}/maintenance", lyon.domain), &[]).is(303);
    let id = one.location().rsplit('/').next().expect("an id").parse().expect("an id");
    assert_eq!(finished(&app.platform, id).status, OperationStatus::Succeeded);
    app.platform_admin(AdminRole::Support).get("/platform/maintenance").is(403);
}

/// An index of which little is left, as the engine says its bytes.
const INDEX_BYTES: [&str; 2] = [
    "SELECT sum(pgsize) AS number FROM dbstat WHERE name = 'sqlite_autoindex_activity_log_1'",
    "SELECT pg_relation_size('activity_log_pkey')::bigint AS number",
];

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn index_bytes(connection: &mut TenantConn) -> i64 {
    let statement = INDEX_BYTES[usize::from(engine() == Engine::Postgres)];
    diesel::sql_query(statement).get_result::<Number>(connection).expect("counted").number
}

#[test]
fn indexes_out_of_shape_are_built_anew_and_the_gain_is_told() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    // In no order, so that little of each page is left when most of it goes.
    let fill = match engine() {
        Engine::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) \
             INSERT INTO activity_log SELECT randomblob(16), '2026-01-01 00:00:00', NULL, 'x', 'made.up', \
             'students', NULL, 'x', 'x', 'x', NULL, NULL FROM n; \
             DELETE FROM activity_log WHERE action = 'made.up' AND random() % 3 <> 0"
        }
        Engine::Postgres => {
            "INSERT INTO activity_log SELECT gen_random_uuid(), now(), NULL, 'x', 'made.up', 'students', NULL, \
             'x', 'x', 'x', NULL, NULL FROM generate_series(1, 260000)"
        }
    };
    let mut behind = app.behind(&evry);
    behind.batch_execute(fill).expect("filled");
    if engine() == Engine::Postgres {
        behind.batch_execute("DELETE FROM activity_log WHERE action = 'made.up'").expect("removed");
        behind.batch_execute("VACUUM activity_log").expect("vacuumed");
    }
    let before = index_bytes(&mut behind);
    let place = {
        let mut c = app.platform.shared.get().expect("shared");
        tenants::place(&tenant_databases::find(&mut c, evry.id).expect("read").expect("a row"))
    };
    if engine() == Engine::Sqlite {
        app.platform.engine.tend(&place, Act::Reindex, &|_| Ok(())).expect("built anew");
    } else {
        eventually("a look finds the index", || {
            let condition = app.platform.engine.condition(&place).expect("looked");
            condition.bloated.iter().any(|name| name == "activity_log_pkey")
        });
        let audit = app.platform.audit(Actor::command_line());
        let tended = upkeep::tend(&app.platform, &audit, evry.id).expect("tended");
        let Tended::Done(runs) = tended else { panic!("{tended:?}") };
        let run = runs.iter().find(|run| run.act == Act::Reindex).expect("a run");
        assert_eq!(run.error, None);
        assert!(run.why.contains("activity_log_pkey"), "{run:?}");
        assert!(run.bytes_after + 8_000_000 < run.bytes_before, "{run:?}");
        let page = app.super_admin().get("/platform/maintenance/runs?act=reindex").is(200);
        page.shows("evry.example").shows("activity_log_pkey");
    }
    let after = index_bytes(&mut behind);
    println!("{}: the index has {after} bytes instead of {before}", engine());
    assert!(after < before, "{after} of {before}");
    app.owner(&evry).get(&evry.path("/students")).is(200);
}

#[test]
fn who_is_worked_on_by_others_is_left_alone() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    eventually("its set-up has ended", || {
        !is_busy(&mut app.platform.shared.get().expect("shared"), evry.id, Kind::Maintain).expect("read")
    });
    let tend = || {
        let audit = app.platform.audit(Actor::command_line());
        upkeep::tend(&app.platform, &audit, evry.id).expect("tended")
    };
    assert!(matches!(tend(), Tended::Done(_)));
    let older = "2000-01-01-000000_older";
    let set = |version: &str| {
        let mut c = app.platform.shared.get().expect("shared");
        tenant_databases::set_schema_version(&mut c, evry.id, version, None).expect("set");
    };
    set(older);
    assert!(matches!(tend(), Tended::Skipped("Its schema is another version's.")));
    set(app.platform.migrations.version());
    app.sql(
        "UPDATE operations SET status = 'queued', next_attempt_at = '2999-01-01 00:00:00' WHERE kind = 'provision'",
    );
    assert!(matches!(tend(), Tended::Skipped("Another operation works on it.")));
}

fn look(app: &TestApp) -> Report {
    fleet_doctor::examine(&app.platform, &|_, _| Ok(())).expect("looked")
}

/// Whose databases a complaint is about.
fn about(report: &Report, complaint: Complaint) -> Vec<String> {
    let found = report.findings.iter().filter(|finding| finding.complaint == complaint);
    found.flat_map(|finding| finding.tenants.iter().map(|one| one.domain.clone())).collect()
}

#[test]
fn the_doctor_finds_what_is_wrong_in_a_fleet_and_whose_it_is() {
    let app = TestApp::start();
    let domains = ["evry.example", "lyon.example", "brest.example", "tours.example"];
    let [evry, lyon, brest, tours] = domains.map(|domain| app.institution(domain));
    let healthy = look(&app);
    assert_eq!((healthy.tenants, &*healthy.findings), (4, &[][..]));

    app.behind(&evry).batch_execute("DROP INDEX activity_log_at").expect("dropped");
    {
        let mut c = app.platform.shared.get().expect("shared");
        tenant_databases::set_schema_version(&mut c, lyon.id, "2000-01-01-000000_older", None).expect("set");
    }
    app.platform.tenants.retire(brest.id);
    match engine() {
        Engine::Sqlite => {
            let provost::db::Target::Sqlite(file) = app.tenant_target(&brest) else { panic!("a file") };
            std::fs::remove_file(file).expect("removed");
            let broken = "PRAGMA foreign_keys = OFF; UPDATE user_roles SET user_id = randomblob(16)";
            app.behind(&tours).batch_execute(broken).expect("broken");
        }
        Engine::Postgres => {
            let name = |institution: &Institution| {
                let mut c = app.platform.shared.get().expect("shared");
                tenant_databases::find(&mut c, institution.id).expect("read").expect("a row").database_name
            };
            let (brest, tours, evry) = (name(&brest), name(&tours), name(&evry));
            run_on_server(&format!("ALTER DATABASE {brest} ALLOW_CONNECTIONS false"));
            run_on_server(&format!("GRANT CONNECT ON DATABASE {evry} TO {tours}"));
        }
    }
    let report = look(&app);
    assert_eq!(about(&report, Complaint::Drift), ["evry.example"]);
    assert_eq!(about(&report, Complaint::OtherVersion), ["lyon.example"]);
    assert_eq!(about(&report, Complaint::Unreachable), ["brest.example"]);
    let last = match engine() {
        Engine::Sqlite => Complaint::BrokenReferences,
        Engine::Postgres => Complaint::OpenDoors,
    };
    assert_eq!(about(&report, last), ["tours.example"]);

    let operator = app.platform_admin(AdminRole::Operator);
    operator.get("/platform/doctor").is(200).shows("Nobody has looked yet.");
    let begun = operator.post("/platform/doctor", &[]).is(303);
    let id = begun.location().rsplit('/').next().expect("an id").parse().expect("an id");
    assert_eq!(finished(&app.platform, id).status, OperationStatus::Succeeded);
    let page = operator.get("/platform/doctor").is(200);
    let page = page.main();
    for words in
        ["somebody changed it by hand", "brest.example", "provost migrate tenants", "activity_log_at"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn a_session_that_stands_around_on_the_server_is_found_and_ended() {
    if engine() == Engine::Postgres {
        let url = url::Url::parse(&postgres_url()).expect("a URL");
        let grant = format!("GRANT pg_read_all_stats TO {}", url.username());
        session(&superuser_url()).batch_execute(&grant).expect("granted");
    }
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let db = app.platform.tenants.open(&mut app.platform.shared.get().expect("shared"), evry.id);
    let mut held = db.expect("opened").get().expect("connection");
    held.batch_execute("BEGIN").expect("begun");
    let hour = std::time::Duration::from_secs(3_600);
    let strays = || app.platform.engine.strays(std::time::Duration::ZERO, hour).expect("looked");
    let operator = app.platform_admin(AdminRole::Operator);
    operator
        .get("/platform/maintenance/connections")
        .is(200)
        .shows("Every connection is in use or given back");
    operator.post("/platform/maintenance/connections/1/removal", &[]).is(403);
    if engine() == Engine::Sqlite {
        assert_eq!(strays(), []);
        held.batch_execute("ROLLBACK").expect("ended");
        return;
    }
    let found = strays().into_iter().find(|stray| stray.in_transaction).expect("found");
    assert!(app.platform.engine.end_session(&found).expect("ended"));
    eventually("it has ended", || held.batch_execute("SELECT 1").is_err());
    assert!(!app.platform.engine.end_session(&found).expect("looked"));
}

#[test]
fn an_institution_without_a_verified_backup_is_told_of_once() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let admin = app.super_admin();
    let fired = || {
        let changes = provost::services::monitoring::alerts::evaluate(&app.platform).expect("looked");
        let of = |all: Vec<provost::models::platform::alerts::Alert>| {
            all.iter().filter(|alert| alert.rule == "backup_too_old").count()
        };
        (of(changes.fired), of(changes.resolved))
    };
    assert_eq!(fired(), (0, 0), "it has time yet");
    app.sql("UPDATE tenant_databases SET created_at = '2026-01-01 00:00:00'");
    assert_eq!(fired(), (1, 0));
    assert_eq!(fired(), (0, 0));
    let words = format!("There is no verified backup of {}.", evry.name);
    admin.get("/notifications").is(200).shows(&words);
    let alerts = admin.get("/platform/alerts").is(200).shows(&words);
    alerts.shows("See backup_too_old in docs/runbooks.md.");
    let audit = app.platform.audit(Actor::command_line());
    let reason = provost::models::platform::backups::Reason::Requested;
    let backup =
        provost::services::backups::take(&app.platform, &audit, Some(evry.id), reason).expect("taken");
    assert_eq!(fired(), (0, 0), "nobody has tried it out");
    let mut c = app.platform.shared.get().expect("shared");
    provost::models::platform::backups::mark_verified(&mut c, backup.id).expect("verified");
    drop(c);
    assert_eq!(fired(), (0, 1));
}
