//! Who may sign in to the institution, and as what. At least one owner stays active, always.

mod access;
mod list;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{
    activity::{Activity, Change},
    profile::LocalSettings,
    quota,
};
use crate::{
    db::{
        Id, now,
        schema_tenant::{institution, user_roles, users},
        tenant::TenantConn,
    },
    models::{ModelError, ModelResult, Resource, search::fold, text::Email},
    text_enum,
};

pub use access::{disable, enable, remove, reset_sent, signed_out, update};
pub use list::{UserFilter, active_count, active_owners, count, older_than, page};

text_enum! {
    /// What a user may do. A user can have several.
    Role {
        /// Everything, users and settings included.
        Owner = "owner",
        /// Reads and writes records.
        Registrar = "registrar",
        /// Reads everything, writes nothing.
        Viewer = "viewer",
    }
}

impl Role {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Registrar => "Registrar",
            Self::Viewer => "Viewer",
        }
    }

    /// What it allows, in a sentence.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Owner => "Everything, users and settings included.",
            Self::Registrar => "Sees and changes records.",
            Self::Viewer => "Sees records and changes nothing.",
        }
    }
}

text_enum! {
    /// Where a user stands.
    UserStatus {
        /// Has an invitation and no password yet.
        Invited = "invited",
        /// Can sign in.
        Active = "active",
        /// Cannot sign in until enabled again.
        Disabled = "disabled",
    }
}

impl UserStatus {
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

/// A user with their roles. The password hash is never part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct User {
    pub id: Id,
    pub email: String,
    pub name: String,
    pub status: UserStatus,
    pub last_sign_in_at: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
    /// In the order owner, registrar, viewer.
    pub roles: Vec<Role>,
}

impl User {
    /// Whether this user has the role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Their address, which is also how they sign in.
    pub email: Email,
    /// Their name as they write it.
    pub name: String,
    /// At least one.
    pub roles: Vec<Role>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserRow {
    id: Id,
    email: String,
    name: String,
    status: UserStatus,
    last_sign_in_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    version: i64,
}

impl UserRow {
    fn with(self, mut roles: Vec<Role>) -> User {
        roles.sort_unstable();
        User {
            id: self.id,
            email: self.email,
            name: self.name,
            status: self.status,
            last_sign_in_at: self.last_sign_in_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
            roles,
        }
    }
}

// Only for `find_here`: the institution is one row, so nothing has to refer to it.
diesel::allow_tables_to_appear_in_same_query!(users, institution);
diesel::allow_tables_to_appear_in_same_query!(user_roles, institution);

/// One user with their roles, and how their institution tells the time, in one query: every signed-in request
/// asks this.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find_here(connection: &mut TenantConn, id: Id) -> ModelResult<(User, LocalSettings)> {
    let rows: Vec<(UserRow, Option<Role>, LocalSettings)> = users::table
        .left_join(user_roles::table)
        .inner_join(institution::table.on(institution::id.is_not_null()))
        .filter(users::id.eq(id))
        .select((UserRow::as_select(), user_roles::role.nullable(), LocalSettings::as_select()))
        .load(connection)?;
    let local = rows.first().map(|(.., local)| local.clone()).ok_or(ModelError::NOT_FOUND)?;
    Ok((joined(rows.into_iter().map(|(user, role, _)| (user, role)))?, local))
}

/// One user with their roles.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut TenantConn, id: Id) -> ModelResult<User> {
    let rows: Vec<(UserRow, Option<Role>)> = users::table
        .left_join(user_roles::table)
        .filter(users::id.eq(id))
        .select((UserRow::as_select(), user_roles::role.nullable()))
        .load(connection)?;
    joined(rows)
}

/// The user with this address, with their roles.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find_by_email(connection: &mut TenantConn, email: &Email) -> ModelResult<User> {
    let rows: Vec<(UserRow, Option<Role>)> = users::table
        .left_join(user_roles::table)
        .filter(users::email_normalised.eq(email.normalised()))
        .select((UserRow::as_select(), user_roles::role.nullable()))
        .load(connection)?;
    joined(rows)
}

fn joined(rows: impl IntoIterator<Item = (UserRow, Option<Role>)>) -> ModelResult<User> {
    let (mut user, mut roles) = (None, Vec::new());
    for (row, role) in rows {
        user = Some(row);
        roles.extend(role);
    }
    user.map(|user| user.with(roles)).ok_or(ModelError::NOT_FOUND)
}

/// Everybody who has an account, and their e-mail address: what the login index is made of.
///
/// # Errors
/// Any database error.
pub fn all_logins(connection: &mut TenantConn) -> ModelResult<Vec<(Id, String)>> {
    Ok(users::table.order(users::id).select((users::id, users::email)).load(connection)?)
}

/// The hash of a user's password; none while they are invited.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn password_hash(connection: &mut TenantConn, id: Id) -> ModelResult<Option<String>> {
    Ok(users::table.find(id).select(users::password_hash).first(connection)?)
}

/// The first owner, from the registration: active when a password came with it, invited otherwise.
/// Provisioning may call it again after a crash; the id comes from it, for the login index.
///
/// # Errors
/// Any database error.
pub fn create_first_owner(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    email: &Email,
    name: &str,
    password_hash: Option<&str>,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        if diesel::select(diesel::dsl::exists(users::table.find(id))).get_result(connection)? {
            return Ok(());
        }
        let new = NewUser { email: email.clone(), name: name.to_owned(), roles: vec![Role::Owner] };
        insert(connection, id, &new, password_hash)?;
        activity.record(connection, "user.created", "user", Some(id), name, &describe(&new))
    })
}

