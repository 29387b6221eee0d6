//! What the platform knows of itself: figures, sizes, alerts, webhooks, and what machines read.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::Engine as _;
use chrono::TimeDelta;
use provost::{
    db::{
        Id,
        meter::{Figures, Histogram, Request},
        now,
    },
    models::{
        Actor,
        platform::{
            alerts::{self, AlertFilter},
            backups::Reason,
            operations, slow_queries, tenant_figures,
            usage::{self, Period, Usage},
            webhooks::{self, DeliveryStatus},
        },
    },
    services::{
        backups,
        monitoring::{self, webhooks as hooks},
    },
};

use crate::support::{
    app::{Institution, TestApp, eventually},
    finished,
};

/// The figures of one period, by now.
fn figures(app: &TestApp, period: Period, id: Id) -> Usage {
    let mut c = app.platform.shared.get().expect("connection");
    usage::since(&mut c, period, id, period.start(now())).expect("read").pop().expect("figures")
}

/// Waits until no operation is at work: an institution is active a moment before its set-up has ended.
fn idle(app: &TestApp) {
    eventually("the operations have ended", || {
        let mut c = app.platform.shared.get().expect("connection");
        operations::running_count(&mut c).expect("counted") == 0
    });
}

fn visit(app: &TestApp, institution: &Institution) {
    let owner = app.owner(institution);
    for _ in 0..3 {
        owner.get(&institution.path("/students")).is(200);
    }
    owner.get(&institution.path("/students/none")).is(404);
}

#[test]
fn requests_become_figures_of_their_institution_and_of_the_platform() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    visit(&app, &a);
    monitoring::flush(&app.platform).expect("flushed");
    let day = figures(&app, Period::Day, a.id);
    assert_eq!((day.requests, day.errors, day.users), (4, 0, 1));
    assert!(day.bytes > 1_000 && day.p95_micros >= day.p50_micros && day.p50_micros > 0, "{day:?}");
    visit(&app, &a);
    visit(&app, &b);
    monitoring::flush(&app.platform).expect("flushed");
    assert_eq!(figures(&app, Period::Day, a.id).requests, 8);
    assert_eq!(figures(&app, Period::Hour, b.id).requests, 4);
    assert!(figures(&app, Period::Day, Id::NIL).requests > 12, "sign-ins are the platform's own");
    let mut c = app.platform.shared.get().expect("connection");
    let pages = usage::pages(&mut c, a.id, Period::Day.start(now()), 10).expect("read");
    assert_eq!(pages[0], ("/i/{domain}/students".to_owned(), 6));
    let present = tenant_figures::find(&mut c, a.id).expect("read");
    assert_eq!(present.requests, 8);
    assert!(present.last_activity_at.is_some());
}

/// So many requests of so many milliseconds each.
fn counted(times: impl Iterator<Item = u64>, errors: u64) -> Figures {
    let mut figures = Figures { errors, ..Figures::default() };
    for milliseconds in times {
        figures.requests += 1;
        figures.histogram.count(Histogram::bucket_of(milliseconds * 1_000));
    }
    figures
}

#[test]
fn what_two_nodes_count_adds_up_with_right_percentiles_and_goes_in_time() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let routes = HashMap::new();
    let nodes = [counted((1..=500).chain(1..=500), 3), counted((501..=1_000).chain(501..=1_000), 5)];
    std::thread::scope(|scope| {
        for figures in &nodes {
            let (app, routes) = (&app, &routes);
            scope.spawn(move || {
                let mut c = app.platform.shared.get().expect("connection");
                usage::add(&mut c, now(), &[(a.id, figures.clone())], routes).expect("added");
            });
        }
    });
    for period in [Period::Hour, Period::Day] {
        let sum = figures(&app, period, a.id);
        assert_eq!((sum.requests, sum.errors), (2_000, 8));
        for (told, right) in
            [(sum.p50_micros, 500_000.0), (sum.p95_micros, 950_000.0), (sum.p99_micros, 990_000.0)]
        {
            assert!((told as f64 / right - 1.0).abs() < 0.06, "{told} instead of {right}");
        }
    }
    // Today's and yesterday's are kept, the hours of three days ago are not, its day is.
    let mut c = app.platform.shared.get().expect("connection");
    for (days, hours_left, days_left) in [(1, 1, 1), (3, 0, 1), (800, 0, 0)] {
        let at = now() - TimeDelta::days(days);
        usage::add(&mut c, at, &[(a.id, nodes[0].clone())], &routes).expect("added");
        usage::purge(&mut c).expect("purged");
        let mut of = |period: Period| {
            let all = usage::since(&mut c, period, a.id, period.start(at)).expect("read");
            all.into_iter().filter(|row| row.starts_at == period.start(at)).count()
        };
        assert_eq!((of(Period::Hour), of(Period::Day)), (hours_left, days_left), "{days} days ago");
    }
    // Of an earlier day nothing is told as today's.
    usage::add(&mut c, now() + TimeDelta::days(1), &[(Id::NIL, nodes[0].clone())], &routes).expect("added");
    assert_eq!(tenant_figures::find(&mut c, a.id).expect("read").requests, 0);
}

