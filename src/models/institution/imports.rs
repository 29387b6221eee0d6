//! Uploaded files waiting to be imported, with the meaning of their columns.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use super::quota;
use crate::{
    db::{Id, now, schema_tenant::imports, tenant::TenantConn},
    models::{Limits, ModelError, ModelResult, Resource},
};

/// Files are kept this long, so that a result can be looked at again.
const KEPT_DAYS: i64 = 30;

/// An uploaded file.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = imports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Import {
    pub id: Id,
    pub kind: String,
    pub file_name: String,
    pub content: Vec<u8>,
    pub mapping: String,
    pub operation_id: Option<Id>,
    pub result: Option<String>,
    pub created_by: Id,
    pub created_at: NaiveDateTime,
}

/// What is known of an upload without reading the file itself.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = imports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct ImportHead {
    pub id: Id,
    pub file_name: String,
    pub operation_id: Option<Id>,
}

/// Keeps a file until it is imported; removes those that have had their time.
///
/// # Errors
/// Refused when the plan has no room for the file; any database error.
pub fn create(
    connection: &mut TenantConn,
    limits: &Limits,
    kind: &str,
    file_name: &str,
    content: &[u8],
    mapping: &str,
    created_by: Id,
) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let (id, at) = (Id::new(), now());
        diesel::delete(imports::table.filter(imports::created_at.lt(at - TimeDelta::days(KEPT_DAYS))))
            .execute(connection)?;
        quota::require(connection, limits, Resource::Storage, content.len())?;
        diesel::insert_into(imports::table)
            .values((
                imports::id.eq(id),
                imports::kind.eq(kind),
                imports::file_name.eq(file_name),
                imports::content.eq(content),
                imports::mapping.eq(mapping),
                imports::created_by.eq(created_by),
                imports::created_at.eq(at),
            ))
            .execute(connection)?;
        Ok(id)
    })
}

/// One file of this kind.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut TenantConn, kind: &str, id: Id) -> ModelResult<Import> {
    Ok(imports::table
        .find(id)
        .filter(imports::kind.eq(kind))
        .select(Import::as_select())
        .first(connection)?)
}

/// The head of one file of this kind.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn head(connection: &mut TenantConn, kind: &str, id: Id) -> ModelResult<ImportHead> {
    Ok(imports::table
        .find(id)
        .filter(imports::kind.eq(kind))
        .select(ImportHead::as_select())
        .first(connection)?)
}

/// What the import of a file did; none as long as it is not over.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn result(connection: &mut TenantConn, id: Id) -> ModelResult<Option<String>> {
    Ok(imports::table.find(id).select(imports::result).first(connection)?)
}

/// Says what the columns mean; not once the import has begun.
///
/// # Errors
/// `Changed` when it has; any database error.
pub fn set_mapping(connection: &mut TenantConn, id: Id, mapping: &str) -> ModelResult<()> {
    let saved = connection.write_tx(|connection| {
        diesel::update(imports::table.find(id))
            .filter(imports::operation_id.is_null())
            .set(imports::mapping.eq(mapping))
            .execute(connection)
    })?;
    if saved == 0 { Err(begun()) } else { Ok(()) }
}

/// Ties the file to the operation that imports it, so that it is imported once. Saying it again for the
/// same operation changes nothing.
///
/// # Errors
/// `Changed` when another operation has it; any database error.
pub fn begin(connection: &mut TenantConn, id: Id, operation_id: Id) -> ModelResult<()> {
    let saved = connection.write_tx(|connection| {
        diesel::update(imports::table.find(id))
            .filter(imports::operation_id.is_null().or(imports::operation_id.eq(operation_id)))
            .set(imports::operation_id.eq(operation_id))
            .execute(connection)
    })?;
    if saved == 0 { Err(begun()) } else { Ok(()) }
}

/// Keeps what the import did, and the file no longer: what it says of people is in their records now.
/// Call it in the transaction that did it, so that doing it again after a crash can tell.
///
/// # Errors
/// Any database error.
pub fn set_result(connection: &mut TenantConn, id: Id, result: &str) -> ModelResult<()> {
    diesel::update(imports::table.find(id))
        .set((imports::result.eq(result), imports::content.eq(Vec::new())))
        .execute(connection)?;
    Ok(())
}

fn begun() -> ModelError {
    ModelError::Changed("This file is already being imported. Upload it again to import it once more.".into())
}
