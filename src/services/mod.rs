//! What spans both databases, or files, or time: secrets, passwords, mail, files of records.

pub mod accounts;
pub mod audit_anchor;
pub mod backups;
pub mod bulk_decisions;
pub mod csv_text;
pub mod decisions;
pub mod doctor;
pub mod fleet;
pub mod housekeeping;
pub mod institution_settings;
pub mod institution_users;
pub mod keys;
pub mod mail;
pub mod mail_texts;
pub mod operations;
pub mod outbox;
pub mod password_policy;
pub mod passwords;
pub mod platform;
pub mod registration_import;
pub mod schedule;
pub mod secrets;
pub mod settings;
pub mod student_import;
pub mod tenants;
pub mod tokens;
