//! Registering, deciding and importing, with the workers that carry it out.

use std::{sync::Arc, time::Duration};

use diesel::connection::SimpleConnection as _;
use provost::{
    db::Id,
    models::{
        Actor, ModelError,
        institution::{
            Activity,
            users::{self, Role},
        },
        platform::{
            audit::Audit,
            imports::{self, NewImport},
            institutions::{self, Kind, Status},
            operations::{self, OperationStatus},
            platform_settings::{self, SignupPolicy},
            registrations::{
                self, Decision, FirstAdmin, NewInstitution, NewRegistration, RegistrationFilter, Source,
            },
            tenant_databases,
        },
    },
    services::{
        bulk_decisions::{self, BulkDecision, BulkOutcome},
        decisions,
        operations::wait_for,
        platform::Platform,
        registration_import::{self, ImportOutcome},
    },
};

use crate::support::{Site, app::TestApp};

fn audit(platform: &Platform, name: &str) -> Audit {
    platform.audit(Actor { id: Some(Id::new()), name: name.into(), ip: None, user_agent: None })
}

fn asking(domain: &str) -> NewRegistration {
    NewRegistration {
        institution: NewInstitution {
            domain: domain.into(),
            name: format!("School of {domain}"),
            kind: Kind::School,
            country: "SE".into(),
            region: None,
            website: None,
            time_zone: "Europe/Stockholm".into(),
        },
        admin: Some(FirstAdmin {
            name: "Mare Ödman".into(),
            email: format!("mare@{domain}"),
            password_hash: Some("$2b$04$not.a.real.hash".into()),
        }),
        source: Source::Form,
        trial_ends_at: None,
    }
}

fn over(platform: &Arc<Platform>, id: Id) -> operations::Operation {
    wait_for(platform, id, Duration::from_secs(60)).expect("read").expect("over in time")
}

fn result<T: serde::de::DeserializeOwned>(operation: &operations::Operation) -> T {
    assert_eq!(operation.status, OperationStatus::Succeeded, "{operation:?}");
    serde_json::from_str(operation.result.as_deref().expect("a result")).expect("readable")
}

#[test]
fn many_are_approved_in_one_act_and_those_decided_before_are_left_alone() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let (ada, grace) = (audit(&platform, "Ada"), audit(&platform, "Grace"));
    let mut ids = Vec::new();
    for number in 0..5 {
        let connection = &mut *platform.shared.get().expect("connection");
        let new = asking(&format!("school{number}.example.se"));
        ids.push(decisions::register(connection, &platform, &ada, new).expect("registered").registration.id);
    }
    let operation = {
        let connection = &mut *platform.shared.get().expect("connection");
        decisions::reject(connection, &platform, &grace, ids[0], "Not a school.").expect("rejected");
        let bulk = BulkDecision { decision: Decision::Approved, reason: String::new(), ids: ids.clone() };
        bulk_decisions::start(connection, &ada, &bulk).expect("started")
    };
    platform.operations.wake();
    let outcome: BulkOutcome = result(&over(&platform, operation));
    assert_eq!(outcome, BulkOutcome { decided: 4, decided_before: 1 });
    for id in &ids[1..] {
        let connection = &mut *platform.shared.get().expect("connection");
        let found = registrations::find_with_institution(connection, *id).expect("found");
        let set_up = operations::latest(connection, found.institution.id, operations::Kind::Provision);
        let set_up = set_up.expect("read").expect("started").id;
        over(&platform, set_up);
        let found = registrations::find_with_institution(connection, *id).expect("found");
        assert_eq!(found.institution.status, Status::Active);
        assert_eq!(found.registration.admin_password_hash, None, "it lives in the tenant's database now");
    }
    workers.stop();
}

#[test]
fn suspending_puts_every_open_handle_out_of_date() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ada = audit(&platform, "Ada");
    let connection = &mut *platform.shared.get().expect("connection");
    platform_settings::set_signup_override(connection, &ada, 0, Some(SignupPolicy::Automatic)).expect("set");
    let registered =
        decisions::register(connection, &platform, &ada, asking("now.example.se")).expect("registered");
    assert!(registered.institution.trial_ends_at.is_some(), "a trial is recorded");
    let id = registered.institution.id;
    let set_up =
        operations::latest(connection, id, operations::Kind::Provision).expect("read").expect("started");
    over(&platform, set_up.id);
    let db = platform.tenants.open(connection, id).expect("open");
    drop(db.get().expect("connected"));
    let generation = tenant_databases::find(connection, id).expect("read").expect("there").generation;
    decisions::suspend(connection, &platform, &ada, id, "Unpaid.").expect("suspended");
    assert!(db.get().is_err(), "the old handle is refused");
    assert!(platform.tenants.open(connection, id).is_err(), "and there is no new one");
    let raised = tenant_databases::find(connection, id).expect("read").expect("there").generation;
    assert_eq!(raised, generation + 1);
    decisions::reactivate(connection, &platform, &ada, id).expect("reactivated");
    drop(platform.tenants.open(connection, id).expect("open").get().expect("connected"));
    workers.stop();
}

