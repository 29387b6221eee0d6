//! A sandbox: the records of an institution with nobody in them who can be recognised, and no way back.

use std::{collections::BTreeSet, path::PathBuf};

use diesel::prelude::*;
use provost::{
    db::{
        Engine, Id, now,
        schema_tenant::{activity_log, imports, people, students, users},
        tenant::TenantConn,
    },
    models::{
        Actor,
        institution::{
            Activity,
            masking::{COLUMNS, MAIL_DOMAIN},
            people::PersonFields,
            students::{self as student_model, StudentFields, StudentStatus},
            users::Role,
        },
        platform::{
            admins::AdminRole,
            audit,
            backups::{self as registry, Reason},
            institutions::{self, Status},
            operations::{self, Kind, OperationStatus},
            sandboxes,
            tenant_copies::{self, Purpose},
        },
    },
    services::backups::{self, copies},
};

use crate::{
    leaving::assert_no_strays,
    support::{
        app::{Institution, OTHER_PASSWORD, PASSWORD, TestApp},
        binary::provost,
        caller::{Answer, Caller},
        copy_of,
        dump::tenant_texts,
        engine, finished, status,
    },
};

/// A word that is in everything that says something of somebody.
pub const SECRET: &str = "Quetzalcoatl";

/// Fills an institution with people, and with traces of them wherever there can be any.
pub fn fill(connection: &mut TenantConn) {
    let actor = Actor {
        id: Some(Id::new()),
        name: format!("Ada {SECRET}"),
        ip: Some(format!("10.0.0.1 {SECRET}")),
        user_agent: Some(format!("Browser {SECRET}")),
    };
    let activity = Activity::new(actor);
    let some = |text: &str| Some(format!("{text} {SECRET}"));
    for number in 0..5 {
        let mut fields = StudentFields {
            student_number: format!("S-{number}"),
            person: PersonFields {
                name: format!("Zoé {SECRET} {number}"),
                preferred_name: some("Zo"),
                birth_date: chrono::NaiveDate::from_ymd_opt(2001, 2, 3 + number),
                email: Some(format!("zoe.{number}@{SECRET}.example")),
                phone: Some(format!("+33 9999 555 {number}")),
                address: some("Rue"),
            },
            status: StudentStatus::Active,
            admission_year: Some(2020),
            programme: Some("Physics".into()),
            notes: some("Is ill"),
        };
        let id = student_model::create(connection, &activity, &fields).expect("added");
        fields.person.phone = Some("+33 9999 555 777".into());
        fields.notes = some("Is well");
        let version = student_model::find(connection, id).expect("there").version;
        student_model::update(connection, &activity, id, version, &fields).expect("changed");
    }
    let file = format!("list of {SECRET}.csv");
    activity.record(connection, "students.imported", "students", None, &file, &[]).expect("recorded");
    diesel::insert_into(imports::table)
        .values((
            imports::id.eq(Id::new()),
            imports::kind.eq("students"),
            imports::file_name.eq(&file),
            imports::content.eq(SECRET.as_bytes()),
            imports::mapping.eq(SECRET),
            imports::result.eq(SECRET),
            imports::created_by.eq(Id::new()),
            imports::created_at.eq(now()),
        ))
        .execute(connection)
        .expect("an import");
    diesel::update(users::table)
        .set((users::name.eq(format!("Olympe {SECRET}")), users::last_sign_in_at.eq(now())))
        .execute(connection)
        .expect("named");
}

/// What must not be found anywhere.
pub fn is_clean(text: &str) -> bool {
    let lower = text.to_lowercase();
    !lower.contains(&SECRET.to_lowercase()) && !lower.contains("9999 555") && !lower.contains("$2b$")
}

