//! Whether anybody else is at work: whom nobody is beside may have all of the machine.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::db::Id;

/// Who has asked for nothing for so long is not at work.
const LATELY: Duration = Duration::from_secs(1);

/// The two who came last, the very last first.
#[derive(Default)]
pub(super) struct Company(Mutex<[Option<(Id, Instant)>; 2]>);

impl Company {
    /// Notes that this one is here; whether another was here lately.
    pub(super) fn joins(&self, id: Id) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last[0].is_some_and(|(known, _)| known != id) {
            last[1] = last[0];
        }
        last[0] = Some((id, now));
        last[1].is_some_and(|(other, at)| other != id && now.duration_since(at) < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_is_company() {
        let (one, two, company) = (Id::new(), Id::new(), Company::default());
        assert!(!company.joins(one));
        assert!(!company.joins(one));
        assert!(company.joins(two));
        assert!(company.joins(two));
        assert!(company.joins(one));
    }
}
