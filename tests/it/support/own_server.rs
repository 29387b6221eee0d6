//! A PostgreSQL server of a test's own, to be stopped, killed or filled.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Folder, Site, app::eventually};

/// Stopped, and its files removed, when dropped.
pub struct OwnServer {
    folder: Folder,
    pub url: String,
}

impl OwnServer {
    /// With further arguments of `scripts/postgres start`.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let url = script("start", &folder.path().join("server"), arguments);
        Self { folder, url }
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// On the same port as before.
    pub fn start_again(&self) {
        assert_eq!(script("start", &self.path(), &[]), self.url);
    }

    pub fn stop(&self) {
        script("stop", &self.path(), &[]);
    }

    /// SIGKILL for the server and every process of it.
    pub fn kill(&self) {
        let note = self.path().join("data/postmaster.pid");
        let file = std::fs::read_to_string(&note).expect("a running server");
        let first = file.lines().next().expect("its process").to_owned();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).expect("read");
        let all: Vec<&str> = std::iter::once(first.as_str()).chain(children.split_whitespace()).collect();
        // Some may have ended meanwhile, which `kill` tells by its status.
        let _ = Command::new("kill").arg("-KILL").args(&all).stderr(std::process::Stdio::null()).status();
        eventually("the server is dead", || all.iter().all(|id| !is_running(id)));
        // Where nobody collects dead processes, a zombie would pass for the server that these name.
        std::fs::remove_file(note).expect("removed");
        for entry in std::fs::read_dir(self.path()).expect("folder") {
            let path = entry.expect("entry").path();
            if path.extension().is_some_and(|end| end == "lock") {
                std::fs::remove_file(path).expect("removed");
            }
        }
    }

    /// A platform's place on it.
    pub fn site(&self) -> Site {
        Site::at(&self.url)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = Command::new(PATH).arg("stop").arg(self.path()).output();
    }
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");

fn script(verb: &str, path: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PATH).arg(verb).arg(path).args(arguments).output().expect("run");
    assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Whether a process is there and no zombie.
fn is_running(id: &str) -> bool {
    process_state(id).is_some_and(|state| state != 'Z')
}

/// The letter that the kernel gives the state of a process.
pub fn process_state(id: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}
