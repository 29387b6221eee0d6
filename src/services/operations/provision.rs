//! Provisioning: an approved institution gets its keys, its database, its first admin, and is active.
//!
//! Names and secrets are written down before anything is made with them, so that each step can be run
//! again after a crash at any point.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failure, Handler, Work};
use crate::{
    db::{
        Engine, Id,
        engine::Place,
        migrate::tenant_schema_version,
        now,
        schema_shared::{
            account_tokens, institution_status_changes, institutions, login_index, registrations,
        },
        schema_tenant::{institution, user_roles, users},
        shared::SharedConn,
        tenant::TenantConn,
    },
    models::{
        ModelError, ModelResult,
        database_name::database_name,
        domain::Domain,
        platform::{
            audit::{Audit, Subject},
            operations::{self, Kind, NewOperation, Operation},
            platform_secrets,
            tenant_databases::{self, NewTenantDatabase, TenantDatabase},
        },
        search::fold,
        text::Email,
    },
    services::{mail_texts::Recipient, outbox, secrets::Purpose, tenants, tokens::Token},
};

/// Every step, in order. On SQLite there are no roles.
const STEPS: [&str; 9] =
    ["reserve", "keys", "role", "database", "open", "seed", "login", "verify", "activate"];

/// How long a first admin may take to accept the invitation.
const INVITATION_DAYS: i64 = 14;

/// The steps of provisioning on an engine.
#[must_use]
pub fn steps(engine: Engine) -> Vec<&'static str> {
    STEPS.into_iter().filter(|step| engine == Engine::Postgres || *step != "role").collect()
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "reserve" => "Reserve a name for the database",
        "keys" => "Make its key and password",
        "role" => "Make its role on the server",
        "database" => "Make the database",
        "open" => "Grant rights and open it",
        "seed" => "Enter the institution and its first admin",
        "login" => "Let the first admin sign in",
        "verify" => "Verify that it works and is closed to others",
        "activate" => "Activate the institution",
        _ => "Unknown step",
    }
}

/// Names of the crash points of provisioning on an engine, for the kill sweep.
#[must_use]
pub fn crash_points(engine: Engine) -> Vec<String> {
    let of_steps = steps(engine)
        .into_iter()
        .flat_map(|step| ["begun", "acted", "recorded"].map(|moment| format!("step:{step}:{moment}")));
    let other = crate::db::crash::POINTS.iter().filter(|point| match engine {
        Engine::Sqlite => !point.starts_with("postgres:"),
        Engine::Postgres => !point.starts_with("sqlite:"),
    });
    other.map(ToString::to_string).chain(of_steps).collect()
}

#[derive(Serialize, Deserialize)]
struct Input {
    /// Made beforehand, so that a step that is run again makes no second one.
    admin_user_id: Id,
}

/// Starts provisioning: the institution's status, the operation and the trace of both, in the caller's
/// transaction. Wake the workers after the commit.
///
/// # Errors
/// `Changed` when the institution is not waiting for this.
pub fn start(connection: &mut SharedConn, audit: &Audit, institution_id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let (name, status): (String, String) = institutions::table
            .find(institution_id)
            .select((institutions::name, institutions::status))
            .first(connection)?;
        match &*status {
            // Approved in this very transaction; a second operation is refused by its unique index.
            "provisioning" => {}
            "pending_approval" | "provisioning_failed" => {
                change_status(connection, audit, institution_id, &status, "provisioning", None)?;
            }
            _ => return Err(ModelError::Changed(format!("{name} is no longer waiting to be set up."))),
        }
        let input = json!(Input { admin_user_id: Id::new() });
        let steps = steps(connection.engine());
        let new = NewOperation {
            kind: Kind::Provision,
            institution_id: Some(institution_id),
            subject: &name,
            input: &input,
            steps: &steps,
            total: 0,
        };
        let id = operations::enqueue(connection, &new, &audit.actor)?;
        record(connection, audit, "institution.provisioning_started", institution_id, &name)?;
        Ok(id)
    })
}

