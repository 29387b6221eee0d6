//! Signing in: who gets in, who is slowed down, and what strangers learn from it: nothing.

use crate::support::app::TestApp;

#[test]
fn owner_and_super_admin_arrive_at_their_own_home() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    app.owner(&a).get(&a.path("")).is(200).shows("Université of evry.example");
    app.super_admin().get("/platform").is(200);
}
