//! Where a database is: the engine is chosen by the URL's scheme, never by trying.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection};

use super::OpenError;

crate::text_enum! {
    /// A kind of database server.
    Engine { Sqlite = "sqlite", Postgres = "postgres" }
}

/// Address of one database. `Debug` and `Display` never show a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A file.
    Sqlite(PathBuf),
    /// A `postgres://` URL, password included.
    Postgres(String),
}

/// Largest time a connection waits for another writer of the same file, in milliseconds.
const SQLITE_BUSY_MILLISECONDS: u32 = 5_000;
/// Longest time a new PostgreSQL connection may take, in seconds.
const POSTGRES_CONNECT_SECONDS: u32 = 3;
/// A process that falls silent in the middle of a transaction loses it after so many seconds: what it has
/// locked would hold up every other node for as long as it sleeps.
const POSTGRES_IDLE_TRANSACTION_SECONDS: u32 = 15;

impl Target {
    /// Reads a database URL. Unknown schemes are refused, so that a typing error never makes a new file.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("The SQLite database URL names no file; write sqlite:/path/to/file.db.".into());
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let url = url::Url::parse(text)
                .map_err(|error| format!("The PostgreSQL URL cannot be read: {error}."))?;
            return match postgres_problem(&url) {
                Some(problem) => Err(problem),
                None => Ok(Self::Postgres(text.to_owned())),
            };
        }
        let scheme = text.split_once(':').map_or("none", |(scheme, _)| scheme);
        Err(format!(
            "The database URL has the scheme \"{scheme}\"; only sqlite: and postgres:// are supported."
        ))
    }

    /// The engine that serves this database.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }
}

/// The address of a server without its password, for people.
#[must_use]
pub fn shown_address(url: &str) -> String {
    Target::parse(url).map_or_else(|_| String::new(), |target| target.to_string())
}

/// What keeps the URL of the shared database from leading to the tenants' as well: theirs differ in user,
/// password and database only.
fn postgres_problem(url: &url::Url) -> Option<String> {
    const EXAMPLE: &str = "postgres://user:password@host/database";
    if url.host_str().is_none_or(str::is_empty) {
        return Some(format!(
            "The PostgreSQL URL names no server; write {EXAMPLE}, or for a socket the percent-encoded folder as \
             the host, such as postgres://user@%2Frun%2Fpostgresql/database."
        ));
    }
    if url.path().len() <= 1 {
        return Some(format!("The PostgreSQL URL names no database; write {EXAMPLE}."));
    }
    let misplaced = ["user", "password", "dbname", "service"];
    let (name, _) = url.query_pairs().find(|(name, _)| misplaced.contains(&name.as_ref()))?;
    Some(format!("The PostgreSQL URL gives {name} behind the question mark; write {EXAMPLE}."))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(text) => match url::Url::parse(text) {
                Ok(url) => {
                    let user = url.username();
                    let host = url.host_str().unwrap_or_default();
                    let port = url.port().unwrap_or(5432);
                    write!(f, "postgres://{user}@{host}:{port}{}", url.path())
                }
                Err(_) => f.write_str("postgres://(unreadable)"),
            },
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens an existing SQLite file; a missing file is an error, never a new database.
pub(super) fn open_sqlite(path: &Path) -> Result<SqliteConnection, OpenError> {
    open_sqlite_uri(path, "rw")
}

/// Creates a SQLite file in WAL mode, or opens it when it is there.
///
/// # Errors
/// When the folder cannot be written or the file is no database.
pub fn create_sqlite(path: &Path) -> Result<SqliteConnection, OpenError> {
    let mut connection = open_sqlite_uri(path, "rwc")?;
    connection
        .batch_execute("PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;")
        .map_err(|error| OpenError::new(&Target::Sqlite(path.into()), error))?;
    Ok(connection)
}

fn open_sqlite_uri(path: &Path, mode: &str) -> Result<SqliteConnection, OpenError> {
    let target = Target::Sqlite(path.into());
    let text = path.to_str().ok_or_else(|| OpenError::new(&target, "the path is not UTF-8"))?;
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut connection = SqliteConnection::establish(&format!("file:{escaped}?mode={mode}"))
        .map_err(|error| OpenError::new(&target, error))?;
    // busy_timeout comes first: the other pragmas may already meet a writer.
    connection
        .batch_execute(&format!(
            "PRAGMA busy_timeout = {SQLITE_BUSY_MILLISECONDS}; PRAGMA foreign_keys = ON; \
             PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
        ))
        .map_err(|error| OpenError::new(&target, error))?;
    Ok(connection)
}

/// Opens a PostgreSQL database with a short time limit, so that a dead server is a quick answer.
pub(super) fn open_postgres(url: &str) -> Result<PgConnection, OpenError> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let full = format!(
        "{url}{separator}connect_timeout={POSTGRES_CONNECT_SECONDS}&application_name=provost\
         &keepalives_idle=30&options=-c%20TimeZone%3DUTC%20-c%20client_min_messages%3Dwarning\
         %20-c%20idle_in_transaction_session_timeout%3D{POSTGRES_IDLE_TRANSACTION_SECONDS}s"
    );
    PgConnection::establish(&full).map_err(|error| OpenError::new(&Target::Postgres(url.to_owned()), error))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn the_scheme_decides_and_passwords_stay_hidden() {
        assert!(Target::parse("provost.db").is_err());
        assert!(Target::parse("mysql://x/y").is_err());
        assert!(Target::parse("postgres://u:p@host").is_err());
        // These would open the shared database and no tenant's.
        for (bad, why) in [
            ("postgres:///db?host=/run/postgresql", "no server"),
            ("postgres://host/db?user=u&password=p", "user"),
            ("postgres://u@host/db?password=p", "password"),
            ("postgres://u:p@host/db?dbname=other", "dbname"),
        ] {
            let told = Target::parse(bad).expect_err(bad);
            assert!(told.contains(why) && !told.contains("=p"), "{told}");
        }
        assert!(Target::parse("postgres://u@%2Frun%2Fpostgresql/db").is_ok());
        assert!(Target::parse("postgres://u:p@host/db?sslmode=require").is_ok());
        let target = Target::parse("postgres://u:secret@host/db").expect("readable");
        assert_eq!(format!("{target:?}"), "postgres://u@host:5432/db");
    }
}
