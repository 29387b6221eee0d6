//! Records of one institution, in its own tenant database.
