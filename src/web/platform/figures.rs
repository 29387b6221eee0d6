//! Figures as the pages of the platform show them: charts by day, the use of one institution, the noisiest ones.

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use crate::{
    db::now,
    models::platform::{
        slow_queries::SlowQuery,
        tenant_figures::{Standout, TenantFigures},
        usage::{Period, Usage},
    },
    web::{
        cell::Cell,
        chart::Chart,
        list::{Column, ListSpec, ListView, Row},
        record::Section,
        time::Clock,
        words::{Noun, bytes, grouped, growth, percent, short_time},
    },
};

/// Days that a chart shows.
const DAYS: i64 = 30;

/// The first day of the charts.
pub(super) fn chart_start() -> NaiveDateTime {
    Period::Day.start(now() - TimeDelta::days(DAYS - 1))
}

/// A chart of the last days from what is known of some of them; a day that is not known is `missing`, or like the one
/// before it.
fn by_day(known: &HashMap<NaiveDate, i64>, missing: Option<i64>) -> Vec<(String, i64)> {
    let first = chart_start().date();
    let mut last = 0;
    (0..DAYS)
        .filter_map(|day| first.checked_add_signed(TimeDelta::days(day)))
        .map(|day| {
            last = known.get(&day).copied().or(missing).unwrap_or(last);
            (day.format("%-d %b").to_string(), last)
        })
        .collect()
}

/// Requests by day.
pub(super) fn requests_chart(usage: &[Usage]) -> Chart {
    let known = usage.iter().map(|day| (day.starts_at.date(), day.requests)).collect();
    Chart::new("Requests by day", "Requests", by_day(&known, Some(0)), grouped)
}

/// Size by day, as it was last measured on each.
pub(super) fn size_chart(usage: &[Usage]) -> Chart {
    let known = usage.iter().filter_map(|day| Some((day.starts_at.date(), day.size_bytes?))).collect();
    Chart::new("Storage by day", "Size", by_day(&known, None), bytes)
}

/// Registrations by day.
pub(super) fn registrations_chart(counted: &HashMap<NaiveDate, i64>) -> Chart {
    Chart::new("Registrations by day", "Registrations", by_day(counted, Some(0)), grouped)
}

/// The figures of one institution's database.
pub(super) fn use_of(clock: &Clock, figures: &TenantFigures, users: i64) -> Section {
    let size = figures.size().map_or_else(Cell::nothing, |size| Cell::text(bytes(size)));
    let times = format!(
        "half within {}, 95 % within {}, 99 % within {}",
        short_time(figures.p50_micros),
        short_time(figures.p95_micros),
        short_time(figures.p99_micros)
    );
    let waits = match figures.waits {
        0 => "none".to_owned(),
        n => format!("{}, {} in all", Noun::new("wait", "waits").count(n), short_time(figures.wait_micros)),
    };
    let times = if figures.requests == 0 { Cell::nothing() } else { Cell::text(times) };
    let section = Section::new("Use today")
        .fact("Requests", Cell::number(figures.requests))
        .fact("People", Cell::number(users))
        .fact("Errors", Cell::text(percent(figures.error_permille)).note(grouped(figures.errors)))
        .fact("Answered", times)
        .fact("Waits for a connection", waits)
        .fact("Slow queries", Cell::number(figures.slow_queries))
        .fact("Last activity", Cell::time(clock, figures.last_activity_at))
        .fact("Size", size)
        .fact("Growth in 7 days", Cell::text(growth(figures.growth_bytes)));
    match figures.unreachable_since {
        Some(since) => section.fact("Unreachable since", Cell::time(clock, since)),
        None => section,
    }
}

/// The queries that took longest in all.
pub(super) fn slow_list(clock: &Clock, found: Vec<SlowQuery>) -> ListView {
    const COLUMNS: &[Column] = &[
        Column::new("statement", "Statement"),
        Column::new("runs", "Runs").numeric(),
        Column::new("total", "In all").numeric(),
        Column::new("worst", "Longest").numeric(),
        Column::new("seen", "Last seen").minor(),
    ];
    let rows = found.into_iter().map(|query| {
        Row::plain(query.fingerprint)
            .cell(Cell::mono(query.statement))
            .cell(Cell::number(query.runs))
            .cell(Cell::figure(short_time(query.total_micros)))
            .cell(Cell::figure(short_time(query.worst_micros)))
            .cell(Cell::time(clock, query.last_seen_at))
    });
    let spec = ListSpec::new("", Noun::new("slow query", "slow queries"), COLUMNS);
    ListView::plain(spec, rows.collect()).region("slow")
}

/// The pages that were used most.
pub(super) fn page_list(pages: Vec<(String, i64)>) -> ListView {
    const COLUMNS: &[Column] = &[Column::new("page", "Page"), Column::new("requests", "Requests").numeric()];
    let rows = pages
        .into_iter()
        .map(|(route, requests)| Row::plain(&route).cell(Cell::mono(route)).cell(Cell::number(requests)));
    let spec = ListSpec::new("", Noun::new("page", "pages"), COLUMNS);
    ListView::plain(spec, rows.collect()).region("pages")
}

/// The institutions that ask for most.
pub(super) fn noisy_list(found: Vec<Standout>, connections: impl Fn(&Standout) -> usize) -> ListView {
    const COLUMNS: &[Column] = &[
        Column::new("name", "Institution"),
        Column::new("requests", "Requests").numeric(),
        Column::new("p95", "95 % within").numeric(),
        Column::new("errors", "Errors").numeric(),
        Column::new("connections", "Connections").numeric().minor(),
        Column::new("waits", "Waits").numeric().minor(),
        Column::new("slow", "Slow queries").numeric().minor(),
        Column::new("size", "Size").numeric().minor(),
        Column::new("growth", "Growth").numeric().minor(),
    ];
    let rows = found.into_iter().map(|one| {
        let open = i64::try_from(connections(&one)).unwrap_or(i64::MAX);
        let size = one.figures.size();
        Row::new(one.institution_id, format!("/platform/institutions/{}", one.domain))
            .cell(Cell::text(one.name).note(one.domain))
            .cell(Cell::number(one.figures.requests))
            .cell(Cell::figure(short_time(one.figures.p95_micros)))
            .cell(Cell::figure(percent(one.figures.error_permille)))
            .cell(Cell::number(open))
            .cell(Cell::number(one.figures.waits))
            .cell(Cell::number(one.figures.slow_queries))
            .cell(size.map_or_else(Cell::nothing, |size| Cell::figure(bytes(size))))
            .cell(Cell::figure(growth(one.figures.growth_bytes)))
    });
    let spec = ListSpec::new("/platform/databases", Noun::new("institution", "institutions"), COLUMNS).empty(
        "Nobody has been here today",
        "The institutions with the most requests appear here.",
        None,
    );
    ListView::plain(spec, rows.collect()).region("noisy")
}