/// The handler of [`Kind::Provision`].
pub(super) struct Provision;

impl Handler for Provision {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let engine = &work.platform.engine;
        match step {
            "reserve" => reserve(work).map(Some),
            "keys" => keys(work).map(|()| None),
            "role" => {
                let (place, password) = place_and_password(work)?;
                let password =
                    password.ok_or_else(|| Failure::Permanent("The database has no password.".into()))?;
                engine.create_role(&place, &password)?;
                Ok(Some(place.name))
            }
            "database" => {
                let (place, _) = place_and_password(work)?;
                engine.create(&place)?;
                Ok(Some(place.name))
            }
            "open" => {
                engine.grant_and_open(&place_and_password(work)?.0)?;
                Ok(None)
            }
            "seed" => seed(work),
            "login" => login(work).map(|()| None),
            "verify" => verify(work).map(|()| None),
            "activate" => activate(work).map(|()| None),
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        let institution_id = work.institution_id()?;
        let engine = &work.platform.engine;
        let database = tenant_databases::find(&mut *work.shared()?, institution_id)?;
        // Without a row nothing was made: the row comes first and goes last.
        let Some(database) = database else { return Ok(()) };
        let place = tenants::place(&database);
        match step {
            "database" => {
                work.platform.tenants.retire(institution_id);
                engine.drop_database(&place)?;
            }
            "role" => engine.drop_role(&place)?,
            "login" => {
                let entries = login_index::table.filter(login_index::institution_id.eq(institution_id));
                diesel::delete(entries).execute(&mut *work.shared()?)?;
            }
            "keys" => platform_secrets::delete_institution_key(&mut *work.shared()?, institution_id)?,
            "reserve" => tenant_databases::forget_reserved(&mut *work.shared()?, institution_id)?,
            _ => {}
        }
        Ok(())
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    fn gave_up(&self, connection: &mut SharedConn, work: &Work<'_>, error: &str) -> ModelResult<()> {
        let Some(institution_id) = work.operation.institution_id else { return Ok(()) };
        let status: String =
            institutions::table.find(institution_id).select(institutions::status).first(connection)?;
        if status != "provisioning" {
            return Ok(());
        }
        let audit = work.audit();
        change_status(connection, &audit, institution_id, &status, "provisioning_failed", Some(error))?;
        record(
            connection,
            &audit,
            "institution.provisioning_failed",
            institution_id,
            &work.operation.subject,
        )?;
        let registration = registration(connection, institution_id)?;
        if let Some((id, email, name)) = registration.as_ref().and_then(Registration::recipient) {
            let link = work
                .platform
                .link(&format!("/registrations/{}", work.platform.keys.registration_link_token(id)));
            let to = Recipient { email: &email, name };
            let mail = work.platform.mail_texts.provisioning_failed(to, &work.operation.subject, &link);
            outbox::enqueue(connection, &work.platform.keys, &mail)?;
        }
        Ok(())
    }

    fn tried_again(
        &self,
        connection: &mut SharedConn,
        audit: &Audit,
        operation: &Operation,
    ) -> ModelResult<()> {
        let id = operation.institution_id.ok_or(ModelError::NOT_FOUND)?;
        change_status(connection, audit, id, "provisioning_failed", "provisioning", None)
    }
}

/// Gives the institution a database name and a place, unless it has one.
fn reserve(work: &Work<'_>) -> Result<String, Failure> {
    let (institution_id, engine) = (work.institution_id()?, &work.platform.engine);
    let version = tenant_schema_version().map_err(|error| Failure::Permanent(format!("{error}.")))?;
    work.shared()?.write_tx(|connection| {
        if let Some(database) = tenant_databases::find(connection, institution_id)? {
            return Ok(database.database_name);
        }
        let domain: String =
            institutions::table.find(institution_id).select(institutions::domain).first(connection)?;
        let domain = Domain::parse(&domain)
            .map_err(|error| Failure::Permanent(format!("The domain {domain} is not usable: {error}.")))?;
        let taken = taken_names(connection, work, &domain)?;
        let name =
            database_name(&work.platform.prefix, &domain, |name| taken.iter().any(|other| other == name));
        let id = Id::new();
        let location = engine.location(name.as_str(), id);
        tenant_databases::reserve(
            connection,
            &NewTenantDatabase {
                id,
                institution_id,
                engine: engine.kind(),
                database_name: name.as_str(),
                location: &location,
                schema_version: &version,
            },
        )?;
        Ok(name.as_str().to_owned())
    })
}

/// The names that this domain could get and that are given already.
fn taken_names(
    connection: &mut SharedConn,
    work: &Work<'_>,
    domain: &Domain,
) -> Result<Vec<String>, Failure> {
    let mut taken: Vec<String> = Vec::new();
    loop {
        let name =
            database_name(&work.platform.prefix, domain, |name| taken.iter().any(|other| other == name));
        if !tenant_databases::is_name_taken(connection, name.as_str())? {
            return Ok(taken);
        }
        taken.push(name.as_str().to_owned());
    }
}

/// Makes data key and password, sealed before they are used; run again, the same ones stay.
fn keys(work: &Work<'_>) -> Result<(), Failure> {
    let institution_id = work.institution_id()?;
    work.shared()?.write_tx(|connection| {
        let key = work.platform.keys.data_key_or_new(connection, institution_id)?;
        if work.platform.engine.has_passwords() {
            let password = Token::generate().map_err(|error| Failure::Transient(format!("{error}.")))?;
            let sealed = key
                .seal(Purpose::TenantDatabaseUrl, password.reveal().as_bytes())
                .map_err(|error| Failure::Transient(format!("{error}.")))?;
            tenant_databases::set_password_once(connection, institution_id, &sealed)?;
        }
        Ok(())
    })
}

fn database(work: &Work<'_>) -> Result<TenantDatabase, Failure> {
    let found = tenant_databases::find(&mut *work.shared()?, work.institution_id()?)?;
    found.ok_or_else(|| {
        Failure::Permanent("The database's reservation is gone. Roll back, then try again.".into())
    })
}

fn place_and_password(work: &Work<'_>) -> Result<(Place, Option<Zeroizing<String>>), Failure> {
    let database = database(work)?;
    let password = tenants::password(&work.platform.keys, &mut *work.shared()?, &database)?;
    // The engine may have waited for a dead worker's session: look who holds the operation before acting.
    work.still_mine()?;
    Ok((tenants::place(&database), password))
}

/// What the registration says of the first admin.
#[derive(Queryable)]
struct Registration {
    id: Id,
    admin_name: Option<String>,
    admin_email: Option<String>,
    admin_password_hash: Option<String>,
}

impl Registration {
    fn recipient(&self) -> Option<(Id, Email, &str)> {
        let email = Email::parse(self.admin_email.as_deref()?).ok()?;
        Some((self.id, email, self.admin_name.as_deref().unwrap_or_default()))
    }
}

fn registration(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Registration>> {
    Ok(registrations::table
        .filter(registrations::institution_id.eq(institution_id))
        .order(registrations::submitted_at.desc())
        .select((
            registrations::id,
            registrations::admin_name,
            registrations::admin_email,
            registrations::admin_password_hash,
        ))
        .first(connection)
        .optional()?)
}

/// Enters the institution and its first admin into the new database, unless they are there.
fn seed(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let (institution_id, input) = (work.institution_id()?, work.input::<Input>()?);
    let mut shared = work.shared()?;
    let registration = registration(&mut shared, institution_id)?;
    let profile: Profile = institutions::table
        .find(institution_id)
        .select((
            institutions::id,
            institutions::domain,
            institutions::name,
            institutions::kind,
            institutions::country,
            institutions::website,
            institutions::time_zone,
        ))
        .first(&mut *shared)?;
    let tenant = work.platform.tenants.open_in_any_state(&mut shared, institution_id)?;
    drop(shared);
    let mut connection = tenant.get()?;
    connection.write_tx(|connection| {
        profile.insert_once(connection)?;
        match &registration {
            Some(registration) => insert_admin_once(connection, input.admin_user_id, registration),
            None => Ok(None),
        }
    })
}

#[derive(Queryable)]
struct Profile {
    id: Id,
    domain: String,
    name: String,
    kind: String,
    country: String,
    website: Option<String>,
    time_zone: String,
}

impl Profile {
    fn insert_once(&self, connection: &mut TenantConn) -> Result<(), Failure> {
        let count: i64 = institution::table.count().get_result(connection)?;
        if count > 0 {
            return Ok(());
        }
        diesel::insert_into(institution::table)
            .values((
                institution::id.eq(self.id),
                institution::domain.eq(&self.domain),
                institution::name.eq(&self.name),
                institution::kind.eq(&self.kind),
                institution::country.eq(&self.country),
                institution::website.eq(&self.website),
                institution::time_zone.eq(&self.time_zone),
                institution::locale.eq("en"),
                institution::week_start.eq("monday"),
                institution::updated_at.eq(now()),
            ))
            .execute(connection)?;
        Ok(())
    }
}

/// Returns the admin's address, to show beside the step.
fn insert_admin_once(
    connection: &mut TenantConn,
    user_id: Id,
    registration: &Registration,
) -> Result<Option<String>, Failure> {
    let Some((_, email, name)) = registration.recipient() else { return Ok(None) };
    let known: i64 = users::table.filter(users::id.eq(user_id)).count().get_result(connection)?;
    if known == 0 {
        let password_hash = registration.admin_password_hash.as_deref();
        diesel::insert_into(users::table)
            .values((
                users::id.eq(user_id),
                users::email.eq(email.as_str()),
                users::email_normalised.eq(email.normalised()),
                users::name.eq(name),
                users::name_key.eq(fold(name)),
                users::password_hash.eq(password_hash),
                users::status.eq(if password_hash.is_some() { "active" } else { "invited" }),
                users::created_at.eq(now()),
                users::updated_at.eq(now()),
            ))
            .execute(connection)?;
        diesel::insert_into(user_roles::table)
            .values((
                user_roles::user_id.eq(user_id),
                user_roles::role.eq("owner"),
                user_roles::granted_at.eq(now()),
            ))
            .execute(connection)?;
    }
    Ok(Some(email.as_str().to_owned()))
}

/// Enters the first admin into the login index. The institution is not active yet, so nobody gets in.
fn login(work: &Work<'_>) -> Result<(), Failure> {
    let (institution_id, input) = (work.institution_id()?, work.input::<Input>()?);
    work.shared()?.write_tx(|connection| {
        let registration = registration(connection, institution_id)?;
        let Some((_, email, _)) = registration.as_ref().and_then(Registration::recipient) else {
            return Ok(());
        };
        // Whatever an earlier, interrupted attempt has entered goes.
        diesel::delete(login_index::table.filter(login_index::institution_id.eq(institution_id)))
            .execute(connection)?;
        diesel::insert_into(login_index::table)
            .values((
                login_index::id.eq(Id::new()),
                login_index::email_hash.eq(work.platform.keys.email_hash(&email)),
                login_index::institution_id.eq(institution_id),
                login_index::user_id.eq(input.admin_user_id),
                login_index::created_at.eq(now()),
            ))
            .execute(connection)?;
        Ok(())
    })
}

fn verify(work: &Work<'_>) -> Result<(), Failure> {
    let (place, password) = place_and_password(work)?;
    let mut shared = work.shared()?;
    let other = tenant_databases::any_other(&mut shared, place.institution_id)?;
    let tenant = work.platform.tenants.open_in_any_state(&mut shared, place.institution_id)?;
    drop(shared);
    let foreign = other.as_ref().map(tenants::place);
    let password = password.as_ref().map(|text| text.as_str());
    Ok(work.platform.engine.verify(&place, &mut *tenant.get()?, password, foreign.as_ref())?)
}

/// Active, the trace of it, and the mail that says so: all or nothing.
fn activate(work: &Work<'_>) -> Result<(), Failure> {
    let (institution_id, input) = (work.institution_id()?, work.input::<Input>()?);
    let name = &work.operation.subject;
    work.shared()?.write_tx(|connection| {
        let status: String =
            institutions::table.find(institution_id).select(institutions::status).first(connection)?;
        if status == "active" {
            return Ok(());
        }
        let audit = work.audit();
        tenant_databases::mark_ready(connection, institution_id)?;
        change_status(connection, &audit, institution_id, "provisioning", "active", None)?;
        record(connection, &audit, "institution.activated", institution_id, name)?;
        let registration = registration(connection, institution_id)?;
        let Some((_, email, person)) = registration.as_ref().and_then(Registration::recipient) else {
            return Ok(());
        };
        let to = Recipient { email: &email, name: person };
        let has_password = registration.as_ref().is_some_and(|found| found.admin_password_hash.is_some());
        let texts = &work.platform.mail_texts;
        let mail = if has_password {
            texts.institution_ready(to, name, &work.platform.link("/sign-in"))
        } else {
            let token = invite(connection, institution_id, input.admin_user_id)?;
            let link = work.platform.link(&format!("/invitations/{}", token.reveal()));
            texts.first_admin_invitation(to, name, &link, &format!("{INVITATION_DAYS} days"))
        };
        outbox::enqueue(connection, &work.platform.keys, &mail)?;
        // The password lives in the institution's own database from now on.
        diesel::update(registrations::table.filter(registrations::institution_id.eq(institution_id)))
            .set(registrations::admin_password_hash.eq(None::<String>))
            .execute(connection)?;
        Ok(())
    })
}

fn invite(connection: &mut SharedConn, institution_id: Id, user_id: Id) -> Result<Token, Failure> {
    let token = Token::generate().map_err(|error| Failure::Transient(format!("{error}.")))?;
    diesel::insert_into(account_tokens::table)
        .values((
            account_tokens::id.eq(Id::new()),
            account_tokens::token_hash.eq(token.hash().to_vec()),
            account_tokens::purpose.eq("invitation"),
            account_tokens::institution_id.eq(institution_id),
            account_tokens::user_id.eq(user_id),
            account_tokens::created_at.eq(now()),
            account_tokens::expires_at.eq(now() + chrono::TimeDelta::days(INVITATION_DAYS)),
        ))
        .execute(connection)?;
    Ok(token)
}

/// Changes the status if it is still `from`, and keeps the history.
fn change_status(
    connection: &mut SharedConn,
    audit: &Audit,
    institution_id: Id,
    from: &str,
    to: &str,
    reason: Option<&str>,
) -> ModelResult<()> {
    let changed = diesel::update(institutions::table.find(institution_id))
        .filter(institutions::status.eq(from))
        .set((
            institutions::status.eq(to),
            institutions::status_changed_at.eq(now()),
            institutions::updated_at.eq(now()),
            institutions::version.eq(institutions::version + 1),
        ))
        .execute(connection)?;
    if changed == 0 {
        return Err(ModelError::Changed("The institution's status was changed by somebody else.".into()));
    }
    diesel::insert_into(institution_status_changes::table)
        .values((
            institution_status_changes::id.eq(Id::new()),
            institution_status_changes::institution_id.eq(institution_id),
            institution_status_changes::from_status.eq(from),
            institution_status_changes::to_status.eq(to),
            institution_status_changes::reason.eq(reason),
            institution_status_changes::actor_id.eq(audit.actor.id),
            institution_status_changes::actor_name.eq(&audit.actor.name),
            institution_status_changes::at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

fn record(
    connection: &mut SharedConn,
    audit: &Audit,
    action: &str,
    institution_id: Id,
    name: &str,
) -> ModelResult<()> {
    let subject = Subject {
        kind: "institution",
        id: Some(institution_id),
        label: name,
        institution_id: Some(institution_id),
    };
    audit.record(connection, action, &subject, &json!({}))
}
