//! A small disk in memory, to be filled up. Only root may mount one.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A disk of so many megabytes; unmounted when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// `None`, with the reason printed, where mounting is refused.
    pub fn mount(path: &Path, megabytes: usize) -> Option<Self> {
        fs::create_dir_all(path).expect("folder");
        let size = format!("size={megabytes}m,mode=0755");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                println!(
                    "left out, no disk could be mounted: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                println!("left out, no disk could be mounted: {error}");
                None
            }
        }
    }

    /// Fills the disk up, and then leaves `free` kilobytes.
    pub fn fill(&self, free: usize) {
        let path = self.filler();
        let mut file = fs::File::create(&path).expect("filler");
        let block = [0x5a_u8; 4096];
        let mut written = 0_u64;
        while file.write_all(&block).is_ok() {
            written += 4096;
        }
        let keep = written.saturating_sub(u64::try_from(free).expect("small") * 1024);
        file.set_len(keep).expect("cut");
    }

    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("emptied");
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there is about to end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
