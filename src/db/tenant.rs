//! The connection to one institution's own database.

super::connection::connection! {
    /// A connection to one tenant database.
    TenantConn
}
