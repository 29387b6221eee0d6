//! What spans both databases, or files, or time: secrets, passwords, mail, files of records.

mod password_policy;
pub mod passwords;
pub mod secrets;
pub mod tokens;
