//! Names of tenant databases: made from domains, valid and distinct whatever the domain.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::domain::Domain;

/// PostgreSQL cuts identifiers at this length, with no more than a notice.
pub const MAX_BYTES: usize = 63;

/// The first part of every tenant database's name (`provost_`), so that they are told from others' databases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePrefix(String);

/// A database name that is safe in a statement that creates or drops databases.
/// Identifiers cannot be bound as parameters, so such statements take this type only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatabaseName(String);

/// Why a name or prefix is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    #[error(
        "The database prefix “{0}” is not usable. Use 1 to 20 lower case letters, digits and _, \
         starting with a letter and not with pg_, such as provost_"
    )]
    Prefix(String),
    #[error(
        "“{0}” is not a usable database name. Use up to 63 lower case letters, digits and _, \
         starting with a letter; names of the server's own databases are refused"
    )]
    Name(String),
}

impl NamePrefix {
    /// Checks a prefix from the configuration.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() <= 20 && is_valid_identifier(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Prefix(text.to_owned()))
        }
    }

    /// The prefix itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NamePrefix {
    fn default() -> Self {
        Self("provost_".to_owned())
    }
}

impl DatabaseName {
    /// Checks a name that comes from elsewhere: a stored row, the command line.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_valid_identifier(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Name(text.to_owned()))
        }
    }

    /// The name of the template database of a schema version. A domain starts with a letter or digit, so
    /// the `_` after the prefix makes a name that no institution can have.
    pub fn template(prefix: &NamePrefix, schema_version: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{}_template_{schema_version}", prefix.0))
    }

    /// The bare name, for a connection URL or a bound parameter.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a quoted SQL identifier.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the tenant database of a domain: `provost_` and `mit.edu` make `provost_mit_edu`.
///
/// Domains may meet in one name (`a-b.edu`, `a.b.edu`) or be longer than a name may be. Then the name is cut
/// and ends with a hash of the domain: always the same one, and longer for as long as `taken` says so.
pub fn database_name(prefix: &NamePrefix, domain: &Domain, taken: impl Fn(&str) -> bool) -> DatabaseName {
    let plain = format!("{}{}", prefix.0, domain.as_str().replace(['.', '-'], "_"));
    if plain.len() <= MAX_BYTES && !taken(&plain) {
        return DatabaseName(plain);
    }
    let hash = hex(&Sha256::digest(domain.as_str()));
    let lengths = [8, 16, 32].into_iter().map(|length| hash[..length].to_owned());
    let counted = (2_u64..).map(|count| format!("{}_{count}", &hash[..16]));
    let name = lengths.chain(counted).map(|ending| with_ending(&plain, &ending)).find(|name| !taken(name));
    // The counter never ends, so there always is one.
    DatabaseName(name.unwrap_or(plain))
}

/// The name of a copy beside the database of a domain; without a domain, of the shared database. `unique` is letters
/// and digits that no other copy has.
pub fn copy_name(
    prefix: &NamePrefix,
    domain: Option<&Domain>,
    unique: &str,
) -> Result<DatabaseName, NameError> {
    // A domain starts with a letter or digit, so no institution's name begins with `_` after the prefix.
    let word = domain.map_or_else(|| "_shared".to_owned(), |domain| domain.as_str().replace(['.', '-'], "_"));
    DatabaseName::parse(&with_ending(&format!("{}{word}", prefix.0), unique))
}

/// Whether the text may name a database: lower case, no quoting needed, not the server's own.
pub fn is_valid_identifier(text: &str) -> bool {
    let shape = text.len() <= MAX_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    shape && !text.starts_with("pg_") && !matches!(text, "postgres" | "template0" | "template1")
}

