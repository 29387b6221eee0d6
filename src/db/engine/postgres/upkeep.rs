//! Looking after a PostgreSQL database that is in use.

use diesel::{
    connection::SimpleConnection,
    prelude::*,
    sql_types::{BigInt, Bool, Text},
};

use super::{Word, admin::explain, copy::SCHEMA, quote};
use crate::db::{
    engine::{Act, Condition, EngineError, Examined, upkeep::is_bloated},
    tenant::TenantConn,
};

/// Nobody is kept waiting behind a lock that is waited for, and nothing goes on for ever.
const BOUNDS: &str = "SET lock_timeout = '2s'; SET statement_timeout = '15min'";

#[derive(QueryableByName)]
struct Figures {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    table_bytes: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    dead: i64,
    #[diesel(sql_type = Bool)]
    analysed: bool,
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// By the server's statistics, which cost nothing to read.
pub(super) fn condition(connection: &mut TenantConn) -> Result<Condition, EngineError> {
    let failed = |error| explain(&error, "look at the database's statistics");
    let found: Figures = diesel::sql_query(
        "SELECT pg_database_size(current_database()) AS bytes, \
         coalesce(sum(pg_table_size(relid)), 0)::bigint AS table_bytes, \
         coalesce(sum(n_live_tup), 0)::bigint AS rows, coalesce(sum(n_dead_tup), 0)::bigint AS dead, \
         coalesce(bool_and(n_live_tup < 50 OR last_analyze IS NOT NULL OR last_autoanalyze IS NOT NULL), true) \
         AS analysed FROM pg_stat_user_tables",
    )
    .get_result(connection)
    .map_err(failed)?;
    let bloated = bloated(connection)?;
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let (rows, dead_rows) = (number(found.rows), number(found.dead));
    Ok(Condition {
        bytes: number(found.bytes),
        // The dead rows' share of the tables.
        spare_bytes: number(found.table_bytes) / (rows + dead_rows).max(1) * dead_rows,
        rows,
        dead_rows,
        bloated,
        analysed: found.analysed,
        ..Condition::default()
    })
}

fn bloated(connection: &mut TenantConn) -> Result<Vec<String>, EngineError> {
    let found: Vec<Index> = diesel::sql_query(
        "SELECT indexrelname::text AS name, pg_relation_size(s.indexrelid) AS bytes, t.n_live_tup AS rows \
         FROM pg_stat_user_indexes s JOIN pg_stat_user_tables t ON t.relid = s.relid ORDER BY 1",
    )
    .load(connection)
    .map_err(|error| explain(&error, "look at the database's indexes"))?;
    let large = found.into_iter().filter(|index| is_bloated(index.bytes, index.rows));
    Ok(large.map(|index| index.name).collect())
}

pub(super) fn tend(connection: &mut TenantConn, act: Act) -> Result<(), EngineError> {
    let failed = |error| explain(&error, "tend to the database");
    connection.batch_execute(BOUNDS).map_err(failed)?;
    // Not while it is being migrated.
    connection.lock_for_migration().map_err(failed)?;
    match act {
        Act::Analyse => connection.batch_execute("ANALYZE").map_err(failed),
        Act::Vacuum => connection.batch_execute("VACUUM (ANALYZE)").map_err(failed),
        Act::Reindex => reindex(connection),
        Act::Checkpoint => Ok(()),
    }
}

/// Table by table: the server's own are not ours.
pub(super) fn write_anew(connection: &mut TenantConn) -> Result<(), EngineError> {
    let failed = |error| explain(&error, "write the database anew");
    let tables: Vec<Word> = diesel::sql_query(
        "SELECT tablename::text AS word FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user \
         ORDER BY 1",
    )
    .load(connection)
    .map_err(failed)?;
    for table in tables {
        let statement = format!("VACUUM (FULL, ANALYZE) {}", quote(&table.word)?);
        connection.batch_execute(&statement).map_err(failed)?;
    }
    Ok(())
}

/// Beside the old indexes, which serve until the new ones are whole.
fn reindex(connection: &mut TenantConn) -> Result<(), EngineError> {
    let failed = |error| explain(&error, "build the indexes anew");
    // What an interrupted attempt has left.
    let rests: Vec<Word> = diesel::sql_query(
        "SELECT c.relname::text AS word FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE NOT i.indisvalid AND c.relname LIKE '%\\_ccnew%'",
    )
    .load(connection)
    .map_err(failed)?;
    for rest in rests {
        let drop = format!("DROP INDEX CONCURRENTLY {}", quote(&rest.word)?);
        connection.batch_execute(&drop).map_err(failed)?;
    }
    for index in bloated(connection)? {
        let build = format!("REINDEX INDEX CONCURRENTLY {}", quote(&index)?);
        connection.batch_execute(&build).map_err(failed)?;
    }
    Ok(())
}

/// A look takes no longer than this.
const LOOK: &str = "SET lock_timeout = '2s'; SET statement_timeout = '20s'";

pub(super) fn examine(connection: &mut TenantConn) -> Result<Examined, EngineError> {
    let failed = |error| explain(&error, "look into the database");
    connection.batch_execute(LOOK).map_err(failed)?;
    let lines: Vec<Word> = diesel::sql_query(SCHEMA).load(connection).map_err(failed)?;
    let invalid: Vec<Word> = diesel::sql_query(
        "SELECT indexrelid::regclass::text AS word FROM pg_index WHERE NOT indisvalid ORDER BY 1",
    )
    .load(connection)
    .map_err(failed)?;
    let names: Vec<String> = invalid.into_iter().map(|found| found.word).collect();
    Ok(Examined {
        damage: (!names.is_empty()).then(|| format!("indexes cannot be used: {}", names.join(", "))),
        shape: lines.into_iter().map(|found| found.word).collect(),
        ..Examined::default()
    })
}
