//! What room there is on a disk.

use std::{io, path::Path};

/// Room on the disk that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What may still be written, in bytes.
    pub free_bytes: u64,
    /// The same as a part of what may be written altogether, in whole percent, 0 to 100.
    pub free_percent: u64,
}

/// Counts as `df` does: what is kept for the system is neither free nor used.
///
/// # Errors
/// What the system says.
pub fn room(folder: &Path) -> io::Result<Room> {
    let disk = rustix::fs::statvfs(folder)?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let free_percent = disk.f_bavail.saturating_mul(100).checked_div(used + disk.f_bavail).unwrap_or(100);
    Ok(Room { free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize), free_percent })
}
