//! What becomes of an admin: shut out, let in again, signed out, given another role; one super admin always stays.

use diesel::prelude::*;
use serde_json::json;

use super::{AdminRole, AdminStatus, PlatformAdmin, active_count, find, lock_active};
use crate::{
    db::{
        Id, now,
        schema_shared::{account_tokens, platform_admins, sessions},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, platform::audit::Audit},
};

/// Shuts an admin out at once: no sign-in, no session, no open invitation or reset.
///
/// # Errors
/// [`ModelError::Refused`] for oneself and for the last active admin, [`ModelError::Changed`] when already
/// disabled, `NotFound`, or any database error.
pub fn disable(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        lock_active(connection)?;
        let admin = find(connection, id)?;
        if audit.actor.id == Some(id) {
            return Err(ModelError::Refused(
                "You cannot disable your own account; ask another platform admin.".into(),
            ));
        }
        keep_one_super_admin(connection, &admin)?;
        change_status(
            connection,
            &admin,
            &[AdminStatus::Active, AdminStatus::Invited],
            AdminStatus::Disabled,
        )?;
        diesel::delete(
            sessions::table.filter(sessions::user_id.eq(id)).filter(sessions::institution_id.is_null()),
        )
        .execute(connection)?;
        diesel::update(account_tokens::table)
            .filter(account_tokens::user_id.eq(id))
            .filter(account_tokens::institution_id.is_null())
            .filter(account_tokens::used_at.is_null())
            .set(account_tokens::used_at.eq(now()))
            .execute(connection)?;
        audit.record(connection, "platform_admin.disabled", &admin.subject(), &json!({}))?;
        find(connection, id)
    })
}

/// Notes that an active admin is sent a link to a new password.
///
/// # Errors
/// [`ModelError::Changed`] when they cannot sign in anyway, `NotFound`, or any database error.
pub fn reset_sent(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        let admin = require_active(connection, id)?;
        audit.record(connection, "platform_admin.reset_sent", &admin.subject(), &json!({}))?;
        Ok(admin)
    })
}

/// Ends every session of an active admin.
///
/// # Errors
/// As [`reset_sent`].
pub fn sign_out(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        let admin = require_active(connection, id)?;
        diesel::delete(
            sessions::table.filter(sessions::user_id.eq(id)).filter(sessions::institution_id.is_null()),
        )
        .execute(connection)?;
        audit.record(connection, "platform_admin.signed_out", &admin.subject(), &json!({}))?;
        Ok(admin)
    })
}

fn require_active(connection: &mut SharedConn, id: Id) -> ModelResult<PlatformAdmin> {
    let admin = find(connection, id)?;
    if admin.status == AdminStatus::Active {
        return Ok(admin);
    }
    let status = admin.status.label().to_lowercase();
    Err(ModelError::Changed(format!("{} is {status} and cannot sign in.", admin.name)))
}

/// Lets a disabled admin in again: with the password they had, or as invited if they never chose one.
///
/// # Errors
/// [`ModelError::Changed`] when not disabled, `NotFound`, or any database error.
pub fn enable(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        let admin = find(connection, id)?;
        let to = if admin.password_hash.is_some() { AdminStatus::Active } else { AdminStatus::Invited };
        change_status(connection, &admin, &[AdminStatus::Disabled], to)?;
        audit.record(connection, "platform_admin.enabled", &admin.subject(), &json!({}))?;
        find(connection, id)
    })
}

/// Gives an admin another role.
///
/// # Errors
/// [`ModelError::Refused`] for oneself and for the last super admin, `Changed` when they have it already, `NotFound`,
/// or any database error.
pub fn change_role(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    role: AdminRole,
) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        lock_active(connection)?;
        let admin = find(connection, id)?;
        if audit.actor.id == Some(id) {
            return Err(ModelError::Refused(
                "You cannot change your own role; ask another super admin.".into(),
            ));
        }
        if admin.role == role {
            return Err(ModelError::Changed(format!("{} has this role already.", admin.name)));
        }
        keep_one_super_admin(connection, &admin)?;
        diesel::update(platform_admins::table.find(id))
            .set((
                platform_admins::role.eq(role),
                platform_admins::updated_at.eq(now()),
                platform_admins::version.eq(platform_admins::version + 1),
            ))
            .execute(connection)?;
        let detail = json!({ "from": admin.role, "to": role });
        audit.record(connection, "platform_admin.role_changed", &admin.subject(), &detail)?;
        find(connection, id)
    })
}

fn keep_one_super_admin(connection: &mut SharedConn, admin: &PlatformAdmin) -> ModelResult<()> {
    let counts = admin.status == AdminStatus::Active && admin.role == AdminRole::SuperAdmin;
    if counts && active_count(connection)? <= 1 {
        return Err(ModelError::Refused(
            "This is the last active super admin. Invite another one first, or nobody could run the platform."
                .into(),
        ));
    }
    Ok(())
}

fn change_status(
    connection: &mut SharedConn,
    admin: &PlatformAdmin,
    from: &[AdminStatus],
    to: AdminStatus,
) -> ModelResult<()> {
    let moved = diesel::update(platform_admins::table.find(admin.id))
        .filter(platform_admins::status.eq_any(from))
        .set((
            platform_admins::status.eq(to),
            platform_admins::updated_at.eq(now()),
            platform_admins::version.eq(platform_admins::version + 1),
        ))
        .execute(connection)?;
    if moved == 0 {
        let sentence =
            format!("Somebody else was faster: {} is {}.", admin.name, admin.status.label().to_lowercase());
        return Err(ModelError::Changed(sentence));
    }
    Ok(())
}
