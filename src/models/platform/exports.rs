//! Data that an institution takes along, as the registry knows it: a row means a whole file, for a few days.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::institution_exports as exports, shared::SharedConn},
    models::{ModelError, ModelResult},
};

/// How long a file is kept.
pub const KEPT: TimeDelta = TimeDelta::days(7);
/// As many of an institution lie there at once.
const MOST: i64 = 5;

/// An export.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = exports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Export {
    pub id: Id,
    pub institution_id: Id,
    /// 1 when a super admin asked for it, and then for super admins alone; 0 for owners.
    pub by_platform: i32,
    pub asked_by_name: String,
    pub bytes: i64,
    pub row_total: i64,
    pub created_at: NaiveDateTime,
    pub expires_at: NaiveDateTime,
}

/// Passes while one more file of an institution may be made.
///
/// # Errors
/// `Refused` with what to do otherwise.
pub fn require_room(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    let there: i64 = exports::table
        .filter(exports::institution_id.eq(institution_id))
        .filter(exports::expires_at.gt(now()))
        .count()
        .get_result(connection)?;
    if there < MOST {
        return Ok(());
    }
    Err(ModelError::Refused(format!(
        "{there} exports are there already. Use the newest, or wait until one has gone by itself."
    )))
}

/// Enters a file that is in its place.
///
/// # Errors
/// Any database error.
pub fn insert(connection: &mut SharedConn, new: &Export) -> ModelResult<()> {
    diesel::insert_into(exports::table).values(new).execute(connection)?;
    Ok(())
}

/// The exports of an institution that one side may take, the newest first.
///
/// # Errors
/// Any database error.
pub fn of_institution(
    connection: &mut SharedConn,
    institution_id: Id,
    by_platform: bool,
) -> ModelResult<Vec<Export>> {
    Ok(exports::table
        .filter(exports::institution_id.eq(institution_id))
        .filter(exports::by_platform.eq(i32::from(by_platform)))
        .filter(exports::expires_at.gt(now()))
        .order((exports::created_at.desc(), exports::id.desc()))
        .select(Export::as_select())
        .load(connection)?)
}

/// One export of this institution for this side.
///
/// # Errors
/// Any database error; `NotFound` when it is another's, or its time is over.
pub fn find(
    connection: &mut SharedConn,
    institution_id: Id,
    by_platform: bool,
    id: Id,
) -> ModelResult<Export> {
    Ok(exports::table
        .find(id)
        .filter(exports::institution_id.eq(institution_id))
        .filter(exports::by_platform.eq(i32::from(by_platform)))
        .filter(exports::expires_at.gt(now()))
        .select(Export::as_select())
        .first(connection)?)
}

/// Those whose time is over.
///
/// # Errors
/// Any database error.
pub fn expired(connection: &mut SharedConn) -> ModelResult<Vec<Id>> {
    Ok(exports::table.filter(exports::expires_at.le(now())).select(exports::id).load(connection)?)
}

/// Every one that there is.
///
/// # Errors
/// Any database error.
pub fn ids(connection: &mut SharedConn) -> ModelResult<Vec<Id>> {
    Ok(exports::table.select(exports::id).load(connection)?)
}

/// All of an institution.
///
/// # Errors
/// Any database error.
pub fn all_of(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Vec<Id>> {
    Ok(exports::table
        .filter(exports::institution_id.eq(institution_id))
        .select(exports::id)
        .load(connection)?)
}

/// Takes one out; its file is gone.
///
/// # Errors
/// Any database error.
pub fn forget(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::delete(exports::table.find(id)).execute(connection)?;
    Ok(())
}
