//! The rows of a file: what an import would do with each, and afterwards what became of them.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use super::{Kept, own_path};
use crate::{
    error::AppError,
    models::{institution::imports::ImportHead, search::fold},
    services::student_import::{Counts, Outcome, Plan, PlannedRow, REFUSED_KEPT, Verdict},
    web::{
        auth::InstitutionUser,
        badge::{Badge, Tone},
        cell::Cell,
        forms::{Choice, Form},
        icons::Icon,
        institution::activity_words,
        list::{Column, Filter, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        respond::{html, html_with_status},
        stat::Stat,
        words::Noun,
    },
};

#[derive(Template)]
#[template(path = "institution/student_import.html")]
struct CheckView {
    page: Page,
    notice: Option<Notice>,
    tiles: Vec<Stat>,
    /// What the columns mean; none once the import is over.
    mapping: Option<Form>,
    /// Whether the columns need a look before anything else.
    open: bool,
    rows: ListView,
}

/// What the import would do.
pub(super) fn check(
    user: &InstitutionUser,
    kept: &Kept,
    plan: &Plan,
    form: Form,
    raw: &str,
    status: StatusCode,
) -> Result<HttpResponse, AppError> {
    let (own, counts) = (own_path(user, kept.import.id), plan.counts());
    let problems = kept.mapping.problems();
    let open = form.is_invalid() || !problems.is_empty();
    let notice = match problems.first() {
        Some(problem) => Some(Notice::error(problem.as_str())),
        None if kept.lacking.is_some() => kept.lacking.as_deref().map(Notice::error),
        None if counts.writes() == 0 && counts.refused == 0 => {
            Some(Notice::info("Everything in this file is known already. There is nothing to import."))
        }
        None if counts.refused > 0 => Some(Notice::warning(
            "Refused rows are left out; the others can be imported. Mend them in the file and import it again: \
             what is known already does not change.",
        )),
        None => None,
    };
    let mut page = user
        .page(format!("Import {}", kept.import.file_name))
        .crumb("Students", user.path("/students"))
        .crumb("Import", user.path("/students/import"))
        .intro("Nothing is changed yet. This is what the import would do.")
        .also(Action::link("Choose another file", user.path("/students/import")));
    if counts.writes() > 0 && !open && kept.lacking.is_none() {
        let noun = Noun::new("student", "students");
        let label = format!("Import {}", noun.count(i64::try_from(counts.writes()).unwrap_or(i64::MAX)));
        page = page.action(Action::post(label, own.as_str()).icon(Icon::Check));
    }
    let tiles = tiles(&own, counts, false);
    let view =
        CheckView { page, notice, tiles, mapping: Some(form), open, rows: rows(own, &plan.rows, raw, false) };
    Ok(html_with_status(status, &view)?)
}

fn tiles(own: &str, counts: Counts, over: bool) -> Vec<Stat> {
    Verdict::ALL
        .iter()
        .map(|verdict| {
            let n = counts.of(*verdict);
            let stat = Stat::new(verdict_words(*verdict, over), i64::try_from(n).unwrap_or(i64::MAX));
            let stat = if n > 0 && !over { stat.href(format!("{own}?show={verdict}#list")) } else { stat };
            if *verdict == Verdict::Refused && n > 0 { stat.tone(Tone::Bad) } else { stat }
        })
        .collect()
}

fn verdict_words(verdict: Verdict, over: bool) -> &'static str {
    match (verdict, over) {
        (Verdict::Created, false) => "To be added",
        (Verdict::Created, true) => "Added",
        (Verdict::Updated, false) => "To be changed",
        (Verdict::Updated, true) => "Changed",
        (Verdict::Unchanged, _) => "Unchanged",
        (Verdict::Refused, _) => "Refused",
    }
}

