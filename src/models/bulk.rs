//! Inserting many rows at once: the one place that tells the engines apart for it.

/// Rows per statement: few enough for SQLite's 32,766 and PostgreSQL's 65,535 bound values at up to
/// 32 columns, and enough for the trip to stop mattering.
pub(in crate::models) const ROWS_PER_INSERT: usize = 500;

/// `insert_many!(TenantConn: connection, table, rows)`: inserts a slice of rows, some hundred per statement.
/// A batch does not compile over the connection enum, so each engine gets the same statement.
macro_rules! insert_many {
    ($kind:ident: $connection:expr, $table:path, $rows:expr) => {{
        let mut outcome: diesel::QueryResult<()> = Ok(());
        for chunk in $rows.chunks($crate::models::bulk::ROWS_PER_INSERT) {
            let inserted = match &mut *$connection {
                $kind::Postgres(connection) => diesel::insert_into($table).values(chunk).execute(connection),
                $kind::Sqlite(connection) => diesel::insert_into($table).values(chunk).execute(connection),
            };
            if let Err(error) = inserted {
                outcome = Err(error);
                break;
            }
        }
        outcome
    }};
}
pub(in crate::models) use insert_many;
