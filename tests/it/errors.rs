//! What breaks stays small: a page that says so, the process alive, and everybody else undisturbed.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, middleware::from_fn, web};
use diesel::connection::SimpleConnection as _;
use provost::{
    db::{Engine, Target, shared::SharedConn},
    web::middleware::guard::guard,
};

use crate::support::{
    app::{Institution, PASSWORD, TestApp, eventually},
    caller::Caller,
    engine,
};

/// The longest that a dead database may hold anybody up.
const PATIENCE: Duration = Duration::from_millis(3_500);

#[test]
fn a_panic_is_a_page_with_a_number_and_the_process_lives() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (told, handle) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = HttpServer::new(|| {
                App::new()
                    .route("/well", web::get().to(async || HttpResponse::Ok().body("well")))
                    .route("/panics", web::get().to(panics))
                    .wrap(from_fn(guard))
            });
            let server = server.workers(1).listen(listener).expect("listens").run();
            told.send(server.handle()).expect("somebody waits");
            server.await.expect("served");
        });
    });
    let handle = handle.recv().expect("started");
    let caller = Caller::new(address);
    for _ in 0..3 {
        let answer = caller.get("/panics").is(500).shows("Something went wrong");
        assert!(answer.has("main .mono"), "a number to name: {}", answer.main());
        assert!(!answer.text().contains("secret"), "the cause is for the log");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-security-policy").is_some());
        caller.get("/well").is(200);
    }
    drop(handle.stop(false));
    thread.join().expect("ended well");
}

async fn panics() -> HttpResponse {
    panic!("a secret cause")
}

#[test]
fn bodies_are_held_to_their_size_and_kind() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let before = app.tenant_dump(a.id);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (new, import) = (a.path("/students"), a.path("/students/import"));
    owner.send("POST", &new, &form, &vec![b'a'; 300 * 1024]).is(413);
    owner.send("POST", &new, &form, b"name=\xff\xfe").is(400);
    owner.send("POST", &new, &[("content-type", "text/plain")], b"name=x").is(400);
    owner.send("POST", &import, &form, b"file=x").is(400);
    owner
        .send("POST", &import, &[("content-type", "multipart/form-data; boundary=edge")], b"--edge\r\nbroken")
        .is(400);
    owner.send("POST", &import, &[("content-type", "multipart/form-data")], b"x").is(400);
    let begun = Instant::now();
    let large = owner.upload(&import, "l.csv", &vec![b'a'; 11 << 20], &[]);
    assert!(matches!(large.status, 413 | 422), "{}", large.status);
    for content in [&b""[..], b"\0\0\0\0", b"\xff\xfe\0x", b"PK\x03\x04zip", b"\"unclosed", &[b','; 100_000]]
    {
        let refused = owner.upload(&import, "../../etc/x.csv", content, &[]);
        assert!(matches!(refused.status, 422 | 303), "{}", refused.status);
        if refused.status == 303 {
            let page = owner.get(refused.location());
            assert!(matches!(page.status, 200 | 409 | 422), "{}", page.status);
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(people(&before), people(&app.tenant_dump(a.id)));
}

/// The rows that matter: files kept for a dry run are none of them.
fn people(dump: &str) -> Vec<&str> {
    let tables =
        dump.split("== ").filter(|table| table.starts_with("people") || table.starts_with("students"));
    tables.collect()
}

#[test]
fn characters_that_no_text_has_are_refused_in_words() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (owner, admin) = (app.owner(&a), app.super_admin());
    let students = a.path("/students");
    for path in [format!("{students}?q=%00"), format!("{students}/%00"), "/i/a%00/students".into()] {
        owner.get(&path).is(400);
    }
    admin.get("/platform/institutions?q=a%00b").is(400);
    admin.get("/platform/institutions/%00").is(400);
    app.visitor().post("/sign-in", &[("email", "a\0b@x.example"), ("password", PASSWORD)]).is(400);
    app.visitor().post("/password-reset", &[("email", "a\0@x.example")]).is(400);
    owner.post(&students, &[("name", "Zo\0é"), ("student_number", "1")]).is(400);
    owner.post("/theme", &[("theme", "\0"), ("return", "/\0")]).is(400);
    // What PostgreSQL takes, and people mistype, is a message beside the field.
    for name in ["\u{1b}[31m red", "\u{202e}abc", "a\u{7}b", &"x".repeat(500), " \u{200b} "] {
        let answer = owner.post(&students, &[("name", name), ("student_number", "1"), ("status", "active")]);
        assert!(matches!(answer.status, 303 | 422), "{name:?}: {}", answer.status);
        let dump = app.tenant_dump(a.id);
        assert!(!dump.contains('\u{1b}') && !dump.contains('\u{7}'), "{name:?} is not kept as it is");
    }
}

