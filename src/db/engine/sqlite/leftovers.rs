//! What interrupted removals leave in the data folder: logs without their database, folders in the trash.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{FILE_NAME, explain, ignore_missing};
use crate::db::engine::{EngineError, Leftover, LeftoverKind};

/// The files that SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn is_stray(folder: &Path) -> bool {
    let beside = |end: &&str| folder.join(format!("{FILE_NAME}{end}")).exists();
    !folder.join(FILE_NAME).exists() && BESIDE.iter().any(beside)
}

pub(super) fn list(data_dir: &Path) -> Result<Vec<Leftover>, EngineError> {
    let failed = |error: io::Error| explain("look for what removals have left", &error);
    let mut found = Vec::new();
    for name in entries(&data_dir.join("tenants")).map_err(failed)? {
        let name = format!("tenants/{name}");
        if is_stray(&data_dir.join(&name)) {
            found.push(Leftover { kind: LeftoverKind::StrayLog, name });
        }
    }
    for name in entries(&data_dir.join("trash")).map_err(failed)? {
        found.push(Leftover { kind: LeftoverKind::Trash, name: format!("trash/{name}") });
    }
    Ok(found)
}

/// The path of a leftover: one step below its folder, never elsewhere.
fn path_of(data_dir: &Path, folder: &str, name: &str) -> Result<PathBuf, EngineError> {
    let inside = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let safe = |rest: &&str| !rest.is_empty() && !rest.contains('/') && *rest != "." && *rest != "..";
    match inside.filter(safe) {
        Some(rest) => Ok(data_dir.join(folder).join(rest)),
        None => Err(EngineError::permanent(format!("{name:?} is nothing that a removal leaves."))),
    }
}

pub(super) fn remove(data_dir: &Path, leftover: &Leftover) -> Result<(), EngineError> {
    let failed = |error: io::Error| explain("remove what was left over", &error);
    match leftover.kind {
        LeftoverKind::Trash => {
            let path = path_of(data_dir, "trash", &leftover.name)?;
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.or_else(ignore_missing).map_err(failed)
        }
        LeftoverKind::StrayLog => {
            let folder = path_of(data_dir, "tenants", &leftover.name)?;
            if !is_stray(&folder) {
                return Ok(());
            }
            for end in BESIDE {
                let file = folder.join(format!("{FILE_NAME}{end}"));
                fs::remove_file(file).or_else(ignore_missing).map_err(failed)?;
            }
            Ok(())
        }
        LeftoverKind::Invalid => Ok(()),
    }
}
