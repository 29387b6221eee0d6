//! The list of backups: the page with its filters and sorts.

use diesel::prelude::*;

use super::{Backup, Reason};
use crate::{
    db::{
        Id,
        schema_shared::{backups, institutions},
        shared::SharedConn,
    },
    models::{ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend},
};

/// Filters of the backups page.
#[derive(Debug, Clone, Default)]
pub struct BackupFilter {
    /// Part of an institution's name or domain.
    pub q: String,
    /// Only those taken for this.
    pub reason: Option<Reason>,
    /// Only verified ones, or only those that are not.
    pub verified: Option<bool>,
    /// Only this institution's.
    pub institution_id: Option<Id>,
}

/// A backup, with the domain of its institution.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct BackupRow {
    pub backup: Backup,
    pub domain: Option<String>,
}

type Matching<'a> =
    diesel::dsl::IntoBoxed<'a, diesel::dsl::LeftJoin<backups::table, institutions::table>, SharedBackend>;

fn matching<'a>(filter: &BackupFilter) -> Matching<'a> {
    let mut query = containing!(
        backups::table.left_join(institutions::table).into_boxed(),
        filter.q,
        backups::search_key
    );
    if let Some(reason) = filter.reason {
        query = query.filter(backups::reason.eq(reason));
    }
    if let Some(id) = filter.institution_id {
        query = query.filter(backups::institution_id.eq(id));
    }
    match filter.verified {
        Some(true) => query.filter(backups::verified_at.is_not_null()),
        Some(false) => query.filter(backups::verified_at.is_null()),
        None => query,
    }
}

/// One page of the backups that match. Sorts by `taken` (default), `size` or `verified`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &BackupFilter,
    paging: &Paging,
) -> ModelResult<Slice<BackupRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let sorted = match paging.sort.as_str() {
        "size" => ordered!(matching(filter), paging.descending, backups::bytes, backups::id),
        "verified" => ordered!(matching(filter), paging.descending, backups::verified_at, backups::id),
        _ => ordered!(matching(filter), paging.descending, backups::taken_at, backups::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select((Backup::as_select(), institutions::domain.nullable()))
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching backups before the one with this id, newest first: for reading all that match in
/// bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &BackupFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<BackupRow>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(backups::id.lt(last));
    }
    Ok(query
        .order(backups::id.desc())
        .limit(limit)
        .select((Backup::as_select(), institutions::domain.nullable()))
        .load(connection)?)
}
