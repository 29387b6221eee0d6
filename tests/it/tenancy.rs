//! Two institutions side by side: whatever one does, the other's records stay its own.

use provost::{db::Id, routes::ROUTES};

use crate::{
    routes::{add_student, crawl},
    support::{
        app::{Institution, PASSWORD, TestApp},
        caller::{Caller, raw},
    },
};

/// Two institutions with a student each.
struct Two {
    app: TestApp,
    a: Institution,
    b: Institution,
    of_a: Caller,
    of_b: Caller,
    student_of_a: String,
    student_of_b: String,
}

impl Two {
    fn new() -> Self {
        let app = TestApp::start();
        let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
        let (of_a, of_b) = (app.owner(&a), app.owner(&b));
        let student_of_a = add_student(&of_a, &a, "Zoé Dubois", "A-1");
        let student_of_b = add_student(&of_b, &b, "Chloé Petit", "B-1");
        Self { app, a, b, of_a, of_b, student_of_a, student_of_b }
    }
}

#[test]
fn a_foreign_id_reads_like_one_that_nobody_has() {
    let two = Two::new();
    let (student, random) = (&two.student_of_a, Id::new().to_string());
    let before = two.app.tenant_dump(two.a.id) + &two.app.tenant_dump(two.b.id);
    for domain in [&two.b.domain, &two.a.domain] {
        for route in ROUTES
            .iter()
            .filter(|route| route.path.starts_with("/i/{domain}/") && route.path.contains("{id}"))
        {
            let path = |id: &str| route.path.replace("{domain}", domain).replace("{id}", id);
            let call = |path: &str| match route.method {
                "GET" => two.of_b.get(path),
                _ => two.of_b.post(path, &[("name", "Taken over"), ("version", "1")]),
            };
            let (foreign, unknown) = (call(&path(student)), call(&path(&random)));
            if route.path == "/i/{domain}/students/archivings/{id}/remove" && domain == &two.b.domain {
                // Undoing an archiving that never was says that there is nothing to undo.
                assert_eq!((foreign.status, foreign.location()), (unknown.status, unknown.location()));
                continue;
            }
            assert_eq!((foreign.status, unknown.status), (404, 404), "{} {}", route.method, route.path);
            assert_eq!(foreign.body, unknown.body, "{}", route.path);
        }
    }
    for no_id in ["x", "..", "%2e%2e", "0", "00000000-0000-0000-0000-000000000000", "' OR 1=1 --", "%00", "é"]
    {
        let path = two.b.path(&format!("/students/{}", no_id.replace(' ', "%20").replace('é', "%C3%A9")));
        let answer = two.of_b.get(&path);
        assert!(matches!(answer.status, 404 | 400), "{no_id}: {}", answer.status);
    }
    assert_eq!(before, two.app.tenant_dump(two.a.id) + &two.app.tenant_dump(two.b.id));
}

#[test]
fn the_session_alone_decides_whose_records_are_open() {
    let two = Two::new();
    let (host, a, b) = (two.app.address.to_string(), &two.a, &two.b);
    let list = a.path("/students");
    // The first page after adding also says so.
    two.of_a.get(&list).is(200);
    let plain = two.of_a.get(&list).is(200).main();
    assert!(plain.contains("Zoé Dubois"));
    for (name, value) in [
        ("x-tenant-id", b.id.to_string()),
        ("x-institution", b.domain.clone()),
        ("x-original-url", b.path("/students")),
        ("x-rewrite-url", b.path("/students")),
        ("x-forwarded-host", b.domain.clone()),
        ("x-forwarded-prefix", b.path("")),
        ("forwarded", format!("host={}", b.domain)),
        ("x-http-method-override", "DELETE".into()),
        ("referer", format!("http://{host}{}", b.path("/students"))),
    ] {
        let answer = two.of_a.send("GET", &list, &[(name, &value)], b"").is(200);
        assert_eq!(answer.main(), plain, "{name}");
    }
    for query in [
        format!("?tenant_id={}", b.id),
        format!("?institution={}&domain={}", b.domain, b.domain),
        format!("?institution_id={}&user_id={}", b.id, Id::new()),
    ] {
        let answer = two.of_a.get(&format!("{list}{query}")).is(200);
        assert!(answer.main().contains("Zoé Dubois") && !answer.text().contains("Chloé Petit"), "{query}");
    }
    for path in [
        format!("{}/../../i/{}/students", a.path(""), b.domain),
        format!("/i/{}%2F..%2F{}/students", a.domain, b.domain),
        format!("/i/{},{}/students", a.domain, b.domain),
        format!("/i/{}%00/students", b.domain),
        format!("/i/{}/students", b.domain.to_uppercase()),
        format!("//i/{}/students", b.domain),
        format!("/i/{};{}/students", a.domain, b.domain),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: provost={}\r\nConnection: close\r\n\r\n",
            two.of_a.cookie("provost").expect("signed in")
        );
        let answer = raw(two.app.address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(!answer.contains("Chloé Petit"));
    }
}

