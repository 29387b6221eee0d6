//! The pages of one institution: home, students, activity, users, settings.

pub mod activity;
mod activity_words;
pub mod export;
pub mod home;
pub mod settings;
mod student_form;
pub mod student_import;
pub mod students;
pub mod users;

use crate::{
    db::tenant::TenantConn,
    models::{
        ModelResult,
        institution::activity::{Activity, Change},
    },
    web::list::ListQuery,
};

/// Leaves a trace of a file before its first row is sent: who took what away, narrowed by what.
fn note_export(
    connection: &mut TenantConn,
    activity: &Activity,
    (action, kind): (&str, &str),
    label: &str,
    query: &ListQuery,
) -> ModelResult<()> {
    let narrowed = query.narrowed_by();
    let changes: Vec<Change> =
        narrowed.into_iter().map(|(key, value)| Change::new(key, None, Some(value))).collect();
    connection.write_tx(|c| activity.record(c, action, kind, None, label, &changes))
}
