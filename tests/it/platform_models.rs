//! The platform's rules, against a real shared database.

use chrono::Duration;
use provost::{
    db::{Id, now, shared::SharedConn},
    models::{
        Actor, ModelError, Paging,
        platform::{
            account_tokens::{self, Holder, Purpose},
            admins::{self, AdminFilter, AdminRole, AdminStatus, NewAdmin},
            audit::{self, Audit, AuditKey},
            imports::{self, NewImport},
            institutions::{self, InstitutionFilter, Kind, ProfileChanges, Status},
            login_index::{self, Login},
            outgoing_mails,
            platform_settings::{self, SignupPolicy},
            registrations::{
                self, FirstAdmin, NewInstitution, NewRegistration, RegisterError, RegistrationFilter, Source,
                Stand,
            },
            security_log::{self, SecurityEvent},
        },
    },
    services::housekeeping::{self, Swept},
};

use crate::support::shared::{Shared, by};

fn asking(domain: &str, name: &str) -> NewRegistration {
    NewRegistration {
        institution: NewInstitution {
            domain: domain.into(),
            name: name.into(),
            kind: Kind::University,
            country: "FR".into(),
            region: None,
            website: None,
            time_zone: "Europe/Paris".into(),
        },
        admin: Some(FirstAdmin {
            name: "Zoé".into(),
            email: "zoe@evry.fr".into(),
            password_hash: Some("h".into()),
        }),
        source: Source::Form,
        trial_ends_at: None,
    }
}

fn paging(sort: &str, descending: bool) -> Paging {
    Paging { sort: sort.into(), descending, limit: 25, offset: 0 }
}

fn changed(error: ModelError) -> String {
    match error {
        ModelError::Changed(sentence) => sentence,
        other => panic!("expected Changed, got {other:?}"),
    }
}

#[test]
fn one_super_admin_decides_and_the_other_is_told_who_did() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let (ada, grace) = (by("Ada"), by("Grace"));
    let id = registrations::register(connection, &ada, &asking("evry.fr", "Université Évry"))
        .expect("registered")
        .registration
        .id;
    let approved = registrations::approve(connection, &ada, id).expect("approved");
    assert_eq!(approved.institution.status, Status::Provisioning);
    let told = changed(registrations::reject(connection, &grace, id, "No.").expect_err("too late"));
    assert_eq!(told, "Ada approved this registration just now.");
    assert_eq!(registrations::find(connection, id).expect("found").stand(), Stand::Approved);
    let history = institutions::status_changes(connection, approved.institution.id).expect("history");
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].sentence(), "Ada approved this institution just now.");
    let verified = audit::verify(connection, &AuditKey::new([7; 32])).expect("verified");
    assert_eq!((verified.entries, verified.broken), (2, None));
}

#[test]
fn a_taken_domain_and_a_running_registration_read_alike() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    let first = registrations::register(connection, &ada, &asking("evry.fr", "Évry")).expect("registered");
    let running =
        registrations::register(connection, &ada, &asking("evry.fr", "Other")).expect_err("running");
    assert!(matches!(running, RegisterError::Taken(Status::PendingApproval)));
    registrations::approve(connection, &ada, first.registration.id).expect("approved");
    let taken = registrations::register(connection, &ada, &asking("evry.fr", "Other")).expect_err("taken");
    assert_eq!(running.to_string(), taken.to_string());
}

#[test]
fn a_rejected_domain_may_ask_again_and_keeps_its_history() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    let first = registrations::register(connection, &ada, &asking("evry.fr", "Évry")).expect("registered");
    let old = first.registration.id;
    assert!(matches!(registrations::reject(connection, &ada, old, "  "), Err(ModelError::Refused(_))));
    registrations::reject(connection, &ada, old, "Not a school.").expect("rejected");
    registrations::reconsider(connection, &ada, old).expect("reconsidered");
    registrations::reject(connection, &ada, old, "Still not.").expect("rejected again");
    let again = registrations::register(connection, &ada, &asking("evry.fr", "Évry 2")).expect("asked again");
    assert_eq!(again.institution.id, first.institution.id);
    assert_eq!(again.institution.name, "Évry 2");
    assert_eq!(again.institution.status, Status::PendingApproval);
    assert!(matches!(registrations::reconsider(connection, &ada, old), Err(ModelError::Refused(_))));
    assert_eq!(registrations::of_institution(connection, first.institution.id).expect("both").len(), 2);
    assert_eq!(institutions::status_changes(connection, first.institution.id).expect("history").len(), 5);
    assert_eq!(registrations::waiting(connection).expect("count"), 1);
}

