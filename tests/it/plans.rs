//! Plans, subscriptions and limits: what is allowed, who is told, and nothing that is ever switched off at once.

use std::thread;

use chrono::TimeDelta;
use provost::{
    db::now,
    models::{
        Actor, Limits,
        institution::{Activity, quota, student_bulk::Chosen, students, users},
        platform::subscriptions::{self, Standing, SubscriptionStatus},
    },
    services::subscriptions::{Swept, sweep},
};

use crate::{
    routes::add_student,
    support::{
        app::{Institution, TestApp},
        binary::provost as command,
        caller::Caller,
    },
};

/// Sets limits for one institution on the page.
#[track_caller]
fn agree(admin: &Caller, institution: &Institution, limits: &[(&str, &str)]) {
    let place = format!("/platform/institutions/{}/subscription", institution.domain);
    let mut form =
        admin.get(&format!("{place}/edit")).is(200).form("main form").fill("reason", "Agreed by phone");
    for (name, value) in limits {
        form = form.fill(name, value);
    }
    form.submit(admin).is(303).leads_to(&place);
}

#[track_caller]
fn subscription(app: &TestApp, institution: &Institution) -> subscriptions::Subscribed {
    subscriptions::find(&mut app.platform.shared.get().expect("connection"), institution.id).expect("read")
}

fn try_student(caller: &Caller, institution: &Institution, number: &str) -> crate::support::caller::Answer {
    let form = caller.get(&institution.path("/students/new")).is(200).form("main form");
    form.fill("name", "Léa Roux").fill("student_number", number).submit(caller)
}

#[test]
fn a_plan_is_added_changed_by_two_archived_and_taken_away_as_a_file() {
    let app = TestApp::start();
    let (ada, grace) = (app.super_admin(), app.super_admin());
    let list = ada.get("/platform/plans").is(200);
    assert_eq!(list.words("tbody th a"), ["Starter", "Basic", "Premium", "Enterprise"]);
    let form = ada.get("/platform/plans/new").is(200).form("main form");
    let wrong = form.fill("key", "Big One").fill("name", "Campus").fill("price_month", "12.345");
    wrong.submit(&ada).is(422).shows("Use small letters").shows("Enter an amount");
    let right = form.fill("key", "campus").fill("name", "Campus").fill("price_month", "19.90");
    let right =
        right.fill("price_year", "199").fill("max_students", "1200").fill("features", "import api import");
    right.submit(&ada).is(303);
    right.submit(&ada).is(422).shows("a plan with the key campus already");
    ada.get("/platform/plans?q=camp").is(200).shows("EUR 19.90").shows("1,200").shows("No limit");

    let first = ada.get("/platform/plans/campus/edit").is(200).form("main form").fill("name", "Campus 2027");
    let second =
        grace.get("/platform/plans/campus/edit").is(200).form("main form").fill("max_students", "1500");
    first.submit(&ada).is(303);
    second.submit(&grace).is(409).shows("Somebody else changed this plan").shows("Campus 2027");
    ada.post("/platform/plans/campus/archiving", &[]).is(303);
    ada.post("/platform/plans/starter/archiving", &[]).is(303);
    ada.get("/platform/plans").is(200).shows("stays on offer");
    let archived = ada.get("/platform/plans?archived=yes").is(200);
    assert_eq!(archived.words("tbody th a"), ["Campus 2027"]);
    let file = ada.get("/platform/plans.csv").is(200).text();
    assert!(file.contains("campus,Campus 2027,19.90,199.00,EUR,,1200,,api import,0,"), "{file}");
    // Nobody is put on what is no longer on offer.
    let evry = app.institution("evry.example");
    let edit = ada.get("/platform/institutions/evry.example/subscription/edit").is(200);
    assert!(!edit.attributes("select option", "value").contains(&"campus".to_owned()));
    drop(evry);
}

