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
        ModelError, ModelResult, Resource,
        institution::{
            activity::{Activity, Change},
            quota,
        },
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

/// Notes that an active user is sent a link to a new password, and says who they are.
///
/// # Errors
/// `Changed` when they cannot sign in anyway; `NotFound`; any database error.
pub fn reset_sent(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<User> {
    note_on_active(connection, activity, id, "user.reset_sent")
}

/// Notes that every session of a user is ended; whoever calls this ends them.
///
/// # Errors
/// As [`reset_sent`].
pub fn signed_out(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<User> {
    note_on_active(connection, activity, id, "user.signed_out")
}

fn note_on_active(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    action: &str,
) -> ModelResult<User> {
    connection.write_tx(|connection| {
        let user = find(connection, id)?;
        if user.status != UserStatus::Active {
            return Err(ModelError::Changed(format!(
                "{} is {} and cannot sign in. Nothing was changed.",
                user.name, user.status
            )));
        }
        activity.record(connection, action, "user", Some(id), &user.name, &[])?;
        Ok(user)
    })
}

/// Keeps a user from signing in. Their sessions are ended by whoever calls this.
///
/// # Errors
/// `Changed` when they are not active; refused for oneself and the last active owner; any database error.
pub fn disable(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<()> {
    not_oneself(activity, id, "disable")?;
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
/// `Changed` when they are not disabled; refused when the plan has no room; any database error.
pub fn enable(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        quota::require(connection, &activity.limits, Resource::Users, 1)?;
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
/// `NotFound`; refused for oneself and the last active owner; any database error.
pub fn remove(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<User> {
    not_oneself(activity, id, "remove")?;
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

/// Nobody shuts themselves out: who could take it back would be gone.
fn not_oneself(activity: &Activity, id: Id, deed: &str) -> ModelResult<()> {
    if activity.actor.id == Some(id) {
        return Err(ModelError::Refused(format!("You cannot {deed} your own account. Ask another owner.")));
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
