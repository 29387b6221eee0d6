//! What the server writes down: one line a record whatever strangers send, and nobody's secret.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use provost::db::Target;

use crate::support::{
    Folder, Site,
    app::eventually,
    binary::{Running, free_port, provost},
    caller::{Caller, raw},
};

const ADMIN_PASSWORD: &str = "canary wren teapot gravel 62";
const OWNER_PASSWORD: &str = "canary lantern moss quarrel 17";
const NEW_PASSWORD: &str = "canary mortar fennel dusk 44";
const WRONG_PASSWORD: &str = "canary that opens nothing 08";
/// How a log record begins: moment, level, target.
const RECORD: &str = "20";

/// A server that writes into a file, and people to call it.
struct Logged {
    running: Running,
    log: std::path::PathBuf,
    address: SocketAddr,
    site: Site,
    _folder: Folder,
}

impl Logged {
    fn start() -> Self {
        let (site, folder, listen) = (Site::new(), Folder::new(), free_port());
        let log = folder.path().join("log");
        let mut command = provost(&site, &[]);
        command.env("PROVOST_LISTEN", &listen).env("RUST_LOG", "info,provost=trace");
        let running = Running::start_into(command, &log, "/setup/");
        let address: SocketAddr = listen.parse().expect("an address");
        // The address is printed before the port is served.
        eventually("served", || std::net::TcpStream::connect(address).is_ok());
        Self { running, log, address, site, _folder: folder }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).expect("UTF-8")
    }

    /// The rest of the newest address in the log that has `start` in its path.
    fn link(&self, start: &str) -> String {
        let mut found = None;
        eventually(start, || {
            let text = self.text();
            found =
                text.rfind(start).map(|at| text[at..].split_whitespace().next().unwrap_or_default().into());
            found.is_some()
        });
        found.expect("a link")
    }

    /// Stops the server; all it ever wrote.
    fn stop(self) -> String {
        self.running.stop();
        fs::read_to_string(&self.log).expect("UTF-8")
    }

    fn sign_in(&self, email: &str, password: &str) -> Caller {
        let caller = Caller::new(self.address);
        caller.post("/sign-in", &[("email", email), ("password", password)]).is(303);
        caller
    }
}