#[test]
fn the_plan_and_what_was_agreed_instead_hold_everywhere_and_say_who_can_raise_them() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let (owner, admin) = (app.owner(&evry), app.super_admin());
    agree(&admin, &evry, &[("max_students", "2"), ("max_users", "2"), ("plan", "basic")]);
    let first = add_student(&owner, &evry, "Zoé Dubois", "S-1");
    // The last place is taken with a word of warning.
    try_student(&owner, &evry, "S-2").is(303);
    owner.get(&evry.path("/students")).is(200).shows("2 students of the Basic plan's 2 students are in use");
    let full = try_student(&owner, &evry, "S-3").is(422);
    for words in ["no room for 1 student", "the Basic plan allows 2 students", "platform's administrators"] {
        assert!(full.main().contains(words), "{}", full.main());
    }
    // An archived one frees a place, which somebody else takes; bringing the first one back is refused.
    let place = evry.path(&format!("/students/{first}"));
    let archived = owner.post(&format!("{place}/archiving"), &[]).is(303);
    let undo = owner.get(archived.location()).is(200).attributes("form", "action");
    let undo = undo.into_iter().find(|action| action.contains("/archivings/")).expect("an undo");
    try_student(&owner, &evry, "S-4").is(303);
    owner.post(&format!("{place}/archiving/remove"), &[]).is(303);
    owner.get(&place).is(200).shows("no room for 1 student");
    owner.post(&undo, &[]).is(303);
    owner.get(&evry.path("/students")).is(200).shows("no room for 1 student");
    // The check of a file says it beforehand, offers no button, and the import itself holds to it.
    let file = "student_number,name\nS-5,Léa Roux\nS-6,Inès Blanc\n";
    let import = owner.upload(&evry.path("/students/import"), "s.csv", file.as_bytes(), &[]).is(303);
    let check = owner.get(import.location()).is(200).shows("no room for 2 students");
    assert!(!check.has(".head-actions button"), "no button");
    owner.post(import.location(), &[]).is(303);
    crate::support::app::eventually("the import is refused", || {
        owner.get(import.location()).main().contains("no room for 2 students")
    });
    // Users: the second is the last, disabled ones do not count, and enabling does.
    let invite = |email: &str| {
        let form = owner.get(&evry.path("/users/new")).is(200).form("main form");
        form.fill("name", "Inès").fill("email", email).fill("roles", "viewer").submit(&owner)
    };
    let colleague = app.new_user(&evry, "second@evry.example", users::Role::Viewer);
    invite("third@evry.example").is(422).shows("no room for 1 user").shows("Basic plan allows 2 users");
    let user = evry.path(&format!("/users/{colleague}"));
    owner.post(&format!("{user}/disabling"), &[]).is(303);
    invite("third@evry.example").is(303);
    owner.post(&format!("{user}/disabling/remove"), &[]).is(303);
    owner.get(&user).is(200).shows("no room for 1 user");
    // Both pages show what is used, and the history says who agreed to what, and why.
    owner.get(&evry.path("/settings")).is(200).shows("Limits used").shows("2 students of 2 students (100 %)");
    admin.get("/platform/institutions/evry.example").is(200).shows("Limits used").shows("2 users of 2 users");
    let history = admin.get("/platform/institutions/evry.example/subscription").is(200);
    history.shows("Agreed by phone").shows("changed the limit of students").shows("changed the plan");
    admin.get("/platform/audit?q=subscription").is(200).shows("Changed subscription");
    agree(&admin, &evry, &[("max_students", ""), ("max_users", "")]);
    try_student(&owner, &evry, "S-7").is(303);
}

#[test]
fn a_file_that_is_larger_than_what_is_left_is_not_kept() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    app.sql("UPDATE plans SET max_storage_bytes = 1000 WHERE key = 'starter'");
    let owner = app.owner(&evry);
    let file = "student_number,name\nS-5,Léa Roux\n";
    let refused = owner.upload(&evry.path("/students/import"), "s.csv", file.as_bytes(), &[]).is(422);
    refused.shows("no room for").shows("the Starter plan allows").shows("Send a smaller file");
}