#[test]
fn slow_queries_are_kept_without_their_values_and_shown() {
    let app = TestApp::with(|settings| settings.limits.slow_query = Duration::ZERO);
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    owner.get(&a.path("/students?q=Geheimnis")).is(200);
    monitoring::flush(&app.platform).expect("flushed");
    let mut c = app.platform.shared.get().expect("connection");
    let found = slow_queries::costliest(&mut c, a.id, 100).expect("read");
    drop(c);
    assert!(found.iter().any(|query| query.statement.contains("students")), "{found:#?}");
    for query in &found {
        let text = query.statement.to_lowercase();
        assert!(!text.contains("geheimnis") && !text.contains("binds") && !text.contains('$'), "{text}");
        assert!(query.runs > 0 && query.worst_micros <= query.total_micros);
    }
    let admin = app.super_admin();
    admin.get("/platform/institutions/evry.example").is(200).shows("Slow queries").shows("Longest");
}

#[test]
fn who_waits_at_the_gate_is_counted() {
    let app = TestApp::with(|settings| settings.limits.tenant_connections = 1);
    let a = app.institution("evry.example");
    let owner = app.owner(&a);
    let mut shared = app.platform.shared.get().expect("connection");
    let tenant = app.platform.tenants.open(&mut shared, a.id).expect("opened");
    drop(shared);
    let held = tenant.get().expect("connection");
    let answer = std::thread::scope(|scope| {
        let path = a.path("");
        let waiting = scope.spawn(move || owner.get(&path).is(200));
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        waiting.join().expect("answered")
    });
    assert_eq!(answer.status, 200);
    monitoring::flush(&app.platform).expect("flushed");
    let day = figures(&app, Period::Day, a.id);
    assert!(day.waits >= 1 && day.wait_micros > 0, "{day:?}");
}

#[test]
fn sizes_come_from_the_background_and_lists_sort_by_every_figure() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let admin = app.super_admin();
    assert_eq!(monitoring::measure(&app.platform, TimeDelta::zero()), Ok(2));
    assert_eq!(monitoring::measure(&app.platform, TimeDelta::minutes(1)), Ok(0), "still good");
    visit(&app, &b);
    monitoring::flush(&app.platform).expect("flushed");
    for sort in
        ["name", "institution", "size", "growth", "requests", "errors", "p95", "waits", "slow", "active"]
    {
        for dir in ["asc", "desc"] {
            let list = admin.get(&format!("/platform/databases?sort={sort}&dir={dir}")).is(200);
            assert_eq!(list.words("tbody tr").len(), 2, "{sort} {dir}");
        }
    }
    let busiest = admin.get("/platform/databases?sort=requests&dir=desc").is(200);
    assert!(busiest.words("tbody tr")[0].contains("lyon.example"), "{:?}", busiest.words("tbody tr"));
    let file = admin.get("/platform/databases.csv").is(200).text();
    assert!(file.lines().next().is_some_and(|heads| heads.contains("bytes") && heads.contains("p95_micros")));
    let mut c = app.platform.shared.get().expect("connection");
    let measured = tenant_figures::find(&mut c, a.id).expect("read");
    assert!(measured.size().is_some_and(|size| size > 10_000), "{measured:?}");
    let total = tenant_figures::total_size(&mut c).expect("read");
    assert_eq!(figures(&app, Period::Day, Id::NIL).size_bytes, Some(total));
}

