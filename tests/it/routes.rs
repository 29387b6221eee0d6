//! The table of routes, walked as every kind of caller: each gets what the table says, and nothing else.

pub mod world;

use provost::{
    db::Id,
    routes::{Access, ROUTES, Route},
};

use self::world::World;
use crate::support::{
    app::{PASSWORD, TestApp},
    caller::{Answer, Caller},
};

pub use self::world::add_student;

/// Written by every request, whatever it does, and by what runs in the background.
const RESTLESS: &[&str] = &[
    "sessions",
    "throttles",
    "security_log",
    "scheduled_jobs",
    "usage_figures",
    "page_usage",
    "active_users",
    "slow_queries",
    "tenant_figures",
];

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anonymous,
    Viewer,
    Registrar,
    Owner,
    /// Owner of another institution.
    Neighbour,
    /// Owner of an institution that was suspended after they signed in.
    CutOff,
    SuperAdmin,
    Operator,
    Support,
    Auditor,
}

impl Who {
    fn runs_the_platform(self) -> bool {
        matches!(self, Self::SuperAdmin | Self::Operator | Self::Support | Self::Auditor)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Through,
    ToSignIn,
    NotFound,
    Forbidden,
}

const EVERYBODY: [Who; 10] = {
    use Who::*;
    [Anonymous, Viewer, Registrar, Owner, Neighbour, CutOff, Operator, Support, Auditor, SuperAdmin]
};

/// The whole policy of the site, on one screen.
fn expected(access: Access, who: Who) -> Outcome {
    use Outcome::*;
    use Who::*;
    match (access, who) {
        (Access::Public | Access::Token, _) => Through,
        (_, Anonymous | CutOff) => ToSignIn,
        (Access::SignedIn, _) => Through,
        (Access::Member | Access::Registrar | Access::Owner, who)
            if who == Neighbour || who.runs_the_platform() =>
        {
            NotFound
        }
        (Access::Member, _) | (Access::Registrar, Registrar | Owner) | (Access::Owner, Owner) => Through,
        (Access::Registrar | Access::Owner, _) => Forbidden,
        (_, who) if !who.runs_the_platform() => NotFound,
        (Access::AnyAdmin, _) | (_, SuperAdmin) => Through,
        (Access::Operator, Operator) | (Access::Support, Support) | (Access::Auditor, Auditor) => Through,
        (_, _) => Forbidden,
    }
}

fn call(caller: &Caller, route: &Route, path: &str) -> Answer {
    match route.method {
        "GET" => caller.get(path),
        _ if route.path.ends_with("/import") => caller.upload(path, "", b"", &[]),
        _ => caller.post(path, &[]),
    }
}

fn outcome(answer: &Answer) -> Option<Outcome> {
    match answer.status {
        303 if answer.location().starts_with("/sign-in?return=") => Some(Outcome::ToSignIn),
        200 | 303 | 409 | 422 => Some(Outcome::Through),
        403 => Some(Outcome::Forbidden),
        404 => Some(Outcome::NotFound),
        _ => None,
    }
}

#[track_caller]
fn check(route: &Route, who: Who, path: &str, answer: &Answer) {
    let wanted = expected(route.access, who);
    // There is a super admin already, and a session is its owner's alone.
    let gone = route.path.starts_with("/setup") || route.path.starts_with("/account/sessions/{id}");
    let accepted =
        outcome(answer) == Some(wanted) || (gone && wanted == Outcome::Through && answer.status == 404);
    assert!(
        accepted,
        "{who:?} {} {path} ({:?}): {} {} {}",
        route.method,
        route.access,
        answer.status,
        answer.location(),
        answer.main()
    );
}

#[test]
fn everybody_gets_what_the_table_says() {
    let world = World::new();
    refused_without_a_trace(&world);
    reading_changes_nothing(&world);
    strange_methods_are_refused(&world);
    other_sites_change_nothing(&world);
    // Last, because it changes things.
    for route in ROUTES.iter().filter(|route| route.method == "POST" && route.path != "/sign-out") {
        for who in EVERYBODY.into_iter().filter(|who| expected(route.access, *who) == Outcome::Through) {
            let path = world.real(route);
            check(route, who, &path, &call(world.caller(who), route, &path));
        }
    }
}

#[track_caller]
fn unchanged(before: &str, after: &str) {
    let difference = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    assert_eq!(difference, None);
    assert_eq!(before.len(), after.len());
}

fn refused_without_a_trace(world: &World) {
    let before = world.digest();
    for route in ROUTES {
        for who in EVERYBODY.into_iter().filter(|who| expected(route.access, *who) != Outcome::Through) {
            let (path, caller) = (world.real(route), world.caller(who));
            let real = call(caller, route, &path);
            check(route, who, &path, &real);
            let random = call(caller, route, &world.random(route));
            if expected(route.access, who) == Outcome::NotFound {
                assert_eq!(random.status, 404, "{who:?} {}", route.path);
                assert_eq!(
                    real.text(),
                    random.text(),
                    "{who:?} {}: a real id reads like a random one",
                    route.path
                );
            }
        }
    }
    unchanged(&before, &world.digest());
}

/// But for the trace that a file leaves when it is taken away.
fn reading_changes_nothing(world: &World) {
    let digest = || -> String {
        let whole = world.digest();
        whole.lines().filter(|row| !row.contains(".exported")).map(|row| format!("{row}\n")).collect()
    };
    let before = digest();
    for _ in 0..2 {
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            for who in EVERYBODY.into_iter().filter(|who| expected(route.access, *who) == Outcome::Through) {
                let path = world.real(route);
                check(route, who, &path, &world.caller(who).get(&path));
            }
        }
        // Nobody is shown a link that they may not follow.
        for who in [Who::Owner, Who::SuperAdmin, Who::Operator, Who::Support, Who::Auditor] {
            crawl(world.caller(who));
        }
    }
    unchanged(&before, &digest());
}

