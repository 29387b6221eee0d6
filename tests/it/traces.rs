//! What one side changes and the other sees, and the traces that reading leaves.

use provost::models::{
    Paging,
    institution::{
        activity::{self, ActivityFilter},
        profile,
    },
    platform::institutions,
};

use crate::support::app::{Institution, TestApp};

fn newest() -> Paging {
    Paging { sort: "at".into(), descending: true, limit: 10, offset: 0 }
}

/// The institution's own profile and the registry's row: name and time zone of each.
fn both(app: &TestApp, institution: &Institution) -> [(String, String); 2] {
    let mut shared = app.platform.shared.get().expect("connection");
    let known = institutions::find(&mut shared, institution.id).expect("found");
    let own = profile::find(&mut app.behind(institution)).expect("found");
    [(own.name, own.time_zone), (known.name, known.time_zone)]
}

#[test]
fn a_super_admins_correction_reaches_the_institution_and_stays() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (ada, owner) = (app.super_admin(), app.owner(&a));
    let path = "/platform/institutions/evry.example";
    let edit = ada.get(&format!("{path}/edit")).is(200).form("main form");
    let stale = edit.clone().fill("name", "Too late");
    let named = edit.fill("name", "Évry").fill("time_zone", "Asia/Tokyo").fill("region", "Essonne");
    named.submit(&ada).leads_to(path);
    let expected = ("Évry".to_owned(), "Asia/Tokyo".to_owned());
    assert_eq!(both(&app, &a), [expected.clone(), expected]);
    owner.get(&a.path("/activity")).shows("Ada Lovelace").shows("Changed settings");

    // An owner who saves takes back nothing but what they changed.
    let settings = owner.get(&a.path("/settings")).is(200).form("main form");
    settings.fill("locale", "en-SE").submit(&owner).is(303);
    let expected = ("Évry".to_owned(), "Asia/Tokyo".to_owned());
    assert_eq!(both(&app, &a), [expected.clone(), expected]);

    // Who was late changes neither side.
    let answer = stale.submit(&ada);
    assert!([409, 422].contains(&answer.status), "{}", answer.status);
    assert_eq!(both(&app, &a)[0].0, "Évry");

    // A suspended institution is corrected as well, and finds it so afterwards.
    app.suspend(&a);
    let edit = ada.get(&format!("{path}/edit")).is(200).form("main form");
    edit.fill("name", "Évry-Courcouronnes").submit(&ada).leads_to(path);
    app.reactivate(&a);
    let settings = app.owner(&a).get(&a.path("/settings")).is(200);
    assert_eq!(settings.attributes("input[name=name]", "value"), ["Évry-Courcouronnes"]);
    assert_eq!(both(&app, &a)[0].0, "Évry-Courcouronnes");
}

#[test]
fn every_file_that_is_taken_away_leaves_a_trace() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let viewer = app.viewer(&a);
    viewer.get(&a.path("/students.csv?q=Zo%C3%AB&status=active")).is(200);
    viewer.get(&a.path("/activity.csv")).is(200);
    let mut tenant = app.behind(&a);
    let exported = |action: &str| ActivityFilter { action: Some(action.into()), ..Default::default() };
    let found = activity::page(&mut tenant, &exported("students.exported"), &newest()).expect("page");
    assert_eq!(found.total, 1);
    let entry = &found.rows[0];
    assert_eq!((entry.actor_name.as_str(), entry.record_label.as_str()), ("Member Meier", "0 students"));
    let narrowed: Vec<_> =
        entry.changes().into_iter().map(|change| (change.field, change.after.unwrap_or_default())).collect();
    assert_eq!(narrowed, [("q".into(), "Zoë".into()), ("status".into(), "active".to_owned())]);
    assert_eq!(activity::count(&mut tenant, &exported("activity.exported")).expect("count"), 1);
    viewer.get(&a.path("/activity")).shows("Exported students").shows("Member Meier");
    let actors = activity::actors(&mut tenant).expect("actors");
    assert_eq!(actors.iter().filter(|(_, name)| name == "Member Meier").count(), 1, "{actors:?}");

    let ada = app.super_admin();
    app.owner(&a).get(&a.path("/users.csv")).is(200);
    assert_eq!(activity::count(&mut tenant, &exported("users.exported")).expect("count"), 1);
    let lists = ["registrations.csv", "institutions.csv?q=evry", "audit.csv"];
    for list in lists.into_iter().chain(["admins.csv", "operations.csv", "databases.csv?q=evry"]) {
        ada.get(&format!("/platform/{list}")).is(200);
    }
    let log = ada.get("/platform/audit").is(200);
    for words in
        ["Exported registrations", "Exported institutions", "Exported audit log", "Exported databases"]
    {
        assert!(log.text().contains(words), "{words}");
    }
}