#[test]
fn two_cookies_or_two_tabs_never_mix_institutions() {
    let two = Two::new();
    let (cookie_a, cookie_b) = (two.of_a.cookie("provost"), two.of_b.cookie("provost"));
    let (cookie_a, cookie_b) = (cookie_a.expect("signed in"), cookie_b.expect("signed in"));
    for both in
        [format!("provost={cookie_a}; provost={cookie_b}"), format!("provost={cookie_b}; provost={cookie_a}")]
    {
        let caller = two.app.visitor();
        let statuses = [&two.a, &two.b].map(|institution| {
            caller.send("GET", &institution.path("/students"), &[("cookie", &both)], b"").status
        });
        assert!(statuses == [200, 404] || statuses == [404, 200], "{statuses:?}");
    }
    // A form of A's, sent after signing in to B in another tab.
    let form = two.of_a.get(&two.a.path("/students/new")).is(200).form("main form");
    let browser = &two.of_a;
    browser
        .post("/sign-in", &[("email", &two.b.owner_email), ("password", PASSWORD)])
        .leads_to(&two.b.path(""));
    form.fill("name", "Strayed").fill("student_number", "X-1").submit(browser).is(404);
    assert!(!(two.app.tenant_dump(two.a.id) + &two.app.tenant_dump(two.b.id)).contains("Strayed"));
}

#[test]
fn only_our_own_name_is_answered() {
    let app = TestApp::start();
    let port = app.address.port();
    let ask = |head: &str| raw(app.address, format!("GET {head}Connection: close\r\n\r\n").as_bytes());
    for good in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("LOCALHOST:{port}")] {
        let answer = ask(&format!("/ HTTP/1.1\r\nHost: {good}\r\n"));
        let wanted = if good.starts_with('L') {
            answer.starts_with("HTTP/1.1 ")
        } else {
            answer.starts_with("HTTP/1.1 200")
        };
        assert!(wanted, "{good}: {answer}");
    }
    for bad in [
        "/ HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
        format!("/ HTTP/1.1\r\nHost: evil.example:{port}\r\n"),
        format!("/ HTTP/1.1\r\nHost: 127.0.0.1:{port}.evil.example\r\n"),
        format!("/ HTTP/1.1\r\nHost: evil.example@127.0.0.1:{port}\r\n"),
        format!("/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n"),
        format!("/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n"),
        "/ HTTP/1.1\r\nHost:\r\n".to_owned(),
        "/ HTTP/1.1\r\n".to_owned(),
        "/ HTTP/1.0\r\n".to_owned(),
        "http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
    ] {
        let answer = ask(&bad);
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"),
            "{bad:?}: {answer}"
        );
        assert!(!answer.contains("href=\"http"), "no link is built from the host");
    }
    for smuggled in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{smuggled}Connection: close\r\n\r\n0\r\n\r\n"
        );
        let answer = raw(app.address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{smuggled:?}: {answer}");
    }
}

#[test]
fn fields_that_no_form_has_change_nothing() {
    let two = Two::new();
    let (registrar, id) = (two.app.registrar(&two.a), Id::new().to_string());
    let extra = [
        ("id", id.as_str()),
        ("person_id", id.as_str()),
        ("institution_id", &two.b.id.to_string()),
        ("tenant_id", &two.b.id.to_string()),
        ("archived_at", "2020-01-01"),
        ("created_at", "2001-01-01"),
        ("role", "owner"),
        ("roles", "owner"),
        ("is_active", "true"),
        ("password_hash", "x"),
    ];
    let mut form = registrar.get(&two.a.path("/students/new")).is(200).form("main form");
    for (name, value) in extra {
        form.fields.push((name.to_owned(), value.to_owned()));
    }
    form.fill("name", "Inès Faure").fill("student_number", "A-2").submit(&registrar).is(303);
    let dump = two.app.tenant_dump(two.a.id);
    assert!(dump.contains("Inès Faure"));
    assert!(!dump.contains(&id) && !dump.contains(&id.replace('-', "")));
    assert!(!dump.contains("2001-01-01") && !dump.contains("2020-01-01"));
    assert!(!two.app.tenant_dump(two.b.id).contains("Inès Faure"));
    registrar.get(&two.a.path("/users")).is(403);

    // The student in the address is changed, whatever the form says.
    let mut form =
        two.of_a.get(&two.a.path(&format!("/students/{}/edit", two.student_of_a))).is(200).form("main form");
    form.fields.push(("id".into(), two.student_of_b.clone()));
    form.fill("name", "Zoé Durand").submit(&two.of_a).is(303);
    assert!(two.app.tenant_dump(two.b.id).contains("Chloé Petit"));

    let mut form = two.of_a.get(&two.a.path("/settings")).is(200).form("main form");
    for (name, value) in [
        ("domain", "taken.example"),
        ("status", "active"),
        ("plan", "unlimited"),
        ("trial_ends_at", "2999-01-01"),
    ] {
        form.fields.push((name.into(), value.into()));
    }
    form.fill("name", "Renamed").submit(&two.of_a).is(303);
    let dump = two.app.shared_dump(&[]) + &two.app.tenant_dump(two.a.id);
    for word in ["taken.example", "unlimited", "2999-01-01"] {
        assert!(!dump.contains(word), "{word}");
    }
    let other = provost::models::institution::users::Role::Viewer;
    let victim = two.app.new_user(&two.a, "victim@evry.example", other).to_string();
    let fields = [
        ("current_password", PASSWORD),
        ("password", crate::support::app::OTHER_PASSWORD),
        ("password_again", crate::support::app::OTHER_PASSWORD),
        ("user_id", &victim),
        ("id", &victim),
    ];
    registrar.post("/account/password", &fields).leads_to("/account");
    two.app.sign_in("victim@evry.example", PASSWORD);
}

