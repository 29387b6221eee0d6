//! The institutions of a rollout: in which wave each is, and what became of it.

use chrono::NaiveDateTime;
use diesel::{dsl::count_star, prelude::*};

use super::{Rollout, Stage};
use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, rollout_tenants, rollouts, tenant_databases},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, bulk::insert_many, platform::tenant_databases::TenantDatabase},
};

crate::text_enum! {
    /// How far an institution is in a rollout.
    TenantStatus {
        Waiting = "waiting",
        Done = "done",
        Failed = "failed",
        /// The rollout ended before its turn.
        Skipped = "skipped",
    }
}

/// An institution in a rollout.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the tables, under their own names")]
pub struct RolloutTenant {
    pub institution_id: Id,
    pub domain: String,
    pub name: String,
    pub status: TenantStatus,
    pub wave: i32,
    pub from_version: String,
    pub to_version: String,
    pub attempts: i32,
    pub milliseconds: i64,
    pub error: Option<String>,
    pub finished_at: Option<NaiveDateTime>,
}

/// An institution that is to be brought somewhere.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the tables, under their own names")]
pub struct Job {
    pub database: TenantDatabase,
    pub domain: String,
    pub to_version: String,
}

/// An institution to enter into a rollout.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewTenant {
    pub institution_id: Id,
    pub wave: i32,
    pub from_version: String,
    pub to_version: String,
}

/// Enters the institutions of a rollout, once.
///
/// # Errors
/// Any database error.
pub fn enter(connection: &mut SharedConn, rollout_id: Id, tenants: &[NewTenant]) -> ModelResult<()> {
    use rollout_tenants as t;
    let entered: i64 = t::table.filter(t::rollout_id.eq(rollout_id)).count().get_result(connection)?;
    if entered > 0 {
        return Ok(());
    }
    let row = |tenant: &NewTenant| {
        (
            (t::id.eq(Id::new()), t::rollout_id.eq(rollout_id), t::institution_id.eq(tenant.institution_id)),
            (t::wave.eq(tenant.wave), t::status.eq(TenantStatus::Waiting)),
            (t::from_version.eq(tenant.from_version.clone()), t::to_version.eq(tenant.to_version.clone())),
            (t::attempts.eq(0), t::milliseconds.eq(0_i64)),
        )
    };
    let rows: Vec<_> = tenants.iter().map(row).collect();
    Ok(insert_many!(SharedConn: connection, t::table, rows)?)
}

/// Who waits in the earliest wave of a stage that is not through; nobody when the stage is.
///
/// # Errors
/// Any database error.
pub fn next_wave(connection: &mut SharedConn, rollout: &Rollout, stage: Stage) -> ModelResult<Vec<Job>> {
    use rollout_tenants as t;
    let waiting =
        || t::table.filter(t::rollout_id.eq(rollout.id)).filter(t::status.eq(TenantStatus::Waiting));
    let wave: Option<i32> = waiting().select(diesel::dsl::min(t::wave)).first(connection)?;
    let Some(wave) = wave.filter(|wave| stage == Stage::Waves || *wave == 0) else { return Ok(Vec::new()) };
    Ok(waiting()
        .filter(t::wave.eq(wave))
        .inner_join(tenant_databases::table.on(tenant_databases::institution_id.eq(t::institution_id)))
        .inner_join(institutions::table)
        .order(tenant_databases::database_name)
        .select((TenantDatabase::as_select(), institutions::domain, t::to_version))
        .load(connection)?)
}

