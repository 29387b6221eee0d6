//! From approved to active: every step, what fails, what is taken back, who takes over.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id, Target,
        schema_shared::{login_index, outgoing_mails},
        schema_tenant::{institution, user_roles, users},
        shared::SharedConn,
        tenant::TenantConn,
    },
    models::{
        Actor, ModelError,
        platform::{
            audit,
            operations::{self, OperationStatus, StepChange, StepStatus},
            tenant_databases,
        },
    },
    services::{
        operations::{self as operations_service, try_again},
        platform::Platform,
        tenants::{self, TenantError},
    },
};

use crate::support::{
    Site, approve, assert_nothing_is_left, engine, finished, names, register, run_on_server, server, status,
};

#[test]
fn an_approved_institution_gets_its_database_and_its_first_admin() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    let operation = finished(&platform, approve(&platform, id));
    assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
    assert_eq!(status(&platform, id), "active");

    let mut shared = platform.shared.get().expect("shared");
    let steps = operations::steps(&mut shared, operation.id).expect("steps");
    assert!(
        steps.iter().all(|step| step.status == StepStatus::Done && step.finished_at.is_some()),
        "{steps:?}"
    );
    let row = tenant_databases::find(&mut shared, id).expect("read").expect("row");
    assert_eq!(row.database_name, format!("{}mit_edu", site.settings.database_prefix));
    let mails: i64 = outgoing_mails::table.count().get_result(&mut *shared).expect("mails");
    assert_eq!(mails, 1);
    let checked = audit::verify(&mut shared, &platform.keys.audit_key()).expect("verified");
    assert_eq!(checked.broken, None);

    let tenant = platform.tenants.open(&mut shared, id).expect("opened");
    let mut connection = tenant.get().expect("connection");
    let (name, email): (String, String) = users::table.inner_join_role(&mut connection);
    assert_eq!((&*name, &*email), ("Zoë Çelik", "admin@mit.edu"));
    let domain: String =
        institution::table.select(institution::domain).first(&mut *connection).expect("seeded");
    assert_eq!(domain, "mit.edu");
    let indexed: i64 = login_index::table.count().get_result(&mut *shared).expect("index");
    assert_eq!(indexed, 1);
    drop((connection, shared));
    workers.stop();
}

/// The one owner of a freshly seeded institution.
trait Owner {
    fn inner_join_role(self, connection: &mut TenantConn) -> (String, String);
}

impl Owner for users::table {
    fn inner_join_role(self, connection: &mut TenantConn) -> (String, String) {
        let owner: Id = user_roles::table
            .filter(user_roles::role.eq("owner"))
            .select(user_roles::user_id)
            .first(connection)
            .expect("an owner");
        users::table.find(owner).select((users::name, users::email)).first(connection).expect("a user")
    }
}

#[test]
fn domains_that_meet_in_one_name_get_databases_of_their_own() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ids = ["a-b.edu", "a.b.edu"].map(|domain| register(&platform, domain));
    let operations = ids.map(|id| approve(&platform, id));
    for operation in operations {
        let operation = finished(&platform, operation);
        assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
    }
    let mut shared = platform.shared.get().expect("shared");
    let [first, second] = ids.map(|id| tenant_databases::find(&mut shared, id).expect("read").expect("row"));
    assert_ne!(first.database_name, second.database_name);
    drop(shared);
    workers.stop();
}

#[test]
fn what_cannot_be_finished_is_taken_back_and_can_be_tried_again() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    site.block("mit_edu");
    let failed = finished(&platform, approve(&platform, id));
    assert_eq!(failed.status, OperationStatus::RolledBack);
    assert_eq!(status(&platform, id), "provisioning_failed");
    assert!(
        failed
            .error
            .as_deref()
            .is_some_and(|words| words.contains("try again") || words.contains("could not"))
    );
    assert_nothing_is_left(&platform, id);

    site.unblock("mit_edu");
    let audit = platform.audit(Actor::command_line());
    try_again(&mut platform.shared.get().expect("shared"), &audit, failed.id).expect("queued");
    platform.operations.wake();
    let operation = finished(&platform, failed.id);
    assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
    assert_eq!(status(&platform, id), "active");
    let again = try_again(&mut platform.shared.get().expect("shared"), &audit, failed.id);
    assert!(matches!(again, Err(ModelError::Changed(_))));
    workers.stop();
}

#[test]
fn the_operation_of_a_dead_worker_is_taken_over_and_its_late_writes_are_refused() {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(600);
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id);
    let mut shared = platform.shared.get().expect("shared");
    let dead = operations::claim_next(&mut shared, "dead", site.settings.limits.lease)
        .expect("read")
        .expect("due")
        .0;
    let none = operations::claim_next(&mut shared, "other", site.settings.limits.lease).expect("read");
    assert!(none.is_none(), "one worker at a time");

    let workers = platform.start_workers().expect("workers");
    assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    let step = operations::steps(&mut shared, operation).expect("steps").remove(0);
    let late = [(step.id, StepChange::Failed("late"))];
    assert!(!operations::record_steps(&mut shared, &dead, site.settings.limits.lease, &late).expect("read"));
    let step = operations::steps(&mut shared, operation).expect("steps").remove(0);
    assert_eq!(step.status, StepStatus::Done);
    drop(shared);
    workers.stop();
}