#[test]
fn an_import_accounts_for_every_row_and_a_second_one_changes_nothing() {
    let site = Site::new();
    let platform = site.open();
    let workers = platform.start_workers().expect("workers");
    let ada = audit(&platform, "Ada");
    let mut file = String::from("name,domain,country,admin_name,admin_email\n");
    for number in 0..250 {
        file.push_str(&format!("Universität {number},u{number}.example.de,Germany,,\n"));
    }
    file.push_str("Nowhere,nowhere,Germany,,\nTwice,u1.example.de,Germany,,\nMit Admin,admin.example.de,DE,Åsa,asa@admin.example.de\n");
    let import = |platform: &Arc<Platform>| {
        let connection = &mut *platform.shared.get().expect("connection");
        let new = NewImport {
            kind: registration_import::FILE_KIND,
            file_name: "u.csv",
            content: file.as_bytes(),
            mapping: "{}",
            created_by: Id::new(),
        };
        let kept = imports::create(connection, &new).expect("kept");
        let operation = registration_import::start(connection, &ada, kept, 251).expect("started");
        let again = registration_import::start(connection, &ada, kept, 251).expect_err("once only");
        assert!(matches!(again, ModelError::Changed(_)), "{again:?}");
        platform.operations.wake();
        operation
    };
    let first: ImportOutcome = result(&over(&platform, import(&platform)));
    assert_eq!(first, ImportOutcome { created: 251, already_there: 0, refused: 2 });
    let second: ImportOutcome = result(&over(&platform, import(&platform)));
    assert_eq!(second, ImportOutcome { created: 0, already_there: 251, refused: 2 });
    let connection = &mut *platform.shared.get().expect("connection");
    let all = RegistrationFilter { source: Some(Source::Import), ..RegistrationFilter::default() };
    assert_eq!(registrations::count(connection, &all).expect("counted"), 251);
    let found = institutions::find_by_domain(connection, "admin.example.de").expect("found");
    let latest = registrations::latest_of(connection, found.id).expect("found");
    assert_eq!(latest.admin_email.as_deref(), Some("asa@admin.example.de"));
    workers.stop();
}

#[test]
fn every_active_owner_is_told_of_suspension_and_reactivation() {
    let app = TestApp::start();
    let institution = app.institution("mit.edu");
    let (second, gone, viewer) = ("second@mit.edu", "gone@mit.edu", "viewer@mit.edu");
    app.new_user(&institution, second, Role::Owner);
    let left = app.new_user(&institution, gone, Role::Owner);
    app.new_user(&institution, viewer, Role::Viewer);
    {
        let mut shared = app.platform.shared.get().expect("shared");
        let tenant = app.platform.tenants.open(&mut shared, institution.id).expect("opened");
        let activity = Activity::new(Actor::command_line());
        users::disable(&mut tenant.get().expect("connection"), &activity, left).expect("disabled");
    }
    let told = |email: &str, words: &str| app.mails(email).iter().filter(|mail| mail.contains(words)).count();
    app.suspend(&institution);
    app.reactivate(&institution);
    for email in [&*institution.owner_email, second] {
        assert_eq!((told(email, "is suspended"), told(email, "is active again")), (1, 1), "{email}");
    }
    for email in [gone, viewer] {
        assert_eq!(app.mails(email).len(), 0, "{email}");
    }
}

#[test]
fn when_the_owners_cannot_be_read_the_registrations_admin_is_told() {
    let app = TestApp::start();
    let institution = app.institution("mit.edu");
    app.new_user(&institution, "second@mit.edu", Role::Owner);
    app.behind(&institution).batch_execute("ALTER TABLE users RENAME TO hidden").expect("hidden");
    app.suspend(&institution);
    let mails = app.mails(&institution.owner_email);
    assert_eq!(mails.iter().filter(|mail| mail.contains("is suspended")).count(), 1, "{mails:#?}");
    assert_eq!(app.mails("second@mit.edu").len(), 0);
}
