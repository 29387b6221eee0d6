//! Where each institution's database is, and at which generation.

mod list;

use diesel::prelude::*;

use crate::{
    db::{
        Engine, Id, now,
        schema_shared::{institutions, tenant_databases, tenant_figures},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult, Paging,
        platform::institutions::{Institution, Status},
    },
};

pub use list::{DatabaseFilter, DatabaseRow, older_than, page};

crate::text_enum! {
    /// How far a tenant database is.
    DatabaseStatus { Reserved = "reserved", Ready = "ready", Dropped = "dropped" }
}

crate::text_enum! {
    /// Why a database can be read and not changed for now.
    WriteBlock {
        /// It is being moved to another server.
        Move = "move",
    }
}

/// A tenant database as the registry knows it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = tenant_databases)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct TenantDatabase {
    pub id: Id,
    pub institution_id: Id,
    pub engine: Engine,
    pub database_name: String,
    pub location: String,
    pub sealed_password: Option<Vec<u8>>,
    pub schema_version: String,
    pub generation: i64,
    pub status: DatabaseStatus,
    /// Why it could not be brought to another schema, or was taken back to this one; it is served at this
    /// version's schema only.
    pub quarantine_reason: Option<String>,
    pub server_id: Id,
    pub write_block: Option<WriteBlock>,
}

/// What a new row says.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewTenantDatabase<'a> {
    pub id: Id,
    pub institution_id: Id,
    pub engine: Engine,
    pub database_name: &'a str,
    pub location: &'a str,
    pub schema_version: &'a str,
    pub server_id: Id,
}