/// Asks on the page; the sandbox as it stands once its operation is over.
#[track_caller]
fn make(app: &TestApp, admin: &Caller, of: &Institution, change: &[(&str, &str)]) -> Institution {
    let answer = ask(admin, of, change).is(303);
    let id = answer.location().rsplit('/').next().unwrap_or_default().parse().expect("an operation");
    let ended = finished(&app.platform, id);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    let mut shared = app.platform.shared.get().expect("shared");
    let made = institutions::find(&mut shared, ended.institution_id.expect("one")).expect("there");
    Institution {
        id: made.id,
        domain: made.domain,
        name: made.name,
        owner_email: "tests@probe.example".into(),
    }
}

#[track_caller]
fn ask(admin: &Caller, of: &Institution, change: &[(&str, &str)]) -> Answer {
    let place = format!("/platform/institutions/{}/sandboxes", of.domain);
    let mut form = admin.get(&place).is(200).form("main form").fill("admin_email", "tests@probe.example");
    for (name, value) in change {
        form = form.fill(name, value);
    }
    form.submit(admin)
}

#[test]
fn every_column_is_said_what_becomes_of_it() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let mut connection = app.behind(&a);
    let sql = match engine() {
        Engine::Sqlite => {
            "SELECT t.name || '.' || c.name AS name FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
        }
        Engine::Postgres => {
            "SELECT table_name || '.' || column_name AS name FROM information_schema.columns \
             WHERE table_schema = 'public'"
        }
    };
    let there: BTreeSet<String> = tenant_texts(&mut connection, sql)
        .into_iter()
        .filter(|column| !column.starts_with("__diesel_schema_migrations."))
        .collect();
    let said: Vec<String> = COLUMNS
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(move |(column, _)| format!("{table}.{column}")))
        .collect();
    assert_eq!(said.len(), said.iter().collect::<BTreeSet<_>>().len(), "each once");
    assert_eq!(there, said.into_iter().collect(), "say in models/institution/masking what becomes of it");
}

/// Everybody's student number with what is kept of them.
type Kept = (String, String, Option<i32>, Option<String>, i64);

fn kept(connection: &mut TenantConn) -> BTreeSet<Kept> {
    students::table
        .select((
            students::student_number,
            students::status,
            students::admission_year,
            students::programme,
            students::version,
        ))
        .load::<Kept>(connection)
        .expect("students")
        .into_iter()
        .collect()
}

/// Nothing of anybody is left: in no row, in no file, and not in what the engine remembers of the rows.
#[track_caller]
fn assert_masked(app: &TestApp, sandbox: &Institution) {
    let dump = app.tenant_dump(sandbox.id);
    assert!(is_clean(&dump), "{dump}");
    match app.tenant_target(sandbox) {
        provost::db::Target::Sqlite(path) => {
            for entry in std::fs::read_dir(path.parent().expect("a folder")).expect("a folder") {
                let path = entry.expect("an entry").path();
                let bytes = std::fs::read(&path).expect("readable");
                let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
                assert!(is_clean(&text), "{}", path.display());
            }
        }
        provost::db::Target::Postgres(_) => {
            let sql = "SELECT coalesce(string_agg(coalesce(most_common_vals::text, '') || \
                       coalesce(histogram_bounds::text, ''), ' '), '') AS name FROM pg_stats \
                       WHERE schemaname = 'public'";
            let remembered = tenant_texts(&mut app.behind(sandbox), sql).concat();
            assert!(is_clean(&remembered), "{remembered}");
        }
    }
}

