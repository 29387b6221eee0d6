//! The real binary, started and stopped.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use provost::db::Target;

use super::{Site, app::eventually};

/// The binary with the settings of a site and nothing else from the environment.
pub fn provost(site: &Site, arguments: &[&str]) -> Command {
    let mut command = bare(site.settings.data_dir.parent().expect("parent"), arguments);
    command.env("PROVOST_DATA_DIR", &site.settings.data_dir);
    if let Target::Postgres(url) = &site.settings.database {
        command
            .env("PROVOST_DATABASE_URL", url)
            .env("PROVOST_DATABASE_PREFIX", &site.settings.database_prefix);
        command.env("PROVOST_CONNECTION_BUDGET", "8");
    }
    command
}

/// The binary in a folder, with nothing from the environment.
pub fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
    command.args(arguments).current_dir(folder).env_clear().env("PROVOST_PASSWORD_COST", "4");
    // How full the disk of the machine is must not decide a test.
    command.env("PROVOST_DISK_ALERT_PERCENT", "0");
    command.stdin(Stdio::null());
    command
}

/// A running server, killed when dropped.
pub struct Running(Child);

impl Running {
    /// Starts a command that serves and reads what it prints up to a line with `last` in it.
    pub fn start(mut command: Command, last: &str) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
        let lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let mut printed = String::new();
        for line in lines {
            let line = line.expect("line");
            printed.push_str(&line);
            printed.push('\n');
            if line.contains(last) {
                return (Self(child), printed);
            }
        }
        child.wait().expect("it ended");
        panic!("it ended early: {printed}");
    }

    /// Starts a command that writes everything it says into a file, up to a line with `last` in it.
    pub fn start_into(mut command: Command, log: &Path, last: &str) -> Self {
        let file = File::create(log).expect("a file");
        let child = command.stdout(file.try_clone().expect("twice")).stderr(file).spawn().expect("started");
        let running = Self(child);
        eventually(last, || fs::read_to_string(log).expect("a log").contains(last));
        running
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status().expect("asked");
        assert!(asked.success());
        assert!(self.0.wait().expect("it ended").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nobody listens on.
pub fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    listener.local_addr().expect("address").to_string()
}