#[test]
fn the_dashboard_shows_how_things_stand() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    app.registered("paris.example");
    visit(&app, &a);
    monitoring::flush(&app.platform).expect("flushed");
    monitoring::measure(&app.platform, TimeDelta::zero()).expect("measured");
    let admin = app.super_admin();
    let page = admin.get("/platform").is(200);
    for words in [
        "Requests by day",
        "Registrations by day",
        "Storage by day",
        "Most asked of today",
        "Operations running",
    ] {
        assert!(page.main().contains(words), "{words}: {}", page.main());
    }
    assert_eq!(page.attributes("svg[role=img]", "aria-label").len(), 3);
    assert!(
        page.attributes("svg[role=img]", "aria-label")[1].contains("At most 2 on"),
        "two registered today"
    );
    assert!(page.words("tbody tr").iter().any(|row| row.contains("evry.example")));
    let own = admin.get("/platform/institutions/evry.example").is(200);
    for words in ["Use today", "Last activity", "Growth in 7 days", "Pages most used in 30 days"] {
        assert!(own.main().contains(words), "{words}");
    }
}

#[test]
fn an_alert_fires_once_is_mailed_once_and_resolves_itself() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let admin_mail = "watch@platform.example";
    app.new_super_admin(admin_mail);
    let admin = app.sign_in(admin_mail, crate::support::app::PASSWORD);
    let trial = |days: i64| {
        let at = now() + TimeDelta::days(days);
        app.sql(&format!("UPDATE institutions SET trial_ends_at = '{}'", at.format("%Y-%m-%d %H:%M:%S%.6f")));
    };
    trial(2);
    let first = monitoring::alerts::evaluate(&app.platform).expect("looked");
    assert_eq!(first.fired.iter().map(|alert| &*alert.rule).collect::<Vec<_>>(), ["trial_ending"]);
    let again = monitoring::alerts::evaluate(&app.platform).expect("looked");
    assert!(again.fired.is_empty() && again.resolved.is_empty());
    eventually("the mail", || !app.mails(admin_mail).is_empty());
    assert_eq!(app.mails(admin_mail).len(), 1);
    assert!(app.mails(admin_mail)[0].contains(&a.name));
    admin.get("/platform").is(200).shows("Needs attention").shows("The trial of");
    let list = admin.get("/platform/alerts?state=firing").is(200).shows("The trial of");
    let care =
        list.attributes("main form", "action").into_iter().find(|path| path.ends_with("/acknowledgement"));
    let care = care.expect("a button");
    admin.post(&care, &[]).leads_to("/platform/alerts");
    admin.get("/platform/alerts").is(200).shows("Ada Lovelace");
    admin.post(&care, &[]).is(303);
    admin.get("/platform/alerts").is(200).shows("Nothing was changed");
    trial(60);
    let over = monitoring::alerts::evaluate(&app.platform).expect("looked");
    assert_eq!((over.fired.len(), over.resolved.len()), (0, 1));
    admin.get("/platform/alerts?state=firing").is(200).shows("No alerts");
    trial(1);
    assert_eq!(monitoring::alerts::evaluate(&app.platform).expect("looked").fired.len(), 1, "a new one");
}

#[test]
fn a_database_that_is_gone_and_a_failed_operation_are_told_of() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    idle(&app);
    app.sql("UPDATE operations SET status = 'failed', error = 'x'");
    app.sql("UPDATE tenant_databases SET location = location || 'x', database_name = database_name || 'x'");
    app.platform.tenants.retire(a.id);
    monitoring::measure(&app.platform, TimeDelta::zero()).expect("measured");
    let fired = monitoring::alerts::evaluate(&app.platform).expect("looked").fired;
    let mut rules: Vec<_> = fired.iter().map(|alert| alert.rule.clone()).collect();
    rules.sort();
    assert_eq!(rules, ["database_unreachable", "operation_failed"]);
    let mut c = app.platform.shared.get().expect("connection");
    let all = alerts::firing(&mut c, 10).expect("read");
    assert_eq!(all[0].rule, "database_unreachable", "the gravest first");
    let filter = AlertFilter { q: "EVRY".into(), ..AlertFilter::default() };
    let paging = provost::models::Paging { sort: String::new(), descending: true, limit: 10, offset: 0 };
    assert_eq!(alerts::page(&mut c, &filter, &paging).expect("read").total, 2);
}