#[test]
fn no_secret_is_ever_logged() {
    let logged = Logged::start();
    let mut secrets: BTreeSet<String> =
        [ADMIN_PASSWORD, OWNER_PASSWORD, NEW_PASSWORD, WRONG_PASSWORD].map(String::from).into();
    if let Target::Postgres(url) = &logged.site.settings.database {
        let url = url::Url::parse(url).expect("a URL");
        secrets.extend(url.password().map(|password| format!(":{password}@")));
    }
    let key = fs::read_to_string(logged.site.settings.data_dir.join("master.key")).expect("the key");
    secrets.extend(
        key.lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| line.split(' ').nth(1))
            .map(String::from),
    );
    let visitor = Caller::new(logged.address);

    let setup = logged.link("/setup/");
    let form = visitor.get(&setup).is(200).form("main form").fill("name", "Ada Lovelace");
    let form = form.fill("email", "ada@platform.example").fill("password", ADMIN_PASSWORD);
    form.fill("password_again", ADMIN_PASSWORD).submit(&visitor).is(303);
    visitor.post("/sign-in", &[("email", "ada@platform.example"), ("password", WRONG_PASSWORD)]).is(422);
    visitor.post(&setup, &[("password", WRONG_PASSWORD)]).is(404);
    let ada = logged.sign_in("ada@platform.example", ADMIN_PASSWORD);

    let form = visitor.get("/register").is(200).form("main form");
    let form =
        form.fill("name", "Université d’Évry").fill("kind", "university").fill("domain", "evry.example");
    let form = form.fill("country", "FR").fill("time_zone", "Europe/Paris").fill("admin_name", "Zoé Dubois");
    let form = form.fill("email", "zoe@evry.example").fill("password", OWNER_PASSWORD);
    let status = form.submit(&visitor).is(303).location().to_owned();
    let list = ada.get("/platform/registrations").is(200);
    let links = list.attributes("main tbody a", "href");
    let detail = links.iter().find(|link| link.starts_with("/platform/registrations/")).expect("a link");
    ada.post(&format!("{detail}/approval"), &[]).is(303);
    eventually("the institution is set up", || visitor.get(&status).main().contains("set up and active"));
    let zoe = logged.sign_in("zoe@evry.example", OWNER_PASSWORD);
    zoe.get("/i/evry.example/students").is(200);
    let refused =
        [("current_password", WRONG_PASSWORD), ("password", NEW_PASSWORD), ("password_again", NEW_PASSWORD)];
    zoe.post("/account/password", &refused).is(422);

    visitor.post("/password-reset", &[("email", "zoe@evry.example")]).is(303);
    let reset = logged.link("/password-reset/");
    let changed = [("password", NEW_PASSWORD), ("password_again", NEW_PASSWORD)];
    visitor.post(&reset, &changed).is(303);
    let again = logged.sign_in("zoe@evry.example", NEW_PASSWORD);
    for caller in [&ada, &zoe, &again, &visitor] {
        secrets.extend(caller.cookie("provost"));
    }
    assert!(secrets.len() >= 6, "no session's cookie was found: {}", secrets.len());
    let tokens = [&setup, &status, &reset].map(|path| path.rsplit('/').next().expect("a token").to_owned());
    let text = logged.stop();
    assert!(text.lines().filter(|line| line.starts_with(RECORD)).count() > 20, "the run was logged: {text}");
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "a secret is in the log: {secret}");
    }
    // Only where a person has no other way to a link: the first address, and the notice of a mail in the outbox.
    let notice =
        |line: &str| line.contains("/setup/") && !line.starts_with(RECORD) || line.contains("; links: ");
    for line in text.lines().filter(|line| !notice(line)) {
        for token in &tokens {
            assert!(!line.contains(token.as_str()), "a token is in the log: {line}");
        }
    }
}

#[test]
fn what_strangers_send_stays_one_record() {
    let logged = Logged::start();
    let forged = "2026-01-01T00:00:00.000Z INFO  provost all is well";
    let evil = format!("x\r\n{forged}\n\u{1b}[2J\u{85}{forged}");
    let visitor = Caller::new(logged.address);
    visitor.post("/sign-in", &[("email", &evil), ("password", &evil)]).is(422);
    visitor.post("/sign-in", &[("email", &format!("a@x.example\r\n{forged}")), ("password", "p")]).is(422);
    visitor.post("/password-reset", &[("email", &evil)]);
    let form = visitor.get("/register").is(200).form("main form");
    let form = form.fill("name", &evil).fill("admin_name", &evil).fill("domain", &evil).fill("email", &evil);
    form.fill("password", OWNER_PASSWORD).submit(&visitor).is(422);
    let escaped: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    visitor.get(&format!("/{}", escaped.replace('+', "%20"))).is(404);
    visitor.get(&format!("/setup/{}", escaped.replace('+', "%20")));
    visitor.get(&format!("/health/live?q={escaped}"));
    for header in ["User-Agent", "X-Forwarded-For", "Referer", "Cookie"] {
        raw(logged.address, format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n{header}: \x1b[2J\u{85}{forged}\r\nConnection: close\r\n\r\n", logged.address).as_bytes());
    }
    raw(logged.address, format!("GE\x1bT /\x1b[2J{forged} HTTP/1.1\r\n\r\n").as_bytes());
    eventually("the requests are logged", || logged.text().contains("GET /health/live"));

    let text = logged.text();
    for line in text.lines() {
        assert!(!line.starts_with("2026-01-01T"), "a forged record: {line}");
        assert!(!line.chars().any(char::is_control), "a control character: {line:?}");
    }
}
