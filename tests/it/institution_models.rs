//! Records of an institution against a real tenant database: SQLite, or PostgreSQL when
//! `PROVOST_TEST_ENGINE=postgres` and `PROVOST_TEST_POSTGRES_URL` names a server to make databases on.

use diesel::Connection as _;
use provost::{
    db::{Id, Target, migrate::Migrate, target::create_sqlite, tenant::TenantConn},
    models::{
        Actor, Limits, ModelError, Paging,
        institution::{
            Activity,
            activity::{self, ActivityFilter},
            imports,
            people::PersonFields,
            profile::{self, NewProfile, ProfileChanges, WeekStart},
            student_bulk::{self, Chosen},
            students::{self, StudentFields, StudentFilter, StudentStatus},
            users::{self, NewUser, Role, UserFilter, UserStatus},
        },
        text::Email,
    },
    services::{
        csv_text::{Limits as CsvLimits, Table, read_csv},
        student_import::{self, Counts, Field, Mapping, Outcome, Verdict},
    },
};

/// A migrated tenant database that is gone when the test is over.
struct Tenant {
    target: Target,
    connection: Option<TenantConn>,
    admin_url: Option<String>,
}

impl Tenant {
    fn new() -> Self {
        let name = format!("provost_test_{}", Id::new()).replace('-', "");
        let (target, admin_url) = if std::env::var("PROVOST_TEST_ENGINE").as_deref() == Ok("postgres") {
            let admin = std::env::var("PROVOST_TEST_POSTGRES_URL").expect("PROVOST_TEST_POSTGRES_URL");
            run_on_server(&admin, &format!("CREATE DATABASE {name}"));
            let mut url = url::Url::parse(&admin).expect("URL");
            url.set_path(&name);
            (Target::Postgres(url.to_string()), Some(admin))
        } else {
            let path = std::env::temp_dir().join(name);
            drop(create_sqlite(&path).expect("created"));
            (Target::Sqlite(path), None)
        };
        let mut connection = TenantConn::open(&target).expect("opened");
        connection.migrate().expect("migrated");
        Self { target, connection: Some(connection), admin_url }
    }

    fn connection(&mut self) -> &mut TenantConn {
        self.connection.as_mut().expect("open")
    }

    fn second_connection(&self) -> TenantConn {
        TenantConn::open(&self.target).expect("opened")
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.connection = None;
        match (&self.target, &self.admin_url) {
            (Target::Sqlite(path), _) => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
                }
            }
            (Target::Postgres(url), Some(admin)) => {
                let name = url.rsplit('/').next().expect("name");
                run_on_server(admin, &format!("DROP DATABASE {name} WITH (FORCE)"));
            }
            _ => {}
        }
    }
}

fn run_on_server(url: &str, statement: &str) {
    use diesel::RunQueryDsl;
    let mut connection = diesel::PgConnection::establish(url).expect("server");
    diesel::sql_query(statement).execute(&mut connection).expect("statement");
}

fn activity() -> Activity {
    Activity::new(Actor { id: Some(Id::new()), name: "Ada Registrar".into(), ip: None, user_agent: None })
}

fn student(number: &str, name: &str) -> StudentFields {
    StudentFields {
        student_number: number.into(),
        person: PersonFields { name: name.into(), ..PersonFields::default() },
        status: StudentStatus::Active,
        admission_year: Some(2025),
        programme: None,
        notes: None,
    }
}

fn paging(sort: &str) -> Paging {
    Paging { sort: sort.into(), descending: false, limit: 25, offset: 0 }
}

fn searched(q: &str) -> StudentFilter {
    StudentFilter { q: q.into(), ..StudentFilter::default() }
}

fn table(text: &str) -> Table {
    read_csv(text.as_bytes(), CsvLimits::default()).expect("CSV")
}

