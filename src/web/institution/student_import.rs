//! Students from a file: upload, say what the columns mean, look at what would happen, import, watch.

mod columns;
mod progress;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::clock;
use crate::{
    db::{Id, tenant::TenantConn},
    error::{AppError, told},
    models::{
        ModelError, ModelResult,
        institution::imports::{self, Import},
        platform::operations::{self, Kind, NewOperation, OperationStatus},
        search::fold,
    },
    services::{
        csv_text::{Table, read_csv},
        operations::import_students,
        student_import::{self, Counts, KIND, LIMITS, Mapping, Plan, PlannedRow, Verdict},
    },
    web::{
        RecordId, State,
        auth::{InstitutionUser, Registrar},
        badge::{Badge, Tone},
        cell::Cell,
        forms::{Choice, Form, FormData, FormPage},
        icons::Icon,
        institution::activity_words,
        list::{Column, Filter, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        stat::Stat,
        upload::Upload,
        words::Noun,
    },
};

/// `GET /i/{domain}/students/import`: registrars and owners.
pub async fn new(user: Registrar) -> Result<HttpResponse, AppError> {
    Ok(html(&FormPage::new(upload_page(&user), upload_form(&user)))?)
}

fn upload_page(user: &InstitutionUser) -> Page {
    user.page("Import students")
        .crumb("Students", user.path("/students"))
        .intro("Nothing is changed yet: first you see what each row would do.")
        .also(
            Action::link("Download a template", user.path("/students/import/template.csv"))
                .icon(Icon::Download),
        )
}

fn upload_form(user: &InstitutionUser) -> Form {
    let mut form = Form::new(user.path("/students/import"))
        .submit("Check file")
        .cancel(user.path("/students"))
        .unguarded();
    form.group_with(
        "File",
        "Students are matched by their number: known ones are changed, new ones are added, and whoever is not in \
         the file is left alone. A blank cell leaves what is there.",
    );
    form.file(
        "file",
        "CSV file",
        ".csv,.txt,.tsv,text/csv,text/plain",
        "In a spreadsheet choose “Save as” and “CSV UTF-8”. Up to 50,000 rows and 10 MB.",
    );
    form
}

/// `GET /i/{domain}/students/import/template.csv`: registrars and owners.
pub async fn template(_user: Registrar) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("Content-Disposition", "attachment; filename=\"students-template.csv\""))
        .body(student_import::template())
}

/// `POST /i/{domain}/students/import`: registrars and owners.
pub async fn upload(user: Registrar, upload: Upload) -> Result<HttpResponse, AppError> {
    let read = upload.content.and_then(|content| match read_csv(&content, LIMITS) {
        Ok(table) => Ok((content, Mapping::guess(&table))),
        Err(problem) => Err(format!("{problem}.")),
    });
    match read {
        Ok((content, mapping)) => {
            let mapping = serde_json::to_string(&mapping).map_err(AppError::internal)?;
            let name = if upload.file_name.is_empty() { "students.csv".into() } else { upload.file_name };
            let by = user.id;
            let id = user.db.run(move |c| imports::create(c, KIND, &name, &content, &mapping, by)).await?;
            Ok(see_other(own_path(&user, id)))
        }
        Err(text) => {
            let mut form = upload_form(&user);
            form.error("file", text);
            Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(upload_page(&user), form))?)
        }
    }
}

fn own_path(user: &InstitutionUser, id: Id) -> String {
    user.path(&format!("/students/import/{id}"))
}

/// A kept file, read.
struct Kept {
    import: Import,
    table: Table,
    mapping: Mapping,
}

fn kept(connection: &mut TenantConn, id: Id) -> ModelResult<Kept> {
    let import = imports::find(connection, KIND, id)?;
    let unreadable = || ModelError::Refused("This file can no longer be read. Upload it again.".into());
    let table = read_csv(&import.content, LIMITS).map_err(|_| unreadable())?;
    let mapping = serde_json::from_str(&import.mapping).map_err(|_| unreadable())?;
    Ok(Kept { import, table, mapping })
}

/// `GET /i/{domain}/students/import/{id}`: registrars and owners. Before the import what would happen,
/// while it runs how far it is, and afterwards what happened.
pub async fn show(
    user: Registrar,
    platform: State,
    RecordId(id): RecordId,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let (clock, kept, plan) = user
        .db
        .run(move |c| {
            let kept = kept(c, id)?;
            let plan = student_import::plan(c, &kept.table, &kept.mapping)?;
            ModelResult::Ok((clock(c)?, kept, plan))
        })
        .await?;
    match kept.import.operation_id {
        None => {
            check(&user, &kept, &plan, columns::form(&user, &kept), request.query_string(), StatusCode::OK)
        }
        Some(operation) => {
            let institution = user.institution.id;
            let (operation, steps) = platform
                .shared
                .run(move |c| {
                    let found = operations::find(c, operation)?;
                    let steps = operations::steps(c, operation)?;
                    ModelResult::Ok((found, steps))
                })
                .await?;
            if operation.institution_id != Some(institution) {
                return Err(AppError::NotFound);
            }
            if operation.status == OperationStatus::Succeeded {
                done(&user, &kept, &plan, request.query_string())
            } else {
                progress::show(&user, &clock, &kept, &operation, &steps)
            }
        }
    }
}

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