#[test]
fn what_was_made_good_needs_nobody_and_one_cause_is_told_of_once() {
    let app = TestApp::with(|settings| settings.scheduled = false);
    let a = app.institution("evry.example");
    let audit = app.platform.audit(Actor::command_line());
    let back_up = || {
        let connection = &mut *app.platform.shared.get().expect("shared");
        let asked = backups::request(connection, &audit, Some(a.id), Reason::Requested).expect("asked");
        app.platform.operations.wake();
        asked
    };
    let fired = || {
        let changes = monitoring::alerts::evaluate(&app.platform).expect("looked");
        (changes.fired.len(), changes.resolved.len())
    };
    let first = back_up();
    finished(&app.platform, first);
    app.sql("UPDATE operations SET status = 'failed', error = 'x' WHERE kind = 'back_up'");
    assert_eq!(fired(), (1, 0));
    let failed = || operations::failed_count(&mut app.platform.shared.get().expect("shared")).expect("read");
    assert_eq!(failed(), 1);
    finished(&app.platform, back_up());
    assert_eq!((fired(), failed()), ((0, 1), 0), "the next one went well");

    for domain in ["a.example", "b.example", "c.example", "d.example", "e.example"] {
        app.institution(domain);
    }
    idle(&app);
    app.sql("UPDATE operations SET status = 'failed', error = 'x' WHERE kind = 'provision'");
    let changes = monitoring::alerts::evaluate(&app.platform).expect("looked");
    let told: Vec<_> = changes.fired.iter().map(|alert| &*alert.summary).collect();
    assert_eq!(told, ["6 operations \u{201c}provision\u{201d} have failed in the last week."]);
    let admin = app.super_admin();
    admin.get(&changes.fired[0].link).is(200).shows("6 operations");
    let dashboard = admin.get("/platform").is(200).shows("Under way").shows("e.example");
    assert!(dashboard.main().contains("Failed operations 6"), "{}", dashboard.main());
}

#[test]
fn a_disk_that_fills_is_told_of_from_the_part_that_the_operator_named() {
    let app = TestApp::with(|settings| settings.disk_alert_percent = 100);
    let fired = monitoring::alerts::evaluate(&app.platform).expect("looked").fired;
    assert_eq!(fired.iter().map(|alert| &*alert.rule).collect::<Vec<_>>(), ["disk_filling"]);
    assert!(fired[0].summary.contains(&app.settings().data_dir.display().to_string()), "{fired:?}");
}

/// A message as a receiver gets it.
type Message = (HashMap<String, String>, String);

/// Somebody who is told things; answers with these statuses, one after another.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    fn answering(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook?a=1", listener.local_addr().expect("bound"));
        let got: Arc<Mutex<Vec<Message>>> = Arc::default();
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for (stream, status) in listener.incoming().zip(statuses) {
                let mut stream = stream.expect("connected");
                let message = received(&mut stream);
                kept.lock().expect("lock").push(message);
                write!(
                    stream,
                    "HTTP/1.1 {status} So\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                )
                .expect("answered");
            }
        });
        Self { url, got }
    }
}

fn received(stream: &mut TcpStream) -> Message {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).expect("read");
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{head}");
            let headers: HashMap<String, String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            if body.len() == headers["content-length"].parse::<usize>().expect("a number") {
                return (headers, body.to_owned());
            }
        }
    }
}

