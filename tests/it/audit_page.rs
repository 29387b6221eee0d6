//! The audit log's page: it can be verified there, and says where it does not hold.

use provost::{db::Engine, models::platform::admins::AdminRole};

use crate::support::{app::TestApp, engine};

#[test]
fn an_auditor_verifies_the_log_and_is_told_where_it_breaks() {
    let app = TestApp::start();
    app.institution("evry.example");
    let auditor = app.platform_admin(AdminRole::Auditor);
    let verify = || {
        auditor.get("/platform/audit").is(200).shows("Verify the log");
        auditor.post("/platform/audit/verification", &[]).leads_to("/platform/audit");
        auditor.get("/platform/audit").is(200)
    };
    verify().shows("entries as written. The last hash is");
    if engine() == Engine::Postgres {
        app.sql("ALTER TABLE audit_log DISABLE TRIGGER ALL");
    } else {
        app.sql("DROP TRIGGER audit_log_no_update");
    }
    app.sql("UPDATE audit_log SET actor_name = 'Nobody' WHERE sequence = 2");
    verify().shows("not as it was written").shows("The 1 entry before it hold");
    app.platform_admin(AdminRole::Support).post("/platform/audit/verification", &[]).is(403);
}
