//! Migrations over the fleet: planned, tried, rolled out, held, taken back, and at the first touch.

use std::{path::PathBuf, sync::Arc, time::Duration};

use diesel::{connection::SimpleConnection as _, prelude::*};
use provost::{
    db::{
        Engine, Id,
        schema_shared::{known_migrations, rollouts as rollouts_table},
        shared::SharedConn,
        tenant::TenantConn,
    },
    models::{
        Actor, ModelError,
        platform::{
            audit::{self, Audit},
            backups::{self, Reason},
            operations::{self, OperationStatus},
            rollouts::{self as model, Rollout, RolloutState, Stage, TenantStatus},
            schema_ledger::{self, LedgerStatus},
            tenant_databases,
        },
    },
    services::{
        operations::Workers,
        platform::Platform,
        rollouts::{self, Order, Started},
        tenants,
    },
};

use crate::support::{
    Folder, Site,
    app::{PASSWORD, TestApp, eventually},
    approve, engine, finished, register,
};

/// What the tests call the schema of the next version.
pub const LATER: &str = "2099-01-01-000001_nickname";
/// And of the one after it, which takes something away.
const LAST: &str = "2099-01-02-000001_no_website";

/// Writes a migration beyond those of the binary, the same on both engines.
fn write(folder: &Folder, name: &str, up: &str, down: &str) -> PathBuf {
    for engine in ["sqlite", "postgres"] {
        let place = folder.path().join(engine).join(name);
        std::fs::create_dir_all(&place).expect("a folder");
        std::fs::write(place.join("up.sql"), up).expect("written");
        std::fs::write(place.join("down.sql"), down).expect("written");
    }
    folder.path().to_owned()
}

pub fn later(folder: &Folder) -> PathBuf {
    let up = "-- Students may have a nickname.\nALTER TABLE students ADD COLUMN nickname TEXT;\n\
              CREATE TABLE notes (x INTEGER NOT NULL);";
    write(folder, LATER, up, "DROP TABLE notes; ALTER TABLE students DROP COLUMN nickname;")
}

fn last(folder: &Folder) -> PathBuf {
    let up = "-- provost: destructive\n-- Nobody reads it.\nALTER TABLE institution DROP COLUMN website;";
    write(folder, LAST, up, "ALTER TABLE institution ADD COLUMN website TEXT;")
}

/// Institutions of the version before, and a platform of the one after.
struct Fleet {
    platform: Arc<Platform>,
    ids: Vec<Id>,
    site: Site,
    folder: Folder,
}

impl Fleet {
    fn of(count: usize) -> Self {
        let mut site = Site::new();
        site.settings.limits.migration_lock_wait = Duration::from_millis(200);
        site.settings.limits.lease = Duration::from_millis(1_500);
        let platform = site.open();
        let workers = platform.start_workers().expect("workers");
        let ids: Vec<Id> =
            (0..count).map(|number| register(&platform, &format!("u{number:04}.edu"))).collect();
        let begun: Vec<Id> = ids.iter().map(|id| approve(&platform, *id)).collect();
        for operation in begun {
            eventually("set up", || {
                let found = operations::find(&mut platform.shared.get().expect("shared"), operation);
                found.expect("read").is_over()
            });
        }
        workers.stop();
        platform.close();
        let folder = Folder::new();
        site.settings.later_migrations = Some(later(&folder));
        Self { platform: site.open(), ids, site, folder }
    }

    fn reopen(&mut self) {
        self.platform.close();
        self.platform = self.site.open();
    }

    fn workers(&self) -> Workers {
        self.platform.start_workers().expect("workers")
    }

    fn audit(&self) -> Audit {
        self.platform.audit(Actor::command_line())
    }

    fn start(&self, order: &Order) -> Started {
        self.try_to_start(order).expect("started")
    }

    fn try_to_start(&self, order: &Order) -> Result<Started, ModelError> {
        let shared = &mut *self.platform.shared.get().expect("shared");
        let started = rollouts::start(shared, &self.platform, &self.audit(), order);
        self.platform.operations.wake();
        started
    }

    fn rollout(&self, started: Started) -> Rollout {
        model::find(&mut self.platform.shared.get().expect("shared"), started.rollout).expect("read")
    }

