//! Registrations: who asked for an institution, and what was decided about it.

mod decisions;
mod list;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    ago,
    audit::Audit,
    institutions::{self as institution_model, Institution, Kind, Status},
    subscriptions,
};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, registrations},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, search::fold},
};

pub use decisions::{approve, reconsider, reject};
pub use list::{
    RegistrationFilter, RegistrationRow, by_day, count, ids_matching, older_than, page, still_waiting,
    waiting,
};

crate::text_enum! {
    /// How a registration came in.
    Source {
        Form = "form",
        Import = "import",
        CommandLine = "command_line",
        /// Nobody registered: a super admin wanted a copy.
        Sandbox = "sandbox",
    }
}

impl Source {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Form => "Form",
            Self::Import => "Import",
            Self::CommandLine => "Command line",
            Self::Sandbox => "Sandbox",
        }
    }
}

crate::text_enum! {
    /// What was decided.
    Decision { Approved = "approved", Rejected = "rejected" }
}

crate::text_enum! {
    /// Where a registration stands: waiting, or as it was decided.
    Stand { Waiting = "waiting", Approved = "approved", Rejected = "rejected" }
}

impl Stand {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
        }
    }
}

impl From<Option<Decision>> for Stand {
    fn from(decision: Option<Decision>) -> Self {
        match decision {
            None => Self::Waiting,
            Some(Decision::Approved) => Self::Approved,
            Some(Decision::Rejected) => Self::Rejected,
        }
    }
}

/// An institution that somebody asks for; every field already normalised.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewInstitution {
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub region: Option<String>,
    pub website: Option<String>,
    pub time_zone: String,
}

/// The person who will own it.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// As they write it.
    pub name: String,
    /// As they write it.
    pub email: String,
    /// None when they are to be invited.
    pub password_hash: Option<String>,
}

/// A registration as it comes in.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// The institution.
    pub institution: NewInstitution,
    /// Its first admin; an import may not know one yet.
    pub admin: Option<FirstAdmin>,
    /// How it came in.
    pub source: Source,
    /// End of the trial it starts on, if it does.
    pub trial_ends_at: Option<NaiveDateTime>,
}

/// A registration, whole. `Debug` leaves the password hash out.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = registrations)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Registration {
    pub id: Id,
    pub institution_id: Id,
    pub source: Source,
    pub admin_name: Option<String>,
    pub admin_email: Option<String>,
    pub admin_password_hash: Option<String>,
    pub submitted_at: NaiveDateTime,
    pub decision: Option<Decision>,
    pub decided_at: Option<NaiveDateTime>,
    pub decided_by: Option<Id>,
    pub decided_by_name: Option<String>,
    pub reason: Option<String>,
}

impl Registration {
    /// Waiting, or as it was decided.
    #[must_use]
    pub fn stand(&self) -> Stand {
        self.decision.into()
    }

    /// "Ada approved this registration 2 minutes ago."
    fn decided(&self) -> ModelError {
        let who = self.decided_by_name.as_deref().unwrap_or("Somebody");
        ModelError::Changed(match (self.decision, self.decided_at) {
            (Some(decision), Some(at)) => format!("{who} {decision} this registration {}.", ago(at)),
            _ => "This registration is waiting for a decision again.".into(),
        })
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .field("institution_id", &self.institution_id)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

/// A registration with its institution.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The registration.
    pub registration: Registration,
    /// The institution as it is now.
    pub institution: Institution,
}

/// Why a registration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The domain belongs to an institution or to a running registration. Strangers get the same sentence
    /// for both; the status is for super admins.
    #[error(
        "This domain is already registered or waiting for a decision. If it is your institution's, ask the \
         colleague who registered it to invite you."
    )]
    Taken(Status),
    /// Anything else.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<diesel::result::Error> for RegisterError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Model(error.into())
    }
}

impl From<crate::db::pools::PoolError> for RegisterError {
    fn from(error: crate::db::pools::PoolError) -> Self {
        Self::Model(error.into())
    }
}

/// The plan that every institution starts on.
pub const FIRST_PLAN: &str = "starter";