#[test]
fn nobody_is_recognised_in_a_sandbox_and_nobody_of_the_original_gets_in() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    let other = app.new_user(&a, "registrar@evry.example", Role::Registrar);
    // Statistics with samples of the rows are copied as well.
    {
        use diesel::connection::SimpleConnection as _;
        let mut tenant = app.behind(&a);
        fill(&mut tenant);
        tenant.batch_execute("ANALYZE").expect("analysed");
    }
    let before = (app.tenant_dump(a.id), kept(&mut app.behind(&a)));
    assert!(!is_clean(&before.0));
    let (admin, mails) = (app.super_admin(), app.mails(&a.owner_email).len());
    let sandbox = make(&app, &admin, &a, &[]);
    assert_eq!(
        (sandbox.domain.as_str(), status(&app.platform, sandbox.id)),
        ("sandbox.evry.example", "active".into())
    );
    assert_masked(&app, &sandbox);
    assert_no_strays(&app.platform, "made");
    // The original is as it was.
    assert_eq!(app.tenant_dump(a.id), before.0);
    assert_eq!(app.mails(&a.owner_email).len(), mails);

    // What says nothing of anybody is kept, and everybody is the same one everywhere.
    let mut tenant = app.behind(&sandbox);
    assert_eq!(kept(&mut tenant), before.1);
    let names: Vec<(Id, String)> = students::table
        .inner_join(people::table)
        .select((students::id, people::name))
        .load(&mut tenant)
        .expect("students");
    assert_eq!(names.iter().map(|(_, name)| name).collect::<BTreeSet<_>>().len(), 5, "{names:?}");
    for (id, name) in &names {
        let labels: Vec<String> = activity_log::table
            .filter(activity_log::record_id.eq(*id))
            .select(activity_log::record_label)
            .load(&mut tenant)
            .expect("labels");
        assert_eq!(labels, [name.clone(), name.clone()]);
    }
    let phones: Vec<Option<String>> =
        people::table.select(people::phone).distinct().load(&mut tenant).expect("phones");
    assert_eq!(phones.len(), 1, "one number is one number: {phones:?}");
    let accounts: Vec<(Id, String, String, Option<String>)> = users::table
        .order(users::id)
        .select((users::id, users::email, users::status, users::password_hash))
        .load(&mut tenant)
        .expect("users");
    assert_eq!(accounts.len(), 3, "two of the original, and the first admin");
    for (_, email, status, hash) in accounts.iter().filter(|(_, email, ..)| *email != sandbox.owner_email) {
        assert!(email.ends_with(MAIL_DOMAIN), "{email}");
        assert_eq!((status.as_str(), hash), ("disabled", &None));
    }
    assert!(accounts.iter().any(|(id, ..)| *id == other));
    let imported: i64 = imports::table.count().get_result(&mut tenant).expect("imports");
    assert_eq!(imported, 0);

    // Whoever was in the original is only there.
    let owner = app.owner(&a);
    owner.get(&a.path("")).is(200);
    owner.get(&sandbox.path("")).is(404);
    let answer =
        app.visitor().post("/sign-in", &[("email", "registrar@evry.example"), ("password", PASSWORD)]);
    assert_eq!(answer.is(303).location(), a.path(""), "one institution only");

    // One mail, to one address; then nothing leaves it any more.
    assert_eq!(app.mails(&sandbox.owner_email).len(), 1);
    let link = app.mailed_path(&sandbox.owner_email, "/invitations/");
    let fields = [("name", "Tess Ter"), ("password", OTHER_PASSWORD), ("password_again", OTHER_PASSWORD)];
    let visitor = app.visitor();
    let form = visitor.get(&link).is(200).form("main form");
    let filled = fields.iter().fold(form, |form, (name, value)| form.fill(name, value));
    filled.submit(&visitor).leads_to("/sign-in");
    let tester = app.sign_in(&sandbox.owner_email, OTHER_PASSWORD);
    let page = tester.get(&sandbox.path("/students")).is(200);
    let text = page.text();
    assert!(text.contains("Sandbox: a masked copy of Université of evry.example as of"), "{text}");
    assert!(text.contains("no e-mail leaves it") && text.contains("S-3"), "{text}");
    let form = tester.get(&sandbox.path("/users/new")).is(200).form("main form").fill("name", "Grace Hopper");
    form.fill("email", "grace@probe.example").fill("roles", "viewer").submit(&tester).is(303);
    app.visitor().post("/password-reset", &[("email", &sandbox.owner_email)]);
    assert_eq!(app.mails("grace@probe.example").len(), 0);
    assert_eq!(app.mails(&sandbox.owner_email).len(), 1);
    // But for somebody whom the platform lets in.
    let form = admin.get("/platform/institutions/sandbox.evry.example/invitation").is(200).form("main form");
    form.fill("name", "Alan").fill("email", "alan@probe.example").submit(&admin).is(303);
    assert_eq!(app.mails("alan@probe.example").len(), 1);
    assert_eq!(app.mails(MAIL_DOMAIN).len(), 0);
    println!("{}: masked; 0 words found", engine());
}