fn names(connection: &mut TenantConn, filter: &StudentFilter, sort: &str) -> Vec<String> {
    let slice = students::page(connection, filter, &paging(sort)).expect("page");
    slice.rows.into_iter().map(|student| student.person.name).collect()
}

#[test]
fn students_are_created_found_and_changed_with_a_trace() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    let id = students::create(connection, &activity, &student("S-1", "Zoë Müller")).expect("created");
    students::create(connection, &activity, &student("S-2", "東京 太郎")).expect("created");
    students::create(connection, &activity, &student("S-3", "Ægir 100%")).expect("created");

    assert_eq!(names(connection, &searched("ZOE mull"), "name"), ["Zoë Müller"]);
    assert_eq!(names(connection, &searched("太郎"), "name"), ["東京 太郎"]);
    assert_eq!(names(connection, &searched("100%"), "name"), ["Ægir 100%"]);
    assert_eq!(names(connection, &searched("s-"), "number").len(), 3);
    assert_eq!(students::admission_years(connection).expect("years"), [2025]);

    let taken = students::create(connection, &activity, &student("S-1", "Somebody")).expect_err("taken");
    assert!(matches!(taken, ModelError::Refused(text) if text.contains("Zoë Müller")));

    let mut fields = students::find(connection, id).expect("found").fields();
    fields.person.email = Some("zoe@example.edu".into());
    fields.status = StudentStatus::OnLeave;
    students::update(connection, &activity, id, 1, &fields).expect("updated");
    let late = students::update(connection, &activity, id, 1, &fields).expect_err("late");
    assert!(matches!(late, ModelError::Changed(text) if text.contains("Ada Registrar")));
    let saved = students::find(connection, id).expect("found");
    assert_eq!((saved.version, saved.fields()), (2, fields));
    assert_eq!(names(connection, &searched("zoe@"), "updated"), ["Zoë Müller"]);

    let history = activity::for_record(connection, "student", id, 10).expect("history");
    assert_eq!(
        history.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(),
        ["student.updated", "student.created"]
    );
    let fields: Vec<String> = history[0].changes().into_iter().map(|change| change.field).collect();
    assert_eq!(fields, ["email", "status"]);
    let found = ActivityFilter { q: "muller".into(), ..ActivityFilter::default() };
    assert_eq!(activity::page(connection, &found, &paging("at")).expect("page").total, 2);
    assert_eq!(activity::older_than(connection, &found, Some(history[0].id), 10).expect("older").len(), 1);
}

#[test]
fn every_sort_of_students_works() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    for (number, name, status, year) in [
        ("2", "Émile", StudentStatus::OnLeave, Some(2024)),
        ("1", "Zed", StudentStatus::Left, None),
        ("3", "adam", StudentStatus::Active, Some(2025)),
    ] {
        let fields = StudentFields { status, admission_year: year, ..student(number, name) };
        students::create(connection, &activity, &fields).expect("created");
    }
    for (sort, forwards, backwards) in [
        ("name", ["adam", "Émile", "Zed"], ["Zed", "Émile", "adam"]),
        ("nonsense", ["adam", "Émile", "Zed"], ["Zed", "Émile", "adam"]),
        ("number", ["Zed", "Émile", "adam"], ["adam", "Émile", "Zed"]),
        // By the word that is stored: active, left, on_leave.
        ("status", ["adam", "Zed", "Émile"], ["Émile", "Zed", "adam"]),
        // Who has none comes last, both ways.
        ("admission_year", ["Émile", "adam", "Zed"], ["adam", "Émile", "Zed"]),
        ("updated", ["Émile", "Zed", "adam"], ["adam", "Zed", "Émile"]),
    ] {
        for (descending, expected) in [(false, forwards), (true, backwards)] {
            let paging = Paging { descending, ..paging(sort) };
            let slice = students::page(connection, &StudentFilter::default(), &paging).expect("page");
            let names: Vec<_> = slice.rows.iter().map(|row| row.person.name.as_str()).collect();
            assert_eq!((names.as_slice(), slice.total), (expected.as_slice(), 3), "{sort} {descending}");
        }
    }
    let next = students::after_number(connection, &StudentFilter::default(), Some("1"), 1).expect("next");
    assert_eq!(next[0].student_number, "2");
    let counts = students::counts(connection).expect("counts");
    assert_eq!((counts.of(StudentStatus::Active), counts.total(), counts.archived), (1, 3, 0));
}

