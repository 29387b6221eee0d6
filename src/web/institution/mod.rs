//! The pages of one institution: home, students, activity, users, settings.

pub mod activity;
mod activity_words;
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
        institution::{
            activity::{Activity, Change},
            profile,
        },
    },
    web::{
        list::ListQuery,
        time::{Clock, DateFormat},
    },
};
/// The clock of the institution: its time zone and its way to write dates.
pub(in crate::web) fn clock(connection: &mut TenantConn) -> ModelResult<Clock> {
    let profile = profile::find(connection)?;
    let zone = profile.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC);
    Ok(Clock::local(zone, date_format(&profile.locale)))
}

fn date_format(locale: &str) -> DateFormat {
    match locale {
        "en-US" => DateFormat::MonthDayYear,
        "en-SE" => DateFormat::Iso,
        _ => DateFormat::DayMonthYear,
    }
}

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
