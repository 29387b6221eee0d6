//! Where backups lie: a folder, or what speaks S3. A backup is two objects, its file and then its manifest; what has
//! no manifest is none.

mod folder;
mod s3;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

pub use folder::Folder;
pub use s3::S3;

use crate::{
    db::Id,
    services::{operations::Failure, settings::BackupSettings},
};

/// Where backups lie. Everything blocks.
pub trait Storage: Send + Sync {
    /// A new local file to write an object into, before it has its name.
    ///
    /// # Errors
    /// The system's words.
    fn part(&self) -> io::Result<(PathBuf, File)>;

    /// Gives a written and synced part its name; whole, and durable when this returns.
    ///
    /// # Errors
    /// The system's words.
    fn keep(&self, part: &Path, name: &str) -> io::Result<()>;

    /// Reads an object.
    ///
    /// # Errors
    /// `NotFound`, or the system's words.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// The system's words.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all objects.
    ///
    /// # Errors
    /// The system's words.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes parts that nobody has written to for so long.
    ///
    /// # Errors
    /// The system's words.
    fn sweep(&self, silent_for: Duration) -> io::Result<usize>;
}

/// The storage that the settings name.
#[must_use]
pub fn of(settings: &BackupSettings) -> Box<dyn Storage> {
    match &settings.s3 {
        Some(s3) => Box::new(S3::new(s3, &settings.folder)),
        None => Box::new(Folder::new(&settings.folder)),
    }
}

/// The names of a backup's two objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// What was sealed.
    pub file: String,
    /// What lies beside it.
    pub manifest: String,
}

/// Ends of the names.
const FILE: &str = ".backup";
const MANIFEST: &str = ".json";

impl Names {
    /// The names of a backup.
    #[must_use]
    pub fn of(institution_id: Option<Id>, backup_id: Id) -> Self {
        let owner = institution_id.map_or_else(|| "shared".to_owned(), |id| id.to_string());
        Self {
            file: format!("{owner}/{backup_id}{FILE}"),
            manifest: format!("{owner}/{backup_id}{MANIFEST}"),
        }
    }

    /// Owner and backup of a manifest's name; `None` where it is no manifest of ours.
    #[must_use]
    pub fn read(manifest: &str) -> Option<(Option<Id>, Id)> {
        let (owner, file) = manifest.strip_suffix(MANIFEST)?.split_once('/')?;
        let owner = if owner == "shared" { None } else { Some(owner.parse().ok()?) };
        Some((owner, file.parse().ok()?))
    }
}

/// What went wrong with a storage, for a person.
pub fn explain(act: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Transient(format!(
            "There is no space left to {act}. Free some space, then try again. Earlier backups are untouched."
        )),
        io::ErrorKind::NotFound => {
            Failure::Permanent(format!("Provost could not {act}: the file is not there any more."))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::Permanent(format!(
            "Provost may not {act} ({error}). Give the user that runs it the folder of backups, then try again."
        )),
        io::ErrorKind::InvalidData => Failure::Permanent(error.to_string()),
        _ => Failure::Transient(format!("Provost could not {act}: {error}.")),
    }
}
