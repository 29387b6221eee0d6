//! Provisioning: an approved institution gets its keys, its database, its first admin, and is active.
//!
//! Names and secrets are written down before anything is made with them, so that each step can be run
//! again after a crash at any point.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failure, Handler, Work, sandbox};
use crate::{
    db::{
        Engine, Id,
        engine::{HOME, Place},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        database_name::database_name,
        domain::Domain,
        institution::{
            Activity,
            profile::{self, NewProfile, WeekStart},
            users,
        },
        platform::{
            account_tokens::{self, Holder, Purpose as TokenPurpose},
            audit::Audit,
            institutions::{self, Institution, Status},
            login_index::{self, Login},
            operations::{self, Kind, NewOperation, Operation},
            platform_secrets,
            registrations::{self, Registration},
            tenant_databases::{self, NewTenantDatabase, TenantDatabase},
        },
        text::Email,
    },
    services::{leaving, mail_texts::Recipient, outbox, secrets::Purpose, servers, tenants, tokens::Token},
};

/// Every step, in order. On SQLite there are no roles.
const STEPS: [&str; 9] =
    ["reserve", "keys", "role", "database", "open", "seed", "login", "verify", "activate"];

/// How long a first admin may take to accept the invitation.
pub(super) const INVITATION_DAYS: i64 = 14;

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
        other => sandbox::step_label(other),
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
pub(super) struct Input {
    /// Made beforehand, so that a step that is run again makes no second one.
    pub admin_user_id: Id,
    /// A masked copy of another institution is made instead of an empty database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<sandbox::Copied>,
}

/// Starts provisioning: the institution's status, the operation and the trace of both, in the caller's
/// transaction. Wake the workers after the commit.
///
/// # Errors
/// `Changed` when the institution is not waiting for this.
pub fn start(connection: &mut SharedConn, audit: &Audit, institution_id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        match institution.status {
            // Approved in this very transaction; a second operation is refused by its unique index.
            Status::Provisioning => {}
            status @ (Status::PendingApproval | Status::ProvisioningFailed) => {
                let to = Status::Provisioning;
                institutions::transition(connection, audit, institution_id, &[status], to, None)?;
            }
            _ => {
                let sentence = format!("{} is no longer waiting to be set up.", institution.name);
                return Err(ModelError::Changed(sentence));
            }
        }
        let input = json!(Input { admin_user_id: Id::new(), copied: None });
        let steps = steps(connection.engine());
        let new = NewOperation {
            kind: Kind::Provision,
            institution_id: Some(institution_id),
            subject: &institution.name,
            input: &input,
            steps: &steps,
            total: 0,
        };
        let id = operations::enqueue(connection, &new, &audit.actor)?;
        audit.record(connection, "institution.provisioning_started", &institution.subject(), &json!({}))?;
        Ok(id)
    })
}

