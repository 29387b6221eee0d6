//! Announcements as every page asks for them: kept in memory for a few seconds, so that no page reads them from the
//! database. On this node a change shows at once, on the others within [`KEPT`].

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use crate::{
    db::shared::SharedConn,
    models::platform::announcements::{self, Announcement},
};

/// How old what is shown may be.
const KEPT: Duration = Duration::from_secs(5);

/// What is announced now.
#[derive(Default)]
pub struct Announcements(RwLock<Option<(Instant, Arc<Vec<Announcement>>)>>);

impl Announcements {
    /// What holds now, or begins soon. A failure to read it keeps nobody from their page.
    pub fn current(&self, connection: &mut SharedConn) -> Arc<Vec<Announcement>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, known)) = &kept
            && at.elapsed() < KEPT
        {
            return Arc::clone(known);
        }
        let read = match announcements::current(connection) {
            Ok(read) => Arc::new(read),
            Err(error) => {
                log::warn!("the announcements could not be read: {error}");
                kept.map(|(_, known)| known).unwrap_or_default()
            }
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&read)));
        read
    }

    /// Reads anew at the next page: somebody changed something here.
    pub fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
