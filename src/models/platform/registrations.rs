//! Registrations: who asked for an institution, and what was decided about it.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    SharedBackend, ago,
    audit::Audit,
    institutions::{self as institution_model, Institution, Kind, Status},
    ordered,
};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, registrations},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult, Paging, Slice,
        search::{contains_pattern, fold},
    },
};

crate::text_enum! {
    /// How a registration came in.
    Source { Form = "form", Import = "import", CommandLine = "command_line" }
}

impl Source {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Form => "Form",
            Self::Import => "Import",
            Self::CommandLine => "Command line",
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
            registrations::submitted_at.eq(now()),
        ))
        .execute(connection)?;
    find(connection, id)
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

/// Approves a waiting registration: its institution goes to `provisioning`. The caller starts the
/// provisioning operation inside the same transaction.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn approve(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Registered> {
    decide(connection, audit, id, Decision::Approved, None)
}

/// Rejects a waiting registration for a reason that its admin is told.
///
/// # Errors
/// [`ModelError::Refused`] without a reason; otherwise as [`approve`].
pub fn reject(connection: &mut SharedConn, audit: &Audit, id: Id, reason: &str) -> ModelResult<Registered> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the registration is rejected; its admin is told.".into()));
    }
    decide(connection, audit, id, Decision::Rejected, Some(reason))
}

fn decide(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    decision: Decision,
    reason: Option<&str>,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let decided = diesel::update(registrations::table.find(id))
            .filter(registrations::decision.is_null())
            .set((
                registrations::decision.eq(decision),
                registrations::decided_at.eq(now()),
                registrations::decided_by.eq(audit.actor.id),
                registrations::decided_by_name.eq(&audit.actor.name),
                registrations::reason.eq(reason),
            ))
            .execute(connection)?;
        let registration = find(connection, id)?;
        if decided == 0 {
            return Err(registration.decided());
        }
        let (to, action) = match decision {
            Decision::Approved => (Status::Provisioning, "institution.approved"),
            Decision::Rejected => (Status::Rejected, "institution.rejected"),
        };
        let from = [Status::PendingApproval];
        let institution =
            institution_model::transition(connection, audit, registration.institution_id, &from, to, reason)?;
        audit.record(connection, action, &institution.subject(), &json!({ "reason": reason }))?;
        Ok(Registered { registration, institution })
    })
}

/// Takes a rejection back: the registration waits for a decision again.
///
/// # Errors
/// [`ModelError::Changed`] when it is not rejected any more, [`ModelError::Refused`] when a newer
/// registration of the same institution counts, `NotFound`, or any database error.
pub fn reconsider(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        let before = find(connection, id)?;
        if latest_of(connection, before.institution_id)?.id != id {
            return Err(ModelError::Refused(
                "The institution has registered again since; decide about its newer registration.".into(),
            ));
        }
        let reopened = diesel::update(registrations::table.find(id))
            .filter(registrations::decision.eq(Decision::Rejected))
            .set((
                registrations::decision.eq(None::<Decision>),
                registrations::decided_at.eq(None::<NaiveDateTime>),
                registrations::decided_by.eq(None::<Id>),
                registrations::decided_by_name.eq(None::<String>),
                registrations::reason.eq(None::<String>),
            ))
            .execute(connection)?;
        if reopened == 0 {
            return Err(before.decided());
        }
        let (from, to) = ([Status::Rejected], Status::PendingApproval);
        let institution =
            institution_model::transition(connection, audit, before.institution_id, &from, to, None)?;
        let detail = json!({ "rejected_for": before.reason });
        audit.record(connection, "institution.reconsidered", &institution.subject(), &detail)?;
        Ok(Registered { registration: find(connection, id)?, institution })
    })
}

/// Names the first admin of a registration that came without one (or with the wrong one) and has none
/// provisioned yet.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn set_admin(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    name: &str,
    email: &str,
) -> ModelResult<Registered> {
    connection.write_tx(|connection| {
        diesel::update(registrations::table.find(id))
            .set((
                registrations::admin_name.eq(name),
                registrations::admin_email.eq(email),
                registrations::admin_password_hash.eq(None::<String>),
            ))
            .execute(connection)?;
        let registered = find_with_institution(connection, id)?;
        let detail = json!({ "admin_name": name, "admin_email": email });
        audit.record(connection, "registration.admin_named", &registered.institution.subject(), &detail)?;
        Ok(registered)
    })
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

/// A registration as a list shows it.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct RegistrationRow {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub institution_status: Status,
    pub source: Source,
    pub admin_name: Option<String>,
    pub admin_email: Option<String>,
    pub submitted_at: NaiveDateTime,
    pub decision: Option<Decision>,
    pub decided_at: Option<NaiveDateTime>,
    pub decided_by_name: Option<String>,
    pub reason: Option<String>,
}

