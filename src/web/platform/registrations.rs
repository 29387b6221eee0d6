//! `/platform/registrations`: who asks for an institution, and what was decided.

use actix_web::{HttpRequest, HttpResponse};

use super::{asked, country_name, history, list_file::ListFile, stand_badge, status_badge};
use crate::{
    error::AppError,
    models::{
        ModelResult,
        platform::{
            institutions::{self, Kind},
            registrations::{self, Registered, RegistrationFilter, RegistrationRow, Source, Stand},
        },
    },
    web::{
        RecordId, State,
        auth::AnyAdmin,
        cell::Cell,
        forms::Choice,
        icons::Icon,
        list::{BulkAction, Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        record::{Record, RecordPage, Section},
        respond::html,
        time::Clock,
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/registrations";

/// What an empty list is called.
const EMPTY: &str = "No registrations yet";

const COLUMNS: &[Column] = &[
    Column::new("name", "Institution").sortable(),
    Column::new("status", "Decision").sortable(),
    Column::new("kind", "Kind").sortable(),
    Column::new("country", "Country").sortable(),
    Column::new("admin", "First admin"),
    Column::new("source", "Came by").minor(),
    Column::new("submitted", "Submitted").sortable(),
];

/// The list as declared; its country filter offers the countries there are.
pub(super) fn spec(countries: Filter) -> ListSpec {
    ListSpec::new(PATH, Noun::new("registration", "registrations"), COLUMNS)
        .sorted_by("submitted", Dir::Desc)
        .search("Name, domain or e-mail")
        .filter(Filter::one_of("status", "Decision", Choice::all::<Stand>()))
        .filter(Filter::one_of("kind", "Kind", Choice::all::<Kind>()))
        .filter(countries)
        .filter(Filter::one_of("source", "Came by", Choice::all::<Source>()))
        .csv()
        .bulk(BulkAction::new("Approve institutions", format!("{PATH}/approvals")).icon(Icon::Check))
        .bulk(BulkAction::new("Reject institutions", format!("{PATH}/rejections")).icon(Icon::X).danger())
        .empty(
            EMPTY,
            "They appear here when an institution registers, or when you import a list.",
            Some(Action::link("Import registrations", format!("{PATH}/import")).icon(Icon::Upload)),
        )
}

/// What the address asks of the model.
pub(super) fn filter(query: &ListQuery) -> RegistrationFilter {
    RegistrationFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.chosen("status"),
        kind: query.chosen("kind"),
        country: query.filter("country").map(str::to_owned),
        source: query.chosen("source"),
    }
}

/// `GET /platform/registrations`: super admins.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let (spec, query) = asked(&request, &platform, spec).await?;
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| registrations::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|row| show(&clock, row)).collect();
    let mut page = admin.page("Registrations");
    let mut spec = spec;
    if admin.is_super_admin() {
        page = page.also(Action::link("Import registrations", format!("{PATH}/import")).icon(Icon::Upload));
    } else {
        spec = spec.without_bulk().empty(EMPTY, "They appear here when an institution registers.", None);
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn show(clock: &Clock, found: RegistrationRow) -> Row {
    let stand = found.stand();
    let row = Row::new(found.id, format!("{PATH}/{}", found.id))
        .cell(Cell::text(found.name).note(found.domain))
        .cell(stand_badge(stand))
        .cell(found.kind.label())
        .cell(country_name(&found.country))
        .cell(Cell::text(found.admin_name.unwrap_or_default()).note(found.admin_email.unwrap_or_default()))
        .cell(found.source.label())
        .cell(Cell::time(clock, found.submitted_at));
    if stand == Stand::Waiting { row } else { row.fixed() }
}

/// `GET /platform/registrations.csv`: super admins; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let (_, query) = asked(&request, &platform, spec).await?;
    ListFile {
        name: "registrations.csv",
        action: "registrations.exported",
        heads: CSV_HEADS,
        key: |row: &RegistrationRow| row.id,
        cells,
        page: registrations::page,
        after: registrations::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

const CSV_HEADS: &[&str] = &[
    "name",
    "domain",
    "decision",
    "kind",
    "country",
    "admin_name",
    "admin_email",
    "source",
    "submitted_at",
    "decided_at",
    "decided_by",
    "reason",
];

fn cells(row: RegistrationRow) -> Vec<String> {
    let stand = row.stand();
    vec![
        row.name,
        row.domain,
        stand.as_str().to_owned(),
        row.kind.as_str().to_owned(),
        country_name(&row.country),
        row.admin_name.unwrap_or_default(),
        row.admin_email.unwrap_or_default(),
        row.source.as_str().to_owned(),
        row.submitted_at.to_string(),
        row.decided_at.map(|at| at.to_string()).unwrap_or_default(),
        row.decided_by_name.unwrap_or_default(),
        row.reason.unwrap_or_default(),
    ]
}

/// `GET /platform/registrations/{id}`: super admins.
pub async fn detail(
    platform: State,
    admin: AnyAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (found, changes) = platform
        .shared
        .run(move |c| {
            let found = registrations::find_with_institution(c, id)?;
            let changes = institutions::status_changes(c, found.institution.id)?;
            ModelResult::Ok((found, changes))
        })
        .await?;
    let (clock, path) = (Clock::utc(), format!("{PATH}/{id}"));
    let stand = found.registration.stand();
    let page =
        admin.page(found.institution.name.as_str()).crumb("Registrations", PATH).badge(stand_badge(stand));
    let page = match stand {
        _ if !admin.is_super_admin() => page,
        Stand::Waiting => page
            .action(Action::post("Approve institution", format!("{path}/approval")).icon(Icon::Check))
            .also(Action::ask("Reject institution", format!("{path}/rejection")).icon(Icon::X).danger()),
        Stand::Rejected => page
            .also(Action::post("Reconsider institution", format!("{path}/reconsideration")).icon(Icon::Undo)),
        Stand::Approved => page,
    };
    let record = record(&clock, &found).history(history(&clock, changes));
    Ok(html(&RecordPage::new(page, record))?)
}

fn record(clock: &Clock, found: &Registered) -> Record {
    let (asked, institution) = (&found.registration, &found.institution);
    let place = format!("/platform/institutions/{}", institution.domain);
    let no_admin = asked.stand() == Stand::Waiting && asked.admin_email.is_none();
    let notice = no_admin.then(|| {
        Notice::info("This registration names no first admin. The institution can be approved all the same; invite its admin from its page.")
            .link("Name the first admin", format!("{place}/invitation"))
    });
    let decision = match (asked.decided_at, &asked.decided_by_name) {
        (Some(at), Some(who)) => Cell::time(clock, at).note(format!("by {who}")),
        _ => Cell::text("Not decided yet"),
    };
    let mut registration = Section::new("Registration")
        .fact("Submitted", Cell::time(clock, asked.submitted_at))
        .fact("Came by", asked.source.label())
        .fact("Decided", decision);
    if let Some(reason) = &asked.reason {
        registration = registration.fact("Reason", Cell::lines(reason.as_str()));
    }
    Record::new()
        .notice(notice)
        .section(
            Section::new("Institution")
                .fact("Name", Cell::link(institution.name.as_str(), place))
                .fact("Status", status_badge(institution.status))
                .fact("Domain", Cell::mono(institution.domain.as_str()))
                .fact("Kind", institution.kind.label())
                .fact("Country", country_name(&institution.country))
                .fact("Website", website(institution.website.as_deref()))
                .fact("Time zone", institution.time_zone.as_str()),
        )
        .section(
            Section::new("First admin")
                .fact("Name", Cell::text(asked.admin_name.clone().unwrap_or_default()))
                .fact("E-mail", asked.admin_email.as_deref().map_or_else(Cell::nothing, Cell::email)),
        )
        .section(registration)
}

/// A website that somebody typed: shown in full, so that nobody follows it unseen.
pub(super) fn website(address: Option<&str>) -> Cell {
    address.map_or_else(Cell::nothing, |address| Cell::link(address, address))
}