    fn row(&self, id: Id) -> tenant_databases::TenantDatabase {
        let row = tenant_databases::find(&mut self.platform.shared.get().expect("shared"), id);
        row.expect("read").expect("a row")
    }

    /// The database behind the platform's back, with the right to change its schema.
    fn owner(&self, id: Id) -> TenantConn {
        self.platform.engine.open_as_owner(&tenants::place(&self.row(id))).expect("opened")
    }

    /// Makes the later migration fail there.
    fn sabotage(&self, id: Id) {
        self.owner(id).batch_execute("CREATE TABLE notes (y INTEGER)").expect("in the way");
    }

    fn mend(&self, id: Id) {
        self.owner(id).batch_execute("DROP TABLE notes").expect("out of the way");
    }

    fn has_nickname(&self, id: Id) -> bool {
        self.owner(id).batch_execute("SELECT nickname FROM students").is_ok()
    }

    fn statuses(&self, started: Started) -> Vec<TenantStatus> {
        let shared = &mut *self.platform.shared.get().expect("shared");
        let all = model::tenants_of(shared, started.rollout).expect("read");
        all.into_iter().map(|tenant| tenant.status).collect()
    }

    #[track_caller]
    fn assert_chain(&self) {
        let shared = &mut *self.platform.shared.get().expect("shared");
        assert_eq!(audit::verify(shared, &self.platform.keys.audit_key()).expect("read").broken, None);
    }

    /// What holds of everybody once all is over: brought along once, and served.
    #[track_caller]
    fn assert_brought_along(&self, what: &str) {
        for id in &self.ids {
            let row = self.row(*id);
            assert_eq!((&*row.schema_version, &row.quarantine_reason), (LATER, &None), "{what}");
            assert!(self.has_nickname(*id), "{what}");
            let shared = &mut *self.platform.shared.get().expect("shared");
            let opened = self.platform.tenants.open(shared, *id).expect("served");
            drop(opened.get().expect("a connection"));
        }
        self.assert_chain();
    }
}

#[test]
fn a_plan_says_who_is_where_and_what_would_run() {
    let fleet = Fleet::of(2);
    let shared = &mut *fleet.platform.shared.get().expect("shared");
    let plan = rollouts::plan(shared, &fleet.platform).expect("planned");
    assert_eq!((plan.behind, plan.newer, plan.quarantined), (2, 0, 0));
    assert_eq!(plan.pending.len(), 1);
    assert_eq!((&*plan.pending[0].name, &*plan.pending[0].about), (LATER, "Students may have a nickname."));
    assert!(!plan.is_destructive());
    let shown = rollouts::rehearse_first(&fleet.platform, None).expect("tried").expect("one is behind");
    assert_eq!((&*shown.domain, &*shown.ran[0].name), ("u0000.edu", LATER));
    assert!(!fleet.has_nickname(fleet.ids[0]), "it was taken back");
    let order = Order { canaries: vec!["nobody.edu".into()], ..Order::default() };
    assert!(matches!(fleet.try_to_start(&order), Err(ModelError::Refused(_))));
}

#[test]
fn what_fails_is_kept_in_quarantine_and_the_rest_goes_on() {
    let fleet = Fleet::of(6);
    let bad = fleet.ids[4];
    fleet.sabotage(bad);
    let started = fleet.start(&Order { wave_size: 2, ..Order::default() });
    let workers = fleet.workers();
    let operation = finished(&fleet.platform, started.operation);
    assert_eq!(operation.status, OperationStatus::Succeeded, "{:?}", operation.error);
    assert_eq!(fleet.rollout(started).state, RolloutState::Done);
    for id in &fleet.ids {
        assert_eq!(fleet.has_nickname(*id), *id != bad);
    }
    let row = fleet.row(bad);
    let reason = row.quarantine_reason.expect("a reason");
    assert!(reason.contains(LATER) && reason.contains("exist"), "{reason}");
    assert!(*row.schema_version < *LATER);
    {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        let ledger = schema_ledger::of_institution(shared, bad).expect("read");
        assert_eq!((ledger[0].status, ledger[0].attempts), (LedgerStatus::Failed, 1));
        let good = schema_ledger::of_institution(shared, fleet.ids[0]).expect("read");
        assert_eq!((good[0].status, good[0].checksum.len()), (LedgerStatus::Applied, 64));
        assert!(fleet.platform.tenants.open(shared, bad).is_err());
        fleet.platform.tenants.open(shared, fleet.ids[0]).expect("the others are served");
    }
    fleet.mend(bad);
    let again = {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::try_again(shared, &fleet.platform, &fleet.audit(), bad, false).expect("begun")
    };
    fleet.platform.operations.wake();
    finished(&fleet.platform, again.operation);
    fleet.assert_brought_along("tried again");
    let nothing = fleet.try_to_start(&Order::default());
    assert!(matches!(nothing, Err(ModelError::Refused(_))), "nothing is behind");
    workers.stop();
}

