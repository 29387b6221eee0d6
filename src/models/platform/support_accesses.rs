//! A platform admin's right to look into one institution: for a reason, for a while.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde_json::json;

use super::{audit::Audit, institutions::Institution};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, platform_admins, support_accesses},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult},
};

/// An access that is open now.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = support_accesses)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct SupportAccess {
    pub id: Id,
    pub admin_id: Id,
    pub reason: String,
    pub created_at: NaiveDateTime,
    pub expires_at: NaiveDateTime,
}

/// An access that is open now, whose it is, and where.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the tables, under their own names")]
pub struct OpenAccess {
    pub access: SupportAccess,
    pub admin_name: String,
    pub admin_email: String,
    pub domain: String,
}

/// Opens an access for so long. An earlier one of the same admin ends with it.
///
/// # Errors
/// Any database error.
pub fn open(
    connection: &mut SharedConn,
    audit: &Audit,
    institution: &Institution,
    admin_id: Id,
    reason: &str,
    lasts: TimeDelta,
) -> ModelResult<SupportAccess> {
    connection.write_tx(|connection| {
        end_open(connection, institution.id, admin_id)?;
        let access = SupportAccess {
            id: Id::new(),
            admin_id,
            reason: reason.to_owned(),
            created_at: now(),
            expires_at: now() + lasts,
        };
        diesel::insert_into(support_accesses::table)
            .values((
                support_accesses::id.eq(access.id),
                support_accesses::institution_id.eq(institution.id),
                support_accesses::admin_id.eq(admin_id),
                support_accesses::reason.eq(reason),
                support_accesses::created_at.eq(access.created_at),
                support_accesses::expires_at.eq(access.expires_at),
            ))
            .execute(connection)?;
        let detail = json!({ "reason": reason, "minutes": lasts.num_minutes() });
        audit.record(connection, "institution.support_access_opened", &institution.subject(), &detail)?;
        Ok(access)
    })
}

/// Ends what this admin has open at the institution.
///
/// # Errors
/// `Changed` when nothing was open; any database error.
pub fn end(
    connection: &mut SharedConn,
    audit: &Audit,
    institution: &Institution,
    admin_id: Id,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        if end_open(connection, institution.id, admin_id)? == 0 {
            return Err(ModelError::Changed("This access has ended already.".into()));
        }
        audit.record(connection, "institution.support_access_ended", &institution.subject(), &json!({}))
    })
}

fn end_open(connection: &mut SharedConn, institution_id: Id, admin_id: Id) -> ModelResult<usize> {
    let at = now();
    let open = support_accesses::table
        .filter(support_accesses::admin_id.eq(admin_id))
        .filter(support_accesses::institution_id.eq(institution_id))
        .filter(support_accesses::expires_at.gt(at))
        .filter(support_accesses::ended_at.is_null());
    Ok(diesel::update(open).set(support_accesses::ended_at.eq(at)).execute(connection)?)
}

/// What an admin has open at an institution at this moment.
///
/// # Errors
/// Any database error.
pub fn find_open(
    connection: &mut SharedConn,
    institution_id: Id,
    admin_id: Id,
) -> ModelResult<Option<SupportAccess>> {
    Ok(support_accesses::table
        .filter(support_accesses::admin_id.eq(admin_id))
        .filter(support_accesses::institution_id.eq(institution_id))
        .filter(support_accesses::expires_at.gt(now()))
        .filter(support_accesses::ended_at.is_null())
        .order(support_accesses::expires_at.desc())
        .select(SupportAccess::as_select())
        .first(connection)
        .optional()?)
}

/// Everybody's open accesses at an institution, with the admins' names.
///
/// # Errors
/// Any database error.
pub fn all_open(
    connection: &mut SharedConn,
    institution_id: Id,
) -> ModelResult<Vec<(SupportAccess, String)>> {
    Ok(support_accesses::table
        .inner_join(platform_admins::table)
        .filter(support_accesses::institution_id.eq(institution_id))
        .filter(support_accesses::expires_at.gt(now()))
        .filter(support_accesses::ended_at.is_null())
        .order(support_accesses::created_at.desc())
        .limit(50)
        .select((SupportAccess::as_select(), platform_admins::name))
        .load(connection)?)
}

/// Everybody's open accesses anywhere, the newest first.
///
/// # Errors
/// Any database error.
pub fn open_anywhere(connection: &mut SharedConn) -> ModelResult<Vec<OpenAccess>> {
    Ok(support_accesses::table
        .inner_join(platform_admins::table)
        .inner_join(institutions::table)
        .filter(support_accesses::expires_at.gt(now()))
        .filter(support_accesses::ended_at.is_null())
        .order(support_accesses::id.desc())
        .select((
            SupportAccess::as_select(),
            platform_admins::name,
            platform_admins::email,
            institutions::domain,
        ))
        .load(connection)?)
}
