//! Rollouts: bringing institutions' databases to a schema, canaries first and then wave by wave, and how far each is.

mod tenants;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{
        Id,
        locks::Lock,
        now,
        schema_shared::{rollout_tenants, rollouts},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{
            audit::{Audit, Subject},
            operations,
        },
    },
};

pub use tenants::{
    Job, NewTenant, RolloutTenant, TenantStatus, counts, done_of, enter, failed_of, latest_of, next_wave,
    retry, settle, skip_rest, tenants_of,
};

crate::text_enum! {
    /// Which way the schema goes.
    Direction { Up = "up", Down = "down" }
}

crate::text_enum! {
    /// How a rollout stands.
    RolloutState {
        Running = "running",
        /// Somebody holds it.
        Paused = "paused",
        /// Too much failed: it waits for somebody to decide.
        Stopped = "stopped",
        Cancelled = "cancelled",
        Done = "done",
        /// It could not be carried out at all.
        Failed = "failed",
    }
}

crate::text_enum! {
    /// What it is at.
    Stage { Canaries = "canaries", Waves = "waves" }
}

/// States in which a rollout may still change databases.
pub const OPEN: [RolloutState; 3] = [RolloutState::Running, RolloutState::Paused, RolloutState::Stopped];

/// A rollout.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = rollouts)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Rollout {
    pub id: Id,
    pub operation_id: Id,
    pub direction: Direction,
    pub state: RolloutState,
    pub stage: Stage,
    pub target_version: String,
    pub wave_size: i32,
    pub failure_percent: i32,
    /// Failures that somebody has looked at and let it go on after.
    pub forgiven: i64,
    pub destructive_agreed: i32,
    pub reason: Option<String>,
    pub actor_name: String,
    pub created_at: NaiveDateTime,
    pub finished_at: Option<NaiveDateTime>,
}

impl Rollout {
    /// Whether it may still change databases.
    #[must_use]
    pub fn is_open(&self) -> bool {
        OPEN.contains(&self.state)
    }

    /// Its line in the audit log.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kind: "rollout", id: Some(self.id), label: &self.target_version, institution_id: None }
    }
}

/// What a new rollout says.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewRollout<'a> {
    pub operation_id: Id,
    pub direction: Direction,
    pub target_version: &'a str,
    pub wave_size: i32,
    pub failure_percent: i32,
    pub destructive_agreed: bool,
}

/// Enters a rollout. The caller holds the `write_tx` and has enqueued its operation.
///
/// # Errors
/// `Changed` while another is open.
pub fn create(connection: &mut SharedConn, audit: &Audit, new: &NewRollout<'_>) -> ModelResult<Id> {
    no_other(connection)?;
    let id = Id::new();
    diesel::insert_into(rollouts::table)
        .values((
            (rollouts::id.eq(id), rollouts::operation_id.eq(new.operation_id)),
            (rollouts::direction.eq(new.direction), rollouts::state.eq(RolloutState::Running)),
            (rollouts::stage.eq(Stage::Canaries), rollouts::target_version.eq(new.target_version)),
            (rollouts::wave_size.eq(new.wave_size), rollouts::failure_percent.eq(new.failure_percent)),
            (
                rollouts::forgiven.eq(0_i64),
                rollouts::destructive_agreed.eq(i32::from(new.destructive_agreed)),
            ),
            (rollouts::actor_name.eq(&audit.actor.name), rollouts::created_at.eq(now())),
        ))
        .execute(connection)?;
    Ok(id)
}

/// One rollout at a time: two would pull databases in two directions.
fn no_other(connection: &mut SharedConn) -> ModelResult<()> {
    if let SharedConn::Postgres(connection) = connection {
        Lock::Rollouts.hold_in_transaction(connection)?;
    }
    match open(connection)? {
        Some(other) => Err(ModelError::Changed(format!(
            "{} began a rollout {} that is not over. Let it end, or cancel it.",
            other.actor_name,
            super::ago(other.created_at)
        ))),
        None => Ok(()),
    }
}

/// The rollout that is not over, if there is one.
///
/// # Errors
/// Any database error.
pub fn open(connection: &mut SharedConn) -> ModelResult<Option<Rollout>> {
    Ok(rollouts::table
        .filter(rollouts::state.eq_any(OPEN))
        .order(rollouts::created_at.desc())
        .select(Rollout::as_select())
        .first(connection)
        .optional()?)
}

/// A rollout.
///
/// # Errors
/// Any database error; `NotFound` when there is none.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Rollout> {
    Ok(rollouts::table.find(id).select(Rollout::as_select()).first(connection)?)
}

/// The rollout that an operation carries out.
///
/// # Errors
/// As [`find`].
pub fn of_operation(connection: &mut SharedConn, operation_id: Id) -> ModelResult<Rollout> {
    Ok(rollouts::table
        .filter(rollouts::operation_id.eq(operation_id))
        .select(Rollout::as_select())
        .first(connection)?)
}

/// The newest rollouts.
///
/// # Errors
/// Any database error.
pub fn newest(connection: &mut SharedConn, limit: i64) -> ModelResult<Vec<Rollout>> {
    Ok(rollouts::table
        .order((rollouts::created_at.desc(), rollouts::id.desc()))
        .limit(limit)
        .select(Rollout::as_select())
        .load(connection)?)
}

/// Moves a rollout on from one of these states. Whoever was slower is told so.
///
/// # Errors
/// `Changed` when it is in none of them.
pub fn turn(
    connection: &mut SharedConn,
    id: Id,
    from: &[RolloutState],
    to: RolloutState,
    reason: Option<&str>,
) -> ModelResult<Rollout> {
    let finished = (!OPEN.contains(&to)).then(now);
    let turned = diesel::update(rollouts::table.find(id))
        .filter(rollouts::state.eq_any(from))
        .set((rollouts::state.eq(to), rollouts::reason.eq(reason), rollouts::finished_at.eq(finished)))
        .execute(connection)?;
    let now = find(connection, id)?;
    match turned {
        1 => Ok(now),
        _ => Err(ModelError::Changed(format!("The rollout is {} by now.", now.state))),
    }
}

/// Lets a held rollout go on; failures up to now no longer stop it.
///
/// # Errors
/// `Changed` when it is not held.
pub fn resume(connection: &mut SharedConn, id: Id) -> ModelResult<Rollout> {
    let from = [RolloutState::Paused, RolloutState::Stopped];
    let rollout = turn(connection, id, &from, RolloutState::Running, None)?;
    let failed = rollout_tenants::table
        .filter(rollout_tenants::rollout_id.eq(id))
        .filter(rollout_tenants::status.eq(TenantStatus::Failed))
        .count()
        .get_result::<i64>(connection)?;
    diesel::update(rollouts::table.find(id)).set(rollouts::forgiven.eq(failed)).execute(connection)?;
    operations::hurry(connection, rollout.operation_id)?;
    Ok(rollout)
}

/// The canaries are through.
///
/// # Errors
/// Any database error.
pub fn enter_waves(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::update(rollouts::table.find(id)).set(rollouts::stage.eq(Stage::Waves)).execute(connection)?;
    Ok(())
}
