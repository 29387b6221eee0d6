//! Institutions as the platform knows them: profile, status and the history of it.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    SharedBackend, ago,
    audit::{Audit, Subject},
    ordered,
};
use crate::{
    db::{
        Id, now,
        schema_shared::{institution_status_changes, institutions, login_index, sessions, tenant_databases},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult, Paging, Slice,
        search::{contains_pattern, fold},
    },
};

crate::text_enum! {
    /// What sort of institution it is.
    Kind {
        University = "university",
        College = "college",
        School = "school",
        TrainingCentre = "training_centre",
        Other = "other",
    }
}

impl Kind {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::University => "University",
            Self::College => "College",
            Self::School => "School",
            Self::TrainingCentre => "Training centre",
            Self::Other => "Other",
        }
    }
}

crate::text_enum! {
    /// Where an institution stands in its life cycle.
    Status {
        PendingApproval = "pending_approval",
        Provisioning = "provisioning",
        ProvisioningFailed = "provisioning_failed",
        Active = "active",
        Suspended = "suspended",
        Rejected = "rejected",
        Archived = "archived",
        Deleted = "deleted",
    }
}

impl Status {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PendingApproval => "Pending approval",
            Self::Provisioning => "Being set up",
            Self::ProvisioningFailed => "Set-up failed",
            Self::Active => "Active",
            Self::Suspended => "Suspended",
            Self::Rejected => "Rejected",
            Self::Archived => "Archived",
            Self::Deleted => "Deleted",
        }
    }

    /// What somebody did who brought an institution here, coming from `from`.
    const fn deed(self, from: Option<Self>) -> &'static str {
        match (self, from) {
            (Self::PendingApproval, Some(Self::Rejected)) => "reopened the registration of",
            (Self::PendingApproval, _) => "registered",
            (Self::Provisioning, Some(Self::ProvisioningFailed)) => "restarted the set-up of",
            (Self::Provisioning, _) => "approved",
            (Self::ProvisioningFailed, _) => "stopped the set-up of",
            (Self::Active, Some(Self::Suspended)) => "reactivated",
            (Self::Active, _) => "finished the set-up of",
            (Self::Suspended, _) => "suspended",
            (Self::Rejected, _) => "rejected",
            (Self::Archived, _) => "archived",
            (Self::Deleted, _) => "deleted",
        }
    }
}

/// An institution, whole.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institutions)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Institution {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub region: Option<String>,
    pub website: Option<String>,
    pub time_zone: String,
    pub status: Status,
    pub status_changed_at: NaiveDateTime,
    pub plan: String,
    pub trial_ends_at: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

impl Institution {
    /// What a log entry about this institution says it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kind: "institution", id: Some(self.id), label: &self.name, institution_id: Some(self.id) }
    }

    /// Passes when the institution is in `wanted`; otherwise says who brought it where it is.
    ///
    /// # Errors
    /// [`ModelError::Changed`] with that sentence.
    pub fn require_status(&self, connection: &mut SharedConn, wanted: Status) -> ModelResult<()> {
        if self.status == wanted { Ok(()) } else { Err(changed(connection, self.id)?) }
    }
}

/// An institution as a list shows it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institutions)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct InstitutionRow {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub status: Status,
    pub status_changed_at: NaiveDateTime,
    pub plan: String,
    pub created_at: NaiveDateTime,
}

/// One change of status.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institution_status_changes)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct StatusChange {
    pub id: Id,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub reason: Option<String>,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub at: NaiveDateTime,
}

impl StatusChange {
    /// "Ada suspended this institution 2 minutes ago."
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{} {} this institution {}.",
            self.actor_name,
            self.to_status.deed(self.from_status),
            ago(self.at)
        )
    }
}

/// Filters of the institutions list.
#[derive(Debug, Clone, Default)]
pub struct InstitutionFilter {
    /// Part of a name or domain.
    pub q: String,
    /// Only this status.
    pub status: Option<Status>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this country.
    pub country: Option<String>,
}

fn matching<'a>(filter: &InstitutionFilter) -> institutions::BoxedQuery<'a, SharedBackend> {
    let mut query = institutions::table.into_boxed();
    if !filter.q.trim().is_empty() {
        let pattern = contains_pattern(&filter.q);
        query = query.filter(
            institutions::name_key
                .like(pattern.clone())
                .escape('\\')
                .or(institutions::domain.like(pattern).escape('\\')),
        );
    }
    if let Some(status) = filter.status {
        query = query.filter(institutions::status.eq(status));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(institutions::kind.eq(kind));
    }
    if let Some(country) = &filter.country {
        query = query.filter(institutions::country.eq(country.clone()));
    }
    query
}