#[test]
fn suspended_institutions_and_old_handles_are_refused_at_once() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    finished(&platform, approve(&platform, id));
    let mut shared = platform.shared.get().expect("shared");
    let handle = platform.tenants.open(&mut shared, id).expect("opened");
    tenant_databases::raise_generation(&mut shared, id).expect("raised");
    platform.tenants.open(&mut shared, id).expect("a new handle");
    assert!(handle.get().is_err(), "the old handle is refused");
    use provost::{db::schema_shared::institutions, models::platform::institutions::Status};
    diesel::update(institutions::table.find(id))
        .set(institutions::status.eq("suspended"))
        .execute(&mut *shared)
        .expect("suspended");
    let refused = platform.tenants.open(&mut shared, id);
    assert!(matches!(refused, Err(TenantError::NotActive(status)) if status == Status::Suspended));
    drop(shared);
    workers.stop();
}

#[test]
fn a_restart_keeps_the_keys_and_a_foreign_or_missing_key_is_refused() {
    let site = Site::new();
    let id = site.open().keys.platform_id();
    let again = site.open();
    assert_eq!(again.keys.platform_id(), id);
    let key = &site.settings.master_key_file;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(key), mode(&site.settings.data_dir)), (0o600, 0o700));

    let kept = std::fs::read(key).expect("key");
    std::fs::remove_file(key).expect("removed");
    let missing = Platform::open(site.settings.clone()).err().expect("refused").to_string();
    assert!(missing.contains("no master key") && !key.exists(), "{missing}");
    let other = Site::on(Engine::Sqlite);
    other.open();
    std::fs::copy(&other.settings.master_key_file, key).expect("copied");
    let wrong = Platform::open(site.settings.clone()).err().expect("refused").to_string();
    assert!(wrong.contains("does not belong"), "{wrong}");
    std::fs::write(key, kept).expect("back");
    site.open();
}

#[test]
fn rotation_seals_everything_again_and_running_processes_follow() {
    let site = Site::new();
    let platform = site.open();
    let other = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    finished(&platform, approve(&platform, id));
    workers.stop();
    let sealed_again = platform.keys.rotate(&mut platform.shared.get().expect("shared")).expect("rotated");
    assert!(sealed_again >= 3, "{sealed_again}");
    let mut shared = other.shared.get().expect("shared");
    other.tenants.open(&mut shared, id).expect("opened with the new key").get().expect("connection");
    site.open();
}

#[test]
fn no_tenant_enters_another_database_and_none_changes_its_schema() {
    if engine() != Engine::Postgres {
        return;
    }
    use diesel::connection::SimpleConnection as _;
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ids = ["a.edu", "b.edu"].map(|domain| register(&platform, domain));
    for operation in ids.map(|id| approve(&platform, id)) {
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    }
    let Target::Postgres(url) = &site.settings.database else { panic!("PostgreSQL") };
    // Tenants' passwords are random; for this test a role gets a known one.
    let name = |domain: &str| format!("{}{domain}", site.settings.database_prefix);
    run_on_server(&format!("ALTER ROLE {} PASSWORD 'known'", name("a_edu")));
    let as_a = |database: &str| {
        let mut url = url::Url::parse(url).expect("url");
        url.set_username(&name("a_edu")).expect("user");
        url.set_password(Some("known")).expect("password");
        url.set_path(database);
        SharedConn::open(&Target::Postgres(url.into()))
    };
    let mut own = as_a(&name("a_edu")).expect("its own database");
    let shared = url::Url::parse(url).expect("url").path().trim_start_matches('/').to_owned();
    for closed in [name("b_edu"), shared] {
        let refused = as_a(&closed).err().unwrap_or_else(|| panic!("{closed} is open")).to_string();
        assert!(refused.contains("CONNECT privilege"), "{closed}: {refused}");
    }
    for statement in [
        "CREATE TABLE x (y int)",
        "CREATE TEMP TABLE x (y int)",
        "DROP TABLE users",
        "TRUNCATE users",
        "DELETE FROM __diesel_schema_migrations",
        "CREATE SCHEMA s",
        &format!("GRANT CONNECT ON DATABASE {} TO PUBLIC", name("a_edu")),
        &format!("ALTER DATABASE {} CONNECTION LIMIT -1", name("a_edu")),
        &format!("SET ROLE \"{}_owner\"", site.settings.database_prefix),
    ] {
        let _ = own.batch_execute(statement).map(|()| {
            // GRANT without the right is a warning, no error: look whether it did anything.
            assert!(statement.starts_with("GRANT"), "{statement} worked");
        });
    }
    let open = format!(
        "SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{}') \
         AND has_database_privilege('public', oid, 'CONNECT')",
        site.settings.database_prefix
    );
    assert_eq!(names(&mut server(), &open), Vec::<String>::new());
    assert!(platform.engine.diagnose().expect("diagnosed").is_empty());
    drop(own);
    workers.stop();
}

