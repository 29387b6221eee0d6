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
    error::AppError,
    models::{
        ModelResult,
        institution::{
            activity::{Activity, Change},
            profile,
        },
    },
    services::csv_text::CsvWriter,
    web::{
        list::ListQuery,
        respond::csv_download,
        time::{Clock, DateFormat},
    },
};
use actix_web::{HttpResponse, web::Bytes};
use futures_util::{StreamExt, future::ready, stream};

/// Rows read at a time for a file.
const CSV_CHUNK: i64 = 2_000;

/// The clock of the institution: its time zone and its way to write dates.
fn clock(connection: &mut TenantConn) -> ModelResult<Clock> {
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

/// Rows of a file, and where to go on; none at the end.
type Chunk<C> = (Vec<Vec<String>>, Option<C>);

/// A CSV file sent in bounded pieces: `next` reads the rows after a cursor. What fails before the
/// first piece is an error page; later the download breaks off, so that nobody takes half for all.
async fn stream_csv<C, N, F>(file_name: &str, heads: &[&str], mut next: N) -> Result<HttpResponse, AppError>
where
    C: 'static,
    N: FnMut(Option<C>) -> F + 'static,
    F: Future<Output = Result<Chunk<C>, AppError>> + 'static,
{
    let mut csv = CsvWriter::new();
    csv.row(heads);
    let (rows, cursor) = next(None).await?;
    rows.iter().for_each(|row| csv.row(row));
    let first = stream::once(ready(Ok::<_, actix_web::Error>(Bytes::from(csv.take()))));
    let rest = stream::try_unfold((cursor, csv, next), |(cursor, mut csv, mut next)| async move {
        let Some(cursor) = cursor else { return Ok(None) };
        let (rows, cursor) = next(Some(cursor)).await?;
        rows.iter().for_each(|row| csv.row(row));
        let piece = Bytes::from(csv.take());
        Ok(Some((piece, (cursor, csv, next))))
    });
    Ok(csv_download(file_name).streaming(first.chain(rest)))
}
