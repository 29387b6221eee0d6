//! Durable pieces of work: what is asked, how far it is, who works on it.

mod claim;
mod list;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{
        Id, now,
        schema_shared::{operation_steps, operations},
        shared::SharedConn,
    },
    models::{Actor, ModelError, ModelResult, search::fold},
};

pub use claim::{
    Claim, Ending, StepChange, claim, claim_next, finish, give_all_up, give_back, holds, hurry, postpone,
    record_steps, release_all, renew, set_progress,
};
pub use list::{
    OperationFilter, failed_count, failed_since, institutions_failed_since, institutions_with_open, is_busy,
    is_moved_to, is_open_without_institution, left_alone, older_than, open_before, open_count, page, purge,
    require_quiet, running_count,
};

crate::text_enum! {
    /// What is to be done.
    Kind {
        /// Give an institution its database.
        Provision = "provision",
        /// Read registrations from a file.
        ImportRegistrations = "import_registrations",
        /// Read students from a file.
        ImportStudents = "import_students",
        /// Approve or reject many registrations.
        DecideRegistrations = "decide_registrations",
        /// Bring institutions' databases to a schema.
        MigrateFleet = "migrate_fleet",
        /// Back up one institution's database, or the shared one.
        BackUp = "back_up",
        /// Restore a backup for a trial, and compare.
        VerifyBackup = "verify_backup",
        /// Let a backup serve, or put it beside the database that serves.
        Restore = "restore",
        /// Back up, verify, and let the database go.
        Archive = "archive",
        /// Let go of everything of an institution.
        Delete = "delete",
        /// Look after databases, or look at all of them.
        Maintain = "maintain",
        /// Bring an institution's database to another server.
        Move = "move",
    }
}

crate::text_enum! {
    /// How far an operation is.
    OperationStatus {
        /// Waits for a worker, or for its next attempt.
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        /// Ended without its work being taken back.
        Failed = "failed",
        /// What was done is being taken back.
        RollingBack = "rolling_back",
        /// Ended, and nothing of it is left.
        RolledBack = "rolled_back",
    }
}

crate::text_enum! {
    /// How far a step is.
    StepStatus {
        Pending = "pending",
        Running = "running",
        Done = "done",
        Failed = "failed",
        Undone = "undone",
    }
}

/// Operations that a worker may take.
pub(in crate::models::platform) const OPEN: [OperationStatus; 3] =
    [OperationStatus::Queued, OperationStatus::Running, OperationStatus::RollingBack];

/// An operation, without its [`input`].
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operations)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Operation {
    pub id: Id,
    pub kind: Kind,
    pub institution_id: Option<Id>,
    pub subject: String,
    pub status: OperationStatus,
    pub result: Option<String>,
    pub attempts: i32,
    pub next_attempt_at: NaiveDateTime,
    pub lease_owner: Option<String>,
    pub lease_expires_at: Option<NaiveDateTime>,
    pub fence: i64,
    pub error: Option<String>,
    pub progress_done: i64,
    pub progress_total: i64,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub created_at: NaiveDateTime,
    pub started_at: Option<NaiveDateTime>,
    pub finished_at: Option<NaiveDateTime>,
}

impl Operation {
    /// Whether it is over, well or not.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !OPEN.contains(&self.status)
    }

    /// Whether "Try again" makes sense, for a super admin.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        matches!(self.status, OperationStatus::Failed | OperationStatus::RolledBack)
            && !self.belongs_to_an_institution()
            && self.kind != Kind::Archive
    }

    /// Whether it is an institution's own business: it would write there in the name of whoever began it,
    /// who was told to begin anew.
    #[must_use]
    pub fn belongs_to_an_institution(&self) -> bool {
        self.kind == Kind::ImportStudents
    }

    /// Whether "Roll back" makes sense.
    #[must_use]
    pub fn may_be_rolled_back(&self) -> bool {
        matches!(self.status, OperationStatus::Failed | OperationStatus::Queued)
            && matches!(self.kind, Kind::Provision | Kind::VerifyBackup | Kind::Restore | Kind::Archive)
    }
}

/// One step of an operation.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operation_steps)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct OperationStep {
    pub id: Id,
    pub operation_id: Id,
    pub position: i32,
    pub name: String,
    pub status: StepStatus,
    pub attempts: i32,
    pub started_at: Option<NaiveDateTime>,
    pub finished_at: Option<NaiveDateTime>,
    pub detail: Option<String>,
    pub error: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NewOperation<'a> {
    /// What kind.
    pub kind: Kind,
    /// For which institution, where it is for one.
    pub institution_id: Option<Id>,
    /// What it is about, for a person: a name, a file.
    pub subject: &'a str,
    /// What its handler needs to know; no secrets.
    pub input: &'a serde_json::Value,
    /// Its steps, in order.
    pub steps: &'a [&'a str],
    /// Units of work, where they are counted.
    pub total: i64,
}

