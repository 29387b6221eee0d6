//! Passwords across both databases when something fails in between: no link is burned, no guess is counted,
//! no old session lives on, and the owner of an account sees who tried.

use diesel::prelude::*;
use provost::{
    db::{Engine, Id, schema_shared},
    models::{
        Actor,
        institution::{
            activity::Activity,
            users::{self, NewUser, Role},
        },
        platform::{
            account_tokens::{self, Holder, Purpose},
            admins,
        },
        text::Email,
    },
    services::{institution_users, tokens::Token},
};

use crate::support::{
    app::{Institution, OTHER_PASSWORD, PASSWORD, TestApp, eventually},
    caller::{Answer, Caller},
};

fn attempt(caller: &Caller, email: &str, password: &str) -> Answer {
    caller.post("/sign-in", &[("email", email), ("password", password)])
}

fn typed(password: &str) -> [(&str, &str); 2] {
    [("password", password), ("password_again", password)]
}

/// Every change of a user fails as if another writer were in the way.
fn hold_users(app: &TestApp, institution: &Institution) {
    behind(
        app,
        institution,
        match app.engine() {
            Engine::Sqlite => {
                "CREATE TRIGGER held BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
            }
            Engine::Postgres => {
                "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'deadlock detected'; END $$; \
                 CREATE TRIGGER held BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION held()"
            }
        },
    );
}

fn let_users_go(app: &TestApp, institution: &Institution) {
    behind(
        app,
        institution,
        match app.engine() {
            Engine::Sqlite => "DROP TRIGGER held",
            Engine::Postgres => "DROP TRIGGER held ON users; DROP FUNCTION held()",
        },
    );
}

fn behind(app: &TestApp, institution: &Institution, sql: &str) {
    use diesel::connection::SimpleConnection as _;
    app.behind(institution).batch_execute(sql).expect(sql);
}

/// From now on the institution's database cannot be found; `false` brings it back.
fn mislay(app: &TestApp, institution: &Institution, gone: bool) {
    let change = |column: &str| match gone {
        true => format!("{column} = {column} || 'x'"),
        false => format!("{column} = substr({column}, 1, length({column}) - 1)"),
    };
    let id = institution.id.to_string().replace('-', "");
    let id = match app.engine() {
        Engine::Sqlite => format!("x'{id}'"),
        Engine::Postgres => format!("'{id}'"),
    };
    app.sql(&format!(
        "UPDATE tenant_databases SET generation = generation + 1, {}, {} WHERE institution_id = {id}",
        change("database_name"),
        change("location")
    ));
}

#[test]
fn a_hiccup_leaves_the_invitation_usable() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let email = "grace@evry.example";
    let form = app.owner(&a);
    let form = form.get(&a.path("/users/new")).is(200).form("main form").fill("name", "Grace Hopper");
    form.fill("email", email).fill("roles", "viewer").submit(&app.owner(&a)).is(303);
    let link = app.mailed_path(email, "/invitations/");
    let visitor = app.visitor();
    let fields = [("name", "Grace Hopper"), typed(OTHER_PASSWORD)[0], typed(OTHER_PASSWORD)[1]];
    hold_users(&app, &a);
    visitor.post(&link, &fields).is(503).shows("nothing was lost");
    let_users_go(&app, &a);
    visitor.get(&link).is(200);
    visitor.post(&link, &fields).leads_to("/sign-in");
    visitor.post(&link, &fields).is(404);
    let grace = app.sign_in(email, OTHER_PASSWORD);
    grace.get("/account").shows("Invitation accepted");
}

#[test]
fn a_hiccup_leaves_the_reset_link_usable_and_no_session_behind() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let before = app.owner(&a);
    app.visitor().post("/password-reset", &[("email", &a.owner_email)]).is(303);
    let link = app.mailed_path(&a.owner_email, "/password-reset/");
    hold_users(&app, &a);
    app.visitor().post(&link, &typed(OTHER_PASSWORD)).is(503).shows("nothing was lost");
    // Whoever resets a password wants others out, even when the rest has to be done again.
    before.get(&a.path("")).is(303);
    let_users_go(&app, &a);
    // Of two at once one succeeds, and it is this one's password that counts.
    let passwords = [OTHER_PASSWORD, "saffron ladder comet 48"];
    let statuses = std::thread::scope(|scope| {
        let tries = passwords.map(|password| {
            let (app, link) = (&app, &link);
            scope.spawn(move || app.visitor().post(link, &typed(password)).status)
        });
        tries.map(|one| one.join().expect("answered"))
    });
    assert!(statuses == [303, 404] || statuses == [404, 303], "{statuses:?}");
    let winner = passwords[usize::from(statuses[1] == 303)];
    app.sign_in(&a.owner_email, winner).get("/account").shows("Password changed");
    app.visitor().post(&link, &typed(PASSWORD)).is(404);
}

