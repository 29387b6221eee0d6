//! Pages that need no sign-in.

pub mod home;
