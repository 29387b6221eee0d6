//! What the roles of platform admins allow, and the look that support may have into an institution.

use provost::models::platform::admins::{self, AdminRole};

use crate::{
    routes::add_student,
    support::{
        app::{PASSWORD, TestApp},
        caller::Caller,
    },
};

const REASON: [(&str, &str); 2] = [("reason", "Ticket 4711: names look wrong"), ("minutes", "30")];

#[test]
fn a_super_admin_gives_and_takes_roles_but_never_the_last_one() {
    let app = TestApp::start();
    let ada = app.super_admin();
    let grace = app.new_platform_admin("grace@platform.example", AdminRole::Operator);
    let role = format!("/platform/admins/{grace}/role");
    ada.get(&role).is(200).shows("Looks after the databases");
    ada.post(&role, &[("role", "emperor")]).is(422);
    ada.post(&role, &[("role", "auditor")]).is(303);
    ada.get("/platform/admins").is(200).shows("is now auditor");
    let grace_herself = app.sign_in("grace@platform.example", PASSWORD);
    grace_herself.get("/platform/audit").is(200);
    // The next request sees the change.
    ada.post(&role, &[("role", "support")]).is(303);
    grace_herself.get("/platform/audit").is(403).shows("Only auditors");
    grace_herself.get("/platform/admins").is(403);
    ada.get("/platform/audit").is(200).shows("Changed role");

    let me = ada.get("/platform/admins?role=super_admin").is(200);
    assert_eq!(me.words("tbody tr").len(), 1, "the filter");
    // Nobody else is a super admin, so nobody may take the role away, oneself included.
    let mut shared = app.platform.shared.get().expect("shared");
    let everybody = admins::all_active(&mut shared).expect("read");
    assert_eq!(everybody.len(), 1);
    drop(shared);
    ada.post(&format!("/platform/admins/{}/role", everybody[0].id), &[("role", "auditor")]).is(303);
    ada.get("/platform/admins").is(200).shows("You cannot change your own role");
}

fn support(app: &TestApp) -> Caller {
    app.platform_admin(AdminRole::Support)
}

#[test]
fn support_looks_in_for_a_reason_and_the_institution_can_read_it() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let student = add_student(&owner, &a, "Zoé Dubois", "S-1");
    let support = support(&app);
    let access = format!("/platform/institutions/{}/support-access", a.domain);
    support.get(&a.path("")).is(404);
    support.post(&access, &[("reason", "because"), ("minutes", "30")]).is(422).shows("in a few words");
    support.post(&access, &[("reason", REASON[0].1), ("minutes", "9000")]).is(422);
    support.get(&a.path("")).is(404);

    assert_eq!(support.post(&access, &REASON).is(303).location(), a.path(""));
    let students = support.get(&a.path("/students")).is(200);
    assert!(!students.main().contains("Add student"));
    students.shows("Zoé Dubois").shows("Support access until").shows("Ticket 4711");
    support.post(&a.path("/students"), &[("name", "X"), ("student_number", "X-1")]).is(403);
    support.post(&a.path(&format!("/students/{student}/archiving")), &[]).is(403);
    support.get(&a.path("/users")).is(403);
    let log = owner.get(&a.path("/activity")).is(200);
    log.shows("Support of the platform came in").shows("Ticket 4711: names look wrong");
    app.super_admin().get("/platform/audit").is(200).shows("Opened support access");

    support.get(&access).is(200).shows("Open until");
    support.post(&format!("{access}/remove"), &[]).is(303);
    support.get(&a.path("/students")).is(404);
    owner.get(&a.path("/activity")).is(200).shows("Support of the platform left");
}

#[test]
fn a_look_ends_by_the_clock_with_the_role_and_with_suspension() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let open = |caller: &Caller| {
        caller.post(&format!("/platform/institutions/{}/support-access", a.domain), &REASON).is(303);
        caller.get(&a.path("")).is(200);
    };
    let first = support(&app);
    open(&first);
    first.get(&b.path("")).is(404);
    app.sql("UPDATE support_accesses SET expires_at = '2026-01-01 00:00:00'");
    first.get(&a.path("")).is(404);

    open(&first);
    app.sql("UPDATE platform_admins SET role = 'auditor' WHERE role = 'support'");
    first.get(&a.path("")).is(404);

    let second = support(&app);
    open(&second);
    app.suspend(&a);
    second.get(&a.path("")).is(403).shows("is suspended");
    let access = format!("/platform/institutions/{}/support-access", a.domain);
    second.post(&access, &REASON).is(422).shows("not active");
    for role in [AdminRole::Operator, AdminRole::Auditor] {
        app.platform_admin(role).post(&access, &REASON).is(403);
    }
}
