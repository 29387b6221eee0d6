//! Who may do what, changed: roles, disabling, removing. At least one owner stays active, always.

use diesel::prelude::*;

use super::{Role, User, UserStatus, find, require_a_role, role_words, status_change, write_roles};
use crate::{
    db::{
        Id,
        locks::Lock,
        now,
        schema_tenant::{user_roles, users},
        tenant::TenantConn,
    },
    models::{
        ModelError, ModelResult,
        institution::activity::{Activity, Change},
        search::fold,
    },
};

/// Changes the name and the roles of the user that was read as `version`.
///
/// # Errors
/// `Changed` when somebody saved in between; refused when no active owner would be left; any
/// database error.
pub fn update(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    version: i64,
    name: &str,
    roles: &[Role],
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        require_a_role(roles)?;
        lock_owners(connection)?;
        let old = find(connection, id)?;
        let mut changes = Vec::new();
        Change::note(&mut changes, "name", Some(old.name.clone()), Some(name.to_owned()));
        let words = |roles: &[Role]| Some(role_words(roles));
        Change::note(&mut changes, "roles", words(&old.roles), words(roles));
        if old.version == version && changes.is_empty() {
            return Ok(());
        }
        if !roles.contains(&Role::Owner) {
            keep_an_owner(connection, &old, "take the owner role from")?;
        }
        let saved = diesel::update(users::table.find(id))
            .filter(users::version.eq(version))
            .set((
                users::name.eq(name),
                users::name_key.eq(fold(name)),
                users::updated_at.eq(now()),
                users::version.eq(version + 1),
            ))
            .execute(connection)?;
        if saved == 0 {
            return Err(ModelError::Changed(format!(
                "Somebody else changed {} while you were editing.",
                old.name
            )));
        }
        write_roles(connection, id, roles)?;
        activity.record(connection, "user.updated", "user", Some(id), name, &changes)
    })
}

/// Changes a user's own name; anybody may change theirs.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn change_name(connection: &mut TenantConn, activity: &Activity, id: Id, name: &str) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let old = find(connection, id)?;
        if old.name == name {
            return Ok(());
        }
        diesel::update(users::table.find(id))
            .set((
                users::name.eq(name),
                users::name_key.eq(fold(name)),
                users::updated_at.eq(now()),
                users::version.eq(users::version + 1),
            ))
            .execute(connection)?;
        let changes = [Change::new("name", Some(old.name), Some(name.to_owned()))];
        activity.record(connection, "user.updated", "user", Some(id), name, &changes)
    })
}

/// Keeps a user from signing in. Their sessions are ended by whoever calls this.
///
/// # Errors
/// `Changed` when they are not active; refused for the last active owner; any database error.
pub fn disable(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        lock_owners(connection)?;
        let user = find(connection, id)?;
        keep_an_owner(connection, &user, "disable")?;
        change_status(connection, activity, &user, UserStatus::Active, UserStatus::Disabled, "user.disabled")
    })
}

/// Lets a disabled user sign in again.
///
/// # Errors
/// `Changed` when they are not disabled; any database error.
pub fn enable(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let user = find(connection, id)?;
        change_status(connection, activity, &user, UserStatus::Disabled, UserStatus::Active, "user.enabled")
    })
}

fn change_status(
    connection: &mut TenantConn,
    activity: &Activity,
    user: &User,
    from: UserStatus,
    to: UserStatus,
    action: &str,
) -> ModelResult<()> {
    let saved = diesel::update(users::table.find(user.id))
        .filter(users::status.eq(from))
        .set((users::status.eq(to), users::updated_at.eq(now()), users::version.eq(users::version + 1)))
        .execute(connection)?;
    if saved == 0 {
        return Err(ModelError::Changed(format!(
            "{} is {} now. Nothing was changed.",
            user.name, user.status
        )));
    }
    activity.record(connection, action, "user", Some(user.id), &user.name, &[status_change(from, to)])
}

/// Removes a user for good, or withdraws an invitation. What they did stays in the activity log.
///
/// # Errors
/// `NotFound`; refused for the last active owner; any database error.
pub fn remove(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<User> {
    connection.write_tx(|connection| {
        lock_owners(connection)?;
        let user = find(connection, id)?;
        keep_an_owner(connection, &user, "remove")?;
        diesel::delete(user_roles::table.filter(user_roles::user_id.eq(id))).execute(connection)?;
        diesel::delete(users::table.find(id)).execute(connection)?;
        let changes = [
            Change::new("email", Some(user.email.clone()), None),
            Change::new("roles", Some(role_words(&user.roles)), None),
        ];
        activity.record(connection, "user.removed", "user", Some(id), &user.name, &changes)?;
        Ok(user)
    })
}

/// On PostgreSQL two owners could each take the role from the other at the same moment; SQLite's
/// write lock already orders them.
fn lock_owners(connection: &mut TenantConn) -> ModelResult<()> {
    if let TenantConn::Postgres(connection) = connection {
        Lock::Owners.hold_in_transaction(connection)?;
    }
    Ok(())
}

fn keep_an_owner(connection: &mut TenantConn, user: &User, deed: &str) -> ModelResult<()> {
    if user.status != UserStatus::Active || !user.has(Role::Owner) {
        return Ok(());
    }
    let others: i64 = users::table
        .inner_join(user_roles::table)
        .filter(users::id.ne(user.id))
        .filter(users::status.eq(UserStatus::Active))
        .filter(user_roles::role.eq(Role::Owner))
        .count()
        .get_result(connection)?;
    if others > 0 {
        return Ok(());
    }
    Err(ModelError::Refused(format!(
        "You cannot {deed} {}: an institution needs at least one active owner. \
         Make somebody else an owner first.",
        user.name
    )))
}
