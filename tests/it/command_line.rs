//! The real binary, as an operator and a script use it.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
};

use diesel::{connection::SimpleConnection as _, prelude::*};
use provost::{
    db::{Engine, schema_shared::tenant_databases, shared::SharedConn},
    models::platform::admins::AdminRole,
    services::tenants,
};
use serde_json::Value;

use crate::support::{
    Folder, Site,
    app::TestApp,
    binary::{Running, bare, free_port, provost},
    engine, names, register, run_on_server, server,
};

fn succeed(site: &Site, arguments: &[&str]) -> String {
    let output = provost(site, arguments).output().expect("run");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that is refused; returns the sentence.
fn refused(site: &Site, arguments: &[&str]) -> String {
    sentence(&provost(site, arguments).output().expect("run"))
}

fn sentence(output: &Output) -> String {
    let text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("provost: ").unwrap_or_else(|| panic!("no sentence: {text}")).to_owned()
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(site, arguments)).expect("JSON")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn the_env_file_of_this_folder_counts_to_its_last_line_and_no_other_folders() {
    let folder = Folder::new();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("made");
    fs::write(folder.path().join(".env"), "PROVOST_SIGNUP=automatic\n").expect("written");
    let config = |folder: &Path| bare(folder, &["config"]).output().expect("run");
    assert!(text(&config(folder.path()).stdout).contains("PROVOST_SIGNUP=automatic"));
    assert!(text(&config(&inner).stdout).contains("PROVOST_SIGNUP=approval"), "a parent's file");
    fs::write(inner.join(".env"), "PROVOST_SIGNUP=automatic\nPROVOST_SMTP_URL=a secret\n").expect("written");
    let told = sentence(&config(&inner));
    assert!(told.starts_with("Line 2 of the file .env cannot be read") && !told.contains("secret"), "{told}");
    let all = bare(&inner, &["config"]).env("PROVOST_LISTEN", "0.0.0.0:80").output().expect("run");
    assert_eq!(sentence(&all), told, "the first mistake is told first");
    fs::remove_file(inner.join(".env")).expect("removed");
    let mut all = bare(&inner, &["config"]);
    all.env("PROVOST_LISTEN", "0.0.0.0:80").env("PROVOST_PUBLIC_URL", "https://x.org");
    assert_eq!(all.output().expect("run").status.code(), Some(0));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

#[test]
fn a_wrong_setting_is_one_sentence_and_nothing_is_created() {
    let folder = Folder::new();
    fs::write(folder.path().join("a-file"), "").expect("written");
    let taken = TcpListener::bind("127.0.0.1:0").expect("port");
    let taken = taken.local_addr().expect("address").to_string();
    let cases: [(&str, &str, &str); 10] = [
        ("PROVOST_SIGNUP", "maybe", r#"PROVOST_SIGNUP is "maybe"; write approval or automatic."#),
        (
            "PROVOST_LISTEN",
            "nowhere",
            r#"PROVOST_LISTEN is "nowhere"; write an address and a port, such as 127.0.0.1:8080."#,
        ),
        (
            "PROVOST_LISTEN",
            "0.0.0.0:8080",
            "PROVOST_LISTEN is 0.0.0.0:8080, which is every address of this machine; set PROVOST_PUBLIC_URL to the one that people use, such as https://provost.example.org.",
        ),
        (
            "PROVOST_PUBLIC_URL",
            "ftp://x.org",
            r#"PROVOST_PUBLIC_URL is "ftp://x.org"; it has to start with https:// or http://, such as https://provost.example.org."#,
        ),
        ("PROVOST_COLOUR", "red", "The environment variable PROVOST_COLOUR is unknown; check its spelling."),
        (
            "PROVOST_DATABASE_URL",
            "mysql://x/y",
            r#"PROVOST_DATABASE_URL: The database URL has the scheme "mysql"; only sqlite: and postgres:// are supported."#,
        ),
        (
            "PROVOST_DATABASE_URL",
            "provost.db",
            r#"PROVOST_DATABASE_URL: The database URL has the scheme "none"; only sqlite: and postgres:// are supported."#,
        ),
        (
            "PROVOST_LISTEN",
            &taken,
            &format!(
                "Cannot listen on {taken}: Address already in use (os error 98). Is another server running? Set PROVOST_LISTEN to a free address and port."
            ),
        ),
        ("PROVOST_DATA_DIR", "a-file/data", "The data folder cannot be a-file/data: a-file is a file."),
        // Not even root can make a folder there.
        (
            "PROVOST_DATA_DIR",
            "/proc/provost",
            "The data folder /proc/provost cannot be written (No such file or directory (os error 2)). Give it to the user that runs Provost, or set PROVOST_DATA_DIR to another folder.",
        ),
    ];
    for (name, value, expected) in cases {
        let mut command = bare(folder.path(), &[]);
        if name != "PROVOST_LISTEN" {
            command.env("PROVOST_LISTEN", free_port());
        }
        let output = command.env(name, value).output().expect("run");
        assert_eq!(text(&output.stderr), format!("provost: {expected}\n"), "{name}={value}");
        assert_eq!(output.status.code(), Some(1), "{name}={value}");
        assert_eq!(text(&output.stdout), "", "{name}={value}");
        let left: Vec<_> = fs::read_dir(folder.path()).expect("folder").collect();
        assert_eq!(left.len(), 1, "{name}={value} left {left:?}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_has_examples() {
    let folder = Folder::new();
    for wrong in [&["institution", "approve"][..], &["fly"], &["institution", "list", "--status", "sleepy"]] {
        let output = bare(folder.path(), wrong).output().expect("run");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let help = bare(folder.path(), &["institution", "approve", "--help"]).output().expect("run");
    assert!(text(&help.stdout).contains("provost institution approve ada.edu --wait"));
}

#[test]
fn looking_into_the_wrong_folder_makes_no_platform_there() {
    let folder = Folder::new();
    let said = sentence(&bare(folder.path(), &["institution", "list"]).output().expect("run"));
    assert!(said.starts_with("There is no platform in sqlite:provost-data/shared.db yet."), "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
}

#[test]
fn the_first_start_makes_private_files_and_prints_the_set_up_address() {
    let site = Site::new();
    let listen = free_port();
    let mut command = provost(&site, &[]);
    command.env("PROVOST_LISTEN", &listen);
    let (running, printed) = Running::start(command, "/setup/");
    assert!(printed.contains(&format!("http://{listen}/setup/")), "{printed}");
    let data = &site.settings.data_dir;
    assert_eq!((mode(data), mode(&data.join("master.key"))), (0o700, 0o600));
    if engine() == Engine::Sqlite {
        assert_eq!(mode(&data.join("shared.db")), 0o600);
    }
    drop(running);

    let mut create = provost(
        &site,
        &["admin", "create", "--email", "Ada@Example.org", "--name", "Ada Byron", "--password-stdin"],
    );
    let mut child = create.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    child.stdin.take().expect("input").write_all(b"walnut-ferry-tundra-19\n").expect("written");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("Ada@Example.org"));

    // Somebody can sign in now: no more set-up.
    let mut command = provost(&site, &["serve"]);
    command.env("PROVOST_LISTEN", &listen);
    let (_running, printed) = Running::start(command, "Its address is");
    assert!(!printed.contains("/setup/"), "{printed}");
}

#[test]
fn a_missing_or_foreign_master_key_is_said_and_never_replaced() {
    let site = Site::new();
    site.open().close();
    let key = site.settings.data_dir.join("master.key");
    let own = fs::read(&key).expect("key");
    fs::remove_file(&key).expect("removed");
    let said = refused(&site, &["institution", "list"]);
    assert_eq!(
        said,
        format!(
            "There is no master key at {}. Put the file back from your copy, or set PROVOST_MASTER_KEY_FILE to where \
             it is.",
            key.display()
        )
    );
    assert!(!key.exists());

    let other = Site::on(Engine::Sqlite);
    other.open().close();
    fs::copy(other.settings.data_dir.join("master.key"), &key).expect("copied");
    let said = refused(&site, &["serve", "--listen", &free_port()]);
    assert!(said.starts_with("The master key does not belong to this database."), "{said}");

    fs::write(&key, own).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("opened to others");
    let said = refused(&site, &["institution", "list"]);
    assert!(said.ends_with(&format!("Run: chmod 600 {}.", key.display())), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("closed");
    succeed(&site, &["institution", "list"]);
}

#[test]
fn an_institution_is_approved_suspended_and_reactivated_without_a_server() {
    let site = Site::new();
    let platform = site.open();
    for domain in ["ada.edu", "byron.edu"] {
        register(&platform, domain);
    }
    platform.close();

    assert_eq!(
        json(&site, &["institution", "list", "--status", "pending_approval", "--json"])
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    refused(&site, &["database", "exists", "ada.edu"]);
    let said = refused(&site, &["database", "create", "ada.edu"]);
    assert!(said.contains("provost institution approve ada.edu --wait"), "{said}");

    let printed = succeed(&site, &["institution", "approve", "Ada.edu", "--wait"]);
    assert!(printed.contains("University of ada.edu is active"), "{printed}");
    let said = refused(&site, &["institution", "approve", "ada.edu"]);
    assert_eq!(said, "Command line approved this registration just now.");
    succeed(&site, &["database", "exists", "ada.edu"]);
    let operations = json(&site, &["operation", "list", "--kind", "provision", "--json"]);
    assert_eq!(
        (&operations[0]["kind"], &operations[0]["status"]),
        (&"provision".into(), &"succeeded".into())
    );
    let id = operations[0]["id"].as_str().expect("an id");
    let shown = json(&site, &["operation", "show", id, "--json"]);
    assert!(shown["steps"].as_array().is_some_and(|steps| steps.iter().all(|step| step["status"] == "done")));
    assert!(succeed(&site, &["operation", "list"]).contains("succeeded"));
    assert_eq!(
        json(&site, &["operation", "list", "--status", "failed", "--json"]).as_array().map(Vec::len),
        Some(0)
    );
    refused(&site, &["operation", "retry", id]);
    refused(&site, &["operation", "show", "x"]);

    let databases = json(&site, &["database", "list", "--json"]);
    assert_eq!(databases[0]["name"], format!("{}ada_edu", site.settings.database_prefix));
    assert_eq!(databases[0]["status"], "ready");
    assert!(databases[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    succeed(&site, &["database", "exists", databases[0]["name"].as_str().expect("name")]);

    succeed(&site, &["institution", "suspend", "ada.edu", "--reason", "Unpaid."]);
    let shown = json(&site, &["institution", "show", "ada.edu", "--json"]);
    assert_eq!((&shown["status"], &shown["history"][0]["reason"]), (&"suspended".into(), &"Unpaid.".into()));
    refused(&site, &["institution", "suspend", "ada.edu", "--reason", "Again."]);
    succeed(&site, &["institution", "reactivate", "ada.edu"]);
    let archived = json(&site, &["institution", "archive", "ada.edu", "--reason", "They left.", "--json"]);
    assert_eq!((&archived["domain"], &archived["status"]), (&"ada.edu".into(), &"archived".into()));
    let said = refused(&site, &["backup", "run", "ada.edu"]);
    assert_eq!(said, "1 of 1 backup failed.");
    assert_eq!(json(&site, &["institution", "bring-back", "ada.edu", "--json"])["status"], "active");

    succeed(&site, &["institution", "reject", "byron.edu", "--reason", "Not theirs."]);
    assert_eq!(json(&site, &["institution", "show", "byron.edu", "--json"])["status"], "rejected");
    let said = refused(&site, &["institution", "show", "nobody.edu"]);
    assert_eq!(said, "There is no institution with the domain nobody.edu. See provost institution list.");
}

/// What looking could change: the roles and databases of the server, the files, the schema's version.
#[test]
fn what_is_announced_who_is_told_and_who_decides_without_a_server() {
    let site = Site::new();
    let platform = site.open();
    register(&platform, "ada.edu");

    // Announcements.
    let post =
        ["announcement", "post", "Closed on Sunday.", "--level", "maintenance", "--institution", "ada.edu"];
    let made = json(&site, &[&post[..], &["--json"]].concat());
    assert_eq!((&made["audience"], &made["shown"]), (&"institution".into(), &true.into()), "{made}");
    let said = refused(&site, &["announcement", "post", "Too late.", "--until", "2020-01-01 00:00"]);
    assert!(said.contains("--until"), "{said}");
    let said = refused(&site, &["announcement", "post", "To nobody.", "--plan", "none"]);
    assert!(said.contains("provost plan list"), "{said}");
    let id = made["id"].as_str().expect("an id");
    succeed(&site, &["announcement", "end", id]);
    assert_eq!(json(&site, &["announcement", "list", "--json"])[0]["shown"], false);
    assert!(succeed(&site, &["announcement", "list"]).contains("Closed on Sunday."));

    // Webhooks: only a new secret is printed.
    let said = refused(&site, &["webhook", "add", "http://127.0.0.1:9/hook"]);
    assert!(said.contains("private"), "{said}");
    let hook = json(&site, &["webhook", "add", "https://example.org/hook", "--json"]);
    let (id, secret) = (hook["id"].as_str().expect("an id"), hook["secret"].as_str().expect("a secret"));
    let list = succeed(&site, &["webhook", "list", "--json"]);
    assert!(list.contains(id) && !list.contains(secret), "{list}");
    succeed(&site, &["webhook", "disable", id]);
    assert!(refused(&site, &["webhook", "test", id]).contains("disabled"));
    succeed(&site, &["webhook", "enable", id]);
    succeed(&site, &["webhook", "test", id]);
    assert!(!succeed(&site, &["webhook", "renew-secret", id]).contains(secret));
    succeed(&site, &["webhook", "remove", id]);
    assert!(refused(&site, &["webhook", "remove", id]).contains("provost webhook list"));

    // Admins: the last super admin stays one.
    let create = |email: &str| {
        let mut command =
            provost(&site, &["admin", "create", "--email", email, "--name", "Ada", "--password-stdin"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("run");
        child.stdin.take().expect("stdin").write_all(b"quartz lantern mosaic 7\n").expect("written");
        assert!(child.wait().expect("run").success());
    };
    create("ada@example.org");
    refused(&site, &["admin", "disable", "ada@example.org"]);
    refused(&site, &["admin", "role", "ada@example.org", "auditor"]);
    create("bell@example.org");
    let changed = json(&site, &["admin", "role", "bell@example.org", "operator", "--json"]);
    assert_eq!(changed["role"], "operator");
    succeed(&site, &["admin", "disable", "bell@example.org"]);
    succeed(&site, &["admin", "enable", "bell@example.org"]);
    let all = json(&site, &["admin", "list", "--json"]);
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    assert!(refused(&site, &["admin", "disable", "nobody@example.org"]).contains("provost admin list"));
    succeed(&site, &["audit", "verify"]);
}

#[test]
fn plans_keeping_and_open_looks_without_a_server() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    let site = app.site();

    // Plans: as the page enters them, under the same rules.
    let create =
        ["plan", "create", "basic_2027", "--name", "Basic 27", "--price-month", "49.5", "--price-year"];
    let limits = ["490", "--users", "20", "--storage-gb", "5", "--features", "support import", "--json"];
    let made = json(site, &[&create[..], &limits[..]].concat());
    assert_eq!((&made["price_month"], &made["users"]), (&4_950.into(), &20.into()), "{made}");
    assert_eq!(made["features"], serde_json::json!(["import", "support"]));
    assert!(refused(site, &["plan", "create", "basic_2027", "--name", "B"]).contains("already"));
    assert!(refused(site, &["plan", "create", "Basic", "--name", "B"]).contains("small letters"));
    assert!(refused(site, &["plan", "change", "basic_2027", "--price-month", "1.234"]).contains("an amount"));
    assert!(refused(site, &["plan", "change", "basic_2027", "--currency", "USD"]).contains("--price-year"));
    assert!(refused(site, &["plan", "show", "nothing"]).contains("provost plan list"));
    let changed =
        json(site, &["plan", "change", "basic_2027", "--users", "none", "--name", "Basic", "--json"]);
    assert_eq!((&changed["users"], &changed["name"]), (&Value::Null, &"Basic".into()), "{changed}");
    assert_eq!(changed["storage_bytes"], 5_000_000_000_i64);
    assert!(succeed(site, &["plan", "show", "basic_2027"]).contains("EUR 49.50"));
    succeed(site, &["plan", "archive", "basic_2027"]);
    assert_eq!(json(site, &["plan", "show", "basic_2027", "--json"])["archived"], true);
    succeed(site, &["plan", "restore", "basic_2027"]);

    // What is kept for how long.
    assert_eq!(json(site, &["keeping", "show", "--json"])["audit_days"], 730);
    let chosen = json(site, &["keeping", "set", "--audit", "1095", "--mails", "14", "--json"]);
    assert_eq!((&chosen["audit_days"], &chosen["mail_days"]), (&1_095.into(), &14.into()), "{chosen}");
    assert_eq!(chosen["security_days"], 180);
    assert!(succeed(site, &["keeping", "show"]).contains("1095 days"));
    assert!(refused(site, &["keeping", "set"]).contains("--audit 1095"));
    let output = provost(site, &["keeping", "set", "--audit", "10"]).output().expect("run");
    assert_eq!(output.status.code(), Some(2), "a year at least");

    // Who looks into an institution; opened by the person alone.
    assert_eq!(json(site, &["support", "list", "--json"]), serde_json::json!([]));
    let helper = app.platform_admin(AdminRole::Support);
    let reason = [("reason", "Ticket 4711: a list is empty"), ("minutes", "30")];
    helper.post("/platform/institutions/evry.example/support-access", &reason).is(303);
    helper.get(&a.path("")).is(200);
    let open = json(site, &["support", "list", "--json"]);
    assert_eq!(
        (&open[0]["domain"], &open[0]["reason"]),
        (&"evry.example".into(), &reason[0].1.into()),
        "{open}"
    );
    let id = open[0]["id"].as_str().expect("an id");
    assert!(succeed(site, &["support", "list"]).contains("Ticket 4711"));
    succeed(site, &["support", "end", id]);
    helper.get(&a.path("")).is(404);
    assert!(refused(site, &["support", "end", id]).contains("provost support list"));
    app.owner(&a).get(&a.path("/activity")).is(200).shows("Support of the platform left");
    let admin = app.super_admin();
    for action in ["plan.created", "plan.updated", "setting.changed", "institution.support_access_ended"] {
        admin.get(&format!("/platform/audit?action={action}")).is(200).shows("Command line");
    }
    succeed(site, &["audit", "verify"]);
}

fn surroundings(site: &Site) -> Vec<String> {
    let mut connection = SharedConn::open(&site.settings.database).expect("opened");
    let mut seen = names(&mut connection, "SELECT version AS name FROM __diesel_schema_migrations");
    let mut files: Vec<String> = fs::read_dir(&site.settings.data_dir)
        .expect("the data folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        // SQLite's own, while somebody has the database open.
        .filter(|name| !name.contains("-wal") && !name.contains("-shm"))
        .collect();
    files.sort();
    seen.extend(files);
    if engine() == Engine::Postgres {
        let prefix = &site.settings.database_prefix;
        for query in [
            format!("SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname, '{prefix}') ORDER BY 1"),
            format!("SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{prefix}') ORDER BY 1"),
            "SELECT coalesce(datacl::text, 'open') AS name FROM pg_database WHERE datname = current_database()"
                .into(),
        ] {
            seen.extend(names(&mut connection, &query));
        }
    }
    seen
}

#[test]
fn commands_that_look_change_nothing() {
    let site = Site::new();
    site.open().close();
    let before = surroundings(&site);
    for looking in [&["doctor"][..], &["institution", "list"], &["audit", "verify"], &["database", "list"]] {
        let output = provost(&site, looking).output().expect("run");
        assert_eq!(output.status.code(), Some(0), "{looking:?}: {}", text(&output.stdout));
    }
    // The anchors of the audit log are what verifying leaves behind.
    let mut after = surroundings(&site);
    after.retain(|name| name != "audit.anchors");
    assert_eq!(after, before);
}

#[test]
fn only_commands_that_say_so_migrate_the_shared_database() {
    let site = Site::new();
    site.open().close();
    // As an older version left it: its newest migration is still to come.
    let mut connection = SharedConn::open(&site.settings.database).expect("opened");
    let newest =
        names(&mut connection, "SELECT max(version) AS name FROM __diesel_schema_migrations").remove(0);
    let forget = format!("DELETE FROM __diesel_schema_migrations WHERE version = '{newest}'");
    connection.batch_execute(&forget).expect("forgotten");
    let before = surroundings(&site);
    for refused_now in
        [&["institution", "list"][..], &["audit", "verify"], &["keys", "rotate"], &["migrate", "tenants"]]
    {
        let said = refused(&site, refused_now);
        assert!(said.ends_with("run: provost migrate shared."), "{said}");
    }
    let told = provost(&site, &["doctor"]).output().expect("run");
    assert!(text(&told.stdout).contains("provost migrate shared"), "{}", text(&told.stdout));
    assert_eq!(surroundings(&site), before);
}

#[test]
fn the_doctor_tells_of_a_foreign_role_and_leaves_it() {
    if engine() != Engine::Postgres {
        return;
    }
    let site = Site::new();
    site.open().close();
    let owner = format!("{}_owner", site.settings.database_prefix);
    run_on_server(&format!("CREATE ROLE {owner}"));
    run_on_server(&format!("COMMENT ON ROLE {owner} IS 'somebody else'"));
    let before = surroundings(&site);
    let told = provost(&site, &["doctor"]).output().expect("run");
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stdout).contains("belongs to another Provost"), "{}", text(&told.stdout));
    let comment =
        format!("SELECT shobj_description(oid, 'pg_authid') AS name FROM pg_roles WHERE rolname = '{owner}'");
    assert_eq!(names(&mut server(), &comment), ["somebody else"]);
    assert_eq!(surroundings(&site), before);
}

#[test]
fn a_changed_audit_entry_is_found() {
    let site = Site::new();
    let platform = site.open();
    register(&platform, "ada.edu");
    platform.close();
    succeed(&site, &["institution", "approve", "ada.edu"]);
    let whole = json(&site, &["audit", "verify", "--json"]);
    assert_eq!(whole["whole"], true);
    assert!(whole["entries"].as_i64().is_some_and(|entries| entries >= 2), "{whole}");

    let mut connection = SharedConn::open(&site.settings.database).expect("opened");
    let tamper = match engine() {
        Engine::Sqlite => {
            "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET actor_name = 'Nobody' WHERE sequence = 2"
        }
        Engine::Postgres => {
            "ALTER TABLE audit_log DISABLE TRIGGER USER; UPDATE audit_log SET actor_name = 'Nobody' WHERE sequence = 2"
        }
    };
    connection.batch_execute(tamper).expect("tampered");
    let said = refused(&site, &["audit", "verify"]);
    assert!(said.contains("Entry 2 was changed after it was written. The 1 entry before it hold"), "{said}");
}

#[test]
fn an_audit_log_without_its_end_is_found() {
    let site = Site::new();
    let platform = site.open();
    register(&platform, "ada.edu");
    platform.close();
    succeed(&site, &["institution", "approve", "ada.edu", "--wait"]);
    let entries = json(&site, &["audit", "verify", "--json"])["entries"].as_i64().expect("a number");
    assert!(entries >= 3, "{entries}");
    assert_eq!(mode(&site.settings.data_dir.join("audit.anchors")), 0o600);

    // What is left is a whole chain: only the note beside the database tells.
    let mut connection = SharedConn::open(&site.settings.database).expect("opened");
    let off = match engine() {
        Engine::Sqlite => "DROP TRIGGER audit_log_no_delete",
        Engine::Postgres => "ALTER TABLE audit_log DISABLE TRIGGER USER",
    };
    let cut = format!("{off}; DELETE FROM audit_log WHERE sequence > {}", entries - 2);
    connection.batch_execute(&cut).expect("cut off");
    let said = refused(&site, &["audit", "verify"]);
    assert!(said.contains(&format!("Its end is missing: 2 of the {entries} entries seen at 20")), "{said}");

    // Writing on does not cover it up.
    for round in ["Unpaid", "Unpaid still", "Unpaid again"] {
        succeed(&site, &["institution", "suspend", "ada.edu", "--reason", round]);
        succeed(&site, &["institution", "reactivate", "ada.edu"]);
    }
    let said = refused(&site, &["audit", "verify"]);
    assert!(said.contains(&format!("Entry {entries} is another one than was seen at 20")), "{said}");
}

#[test]
fn everything_works_after_a_rotation_of_the_keys() {
    let site = Site::new();
    let platform = site.open();
    for domain in ["ada.edu", "byron.edu"] {
        register(&platform, domain);
    }
    platform.close();
    succeed(&site, &["institution", "approve", "ada.edu", "--wait"]);
    let key = site.settings.data_dir.join("master.key");
    let before = fs::read(&key).expect("key");
    succeed(&site, &["keys", "rotate"]);
    assert_ne!(fs::read(&key).expect("key"), before);
    assert_eq!(mode(&key), 0o600);
    succeed(&site, &["institution", "approve", "byron.edu", "--wait"]);
    succeed(&site, &["audit", "verify"]);
    let platform = site.open();
    let id = crate::support::institution_id(&platform, "ada.edu");
    let tenant = platform.tenants.open(&mut platform.shared.get().expect("shared"), id).expect("opened");
    tenant.get().expect("connection");
}

#[test]
fn the_doctor_finds_orphans_both_ways_and_says_what_to_do() {
    let site = Site::new();
    let platform = site.open();
    for domain in ["ada.edu", "byron.edu"] {
        register(&platform, domain);
    }
    succeed(&site, &["institution", "approve", "ada.edu", "--wait"]);
    succeed(&site, &["institution", "approve", "byron.edu", "--wait"]);
    let healthy = provost(&site, &["doctor", "--json"]).output().expect("run");
    assert_eq!(healthy.status.code(), Some(0), "{}", text(&healthy.stdout));

    let connection = &mut *platform.shared.get().expect("shared");
    let (ada, byron) = (
        crate::support::institution_id(&platform, "ada.edu"),
        crate::support::institution_id(&platform, "byron.edu"),
    );
    let row =
        provost::models::platform::tenant_databases::find(connection, byron).expect("read").expect("row");
    platform.engine.drop_database(&tenants::place(&row), &|| Ok(())).expect("dropped");
    diesel::delete(tenant_databases::table.filter(tenant_databases::institution_id.eq(ada)))
        .execute(connection)
        .expect("forgotten");

    let output = provost(&site, &["doctor", "--json"]).output().expect("run");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problems: Vec<&str> =
        found["findings"].as_array().expect("list").iter().filter_map(|f| f["problem"].as_str()).collect();
    for expected in ["without a database: ada.edu", "do not exist", "Databases belong to no institution"] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
    }
    if engine() == Engine::Postgres {
        assert!(problems.iter().any(|problem| problem.contains("Roles on the server")), "{problems:?}");
    }
    for finding in found["findings"].as_array().expect("list") {
        assert!(finding["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
    }
}

#[test]
fn tenants_behind_are_migrated_and_one_that_fails_stops_no_other() {
    let site = Site::new();
    let platform = site.open();
    // More than are migrated at once.
    let domains = ["ada.edu", "byron.edu", "curie.edu", "darwin.edu", "euler.edu", "fermat.edu"];
    for domain in domains {
        register(&platform, domain);
        succeed(&site, &["institution", "approve", domain, "--wait"]);
    }
    assert!(succeed(&site, &["migrate", "shared"]).contains("up to date"));
    assert!(succeed(&site, &["migrate", "tenants"]).contains("up to date"));

    let connection = &mut *platform.shared.get().expect("shared");
    diesel::update(tenant_databases::table)
        .set(tenant_databases::schema_version.eq("2000-01-01-000000_older"))
        .execute(connection)
        .expect("aged");
    let euler = crate::support::institution_id(&platform, "euler.edu");
    let row =
        provost::models::platform::tenant_databases::find(connection, euler).expect("read").expect("row");
    platform.engine.drop_database(&tenants::place(&row), &|| Ok(())).expect("dropped");

    let output = provost(&site, &["migrate", "tenants", "--json"]).output().expect("run");
    assert_eq!(
        sentence(&output),
        "1 database could not be migrated and stayed as before. Correct the cause and run this again."
    );
    let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (report, domain) in reports.as_array().expect("list").iter().zip(domains) {
        assert_eq!(report["domain"], domain);
        assert_eq!(report["error"].is_string(), domain == "euler.edu", "{report}");
    }
    assert_eq!(reports.as_array().map(Vec::len), Some(domains.len()));
    // Once more, only the one that failed is tried.
    let again = provost(&site, &["migrate", "tenants", "--json"]).output().expect("run");
    let again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((again.as_array().map(Vec::len), &again[0]["domain"]), (Some(1), &"euler.edu".into()));
    let left =
        provost::models::platform::tenant_databases::outdated(connection, platform.migrations.version());
    assert_eq!(left.expect("read").len(), 1);
}

#[test]
fn the_demo_is_made_once_and_shows_every_state() {
    let site = Site::on(Engine::Sqlite);
    let start = || {
        let mut command = provost(&site, &["demo"]);
        command.env("PROVOST_LISTEN", free_port());
        Running::start(command, "Stop with Ctrl-C")
    };
    let (running, printed) = start();
    assert!(printed.contains("Making a sample platform") && printed.contains("super admin"), "{printed}");
    let listed = json(&site, &["institution", "list", "--json"]);
    for status in ["active", "pending_approval", "rejected", "suspended", "provisioning_failed"] {
        let is = |row: &Value| row["status"] == status;
        assert!(listed.as_array().expect("list").iter().any(is), "{status}: {listed}");
    }
    succeed(&site, &["database", "create", "trois-rivages.example"]);
    succeed(&site, &["audit", "verify"]);
    let again = provost(&site, &["demo", "--fresh", "--listen", &free_port()]).output().expect("run");
    assert!(sentence(&again).contains("Stop it first"));
    drop(running);
    let (_running, printed) = start();
    assert!(!printed.contains("Making"), "{printed}");
}
