//! `/platform/registrations/import`: a CSV file, its dry run, and the operation that applies it.

use actix_web::{HttpResponse, http::StatusCode};

use super::{registrations::PATH as LIST, status_badge};
use crate::{
    db::Id,
    error::AppError,
    models::platform::imports::{self, Import, NewImport},
    services::registration_import::{self as service, DryRun, FILE_KIND, Refusal},
    web::{
        RecordId, State,
        auth::SuperAdmin,
        cell::Cell,
        forms::{Form, FormPage},
        icons::Icon,
        list::{Column, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{self, html, html_with_status, see_other},
        upload::Upload,
        words::{Noun, grouped},
    },
};

const PATH: &str = "/platform/registrations/import";
/// Rows of trouble shown on the page; the file has them all.
const SHOWN: usize = 100;

const REFUSED: &[Column] = &[
    Column::new("line", "Line"),
    Column::new("column", "Column"),
    Column::new("value", "Value"),
    Column::new("todo", "What to do"),
];
const ALREADY: &[Column] = &[
    Column::new("domain", "Domain"),
    Column::new("line", "Line").numeric(),
    Column::new("status", "Status"),
];

/// `GET /platform/registrations/import`: super admins.
pub async fn show(admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    Ok(html(&FormPage::new(page(&admin), upload_form()))?)
}

/// `POST /platform/registrations/import`: super admins; keeps the file and shows its dry run.
pub async fn upload(platform: State, admin: SuperAdmin, upload: Upload) -> Result<HttpResponse, AppError> {
    let read = upload.content.and_then(|content| match service::read(&content) {
        Ok(_) => Ok(content),
        Err(problem) => Err(format!("{problem}.")),
    });
    let content = match read {
        Ok(content) => content,
        Err(problem) => {
            let mut form = upload_form();
            form.error("file", problem);
            let view = FormPage::new(page(&admin), form);
            return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
        }
    };
    let created_by = admin.id;
    let id = platform
        .shared
        .run(move |c| {
            let name = if upload.file_name.is_empty() { "a file" } else { &upload.file_name };
            let file =
                NewImport { kind: FILE_KIND, file_name: name, content: &content, mapping: "{}", created_by };
            imports::create(c, &file)
        })
        .await?;
    Ok(see_other(format!("{PATH}/{id}")))
}

fn page(admin: &SuperAdmin) -> Page {
    admin
        .page("Import registrations")
        .crumb("Registrations", LIST)
        .intro("Every row becomes a registration that waits for a decision. Nothing is written before you have seen what would happen.")
}

fn upload_form() -> Form {
    let mut form = Form::new(PATH).submit("Check file").cancel(LIST).unguarded();
    form.file(
        "file",
        "CSV file",
        ".csv,text/csv",
        "UTF-8, up to 10 MB and 50,000 rows. The first row names the columns: name, domain, country; and, if you \
         have them, region, website, kind, time_zone, admin_name, admin_email. Without a kind it is a university, \
         without a time zone UTC; both can be changed later.",
    );
    form
}

/// `GET /platform/registrations/import/{id}`: super admins; what the file would do now.
pub async fn check(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (file, run) = dry_run(&platform, id).await?;
    if let Some(operation) = file.operation_id {
        return Ok(see_other(format!("/platform/operations/{operation}")));
    }
    let page = admin
        .page(format!("Check {}", file.file_name))
        .crumb("Registrations", LIST)
        .crumb("Import registrations", PATH)
        .also(Action::link("Choose another file", PATH).icon(Icon::Upload));
    let page = if run.create > 0 {
        let label = format!("Import {}", REGISTRATION.count(count(run.create)));
        page.action(Action::post(label, format!("{PATH}/{id}")).icon(Icon::Check))
    } else {
        page
    };
    Ok(html(&RecordPage::new(page, report(id, &run)))?)
}

const REGISTRATION: Noun = Noun::new("registration", "registrations");

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

async fn dry_run(platform: &State, id: Id) -> Result<(Import, DryRun), AppError> {
    let run = platform
        .shared
        .run(move |c| {
            let file = imports::find(c, id, FILE_KIND)?;
            // It was read once before it was kept.
            let reading = service::read(&file.content)
                .map_err(|problem| crate::models::ModelError::Refused(format!("{problem}.")))?;
            let run = service::dry_run(c, reading)?;
            crate::models::ModelResult::Ok((file, run))
        })
        .await?;
    Ok(run)
}

fn report(id: Id, run: &DryRun) -> Record {
    let reading = &run.reading;
    let rows = reading.rows.len() + reading.refused;
    let mut counts = Section::new("What would happen")
        .fact("Rows in the file", Cell::number(count(rows)))
        .fact("Would be registered", Cell::number(count(run.create)))
        .fact("Already there", Cell::number(count(run.already.len())))
        .fact("Refused", Cell::number(count(reading.refused)));
    if !reading.mended.is_empty() {
        let lines: Vec<_> = reading.mended.iter().take(20).map(ToString::to_string).collect();
        counts = counts.fact("Letters mended", Cell::text(format!("line {}", lines.join(", "))));
    }
    if !reading.ignored.is_empty() {
        counts = counts.fact("Columns left out", Cell::text(reading.ignored.join(", ")));
    }
    let notice = match (run.create, reading.refused) {
        (0, 0) => Notice::info("Everything in this file is registered already. There is nothing to import."),
        (0, _) => Notice::warning("No row of this file can be imported. Mend the file and check it again."),
        (_, 0) => Notice::success("Every row can be read."),
        (_, refused) => Notice::warning(format!(
            "{} cannot be read and would be left out. You can import the others now, and the mended rows later.",
            Noun::new("row", "rows").count(count(refused))
        ))
        .link("Download the refused rows", format!("{PATH}/{id}/refused.csv")),
    };
    let mut record = Record::new().notice(notice).section(counts);
    if !reading.refusals.is_empty() {
        let title = first("Refused", reading.refusals.len());
        record = record.list(title, refused_list(&reading.refusals));
    }
    if !run.already.is_empty() {
        record = record.list(first("Already there", run.already.len()), already_list(run));
    }
    record
}

fn first(title: &str, all: usize) -> String {
    if all > SHOWN {
        format!("{title}: the first {SHOWN} of {}", grouped(count(all)))
    } else {
        title.to_owned()
    }
}

fn refused_list(refusals: &[Refusal]) -> ListView {
    let rows = refusals.iter().take(SHOWN).enumerate().map(|(index, refusal)| {
        Row::plain(index)
            .cell(count(refusal.line))
            .cell(refusal.column.as_str())
            .cell(Cell::mono(refusal.value.as_str()))
            .cell(refusal.todo.as_str())
    });
    ListView::plain(ListSpec::new(PATH, Noun::new("problem", "problems"), REFUSED), rows.collect())
        .region("refused")
}

fn already_list(run: &DryRun) -> ListView {
    let rows = run.already.iter().take(SHOWN).map(|(line, domain, status)| {
        Row::new(line, format!("/platform/institutions/{domain}"))
            .cell(domain.as_str())
            .cell(count(*line))
            .cell(status_badge(*status))
    });
    ListView::plain(ListSpec::new(PATH, Noun::new("institution", "institutions"), ALREADY), rows.collect())
        .region("already")
}

/// `POST /platform/registrations/import/{id}`: super admins; starts the operation, once.
pub async fn apply(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (file, run) = dry_run(&platform, id).await?;
    if let Some(operation) = file.operation_id {
        return Ok(see_other(format!("/platform/operations/{operation}")));
    }
    let (audit, rows) = (admin.audit(&platform), run.reading.rows.len());
    let operation = platform.shared.run(move |c| service::start(c, &audit, id, rows)).await?;
    platform.operations.wake();
    Ok(see_other(format!("/platform/operations/{operation}")))
}

/// `GET /platform/registrations/import/{id}/refused.csv`: super admins; every refused cell with what to do.
pub async fn refused(
    platform: State,
    _admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (_, run) = dry_run(&platform, id).await?;
    let rows = run.reading.refusals.into_iter().map(|r| [r.line.to_string(), r.column, r.value, r.todo]);
    Ok(respond::csv("refused.csv", &["line", "column", "value", "what_to_do"], rows))
}
