//! Lists in the order that was asked for, wherever a value is missing, and found however they are typed: the
//! same on both engines.

use provost::{
    db::{Id, shared::SharedConn},
    models::{
        Actor, Paging,
        platform::{
            admins::{self, AdminFilter, AdminRole, NewAdmin},
            audit::{self, Audit, AuditFilter, AuditKey},
            institutions::{self, InstitutionFilter, Kind},
            operations::{self, NewOperation, OperationFilter},
            registrations::{self, FirstAdmin, NewInstitution, NewRegistration, RegistrationFilter, Source},
        },
    },
};

use crate::support::shared::{Shared, by};

fn sorted(sort: &str, descending: bool) -> Paging {
    Paging { sort: sort.into(), descending, limit: 25, offset: 0 }
}

fn register(c: &mut SharedConn, domain: &str, name: &str, kind: Kind, country: &str) -> Id {
    let new = NewRegistration {
        institution: NewInstitution {
            domain: domain.into(),
            name: name.into(),
            kind,
            country: country.into(),
            region: None,
            website: None,
            time_zone: "Europe/Paris".into(),
        },
        admin: Some(FirstAdmin {
            name: format!("Zoé {name}"),
            email: format!("Ada.Lovelace@{domain}"),
            password_hash: Some("hash".into()),
        }),
        source: Source::Form,
        trial_ends_at: None,
    };
    registrations::register(c, &by("Ada"), &new).expect("registered").registration.id
}

/// The rows as asked, forwards and backwards.
#[track_caller]
fn both_ways(
    sort: &str,
    forwards: &[&str],
    backwards: &[&str],
    mut load: impl FnMut(&Paging) -> Vec<String>,
) {
    assert_eq!(load(&sorted(sort, false)), forwards, "by {sort}");
    assert_eq!(load(&sorted(sort, true)), backwards, "by {sort}, descending");
}

/// Three that differ in everything: c.example was rejected first, a.example approved later, b.example waits.
fn three(c: &mut SharedConn) {
    let rejected = register(c, "c.example", "Émile", Kind::School, "DE");
    let approved = register(c, "a.example", "zebra", Kind::College, "FR");
    register(c, "b.example", "Adam", Kind::University, "BE");
    registrations::reject(c, &by("Ada"), rejected, "No.").expect("rejected");
    registrations::approve(c, &by("Ada"), approved).expect("approved");
}

#[test]
fn registrations_come_in_every_order() {
    let mut shared = Shared::new();
    let c = &mut shared.connection;
    three(c);
    let mut load = |paging: &Paging| {
        let page = registrations::page(c, &RegistrationFilter::default(), paging).expect("page");
        assert_eq!(page.total, 3);
        page.rows.into_iter().map(|row| row.domain.replace(".example", "")).collect()
    };
    both_ways("submitted", &["c", "a", "b"], &["b", "a", "c"], &mut load);
    both_ways("nonsense", &["c", "a", "b"], &["b", "a", "c"], &mut load);
    both_ways("name", &["b", "c", "a"], &["a", "c", "b"], &mut load);
    both_ways("domain", &["a", "b", "c"], &["c", "b", "a"], &mut load);
    // By the name of the country: Belgium, France, Germany.
    both_ways("country", &["b", "a", "c"], &["c", "a", "b"], &mut load);
    both_ways("kind", &["a", "c", "b"], &["b", "c", "a"], &mut load);
    both_ways("status", &["a", "c", "b"], &["b", "c", "a"], &mut load);
    // What has not happened comes last, both ways.
    both_ways("decided", &["c", "a", "b"], &["a", "c", "b"], &mut load);
}

#[test]
fn institutions_come_in_every_order() {
    let mut shared = Shared::new();
    let c = &mut shared.connection;
    three(c);
    let mut load = |paging: &Paging| {
        let page = institutions::page(c, &InstitutionFilter::default(), paging).expect("page");
        page.rows.into_iter().map(|row| row.domain.replace(".example", "")).collect()
    };
    both_ways("name", &["b", "c", "a"], &["a", "c", "b"], &mut load);
    both_ways("domain", &["a", "b", "c"], &["c", "b", "a"], &mut load);
    // By the name of the country: Belgium, France, Germany.
    both_ways("country", &["b", "a", "c"], &["c", "a", "b"], &mut load);
    both_ways("kind", &["a", "c", "b"], &["b", "c", "a"], &mut load);
    // By the word that is stored: pending_approval, provisioning, rejected.
    both_ways("status", &["b", "a", "c"], &["c", "a", "b"], &mut load);
    both_ways("created", &["c", "a", "b"], &["b", "a", "c"], &mut load);
}