/// One page of the institutions that match. Sorts by `name` (default), `domain`, `country`, `kind`,
/// `status` or `created`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &InstitutionFilter,
    paging: &Paging,
) -> ModelResult<Slice<InstitutionRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "domain" => ordered!(query, down, institutions::domain, institutions::id),
        "country" => ordered!(query, down, institutions::country, institutions::name_key),
        "kind" => ordered!(query, down, institutions::kind, institutions::name_key),
        "status" => ordered!(query, down, institutions::status, institutions::created_at),
        "created" => ordered!(query, down, institutions::created_at, institutions::id),
        _ => ordered!(query, down, institutions::name_key, institutions::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select(InstitutionRow::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Ids of up to `limit` institutions that match, oldest first: what a bulk act works through.
///
/// # Errors
/// Any database error.
pub fn ids_matching(
    connection: &mut SharedConn,
    filter: &InstitutionFilter,
    limit: i64,
) -> ModelResult<Vec<Id>> {
    Ok(matching(filter)
        .order(institutions::id.asc())
        .limit(limit)
        .select(institutions::id)
        .load(connection)?)
}

/// How many institutions stand where; a status nobody is in is left out.
///
/// # Errors
/// Any database error.
pub fn counts_by_status(connection: &mut SharedConn) -> ModelResult<HashMap<Status, i64>> {
    let rows: Vec<(Status, i64)> = institutions::table
        .group_by(institutions::status)
        .select((institutions::status, diesel::dsl::count_star()))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

/// Countries that institutions are in, in alphabetical order, for the filter.
///
/// # Errors
/// Any database error.
pub fn countries(connection: &mut SharedConn) -> ModelResult<Vec<String>> {
    Ok(institutions::table
        .select(institutions::country)
        .distinct()
        .order(institutions::country)
        .limit(400)
        .load(connection)?)
}

/// The institution with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Institution> {
    Ok(institutions::table.find(id).select(Institution::as_select()).first(connection)?)
}

/// The institution with this (normalised) domain.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find_by_domain(connection: &mut SharedConn, domain: &str) -> ModelResult<Institution> {
    Ok(institutions::table
        .filter(institutions::domain.eq(domain))
        .select(Institution::as_select())
        .first(connection)?)
}

/// The names of a few institutions, for a person to choose from.
///
/// # Errors
/// Any database error.
pub fn names(connection: &mut SharedConn, ids: &[Id]) -> ModelResult<Vec<(Id, String)>> {
    Ok(institutions::table
        .filter(institutions::id.eq_any(ids))
        .select((institutions::id, institutions::name))
        .load(connection)?)
}

/// Which of these domains are taken, and how they stand. Asks in chunks below the engines' bind limits.
///
/// # Errors
/// Any database error.
pub fn statuses_of(connection: &mut SharedConn, domains: &[String]) -> ModelResult<HashMap<String, Status>> {
    let mut found = HashMap::new();
    for chunk in domains.chunks(1_000) {
        let rows: Vec<(String, Status)> = institutions::table
            .filter(institutions::domain.eq_any(chunk))
            .select((institutions::domain, institutions::status))
            .load(connection)?;
        found.extend(rows);
    }
    Ok(found)
}

/// The history of an institution's status, newest first.
///
/// # Errors
/// Any database error.
pub fn status_changes(connection: &mut SharedConn, id: Id) -> ModelResult<Vec<StatusChange>> {
    Ok(institution_status_changes::table
        .filter(institution_status_changes::institution_id.eq(id))
        .order(institution_status_changes::id.desc())
        .limit(200)
        .select(StatusChange::as_select())
        .load(connection)?)
}

/// The error that says who brought the institution where it is now.
///
/// # Errors
/// `NotFound` when there is no such institution, or any database error.
pub fn changed(connection: &mut SharedConn, id: Id) -> ModelResult<ModelError> {
    let last = institution_status_changes::table
        .filter(institution_status_changes::institution_id.eq(id))
        .order(institution_status_changes::id.desc())
        .select(StatusChange::as_select())
        .first(connection)?;
    Ok(ModelError::Changed(last.sentence()))
}

/// Moves an institution from one of the statuses in `from` to `to` and writes the history line.
/// Every change of status goes through here; call it inside the `write_tx` of the change and record
/// the audit entry there.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn transition(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    from: &[Status],
    to: Status,
    reason: Option<&str>,
) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let institution = find(connection, id)?;
        let at = now();
        let moved = diesel::update(institutions::table.find(id))
            .filter(institutions::status.eq_any(from))
            .filter(institutions::status.eq(institution.status))
            .set((
                institutions::status.eq(to),
                institutions::status_changed_at.eq(at),
                institutions::updated_at.eq(at),
            ))
            .execute(connection)?;
        if moved == 0 {
            return Err(changed(connection, id)?);
        }
        add_history(connection, audit, id, Some(institution.status), to, reason)?;
        Ok(Institution { status: to, status_changed_at: at, updated_at: at, ..institution })
    })
}

