//! The operation that restores a backup for a trial, compares it, and lets the trial go: the only proof there is.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelResult,
        platform::{
            backups::{self as registry, Backup},
            operations,
            tenant_copies::Purpose,
        },
    },
    services::backups::{self, copies},
};

/// Every step, in order.
pub const STEPS: [&str; 4] = ["reserve", "load", "compare", "drop"];

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Input {
    /// Which one.
    pub backup_id: Id,
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "reserve" => "Reserve a name for the trial",
        "load" => "Restore into a database of its own",
        "compare" => "Compare schema and rows",
        "drop" => "Remove the trial",
        _ => "Unknown step",
    }
}

/// Carries out trials.
pub(super) struct VerifyBackup;

fn backup(work: &Work<'_>) -> Result<Backup, Failure> {
    let input: Input = work.input()?;
    let found = registry::find(&mut *work.shared()?, input.backup_id);
    found.map_err(|error| match error.is_not_found() {
        true => Failure::Permanent("The backup is gone: its time was over.".into()),
        false => error.into(),
    })
}

impl Handler for VerifyBackup {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let backup = backup(work)?;
        let platform = work.platform;
        match step {
            "reserve" => Ok(Some(copies::reserve(work, &backup, Purpose::Scratch)?.database_name)),
            "load" => {
                let copy = copies::find(work, Purpose::Scratch)?;
                backups::load(platform, &backup, &copies::place(&copy), &|| work.permit())?;
                Ok(None)
            }
            "compare" => {
                let copy = copies::find(work, Purpose::Scratch)?;
                let same = backups::compare(&backup, &platform.engine.contents(&copies::place(&copy))?)?;
                work.write_tx(|connection| {
                    registry::mark_verified(connection, backup.id)?;
                    let detail = json!({ "backup_id": backup.id, "taken_at": backup.taken_at });
                    let (of, label) = (backup.institution_id, &backup.subject);
                    Ok(backups::note(connection, &work.audit(), "backup.verified", of, label, &detail)?)
                })?;
                Ok(Some(same))
            }
            "drop" => {
                copies::drop_of(work, Purpose::Scratch)?;
                Ok(None)
            }
            other => {
                Err(Failure::Permanent(format!("This version of Provost does not know the step {other}.")))
            }
        }
    }

    fn undo(&self, step: &str, work: &Work<'_>) -> Result<(), Failure> {
        if step == "reserve" { copies::drop_of(work, Purpose::Scratch) } else { Ok(()) }
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    /// A full disk or a server that is away says nothing about the backup; what is wrong with itself does.
    fn gave_up(&self, connection: &mut SharedConn, work: &Work<'_>, error: &str) -> ModelResult<()> {
        let steps = operations::steps(connection, work.operation.id)?;
        let tried = |name: &str| steps.iter().any(|step| step.name == name && step.attempts > 0);
        let Ok(input) = work.input::<Input>() else { return Ok(()) };
        let Ok(backup) = registry::find(connection, input.backup_id) else { return Ok(()) };
        let about_itself = ["The backup", "What was restored", "The copy is not"];
        if backup.verified_at.is_some() && tried("drop")
            || !about_itself.iter().any(|start| error.starts_with(start))
        {
            return Ok(());
        }
        registry::mark_faulty(connection, backup.id, error)?;
        let detail = json!({ "backup_id": backup.id, "error": error });
        backups::note(
            connection,
            &work.audit(),
            "backup.found_faulty",
            backup.institution_id,
            &backup.subject,
            &detail,
        )
    }
}
