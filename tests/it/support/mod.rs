//! A platform of its own for each test, on the engine that `PROVOST_TEST_ENGINE` names.

pub mod app;
pub mod binary;
pub mod bucket;
pub mod caller;
#[cfg(feature = "crash-points")]
pub mod child;
pub mod disk;
pub mod dump;
#[cfg(feature = "crash-points")]
pub mod outsiders;
pub mod own_server;
pub mod shared;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use diesel::{connection::SimpleConnection, prelude::*};
use provost::{
    db::{Engine, Id, Target, engine::HOME, now, schema_shared, shared::SharedConn},
    models::{
        Actor,
        platform::{
            operations::{self, Operation},
            platform_secrets,
            tenant_copies::{Purpose, TenantCopy},
            tenant_databases,
        },
    },
    services::{
        operations::{provision, wait_for},
        platform::Platform,
        settings::Settings,
    },
};

/// The engine that this run is about.
pub fn engine() -> Engine {
    match std::env::var("PROVOST_TEST_ENGINE").as_deref() {
        Ok("postgres") => Engine::Postgres,
        _ => Engine::Sqlite,
    }
}

/// Whether the tests that take long are wanted.
pub fn slow() -> bool {
    std::env::var_os("PROVOST_TEST_SLOW").is_some()
}

/// The address of the throw-away server, as a role with CREATEDB and CREATEROLE.
pub fn postgres_url() -> String {
    std::env::var("PROVOST_TEST_POSTGRES_URL")
        .expect("PROVOST_TEST_POSTGRES_URL names the server of the tests")
}

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("provost-it-{}", Id::new()));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where a test's platform lives; removed with everything on the server when dropped.
pub struct Site {
    pub settings: Settings,
    /// Who may remove what the site has on a server.
    server: Option<String>,
    _folder: Folder,
}

impl Site {
    /// A fresh place on the engine of this run.
    pub fn new() -> Self {
        Self::on(engine())
    }

