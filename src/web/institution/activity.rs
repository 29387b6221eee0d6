//! The activity log: who did what to which record, when, from where, before and after.

use actix_web::{HttpRequest, HttpResponse};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone};

use super::{
    activity_words,
    list_file::{ListFile, Taken},
};
use crate::{
    db::{Id, tenant::TenantConn},
    error::AppError,
    models::{
        ModelResult,
        institution::{
            activity::{self, ActivityFilter, Entry},
            profile,
        },
        platform::log_archives,
    },
    web::{
        RecordId, State,
        auth::InstitutionUser,
        cell::Cell,
        client::browser_name,
        csv_file::{CHUNK, moment},
        forms::Choice,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        record::{Record, RecordPage, Section},
        respond::html,
        words::Noun,
    },
};

const NOUN: Noun = Noun::new("entry", "entries");

const COLUMNS: &[Column] = &[
    Column::new("at", "When").sortable(),
    Column::new("who", "Who"),
    Column::new("what", "What"),
    Column::new("record", "Record"),
    Column::new("changes", "Changes").minor(),
];

fn spec(path: String, actors: &[(Id, String)]) -> ListSpec {
    let actions = activity_words::ACTIONS.iter().map(|(key, _, words)| Choice::new(*key, *words));
    let kinds = activity_words::KINDS.iter().map(|(key, label)| Choice::new(*key, *label));
    let actors = actors.iter().map(|(id, name)| Choice::new(id.to_string(), name.as_str()));
    ListSpec::new(path, NOUN, COLUMNS)
        .sorted_by("at", Dir::Desc)
        .search("Record or person")
        .filter(Filter::one_of("who", "Who", actors))
        .filter(Filter::one_of("action", "What", actions))
        .filter(Filter::one_of("record", "Record", kinds))
        .filter(Filter::date("from", "From"))
        .filter(Filter::date("to", "To"))
        .csv()
        .empty(
            "Nothing has happened yet",
            "Every change to a record, a user or the settings is kept here.",
            None,
        )
}

/// Reads the address against the log; days are days where the institution is.
fn asked(
    connection: &mut TenantConn,
    path: String,
    raw: &str,
) -> ModelResult<(ListSpec, ListQuery, ActivityFilter)> {
    let spec = spec(path, &activity::actors(connection)?);
    let query = ListQuery::parse(&spec, raw);
    let zone = profile::find(connection)?.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC);
    let filter = ActivityFilter {
        q: query.q().unwrap_or_default().to_owned(),
        action: query.filter("action").map(str::to_owned),
        record_kind: query.filter("record").map(str::to_owned),
        actor_id: query.filter("who").and_then(|id| id.parse().ok()),
        from: query.date("from").map(|day| start_of(day, zone)),
        until: query.date("to").and_then(|day| day.succ_opt()).map(|day| start_of(day, zone)),
    };
    Ok((spec, query, filter))
}

/// The first moment of a day in a zone, in UTC. Where midnight does not exist, the day begins an hour later.
fn start_of(day: NaiveDate, zone: chrono_tz::Tz) -> NaiveDateTime {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let local = zone.from_local_datetime(&midnight).earliest();
    local
        .or_else(|| zone.from_local_datetime(&(midnight + TimeDelta::hours(1))).earliest())
        .map_or(midnight, |moment| moment.naive_utc())
}

