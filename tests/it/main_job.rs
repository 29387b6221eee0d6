//! The main job, through the pages alone: register, approve, sign in, keep records, suspend, reactivate.

use crate::support::{
    app::{OTHER_PASSWORD, PASSWORD, TestApp, eventually},
    caller::{Answer, Caller},
};

/// Registers on the public form; the path of the status page.
fn register(app: &TestApp, domain: &str, email: &str) -> String {
    let visitor = app.visitor();
    let form = visitor.get("/register").is(200).form("main form");
    let form = form.fill("name", "Université d’Évry").fill("kind", "university").fill("domain", domain);
    let form = form.fill("country", "FR").fill("time_zone", "Europe/Paris").fill("admin_name", "Zoé Dubois");
    let saved = form.fill("email", email).fill("password", PASSWORD).submit(&visitor).is(303);
    saved.location().to_owned()
}

/// The first link of a list that starts so.
fn first_link(page: &Answer, start: &str) -> String {
    let links = page.attributes("main tbody a", "href");
    links.iter().find(|link| link.starts_with(start)).unwrap_or_else(|| panic!("{start}: {links:?}")).clone()
}

/// Presses the button of the form with this action.
#[track_caller]
fn press(caller: &Caller, page: &Answer, action: &str) -> Answer {
    page.form(&format!("form[action=\"{action}\"]")).submit(caller)
}

#[test]
fn from_registration_to_records_and_back() {
    let app = TestApp::start();
    let (admin, email) = (app.super_admin(), "zoe@univ-evry.example");
    let status = register(&app, "Univ-Evry.Example", email);
    app.visitor().get(&status).is(200).shows("waiting for approval");
    assert_eq!(app.mailed_path(email, "/registrations/"), status);
    app.visitor().post("/sign-in", &[("email", email), ("password", PASSWORD)]).is(422);

    let list = admin.get("/platform/registrations?q=evry").is(200).shows("Université d’Évry");
    let detail = first_link(&list, "/platform/registrations/");
    let page = admin.get(&detail).is(200);
    press(&admin, &page, &format!("{detail}/approval")).is(303);
    let home = "/i/univ-evry.example";
    eventually("the institution is set up", || {
        app.visitor().get(&status).main().contains("Your institution is set up and active")
    });
    let owner = app.sign_in(email, PASSWORD);
    owner.get(home).is(200);

    let students = format!("{home}/students");
    owner.get(&students).is(200);
    let form = owner.get(&format!("{students}/new")).is(200).form("main form");
    let form = form.fill("name", "=HYPERLINK(1) Łukasz 李").fill("student_number", "S-1");
    form.fill("birth_date", "2031-13-01").submit(&owner).is(422);
    form.fill("admission_year", "2026").submit(&owner).is(303);
    form.fill("name", "Somebody else").submit(&owner).is(422);
    let csv = owner.get(&format!("{students}.csv?q=%C5%82UKASZ")).is(200);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.text().contains("'=HYPERLINK(1) Łukasz 李"), "{}", csv.text());
    assert!(csv.header("content-disposition").is_some_and(|kind| kind.starts_with("attachment")));
    owner.get(&format!("{home}/activity")).is(200).shows("Łukasz 李");
    import(&owner, &students);
    suspend_and_reactivate(&app, &admin, &owner, home);
}

fn import(owner: &Caller, students: &str) {
    let file = "student_number,name\nS-2,Ñandú Peña\nS-3,محمد علي\nS-3,Twice\n,Nobody\n";
    let checked = owner.upload(&format!("{students}/import"), "s.csv", file.as_bytes(), &[]).is(303);
    let path = checked.location().to_owned();
    owner.get(&path).is(200);
    let good = "student_number,name\nS-2,Ñandú Peña\nS-3,محمد علي\n";
    for round in 0..2 {
        let checked = owner.upload(&format!("{students}/import"), "s.csv", good.as_bytes(), &[]).is(303);
        let path = checked.location().to_owned();
        owner.post(&path, &[]).is(303);
        eventually("the import is over", || owner.get(&path).main().contains("Imported"));
        owner.get(students).is(200).shows("3 students");
        let list = owner.get(&format!("{students}?q=pena")).is(200);
        assert!(list.main().contains("Ñandú Peña"), "round {round}");
    }
}

fn suspend_and_reactivate(app: &TestApp, admin: &Caller, owner: &Caller, home: &str) {
    let path = "/platform/institutions/univ-evry.example/suspension";
    let ask = admin.get(path).is(200);
    let form = ask.form(&format!("form[action=\"{path}\"]"));
    form.submit(admin).is(422);
    form.fill("reason", "Unpaid since March").submit(admin).is(303);
    owner.get(&format!("{home}/students")).is(403).shows("is suspended");
    let email = "zoe@univ-evry.example";
    eventually("the mail", || app.mails(email).iter().any(|mail| mail.contains("Unpaid since March")));
    let ask = admin.get(&format!("{path}/remove")).is(200);
    ask.form(&format!("form[action=\"{path}/remove\"]")).submit(admin).is(303);
    owner.get(home).is(303);
    app.sign_in(email, PASSWORD).get(&format!("{home}/students")).is(200).shows("Ñandú Peña");
}