fn check(
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
    if counts.writes() > 0 && !open {
        let noun = Noun::new("student", "students");
        let label = format!("Import {}", noun.count(i64::try_from(counts.writes()).unwrap_or(i64::MAX)));
        page = page.action(Action::post(label, own.as_str()).icon(Icon::Check));
    }
    let tiles = tiles(&own, counts, false);
    let view =
        CheckView { page, notice, tiles, mapping: Some(form), open, rows: rows(own, plan, raw, false) };
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

fn rows(own: String, plan: &Plan, raw: &str, over: bool) -> ListView {
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
    let wanted = if over { Some(Verdict::Refused) } else { wanted };
    let words = fold(query.q().unwrap_or_default());
    let matches = |row: &&PlannedRow| {
        wanted.is_none_or(|verdict| row.verdict == verdict)
            && (words.is_empty() || fold(&row.number).contains(&words) || fold(&row.name).contains(&words))
    };
    let all: Vec<&PlannedRow> = plan.rows.iter().filter(matches).collect();
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

/// `POST /i/{domain}/students/import/{id}/columns`: registrars and owners.
pub async fn set_columns(
    user: Registrar,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (kept, plan) = user
        .db
        .run(move |c| {
            let kept = kept(c, id)?;
            let plan = student_import::plan(c, &kept.table, &kept.mapping)?;
            ModelResult::Ok((kept, plan))
        })
        .await?;
    let mut form = columns::blank(&user, id).submitted(&data);
    let Some(mapping) = columns::fields(&mut form, &kept) else {
        return check(&user, &kept, &plan, form, "", StatusCode::UNPROCESSABLE_ENTITY);
    };
    let mapping = serde_json::to_string(&mapping).map_err(AppError::internal)?;
    if let Err(text) = told(user.db.run(move |c| imports::set_mapping(c, id, &mapping)).await)? {
        user.flash(Notice::error(text))?;
    }
    Ok(see_other(own_path(&user, id)))
}

/// `POST /i/{domain}/students/import/{id}`: registrars and owners.
pub async fn apply(
    user: Registrar,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let own = own_path(&user, id);
    let kept = user.db.run(move |c| kept(c, id)).await?;
    if kept.import.operation_id.is_some() || !kept.mapping.problems().is_empty() {
        return Ok(see_other(own));
    }
    let (actor, institution) = (user.actor(), user.institution.id);
    // The platform sees operations: the file's name may hold a student's, so it stays here.
    let (subject, total) = (user.institution.name.clone(), kept.table.rows.len());
    let queued = platform
        .shared
        .run(move |c| {
            let input =
                serde_json::json!({ "import_id": id, "ip": actor.ip, "user_agent": actor.user_agent });
            let new = NewOperation {
                kind: Kind::ImportStudents,
                institution_id: Some(institution),
                subject: &subject,
                input: &input,
                steps: &[import_students::STEP],
                total: i64::try_from(total).unwrap_or(i64::MAX),
            };
            operations::enqueue(c, &new, &actor)
        })
        .await;
    match told(queued)? {
        Ok(operation) => {
            // Should this not be reached, the operation says it by itself when it begins.
            if let Err(text) = told(user.db.run(move |c| imports::begin(c, id, operation)).await)? {
                user.flash(Notice::error(text))?;
            }
            platform.operations.wake();
        }
        Err(_) => user.flash(Notice::warning(
            "Another file of students is being imported right now. Wait until it is done, then try again.",
        ))?,
    }
    Ok(see_other(own))
}

fn done(user: &InstitutionUser, kept: &Kept, plan: &Plan, raw: &str) -> Result<HttpResponse, AppError> {
    let own = own_path(user, kept.import.id);
    let counts = kept.import.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let counts: Counts = counts.unwrap_or_else(|| plan.counts());
    let notice = if counts.refused > 0 {
        Notice::warning(
            "The rows below were left out. Mend them in the file and import it again: what is known already does not change.",
        )
    } else {
        Notice::success("Every row of the file was used.")
    };
    let page = user
        .page(format!("Imported {}", kept.import.file_name))
        .crumb("Students", user.path("/students"))
        .crumb("Import", user.path("/students/import"))
        .action(Action::link("Open students", user.path("/students")).icon(Icon::Students))
        .also(Action::link("Import another file", user.path("/students/import")).icon(Icon::Upload));
    let mut rows = rows(own.clone(), plan, raw, true);
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
