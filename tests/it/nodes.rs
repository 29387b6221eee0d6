//! Two nodes, in two processes, on one shared PostgreSQL database: what one decides holds at the other with its
//! very next request.

use std::net::SocketAddr;

use provost::{
    db::{Engine, Target},
    models::platform::{
        institutions::{self, Status},
        tenant_databases,
    },
};

use crate::{
    routes::add_student,
    support::{
        app::{TestApp, eventually},
        approve,
        binary::{Running, bare, free_port},
        caller::Caller,
        engine, register, status,
    },
};

/// The node beside a running app: a process of its own.
struct Node {
    process: Running,
    address: SocketAddr,
    /// What people call both nodes.
    host: String,
}

impl Node {
    fn beside(app: &TestApp) -> Self {
        let settings = app.settings();
        let listen = free_port();
        let mut command = bare(settings.data_dir.parent().expect("parent"), &["serve"]);
        let Target::Postgres(url) = &settings.database else { panic!("nodes share PostgreSQL") };
        command
            .env("PROVOST_DATA_DIR", &settings.data_dir)
            .env("PROVOST_DATABASE_URL", url)
            .env("PROVOST_DATABASE_PREFIX", &settings.database_prefix)
            .env("PROVOST_CONNECTION_BUDGET", "8")
            .env("PROVOST_PUBLIC_URL", &settings.public_url)
            .env("PROVOST_LISTEN", &listen);
        let (process, _) = Running::start(command, "Its address is");
        let address: SocketAddr = listen.parse().expect("an address");
        let host = settings.public_url.trim_start_matches("http://").to_owned();
        let node = Self { process, address, host };
        eventually("the second node answers", || std::net::TcpStream::connect(address).is_ok());
        node.visitor().get("/health/ready").is(200);
        node
    }

    fn visitor(&self) -> Caller {
        Caller::new(self.address).with("host", &self.host)
    }

    /// The browser of `caller`, sent here by the balancer.
    fn takes_over(&self, caller: &Caller) -> Caller {
        let here = self.visitor();
        here.set_cookie("provost", &caller.cookie("provost").expect("signed in"));
        here
    }
}

fn nodes() -> Option<(TestApp, Node)> {
    // SQLite has one process.
    if engine() == Engine::Sqlite {
        return None;
    }
    let app = TestApp::start();
    let node = Node::beside(&app);
    Some((app, node))
}

#[test]
fn sessions_suspension_and_throttles_hold_on_every_node() {
    let Some((app, node)) = nodes() else { return };
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let student = add_student(&owner, &a, "Zoé Dubois", "S-1");
    let over_there = node.takes_over(&owner);
    over_there.get(&a.path(&format!("/students/{student}"))).is(200).shows("Zoé Dubois");

    let admin = node.takes_over(&app.super_admin());
    let suspension = format!("/platform/institutions/{}/suspension", a.domain);
    for _ in 0..3 {
        let (here, there) = (app.owner(&a), node.takes_over(&app.owner(&a)));
        here.get(&a.path("")).is(200);
        there.get(&a.path("")).is(200);
        admin.post(&suspension, &[("reason", "Unpaid")]).is(303);
        // The next request of each.
        here.get(&a.path("")).is(403).shows("is suspended");
        there.get(&a.path("")).is(403).shows("is suspended");
        admin.post(&format!("{suspension}/remove"), &[]).is(303);
    }

    let (here, there) = (app.owner(&a), node.takes_over(&app.owner(&a)));
    let same = node.takes_over(&here);
    here.post("/sign-out", &[]).is(303);
    same.get(&a.path("")).is(303);
    there.get(&a.path("")).is(200);

    // Five tries cost nothing, wherever they are made.
    let wrong = [("email", a.owner_email.as_str()), ("password", "not the password 99")];
    for turn in 0..5 {
        let caller = if turn % 2 == 0 { app.visitor() } else { node.visitor() };
        caller.post("/sign-in", &wrong).is(422);
    }
    let tried: Vec<u16> =
        [app.visitor(), node.visitor()].iter().map(|caller| caller.post("/sign-in", &wrong).status).collect();
    assert!(tried.contains(&429), "{tried:?}");
    node.process.stop();
}

#[test]
fn a_raised_generation_reaches_every_node() {
    let Some((app, node)) = nodes() else { return };
    let a = app.institution("evry.example");
    let (here, there) = (app.owner(&a), node.takes_over(&app.owner(&a)));
    for _ in 0..3 {
        here.get(&a.path("/students")).is(200);
        there.get(&a.path("/students")).is(200);
        let mut shared = app.platform.shared.get().expect("shared");
        tenant_databases::raise_generation(&mut shared, a.id).expect("raised");
    }
    there.get(&a.path("/students")).is(200);
    node.process.stop();
}

#[test]
fn each_operation_is_done_once_and_a_dead_nodes_work_is_taken_over() {
    let Some((app, node)) = nodes() else { return };
    let all: Vec<_> = (0..12).map(|number| register(&app.platform, &format!("u{number}.example"))).collect();
    all.iter().for_each(|id| {
        approve(&app.platform, *id);
    });
    // Killed with whatever it had claimed.
    eventually("some are done", || {
        all.iter().any(|id| status(&app.platform, *id) == Status::Active.as_str())
    });
    drop(node);
    app.sql("UPDATE operations SET lease_expires_at = '2026-01-01 00:00:00' WHERE status = 'running'");
    app.platform.operations.wake();
    for id in &all {
        eventually("it is active", || status(&app.platform, *id) == Status::Active.as_str());
        let mut shared = app.platform.shared.get().expect("shared");
        let changes = institutions::status_changes(&mut shared, *id).expect("history");
        let activated = changes.iter().filter(|change| change.to_status == Status::Active).count();
        assert_eq!(activated, 1, "{changes:?}");
    }
}
