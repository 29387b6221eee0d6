//! The list of users: its filters and its pages.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::{Role, User, UserRow, UserStatus};
use crate::{
    db::{
        Id,
        schema_tenant::{user_roles, users},
        tenant::{MultiBackend, TenantConn},
    },
    models::{ModelResult, Paging, Slice, containing, ordered},
};

/// Filters of the list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Words in name or e-mail.
    pub q: String,
    /// Only this status.
    pub status: Option<UserStatus>,
    /// Only who has this role.
    pub role: Option<Role>,
}

fn matching(filter: &UserFilter) -> users::BoxedQuery<'static, MultiBackend> {
    let mut query =
        containing!(users::table.into_boxed(), filter.q, users::name_key, users::email_normalised);
    if let Some(status) = filter.status {
        query = query.filter(users::status.eq(status));
    }
    if let Some(role) = filter.role {
        let holders = user_roles::table.filter(user_roles::role.eq(role)).select(user_roles::user_id);
        query = query.filter(users::id.eq_any(holders));
    }
    query
}

/// One page of users, by name unless asked otherwise.
///
/// # Errors
/// Any database error.
pub fn page(connection: &mut TenantConn, filter: &UserFilter, paging: &Paging) -> ModelResult<Slice<User>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "email" => ordered!(query, down, users::email_normalised, users::id),
        "status" => ordered!(query, down, users::status, users::id),
        "last_sign_in" => ordered!(query, down, blank last users::last_sign_in_at, users::id),
        _ => ordered!(query, down, users::name_key, users::id),
    };
    let rows: Vec<UserRow> =
        sorted.limit(paging.limit).offset(paging.offset).select(UserRow::as_select()).load(connection)?;
    Ok(Slice { rows: with_roles(connection, rows)?, total })
}

/// The next `limit` matching users added before the one with this id, newest first: for reading all that match
/// in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut TenantConn,
    filter: &UserFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<User>> {
    let mut query = matching(filter);
    if let Some(id) = before {
        query = query.filter(users::id.lt(id));
    }
    let rows = query.order(users::id.desc()).limit(limit).select(UserRow::as_select()).load(connection)?;
    with_roles(connection, rows)
}

fn with_roles(connection: &mut TenantConn, rows: Vec<UserRow>) -> ModelResult<Vec<User>> {
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let pairs: Vec<(Id, Role)> = user_roles::table
        .filter(user_roles::user_id.eq_any(ids))
        .select((user_roles::user_id, user_roles::role))
        .load(connection)?;
    let mut roles: BTreeMap<Id, Vec<Role>> = BTreeMap::new();
    for (id, role) in pairs {
        roles.entry(id).or_default().push(role);
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let roles = roles.remove(&row.id).unwrap_or_default();
            row.with(roles)
        })
        .collect())
}

/// How many users can sign in now.
///
/// # Errors
/// Any database error.
pub fn active_count(connection: &mut TenantConn) -> ModelResult<i64> {
    Ok(users::table.filter(users::status.eq(UserStatus::Active)).count().get_result(connection)?)
}

/// Who answers for the institution: the owners that can sign in.
///
/// # Errors
/// Any database error.
pub fn active_owners(connection: &mut TenantConn) -> ModelResult<Vec<User>> {
    let filter = UserFilter { q: String::new(), status: Some(UserStatus::Active), role: Some(Role::Owner) };
    let rows = matching(&filter).order(users::id).select(UserRow::as_select()).load(connection)?;
    with_roles(connection, rows)
}

/// How many users can sign in or were invited to.
///
/// # Errors
/// Any database error.
pub fn count(connection: &mut TenantConn) -> ModelResult<i64> {
    Ok(users::table.filter(users::status.ne(UserStatus::Disabled)).count().get_result(connection)?)
}
