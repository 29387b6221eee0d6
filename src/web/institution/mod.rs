//! The pages of one institution: home, students, activity, users, settings.

pub mod activity;
mod activity_words;
pub mod export;
pub mod home;
mod list_file;
pub mod settings;
mod student_form;
pub mod student_import;
pub mod students;
pub mod users;