    pub fn on(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::in_folder(|folder| folder.join("data")),
            Engine::Postgres => Self::at(&postgres_url()),
        }
    }

    /// A fresh place on the embedded engine, its data where `choose` says.
    pub fn in_folder(choose: impl FnOnce(&Path) -> PathBuf) -> Self {
        let folder = Folder::new();
        let mut settings = Settings::new(choose(folder.path()));
        settings.password_cost = 4;
        // How full the disk of the machine is must not decide a test.
        settings.disk_alert_percent = 0;
        settings.limits.retry_wait = Duration::from_millis(20);
        Self { settings, server: None, _folder: folder }
    }

    /// A fresh place on a server, with the rights of the role in its address.
    pub fn at(url: &str) -> Self {
        let unique = app::unique();
        let name = format!("shared_{unique}");
        session(url).batch_execute(&format!("CREATE DATABASE {name}")).expect("a shared database");
        Self::in_database(url, url, &unique, &name)
    }

    /// A fresh place on the throw-away server, in the name of a role of its own: `<prefix>platform`.
    pub fn as_role(rights: &str) -> Self {
        let unique = app::unique();
        let (name, role) = (format!("shared_{unique}"), format!("t{unique}_platform"));
        let mut superuser = session(&superuser_url());
        for statement in [
            format!("CREATE ROLE {role} LOGIN {rights} PASSWORD 'known'"),
            format!("CREATE DATABASE {name} OWNER {role}"),
        ] {
            superuser.batch_execute(&statement).expect("made");
        }
        let mut url = url::Url::parse(&postgres_url()).expect("url");
        url.set_username(&role).expect("user");
        url.set_password(Some("known")).expect("password");
        Self::in_database(url.as_str(), &superuser_url(), &unique, &name)
    }

    fn in_database(url: &str, remover: &str, unique: &str, name: &str) -> Self {
        let mut site = Self::on(Engine::Sqlite);
        let mut url = url::Url::parse(url).expect("url");
        url.set_path(name);
        site.settings.database = Target::Postgres(url.into());
        site.settings.database_prefix = format!("t{unique}_");
        site.settings.limits.shared_connections = 4;
        site.settings.limits.connection_budget = Some(8);
        site.server = Some(remover.to_owned());
        site
    }

    pub fn open(&self) -> Arc<Platform> {
        Platform::open(self.settings.clone()).expect("opened")
    }

    /// Puts something in the way of a database to be, named like the domain with `_`.
    pub fn block(&self, name: &str) {
        match self.settings.database.engine() {
            Engine::Sqlite => {
                std::fs::write(self.settings.data_dir.join("tenants"), "in the way").expect("blocked")
            }
            Engine::Postgres => {
                run_on_server(&format!("CREATE DATABASE {}{name}", self.settings.database_prefix))
            }
        }
    }

    /// Takes it away again.
    pub fn unblock(&self, name: &str) {
        match self.settings.database.engine() {
            Engine::Sqlite => {
                std::fs::remove_file(self.settings.data_dir.join("tenants")).expect("unblocked")
            }
            Engine::Postgres => {
                run_on_server(&format!("DROP DATABASE {}{name}", self.settings.database_prefix))
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let (Target::Postgres(url), Some(server)) = (&self.settings.database, &self.server) else { return };
        // A server of the test's own may be down or gone by now, and everything with it.
        let Ok(mut server) = SharedConn::open(&Target::Postgres(server.clone())) else { return };
        let prefix = &self.settings.database_prefix;
        let name = url::Url::parse(url).expect("url").path().trim_start_matches('/').to_owned();
        for database in names(
            &mut server,
            &format!("SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{prefix}')"),
        ) {
            if database.contains("_template_") {
                let _ = server.batch_execute(&format!("ALTER DATABASE {database} IS_TEMPLATE false"));
            }
            let _ = server.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)"));
        }
        let _ = server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        for role in names(
            &mut server,
            &format!("SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname, '{prefix}')"),
        ) {
            let _ = server.batch_execute(&format!("DROP ROLE {role}"));
        }
    }
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

/// The texts in the column `name` of a query's rows.
pub fn names(connection: &mut SharedConn, query: &str) -> Vec<String> {
    let rows: Vec<Name> = diesel::sql_query(query).load(connection).expect("query");
    rows.into_iter().map(|row| row.name).collect()
}

/// A session of the tests' role on the throw-away server.
pub fn server() -> SharedConn {
    SharedConn::open(&Target::Postgres(postgres_url())).expect("server")
}

/// A session on any server.
pub fn session(url: &str) -> SharedConn {
    SharedConn::open(&Target::Postgres(url.to_owned())).expect("a session")
}

/// The address of the throw-away server for its superuser.
pub fn superuser_url() -> String {
    std::env::var("PROVOST_TEST_POSTGRES_SUPERUSER_URL").expect("the superuser's URL")
}

pub fn run_on_server(statement: &str) {
    server().batch_execute(statement).expect("statement");
}

/// Registers an institution with a first admin who has a password, and returns its id.
pub fn register(platform: &Platform, domain: &str) -> Id {
    use schema_shared::{institutions as i, registrations as r};
    let id = Id::new();
    let connection = &mut *platform.shared.get().expect("connection");
    diesel::insert_into(i::table)
        .values((
            (i::id.eq(id), i::domain.eq(domain), i::name.eq(format!("University of {domain}"))),
            (
                i::name_key.eq(format!("university of {domain}")),
                i::kind.eq("university"),
                i::country.eq("DE"),
            ),
            (
                i::time_zone.eq("Europe/Berlin"),
                i::status.eq("pending_approval"),
                i::status_changed_at.eq(now()),
            ),
            (i::plan.eq("starter"), i::created_at.eq(now()), i::updated_at.eq(now())),
        ))
        .execute(connection)
        .expect("institution");
    diesel::insert_into(r::table)
        .values((
            r::id.eq(Id::new()),
            r::institution_id.eq(id),
            r::source.eq("form"),
            r::admin_name.eq("Zoë Çelik"),
            r::admin_email.eq(format!("admin@{domain}")),
            r::admin_password_hash.eq("$2b$04$not.a.real.hash"),
            r::search_key.eq(format!("zoe celik\tadmin@{domain}")),
            r::submitted_at.eq(now()),
        ))
        .execute(connection)
        .expect("registration");
    id
}

/// The id of an institution.
pub fn institution_id(platform: &Platform, domain: &str) -> Id {
    schema_shared::institutions::table
        .filter(schema_shared::institutions::domain.eq(domain))
        .select(schema_shared::institutions::id)
        .first(&mut *platform.shared.get().expect("connection"))
        .expect("institution")
}

/// Approves an institution and wakes the workers; returns the operation.
pub fn approve(platform: &Platform, institution_id: Id) -> Id {
    let audit = platform.audit(Actor::command_line());
    let connection = &mut *platform.shared.get().expect("connection");
    let operation = provision::start(connection, &audit, institution_id).expect("started");
    platform.operations.wake();
    operation
}

/// Waits for the end of an operation.
pub fn finished(platform: &Platform, id: Id) -> Operation {
    wait_for(platform, id, Duration::from_secs(30)).expect("read").unwrap_or_else(|| {
        let connection = &mut *platform.shared.get().expect("connection");
        panic!("not over: {:#?}", operations::find(connection, id))
    })
}

/// The status of an institution.
pub fn status(platform: &Platform, institution_id: Id) -> String {
    schema_shared::institutions::table
        .find(institution_id)
        .select(schema_shared::institutions::status)
        .first(&mut *platform.shared.get().expect("connection"))
        .expect("institution")
}

/// The row of a copy that nobody has made, on the platform's own server.
pub fn copy_of(platform: &Platform, institution_id: Id, purpose: Purpose) -> TenantCopy {
    let id = Id::new();
    let name = format!("{}copy_{}", platform.prefix.as_str(), app::unique());
    TenantCopy {
        server_id: HOME,
        id,
        institution_id: Some(institution_id),
        purpose,
        engine: platform.engine.kind(),
        location: platform.engine.home().location(&name, id),
        database_name: name,
        sealed_password: None,
        schema_version: String::new(),
        backup_id: None,
        operation_id: None,
        drop_after: now() + chrono::TimeDelta::days(7),
        created_at: now(),
    }
}

/// Nothing of an institution that was not set up is left, here or on the server.
#[track_caller]
pub fn assert_nothing_is_left(platform: &Platform, institution_id: Id) {
    let shared = &mut *platform.shared.get().expect("shared");
    assert!(tenant_databases::find(shared, institution_id).expect("read").is_none());
    assert!(platform_secrets::institution_key(shared, institution_id).expect("read").is_none());
    let indexed: i64 = schema_shared::login_index::table
        .filter(schema_shared::login_index::institution_id.eq(institution_id))
        .count()
        .get_result(shared)
        .expect("index");
    assert_eq!(indexed, 0);
    let known: Vec<String> = tenant_databases::all(shared)
        .expect("read")
        .into_iter()
        .map(|row| match row.database.engine {
            Engine::Sqlite => row.database.location,
            Engine::Postgres => row.database.database_name,
        })
        .collect();
    let mut listed = Vec::new();
    // What bars the way on SQLite is no folder.
    if platform.engine.kind() == Engine::Postgres || platform.settings.data_dir.join("tenants").is_dir() {
        listed = platform.engine.list().expect("listed");
        listed.retain(|name| !known.contains(name));
    }
    assert_eq!(listed, Vec::<String>::new());
    let mut roles = platform.engine.roles().expect("listed");
    roles.retain(|name| !known.contains(name) && !name.ends_with("_neighbour"));
    assert_eq!(roles, Vec::<String>::new());
}
