//! Reconciliation: both directions, reported first, mended by a click, and nothing unknown before seven days.

use std::fs;

use chrono::TimeDelta;
use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id,
        engine::{HOME, Place},
        now,
        schema_shared::reconciliation_findings as findings,
    },
    models::{
        Actor,
        platform::{
            admins::AdminRole,
            backups::Reason,
            reconciliation::{self, Finding, FindingKind},
            tenant_copies::{self, Purpose},
            tenant_databases::{self, NewTenantDatabase},
        },
    },
    services::{backups, reconcile, servers as service, tenants},
};

use crate::{
    servers::added,
    support::{
        app::{TestApp, unique},
        binary::provost,
        copy_of, engine,
        own_server::OwnServer,
        status,
    },
};

const PATH: &str = "/platform/reconciliation";

fn all(app: &TestApp) -> Vec<Finding> {
    let c = &mut *app.platform.shared.get().expect("shared");
    findings::table.select(Finding::as_select()).order(findings::subject).load(c).expect("read")
}

fn of(app: &TestApp, kind: FindingKind) -> Finding {
    let found: Vec<_> = all(app).into_iter().filter(|finding| finding.kind == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {:?}", all(app));
    found[0].clone()
}

fn refresh(app: &TestApp) -> usize {
    reconcile::refresh(&app.platform).expect("looked").0
}

#[test]
fn every_difference_is_found_and_mended_by_a_click() {
    let app = TestApp::start();
    let (mit, eth, half) =
        (app.institution("mit.edu"), app.institution("ethz.ch"), app.registered("half.edu"));
    let (admin, operator) = (app.super_admin(), app.platform_admin(AdminRole::Operator));
    assert_eq!(refresh(&app), 0, "{:?}", all(&app));
    operator.get(PATH).is(200).shows("Nothing differs");

    let platform = &app.platform;
    let place = |id| {
        let row = tenant_databases::find(&mut platform.shared.get().expect("shared"), id);
        tenants::place(&row.expect("read").expect("a row"))
    };
    // A row without its database, a version that is not the database's, a name that nobody works on.
    platform.engine.drop_database(&place(eth.id), &|| Ok(())).expect("dropped");
    let c = &mut *platform.shared.get().expect("shared");
    tenant_databases::set_schema_version(c, mit.id, "2000-01-01-000000_older", None).expect("aged");
    let (id, name) = (Id::new(), format!("{}half_edu", platform.prefix.as_str()));
    let half_made = NewTenantDatabase {
        server_id: HOME,
        id,
        institution_id: half.id,
        engine: platform.engine.kind(),
        database_name: &name,
        location: &platform.engine.home().location(&name, id),
        schema_version: platform.migrations.version(),
    };
    tenant_databases::reserve(c, &half_made).expect("half made");
    app.sql("UPDATE institutions SET status = 'provisioning' WHERE domain = 'half.edu'");
    // A copy and a backup that are gone.
    let copy = copy_of(platform, mit.id, Purpose::Beside);
    tenant_copies::insert(c, &copy).expect("entered");
    let audit = platform.audit(Actor::command_line());
    let backup = backups::take(platform, &audit, Some(mit.id), Reason::Requested).expect("taken");
    let folder = platform.settings.backups.folder.join(mit.id.to_string());
    fs::remove_file(folder.join(format!("{}.backup", backup.id))).expect("removed");
    // A database and a role that nobody knows.
    let stranger = Id::new();
    let name = format!("{}stranger_{}", platform.prefix.as_str(), unique());
    let location = platform.engine.home().location(&name, stranger);
    let strange = Place { institution_id: stranger, server_id: HOME, name, location };
    platform.engine.create_role(&strange, "known", &|| Ok(())).expect("a role");
    platform.engine.create(&strange, &|| Ok(())).expect("a database");
    let mut expected = vec![
        FindingKind::MissingDatabase,
        FindingKind::VersionDrift,
        FindingKind::HalfMade,
        FindingKind::MissingCopy,
        FindingKind::MissingBackup,
        FindingKind::UnknownDatabase,
    ];
    if engine() == Engine::Sqlite {
        let data = &platform.settings.data_dir;
        fs::create_dir_all(data.join("trash/left/inner")).expect("trash");
        fs::create_dir(data.join("tenants/lonely-1")).expect("folder");
        fs::write(data.join("tenants/lonely-1/institution.db-wal"), "stale").expect("log");
        expected.extend([FindingKind::Trash, FindingKind::StrayLog]);
    } else {
        expected.push(FindingKind::UnknownRole);
    }

    operator.post(PATH, &[]).leads_to(PATH);
    let page = operator.get(PATH).is(200);
    for kind in &expected {
        assert!(page.main().contains(kind.label()), "{kind}: {}", page.main());
        assert!(all(&app).iter().any(|finding| finding.kind == *kind), "{kind}: {:?}", all(&app));
    }
    assert!(!page.text().contains("/repair"), "operators look");
    assert_eq!(refresh(&app), 0, "seen before");

    // At one click; what needs a backup says so.
    let missing = of(&app, FindingKind::MissingDatabase);
    admin.get(&format!("{PATH}/{}/repair", missing.id)).leads_to(PATH);
    admin.get(PATH).is(200).shows("Restore it from a backup");
    for kind in expected.iter().filter(|kind| kind.repair().is_some() && !kind.is_unknown()) {
        let path = format!("{PATH}/{}/repair", of(&app, *kind).id);
        let form = admin.get(&path).is(200).form("main form");
        form.submit(&admin).leads_to(PATH);
        admin.get(PATH).is(200).shows("is mended");
        admin.post(&path, &[]).is(404);
    }
    // What nobody knows waits seven days, and then asks for its name.
    let unknown: Vec<_> = all(&app).into_iter().filter(|finding| finding.kind.is_unknown()).collect();
    for finding in &unknown {
        let path = format!("{PATH}/{}/repair", finding.id);
        admin.get(&path).leads_to(PATH);
        admin.post(&path, &[("confirmation", &finding.subject)]).leads_to(PATH);
        admin.get(PATH).is(200).shows("after 7 days");
    }
    assert!(platform.engine.exists(&strange).expect("asked"));
    diesel::update(findings::table)
        .set(findings::first_seen_at.eq(now() - TimeDelta::days(8)))
        .execute(c)
        .expect("aged");
    for finding in &unknown {
        let path = format!("{PATH}/{}/repair", finding.id);
        admin.post(&path, &[]).is(422);
        let form = admin.get(&path).is(200).form("main form");
        form.fill("confirmation", &finding.subject).submit(&admin).leads_to(PATH);
    }
    assert!(!platform.engine.exists(&strange).expect("asked"));

    crate::support::app::eventually("the set-up is finished", || status(platform, half.id) == "active");
    app.owner(&mit).get(&mit.path("")).is(200);
    refresh(&app);
    assert_eq!(
        all(&app).iter().map(|finding| finding.kind).collect::<Vec<_>>(),
        [FindingKind::MissingDatabase]
    );
    assert!(admin.get(&format!("{PATH}.csv")).is(200).text().contains("missing_database"));
    println!("{}: {} kinds of difference found and mended", engine(), expected.len());
}

#[test]
fn what_is_no_longer_so_is_not_mended() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let c = &mut *app.platform.shared.get().expect("shared");
    tenant_databases::set_schema_version(c, mit.id, "2000-01-01-000000_older", None).expect("aged");
    refresh(&app);
    let finding = of(&app, FindingKind::VersionDrift);
    let version = app.platform.migrations.version();
    tenant_databases::set_schema_version(c, mit.id, version, None).expect("as it was");
    let admin = app.super_admin();
    admin.post(&format!("{PATH}/{}/repair", finding.id), &[]).leads_to(PATH);
    admin.get(PATH).is(200).shows("It is not there any more");
    assert!(reconciliation::find(c, finding.id).is_err());
}

