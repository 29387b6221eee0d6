//! Sessions: random, stored as hashes, ended at once, and never revived.

use std::time::Duration;

use actix_web::cookie::{Cookie, CookieJar, Key};
use diesel::RunQueryDsl as _;
use provost::services::tokens::Token;

use crate::support::{
    app::{OTHER_PASSWORD, PASSWORD, TestApp, eventually},
    caller::Caller,
};

const COOKIE: &str = "provost";

fn key(app: &TestApp) -> Key {
    let derived = app.platform.keys.cookie_key();
    Key::from(&[derived.hash("cookie", b"1"), derived.hash("cookie", b"2")].concat())
}

/// The token inside a caller's sealed cookie.
fn token(app: &TestApp, caller: &Caller) -> String {
    let value = caller.cookie(COOKIE).expect("a session");
    let mut jar = CookieJar::new();
    jar.add_original(Cookie::parse_encoded(format!("{COOKIE}={value}")).expect("a cookie").into_owned());
    jar.private(&key(app)).get(COOKIE).expect("ours").value().to_owned()
}

fn sessions(app: &TestApp) -> usize {
    let dump = app.shared_dump(&[]);
    let table = dump.split("== sessions\n").nth(1).unwrap_or_default();
    table.lines().take_while(|line| !line.starts_with("== ")).count()
}

#[test]
fn the_database_knows_a_token_only_by_its_hash() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let token = token(&app, &owner);
    let (dump, cookie) = (app.shared_dump(&[]), owner.cookie(COOKIE).expect("a session"));
    let presented = Token::from_presented(&token).expect("43 characters of base64url: 256 bits");
    assert!(dump.contains(&presented.hash_hex()));
    assert!(!dump.contains(&token) && !dump.contains(&cookie));
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains(&hex));
}

#[test]
fn a_token_that_was_never_issued_is_not_adopted() {
    let app = TestApp::start();
    app.new_super_admin("ada@platform.example");
    let made_up = Token::generate().expect("random").reveal().to_owned();
    let mut jar = CookieJar::new();
    jar.private_mut(&key(&app)).add(Cookie::new(COOKIE, made_up.clone()));
    let sealed = jar.get(COOKIE).expect("sealed").encoded().to_string();
    let sealed = sealed.split_once('=').expect("a pair").1.to_owned();
    for planted in [sealed.as_str(), &made_up, "", "x", &"A".repeat(3_000)] {
        let victim = app.visitor();
        victim.set_cookie(COOKIE, planted);
        victim.get("/account").is(303);
        assert_eq!(sessions(&app), 0);
        let fields = [("email", "ada@platform.example"), ("password", PASSWORD)];
        victim.post("/sign-in", &fields).leads_to("/platform");
        assert_ne!(token(&app, &victim), made_up);
        let attacker = app.visitor();
        attacker.set_cookie(COOKIE, planted);
        attacker.get("/platform").is(303);
        victim.post("/sign-out", &[]);
    }
}

#[test]
fn signing_in_and_changing_the_password_issue_new_tokens() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let caller = app.visitor();
    // A message for the next page starts a session before anybody signs in.
    caller.post("/password-reset", &[("email", "nobody@evry.example")]).is(303);
    let anonymous = caller.copy();
    assert!(anonymous.cookie(COOKIE).is_some());
    caller.post("/sign-in", &[("email", &a.owner_email), ("password", PASSWORD)]).is(303);
    assert_ne!(token(&app, &caller), token(&app, &anonymous));
    anonymous.get(&a.path("")).is(303);

    let (before, elsewhere) = (caller.copy(), app.owner(&a));
    let fields =
        [("current_password", PASSWORD), ("password", OTHER_PASSWORD), ("password_again", OTHER_PASSWORD)];
    caller.post("/account/password", &fields).leads_to("/account");
    assert_ne!(token(&app, &caller), token(&app, &before));
    caller.get("/account").is(200);
    before.get("/account").is(303);
    elsewhere.get("/account").is(303);
    assert_eq!(sessions(&app), 1);
}

#[test]
fn signing_out_ends_the_session_for_everybody_who_has_its_cookie() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let thief = owner.copy();
    thief.get(&a.path("")).is(200);
    let out = owner.post("/sign-out", &[]).leads_to("/sign-in");
    assert!(out.header("clear-site-data").is_some_and(|what| what.contains("\"cache\"")));
    assert_eq!(owner.cookie(COOKIE), None);
    thief.get(&a.path("")).is(303);
    thief.post("/sign-out", &[]).leads_to("/sign-in");
    assert_eq!(sessions(&app), 0);
}

#[test]
fn idle_sessions_end() {
    let app = TestApp::with(|settings| {
        settings.limits.super_admin_idle = Duration::from_millis(700);
        settings.limits.institution_idle = Duration::from_secs(600);
    });
    let a = app.institution("evry.example");
    let (admin, owner) = (app.super_admin(), app.owner(&a));
    admin.get("/platform").is(200);
    eventually("the super admin's session ends", || admin.get("/platform").status == 303);
    owner.get(&a.path("")).is(200);
}

#[test]
fn every_session_ends_after_its_length_however_busy() {
    let app = TestApp::with(|settings| settings.limits.session_length = Duration::from_secs(1));
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let replayed = owner.copy();
    replayed.get(&a.path("")).is(200);
    eventually("the session ends", || replayed.get(&a.path("")).status == 303);
}