/// What a provisioning is given that makes a copy of another institution.
#[must_use]
pub fn input_of_copy(copied: sandbox::Copied) -> serde_json::Value {
    json!(Input { admin_user_id: Id::new(), copied: Some(copied) })
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
                // None on SQLite, where such a server takes the database of a platform on PostgreSQL.
                let Some(password) = password else { return Ok(Some("Needs none there".into())) };
                engine.create_role(&place, &password, &|| work.permit())?;
                Ok(Some(place.name))
            }
            "database" => {
                let (place, password) = place_and_password(work)?;
                // Beside a shared database on SQLite a role is the exception, and no step of its own.
                if let Some(password) = password.filter(|_| engine.kind() == Engine::Sqlite) {
                    engine.create_role(&place, &password, &|| work.permit())?;
                }
                engine.create(&place, &|| work.permit())?;
                Ok(Some(place.name))
            }
            "open" => {
                engine.grant_and_open(&place_and_password(work)?.0, &|| work.permit())?;
                Ok(None)
            }
            "seed" => seed(work),
            "login" => login(work).map(|()| None),
            "verify" => verify(work).map(|()| None),
            "activate" => activate(work).map(|()| None),
            other => sandbox::perform(other, work),
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        if sandbox::is_own(step) {
            return sandbox::undo(step, work);
        }
        let institution_id = work.institution_id()?;
        let engine = &work.platform.engine;
        let database = tenant_databases::find(&mut *work.shared()?, institution_id)?;
        // Without a row nothing was made: the row comes first and goes last.
        let Some(database) = database else { return Ok(()) };
        let place = tenants::place(&database);
        match step {
            "database" => {
                work.platform.tenants.retire(institution_id);
                engine.drop_database(&place, &|| work.permit())?;
                if engine.kind() == Engine::Sqlite {
                    engine.drop_role(&place, &|| work.permit())?;
                }
            }
            "role" => engine.drop_role(&place, &|| work.permit())?,
            "login" => work.write_tx(|c| Ok(login_index::remove_institution(c, institution_id)?))?,
            "keys" => work.write_tx(|c| Ok(platform_secrets::delete_institution_key(c, institution_id)?))?,
            "reserve" => work.write_tx(|c| Ok(tenant_databases::forget_reserved(c, institution_id)?))?,
            _ => {}
        }
        Ok(())
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    /// Once active, an institution's database is its own, whatever becomes of the operation that made it.
    fn is_in_use(&self, connection: &mut SharedConn, operation: &Operation) -> ModelResult<bool> {
        let Some(institution_id) = operation.institution_id else { return Ok(false) };
        let status = institutions::find(connection, institution_id)?.status;
        Ok(!matches!(status, Status::Provisioning | Status::ProvisioningFailed))
    }

    fn gave_up(&self, connection: &mut SharedConn, work: &Work<'_>, error: &str) -> ModelResult<()> {
        let Some(institution_id) = work.operation.institution_id else { return Ok(()) };
        if institutions::find(connection, institution_id)?.status != Status::Provisioning {
            return Ok(());
        }
        let (audit, from, to) = (work.audit(), [Status::Provisioning], Status::ProvisioningFailed);
        let institution =
            institutions::transition(connection, &audit, institution_id, &from, to, Some(error))?;
        audit.record(connection, "institution.provisioning_failed", &institution.subject(), &json!({}))?;
        let registration = newest_registration(connection, institution_id)?;
        if let Some((registration, (email, name))) =
            registration.as_ref().and_then(|found| Some((found, first_admin(found)?)))
        {
            let link = work.platform.link(&format!(
                "/registrations/{}",
                work.platform.keys.registration_link_token(registration.id)
            ));
            let to = Recipient { email: &email, name };
            let mail = work.platform.mail_texts.provisioning_failed(to, &work.operation.subject, &link);
            outbox::enqueue(connection, &work.platform.keys, Some(institution_id), &mail)?;
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
        let (from, to) = ([Status::ProvisioningFailed], Status::Provisioning);
        let institution = institutions::transition(connection, audit, id, &from, to, None)?;
        // It may just be given up; the row that was changed above keeps both apart.
        leaving::require_staying(connection, &institution)?;
        Ok(())
    }
}

/// Gives the institution a database name and a place, unless it has one.
fn reserve(work: &Work<'_>) -> Result<String, Failure> {
    let institution_id = work.institution_id()?;
    let version = work.platform.migrations.version();
    work.write_tx(|connection| {
        if let Some(database) = tenant_databases::find(connection, institution_id)? {
            return Ok(database.database_name);
        }
        let domain = institutions::find(connection, institution_id)?.domain;
        let domain = Domain::parse(&domain)
            .map_err(|error| Failure::Permanent(format!("The domain {domain} is not usable: {error}.")))?;
        let taken = taken_names(connection, work, &domain)?;
        let name =
            database_name(&work.platform.prefix, &domain, |name| taken.iter().any(|other| other == name));
        let id = Id::new();
        let server = servers::place_new(connection, |_| true)?;
        wait_only_elsewhere(connection, server.id)?;
        let engine = work.platform.engine.of(server.id)?;
        let location = engine.location(name.as_str(), id);
        tenant_databases::reserve(
            connection,
            &NewTenantDatabase {
                id,
                institution_id,
                engine: engine.kind(),
                database_name: name.as_str(),
                location: &location,
                schema_version: version,
                server_id: server.id,
            },
        )?;
        Ok(name.as_str().to_owned())
    })
}

