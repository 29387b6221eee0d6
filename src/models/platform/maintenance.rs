//! Looking after databases: what each is known to need, and what was done and what it brought.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{
        Id,
        engine::Act,
        schema_shared::{institutions, maintenance_needs, maintenance_runs, tenant_databases},
        shared::SharedConn,
    },
    models::{
        ModelResult, Paging, Slice, containing, ordered,
        platform::{
            SharedBackend,
            institutions::Status,
            servers,
            tenant_databases::{DatabaseStatus, TenantDatabase},
        },
    },
};

/// What a database is known to need.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = maintenance_needs)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Need {
    pub institution_id: Id,
    pub bytes: i64,
    pub spare_bytes: i64,
    pub log_bytes: i64,
    pub dead_rows: i64,
    /// What is worth doing, by [`Act`]'s words and separated by spaces; empty where nothing is.
    pub acts: String,
    /// Why, for a person.
    pub why: String,
    pub looked_at: NaiveDateTime,
}

/// Something that was done to a database, or tried.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = maintenance_runs)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Run {
    pub id: Id,
    pub institution_id: Id,
    pub act: Act,
    pub why: String,
    pub bytes_before: i64,
    pub bytes_after: i64,
    pub milliseconds: i64,
    pub error: Option<String>,
    pub at: NaiveDateTime,
}

/// A row with the names of its institution.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the tables, under their own names")]
pub struct Named<T> {
    pub row: T,
    pub domain: String,
    pub name: String,
}

/// Notes what a look has found.
///
/// # Errors
/// Any database error.
pub fn note_need(connection: &mut SharedConn, need: &Need) -> ModelResult<()> {
    connection.write_tx(|c| {
        c.commit_without_waiting()?;
        let known = maintenance_needs::table.find(need.institution_id);
        if diesel::update(known).set(need).execute(c)? == 0 {
            diesel::insert_into(maintenance_needs::table).values(need).execute(c)?;
        }
        Ok(())
    })
}

/// What an institution's database was known to need.
///
/// # Errors
/// Any database error.
pub fn need_of(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Need>> {
    let found = maintenance_needs::table.find(institution_id).select(Need::as_select()).first(connection);
    Ok(found.optional()?)
}

/// Databases of this schema that were not looked at since, the longest ago first; not those on a silent server.
///
/// # Errors
/// Any database error.
pub fn to_look_at(
    connection: &mut SharedConn,
    version: &str,
    before: NaiveDateTime,
    limit: i64,
) -> ModelResult<Vec<TenantDatabase>> {
    let silent = servers::silent(connection)?;
    let stale = maintenance_needs::looked_at.nullable().is_null().or(maintenance_needs::looked_at.lt(before));
    Ok(tenant_databases::table
        .inner_join(institutions::table)
        .left_join(
            maintenance_needs::table
                .on(maintenance_needs::institution_id.eq(tenant_databases::institution_id)),
        )
        .filter(institutions::status.eq_any([Status::Active, Status::Suspended]))
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .filter(tenant_databases::schema_version.eq(version))
        .filter(tenant_databases::server_id.ne_all(silent))
        .filter(stale)
        .order((
            maintenance_needs::looked_at.nullable().is_not_null(),
            maintenance_needs::looked_at.nullable(),
        ))
        .limit(limit)
        .select(TenantDatabase::as_select())
        .load(connection)?)
}

/// The institutions that need something, the next ones after this id in the order of ids.
///
/// # Errors
/// Any database error.
pub fn needing_after(connection: &mut SharedConn, after: Id, limit: i64) -> ModelResult<Vec<Id>> {
    Ok(maintenance_needs::table
        .filter(maintenance_needs::acts.ne(""))
        .filter(maintenance_needs::institution_id.gt(after))
        .order(maintenance_needs::institution_id)
        .limit(limit)
        .select(maintenance_needs::institution_id)
        .load(connection)?)
}

/// How many institutions need something.
///
/// # Errors
/// Any database error.
pub fn needing_count(connection: &mut SharedConn) -> ModelResult<i64> {
    Ok(maintenance_needs::table.filter(maintenance_needs::acts.ne("")).count().get_result(connection)?)
}

type Needing<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::InnerJoin<maintenance_needs::table, institutions::table>,
    SharedBackend,
>;

fn needing<'a>(q: &str) -> Needing<'a> {
    let query = maintenance_needs::table.inner_join(institutions::table).into_boxed();
    containing!(query, q, institutions::name_key, institutions::domain).filter(maintenance_needs::acts.ne(""))
}

/// One page of what is worth doing. Sorts by `spare` (default), `size` or `looked`.
///
/// # Errors
/// Any database error.
pub fn needs(connection: &mut SharedConn, q: &str, paging: &Paging) -> ModelResult<Slice<Named<Need>>> {
    use maintenance_needs::{bytes, institution_id, looked_at, spare_bytes};
    let total = needing(q).count().get_result(connection)?;
    let sorted = match paging.sort.as_str() {
        "size" => ordered!(needing(q), paging.descending, bytes, institution_id),
        "looked" => ordered!(needing(q), paging.descending, looked_at, institution_id),
        _ => ordered!(needing(q), paging.descending, spare_bytes, institution_id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select((Need::as_select(), institutions::domain, institutions::name))
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Enters what was done.
///
/// # Errors
/// Any database error.
pub fn note_run(connection: &mut SharedConn, run: &Run) -> ModelResult<()> {
    diesel::insert_into(maintenance_runs::table).values(run).execute(connection)?;
    Ok(())
}

/// Which runs.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Part of an institution's name or domain.
    pub q: String,
    /// Only this.
    pub act: Option<Act>,
    /// Only this institution's.
    pub institution_id: Option<Id>,
}

type Ran<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::InnerJoin<maintenance_runs::table, institutions::table>,
    SharedBackend,
>;

fn ran<'a>(filter: &RunFilter) -> Ran<'a> {
    let query = maintenance_runs::table.inner_join(institutions::table).into_boxed();
    let mut query = containing!(query, filter.q, institutions::name_key, institutions::domain);
    if let Some(act) = filter.act {
        query = query.filter(maintenance_runs::act.eq(act));
    }
    if let Some(id) = filter.institution_id {
        query = query.filter(maintenance_runs::institution_id.eq(id));
    }
    query
}

/// One page of what was done, by time.
///
/// # Errors
/// Any database error.
pub fn runs(
    connection: &mut SharedConn,
    filter: &RunFilter,
    paging: &Paging,
) -> ModelResult<Slice<Named<Run>>> {
    let total = ran(filter).count().get_result(connection)?;
    let rows = ordered!(ran(filter), paging.descending, maintenance_runs::at, maintenance_runs::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select((Run::as_select(), institutions::domain, institutions::name))
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Forgets what was done before; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    Ok(diesel::delete(maintenance_runs::table.filter(maintenance_runs::at.lt(before))).execute(connection)?)
}