#[test]
fn a_platform_admins_link_is_used_with_the_password_or_not_at_all() {
    let app = TestApp::with(|settings| {
        settings.password_cost = 13;
        settings.limits.password_queue = 0;
    });
    let email = "ada@platform.example";
    let id = app.new_super_admin(email);
    let before = app.sign_in(email, PASSWORD);
    app.visitor().post("/password-reset", &[("email", email)]).is(303);
    let link = app.mailed_path(email, "/password-reset/");
    let caller = app.visitor();
    // Every place for hashing is taken for a while.
    let passwords = app.platform.passwords.clone();
    let busy = std::thread::spawn(move || {
        let places = std::thread::available_parallelism().map_or(1, usize::from);
        let work = (0..places).map(|_| passwords.hash("some password".into()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(futures_util::future::join_all(work));
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    caller.post(&link, &typed(OTHER_PASSWORD)).is(503).shows("nothing was lost");
    busy.join().expect("hashed");
    before.get("/platform").is(200);
    eventually("hashing is free again", || caller.post(&link, &typed(OTHER_PASSWORD)).status == 303);
    before.get("/platform").is(303);
    app.sign_in(email, OTHER_PASSWORD);
    let mut connection = app.platform.shared.get().expect("connection");
    assert_eq!(admins::find(&mut connection, id).expect("found").version, 2, "changed once");
}

#[test]
fn a_database_that_cannot_be_reached_is_no_wrong_password() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let b = app.institution("lyon.example");
    app.new_user(&b, &a.owner_email, Role::Viewer);
    mislay(&app, &a, true);
    // The other account of the same person opens.
    app.sign_in(&a.owner_email, PASSWORD).get(&b.path("")).is(200);
    for _ in 0..7 {
        attempt(&app.visitor(), &a.owner_email, "this is not the password").is(503);
    }
    mislay(&app, &b, true);
    for _ in 0..7 {
        attempt(&app.visitor(), &a.owner_email, PASSWORD).is(503);
    }
    mislay(&app, &a, false);
    mislay(&app, &b, false);
    attempt(&app.visitor(), &a.owner_email, PASSWORD).leads_to("/sign-in/choice");
}

#[test]
fn people_see_who_tried_their_account_and_where_they_signed_in() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let other = app.new_user(&b, &a.owner_email, Role::Viewer);
    let guesser = app.visitor().with("x-forwarded-for", "192.0.2.66");
    attempt(&guesser, &a.owner_email, "this is not the password").is(422);
    let caller = app.visitor();
    attempt(&caller, &a.owner_email, PASSWORD).leads_to("/sign-in/choice");
    caller.post("/sign-in/choice", &[("account", &other.to_string())]).leads_to(&b.path(""));
    let told = caller.get("/account").is(200).shows("192.0.2.66");
    assert_eq!(told.words(".timeline strong"), ["Signed in", "Wrong password"]);
    let caller = app.visitor();
    attempt(&caller, &a.owner_email, PASSWORD);
    let owner = caller.get("/sign-in/choice").attributes("input[type=radio]", "value");
    let owner = owner.iter().find(|id| **id != other.to_string()).expect("two accounts");
    caller.post("/sign-in/choice", &[("account", owner)]).leads_to(&a.path(""));
    let events = caller.get("/account").is(200).words(".timeline strong");
    assert_eq!(events, ["Signed in", "Wrong password"], "and not where the other account went");
}

#[test]
fn the_printed_address_is_worth_nothing_once_there_is_an_admin() {
    let app = TestApp::start();
    let token = Token::generate().expect("random");
    let nobody = Holder { institution_id: None, user_id: None };
    let print = || {
        let mut connection = app.platform.shared.get().expect("connection");
        let lifetime = Purpose::Setup.lifetime();
        account_tokens::create(&mut connection, Purpose::Setup, nobody, &token.hash(), lifetime)
            .expect("stored")
            .id
    };
    let printed = print();
    let path = format!("/setup/{}", token.reveal());
    let visitor = app.visitor();
    let form = visitor.get(&path).is(200).form("main form").fill("name", "Eve");
    let form = form.fill("email", "eve@platform.example");
    let form = form.fill("password", PASSWORD).fill("password_again", PASSWORD);
    // At the command line, say.
    app.new_super_admin("ada@platform.example");
    {
        let mut connection = app.platform.shared.get().expect("connection");
        assert!(account_tokens::require_valid(&mut connection, printed).is_err(), "withdrawn");
    }
    app.sql("UPDATE account_tokens SET used_at = NULL");
    visitor.get(&path).is(404);
    form.submit(&visitor).is(404);
    attempt(&visitor, "eve@platform.example", PASSWORD).is(422);
}

#[test]
fn who_asks_for_links_on_and_on_fills_no_mailbox_and_takes_no_link_away() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("mit.example"));
    let ask_for = |email: &str, host: usize| {
        let caller = app.visitor().with("x-forwarded-for", &format!("192.0.2.{host}"));
        caller.post("/password-reset", &[("email", email)]).leads_to("/sign-in")
    };
    let ask = |host: usize| ask_for(&a.owner_email, host);
    ask(1);
    let link = app.mailed_path(&a.owner_email, "/password-reset/");
    (2..40).for_each(|host| drop(ask(host)));
    // Requests are worked off in the order in which they came: with the last one's mail, all are done.
    ask_for(&b.owner_email, 100);
    app.mailed_path(&b.owner_email, "/password-reset/");
    // Older links are replaced, but not on and on.
    app.sql("UPDATE account_tokens SET created_at = '2020-01-01 00:00:00'");
    (40..60).for_each(|host| drop(ask(host)));
    let ada = "ada@platform.example";
    app.new_super_admin(ada);
    ask_for(ada, 101);
    app.mailed_path(ada, "/password-reset/");
    let resets = app.mails(&a.owner_email).iter().filter(|mail| mail.contains("/password-reset/")).count();
    assert!(resets <= 2, "{resets} mails");
    // The first, unless the pause that asking on and on earns was over in between: then the second.
    let newest = app.mailed_path(&a.owner_email, "/password-reset/");
    assert!(resets == 2 || newest == link);
    app.visitor().get(&newest).is(200);
}

