//! What pages do for people beside their main work: ways back, words that fit, help for those locked out.

use provost::{db::Id, models::institution::users::Role, services::tokens::Token};

use crate::support::{
    app::{Institution, OTHER_PASSWORD, PASSWORD, TestApp, eventually},
    caller::Caller,
};

/// Another owner beside the first, with the address of their page.
fn second_owner(app: &TestApp, institution: &Institution) -> (Id, Caller) {
    let email = format!("second@{}", institution.domain);
    let id = app.new_user(institution, &email, Role::Owner);
    (id, app.sign_in(&email, PASSWORD))
}

#[test]
fn a_link_that_no_longer_works_says_so_and_what_to_do() {
    let app = TestApp::start();
    for start in ["/password-reset", "/invitations", "/setup"] {
        let path = format!("{start}/{}", Token::generate().expect("random").reveal());
        let answer = app.visitor().get(&path).is(404).shows("This link no longer works");
        let links = answer.attributes("main a", "href");
        assert!(links.contains(&"/password-reset".to_owned()) && links.contains(&"/sign-in".to_owned()));
    }
}

#[test]
fn switching_the_colours_leads_back_to_the_very_page() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let back = |answer: &crate::support::caller::Answer| {
        answer.attributes("form.theme input[name=return]", "value").remove(0)
    };
    let list = "/platform/registrations?status=waiting&page=2";
    assert_eq!(back(&admin.get(list).is(200)), list);
    let registration = app.registered("paris.example");
    let id = {
        let mut shared = app.platform.shared.get().expect("connection");
        let latest = provost::models::platform::registrations::latest_of(&mut shared, registration.id);
        latest.expect("registered").id.to_string()
    };
    let asked = admin.post("/platform/registrations/approvals", &[("id", &id)]).is(200);
    assert_eq!(back(&asked), "/platform/registrations", "what answers a form cannot be asked for again");
    let refused = app.visitor().post("/sign-in", &[]).is(422);
    assert_eq!(back(&refused), "/sign-in");

    let visitor = app.visitor();
    visitor
        .post("/theme", &[("theme", "dark"), ("return", "/sign-in?return=%2Fx")])
        .leads_to("/sign-in?return=%2Fx");
    assert_eq!(visitor.get("/").attributes("html", "data-theme"), ["dark"]);
    let plain = [("content-type", "application/x-www-form-urlencoded")];
    visitor.send("POST", "/theme", &plain, b"theme=\xff").is(400).shows("Request not understood");
}

#[test]
fn the_page_somebody_wanted_survives_the_choice_of_an_account() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    app.new_user(&b, &a.owner_email, Role::Viewer);
    let caller = app.visitor();
    let wanted = b.path("/students?q=Zo%C3%A9");
    let sign_in = caller.get(caller.get(&wanted).is(303).location()).is(200).form("main form");
    let choice = sign_in.fill("email", &a.owner_email).fill("password", PASSWORD).submit(&caller).is(303);
    let choice = caller.get(choice.location()).is(200);
    let theirs = choice.attributes("input[type=radio]", "value").remove(1);
    choice.form("main form").fill("account", &theirs).submit(&caller).leads_to(&wanted);
}

