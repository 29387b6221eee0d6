//! The platform's own pages: what the slowest of them takes.

use std::time::Instant;

use provost::db::Engine;

use crate::{
    place::{self, Place},
    report::{self, Limit, median},
};

/// The dashboard, and every list as it opens, sorted another way, searched, and at its last pages.
const PAGES: &[&str] = &[
    "",
    "/registrations",
    "/registrations?q=u69&sort=name",
    "/registrations?page=280",
    "/institutions",
    "/institutions?q=u69",
    "/institutions?sort=name&dir=desc&page=280",
    "/institutions?status=active&page=4",
    "/operations",
    "/operations?status=succeeded&page=4",
    "/databases",
    "/databases?sort=growth&dir=desc",
    "/databases?q=u69",
    "/alerts",
    "/backups",
    "/migrations",
    "/migrations/tenants",
    "/plans",
    "/announcements",
    "/webhooks",
    "/admins",
    "/audit",
    "/audit?q=u69",
];
const ROUNDS: usize = 5;

pub fn run(engine: Engine, place: &Place) {
    let admin = place.sign_in(place::SUPER_ADMIN);
    let timed = |path: &&str| {
        let path = format!("/platform{path}");
        let times = (0..ROUNDS).map(|_| {
            let begin = Instant::now();
            admin.get(&path).is(200);
            begin.elapsed().as_secs_f64() * 1_000.0
        });
        (median(times), path)
    };
    let slowest = PAGES.iter().map(timed).max_by(|a, b| a.0.total_cmp(&b.0)).expect("a page");
    report::figure(
        engine,
        "slowest of the platform's pages",
        slowest.0,
        " ms",
        Limit::Under(50.0),
        &format!("{}, of {} pages, median of {ROUNDS}, as the browser sees it", slowest.1, PAGES.len()),
    );
}