/// Takes a registration: no database yet, only the request and its history. A domain that was rejected
/// before may ask again; it keeps its institution and its history.
///
/// # Errors
/// [`RegisterError::Taken`], or any database error.
pub fn register(
    connection: &mut SharedConn,
    audit: &Audit,
    new: &NewRegistration,
) -> Result<Registered, RegisterError> {
    let outcome = connection.write_tx(|connection| {
        let known = institutions::table
            .filter(institutions::domain.eq(&new.institution.domain))
            .select(Institution::as_select())
            .first(connection)
            .optional()?;
        let id = match known {
            None => insert_institution(connection, audit, new)?,
            Some(known) if known.status == Status::Rejected => {
                reopen_institution(connection, audit, &known, new)?
            }
            Some(known) => return Err(RegisterError::Taken(known.status)),
        };
        let registration = insert_registration(connection, id, new)?;
        let institution = institution_model::find(connection, id)?;
        let detail = json!({
            "name": institution.name, "source": new.source, "admin_email": registration.admin_email,
        });
        audit.record(connection, "institution.registered", &institution.subject(), &detail)?;
        Ok(Registered { registration, institution })
    });
    match outcome {
        // Somebody registered the same domain between our look and our insert.
        Err(RegisterError::Model(error)) if error.is_unique_violation() => {
            Err(RegisterError::Taken(Status::PendingApproval))
        }
        outcome => outcome,
    }
}

fn insert_institution(connection: &mut SharedConn, audit: &Audit, new: &NewRegistration) -> ModelResult<Id> {
    let (asked, id, at) = (&new.institution, Id::new(), now());
    diesel::insert_into(institutions::table)
        .values((
            institutions::id.eq(id),
            institutions::domain.eq(&asked.domain),
            institutions::name.eq(&asked.name),
            institutions::name_key.eq(fold(&asked.name)),
            institutions::kind.eq(asked.kind),
            institutions::country.eq(&asked.country),
            institutions::region.eq(&asked.region),
            institutions::website.eq(&asked.website),
            institutions::time_zone.eq(&asked.time_zone),
            institutions::status.eq(Status::PendingApproval),
            institutions::status_changed_at.eq(at),
            institutions::plan.eq(FIRST_PLAN),
            institutions::trial_ends_at.eq(new.trial_ends_at),
            institutions::created_at.eq(at),
            institutions::updated_at.eq(at),
            institutions::version.eq(1_i64),
        ))
        .execute(connection)?;
    subscriptions::begin(connection, id, new.trial_ends_at.is_some())?;
    institution_model::add_history(connection, audit, id, None, Status::PendingApproval, None)?;
    Ok(id)
}

fn reopen_institution(
    connection: &mut SharedConn,
    audit: &Audit,
    known: &Institution,
    new: &NewRegistration,
) -> ModelResult<Id> {
    let asked = &new.institution;
    institution_model::transition(
        connection,
        audit,
        known.id,
        &[Status::Rejected],
        Status::PendingApproval,
        None,
    )?;
    diesel::update(institutions::table.find(known.id))
        .set((
            institutions::name.eq(&asked.name),
            institutions::name_key.eq(fold(&asked.name)),
            institutions::kind.eq(asked.kind),
            institutions::country.eq(&asked.country),
            institutions::region.eq(&asked.region),
            institutions::website.eq(&asked.website),
            institutions::time_zone.eq(&asked.time_zone),
            institutions::trial_ends_at.eq(new.trial_ends_at),
            institutions::version.eq(institutions::version + 1),
        ))
        .execute(connection)?;
    subscriptions::begin(connection, known.id, new.trial_ends_at.is_some())?;
    Ok(known.id)
}

