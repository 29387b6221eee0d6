//! Platform admins: the people who run the platform.

mod list;
mod standing;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    account_tokens::{self as tokens, Holder, Purpose},
    audit::{Audit, Subject},
};
use crate::{
    db::{Id, locks::Lock, now, schema_shared::platform_admins, shared::SharedConn},
    models::{ModelError, ModelResult, search::fold},
};

pub use list::{AdminFilter, older_than, page};
pub use standing::{change_role, disable, enable, reset_sent, sign_out};

crate::text_enum! {
    /// Whether a platform admin may sign in.
    AdminStatus { Invited = "invited", Active = "active", Disabled = "disabled" }
}

impl AdminStatus {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Invited => "Invited",
            Self::Active => "Active",
            Self::Disabled => "Disabled",
        }
    }
}

crate::text_enum! {
    /// What a platform admin may do. Everybody may look at everything but the audit log and the list of admins.
    AdminRole {
        /// Everything.
        SuperAdmin = "super_admin",
        /// Looks after the fleet: operations, databases, backups, migrations.
        Operator = "operator",
        /// Helps institutions: a look inside, for a reason and for a while.
        Support = "support",
        /// Reads everything, the audit log included, and changes nothing.
        Auditor = "auditor",
    }
}

impl AdminRole {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::SuperAdmin => "Super admin",
            Self::Operator => "Operator",
            Self::Support => "Support",
            Self::Auditor => "Auditor",
        }
    }

    /// What it allows, in a sentence.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SuperAdmin => "Everything: decides about institutions, admins and settings.",
            Self::Operator => "Looks after the databases: operations, backups, migrations.",
            Self::Support => "Helps institutions: may look into one for a reason and for a while.",
            Self::Auditor => "Reads everything, the audit log included, and changes nothing.",
        }
    }
}

/// A platform admin. `Debug` leaves the password hash out.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = platform_admins)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct PlatformAdmin {
    pub id: Id,
    pub email: String,
    pub email_normalised: String,
    pub name: String,
    pub password_hash: Option<String>,
    pub status: AdminStatus,
    pub role: AdminRole,
    pub last_sign_in_at: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
    pub version: i64,
}

impl std::fmt::Debug for PlatformAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlatformAdmin")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl PlatformAdmin {
    fn subject(&self) -> Subject<'_> {
        Subject { kind: "platform admin", id: Some(self.id), label: &self.email, institution_id: None }
    }
}

/// A platform admin to be made.
#[derive(Debug, Clone)]
pub struct NewAdmin<'a> {
    /// As they write it.
    pub email: &'a str,
    /// The form that is compared.
    pub email_normalised: &'a str,
    /// As they write it.
    pub name: &'a str,
    /// What they may do.
    pub role: AdminRole,
}

/// The admin with this normalised e-mail.
///
/// # Errors
/// Any database error.
pub fn find_by_email(
    connection: &mut SharedConn,
    email_normalised: &str,
) -> ModelResult<Option<PlatformAdmin>> {
    Ok(platform_admins::table
        .filter(platform_admins::email_normalised.eq(email_normalised))
        .select(PlatformAdmin::as_select())
        .first(connection)
        .optional()?)
}

/// The admin with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<PlatformAdmin> {
    Ok(platform_admins::table.find(id).select(PlatformAdmin::as_select()).first(connection)?)
}

/// Every super admin who may sign in: those who are told when something grave happens.
///
/// # Errors
/// Any database error.
pub fn all_active(connection: &mut SharedConn) -> ModelResult<Vec<PlatformAdmin>> {
    Ok(platform_admins::table
        .filter(platform_admins::status.eq(AdminStatus::Active))
        .filter(platform_admins::role.eq(AdminRole::SuperAdmin))
        .order(platform_admins::id)
        .limit(100)
        .select(PlatformAdmin::as_select())
        .load(connection)?)
}

/// Whether there is a super admin yet, who can run this platform.
///
/// # Errors
/// Any database error.
pub fn any_active(connection: &mut SharedConn) -> ModelResult<bool> {
    Ok(active_count(connection)? > 0)
}

/// Makes an admin who can sign in at once (set-up, command line).
///
/// # Errors
/// [`ModelError::Refused`] when the e-mail is taken, or any database error.
pub fn create(
    connection: &mut SharedConn,
    audit: &Audit,
    new: &NewAdmin<'_>,
    password_hash: &str,
) -> ModelResult<PlatformAdmin> {
    insert(connection, audit, new, Some(password_hash), "platform_admin.created")
}

/// Makes the first admin, by the set-up link: only while nobody can run the platform.
///
/// # Errors
/// [`ModelError::Changed`] when somebody can; otherwise as [`create`].
pub fn create_first(
    connection: &mut SharedConn,
    audit: &Audit,
    new: &NewAdmin<'_>,
    password_hash: &str,
) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        lock_active(connection)?;
        if any_active(connection)? {
            return Err(ModelError::Changed("This platform has a super admin already.".into()));
        }
        create(connection, audit, new, password_hash)
    })
}

/// Makes an admin who chooses a password by invitation.
///
/// # Errors
/// As [`create`].
pub fn invite(connection: &mut SharedConn, audit: &Audit, new: &NewAdmin<'_>) -> ModelResult<PlatformAdmin> {
    insert(connection, audit, new, None, "platform_admin.invited")
}

