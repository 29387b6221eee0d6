//! A whole fleet at once: migrated, backed up, one restored and one moved, with a kill in the middle of each.
//!
//! Part of `scripts/test slow`, with 200 institutions on SQLite and 20 on PostgreSQL; `PROVOST_TEST_FLEET=1` makes it
//! 2,000 and 200. The domains are those of `PROVOST_TEST_UNIVERSITIES`, where it names a file.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use provost::{
    db::{Engine, Id, engine::HOME},
    models::{
        Actor,
        platform::{
            audit::Audit,
            backups::{self as registry, Reason},
            operations::{Operation, OperationStatus},
            rollouts::{RolloutState, TenantStatus},
            tenant_databases::{self, TenantDatabase},
        },
    },
    services::{
        backups::{self, RestoreHow, storage},
        csv_text::read_csv,
        operations::{move_database, wait_for},
        platform::Platform,
        registration_import,
        rollouts::{self, Order},
        servers, tenants,
    },
};

use crate::{
    rollouts::{LATER, later},
    servers::parts,
    support::{
        Folder, Site, approve,
        child::{die_at, do_work},
        engine,
        own_server::OwnServer,
        register,
    },
    thousands::universities,
};

const PATIENCE: Duration = Duration::from_secs(900);

struct Fleet {
    site: Site,
    platform: Arc<Platform>,
    domains: Vec<String>,
    ids: Vec<Id>,
    began: Instant,
}

#[test]
#[ignore = "slow"]
fn a_fleet_is_migrated_backed_up_restored_and_moved_with_a_kill_in_the_middle_of_each() {
    let folder = Folder::new();
    let mut fleet = Fleet::set_up(fleet_size());
    fleet.site.settings.later_migrations = Some(later(&folder));
    fleet.platform.close();
    fleet.platform = fleet.site.open();
    fleet.migrate();
    fleet.back_up();
    fleet.restore(fleet.ids[1]);
    fleet.move_away(fleet.ids[2]);
}

fn fleet_size() -> usize {
    match (engine(), std::env::var_os("PROVOST_TEST_FLEET").is_some()) {
        (Engine::Sqlite, true) => 2_000,
        (Engine::Sqlite, false) | (Engine::Postgres, true) => 200,
        (Engine::Postgres, false) => 20,
    }
}

/// The first domains of the file, each once.
fn domains(count: usize) -> Vec<String> {
    let read = read_csv(&universities(), registration_import::LIMITS).expect("readable");
    let column = read.headers.iter().position(|name| name == "domain").expect("a column of domains");
    let mut seen = std::collections::HashSet::new();
    let all = read.rows.into_iter().map(|row| row.get(column).trim().to_lowercase());
    all.filter(|domain| seen.insert(domain.clone())).take(count).collect()
}

impl Fleet {
    fn set_up(count: usize) -> Self {
        let began = Instant::now();
        let mut site = Site::new();
        site.settings.limits.lease = Duration::from_secs(2);
        let platform = site.open();
        let domains = domains(count);
        let ids: Vec<Id> = domains.iter().map(|domain| register(&platform, domain)).collect();
        let fleet = Self { site, platform, domains, ids, began };
        let workers = fleet.platform.start_workers().expect("workers");
        let begun: Vec<Id> = fleet.ids.iter().map(|id| approve(&fleet.platform, *id)).collect();
        begun.into_iter().for_each(|operation| fleet.succeeded(operation));
        workers.stop();
        fleet.tell("set up");
        fleet
    }

    fn tell(&self, what: &str) {
        let (count, seconds) = (self.ids.len(), self.began.elapsed().as_secs_f64());
        println!("fleet of {count} on {}: {what} after {seconds:.1} s", engine());
    }

    fn audit(&self) -> Audit {
        self.platform.audit(Actor::command_line())
    }

    fn row(&self, id: Id) -> TenantDatabase {
        let connection = &mut *self.platform.shared.get().expect("shared");
        tenant_databases::find(connection, id).expect("read").expect("a row")
    }

    #[track_caller]
    fn over(&self, operation: Id) -> Operation {
        wait_for(&self.platform, operation, PATIENCE).expect("read").expect("over in time")
    }

    #[track_caller]
    fn succeeded(&self, operation: Id) {
        let ended = self.over(operation);
        assert_eq!(ended.status, OperationStatus::Succeeded, "{}: {:?}", ended.subject, ended.error);
    }

