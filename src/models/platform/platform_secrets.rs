//! The platform's own secrets, sealed under the master key, and the institutions' wrapped keys.

use diesel::prelude::*;

use crate::{
    db::{
        Id, now,
        schema_shared::{institution_keys, outgoing_mails, platform_secrets},
        shared::SharedConn,
    },
    models::ModelResult,
};

/// A sealed secret, by name.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, name: &str) -> ModelResult<Option<Vec<u8>>> {
    let sealed = platform_secrets::table.find(name).select(platform_secrets::sealed).first(connection);
    Ok(sealed.optional()?)
}

/// Stores a new secret; the name must be free.
///
/// # Errors
/// Any database error.
pub fn insert(connection: &mut SharedConn, name: &str, sealed: &[u8]) -> ModelResult<()> {
    diesel::insert_into(platform_secrets::table)
        .values((
            platform_secrets::name.eq(name),
            platform_secrets::sealed.eq(sealed),
            platform_secrets::created_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// The wrapped data key of an institution.
///
/// # Errors
/// Any database error.
pub fn institution_key(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Vec<u8>>> {
    let wrapped =
        institution_keys::table.find(institution_id).select(institution_keys::wrapped_key).first(connection);
    Ok(wrapped.optional()?)
}

/// Stores an institution's wrapped data key; it must not have one.
///
/// # Errors
/// Any database error.
pub fn insert_institution_key(
    connection: &mut SharedConn,
    institution_id: Id,
    wrapped: &[u8],
) -> ModelResult<()> {
    diesel::insert_into(institution_keys::table)
        .values((
            institution_keys::institution_id.eq(institution_id),
            institution_keys::wrapped_key.eq(wrapped),
            institution_keys::created_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Forgets an institution's data key: whatever it sealed is unreadable for good.
///
/// # Errors
/// Any database error.
pub fn delete_institution_key(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::delete(institution_keys::table.find(institution_id)).execute(connection)?;
    Ok(())
}

/// A value that is sealed directly under the master key, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A platform secret, by name.
    Secret(String),
    /// An institution's data key.
    InstitutionKey(Id),
    /// A mail that is not sent yet.
    Mail(Id),
}

/// Every value sealed under the master key. There are as many as institutions, each of a hundred bytes.
///
/// # Errors
/// Any database error.
pub fn all_sealed(connection: &mut SharedConn) -> ModelResult<Vec<(Place, Vec<u8>)>> {
    let secrets: Vec<(String, Vec<u8>)> = platform_secrets::table
        .select((platform_secrets::name, platform_secrets::sealed))
        .load(connection)?;
    let keys: Vec<(Id, Vec<u8>)> = institution_keys::table
        .select((institution_keys::institution_id, institution_keys::wrapped_key))
        .load(connection)?;
    let mails: Vec<(Id, Option<Vec<u8>>)> = outgoing_mails::table
        .filter(outgoing_mails::sealed.is_not_null())
        .select((outgoing_mails::id, outgoing_mails::sealed))
        .load(connection)?;
    let secrets = secrets.into_iter().map(|(name, sealed)| (Place::Secret(name), sealed));
    let keys = keys.into_iter().map(|(id, sealed)| (Place::InstitutionKey(id), sealed));
    let mails = mails.into_iter().filter_map(|(id, sealed)| sealed.map(|sealed| (Place::Mail(id), sealed)));
    Ok(secrets.chain(keys).chain(mails).collect())
}

/// Puts a newly sealed form in place of the old one; does nothing when the old one is there no more.
///
/// # Errors
/// Any database error.
pub fn replace_sealed(connection: &mut SharedConn, place: &Place, old: &[u8], new: &[u8]) -> ModelResult<()> {
    match place {
        Place::Secret(name) => diesel::update(platform_secrets::table.find(name))
            .filter(platform_secrets::sealed.eq(old))
            .set(platform_secrets::sealed.eq(new))
            .execute(connection)?,
        Place::InstitutionKey(id) => diesel::update(institution_keys::table.find(*id))
            .filter(institution_keys::wrapped_key.eq(old))
            .set(institution_keys::wrapped_key.eq(new))
            .execute(connection)?,
        Place::Mail(id) => diesel::update(outgoing_mails::table.find(*id))
            .filter(outgoing_mails::sealed.eq(old))
            .set(outgoing_mails::sealed.eq(new))
            .execute(connection)?,
    };
    Ok(())
}
