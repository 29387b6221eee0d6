//! Copies of SQLite databases: out page by page, in as a file that is whole before it has its name.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use diesel::{
    SqliteConnection,
    connection::{DefaultLoadingMode, SimpleConnection as _},
    prelude::*,
    sql_types::{BigInt, Binary, Text},
};
use sha2::{Digest as _, Sha256};

use super::{explain, private_file, sync_folder};
use crate::db::{
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

#[derive(QueryableByName)]
struct Page {
    #[diesel(sql_type = Binary)]
    data: Vec<u8>,
}

/// SQLite shows its pages only when it was built to (`.cargo/config.toml`, which cargo reads in this folder).
const _: () = {
    let flags = option_env!("LIBSQLITE3_FLAGS");
    assert!(
        matches!(flags, Some(flags) if holds(flags.as_bytes(), b"SQLITE_ENABLE_DBPAGE_VTAB")),
        "run cargo in the repository's folder: backups need the LIBSQLITE3_FLAGS of .cargo/config.toml"
    );
};

/// Hands on the database as it is at one moment, page by page: the plain copy is nowhere on a disk. Nobody who writes
/// waits for it.
pub(in crate::db::engine) fn dump(path: &Path, out: &mut dyn Write) -> Result<Dumped, EngineError> {
    let mut live = open_sqlite(path).map_err(|error| said(&error))?;
    // Never committed: it only keeps the moment.
    live.batch_execute("BEGIN").map_err(|error| said(&error))?;
    let contents = contents(&mut live)?;
    let pages = diesel::sql_query("SELECT data FROM sqlite_dbpage ORDER BY pgno")
        .load_iter::<Page, DefaultLoadingMode>(&mut live)
        .map_err(|error| said(&error))?;
    for page in pages {
        let page = page.map_err(|error| said(&error))?;
        out.write_all(&page.data).map_err(|error| cannot_write(&error))?;
    }
    Ok(Dumped { contents, tool: "SQLite pages".into() })
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

/// Whether `text` has `part` in it; for the compiler.
const fn holds(text: &[u8], part: &[u8]) -> bool {
    let mut at = 0;
    while at + part.len() <= text.len() {
        let mut same = 0;
        while same < part.len() && text[at + same] == part[same] {
            same += 1;
        }
        if same == part.len() {
            return true;
        }
        at += 1;
    }
    false
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