#[test]
fn bulk_archive_is_undone_as_one_and_leaves_later_decisions_alone() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    let ids: Vec<Id> = (0..7)
        .map(|n| {
            students::create(connection, &activity, &student(&format!("S{n}"), "Name")).expect("created")
        })
        .collect();
    let alone = students::archive(connection, &activity, ids[0]).expect("archived");
    let batch =
        student_bulk::archive(connection, &activity, &Chosen::Matching(searched("s"))).expect("batch");
    assert_eq!(batch.count, 6);
    assert_eq!(students::count(connection, &StudentFilter::default()).expect("count"), 0);

    // Restored and archived again by another act: the undo of the first must not touch it.
    students::restore(connection, &activity, ids[1]).expect("restored");
    students::archive(connection, &activity, ids[1]).expect("archived again");
    assert_eq!(student_bulk::restore_batch(connection, &activity, batch.id).expect("undone"), 5);
    assert_eq!(student_bulk::restore_batch(connection, &activity, batch.id).expect("again"), 0);
    assert_eq!(students::counts(connection).expect("counts").archived, 2);
    assert_eq!(student_bulk::restore_batch(connection, &activity, alone).expect("alone"), 1);

    let ticked = Chosen::Ids(vec![ids[2], ids[2], Id::new(), ids[1]]);
    assert_eq!(student_bulk::archive(connection, &activity, &ticked).expect("ticked").count, 1);
    let again = students::archive(connection, &activity, ids[2]).expect_err("archived already");
    assert!(matches!(again, ModelError::Changed(_)));
    let summaries = ActivityFilter { action: Some("students.archived".into()), ..ActivityFilter::default() };
    assert_eq!(activity::page(connection, &summaries, &paging("at")).expect("page").total, 2);
}

