//! A platform with something behind every route, so that each can be called for real.

use provost::{
    db::{Id, engine::HOME, now, schema_shared::log_archives, shared::SharedConn},
    models::{
        Actor, Paging,
        institution::users::Role,
        platform::{
            account_tokens::{self, Holder, Purpose},
            admins::AdminRole,
            alerts::{self, Found, Severity},
            backups::Reason,
            operations,
            reconciliation::{self, FindingFilter},
            registrations,
            tenant_copies::{self, TenantCopy},
            tenant_databases, webhooks,
        },
    },
    routes::Route,
    services::{backups, monitoring, reconcile, rollouts, tokens::Token},
};

use super::{RESTLESS, Who};
use crate::support::{
    app::{Institution, TestApp},
    caller::{Answer, Caller},
    finished,
};

/// A platform with something behind every route.
pub struct World {
    pub app: TestApp,
    a: Institution,
    callers: Vec<(Who, Caller)>,
    /// The value of the parameter in the first pattern that starts so.
    values: Vec<(&'static str, String)>,
    asset: String,
}

impl World {
    pub fn new() -> Self {
        let app = TestApp::with(|settings| settings.scheduled = false);
        let a = app.institution("evry.example");
        let (b, s) = (app.institution("lyon.example"), app.institution("nice.example"));
        let victim = app.institution("metz.example");
        let callers = vec![
            (Who::Anonymous, app.visitor()),
            (Who::Viewer, app.viewer(&a)),
            (Who::Registrar, app.registrar(&a)),
            (Who::Owner, app.owner(&a)),
            (Who::Neighbour, app.owner(&b)),
            (Who::CutOff, app.owner(&s)),
            (Who::SuperAdmin, app.super_admin()),
            (Who::Operator, app.platform_admin(AdminRole::Operator)),
            (Who::Support, app.platform_admin(AdminRole::Support)),
            (Who::Auditor, app.platform_admin(AdminRole::Auditor)),
        ];
        app.suspend(&s);
        let asset = app.visitor().get("/").attributes("link[rel=stylesheet]", "href").remove(0);
        let mut world = Self { app, a, callers, values: Vec::new(), asset };
        world.fill_institution();
        world.fill_platform(&victim);
        world
    }

    pub fn caller(&self, who: Who) -> &Caller {
        &self.callers.iter().find(|(known, _)| *known == who).expect("a caller").1
    }

    fn fill_institution(&mut self) {
        let (owner, path) = (self.caller(Who::Owner), |rest: &str| self.a.path(rest));
        let student = add_student(owner, &self.a, "Zoé Dubois", "S-1");
        let other = add_student(owner, &self.a, "Chloé Petit", "S-2");
        owner.post(&path(&format!("/students/{other}/archiving")), &[]).is(303);
        let undo = owner.get(&path(&format!("/students/{other}"))).is(200);
        let batch = undo.attributes("form", "action").into_iter().find_map(|action| {
            let rest = action.strip_prefix(&path("/students/archivings/"))?.to_owned();
            rest.strip_suffix("/remove").map(ToOwned::to_owned)
        });
        let file = "student_number,name\nS-3,Léa Roux\n";
        let import = owner.upload(&path("/students/import"), "s.csv", file.as_bytes(), &[]).is(303);
        let activity = owner.get(&path("/activity")).is(200);
        let activity = last_segment(&activity, "main a", &path("/activity/"));
        let user = self.app.new_user(&self.a, "victim@evry.example", Role::Viewer);
        let session = other_session(&self.app, &self.a, owner);
        let values = [
            ("/i/{domain}/students/archivings/{id}", batch.expect("an undo")),
            ("/i/{domain}/students/import/{id}", tail(import.location())),
            ("/i/{domain}/students/{id}", student),
            ("/i/{domain}/activity/{id}", activity),
            ("/i/{domain}/users/{id}", user.to_string()),
            ("/account/sessions/{id}", session),
        ];
        self.values.extend(values);
        self.values.push(("/i/{domain}", self.a.domain.clone()));
    }