#[test]
fn a_sandbox_is_known_for_what_it_is_and_goes_at_once() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    fill(&mut app.behind(&a));
    let (admin, second) = (app.super_admin(), app.super_admin());
    let audit_right = app.platform.audit(Actor::command_line());
    let backup = backups::take(&app.platform, &audit_right, Some(a.id), Reason::Requested).expect("a backup");
    // From a backup, under a name of one's own; the first domain that was proposed is taken by then.
    let of = admin.get(&format!("/platform/backups/{}", backup.id)).is(200);
    let offered = format!("/platform/institutions/evry.example/sandboxes?backup={}", backup.id);
    assert!(of.attributes("a", "href").contains(&offered));
    let id = backup.id.to_string();
    let sandbox = make(&app, &admin, &a, &[("backup", &id), ("name", "Probe"), ("domain", "probe.example")]);
    assert_masked(&app, &sandbox);
    let known = sandboxes::find(&mut app.platform.shared.get().expect("shared"), sandbox.id).expect("read");
    let known = known.expect("a sandbox");
    assert_eq!((known.source_id, known.state_of), (a.id, Some(backup.taken_at)));

    let lists = ["/platform/institutions", "/platform/databases"];
    for list in lists {
        assert!(
            admin.get(list).is(200).main().contains("probe.example, sandbox of Université of evry.example"),
            "{list}"
        );
    }
    let list = |query: &str| admin.get(&format!("/platform/institutions{query}")).is(200).text();
    let (only, none) = (list("?sandbox=yes"), list("?sandbox=no"));
    assert!(only.contains("probe.example") && only.contains("1 institution"), "{only}");
    assert!(!none.contains("probe.example") && none.contains("evry.example"), "{none}");
    let file = list(".csv?sandbox=yes");
    assert_eq!(file.lines().count(), 2, "{file}");
    assert!(file.contains("probe.example"), "{file}");
    let place = "/platform/institutions/probe.example";
    let page = admin.get(place).is(200);
    assert!(page.main().contains("Masked copy of") && page.main().contains("Not billed"), "{}", page.main());
    assert!(admin.get("/platform/institutions/evry.example").is(200).main().contains("probe.example"));
    admin.post(&format!("{place}/subscription/arrears"), &[("days", "10"), ("reason", "Owes")]);
    let terms = admin.get(&format!("{place}/subscription")).is(200);
    assert!(
        terms.main().contains("nothing to pay") && !terms.main().contains("Past due"),
        "{}",
        terms.main()
    );

    // What cannot be is said.
    ask(&admin, &a, &[("domain", "probe.example")]).is(422).shows("probe.example is taken");
    ask(&admin, &a, &[("domain", "no")]).is(422);
    ask(&admin, &a, &[("admin_email", "nobody")]).is(422);
    ask(&admin, &sandbox, &[]).is(422).shows("is a sandbox itself");
    assert!(!page.text().contains(&format!("{place}/sandboxes")));
    let waiting = app.registered("lyon.example");
    let fields = [
        ("backup", "fresh"),
        ("domain", "x.example"),
        ("name", "X"),
        ("admin_name", "X"),
        ("admin_email", "x@x.example"),
    ];
    admin.post("/platform/institutions/lyon.example/sandboxes", &fields).is(422);
    assert_eq!(status(&app.platform, waiting.id), "pending_approval");
    let shared = &mut *app.platform.shared.get().expect("shared");
    assert_eq!(audit::verify(shared, &app.platform.keys.audit_key()).expect("read").broken, None);

    // Archived and brought back as others, from its own backup with its own key.
    let own =
        backups::take(&app.platform, &audit_right, Some(sandbox.id), Reason::Requested).expect("its own");
    let manifest = registry::find(shared, own.id).expect("there");
    assert_eq!(manifest.institution_id, Some(sandbox.id));

    // Nobody works there: without the days, and still by two.
    let place = format!("{place}/deletion");
    let form = admin.get(&place).is(200).form("main form").fill("reason", "Tried out.");
    let form = form.fill("when", "at_once").fill("confirmation", "probe.example");
    form.submit(&admin).leads_to(&place);
    admin.get(&place).is(200).shows("As soon as another super admin agrees");
    admin.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    assert_eq!(status(&app.platform, sandbox.id), "active", "not by one alone");
    second.post(&format!("{place}/agreement"), &[]).leads_to(&place);
    let operation = operations::latest(shared, sandbox.id, Kind::Delete).expect("read").expect("begun").id;
    assert_eq!(finished(&app.platform, operation).status, OperationStatus::Succeeded);
    assert_eq!(status(&app.platform, sandbox.id), "deleted");
    assert_no_strays(&app.platform, "deleted");
    app.owner(&a).get(&a.path("/students")).is(200);
}