#[test]
fn the_last_active_owner_stays() {
    let mut tenant = Tenant::new();
    let mut other = tenant.second_connection();
    let connection = tenant.connection();
    let activity = activity();
    let email = |text: &str| Email::parse(text).expect("address");
    let first = Id::new();
    for _ in 0..2 {
        users::create_first_owner(connection, &activity, first, &email("a@x.edu"), "Ann", Some("hash"))
            .expect("created once");
    }
    let refused = |outcome: Result<_, ModelError>| assert!(matches!(outcome, Err(ModelError::Refused(_))));
    refused(users::disable(connection, &activity, first));
    refused(users::remove(connection, &activity, first).map(drop));
    refused(users::update(connection, &activity, first, 1, "Ann", &[Role::Viewer]));

    let new =
        NewUser { email: email("B@X.edu"), name: "Ben".into(), roles: vec![Role::Owner, Role::Registrar] };
    let second = users::create_invited(connection, &activity, &new).expect("invited");
    refused(users::create_invited(connection, &activity, &new).map(drop));
    refused(users::disable(connection, &activity, first));
    users::accept_invitation(connection, &activity, second, "Benjamin", "hash2").expect("accepted");
    let twice = users::accept_invitation(connection, &activity, second, "Mallory", "hash3");
    assert!(matches!(twice, Err(ModelError::Changed(_))));
    assert_eq!(users::password_hash(connection, second).expect("hash").as_deref(), Some("hash2"));

    users::disable(connection, &activity, first).expect("two owners");
    refused(users::update(connection, &activity, second, 2, "Benjamin", &[Role::Viewer]));
    users::enable(connection, &activity, first).expect("enabled");
    let found = users::find_by_email(connection, &email("b@x.edu")).expect("found");
    assert_eq!(
        (found.id, found.status, found.roles),
        (second, UserStatus::Active, vec![Role::Owner, Role::Registrar])
    );

    let by_role = UserFilter { role: Some(Role::Registrar), ..UserFilter::default() };
    assert_eq!(users::page(connection, &by_role, &paging("name")).expect("page").rows[0].name, "Benjamin");
    users::set_password_hash(connection, &activity, second, "hash2", "new").expect("password");
    let late = users::set_password_hash(connection, &activity, second, "hash2", "newer");
    assert!(matches!(late, Err(ModelError::Changed(_))));
    // The cost was changed, and the password meanwhile as well: the old one stays gone.
    users::rehash_password(connection, second, "hash2", "hash2 of another cost").expect("nothing to do");
    assert_eq!(users::password_hash(connection, second).expect("hash").as_deref(), Some("new"));
    users::rehash_password(connection, second, "new", "new of another cost").expect("rehashed");
    users::record_sign_in(connection, second).expect("noted");
    let all = |connection: &mut TenantConn, sort: &str, descending: bool| -> Vec<String> {
        let paging = Paging { descending, ..paging(sort) };
        let page = users::page(connection, &UserFilter::default(), &paging).expect("page");
        page.rows.into_iter().map(|user| user.name).collect()
    };
    for (sort, forwards, backwards) in [
        ("name", ["Ann", "Benjamin"], ["Benjamin", "Ann"]),
        ("email", ["Ann", "Benjamin"], ["Benjamin", "Ann"]),
        // Who never did comes last, both ways.
        ("last_sign_in", ["Benjamin", "Ann"], ["Benjamin", "Ann"]),
    ] {
        assert_eq!(all(connection, sort, false), forwards, "{sort}");
        assert_eq!(all(connection, sort, true), backwards, "{sort}, descending");
    }

    // Two owners who disable each other at the same moment: one of them stays.
    let own = activity.clone();
    let thread = std::thread::spawn(move || users::disable(&mut other, &own, first).is_ok());
    let here = users::disable(connection, &activity, second).is_ok();
    assert!(here != thread.join().expect("thread"));
}

#[test]
fn settings_are_changed_once_per_version() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    let new = NewProfile {
        id: Id::new(),
        domain: "mit.edu".into(),
        name: "MIT".into(),
        kind: "university".into(),
        country: "US".into(),
        website: None,
        time_zone: "America/New_York".into(),
        locale: "en-US".into(),
        week_start: WeekStart::Sunday,
    };
    profile::create_if_absent(connection, &new).expect("created");
    profile::create_if_absent(connection, &new).expect("again");
    let stranger = NewProfile { id: Id::new(), ..new };
    assert!(profile::create_if_absent(connection, &stranger).is_err());
    let changes = ProfileChanges {
        name: "MIT".into(),
        kind: "university".into(),
        country: "US".into(),
        website: Some("https://mit.edu".into()),
        time_zone: "UTC".into(),
        locale: "en-GB".into(),
        week_start: WeekStart::Monday,
    };
    let saved = profile::update(connection, &activity, 1, &changes).expect("saved");
    assert_eq!((saved.version, saved.time_zone.as_str()), (2, "UTC"));
    let changes = ProfileChanges { website: None, ..changes };
    let late = profile::update(connection, &activity, 1, &changes);
    assert!(matches!(late, Err(ModelError::Changed(_))));
    assert_eq!(profile::update(connection, &activity, 2, &changes).expect("saved").website, None);
}

const FILE: &str = "\u{feff}Matrikelnummer;Vorname;Nachname;E-Mail;Geburtsdatum;Remarks\r\n\
    1;Zoë;Müller;zoe@x.edu;23.04.2007;\r\n\
    2;Jón;;not an address;1.1.2007;\r\n\
    1;Double;Number;;;\r\n\
    ;No;Number;;;\r\n\
    3;;;;;no name\r\n\
    4;Too;few\r\n\
    5;Ægir;O'Néill;;31.02.2007;\r\n\
    6;Ada;King;;;\"two\nlines\"\r\n";

