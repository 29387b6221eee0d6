//! Signing in: who gets in, who is slowed down, and what strangers learn from it: nothing.

use std::time::{Duration, Instant};

use provost::{
    models::{
        Actor,
        institution::{
            activity::Activity,
            users::{self, Role},
        },
        platform::account_tokens::{self, Holder, Purpose},
    },
    services::tokens::Token,
};

use crate::support::{
    app::{Institution, OTHER_PASSWORD, PASSWORD, TestApp, unique},
    caller::{Answer, Caller},
};

fn attempt(caller: &Caller, email: &str, password: &str) -> Answer {
    caller.post("/sign-in", &[("email", email), ("password", password)])
}

/// Changes the password on the account page; what came back.
fn change_password(caller: &Caller, from: &str, to: &str) -> Answer {
    caller.post("/account/password", &[("current_password", from), ("password", to), ("password_again", to)])
}

fn disable(app: &TestApp, institution: &Institution, user: provost::db::Id) {
    let mut shared = app.platform.shared.get().expect("connection");
    let tenant = app.platform.tenants.open(&mut shared, institution.id).expect("opened");
    let activity = Activity::new(Actor::command_line());
    users::disable(&mut tenant.get().expect("connection"), &activity, user).expect("disabled");
}

#[test]
fn owner_and_super_admin_arrive_at_their_own_home() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let home = app.owner(&a).get(&a.path("")).is(200);
    assert!(home.text().contains(&a.name));
    app.super_admin().get("/platform").is(200);
}

#[test]
fn every_refusal_reads_the_same() {
    let app = TestApp::start();
    let (a, s) = (app.institution("evry.example"), app.institution("lyon.example"));
    let disabled = app.new_user(&a, "disabled@evry.example", Role::Viewer);
    disable(&app, &a, disabled);
    app.suspend(&s);
    let refusals: Vec<(u16, String)> = [
        ("nobody@evry.example", PASSWORD),
        ("owner@evry.example", "this is not the password"),
        ("disabled@evry.example", PASSWORD),
        ("owner@lyon.example", PASSWORD),
        ("owner@lyon.example", "this is not the password"),
    ]
    .map(|(email, password)| {
        let answer = attempt(&app.visitor(), email, password);
        assert_eq!(answer.header("set-cookie"), None);
        (answer.status, answer.text().replace(email, "E-MAIL"))
    })
    .into();
    assert_eq!(refusals[0].0, 422);
    assert!(refusals[0].1.contains("do not match an account"));
    for other in &refusals[1..] {
        assert_eq!(other, &refusals[0]);
    }
}

#[test]
fn a_wrong_password_takes_as_long_as_an_unknown_e_mail() {
    let app = TestApp::with(|settings| settings.password_cost = 8);
    let a = app.institution("evry.example");
    let caller = app.visitor();
    let median = |email: &str| {
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                app.forgive();
                let begun = Instant::now();
                attempt(&caller, email, "this is not the password").is(422);
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() / 2]
    };
    median("nobody@evry.example");
    let (unknown, wrong) = (median("nobody@evry.example"), median(&a.owner_email));
    let ratio = wrong.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "unknown {unknown:?}, wrong {wrong:?}");
}

#[test]
fn an_account_is_slowed_down_wherever_the_attempts_come_from_and_after_a_restart() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    for host in 0..5 {
        let caller = app.visitor().with("x-forwarded-for", &format!("192.0.2.{host}"));
        attempt(&caller, &a.owner_email, "this is not the password").is(422);
    }
    let refused =
        attempt(&app.visitor().with("x-forwarded-for", "192.0.2.77"), &a.owner_email, PASSWORD).is(429);
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");

    // A long run of failures, the last of them just now.
    app.sql("UPDATE throttles SET failures = 10, blocked_until = last_failure_at");
    attempt(&app.visitor(), &a.owner_email, "this is not the password").is(422);
    let app = app.restart();
    let refused = attempt(&app.visitor(), &a.owner_email, PASSWORD).is(429);
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((30..=60).contains(&wait), "{wait}: long enough to hurt, short enough not to lock out");
    refused.shows("Too many attempts");
    // Somebody else is not concerned, and a success forgives.
    app.super_admin();
    app.sql("UPDATE throttles SET blocked_until = last_failure_at");
    app.owner(&a);
    attempt(&app.visitor(), &a.owner_email, "this is not the password").is(422);
    app.owner(&a);
}

#[test]
fn an_address_is_slowed_down_whatever_the_account() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let guesser = app.visitor().with("x-forwarded-for", "192.0.2.66");
    for n in 0..20 {
        attempt(&guesser, &format!("guess{n}@evry.example"), PASSWORD).is(422);
    }
    let refused = attempt(&guesser, &a.owner_email, PASSWORD).is(429);
    assert!(refused.header("retry-after").is_some());
    app.owner(&a);
}

