//! Institutions that are masked copies of others: of which one, and of which state of it.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{
    audit::Audit,
    institutions::{self as institution_model, Institution, Status},
};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, sandboxes, subscriptions},
        shared::SharedConn,
    },
    models::ModelResult,
};

/// What is said of a sandbox beside what is said of every institution.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = sandboxes)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Sandbox {
    pub institution_id: Id,
    pub source_id: Id,
    /// As it was called then.
    pub source_name: String,
    /// The moment whose records it has; none until the backup is chosen.
    pub state_of: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
}

/// Notes of whom an institution is a copy, and gives it the same plan and limits, with nothing to pay. Call it inside a
/// `write_tx`.
///
/// # Errors
/// Any database error.
pub fn enter(connection: &mut SharedConn, institution_id: Id, source: &Institution) -> ModelResult<()> {
    diesel::insert_into(sandboxes::table)
        .values((
            sandboxes::institution_id.eq(institution_id),
            sandboxes::source_id.eq(source.id),
            sandboxes::source_name.eq(&source.name),
            sandboxes::created_at.eq(now()),
        ))
        .execute(connection)?;
    diesel::update(institutions::table.find(institution_id))
        .set(institutions::plan.eq(&source.plan))
        .execute(connection)?;
    type Limits = (Option<i64>, Option<i64>, Option<i64>, Option<String>);
    let limits: Option<Limits> = subscriptions::table
        .find(source.id)
        .select((
            subscriptions::max_users,
            subscriptions::max_students,
            subscriptions::max_storage_bytes,
            subscriptions::limits_reason,
        ))
        .first(connection)
        .optional()?;
    let Some((users, students, storage, reason)) = limits else { return Ok(()) };
    diesel::update(subscriptions::table.find(institution_id))
        .set((
            subscriptions::max_users.eq(users),
            subscriptions::max_students.eq(students),
            subscriptions::max_storage_bytes.eq(storage),
            subscriptions::limits_reason.eq(reason),
        ))
        .execute(connection)?;
    Ok(())
}

/// Notes whose moment's records it has.
///
/// # Errors
/// Any database error.
pub fn set_state_of(
    connection: &mut SharedConn,
    institution_id: Id,
    state_of: NaiveDateTime,
) -> ModelResult<()> {
    diesel::update(sandboxes::table.find(institution_id))
        .set(sandboxes::state_of.eq(state_of))
        .execute(connection)?;
    Ok(())
}

/// The end of one that never served: deleted, and its domain is free for others. Call it inside a `write_tx`, and record
/// the audit entry there.
///
/// # Errors
/// `Changed` when its set-up was tried again meanwhile; any database error.
pub fn mark_given_up(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Institution> {
    let (from, reason) = ([Status::ProvisioningFailed], Some("Its set-up failed, and was given up."));
    let given_up = institution_model::transition(connection, audit, id, &from, Status::Deleted, reason)?;
    // Its history stays under a name that nobody can register.
    let domain = format!("given-up-{}.invalid", id.to_string().replace('-', ""));
    diesel::update(institutions::table.find(id)).set(institutions::domain.eq(&domain)).execute(connection)?;
    Ok(given_up)
}

/// What an institution is a copy of, if it is one.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Sandbox>> {
    let row = sandboxes::table.find(institution_id).select(Sandbox::as_select());
    Ok(row.first(connection).optional()?)
}

/// Whether an institution is a copy.
///
/// # Errors
/// Any database error.
pub fn is_one(connection: &mut SharedConn, institution_id: Id) -> ModelResult<bool> {
    let known = sandboxes::table.find(institution_id);
    Ok(diesel::select(diesel::dsl::exists(known)).get_result(connection)?)
}

/// Of whom some institutions of a list are copies.
///
/// # Errors
/// Any database error.
pub fn among(connection: &mut SharedConn, institutions: &[Id]) -> ModelResult<HashMap<Id, String>> {
    let found: Vec<(Id, String)> = sandboxes::table
        .filter(sandboxes::institution_id.eq_any(institutions))
        .select((sandboxes::institution_id, sandboxes::source_name))
        .load(connection)?;
    Ok(found.into_iter().collect())
}

/// The copies of an institution, the newest first: domain and name.
///
/// # Errors
/// Any database error.
pub fn of(connection: &mut SharedConn, source_id: Id) -> ModelResult<Vec<(String, String)>> {
    Ok(sandboxes::table
        .inner_join(institutions::table)
        .filter(sandboxes::source_id.eq(source_id))
        .filter(institutions::status.ne(Status::Deleted))
        .order(sandboxes::created_at.desc())
        .limit(50)
        .select((institutions::domain, institutions::name))
        .load(connection)?)
}
