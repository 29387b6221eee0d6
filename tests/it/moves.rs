//! Institutions moved between servers and engines: what they have is the same afterwards, nobody is signed out, and
//! whatever fails leaves the old database serving.

use std::{fs, os::unix::fs::PermissionsExt as _};

use diesel::connection::SimpleConnection as _;
use provost::{
    db::{Engine, Id, engine::HOME},
    models::{
        Actor,
        platform::{
            audit,
            operations::{Operation, OperationStatus},
            servers::{self, ServerState},
            tenant_copies::{self, Purpose},
            tenant_databases::{self, WriteBlock},
        },
    },
    services::{operations::move_database, platform::Platform, tenants},
};

use crate::{
    servers::{add_student, added, database, student_numbers},
    support::{
        Folder,
        app::{Institution, PASSWORD, TestApp},
        caller::Caller,
        engine, finished,
        own_server::OwnServer,
    },
};

#[track_caller]
pub fn moved(platform: &Platform, institution: Id, server: Id) -> Operation {
    let audit = platform.audit(Actor::command_line());
    let operation = {
        let connection = &mut *platform.shared.get().expect("shared");
        move_database::request(connection, &audit, institution, server).expect("asked")
    };
    platform.operations.wake();
    finished(platform, operation)
}

/// Nothing but the databases that serve and the copies that have a row; the audit log is whole.
#[track_caller]
pub fn assert_no_strays(platform: &Platform) {
    let shared = &mut *platform.shared.get().expect("shared");
    let mut known = Vec::new();
    for row in tenant_databases::all(shared).expect("read") {
        known.extend([row.database.database_name, row.database.location]);
    }
    for copy in tenant_copies::all(shared).expect("read") {
        known.extend([copy.database_name, copy.location]);
    }
    let mut strays = platform.engine.list().expect("listed");
    strays.extend(platform.engine.roles().expect("roles"));
    strays.retain(|name| !known.contains(name));
    assert_eq!(strays, Vec::<String>::new());
    assert_eq!(audit::verify(shared, &platform.keys.audit_key()).expect("read").broken, None);
}

/// Students of every sort, one of them archived, and a file.
fn fill(owner: &Caller, institution: &Institution) {
    for (number, name) in ["Zoë 李 🗼", "O'Brien \\ \"x\"", "Marie Curie", "Ève Curie"].iter().enumerate()
    {
        add_student(owner, institution, name, &format!("S-{number}"));
    }
    let list = owner.get(&institution.path("/students?q=marie")).is(200);
    let links = list.attributes("main tbody a", "href");
    let marie = links.iter().find(|link| link.contains("/students/")).expect("a student").clone();
    let undo = owner.post(&format!("{marie}/archiving"), &[]).is(303);
    owner.get(undo.location()).is(200);
    let file = "student_number,name\nS-9,Léa Roux\n";
    owner.upload(&institution.path("/students/import"), "s.csv", file.as_bytes(), &[]).is(303);
}

/// What people see of their records.
fn seen(owner: &Caller, institution: &Institution) -> Vec<String> {
    ["/students.csv", "/activity.csv", "/users.csv"]
        .map(|rest| owner.get(&institution.path(rest)).is(200).text())
        .into_iter()
        // To look leaves a trace.
        .map(|text| text.lines().filter(|line| !line.contains(".exported")).collect::<Vec<_>>().join("\n"))
        .collect()
}

