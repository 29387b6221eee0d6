//! Students: the list and what is done with many, the record, adding and changing one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

mod archive;

use super::{
    activity_words,
    list_file::{ListFile, Taken},
    student_form,
};
use crate::{
    db::Id,
    error::{AppError, told},
    models::{
        Limits, ModelResult, Paging, Resource,
        institution::{
            activity, quota,
            students::{self, Student, StudentFilter, StudentStatus},
        },
    },
    services::notifications,
    web::{
        RecordId, State,
        auth::{InstitutionUser, Registrar},
        badge::{Badge, Tone},
        cell::Cell,
        csv_file::CHUNK,
        forms::{Choice, Form, FormData, FormPage},
        icons::Icon,
        list::{BulkAction, Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        record::{Record, RecordPage, Section, Timeline},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

pub use archive::{archive, archive_many, restore, undo_archive};

/// Counted in lists and messages.
const NOUN: Noun = Noun::new("student", "students");
/// Entries of the log on a student's page.
const HISTORY: i64 = 30;

const COLUMNS: &[Column] = &[
    Column::new("name", "Name").sortable(),
    Column::new("number", "Number").sortable(),
    Column::new("status", "Status").sortable(),
    Column::new("admission_year", "Admitted").sortable().numeric(),
    Column::new("programme", "Programme").minor(),
    Column::new("updated", "Changed").sortable().minor(),
];

/// The list as declared; `years` are the choices of its filter.
fn spec(path: String, years: &[i32]) -> ListSpec {
    let statuses = StudentStatus::ALL.iter().map(|status| Choice::new(status.as_str(), status.label()));
    let years = years.iter().map(|year| Choice::new(year.to_string(), year.to_string()));
    ListSpec::new(path, NOUN, COLUMNS)
        .sorted_by("name", Dir::Asc)
        .search("Name, number or e-mail")
        .filter(Filter::one_of("status", "Status", statuses))
        .filter(Filter::one_of("year", "Admitted", years))
        .filter(Filter::one_of("archived", "Archived", [("yes", "Yes")]).unset("No"))
        .csv()
}

fn filter(query: &ListQuery) -> StudentFilter {
    StudentFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.filter("status").and_then(|word| word.parse().ok()),
        admission_year: query.filter("year").and_then(|year| year.parse().ok()),
        archived: query.filter("archived").is_some(),
    }
}

/// `GET /i/{domain}/students`: every user.
pub async fn list(user: InstitutionUser, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let (path, raw) = (user.path("/students"), request.query_string().to_owned());
    let (spec, query, slice, archived) = user
        .db
        .run(move |c| {
            let spec = spec(path, &students::admission_years(c)?);
            let query = ListQuery::parse(&spec, &raw);
            let slice = students::page(c, &filter(&query), &query.paging())?;
            // Counted only where it is told: under an empty list.
            let archived = if slice.total == 0 {
                students::count(c, &StudentFilter { archived: true, ..StudentFilter::default() })?
            } else {
                0
            };
            ModelResult::Ok((spec, query, slice, archived))
        })
        .await?;
    let rows = slice.rows.iter().map(|student| row(&user, student)).collect();
    let mut page = user.page("Students");
    let mut spec = if archived > 0 {
        let text = format!("{} archived, and off this list.", NOUN.are(archived));
        let show = Action::link("Show archived students", user.path("/students?archived=yes"));
        spec.empty("No students on the list", text, Some(show))
    } else {
        spec.empty(
            "No students yet",
            "Students appear here once they are added one by one or imported from a file.",
            user.may_write().then(|| Action::link("Import students", user.path("/students/import"))),
        )
    };
    if user.may_write() {
        page = page
            .action(Action::link("Add student", user.path("/students/new")).icon(Icon::Plus))
            .also(Action::link("Import students", user.path("/students/import")).icon(Icon::Upload));
        if query.filter("archived").is_none() {
            spec = spec.bulk(
                BulkAction::new("Archive students", user.path("/students/archivings")).icon(Icon::Archive),
            );
        }
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn row(user: &InstitutionUser, student: &Student) -> Row {
    let name = Cell::text(&student.person.name);
    let name = match &student.person.preferred_name {
        Some(preferred) => name.note(format!("called {preferred}")),
        None => name,
    };
    Row::new(student.id, user.path(&format!("/students/{}", student.id)))
        .cell(name)
        .cell(Cell::mono(&student.student_number))
        .cell(status_badge(student))
        .cell(student.admission_year.map_or_else(Cell::nothing, |year| Cell::figure(year.to_string())))
        .cell(student.programme.as_deref().unwrap_or_default())
        .cell(Cell::time(&user.clock, student.updated_at))
}

fn status_badge(student: &Student) -> Badge {
    if student.archived_at.is_some() {
        return Badge::new(Tone::Past, "Archived");
    }
    let tone = match student.status {
        StudentStatus::Expected => Tone::Waiting,
        StudentStatus::Active => Tone::Good,
        StudentStatus::OnLeave => Tone::Held,
        StudentStatus::Graduated | StudentStatus::Left => Tone::Past,
    };
    let icon = match student.status {
        StudentStatus::Graduated => Icon::Students,
        StudentStatus::Left => Icon::LogOut,
        _ => tone.icon(),
    };
    Badge::new(tone, student.status.label()).icon(icon)
}

/// `GET /i/{domain}/students.csv`: every user; all that match, under the headings that an import knows.
pub async fn csv(user: InstitutionUser, request: HttpRequest) -> Result<HttpResponse, AppError> {
    const HEADS: &[&str] = &[
        "Student number",
        "Name",
        "Preferred name",
        "Date of birth",
        "E-mail",
        "Phone",
        "Address",
        "Status",
        "Admission year",
        "Programme",
        "Notes",
    ];
    let (path, raw) = (user.path("/students"), request.query_string().to_owned());
    ListFile {
        name: "students.csv",
        action: "students.exported",
        kind: "students",
        heads: HEADS,
        key: |student: &Student| student.id,
        cells: csv_cells,
        after: |c, (filter, order), last| students::following(c, filter, order, last),
    }
    .send(&user, move |c| {
        let query = ListQuery::parse(&spec(path, &students::admission_years(c)?), &raw);
        let (filter, order) = (filter(&query), Paging { limit: CHUNK, ..query.paging() });
        let label = NOUN.count(students::count(c, &filter)?);
        Ok(Taken { query, label, filter: (filter, order) })
    })
    .await
}

fn csv_cells(student: Student) -> Vec<String> {
    student.fields().values().into_iter().map(|(_, value)| value.unwrap_or_default()).collect()
}

/// `GET /i/{domain}/students/{id}`: every user.
pub async fn show(user: InstitutionUser, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let (student, log) = user
        .db
        .run(move |c| {
            let student = students::find(c, id)?;
            ModelResult::Ok((student, activity::for_record(c, "student", id, HISTORY)?))
        })
        .await?;
    let own = user.path(&format!("/students/{id}"));
    let mut page = user
        .page(&student.person.name)
        .crumb("Students", user.path("/students"))
        .badge(status_badge(&student));
    let mut record = facts(&user.clock, &student);
    if user.may_write() {
        page = page.action(Action::link("Edit student", format!("{own}/edit")).icon(Icon::Pencil));
        record = record.action(match student.archived_at {
            None => Action::post("Archive student", format!("{own}/archiving")).icon(Icon::Archive),
            Some(_) => Action::post("Restore student", format!("{own}/archiving/remove")).icon(Icon::Undo),
        });
    }
    if let Some(at) = student.archived_at {
        let text = format!(
            "Archived {}. Nothing is deleted; the student is only off the lists.",
            user.clock.exact(at)
        );
        record = record.notice(Notice::info(text));
    }
    let entries = log.iter().map(|entry| activity_words::shown(&user.clock, entry, None)).collect();
    let record = record.history_of(Timeline { entries, more: None });
    Ok(html(&RecordPage::new(page, record))?)
}

fn facts(clock: &Clock, student: &Student) -> Record {
    let person = &student.person;
    let text = |value: &Option<String>| Cell::text(value.clone().unwrap_or_default());
    Record::new()
        .section(
            Section::new("Student")
                .fact("Name", person.name.clone())
                .fact("Preferred name", text(&person.preferred_name))
                .fact("Student number", Cell::mono(&student.student_number))
                .fact("Date of birth", Cell::date(clock, person.birth_date)),
        )
        .section(
            Section::new("Contact")
                .fact("E-mail", Cell::email(person.email.clone().unwrap_or_default()))
                .fact("Phone", Cell::phone(person.phone.clone().unwrap_or_default()))
                .fact("Address", person.address.clone().map_or_else(Cell::nothing, Cell::lines)),
        )
        .section(
            Section::new("Studies")
                .fact("Status", student.status.label())
                .fact("Admission year", text(&student.admission_year.map(|year| year.to_string())))
                .fact("Programme", text(&student.programme))
                .fact("Notes", student.notes.clone().map_or_else(Cell::nothing, Cell::lines))
                .fact("Added", Cell::time(clock, student.created_at))
                .fact("Last changed", Cell::time(clock, student.updated_at)),
        )
}

/// `GET /i/{domain}/students/new`: registrars and owners.
pub async fn new(user: Registrar) -> Result<HttpResponse, AppError> {
    let mut form = new_form(&user).filled(student_form::blank());
    student_form::fields(&mut form);
    Ok(html(&FormPage::new(new_page(&user), form))?)
}

/// `POST /i/{domain}/students`: registrars and owners.
pub async fn create(user: Registrar, platform: State, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = new_form(&user).submitted(&data);
    if let Some(fields) = student_form::fields(&mut form) {
        let (activity, name) = (user.activity(), fields.person.name.clone());
        let create = move |c: &mut _| {
            let id = students::create(c, &activity, &fields)?;
            // It is added, whether or not this can be told.
            let near = quota::nearly(c, &activity.limits, Resource::Students, 1).ok().flatten();
            ModelResult::Ok((id, near))
        };
        match told(user.db.run(create).await)? {
            Ok((id, near)) => {
                let own = user.path(&format!("/students/{id}"));
                let notice = match near {
                    None => Notice::success(format!("Added {name}.")),
                    Some((sentence, crossed)) => {
                        if crossed {
                            let told = sentence.clone();
                            notifications::limit_is_near(&platform, &user.db, &user.institution, told)
                                .await?;
                        }
                        Notice::warning(format!("Added {name}. {sentence}"))
                    }
                };
                let (notice, next) = if form.pressed_also() {
                    (notice.link("Open the student", own), user.path("/students/new"))
                } else {
                    (notice, own)
                };
                user.flash(notice)?;
                return Ok(see_other(next));
            }
            Err(text) if Limits::refuses(&text) => form.error("", text),
            Err(text) => form.error("student_number", text),
        }
    }
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(new_page(&user), form))?)
}

fn new_form(user: &InstitutionUser) -> Form {
    Form::new(user.path("/students"))
        .submit("Add student")
        .also("then", "another", "Add and start another")
        .cancel(user.path("/students"))
}

fn new_page(user: &InstitutionUser) -> crate::web::page::Page {
    user.page("Add student").crumb("Students", user.path("/students"))
}

/// `GET /i/{domain}/students/{id}/edit`: registrars and owners.
pub async fn edit(user: Registrar, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let student = user.db.run(move |c| students::find(c, id)).await?;
    let mut form =
        edit_form(&user, id).filled(student_form::values(&student.fields())).at_version(student.version);
    student_form::fields(&mut form);
    Ok(html(&FormPage::new(edit_page(&user, &student), form))?)
}

/// `POST /i/{domain}/students/{id}`: registrars and owners.
pub async fn update(
    user: Registrar,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let mut form = edit_form(&user, id).submitted(&data);
    let version = form.posted_version().unwrap_or_default();
    let student = user.db.run(move |c| students::find(c, id)).await?;
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(fields) = student_form::fields(&mut form) {
        let activity = user.activity();
        let name = fields.person.name.clone();
        match told(user.db.run(move |c| students::update(c, &activity, id, version, &fields)).await)? {
            Ok(()) => {
                user.flash(Notice::success(format!("Saved {name}.")))?;
                return Ok(see_other(user.path(&format!("/students/{id}"))));
            }
            Err(text) if student.version == version => form.error("student_number", text),
            Err(text) => {
                form.conflict(text, &student_form::values(&student.fields()), student.version);
                status = StatusCode::CONFLICT;
            }
        }
    }
    Ok(html_with_status(status, &FormPage::new(edit_page(&user, &student), form))?)
}

fn edit_form(user: &InstitutionUser, id: Id) -> Form {
    let own = user.path(&format!("/students/{id}"));
    Form::new(own.as_str()).submit("Save student").cancel(own)
}

fn edit_page(user: &InstitutionUser, student: &Student) -> crate::web::page::Page {
    let own = user.path(&format!("/students/{}", student.id));
    user.page(format!("Edit {}", student.person.name))
        .crumb("Students", user.path("/students"))
        .crumb(&student.person.name, own)
}
