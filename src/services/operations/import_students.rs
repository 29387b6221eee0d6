//! The operation that imports a kept file of students: one step, one transaction in the tenant's database.

use serde::Deserialize;

use super::{Failure, Handler, Work};
use crate::{
    db::Id,
    models::{Actor, institution::Activity},
    services::student_import,
};

/// The one step, as its page calls it.
pub const STEP: &str = "Compare the file and write the students";

/// Carries out imports of students.
pub(super) struct ImportStudents;

#[derive(Deserialize)]
struct Input {
    import_id: Id,
    /// From where it was asked for, for the activity log.
    ip: Option<String>,
    user_agent: Option<String>,
}

impl Handler for ImportStudents {
    fn perform(&self, _step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let (input, institution) = (work.input::<Input>()?, work.institution_id()?);
        let db = work.platform.tenants.open(&mut *work.shared()?, institution)?;
        let actor = Actor {
            id: work.operation.actor_id,
            name: work.operation.actor_name.clone(),
            ip: input.ip,
            user_agent: input.user_agent,
        };
        // Progress is for the page only; a lost lease is found before the end of the step.
        let mut progress = |done: usize, total: usize| {
            let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
            if let Err(error) = work.progress(count(done), count(total)) {
                log::debug!("progress of {} not recorded: {error}", work.operation.id);
            }
        };
        let counts = student_import::run(
            &mut *db.get()?,
            &Activity::new(actor),
            input.import_id,
            work.operation.id,
            &mut progress,
        )?;
        work.set_result(&serde_json::json!(counts));
        Ok(Some(format!(
            "{} added, {} changed, {} unchanged, {} refused",
            counts.created, counts.updated, counts.unchanged, counts.refused
        )))
    }
}
