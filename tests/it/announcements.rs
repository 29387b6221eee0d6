//! Announcements over the pages of institutions, and notifications beside the bell.

use chrono::TimeDelta;
use provost::{db::now, models::platform::notifications, services::subscriptions::sweep};

use crate::{
    routes::add_student,
    support::{
        app::{TestApp, eventually},
        caller::{Answer, Caller},
    },
};

fn announce(admin: &Caller, values: &[(&str, &str)]) -> Answer {
    let mut form = admin.get("/platform/announcements/new").is(200).form("main form");
    for (name, value) in values {
        form = form.fill(name, value);
    }
    form.submit(admin)
}

#[test]
fn an_announcement_reaches_whom_it_is_meant_for_while_it_holds() {
    let app = TestApp::start();
    let (evry, lyon) = (app.institution("evry.example"), app.institution("lyon.example"));
    let (admin, one, other) = (app.super_admin(), app.owner(&evry), app.owner(&lyon));
    let banner = |caller: &Caller, path: &str| caller.get(path).is(200).words(".banner p").concat();
    let (at_one, at_other) = (|| banner(&one, &evry.path("")), || banner(&other, &lyon.path("")));

    let wrong = announce(&admin, &[("text", "x"), ("audience", "institution"), ("ends_at", "soon")]);
    wrong.is(422).shows("Enter the domain").shows("Enter a day and a time");
    let unknown = [("text", "x"), ("audience", "institution"), ("institution", "no.example")];
    announce(&admin, &unknown).is(422).shows("There is no institution with this domain");

    announce(&admin, &[("text", "New reports are here."), ("level", "info")]).is(303);
    assert_eq!((at_one(), at_other()), ("New reports are here.".into(), "New reports are here.".into()));
    let only_one =
        [("text", "Your server moves."), ("audience", "institution"), ("institution", "evry.example")];
    announce(&admin, &[&only_one[..], &[("level", "maintenance")]].concat()).is(303);
    assert_eq!((at_one(), at_other()), ("Your server moves.".into(), "New reports are here.".into()));
    let premium =
        [("text", "For premium."), ("audience", "plans"), ("plans", "premium"), ("level", "warning")];
    announce(&admin, &premium).is(303);
    assert_eq!(at_other(), "New reports are here.");
    app.sql("UPDATE institutions SET plan = 'premium' WHERE domain = 'lyon.example'");
    assert_eq!(at_other(), "For premium.");
    let later = (now() + TimeDelta::days(1)).format("%Y-%m-%d %H:%M").to_string();
    announce(&admin, &[("text", "Tomorrow."), ("level", "maintenance"), ("starts_at", &later)]).is(303);
    assert_eq!(at_other(), "For premium.");

    // Put away, it stays away for this person, and the next one shows.
    let page = other.get(&lyon.path("/students")).is(200);
    let put_away = page.form(".banner form").submit(&other).is(303);
    assert_eq!(put_away.location(), lyon.path("/students"));
    assert_eq!(at_other(), "New reports are here.");
    assert_eq!(banner(&app.owner(&lyon), &lyon.path("")), "For premium.");
    // Ended, it is gone at once; a second one is told so, and the edit of two meets.
    let list = admin.get("/platform/announcements").is(200).shows("Planned").shows("Shown");
    let moved = list.attributes("tbody form", "action");
    for action in &moved {
        admin.post(action, &[]).is(303);
    }
    assert_eq!((at_one(), at_other()), (String::new(), String::new()));
    admin.post(&moved[0], &[]).is(303);
    admin.get("/platform/announcements").is(200).shows("ended already").shows("Ended");
    admin.get("/platform/audit?q=announcement").is(200).shows("Ended announcement");
}

#[test]
fn people_are_told_beside_the_bell_and_read_it_when_they_like() {
    let app = TestApp::start();
    let (ada, evry) = (app.super_admin(), app.institution("evry.example"));
    let unread = |caller: &Caller| caller.get("/notifications").is(200).words(".top .count").concat();
    // The institution waited for a decision, which is told to whoever runs the platform then.
    assert_eq!(unread(&ada), "1 unread");
    let list = ada.get("/notifications").is(200).shows("waits for a decision").shows("Unread");
    list.form("tbody form").submit(&ada).is(303);
    assert_eq!(unread(&ada), "");

    app.suspend(&evry);
    app.reactivate(&evry);
    let owner = app.owner(&evry);
    owner.get("/notifications").is(200).shows("The suspension is lifted");
    // A limit that comes near is told to owners once.
    app.sql("UPDATE plans SET max_students = 3 WHERE key = 'starter'");
    for number in ["S-1", "S-2", "S-3"] {
        add_student(&owner, &evry, "Léa Roux", number);
    }
    let told = owner.get("/notifications").is(200);
    let lines = told.words("tbody th");
    assert_eq!(
        lines.iter().filter(|line| line.contains("3 students of the Starter plan")).count(),
        1,
        "{lines:?}"
    );
    // An import tells who asked for it.
    let file = "student_number,name\nS-1,Léa Rouxel\n";
    let import = owner.upload(&evry.path("/students/import"), "s.csv", file.as_bytes(), &[]).is(303);
    owner.post(import.location(), &[]).is(303);
    eventually("the import is told of", || {
        owner.get("/notifications").main().contains("Your import of students is done: 0 added, 1 changed")
    });
    assert_eq!(unread(&owner), "3 unread");
    // Nobody marks what is another's, and a stranger's list is empty.
    let ids = owner.get("/notifications").is(200).attributes("tbody form", "action");
    let viewer = app.viewer(&evry);
    viewer.get("/notifications").is(200).shows("Nothing to tell");
    viewer.post(&ids[0], &[]).is(303);
    ada.post("/notifications/readings", &[]).is(303);
    assert_eq!(unread(&owner), "3 unread");
    owner.post("/notifications/readings", &[]).is(303);
    assert_eq!(unread(&owner), "");
    owner.get("/notifications?unread=no&q=suspension").is(200).shows("The suspension is lifted");
    // A trial that ends is told to whoever runs the platform.
    app.sql("UPDATE subscriptions SET status = 'trial'");
    app.sql("UPDATE institutions SET trial_ends_at = '2026-01-01 00:00:00'");
    sweep(&app.platform, now()).expect("swept");
    ada.get("/notifications").is(200).shows("is past due. The trial has ended.");
    let mut shared = app.platform.shared.get().expect("connection");
    let forgotten = notifications::purge(&mut shared, now() + TimeDelta::days(1)).expect("purged");
    assert!(forgotten >= 5, "{forgotten}");
}
