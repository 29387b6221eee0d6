//! A backup, beside the tool that makes the bare copy.

use std::{path::Path, process::Command, time::Instant};

use provost::{
    db::Engine,
    models::{Actor, platform::backups::Reason},
    services::backups,
};

use crate::{
    import,
    place::{self, Bench},
    report::{self, Limit, median},
};

const STUDENTS: usize = 20_000;
const ROUNDS: usize = 5;

pub fn run(bench: &Bench) {
    let mut place = bench.place();
    let domain = import::institution(&place);
    place.start();
    let owner = place.sign_in(&format!("owner@{domain}"));
    import::students(&owner, domain, STUDENTS);
    place.stop();
    let (source, spool) = (place.database(domain), place.settings.data_dir.join("bare"));
    place.fill(|platform| {
        let audit = platform.audit(Actor::command_line());
        let mut connection = platform.shared.get().expect("connection");
        let institution =
            provost::models::platform::institutions::find_by_domain(&mut connection, domain).expect("found");
        drop(connection);
        let (mut own, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            backups::take(platform, &audit, Some(institution.id), Reason::Requested).expect("backed up");
            own.push(begin.elapsed().as_secs_f64());
            let begin = Instant::now();
            copy(bench.engine, &source, &spool);
            bare.push(begin.elapsed().as_secs_f64());
            std::fs::remove_file(&spool).expect("removed");
        }
        let (own, bare) = (median(own), median(bare));
        let tool = if bench.engine == Engine::Sqlite { "VACUUM INTO" } else { "pg_dump" };
        let detail = format!(
            "{:.0} against {:.0} ms, {STUDENTS} students, median of {ROUNDS}, sealed, counted and on the disk",
            own * 1_000.0,
            bare * 1_000.0
        );
        let what = format!("a backup, as many times as long as {tool}");
        report::figure(bench.engine, &what, own / bare, "", Limit::Under(1.5), &detail);
    });
}

/// The copy alone, on the disk.
fn copy(engine: Engine, source: &str, to: &Path) {
    match engine {
        Engine::Sqlite => {
            let connection = rusqlite::Connection::open(source).expect("opened");
            connection.execute("VACUUM INTO ?1", [to.display().to_string()]).expect("copied");
        }
        Engine::Postgres => {
            let dump = place::newest("pg_dump");
            let status = Command::new(dump).args(["--format=custom", "--file"]).arg(to).arg(source).status();
            assert!(status.expect("pg_dump runs").success());
        }
    }
    std::fs::File::open(to).and_then(|file| file.sync_all()).expect("on the disk");
}
