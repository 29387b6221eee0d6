//! kill -9 at every crash point of moves there and back: the old database serves or the new one, people can write again
//! in the end, and nothing stands around.
//!
//! Part of `scripts/test slow`.

use std::time::Duration;

use diesel::prelude::*;
use provost::{
    db::{Engine, Id, engine::HOME, schema_tenant::users},
    models::{
        Actor,
        platform::{
            operations::{self, Kind, OperationStatus},
            tenant_databases,
        },
    },
    services::{operations::move_database, platform::Platform, servers as service},
};

use crate::{
    moves::assert_no_strays,
    servers::parts,
    support::{
        Site, approve,
        child::{die_at, do_work},
        engine,
        own_server::OwnServer,
        register,
    },
};

/// Whoever serves can be entered and read.
#[track_caller]
fn assert_served(platform: &Platform, id: Id, what: &str) {
    let shared = &mut *platform.shared.get().expect("shared");
    let tenant = platform.tenants.open(shared, id).unwrap_or_else(|error| panic!("{what}: {error}"));
    let people: i64 =
        users::table.count().get_result(&mut *tenant.get().expect("a connection")).expect("people");
    assert_eq!(people, 1, "{what}");
}

#[test]
#[ignore = "slow"]
fn moving_survives_kill_at_every_point() {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let second = OwnServer::start(&[]);
    let (address, password) = parts(&second);
    let entered = service::Entered {
        name: "second".into(),
        address,
        password: Some(password),
        capacity: 10_000,
        most_connections: None,
    };
    let audit = platform.audit(Actor::command_line());
    let server = service::add(&platform, &audit, &entered).expect("added").id;
    let id = register(&platform, "mit.edu");
    do_work(&site, &approve(&platform, id).to_string(), "provisioning");
    let row = || {
        let connection = &mut platform.shared.get().expect("shared");
        tenant_databases::find(connection, id).expect("read").expect("a row")
    };
    let move_to = |to: Id, point: Option<&str>| {
        let (what, old) = (format!("{point:?} to {to}"), row().database_name);
        let operation = {
            let connection = &mut *platform.shared.get().expect("shared");
            move_database::request(connection, &audit, id, to).expect("asked").to_string()
        };
        if let Some(point) = point {
            die_at(&site, &operation, &format!("{point}:1"));
            assert_served(&platform, id, &what);
        }
        do_work(&site, &operation, &what);
        let latest = operations::latest(&mut platform.shared.get().expect("shared"), id, Kind::Move);
        let ended = latest.expect("read").expect("an operation");
        assert_eq!(ended.status, OperationStatus::Succeeded, "{what}: {:?}", ended.error);
        let now = row();
        assert_eq!((now.server_id, now.write_block), (to, None), "{what}");
        assert_ne!(now.database_name, old, "{what}");
        assert_served(&platform, id, &what);
        let shared = &mut *platform.shared.get().expect("shared");
        let tenant = platform.tenants.open(shared, id).expect("opened");
        let written = diesel::update(users::table)
            .set(users::version.eq(users::version + 1))
            .execute(&mut *tenant.get().expect("a connection"));
        assert_eq!(written, Ok(1), "{what}: people can write again");
    };
    if row().server_id != HOME {
        move_to(HOME, None);
    }
    let there = move_database::crash_points(engine(), Engine::Postgres);
    let back = move_database::crash_points(Engine::Postgres, engine());
    for (index, point) in there.iter().enumerate() {
        move_to(server, Some(point));
        move_to(HOME, back.get(index).map(String::as_str));
    }
    assert_no_strays(&platform);
    println!("{}: killed at {} points of moves; 0 violations", engine(), there.len() + back.len());
}