#[test]
fn a_failed_canary_and_too_many_failures_stop_a_rollout_until_somebody_decides() {
    let fleet = Fleet::of(8);
    for id in [fleet.ids[1], fleet.ids[3], fleet.ids[4], fleet.ids[5]] {
        fleet.sabotage(id);
    }
    let started = fleet.start(&Order { wave_size: 1, ..Order::default() });
    let stopped = |what: &str| {
        eventually(what, || {
            let shared = &mut *fleet.platform.shared.get().expect("shared");
            let operation = operations::find(shared, started.operation).expect("read");
            fleet.rollout(started).state == RolloutState::Stopped
                && operation.status == OperationStatus::Queued
        });
    };
    let resume = || {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::resume(shared, &fleet.audit(), started.rollout).expect("it goes on");
        fleet.platform.operations.wake();
    };
    let workers = fleet.workers();
    stopped("the canary stops it");
    assert_eq!(fleet.statuses(started).iter().filter(|status| **status == TenantStatus::Waiting).count(), 5);
    resume();
    stopped("too many failed");
    let reason = fleet.rollout(started).reason.expect("a reason");
    assert!(reason.contains("in a hundred"), "{reason}");
    assert!(!fleet.has_nickname(fleet.ids[7]), "the rest was not touched");
    let second = fleet.try_to_start(&Order::default());
    assert!(matches!(second, Err(ModelError::Changed(_))), "one rollout at a time");
    {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::cancel(shared, &fleet.audit(), started.rollout).expect("cancelled");
    }
    fleet.platform.operations.wake();
    let ended = finished(&fleet.platform, started.operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(fleet.statuses(started)[7], TenantStatus::Skipped);
    fleet.assert_chain();
    workers.stop();
}

#[test]
fn a_paused_rollout_waits_and_goes_on() {
    let fleet = Fleet::of(4);
    let started = fleet.start(&Order { canaries: vec!["u0003.edu".into()], ..Order::default() });
    {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::pause(shared, &fleet.audit(), started.rollout).expect("paused");
        let twice = rollouts::pause(shared, &fleet.audit(), started.rollout);
        assert!(matches!(twice, Err(ModelError::Changed(_))));
    }
    let workers = fleet.workers();
    eventually("it is put off", || {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        let operation = operations::find(shared, started.operation).expect("read");
        operation.status == OperationStatus::Queued && operation.next_attempt_at > provost::db::now()
    });
    assert!(fleet.ids.iter().all(|id| !fleet.has_nickname(*id)));
    {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::resume(shared, &fleet.audit(), started.rollout).expect("it goes on");
    }
    fleet.platform.operations.wake();
    assert_eq!(finished(&fleet.platform, started.operation).status, OperationStatus::Succeeded);
    fleet.assert_brought_along("resumed");
    workers.stop();
}

#[test]
fn one_or_all_can_be_taken_back_and_brought_along_again() {
    let fleet = Fleet::of(3);
    let started = fleet.start(&Order::default());
    let workers = fleet.workers();
    finished(&fleet.platform, started.operation);
    let shared = || fleet.platform.shared.get().expect("shared");
    let one = rollouts::roll_back_one(&mut shared(), &fleet.platform, &fleet.audit(), fleet.ids[0]);
    fleet.platform.operations.wake();
    let ended = finished(&fleet.platform, one.expect("begun").operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    let saved = backups::of(&mut shared(), Some(fleet.ids[0])).expect("read");
    assert_eq!(saved.iter().map(|backup| backup.reason).collect::<Vec<_>>(), [Reason::BeforeMigration]);
    assert!(!fleet.has_nickname(fleet.ids[0]) && fleet.has_nickname(fleet.ids[1]));
    assert!(fleet.row(fleet.ids[0]).quarantine_reason.is_some_and(|reason| reason.contains("Taken back")));
    assert!(fleet.platform.tenants.open(&mut shared(), fleet.ids[0]).is_err());
    let all = rollouts::roll_back(&mut shared(), &fleet.audit(), started.rollout).expect("begun");
    fleet.platform.operations.wake();
    assert_eq!(finished(&fleet.platform, all.operation).status, OperationStatus::Succeeded);
    assert!(fleet.ids.iter().all(|id| !fleet.has_nickname(*id)));
    assert_eq!(fleet.statuses(all).len(), 2, "who is back already is left alone");
    let again = fleet.start(&Order::default());
    finished(&fleet.platform, again.operation);
    fleet.assert_brought_along("again");
    workers.stop();
}

#[test]
fn what_takes_something_away_has_to_be_agreed_to_and_what_was_changed_is_refused() {
    let mut fleet = Fleet::of(1);
    last(&fleet.folder);
    fleet.reopen();
    let refused = fleet.try_to_start(&Order::default()).expect_err("refused").to_string();
    assert!(refused.contains("agree"), "{refused}");
    {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        assert!(rollouts::plan(shared, &fleet.platform).expect("planned").is_destructive());
        diesel::update(known_migrations::table.find(LATER))
            .set(known_migrations::checksum.eq("another"))
            .execute(shared)
            .expect("changed");
    }
    let order = Order { destructive_agreed: true, ..Order::default() };
    let refused = fleet.try_to_start(&order).expect_err("refused").to_string();
    assert!(refused.contains(LATER) && refused.contains("changed"), "{refused}");
}

#[test]
fn whoever_holds_a_database_is_waited_for_a_few_times_and_not_for_ever() {
    let fleet = Fleet::of(2);
    let hold = |id| {
        let mut other = fleet.owner(id);
        other
            .batch_execute(match engine() {
                Engine::Sqlite => "BEGIN IMMEDIATE",
                Engine::Postgres => "BEGIN; SELECT count(*) FROM students",
            })
            .expect("held");
        other
    };
    let (long, short) = (hold(fleet.ids[0]), hold(fleet.ids[1]));
    let started = fleet.start(&Order { canaries: vec!["u0001.edu".into()], ..Order::default() });
    let workers = fleet.workers();
    // It gives up at its first attempt, and gets through at a later one.
    std::thread::sleep(Duration::from_millis(350));
    drop(short);
    finished(&fleet.platform, started.operation);
    assert!(fleet.has_nickname(fleet.ids[1]));
    let reason = fleet.row(fleet.ids[0]).quarantine_reason.expect("it was held");
    assert!(reason.contains("held the database"), "{reason}");
    drop(long);
    let again = {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        rollouts::try_again(shared, &fleet.platform, &fleet.audit(), fleet.ids[0], false).expect("begun")
    };
    fleet.platform.operations.wake();
    finished(&fleet.platform, again.operation);
    fleet.assert_brought_along("released");
    workers.stop();
}

#[test]
fn somebody_who_enters_brings_their_database_along_unless_it_is_not_its_turn() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let cookie = app.owner(&a).cookie("provost").expect("signed in");
    let folder = Folder::new();
    let place = later(&folder);
    let app = app.restart_with(|settings| settings.later_migrations = Some(place));
    let version = |id| {
        let shared = &mut *app.platform.shared.get().expect("shared");
        tenant_databases::find(shared, id).expect("read").expect("a row").schema_version
    };
    // Many at once: one of them does it.
    let visits: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| {
                let (visitor, path) = (app.visitor(), a.path(""));
                visitor.set_cookie("provost", &cookie);
                scope.spawn(move || visitor.get(&path).status)
            })
            .collect();
        all.into_iter().map(|visit| visit.join().expect("answered")).collect()
    });
    assert_eq!(visits, [200; 6]);
    assert_eq!(version(a.id), LATER);
    assert!(*version(b.id) < *LATER, "nobody else's");
    let mut shared = app.platform.shared.get().expect("shared");
    let migrated = audit_count(&app, "database.migrated");
    assert_eq!(migrated, 1);

    // Held back by a rollout that is paused: closed, and the other is open.
    let audit = app.platform.audit(Actor::command_line());
    let signed_in = app.owner(&a);
    let started = rollouts::start(&mut shared, &app.platform, &audit, &Order::default()).expect("started");
    rollouts::pause(&mut shared, &audit, started.rollout).expect("paused");
    let closed = app.visitor().post("/sign-in", &[("email", &b.owner_email), ("password", PASSWORD)]);
    // A rollout may have been faster than the pause.
    if *version(b.id) < *LATER {
        let closed = closed.is(503).shows("Closed for maintenance");
        assert!(closed.header("retry-after").is_some());
    }
    signed_in.get(&a.path("")).is(200);
    rollouts::resume(&mut shared, &audit, started.rollout).expect("it goes on");
    app.platform.operations.wake();
    finished(&app.platform, started.operation);
    assert_eq!(version(b.id), LATER);

    // While the first few are being brought along, whoever is among the next waits a moment.
    let of_b = app.owner(&b);
    let first = "2026-11-21-000001_institution";
    tenant_databases::set_schema_version(&mut shared, b.id, first, None).expect("set");
    let set = |shared: &mut SharedConn, stage: Stage, state: RolloutState| {
        diesel::update(rollouts_table::table.find(started.rollout))
            .set((rollouts_table::stage.eq(stage), rollouts_table::state.eq(state)))
            .execute(shared)
            .expect("set");
    };
    set(&mut shared, Stage::Canaries, RolloutState::Running);
    std::thread::scope(|scope| {
        let (visitor, path) = (app.visitor(), b.path("/students"));
        visitor.set_cookie("provost", &of_b.cookie("provost").expect("signed in"));
        let waiting = scope.spawn(move || visitor.get(&path).status);
        signed_in.get(&a.path("/students")).is(200);
        assert!(!waiting.is_finished(), "it is not its turn yet");
        set(&mut shared, Stage::Waves, RolloutState::Running);
        assert_eq!(waiting.join().expect("answered"), 200);
    });
    assert_eq!(version(b.id), LATER);
    set(&mut shared, Stage::Waves, RolloutState::Done);

    // In quarantine, and of a newer version.
    tenant_databases::set_schema_version(&mut shared, b.id, first, Some("It broke.")).expect("set");
    let page = of_b.get(&b.path("")).is(503);
    assert!(page.text().contains("could not be brought up to date"), "{}", page.text());
    assert!(!page.text().contains("It broke"), "why is not for visitors");
    tenant_databases::set_schema_version(&mut shared, b.id, "2199-01-01-000001_future", None).expect("set");
    of_b.get(&b.path("")).is(503);
    signed_in.get(&a.path("/students")).is(200);
}

