//! The operation that backs up one institution's database, or the shared one.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Handler, Work};
use crate::{db::Id, models::platform::backups::Reason, services::backups};

/// Every step, in order.
pub const STEPS: [&str; 2] = ["copy", "record"];

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Input {
    /// Made beforehand, so that a step that is run again makes no second one.
    pub backup_id: Id,
    /// Why.
    pub reason: Reason,
}

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "copy" => "Copy, seal and store the database",
        "record" => "Enter the backup",
        _ => "Unknown step",
    }
}

/// Carries out backups.
pub(super) struct BackUp;

impl Handler for BackUp {
    fn perform(&self, step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let input: Input = work.input()?;
        let manifest =
            backups::copy(work.platform, input.backup_id, work.operation.institution_id, input.reason)?;
        if step == "copy" {
            return Ok(Some(format!("{} rows, {} bytes", manifest.contents.rows(), manifest.bytes)));
        }
        let backup = work.write_tx(|connection| backups::record(connection, &work.audit(), &manifest))?;
        work.set_result(
            &json!({ "backup": backup.id.to_string(), "bytes": backup.bytes, "rows": backup.row_total }),
        );
        Ok(None)
    }
}
