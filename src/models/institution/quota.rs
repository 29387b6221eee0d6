//! Holding to the limits of the plan: counted, and refused, inside the transaction that adds.

use diesel::{prelude::*, sql_types::BigInt};

use super::users;
use crate::{
    db::{locks::Lock, schema_tenant::students, tenant::TenantConn},
    models::{Limits, ModelError, ModelResult, Resource, Usage},
};

/// Passes when `more` fit; call it inside the `write_tx` that adds them. On PostgreSQL two could each take the last
/// place at the same moment, so they wait for each other; SQLite's write lock already orders them.
///
/// # Errors
/// `Refused` with the limit, what is used, and who can raise it; any database error.
pub fn require(
    connection: &mut TenantConn,
    limits: &Limits,
    resource: Resource,
    more: usize,
) -> ModelResult<()> {
    if limits.of(resource).is_none() || more == 0 {
        return Ok(());
    }
    if let TenantConn::Postgres(connection) = connection {
        Lock::Quota.hold_in_transaction(connection)?;
    }
    match lacking(connection, limits, resource, more)? {
        Some(sentence) => Err(ModelError::Refused(sentence)),
        None => Ok(()),
    }
}

/// Why `more` would not fit now: for saying it beforehand.
///
/// # Errors
/// Any database error.
pub fn lacking(
    connection: &mut TenantConn,
    limits: &Limits,
    resource: Resource,
    more: usize,
) -> ModelResult<Option<String>> {
    if limits.of(resource).is_none() {
        return Ok(None);
    }
    let used = used(connection, resource)?;
    Ok(limits.lacking(resource, used, i64::try_from(more).unwrap_or(i64::MAX)))
}

/// What to say when a limit is near, and whether the last `added` brought it there.
///
/// # Errors
/// Any database error.
pub fn nearly(
    connection: &mut TenantConn,
    limits: &Limits,
    resource: Resource,
    added: i64,
) -> ModelResult<Option<(String, bool)>> {
    if limits.of(resource).is_none() {
        return Ok(None);
    }
    let used = used(connection, resource)?;
    let crossed = !limits.is_near(resource, used - added);
    Ok(limits.nearly(resource, used).map(|sentence| (sentence, crossed)))
}

/// How much of everything is used.
///
/// # Errors
/// Any database error.
pub fn usage(connection: &mut TenantConn) -> ModelResult<Usage> {
    Ok(Usage {
        users: used(connection, Resource::Users)?,
        students: used(connection, Resource::Students)?,
        storage_bytes: used(connection, Resource::Storage)?,
    })
}

fn used(connection: &mut TenantConn, resource: Resource) -> ModelResult<i64> {
    match resource {
        Resource::Users => users::count(connection),
        Resource::Students => {
            Ok(students::table.filter(students::archived_at.is_null()).count().get_result(connection)?)
        }
        Resource::Storage => size(connection),
    }
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// What the engine says that the database takes; both answer at once.
fn size(connection: &mut TenantConn) -> ModelResult<i64> {
    let size: Size = match connection {
        TenantConn::Sqlite(connection) => diesel::sql_query(
            "SELECT p.page_count * s.page_size AS bytes FROM pragma_page_count() AS p, pragma_page_size() AS s",
        )
        .get_result(connection)?,
        TenantConn::Postgres(connection) => {
            diesel::sql_query("SELECT pg_database_size(current_database()) AS bytes").get_result(connection)?
        }
    };
    Ok(size.bytes)
}
