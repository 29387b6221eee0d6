//! Copies of SQLite databases: out by VACUUM INTO, in as a file that is whole before it has its name.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use diesel::{
    SqliteConnection,
    prelude::*,
    sql_types::{BigInt, Text},
};
use sha2::{Digest as _, Sha256};

use super::{explain, ignore_missing, make_folder, private_file, sync_folder};
use crate::db::{
    Id,
    engine::{Contents, Dumped, EngineError, cannot_read, cannot_write, hex},
    target::{create_sqlite, open_sqlite},
    trouble::Trouble,
};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A file that goes whatever happens.
struct Spooled<'a>(&'a Path);

impl Drop for Spooled<'_> {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(format!("{}{end}", self.0.display())).or_else(ignore_missing);
        }
    }
}

/// Copies the database as it is at one moment into a file beside others', and hands that on. The live file is
/// touched by SQLite alone.
pub(in crate::db::engine) fn dump(
    path: &Path,
    spool: &Path,
    out: &mut dyn Write,
) -> Result<Dumped, EngineError> {
    make_folder(spool).map_err(|error| explain("make the folder of copies", &error))?;
    let copy = spool.join(format!("{}.part", Id::new()));
    private_file(&copy).map_err(|error| explain("copy the database", &error))?;
    let _gone_afterwards = Spooled(&copy);
    let mut live = open_sqlite(path).map_err(|error| said(&error))?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(copy.to_string_lossy().into_owned())
        .execute(&mut live)
        .map_err(|error| said(&error))?;
    drop(live);
    let mut connection = open_sqlite(&copy).map_err(|error| said(&error))?;
    let contents = contents(&mut connection)?;
    drop(connection);
    let mut file = File::open(&copy).map_err(|error| cannot_read(&error))?;
    let mut block = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut block).map_err(|error| cannot_read(&error))?;
        if count == 0 {
            break;
        }
        out.write_all(&block[..count]).map_err(|error| cannot_write(&error))?;
    }
    Ok(Dumped { contents, tool: "SQLite VACUUM INTO".into() })
}

/// Writes a copy into place: under its name it is whole, in WAL mode and on the disk.
pub(in crate::db::engine) fn load(path: &Path, input: &mut dyn Read) -> Result<(), EngineError> {
    let failed = |error: io::Error| explain("make the database's file", &error);
    let part = path.with_extension("db.part");
    let mut file = private_file(&part).map_err(failed)?;
    let mut block = vec![0; 64 * 1024];
    loop {
        let count = input.read(&mut block).map_err(|error| cannot_read(&error))?;
        if count == 0 {
            break;
        }
        file.write_all(&block[..count]).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    drop(file);
    crate::crash_point!("sqlite:copy-written");
    let mut connection = create_sqlite(&part).map_err(|error| said(&error))?;
    let found: Line = diesel::sql_query("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT 1")
        .get_result(&mut connection)
        .map_err(|error| said(&error))?;
    if found.line != "ok" {
        return Err(EngineError::permanent(format!("The copy is not a whole database: {}.", found.line)));
    }
    drop(connection);
    File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_folder).map_err(failed)
}

/// What is in the file.
pub(in crate::db::engine) fn contents_of(path: &Path) -> Result<Contents, EngineError> {
    contents(&mut open_sqlite(path).map_err(|error| said(&error))?)
}

fn contents(connection: &mut SqliteConnection) -> Result<Contents, EngineError> {
    let schema: Vec<Line> = diesel::sql_query(
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS line FROM sqlite_master \
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name",
    )
    .load(connection)
    .map_err(|error| said(&error))?;
    let mut hash = Sha256::new();
    for line in &schema {
        hash.update(line.line.as_bytes());
        hash.update(b"\n");
    }
    let names: Vec<Line> = diesel::sql_query(
        "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .load(connection)
    .map_err(|error| said(&error))?;
    let mut tables = BTreeMap::new();
    for Line { line } in names {
        let quoted = line.replace('"', "\"\"");
        let count: Count = diesel::sql_query(format!("SELECT count(*) AS number FROM \"{quoted}\""))
            .get_result(connection)
            .map_err(|error| said(&error))?;
        tables.insert(line, count.number);
    }
    Ok(Contents { schema: hex(&hash.finalize()), tables })
}

/// Size and time of the file and its log: every commit changes the log, every checkpoint the file. They are only
/// looked at, for who opens and closes a live file by hand takes SQLite's locks away.
pub(super) fn mark(path: &Path) -> Option<String> {
    let of = |path: &Path| {
        fs::metadata(path).ok().map(|meta| format!("{}:{}.{}", meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    let log = format!("{}-wal", path.display());
    // An empty log is as good as none.
    let log = fs::metadata(&log).is_ok_and(|meta| meta.len() > 0).then(|| of(Path::new(&log))).flatten();
    Some(format!("{}/{}", of(path)?, log.unwrap_or_default()))
}

fn said(error: &dyn std::fmt::Display) -> EngineError {
    let text = error.to_string();
    match Trouble::of(&text) {
        Some(trouble) => EngineError::transient(format!("The database was not copied: {}", trouble.words())),
        None => {
            EngineError::transient(format!("The database was not copied: {}.", text.trim_end_matches('.')))
        }
    }
}
