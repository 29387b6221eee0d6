//! Strangers at the door: a storm of them, many at the same instant, and those who listen for who has an account.

use std::{
    collections::BTreeMap,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use provost::{
    models::{
        institution::users::Role,
        platform::throttles::{self, Rule},
    },
    services::passwords::DEFAULT_QUEUE,
};

use crate::support::{
    app::{Institution, PASSWORD, TestApp},
    caller::Answer,
};

/// Addresses that nobody has used before.
fn addresses() -> impl Iterator<Item = String> {
    (0_u16..).map(|n| format!("10.7.{}.{}", n >> 8, n & 255))
}

fn attempt(app: &TestApp, address: &str, email: &str) -> Answer {
    let caller = app.visitor().with("x-forwarded-for", address);
    caller.post("/sign-in", &[("email", email), ("password", "this is not the password")])
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_full_queue_of_sign_ins_is_refused_at_once_and_health_answers_meanwhile() {
    let app = TestApp::with(|settings| settings.password_cost = 11);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let storm = DEFAULT_QUEUE + cores + 60;
    let (answers, health) = thread::scope(|scope| {
        let attempts: Vec<_> = addresses()
            .take(storm)
            .enumerate()
            .map(|(n, address)| {
                let app = &app;
                scope.spawn(move || attempt(app, &address, &format!("nobody{n}@evry.example")))
            })
            .collect();
        let mut health = Vec::new();
        while attempts.iter().any(|attempt| !attempt.is_finished()) {
            let begun = Instant::now();
            app.visitor().get("/health/live").is(200);
            health.push(begun.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
        (attempts.into_iter().map(|attempt| attempt.join().expect("answered")).collect::<Vec<_>>(), health)
    });
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
        if answer.status != 422 {
            assert!(matches!(answer.status, 429 | 503), "{}", answer.text());
            assert!(answer.header("retry-after").is_some());
        }
    }
    assert!(statuses.get(&422).is_some_and(|served| *served >= cores), "{statuses:?}");
    assert!(statuses.len() > 1, "nobody was refused: {statuses:?}");
    assert!(health.len() > 10, "{} looks", health.len());
    let median = median(health);
    assert!(median < Duration::from_millis(100), "health took {median:?}; {statuses:?}");
}

#[test]
fn first_tries_at_the_same_instant_are_all_counted_and_none_fails() {
    const AT_ONCE: usize = 12;
    let app = TestApp::start();
    let mut addresses = addresses();
    let together = |work: &(dyn Fn() -> u16 + Sync)| -> Vec<u16> {
        let gate = Barrier::new(AT_ONCE);
        thread::scope(|scope| {
            let meet = || {
                gate.wait();
                work()
            };
            let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(meet)).collect();
            all.into_iter().map(|one| one.join().expect("answered")).collect()
        })
    };
    for _ in 0..4 {
        let address = addresses.next().expect("endless");
        let visitor = || app.visitor().with("x-forwarded-for", &address);
        let reset =
            together(&|| visitor().post("/password-reset", &[("email", "nobody@evry.example")]).status);
        assert_eq!(reset, [303; AT_ONCE]);
        let form = visitor().get("/register").is(200).form("main form");
        let form =
            form.fill("name", "Université d’Évry").fill("kind", "university").fill("domain", "evry.example");
        let form =
            form.fill("country", "FR").fill("time_zone", "Europe/Paris").fill("admin_name", "Zoé Dubois");
        let form = form.fill("email", "zoe@evry.example").fill("password", PASSWORD);
        let register = together(&|| form.submit(&visitor()).status);
        assert!(register.iter().all(|status| matches!(status, 303 | 422 | 429)), "{register:?}");
        assert!(register.iter().filter(|status| **status != 429).count() <= 10, "{register:?}");
    }
    // No try slips in between another's look and its count.
    let rule = Rule { free: 5, longest_seconds: 60 };
    for subject in ["one", "two", "three"] {
        let admitted = together(&|| {
            let wait = app.platform.shared.get().map(|mut c| throttles::enter(&mut c, &[(subject, rule)]));
            u16::from(wait.expect("a connection").expect("counted") == 0)
        });
        assert_eq!(admitted.iter().sum::<u16>(), 5, "{admitted:?}");
    }
}

/// Slow: runs with `PROVOST_TEST_SLOW=1`.
#[test]
fn nothing_tells_who_has_an_account() {
    if std::env::var_os("PROVOST_TEST_SLOW").is_none() {
        return;
    }
    let app = TestApp::with(|settings| settings.password_cost = 9);
    let a = app.institution("evry.example");
    let mut addresses = addresses();
    let sign_in =
        compare(&app, &a, |email| attempt(&app, &addresses.next().expect("endless"), email).is(422));
    let reset = compare(&app, &a, |email| {
        let caller = app.visitor().with("x-forwarded-for", &addresses.next().expect("endless"));
        caller.post("/password-reset", &[("email", email)]).is(303)
    });
    println!("sign-in (known, unknown): {sign_in:?}; reset: {reset:?}");
}

/// Asks about as many known as unknown people, by turns; answers must not differ but in the e-mail. The medians.
fn compare(app: &TestApp, a: &Institution, mut ask: impl FnMut(&str) -> Answer) -> (Duration, Duration) {
    const EACH: usize = 60;
    let known: Vec<String> = (0..EACH)
        .map(|_| {
            let email = format!("{}@known.example", crate::support::app::unique());
            app.new_user(a, &email, Role::Viewer);
            email
        })
        .collect();
    let unknown = (0..EACH).map(|_| format!("{}@known.example", crate::support::app::unique()));
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    let mut first = None;
    for pair in known.iter().cloned().zip(unknown) {
        for (email, times) in [(pair.0, &mut of_known), (pair.1, &mut of_unknown)] {
            let begun = Instant::now();
            let answer = ask(&email);
            times.push(begun.elapsed());
            // Their order is nobody's choice, and some differ from answer to answer.
            let changing = ["date", "set-cookie", "content-length"];
            let value = |name: &str, value: &str| {
                if changing.contains(&name) { String::new() } else { value.to_owned() }
            };
            let heads: BTreeMap<_, _> =
                answer.headers.iter().map(|(name, text)| (name.clone(), value(name, text))).collect();
            let seen = (answer.status, heads, answer.text().replace(&email, "E-MAIL"));
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen);
        }
    }
    let (known, unknown) = (median(of_known), median(of_unknown));
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.75..1.34).contains(&ratio), "known {known:?}, unknown {unknown:?}");
    (known, unknown)
}
