//! Asking for a sandbox: an institution of its own whose records are a masked copy of another one's.

use serde_json::json;

use super::{
    leaving,
    operations::{delete, provision, sandbox},
    platform::Platform,
};
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        domain::Domain,
        platform::{
            audit::Audit,
            backups,
            institutions::{self, Institution, Status},
            operations::{self, Kind, NewOperation},
            registrations::{self, FirstAdmin, NewInstitution, NewRegistration, RegisterError, Source},
            sandboxes::{self, Sandbox},
            tenant_databases::{self, DatabaseStatus},
        },
        text::Email,
    },
};

/// So many names are tried before somebody has to think of one.
const MOST_NAMES: usize = 100;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose records.
    pub source_id: Id,
    /// As of which backup; none for one that is taken now.
    pub backup_id: Option<Id>,
    /// The sandbox's own.
    pub domain: Domain,
    /// The sandbox's own.
    pub name: String,
    /// The only one who can sign in there.
    pub admin_name: String,
    /// Where the invitation goes.
    pub admin_email: Email,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The sandbox to be.
    pub institution: Institution,
    /// What makes it.
    pub operation: Id,
}

/// Asks for a sandbox, and wakes the workers.
///
/// # Errors
/// `Refused` for a domain that is taken, for a sandbox, and where there is nothing to copy; `Changed` while the
/// institution is being archived or deleted.
pub fn request(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    wanted: &Wanted,
) -> ModelResult<Begun> {
    let begun = connection.write_tx(|connection| request_in_tx(connection, audit, wanted))?;
    platform.operations.wake();
    Ok(begun)
}

fn request_in_tx(connection: &mut SharedConn, audit: &Audit, wanted: &Wanted) -> ModelResult<Begun> {
    let source = institutions::find(connection, wanted.source_id)?;
    let engine = chosen(connection, &source, wanted.backup_id)?;
    let institution = register(connection, audit, &source, wanted)?;
    let id = institution.id;
    sandboxes::enter(connection, id, &source)?;
    let copied = sandbox::Copied {
        institution_id: source.id,
        backup_id: wanted.backup_id.unwrap_or_else(Id::new),
        fresh: wanted.backup_id.is_none(),
    };
    let new = NewOperation {
        kind: Kind::Provision,
        institution_id: Some(id),
        subject: &institution.name,
        input: &provision::input_of_copy(copied),
        steps: &sandbox::steps(engine),
        total: 0,
    };
    let operation = operations::enqueue(connection, &new, &audit.actor)?;
    let detail = json!({
        "sandbox": institution.domain, "backup_id": wanted.backup_id,
        "admin_email": wanted.admin_email.as_str(),
    });
    audit.record(connection, "institution.sandbox_requested", &source.subject(), &detail)?;
    let detail = json!({ "sandbox_of": source.domain });
    audit.record(connection, "institution.provisioning_started", &institution.subject(), &detail)?;
    Ok(Begun { institution, operation })
}

/// The engine of what is copied.
fn chosen(
    connection: &mut SharedConn,
    source: &Institution,
    backup_id: Option<Id>,
) -> ModelResult<crate::db::Engine> {
    if sandboxes::is_one(connection, source.id)? {
        let sentence = format!("{} is a sandbox itself. Make one of the original.", source.name);
        return Err(ModelError::Refused(sentence));
    }
    leaving::require_staying(connection, source)?;
    let refused = |what: &str| Err(ModelError::Refused(format!("{} {what}", source.name)));
    if !matches!(source.status, Status::Active | Status::Suspended | Status::Archived) {
        return refused("has no records yet.");
    }
    if let Some(id) = backup_id {
        let backup = backups::find(connection, id)?;
        return match &backup.fault {
            _ if backup.institution_id != Some(source.id) => refused("has no such backup."),
            Some(fault) => {
                Err(ModelError::Refused(format!("This backup cannot be restored. {fault} Choose another.")))
            }
            None => Ok(backup.engine),
        };
    }
    let database = tenant_databases::find(connection, source.id)?;
    match database.filter(|database| database.status == DatabaseStatus::Ready) {
        Some(database) => Ok(database.engine),
        None => refused("has no database to copy now. Choose one of its backups."),
    }
}