/// The database of an institution.
///
/// # Errors
/// Any database error.
pub fn find(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<TenantDatabase>> {
    let row = tenant_databases::table
        .filter(tenant_databases::institution_id.eq(institution_id))
        .select(TenantDatabase::as_select())
        .first(connection);
    Ok(row.optional()?)
}

/// The institution with this id, and its database.
///
/// # Errors
/// Any database error; `NotFound` when there is no such institution.
pub fn find_with_institution(
    connection: &mut SharedConn,
    institution_id: Id,
) -> ModelResult<(Institution, Option<TenantDatabase>)> {
    Ok(institutions::table
        .left_join(tenant_databases::table)
        .filter(institutions::id.eq(institution_id))
        .select((Institution::as_select(), Option::<TenantDatabase>::as_select()))
        .first(connection)?)
}

/// Every ready database with an older schema than this, in the order of their names.
///
/// # Errors
/// Any database error.
pub fn outdated(connection: &mut SharedConn, version: &str) -> ModelResult<Vec<TenantDatabase>> {
    Ok(tenant_databases::table
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .filter(tenant_databases::schema_version.lt(version))
        .order(tenant_databases::database_name)
        .select(TenantDatabase::as_select())
        .load(connection)?)
}

/// How many ready databases have a schema version, and how many of them are in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
#[expect(missing_docs, reason = "a version and its counts")]
pub struct VersionCount {
    pub version: String,
    pub tenants: i64,
    pub quarantined: i64,
}

/// Who is where, the oldest version first: one query.
///
/// # Errors
/// Any database error.
pub fn versions(connection: &mut SharedConn) -> ModelResult<Vec<VersionCount>> {
    use diesel::dsl::count;
    Ok(tenant_databases::table
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .group_by(tenant_databases::schema_version)
        .order(tenant_databases::schema_version)
        .select((
            tenant_databases::schema_version,
            count(tenant_databases::id),
            count(tenant_databases::quarantined_at),
        ))
        .load(connection)?)
}

/// Every row, with its institution; there are as many as institutions.
///
/// # Errors
/// Any database error.
pub fn all(connection: &mut SharedConn) -> ModelResult<Vec<DatabaseRow>> {
    all_of(connection, &DatabaseFilter::default())
}

/// Every row that matches, by name.
///
/// # Errors
/// Any database error.
pub fn all_of(connection: &mut SharedConn, filter: &DatabaseFilter) -> ModelResult<Vec<DatabaseRow>> {
    let everything = Paging { sort: "name".into(), descending: false, limit: i64::MAX, offset: 0 };
    Ok(page(connection, filter, &everything)?.rows)
}

/// The database with this name, unless it is out of service.
///
/// # Errors
/// Any database error.
pub fn find_by_name(connection: &mut SharedConn, name: &str) -> ModelResult<Option<TenantDatabase>> {
    let row = tenant_databases::table
        .filter(tenant_databases::database_name.eq(name))
        .filter(tenant_databases::status.ne(DatabaseStatus::Dropped))
        .select(TenantDatabase::as_select())
        .first(connection);
    Ok(row.optional()?)
}

/// Domains of institutions that should have a usable database and have none.
///
/// # Errors
/// Any database error.
pub fn institutions_without(connection: &mut SharedConn) -> ModelResult<Vec<String>> {
    Ok(institutions::table
        .left_join(tenant_databases::table)
        .filter(institutions::status.eq_any([Status::Active, Status::Suspended]))
        .filter(
            tenant_databases::id
                .is_null()
                .or(tenant_databases::status.assume_not_null().ne(DatabaseStatus::Ready)),
        )
        .order(institutions::domain)
        .limit(100)
        .select(institutions::domain)
        .load(connection)?)
}

/// Another institution's database that is ready and on this server, to prove that it cannot be entered.
///
/// # Errors
/// Any database error.
pub fn any_other(
    connection: &mut SharedConn,
    institution_id: Id,
    server_id: Id,
) -> ModelResult<Option<TenantDatabase>> {
    let row = tenant_databases::table
        .filter(tenant_databases::institution_id.ne(institution_id))
        .filter(tenant_databases::server_id.eq(server_id))
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .order(tenant_databases::id.desc())
        .select(TenantDatabase::as_select())
        .first(connection);
    Ok(row.optional()?)
}

/// The names of a few institutions' databases.
///
/// # Errors
/// Any database error.
pub fn names_of(
    connection: &mut SharedConn,
    institutions: &[Id],
) -> ModelResult<std::collections::HashMap<Id, String>> {
    let found: Vec<(Id, String)> = tenant_databases::table
        .filter(tenant_databases::institution_id.eq_any(institutions))
        .select((tenant_databases::institution_id, tenant_databases::database_name))
        .load(connection)?;
    Ok(found.into_iter().collect())
}

/// Whether a database name is given to some institution.
///
/// # Errors
/// Any database error.
pub fn is_name_taken(connection: &mut SharedConn, name: &str) -> ModelResult<bool> {
    let count: i64 = tenant_databases::table
        .filter(tenant_databases::database_name.eq(name))
        .count()
        .get_result(connection)?;
    Ok(count > 0)
}

/// Registers a database before it exists.
///
/// # Errors
/// Any database error; a unique violation when the name was taken meanwhile.
pub fn reserve(connection: &mut SharedConn, new: &NewTenantDatabase<'_>) -> ModelResult<()> {
    diesel::insert_into(tenant_databases::table)
        .values((
            tenant_databases::id.eq(new.id),
            tenant_databases::institution_id.eq(new.institution_id),
            tenant_databases::engine.eq(new.engine),
            tenant_databases::database_name.eq(new.database_name),
            tenant_databases::location.eq(new.location),
            tenant_databases::schema_version.eq(new.schema_version),
            tenant_databases::server_id.eq(new.server_id),
            tenant_databases::generation.eq(1),
            tenant_databases::status.eq(DatabaseStatus::Reserved),
            tenant_databases::created_at.eq(now()),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    // What is measured of it has its place from the beginning, so that lists sorted by it are complete.
    diesel::insert_into(tenant_figures::table)
        .values(tenant_figures::institution_id.eq(new.institution_id))
        .execute(connection)?;
    Ok(())
}

/// Stores the sealed password, if there is none yet. False when there was one.
///
/// # Errors
/// Any database error.
pub fn set_password_once(
    connection: &mut SharedConn,
    institution_id: Id,
    sealed: &[u8],
) -> ModelResult<bool> {
    let set = diesel::update(tenant_databases::table)
        .filter(tenant_databases::institution_id.eq(institution_id))
        .filter(tenant_databases::sealed_password.is_null())
        .set((tenant_databases::sealed_password.eq(sealed), tenant_databases::updated_at.eq(now())))
        .execute(connection)?;
    Ok(set == 1)
}

/// A reserved database is ready for use.
///
/// # Errors
/// Any database error.
pub fn mark_ready(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    let ready = diesel::update(tenant_databases::table)
        .filter(tenant_databases::institution_id.eq(institution_id))
        .set((tenant_databases::status.eq(DatabaseStatus::Ready), tenant_databases::updated_at.eq(now())))
        .execute(connection)?;
    if ready == 1 { Ok(()) } else { Err(ModelError::NOT_FOUND) }
}

/// Forgets a database that was never used.
///
/// # Errors
/// Any database error.
pub fn forget_reserved(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::delete(
        tenant_databases::table
            .filter(tenant_databases::institution_id.eq(institution_id))
            .filter(tenant_databases::status.eq(DatabaseStatus::Reserved)),
    )
    .execute(connection)?;
    Ok(())
}

/// Makes every handle given out until now refused, in all processes, from their next request on. Call it in
/// the transaction that suspends, moves, restores or deletes.
///
/// # Errors
/// Any database error.
pub fn raise_generation(connection: &mut SharedConn, institution_id: Id) -> ModelResult<()> {
    diesel::update(tenant_databases::table)
        .filter(tenant_databases::institution_id.eq(institution_id))
        .set((
            tenant_databases::generation.eq(tenant_databases::generation + 1),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Blocks the writing to a database, or lifts the block. Handles given out before are refused from their next request
/// on. False when it was so already.
///
/// # Errors
/// Any database error.
pub fn set_write_block(
    connection: &mut SharedConn,
    institution_id: Id,
    block: Option<WriteBlock>,
) -> ModelResult<bool> {
    let row = tenant_databases::table.filter(tenant_databases::institution_id.eq(institution_id));
    let other = match block {
        Some(_) => diesel::update(row.filter(tenant_databases::write_block.is_null()))
            .set(tenant_databases::write_block.eq(block))
            .execute(connection)?,
        None => diesel::update(row.filter(tenant_databases::write_block.is_not_null()))
            .set(tenant_databases::write_block.eq(block))
            .execute(connection)?,
    };
    if other == 1 {
        raise_generation(connection, institution_id)?;
    }
    Ok(other == 1)
}

/// Another database serves from now on, at a new generation. False when `instead_of` serves no more.
///
/// # Errors
/// Any database error.
pub fn replace(
    connection: &mut SharedConn,
    instead_of: &TenantDatabase,
    new: &NewTenantDatabase<'_>,
    sealed_password: Option<&[u8]>,
) -> ModelResult<bool> {
    let replaced = diesel::update(tenant_databases::table)
        .filter(tenant_databases::institution_id.eq(instead_of.institution_id))
        .filter(tenant_databases::database_name.eq(&instead_of.database_name))
        .filter(tenant_databases::generation.eq(instead_of.generation))
        .set((
            tenant_databases::engine.eq(new.engine),
            tenant_databases::database_name.eq(new.database_name),
            tenant_databases::location.eq(new.location),
            tenant_databases::sealed_password.eq(sealed_password),
            tenant_databases::schema_version.eq(new.schema_version),
            tenant_databases::server_id.eq(new.server_id),
            tenant_databases::write_block.eq(None::<WriteBlock>),
            tenant_databases::status.eq(DatabaseStatus::Ready),
            tenant_databases::generation.eq(tenant_databases::generation + 1),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(replaced == 1)
}

/// Takes a database out of service for good: its place is the caller's to remember, and the row keeps its name from
/// being given again. False when another serves by now.
///
/// # Errors
/// Any database error.
pub fn detach(connection: &mut SharedConn, present: &TenantDatabase) -> ModelResult<bool> {
    let detached = diesel::update(tenant_databases::table.find(present.id))
        .filter(tenant_databases::database_name.eq(&present.database_name))
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .set((
            tenant_databases::status.eq(DatabaseStatus::Dropped),
            tenant_databases::sealed_password.eq(None::<Vec<u8>>),
            tenant_databases::generation.eq(tenant_databases::generation + 1),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(detached == 1)
}

/// Notes the schema version that a database has now, and whether and why it must stay there. Handles given out before
/// are refused: what they remember of the schema may no longer hold.
///
/// # Errors
/// Any database error.
pub fn set_schema_version(
    connection: &mut SharedConn,
    institution_id: Id,
    version: &str,
    quarantine: Option<&str>,
) -> ModelResult<()> {
    diesel::update(tenant_databases::table)
        .filter(tenant_databases::institution_id.eq(institution_id))
        .set((
            tenant_databases::schema_version.eq(version),
            tenant_databases::quarantine_reason.eq(quarantine),
            tenant_databases::quarantined_at.eq(quarantine.map(|_| now())),
            tenant_databases::updated_at.eq(now()),
        ))
        .execute(connection)?;
    raise_generation(connection, institution_id)
}