#[test]
fn suspension_and_reactivation_follow_the_life_cycle() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let (ada, grace) = (by("Ada"), by("Grace"));
    let registered =
        registrations::register(connection, &ada, &asking("evry.fr", "Évry")).expect("registered");
    let id = registered.institution.id;
    assert!(institutions::suspend(connection, &ada, id, "x").is_err(), "only an active one");
    registrations::approve(connection, &ada, registered.registration.id).expect("approved");
    institutions::transition(connection, &ada, id, &[Status::Provisioning], Status::Active, None)
        .expect("active");
    assert!(matches!(institutions::suspend(connection, &ada, id, " "), Err(ModelError::Refused(_))));
    institutions::suspend(connection, &ada, id, "Unpaid.").expect("suspended");
    let told = changed(institutions::suspend(connection, &grace, id, "Unpaid.").expect_err("too late"));
    assert_eq!(told, "Ada suspended this institution just now.");
    let institution = institutions::find_by_domain(connection, "evry.fr").expect("found");
    assert!(institution.require_status(connection, Status::Active).is_err());
    institutions::reactivate(connection, &grace, id).expect("reactivated");
    assert_eq!(
        institutions::status_changes(connection, id).expect("history")[1].reason.as_deref(),
        Some("Unpaid.")
    );
}

#[test]
fn two_people_editing_one_profile_do_not_overwrite_each_other() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    let institution = registrations::register(connection, &ada, &asking("evry.fr", "Évry"))
        .expect("registered")
        .institution;
    let changes = ProfileChanges {
        name: "Évry Paris-Saclay".into(),
        kind: Kind::University,
        country: "FR".into(),
        region: None,
        website: None,
        time_zone: "Europe/Paris".into(),
    };
    let saved = institutions::update_profile(connection, &ada, institution.id, 1, &changes).expect("saved");
    assert_eq!(saved.version, 2);
    changed(institutions::update_profile(connection, &ada, institution.id, 1, &changes).expect_err("stale"));
}

#[test]
fn lists_search_filter_sort_and_count() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    for (domain, name) in
        [("evry.fr", "Université Évry"), ("todai.jp", "東京大学"), ("a_b.example", "100% School")]
    {
        registrations::register(connection, &ada, &asking(domain, name)).expect("registered");
    }
    let search = |connection: &mut SharedConn, q: &str| {
        let filter = InstitutionFilter { q: q.into(), ..Default::default() };
        institutions::page(connection, &filter, &paging("name", false)).expect("page").rows.len()
    };
    assert_eq!(search(connection, "EVRY"), 1);
    assert_eq!(search(connection, "東京"), 1);
    assert_eq!(search(connection, "100%"), 1);
    assert_eq!(search(connection, "a_b"), 1);
    assert_eq!(search(connection, "_"), 1, "an underscore is no wildcard");
    let filter =
        RegistrationFilter { status: Some(Stand::Waiting), country: Some("FR".into()), ..Default::default() };
    let slice = registrations::page(connection, &filter, &paging("submitted", true)).expect("page");
    assert_eq!((slice.total, slice.rows.len()), (3, 3));
    assert_eq!(registrations::ids_matching(connection, &filter, 2).expect("ids").len(), 2);
    assert_eq!(institutions::counts_by_status(connection).expect("counts")[&Status::PendingApproval], 3);
    let asked = vec!["evry.fr".to_owned(), "new.org".to_owned()];
    assert_eq!(institutions::statuses_of(connection, &asked).expect("statuses").len(), 1);
    assert_eq!(institutions::countries(connection).expect("countries"), ["FR"]);
}

