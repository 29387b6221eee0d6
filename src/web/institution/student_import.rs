//! Students from a file: upload, say what the columns mean, look at what would happen, import, watch.

mod check;
mod columns;
mod progress;

use crate::{
    db::{Id, tenant::TenantConn},
    error::{AppError, told},
    models::{
        Limits, ModelError, ModelResult, Resource,
        institution::{
            imports::{self, Import},
            quota,
        },
        platform::operations::{self, Kind, NewOperation, OperationStatus},
    },
    services::{
        csv_text::{Table, read_csv},
        operations::import_students,
        student_import::{self, KIND, LIMITS, Mapping, Outcome, Plan},
    },
    web::{
        RecordId, State,
        auth::{InstitutionUser, Registrar},
        forms::{Form, FormData, FormPage},
        icons::Icon,
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        upload::Upload,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

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
            let limits = user.terms.limits.clone();
            let keep = move |c: &mut _| imports::create(c, &limits, KIND, &name, &content, &mapping, by);
            match told(user.db.run(keep).await)? {
                Ok(id) => Ok(see_other(own_path(&user, id))),
                Err(text) => refused(&user, text),
            }
        }
        Err(text) => refused(&user, text),
    }
}

fn refused(user: &InstitutionUser, text: String) -> Result<HttpResponse, AppError> {
    let mut form = upload_form(user);
    form.error("file", text);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(upload_page(user), form))?)
}

fn own_path(user: &InstitutionUser, id: Id) -> String {
    user.path(&format!("/students/import/{id}"))
}

/// A file that waits to be imported, read.
struct Kept {
    import: Import,
    table: Table,
    mapping: Mapping,
    /// Why the plan has no room for it.
    lacking: Option<String>,
}

fn kept(connection: &mut TenantConn, id: Id) -> ModelResult<Kept> {
    let import = imports::find(connection, KIND, id)?;
    let unreadable = || ModelError::Refused("This file can no longer be read. Upload it again.".into());
    let table = read_csv(&import.content, LIMITS).map_err(|_| unreadable())?;
    let mapping = serde_json::from_str(&import.mapping).map_err(|_| unreadable())?;
    Ok(Kept { import, table, mapping, lacking: None })
}

/// The file as long as its import has not begun: afterwards nobody reads it, and it is emptied.
fn waiting(connection: &mut TenantConn, id: Id) -> ModelResult<Option<Kept>> {
    match imports::head(connection, KIND, id)?.operation_id {
        None => kept(connection, id).map(Some),
        Some(_) => Ok(None),
    }
}

fn planned(connection: &mut TenantConn, limits: &Limits, id: Id) -> ModelResult<Option<(Kept, Plan)>> {
    let Some(mut kept) = waiting(connection, id)? else { return Ok(None) };
    let plan = student_import::plan(connection, &kept.table, &kept.mapping)?;
    kept.lacking = quota::lacking(connection, limits, Resource::Students, plan.counts().created)?;
    Ok(Some((kept, plan)))
}

/// `GET /i/{domain}/students/import/{id}`: registrars and owners. Before the import what would happen,
/// while it runs how far it is, and afterwards what happened.
pub async fn show(
    user: Registrar,
    platform: State,
    RecordId(id): RecordId,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let raw = request.query_string();
    let limits = user.terms.limits.clone();
    match user.db.run(move |c| planned(c, &limits, id)).await? {
        Some((kept, plan)) => {
            check::check(&user, &kept, &plan, columns::form(&user, &kept), raw, StatusCode::OK)
        }
        None => begun(&user, &platform, id, raw).await,
    }
}

/// A begun import. Whoever watches asks for it every second: the file is not read for that.
async fn begun(
    user: &InstitutionUser,
    platform: &State,
    id: Id,
    raw: &str,
) -> Result<HttpResponse, AppError> {
    let head = user.db.run(move |c| imports::head(c, KIND, id)).await?;
    let operation = head.operation_id.ok_or(AppError::NotFound)?;
    let (operation, steps) = platform
        .shared
        .run(move |c| ModelResult::Ok((operations::find(c, operation)?, operations::steps(c, operation)?)))
        .await?;
    if operation.institution_id != Some(user.institution.id) {
        return Err(AppError::NotFound);
    }
    if operation.status != OperationStatus::Succeeded {
        return progress::show(user, &head, &operation, &steps);
    }
    // Read only now: it was there before the operation said that it succeeded.
    let result = user.db.run(move |c| imports::result(c, id)).await?;
    let outcome = Outcome::read(result.as_deref())
        .ok_or_else(|| AppError::internal(format!("import {id} is over and has no result")))?;
    check::done(user, &head, &outcome, raw)
}

/// `POST /i/{domain}/students/import/{id}/columns`: registrars and owners.
pub async fn set_columns(
    user: Registrar,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let limits = user.terms.limits.clone();
    let Some((kept, plan)) = user.db.run(move |c| planned(c, &limits, id)).await? else {
        user.flash(Notice::error(
            "The import of this file has begun, so its columns stay as they are. Upload it again to choose others.",
        ))?;
        return Ok(see_other(own_path(&user, id)));
    };
    let mut form = columns::blank(&user, id).submitted(&data);
    let Some(mapping) = columns::fields(&mut form, &kept) else {
        return check::check(&user, &kept, &plan, form, "", StatusCode::UNPROCESSABLE_ENTITY);
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
    let kept = user.db.run(move |c| waiting(c, id)).await?;
    let Some(kept) = kept.filter(|kept| kept.mapping.problems().is_empty()) else {
        return Ok(see_other(own));
    };
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
