//! Where a measurement happens: a folder and databases of its own, filled by the services, served by the binary.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection as _;
use provost::{
    db::{Engine, Id, Target, shared::SharedConn},
    models::{
        Actor,
        platform::{
            admins::{self, AdminRole, NewAdmin},
            institutions::{self, Kind, Status},
            registrations::{self, FirstAdmin, NewInstitution, NewRegistration, Source},
            tenant_databases,
        },
        text::Email,
    },
    services::{decisions, platform::Platform, settings::Settings},
};

use crate::caller::{Answer, Caller};

/// Everybody's password here.
pub const PASSWORD: &str = "wren teapot gravel 62";
/// Nothing takes longer, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(300);

/// What every part is given.
pub struct Bench {
    /// The release binaries.
    pub folder: PathBuf,
    pub engine: Engine,
    /// The PostgreSQL server.
    pub server: Option<String>,
}

/// A platform that is gone with its folder, its databases and its process.
pub struct Place {
    pub settings: Settings,
    folder: PathBuf,
    binaries: PathBuf,
    server: Option<String>,
    running: Option<Child>,
    pub address: SocketAddr,
}

impl Bench {
    /// An empty platform.
    pub fn place(&self) -> Place {
        let unique = Id::new().to_string().replace('-', "")[20..].to_owned();
        let folder = std::env::temp_dir().join(format!("provost-bench-{unique}"));
        let mut settings = Settings::new(folder.join("data"));
        // Signing a thousand people in is not what is measured.
        settings.password_cost = 4;
        let server = self.server.clone().filter(|_| self.engine == Engine::Postgres);
        if let Some(server) = &server {
            let name = format!("bench_{unique}_shared");
            let mut url = url::Url::parse(server).expect("a URL");
            url.set_path(&name);
            on(server, &format!("CREATE DATABASE {name}"));
            settings.database = Target::Postgres(url.into());
            settings.database_prefix = format!("bench_{unique}_");
        }
        let address = free_address();
        settings.public_url = format!("http://{address}");
        Place { settings, folder, binaries: self.folder.clone(), server, running: None, address }
    }
}

impl Place {
    /// Works on the platform without the web, workers included.
    pub fn fill<T>(&self, work: impl FnOnce(&Arc<Platform>) -> T) -> T {
        let platform = Platform::open(self.settings.clone()).expect("opened");
        let workers = platform.start_workers().expect("workers");
        let result = work(&platform);
        workers.stop();
        platform.close();
        result
    }

    /// A connection to the shared database.
    pub fn shared(&self) -> SharedConn {
        SharedConn::open(&self.settings.database).expect("the shared database")
    }

    /// The file of an institution's database, or its address in the name of the server's owner: the tenant's own
    /// password is sealed.
    pub fn database(&self, domain: &str) -> String {
        let mut connection = self.shared();
        let institution = institutions::find_by_domain(&mut connection, domain).expect("institution");
        let database = tenant_databases::find(&mut connection, institution.id).expect("read").expect("a row");
        let Some(server) = &self.server else {
            return self
                .settings
                .data_dir
                .join(&database.location)
                .join("institution.db")
                .display()
                .to_string();
        };
        let owner = std::env::var("PROVOST_BENCH_POSTGRES_SUPERUSER_URL").unwrap_or_else(|_| server.clone());
        let mut url = url::Url::parse(&owner).expect("a URL");
        url.set_path(&database.database_name);
        url.into()
    }

