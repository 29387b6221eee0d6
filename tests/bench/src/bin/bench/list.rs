//! The students list and a search in it, in turn with the yardstick on the same databases.

use std::{
    net::SocketAddr,
    process::{Child, Command},
};

use provost::db::{Engine, Target};

use crate::{
    caller::Caller,
    import, place,
    place::{Bench, Place},
    report::{self, Limit, median},
    wrk,
};

const STUDENTS: usize = 5_000;
/// Rounds of both, and the length of each in seconds.
const ROUNDS: usize = 3;
const SECONDS: u32 = 5;

pub fn run(bench: &Bench) {
    let mut place = bench.place();
    let domain = import::institution(&place);
    place.start();
    let owner = place.sign_in(&format!("owner@{domain}"));
    import::students(&owner, domain, STUDENTS);
    let cookie = format!("provost={}", owner.cookie("provost").expect("signed in"));
    let hash = session_hash(&place);

    let least = if bench.engine == Engine::Sqlite { 50.0 } else { 80.0 };
    for (what, path) in [("list", "/students"), ("search", "/students?q=siobh")] {
        let path = format!("/i/{domain}{path}");
        let bytes = owner.get(&path).is(200).body.len();
        let yardstick = Yardstick::start(bench, &place, domain, bytes);
        let caller = Caller::new(yardstick.address);
        let (name, value) = hash.split_once('=').expect("a cookie");
        caller.set_cookie(name, value);
        assert_eq!(caller.get(&path).is(200).body.len(), bytes, "the yardstick answers as many bytes");
        // Both warm their caches first.
        let (own, other) = ((place.address, place.process()), (yardstick.address, yardstick.child.id()));
        wrk::run(own, &path, &cookie, 2);
        wrk::run(other, &path, &hash, 2);
        let rounds: Vec<(wrk::Run, wrk::Run)> = (0..ROUNDS)
            .map(|_| {
                let measured = wrk::run(own, &path, &cookie, SECONDS);
                (measured, wrk::run(other, &path, &hash, SECONDS))
            })
            .collect();
        let ratio = median(rounds.iter().map(|(own, other)| 100.0 * own.per_second / other.per_second));
        let detail = format!(
            "{:.0} against {:.0} requests/s, {:.2} against {:.2} ms of processor each, {bytes} bytes",
            median(rounds.iter().map(|(own, _)| own.per_second)),
            median(rounds.iter().map(|(_, other)| other.per_second)),
            median(rounds.iter().map(|(own, _)| own.processor)),
            median(rounds.iter().map(|(_, other)| other.processor)),
        );
        report::figure(
            bench.engine,
            &format!("students {what}, share of the yardstick"),
            ratio,
            " %",
            Limit::AtLeast(least),
            &detail,
        );
        let spread = median(rounds.iter().map(|(own, _)| own.p99 / own.p50));
        let detail = format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            median(rounds.iter().map(|(own, _)| own.p50)),
            median(rounds.iter().map(|(own, _)| own.p99)),
        );
        report::figure(
            bench.engine,
            &format!("students {what}, p99 over p50"),
            spread,
            "",
            Limit::Under(4.0),
            &detail,
        );
    }
}

/// The only session there is, as the yardstick takes it.
fn session_hash(place: &Place) -> String {
    let expression = match place.settings.database.engine() {
        Engine::Sqlite => "lower(hex(token_hash))",
        Engine::Postgres => "encode(token_hash, 'hex')",
    };
    let query = format!("SELECT {expression} AS name FROM sessions WHERE user_id IS NOT NULL");
    let hashes = place::names(&mut place.shared(), &query);
    format!("token={}", hashes.first().expect("a session"))
}

/// The yardstick's process.
struct Yardstick {
    child: Child,
    address: SocketAddr,
}

impl Yardstick {
    fn start(bench: &Bench, place: &Place, domain: &str, bytes: usize) -> Self {
        let address = place::free_address();
        let shared = match &place.settings.database {
            Target::Sqlite(file) => file.display().to_string(),
            Target::Postgres(shared) => shared.clone(),
        };
        let tenant = place.database(domain);
        let child = Command::new(bench.folder.join("yardstick"))
            .args([&address.port().to_string(), &bytes.to_string(), bench.engine.as_str(), &shared, &tenant])
            .spawn()
            .expect("the yardstick starts");
        place::until_listening(address);
        Self { child, address }
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