#[test]
fn an_institution_moves_there_and_back_with_all_it_has() {
    let (app, second) = (TestApp::start(), OwnServer::start(&[]));
    let server = added(&app, &second, "second");
    let (mit, eth) = (app.institution("mit.edu"), app.institution("ethz.ch"));
    // The second one is wholly free, of the first a place is taken.
    assert_eq!((database(&app, &mit).server_id, database(&app, &eth).server_id), (HOME, server.id));
    let (owner, admin) = (app.owner(&mit), app.super_admin());
    fill(&owner, &mit);
    let before = seen(&owner, &mit);
    let old = database(&app, &mit);

    let ask = "/platform/institutions/mit.edu/move";
    admin.get("/platform/institutions/mit.edu").is(200).shows("Move to another server");
    let form = admin.get(ask).is(200).shows("second").form(&format!("form[action=\"{ask}\"]"));
    form.submit(&admin).is(422);
    let form = form.fill("server", &server.id.to_string());
    form.fill("confirmation", "ethz.ch").submit(&admin).is(422);
    let place = form.fill("confirmation", "mit.edu").submit(&admin).is(303).location().to_owned();
    let operation: Id = place.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an operation");
    let ended = finished(&app.platform, operation);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    admin.get(&place).is(200).shows("Copy every row").shows("Done");

    assert_eq!(student_numbers(&app, &mit), ["S-0", "S-1", "S-2", "S-3"]);

    // Who was signed in still is, sees the same, and can write.
    let new = database(&app, &mit);
    assert_eq!((new.server_id, new.engine, new.write_block), (server.id, Engine::Postgres, None));
    assert!(new.generation > old.generation);
    assert_eq!(seen(&owner, &mit), before);
    add_student(&owner, &mit, "Lise Meitner", "S-10");
    let again = app.sign_in(&mit.owner_email, PASSWORD);
    again.get(&mit.path("/activity")).is(200);
    app.owner(&eth).get(&eth.path("/students")).is(200);
    admin.get("/platform/audit?q=institution.moved").is(200).shows("moved");
    assert!(!admin.get("/platform/institutions/mit.edu").is(200).text().contains("being moved"));

    // The old one is kept for a while, and nothing is left besides.
    let copies =
        tenant_copies::of_institution(&mut app.platform.shared.get().expect("shared"), mit.id).expect("read");
    assert_eq!(copies.len(), 1);
    assert_eq!((copies[0].purpose, &copies[0].database_name), (Purpose::Previous, &old.database_name));
    assert_no_strays(&app.platform);

    // And back.
    assert_eq!(student_numbers(&app, &mit), ["S-0", "S-1", "S-10", "S-2", "S-3"]);
    let before = seen(&owner, &mit);
    let ended = moved(&app.platform, mit.id, HOME);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    let home = database(&app, &mit);
    assert_eq!((home.server_id, home.engine), (HOME, app.engine()));
    assert_eq!(seen(&owner, &mit), before);
    add_student(&owner, &mit, "Emmy Noether", "S-11");
    assert_eq!(student_numbers(&app, &mit), ["S-0", "S-1", "S-10", "S-11", "S-2", "S-3"]);
    assert_no_strays(&app.platform);
}

#[test]
fn while_it_is_moved_people_read_and_are_told_why_nothing_else() {
    let app = TestApp::start();
    let mit = app.institution("mit.edu");
    let owner = app.owner(&mit);
    add_student(&owner, &mit, "Marie Curie", "S-1");
    let set = |block| {
        let connection = &mut *app.platform.shared.get().expect("shared");
        connection.write_tx(|c| tenant_databases::set_write_block(c, mit.id, block)).expect("set")
    };
    let add = |name: &str, number: &str| {
        let fields = [("name", name), ("student_number", number), ("status", "active")];
        owner.post(&mit.path("/students"), &fields)
    };
    assert!(set(Some(WriteBlock::Move)));
    let place = tenants::place(&database(&app, &mit));
    app.platform.engine.stop_writing(&place, &|| Ok(())).expect("stopped");
    owner.get(&mit.path("/students")).is(200).shows("Marie Curie").shows("being moved to another server");
    let answer = add("Ève Curie", "S-2").is(503).shows("Nothing was changed");
    assert!(answer.header("retry-after").is_some());
    for file in ["/students.csv", "/export.zip"] {
        owner.get(&mit.path(file)).is(503).shows("Files can be taken after that");
    }
    let again = app.sign_in(&mit.owner_email, PASSWORD);
    again.get(&mit.path("/activity")).is(200);
    // Nor does anybody else write, whatever he forgets to ask.
    {
        let mut shared = app.platform.shared.get().expect("shared");
        let tenant = app.platform.tenants.open(&mut shared, mit.id).expect("opened");
        let mut connection = tenant.get().expect("connection");
        assert!(connection.batch_execute("DELETE FROM students").is_err());
    }
    assert!(set(None));
    app.platform.engine.allow_writing(&place).expect("allowed");
    add("Ève Curie", "S-2").is(303);
    assert_eq!(student_numbers(&app, &mit), ["S-1", "S-2"]);
}

