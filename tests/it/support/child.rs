//! A process that dies, or falls asleep, in the middle of an operation: this test binary itself, started
//! again for the one test `child`.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use provost::{
    db::{Id, Target},
    services::{operations::wait_for, platform::Platform, settings::Settings},
};

use super::{Site, app::eventually, own_server::process_state};

/// For so long an operation may be at work, also one over a whole fleet.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is started: opens the platform that the environment names, and does the work.
#[test]
#[ignore = "started by other tests"]
fn child() {
    let Ok(work) = std::env::var("PROVOST_CHILD_WORK") else { return };
    let variable = |name: &str| std::env::var(name).expect(name);
    let mut settings = Settings::new(variable("PROVOST_CHILD_DATA").into());
    settings.database = Target::parse(&variable("PROVOST_CHILD_DATABASE")).expect("target");
    settings.database_prefix = variable("PROVOST_CHILD_PREFIX");
    settings.password_cost = 4;
    settings.limits.lease = Duration::from_millis(variable("PROVOST_CHILD_LEASE").parse().expect("a number"));
    settings.limits.retry_wait = Duration::from_millis(20);
    settings.limits.shared_connections = 4;
    settings.limits.connection_budget = Some(8);
    settings.limits.migrations_at_once = 2;
    settings.later_migrations = std::env::var_os("PROVOST_CHILD_MIGRATIONS").map(Into::into);
    let platform = Platform::open(settings).expect("opened");
    if work == "rotate" {
        platform.keys.rotate(&mut platform.shared.get().expect("shared")).expect("rotated");
        return;
    }
    if let Some(whose) = work.strip_prefix("archive ") {
        crate::log_archives::archive(&platform, whose.parse().ok());
        return;
    }
    let workers = platform.start_workers().expect("workers");
    let id: Id = work.parse().expect("an operation");
    wait_for(&platform, id, PATIENCE).expect("read").expect("over in time");
    workers.stop();
}

/// The command that does `work`: an operation's id, "rotate", or "archive" with whose log.
fn command(site: &Site, work: &str) -> Command {
    let database = match &site.settings.database {
        Target::Sqlite(path) => format!("sqlite:{}", path.display()),
        Target::Postgres(url) => url.clone(),
    };
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command
        .args(["support::child::child", "--exact", "--ignored"])
        .env("PROVOST_CHILD_WORK", work)
        .env("PROVOST_CHILD_DATA", &site.settings.data_dir)
        .env("PROVOST_CHILD_DATABASE", database)
        .env("PROVOST_CHILD_PREFIX", &site.settings.database_prefix)
        .env("PROVOST_CHILD_LEASE", site.settings.limits.lease.as_millis().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(folder) = &site.settings.later_migrations {
        command.env("PROVOST_CHILD_MIGRATIONS", folder);
    }
    command
}

/// Lets a process do the work to its end.
#[track_caller]
pub fn do_work(site: &Site, work: &str, what: &str) {
    let status = command(site, work).status().expect("child");
    assert!(status.success(), "{what}: {status:?}");
}

/// Lets a process do the work until it passes `point` for the n-th time ("name:n"), where it is killed.
#[track_caller]
pub fn die_at(site: &Site, work: &str, point: &str) {
    assert!(dies_at(site, work, point), "the point {point} was not passed");
}

/// As [`die_at`]; false when the work was done without passing the point.
#[track_caller]
pub fn dies_at(site: &Site, work: &str, point: &str) -> bool {
    let status: ExitStatus = command(site, work).env("PROVOST_CRASH_AT", point).status().expect("child");
    let died = status.signal() == Some(9);
    assert!(died || status.success(), "{point}: {status:?}");
    died
}

/// A process that sleeps at a point; killed when dropped.
pub struct Sleeper(Child);

impl Sleeper {
    /// Starts one and waits until it sleeps at `point`.
    #[track_caller]
    pub fn at(site: &Site, work: &str, point: &str) -> Self {
        let child = command(site, work).env("PROVOST_STOP_AT", point).spawn().expect("child");
        let mut sleeper = Self(child);
        let id = sleeper.0.id().to_string();
        eventually("the process sleeps", || {
            assert!(sleeper.0.try_wait().expect("asked").is_none(), "the point {point} was not passed");
            process_state(&id) == Some('T')
        });
        sleeper
    }

    /// Wakes it, and waits until it has ended well.
    #[track_caller]
    pub fn wake(mut self) {
        let status = Command::new("kill").args(["-CONT", &self.0.id().to_string()]).status().expect("kill");
        assert!(status.success());
        let status = self.0.wait().expect("child");
        assert!(status.success(), "{status:?}");
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
