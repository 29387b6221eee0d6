//! The whole app on a port of its own: server, workers, databases, and people to call it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use actix_web::dev::ServerHandle;
use base64::Engine as _;
use chrono::TimeDelta;
use provost::{
    app::{self, WebSettings},
    db::{Engine, Id, Target, now, shared::SharedConn, tenant::TenantConn},
    models::{
        Actor,
        institution::{
            activity::Activity,
            users::{self, NewUser, Role},
        },
        platform::{
            admins::{self, AdminRole, NewAdmin},
            audit::Audit,
            institutions::Kind,
            login_index::{self, Login},
            outgoing_mails,
            registrations::{self, FirstAdmin, NewInstitution, NewRegistration, Source},
            tenant_databases::{self, NewTenantDatabase},
        },
        text::Email,
    },
    services::{decisions, operations::Workers, platform::Platform, settings::Settings},
    web::client::TrustedProxies,
};

use super::{Site, caller::Caller};

/// A password that every rule allows.
pub const PASSWORD: &str = "wren teapot gravel 62";
/// Another one.
pub const OTHER_PASSWORD: &str = "lantern moss quarrel 17";
/// Nothing in these tests takes longer, or something is wrong.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running Provost. Server, workers, databases and files go with it.
pub struct TestApp {
    pub platform: Arc<Platform>,
    pub address: SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    workers: Option<Workers>,
    site: Option<Site>,
}

/// An active institution.
#[derive(Clone)]
pub struct Institution {
    pub id: Id,
    pub domain: String,
    pub name: String,
    /// Who registered it; their password is [`PASSWORD`].
    pub owner_email: String,
}

impl Institution {
    /// An address of its pages.
    pub fn path(&self, rest: &str) -> String {
        format!("/i/{}{rest}", self.domain)
    }
}