#[test]
fn an_institution_invites_its_people_and_keeps_an_owner() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (owner, email) = (app.owner(&a), "paul@evry.example");
    let users = a.path("/users");
    let form = owner.get(&format!("{users}/new")).is(200).form("main form");
    form.fill("name", "Paul Roux").fill("email", email).fill("roles", "registrar").submit(&owner).is(303);
    let link = app.mailed_path(email, "/invitations/");
    let visitor = app.visitor();
    let form = visitor.get(&link).is(200).form("main form");
    let form = form.fill("password", OTHER_PASSWORD).fill("password_again", OTHER_PASSWORD);
    form.submit(&visitor).leads_to("/sign-in");
    visitor.get(&link).is(404);
    let paul = app.sign_in(email, OTHER_PASSWORD);
    paul.get(&a.path("/students/new")).is(200);
    paul.get(&users).is(403);

    // A change of roles holds from the next request on.
    let list = owner.get(&format!("{users}?q=paul")).is(200);
    let his = first_link(&list, &format!("{users}/"));
    let form = owner.get(&format!("{his}/edit")).is(200).form("main form");
    form.fill("roles", "viewer").submit(&owner).is(303);
    paul.get(&a.path("/students")).is(303);
    let paul = app.sign_in(email, OTHER_PASSWORD);
    paul.get(&a.path("/students/new")).is(403);
    paul.get(&a.path("/students")).is(200);

    // The last owner stays.
    let list = owner.get(&format!("{users}?q=olympe")).is(200);
    let hers = first_link(&list, &format!("{users}/"));
    owner.post(&format!("{hers}/disabling"), &[]);
    owner.post(&format!("{hers}/removal"), &[("confirmed", "yes")]);
    let form = owner.get(&format!("{hers}/edit")).is(200).form("main form");
    form.fill("roles", "viewer").submit(&owner);
    owner.get(&users).is(200);
}

#[test]
fn of_two_super_admins_one_decides_and_the_other_is_told() {
    let app = TestApp::start();
    let (ada, grace) = (app.super_admin(), app.super_admin());
    let status = register(&app, "univ-evry.example", "zoe@univ-evry.example");
    let list = ada.get("/platform/registrations").is(200);
    let detail = first_link(&list, "/platform/registrations/");
    let (page_of_ada, page_of_grace) =
        (ada.get(&detail).is(200), grace.get(&format!("{detail}/rejection")).is(200));
    press(&ada, &page_of_ada, &format!("{detail}/approval")).is(303);
    let form = page_of_grace.form(&format!("form[action=\"{detail}/rejection\"]"));
    let late = form.fill("reason", "No.").submit(&grace);
    let told = if late.status == 303 { grace.get(late.location()) } else { late };
    assert!(told.main().contains("Ada Lovelace approved"), "{}", told.main());
    eventually("the institution is set up", || {
        app.visitor().get(&status).main().contains("Your institution is set up and active")
    });
    // A stranger learns no more than that the domain is not free.
    let visitor = app.visitor();
    let form =
        visitor.get("/register").is(200).form("main form").fill("name", "Another").fill("kind", "school");
    let form =
        form.fill("domain", "univ-evry.example").fill("country", "FR").fill("time_zone", "Europe/Paris");
    let form = form.fill("admin_name", "Eve").fill("email", "eve@evil.example").fill("password", PASSWORD);
    let taken = form.submit(&visitor).is(422);
    assert!(!taken.text().contains("zoe@") && !taken.text().contains("Zoé Dubois"));
}

#[test]
fn automatic_sign_up_starts_a_trial_at_once() {
    use provost::services::settings::SignupPolicy;
    let app = TestApp::with(|settings| settings.signup = SignupPolicy::Automatic);
    let status = register(&app, "univ-evry.example", "zoe@univ-evry.example");
    eventually("the institution is set up", || {
        app.visitor().get(&status).main().contains("Your institution is set up and active")
    });
    let owner = app.sign_in("zoe@univ-evry.example", PASSWORD);
    owner.get("/i/univ-evry.example").is(200);
    app.super_admin().get("/platform/institutions/univ-evry.example").is(200).shows("Trial");
    app.sql("UPDATE institutions SET trial_ends_at = '2020-01-01 00:00:00'");
    owner.get("/i/univ-evry.example").is(200).shows("The trial has ended");
}
