//! Databases beside the one that serves: for a trial, on their way in, replaced, or only to look into. Each is entered
//! before it is made and leaves after it is dropped, so that none is ever forgotten.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{
        Engine, Id, now,
        schema_shared::{operations, tenant_copies, tenant_databases},
        shared::SharedConn,
    },
    models::{ModelResult, platform::operations::OPEN},
};

crate::text_enum! {
    /// What a copy is for.
    Purpose {
        /// To try out whether a backup can be restored.
        Scratch = "scratch",
        /// About to serve instead of the present one.
        Incoming = "incoming",
        /// Served until another took its place.
        Previous = "previous",
        /// To look into, beside the one that serves.
        Beside = "beside",
    }
}

/// A copy.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = tenant_copies)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct TenantCopy {
    pub id: Id,
    /// None for a copy of the shared database.
    pub institution_id: Option<Id>,
    pub purpose: Purpose,
    pub engine: Engine,
    pub database_name: String,
    pub location: String,
    pub sealed_password: Option<Vec<u8>>,
    pub schema_version: String,
    pub backup_id: Option<Id>,
    pub operation_id: Option<Id>,
    pub drop_after: NaiveDateTime,
    pub created_at: NaiveDateTime,
    pub server_id: Id,
}

/// Enters a copy.
///
/// # Errors
/// Any database error; a unique violation when the name was taken meanwhile.
pub fn insert(connection: &mut SharedConn, new: &TenantCopy) -> ModelResult<()> {
    diesel::insert_into(tenant_copies::table).values(new).execute(connection)?;
    Ok(())
}

/// The copy with this purpose that an operation has made.
///
/// # Errors
/// Any database error.
pub fn of_operation(
    connection: &mut SharedConn,
    operation_id: Id,
    purpose: Purpose,
) -> ModelResult<Option<TenantCopy>> {
    let row = tenant_copies::table
        .filter(tenant_copies::operation_id.eq(operation_id))
        .filter(tenant_copies::purpose.eq(purpose))
        .select(TenantCopy::as_select())
        .first(connection);
    Ok(row.optional()?)
}

/// Every copy of an institution, the newest first.
///
/// # Errors
/// Any database error.
pub fn of_institution(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Vec<TenantCopy>> {
    Ok(tenant_copies::table
        .filter(tenant_copies::institution_id.eq(institution_id))
        .order(tenant_copies::created_at.desc())
        .select(TenantCopy::as_select())
        .load(connection)?)
}

/// Every copy there is: what else a server may hold beside the databases that serve.
///
/// # Errors
/// Any database error.
pub fn all(connection: &mut SharedConn) -> ModelResult<Vec<TenantCopy>> {
    Ok(tenant_copies::table
        .order(tenant_copies::database_name)
        .select(TenantCopy::as_select())
        .load(connection)?)
}

/// Whether a name belongs to a copy, or to a database that serves.
///
/// # Errors
/// Any database error.
pub fn is_name_taken(connection: &mut SharedConn, name: &str) -> ModelResult<bool> {
    let copies: i64 =
        tenant_copies::table.filter(tenant_copies::database_name.eq(name)).count().get_result(connection)?;
    let serving: i64 = tenant_databases::table
        .filter(tenant_databases::database_name.eq(name))
        .count()
        .get_result(connection)?;
    Ok(copies + serving > 0)
}

/// Copies whose time has come and that no open operation works with.
///
/// # Errors
/// Any database error.
pub fn due(connection: &mut SharedConn) -> ModelResult<Vec<TenantCopy>> {
    let at_work: Vec<Id> =
        operations::table.filter(operations::status.eq_any(OPEN)).select(operations::id).load(connection)?;
    let due: Vec<TenantCopy> = tenant_copies::table
        .filter(tenant_copies::drop_after.lt(now()))
        .order(tenant_copies::drop_after)
        .limit(100)
        .select(TenantCopy::as_select())
        .load(connection)?;
    Ok(due.into_iter().filter(|copy| copy.operation_id.is_none_or(|id| !at_work.contains(&id))).collect())
}

/// Takes every copy out: on a new machine there is none.
///
/// # Errors
/// Any database error.
pub fn remove_all(connection: &mut SharedConn) -> ModelResult<()> {
    diesel::delete(tenant_copies::table).execute(connection)?;
    Ok(())
}

/// Takes a copy out: it serves now, or it is dropped.
///
/// # Errors
/// Any database error.
pub fn remove(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::delete(tenant_copies::table.find(id)).execute(connection)?;
    Ok(())
}