fn audit_count(app: &TestApp, action: &str) -> i64 {
    use provost::db::schema_shared::audit_log;
    audit_log::table
        .filter(audit_log::action.eq(action))
        .count()
        .get_result(&mut *app.platform.shared.get().expect("shared"))
        .expect("counted")
}

#[test]
fn a_super_admin_starts_watches_and_takes_back_on_the_pages() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let folder = Folder::new();
    let place = later(&folder);
    let app = app.restart_with(|settings| settings.later_migrations = Some(place));
    let admin = app.super_admin();
    let page = admin.get("/platform/migrations").is(200);
    let page = page.shows("2 databases are behind").shows("Students may have a nickname.");
    assert!(page.attributes("a", "href").contains(&"/platform/migrations/new".to_owned()));
    let form = admin.get("/platform/migrations/new").is(200).form("main form");
    let form = form.fill("wave_size", "0");
    form.submit(&admin).is(422);
    form.fill("wave_size", "5").fill("canaries", "none.example").submit(&admin).is(422).shows("none.example");
    let begun = form.fill("wave_size", "5").fill("canaries", &b.domain).submit(&admin).is(303);
    let rollout = begun.location().to_owned();
    eventually("it is done", || admin.get(&rollout).is(200).main().contains("Brought along"));
    admin.get(&rollout).is(200).shows("Roll everybody back").shows(LATER);
    admin.get("/platform/migrations").is(200).shows("has the schema of this version");
    let list = admin.get("/platform/migrations/tenants?standing=current").is(200);
    let list = list.shows(&a.domain).shows("Up to date");
    assert!(list.has("main tbody tr"));
    assert!(!admin.get("/platform/migrations/tenants?standing=behind").is(200).has("main tbody tr"));
    let csv = admin.get(&format!("/platform/migrations/tenants.csv?version={LATER}")).is(200);
    assert_eq!(csv.text().lines().count(), 3, "{}", csv.text());

    let path = format!("/platform/migrations/tenants/{}/rollback", a.id);
    let ask = admin.get(&path).is(200).form(&format!("form[action=\"{path}\"]"));
    ask.fill("confirmation", "wrong").submit(&admin).is(422);
    let back = ask.fill("confirmation", &a.domain).submit(&admin).is(303).location().to_owned();
    eventually("it is back", || admin.get(&back).is(200).main().contains("Brought along"));
    let page = admin.get("/platform/migrations").is(200).shows("Taken back").shows("Try again");
    let again = page.form(&format!("form[action=\"/platform/migrations/tenants/{}/attempts\"]", a.id));
    let place = again.submit(&admin).is(303).location().to_owned();
    eventually("it is there again", || admin.get(&place).is(200).main().contains("Brought along"));
    admin.get("/platform/migrations").is(200).shows("Nothing in quarantine");
    for action in ["rollout.started", "rollout.ended", "database.rolled_back", "database.migrated"] {
        assert!(audit_count(&app, action) > 0, "{action}");
    }
}

