//! The demo's folder. What `--fresh` empties must be a demo's: a mark in the folder says so.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

const MARK: &str = "this-is-a-demo";
const FINISHED: &str = "populated\n";

/// Makes the folder ready; true when it is to be populated: at the first run, after `--fresh`, and when
/// populating was interrupted.
pub(super) fn prepare(folder: &Path, fresh: bool) -> Result<bool, String> {
    let failed = |error| format!("The folder {} cannot be used for the demo: {error}.", folder.display());
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !empty {
        let Ok(mark) = fs::read_to_string(folder.join(MARK)) else {
            return Err(format!(
                "{} holds something else than a demo; it is left as it is. Name another folder with --data-dir.",
                folder.display()
            ));
        };
        if mark == FINISHED && !fresh {
            return Ok(false);
        }
        refuse_in_use(folder)?;
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    fs::write(folder.join(MARK), "unfinished\n").map_err(failed)?;
    Ok(true)
}

/// From now on the folder is used as it is.
pub(super) fn finish(folder: &Path) -> Result<(), String> {
    fs::write(folder.join(MARK), FINISHED).map_err(|error| format!("The demo cannot be kept: {error}."))
}

fn refuse_in_use(folder: &Path) -> Result<(), String> {
    let Ok(lock) = File::open(folder.join("workers.lock")) else { return Ok(()) };
    lock.try_lock().map_err(|_| format!("A demo is running on {}. Stop it first.", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::{finish, prepare};
    use crate::db::Id;

    #[test]
    fn only_a_demo_is_ever_emptied() {
        let folder = std::env::temp_dir().join(format!("provost-demo-{}", Id::new()));
        assert_eq!(prepare(&folder, false), Ok(true));
        assert_eq!(prepare(&folder, false), Ok(true), "interrupted");
        finish(&folder).expect("finished");
        assert_eq!(prepare(&folder, false), Ok(false));
        assert_eq!(prepare(&folder, true), Ok(true));
        std::fs::remove_file(folder.join(super::MARK)).expect("removed");
        std::fs::write(folder.join("shared.db"), "precious").expect("written");
        assert!(prepare(&folder, true).is_err());
        assert!(folder.join("shared.db").exists());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