#[test]
fn the_last_active_platform_admin_cannot_be_disabled() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let system = Audit::new(AuditKey::new([7; 32]), Actor::system());
    let new = |email: &'static str| NewAdmin {
        email,
        email_normalised: email,
        name: "N",
        role: AdminRole::SuperAdmin,
    };
    let ada = admins::create(connection, &system, &new("ada@x.org"), "hash").expect("created");
    assert!(matches!(
        admins::create(connection, &system, &new("ada@x.org"), "h"),
        Err(ModelError::Refused(_))
    ));
    let grace = admins::invite(connection, &system, &new("grace@x.org")).expect("invited");
    assert!(
        matches!(admins::disable(connection, &system, ada.id), Err(ModelError::Refused(_))),
        "the last one"
    );
    admins::accept(connection, &system, grace.id, "Grace", "hash").expect("accepted");
    changed(admins::accept(connection, &system, grace.id, "Eve", "hash").expect_err("used"));
    admins::disable(connection, &system, ada.id).expect("no longer the last");
    assert_eq!(admins::enable(connection, &system, ada.id).expect("enabled").status, AdminStatus::Active);
    let filter = AdminFilter { q: "grace".into(), role: None, status: Some(AdminStatus::Active) };
    assert_eq!(admins::page(connection, &filter, &paging("name", true)).expect("page").total, 1);
}

#[test]
fn the_first_admin_is_not_renamed_under_a_running_set_up() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let (ada, grace) = (by("Ada"), by("Grace"));
    let id = registrations::register(connection, &ada, &asking("evry.fr", "Évry"))
        .expect("registered")
        .registration
        .id;
    registrations::set_admin(connection, &grace, id, "Eve", "eve@evry.fr").expect("waiting");
    registrations::reject(connection, &ada, id, "No.").expect("rejected");
    registrations::set_admin(connection, &grace, id, "Zoé", "zoe@evry.fr").expect("rejected");
    registrations::reconsider(connection, &ada, id).expect("reconsidered");
    registrations::approve(connection, &ada, id).expect("approved");
    let late = registrations::set_admin(connection, &grace, id, "Eve", "eve@evry.fr");
    assert_eq!(changed(late.expect_err("too late")), "Ada approved this registration just now.");
    let kept = registrations::find(connection, id).expect("found");
    assert_eq!(kept.admin_email.as_deref(), Some("zoe@evry.fr"));
}

#[test]
fn what_has_had_its_time_is_forgotten_and_nothing_else() {
    use diesel::connection::SimpleConnection as _;
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    for (domain, days) in [("old.fr", 31), ("young.fr", 29)] {
        let id = registrations::register(connection, &ada, &asking(domain, "Évry"))
            .expect("registered")
            .registration
            .id;
        registrations::reject(connection, &ada, id, "No.").expect("rejected");
        let at = (now() - Duration::days(days)).format("%Y-%m-%d %H:%M:%S%.6f");
        let file = NewImport {
            kind: "registrations",
            file_name: "u.csv",
            content: b"name,domain",
            mapping: "{}",
            created_by: Id::new(),
        };
        imports::create(connection, &file).expect("kept");
        let mail = outgoing_mails::insert(connection, b"sealed").expect("queued");
        outgoing_mails::mark_sent(connection, mail).expect("sent");
        let actor = Actor::system();
        let event = SecurityEvent::of_account("sign_in", None, Id::new(), &actor);
        security_log::record(connection, &event).expect("noted");
        let long_ago = (now() - Duration::days(days + 150)).format("%Y-%m-%d %H:%M:%S%.6f");
        let fresh = format!("'{}'", (now() - Duration::hours(1)).format("%Y-%m-%d %H:%M:%S%.6f"));
        connection
            .batch_execute(&format!(
                "UPDATE registrations SET decided_at = '{at}' WHERE decided_at > {fresh};
                 UPDATE imports SET created_at = '{at}' WHERE created_at > {fresh};
                 UPDATE outgoing_mails SET sent_at = '{at}' WHERE sent_at > {fresh};
                 UPDATE security_log SET at = '{long_ago}' WHERE at > {fresh};"
            ))
            .expect("aged");
    }
    let swept = housekeeping::sweep(connection).expect("swept");
    let expected = Swept {
        uploaded_files: 1,
        sent_mails: 1,
        security_events: 1,
        rejected_passwords: 1,
        ..Swept::default()
    };
    assert_eq!(swept, expected);
    assert_eq!(housekeeping::sweep(connection).expect("again"), Swept::default());
    let hash = |connection: &mut SharedConn, domain: &str| {
        let institution = institutions::find_by_domain(connection, domain).expect("found").id;
        registrations::latest_of(connection, institution).expect("found").admin_password_hash
    };
    assert_eq!((hash(connection, "old.fr"), hash(connection, "young.fr")), (None, Some("h".into())));
}

