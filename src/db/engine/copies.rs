//! A copy of a database: what it needs, what is in it, and that of the shared database.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
};

use super::{EngineError, postgres, sqlite};
use crate::db::Target;

/// What is in a database, to compare a copy with what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// Digest of everything that the schema says.
    pub schema: String,
    /// Every table and how many rows it has.
    pub tables: BTreeMap<String, i64>,
}

impl Contents {
    /// The first thing in which `copy` differs, for a person.
    #[must_use]
    pub fn difference(&self, copy: &Self) -> Option<String> {
        for (table, rows) in &self.tables {
            match copy.tables.get(table) {
                Some(found) if found == rows => {}
                Some(found) => return Some(format!("{table} has {found} rows instead of {rows}")),
                None => return Some(format!("{table} is missing")),
            }
        }
        if let Some(table) = copy.tables.keys().find(|table| !self.tables.contains_key(*table)) {
            return Some(format!("{table} is one table too many"));
        }
        (self.schema != copy.schema).then(|| "the schema is another one".to_owned())
    }

    /// Rows of all tables together.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.tables.values().sum()
    }
}

/// What was copied, counted at the very moment of the copy.
#[derive(Debug, Clone)]
pub struct Dumped {
    /// What is in it.
    pub contents: Contents,
    /// What made it, with its version.
    pub tool: String,
}

/// What copying needs beside the database.
#[derive(Debug, Clone, Copy)]
pub struct CopyTools<'a> {
    /// The folder of PostgreSQL's programs, where it was set.
    pub folder: Option<&'a Path>,
}

/// As [`TenantEngine::dump`], of the shared database.
///
/// # Errors
/// As there.
pub fn dump_shared(
    target: &Target,
    tools: CopyTools<'_>,
    out: &mut dyn Write,
) -> Result<Dumped, EngineError> {
    match target {
        Target::Sqlite(path) => sqlite::copy::dump(path, out),
        Target::Postgres(url) => postgres::copy::dump(url, None, tools.folder, out),
    }
}

/// Fills a shared database that is not there yet (SQLite) or empty (PostgreSQL).
///
/// # Errors
/// As [`TenantEngine::load`].
pub fn load_shared(
    target: &Target,
    tools: CopyTools<'_>,
    input: &mut dyn Read,
) -> Result<Contents, EngineError> {
    match target {
        Target::Sqlite(path) => {
            sqlite::copy::load(path, input)?;
            sqlite::copy::contents_of(path)
        }
        Target::Postgres(url) => postgres::copy::load_empty(url, tools.folder, input),
    }
}
