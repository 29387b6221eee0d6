//! The head of the audit log, noted outside the database: a chain alone does not show that its end was cut off.
//!
//! Each line of `audit.anchors` in the data folder is a moment, how many entries there were, and the hash of the last.
//! The hash is keyed, so nobody without the key makes up a line; whoever ships the log elsewhere has the same there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::platform::Platform;
use crate::{
    db::{now, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::{
            audit::{self, Break, Verified},
            log_archives,
        },
    },
};

/// The log as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When, in UTC.
    pub at: String,
    /// How many entries there were.
    pub entries: i64,
    /// Hash of the last, hexadecimal.
    pub head: String,
}

/// Why the head could not be noted or compared.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The shared database.
    #[error(transparent)]
    Database(#[from] ModelError),
    /// The file of anchors.
    #[error("the file {path} cannot be used: {cause}", path = path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// Where a platform's anchors are.
#[must_use]
pub fn path(platform: &Platform) -> PathBuf {
    platform.settings.data_dir.join("audit.anchors")
}

/// Notes the head of the log in the file and in the program's own log, when it has moved. Blocks.
///
/// # Errors
/// The database or the file.
pub fn note(platform: &Platform) -> Result<(), AnchorError> {
    let path = path(platform);
    let Some((entries, head)) = audit::head(&mut *platform.shared.get().map_err(ModelError::from)?)? else {
        return Ok(());
    };
    let file = |cause| AnchorError::File { path: path.clone(), cause };
    let newest = newest(&path).map_err(file)?;
    // Fewer entries than noted: the note that shows it stays the newest one.
    if newest.is_some_and(|newest| newest.entries >= entries) {
        return Ok(());
    }
    let at = now().and_utc().format("%Y-%m-%dT%H:%M:%SZ");
    append(&path, &format!("{at} {entries} {head}\n")).map_err(file)?;
    log::info!("audit log head entries={entries} hash={head}");
    Ok(())
}

/// Walks the whole chain, and compares it with the newest anchor. Blocks.
///
/// # Errors
/// The database or the file; a log that does not hold is in the answer.
pub fn verify(platform: &Platform) -> Result<Verified, AnchorError> {
    let path = path(platform);
    let newest = newest(&path).map_err(|cause| AnchorError::File { path, cause })?;
    let connection = &mut *platform.shared.get().map_err(ModelError::from)?;
    let mut found = audit::verify(connection, &platform.keys.audit_key())?;
    if let (None, Some(anchor)) = (&found.broken, newest) {
        found.broken = differs(connection, &found, &anchor)?;
    }
    Ok(found)
}

fn differs(connection: &mut SharedConn, found: &Verified, anchor: &Anchor) -> ModelResult<Option<Break>> {
    let Anchor { at, entries, head } = anchor;
    let (sequence, reason) = if found.entries < *entries {
        let missing = entries - found.entries;
        (
            found.entries + 1,
            format!("Its end is missing: {missing} of the {entries} entries seen at {at} are gone."),
        )
    } else if hash_of(connection, *entries)?.is_some_and(|hash| hash != *head) {
        (*entries, format!("Entry {entries} is another one than was seen at {at}."))
    } else {
        return Ok(None);
    };
    Ok(Some(Break { sequence, reason }))
}

/// The hash of an entry, or of the last one of an archive. Of one within an archive there is none: its chain says that
/// it is the same.
fn hash_of(connection: &mut SharedConn, sequence: i64) -> ModelResult<Option<String>> {
    let archived = log_archives::of_audit(connection)?;
    let within = archived.iter().find(|archive| archive.last_sequence >= Some(sequence));
    match within {
        Some(archive) if archive.last_sequence == Some(sequence) => {
            let hash = archive.head_hash.as_deref().unwrap_or_default();
            Ok(Some(hash.iter().map(|byte| format!("{byte:02x}")).collect()))
        }
        Some(_) => Ok(None),
        None => audit::hash_of(connection, sequence).map(Some),
    }
}

/// The last whole line; one that a crash cut short is passed over.
fn newest(path: &Path) -> io::Result<Option<Anchor>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().rev().find_map(parse)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(line: &str) -> Option<Anchor> {
    let [at, entries, head] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let whole = head.len() == 64 && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    let entries = entries.parse().ok()?;
    whole.then(|| Anchor { at: at.to_owned(), entries, head: head.to_owned() })
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_line_counts() {
        let head = "ab".repeat(32);
        let path = std::env::temp_dir().join(format!("provost-anchors-{}", crate::db::Id::new()));
        assert_eq!(newest(&path).unwrap(), None);
        append(&path, &format!("2026-11-21T10:00:00Z 7 {head}\n")).unwrap();
        append(&path, "2026-11-21T10:01:00Z 9 abab").unwrap();
        let anchor = newest(&path).unwrap().unwrap();
        assert_eq!((anchor.entries, &*anchor.at), (7, "2026-11-21T10:00:00Z"));
        append(&path, &format!("2026-11-21T10:02:00Z 9 {head}\n2026-11-21T10:03:00Z 10 {head}\n")).unwrap();
        assert_eq!(newest(&path).unwrap().map(|anchor| anchor.entries), Some(10));
        fs::remove_file(path).unwrap();
    }
}
