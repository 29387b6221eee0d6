//! Many institutions at work while one of them misbehaves and the fleet is migrated: whether the others notice.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use provost::db::Engine;

use crate::{
    caller::Caller,
    fleet::migrate,
    import,
    place::{self, Bench, Place},
    report::{self, Limit},
};

const INSTITUTIONS: usize = 200;
const STUDENTS: usize = 100;
/// Of the one who misbehaves.
const MANY_STUDENTS: usize = 5_000;
/// People at work, each of whom asks for something so often.
const PEOPLE: usize = 16;
const PAUSE: Duration = Duration::from_millis(200);
/// Requests in parallel from the one who misbehaves.
const FLOOD: &str = "500";

/// What the others saw.
#[derive(Default)]
struct Seen {
    /// Milliseconds of each request.
    times: Vec<f64>,
    /// How much of the whole time was over when it began.
    begun: Vec<f64>,
    errors: Vec<String>,
}

pub fn run(bench: &Bench) {
    let seconds = std::env::var("PROVOST_BENCH_LOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(600));
    let mut place = bench.place();
    place.fill(|platform| {
        place::super_admin(platform);
        place::fleet(platform, INSTITUTIONS)
    });
    place.start();
    let mut people = signed_in(&place);
    let quiet = work(&mut people, length / 5, || ());

    // The next version is put into service, and brings everybody along while they work.
    place.stop();
    place.settings.later_migrations = Some(migrate::write(&place));
    place.start();
    let admin = place.sign_in(place::SUPER_ADMIN);
    let misbehaving = place.sign_in(&format!("owner@{}", place::domain(0)));
    let mut flood = flood(&place, &misbehaving, length);
    let over = AtomicBool::new(false);
    let loud = thread::scope(|scope| {
        let hog = scope.spawn(|| hog(bench.engine, &place.database(&place::domain(0)), &over));
        let loud = work(&mut people, length, || {
            let fields = [("canaries", ""), ("wave_size", "50"), ("failure_percent", "5")];
            admin.post("/platform/migrations", &fields).is(303);
        });
        over.store(true, Ordering::SeqCst);
        hog.join().expect("the hog ended");
        loud
    });
    let _ = flood.kill();
    let _ = flood.wait();

    let behind = "SELECT institution_id::text AS name FROM tenant_databases WHERE schema_version < '2099'";
    let behind = if bench.engine == Engine::Sqlite {
        behind.replace("institution_id::text", "location")
    } else {
        behind.into()
    };
    assert_eq!(place::names(&mut place.shared(), &behind).len(), 0, "the whole fleet was migrated");
    tell(bench.engine, &quiet, &loud, length);
}

fn tell(engine: Engine, quiet: &Seen, loud: &Seen, length: Duration) {
    let all = format!(
        "{} requests in {} s to {} institutions",
        loud.times.len(),
        length.as_secs(),
        INSTITUTIONS - 1
    );
    let errors = quiet.errors.iter().chain(&loud.errors);
    let first = errors.clone().next().cloned().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let count = errors.count() as f64;
    let what = "errors of the others beside one who misbehaves and a migration";
    report::figure(engine, what, count, "", Limit::Under(1.0), &format!("{all}; {first}"));
    let (before, after) = (percentile(&quiet.times, 99), percentile(&loud.times, 99));
    let detail = format!(
        "p99 {before:.1} and {after:.1} ms, p50 {:.1} and {:.1} ms; p99 by tenth of the time: {}",
        percentile(&quiet.times, 50),
        percentile(&loud.times, 50),
        by_tenth(loud)
    );
    report::figure(
        engine,
        "their p99, as many times as in quiet",
        after / before,
        "",
        Limit::Under(2.0),
        &detail,
    );
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(f64::NAN)
}

/// Where it was worst: the fleet is migrated in the beginning.
fn by_tenth(seen: &Seen) -> String {
    let tenth = |n: u8| {
        let within = |begun: &f64| (f64::from(n)..f64::from(n + 1)).contains(&(begun * 10.0));
        let times: Vec<f64> = seen
            .begun
            .iter()
            .zip(&seen.times)
            .filter(|(begun, _)| within(begun))
            .map(|(_, time)| *time)
            .collect();
        format!("{:.0}", percentile(&times, 99))
    };
    (0..10).map(tenth).collect::<Vec<_>>().join(" ")
}

/// The owners of all institutions but the first, dealt out to those who work; everybody has students.
fn signed_in(place: &Place) -> Vec<Vec<(Caller, String)>> {
    let mut people: Vec<Vec<(Caller, String)>> = (0..PEOPLE).map(|_| Vec::new()).collect();
    for n in 0..INSTITUTIONS {
        let domain = place::domain(n);
        let owner = place.sign_in(&format!("owner@{domain}"));
        import::students(&owner, &domain, if n == 0 { MANY_STUDENTS } else { STUDENTS });
        if n > 0 {
            people[n % PEOPLE].push((owner, domain));
        }
    }
    people
}

/// Everybody works for so long, having begun with `first`.
fn work(people: &mut [Vec<(Caller, String)>], length: Duration, first: impl FnOnce()) -> Seen {
    let begin = Instant::now();
    thread::scope(|scope| {
        let all: Vec<_> = people
            .iter_mut()
            .enumerate()
            .map(|(number, theirs)| {
                scope
                    .spawn(move || one(theirs, (begin, length), PAUSE.mul_f64(number as f64 / PEOPLE as f64)))
            })
            .collect();
        first();
        all.into_iter().fold(Seen::default(), |mut seen, one| {
            let one = one.join().expect("worked");
            seen.times.extend(one.times);
            seen.begun.extend(one.begun);
            seen.errors.extend(one.errors);
            seen
        })
    })
}

/// One after the other: mostly lists and searches, now and then a record is added or everything is exported.
fn one(theirs: &mut [(Caller, String)], (start, length): (Instant, Duration), delay: Duration) -> Seen {
    thread::sleep(delay);
    let mut seen = Seen::default();
    let mut round = 0;
    while start.elapsed() < length {
        let due = Instant::now() + PAUSE;
        let (owner, domain) = &theirs[round % theirs.len()];
        seen.begun.push(start.elapsed().div_duration_f64(length));
        let begin = Instant::now();
        let (what, answer) = match (round / theirs.len() + round) % 10 {
            0 => ("GET dashboard", owner.get(&format!("/i/{domain}"))),
            1..=4 => ("GET list", owner.get(&format!("/i/{domain}/students"))),
            5 | 6 => ("GET search", owner.get(&format!("/i/{domain}/students?q=siobh"))),
            7 => ("GET export", owner.get(&format!("/i/{domain}/students.csv"))),
            8 => ("GET activity", owner.get(&format!("/i/{domain}/activity"))),
            _ => ("POST student", added(owner, domain)),
        };
        seen.times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        if !matches!(answer.status, 200 | 303) {
            seen.errors.push(format!("{what} of {domain}: {} {}", answer.status, answer.main()));
        }
        round += 1;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    seen
}

fn added(owner: &Caller, domain: &str) -> crate::caller::Answer {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let name = format!("N{}", LAST.fetch_add(1, Ordering::SeqCst));
    let fields = [("student_number", name.as_str()), ("name", "Zoë Ångström"), ("status", "active")];
    owner.post(&format!("/i/{domain}/students"), &fields)
}

/// Hundreds of requests at once for the dearest page of the one who misbehaves.
fn flood(place: &Place, owner: &Caller, length: Duration) -> Child {
    let cookie = format!("Cookie: provost={}", owner.cookie("provost").expect("signed in"));
    let url = format!("http://{}/i/{}/students?q=a+b+c&sort=name", place.address, place::domain(0));
    Command::new("wrk")
        .args(["-t1", "-c", FLOOD, "-d", &(length.as_secs() + 5).to_string(), "-H", &cookie, &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("wrk runs")
}

/// Statements that take seconds in the database of the one who misbehaves, one after another.
fn hog(engine: Engine, database: &str, over: &AtomicBool) {
    const ROWS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) SELECT count(*) FROM n";
    if engine == Engine::Sqlite {
        // The work of an embedded database is done by Provost's own threads, which come last where they queue.
        provost::db::lane::come_last();
    }
    while !over.load(Ordering::SeqCst) {
        // Being refused is part of misbehaving.
        let _ = match engine {
            Engine::Sqlite => rusqlite::Connection::open(database)
                .and_then(|c| c.execute_batch(&format!("BEGIN IMMEDIATE; {ROWS}; COMMIT")))
                .map_err(|error| error.to_string()),
            Engine::Postgres => PgConnection::establish(database)
                .map_err(|error| error.to_string())
                .and_then(|mut c| c.batch_execute(ROWS).map_err(|error| error.to_string())),
        };
        thread::sleep(Duration::from_millis(500));
    }
}