impl TestApp {
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    /// With other settings.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut site = Site::new();
        change(&mut site.settings);
        Self::on(site)
    }

    /// On a place that was prepared.
    pub fn on(mut site: Site) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        // Another public URL than the default's was asked for, and stays.
        if site.settings.public_url.starts_with("http://127.0.0.1") {
            site.settings.public_url = format!("http://{address}");
        }
        let platform = site.open();
        let workers = platform.start_workers().expect("workers");
        let (server, thread) = serve(&platform, listener);
        Self { platform, address, server, thread: Some(thread), workers: Some(workers), site: Some(site) }
    }

    /// Stops, and starts again on the same data.
    pub fn restart(mut self) -> Self {
        self.stop();
        Self::on(self.site.take().expect("a running app has a site"))
    }

    /// As [`Self::restart`], with other settings.
    pub fn restart_with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.stop();
        let mut site = self.site.take().expect("a running app has a site");
        change(&mut site.settings);
        Self::on(site)
    }

    /// Stops, and leaves the place to others.
    pub fn into_site(mut self) -> Site {
        self.stop();
        self.site.take().expect("a running app has a site")
    }

    fn stop(&mut self) {
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ended well");
        }
        if let Some(workers) = self.workers.take() {
            workers.stop();
        }
        self.platform.close();
    }

    pub fn engine(&self) -> Engine {
        self.platform.engine.kind()
    }

    /// Where it runs, for commands beside it.
    pub fn site(&self) -> &Site {
        self.site.as_ref().expect("a running app has a site")
    }

    pub fn settings(&self) -> &Settings {
        &self.platform.settings
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Caller {
        Caller::new(self.address)
    }

    /// Signs in on the page, from a new browser.
    #[track_caller]
    pub fn sign_in(&self, email: &str, password: &str) -> Caller {
        let caller = self.visitor();
        let answer = caller.post("/sign-in", &[("email", email), ("password", password)]).is(303);
        let home = answer.location();
        assert!(home == "/platform" || home.starts_with("/i/"), "{email} was sent to {home}");
        caller
    }

    /// A super admin who has just been made and signed in.
    pub fn super_admin(&self) -> Caller {
        let email = format!("ada.{}@platform.example", unique());
        self.new_super_admin(&email);
        self.sign_in(&email, PASSWORD)
    }

    /// A platform admin of this role who has just been made and signed in.
    pub fn platform_admin(&self, role: AdminRole) -> Caller {
        let email = format!("{role}.{}@platform.example", unique());
        self.new_platform_admin(&email, role);
        self.sign_in(&email, PASSWORD)
    }

    /// Makes a super admin.
    pub fn new_super_admin(&self, email: &str) -> Id {
        self.new_platform_admin(email, AdminRole::SuperAdmin)
    }

    /// Makes a platform admin of this role.
    pub fn new_platform_admin(&self, email: &str, role: AdminRole) -> Id {
        let hash = self.platform.passwords.hash_sync(PASSWORD).expect("hashed");
        let email = Email::parse(email).expect("an address");
        let new = NewAdmin {
            email: email.as_str(),
            email_normalised: &email.normalised(),
            name: "Ada Lovelace",
            role,
        };
        let mut connection = self.platform.shared.get().expect("connection");
        let audit = self.platform.audit(Actor::command_line());
        admins::create(&mut connection, &audit, &new, &hash).expect("made").id
    }

    /// An institution that was registered, approved and set up.
    #[track_caller]
    pub fn institution(&self, domain: &str) -> Institution {
        let institution = self.registered(domain);
        self.approve(institution.id);
        institution
    }

    /// An institution that waits for a decision.
    pub fn registered(&self, domain: &str) -> Institution {
        let name = format!("Université of {domain}");
        let owner_email = format!("owner@{domain}");
        let new = NewRegistration {
            institution: NewInstitution {
                domain: domain.into(),
                name: name.clone(),
                kind: Kind::University,
                country: "FR".into(),
                region: None,
                website: None,
                time_zone: "Europe/Paris".into(),
            },
            admin: Some(FirstAdmin {
                name: "Olympe de Gouges".into(),
                email: owner_email.clone(),
                password_hash: Some(self.platform.passwords.hash_sync(PASSWORD).expect("hashed")),
            }),
            source: Source::Form,
            trial_ends_at: None,
        };
        let mut connection = self.platform.shared.get().expect("connection");
        let audit = self.platform.audit(Actor::command_line());
        let registered =
            decisions::register(&mut connection, &self.platform, &audit, new).expect("registered");
        Institution { id: registered.institution.id, domain: domain.into(), name, owner_email }
    }

    #[track_caller]
    fn approve(&self, institution_id: Id) {
        let audit = self.platform.audit(Actor::command_line());
        {
            let mut connection = self.platform.shared.get().expect("connection");
            let registration =
                registrations::latest_of(&mut connection, institution_id).expect("registered").id;
            decisions::approve(&mut connection, &self.platform, &audit, registration).expect("approved");
        }
        eventually("the institution is active", || {
            let status = super::status(&self.platform, institution_id);
            assert!(status == "provisioning" || status == "active", "the institution is {status}");
            status == "active"
        });
    }

    pub fn suspend(&self, institution: &Institution) {
        let audit = self.platform.audit(Actor::command_line());
        let mut connection = self.platform.shared.get().expect("connection");
        decisions::suspend(&mut connection, &self.platform, &audit, institution.id, "Unpaid")
            .expect("suspended");
    }

    pub fn reactivate(&self, institution: &Institution) {
        let audit = self.platform.audit(Actor::command_line());
        let mut connection = self.platform.shared.get().expect("connection");
        decisions::reactivate(&mut connection, &self.platform, &audit, institution.id).expect("reactivated");
    }

    /// The institution's first owner, signed in.
    #[track_caller]
    pub fn owner(&self, institution: &Institution) -> Caller {
        self.sign_in(&institution.owner_email, PASSWORD)
    }

    #[track_caller]
    pub fn registrar(&self, institution: &Institution) -> Caller {
        self.member(institution, Role::Registrar)
    }

    #[track_caller]
    pub fn viewer(&self, institution: &Institution) -> Caller {
        self.member(institution, Role::Viewer)
    }

    #[track_caller]
    fn member(&self, institution: &Institution, role: Role) -> Caller {
        let email = format!("{}.{}@people.example", role.as_str(), unique());
        self.new_user(institution, &email, role);
        self.sign_in(&email, PASSWORD)
    }

    /// Makes an active user of an institution.
    pub fn new_user(&self, institution: &Institution, email: &str, role: Role) -> Id {
        let hash = self.platform.passwords.hash_sync(PASSWORD).expect("hashed");
        let email = Email::parse(email).expect("an address");
        let activity = Activity::new(Actor::command_line());
        let mut shared = self.platform.shared.get().expect("connection");
        let tenant = self.platform.tenants.open(&mut shared, institution.id).expect("opened");
        let mut connection = tenant.get().expect("connection");
        let new = NewUser { email: email.clone(), name: "Member Meier".into(), roles: vec![role] };
        let id = users::create_invited(&mut connection, &activity, &new).expect("invited");
        users::accept_invitation(&mut connection, &activity, id, "Member Meier", &hash).expect("accepted");
        let login = Login { institution_id: institution.id, user_id: id };
        login_index::add(&mut shared, &self.platform.keys.email_hash(&email), login).expect("indexed");
        id
    }

    /// Mails to this address, oldest first, decoded.
    pub fn mails(&self, to: &str) -> Vec<String> {
        // The worker looks once a second; the tests do not wait for it, but for the mail that it has in hand.
        eventually("every mail is written", || {
            self.platform.outbox.send_due().expect("sent");
            let mut c = self.platform.shared.get().expect("connection");
            outgoing_mails::unsent(&mut c, now() + TimeDelta::hours(1)).expect("counted").stuck == 0
        });
        let folder = self.settings().data_dir.join("outbox");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        paths.sort();
        let mails = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "eml"));
        let mails = mails.map(|path| decoded(&std::fs::read_to_string(path).expect("readable")));
        mails.filter(|mail| mail.lines().any(|line| line.starts_with("To:") && line.contains(to))).collect()
    }

    /// The path in the newest mail to this address that starts so, as soon as it is there.
    #[track_caller]
    pub fn mailed_path(&self, to: &str, start: &str) -> String {
        let mut found = None;
        eventually("a mail with the link", || {
            found = self.mails(to).iter().rev().find_map(|mail| {
                let at = mail.find(&format!("{}{start}", self.settings().public_url))?;
                let path = &mail[at + self.settings().public_url.len()..];
                Some(path.split_whitespace().next().unwrap_or_default().to_owned())
            });
            found.is_some()
        });
        found.expect("found")
    }

    /// Runs a statement on the shared database, behind the app's back.
    pub fn sql(&self, statement: &str) {
        use diesel::connection::SimpleConnection as _;
        let mut connection = self.platform.shared.get().expect("connection");
        connection.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// An institution with a row of a database that is not there, for lists that are long.
    pub fn fill(&self, c: &mut SharedConn, audit: &Audit, domain: &str) {
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
            admin: None,
            source: Source::Import,
            trial_ends_at: None,
        };
        let id = registrations::register(c, audit, &new).expect("registered").institution.id;
        let name = format!("{}{}", self.settings().database_prefix, domain.replace('.', "_"));
        let database = NewTenantDatabase {
            id: Id::new(),
            institution_id: id,
            engine: self.engine(),
            database_name: &name,
            location: &format!("tenants/{name}"),
            schema_version: "1",
            server_id: Id::NIL,
        };
        tenant_databases::reserve(c, &database).expect("reserved");
    }

    /// An institution's database behind the app's back; on PostgreSQL as the server's superuser.
    pub fn behind(&self, institution: &Institution) -> TenantConn {
        TenantConn::open(&self.tenant_target(institution)).expect("opened")
    }

    /// Where an institution's database is.
    pub fn tenant_target(&self, institution: &Institution) -> Target {
        let mut shared = self.platform.shared.get().expect("connection");
        let row = tenant_databases::find(&mut shared, institution.id).expect("read").expect("a database");
        match self.engine() {
            Engine::Sqlite => {
                Target::Sqlite(self.settings().data_dir.join(&row.location).join("institution.db"))
            }
            Engine::Postgres => {
                let mut url = url::Url::parse(&super::superuser_url()).expect("a URL");
                url.set_path(&row.database_name);
                Target::Postgres(url.into())
            }
        }
    }

    /// Forgets all counted failures.
    pub fn forgive(&self) {
        self.sql("DELETE FROM throttles");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop();
        } else {
            drop(self.server.stop(false));
        }
    }
}