#[test]
fn whoever_comes_at_the_same_moment_never_goes_over_the_limit() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let fields = |n: usize| students::StudentFields {
        student_number: format!("P-{n}"),
        person: provost::models::institution::people::PersonFields {
            name: "Léa Roux".into(),
            preferred_name: None,
            birth_date: None,
            email: None,
            phone: None,
            address: None,
        },
        status: students::StudentStatus::Active,
        admission_year: None,
        programme: None,
        notes: None,
    };
    let limits = Limits { plan: "Starter".into(), students: Some(5), ..Limits::default() };
    let activity = Activity::new(Actor::system()).within(limits);
    let added: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (app, evry, activity, fields) = (&app, &evry, &activity, &fields);
                scope.spawn(move || {
                    let mut connection = app.behind(evry);
                    (0..3)
                        .filter(|n| {
                            students::create(&mut connection, activity, &fields(worker * 10 + n)).is_ok()
                        })
                        .count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
    });
    let mut connection = app.behind(&evry);
    assert_eq!((added, quota::usage(&mut connection).expect("counted").students), (5, 5));
    // Archived by one, restored by many while others add.
    let free = Activity::new(Actor::system());
    let batch = provost::models::institution::student_bulk::archive(
        &mut connection,
        &free,
        &Chosen::Matching(students::StudentFilter::default()),
    )
    .expect("archived");
    thread::scope(|scope| {
        for worker in 0..6 {
            let (app, evry, activity, fields, batch) = (&app, &evry, &activity, &fields, batch.id);
            scope.spawn(move || {
                let mut connection = app.behind(evry);
                if worker % 2 == 0 {
                    let _ = students::create(&mut connection, activity, &fields(100 + worker));
                } else {
                    let restore = provost::models::institution::student_bulk::restore_batch;
                    let _ = restore(&mut connection, activity, batch);
                }
            });
        }
    });
    let left = quota::usage(&mut connection).expect("counted").students;
    assert!((1..=5).contains(&left), "{left}");
}

#[test]
fn what_is_owed_brings_a_banner_then_reading_only_and_payment_brings_everything_back() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let (owner, admin) = (app.owner(&evry), app.super_admin());
    add_student(&owner, &evry, "Zoé Dubois", "S-1");
    let place = "/platform/institutions/evry.example/subscription";
    admin.post(&format!("{place}/arrears"), &[]).is(422).shows("Say why");
    admin.post(&format!("{place}/arrears"), &[("reason", "Invoice 4711")]).is(303);
    admin.get(place).is(200).shows("Past due").shows("Records can be changed until");
    let mail = app.mails("owner@evry.example").pop().expect("a mail");
    assert!(mail.contains("> Invoice 4711") && mail.contains("works as before"), "{mail}");
    owner.get(&evry.path("")).is(200).shows("The subscription has ended. Records can be changed until");
    add_student(&owner, &evry, "Chloé Petit", "S-2");
    admin.post(&format!("{place}/arrears"), &[("reason", "Again")]).is(303);
    admin.get(place).is(200).shows("is past due already");

    // The grace is over: read-only at once, before the schedule has been by and after.
    app.sql("UPDATE subscriptions SET grace_until = '2026-01-01 00:00:00'");
    for _ in 0..2 {
        owner.get(&evry.path("/students")).is(200).shows("Zoé Dubois").shows("can be read and not changed");
        let refused =
            owner.post(&evry.path("/students"), &[("name", "X"), ("student_number", "S-9")]).is(403);
        refused.shows("Read-only for now").shows("platform's administrators");
        owner.post(&evry.path("/settings"), &[]).is(403);
        assert!(owner.get(&evry.path("/students.csv")).is(200).text().contains("Zoé Dubois"), "exports work");
        app.owner(&evry).get("/account").is(200);
        sweep(&app.platform, now()).expect("swept");
    }
    assert_eq!(subscription(&app, &evry).subscription.status, SubscriptionStatus::Expired);
    assert!(app.mails("owner@evry.example").pop().is_some_and(|mail| mail.contains("read-only now")));
    // A stranger learns nothing of it.
    app.super_admin().post(&evry.path("/students"), &[]).is(404);

    let paid = admin.get(&format!("{place}/payment")).is(200).form("main form");
    paid.fill("until", "2020-01-01").fill("reason", "x").submit(&admin).is(422).shows("not over yet");
    let until = (now() + TimeDelta::days(300)).date().to_string();
    paid.fill("until", &until).fill("reason", "Invoice 4711 paid").submit(&admin).is(303);
    add_student(&owner, &evry, "Inès Blanc", "S-3");
    assert_eq!(subscription(&app, &evry).terms().standing(now()), Standing::Good);
    admin.post(&format!("{place}/cancellation"), &[("reason", "They leave")]).is(303);
    owner.get(&evry.path("")).is(200).shows("Records can be changed until");
    assert!(subscription(&app, &evry).subscription.grace_until > Some(now() + TimeDelta::days(313)));
}