/// `GET /i/{domain}/activity`: every user.
pub async fn list(
    user: InstitutionUser,
    platform: State,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let (path, raw) = (user.path("/activity"), request.query_string().to_owned());
    let (spec, query, slice) = user
        .db
        .run(move |c| {
            let (spec, query, filter) = asked(c, path, &raw)?;
            let slice = activity::page(c, &filter, &query.paging())?;
            ModelResult::Ok((spec, query, slice))
        })
        .await?;
    let row = |entry: &Entry| {
        Row::new(entry.id, user.path(&format!("/activity/{}", entry.id)))
            .cell(Cell::time(&user.clock, entry.at))
            .cell(entry.actor_name.as_str())
            .cell(activity_words::deed_alone(&entry.action))
            .cell(entry.record_label.as_str())
            .cell(activity_words::summary(entry))
    };
    let rows = slice.rows.iter().map(row).collect();
    let mut page = user.page("Activity");
    let id = user.db.institution_id();
    if let Some(since) = platform.shared.run(move |c| log_archives::kept_since(c, id)).await? {
        page = page.intro(format!(
            "What happened before {} is archived; those who run the platform can look it up.",
            user.clock.exact(since)
        ));
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /i/{domain}/activity.csv`: every user; all that match, the newest first.
pub async fn csv(user: InstitutionUser, request: HttpRequest) -> Result<HttpResponse, AppError> {
    const HEADS: &[&str] = &[
        "When (UTC)",
        "Who",
        "Action",
        "Kind of record",
        "Record",
        "Record id",
        "Changes",
        "IP address",
        "Browser",
    ];
    let (path, raw) = (user.path("/activity"), request.query_string().to_owned());
    ListFile {
        name: "activity.csv",
        action: "activity.exported",
        kind: "activity",
        heads: HEADS,
        key: |entry: &Entry| entry.id,
        cells: csv_cells,
        after: |c, filter, last| activity::older_than(c, filter, last, CHUNK),
    }
    .send(&user, move |c| {
        let (_, query, filter) = asked(c, path, &raw)?;
        let label = NOUN.count(activity::count(c, &filter)?);
        Ok(Taken { query, label, filter })
    })
    .await
}

fn csv_cells(entry: Entry) -> Vec<String> {
    let changes: Vec<String> = entry
        .changes()
        .iter()
        .map(activity_words::change)
        .map(|change| format!("{}: {} → {}", change.field, change.before, change.after))
        .collect();
    vec![
        moment(entry.at),
        entry.actor_name,
        entry.action,
        entry.record_kind,
        entry.record_label,
        entry.record_id.map(|id| id.to_string()).unwrap_or_default(),
        changes.join("\n"),
        entry.ip.unwrap_or_default(),
        entry.user_agent.unwrap_or_default(),
    ]
}

/// `GET /i/{domain}/activity/{id}`: every user.
pub async fn show(user: InstitutionUser, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let entry = user.db.run(move |c| activity::find(c, id)).await?;
    let what = activity_words::deed(&entry.action);
    let record_cell = match (entry.record_kind.as_str(), entry.record_id) {
        ("student", Some(id)) => Cell::link(&entry.record_label, user.path(&format!("/students/{id}"))),
        ("user", Some(id)) if user.is_owner() => {
            Cell::link(&entry.record_label, user.path(&format!("/users/{id}")))
        }
        _ => Cell::text(&entry.record_label),
    };
    let about = Section::new("What happened")
        .fact("Who", entry.actor_name.as_str())
        .fact("What", activity_words::deed_alone(&entry.action))
        .fact("Record", record_cell)
        .fact("When", Cell::text(user.clock.exact(entry.at)))
        .fact("IP address", Cell::mono(entry.ip.clone().unwrap_or_else(|| "–".into())))
        .fact("Browser", browser(entry.user_agent.as_deref()));
    let columns =
        [Column::new("field", "Field"), Column::new("before", "Before"), Column::new("after", "After")];
    let rows: Vec<Row> = entry
        .changes()
        .iter()
        .map(activity_words::change)
        .map(|change| {
            let cell = |text: String| if text.contains('\n') { Cell::lines(text) } else { Cell::text(text) };
            Row::plain(&change.field)
                .cell(change.field.as_str())
                .cell(cell(change.before))
                .cell(cell(change.after))
        })
        .collect();
    let mut record = Record::new().section(about);
    if !rows.is_empty() {
        let spec = ListSpec::new("", Noun::new("field", "fields"), &columns);
        record = record.list("Before and after", ListView::plain(spec, rows).region("changes"));
    }
    let page = user
        .page(format!("{} {what} {}", entry.actor_name, entry.record_label))
        .crumb("Activity", user.path("/activity"));
    Ok(html(&RecordPage::new(page, record))?)
}

/// In words, and as the browser itself put it.
fn browser(agent: Option<&str>) -> Cell {
    agent.map_or_else(Cell::nothing, |agent| Cell::text(browser_name(agent)).note(agent))
}