    /// One in a hundred cannot be migrated; everybody else is.
    fn migrate(&self) {
        let broken: Vec<Id> = self.ids.iter().copied().skip(10).step_by(100).collect();
        for id in &broken {
            let mut owner =
                self.platform.engine.open_as_owner(&tenants::place(&self.row(*id))).expect("opened");
            diesel::connection::SimpleConnection::batch_execute(&mut owner, "CREATE TABLE notes (y INTEGER)")
                .expect("in the way");
        }
        let started = {
            let connection = &mut *self.platform.shared.get().expect("shared");
            // Those that are broken do not go first.
            let order = Order { canaries: vec![self.domains[0].clone()], ..Order::default() };
            rollouts::start(connection, &self.platform, &self.audit(), &order).expect("started")
        };
        die_at(
            &self.site,
            &started.operation.to_string(),
            &format!("migrate:committed:{}", self.ids.len() / 2),
        );
        let workers = self.platform.start_workers().expect("workers");
        self.over(started.operation);
        workers.stop();
        let connection = &mut *self.platform.shared.get().expect("shared");
        let rollout = provost::models::platform::rollouts::find(connection, started.rollout).expect("read");
        assert_eq!(rollout.state, RolloutState::Done, "{:?}", rollout.reason);
        let counts =
            provost::models::platform::rollouts::counts(connection, started.rollout).expect("counted");
        let of = |wanted| counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
        let (done, failed) = (of(TenantStatus::Done), of(TenantStatus::Failed));
        assert_eq!(
            (usize::try_from(done), usize::try_from(failed)),
            (Ok(self.ids.len() - broken.len()), Ok(broken.len()))
        );
        for row in tenant_databases::all(connection).expect("read") {
            let database = row.database;
            match (broken.contains(&database.institution_id), database.quarantine_reason) {
                (false, reason) => {
                    assert_eq!((&*database.schema_version, reason), (LATER, None), "{}", row.domain)
                }
                (true, reason) => assert!(reason.is_some_and(|why| why.contains("notes")), "{}", row.domain),
            }
        }
        self.tell(&format!("killed half-way and migrated, {failed} in quarantine"));
    }

    /// Every database has a backup whose file is there.
    fn back_up(&self) {
        let asked: Vec<Id> = {
            let connection = &mut *self.platform.shared.get().expect("shared");
            let ask = |id: &Id| backups::request(connection, &self.audit(), Some(*id), Reason::Requested);
            self.ids.iter().map(ask).collect::<Result<_, _>>().expect("asked")
        };
        let last = asked.last().expect("one").to_string();
        die_at(&self.site, &last, &format!("backup:file-named:{}", self.ids.len() / 2));
        let workers = self.platform.start_workers().expect("workers");
        asked.into_iter().for_each(|operation| self.succeeded(operation));
        workers.stop();
        let files = storage::of(&self.platform.settings.backups).list().expect("listed");
        let connection = &mut *self.platform.shared.get().expect("shared");
        for id in &self.ids {
            let all = registry::of(connection, Some(*id)).expect("read");
            assert!(!all.is_empty() && all.iter().all(|backup| backup.fault.is_none()), "{all:?}");
            for backup in all {
                let name = storage::Names::of(Some(*id), backup.id).file;
                assert!(files.contains(&name), "{name}");
            }
        }
        self.tell("killed half-way and backed up");
    }

    fn restore(&self, id: Id) {
        let before = self.row(id);
        let operation = {
            let connection = &mut *self.platform.shared.get().expect("shared");
            let backup = registry::of(connection, Some(id)).expect("read").remove(0).id;
            backups::request_restore(connection, &self.audit(), backup, RestoreHow::default()).expect("asked")
        };
        die_at(&self.site, &operation.to_string(), "restore:swapped:1");
        do_work(&self.site, &operation.to_string(), "restore");
        self.succeeded(operation);
        let after = self.row(id);
        assert!(after.generation > before.generation && after.database_name != before.database_name);
        self.assert_served(id);
        self.tell("one killed and restored");
    }

    fn move_away(&self, id: Id) {
        let second = OwnServer::start(&[]);
        let (address, password) = parts(&second);
        let entered = servers::Entered {
            name: "second".into(),
            address,
            password: Some(password),
            capacity: 10,
            most_connections: None,
        };
        let server = servers::add(&self.platform, &self.audit(), &entered).expect("added").id;
        assert_eq!(self.row(id).server_id, HOME);
        let operation = {
            let connection = &mut *self.platform.shared.get().expect("shared");
            move_database::request(connection, &self.audit(), id, server).expect("asked")
        };
        let points = move_database::crash_points(engine(), Engine::Postgres);
        die_at(&self.site, &operation.to_string(), &format!("{}:1", points[points.len() / 2]));
        self.assert_served(id);
        do_work(&self.site, &operation.to_string(), "move");
        self.succeeded(operation);
        assert_eq!(self.row(id).server_id, server);
        self.assert_served(id);
        self.tell("one killed and moved");
    }

    #[track_caller]
    fn assert_served(&self, id: Id) {
        let connection = &mut *self.platform.shared.get().expect("shared");
        let tenant = self.platform.tenants.open(connection, id).expect("opened");
        let people: i64 = diesel::RunQueryDsl::get_result(
            diesel::QueryDsl::count(provost::db::schema_tenant::users::table),
            &mut *tenant.get().expect("a connection"),
        )
        .expect("counted");
        assert_eq!(people, 1);
    }
}
