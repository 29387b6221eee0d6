//! From the approval to an active institution with a database of its own.

use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use provost::{
    db::{Engine, Id, Target, shared::SharedConn},
    models::platform::{
        institutions::{self, Status},
        operations::{self, Kind},
    },
    services::operations::provision,
};

use crate::{
    place::{self, Bench, Place},
    report::{self, Limit, median},
};

const INSTITUTIONS: usize = 25;

pub fn run(bench: &Bench) {
    let mut place = bench.place();
    let (email, ids) = place.fill(|platform| {
        // The first one also makes the template, which happens once in a platform's life.
        let first = place::register(platform, "first.example");
        place::approve(platform, first);
        place::active(&mut platform.shared.get().expect("connection"), first);
        let ids: Vec<Id> =
            (0..INSTITUTIONS).map(|n| place::register(platform, &format!("u{n}.example"))).collect();
        (place::super_admin(platform), ids)
    });
    place.start();
    let admin = place.sign_in(email);
    let mut connection = place.shared();
    let (mut own, mut bare, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let registration = registration(&mut connection, id);
        admin.post(&format!("/platform/registrations/{registration}/approval"), &[]).is(303);
        place::active(&mut connection, id);
        own.push(milliseconds(&mut connection, id));
        steps.extend(steps_of(&mut connection, id));
        if let Some(server) = place.server() {
            bare.push(bare_clone(server, &place));
        }
    }
    let of_step = |name: &str| median(steps.iter().filter(|(step, _)| step == name).map(|(_, took)| *took));
    let each: Vec<String> = provision::steps(bench.engine)
        .into_iter()
        .map(|name| format!("{name} {:.1}", of_step(name)))
        .collect();
    let detail = |values: &[f64]| {
        let most = values.iter().copied().fold(0.0, f64::max);
        format!("{} institutions, the slowest {most:.0} ms; steps: {}", values.len(), each.join(", "))
    };
    let median_own = median(own.iter().copied());
    match bench.engine {
        Engine::Sqlite => {
            report::figure(
                bench.engine,
                "approve to active",
                median_own,
                " ms",
                Limit::Under(50.0),
                &detail(&own),
            );
        }
        Engine::Postgres => {
            let median_bare = median(bare.iter().copied());
            let words = format!("{median_own:.0} ms against {median_bare:.0} ms; {}", detail(&own));
            let times = median_own / median_bare;
            report::figure(
                bench.engine,
                "approve to active, times a bare CREATE DATABASE ... TEMPLATE",
                times,
                "",
                Limit::Under(2.0),
                &words,
            );
        }
    }
}

fn registration(connection: &mut SharedConn, institution: Id) -> Id {
    provost::models::platform::registrations::latest_of(connection, institution).expect("a registration").id
}

/// Between the two entries of the history.
fn milliseconds(connection: &mut SharedConn, institution: Id) -> f64 {
    let history = institutions::status_changes(connection, institution).expect("history");
    let at = |status| history.iter().find(|change| change.to_status == status).expect("an entry").at;
    let took = at(Status::Active) - at(Status::Provisioning);
    took.num_microseconds().map_or(f64::NAN, |micros| micros as f64 / 1_000.0)
}

/// Each step with the milliseconds it took.
fn steps_of(connection: &mut SharedConn, institution: Id) -> Vec<(String, f64)> {
    let operation = operations::latest(connection, institution, Kind::Provision).expect("read").expect("one");
    let steps = operations::steps(connection, operation.id).expect("read");
    steps
        .into_iter()
        .filter_map(|step| {
            let took = step.finished_at? - step.started_at?;
            Some((step.name, took.num_microseconds()? as f64 / 1_000.0))
        })
        .collect()
}

/// The least that PostgreSQL needs for a database like a tenant's.
fn bare_clone(server: &str, place: &Place) -> f64 {
    let mut connection = SharedConn::open(&Target::Postgres(server.to_owned())).expect("server");
    let prefix = &place.settings.database_prefix;
    let query = format!(
        "SELECT datname::text AS name FROM pg_database WHERE starts_with(datname, '{prefix}') AND datistemplate"
    );
    let template = place::names(&mut connection, &query).pop().expect("the template");
    let name = format!("{prefix}bare");
    let begin = Instant::now();
    connection.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).expect("cloned");
    let took = begin.elapsed().as_secs_f64() * 1_000.0;
    connection.batch_execute(&format!("DROP DATABASE {name}")).expect("dropped");
    took
}
