//! `/platform/announcements`: what institutions read over their pages, and for how long.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use chrono::NaiveDateTime;

use super::acting::settled;
use crate::{
    db::{Id, now},
    error::AppError,
    models::{
        ModelError, ModelResult,
        platform::{
            announcements::{self, Announcement, AnnouncementFields, AnnouncementFilter, Audience, Level},
            institutions,
            plans::{self, Plan},
        },
    },
    web::{
        RecordId, State,
        auth::SuperAdmin,
        badge::{Badge, Tone},
        cell::Cell,
        forms::{Choice, Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

const PATH: &str = "/platform/announcements";
/// How moments are written in the form.
const MOMENT: &str = "%Y-%m-%d %H:%M";

const COLUMNS: &[Column] = &[
    Column::new("text", "Announcement"),
    Column::new("level", "Level"),
    Column::new("audience", "For"),
    Column::new("from", "From").sortable(),
    Column::new("until", "Until").sortable(),
    Column::new("state", "State"),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("announcement", "announcements"), COLUMNS)
        .sorted_by("from", Dir::Desc)
        .search("Words of it")
        .filter(Filter::one_of("level", "Level", Choice::all::<Level>()))
        .empty(
            "No announcements yet",
            "Say beforehand when the platform is worked on; institutions read it over their pages.",
            Some(Action::link("Add announcement", format!("{PATH}/new"))),
        )
}

/// `GET /platform/announcements`: super admins.
pub async fn list(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let filter =
        AnnouncementFilter { q: query.q().unwrap_or_default().to_owned(), level: query.chosen("level") };
    let paging = query.paging();
    let slice = platform.shared.run(move |c| announcements::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|known| row(&clock, known)).collect();
    let page = admin
        .page("Announcements")
        .intro("Institutions read them over their pages; of several, the gravest.")
        .action(Action::link("Add announcement", format!("{PATH}/new")).icon(Icon::Plus));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn row(clock: &Clock, known: Announcement) -> Row {
    let place = format!("{PATH}/{}", known.id);
    let at = now();
    let over = known.ends_at.is_some_and(|end| end <= at);
    let state = match (known.holds(at), over) {
        (true, _) => Badge::new(Tone::Good, "Shown"),
        (_, true) => Badge::new(Tone::Past, "Ended"),
        _ => Badge::new(Tone::Waiting, "Planned"),
    };
    let tone = if known.level == Level::Info { Tone::Neutral } else { Tone::Held };
    let row = Row::new(known.id, format!("{place}/edit"))
        .cell(Cell::text(known.text).note(format!("by {}", known.created_by)))
        .cell(Badge::new(tone, known.level.label()))
        .cell(Cell::text(known.audience.label()).note(known.plans))
        .cell(Cell::time(clock, known.starts_at).note(clock.exact(known.starts_at)))
        .cell(match known.ends_at {
            Some(end) => Cell::time(clock, end).note(clock.exact(end)),
            None => Cell::text("Until it is ended"),
        })
        .cell(state);
    if over { row } else { row.action(Action::post("End announcement", format!("{place}/end"))) }
}

/// `GET /platform/announcements/new`: super admins.
pub async fn new(platform: State, admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let offer = platform.shared.run(plans::on_offer).await?;
    let mut form = blank(PATH, "Announce").filled(
        FormData::default()
            .with("level", Level::Info)
            .with("audience", Audience::Everybody)
            .with("starts_at", now().format(MOMENT))
            .with("dismissible", "yes"),
    );
    fields(&mut form, &offer);
    Ok(html(&FormPage::new(page(&admin, "Add announcement"), form))?)
}

/// `POST /platform/announcements`: super admins.
pub async fn create(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let offer = platform.shared.run(plans::on_offer).await?;
    let mut form = blank(PATH, "Announce").submitted(&data);
    if let Some(entered) = fields(&mut form, &offer)
        && let Some(fields) = resolved(&platform, &mut form, entered).await?
    {
        let audit = admin.audit(&platform);
        platform.shared.run(move |c| announcements::create(c, &audit, &fields)).await?;
        platform.announcements.forget();
        admin.flash(Notice::success(
            "The announcement is kept. Every page shows it within seconds of its time.",
        ))?;
        return Ok(see_other(PATH));
    }
    let view = FormPage::new(page(&admin, "Add announcement"), form);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
}

/// `GET /platform/announcements/{id}/edit`: super admins.
pub async fn edit(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (known, values, offer) = platform.shared.run(move |c| shown(c, id)).await?;
    let mut form = edit_form(id).filled(values).at_version(known.version);
    fields(&mut form, &offer);
    Ok(html(&FormPage::new(page(&admin, "Edit announcement"), form))?)
}

/// `POST /platform/announcements/{id}`: super admins; a second person is shown both versions.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (.., offer) = platform.shared.run(move |c| shown(c, id)).await?;
    let mut form = edit_form(id).submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(entered) = fields(&mut form, &offer)
        && let Some(fields) = resolved(&platform, &mut form, entered).await?
    {
        let (audit, version) = (admin.audit(&platform), form.posted_version().unwrap_or_default());
        match platform.shared.run(move |c| announcements::update(c, &audit, id, version, &fields)).await {
            Ok(_) => {
                platform.announcements.forget();
                admin.flash(Notice::success("The announcement is saved."))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Changed(sentence)) => {
                let (now, values, _) = platform.shared.run(move |c| shown(c, id)).await?;
                form.conflict(sentence, &values, now.version);
                status = StatusCode::CONFLICT;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(status, &FormPage::new(page(&admin, "Edit announcement"), form))?)
}

/// `POST /platform/announcements/{id}/end`: super admins; off the pages from now on.
pub async fn end(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| announcements::end(c, &audit, id)).await;
    platform.announcements.forget();
    settled(&admin, outcome, |_| Notice::success("The announcement is off the pages."), PATH)
}

fn page(admin: &SuperAdmin, title: &str) -> Page {
    admin.page(title).crumb("Announcements", PATH)
}

fn blank(action: impl Into<String>, button: &str) -> Form {
    Form::new(action).submit(button).cancel(PATH)
}

fn edit_form(id: Id) -> Form {
    blank(format!("{PATH}/{id}"), "Save announcement")
}

type Shown = (Announcement, FormData, Vec<Plan>);

/// An announcement as its form shows it.
fn shown(connection: &mut crate::db::shared::SharedConn, id: Id) -> ModelResult<Shown> {
    let known = announcements::find(connection, id)?;
    let domain = match known.institution_id {
        Some(institution) => Some(institutions::find(connection, institution)?.domain),
        None => None,
    };
    let mut values = FormData::default()
        .with("text", &known.text)
        .with("level", known.level)
        .with("audience", known.audience)
        .with_some("institution", domain)
        .with("starts_at", known.starts_at.format(MOMENT))
        .with_some("ends_at", known.ends_at.map(|end| end.format(MOMENT)));
    for plan in known.plans.split_whitespace() {
        values = values.with("plans", plan);
    }
    if known.dismissible == 1 {
        values = values.with("dismissible", "yes");
    }
    Ok((known, values, plans::on_offer(connection)?))
}

/// What the form says, with the institution still by its domain.
struct Entered {
    fields: AnnouncementFields,
    institution: Option<String>,
}

/// Looks the institution up that the form names.
async fn resolved(
    platform: &State,
    form: &mut Form,
    entered: Entered,
) -> Result<Option<AnnouncementFields>, AppError> {
    let Entered { mut fields, institution } = entered;
    let Some(domain) = institution else { return Ok(Some(fields)) };
    match platform.shared.run(move |c| institutions::find_by_domain(c, &domain)).await {
        Ok(institution) => {
            fields.institution_id = Some(institution.id);
            Ok(Some(fields))
        }
        Err(error) if error.is_not_found() => {
            form.error("institution", "There is no institution with this domain. Check its spelling.");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn fields(form: &mut Form, offer: &[Plan]) -> Option<Entered> {
    let text = form
        .textarea("text", "What you say")
        .limit(announcements::LONGEST)
        .hint("A sentence or two: what happens, when, and what to do.")
        .required();
    let level = form.choose::<Level>("level", "Level");
    form.group("For whom");
    let audience = form.choose::<Audience>("audience", "Audience");
    let plans = form.checkboxes(
        "plans",
        "Plans",
        offer.iter().map(|plan| Choice::new(plan.key.as_str(), plan.name.as_str())),
    );
    let institution =
        form.text("institution", "Institution").hint("Its domain, for one institution.").optional();
    if form.is_submitted() && audience == Some(Audience::Plans) && plans.is_empty() {
        form.error("plans", "Choose at least one plan.");
    }
    if form.is_submitted() && audience == Some(Audience::Institution) && institution.is_none() {
        form.error("institution", "Enter the domain of the institution.");
    }
    form.group("How long");
    let starts =
        form.text("starts_at", "From").hint("In UTC, as 2027-05-03 18:00.").check(is_moment).required();
    let ends = form
        .text("ends_at", "Until")
        .hint("In UTC. Empty: until it is ended here.")
        .check(is_moment)
        .optional();
    let (starts_at, ends_at) = (starts.and_then(|text| moment(&text)), ends.and_then(|text| moment(&text)));
    if starts_at.zip(ends_at).is_some_and(|(start, end)| end <= start) {
        form.error("ends_at", "It has to end after it begins.");
    }
    let dismissible =
        form.checkboxes("dismissible", "Putting it away", [("yes", "Everybody may put it away")]);
    form.read(|| {
        let audience = audience?;
        Some(Entered {
            institution: institution.filter(|_| audience == Audience::Institution),
            fields: AnnouncementFields {
                text: text?,
                level: level?,
                audience,
                plans: if audience == Audience::Plans { plans.join(" ") } else { String::new() },
                institution_id: None,
                starts_at: starts_at?,
                ends_at,
                dismissible: i32::from(!dismissible.is_empty()),
            },
        })
    })
}

fn moment(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text.trim(), MOMENT).ok()
}

#[expect(clippy::ptr_arg, reason = "a check of the form kit takes what the field is read as")]
fn is_moment(text: &String) -> Result<(), String> {
    match moment(text) {
        Some(_) => Ok(()),
        None => Err("Enter a day and a time, for example 2027-05-03 18:00.".to_owned()),
    }
}