/// As if it had registered and been approved, by whoever asks.
fn register(
    connection: &mut SharedConn,
    audit: &Audit,
    source: &Institution,
    wanted: &Wanted,
) -> ModelResult<Institution> {
    let taken = || ModelError::Refused(format!("The domain {} is taken. Choose another.", wanted.domain));
    // One that was rejected could register again, and is somebody's.
    if institutions::find_by_domain(connection, wanted.domain.as_str()).is_ok() {
        return Err(taken());
    }
    let new = NewRegistration {
        institution: NewInstitution {
            domain: wanted.domain.as_str().to_owned(),
            name: wanted.name.clone(),
            kind: source.kind,
            country: source.country.clone(),
            region: None,
            website: None,
            time_zone: source.time_zone.clone(),
        },
        admin: Some(FirstAdmin {
            name: wanted.admin_name.clone(),
            email: wanted.admin_email.as_str().to_owned(),
            password_hash: None,
        }),
        source: Source::Sandbox,
        trial_ends_at: None,
    };
    let registered = registrations::register(connection, audit, &new).map_err(|error| match error {
        RegisterError::Taken(_) => taken(),
        RegisterError::Model(error) => error,
    })?;
    Ok(registrations::approve(connection, audit, registered.registration.id)?.institution)
}

/// Whether a sandbox can be given up: its set-up failed, and nobody works on it.
///
/// # Errors
/// `Changed` or `Refused` says why it cannot.
pub fn require_given_up(connection: &mut SharedConn, institution: &Institution) -> ModelResult<()> {
    institution.require_status(connection, Status::ProvisioningFailed)?;
    if !sandboxes::is_one(connection, institution.id)? {
        let sentence = format!("{} is no sandbox. Only a sandbox can be given up.", institution.name);
        return Err(ModelError::Refused(sentence));
    }
    operations::require_quiet(connection, institution.id)
}

/// Gives a sandbox up whose set-up failed: what is there of it goes, and its domain is free for others. Returns the
/// operation that does it; wake the workers after the commit.
///
/// # Errors
/// As [`require_given_up`].
pub fn give_up(connection: &mut SharedConn, audit: &Audit, institution_id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let institution = institutions::lock(connection, institution_id)?;
        require_given_up(connection, &institution)?;
        let new = NewOperation {
            kind: Kind::Delete,
            institution_id: Some(institution_id),
            subject: &institution.name,
            input: &json!(delete::Input { due_at: now(), given_up: true }),
            steps: &delete::STEPS_OF_GIVING_UP,
            total: 0,
        };
        let operation = operations::enqueue(connection, &new, &audit.actor)?;
        let detail = json!({ "domain": institution.domain });
        audit.record(connection, "institution.giving_up_requested", &institution.subject(), &detail)?;
        Ok(operation)
    })
}

/// A domain for a sandbox of this one that nobody has yet.
///
/// # Errors
/// Any database error.
pub fn propose_domain(connection: &mut SharedConn, of: &str) -> ModelResult<String> {
    let names: Vec<String> = std::iter::once(format!("sandbox.{of}"))
        .chain((2..MOST_NAMES).map(|number| format!("sandbox-{number}.{of}")))
        .collect();
    let taken = institutions::statuses_of(connection, &names)?;
    Ok(names.into_iter().find(|name| !taken.contains_key(name)).unwrap_or_default())
}

/// What a sandbox of this institution is called unless somebody says otherwise.
#[must_use]
pub fn propose_name(of: &str) -> String {
    format!("Sandbox of {of}")
}

/// "Sandbox: a masked copy of Ada College as of 3 May 2027, 10:00 UTC."
#[must_use]
pub fn sentence(sandbox: &Sandbox) -> String {
    let of = &sandbox.source_name;
    match sandbox.state_of {
        Some(at) => format!(
            "Sandbox: a masked copy of {of} as of {} UTC. Nobody in it is real, and no e-mail leaves it.",
            at.format("%-d %B %Y, %H:%M")
        ),
        None => format!("Sandbox: to become a masked copy of {of}."),
    }
}
