//! Uploaded files between their dry run and the operation that applies them.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::imports, shared::SharedConn},
    models::{ModelError, ModelResult},
};

/// An uploaded file. `Debug` leaves its content out.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = imports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Import {
    pub id: Id,
    pub kind: String,
    pub file_name: String,
    pub content: Vec<u8>,
    pub mapping: String,
    pub operation_id: Option<Id>,
    pub created_by: Id,
    pub created_at: NaiveDateTime,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("file_name", &self.file_name)
            .field("bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// A file as it comes in.
#[derive(Clone, Insertable)]
#[diesel(table_name = imports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewImport<'a> {
    pub kind: &'a str,
    pub file_name: &'a str,
    pub content: &'a [u8],
    /// JSON: which column of the file is which field.
    pub mapping: &'a str,
    pub created_by: Id,
}

/// Keeps a file for its dry run.
///
/// # Errors
/// Any database error.
pub fn create(connection: &mut SharedConn, new: &NewImport<'_>) -> ModelResult<Id> {
    let id = Id::new();
    diesel::insert_into(imports::table)
        .values((imports::id.eq(id), new, imports::created_at.eq(now())))
        .execute(connection)?;
    Ok(id)
}

/// The file with this id and kind.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id, kind: &str) -> ModelResult<Import> {
    Ok(imports::table
        .find(id)
        .filter(imports::kind.eq(kind))
        .select(Import::as_select())
        .first(connection)?)
}

/// Ties the file to the operation that applies it; of two who try at once one succeeds. Call it inside
/// the `write_tx` that starts the operation.
///
/// # Errors
/// [`ModelError::Changed`] when it was applied already, or any database error.
pub fn claim(connection: &mut SharedConn, id: Id, operation_id: Id) -> ModelResult<()> {
    let claimed = diesel::update(imports::table.find(id))
        .filter(imports::operation_id.is_null())
        .set(imports::operation_id.eq(operation_id))
        .execute(connection)?;
    if claimed == 0 {
        return Err(ModelError::Changed("This file is being imported already, or has been.".into()));
    }
    Ok(())
}

/// Deletes files that came in before `before` and were applied or left behind; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        Ok(diesel::delete(imports::table.filter(imports::created_at.lt(before))).execute(connection)?)
    })
}