/// Notes what became of an institution, in whichever open rollout it waits.
///
/// # Errors
/// Any database error.
pub fn settle(
    connection: &mut SharedConn,
    rollout_id: Id,
    institution_id: Id,
    (status, attempts, milliseconds): (TenantStatus, i32, i64),
    error: Option<&str>,
) -> ModelResult<()> {
    use rollout_tenants as t;
    diesel::update(t::table)
        .filter(t::rollout_id.eq(rollout_id))
        .filter(t::institution_id.eq(institution_id))
        .filter(t::status.ne(TenantStatus::Done))
        .set((
            (t::status.eq(status), t::attempts.eq(t::attempts + attempts)),
            (t::milliseconds.eq(milliseconds), t::error.eq(error), t::finished_at.eq(now())),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whoever still waits is left as it is.
///
/// # Errors
/// Any database error.
pub fn skip_rest(connection: &mut SharedConn, rollout_id: Id) -> ModelResult<()> {
    use rollout_tenants as t;
    diesel::update(t::table)
        .filter(t::rollout_id.eq(rollout_id))
        .filter(t::status.eq(TenantStatus::Waiting))
        .set(t::status.eq(TenantStatus::Skipped))
        .execute(connection)?;
    Ok(())
}

/// Lets an institution that failed wait again.
///
/// # Errors
/// `Changed` when it is not among those that failed.
pub fn retry(connection: &mut SharedConn, rollout_id: Id, institution_id: Id) -> ModelResult<()> {
    use rollout_tenants as t;
    let again = diesel::update(t::table)
        .filter(t::rollout_id.eq(rollout_id))
        .filter(t::institution_id.eq(institution_id))
        .filter(t::status.eq(TenantStatus::Failed))
        .set((t::status.eq(TenantStatus::Waiting), t::error.eq(None::<String>)))
        .execute(connection)?;
    match again {
        1 => Ok(()),
        _ => Err(ModelError::Changed("It is not among those that failed in the rollout under way.".into())),
    }
}

/// How many institutions of a rollout are how far.
///
/// # Errors
/// Any database error.
pub fn counts(connection: &mut SharedConn, rollout_id: Id) -> ModelResult<Vec<(TenantStatus, i64)>> {
    use rollout_tenants as t;
    Ok(t::table
        .filter(t::rollout_id.eq(rollout_id))
        .group_by(t::status)
        .select((t::status, count_star()))
        .load(connection)?)
}

macro_rules! rows {
    ($query:expr) => {
        $query.inner_join(institutions::table).select((
            rollout_tenants::institution_id,
            institutions::domain,
            institutions::name,
            rollout_tenants::status,
            rollout_tenants::wave,
            rollout_tenants::from_version,
            rollout_tenants::to_version,
            rollout_tenants::attempts,
            rollout_tenants::milliseconds,
            rollout_tenants::error,
            rollout_tenants::finished_at,
        ))
    };
}

/// Every institution of a rollout, by domain.
///
/// # Errors
/// Any database error.
pub fn tenants_of(connection: &mut SharedConn, rollout_id: Id) -> ModelResult<Vec<RolloutTenant>> {
    let all = rollout_tenants::table.filter(rollout_tenants::rollout_id.eq(rollout_id));
    Ok(rows!(all).order(institutions::domain).load(connection)?)
}

/// Those that failed, at most `limit`.
///
/// # Errors
/// Any database error.
pub fn failed_of(connection: &mut SharedConn, rollout_id: Id, limit: i64) -> ModelResult<Vec<RolloutTenant>> {
    let failed = rollout_tenants::table
        .filter(rollout_tenants::rollout_id.eq(rollout_id))
        .filter(rollout_tenants::status.eq(TenantStatus::Failed));
    Ok(rows!(failed).order(institutions::domain).limit(limit).load(connection)?)
}

/// Those that it brought to where they were to go.
///
/// # Errors
/// Any database error.
pub fn done_of(connection: &mut SharedConn, rollout_id: Id) -> ModelResult<Vec<RolloutTenant>> {
    let done = rollout_tenants::table
        .filter(rollout_tenants::rollout_id.eq(rollout_id))
        .filter(rollout_tenants::status.eq(TenantStatus::Done));
    Ok(rows!(done).order(institutions::domain).load(connection)?)
}

/// What the last rollout upwards that reached an institution did there.
///
/// # Errors
/// Any database error.
pub fn latest_of(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<RolloutTenant>> {
    let of = rollout_tenants::table
        .inner_join(rollouts::table)
        .filter(rollout_tenants::institution_id.eq(institution_id))
        .filter(rollout_tenants::status.eq(TenantStatus::Done))
        .filter(rollouts::direction.eq(super::Direction::Up));
    Ok(rows!(of).order(rollouts::created_at.desc()).first(connection).optional()?)
}