#[test]
fn the_database_of_an_institution_in_use_is_never_taken_back() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    let operation = finished(&platform, approve(&platform, id)).id;
    workers.stop();
    let audit = platform.audit(Actor::command_line());
    // Activated, and then killed before that was noted; begun again too often, or told to go back.
    for (left, starts, suspended) in [("queued", 8, false), ("queued", 8, true), ("rolling_back", 1, false)] {
        interrupted_after_activation(&platform, operation, left, starts);
        let shared = &mut *platform.shared.get().expect("shared");
        set_status(shared, id, if suspended { "suspended" } else { "active" });
        if left == "queued" {
            let asked = operations_service::roll_back(shared, &audit, operation);
            assert!(matches!(asked, Err(ModelError::Changed(words)) if words.contains("in use")));
        }
        let workers = platform.start_workers().expect("workers");
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded, "{left}");
        workers.stop();
        let steps = operations::steps(shared, operation).expect("steps");
        assert!(steps.iter().all(|step| step.status == StepStatus::Done), "{steps:?}");
        set_status(shared, id, "active");
        let tenant = site.open().tenants.open(shared, id).expect("its key is there");
        let people: QueryResult<i64> =
            users::table.count().get_result(&mut *tenant.get().expect("its database is there"));
        assert_eq!(people, Ok(1), "{left}");
    }
}

/// As a worker leaves it that is killed between activating and noting that.
fn interrupted_after_activation(platform: &Platform, operation: Id, left: &str, starts: i32) {
    use provost::db::schema_shared::{operation_steps as s, operations as o};
    let shared = &mut *platform.shared.get().expect("shared");
    diesel::update(o::table.find(operation)).set(o::status.eq(left)).execute(shared).expect("left");
    diesel::update(s::table.filter(s::operation_id.eq(operation)).filter(s::name.eq("activate")))
        .set((s::status.eq("running"), s::attempts.eq(starts)))
        .execute(shared)
        .expect("begun");
}

fn set_status(shared: &mut SharedConn, institution: Id, status: &str) {
    use provost::db::schema_shared::institutions as i;
    diesel::update(i::table.find(institution)).set(i::status.eq(status)).execute(shared).expect("set");
}

#[test]
fn a_database_that_was_made_and_not_marked_is_marked_when_it_is_taken_up() {
    if engine() != Engine::Postgres {
        return;
    }
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let id = register(&platform, "mit.edu");
    finished(&platform, approve(&platform, id));
    workers.stop();
    let row = tenant_databases::find(&mut platform.shared.get().expect("shared"), id);
    let row = row.expect("read").expect("a database");
    // As a worker leaves it that is killed between the two statements.
    run_on_server(&format!("COMMENT ON DATABASE {} IS NULL", row.database_name));
    platform.engine.create(&tenants::place(&row), &|| Ok(())).expect("found");
    let comment = format!(
        "SELECT shobj_description(oid, 'pg_database') AS name FROM pg_database WHERE datname = '{}'",
        row.database_name
    );
    assert_eq!(names(&mut server(), &comment), [format!("Provost institution {id}")]);
}

#[test]
fn a_refusal_for_another_reason_does_not_prove_that_a_database_is_shut() {
    if engine() != Engine::Postgres {
        return;
    }
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ids = ["a.edu", "b.edu"].map(|domain| register(&platform, domain));
    for operation in ids.map(|id| approve(&platform, id)) {
        assert_eq!(finished(&platform, operation).status, OperationStatus::Succeeded);
    }
    workers.stop();
    let shared = &mut *platform.shared.get().expect("shared");
    let rows = ids.map(|id| tenant_databases::find(shared, id).expect("read").expect("a database"));
    let tenant = platform.tenants.open(shared, ids[0]).expect("opened");
    let mut connection = tenant.get().expect("connection");
    let [own, foreign] = [&rows[0], &rows[1]].map(tenants::place);
    // Tenants' passwords are random; for this test a role gets a known one.
    run_on_server(&format!("ALTER ROLE {} PASSWORD 'known'", own.name));
    let mut verify = || platform.engine.verify(&own, &mut connection, Some("known"), Some(&foreign));
    verify().expect("shut");
    run_on_server(&format!("ALTER ROLE {} CONNECTION LIMIT 1", own.name));
    let error = verify().expect_err("nothing is proven");
    assert!(error.transient && error.message.contains("could not be found out"), "{error}");
}
