//! What pages keep for the person: their frame round an error, the message that waits, the order of a list.

use crate::{
    routes::add_student,
    support::{
        app::{Institution, TestApp, eventually},
        caller::Caller,
    },
};

#[test]
fn an_error_keeps_the_navigation_of_who_is_signed_in() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let (viewer, admin) = (app.viewer(&a), app.super_admin());
    for (path, status) in [
        (a.path("/no-such-page"), 404),
        (a.path("/students/no-id"), 404),
        (a.path("/users"), 403),
        (b.path("/students"), 404),
        ("/platform".into(), 404),
        ("/nowhere".into(), 404),
    ] {
        let answer = viewer.get(&path).is(status);
        let home = answer.attributes("nav.side a.place", "href");
        assert_eq!(home, [a.path("")], "{path}");
        assert!(!answer.text().contains("no-id"), "the address is no part of the page");
    }
    let institution = admin.get("/platform/institutions/none.example").is(404);
    assert_eq!(institution.attributes("nav.side a.place", "href"), ["/platform"]);
    assert_eq!(admin.send("DELETE", "/platform", &[], b"").is(405).header("allow"), Some("GET, HEAD"));
    for path in ["/nowhere", "/platform/institutions/none.example/nothing"] {
        let answer = app.visitor().get(path).is(404);
        assert!(!answer.has("nav.side") && answer.has("header.site-head"), "{path}");
    }
    // Who is cut off has no frame any more.
    let owner = app.owner(&b);
    app.suspend(&b);
    assert!(!owner.get(&b.path("/students")).is(403).has("nav.side"));
}

#[test]
fn a_message_waits_for_a_page_that_shows_it() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let form = owner.get(&a.path("/students/new")).is(200).form("main form");
    let saved = form.fill("name", "Zoé Dubois").fill("student_number", "S-1").submit(&owner).is(303);
    // Neither a refused form elsewhere nor an error is what the message waits for.
    owner.get(&a.path("/no-such-page")).is(404);
    owner.post("/account/sessions/00000000-0000-0000-0000-000000000000/remove", &[]);
    let student = owner.get(saved.location()).is(200);
    assert_eq!(student.words(".flash .notice p"), ["Added Zoé Dubois."]);
    assert!(owner.get(saved.location()).words(".flash .notice p").is_empty(), "it is shown once");
}

#[test]
fn a_file_of_students_has_the_order_of_the_list() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    for (name, number) in [("Chloé", "S-1"), ("Zoé", "S-2"), ("Anaïs", "S-3")] {
        add_student(&owner, &a, name, number);
    }
    for (query, order) in [
        ("", ["Anaïs", "Chloé", "Zoé"]),
        ("?sort=name&dir=desc", ["Zoé", "Chloé", "Anaïs"]),
        ("?sort=number&dir=asc", ["Chloé", "Zoé", "Anaïs"]),
    ] {
        let file = owner.get(&a.path(&format!("/students.csv{query}"))).is(200).text();
        let names: Vec<&str> = file.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
        assert_eq!(names, order, "{query}");
    }
}

#[test]
fn countries_sort_by_their_names() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let file = "name,domain,country\nA,a.example,Switzerland\nB,b.example,Chile\nC,c.example,Germany\n";
    let import = admin.upload("/platform/registrations/import", "r.csv", file.as_bytes(), &[]).is(303);
    admin.post(import.location(), &[]).is(303);
    for list in ["/platform/institutions", "/platform/registrations"] {
        let path = format!("{list}?sort=country&dir=asc");
        let shown = || admin.get(&path).is(200).words("td[data-label=Country]");
        eventually("the rows", || shown() == ["Chile", "Germany", "Switzerland"]);
    }
}

#[test]
fn an_import_is_one_line_of_the_overview() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    add_student(&owner, &a, "Zoé Dubois", "S-1");
    import(&owner, &a, "../folder/class.csv", "student_number,name\nS-1,Zoé Durand\nS-2,Léa\nS-3,Noé\n");
    add_student(&owner, &a, "Chloé Petit", "S-4");
    let lines = owner.get(&a.path("")).is(200).words(".timeline > li > p:first-child");
    assert!(lines[0].ends_with("added student Chloé Petit"), "{lines:?}");
    assert!(lines[1].ends_with("imported students from class.csv"), "{lines:?}");
    assert!(lines[2].ends_with("added student Zoé Dubois"), "{lines:?}");
}

#[test]
fn a_finished_import_tells_the_same_however_often_it_is_opened() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let file = "student_number,name\nS-1,Zoé Durand\nS-1,Twice\nS-2,Léa Roux\n";
    let path = import(&owner, &a, "class.csv", file);
    let told = |page: &str| (page.contains("Line 2 has the same"), page.contains("Twice"));
    assert_eq!(told(&owner.get(&path).is(200).main()), (true, true));
    // A begun import is not begun again, and its columns are not asked for.
    owner.post(&path, &[]).leads_to(&path);
    owner.post(&format!("{path}/columns"), &[]).leads_to(&path);
    owner.get(&path).is(200).shows("has begun");

    let list = owner.get(&a.path("/students")).is(200);
    for student in list.attributes("tbody a.row-link", "href") {
        owner.post(&format!("{student}/archiving"), &[]).is(303);
    }
    let page = owner.get(&path).is(200);
    assert_eq!(page.words("tbody tr").len(), 1, "{}", page.main());
    assert_eq!(page.words(".stat-value"), ["2", "0", "0", "1"]);
    assert_eq!(told(&page.main()), (true, true));
}

fn import(owner: &Caller, institution: &Institution, name: &str, file: &str) -> String {
    let path = institution.path("/students/import");
    let checked = owner.upload(&path, name, file.as_bytes(), &[]).is(303).location().to_owned();
    owner.post(&checked, &[]).is(303);
    eventually("the import is over", || owner.get(&checked).main().contains("Imported"));
    checked
}

#[test]
fn what_is_wrong_with_a_file_is_said_beside_its_field() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let (owner, admin) = (app.owner(&a), app.super_admin());
    let large = vec![b'a'; 11 << 20];
    for (caller, path) in
        [(&owner, a.path("/students/import")), (&admin, "/platform/registrations/import".to_owned())]
    {
        for (name, content, words) in
            [("", &b""[..], "Choose a file first"), ("l.csv", &large, "at most 10 MB")]
        {
            let answer = caller.upload(&path, name, content, &[]).is(422).shows(words);
            assert!(answer.has(".field[data-bad] [aria-invalid=true]"), "{path} {name}");
        }
    }
}