#[test]
fn webhooks_are_signed_tried_again_and_logged() {
    let app = TestApp::with(|settings| settings.webhooks_to_private_networks = true);
    let receiver = Receiver::answering(&[500, 302, 204]);
    let admin = app.super_admin();
    let made = admin.post("/platform/webhooks", &[("url", &receiver.url)]).is(303).location().to_owned();
    let page = admin.get(&made).is(200).shows("whsec_").shows("Nothing was sent yet");
    let secret = page.words("dd").into_iter().find(|word| word.starts_with("whsec_")).expect("shown");
    admin.post(&format!("{made}/tests"), &[]).leads_to(&made);
    let due_now = || app.sql("UPDATE webhook_deliveries SET next_attempt_at = '2020-01-01 00:00:00'");
    for attempt in 1..=3 {
        eventually("an attempt", || {
            // The server's own worker tries as well; one of the two is first.
            hooks::send_due_while(&app.platform, || true).expect("sent");
            receiver.got.lock().expect("lock").len() >= attempt
        });
        eventually("its end is noted", || {
            let mut c = app.platform.shared.get().expect("connection");
            let id: Id = made.rsplit('/').next().expect("an id").parse().expect("an id");
            let sent = webhooks::deliveries(&mut c, id, 10).expect("read");
            (sent[0].status == DeliveryStatus::Delivered) == (attempt == 3)
                && sent[0].answer == Some([500, 302, 204][attempt - 1])
        });
        if attempt < 3 {
            due_now();
        }
    }
    let got = receiver.got.lock().expect("lock").clone();
    assert_eq!(got.len(), 3);
    let key = base64::engine::general_purpose::STANDARD
        .decode(secret.trim_start_matches("whsec_"))
        .expect("base64");
    for (headers, body) in &got {
        let time: i64 = headers["webhook-timestamp"].parse().expect("seconds");
        assert!((chrono::Utc::now().timestamp() - time).abs() < 60);
        assert_eq!(headers["webhook-id"], got[0].0["webhook-id"], "one message keeps its id");
        assert_eq!(headers["webhook-signature"], hooks::signature(&key, &headers["webhook-id"], time, body));
        assert_ne!(headers["webhook-signature"], hooks::signature(&key, &headers["webhook-id"], time, "{}"));
        let told: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(told["type"], "webhook.test");
    }
    admin.get(&made).is(200).shows("Delivered").shows("HTTP status 204");
    admin.post(&format!("{made}/secret"), &[]).leads_to(&made);
    assert!(!admin.get(&made).text().contains(&secret), "the old secret is gone");
    admin.post(&format!("{made}/removal"), &[]).leads_to("/platform/webhooks");
    admin.get("/platform/webhooks").is(200).shows("No webhooks yet");
    admin.get("/platform/audit").is(200).shows("Removed webhook");
}

#[test]
fn a_signature_is_what_the_standard_says() {
    // The example of the specification's libraries.
    let key =
        base64::engine::general_purpose::STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
    let made =
        hooks::signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
    assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn alerts_reach_webhooks_and_private_networks_do_not_get_them() {
    let app = TestApp::start();
    let admin = app.super_admin();
    for bad in [
        "http://127.0.0.1:9/",
        "http://localhost/x",
        "http://169.254.169.254/",
        "ftp://example.org",
        "nonsense",
    ] {
        admin.post("/platform/webhooks", &[("url", bad)]).is(422);
    }
    // An address that was allowed once is not any more.
    let audit = app.platform.audit(Actor::command_line());
    let mut c = app.platform.shared.get().expect("connection");
    let hook = webhooks::create(&mut c, &audit, "http://127.0.0.1:9/hook").expect("made");
    drop(c);
    app.institution("evry.example");
    idle(&app);
    app.sql("UPDATE operations SET status = 'failed'");
    assert_eq!(monitoring::alerts::evaluate(&app.platform).expect("looked").fired.len(), 1);
    eventually("an attempt", || {
        hooks::send_due_while(&app.platform, || true).expect("sent");
        let mut c = app.platform.shared.get().expect("connection");
        let sent = webhooks::deliveries(&mut c, hook.id, 10).expect("read");
        assert_eq!((sent.len(), &*sent[0].event), (1, "alert.fired"));
        sent[0].error.as_deref().is_some_and(|words| words.contains("private network"))
    });
    // Nobody is told while it is switched off.
    admin.post(&format!("/platform/webhooks/{}/disabling", hook.id), &[]).is(303);
    admin.post(&format!("/platform/webhooks/{}/tests", hook.id), &[]).is(303);
    admin.get(&format!("/platform/webhooks/{}", hook.id)).is(200).shows("The webhook is disabled.");
}

/// Families with their type, and values by name and labels; every line has to be right.
fn parsed(text: &str) -> (HashMap<String, String>, HashMap<String, f64>) {
    let (mut types, mut values, mut helped) = (HashMap::new(), HashMap::new(), "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split_once(' ').expect("words").0;
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, kind) = of.split_once(' ').expect("a type");
            assert_eq!(name, helped, "HELP comes before TYPE");
            assert!(matches!(kind, "gauge" | "counter" | "histogram"), "{line}");
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{name} twice");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().expect("a name");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = base.filter(|base| types.get(*base).is_some_and(|kind| kind == "histogram"));
            assert_eq!(family.unwrap_or(name), helped, "{line}");
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{line}");
            let labels = &series[name.len()..];
            assert!(
                labels.is_empty() || (labels.ends_with("\"}") && labels.matches("=\"").count() == 1),
                "{line}"
            );
            let value: f64 = value.parse().expect("a number");
            assert_eq!(values.insert(series.to_owned(), value), None, "{series} twice");
        }
    }
    assert!(text.ends_with('\n'));
    (types, values)
}