/// The log of one server keeps the order of what is done there: what is noted in the shared database need not wait for
/// the disk before something is done on its own server. Before something is done on another one it must.
fn wait_only_elsewhere(connection: &mut SharedConn, server: Id) -> Result<(), Failure> {
    if server == HOME { Ok(connection.commit_without_waiting()?) } else { Ok(()) }
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
    let server = database(work)?.server_id;
    let engine = work.platform.engine.of(server)?;
    work.write_tx(|connection| {
        wait_only_elsewhere(connection, server)?;
        let key = work.platform.keys.data_key_or_new(connection, institution_id)?;
        if engine.has_passwords() {
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
    crate::crash_point!("provision:placed");
    Ok((tenants::place(&database), password))
}

/// The registration that counts; none for an institution that was made without one.
pub(super) fn newest_registration(
    connection: &mut SharedConn,
    institution_id: Id,
) -> ModelResult<Option<Registration>> {
    Ok(registrations::of_institution(connection, institution_id)?.into_iter().next())
}

/// Address and name of the first admin, where the registration knows them.
pub(super) fn first_admin(registration: &Registration) -> Option<(Email, &str)> {
    let email = Email::parse(registration.admin_email.as_deref()?).ok()?;
    Some((email, registration.admin_name.as_deref().unwrap_or_default()))
}

/// Enters the institution and its first admin into the new database, unless they are there. Returns the
/// admin's address, to show beside the step.
fn seed(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let (institution_id, input) = (work.institution_id()?, work.input::<Input>()?);
    let mut shared = work.shared()?;
    let registration = newest_registration(&mut shared, institution_id)?;
    let profile = first_profile(institutions::find(&mut shared, institution_id)?);
    let at_home =
        tenant_databases::find(&mut shared, institution_id)?.is_some_and(|row| row.server_id == HOME);
    let tenant = work.platform.tenants.open_in_any_state(&mut shared, institution_id)?;
    drop(shared);
    let mut connection = tenant.get()?;
    connection.write_tx(|connection| {
        if at_home {
            connection.commit_without_waiting()?;
        }
        profile::create_if_absent(connection, &profile)?;
        let Some(registration) = registration else { return Ok(None) };
        let Some((email, name)) = first_admin(&registration) else { return Ok(None) };
        let activity = Activity::new(work.audit().actor);
        let password_hash = registration.admin_password_hash.as_deref();
        users::create_first_owner(connection, &activity, input.admin_user_id, &email, name, password_hash)?;
        Ok(Some(email.as_str().to_owned()))
    })
}

fn first_profile(institution: Institution) -> NewProfile {
    NewProfile {
        id: institution.id,
        domain: institution.domain,
        name: institution.name,
        kind: institution.kind.as_str().to_owned(),
        country: institution.country,
        website: institution.website,
        time_zone: institution.time_zone,
        locale: "en".into(),
        week_start: WeekStart::Monday,
    }
}

/// Enters the first admin into the login index. The institution is not active yet, so nobody gets in.
fn login(work: &Work<'_>) -> Result<(), Failure> {
    let (institution_id, input) = (work.institution_id()?, work.input::<Input>()?);
    work.step_tx(|connection| {
        let registration = newest_registration(connection, institution_id)?;
        let Some((email, _)) = registration.as_ref().and_then(first_admin) else { return Ok(()) };
        // Whatever an earlier, interrupted attempt has entered goes.
        login_index::remove_institution(connection, institution_id)?;
        let login = Login { institution_id, user_id: input.admin_user_id };
        login_index::add(connection, &work.platform.keys.email_hash(&email), login)?;
        Ok(())
    })
}

fn verify(work: &Work<'_>) -> Result<(), Failure> {
    let (place, password) = place_and_password(work)?;
    let mut shared = work.shared()?;
    let other = tenant_databases::any_other(&mut shared, place.institution_id, place.server_id)?;
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
    work.write_tx(|connection| {
        // Activated before a crash, and maybe suspended since.
        if Provision.is_in_use(connection, work.operation)? {
            return Ok(());
        }
        let (audit, from, to) = (work.audit(), [Status::Provisioning], Status::Active);
        tenant_databases::mark_ready(connection, institution_id)?;
        let institution = institutions::transition(connection, &audit, institution_id, &from, to, None)?;
        audit.record(connection, "institution.activated", &institution.subject(), &json!({}))?;
        let Some(registration) = newest_registration(connection, institution_id)? else { return Ok(()) };
        let Some((email, person)) = first_admin(&registration) else { return Ok(()) };
        let to = Recipient { email: &email, name: person };
        let texts = &work.platform.mail_texts;
        let mail = if registration.admin_password_hash.is_some() {
            texts.institution_ready(to, name, &work.platform.link("/sign-in"))
        } else {
            let token = invite(connection, institution_id, input.admin_user_id)?;
            let link = work.platform.link(&format!("/invitations/{}", token.reveal()));
            texts.first_admin_invitation(to, name, &link, &format!("{INVITATION_DAYS} days"))
        };
        outbox::enqueue(connection, &work.platform.keys, Some(institution_id), &mail)?;
        // The password lives in the institution's own database from now on.
        registrations::forget_password(connection, registration.id)?;
        Ok(())
    })
}

pub(super) fn invite(connection: &mut SharedConn, institution_id: Id, user_id: Id) -> Result<Token, Failure> {
    let token = Token::generate().map_err(|error| Failure::Transient(format!("{error}.")))?;
    let holder = Holder { institution_id: Some(institution_id), user_id: Some(user_id) };
    let lifetime = TimeDelta::days(INVITATION_DAYS);
    account_tokens::create(connection, TokenPurpose::Invitation, holder, &token.hash(), lifetime)?;
    Ok(token)
}
