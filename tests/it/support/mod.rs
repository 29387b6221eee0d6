//! A platform of its own for each test, on the engine that `PROVOST_TEST_ENGINE` names.

pub mod app;
pub mod binary;
pub mod caller;
pub mod dump;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use diesel::{connection::SimpleConnection, prelude::*};
use provost::{
    db::{Engine, Id, Target, now, schema_shared, shared::SharedConn},
    models::{
        Actor,
        platform::operations::{self, Operation},
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
    _folder: Folder,
}

impl Site {
    /// A fresh place on the engine of this run.
    pub fn new() -> Self {
        Self::on(engine())
    }

    pub fn on(engine: Engine) -> Self {
        let folder = Folder::new();
        let mut settings = Settings::new(folder.path().join("data"));
        settings.password_cost = 4;
        settings.limits.retry_wait = Duration::from_millis(20);
        if engine == Engine::Postgres {
            let unique = &Id::new().to_string().replace('-', "")[20..];
            let mut url = url::Url::parse(&postgres_url()).expect("url");
            let name = format!("shared_{unique}");
            run_on_server(&format!("CREATE DATABASE {name}"));
            url.set_path(&name);
            settings.database = Target::Postgres(url.into());
            settings.database_prefix = format!("t{unique}_");
            settings.limits.shared_connections = 4;
            settings.limits.connection_budget = Some(8);
        }
        Self { settings, _folder: folder }
    }

    pub fn open(&self) -> Arc<Platform> {
        Platform::open(self.settings.clone()).expect("opened")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let Target::Postgres(url) = &self.settings.database else { return };
        let prefix = &self.settings.database_prefix;
        let name = url::Url::parse(url).expect("url").path().trim_start_matches('/').to_owned();
        let mut server = server();
        for database in names(
            &mut server,
            &format!("SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{prefix}')"),
        ) {
            let _ = server.batch_execute(&format!("ALTER DATABASE {database} IS_TEMPLATE false"));
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