#[test]
fn a_dead_tenant_database_is_its_own_institutions_trouble() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let (of_a, of_b, admin) = (app.owner(&a), app.owner(&b), app.super_admin());
    of_a.get(&a.path("/students")).is(200);
    let outage = Outage::of(&app, &a);
    let begun = Instant::now();
    let refused = of_a.get(&a.path("/students")).is(503);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(refused.header("retry-after").is_some() && refused.main().contains("database"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let caller = of_a.copy();
            let path = a.path("");
            scope.spawn(move || caller.get(&path).is(503));
        }
        for _ in 0..20 {
            of_b.get(&b.path("/students")).is(200);
            admin.get("/platform").is(200);
        }
    });
    admin.get(&format!("/platform/institutions/{}", a.domain)).is(200);
    admin.get("/platform/databases").is(200);
    app.visitor().get("/health/ready").is(200);
    outage.ends();
    eventually("the institution is back", || of_a.get(&a.path("/students")).status == 200);
}

#[test]
fn while_the_shared_database_is_away_pages_say_so() {
    if engine() == Engine::Sqlite {
        // A file that is open does not go away.
        return;
    }
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let outage = Outage::of_target(&app, &app.settings().database);
    for (path, caller) in
        [(a.path(""), &owner), ("/health/ready".into(), &app.visitor()), ("/account".into(), &owner)]
    {
        let begun = Instant::now();
        let answer = caller.get(&path).is(503);
        assert!(begun.elapsed() < PATIENCE, "{path}: {:?}", begun.elapsed());
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    let fields = [("email", a.owner_email.as_str()), ("password", PASSWORD)];
    app.visitor().post("/sign-in", &fields).is(503).shows("does not answer");
    app.visitor().get("/health/live").is(200);
    app.visitor().get("/").is(200);
    outage.ends();
    eventually("the platform is back", || owner.get(&a.path("")).status == 200);
}

/// A database that nobody reaches.
enum Outage {
    Moved { from: std::path::PathBuf, to: std::path::PathBuf },
    Closed(String),
}

impl Outage {
    fn of(app: &TestApp, institution: &Institution) -> Self {
        let outage = Self::of_target(app, &app.tenant_target(institution));
        if app.engine() == Engine::Sqlite {
            // An open file would still answer.
            app.platform.tenants.retire(institution.id);
        }
        outage
    }

    fn of_target(app: &TestApp, target: &Target) -> Self {
        match target {
            Target::Sqlite(path) => {
                let to = app.settings().data_dir.join("moved away");
                std::fs::rename(path, &to).expect("moved");
                Self::Moved { from: path.clone(), to }
            }
            Target::Postgres(url) => {
                let name = url::Url::parse(url).expect("a URL").path().trim_start_matches('/').to_owned();
                superuser(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false"));
                superuser(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                ));
                Self::Closed(name)
            }
        }
    }

    fn ends(self) {
        match self {
            Self::Moved { from, to } => std::fs::rename(to, from).expect("moved back"),
            Self::Closed(name) => superuser(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true")),
        }
    }
}

fn superuser(statement: &str) {
    let url = std::env::var("PROVOST_TEST_POSTGRES_SUPERUSER_URL").expect("the superuser's URL");
    let mut connection = SharedConn::open(&Target::Postgres(url)).expect("the server");
    connection.batch_execute(statement).expect("done");
}