/// Writes down an operation and its steps. Call it in the `write_tx` of the decision; wake the workers after.
///
/// # Errors
/// `Changed` when the same is already under way for this institution.
pub fn enqueue(connection: &mut SharedConn, new: &NewOperation<'_>, actor: &Actor) -> ModelResult<Id> {
    let id = Id::new();
    connection.write_tx(|connection| {
        let inserted = diesel::insert_into(operations::table)
            .values((
                operations::id.eq(id),
                operations::kind.eq(new.kind),
                operations::institution_id.eq(new.institution_id),
                operations::subject.eq(new.subject),
                operations::search_key.eq(fold(new.subject)),
                operations::status.eq(OperationStatus::Queued),
                operations::input.eq(new.input.to_string()),
                operations::attempts.eq(0),
                operations::next_attempt_at.eq(now()),
                operations::fence.eq(0_i64),
                operations::progress_done.eq(0_i64),
                operations::progress_total.eq(new.total),
                operations::actor_id.eq(actor.id),
                operations::actor_name.eq(&actor.name),
                operations::created_at.eq(now()),
            ))
            .execute(connection)
            .map_err(ModelError::from);
        match inserted {
            Err(error) if error.is_unique_violation() => {
                return Err(ModelError::Changed(format!("This is already under way for {}.", new.subject)));
            }
            result => result?,
        };
        for (position, name) in (0..).zip(new.steps) {
            insert_step(connection, id, position, name)?;
        }
        Ok(id)
    })
}

fn insert_step(connection: &mut SharedConn, operation_id: Id, position: i32, name: &str) -> ModelResult<()> {
    diesel::insert_into(operation_steps::table)
        .values((
            operation_steps::id.eq(Id::new()),
            operation_steps::operation_id.eq(operation_id),
            operation_steps::position.eq(position),
            operation_steps::name.eq(name),
            operation_steps::status.eq(StepStatus::Pending),
            operation_steps::attempts.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// One operation.
///
/// # Errors
/// Any database error; `NotFound` when there is none.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Operation> {
    Ok(operations::table.find(id).select(Operation::as_select()).first(connection)?)
}

/// What an operation was given: read by its worker alone, for it may be long.
///
/// # Errors
/// As [`find`].
pub fn input(connection: &mut SharedConn, id: Id) -> ModelResult<String> {
    Ok(operations::table.find(id).select(operations::input).first(connection)?)
}

/// The steps of an operation, in order.
///
/// # Errors
/// Any database error.
pub fn steps(connection: &mut SharedConn, operation_id: Id) -> ModelResult<Vec<OperationStep>> {
    Ok(operation_steps::table
        .filter(operation_steps::operation_id.eq(operation_id))
        .order(operation_steps::position)
        .select(OperationStep::as_select())
        .load(connection)?)
}

/// The newest operation of a kind for an institution.
///
/// # Errors
/// Any database error.
pub fn latest(connection: &mut SharedConn, institution_id: Id, kind: Kind) -> ModelResult<Option<Operation>> {
    Ok(operations::table
        .filter(operations::institution_id.eq(institution_id))
        .filter(operations::kind.eq(kind))
        .order((operations::created_at.desc(), operations::id.desc()))
        .select(Operation::as_select())
        .first(connection)
        .optional()?)
}

/// Puts an operation that ended badly back into the queue; its done steps stay done. The caller holds the
/// `write_tx`, records who asked, and wakes the workers after.
///
/// # Errors
/// `Changed` when it is not over, went well, or the same is under way again; refused for an institution's own
/// business.
pub fn requeue(connection: &mut SharedConn, id: Id, status: OperationStatus) -> ModelResult<()> {
    if find(connection, id)?.belongs_to_an_institution() {
        return Err(ModelError::Refused(
            "This is the institution's own work: whoever began it uploads the file again.".into(),
        ));
    }
    let from: &[OperationStatus] = match status {
        OperationStatus::RollingBack => &[OperationStatus::Failed, OperationStatus::Queued],
        _ => &[OperationStatus::Failed, OperationStatus::RolledBack],
    };
    let requeued = diesel::update(operations::table.find(id))
        .filter(operations::status.eq_any(from))
        .set((
            operations::status.eq(status),
            operations::attempts.eq(0),
            operations::next_attempt_at.eq(now()),
            operations::fence.eq(operations::fence + 1),
            operations::error.eq(None::<String>),
            operations::finished_at.eq(None::<NaiveDateTime>),
        ))
        .execute(connection)
        .map_err(ModelError::from);
    match requeued {
        Ok(1) => {}
        Ok(_) => return Err(ModelError::Changed("The operation is no longer in the state you saw.".into())),
        Err(error) if error.is_unique_violation() => {
            return Err(ModelError::Changed("The same is already under way.".into()));
        }
        Err(error) => return Err(error),
    }
    if status == OperationStatus::Queued {
        diesel::update(operation_steps::table)
            .filter(operation_steps::operation_id.eq(id))
            .filter(operation_steps::status.ne(StepStatus::Done))
            .set((operation_steps::status.eq(StepStatus::Pending), operation_steps::attempts.eq(0)))
            .execute(connection)?;
    }
    Ok(())
}
