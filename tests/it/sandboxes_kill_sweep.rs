//! kill -9 at every crash point of a sandbox: nobody is ever served what is not masked, and it ends made.
//!
//! Part of `scripts/test slow`.

use std::{sync::Arc, time::Duration};

use diesel::prelude::*;
use provost::{
    db::{Id, schema_tenant::people},
    models::{
        Actor,
        domain::Domain,
        platform::{
            operations::{self, OperationStatus},
            platform_secrets, tenant_copies, tenant_databases,
        },
        text::Email,
    },
    services::{
        operations::sandbox,
        platform::Platform,
        sandboxes::{self, Wanted},
    },
};

use crate::{
    leaving::assert_no_strays,
    sandboxes::{fill, is_clean},
    support::{
        Site, approve,
        child::{die_at, do_work},
        engine, register, status,
    },
};

fn prepared() -> (Site, Arc<Platform>, Id) {
    let mut site = Site::new();
    site.settings.limits.lease = Duration::from_millis(1_000);
    let platform = site.open();
    let id = register(&platform, "mit.edu");
    let operation = approve(&platform, id).to_string();
    do_work(&site, &operation, "provisioning");
    let tenant = platform.tenants.open(&mut platform.shared.get().expect("shared"), id).expect("opened");
    fill(&mut tenant.get().expect("a connection"));
    (site, platform, id)
}

/// Whatever can be entered is masked; and whoever is not active cannot be entered at all, by nobody.
#[track_caller]
fn assert_nobody_is_shown(platform: &Platform, sandbox: Id, what: &str) -> bool {
    let shared = &mut *platform.shared.get().expect("shared");
    let tenant = platform.tenants.open_in_any_state(shared, sandbox);
    let serves = status(platform, sandbox) == "active";
    let row = tenant_databases::find(shared, sandbox).expect("read");
    assert_eq!((tenant.is_ok(), row.is_some()), (serves, serves), "{what}");
    if let Ok(tenant) = tenant {
        let names: Vec<String> = people::table
            .select(people::name)
            .load(&mut *tenant.get().expect("a connection"))
            .expect("people");
        assert!(names.len() == 5 && names.iter().all(|name| is_clean(name)), "{what}: {names:?}");
    }
    assert_no_strays(platform, what);
    serves
}

#[test]
#[ignore = "slow"]
fn making_a_sandbox_survives_kill_at_every_point() {
    let points = sandbox::crash_points(engine());
    let (site, platform, source) = prepared();
    let mut served = 0;
    for (number, point) in points.iter().enumerate() {
        let audit = platform.audit(Actor::command_line());
        let wanted = Wanted {
            source_id: source,
            backup_id: None,
            domain: Domain::parse(&format!("sandbox-{number}.mit.edu")).expect("a domain"),
            name: "Probe".into(),
            admin_name: "Tess".into(),
            admin_email: Email::parse("tests@probe.example").expect("an address"),
        };
        let begun = {
            let connection = &mut *platform.shared.get().expect("shared");
            sandboxes::request(connection, &platform, &audit, &wanted).expect("asked")
        };
        let (operation, id) = (begun.operation.to_string(), begun.institution.id);
        die_at(&site, &operation, &format!("{point}:1"));
        served += usize::from(assert_nobody_is_shown(&platform, id, point));
        do_work(&site, &operation, point);
        let shared = &mut *platform.shared.get().expect("shared");
        let ended = operations::find(shared, begun.operation).expect("there");
        assert_eq!(ended.status, OperationStatus::Succeeded, "{point}: {:?}", ended.error);
        assert!(assert_nobody_is_shown(&platform, id, point), "{point}");
        assert!(tenant_copies::of_institution(shared, id).expect("read").is_empty(), "{point}");
        let key = |c: &mut _, id| platform_secrets::institution_key(c, id).expect("read").expect("a key");
        assert_ne!(key(shared, id), key(shared, source), "{point}: a key of its own");
    }
    println!(
        "{}: killed at {} points of making a sandbox, {served} after it served; 0 violations",
        engine(),
        points.len()
    );
}
