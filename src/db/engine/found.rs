//! What an engine finds when it looks round: itself, what is wrong, what was left over.

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its version, as it tells it.
    pub version: String,
    /// Tells it from every other, whatever addresses it answers at.
    pub identity: String,
    /// Connections that tenants together may have.
    pub connections: usize,
}

/// Something that keeps provisioning from working, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// Whether provisioning fails because of it.
    pub fatal: bool,
}

/// What is there and should not be, beside whole databases and roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Of what.
    pub kind: LeftoverKind,
    /// The name of a database, or a path in the data folder.
    pub name: String,
}

/// Of what something was left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A database that an interrupted removal left unusable.
    Invalid,
    /// The log of a database that is gone.
    StrayLog,
    /// A folder that was moved away to be removed.
    Trash,
}