impl RegistrationRow {
    /// Waiting, or as it was decided.
    #[must_use]
    pub fn stand(&self) -> Stand {
        self.decision.into()
    }
}

/// Filters of the registrations list.
#[derive(Debug, Clone, Default)]
pub struct RegistrationFilter {
    /// Part of a name, domain or the admin's e-mail.
    pub q: String,
    /// Only those that stand so.
    pub status: Option<Stand>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this country.
    pub country: Option<String>,
    /// Only those that came in so.
    pub source: Option<Source>,
}

type Matching<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::InnerJoin<registrations::table, institutions::table>,
    SharedBackend,
>;

fn matching<'a>(filter: &RegistrationFilter) -> Matching<'a> {
    let mut query = registrations::table.inner_join(institutions::table).into_boxed();
    if !filter.q.trim().is_empty() {
        let pattern = contains_pattern(&filter.q);
        query = query.filter(
            institutions::name_key
                .like(pattern.clone())
                .escape('\\')
                .or(institutions::domain.like(pattern.clone()).escape('\\'))
                .or(registrations::admin_email.assume_not_null().like(pattern).escape('\\')),
        );
    }
    query = match filter.status {
        None => query,
        Some(Stand::Waiting) => query.filter(registrations::decision.is_null()),
        Some(Stand::Approved) => query.filter(registrations::decision.eq(Decision::Approved)),
        Some(Stand::Rejected) => query.filter(registrations::decision.eq(Decision::Rejected)),
    };
    if let Some(kind) = filter.kind {
        query = query.filter(institutions::kind.eq(kind));
    }
    if let Some(country) = &filter.country {
        query = query.filter(institutions::country.eq(country.clone()));
    }
    if let Some(source) = filter.source {
        query = query.filter(registrations::source.eq(source));
    }
    query
}

/// One page of the registrations that match. Sorts by `submitted` (default), `name`, `domain`, `country`,
/// `kind`, `status` or `decided`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &RegistrationFilter,
    paging: &Paging,
) -> ModelResult<Slice<RegistrationRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "name" => ordered!(query, down, institutions::name_key, registrations::id),
        "domain" => ordered!(query, down, institutions::domain, registrations::id),
        "country" => ordered!(query, down, institutions::country, institutions::name_key),
        "kind" => ordered!(query, down, institutions::kind, institutions::name_key),
        "status" => ordered!(query, down, registrations::decision, registrations::id),
        "decided" => ordered!(query, down, registrations::decided_at, registrations::id),
        _ => ordered!(query, down, registrations::submitted_at, registrations::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select((
            registrations::id,
            institutions::domain,
            institutions::name,
            institutions::kind,
            institutions::country,
            institutions::status,
            registrations::source,
            registrations::admin_name,
            registrations::admin_email,
            registrations::submitted_at,
            registrations::decision,
            registrations::decided_at,
            registrations::decided_by_name,
            registrations::reason,
        ))
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Ids of up to `limit` registrations that match, oldest first: what a bulk decision works through.
///
/// # Errors
/// Any database error.
pub fn ids_matching(
    connection: &mut SharedConn,
    filter: &RegistrationFilter,
    limit: i64,
) -> ModelResult<Vec<Id>> {
    Ok(matching(filter)
        .order(registrations::id.asc())
        .limit(limit)
        .select(registrations::id)
        .load(connection)?)
}

/// How many registrations match.
///
/// # Errors
/// Any database error.
pub fn count(connection: &mut SharedConn, filter: &RegistrationFilter) -> ModelResult<i64> {
    Ok(matching(filter).count().get_result(connection)?)
}

/// Those of these registrations that still wait for a decision, oldest first.
///
/// # Errors
/// Any database error.
pub fn still_waiting(connection: &mut SharedConn, ids: &[Id]) -> ModelResult<Vec<Id>> {
    let mut waiting = Vec::new();
    for chunk in ids.chunks(1_000) {
        let found: Vec<Id> = registrations::table
            .filter(registrations::id.eq_any(chunk))
            .filter(registrations::decision.is_null())
            .order(registrations::id)
            .select(registrations::id)
            .load(connection)?;
        waiting.extend(found);
    }
    Ok(waiting)
}

/// How many registrations wait for a decision.
///
/// # Errors
/// Any database error.
pub fn waiting(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(registrations::table.filter(registrations::decision.is_null()).count().get_result(connection)?)
}