fn serve(platform: &Arc<Platform>, listener: TcpListener) -> (ServerHandle, JoinHandle<()>) {
    let (told, started) = mpsc::channel();
    let platform = Arc::clone(platform);
    let thread = std::thread::spawn(move || {
        let url = url::Url::parse(&platform.settings.public_url).expect("a URL");
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = WebSettings { trusted_proxies: TrustedProxies(vec![loopback]), workers: Some(2) };
        actix_web::rt::System::new().block_on(async {
            let server = app::server(platform, settings, url, listener).expect("a server");
            told.send(server.handle()).expect("somebody waits");
            server.await.expect("served");
        });
    });
    (started.recv().expect("started"), thread)
}

/// Waits for something that comes about by itself.
#[track_caller]
pub fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A short word that nobody else has.
pub fn unique() -> String {
    Id::new().to_string().replace('-', "")[20..].to_owned()
}

/// A mail with its body as its reader sees it.
fn decoded(mail: &str) -> String {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap_or((mail, ""));
    let encoding = head.to_lowercase();
    let body = if encoding.contains("content-transfer-encoding: base64") {
        let plain: String = body.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(plain).expect("base64");
        String::from_utf8(bytes).expect("UTF-8")
    } else if encoding.contains("content-transfer-encoding: quoted-printable") {
        let joined = body.replace("=\r\n", "");
        let percent = joined.replace('%', "%25").replace('=', "%");
        percent_encoding::percent_decode_str(&percent).decode_utf8_lossy().into_owned()
    } else {
        body.to_owned()
    };
    format!("{head}\r\n\r\n{body}")
}