#[test]
fn a_plan_over_two_thousand_databases_with_nothing_to_do_is_quick() {
    let site = Site::new();
    let platform = site.open();
    let shared = &mut *platform.shared.get().expect("shared");
    let version = platform.migrations.version();
    let (id, series, key) = match engine() {
        Engine::Sqlite => (
            "randomblob(16)",
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n)",
            "sqlite",
        ),
        Engine::Postgres => ("gen_random_uuid()", "generate_series(1, 2000) AS n(i)", "postgres"),
    };
    let at = "'2026-01-01 00:00:00'";
    let cast = if engine() == Engine::Postgres { "::timestamp" } else { "" };
    shared
        .batch_execute(&format!(
            "INSERT INTO institutions (id, domain, name, name_key, kind, country, time_zone, status, \
             status_changed_at, plan, created_at, updated_at) SELECT {id}, 'u' || i || '.edu', 'U', 'u', \
             'university', 'DE', 'UTC', 'active', {at}{cast}, 'starter', {at}{cast}, {at}{cast} FROM {series};
             INSERT INTO tenant_databases (id, institution_id, engine, database_name, location, schema_version, \
             generation, status, created_at, updated_at) SELECT {id}, id, '{key}', domain, domain, '{version}', 1, \
             'ready', {at}{cast}, {at}{cast} FROM institutions"
        ))
        .expect("entered");
    let began = std::time::Instant::now();
    let plan = rollouts::plan(shared, &platform).expect("planned");
    let took = began.elapsed();
    assert_eq!((plan.behind, plan.versions[0].tenants), (0, 2_000));
    println!("{}: nothing to do over 2,000 databases took {took:?}", engine());
    assert!(took < Duration::from_millis(100), "{took:?}");

    // All of them in a rollout, each once, in a few statements.
    shared.batch_execute("UPDATE tenant_databases SET schema_version = '1'").expect("aged");
    let order = Order { destructive_agreed: true, ..Order::default() };
    let audit = platform.audit(Actor::command_line());
    let started = rollouts::start(shared, &platform, &audit, &order).expect("started");
    let behind = tenant_databases::outdated(shared, version).expect("read");
    let tenants: Vec<model::NewTenant> = (0..)
        .zip(&behind)
        .map(|(number, database)| model::NewTenant {
            institution_id: database.institution_id,
            wave: number / 100,
            from_version: database.schema_version.clone(),
            to_version: version.to_owned(),
        })
        .collect();
    let began = std::time::Instant::now();
    shared.write_tx(|c| model::enter(c, started.rollout, &tenants)).expect("entered");
    println!("{}: entering 2,000 databases took {:?}", engine(), began.elapsed());
    model::enter(shared, started.rollout, &tenants).expect("entered before");
    assert_eq!(model::counts(shared, started.rollout).expect("read"), [(TenantStatus::Waiting, 2_000)]);
    let all = model::tenants_of(shared, started.rollout).expect("read");
    let last = all.iter().find(|one| one.institution_id == behind[1_999].institution_id).expect("there");
    assert_eq!((last.wave, last.from_version.as_str(), last.to_version.as_str()), (19, "1", version));
}