    fn fill_platform(&mut self, victim: &Institution) {
        let admin = self.caller(Who::SuperAdmin);
        let waiting = self.app.registered("paris.example");
        let file = "name,domain,country\nUniversity of Brest,brest.example,France\n";
        let import = admin.upload("/platform/registrations/import", "r.csv", file.as_bytes(), &[]).is(303);
        let form = admin.get("/platform/announcements/new").is(200).form("main form");
        form.fill("text", "We move house.").submit(admin).is(303);
        let list = admin.get("/platform/announcements").is(200);
        let announcement = last_segment(&list, "main tbody a", "/platform/announcements/");
        let other_admin = self.app.new_super_admin("grace@platform.example");
        let mut shared = self.app.platform.shared.get().expect("connection");
        let registration = registrations::latest_of(&mut shared, waiting.id).expect("registered").id;
        let operation = operations::latest(&mut shared, victim.id, operations::Kind::Provision);
        let operation = operation.expect("read").expect("an operation").id;
        let audit = self.app.platform.audit(Actor::command_line());
        let webhook = webhooks::create(&mut shared, &audit, "https://hook.invalid/").expect("made").id;
        let found = Found {
            rule: "made_up",
            subject: String::new(),
            institution_id: None,
            severity: Severity::Warning,
            summary: "Something is wrong.".into(),
            advice: "Mend it.".into(),
            link: "/platform".into(),
        };
        let fired = alerts::settle(&mut shared, &["made_up"], &[found]).expect("fired").fired;
        let alert = fired[0].id.to_string();
        let (rollout, migrated) = rolled_out(&self.app, &mut shared, victim.id);
        let backup = backups::take(&self.app.platform, &audit, Some(victim.id), Reason::Requested);
        let backup = backup.expect("a backup");
        let difference = difference(&self.app, &mut shared, victim.id);
        crate::log_archives::archive(&self.app.platform, Some(victim.id));
        let archive = diesel::QueryDsl::select(log_archives::table, log_archives::id);
        let archive: Id = diesel::RunQueryDsl::first(archive, &mut *shared).expect("an archive");
        let archive = archive.to_string();
        let mut link = |purpose, user_id, institution_id| {
            let token = Token::generate().expect("random");
            let holder = Holder { institution_id, user_id };
            let lifetime = Purpose::lifetime(purpose);
            account_tokens::create(&mut shared, purpose, holder, &token.hash(), lifetime).expect("stored");
            token.reveal().to_owned()
        };
        let values = [
            ("/platform/registrations/import/{id}", tail(import.location())),
            ("/platform/registrations/{id}", registration.to_string()),
            ("/platform/operations/{id}", operation.to_string()),
            ("/platform/migrations/tenants/{id}", victim.id.to_string()),
            ("/platform/migrations/operations/{id}", migrated.to_string()),
            ("/platform/migrations/{id}", rollout.to_string()),
            ("/platform/backups/{id}", backup.id.to_string()),
            ("/platform/reconciliation/{id}", difference),
            ("/platform/institutions/{domain}", victim.domain.clone()),
            ("/platform/announcements/{id}", announcement),
            ("/notifications/{id}", Id::new().to_string()),
            ("/announcements/{id}", Id::new().to_string()),
            ("/platform/plans/{plan}", "basic".to_owned()),
            ("/platform/admins/{id}", other_admin.to_string()),
            ("/platform/audit/archives/{id}", archive),
            ("/platform/maintenance/connections/{pid}", i32::MAX.to_string()),
            ("/platform/audit/{sequence}", "1".to_owned()),
            ("/platform/alerts/{id}", alert),
            ("/platform/webhooks/{id}", webhook.to_string()),
            ("/platform/servers/{id}", Id::NIL.to_string()),
            ("/setup/{token}", link(Purpose::Setup, None, None)),
            ("/password-reset/{token}", link(Purpose::PasswordReset, Some(other_admin), None)),
            ("/invitations/{token}", link(Purpose::Invitation, Some(other_admin), None)),
            ("/registrations/{token}", self.app.platform.keys.registration_link_token(registration)),
        ];
        drop(shared);
        // What the rules find is found before anybody looks.
        monitoring::alerts::evaluate(&self.app.platform).expect("looked");
        // Else it would be sent, and so change, while the others look.
        self.app.sql("DELETE FROM outgoing_mails");
        self.values.extend(values);
    }