#[test]
fn metrics_are_what_prometheus_reads_and_name_no_institution() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    visit(&app, &a);
    let text = app.visitor().get("/metrics").is(200).text();
    let (types, values) = parsed(&text);
    assert_eq!(types["provost_request_seconds"], "histogram");
    assert_eq!(values["provost_shared_database_up"], 1.0);
    assert_eq!(values["provost_institutions{status=\"active\"}"], 1.0);
    assert_eq!(values["provost_route_requests_total{route=\"/i/{domain}/students\"}"], 3.0);
    let requests: f64 =
        (1..=5).map(|class| values[&format!("provost_requests_total{{status=\"{class}xx\"}}")]).sum();
    assert_eq!(values["provost_request_seconds_count"], requests);
    assert_eq!(values["provost_request_seconds_bucket{le=\"+Inf\"}"], requests);
    let mut buckets: Vec<(f64, f64)> = values
        .iter()
        .filter_map(|(series, count)| {
            let bound = series.strip_prefix("provost_request_seconds_bucket{le=\"")?.strip_suffix("\"}")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), *count))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(buckets.len() > 8 && buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
    assert!(!text.contains("evry"));
    let ready = app.visitor().get("/health/ready").is(200).text();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ready).expect("JSON")["ready"], true);
}

#[test]
fn a_token_guards_the_metrics() {
    let app = TestApp::with(|settings| settings.metrics_token = Some("a long enough token".into()));
    app.visitor().get("/metrics").is(401);
    app.visitor().with("authorization", "Bearer wrong").get("/metrics").is(401);
    app.visitor().with("authorization", "Bearer a long enough token").get("/metrics").is(200);
    app.visitor().get("/health/live").is(200);
}

/// Server time of the platform's pages with as many institutions as a large platform has.
#[test]
#[ignore = "slow"]
fn pages_answer_fast_with_seven_thousand_institutions() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let audit = app.platform.audit(Actor::command_line());
    let a = app.institution("evry.example");
    let mut c = app.platform.shared.get().expect("connection");
    c.write_tx(|c| {
        for number in 0..7_000 {
            let domain = format!("u{number}.example");
            app.fill(c, &audit, &domain);
        }
        Ok::<_, provost::models::ModelError>(())
    })
    .expect("filled");
    let meter = app.platform.meters.tenant(a.id);
    let request = Request { route: None, status: 200, bytes: 1, time: Duration::from_millis(3), user: None };
    app.platform.meters.request(Some(&meter), &request);
    drop(c);
    monitoring::flush(&app.platform).expect("flushed");
    let mut worst = (0, String::new());
    for path in [
        "/platform",
        "/platform/registrations",
        "/platform/institutions",
        "/platform/institutions/evry.example",
        "/platform/operations",
        "/platform/databases",
        "/platform/databases?sort=requests&dir=desc",
        "/platform/databases?sort=size&dir=desc",
        "/platform/databases?q=u69",
        "/platform/alerts",
        "/platform/webhooks",
        "/platform/admins",
        "/platform/audit",
    ] {
        let mut times: Vec<_> = (0..7)
            .map(|_| {
                let begun = Instant::now();
                admin.get(path).is(200);
                begun.elapsed().as_micros()
            })
            .collect();
        times.sort_unstable();
        println!("{path}: {:.1} ms", times[3] as f64 / 1e3);
        worst = worst.max((times[3], path.to_owned()));
    }
    println!("the slowest: {worst:?}");
    if !cfg!(debug_assertions) {
        assert!(worst.0 < 50_000, "{worst:?}");
    }
}
