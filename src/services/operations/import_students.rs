//! The operation that imports a kept file of students: one step, one transaction in the tenant's database.

use serde::Deserialize;

use super::{Failure, Handler, Work};
use crate::{
    db::Id,
    models::{
        Actor, ModelError,
        institution::Activity,
        platform::{
            notifications::{self, News, Topic},
            subscriptions,
        },
    },
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
        let (db, known) = {
            let mut shared = work.shared()?;
            let db = work.platform.tenants.open(&mut shared, institution)?;
            (db, subscriptions::find(&mut shared, institution)?)
        };
        let actor = Actor {
            id: work.operation.actor_id,
            name: work.operation.actor_name.clone(),
            ip: input.ip,
            user_agent: input.user_agent,
        };
        let mut stopped = None;
        let mut progress = |done: usize, total: usize| {
            let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
            match work.progress(count(done), count(total)) {
                Ok(()) => Ok(()),
                Err(reason @ (Failure::LeaseLost | Failure::Stopping)) => {
                    stopped = Some(reason);
                    Err(ModelError::Database(diesel::result::Error::RollbackTransaction))
                }
                // It is for the page only.
                Err(error) => {
                    log::debug!("progress of {} not recorded: {error}", work.operation.id);
                    Ok(())
                }
            }
        };
        let outcome = student_import::run(
            &mut *db.get()?,
            &Activity::new(actor).within(known.terms().limits),
            input.import_id,
            work.operation.id,
            &mut progress,
        );
        if let Some(reason) = stopped {
            return Err(reason);
        }
        let counts = outcome?;
        work.set_result(&serde_json::json!(counts));
        let done = format!(
            "{} added, {} changed, {} unchanged, {} refused",
            counts.created, counts.updated, counts.unchanged, counts.refused
        );
        if let Some(asked_by) = work.operation.actor_id {
            let text = format!("Your import of students is done: {done}.");
            let href = format!("/i/{}/students/import/{}", known.institution.domain, input.import_id);
            let news =
                News { topic: Topic::Import, institution_id: Some(institution), text: &text, href: &href };
            work.shared()?.write_tx(|c| notifications::tell(c, &[asked_by], &news))?;
        }
        Ok(Some(done))
    }
}