#[test]
fn a_file_is_understood_told_about_and_imported_once() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    let file = table(FILE);
    let mapping = Mapping::guess(&file);
    assert_eq!(
        mapping.columns,
        [
            Some(Field::StudentNumber),
            Some(Field::GivenName),
            Some(Field::FamilyName),
            Some(Field::Email),
            Some(Field::BirthDate),
            Some(Field::Notes),
        ]
    );
    assert!(mapping.problems().is_empty());

    let plan = student_import::plan(connection, &file, &mapping).expect("plan");
    assert_eq!(plan.counts(), Counts { created: 2, refused: 6, ..Counts::default() });
    let told: Vec<(usize, &str, &str)> = plan
        .rows
        .iter()
        .flat_map(|row| row.problems.iter().map(|p| (row.line, p.column.as_str(), p.value.as_str())))
        .collect();
    assert_eq!(
        told,
        [
            (3, "E-Mail", "not an address"),
            (4, "Matrikelnummer", "1"),
            (5, "Matrikelnummer", ""),
            (6, "Vorname", ""),
            (7, "", ""),
            (8, "Geburtsdatum", "31.02.2007"),
        ]
    );

    let done = student_import::apply(connection, &activity, "f.csv", &file, &mapping, &mut |_, _| Ok(()))
        .expect("done");
    assert_eq!(done.counts().created, 2);
    let again = student_import::plan(connection, &file, &mapping).expect("plan").counts();
    assert_eq!(again, Counts { unchanged: 2, refused: 6, ..Counts::default() });

    // Blank leaves what is there, absent people are left alone, a value changes.
    let next = table("student number,name,email,phone\n1,,,+49 30 1\n9,New One,,\n");
    let mapping = Mapping::guess(&next);
    let plan = student_import::plan(connection, &next, &mapping).expect("plan");
    assert_eq!(plan.rows[0].verdict, Verdict::Updated);
    assert_eq!(plan.rows[0].changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(), ["phone"]);
    student_import::apply(connection, &activity, "g.csv", &next, &mapping, &mut |_, _| Ok(())).expect("done");
    let zoe = &students::page(connection, &searched("zoe"), &paging("name")).expect("page").rows[0];
    assert_eq!((zoe.person.name.as_str(), zoe.person.email.as_deref()), ("Zoë Müller", Some("zoe@x.edu")));
    assert_eq!(students::count(connection, &StudentFilter::default()).expect("count"), 3);

    for (sort, descending) in ["name", "number", "status", "admission_year", "updated"]
        .map(|s| [(s, false), (s, true)])
        .into_iter()
        .flatten()
    {
        let order = Paging { descending, ..paging(sort) };
        let all = students::page(connection, &StudentFilter::default(), &order).expect("page").rows;
        let (one, mut last, mut met) = (Paging { limit: 1, ..order }, None, Vec::new());
        while let Some(next) =
            students::following(connection, &StudentFilter::default(), &one, last).expect("read").pop()
        {
            last = Some(next.id);
            met.push(next);
        }
        assert_eq!(met, all, "{sort} {descending}");
    }
    let id = zoe.id;
    students::archive(connection, &activity, id).expect("archived");
    let plan = student_import::plan(connection, &next, &mapping).expect("plan");
    assert!(plan.rows[0].problems[0].advice.contains("archived"));
}