#[test]
fn a_sandbox_is_made_on_the_command_line() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    fill(&mut app.behind(&a));
    let run = |arguments: &[&str]| provost(app.site(), arguments).output().expect("run");
    let output =
        run(&["institution", "sandbox", "evry.example", "--admin-email", "tests@probe.example", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(made["domain"], "sandbox.evry.example");
    assert!(made["state_of"].is_string(), "{made}");
    let found =
        institutions::find_by_domain(&mut app.platform.shared.get().expect("shared"), "sandbox.evry.example");
    let found = found.expect("there");
    assert_eq!(found.status, Status::Active);
    assert!(is_clean(&app.tenant_dump(found.id)));
    let refused = run(&["institution", "sandbox", "evry.example", "--admin-email", "x", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    for (choice, domain) in [("yes", "sandbox.evry.example"), ("no", "evry.example")] {
        let listed = run(&["institution", "list", "--sandbox", choice, "--json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!(listed[0]["domain"], domain);
    }
    let shown = run(&["institution", "show", "sandbox.evry.example", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["sandbox_of"], "Université of evry.example");
}

/// A set-up that failed, because the backup's file is cut: operation and sandbox, and the file with what was in it.
fn failed(app: &TestApp, admin: &Caller, a: &Institution) -> (Id, Id, (PathBuf, Vec<u8>)) {
    let audit_right = app.platform.audit(Actor::command_line());
    let backup = backups::take(&app.platform, &audit_right, Some(a.id), Reason::Requested).expect("a backup");
    let folder = app.settings().backups.folder.join(a.id.to_string());
    let file = folder.join(format!("{}.backup", backup.id));
    let whole = std::fs::read(&file).expect("there");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("cut");
    let answer = ask(admin, a, &[("backup", &backup.id.to_string())]).is(303);
    let id = answer.location().rsplit('/').next().unwrap_or_default().parse().expect("an operation");
    let ended = finished(&app.platform, id);
    assert_eq!(ended.status, OperationStatus::RolledBack, "{:?}", ended.error);
    let sandbox = ended.institution_id.expect("one");
    assert_eq!(status(&app.platform, sandbox), "provisioning_failed");
    crate::support::assert_nothing_is_left(&app.platform, sandbox);
    (id, sandbox, (file, whole))
}

/// What a set-up leaves that could not be taken back: a database, its role, its row and a key.
fn leave_half_made(app: &TestApp, institution_id: Id) {
    let platform = &app.platform;
    let copy = copy_of(platform, institution_id, Purpose::Incoming);
    let place = copies::place(&copy);
    let shared = &mut *platform.shared.get().expect("shared");
    tenant_copies::insert(shared, &copy).expect("entered");
    platform.keys.data_key_or_new(shared, institution_id).expect("a key");
    platform.engine.create_role(&place, "known", &|| Ok(())).expect("a role");
    platform.engine.create(&place, &|| Ok(())).expect("a database");
}

#[test]
fn a_set_up_that_failed_is_given_up_and_frees_its_domain() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    fill(&mut app.behind(&a));
    let (admin, operator) = (app.super_admin(), app.platform_admin(AdminRole::Operator));
    let (set_up, sandbox, _) = failed(&app, &admin, &a);
    leave_half_made(&app, sandbox);
    let place = "/platform/institutions/sandbox.evry.example";
    let path = format!("{place}/set-up/remove");
    assert!(admin.get(place).is(200).attributes("a", "href").contains(&path));
    assert!(!operator.get(place).is(200).attributes("a", "href").contains(&path));
    operator.post(&path, &[]).is(403);
    // Only what failed, and only a sandbox.
    admin.get("/platform/institutions/evry.example/set-up/remove").is(303);
    admin.post("/platform/institutions/evry.example/set-up/remove", &[]).is(303);
    assert_eq!(status(&app.platform, a.id), "active");

    let question = admin.get(&path).is(200);
    assert!(question.main().contains("sandbox.evry.example can be used again"), "{}", question.main());
    let answer = question.form("main form").submit(&admin).is(303);
    let id = answer.location().rsplit('/').next().unwrap_or_default().parse().expect("an operation");
    let ended = finished(&app.platform, id);
    assert_eq!(ended.status, OperationStatus::Succeeded, "{:?}", ended.error);
    assert_eq!(status(&app.platform, sandbox), "deleted");
    crate::support::assert_nothing_is_left(&app.platform, sandbox);
    assert_no_strays(&app.platform, "given up");
    admin.get(place).is(404);
    // Neither twice, nor tried again.
    admin.post(&format!("/platform/operations/{set_up}/attempts"), &[]).is(303);
    assert_eq!(status(&app.platform, sandbox), "deleted");
    let shared = &mut *app.platform.shared.get().expect("shared");
    assert_eq!(audit::verify(shared, &app.platform.keys.audit_key()).expect("read").broken, None);
    let gone = institutions::find(shared, sandbox).expect("its history stays");
    admin.get(&format!("/platform/institutions/{}", gone.domain)).is(200).shows("was given up");
    assert!(!admin.get("/platform/institutions/evry.example").is(200).main().contains(&gone.domain));

    // The domain is free for another sandbox, which is given up on the command line when it fails as well.
    let (_, second, _) = failed(&app, &admin, &a);
    let run = |arguments: &[&str]| provost(app.site(), arguments).output().expect("run");
    assert_eq!(run(&["institution", "give-up", "evry.example", "--yes"]).status.code(), Some(1));
    let output = run(&["institution", "give-up", "sandbox.evry.example", "--yes", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["domain"], "sandbox.evry.example");
    assert_eq!(status(&app.platform, second), "deleted");
    let third = make(&app, &admin, &a, &[]);
    assert_eq!(third.domain, "sandbox.evry.example");
}

#[test]
fn what_cannot_be_masked_is_taken_back_and_serves_nobody() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    fill(&mut app.behind(&a));
    let admin = app.super_admin();
    let (id, sandbox, (file, whole)) = failed(&app, &admin, &a);
    assert_eq!(app.mails("tests@probe.example").len(), 0);
    // Mended, it is tried again.
    std::fs::write(&file, &whole).expect("mended");
    admin.post(&format!("/platform/operations/{id}/attempts"), &[]).is(303);
    assert_eq!(finished(&app.platform, id).status, OperationStatus::Succeeded);
    assert!(is_clean(&app.tenant_dump(sandbox)));
    assert_eq!(app.mails("tests@probe.example").len(), 1);
}
