//! A platform of 7,000 institutions: how soon it starts, how much memory it holds, how fast its own pages are; and what
//! is done to a whole fleet: migrations and backups.

mod backup;
pub mod migrate;
mod pages;

use provost::db::Engine;

use crate::{
    place::{self, Bench},
    report::{self, Limit, median},
};

const REGISTERED: usize = 7_000;
const STARTS: usize = 5;

pub fn run(bench: &Bench) {
    standing(bench);
    migrate::run(bench);
    backup::run(bench);
}

fn standing(bench: &Bench) {
    // A thousand databases fill eight gigabytes on PostgreSQL; what is measured does not depend on them.
    let active = if bench.engine == Engine::Sqlite { 1_000 } else { 100 };
    let mut place = bench.place();
    place.fill(|platform| {
        place::super_admin(platform);
        let all: Vec<_> = (0..REGISTERED).map(|n| place::register(platform, &place::domain(n))).collect();
        all.iter().take(active).for_each(|id| place::approve(platform, *id));
        let mut connection = platform.shared.get().expect("connection");
        all.iter().take(active).for_each(|id| place::active(&mut connection, *id));
    });

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        place.stop();
        starts.push(place.start().as_secs_f64());
    }
    let what = format!("start with {REGISTERED} registered and {active} active institutions");
    report::figure(bench.engine, &what, median(starts), " s", Limit::Under(1.0), "median of 5");

    place.visitor().get("/").is(200);
    let rest = place.resident();
    report::figure(
        bench.engine,
        "resident memory at rest",
        rest,
        " MiB",
        Limit::Under(60.0),
        "after one page",
    );
    for n in 0..active {
        let owner = place.sign_in(&format!("owner@{}", place::domain(n)));
        owner.get(&format!("/i/{}", place::domain(n))).is(200);
    }
    let what = format!("resident memory after {active} tenants were signed into and used");
    report::figure(bench.engine, &what, place.resident(), " MiB", Limit::Under(150.0), "dashboard of each");
    pages::run(bench.engine, &place);
}
