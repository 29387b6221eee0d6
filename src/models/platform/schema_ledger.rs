//! The ledger of tenant migrations: which ran where, how long it took, what failed, and whether a migration is still
//! the one that ran before.

use diesel::prelude::*;

use crate::{
    db::{
        Id, now,
        schema_shared::{known_migrations, tenant_migrations},
        shared::SharedConn,
        tenant_migrations::TenantMigration,
    },
    models::{ModelError, ModelResult},
};

crate::text_enum! {
    /// What became of a migration in a tenant's database.
    LedgerStatus { Applied = "applied", Failed = "failed", Reverted = "reverted" }
}

/// What is noted of one migration in one tenant's database.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Note<'a> {
    pub institution_id: Id,
    pub migration: &'a str,
    pub checksum: &'a str,
    pub status: LedgerStatus,
    pub rollout_id: Option<Id>,
    pub milliseconds: i64,
    pub error: Option<&'a str>,
}

/// A line of the ledger.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = tenant_migrations)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct LedgerEntry {
    pub migration: String,
    pub checksum: String,
    pub status: LedgerStatus,
    pub attempts: i32,
    pub rollout_id: Option<Id>,
    pub milliseconds: i64,
    pub error: Option<String>,
    pub at: chrono::NaiveDateTime,
}

/// Notes an attempt; a later one of the same migration in the same database takes its place and is counted.
///
/// # Errors
/// Any database error.
pub fn note(connection: &mut SharedConn, note: &Note<'_>) -> ModelResult<()> {
    use tenant_migrations as t;
    let values = (
        t::checksum.eq(note.checksum),
        t::status.eq(note.status),
        t::rollout_id.eq(note.rollout_id),
        t::milliseconds.eq(note.milliseconds),
        t::error.eq(note.error),
        t::at.eq(now()),
    );
    let known =
        t::table.filter(t::institution_id.eq(note.institution_id)).filter(t::migration.eq(note.migration));
    let again = diesel::update(known).set((values, t::attempts.eq(t::attempts + 1))).execute(connection)?;
    if again == 0 {
        diesel::insert_into(t::table)
            .values((
                (t::id.eq(Id::new()), t::institution_id.eq(note.institution_id)),
                (t::migration.eq(note.migration), t::attempts.eq(1)),
                values,
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// What is noted of an institution's database, the newest migration first.
///
/// # Errors
/// Any database error.
pub fn of_institution(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Vec<LedgerEntry>> {
    Ok(tenant_migrations::table
        .filter(tenant_migrations::institution_id.eq(institution_id))
        .order(tenant_migrations::migration.desc())
        .select(LedgerEntry::as_select())
        .load(connection)?)
}

/// Remembers migrations that are seen for the first time.
///
/// # Errors
/// Any database error.
pub fn remember(connection: &mut SharedConn, migrations: &[TenantMigration]) -> ModelResult<()> {
    use known_migrations as k;
    let known: Vec<String> = k::table.select(k::name).load(connection)?;
    for migration in migrations.iter().filter(|migration| !known.contains(&migration.name)) {
        let entered = diesel::insert_into(k::table)
            .values((
                k::name.eq(&migration.name),
                k::checksum.eq(&migration.checksum),
                k::first_seen_at.eq(now()),
            ))
            .execute(connection)
            .map_err(ModelError::from);
        match entered {
            // Another node was faster.
            Err(error) if error.is_unique_violation() => {}
            result => result.map(|_| ())?,
        }
    }
    Ok(())
}

/// Migrations that are no longer what they were when they were first seen: databases that have them differ from those
/// that will get them.
///
/// # Errors
/// Any database error.
pub fn changed(connection: &mut SharedConn, migrations: &[TenantMigration]) -> ModelResult<Vec<String>> {
    use known_migrations as k;
    let known: Vec<(String, String)> =
        k::table.order(k::name).select((k::name, k::checksum)).load(connection)?;
    let differs = |(name, checksum): &(String, String)| {
        migrations.iter().any(|migration| migration.name == *name && migration.checksum != *checksum)
    };
    Ok(known.into_iter().filter(differs).map(|(name, _)| name).collect())
}