    /// The address of a route with real values in it.
    pub fn real(&self, route: &Route) -> String {
        if route.path.starts_with("/static/") {
            return self.asset.clone();
        }
        self.filled(route, |name, pattern| self.value(name, pattern))
    }

    fn value(&self, name: &str, pattern: &str) -> String {
        let known = self
            .values
            .iter()
            .find(|(start, _)| start.ends_with(&format!("{{{name}}}")) && pattern.starts_with(start));
        known.unwrap_or_else(|| panic!("nothing is known for {{{name}}} in {pattern}")).1.clone()
    }

    /// The same with values that nothing has.
    pub fn random(&self, route: &Route) -> String {
        self.filled(route, |name, pattern| match name {
            "domain" if pattern.starts_with("/i/") => "no-such.example".into(),
            "domain" => "none.example".into(),
            "sequence" => "987654321".into(),
            "token" => Token::generate().expect("random").reveal().to_owned(),
            _ => Id::new().to_string(),
        })
    }

    fn filled(&self, route: &Route, value: impl Fn(&str, &str) -> String) -> String {
        let mut path = String::new();
        let mut rest = route.path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a closed brace");
            path.push_str(before);
            path.push_str(&value(name, route.path));
            rest = after;
        }
        path + rest
    }

    pub fn digest(&self) -> String {
        // Mail that is waiting is sent meanwhile, which is no change of the request's.
        while self.app.platform.outbox.send_due().expect("sent") > 0 {}
        self.app.shared_dump(RESTLESS) + &self.app.tenant_dump(self.a.id)
    }
}

/// Adds a student on the page; its id.
pub fn add_student(caller: &Caller, institution: &Institution, name: &str, number: &str) -> String {
    let form = caller.get(&institution.path("/students/new")).is(200).form("main form");
    let saved = form.fill("name", name).fill("student_number", number).submit(caller).is(303);
    let location = saved.location().to_owned();
    if location.ends_with("/students") {
        let list = caller.get(&format!("{location}?q={number}")).is(200);
        return last_segment(&list, "main tbody a", &format!("{location}/"));
    }
    tail(&location)
}

/// A rollout that is over, and its operation.
fn rolled_out(app: &TestApp, shared: &mut SharedConn, institution: Id) -> (Id, Id) {
    let older = "2000-01-01-000000_older";
    tenant_databases::set_schema_version(shared, institution, older, None).expect("aged");
    let audit = app.platform.audit(Actor::command_line());
    let started =
        rollouts::start(shared, &app.platform, &audit, &rollouts::Order::default()).expect("started");
    app.platform.operations.wake();
    finished(&app.platform, started.operation);
    (started.rollout, started.operation)
}

/// A copy that is entered and does not exist, as it was found.
fn difference(app: &TestApp, shared: &mut SharedConn, institution: Id) -> String {
    let (id, name) = (Id::new(), format!("{}gone", app.platform.prefix.as_str()));
    let copy = TenantCopy {
        server_id: HOME,
        id,
        institution_id: Some(institution),
        purpose: tenant_copies::Purpose::Beside,
        engine: app.engine(),
        location: app.platform.engine.home().location(&name, id),
        database_name: name,
        sealed_password: None,
        schema_version: String::new(),
        backup_id: None,
        operation_id: None,
        drop_after: now() + chrono::TimeDelta::days(7),
        created_at: now(),
    };
    tenant_copies::insert(shared, &copy).expect("entered");
    reconcile::refresh(&app.platform).expect("looked");
    let everything = Paging { sort: "subject".into(), descending: false, limit: 10, offset: 0 };
    let found = reconciliation::page(shared, &FindingFilter::default(), &everything).expect("read").rows;
    found[0].finding.id.to_string()
}

/// Another session of the caller's.
fn other_session(app: &TestApp, institution: &Institution, caller: &Caller) -> String {
    app.owner(institution);
    let action = caller.get("/account").is(200).attributes("tbody form", "action").remove(0);
    action.split('/').nth(3).expect("an id").to_owned()
}

fn tail(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn last_segment(page: &Answer, selector: &str, start: &str) -> String {
    let links = page.attributes(selector, "href");
    let found = links
        .iter()
        .find_map(|link| link.strip_prefix(start))
        .unwrap_or_else(|| panic!("{start}: {links:?}"));
    found.split(['?', '/']).next().unwrap_or_default().to_owned()
}