#[test]
fn admins_come_in_every_order() {
    let mut shared = Shared::new();
    let c = &mut shared.connection;
    let audit = Audit::new(AuditKey::new([7; 32]), Actor::system());
    let new = |name, email| NewAdmin { email, email_normalised: email, name, role: AdminRole::SuperAdmin };
    let zoe = admins::create(c, &audit, &new("Zoë", "a@x.org"), "hash").expect("made");
    admins::invite(c, &audit, &new("Ann", "c@x.org")).expect("invited");
    let emile = admins::create(c, &audit, &new("émile", "b@x.org"), "hash").expect("made");
    admins::touch_sign_in(c, emile.id).expect("noted");
    admins::touch_sign_in(c, zoe.id).expect("noted");
    let mut load = |paging: &Paging| {
        let page = admins::page(c, &AdminFilter::default(), paging).expect("page");
        page.rows.into_iter().map(|row| row.name).collect()
    };
    both_ways("name", &["Ann", "émile", "Zoë"], &["Zoë", "émile", "Ann"], &mut load);
    both_ways("email", &["Zoë", "émile", "Ann"], &["Ann", "émile", "Zoë"], &mut load);
    both_ways("status", &["Zoë", "émile", "Ann"], &["Ann", "émile", "Zoë"], &mut load);
    both_ways("created", &["Zoë", "Ann", "émile"], &["émile", "Ann", "Zoë"], &mut load);
    both_ways("signed_in", &["émile", "Zoë", "Ann"], &["Zoë", "émile", "Ann"], &mut load);
}

#[test]
fn what_is_typed_as_it_is_written_is_found_and_so_is_what_is_not() {
    let mut shared = Shared::new();
    let c = &mut shared.connection;
    let id = register(c, "evry.fr", "Université Évry", Kind::University, "FR");
    let system = Audit::new(AuditKey::new([7; 32]), Actor::system());
    let new = NewAdmin {
        email: "Zoë.Müller@x.org",
        email_normalised: "zoë.müller@x.org",
        name: "Zoë Müller",
        role: AdminRole::SuperAdmin,
    };
    admins::create(c, &system, &new, "hash").expect("made");
    let operation = NewOperation {
        kind: operations::Kind::ImportRegistrations,
        institution_id: None,
        subject: "Évry.csv",
        input: &serde_json::json!({}),
        steps: &["read"],
        total: 1,
    };
    operations::enqueue(c, &operation, &Actor::system()).expect("queued");

    let paging = sorted("", true);
    for (q, count) in [("Université Évry", 1), ("universite evry", 1), ("ÉVRY", 1), ("Lyon", 0)] {
        let q = q.to_owned();
        let filter = AuditFilter { q, ..Default::default() };
        assert_eq!(audit::page(c, &filter, &paging).expect("page").total, count, "audit: {}", filter.q);
    }
    let said = AuditFilter { q: "registered".into(), ..Default::default() };
    assert_eq!(audit::page(c, &said, &paging).expect("page").total, 1);
    for q in ["Évry", "evry.CSV"] {
        let filter = OperationFilter { q: q.into(), ..Default::default() };
        assert_eq!(operations::page(c, &filter, &paging).expect("page").total, 1, "operations: {q}");
    }
    for q in ["Zoë", "MULLER", "müller@x", "zoe.m"] {
        let filter = AdminFilter { q: q.into(), ..AdminFilter::default() };
        assert_eq!(admins::page(c, &filter, &paging).expect("page").total, 1, "admins: {q}");
    }
    let mut found = |q: &str| {
        let filter = RegistrationFilter { q: q.into(), ..Default::default() };
        registrations::page(c, &filter, &paging).expect("page").total
    };
    for q in ["Ada.Lovelace@evry.fr", "ada.lovelace", "zoé", "Évry"] {
        assert_eq!(found(q), 1, "registrations: {q}");
    }
    assert_eq!(found("grace@"), 0);
    registrations::set_admin(c, &by("Ada"), id, "Grace Hopper", "Grace@EVRY.fr").expect("named");
    let mut found = |q: &str| {
        let filter = RegistrationFilter { q: q.into(), ..Default::default() };
        registrations::page(c, &filter, &paging).expect("page").total
    };
    assert_eq!((found("grace@evry"), found("lovelace")), (1, 0));
}