fn insert_registration(
    connection: &mut SharedConn,
    institution_id: Id,
    new: &NewRegistration,
) -> ModelResult<Registration> {
    let (id, admin) = (Id::new(), new.admin.as_ref());
    diesel::insert_into(registrations::table)
        .values((
            registrations::id.eq(id),
            registrations::institution_id.eq(institution_id),
            registrations::source.eq(new.source),
            registrations::admin_name.eq(admin.map(|admin| &admin.name)),
            registrations::admin_email.eq(admin.map(|admin| &admin.email)),
            registrations::admin_password_hash.eq(admin.and_then(|admin| admin.password_hash.as_ref())),
            registrations::search_key
                .eq(search_key(admin.map(|admin| &*admin.name), admin.map(|admin| &*admin.email))),
            registrations::submitted_at.eq(now()),
        ))
        .execute(connection)?;
    find(connection, id)
}

/// What a search for the first admin looks into.
fn search_key(admin_name: Option<&str>, admin_email: Option<&str>) -> String {
    fold(&format!("{}\t{}", admin_name.unwrap_or_default(), admin_email.unwrap_or_default()))
}

/// The registration with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Registration> {
    Ok(registrations::table.find(id).select(Registration::as_select()).first(connection)?)
}

/// The registration with this id and its institution.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find_with_institution(connection: &mut SharedConn, id: Id) -> ModelResult<Registered> {
    let registration = find(connection, id)?;
    let institution = institution_model::find(connection, registration.institution_id)?;
    Ok(Registered { registration, institution })
}

/// Every registration of one institution, newest first.
///
/// # Errors
/// Any database error.
pub fn of_institution(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Vec<Registration>> {
    Ok(registrations::table
        .filter(registrations::institution_id.eq(institution_id))
        .order(registrations::id.desc())
        .limit(50)
        .select(Registration::as_select())
        .load(connection)?)
}

/// The newest registration of one institution: the one that counts.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn latest_of(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Registration> {
    Ok(registrations::table
        .filter(registrations::institution_id.eq(institution_id))
        .order(registrations::id.desc())
        .select(Registration::as_select())
        .first(connection)?)
}

/// Names the first admin of a registration that came without one, or with the wrong one. Only while it is
/// not approved: the set-up takes the admin from it.
///
/// # Errors
/// [`ModelError::Changed`] with who approved it, `NotFound`, or any database error.
pub fn set_admin(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    name: &str,
    email: &str,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let open = registrations::decision.is_null().or(registrations::decision.eq(Decision::Rejected));
        let named = diesel::update(registrations::table.find(id).filter(open))
            .set((
                registrations::admin_name.eq(name),
                registrations::admin_email.eq(email),
                registrations::admin_password_hash.eq(None::<String>),
                registrations::search_key.eq(search_key(Some(name), Some(email))),
            ))
            .execute(connection)?;
        if named == 0 {
            return Err(find(connection, id)?.decided());
        }
        let registered = find_with_institution(connection, id)?;
        let detail = json!({ "admin_name": name, "admin_email": email });
        audit.record(connection, "registration.admin_named", &registered.institution.subject(), &detail)?;
        Ok(registered)
    })
}

/// Forgets the password hashes of registrations that were rejected before `before`; returns how many. Whoever
/// is reconsidered later chooses a new password by invitation.
///
/// # Errors
/// Any database error.
pub fn forget_rejected_passwords(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        let rejected = registrations::table
            .filter(registrations::decision.eq(Decision::Rejected))
            .filter(registrations::decided_at.lt(before))
            .filter(registrations::admin_password_hash.is_not_null());
        Ok(diesel::update(rejected)
            .set(registrations::admin_password_hash.eq(None::<String>))
            .execute(connection)?)
    })
}

/// Forgets who registered an institution, each time it was registered.
///
/// # Errors
/// Any database error.
pub fn forget_people(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::update(registrations::table.filter(registrations::institution_id.eq(institution_id)))
        .set((
            registrations::admin_name.eq(None::<String>),
            registrations::admin_email.eq(None::<String>),
            registrations::admin_password_hash.eq(None::<String>),
            registrations::search_key.eq(""),
        ))
        .execute(connection)?;
    Ok(())
}

/// Forgets the password hash of an admin whose account now lives in the institution's own database.
///
/// # Errors
/// Any database error.
pub fn forget_password(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(registrations::table.find(id))
        .set(registrations::admin_password_hash.eq(None::<String>))
        .execute(connection)?;
    Ok(())
}
