//! Institutions as the platform knows them: profile, status and the history of it.

mod life;
mod list;

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    ago,
    audit::{Audit, Subject},
};
use crate::{
    db::{Id, now, schema_shared::institutions, shared::SharedConn},
    models::{ModelError, ModelResult, search::fold},
};

pub(super) use life::add_history;
pub use life::{
    StatusChange, archive, bring_back, changed, end_sessions, mark_deleted, open_sessions, reactivate,
    status_changes, suspend, transition,
};
pub(super) use list::by_country;
pub use list::{InstitutionFilter, InstitutionRow, countries, counts_by_status, older_than, page};

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
            (Self::Active | Self::Suspended, Some(Self::Archived)) => "brought back",
            (Self::Active, _) => "finished the set-up of",
            (Self::Suspended, _) => "suspended",
            (Self::Rejected, _) => "rejected",
            (Self::Archived, _) => "archived",
            (Self::Deleted, _) => "deleted",
        }
    }
}

/// An institution, whole.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
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

/// The institutions in use that have had a database since before a moment.
///
/// # Errors
/// Any database error.
pub fn with_database_since(
    connection: &mut SharedConn,
    moment: NaiveDateTime,
) -> ModelResult<Vec<Institution>> {
    use crate::{db::schema_shared::tenant_databases, models::platform::tenant_databases::DatabaseStatus};
    Ok(institutions::table
        .inner_join(tenant_databases::table)
        .filter(institutions::status.eq_any([Status::Active, Status::Suspended]))
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .filter(tenant_databases::created_at.lt(moment))
        .order(institutions::id)
        .select(Institution::as_select())
        .load(connection)?)
}

/// The institution with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Institution> {
    Ok(institutions::table.find(id).select(Institution::as_select()).first(connection)?)
}

/// The institution with this id, which nobody else changes until the end of the caller's `write_tx`.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn lock(connection: &mut SharedConn, id: Id) -> ModelResult<Institution> {
    // SQLite has one writer at a time anyway; PostgreSQL locks the row that is written.
    let row = institutions::table.find(id);
    diesel::update(row).set(institutions::version.eq(institutions::version)).execute(connection)?;
    find(connection, id)
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

/// Active institutions whose trial ends between two moments, the soonest first.
///
/// # Errors
/// Any database error.
pub fn trials_ending(
    connection: &mut SharedConn,
    from: NaiveDateTime,
    until: NaiveDateTime,
    limit: i64,
) -> ModelResult<Vec<Institution>> {
    Ok(institutions::table
        .filter(institutions::status.eq(Status::Active))
        .filter(institutions::trial_ends_at.between(from, until))
        .order((institutions::trial_ends_at, institutions::id))
        .limit(limit)
        .select(Institution::as_select())
        .load(connection)?)
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
