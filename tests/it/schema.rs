//! One schema on two engines: equal tables, columns, keys and indexes, up, down and up again, and
//! the same as diesel is told.

use std::collections::{BTreeMap, BTreeSet};

use provost::db::{
    Engine, Target, migrate::Migrate, shared::SharedConn, target::create_sqlite, tenant::TenantConn,
};

use crate::support::{
    Folder, Site,
    dump::{shared_texts, tenant_texts},
    engine,
};

const KINDS: [Kind; 2] = [Kind::Shared, Kind::Tenant];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Tenant,
}

/// An empty database, migrated step by step by the test.
struct Database {
    connection: Connection,
    engine: Engine,
    _folder: Option<Folder>,
    _site: Option<Site>,
}

enum Connection {
    Shared(SharedConn),
    Tenant(TenantConn),
}

impl Database {
    fn empty(engine: Engine, kind: Kind) -> Self {
        let (target, folder, site) = match engine {
            Engine::Sqlite => {
                let folder = Folder::new();
                let path = folder.path().join("a.db");
                drop(create_sqlite(&path).expect("created"));
                (Target::Sqlite(path), Some(folder), None)
            }
            Engine::Postgres => {
                let site = Site::on(engine);
                (site.settings.database.clone(), None, Some(site))
            }
        };
        let connection = match kind {
            Kind::Shared => Connection::Shared(SharedConn::open(&target).expect("opened")),
            Kind::Tenant => Connection::Tenant(TenantConn::open(&target).expect("opened")),
        };
        Self { connection, engine, _folder: folder, _site: site }
    }

    fn migrate(&mut self) -> &mut dyn Migrate {
        match &mut self.connection {
            Connection::Shared(connection) => connection,
            Connection::Tenant(connection) => connection,
        }
    }

    fn texts(&mut self, sql: &str) -> Vec<String> {
        match &mut self.connection {
            Connection::Shared(connection) => shared_texts(connection, sql),
            Connection::Tenant(connection) => tenant_texts(connection, sql),
        }
    }

    /// Everything that must be equal, one line each.
    fn facts(&mut self) -> BTreeSet<String> {
        let queries: &[&str] = match self.engine {
            Engine::Sqlite => SQLITE_FACTS,
            Engine::Postgres => POSTGRES_FACTS,
        };
        let all = queries.iter().flat_map(|sql| self.texts(sql));
        all.filter(|fact| !fact.contains("__diesel_schema_migrations")).collect()
    }

    /// Table and column with its type, as the engine names it.
    fn types(&mut self) -> BTreeMap<String, String> {
        let sql = match self.engine {
            Engine::Sqlite => {
                "SELECT t.name || '.' || c.name || ' ' || c.type AS name FROM sqlite_schema t, \
                 pragma_table_info(t.name) c WHERE t.type = 'table'"
            }
            Engine::Postgres => {
                "SELECT table_name || '.' || column_name || ' ' || data_type AS name FROM \
                 information_schema.columns WHERE table_schema = 'public'"
            }
        };
        let pairs = self.texts(sql).into_iter().filter(|line| !line.contains("__diesel_schema_migrations"));
        pairs.filter_map(|line| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()))).collect()
    }
}

const SQLITE_FACTS: &[&str] = &[
    "SELECT 'column ' || t.name || '.' || c.name || CASE WHEN c.\"notnull\" = 1 THEN ' not null' ELSE ' null' END \
     AS name FROM sqlite_schema t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    "SELECT 'primary key ' || t.name || '(' || group_concat(c.name, ',' ORDER BY c.pk) || ')' AS name \
     FROM sqlite_schema t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.pk > 0 GROUP BY t.name",
    "SELECT CASE WHEN i.\"unique\" = 1 THEN 'unique ' ELSE 'index ' END || t.name || '(' || \
     group_concat(coalesce(c.name, '*'), ',' ORDER BY c.seqno) || ')' || CASE WHEN i.partial = 1 THEN ' partial' \
     ELSE '' END AS name FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c \
     WHERE t.type = 'table' AND i.origin <> 'pk' GROUP BY t.name, i.name, i.\"unique\", i.partial",
    "SELECT 'reference ' || t.name || '(' || group_concat(f.\"from\", ',' ORDER BY f.seq) || ') to ' || f.\"table\" || \
     ' on delete ' || lower(f.on_delete) AS name FROM sqlite_schema t, pragma_foreign_key_list(t.name) f \
     WHERE t.type = 'table' GROUP BY t.name, f.id, f.\"table\", f.on_delete",
];

const POSTGRES_FACTS: &[&str] = &[
    "SELECT 'column ' || table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' not null' \
     ELSE ' null' END AS name FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT CASE WHEN i.indisprimary THEN 'primary key ' WHEN i.indisunique THEN 'unique ' ELSE 'index ' END || \
     c.relname || '(' || string_agg(coalesce(a.attname::text, '*'), ',' ORDER BY k.place) || ')' || \
     CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END AS name \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place) \
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number AND k.number > 0 \
     WHERE n.nspname = 'public' GROUP BY i.indexrelid, i.indisprimary, i.indisunique, i.indpred, c.relname",
    "SELECT 'reference ' || c.relname || '(' || string_agg(a.attname::text, ',' ORDER BY k.place) || ') to ' || \
     f.relname || ' on delete ' || CASE r.confdeltype WHEN 'a' THEN 'no action' WHEN 'r' THEN 'restrict' \
     WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' ELSE 'set default' END AS name \
     FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid JOIN pg_class f ON f.oid = r.confrelid \
     CROSS JOIN LATERAL unnest(r.conkey) WITH ORDINALITY AS k(number, place) \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number \
     WHERE r.contype = 'f' GROUP BY r.oid, c.relname, f.relname, r.confdeltype",
];

