//! Everything a database holds, as text: to see that nothing changed, and that nothing leaked.

use diesel::{QueryableByName, RunQueryDsl};
use provost::db::{Engine, Id, shared::SharedConn, tenant::TenantConn};

use super::app::TestApp;

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

type Query<'a> = &'a mut dyn FnMut(&str) -> Vec<String>;

impl TestApp {
    /// Every row of the shared database but those of these tables.
    pub fn shared_dump(&self, without: &[&str]) -> String {
        let mut connection = self.platform.shared.get().expect("connection");
        dump(self.engine(), without, &mut |sql| shared_texts(&mut connection, sql))
    }

    /// Every row of an institution's database.
    pub fn tenant_dump(&self, institution: Id) -> String {
        let mut shared = self.platform.shared.get().expect("connection");
        let tenant = self.platform.tenants.open_in_any_state(&mut shared, institution).expect("opened");
        let mut connection = tenant.get().expect("connection");
        dump(self.engine(), &[], &mut |sql| tenant_texts(&mut connection, sql))
    }
}

/// The texts in the column `name`.
pub fn shared_texts(connection: &mut SharedConn, sql: &str) -> Vec<String> {
    let rows: Vec<Text> =
        diesel::sql_query(sql).load(connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.name).collect()
}

/// The texts in the column `name`.
pub fn tenant_texts(connection: &mut TenantConn, sql: &str) -> Vec<String> {
    let rows: Vec<Text> =
        diesel::sql_query(sql).load(connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.name).collect()
}

fn dump(engine: Engine, without: &[&str], query: Query<'_>) -> String {
    let tables = match engine {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
        }
        Engine::Postgres => {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        }
    };
    let mut out = String::new();
    for table in query(tables).into_iter().filter(|table| !without.contains(&table.as_str())) {
        out.push_str(&format!("== {table}\n"));
        for row in rows(engine, &table, query) {
            out.push_str(&row);
            out.push('\n');
        }
    }
    out
}

fn rows(engine: Engine, table: &str, query: Query<'_>) -> Vec<String> {
    match engine {
        Engine::Sqlite => {
            let columns = query(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
            let row: Vec<String> = columns
                .iter()
                .map(|column| {
                    format!(
                        "CASE typeof(\"{column}\") WHEN 'blob' THEN lower(hex(\"{column}\")) \
                         WHEN 'null' THEN '' ELSE CAST(\"{column}\" AS TEXT) END"
                    )
                })
                .collect();
            query(&format!("SELECT {} AS name FROM \"{table}\" ORDER BY 1", row.join(" || '|' || ")))
        }
        Engine::Postgres => query(&format!("SELECT t::text AS name FROM \"{table}\" t ORDER BY 1")),
    }
}
