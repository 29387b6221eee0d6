//! `/platform/institutions`: every institution, its state, its database and its history.

mod detail;
mod profile;

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse};

use super::{country_filter, country_name, list_file::ListFile, status_badge};
use crate::{
    db::Id,
    error::AppError,
    models::{
        ModelResult,
        platform::{
            institutions::{self, Institution, InstitutionFilter, InstitutionRow, Kind, Status},
            plans, sandboxes,
        },
    },
    web::{
        State,
        auth::AnyAdmin,
        cell::Cell,
        forms::Choice,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Notice, Page},
        respond::{html, see_other},
        time::Clock,
        words::Noun,
    },
};

pub use detail::detail;
pub use profile::{edit, save};

pub(super) const PATH: &str = "/platform/institutions";

const COLUMNS: &[Column] = &[
    Column::new("name", "Institution").sortable(),
    Column::new("status", "Status").sortable(),
    Column::new("kind", "Kind").sortable(),
    Column::new("country", "Country").sortable(),
    Column::new("plan", "Plan").minor(),
    Column::new("created", "Registered").sortable(),
];

/// The list that an address asks for, and the names of the plans.
async fn asked(
    request: &HttpRequest,
    platform: &State,
) -> Result<(ListSpec, ListQuery, HashMap<String, String>), AppError> {
    let plans = platform.shared.run(plans::names).await?;
    let spec = spec(country_filter(platform).await?)
        .filter(Filter::one_of("plan", "Plan", plans.iter().cloned()))
        .filter(Filter::one_of("sandbox", "Sandbox", [("yes", "Yes"), ("no", "No")]));
    let query = ListQuery::parse(&spec, request.query_string());
    Ok((spec, query, plans.into_iter().collect()))
}

fn spec(countries: Filter) -> ListSpec {
    ListSpec::new(PATH, Noun::new("institution", "institutions"), COLUMNS)
        .search("Name or domain")
        .filter(Filter::one_of("status", "Status", Choice::all::<Status>()))
        .filter(Filter::one_of("kind", "Kind", Choice::all::<Kind>()))
        .filter(countries)
        .csv()
        .empty("No institutions yet", "An institution appears here as soon as it registers.", None)
}

fn filter(query: &ListQuery) -> InstitutionFilter {
    InstitutionFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.chosen("status"),
        kind: query.chosen("kind"),
        country: query.filter("country").map(str::to_owned),
        plan: query.filter("plan").map(str::to_owned),
        sandbox: query.filter("sandbox").map(|value| value == "yes"),
    }
}

/// `GET /platform/institutions`: super admins.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let (spec, query, plans) = asked(&request, &platform).await?;
    let (filter, paging) = (filter(&query), query.paging());
    let read = move |c: &mut crate::db::shared::SharedConn| {
        let slice = institutions::page(c, &filter, &paging)?;
        let ids: Vec<Id> = slice.rows.iter().map(|row| row.id).collect();
        ModelResult::Ok((slice, sandboxes::among(c, &ids)?))
    };
    let (slice, sandboxes) = platform.shared.run(read).await?;
    let clock = Clock::utc();
    let show = |row: InstitutionRow| {
        let href = format!("{PATH}/{}", row.domain);
        Row::new(row.id, href)
            .cell(Cell::text(row.name).note(noted(row.domain, sandboxes.get(&row.id))))
            .cell(status_badge(row.status))
            .cell(row.kind.label())
            .cell(country_name(&row.country))
            .cell(plans.get(&row.plan).cloned().unwrap_or(row.plan))
            .cell(Cell::time(&clock, row.created_at))
    };
    let rows = slice.rows.into_iter().map(show).collect();
    Ok(html(&ListPage::new(admin.page("Institutions"), ListView::new(spec, query, slice.total, rows)))?)
}

/// A domain in a list, and whose copy is there.
pub(super) fn noted(domain: String, sandbox_of: Option<&String>) -> String {
    match sandbox_of {
        Some(of) => format!("{domain}, sandbox of {of}"),
        None => domain,
    }
}

/// `GET /platform/institutions.csv`: super admins; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let (_, query, _) = asked(&request, &platform).await?;
    ListFile {
        name: "institutions.csv",
        action: "institutions.exported",
        heads: &["name", "domain", "status", "kind", "country", "plan", "registered_at", "status_since"],
        key: |row: &InstitutionRow| row.id,
        cells: |row| {
            vec![
                row.name,
                row.domain,
                row.status.as_str().to_owned(),
                row.kind.as_str().to_owned(),
                country_name(&row.country),
                row.plan,
                row.created_at.to_string(),
                row.status_changed_at.to_string(),
            ]
        },
        page: institutions::page,
        after: institutions::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// The institution of an address.
pub(super) async fn found(platform: &State, domain: &str) -> Result<Institution, AppError> {
    let domain = domain.to_owned();
    Ok(platform.shared.run(move |c| institutions::find_by_domain(c, &domain)).await?)
}

/// A page about one institution, with the way back.
pub(super) fn page_about(admin: &AnyAdmin, institution: &Institution, title: impl Into<String>) -> Page {
    admin
        .page(title)
        .crumb("Institutions", PATH)
        .crumb(institution.name.as_str(), format!("{PATH}/{}", institution.domain))
}

/// Where the page of an institution is.
pub(super) fn place(institution: &Institution) -> String {
    format!("{PATH}/{}", institution.domain)
}

/// Who reads the reason for what is done to an institution.
pub(super) const READ_WORD_FOR_WORD: &str =
    "The institution reads it, word for word; it stays in the history.";

/// Back to an institution that is in no state for what was asked.
pub(super) fn not_now(admin: &AnyAdmin, institution: &Institution) -> Result<HttpResponse, AppError> {
    let state = institution.status.label().to_lowercase();
    admin.flash(Notice::info(format!("{} is {state}. Nothing was changed.", institution.name)))?;
    Ok(see_other(place(institution)))
}
