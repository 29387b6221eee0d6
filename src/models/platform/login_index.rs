//! The login index: which institutions know an e-mail address, found by its keyed hash alone.

use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::login_index, shared::SharedConn},
    models::ModelResult,
};

/// Where somebody with this e-mail can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Login {
    /// The institution.
    pub institution_id: Id,
    /// The user in its own database.
    pub user_id: Id,
}

/// Adds an entry; adding it again changes nothing, so that a step of provisioning can be repeated. An
/// address that another user of the institution had moves to this one.
///
/// # Errors
/// Any database error.
pub fn add(connection: &mut SharedConn, email_hash: &[u8], login: Login) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let moved = diesel::update(login_index::table)
            .filter(login_index::email_hash.eq(email_hash))
            .filter(login_index::institution_id.eq(login.institution_id))
            .set(login_index::user_id.eq(login.user_id))
            .execute(connection)?;
        if moved == 0 {
            diesel::insert_into(login_index::table)
                .values((
                    login_index::id.eq(Id::new()),
                    login_index::email_hash.eq(email_hash),
                    login_index::institution_id.eq(login.institution_id),
                    login_index::user_id.eq(login.user_id),
                    login_index::created_at.eq(now()),
                ))
                .execute(connection)?;
        }
        Ok(())
    })
}

/// Every place where this e-mail can sign in, oldest first.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, email_hash: &[u8]) -> ModelResult<Vec<Login>> {
    Ok(login_index::table
        .filter(login_index::email_hash.eq(email_hash))
        .order(login_index::id)
        .limit(50)
        .select((login_index::institution_id, login_index::user_id))
        .load(connection)?)
}

/// Whether an institution has anybody who can sign in.
///
/// # Errors
/// Any database error.
pub fn any_of_institution(connection: &mut SharedConn, institution_id: Id) -> ModelResult<bool> {
    let count: i64 = login_index::table
        .filter(login_index::institution_id.eq(institution_id))
        .count()
        .get_result(connection)?;
    Ok(count > 0)
}

/// Whether this user of this institution is known here.
///
/// # Errors
/// Any database error.
pub fn exists(connection: &mut SharedConn, login: Login) -> ModelResult<bool> {
    let known = login_index::table
        .filter(login_index::institution_id.eq(login.institution_id))
        .filter(login_index::user_id.eq(login.user_id));
    Ok(diesel::select(diesel::dsl::exists(known)).get_result(connection)?)
}

/// Removes every entry of one user.
///
/// # Errors
/// Any database error.
pub fn remove(connection: &mut SharedConn, login: Login) -> ModelResult<()> {
    diesel::delete(
        login_index::table
            .filter(login_index::institution_id.eq(login.institution_id))
            .filter(login_index::user_id.eq(login.user_id)),
    )
    .execute(connection)?;
    Ok(())
}

/// Removes every entry of an institution (compensation of provisioning, deletion).
///
/// # Errors
/// Any database error.
pub fn remove_institution(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::delete(login_index::table.filter(login_index::institution_id.eq(institution_id)))
        .execute(connection)?;
    Ok(())
}
