//! Where a tenant database is, and its name as an identifier.

use super::EngineError;
use crate::db::Id;

/// The longest name that PostgreSQL keeps whole.
pub(super) const MAX_NAME_BYTES: usize = 63;

/// A tenant database: whose, under which name, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The institution it belongs to.
    pub institution_id: Id,
    /// A name that is safe as an identifier: `DatabaseName` has checked it.
    pub name: String,
    /// A folder under the data folder, or the server's address for people.
    pub location: String,
    /// On which server; [`HOME`] is where the configuration puts databases.
    pub server_id: Id,
}

/// The server that the configuration names: the data folder, or the one of the shared database.
pub const HOME: Id = Id::NIL;

impl Place {
    /// The name as a quoted SQL identifier. Names are checked where they are made; this is the second look.
    pub(super) fn quoted(&self) -> Result<String, EngineError> {
        quote(&self.name)
    }
}

/// Quotes an identifier after checking that it needs no quoting at all.
pub(super) fn quote(name: &str) -> Result<String, EngineError> {
    let safe = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(safe) {
        return Err(EngineError::permanent(format!("{name:?} is not usable as the name of a database.")));
    }
    Ok(format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn only_harmless_names_become_identifiers() {
        assert_eq!(quote("provost_mit_edu").expect("harmless"), "\"provost_mit_edu\"");
        for bad in ["", "a\"b", "A", "a b", "a;drop", "é", &"a".repeat(64)] {
            assert!(quote(bad).is_err(), "{bad}");
        }
    }
}
