//! The connection to the shared database: the registry of the platform.

super::connection::connection! {
    /// A connection to the shared database.
    SharedConn
}