#[test]
fn removing_a_user_is_finished_by_the_next_try() {
    let app = TestApp::start();
    let (a, b) = (app.institution("evry.example"), app.institution("lyon.example"));
    let member = app.new_user(&a, "member@evry.example", Role::Viewer);
    let caller = app.sign_in("member@evry.example", PASSWORD);
    let activity = || Activity::new(Actor::command_line());
    {
        // As if the power had failed after the institution's own database was written.
        let mut shared = app.platform.shared.get().expect("connection");
        let tenant = app.platform.tenants.open(&mut shared, a.id).expect("opened");
        users::remove(&mut tenant.get().expect("connection"), &activity(), member).expect("removed");
    }
    let run = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let remove = |institution: Id| {
        run.block_on(async {
            let db = app.platform.tenant(institution).await.expect("opened");
            institution_users::remove(&app.platform, &db, institution, activity(), member).await
        })
    };
    assert!(remove(b.id).is_err(), "another institution has nothing to finish");
    let count = || {
        let mut shared = app.platform.shared.get().expect("connection");
        let index = schema_shared::login_index::table;
        let own = index.filter(schema_shared::login_index::institution_id.eq(a.id));
        own.count().get_result::<i64>(&mut *shared).expect("counted")
    };
    assert_eq!(count(), 2);
    remove(a.id).expect("finished");
    assert_eq!(count(), 1);
    caller.get(&a.path("")).is(303);
    assert!(remove(a.id).is_err(), "nothing is left");
}

#[test]
fn two_owners_who_invite_one_address_at_once_are_both_told() {
    let app = TestApp::start();
    let a = app.institution("evry.example");
    let invite = || {
        let mut shared = app.platform.shared.get().expect("connection");
        let tenant = app.platform.tenants.open(&mut shared, a.id).expect("opened");
        drop(shared);
        let email = Email::parse("grace@evry.example").expect("an address");
        let new = NewUser { email, name: "Grace".into(), roles: vec![Role::Viewer] };
        let mut connection = tenant.get().expect("connection");
        users::create_invited(&mut connection, &Activity::new(Actor::command_line()), &new)
    };
    let outcomes = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(invite), scope.spawn(invite));
        [one.join().expect("done"), two.join().expect("done")]
    });
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 1);
    assert!(matches!(refused[0], provost::models::ModelError::Refused(_)), "{:?}", refused[0]);
}