/// Makes a user who has still to accept. The invitation itself lives in the shared database.
///
/// # Errors
/// Refused when the address is a user's already or the plan has no room; any database error.
pub fn create_invited(connection: &mut TenantConn, activity: &Activity, new: &NewUser) -> ModelResult<Id> {
    let invited = connection.write_tx(|connection| {
        require_a_role(&new.roles)?;
        quota::require(connection, &activity.limits, Resource::Users, 1)?;
        let taken: Option<String> = users::table
            .filter(users::email_normalised.eq(new.email.normalised()))
            .select(users::name)
            .first(connection)
            .optional()?;
        if let Some(name) = taken {
            return Err(ModelError::Refused(format!("{name} already has this e-mail address here.")));
        }
        let id = Id::new();
        insert(connection, id, new, None)?;
        activity.record(connection, "user.invited", "user", Some(id), &new.name, &describe(new))?;
        Ok(id)
    });
    match invited {
        // Two owners invited the same address at the same moment.
        Err(error) if error.is_unique_violation() => {
            Err(ModelError::Refused(format!("Somebody else has just invited {}.", new.email)))
        }
        outcome => outcome,
    }
}

fn insert(
    connection: &mut TenantConn,
    id: Id,
    new: &NewUser,
    password_hash: Option<&str>,
) -> ModelResult<()> {
    let at = now();
    let status = if password_hash.is_some() { UserStatus::Active } else { UserStatus::Invited };
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id),
            users::email.eq(new.email.as_str()),
            users::email_normalised.eq(new.email.normalised()),
            users::name.eq(&new.name),
            users::name_key.eq(fold(&new.name)),
            users::password_hash.eq(password_hash),
            users::status.eq(status),
            users::created_at.eq(at),
            users::updated_at.eq(at),
        ))
        .execute(connection)?;
    write_roles(connection, id, &new.roles)
}

fn write_roles(connection: &mut TenantConn, id: Id, roles: &[Role]) -> ModelResult<()> {
    diesel::delete(user_roles::table.filter(user_roles::user_id.eq(id))).execute(connection)?;
    for role in Role::ALL.iter().filter(|role| roles.contains(role)) {
        diesel::insert_into(user_roles::table)
            .values((
                user_roles::user_id.eq(id),
                user_roles::role.eq(*role),
                user_roles::granted_at.eq(now()),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Accepts an invitation: the person's own name and password, and the door is open.
///
/// # Errors
/// `Changed` when it was accepted or withdrawn before; any database error.
pub fn accept_invitation(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    name: &str,
    password_hash: &str,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let accepted = diesel::update(users::table.find(id))
            .filter(users::status.eq(UserStatus::Invited))
            .set((
                users::status.eq(UserStatus::Active),
                users::password_hash.eq(password_hash),
                users::name.eq(name),
                users::name_key.eq(fold(name)),
                users::updated_at.eq(now()),
                users::version.eq(users::version + 1),
            ))
            .execute(connection)?;
        if accepted == 0 {
            return Err(ModelError::Changed("This invitation was already accepted or withdrawn.".into()));
        }
        let changes = [status_change(UserStatus::Invited, UserStatus::Active)];
        activity.record(connection, "user.accepted", "user", Some(id), name, &changes)
    })
}

/// Replaces the password of an active user that was read as `old_hash`.
///
/// # Errors
/// `Changed` when it was replaced meanwhile or they cannot sign in any more; `NotFound`; any database error.
pub fn set_password_hash(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    old_hash: &str,
    new_hash: &str,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let user = find(connection, id)?;
        let saved = diesel::update(users::table.find(id))
            .filter(users::status.eq(UserStatus::Active))
            .filter(users::password_hash.eq(old_hash))
            .set((users::password_hash.eq(new_hash), users::updated_at.eq(now())))
            .execute(connection)?;
        if saved == 0 {
            return Err(ModelError::Changed("This password was changed a moment ago.".into()));
        }
        activity.record(connection, "user.password_changed", "user", Some(id), &user.name, &[])
    })
}

/// Replaces the hash of an unchanged password after its cost was changed: no change to a person. A password
/// that was replaced meanwhile stays.
///
/// # Errors
/// Any database error.
pub fn rehash_password(
    connection: &mut TenantConn,
    id: Id,
    old_hash: &str,
    new_hash: &str,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        diesel::update(users::table.find(id))
            .filter(users::password_hash.eq(old_hash))
            .set(users::password_hash.eq(new_hash))
            .execute(connection)
    })?;
    Ok(())
}

/// Notes that the user signed in now.
///
/// # Errors
/// Any database error.
pub fn record_sign_in(connection: &mut TenantConn, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        diesel::update(users::table.find(id)).set(users::last_sign_in_at.eq(now())).execute(connection)
    })?;
    Ok(())
}

fn require_a_role(roles: &[Role]) -> ModelResult<()> {
    if roles.is_empty() {
        return Err(ModelError::Refused("Choose at least one role.".into()));
    }
    Ok(())
}

fn describe(new: &NewUser) -> Vec<Change> {
    vec![
        Change::new("name", None, Some(new.name.clone())),
        Change::new("email", None, Some(new.email.as_str().to_owned())),
        Change::new("roles", None, Some(role_words(&new.roles))),
    ]
}

fn status_change(from: UserStatus, to: UserStatus) -> Change {
    Change::new("status", Some(from.to_string()), Some(to.to_string()))
}

fn role_words(roles: &[Role]) -> String {
    let words: Vec<&str> =
        Role::ALL.iter().filter(|role| roles.contains(role)).map(|role| role.as_str()).collect();
    words.join(", ")
}
