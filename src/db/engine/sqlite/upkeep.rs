//! Looking after a SQLite file that is in use.

use diesel::{
    SqliteConnection,
    connection::SimpleConnection,
    prelude::*,
    sql_types::{BigInt, Text},
};

use crate::db::{
    engine::{Act, Condition, EngineError, Examined, Room},
    tenant::TenantConn,
    tenant_migrations::TenantMigrations,
    trouble::Trouble,
};

/// Whoever writes is waited for so long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
/// A larger file is not read whole while people use it: its backups are, when they are verified.
const MOST_READ: u64 = 512 * 1024 * 1024;
/// A vacuum writes the whole file anew, and the log of that.
const VACUUM_NEEDS: u64 = 3;

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    pages: i64,
    #[diesel(sql_type = BigInt)]
    free: i64,
    #[diesel(sql_type = BigInt)]
    statistics: i64,
}

/// Reads the file's header only.
pub(super) fn condition(connection: &mut TenantConn, log_bytes: u64) -> Result<Condition, EngineError> {
    let found: Pages = diesel::sql_query(
        "SELECT page_size AS size, page_count AS pages, freelist_count AS free, \
         (SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1') AS statistics \
         FROM pragma_page_size(), pragma_page_count(), pragma_freelist_count()",
    )
    .get_result(connection)
    .map_err(|error| said(&error))?;
    let bytes = |pages: i64| u64::try_from(pages.saturating_mul(found.size)).unwrap_or(0);
    Ok(Condition {
        bytes: bytes(found.pages),
        spare_bytes: bytes(found.free),
        log_bytes,
        analysed: found.statistics > 0,
        vacuum_blocks: true,
        ..Condition::default()
    })
}

pub(super) fn tend(
    connection: &mut TenantConn,
    act: Act,
    bytes: u64,
    room: Room<'_>,
) -> Result<(), EngineError> {
    connection.wait_for_others(PATIENCE).map_err(|error| said(&error))?;
    let mut run = |statement: &str| connection.batch_execute(statement).map_err(|error| said(&error));
    match act {
        // A bounded look, which a large table does not make longer.
        Act::Analyse => run("PRAGMA analysis_limit = 1000; ANALYZE; PRAGMA optimize"),
        Act::Vacuum => {
            room(bytes.saturating_mul(VACUUM_NEEDS))?;
            run("VACUUM")?;
            run("PRAGMA wal_checkpoint(TRUNCATE)")
        }
        Act::Checkpoint => run("PRAGMA wal_checkpoint(TRUNCATE)"),
        // Never wished for: SQLite keeps pages a third full at least, and a vacuum builds indexes anew as well.
        Act::Reindex => run("REINDEX"),
    }
}

/// Samples of the rows are part of the statistics, and free pages of the file and its log hold what was there.
pub(super) fn write_anew(connection: &mut TenantConn) -> Result<(), EngineError> {
    for statement in ["PRAGMA analysis_limit = 0", "ANALYZE", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        connection.batch_execute(statement).map_err(|error| said(&error))?;
    }
    Ok(())
}

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

pub(super) fn examine(connection: &mut TenantConn, bytes: u64) -> Result<Examined, EngineError> {
    let mut found = Examined { shape: shape(connection)?, ..Examined::default() };
    if bytes > MOST_READ {
        return Ok(found);
    }
    let whole: Line = diesel::sql_query("SELECT quick_check AS line FROM pragma_quick_check LIMIT 1")
        .get_result(connection)
        .map_err(|error| said(&error))?;
    found.damage = (whole.line != "ok").then_some(whole.line);
    let broken: Count = diesel::sql_query("SELECT count(*) AS number FROM pragma_foreign_key_check()")
        .get_result(connection)
        .map_err(|error| said(&error))?;
    found.broken_references = u64::try_from(broken.number).unwrap_or(0);
    Ok(found)
}

/// By building a database in memory.
pub(super) fn expected_shape(migrations: &TenantMigrations) -> Result<Vec<String>, EngineError> {
    let failed = |error: &dyn std::fmt::Display| {
        EngineError::permanent(format!("A database to compare with could not be built: {error}."))
    };
    let memory = SqliteConnection::establish(":memory:").map_err(|error| failed(&error))?;
    let mut connection = TenantConn::Sqlite(memory);
    migrations.build(&mut connection).map_err(|error| failed(&error))?;
    shape(&mut connection)
}

/// SQLite's own tables, such as what ANALYZE has counted, are no part of it.
fn shape(connection: &mut TenantConn) -> Result<Vec<String>, EngineError> {
    let lines: Vec<Line> = diesel::sql_query(
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS line FROM sqlite_schema \
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name",
    )
    .load(connection)
    .map_err(|error| said(&error))?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

fn said(error: &diesel::result::Error) -> EngineError {
    let text = error.to_string();
    match Trouble::of(&text) {
        Some(trouble) => EngineError::transient(trouble.words()),
        None if text.contains("locked") => EngineError::transient("Somebody is writing to the database."),
        None => EngineError::permanent(format!("SQLite says: {text}.")),
    }
}
