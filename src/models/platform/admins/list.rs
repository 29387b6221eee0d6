//! The list of platform admins: its filters, its pages, and its file.

use diesel::prelude::*;

use super::{AdminRole, AdminStatus, PlatformAdmin};
use crate::{
    db::{Id, schema_shared::platform_admins, shared::SharedConn},
    models::{ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend},
};

/// Filters of the list of platform admins.
#[derive(Debug, Clone, Default)]
pub struct AdminFilter {
    /// Part of a name or e-mail.
    pub q: String,
    /// Only this role.
    pub role: Option<AdminRole>,
    /// Only this status.
    pub status: Option<AdminStatus>,
}

fn matching<'a>(filter: &AdminFilter) -> platform_admins::BoxedQuery<'a, SharedBackend> {
    let mut query = containing!(platform_admins::table.into_boxed(), filter.q, platform_admins::search_key);
    if let Some(status) = filter.status {
        query = query.filter(platform_admins::status.eq(status));
    }
    if let Some(role) = filter.role {
        query = query.filter(platform_admins::role.eq(role));
    }
    query
}

/// One page of the admins that match. Sorts by `name` (default), `email`, `role`, `status`, `created`, `signed_in`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &AdminFilter,
    paging: &Paging,
) -> ModelResult<Slice<PlatformAdmin>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "email" => ordered!(query, down, platform_admins::email_normalised, platform_admins::id),
        "status" => ordered!(query, down, platform_admins::status, platform_admins::id),
        "role" => ordered!(query, down, platform_admins::role, platform_admins::id),
        "created" => ordered!(query, down, platform_admins::created_at, platform_admins::id),
        "signed_in" => {
            ordered!(query, down, blank last platform_admins::last_sign_in_at, platform_admins::id)
        }
        _ => ordered!(query, down, platform_admins::search_key, platform_admins::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select(PlatformAdmin::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching admins before the one with this id, newest first: for reading all that
/// match in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &AdminFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<PlatformAdmin>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(platform_admins::id.lt(last));
    }
    Ok(query
        .order(platform_admins::id.desc())
        .limit(limit)
        .select(PlatformAdmin::as_select())
        .load(connection)?)
}