#[test]
fn a_link_works_once_and_a_newer_one_replaces_it() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let holder = Holder { institution_id: None, user_id: Some(Id::new()) };
    let hour = Duration::hours(1);
    account_tokens::create(connection, Purpose::Invitation, holder, &[1; 32], hour).expect("first");
    let second =
        account_tokens::create(connection, Purpose::Invitation, holder, &[2; 32], hour).expect("second");
    let valid = |connection: &mut SharedConn, hash: u8| {
        account_tokens::find_valid(connection, Purpose::Invitation, &[hash; 32]).expect("asked").is_some()
    };
    assert!(!valid(connection, 1) && valid(connection, 2));
    account_tokens::use_once(connection, second.id).expect("used");
    assert!(!valid(connection, 2));
    changed(account_tokens::use_once(connection, second.id).expect_err("once only"));
    account_tokens::create(connection, Purpose::Setup, holder, &[3; 32], -hour).expect("run out");
    assert!(account_tokens::find_valid(connection, Purpose::Setup, &[3; 32]).expect("asked").is_none());
    assert_eq!(account_tokens::purge(connection, now()).expect("purged"), 1);
}

#[test]
fn the_login_index_settings_and_imports_keep_what_they_are_given() {
    let mut shared = Shared::new();
    let connection = &mut shared.connection;
    let ada = by("Ada");
    let institution = registrations::register(connection, &ada, &asking("evry.fr", "Évry"))
        .expect("registered")
        .institution;
    let login = Login { institution_id: institution.id, user_id: Id::new() };
    login_index::add(connection, &[1; 32], login).expect("added");
    login_index::add(connection, &[1; 32], login).expect("added again");
    assert_eq!(login_index::find(connection, &[1; 32]).expect("found"), [login]);
    assert_eq!(institutions::open_sessions(connection, institution.id).expect("counted"), 0);
    login_index::remove(connection, login).expect("removed");
    assert!(!login_index::any_of_institution(connection, institution.id).expect("asked"));

    platform_settings::set_signup_override(connection, &ada, 0, Some(SignupPolicy::Automatic)).expect("set");
    assert_eq!(platform_settings::signup_override(connection).expect("read"), Some(SignupPolicy::Automatic));
    let late = platform_settings::set_signup_override(connection, &ada, 0, None);
    assert!(matches!(late, Err(ModelError::Changed(_))), "who saw the older choice is told: {late:?}");
    let (_, version) = platform_settings::signup_at(connection).expect("read");
    platform_settings::set_signup_override(connection, &ada, version, None).expect("unset");
    assert_eq!(platform_settings::signup_override(connection).expect("read"), None);

    let file = NewImport {
        kind: "registrations",
        file_name: "u.csv",
        content: b"name,domain",
        mapping: "{}",
        created_by: Id::new(),
    };
    let id = imports::create(connection, &file).expect("kept");
    assert!(imports::find(connection, id, "students").is_err());
    imports::claim(connection, id, Id::new()).expect("claimed");
    changed(imports::claim(connection, id, Id::new()).expect_err("once only"));
    assert_eq!(imports::find(connection, id, "registrations").expect("found").content, b"name,domain");
}
