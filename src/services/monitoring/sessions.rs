//! How many sessions the database server has, asked for at most every few seconds however many look.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::services::platform::Platform;

/// An answer is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(5);

type Sessions = Arc<HashMap<String, usize>>;

/// What was last seen on the servers.
#[derive(Default)]
pub struct Watched(Mutex<Option<(Instant, Sessions)>>);

impl Watched {
    /// Sessions by name of the database; none where there is no server, or it does not say. Blocks.
    #[must_use]
    pub fn sessions(&self, platform: &Platform) -> Sessions {
        // Held while the server is asked, so that it is asked once.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, sessions)) = &*known
            && at.elapsed() < GOOD_FOR
        {
            return Arc::clone(sessions);
        }
        let sessions = platform.engine.sessions().unwrap_or_else(|error| {
            log::warn!("the server's sessions could not be counted cause={:?}", error.to_string());
            HashMap::new()
        });
        let sessions = Arc::new(sessions);
        *known = Some((Instant::now(), Arc::clone(&sessions)));
        sessions
    }
}