    /// The binary with the settings of this place and nothing else from the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("provost"));
        command.args(arguments).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where pg_dump is found.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("PROVOST_LISTEN", self.address.to_string())
            .env("PROVOST_PUBLIC_URL", &self.settings.public_url)
            .env("PROVOST_DATA_DIR", &self.settings.data_dir)
            .env("PROVOST_PASSWORD_COST", self.settings.password_cost.to_string());
        if let Target::Postgres(url) = &self.settings.database {
            command
                .env("PROVOST_DATABASE_URL", url)
                .env("PROVOST_DATABASE_PREFIX", &self.settings.database_prefix);
        }
        command
    }

    /// Starts the binary; returns the time until it says that it is ready.
    pub fn start(&mut self) -> Duration {
        let mut command = self.command(&["serve"]);
        if let Some(folder) = &self.settings.later_migrations {
            command.env("PROVOST_TEST_MIGRATIONS", folder);
        }
        // To measure what collecting figures costs.
        if let Some(unmetered) = std::env::var_os("PROVOST_TEST_UNMETERED") {
            command.env("PROVOST_TEST_UNMETERED", unmetered);
        }
        let begin = Instant::now();
        self.running = Some(command.spawn().expect("provost starts"));
        until_listening(self.address);
        let ready = || self.visitor().get("/health/ready").status == 200;
        until("it is ready", Duration::from_millis(1), ready);
        begin.elapsed()
    }

    /// Ends the binary as an operator does.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }

    /// Resident memory of the binary, in MiB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number");
        kibibytes / 1024.0
    }

    /// The process id of the binary.
    pub fn process(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// The PostgreSQL server, where there is one.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    pub fn visitor(&self) -> Caller {
        Caller::new(self.address)
    }

    pub fn sign_in(&self, email: &str) -> Caller {
        let caller = self.visitor();
        caller.post("/sign-in", &[("email", email), ("password", PASSWORD)]).is(303);
        caller
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
        let Some(server) = &self.server else { return };
        let prefix = &self.settings.database_prefix;
        let mut server = SharedConn::open(&Target::Postgres(server.clone())).expect("server");
        let databases =
            format!("SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{prefix}')");
        for name in names(&mut server, &databases) {
            let _ = server.batch_execute(&format!("ALTER DATABASE {name} IS_TEMPLATE false"));
            let _ = server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
        let roles =
            format!("SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname, '{prefix}')");
        for name in names(&mut server, &roles) {
            let _ = server.batch_execute(&format!("DROP ROLE {name}"));
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

/// The texts in the column `name`.
pub fn names(connection: &mut SharedConn, query: &str) -> Vec<String> {
    use diesel::RunQueryDsl as _;
    let rows: Vec<Name> = diesel::sql_query(query).load(connection).expect("names");
    rows.into_iter().map(|row| row.name).collect()
}

/// A program of the newest PostgreSQL there is.
pub fn newest(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(number);
    newest.expect("a version").join("bin").join(program)
}

/// Runs one statement on the server.
pub fn on(server: &str, statement: &str) {
    let mut connection = SharedConn::open(&Target::Postgres(server.to_owned())).expect("server");
    connection.batch_execute(statement).expect("statement");
}

/// Registers, approves and waits for so many institutions: `u0.example` and so on.
pub fn fleet(platform: &Platform, count: usize) -> Vec<Id> {
    let ids: Vec<Id> = (0..count).map(|n| register(platform, &domain(n))).collect();
    ids.iter().for_each(|id| approve(platform, *id));
    let mut connection = platform.shared.get().expect("connection");
    ids.iter().for_each(|id| active(&mut connection, *id));
    ids
}

/// The domain of the n-th institution of a fleet.
pub fn domain(n: usize) -> String {
    format!("u{n}.example")
}

/// The super admin's address.
pub const SUPER_ADMIN: &str = "ada@platform.example";

/// Makes a super admin; returns their address.
pub fn super_admin(platform: &Platform) -> &'static str {
    let hash = platform.passwords.hash_sync(PASSWORD).expect("hashed");
    let email = Email::parse(SUPER_ADMIN).expect("an address");
    let new = NewAdmin {
        email: SUPER_ADMIN,
        email_normalised: &email.normalised(),
        name: "Ada Lovelace",
        role: AdminRole::SuperAdmin,
    };
    let mut connection = platform.shared.get().expect("connection");
    admins::create(&mut connection, &platform.audit(Actor::command_line()), &new, &hash).expect("made");
    SUPER_ADMIN
}

/// Registers an institution whose admin is `owner@DOMAIN`.
pub fn register(platform: &Platform, domain: &str) -> Id {
    let new = NewRegistration {
        institution: NewInstitution {
            domain: domain.into(),
            name: format!("University of {domain}"),
            kind: Kind::University,
            country: "FR".into(),
            region: None,
            website: None,
            time_zone: "Europe/Paris".into(),
        },
        admin: Some(FirstAdmin {
            name: "Olympe de Gouges".into(),
            email: format!("owner@{domain}"),
            password_hash: Some(platform.passwords.hash_sync(PASSWORD).expect("hashed")),
        }),
        source: Source::Form,
        trial_ends_at: None,
    };
    let mut connection = platform.shared.get().expect("connection");
    let audit = platform.audit(Actor::command_line());
    decisions::register(&mut connection, platform, &audit, new).expect("registered").institution.id
}

/// Approves a registration; a worker makes the database.
pub fn approve(platform: &Platform, institution: Id) {
    let mut connection = platform.shared.get().expect("connection");
    let registration = registrations::latest_of(&mut connection, institution).expect("a registration").id;
    decisions::approve(&mut connection, platform, &platform.audit(Actor::command_line()), registration)
        .expect("approved");
}

/// Waits until an institution is active.
pub fn active(connection: &mut SharedConn, institution: Id) {
    until("the institution is active", Duration::from_millis(2), || {
        let status = institutions::find(connection, institution).expect("the institution").status;
        assert!(matches!(status, Status::Provisioning | Status::Active), "it is {status}");
        status == Status::Active
    });
}

/// Waits for the end of an operation that has a page.
pub fn finished(caller: &Caller, path: &str) -> Answer {
    until("the operation is over", Duration::from_millis(10), || {
        !caller.get(path).is(200).has("[data-live=running]")
    });
    caller.get(path)
}

/// Looks again and again, `every` so often.
pub fn until(what: &str, every: Duration, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "it never came about that {what}");
        std::thread::sleep(every);
    }
}

/// Waits until somebody takes connections at this address.
pub fn until_listening(address: SocketAddr) {
    until("somebody listens", Duration::from_millis(1), || std::net::TcpStream::connect(address).is_ok());
}

/// Processor time of a process so far, in milliseconds.
pub fn processor_time(process: u32) -> f64 {
    // Linux counts in hundredths of a second here; the name before the fields ends with a bracket.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("its figures");
    let fields = stat.rsplit(") ").next().expect("fields").split(' ');
    fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("a number") * 10.0).sum()
}

/// An address that nobody listens at.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}