/// Follows every link from the caller's home on, up to a bound.
pub fn crawl(caller: &Caller) -> Vec<Answer> {
    let home = caller.get("/account").is(200).attributes("a.place", "href").remove(0);
    let (mut waiting, mut pages) = (vec![home], Vec::new());
    let mut seen: std::collections::BTreeSet<String> = waiting.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let page = caller.get(&path);
        assert!(matches!(page.status, 200 | 303), "{path}: {} {}", page.status, page.main());
        for link in page.attributes("a[href]", "href") {
            let link = link.split('#').next().unwrap_or_default().to_owned();
            // Lists can be sorted and filtered in endless ways: each part of an address once is enough.
            if link.starts_with('/') && seen.len() < 300 && seen.insert(link.clone()) {
                waiting.push(link);
            }
        }
        pages.push(page);
    }
    pages
}

fn strange_methods_are_refused(world: &World) {
    for route in ROUTES {
        let path = world.real(route);
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let answer = world.caller(Who::SuperAdmin).send(method, &path, &[], b"");
            assert_eq!(answer.status, 405, "{method} {path}");
            let allowed = answer.header("allow").unwrap_or_default();
            assert!(allowed.split(", ").any(|known| known == route.method), "{path}: {allowed:?}");
        }
        if !ROUTES.iter().any(|other| other.path == route.path && other.method == "POST") {
            assert_eq!(world.caller(Who::SuperAdmin).post(&path, &[]).status, 405, "POST {path}");
        }
    }
    assert_eq!(world.caller(Who::Anonymous).send("HEAD", "/", &[], b"").is(200).body, b"");
}

