//! Students from a file: 10,000 of them, from the upload to the last one stored.

use std::time::Instant;

use crate::{
    caller::Caller,
    place::{self, Bench, Place},
    report::{self, Limit},
};

const STUDENTS: usize = 10_000;
const NAMES: [&str; 8] = [
    "Zoë Ångström",
    "李小龍",
    "Νίκος Παπαδόπουλος",
    "محمد الفارسي",
    "Олена Шевченко",
    "अनुष्का शर्मा",
    "Nguyễn Thị Hoa",
    "Siobhán O'Brien",
];

pub fn run(bench: &Bench) {
    let mut place = bench.place();
    let domain = institution(&place);
    place.start();
    let owner = place.sign_in(&format!("owner@{domain}"));
    let begin = Instant::now();
    let check = students(&owner, domain, STUDENTS);
    let seconds = begin.elapsed().as_secs_f64();
    let detail = format!("of these {check:.2} s until the dry run was shown");
    report::figure(bench.engine, "10,000 students imported", seconds, " s", Limit::Under(5.0), &detail);
}

/// An active institution, and nothing else.
pub fn institution(place: &Place) -> &'static str {
    const DOMAIN: &str = "bench.example";
    place.fill(|platform| {
        let id = place::register(platform, DOMAIN);
        place::approve(platform, id);
        place::active(&mut platform.shared.get().expect("connection"), id);
    });
    DOMAIN
}

/// Imports so many students through the pages; returns the seconds until the dry run was shown.
pub fn students(owner: &Caller, domain: &str, count: usize) -> f64 {
    let begin = Instant::now();
    let start = format!("/i/{domain}/students/import");
    let check = owner.upload(&start, "students.csv", file(domain, count).as_bytes(), &[]).is(303);
    let check = check.location().to_owned();
    owner.get(&check).is(200);
    let shown = begin.elapsed().as_secs_f64();
    let result = owner.post(&check, &[]).is(303).location().to_owned();
    place::finished(owner, &result);
    let listed = owner.get(&format!("/i/{domain}/students")).is(200).main();
    let total =
        if count < 1_000 { count.to_string() } else { format!("{},{:03}", count / 1_000, count % 1_000) };
    assert!(listed.contains(&format!("of {total} students")), "{listed}");
    shown
}

fn file(domain: &str, count: usize) -> String {
    let mut file = String::from("Student number,Name,E-mail,Admission year,Status,Programme\r\n");
    for number in 0..count {
        let (name, year) = (NAMES[number % NAMES.len()], 2018 + number % 8);
        let line = format!("S{number:05},{name} {number},s{number}@{domain},{year},active,Physics\r\n");
        file.push_str(&line);
    }
    file
}