#[test]
fn owners_of_sessions_list_and_end_them() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (here, there, third) = (app.owner(&a), app.owner(&a), app.owner(&a));
    let stranger = app.viewer(&a);
    let page = here.get("/account").is(200);
    assert_eq!(page.words("section[aria-labelledby=sessions] tbody tr").len(), 3);
    assert!(page.main().contains("Firefox on Linux"));
    let ends = page.attributes("tbody form", "action");
    assert_eq!(ends.len(), 2);
    stranger.post(&ends[0], &[]).is(404);
    stranger.post(&format!("/account/sessions/{}/remove", provost::db::Id::new()), &[]).is(404);
    here.post(&ends[0], &[]).leads_to("/account");
    let alive = [&there, &third].map(|caller| caller.get("/account").status);
    assert!(alive == [200, 303] || alive == [303, 200], "{alive:?}");
    here.post("/account/sessions/remove", &[]).leads_to("/account");
    assert_eq!([&there, &third].map(|caller| caller.get("/account").status), [303, 303]);
    here.get("/account").is(200).shows("signed out everywhere else");
    stranger.get("/account").is(200);
    // One's own session can be ended like any other, from wherever its address is known.
    let again = app.owner(&a);
    let own = again.get("/account").is(200).attributes("tbody form", "action").remove(0);
    here.post(&own, &[]).leads_to("/sign-in");
    assert_eq!(here.cookie(COOKIE), None);
    here.get("/account").is(303);
}

#[test]
fn suspension_cuts_off_every_session_on_its_next_request() {
    let app = TestApp::start();
    let (a, other) = (app.institution("evry.example"), app.institution("lyon.example"));
    let callers: Vec<Caller> = (0..20).map(|_| app.owner(&a)).collect();
    let unconcerned = app.owner(&other);
    for caller in &callers {
        caller.get(&a.path("/students")).is(200);
    }
    app.suspend(&a);
    for caller in &callers {
        let refused = caller.get(&a.path("/students")).is(403).shows("suspended");
        assert!(!refused.main().contains("Student"));
        caller.get("/account").is(303);
    }
    assert_eq!(sessions(&app), 1);
    unconcerned.get(&other.path("")).is(200);
    app.reactivate(&a);
    for caller in &callers {
        caller.get(&a.path("/students")).is(303);
    }
    app.owner(&a).get(&a.path("/students")).is(200);
}

#[test]
fn a_session_that_is_ended_during_a_request_stays_ended() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let form = owner.get(&a.path("/settings")).is(200).form("main form").fill("name", "Renamed");
    let mut blocker = app.behind(&a);
    let in_use = || {
        let tenants = app.platform.tenants.statistics().tenants;
        tenants
            .iter()
            .filter(|tenant| tenant.institution_id == a.id)
            .map(|tenant| tenant.in_use)
            .sum::<usize>()
    };
    eventually("nobody is at work", || in_use() == 0);
    std::thread::scope(|scope| {
        let request = blocker.write_tx(|connection| {
            diesel::sql_query("UPDATE institution SET version = version").execute(connection)?;
            let sender = owner.copy();
            let request = scope.spawn(move || form.submit(&sender));
            // It has read its session, and waits for the row.
            eventually("the request is in the database", || in_use() > 0);
            app.sql("DELETE FROM sessions");
            Ok::<_, diesel::result::Error>(request)
        });
        // What was asked is done, and said so; the session is over all the same.
        request.expect("committed").join().expect("answered").leads_to(&a.path("/settings"));
    });
    assert_eq!(sessions(&app), 0);
    owner.get(&a.path("")).is(303);
}

#[test]
fn a_disabled_user_is_out_at_once() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (owner, viewer) = (app.owner(&a), app.viewer(&a));
    let users = owner.get(&a.path("/users")).is(200);
    let links = users.attributes("main tbody a", "href");
    let member = links.iter().find(|link| owner.get(link).main().contains("Member Meier")).expect("a page");
    owner.post(&format!("{member}/disabling"), &[]).is(303);
    viewer.get(&a.path("")).is(303);
    viewer.get("/account").is(303);
    assert_eq!(sessions(&app), 1);
}

#[test]
fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let app = TestApp::start();
    app.new_super_admin("ada@platform.example");
    let fields = [("email", "ada@platform.example"), ("password", PASSWORD)];
    let answer = app.visitor().post("/sign-in", &fields).is(303);
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
    for wanted in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&wanted), "{cookie}");
    }
    assert!(!cookie.contains("Domain") && cookie.len() < 4_096, "{cookie}");
    assert!(answer.header("strict-transport-security").is_none());

    let secure = TestApp::with(|settings| settings.public_url = "https://provost.example".into());
    secure.new_super_admin("ada@platform.example");
    let caller = secure.visitor().with("host", "provost.example");
    let answer = caller.post("/sign-in", &fields).is(303);
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("__Host-provost="), "{cookie}");
    assert!(
        cookie.split("; ").any(|attribute| attribute == "Secure") && !cookie.contains("Domain"),
        "{cookie}"
    );
    assert!(
        answer.header("strict-transport-security").is_some_and(|policy| policy.contains("max-age=31536000"))
    );
    caller.get("/platform").is(200);
    secure.visitor().get("/").is(400);
}

#[test]
fn files_and_probes_read_no_session() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let page = admin.get("/platform").is(200);
    let style = page.attributes("link[rel=stylesheet]", "href").remove(0);
    app.sql("ALTER TABLE sessions RENAME TO away");
    let plain = [&*style, "/favicon.ico", "/health/live", "/health/ready"];
    let statuses = plain.map(|path| admin.get(path).status);
    let page = admin.get("/platform").status;
    app.sql("ALTER TABLE away RENAME TO sessions");
    assert_eq!((statuses, page), ([200, 303, 200, 200], 503));
    admin.get("/platform").is(200);
    admin.get("/static/x/nothing.css").is(404);
    admin.get("/nowhere").is(404).shows("Page not found");
}
