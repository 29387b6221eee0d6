//! `pg_dump` and `pg_restore`: found, of the right version, run without a password on their command line.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use crate::db::{engine::EngineError, trouble::Trouble};

/// Where packages of PostgreSQL put the tools of each version.
const PACKAGED: &str = "/usr/lib/postgresql";
/// Settings of ours that a tool has no business with.
const OURS: [&str; 3] = ["PROVOST_DATABASE_URL", "PROVOST_SMTP_URL", "PROVOST_S3_SECRET_KEY"];
/// Read from and written to a tool at once.
const BLOCK: usize = 64 * 1024;

/// One of PostgreSQL's own programs.
pub(super) struct Tool {
    path: PathBuf,
    name: &'static str,
    /// As it tells it: "pg_dump (PostgreSQL) 15.4".
    pub(super) version: String,
}

impl Tool {
    /// The program from the folder that was set; else from the PATH or the newest package, whichever serves this
    /// server's version first.
    pub(super) fn find(name: &'static str, folder: Option<&Path>, server: u32) -> Result<Self, EngineError> {
        let mut too_old = None;
        for path in candidates(name, folder) {
            let Some((version, major)) = version_of(&path) else { continue };
            if major >= server {
                return Ok(Self { path, name, version });
            }
            too_old.get_or_insert((version, path));
        }
        Err(EngineError::permanent(match (too_old, folder) {
            (Some((version, path)), _) => format!(
                "The server is PostgreSQL {server}, but {} is {version}. Install postgresql-client-{server}, or set \
                 PROVOST_POSTGRES_TOOLS to the folder of its programs, then try again.",
                path.display()
            ),
            (None, Some(folder)) => format!(
                "There is no usable {name} in {}. Set PROVOST_POSTGRES_TOOLS to the folder of PostgreSQL's programs, \
                 then try again.",
                folder.display()
            ),
            (None, None) => format!(
                "The program {name} is not installed. Install postgresql-client-{server}, or set \
                 PROVOST_POSTGRES_TOOLS to the folder that holds it, then try again."
            ),
        }))
    }

    fn command(&self, url: &str, arguments: &[String]) -> Result<Command, EngineError> {
        let unusable = || EngineError::permanent("The address of the PostgreSQL server is not usable.");
        let mut address = url::Url::parse(url).map_err(|_| unusable())?;
        let password = address.password().map(|text| percent_encoding::percent_decode_str(text).collect());
        address.set_password(None).map_err(|()| unusable())?;
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .arg(format!("--dbname={address}"))
            .arg("--no-password")
            .env("LC_ALL", "C")
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGAPPNAME", "provost")
            .stderr(Stdio::piped());
        for name in OURS {
            command.env_remove(name);
        }
        if let Some(password) = password {
            let password: Vec<u8> = password;
            command.env("PGPASSWORD", String::from_utf8(password).map_err(|_| unusable())?);
        }
        Ok(command)
    }

    /// Runs it and hands on what it writes.
    pub(super) fn read_from(
        &self,
        url: &str,
        arguments: &[String],
        out: &mut dyn Write,
    ) -> Result<(), EngineError> {
        let command = &mut self.command(url, arguments)?;
        let mut running = Running::start(self, command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut output = running.child.stdout.take();
        let mut block = vec![0; BLOCK];
        while let Some(pipe) = &mut output {
            let count = pipe.read(&mut block).map_err(|error| running.failed(&error))?;
            if count == 0 {
                break;
            }
            out.write_all(&block[..count]).map_err(|error| super::super::cannot_write(&error))?;
        }
        running.end(true)
    }

    /// Runs it and feeds it; it must take everything.
    pub(super) fn write_to(
        &self,
        url: &str,
        arguments: &[String],
        input: &mut dyn Read,
    ) -> Result<(), EngineError> {
        let command = &mut self.command(url, arguments)?;
        let mut running = Running::start(self, command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
        let mut pipe = running.child.stdin.take();
        let mut block = vec![0; BLOCK];
        loop {
            // What cannot be read whole must not be restored: the end of the pipe would look like the end of the
            // dump.
            let count = input.read(&mut block).map_err(|error| super::super::cannot_read(&error))?;
            if count == 0 {
                break;
            }
            // Who hangs up early says why on its standard error.
            if pipe.as_mut().is_none_or(|pipe| pipe.write_all(&block[..count]).is_err()) {
                pipe = None;
                break;
            }
        }
        let whole = pipe.is_some();
        drop(pipe);
        running.end(whole)
    }
}

/// A tool at work; ended when dropped before its end.
struct Running<'a> {
    tool: &'a Tool,
    child: Child,
    words: Option<thread::JoinHandle<String>>,
}

impl<'a> Running<'a> {
    fn start(tool: &'a Tool, command: &mut Command) -> Result<Self, EngineError> {
        let mut child = command.spawn().map_err(|error| {
            EngineError::transient(format!("{} could not be started: {error}.", tool.path.display()))
        })?;
        let words = child.stderr.take().map(|mut pipe| {
            // In a thread of its own: a tool with much to say must not wait for a reader.
            thread::spawn(move || {
                let mut text = Vec::new();
                let _ = pipe.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Self { tool, child, words })
    }

    fn failed(&self, error: &std::io::Error) -> EngineError {
        EngineError::transient(format!("{} could not be listened to: {error}.", self.tool.name))
    }

    fn end(mut self, whole: bool) -> Result<(), EngineError> {
        let status = self.child.wait().map_err(|error| self.failed(&error))?;
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() && whole {
            return Ok(());
        }
        let name = self.tool.name;
        let said = words.lines().find(|line| line.contains("error:")).or(words.lines().next());
        let said = said.unwrap_or("it said nothing").trim().trim_end_matches('.');
        Err(match Trouble::of(&words) {
            Some(trouble) => EngineError::transient(format!("{name} did not succeed: {}", trouble.words())),
            None => EngineError::transient(format!("{name} did not succeed: {said}.")),
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn candidates(name: &str, folder: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = folder {
        return vec![folder.join(name)];
    }
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir(PACKAGED)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name)))
        })
        .collect();
    packaged.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    on_path.into_iter().chain(packaged.into_iter().map(|(_, path)| path)).collect()
}

/// What `--version` says, and the first number in it.
fn version_of(path: &Path) -> Option<(String, u32)> {
    let output = Command::new(path).arg("--version").env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let numbers = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = numbers.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((text, major))
}