fn with_ending(plain: &str, ending: &str) -> String {
    let kept = plain.len().min(MAX_BYTES - 1 - ending.len());
    format!("{}_{ending}", plain[..kept].trim_end_matches('_'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn name(text: &str) -> String {
        database_name(&NamePrefix::default(), &domain(text), |_| false).to_string()
    }

    #[test]
    fn follows_the_rule_people_know() {
        assert_eq!(name("mit.edu"), "provost_mit_edu");
        assert_eq!(name("Uni-Bonn.DE"), "provost_uni_bonn_de");
        assert_eq!(name("29mayis.edu.tr"), "provost_29mayis_edu_tr");
    }

    #[test]
    fn colliding_domains_get_distinct_names_that_stay_the_same() {
        let mut taken = HashSet::new();
        for text in ["a-b.edu", "a.b.edu"] {
            let name = database_name(&NamePrefix::default(), &domain(text), |n| taken.contains(n));
            assert!(taken.insert(name.to_string()), "{name}");
        }
        assert!(taken.contains("provost_a_b_edu"));
        let first = database_name(&NamePrefix::default(), &domain("a.b.edu"), |n| n == "provost_a_b_edu");
        assert!(taken.contains(first.as_str()));
        assert!(first.as_str().starts_with("provost_a_b_edu_"));
    }

    #[test]
    fn long_domains_are_cut_to_distinct_names() {
        let long = |ending: &str| name(&format!("{}.{ending}.edu", "university-of-somewhere".repeat(2)));
        assert!(long("north").len() <= MAX_BYTES && long("south").len() <= MAX_BYTES);
        assert_ne!(long("north"), long("south"));
        assert_eq!(long("north"), long("north"));
        let exact = format!("{}.edu", "a".repeat(51));
        assert_eq!(name(&exact).len(), MAX_BYTES);
        assert!(name(&exact).ends_with("_edu"));
        assert!(!name(&format!("a{exact}").replacen("aaaa", "aa.a", 1)).ends_with("_edu"));
    }

    #[test]
    fn goes_on_until_a_name_is_free() {
        let mut taken = HashSet::new();
        for _ in 0..50 {
            let name = database_name(&NamePrefix::default(), &domain("mit.edu"), |n| taken.contains(n));
            assert!(is_valid_identifier(name.as_str()), "{name}");
            assert!(taken.insert(name.to_string()), "{name}");
        }
    }

    #[test]
    fn every_domain_gives_a_valid_name_of_its_own() {
        let parts = ["a", "b-c", "x--y", "1", "uni", "long-name-of-a-school-of-arts", "école"];
        let mut taken = HashSet::new();
        let mut domains = HashSet::new();
        for first in parts {
            for second in parts {
                for third in parts {
                    for text in
                        [format!("{first}.{second}.{third}.edu"), format!("{first}-{second}.{third}.edu")]
                    {
                        let domain = domain(&text);
                        if !domains.insert(domain.clone()) {
                            continue;
                        }
                        let name = database_name(&NamePrefix::default(), &domain, |n| taken.contains(n));
                        assert_eq!(DatabaseName::parse(name.as_str()).as_ref(), Ok(&name));
                        assert!(taken.insert(name.to_string()), "{text}: {name}");
                    }
                }
            }
        }
        assert!(taken.len() > 600);
    }

    #[test]
    fn names_of_the_server_and_of_templates_cannot_be_made() {
        let template = DatabaseName::template(&NamePrefix::default(), "0042").unwrap();
        assert_eq!(template.as_str(), "provost__template_0042");
        assert_ne!(name("template.0042.edu"), template.as_str());
        for refused in ["postgres", "template0", "template1", "pg_x", "A", "1a", "a b", "a\"b", "", "é"] {
            assert!(DatabaseName::parse(refused).is_err(), "{refused}");
        }
        assert!(DatabaseName::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn prefixes_are_checked() {
        for good in ["p", "provost_", "t1_", "abcdefghijklmnopqrst"] {
            assert!(NamePrefix::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "1a", "Provost_", "a-b", "pg_", "a;", "abcdefghijklmnopqrstu", "postgres"] {
            assert!(NamePrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quotes() {
        assert_eq!(DatabaseName::parse("provost_mit_edu").unwrap().quoted(), "\"provost_mit_edu\"");
    }
}
