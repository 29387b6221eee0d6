//! A platform of thousands, through its pages: import, bulk approval, ten first admins, 5,000 students.
//!
//! Part of `scripts/test slow`. `PROVOST_TEST_UNIVERSITIES` names a CSV of real institutions
//! (name, domain, country, region, website); without it, the test makes one up.

use std::time::{Duration, Instant};

use provost::db::Engine;

use crate::support::{
    app::TestApp,
    caller::{Answer, Caller},
    engine,
};

/// Nothing here may take longer.
const DEADLINE: Duration = Duration::from_secs(600);
const PASSWORD: &str = "wren teapot gravel 62";
const NAMES: [&str; 8] = [
    "Zoë Ångström",
    "李小龍",
    "Νίκος Παπαδόπουλος",
    "محمد الفارسي",
    "Олена Шевченко",
    "अनुष्का शर्मा",
    "Nguyễn Thị Hoa",
    "O'Brien, Siobhán",
];

/// Which country is approved in one bulk act, and how many institutions that is at least.
struct Bulk {
    country: &'static str,
    at_least: usize,
}

#[test]
#[ignore = "slow"]
fn thousands_of_institutions_and_students() {
    let app = TestApp::start();
    let admin = app.super_admin();
    let file = universities();
    let rows = csv_rows(&file);

    let registered = import_registrations(&admin, &file, rows);
    let bulk = match engine() {
        Engine::Sqlite => Bulk { country: "IN", at_least: 300 },
        Engine::Postgres => Bulk { country: "HU", at_least: 30 },
    };
    let (active, seconds) = approve_country(&admin, &bulk);
    let domains = domains_of(&admin, bulk.country);
    assert!(domains.len() >= 10, "{domains:?}");
    let owners: Vec<Caller> =
        domains.iter().take(10).map(|domain| first_owner(&app, &admin, domain)).collect();
    let students = import_students(&owners[0], &domains[0]);
    println!(
        "thousands on {}: {rows} rows, {registered} registered; {active} approved in one act, active after \
         {seconds:.1} s; 10 institutions signed into; 5000 students in {students:.1} s",
        engine()
    );
}

/// Every row is accounted for: registered, there before, or refused.
fn import_registrations(admin: &Caller, file: &[u8], rows: usize) -> usize {
    let check = admin.upload("/platform/registrations/import", "universities.csv", file, &[]).is(303);
    let check = check.location().to_owned();
    let operation = admin.post(&check, &[]).is(303).location().to_owned();
    let done = finished(admin, &operation);
    let facts = done.main();
    let (created, there, refused) = (
        count_after(&facts, "Created"),
        count_after(&facts, "Already there"),
        count_after(&facts, "Refused"),
    );
    assert_eq!(created + there + refused, rows, "{facts}");
    assert!(refused <= rows / 1_000, "{refused} rows were refused");
    created
}

fn approve_country(admin: &Caller, bulk: &Bulk) -> (usize, f64) {
    let query = format!("country={}&status=waiting", bulk.country);
    let list = admin.get(&format!("/platform/registrations?{query}")).is(200);
    let expected = list.attributes("#list-bulk input[name=expected]", "value")[0].clone();
    let matching = list.attributes("#list-bulk input[name=matching]", "value")[0].clone();
    let fields =
        [("scope", "matching"), ("matching", &*matching), ("expected", &*expected), ("confirmed", "yes")];
    let begin = Instant::now();
    let operation = admin.post("/platform/registrations/approvals", &fields).is(303).location().to_owned();
    finished(admin, &operation);
    let count: usize = expected.parse().expect("a number");
    assert!(count >= bulk.at_least, "{count} institutions in {}", bulk.country);
    until("every institution is active", || {
        let list = admin.get(&format!("/platform/institutions?country={}&status=active", bulk.country));
        list.main().contains(&format!("of {count} institutions"))
    });
    (count, begin.elapsed().as_secs_f64())
}

fn domains_of(admin: &Caller, country: &str) -> Vec<String> {
    let list = admin.get(&format!("/platform/institutions?country={country}&status=active"));
    let links = list.attributes("tbody a", "href");
    links.iter().filter_map(|link| link.strip_prefix("/platform/institutions/")).map(str::to_owned).collect()
}

/// Invited by the super admin, accepts by the mailed link, signs in.
fn first_owner(app: &TestApp, admin: &Caller, domain: &str) -> Caller {
    let email = format!("head@{domain}");
    let invite = format!("/platform/institutions/{domain}/invitation");
    admin.post(&invite, &[("name", "Head of School"), ("email", &email)]).is(303);
    let link = app.mailed_path(&email, "/invitations/");
    let fields = [("name", "Head of School"), ("password", PASSWORD), ("password_again", PASSWORD)];
    app.visitor().post(&link, &fields).is(303);
    let owner = app.sign_in(&email, PASSWORD);
    owner.get(&format!("/i/{domain}")).is(200);
    owner
}

/// Names appear as they are, and the same file again changes nothing.
fn import_students(owner: &Caller, domain: &str) -> f64 {
    let mut file = String::from("Student number,Name,E-mail,Admission year,Status\r\n");
    for number in 0..5_000 {
        let name = NAMES[number % NAMES.len()];
        let year = 2018 + number % 8;
        file.push_str(&format!("S{number:05},\"{name}\",s{number}@{domain},{year},active\r\n"));
    }
    let begin = Instant::now();
    let first = apply(owner, domain, &file);
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!((count_after(&first, "Added"), count_after(&first, "Refused")), (5_000, 0), "{first}");
    let list = owner.get(&format!("/i/{domain}/students?q=S000&sort=number&dir=asc")).is(200);
    for name in NAMES {
        assert!(list.main().contains(name), "{name} is not in the list");
    }
    let again = apply(owner, domain, &file);
    assert_eq!((count_after(&again, "Added"), count_after(&again, "Unchanged")), (0, 5_000), "{again}");
    seconds
}

fn apply(owner: &Caller, domain: &str, file: &str) -> String {
    let start = format!("/i/{domain}/students/import");
    let check = owner.upload(&start, "students.csv", file.as_bytes(), &[]).is(303).location().to_owned();
    let result = owner.post(&check, &[]).is(303).location().to_owned();
    finished(owner, &result).main()
}

fn finished(caller: &Caller, path: &str) -> Answer {
    until("the operation is over", || !caller.get(path).is(200).has("[data-live=running]"));
    caller.get(path)
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < end, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The number that follows a word on the page.
fn count_after(text: &str, word: &str) -> usize {
    let rest = text.split(word).last().unwrap_or_default().trim_start();
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word:?} in {text}"))
}

fn csv_rows(file: &[u8]) -> usize {
    let limits = provost::services::registration_import::LIMITS;
    provost::services::csv_text::read_csv(file, limits).expect("readable").rows.len()
}

/// The file of real institutions, or one made up.
pub fn universities() -> Vec<u8> {
    if let Some(path) = std::env::var_os("PROVOST_TEST_UNIVERSITIES") {
        return std::fs::read(path).expect("the file of universities");
    }
    let mut file = String::from("name,domain,country,region,website\n");
    for number in 0..6_000 {
        let country = match number {
            n if n % 15 == 0 => "India",
            n if n % 150 == 1 => "Hungary",
            _ => "Japan",
        };
        let name = NAMES[number % NAMES.len()];
        file.push_str(&format!(
            "\"{name} {number}\",u{number}.example,{country},,http://u{number}.example/\n"
        ));
    }
    file.into_bytes()
}