#[test]
#[ignore = "slow"]
fn a_whole_fleet_with_one_in_a_hundred_made_to_fail() {
    let fleet = Fleet::of(if engine() == Engine::Sqlite { 200 } else { 30 });
    let bad: Vec<Id> = fleet.ids.iter().copied().skip(40 % fleet.ids.len()).step_by(100).collect();
    bad.iter().for_each(|id| fleet.sabotage(*id));
    let workers = fleet.workers();
    let began = std::time::Instant::now();
    let started = fleet.start(&Order::default());
    finished(&fleet.platform, started.operation);
    println!(
        "{}: {} databases in {:?}, {} in quarantine",
        engine(),
        fleet.ids.len(),
        began.elapsed(),
        bad.len()
    );
    assert_eq!(fleet.rollout(started).state, RolloutState::Done);
    for id in &fleet.ids {
        let row = fleet.row(*id);
        assert_eq!(row.quarantine_reason.is_some(), bad.contains(id));
        assert_eq!(row.schema_version == LATER, !bad.contains(id));
    }
    fleet.assert_chain();
    workers.stop();
}

#[cfg(feature = "crash-points")]
mod crashes {
    use super::*;
    use crate::support::child::{Sleeper, die_at, do_work};

    #[test]
    #[ignore = "slow"]
    fn a_rollout_survives_kill_at_every_point() {
        for point in rollouts::CRASH_POINTS {
            let fleet = Fleet::of(5);
            let started = fleet.start(&Order { wave_size: 1, ..Order::default() });
            let work = started.operation.to_string();
            die_at(&fleet.site, &work, &format!("{point}:1"));
            do_work(&fleet.site, &work, point);
            assert_once(&fleet, started, point);
        }
        println!(
            "{}: killed at {} points of a rollout, 0 violations",
            engine(),
            rollouts::CRASH_POINTS.len()
        );
    }

