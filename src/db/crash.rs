//! Crash points: places where a test kills this process, or makes it sleep, to prove that what is left
//! behind is recovered and that a late one does no harm.
//!
//! Compiled under the feature `crash-points` only. `PROVOST_CRASH_AT=name:n` kills at the n-th passing,
//! `PROVOST_STOP_AT=name:n` stops until SIGCONT.

/// Sends this process SIGKILL or SIGSTOP when the environment says so; nothing in a release.
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
    "postgres:database-opened",
    "operation:claimed",
    "operation:recording",
    "provision:placed",
    "operation:steps-done",
];

/// Passes a point. A name that nothing passes never kills: the sweep notices, because the process survives.
#[cfg(feature = "crash-points")]
pub fn pass(name: &str) {
    use std::sync::LazyLock;
    static KILL: LazyLock<Option<Wanted>> = LazyLock::new(|| Wanted::read("PROVOST_CRASH_AT"));
    static STOP: LazyLock<Option<Wanted>> = LazyLock::new(|| Wanted::read("PROVOST_STOP_AT"));
    if KILL.as_ref().is_some_and(|wanted| wanted.is_now(name)) {
        // A real SIGKILL, which no destructor and no handler sees.
        run("kill", &["-KILL", &std::process::id().to_string()]);
        log::error!("the crash point {name} could not kill the process");
        std::process::abort();
    }
    if STOP.as_ref().is_some_and(|wanted| wanted.is_now(name)) {
        stop();
    }
}

/// The passing that a test has chosen.
#[cfg(feature = "crash-points")]
struct Wanted {
    name: String,
    count: u32,
    passed: std::sync::atomic::AtomicU32,
}

#[cfg(feature = "crash-points")]
impl Wanted {
    fn read(variable: &str) -> Option<Self> {
        let text = std::env::var(variable).ok()?;
        let (name, count) = text.rsplit_once(':')?;
        Some(Self { name: name.to_owned(), count: count.parse().ok()?, passed: 0.into() })
    }

    fn is_now(&self, name: &str) -> bool {
        use std::sync::atomic::Ordering;
        self.name == name && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.count
    }
}

/// Sleeps here until SIGCONT. Unlike SIGKILL, SIGSTOP reaches this thread a moment after it was sent: that
/// moment passes in here, and not in the code after the point.
#[cfg(feature = "crash-points")]
fn stop() {
    const STOP: &str = "kill -STOP $0 && until grep -q ') T ' /proc/$0/stat; do :; done";
    run("sh", &["-c", STOP, &std::process::id().to_string()]);
}

#[cfg(feature = "crash-points")]
fn run(command: &str, arguments: &[&str]) {
    let ran = std::process::Command::new(command).args(arguments).status();
    if !ran.is_ok_and(|status| status.success()) {
        log::error!("this process could not be signalled with {command} {arguments:?}");
    }
}