pub(super) fn add_history(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    from: Option<Status>,
    to: Status,
    reason: Option<&str>,
) -> ModelResult<()> {
    diesel::insert_into(institution_status_changes::table)
        .values((
            institution_status_changes::id.eq(Id::new()),
            institution_status_changes::institution_id.eq(id),
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

/// Who is cut off by a suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff {
    /// Sessions that are open now.
    pub sessions: i64,
    /// Accounts that can sign in.
    pub users: i64,
}

/// Counts whom a suspension would cut off.
///
/// # Errors
/// Any database error.
pub fn cut_off(connection: &mut SharedConn, id: Id) -> ModelResult<CutOff> {
    let sessions = sessions::table
        .filter(sessions::institution_id.eq(id))
        .filter(sessions::idle_expires_at.gt(now()))
        .count()
        .get_result(connection)?;
    let users =
        login_index::table.filter(login_index::institution_id.eq(id)).count().get_result(connection)?;
    Ok(CutOff { sessions, users })
}

/// Suspends an active institution: ends its sessions and puts every open handle to its database out of
/// date, so that it takes effect on the next request of everybody.
///
/// # Errors
/// [`ModelError::Refused`] without a reason, [`ModelError::Changed`] with who decided instead, `NotFound`,
/// or any database error.
pub fn suspend(connection: &mut SharedConn, audit: &Audit, id: Id, reason: &str) -> ModelResult<Institution> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ModelError::Refused("Say why the institution is suspended.".into()));
    }
    connection.write_tx(|connection| {
        let institution =
            transition(connection, audit, id, &[Status::Active], Status::Suspended, Some(reason))?;
        raise_generation(connection, id)?;
        let ended =
            diesel::delete(sessions::table.filter(sessions::institution_id.eq(id))).execute(connection)?;
        let detail = json!({ "reason": reason, "sessions_ended": ended });
        audit.record(connection, "institution.suspended", &institution.subject(), &detail)?;
        Ok(institution)
    })
}

/// Brings a suspended institution back; its people sign in again.
///
/// # Errors
/// [`ModelError::Changed`] with who decided instead, `NotFound`, or any database error.
pub fn reactivate(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let institution = transition(connection, audit, id, &[Status::Suspended], Status::Active, None)?;
        raise_generation(connection, id)?;
        audit.record(connection, "institution.reactivated", &institution.subject(), &json!({}))?;
        Ok(institution)
    })
}

fn raise_generation(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(tenant_databases::table.filter(tenant_databases::institution_id.eq(id)))
        .set((
            tenant_databases::generation.eq(tenant_databases::generation + 1),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// What of an institution's profile can be edited.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = institutions, treat_none_as_null = true)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct ProfileChanges {
    pub name: String,
    pub kind: Kind,
    pub country: String,
    pub region: Option<String>,
    pub website: Option<String>,
    pub time_zone: String,
}

/// Changes the profile of the version that was read.
///
/// # Errors
/// [`ModelError::Changed`] when somebody else saved first, `NotFound`, or any database error.
pub fn update_profile(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    version: i64,
    changes: &ProfileChanges,
) -> ModelResult<Institution> {
    connection.write_tx(|connection| {
        let before = find(connection, id)?;
        let saved = diesel::update(institutions::table.find(id))
            .filter(institutions::version.eq(version))
            .set((
                changes,
                institutions::name_key.eq(fold(&changes.name)),
                institutions::updated_at.eq(now()),
                institutions::version.eq(version + 1),
            ))
            .execute(connection)?;
        if saved == 0 {
            let sentence = format!("Somebody else changed this institution {}.", ago(before.updated_at));
            return Err(ModelError::Changed(sentence));
        }
        let after = find(connection, id)?;
        let detail = json!({ "before": profile_json(&before), "after": profile_json(&after) });
        audit.record(connection, "institution.updated", &after.subject(), &detail)?;
        Ok(after)
    })
}

fn profile_json(institution: &Institution) -> serde_json::Value {
    json!({
        "name": institution.name, "kind": institution.kind, "country": institution.country,
        "region": institution.region, "website": institution.website, "time_zone": institution.time_zone,
    })
}