#[test]
fn migrations_go_up_down_and_up_again() {
    for kind in KINDS {
        let mut database = Database::empty(engine(), kind);
        assert_eq!(database.facts(), BTreeSet::new());
        let names = database.migrate().migrate().expect("up");
        assert!(!names.is_empty());
        let first = database.facts();
        assert!(first.len() > 50, "{kind:?}: {}", first.len());
        assert_eq!(database.migrate().migrate().expect("nothing to do"), Vec::<String>::new());
        database.migrate().revert_all().expect("down");
        assert_eq!(database.facts(), BTreeSet::new(), "{kind:?}: nothing stays");
        assert_eq!(database.migrate().migrate().expect("up again"), names);
        assert_eq!(database.facts(), first);
    }
}

#[test]
fn both_engines_end_with_the_same_schema() {
    if engine() == Engine::Sqlite {
        // The run on PostgreSQL compares both.
        return;
    }
    for kind in KINDS {
        let [sqlite, postgres] = [Engine::Sqlite, Engine::Postgres].map(|engine| {
            let mut database = Database::empty(engine, kind);
            database.migrate().migrate().expect("up");
            database.facts()
        });
        let only_sqlite: Vec<_> = sqlite.difference(&postgres).collect();
        let only_postgres: Vec<_> = postgres.difference(&sqlite).collect();
        assert!(
            only_sqlite.is_empty() && only_postgres.is_empty(),
            "{kind:?}: {only_sqlite:#?} {only_postgres:#?}"
        );
    }
}

/// What diesel is told, as `table.column` with type and nullability.
fn declared(text: &str) -> BTreeMap<String, (String, bool)> {
    let (mut found, mut table) = (BTreeMap::new(), "");
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name;
        } else if let Some((column, kind)) = line.split_once(" -> ").filter(|_| !line.contains('(')) {
            let kind = kind.trim_end_matches(',');
            let inner = kind.strip_prefix("Nullable<").map(|inner| inner.trim_end_matches('>'));
            found.insert(format!("{table}.{column}"), (inner.unwrap_or(kind).to_owned(), inner.is_some()));
        }
    }
    found
}

fn engine_type(engine: Engine, diesel: &str) -> &'static str {
    match (engine, diesel) {
        (Engine::Sqlite, "Uuid" | "Binary") => "BLOB",
        (Engine::Sqlite, "Text" | "Timestamp" | "Date" | "Time") => "TEXT",
        (Engine::Sqlite, "BigInt" | "Integer" | "Bool") => "INTEGER",
        (Engine::Sqlite, "Double") => "REAL",
        (Engine::Postgres, "Uuid") => "uuid",
        (Engine::Postgres, "Binary") => "bytea",
        (Engine::Postgres, "Text") => "text",
        (Engine::Postgres, "Timestamp") => "timestamp without time zone",
        (Engine::Postgres, "Date") => "date",
        (Engine::Postgres, "BigInt") => "bigint",
        (Engine::Postgres, "Integer") => "integer",
        (Engine::Postgres, "Bool") => "boolean",
        (Engine::Postgres, "Double") => "double precision",
        _ => panic!("{diesel} has no type on {engine:?} yet"),
    }
}

#[test]
fn diesel_is_told_what_is_there() {
    for (kind, text) in [
        (Kind::Shared, include_str!("../../src/db/schema_shared.rs")),
        (Kind::Tenant, include_str!("../../src/db/schema_tenant.rs")),
    ] {
        let mut database = Database::empty(engine(), kind);
        database.migrate().migrate().expect("up");
        let declared = declared(text);
        let types: BTreeMap<String, String> = declared
            .iter()
            .map(|(column, (diesel, _))| (column.clone(), engine_type(engine(), diesel).to_owned()))
            .collect();
        assert_eq!(database.types(), types, "{kind:?}");
        let facts = database.facts();
        let there: BTreeSet<_> = facts.iter().filter(|fact| fact.starts_with("column ")).cloned().collect();
        let told: BTreeSet<_> = declared
            .iter()
            .map(|(column, (_, null))| format!("column {column} {}", if *null { "null" } else { "not null" }))
            .collect();
        assert_eq!(there, told, "{kind:?}");
    }
}

#[test]
fn migrations_have_equal_names_and_both_directions() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: String| -> BTreeSet<String> {
        let entries =
            std::fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry"));
        let whole = entries.inspect(|entry| {
            assert!(["up.sql", "down.sql"].iter().all(|file| entry.path().join(file).is_file()), "{entry:?}");
        });
        whole.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    for kind in ["shared", "tenant"] {
        assert_eq!(names(format!("migrations_{kind}/sqlite")), names(format!("migrations_{kind}/postgres")));
    }
}