#[test]
fn owners_help_others_back_in_and_shut_nobody_out_by_accident() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let first = app.owner(&a);
    let (second_id, second) = second_owner(&app, &a);
    let own = a.path(&format!("/users/{second_id}"));

    let page = second.get(&own).is(200);
    let offered = page.attributes("main form, main a", "action").join(" ") + &page.main();
    assert!(!offered.contains("Disable user") && !offered.contains("Remove user"), "{offered}");
    for deed in ["disabling", "removal"] {
        second.post(&format!("{own}/{deed}"), &[]).is(303);
        second.get(&own).is(200).shows("your own account");
    }

    first.post(&format!("{own}/password-reset"), &[]).leads_to(&own);
    first.get(&own).shows("sent a link to a new password");
    let link = app.mailed_path("second@evry.example", "/password-reset/");
    let visitor = app.visitor();
    let form = visitor.get(&link).is(200).form("main form");
    form.fill("password", OTHER_PASSWORD).fill("password_again", OTHER_PASSWORD).submit(&visitor).is(303);
    let second = app.sign_in("second@evry.example", OTHER_PASSWORD);

    first.post(&format!("{own}/sessions/remove"), &[]).leads_to(&own);
    second.get(&a.path("")).is(303);
    let second = app.sign_in("second@evry.example", OTHER_PASSWORD);
    // A name alone changes nothing for a session; other roles end it.
    let edit = |name: &str, role: &str| {
        let form = first.get(&format!("{own}/edit")).is(200).form("main form");
        form.fill("name", name).fill("roles", role).submit(&first).leads_to(&own);
    };
    edit("Second Owner", "owner");
    second.get(&a.path("")).is(200);
    edit("Second Owner", "viewer");
    second.get(&a.path("")).is(303);

    // An invited person has no password to be reset.
    let new = first.get(&a.path("/users/new")).is(200).form("main form");
    new.fill("name", "Invited")
        .fill("email", "i@evry.example")
        .fill("roles", "viewer")
        .submit(&first)
        .is(303);
    let list = first.get(&a.path("/users?status=invited")).is(200);
    let invited = list.attributes("tbody a.row-link", "href").remove(0);
    first.post(&format!("{invited}/password-reset"), &[]).leads_to(&invited);
    first.get(&invited).shows("cannot sign in");
    first.post(&format!("{invited}/removal"), &[]).is(303);
}

#[test]
fn super_admins_send_resets_and_end_sessions() {
    let app = TestApp::start();
    let (ada, email) = (app.super_admin(), "grace@platform.example");
    let id = app.new_super_admin(email);
    let grace = app.sign_in(email, PASSWORD);
    ada.post(&format!("/platform/admins/{id}/password-reset"), &[]).leads_to("/platform/admins");
    app.mailed_path(email, "/password-reset/");
    grace.get("/platform").is(200);
    ada.post(&format!("/platform/admins/{id}/sessions/remove"), &[]).leads_to("/platform/admins");
    grace.get("/platform").is(303);
    ada.get("/platform/audit").is(200).shows("Ended all sessions").shows("Sent password reset");

    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let ask = format!("/platform/institutions/{}/sessions/remove", a.domain);
    let confirm = ada.get(&ask).is(200).shows("open sessions end").form("main form");
    owner.get(&a.path("")).is(200);
    confirm.submit(&ada).is(303);
    owner.get(&a.path("")).is(303);
    app.owner(&a);
}

#[test]
fn a_suspension_counts_who_can_really_sign_in() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let new = owner.get(&a.path("/users/new")).is(200).form("main form");
    new.fill("name", "Invited").fill("email", "i@evry.example").submit(&owner).is(303);
    let ask = app.super_admin().get(&format!("/platform/institutions/{}/suspension", a.domain)).is(200);
    assert_eq!(ask.words(".confirm-counts dd"), ["1", "1"], "{}", ask.main());
}

#[test]
fn a_failed_import_of_students_stays_the_registrars_business() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (owner, admin) = (app.owner(&a), app.super_admin());
    let import =
        owner.upload(&a.path("/students/import"), "s.csv", b"student_number,name\nS-1,Zo\n", &[]).is(303);
    let import = import.location().to_owned();
    let apply = owner.get(&import).is(200).attributes("main form", "action");
    let apply = apply.iter().find(|action| action.starts_with(&import) && !action.ends_with("/columns"));
    owner.post(apply.expect("a button"), &[]).is(303);
    eventually("the import is done", || owner.get(&import).main().contains("Imported"));
    app.sql("UPDATE operations SET status = 'failed' WHERE kind = 'import_students'");
    let list = admin.get("/platform/operations?kind=import_students").is(200);
    let operation = list.attributes("tbody a.row-link", "href").remove(0);
    let page = admin.get(&operation).is(200);
    assert!(!page.main().contains("Try again"), "{}", page.main());
    admin.post(&format!("{operation}/attempts"), &[]).leads_to(&operation);
    admin.get(&operation).shows("institution's own work");
    assert_eq!(admin.get("/platform").is(200).words(".stat-value").pop().as_deref(), Some("0"));
}

