//! Crash points: places where a test kills this process, to prove that what is left behind is recovered.
//!
//! Compiled under the feature `crash-points` only. `PROVOST_CRASH_AT=name:n` kills at the n-th passing.

/// Stops this process with SIGKILL when the environment says so; nothing in a release.
#[macro_export]
macro_rules! crash_point {
    ($name:expr) => {
        #[cfg(feature = "crash-points")]
        $crate::db::crash::pass(&$name);
    };
}

/// Points inside the engines and the runner, beside those that each step of an operation has.
pub const POINTS: &[&str] = &[
    "sqlite:folder-made",
    "sqlite:part-written",
    "sqlite:renamed",
    "sqlite:template-built",
    "postgres:groups-made",
    "postgres:template-created",
    "postgres:template-migrated",
    "postgres:template-renamed",
    "postgres:role-made",
    "postgres:database-made",
    "postgres:database-closed-to-public",
    "postgres:database-granted",
    "postgres:database-opened",
    "operation:claimed",
    "operation:steps-done",
];

/// Passes a point. A name that nothing passes never kills: the sweep notices, because the process survives.
#[cfg(feature = "crash-points")]
pub fn pass(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };
    static WANTED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let text = std::env::var("PROVOST_CRASH_AT").ok()?;
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let Some((wanted, count)) = &*WANTED else { return };
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        // A real SIGKILL, which no destructor and no handler sees.
        let killed =
            std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        log::error!("the crash point {name} could not kill the process: {killed:?}");
        std::process::abort();
    }
}