#[test]
fn bulk_actions_look_at_every_element() {
    let two = Two::new();
    let viewer = two.app.viewer(&two.a);
    let before = two.app.tenant_dump(two.a.id) + &two.app.tenant_dump(two.b.id);
    let fields = [("ids", two.student_of_a.as_str()), ("id", &two.student_of_a), ("confirmed", "yes")];
    viewer.post(&two.a.path("/students/archivings"), &fields).is(403);
    two.of_b.post(&two.a.path("/students/archivings"), &fields).is(404);
    two.of_b.post(&two.b.path("/students/archivings"), &fields).is(303);
    assert_eq!(before, two.app.tenant_dump(two.a.id) + &two.app.tenant_dump(two.b.id));
}

#[test]
fn nothing_of_an_institution_reaches_anybody_else() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let s = app.institution("nice.example");
    // Searches fold case and show what was searched for, so they are made in small letters.
    let canary = format!("CANARY{}", crate::support::app::unique());
    plant(&app, &a, &canary);
    let cut_off = app.owner(&s);
    app.suspend(&s);
    let (of_b, admin) = (app.owner(&b), app.super_admin());
    add_student(&of_b, &b, "Chloé Petit", "B-1");

    assert!(crawl(&app.owner(&a)).iter().any(|page| page.text().contains(&canary)), "its own people see it");
    let mut answers = crawl(&of_b);
    answers.extend(crawl(&admin));
    for caller in [&app.visitor(), &of_b, &cut_off, &admin] {
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let path = route.path.replace("{domain}", &a.domain).replace("{path:.*}", "x");
            let path = path.replace(['{', '}'], "");
            answers.push(caller.get(&path));
            answers.push(caller.get(&format!("{path}?q={}", canary.to_lowercase())));
        }
        answers.push(caller.get(&a.path("/students.css")));
        answers.push(caller.get(&a.path("/students/x.css")));
    }
    let bytes: usize = answers.iter().map(|answer| answer.body.len()).sum();
    let hits: Vec<_> = answers.iter().filter(|answer| answer.text().contains(&canary)).collect();
    assert!(hits.is_empty(), "{:?}", hits.iter().map(|hit| hit.asked()).collect::<Vec<_>>());
    let elsewhere = app.shared_dump(&[]) + &app.tenant_dump(b.id) + &app.tenant_dump(s.id);
    assert!(!elsewhere.contains(&canary), "the databases of others hold nothing of it");
    println!("{} answers, {bytes} bytes searched, no hit", answers.len());
}

/// Records of every kind, each with the canary in every text.
fn plant(app: &TestApp, a: &Institution, canary: &str) {
    let owner = app.owner(a);
    let form = owner.get(&a.path("/students/new")).is(200).form("main form");
    let mut form = form.fill("name", &format!("{canary} Zoé")).fill("student_number", &format!("N-{canary}"));
    for field in ["preferred_name", "address", "programme", "notes"] {
        form = form.fill(field, &format!("{canary} {field}"));
    }
    let saved = form.fill("email", &format!("{canary}@people.example")).submit(&owner).is(303);
    owner.post(&format!("{}/archiving", saved.location()), &[]);
    let file = format!("student_number,name\nS-{canary},Léa {canary}\n");
    let import =
        owner.upload(&a.path("/students/import"), &format!("{canary}.csv"), file.as_bytes(), &[]).is(303);
    owner.post(import.location(), &[]);
    let form = owner.get(&a.path("/users/new")).is(200).form("main form");
    form.fill("name", &format!("{canary} Viewer"))
        .fill("email", "invited@people.example")
        .fill("roles", "viewer")
        .submit(&owner);
}