#[test]
fn two_super_admins_who_set_the_platform_at_once_see_both_choices() {
    let app = TestApp::start();
    let (ada, grace) = (app.super_admin(), app.super_admin());
    let open = |caller: &Caller| caller.get("/platform/settings").is(200).form("main form");
    let (first, second) = (open(&ada), open(&grace));
    first.fill("signup", "automatic").submit(&ada).leads_to("/platform/settings");
    let told = second.fill("signup", "approval").submit(&grace).is(409);
    told.form("main form").submit(&grace).leads_to("/platform/settings");
}

#[test]
fn times_are_the_institutions_own_on_the_account_and_the_status_page() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let exact = app.owner(&a).get("/account").is(200).attributes("main time", "title").remove(0);
    assert!(exact.ends_with("CET") || exact.ends_with("CEST"), "{exact}");
    let exact = app.super_admin().get("/account").is(200).attributes("main time", "title").remove(0);
    assert!(exact.ends_with("UTC"), "{exact}");
    let mut shared = app.platform.shared.get().expect("connection");
    let registration = provost::models::platform::registrations::latest_of(&mut shared, a.id);
    drop(shared);
    let token = app.platform.keys.registration_link_token(registration.expect("registered").id);
    let page = app.visitor().get(&format!("/registrations/{token}")).is(200);
    let exact = page.attributes("main time", "title").remove(0);
    assert!(exact.ends_with("CET") || exact.ends_with("CEST"), "{exact}");
}

#[test]
fn a_form_can_ask_how_long_its_session_lasts() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let left = |caller: &Caller| {
        let answer: serde_json::Value =
            serde_json::from_str(&caller.get("/account/sessions/current").is(200).text()).expect("JSON");
        answer["seconds_left"].as_i64().expect("seconds")
    };
    let owner = app.owner(&a);
    assert_eq!(left(&app.visitor()), 0);
    assert_eq!(left(&owner), 30 * 60);
    assert_eq!(left(&app.super_admin()), 15 * 60);
    assert_eq!(
        owner.get(&a.path("/students/new")).attributes("main", "data-session"),
        ["/account/sessions/current"]
    );
    // Asking keeps a session alive, but never beyond its absolute end.
    let column = if app.engine() == provost::db::Engine::Sqlite {
        "datetime('now', '+5 minutes')"
    } else {
        "now() at time zone 'utc' + interval '5 minutes'"
    };
    app.sql(&format!("UPDATE sessions SET expires_at = {column}"));
    let seconds = left(&owner);
    assert!((200..=300).contains(&seconds), "{seconds}");
    app.sql("UPDATE sessions SET idle_expires_at = created_at");
    assert_eq!(left(&owner), 0);
}

#[test]
fn refused_registrations_can_be_had_as_a_file_when_all_are_refused() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let file = b"name,domain,country\nNowhere,not a domain,Malta\n";
    let kept =
        admin.upload("/platform/registrations/import", "r.csv", file, &[]).is(303).location().to_owned();
    let links = admin.get(&kept).is(200).attributes("main a", "href");
    assert!(links.contains(&format!("{kept}/refused.csv")), "{links:?}");
}

#[test]
fn who_ticked_registrations_comes_back_to_the_list_as_filtered() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let list = "/platform/registrations?q=evry&status=waiting";
    let matching = "q=evry&status=waiting";
    for fields in [&[("matching", matching)][..], &[("matching", matching), ("id", &Id::new().to_string())]] {
        admin.post("/platform/registrations/approvals", fields).leads_to(list);
    }
}