#[test]
fn passwords_are_used_as_typed_to_their_end() {
    let app = TestApp::start();
    let email = "ada@platform.example";
    app.new_super_admin(email);
    let caller = app.sign_in(email, PASSWORD);
    // bcrypt itself looks at no more than 72 bytes.
    let long = "quilt river bottle anchor plume sixty wagon mortar fennel dusk copper ow";
    assert_eq!(long.len(), 72);
    let (one, two) = (format!("{long}A"), format!("{long}B"));
    change_password(&caller, PASSWORD, &one).leads_to("/account");
    attempt(&app.visitor(), email, &two).is(422);
    attempt(&app.visitor(), email, &format!(" {one}")).is(422);
    app.sign_in(email, &one);

    let emoji: String =
        (0..64_u32).map(|n| char::from_u32(0x1F600 + (n * 37) % 64).expect("an emoji")).collect();
    assert_eq!(emoji.chars().count(), 64);
    change_password(&caller, &one, &emoji).leads_to("/account");
    app.sign_in(email, &emoji);
    let spaced = "  spaces at  both ends stay  ";
    change_password(&caller, &emoji, spaced).leads_to("/account");
    attempt(&app.visitor(), email, spaced.trim()).is(422);
    app.sign_in(email, spaced);
}

#[test]
fn weak_passwords_are_refused_with_a_reason() {
    let app = TestApp::start();
    let caller = app.super_admin();
    for (password, reason) in [
        ("fourteen chars", "at least 15 characters"),
        ("passwordpassword", ""),
        ("qwertyuiopasdfgh", ""),
        ("123456789012345678", ""),
        ("aaaaaaaaaaaaaaaaaaaa", ""),
        ("Ada Lovelace 2026", "your name"),
        ("provost-provost-1", ""),
    ] {
        let refused = change_password(&caller, PASSWORD, password).is(422);
        let errors = refused.words("[role=alert] li").join(" ");
        assert!(errors.contains(reason) && !errors.is_empty(), "{password}: {errors}");
        assert!(!refused.text().contains(password), "a password is never shown again");
    }
    let differing =
        [("current_password", PASSWORD), ("password", OTHER_PASSWORD), ("password_again", PASSWORD)];
    caller.post("/account/password", &differing).is(422).shows("differ");
    change_password(&caller, "this is not the password", OTHER_PASSWORD)
        .is(422)
        .shows("not your present password");
    change_password(&caller, PASSWORD, OTHER_PASSWORD).leads_to("/account");
}

#[test]
fn one_e_mail_in_several_institutions_leads_to_a_choice() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    app.new_user(&b, &a.owner_email, Role::Viewer);
    let stranger = app.institution("nice.example");
    let caller = app.visitor();
    attempt(&caller, &a.owner_email, PASSWORD).leads_to("/sign-in/choice");
    caller.get(&a.path("")).is(303);
    let choice = caller.get("/sign-in/choice").is(200);
    assert_eq!(choice.words("label.tick"), [a.name.as_str(), b.name.as_str()]);
    assert!(!choice.text().contains(&stranger.name));
    let accounts = choice.attributes("input[type=radio]", "value");

    caller.post("/sign-in/choice", &[("account", &provost::db::Id::new().to_string())]).is(422);
    caller.post("/sign-in/choice", &[]).is(422);
    caller.post("/sign-in/choice", &[("account", &accounts[1])]).leads_to(&b.path(""));
    caller.get(&b.path("")).is(200);
    caller.get(&a.path("")).is(404);
    // The choice is used up.
    caller.post("/sign-in/choice", &[("account", &accounts[0])]).leads_to("/sign-in");
    app.visitor().get("/sign-in/choice").leads_to("/sign-in");
}

#[test]
fn after_signing_in_only_ones_own_pages_are_returned_to() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let wanted = app.visitor().get(&a.path("/students?q=%C3%A9&page=2")).is(303).location().to_owned();
    assert!(wanted.starts_with("/sign-in?return=%2F"), "{wanted}");
    let page = app.visitor();
    let form =
        page.get(&wanted).is(200).form("main form").fill("email", &a.owner_email).fill("password", PASSWORD);
    form.submit(&page).leads_to(&a.path("/students?q=%C3%A9&page=2"));
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%0d%0aLocation: https://evil.example",
        "javascript:alert(1)",
        "/sign-out",
        "/platform",
        &b.path("/students"),
        &format!("{}x", a.path("")),
    ] {
        let fields = [("email", a.owner_email.as_str()), ("password", PASSWORD), ("return", bad)];
        app.visitor().post("/sign-in", &fields).leads_to(&a.path(""));
    }
}

