//! The audit log's page: it can be verified there, and says where it does not hold.

use std::{collections::BTreeSet, fs, path::Path};

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

/// Words with a dot between quotes, in the files of these folders.
fn quoted(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            quoted(&path, found);
        } else {
            let text = fs::read_to_string(&path).expect("a file");
            let words = text.split('"').filter(|word| word.bytes().filter(|byte| *byte == b'.').count() == 1);
            let plain =
                |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
            found.extend(words.filter(plain).map(str::to_owned));
        }
    }
}

#[test]
fn everything_that_is_recorded_can_be_chosen_in_the_log() {
    let app = TestApp::start();
    let page = app.platform_admin(AdminRole::Auditor).get("/platform/audit").is(200);
    let known: BTreeSet<String> =
        page.attributes("select[name=action] option", "value").into_iter().collect();
    let kinds: BTreeSet<&str> = known.iter().filter_map(|action| Some(action.split_once('.')?.0)).collect();
    let mut found = BTreeSet::new();
    for folder in ["services", "models/platform", "web/platform", "cli"] {
        quoted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut found);
    }
    // What a webhook is told, columns of tables, and files.
    let others =
        ["alert.fired", "alert.resolved", "webhook.test", "institutions.country", "institutions.csv"];
    found.retain(|word| {
        let (kind, act) = word.split_once('.').unwrap_or_default();
        kinds.contains(kind) && !["csv", "rs", "db"].contains(&act) && !others.contains(&word.as_str())
    });
    assert!(found.len() > 80, "{found:?}");
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "no words for {missing:?}");
}