#[test]
fn a_trial_is_reminded_of_twice_ends_into_the_grace_and_can_be_extended() {
    let app = TestApp::start();
    let (evry, lyon) = (app.institution("evry.example"), app.institution("lyon.example"));
    let admin = app.super_admin();
    let end = (now() + TimeDelta::days(30)).date();
    agree(&admin, &evry, &[("trial_ends", &end.to_string())]);
    assert_eq!(subscription(&app, &evry).subscription.status, SubscriptionStatus::Trial);
    let at = |days: i64| {
        subscription(&app, &evry).institution.trial_ends_at.expect("a trial") + TimeDelta::days(days)
    };
    let mails = || app.mails("owner@evry.example").iter().filter(|mail| mail.contains("ends")).count();
    let quiet = Swept::default();
    assert_eq!(sweep(&app.platform, at(-8)).expect("swept"), quiet);
    for (day, told) in [(-6, 1), (-5, 1), (-1, 2)] {
        for _ in 0..2 {
            sweep(&app.platform, at(day)).expect("swept");
        }
        assert_eq!(mails(), told, "{day} days");
    }
    let ended = sweep(&app.platform, at(0)).expect("swept");
    assert_eq!(ended, Swept { past_due: 1, ..quiet });
    assert_eq!(sweep(&app.platform, at(1)).expect("swept"), quiet);
    app.owner(&evry).get(&evry.path("")).is(200).shows("The trial has ended. Records can be changed until");
    assert_eq!(sweep(&app.platform, at(14)).expect("swept"), Swept { expired: 1, ..quiet });
    app.owner(&evry).post(&evry.path("/students"), &[]).is(403).shows("Read-only for now");
    // Extended, it is a trial again, and is reminded of again.
    agree(&admin, &evry, &[("trial_ends", &(end + TimeDelta::days(20)).to_string())]);
    app.owner(&evry).post(&evry.path("/students"), &[]).is(422);
    assert_eq!(sweep(&app.platform, at(-2)).expect("swept"), Swept { reminded: 1, ..quiet });
    assert_eq!(subscription(&app, &lyon).subscription.status, SubscriptionStatus::Active);
}

#[test]
fn the_command_line_lists_plans_and_changes_terms() {
    let app = TestApp::start();
    let evry = app.institution("evry.example");
    let run = |arguments: &[&str]| {
        let site = app.site();
        let output = command(site, arguments).output().expect("run");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, plans) = run(&["plan", "list", "--json"]);
    let plans: serde_json::Value = serde_json::from_str(&plans).expect("JSON");
    assert_eq!((code, &plans[0]["key"], &plans[0]["institutions"]), (Some(0), &"starter".into(), &1.into()));
    let set = ["institution", "plan", "evry.example", "--set", "premium", "--users", "7", "--json"];
    let (code, told) = run(&set);
    assert_eq!(code, Some(0), "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["plan"], &told["users"], &told["students"]),
        (&"premium".into(), &7.into(), &100_000.into())
    );
    let (code, told) = run(&["institution", "plan", "evry.example", "--set", "golden"]);
    assert!(code == Some(1) && told.contains("no plan with the key golden"), "{told}");
    let (code, told) = run(&["institution", "plan", "evry.example", "--past-due", "--reason", "Invoice 1"]);
    assert!(code == Some(0) && told.contains("Past due"), "{told}");
    assert_eq!(subscription(&app, &evry).institution.plan, "premium");
}