    #[test]
    #[ignore = "slow"]
    fn taking_back_survives_kill_at_every_point() {
        let points =
            ["rollout:planned", "migrate:locked", "migrate:performed", "migrate:committed", "rollout:noting"];
        for point in points {
            let fleet = Fleet::of(3);
            let started = fleet.start(&Order::default());
            do_work(&fleet.site, &started.operation.to_string(), point);
            let shared = &mut *fleet.platform.shared.get().expect("shared");
            let back = rollouts::roll_back(shared, &fleet.audit(), started.rollout).expect("begun");
            let work = back.operation.to_string();
            die_at(&fleet.site, &work, &format!("{point}:1"));
            do_work(&fleet.site, &work, point);
            assert!(fleet.ids.iter().all(|id| !fleet.has_nickname(*id)), "{point}");
            assert_eq!(fleet.statuses(back), [TenantStatus::Done; 3], "{point}");
            fleet.assert_chain();
        }
        println!("{}: killed at {} points of taking back, 0 violations", engine(), points.len());
    }

    #[test]
    fn a_worker_that_slept_past_its_lease_migrates_nothing_any_more() {
        if engine() == Engine::Sqlite {
            return;
        }
        for point in ["step:plan:acted:1", "rollout:noted:1"] {
            let fleet = Fleet::of(5);
            let started = fleet.start(&Order { wave_size: 1, ..Order::default() });
            let sleeper = Sleeper::at(&fleet.site, &started.operation.to_string(), point);
            let workers = fleet.workers();
            finished(&fleet.platform, started.operation);
            sleeper.wake();
            assert_once(&fleet, started, point);
            workers.stop();
        }
    }

    #[track_caller]
    fn assert_once(fleet: &Fleet, started: Started, point: &str) {
        let shared = &mut *fleet.platform.shared.get().expect("shared");
        let operation = operations::find(shared, started.operation).expect("read");
        assert_eq!(operation.status, OperationStatus::Succeeded, "{point}: {:?}", operation.error);
        assert_eq!(fleet.rollout(started).state, RolloutState::Done, "{point}");
        assert!(fleet.statuses(started).iter().all(|status| *status == TenantStatus::Done), "{point}");
        let ended = "SELECT action AS name FROM audit_log WHERE action = 'rollout.ended'";
        assert_eq!(crate::support::names(shared, ended).len(), 1, "{point}");
        fleet.assert_brought_along(point);
    }
}