fn rows(own: String, of_file: &[PlannedRow], raw: &str, over: bool) -> ListView {
    let columns = [
        Column::new("line", "Line"),
        Column::new("number", "Number"),
        Column::new("name", "Name"),
        Column::new("verdict", "What happens"),
        Column::new("why", "Details"),
    ];
    let choices =
        Verdict::ALL.iter().map(|verdict| Choice::new(verdict.as_str(), verdict_words(*verdict, over)));
    let mut spec = ListSpec::new(own, Noun::new("row", "rows"), &columns).search("Number or name");
    if !over {
        spec = spec.filter(Filter::one_of("show", "Show", choices));
    }
    let mut query = ListQuery::parse(&spec, raw);
    let wanted = query.filter("show").and_then(|word| word.parse::<Verdict>().ok());
    let words = fold(query.q().unwrap_or_default());
    let matches = |row: &&PlannedRow| {
        wanted.is_none_or(|verdict| row.verdict == verdict)
            && (words.is_empty() || fold(&row.number).contains(&words) || fold(&row.name).contains(&words))
    };
    let all: Vec<&PlannedRow> = of_file.iter().filter(matches).collect();
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    query.fit(total);
    let skipped = usize::try_from(query.offset()).unwrap_or(0);
    let limit = usize::try_from(query.limit()).unwrap_or(0);
    let shown = all.into_iter().skip(skipped).take(limit).map(shown_row).collect();
    ListView::new(spec, query, total, shown)
}

fn shown_row(row: &PlannedRow) -> Row {
    let (tone, words) = match row.verdict {
        Verdict::Created => (Tone::Good, "Add"),
        Verdict::Updated => (Tone::Working, "Change"),
        Verdict::Unchanged => (Tone::Past, "Nothing"),
        Verdict::Refused => (Tone::Bad, "Refuse"),
    };
    let icon = match row.verdict {
        Verdict::Created => Icon::Plus,
        Verdict::Updated => Icon::Pencil,
        Verdict::Unchanged => Icon::Circle,
        Verdict::Refused => Icon::CircleX,
    };
    let problems =
        row.problems.iter().map(|problem| match (problem.column.as_str(), problem.value.as_str()) {
            ("", _) => problem.advice.clone(),
            (column, "") => format!("{column}: {}", problem.advice),
            (column, value) => format!("{column} “{value}”: {}", problem.advice),
        });
    let changes = row.changes.iter().map(activity_words::change).map(|change| {
        let before = if change.before.is_empty() { "empty" } else { change.before.as_str() };
        format!("{}: {before} → {}", change.field, change.after)
    });
    let details: Vec<String> = problems.chain(changes).collect();
    Row::plain(row.line)
        .cell(Cell::figure(row.line.to_string()))
        .cell(if row.number.is_empty() { Cell::nothing() } else { Cell::mono(&row.number) })
        .cell(row.name.as_str())
        .cell(Badge::new(tone, words).icon(icon))
        .cell(if details.is_empty() { Cell::nothing() } else { Cell::lines(details.join("\n")) })
}

/// What the import did, as it was kept then: the file is gone, and the records may have changed since.
pub(super) fn done(
    user: &InstitutionUser,
    head: &ImportHead,
    outcome: &Outcome,
    raw: &str,
) -> Result<HttpResponse, AppError> {
    let (own, counts) = (own_path(user, head.id), outcome.counts);
    let notice = match counts.refused {
        0 => Notice::success("Every row of the file was used."),
        n => {
            let which = if n > outcome.refused.len() {
                format!(
                    "Refused rows were left out; the first {} are listed.",
                    Noun::new("row", "rows").count(i64::try_from(REFUSED_KEPT).unwrap_or(i64::MAX))
                )
            } else {
                "The rows below were left out.".to_owned()
            };
            Notice::warning(format!(
                "{which} Mend them in the file and import it again: what is known already does not change."
            ))
        }
    };
    let page = user
        .page(format!("Imported {}", head.file_name))
        .crumb("Students", user.path("/students"))
        .crumb("Import", user.path("/students/import"))
        .action(Action::link("Open students", user.path("/students")).icon(Icon::Students))
        .also(Action::link("Import another file", user.path("/students/import")).icon(Icon::Upload));
    let mut rows = rows(own.clone(), &outcome.refused, raw, true);
    rows.spec = rows.spec.empty("No row was refused", "The whole file is in your records.", None);
    let view = CheckView {
        page,
        notice: Some(notice),
        tiles: tiles(&own, counts, true),
        mapping: None,
        open: false,
        rows,
    };
    Ok(html(&view)?)
}
