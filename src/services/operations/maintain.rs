//! The operation that looks after databases, or looks at all of them.

use super::{Failure, Handler, Work};
use crate::services::{fleet_doctor, upkeep};

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "tend" => "Tend to the databases",
        "examine" => "Look at every database",
        _ => "Unknown step",
    }
}

/// Carries out both.
pub(super) struct Maintain;

impl Handler for Maintain {
    fn perform(&self, _step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        match work.input()? {
            upkeep::Task::Tend => upkeep::perform(work),
            upkeep::Task::Examine => fleet_doctor::perform(work),
        }
    }
}
