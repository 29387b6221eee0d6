//! What `scripts/bench` runs: the release binary on data of its own, timed, and beside it the yardstick.
//!
//!   bench FOLDER [list|approve|import|fleet|load ...]
//!
//! FOLDER holds the release binaries `provost` and `yardstick`. With `PROVOST_BENCH_POSTGRES_URL`, every part runs
//! on that server too; `PROVOST_BENCH_ENGINE` keeps to one engine. Prints one line a figure: what was measured, its limit, and whether it was met.

mod approve;
mod fleet;
mod import;
mod list;
mod load;
mod place;
mod report;
mod wrk;
// The browser without a screen that the tests use.
#[path = "../../../../it/support/caller.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod caller;

use std::path::PathBuf;

use place::Bench;
use provost::db::Engine;

/// A measurement on one engine.
type Part = fn(&Bench);

const PARTS: [(&str, Part); 5] = [
    ("list", list::run),
    ("approve", approve::run),
    ("import", import::run),
    ("fleet", fleet::run),
    ("load", load::run),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder of the release binaries"));
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(known, _)| known != name)) {
        eprintln!("bench: there is no part {unknown:?}");
        std::process::exit(2);
    }
    let postgres = std::env::var("PROVOST_BENCH_POSTGRES_URL").ok();
    let only = std::env::var("PROVOST_BENCH_ENGINE").ok();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let wanted_here = only.as_deref().is_none_or(|only| only == engine.as_str());
        if !wanted_here || (engine == Engine::Postgres && postgres.is_none()) {
            continue;
        }
        let bench = Bench { folder: folder.clone(), engine, server: postgres.clone() };
        for (name, part) in PARTS {
            if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
                part(&bench);
            }
        }
    }
    std::process::exit(report::summary());
}