fn insert(
    connection: &mut SharedConn,
    audit: &Audit,
    new: &NewAdmin<'_>,
    password_hash: Option<&str>,
    action: &str,
) -> ModelResult<PlatformAdmin> {
    let status = if password_hash.is_some() { AdminStatus::Active } else { AdminStatus::Invited };
    let outcome = connection.write_tx(|connection| {
        lock_active(connection)?;
        let (id, at) = (Id::new(), now());
        diesel::insert_into(platform_admins::table)
            .values((
                platform_admins::id.eq(id),
                platform_admins::email.eq(new.email),
                platform_admins::email_normalised.eq(new.email_normalised),
                platform_admins::name.eq(new.name),
                platform_admins::search_key.eq(search_key(new.name, new.email)),
                platform_admins::password_hash.eq(password_hash),
                platform_admins::status.eq(status),
                platform_admins::role.eq(new.role),
                platform_admins::created_at.eq(at),
                platform_admins::updated_at.eq(at),
                platform_admins::version.eq(1_i64),
            ))
            .execute(connection)?;
        let admin = find(connection, id)?;
        if status == AdminStatus::Active && new.role == AdminRole::SuperAdmin {
            end_setup(connection)?;
        }
        audit.record(connection, action, &admin.subject(), &json!({ "name": new.name, "role": new.role }))?;
        Ok(admin)
    });
    match outcome {
        Err(error @ ModelError::Database(_)) if error.is_unique_violation() => Err(ModelError::Refused(
            format!("{} is a platform admin already; look for them in the list.", new.email),
        )),
        outcome => outcome,
    }
}

/// An invited admin accepts with a name and a password.
///
/// # Errors
/// [`ModelError::Changed`] when the invitation was used or withdrawn, or any database error.
pub fn accept(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    name: &str,
    password_hash: &str,
) -> ModelResult<PlatformAdmin> {
    connection.write_tx(|connection| {
        let email = find(connection, id)?.email;
        let accepted = diesel::update(platform_admins::table.find(id))
            .filter(platform_admins::status.eq(AdminStatus::Invited))
            .set((
                platform_admins::status.eq(AdminStatus::Active),
                platform_admins::name.eq(name),
                platform_admins::search_key.eq(search_key(name, &email)),
                platform_admins::password_hash.eq(password_hash),
                platform_admins::updated_at.eq(now()),
                platform_admins::version.eq(platform_admins::version + 1),
            ))
            .execute(connection)?;
        if accepted == 0 {
            return Err(ModelError::Changed(
                "This invitation was already used or has been withdrawn.".into(),
            ));
        }
        let admin = find(connection, id)?;
        if admin.role == AdminRole::SuperAdmin {
            end_setup(connection)?;
        }
        audit.record(connection, "platform_admin.accepted", &admin.subject(), &json!({}))?;
        Ok(admin)
    })
}

/// What the list is searched and sorted by: the name, then the e-mail. A tab sorts before every letter and blank.
fn search_key(name: &str, email: &str) -> String {
    fold(&format!("{name}\t{email}"))
}

/// The printed set-up link opens nothing any more once somebody can sign in.
fn end_setup(connection: &mut SharedConn) -> ModelResult<()> {
    tokens::revoke_for(connection, Holder { institution_id: None, user_id: None }, Purpose::Setup)
}

/// Replaces the password of an active admin that was read as `old_hash`. Ending their other sessions belongs
/// into the same transaction and is the caller's.
///
/// # Errors
/// [`ModelError::Changed`] when it was replaced meanwhile or they cannot sign in any more, `NotFound`, or any
/// database error.
pub fn set_password(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    old_hash: &str,
    new_hash: &str,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let set = diesel::update(platform_admins::table.find(id))
            .filter(platform_admins::status.eq(AdminStatus::Active))
            .filter(platform_admins::password_hash.eq(old_hash))
            .set((
                platform_admins::password_hash.eq(new_hash),
                platform_admins::updated_at.eq(now()),
                platform_admins::version.eq(platform_admins::version + 1),
            ))
            .execute(connection)?;
        let admin = find(connection, id)?;
        if set == 0 {
            return Err(ModelError::Changed("This password was changed a moment ago.".into()));
        }
        audit.record(connection, "platform_admin.password_changed", &admin.subject(), &json!({}))
    })
}

/// Stores a stronger hash of the same password, made at sign-in; no change that a person made.
///
/// # Errors
/// Any database error.
pub fn rehash(connection: &mut SharedConn, id: Id, old_hash: &str, new_hash: &str) -> ModelResult<()> {
    diesel::update(platform_admins::table.find(id))
        .filter(platform_admins::password_hash.eq(old_hash))
        .set(platform_admins::password_hash.eq(new_hash))
        .execute(connection)?;
    Ok(())
}

/// On PostgreSQL two people could each disable the other of the last two; SQLite's write lock already
/// orders them.
fn lock_active(connection: &mut SharedConn) -> ModelResult<()> {
    if let SharedConn::Postgres(connection) = connection {
        Lock::PlatformAdmins.hold_in_transaction(connection)?;
    }
    Ok(())
}

fn active_count(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(platform_admins::table
        .filter(platform_admins::status.eq(AdminStatus::Active))
        .filter(platform_admins::role.eq(AdminRole::SuperAdmin))
        .count()
        .get_result(connection)?)
}

/// Notes that this admin has just signed in.
///
/// # Errors
/// Any database error.
pub fn touch_sign_in(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(platform_admins::table.find(id))
        .set(platform_admins::last_sign_in_at.eq(now()))
        .execute(connection)?;
    Ok(())
}