#[test]
fn the_template_imports_and_five_thousand_rows_take_seconds() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let activity = activity();
    let template = read_csv(&student_import::template(), CsvLimits::default()).expect("template");
    let mapping = Mapping::guess(&template);
    assert!(mapping.columns.iter().all(Option::is_some));
    assert_eq!(student_import::plan(connection, &template, &mapping).expect("plan").counts().created, 1);

    let mut text = String::from("number,name,email,year of admission\n");
    for n in 0..5_000 {
        text.push_str(&format!("{n:05},Person {n},p{n}@x.edu,2024\n"));
    }
    let file = table(&text);
    let mapping = Mapping::guess(&file);
    let start = std::time::Instant::now();
    let mut heard = Vec::new();
    let mut apply = |file: &Table, heard: &mut Vec<usize>| {
        student_import::apply(connection, &activity, "x.csv", file, &mapping, &mut |done, _| {
            heard.push(done);
            Ok(())
        })
        .expect("done")
        .counts()
    };
    assert_eq!(apply(&file, &mut heard).created, 5_000);
    println!("5,000 created in {:?}", start.elapsed());
    assert_eq!(heard.last(), Some(&5_000));
    let start = std::time::Instant::now();
    assert_eq!(apply(&file, &mut heard).unchanged, 5_000);
    println!("5,000 unchanged in {:?}", start.elapsed());
    let start = std::time::Instant::now();
    assert_eq!(apply(&table(&text.replace(",2024", ",2025")), &mut heard).updated, 5_000);
    println!("5,000 updated in {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 30);

    let start = std::time::Instant::now();
    let batch =
        student_bulk::archive(connection, &activity, &Chosen::Matching(searched("person"))).expect("batch");
    assert_eq!(batch.count, 5_000);
    assert_eq!(student_bulk::restore_batch(connection, &activity, batch.id).expect("undone"), 5_000);
    println!("5,000 archived and restored in {:?}", start.elapsed());
}

#[test]
fn an_import_keeps_what_it_refused_and_not_the_file() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let mut text = String::from("number,name\nS-1,Zoë\n");
    (0..student_import::REFUSED_KEPT + 5).for_each(|n| text.push_str(&format!("S-1,Twice {n}\n")));
    let mapping = serde_json::to_string(&Mapping::guess(&table(&text))).expect("JSON");
    let id = imports::create(
        connection,
        &Limits::default(),
        student_import::KIND,
        "f.csv",
        text.as_bytes(),
        &mapping,
        Id::new(),
    )
    .expect("kept");
    assert_eq!(imports::result(connection, id).expect("read"), None);
    let operation = Id::new();
    let mut run =
        || student_import::run(connection, &activity(), id, operation, &mut |_, _| Ok(())).expect("done");
    let expected = Counts { created: 1, refused: student_import::REFUSED_KEPT + 5, ..Counts::default() };
    assert_eq!(run(), expected);
    assert_eq!(run(), expected, "done again after a crash");

    let kept = imports::find(connection, student_import::KIND, id).expect("found");
    assert!(kept.content.is_empty());
    let outcome = Outcome::read(kept.result.as_deref()).expect("an outcome");
    assert_eq!((outcome.counts, outcome.refused.len()), (expected, student_import::REFUSED_KEPT));
    assert_eq!((outcome.refused[0].line, outcome.refused[0].name.as_str()), (3, "Twice 0"));
    assert!(outcome.refused[0].problems[0].advice.contains("Line 2"));
}

#[test]
fn a_file_is_imported_by_one_operation_only() {
    let mut tenant = Tenant::new();
    let connection = tenant.connection();
    let id = imports::create(connection, &Limits::default(), "students", "f.csv", b"a,b", "{}", Id::new())
        .expect("kept");
    imports::set_mapping(connection, id, "{\"x\":1}").expect("mapped");
    imports::begin(connection, id, Id::new()).expect("begun");
    assert!(matches!(imports::begin(connection, id, Id::new()), Err(ModelError::Changed(_))));
    assert!(imports::set_mapping(connection, id, "{}").is_err());
    assert!(imports::find(connection, "staff", id).is_err());
    assert_eq!(imports::find(connection, "students", id).expect("found").content, b"a,b");
}