#[test]
fn a_forgotten_password_is_reset_by_a_link_that_works_once() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let before = app.owner(&a);
    let asked = app.visitor().post("/password-reset", &[("email", &a.owner_email)]);
    let unknown = app.visitor().post("/password-reset", &[("email", "nobody@evry.example")]);
    assert_eq!((asked.status, asked.location(), &asked.body), (303, "/sign-in", &unknown.body));
    assert_eq!((unknown.status, unknown.location()), (303, "/sign-in"));

    let link = app.mailed_path(&a.owner_email, "/password-reset/");
    assert_eq!(app.mails("nobody@evry.example"), [""; 0]);
    let caller = app.visitor();
    // Looking does not use it up: mail programs look at links.
    caller.get(&link).is(200);
    let form = caller.get(&link).is(200).form("main form");
    let typed = |password: &str| form.clone().fill("password", password).fill("password_again", password);
    typed("too short").submit(&caller).is(422);
    typed(OTHER_PASSWORD).submit(&caller).leads_to("/sign-in");
    caller.get("/sign-in").shows("Your password is set");
    caller.get(&a.path("")).is(303);
    before.get(&a.path("")).is(303);
    typed(PASSWORD).submit(&caller).is(404);
    let used = caller.get(&link).is(404);
    let random =
        caller.get(&format!("/password-reset/{}", Token::generate().expect("random").reveal())).is(404);
    assert_eq!(used.body, random.body);
    attempt(&caller, &a.owner_email, PASSWORD).is(422);
    app.sign_in(&a.owner_email, OTHER_PASSWORD);
    let told = app.mails(&a.owner_email);
    assert!(told.iter().any(|mail| mail.to_lowercase().contains("password was changed")), "{told:?}");
}

#[test]
fn a_reset_link_runs_out_and_a_newer_one_replaces_it() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let ask = || app.visitor().post("/password-reset", &[("email", &a.owner_email)]).is(303);
    ask();
    let first = app.mailed_path(&a.owner_email, "/password-reset/");
    ask();
    // A link that was mailed just now is not replaced: whoever asks on and on keeps nobody from using it.
    app.visitor().get(&first).is(200);
    app.sql("UPDATE account_tokens SET created_at = '2020-01-01 00:00:00'");
    ask();
    let mut second = first.clone();
    crate::support::app::eventually("a second link", || {
        second = app.mailed_path(&a.owner_email, "/password-reset/");
        second != first
    });
    app.visitor().get(&first).is(404);
    app.visitor().get(&second).is(200);
    app.sql("UPDATE account_tokens SET expires_at = created_at");
    app.visitor().get(&second).is(404);
    app.visitor().post(&second, &[("password", OTHER_PASSWORD), ("password_again", OTHER_PASSWORD)]).is(404);
    app.owner(&a);
}

#[test]
fn links_in_mails_are_ours_whatever_host_was_asked() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let caller =
        app.visitor().with("x-forwarded-host", "evil.example").with("forwarded", "host=evil.example");
    caller.post("/password-reset", &[("email", &a.owner_email)]).is(303);
    app.mailed_path(&a.owner_email, "/password-reset/");
    assert!(!app.mails(&a.owner_email).iter().any(|mail| mail.contains("evil.example")));
    caller.with("host", "evil.example").post("/password-reset", &[("email", &a.owner_email)]).is(400);
}

#[test]
fn the_first_super_admin_is_made_once_by_the_printed_address() {
    let app = TestApp::start();
    let token = Token::generate().expect("random");
    let nobody = Holder { institution_id: None, user_id: None };
    {
        let mut connection = app.platform.shared.get().expect("connection");
        account_tokens::create(
            &mut connection,
            Purpose::Setup,
            nobody,
            &token.hash(),
            Purpose::Setup.lifetime(),
        )
        .expect("stored");
    }
    let path = format!("/setup/{}", token.reveal());
    let caller = app.visitor();
    caller.get("/setup").is(200);
    caller.get(&format!("/setup/{}", Token::generate().expect("random").reveal())).is(404);
    let form = caller.get(&path).is(200).form("main form").fill("name", "Ada Lovelace");
    let form = form.fill("email", "ada@platform.example");
    form.clone().fill("password", "short").fill("password_again", "short").submit(&caller).is(422);
    let form = form.fill("password", PASSWORD).fill("password_again", PASSWORD);
    let (one, two) = std::thread::scope(|scope| {
        let submit = || form.submit(&app.visitor()).status;
        let (one, two) = (scope.spawn(submit), scope.spawn(submit));
        (one.join().expect("answered"), two.join().expect("answered"))
    });
    assert_eq!([one.min(two), one.max(two)], [303, 404], "of two at once one is made");
    caller.get(&path).is(404);
    caller.get("/setup").is(404);
    app.sign_in("ada@platform.example", PASSWORD).get("/platform").is(200);
    form.fill("email", "eve@platform.example").submit(&caller).is(404);
}

#[test]
fn an_invited_admin_chooses_a_password_by_the_link() {
    let app = TestApp::start();
    let ada = app.super_admin();
    let email = format!("grace.{}@platform.example", unique());
    let form = ada.get("/platform/admins/new").is(200).form("main form");
    form.fill("name", "Grace Hopper").fill("email", &email).fill("role", "super_admin").submit(&ada).is(303);
    attempt(&app.visitor(), &email, PASSWORD).is(422);
    let link = app.mailed_path(&email, "/invitations/");
    let caller = app.visitor();
    let form = caller.get(&link).is(200).form("main form");
    let form = form.fill("password", OTHER_PASSWORD).fill("password_again", OTHER_PASSWORD);
    form.submit(&caller).leads_to("/sign-in");
    caller.get("/platform").is(303);
    form.submit(&caller).is(404);
    caller.get(&link).is(404);
    app.sign_in(&email, OTHER_PASSWORD).get("/platform").is(200);
}
