//! Who does something, and from where: the signature under every logged change.

use crate::db::Id;

/// The author of a change, as the audit log and the activity log record it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The platform admin or institution user; none for the system and the command line.
    pub id: Option<Id>,
    /// The name as it was at that moment.
    pub name: String,
    /// Address of the client.
    pub ip: Option<String>,
    /// The client's own description of itself.
    pub user_agent: Option<String>,
}

impl Actor {
    /// Work that the platform does by itself, such as a step of an operation.
    #[must_use]
    pub fn system() -> Self {
        Self { id: None, name: "Provost".into(), ip: None, user_agent: None }
    }

    /// The operator at the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self { id: None, name: "Command line".into(), ip: None, user_agent: None }
    }
}