fn other_sites_change_nothing(world: &World) {
    let own = format!("http://{}", world.app.address);
    let before = world.digest();
    for route in ROUTES.iter().filter(|route| route.method == "POST") {
        let path = world.real(route);
        let who = EVERYBODY.into_iter().rev().find(|who| expected(route.access, *who) == Outcome::Through);
        let caller = world.caller(who.expect("somebody may")).copy().with("sec-fetch-site", "");
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", &own)],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
        ] {
            for method in ["POST", "PUT", "DELETE"] {
                let answer = caller.send(method, &path, headers, b"");
                assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
                assert_eq!(answer.header("set-cookie"), None, "{path}");
            }
        }
    }
    unchanged(&before, &world.digest());
    // An older browser, or any on plain HTTP, says only where it comes from; under "no-referrer" not even that.
    let caller = world.app.visitor().with("sec-fetch-site", "");
    let headers = [("origin", own.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    caller.send("POST", "/sign-in", &headers, b"").is(422);
}

#[test]
fn a_suspended_institution_says_so_on_every_page_to_everybody() {
    let app = TestApp::start();
    let s = app.institution("nice.example");
    let (before, admin) = (app.owner(&s), app.super_admin());
    app.suspend(&s);
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/i/{domain}")) {
        let path = route.path.replace("{domain}", &s.domain).replace("{id}", &Id::new().to_string());
        for caller in [&before, &admin, &app.visitor()] {
            call(caller, route, &path).is(403).shows("is suspended");
        }
    }
}

#[test]
fn every_answer_carries_the_headers() {
    let app = TestApp::start();
    app.new_super_admin("ada@platform.example");
    let caller = app.visitor();
    let mut answers = vec![
        caller.get("/").is(200),
        caller.get("/health/live").is(200),
        caller.get("/account").is(303),
        caller.send("GET", "/", &[("host", "evil.example")], b"").is(400),
        caller
            .send("POST", "/sign-in", &[("content-type", "application/x-www-form-urlencoded")], b"e=%FF\xff")
            .is(400),
        caller.send("POST", "/sign-in", &[("content-type", "application/json")], b"{}").is(400),
        caller.send("POST", "/sign-in", &[("sec-fetch-site", "cross-site")], b"").is(403),
        caller.get("/nothing/here").is(404),
        caller.get("/setup").is(404),
        caller.send("DELETE", "/sign-in", &[], b"").is(405),
        caller.post("/sign-in", &[("email", &"x".repeat(300_000))]).is(413),
        caller.post("/sign-in", &[]).is(422),
        app.sign_in("ada@platform.example", PASSWORD).get("/platform").is(200),
    ];
    app.sql(
        "INSERT INTO throttles (subject, failures, last_failure_at, blocked_until) \
             VALUES ('address:192.0.2.9', 99, '2026-01-01 00:00:00', '2999-01-01 00:00:00')",
    );
    let slowed = app.visitor().with("x-forwarded-for", "192.0.2.9");
    let fields = [("email", "ada@platform.example"), ("password", PASSWORD)];
    answers.push(slowed.post("/sign-in", &fields).is(429));
    app.sql("ALTER TABLE throttles RENAME TO throttles_away");
    answers.push(caller.post("/sign-in", &fields).is(500));
    app.sql("ALTER TABLE throttles_away RENAME TO throttles");
    for answer in &answers {
        headers_are_whole(answer);
    }
    let broken = &answers[answers.len() - 1];
    assert!(broken.main().contains("Something went wrong"));
    assert!(!broken.text().contains("throttles"), "the cause is for the log");
    let css = caller.get("/").attributes("link[rel=stylesheet]", "href").remove(0);
    let asset = caller.get(&css).is(200);
    assert!(asset.header("cache-control").is_some_and(|policy| policy.contains("immutable")));
    assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
}

fn headers_are_whole(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(directive), "{answer:?}");
    }
    assert!(!policy.contains("unsafe"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
    }
    assert!(answer.header("permissions-policy").is_some());
    if answer.status != 303 {
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.ends_with("; charset=utf-8"), "{kind:?}");
    }
    if kind_is_html(answer) {
        let text = answer.text();
        assert!(
            !text.contains(" style=\"") && !text.contains("<style") && !text.contains(" onclick="),
            "inline code"
        );
        assert!(
            answer.attributes("script:not([src])", "type").is_empty() && !answer.has("script:not([src])")
        );
    }
}

fn kind_is_html(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
}
