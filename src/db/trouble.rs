//! What a database's own words mean for whoever has to do something about it. They are all there is to go
//! by: a connection that was refused has no code.

/// A trouble that somebody can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The server has no connection left for ordinary roles.
    NoConnection,
    /// The role has as many connections as it may have.
    RoleLimit,
    /// The disk that SQLite writes to is full.
    DiskFull,
    /// The disk of the PostgreSQL server is full.
    ServerDiskFull,
    /// The disk failed; a full one may show itself so.
    DiskFailed,
    /// Nothing can be written.
    ReadOnly,
    /// The server answers, and does not let the role in.
    Refused,
    /// The server answers, and holds no such database.
    NoDatabase,
    /// The server is down, starting, or ended the connection.
    Away,
}

/// Signs of each, the telling ones first: a refusal also says which server refused.
const SIGNS: [(Trouble, &[&str]); 8] = [
    (Trouble::RoleLimit, &["too many connections for role"]),
    (Trouble::NoConnection, &["too many clients", "too many connections", "remaining connection slots"]),
    (
        Trouble::Refused,
        &[
            "authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "failed: FATAL:  role \"",
            "permission denied for database",
        ],
    ),
    (Trouble::DiskFull, &["disk is full"]),
    (Trouble::ServerDiskFull, &["No space left on device", "could not extend file"]),
    (Trouble::DiskFailed, &["disk I/O error"]),
    (Trouble::ReadOnly, &["readonly database", "read-only transaction"]),
    (
        Trouble::Away,
        &[
            "Connection refused",
            "Connection reset",
            "could not connect",
            "could not receive data from server",
            "could not send data to server",
            "connection to server",
            "no connection to the server",
            "server closed the connection",
            "terminating connection",
            "the database system is",
            "timeout expired",
        ],
    ),
];

impl Trouble {
    /// Recognises one in an error's words.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        // A table may be missing as well; only a server that refuses says it so.
        if text.contains("FATAL:  database \"") && text.contains("\" does not exist") {
            return Some(Self::NoDatabase);
        }
        let shows = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        SIGNS.into_iter().find(|(_, signs)| shows(signs)).map(|(trouble, _)| trouble)
    }

    /// What it is and what to do, to follow a colon.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoConnection => {
                "the PostgreSQL server has no connection left. Raise max_connections, or lower Provost's \
                 connection budget, then try again."
            }
            Self::RoleLimit => {
                "the role has no connection left on the PostgreSQL server. As a superuser raise its limit \
                 with ALTER ROLE ... CONNECTION LIMIT, or lower Provost's connection budget, then try again."
            }
            Self::DiskFull => "the disk is full. Free some space, then try again.",
            Self::ServerDiskFull => {
                "the disk of the PostgreSQL server is full. Free some space, then try again."
            }
            Self::DiskFailed => {
                "the disk failed. See that it works and is not full; free some space, then try again."
            }
            Self::ReadOnly => {
                "the database can only be read. See that its disk and its server take writes, then try again."
            }
            Self::Refused => {
                "the PostgreSQL server answers and does not let the role in. See that its name, its password and \
                 pg_hba.conf agree, then try again."
            }
            Self::NoDatabase => {
                "the PostgreSQL server answers and has no such database. provost reconcile shows what is missing."
            }
            Self::Away => {
                "the PostgreSQL server does not answer. Start it, or check the address, then try again."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;

    #[test]
    fn a_refusal_is_no_silence() {
        let start = "connection to server at \"127.0.0.1\", port 5432 failed: ";
        for (end, expected) in [
            ("FATAL:  sorry, too many clients already", Trouble::NoConnection),
            ("FATAL:  too many connections for role \"provost\"", Trouble::RoleLimit),
            ("FATAL:  the database system is starting up", Trouble::Away),
            ("FATAL:  password authentication failed for user \"provost\"", Trouble::Refused),
            ("FATAL:  no pg_hba.conf entry for host \"10.0.0.7\", user \"provost\"", Trouble::Refused),
            ("FATAL:  role \"provost\" is not permitted to log in", Trouble::Refused),
            ("FATAL:  database \"provost_ada_edu\" does not exist", Trouble::NoDatabase),
            ("Connection refused", Trouble::Away),
        ] {
            assert_eq!(Trouble::of(&format!("{start}{end}")), Some(expected));
        }
        assert_eq!(Trouble::of("duplicate key value violates unique constraint"), None);
    }
}
