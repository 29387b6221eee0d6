//! Rows from one engine to the other, and the proof that they are the same.
//!
//! PostgreSQL's catalog knows what every column is; a row travels as a JSON array of texts that mean the same on both:
//! ids and bytes as hexadecimal digits, times to the microsecond. Everything happens in one transaction at the target,
//! so that an interrupted transfer leaves nothing.

use std::collections::BTreeMap;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{BigInt, Text},
};
use sha2::{Digest as _, Sha256};

use super::{EngineError, Permit, hex};
use crate::db::{tenant::TenantConn, trouble::Trouble};

/// Which migrations ran; both sides have it from their own template.
const LEDGER: &str = "__diesel_schema_migrations";
/// Rows that travel together.
const BATCH: usize = 500;

/// A table and what its columns are.
struct Table {
    name: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// As PostgreSQL calls it.
    kind: String,
}

#[derive(QueryableByName)]
struct Described {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    column: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Numbered {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct ForeignKey {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

/// Copies every row of every table into a database of the same schema that has no rows yet. One of the two is on
/// PostgreSQL. `permit` is asked between batches.
///
/// # Errors
/// What a database said, a column of an unknown kind; the target has no row then.
pub fn copy(source: &mut TenantConn, target: &mut TenantConn, permit: Permit<'_>) -> Result<(), EngineError> {
    let tables = tables(source, target)?;
    read_at_one_moment(source)?;
    let copied = match target {
        TenantConn::Postgres(target) => fill_postgres(source, target, &tables, permit),
        TenantConn::Sqlite(target) => fill_sqlite(source, target, &tables, permit),
    };
    let _ = execute(source, "ROLLBACK");
    copied
}

/// The first thing in which the rows of two databases differ; none when they are the same.
///
/// # Errors
/// As [`copy`].
pub fn difference(source: &mut TenantConn, target: &mut TenantConn) -> Result<Option<String>, EngineError> {
    let tables = tables(source, target)?;
    let (was, is) = (digests(source, &tables)?, digests(target, &tables)?);
    let other = was.iter().find(|(table, digest)| is.get(*table) != Some(digest));
    Ok(other.map(|(table, _)| format!("the rows of {table} are not the same")))
}

fn tables(source: &mut TenantConn, target: &mut TenantConn) -> Result<Vec<Table>, EngineError> {
    let described = match (source, target) {
        (TenantConn::Postgres(known), _) | (_, TenantConn::Postgres(known)) => describe(known)?,
        _ => return Err(EngineError::permanent("Neither of the two databases is on PostgreSQL.")),
    };
    let mut tables: Vec<Table> = Vec::new();
    for Described { table, column, kind } in described {
        let column = Column { name: column, kind };
        column.is_known(&table)?;
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    Ok(tables)
}

fn describe(connection: &mut PgConnection) -> Result<Vec<Described>, EngineError> {
    sql_query(
        "SELECT c.relname::text AS table, a.attname::text AS column, format_type(a.atttypid, NULL) AS kind \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 \
         AND NOT a.attisdropped AND c.relname <> $1 ORDER BY c.relname, a.attnum",
    )
    .bind::<Text, _>(LEDGER)
    .load(connection)
    .map_err(|error| said(&error))
}

impl Column {
    fn is_known(&self, table: &str) -> Result<(), EngineError> {
        match self.text_on_postgres("") {
            Some(_) => Ok(()),
            None => Err(EngineError::permanent(format!(
                "The column {} of {table} is of the kind {}, which cannot be moved to another engine yet.",
                self.name, self.kind
            ))),
        }
    }

    /// The value as text, on PostgreSQL.
    fn text_on_postgres(&self, column: &str) -> Option<String> {
        Some(match self.kind.as_str() {
            "uuid" => format!("replace({column}::text, '-', '')"),
            "bytea" => format!("encode({column}, 'hex')"),
            "timestamp without time zone" => format!("to_char({column}, 'YYYY-MM-DD HH24:MI:SS.US')"),
            "date" => format!("to_char({column}, 'YYYY-MM-DD')"),
            "boolean" => format!("CASE WHEN {column} THEN '1' WHEN NOT {column} THEN '0' END"),
            "bigint" | "integer" | "smallint" => format!("{column}::text"),
            "text" => column.to_owned(),
            _ => return None,
        })
    }

    /// The same text, on SQLite.
    fn text_on_sqlite(&self, column: &str) -> String {
        match self.kind.as_str() {
            "uuid" | "bytea" => format!("CASE WHEN {column} IS NOT NULL THEN lower(hex({column})) END"),
            "timestamp without time zone" => format!(
                "CASE WHEN instr({column}, '.') THEN substr(replace({column}, 'T', ' ') || '000000', 1, 26) \
                 ELSE replace({column}, 'T', ' ') || '.000000' END"
            ),
            "text" | "date" => column.to_owned(),
            _ => format!("CAST({column} AS TEXT)"),
        }
    }

    /// The value that a text stands for, on PostgreSQL.
    fn value_on_postgres(&self, index: usize) -> String {
        match self.kind.as_str() {
            "bytea" => format!("decode(v ->> {index}, 'hex')"),
            kind => format!("(v ->> {index})::{kind}"),
        }
    }

    /// The same, on SQLite.
    fn value_on_sqlite(&self, index: usize) -> String {
        let text = format!("json_extract(value, '$[{index}]')");
        match self.kind.as_str() {
            "uuid" | "bytea" => format!("unhex({text})"),
            "boolean" | "bigint" | "integer" | "smallint" => format!("CAST({text} AS INTEGER)"),
            _ => text,
        }
    }
}

impl Table {
    fn list(&self, of: impl Fn(usize, &Column) -> String) -> String {
        self.columns.iter().enumerate().map(|(at, column)| of(at, column)).collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> String {
        self.list(|_, column| identifier(&column.name))
    }

    /// A row may hold a whole file.
    fn batch(&self) -> usize {
        if self.columns.iter().any(|column| column.kind == "bytea") { 1 } else { BATCH }
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn execute(connection: &mut TenantConn, statement: &str) -> Result<(), EngineError> {
    match connection {
        TenantConn::Postgres(connection) => connection.batch_execute(statement),
        TenantConn::Sqlite(connection) => connection.batch_execute(statement),
    }
    .map_err(|error| said(&error))
}

fn read_at_one_moment(connection: &mut TenantConn) -> Result<(), EngineError> {
    let begin = match connection {
        TenantConn::Postgres(_) => {
            "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        }
        TenantConn::Sqlite(_) => "BEGIN",
    };
    execute(connection, begin)
}

/// Reads a table in batches of rows, each a JSON array of texts. Within the transaction of [`read_at_one_moment`].
fn read(
    connection: &mut TenantConn,
    table: &Table,
    each: &mut dyn FnMut(Vec<String>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let (name, most) = (identifier(&table.name), table.batch());
    match connection {
        TenantConn::Postgres(connection) => {
            let texts = table
                .list(|_, column| column.text_on_postgres(&identifier(&column.name)).unwrap_or_default());
            let declare = format!(
                "DECLARE provost_rows NO SCROLL CURSOR FOR SELECT json_build_array({texts})::text AS line FROM {name}"
            );
            connection.batch_execute(&declare).map_err(|error| said(&error))?;
            loop {
                let fetch = sql_query(format!("FETCH {most} FROM provost_rows"));
                let rows: Vec<Line> = fetch.load(connection).map_err(|error| said(&error))?;
                if rows.is_empty() {
                    break;
                }
                each(rows.into_iter().map(|row| row.line).collect())?;
            }
            connection.batch_execute("CLOSE provost_rows").map_err(|error| said(&error))
        }
        TenantConn::Sqlite(connection) => {
            let texts = table.list(|_, column| column.text_on_sqlite(&identifier(&column.name)));
            let query = format!(
                "SELECT rowid AS number, json_array({texts}) AS line FROM {name} WHERE rowid > ? ORDER BY rowid \
                 LIMIT {most}"
            );
            let mut last = i64::MIN;
            loop {
                let page = sql_query(&query).bind::<BigInt, _>(last);
                let rows: Vec<Numbered> = page.load(connection).map_err(|error| said(&error))?;
                let Some(end) = rows.last() else { return Ok(()) };
                last = end.number;
                each(rows.into_iter().map(|row| row.line).collect())?;
            }
        }
    }
}

/// References are taken away and put back at the end, when all rows are there: no order of tables is needed then.
fn fill_postgres(
    source: &mut TenantConn,
    target: &mut PgConnection,
    tables: &[Table],
    permit: Permit<'_>,
) -> Result<(), EngineError> {
    let run = |target: &mut PgConnection, statement: &str| {
        target.batch_execute(statement).map_err(|error| said(&error))
    };
    run(target, "SET idle_in_transaction_session_timeout = 0; BEGIN")?;
    let keys: Vec<ForeignKey> = sql_query(
        "SELECT conrelid::regclass::text AS table, conname::text AS name, pg_get_constraintdef(oid) AS definition \
         FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    )
    .load(target)
    .map_err(|error| said(&error))?;
    for key in &keys {
        run(target, &format!("ALTER TABLE {} DROP CONSTRAINT {}", key.table, identifier(&key.name)))?;
    }
    for table in tables {
        let insert = format!(
            "INSERT INTO {} ({}) SELECT {} FROM json_array_elements($1::json) v",
            identifier(&table.name),
            table.names(),
            table.list(|at, column| column.value_on_postgres(at))
        );
        read(source, table, &mut |rows| {
            let all = format!("[{}]", rows.join(","));
            sql_query(&insert).bind::<Text, _>(all).execute(target).map_err(|error| said(&error))?;
            permit()
        })?;
    }
    for ForeignKey { table, name, definition } in &keys {
        let name = identifier(name);
        run(target, &format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"))?;
    }
    crate::crash_point!("transfer:filled");
    run(target, "COMMIT; ANALYZE")
}

fn fill_sqlite(
    source: &mut TenantConn,
    target: &mut SqliteConnection,
    tables: &[Table],
    permit: Permit<'_>,
) -> Result<(), EngineError> {
    let run = |target: &mut SqliteConnection, statement: &str| {
        target.batch_execute(statement).map_err(|error| said(&error))
    };
    run(target, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")?;
    for table in tables {
        let insert = format!(
            "INSERT INTO {} ({}) SELECT {} FROM json_each(?)",
            identifier(&table.name),
            table.names(),
            table.list(|at, column| column.value_on_sqlite(at))
        );
        read(source, table, &mut |rows| {
            let all = format!("[{}]", rows.join(","));
            sql_query(&insert).bind::<Text, _>(all).execute(target).map_err(|error| said(&error))?;
            permit()
        })?;
    }
    let astray: Vec<Line> = sql_query("SELECT \"table\" AS line FROM pragma_foreign_key_check LIMIT 1")
        .load(target)
        .map_err(|error| said(&error))?;
    if let Some(Line { line }) = astray.first() {
        return Err(EngineError::permanent(format!("A row of {line} points to a row that is not there.")));
    }
    crate::crash_point!("transfer:filled");
    run(target, "COMMIT; PRAGMA foreign_keys = ON; ANALYZE")
}

/// A digest of the rows of each table that does not depend on their order: the sum of the rows' digests.
fn digests(connection: &mut TenantConn, tables: &[Table]) -> Result<BTreeMap<String, String>, EngineError> {
    read_at_one_moment(connection)?;
    let mut digests = BTreeMap::new();
    for table in tables {
        let mut sum = [0_u8; 32];
        read(connection, table, &mut |rows| {
            rows.iter().try_for_each(|row| {
                add(&mut sum, &row_digest(row)?);
                Ok(())
            })
        })?;
        digests.insert(table.name.clone(), hex(&sum));
    }
    execute(connection, "ROLLBACK")?;
    Ok(digests)
}

fn row_digest(row: &str) -> Result<[u8; 32], EngineError> {
    let values: Vec<Option<String>> = serde_json::from_str(row)
        .map_err(|error| EngineError::permanent(format!("A row could not be read: {error}.")))?;
    let mut hash = Sha256::new();
    for value in values {
        match value {
            Some(text) => {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
            None => hash.update(u64::MAX.to_be_bytes()),
        }
    }
    Ok(hash.finalize().into())
}

/// Adds numbers of 256 bits, and forgets what is carried beyond.
fn add(sum: &mut [u8; 32], other: &[u8; 32]) {
    let mut carry = 0_u16;
    for (digit, more) in sum.iter_mut().zip(other).rev() {
        let total = u16::from(*digit) + u16::from(*more) + carry;
        let [high, low] = total.to_be_bytes();
        (*digit, carry) = (low, u16::from(high));
    }
}

fn said(error: &diesel::result::Error) -> EngineError {
    let text = error.to_string();
    match Trouble::of(&text) {
        Some(trouble) => EngineError::transient(format!("The rows were not copied: {}", trouble.words())),
        None => EngineError::permanent(format!("The rows were not copied: {}.", text.trim_end_matches('.'))),
    }
}

#[cfg(test)]
mod tests {
    use super::{add, row_digest};

    #[test]
    fn a_digest_tells_values_from_their_neighbours_and_rows_from_their_order() {
        let digest = |row: &str| row_digest(row).expect("a row");
        assert_ne!(digest(r#"["ab","c"]"#), digest(r#"["a","bc"]"#));
        assert_ne!(digest(r#"["",null]"#), digest(r#"[null,""]"#));
        let sum = |rows: &[&str]| {
            let mut sum = [0xff; 32];
            rows.iter().for_each(|row| add(&mut sum, &digest(row)));
            sum
        };
        assert_eq!(sum(&[r#"["a"]"#, r#"["b"]"#]), sum(&[r#"["b"]"#, r#"["a"]"#]));
        assert_ne!(sum(&[r#"["a"]"#]), sum(&[r#"["a"]"#, r#"["a"]"#]));
    }
}
