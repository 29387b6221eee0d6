//! Copies of PostgreSQL databases: out by `pg_dump`, in by `pg_restore`, both as the owner and never as a superuser.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
};

use diesel::{
    PgConnection,
    connection::SimpleConnection,
    prelude::*,
    sql_types::{BigInt, Text},
};
use sha2::{Digest as _, Sha256};

use super::{Found, PostgresEngine, Word, admin, tools::Tool};
use crate::db::{
    engine::{Contents, Dumped, EngineError, Permit, Place, hex, quote},
    target::open_postgres,
};

/// Whatever is in the schema, in one order: columns, constraints, indexes.
pub(super) const SCHEMA: &str = "SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
     || ' ' || a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || a.attcollation AS word \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 \
     AND NOT a.attisdropped \
     UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
     UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    mark: String,
}

impl PostgresEngine {
    pub(super) fn dump_tenant(
        &self,
        place: &Place,
        tools: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<Dumped, EngineError> {
        quote(&place.name)?;
        dump(&self.url_of(&place.name, None)?, Some(&format!("{}_owner", self.prefix)), tools, out)
    }

    /// A database of this name is made anew, closed to everybody but the platform, and filled.
    pub(super) fn load_tenant(
        &self,
        place: &Place,
        tools: Option<&Path>,
        input: &mut dyn Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError> {
        let mut admin = self.admin()?;
        let (name, owner, runtime) = (place.quoted()?, self.owner()?, self.runtime()?);
        self.ensure_groups(&mut admin)?;
        admin.lock(&place.name)?;
        permit()?;
        match self.found(&mut admin, place)? {
            Found::Foreign => {
                return Err(EngineError::permanent(format!(
                    "The server already has a database named {}, which is not this institution's.",
                    place.name
                )));
            }
            Found::Ours => {
                admin.run("SET statement_timeout = 0", "remove a half-filled database")?;
                super::drop_with_sessions(&mut admin, &name, "remove a half-filled database")?;
            }
            Found::Nothing => {}
        }
        admin.run(
            &format!(
                "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' \
                 ALLOW_CONNECTIONS false"
            ),
            "make the database",
        )?;
        crate::crash_point!("postgres:copy-made");
        let comment = super::comment_of(place.institution_id);
        admin.run(&format!("COMMENT ON DATABASE {name} IS '{comment}'"), "mark the database as ours")?;
        admin.run(
            &format!(
                "BEGIN; REVOKE ALL ON DATABASE {name} FROM PUBLIC; ALTER DATABASE {name} ALLOW_CONNECTIONS true; COMMIT"
            ),
            "close the database to others",
        )?;
        let url = self.url_of(&place.name, None)?;
        let mut connection = open_postgres(&url)
            .map_err(|error| admin::explain_text(&error.to_string(), "enter the database"))?;
        // What the dump says about rights is not read: these are the rights of every tenant database.
        connection
            .batch_execute(&format!(
                "SET ROLE {owner}; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
                 GRANT USAGE ON SCHEMA public TO {runtime}; \
                 ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime}; \
                 ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {runtime}"
            ))
            .map_err(|error| admin::explain(&error, "grant rights in the database"))?;
        load(&url, Some(&format!("{}_owner", self.prefix)), tools, input)?;
        crate::crash_point!("postgres:copy-filled");
        let ledger = "__diesel_schema_migrations";
        connection
            .batch_execute(&format!("REVOKE INSERT, UPDATE, DELETE ON {ledger} FROM {runtime}"))
            .map_err(|error| admin::explain(&error, "grant rights in the database"))
    }

    pub(super) fn contents_of(&self, place: &Place) -> Result<Contents, EngineError> {
        quote(&place.name)?;
        let url = self.url_of(&place.name, None)?;
        let mut connection = open_postgres(&url)
            .map_err(|error| admin::explain_text(&error.to_string(), "enter the database"))?;
        connection
            .batch_execute(&format!("SET ROLE {}", self.owner()?))
            .map_err(|error| admin::explain(&error, "act as the owner of the database"))?;
        contents(&mut connection)
    }

    /// The server counts the rows that were written in each database; a crash of it, or a reset, begins anew.
    pub(super) fn marks_of(&self, places: &[Place]) -> Result<Vec<Option<String>>, EngineError> {
        let mut connection = open_postgres(&self.url)
            .map_err(|error| admin::explain_text(&error.to_string(), "reach the server"))?;
        let found: Vec<Mark> = diesel::sql_query(
            "SELECT d.datname::text AS name, d.oid || '/' || coalesce(s.tup_inserted + s.tup_updated + \
             s.tup_deleted, 0) || '/' || coalesce(s.stats_reset::text, '') AS mark \
             FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid",
        )
        .load(&mut connection)
        .map_err(|error| admin::explain(&error, "ask which databases have changed"))?;
        let marks: BTreeMap<String, String> = found.into_iter().map(|mark| (mark.name, mark.mark)).collect();
        Ok(places.iter().map(|place| marks.get(&place.name).cloned()).collect())
    }
}

/// Dumps a database as it is at one moment, and counts it at that same moment.
pub(in crate::db::engine) fn dump(
    url: &str,
    role: Option<&str>,
    tools: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Dumped, EngineError> {
    let explain = |error| admin::explain(&error, "read the database");
    let mut connection =
        open_postgres(url).map_err(|error| admin::explain_text(&error.to_string(), "enter the database"))?;
    let tool = Tool::find("pg_dump", tools, server_version(&mut connection)?)?;
    if let Some(role) = role {
        connection.batch_execute(&format!("SET ROLE {}", quote(role)?)).map_err(explain)?;
    }
    // Idle while the tool works on the snapshot that this transaction holds.
    connection
        .batch_execute(
            "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0; \
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        )
        .map_err(explain)?;
    let snapshot: Word = diesel::sql_query("SELECT pg_export_snapshot() AS word")
        .get_result(&mut connection)
        .map_err(explain)?;
    let contents = contents(&mut connection)?;
    let mut arguments: Vec<String> =
        ["--format=custom", "--no-owner", "--no-acl", "--lock-wait-timeout=30000"]
            .map(str::to_owned)
            .to_vec();
    // Compressing costs far more time than it saves room: level 1 gives most of the gain.
    arguments.push("--compress=1".into());
    arguments.push(format!("--snapshot={}", snapshot.word));
    arguments.extend(role.map(|role| format!("--role={role}")));
    tool.read_from(url, &arguments, out)?;
    connection.batch_execute("ROLLBACK").map_err(explain)?;
    Ok(Dumped { contents, tool: tool.version })
}

/// Fills an empty database, all of it or nothing.
pub(in crate::db::engine) fn load(
    url: &str,
    role: Option<&str>,
    tools: Option<&Path>,
    input: &mut dyn Read,
) -> Result<(), EngineError> {
    let mut connection =
        open_postgres(url).map_err(|error| admin::explain_text(&error.to_string(), "enter the database"))?;
    let tool = Tool::find("pg_restore", tools, server_version(&mut connection)?)?;
    drop(connection);
    let mut arguments: Vec<String> =
        ["--no-owner", "--no-acl", "--exit-on-error", "--single-transaction"].map(str::to_owned).to_vec();
    arguments.extend(role.map(|role| format!("--role={role}")));
    tool.write_to(url, &arguments, input)
}

/// Fills a shared database that has no table yet.
pub(in crate::db::engine) fn load_empty(
    url: &str,
    tools: Option<&Path>,
    input: &mut dyn Read,
) -> Result<Contents, EngineError> {
    let enter = || {
        open_postgres(url)
            .map_err(|error| admin::explain_text(&error.to_string(), "enter the shared database"))
    };
    if !contents(&mut enter()?)?.tables.is_empty() {
        return Err(EngineError::permanent(
            "The shared database has tables already. Name an empty one in PROVOST_DATABASE_URL, then try again.",
        ));
    }
    load(url, None, tools, input)?;
    contents(&mut enter()?)
}

/// What is in a database.
pub(in crate::db::engine) fn contents(connection: &mut PgConnection) -> Result<Contents, EngineError> {
    let explain = |error| admin::explain(&error, "count the database");
    let schema: Vec<Word> = diesel::sql_query(SCHEMA).load(connection).map_err(explain)?;
    let mut hash = Sha256::new();
    for line in &schema {
        hash.update(line.word.as_bytes());
        hash.update(b"\n");
    }
    let names: Vec<Word> = diesel::sql_query(
        "SELECT relname::text AS word FROM pg_class WHERE relnamespace = 'public'::regnamespace \
         AND relkind IN ('r', 'p')",
    )
    .load(connection)
    .map_err(explain)?;
    let mut tables = BTreeMap::new();
    for Word { word } in names {
        let quoted = word.replace('"', "\"\"");
        let count: Count = diesel::sql_query(format!("SELECT count(*) AS number FROM public.\"{quoted}\""))
            .get_result(connection)
            .map_err(explain)?;
        tables.insert(word, count.number);
    }
    Ok(Contents { schema: hex(&hash.finalize()), tables })
}

fn server_version(connection: &mut PgConnection) -> Result<u32, EngineError> {
    let found: Count = diesel::sql_query("SELECT current_setting('server_version_num')::bigint AS number")
        .get_result(connection)
        .map_err(|error| admin::explain(&error, "ask for the server's version"))?;
    Ok(u32::try_from(found.number / 10_000).unwrap_or(0))
}
