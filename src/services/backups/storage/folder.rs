//! Backups in a folder: for its owner only, and under their names only when they are whole and on the disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::Storage;
use crate::db::Id;

const PART: &str = "part";

/// A folder.
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path; it is made when something is kept in it.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let safe = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
        };
        if name.split('/').count() == 2 && name.split('/').all(safe) {
            Ok(self.0.join(name))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name of a backup")))
        }
    }
}

impl Storage for Folder {
    fn part(&self) -> io::Result<(PathBuf, File)> {
        make_folder(&self.0)?;
        let path = self.0.join(format!("{}.{PART}", Id::new()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }

    fn keep(&self, part: &Path, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        let folder = path.parent().unwrap_or(&self.0);
        if !folder.exists() {
            make_folder(folder)?;
            sync(&self.0)?;
        }
        fs::rename(part, &path)?;
        sync(folder)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name)?)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.path(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for owner in entries(&self.0)? {
            if !owner.is_dir() {
                continue;
            }
            for path in entries(&owner)? {
                if let (Some(owner), Some(file)) = (owner.file_name(), path.file_name()) {
                    names.push(format!("{}/{}", owner.to_string_lossy(), file.to_string_lossy()));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn sweep(&self, silent_for: Duration) -> io::Result<usize> {
        let mut swept = 0;
        for path in entries(&self.0)? {
            let silent = |meta: fs::Metadata| {
                meta.is_file()
                    && meta.modified().is_ok_and(|at| at.elapsed().is_ok_and(|time| time >= silent_for))
            };
            if path.extension().is_some_and(|end| end == PART) && fs::metadata(&path).is_ok_and(silent) {
                ignore_missing(fs::remove_file(&path))?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn ignore_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