fn is_at(finding: &Finding, place: &Place) -> bool {
    finding.subject == place.name || finding.subject == place.location
}

#[test]
fn of_a_silent_server_nothing_is_said_and_of_the_others_everything() {
    let (app, second) = (TestApp::with(|settings| settings.scheduled = false), OwnServer::start(&[]));
    let (platform, admin) = (&app.platform, app.super_admin());
    let server = added(&app, &second, "second");
    admin.post(&format!("/platform/servers/{HOME}/draining"), &[]).is(303);
    let eth = app.institution("ethz.ch");
    let c = &mut *platform.shared.get().expect("shared");
    let stranger = |server_id| {
        let (id, name) = (Id::new(), format!("{}stranger_{}", platform.prefix.as_str(), unique()));
        let engine = platform.engine.of(server_id).expect("an engine");
        let place = Place { institution_id: id, server_id, location: engine.location(&name, id), name };
        platform.engine.create_role(&place, "known", &|| Ok(())).expect("a role");
        platform.engine.create(&place, &|| Ok(())).expect("a database");
        place
    };
    let (here, there) = (stranger(HOME), stranger(server.id));
    refresh(&app);
    let unknown = |app: &TestApp| -> Vec<Finding> {
        all(app).into_iter().filter(|finding| finding.kind == FindingKind::UnknownDatabase).collect()
    };
    assert_eq!(unknown(&app).len(), 2, "{:?}", all(&app));
    diesel::update(findings::table)
        .set(findings::first_seen_at.eq(now() - TimeDelta::days(8)))
        .execute(c)
        .expect("aged");
    let away = unknown(&app).into_iter().find(|finding| is_at(finding, &there)).expect("found");

    second.stop();
    platform.tenants.retire(eth.id);
    // What it said before is neither mended nor forgotten while nobody can look.
    let audit = platform.audit(Actor::command_line());
    let refused = reconcile::repair(platform, &audit, away.id).expect_err("not known").to_string();
    assert!(refused.contains("The server second could not be asked"), "{refused}");
    admin.post(PATH, &[]).leads_to(PATH);
    let page = admin.get(PATH).is(200);
    assert!(page.text().contains("The server second could not be asked"), "{}", page.main());
    assert!(page.main().contains("The server second does not answer"), "{}", page.main());
    let left = unknown(&app);
    assert!(left.len() == 1 && is_at(&left[0], &here), "{:?}", all(&app));
    assert!(all(&app).iter().all(|finding| finding.kind.is_unknown()), "nothing is missing: {:?}", all(&app));
    let output = provost(app.site(), &["reconcile", "--json"]).output().expect("run");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        (&told[0]["kind"], &told[0]["subject"]),
        (&"unheard_server".into(), &"second".into()),
        "{told}"
    );
    // What is on the others can be mended meanwhile.
    let path = format!("{PATH}/{}/repair", left[0].id);
    let form = admin.get(&path).is(200).form("main form");
    form.fill("confirmation", &left[0].subject).submit(&admin).leads_to(PATH);
    assert!(!platform.engine.exists(&here).expect("asked"));

    second.start_again();
    service::check(platform, server.id).expect("checked");
    refresh(&app);
    assert!(unknown(&app).iter().any(|finding| is_at(finding, &there)), "{:?}", all(&app));
    assert!(!admin.get(PATH).is(200).main().contains("does not answer"));
}
