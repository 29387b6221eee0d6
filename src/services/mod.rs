//! What spans both databases, or files, or time: secrets, passwords, mail, files of records.

pub mod csv_text;
pub mod institution_settings;
pub mod institution_users;
pub mod mail;
pub mod mail_texts;
mod password_policy;
pub mod passwords;
pub mod secrets;
pub mod student_import;
pub mod tokens;