#[test]
fn what_fails_half_way_leaves_everything_as_it_was() {
    let folder = Folder::new();
    let app = TestApp::with(|settings| {
        if engine() == Engine::Postgres {
            // Everything can be taken out of a server, and nothing be brought in.
            let tools = folder.path().join("tools");
            fs::create_dir(&tools).expect("folder");
            for (name, otherwise) in [("pg_dump", "exec REAL \"$@\""), ("pg_restore", "exit 1")] {
                let real = glob_tool(name);
                let script = format!(
                    "#!/bin/sh\nif [ \"$1\" = --version ]; then exec {real} --version; fi\n{}\n",
                    otherwise.replace("REAL", &real)
                );
                fs::write(tools.join(name), script).expect("written");
                fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).expect("runs");
            }
            settings.backups.postgres_tools = Some(tools);
        }
    });
    let second = OwnServer::start(&[]);
    let server = added(&app, &second, "second");
    let mit = app.institution("mit.edu");
    let owner = app.owner(&mit);
    add_student(&owner, &mit, "Marie Curie", "S-1");
    if engine() == Engine::Sqlite {
        // What PostgreSQL has no text for.
        app.behind(&mit).batch_execute("UPDATE people SET phone = 'x' || char(0) || 'y'").expect("done");
    }
    let old = database(&app, &mit);
    let ended = moved(&app.platform, mit.id, server.id);
    assert_eq!(ended.status, OperationStatus::RolledBack, "{:?}", ended.error);
    let now = database(&app, &mit);
    assert_eq!((now.database_name, now.server_id, now.write_block), (old.database_name, HOME, None));
    add_student(&owner, &mit, "Ève Curie", "S-2");
    assert_eq!(student_numbers(&app, &mit), ["S-1", "S-2"]);
    assert_no_strays(&app.platform);
    let copies = tenant_copies::all(&mut app.platform.shared.get().expect("shared")).expect("read");
    assert!(copies.is_empty(), "{copies:?}");

    // A server that takes nothing, or that is away, is refused before anything happens.
    let connection = &mut *app.platform.shared.get().expect("shared");
    let audit = app.platform.audit(Actor::command_line());
    servers::set_state(connection, &audit, server.id, ServerState::Draining).expect("set");
    let refused = move_database::request(connection, &audit, mit.id, server.id).expect_err("draining");
    assert!(refused.to_string().contains("full or draining"), "{refused}");
    let refused = move_database::request(connection, &audit, mit.id, HOME).expect_err("there already");
    assert!(refused.to_string().contains("already"), "{refused}");
}

fn glob_tool(name: &str) -> String {
    let mut found: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("installed")
        .map(|entry| entry.expect("entry").path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().expect("a tool").display().to_string()
}

#[test]
fn a_platform_on_postgresql_moves_an_institution_into_its_folder_and_out_again() {
    if engine() != Engine::Postgres {
        return;
    }
    let app = TestApp::start();
    let admin = app.super_admin();
    let form = admin.get("/platform/servers/new").is(200).form("main form");
    let place = form.fill("name", "folder").fill("address", "sqlite:").submit(&admin).is(303);
    let folder: Id = place.location().rsplit('/').next().and_then(|id| id.parse().ok()).expect("a server");
    let mit = app.institution("mit.edu");
    let owner = app.owner(&mit);
    // Where it landed is a matter of room.
    if database(&app, &mit).server_id != HOME {
        assert_eq!(moved(&app.platform, mit.id, HOME).status, OperationStatus::Succeeded);
    }
    fill(&owner, &mit);
    let before = seen(&owner, &mit);
    for (server, kind) in [(folder, Engine::Sqlite), (HOME, Engine::Postgres)] {
        let ended = moved(&app.platform, mit.id, server);
        assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
        assert_eq!((database(&app, &mit).server_id, database(&app, &mit).engine), (server, kind));
        assert_eq!(seen(&owner, &mit), before);
    }
    assert_no_strays(&app.platform);
}
