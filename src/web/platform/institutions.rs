//! `/platform/institutions`: every institution, its state, its database and its history.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{
    backups as backup_pages, country_filter, country_name, csv, databases, figures, history, leaving,
    note_export, operations as operation_pages, registrations::website, sandbox as sandbox_pages,
    servers as server_pages, status_badge, subscription,
};
use crate::{
    db::{Engine, Id},
    error::AppError,
    models::{
        ModelError, ModelResult, Paging, Usage as Held,
        country::Country,
        platform::{
            backups::{self, Backup},
            deletions::{self, Deletion},
            institutions::{
                self, Institution, InstitutionFilter, InstitutionRow, Kind, ProfileChanges, Status,
                StatusChange,
            },
            operations::{self, Operation, OperationFilter},
            plans,
            registrations::{self, Registration, Stand},
            sandboxes::{self, Sandbox},
            servers::{self, DatabaseServer},
            slow_queries::{self, SlowQuery},
            subscriptions::{self, Subscribed},
            tenant_databases::{self, TenantDatabase},
            tenant_figures::{self, TenantFigures},
            usage::{self, Period, Usage},
        },
        time_zone::TimeZone,
    },
    services::{
        institution_settings::{self, CorrectError},
        registration_import::web_address,
        sandboxes::sentence,
    },
    web::{
        State,
        auth::{AnyAdmin, SuperAdmin},
        cell::Cell,
        csv_file::{CHUNK, CsvFile},
        forms::{Choice, Chosen, Form, FormData, FormPage},
        icons::Icon,
        limits,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/institutions";
/// Rows shown of slow queries and of pages.
const SHOWN: i64 = 10;

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
    let spec =
        spec(country_filter(platform).await?).filter(Filter::one_of("plan", "Plan", plans.iter().cloned()));
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
    let filter = filter(&query);
    note_export(
        &platform,
        &admin,
        ("institutions.exported", "institutions.csv"),
        &query,
        (&filter, institutions::page),
    )
    .await?;
    let file = CsvFile {
        name: "institutions.csv",
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
    };
    csv(&platform, file, move |c, last| institutions::older_than(c, &filter, last, CHUNK)).await
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

/// Everything that the page of one institution shows.
struct Whole {
    institution: Institution,
    subscribed: Subscribed,
    registration: Registration,
    database: Option<TenantDatabase>,
    server: Option<DatabaseServer>,
    changes: Vec<StatusChange>,
    operations: Vec<Operation>,
    figures: TenantFigures,
    usage: Vec<Usage>,
    pages: Vec<(String, i64)>,
    slow: Vec<SlowQuery>,
    backups: Vec<Backup>,
    deletion: Option<Deletion>,
    /// What it is, and the original, where it is a sandbox.
    sandbox: Option<(Sandbox, Institution)>,
    sandboxes: Vec<(String, String)>,
}

fn whole(c: &mut crate::db::shared::SharedConn, domain: &str) -> ModelResult<Whole> {
    let institution = institutions::find_by_domain(c, domain)?;
    let id = institution.id;
    let latest = Paging { sort: "created".into(), descending: true, limit: 10, offset: 0 };
    let theirs = OperationFilter { institution_id: Some(id), ..OperationFilter::default() };
    let database = tenant_databases::find(c, id)?;
    let server = database.as_ref().map(|row| servers::find(c, row.server_id)).transpose()?;
    let sandbox = match sandboxes::find(c, id)? {
        Some(sandbox) => Some((institutions::find(c, sandbox.source_id)?, sandbox)),
        None => None,
    };
    Ok(Whole {
        sandbox: sandbox.map(|(of, sandbox)| (sandbox, of)),
        sandboxes: sandboxes::of(c, id)?,
        subscribed: subscriptions::find(c, id)?,
        registration: registrations::latest_of(c, id)?,
        database,
        server,
        changes: institutions::status_changes(c, id)?,
        operations: operations::page(c, &theirs, &latest)?.rows,
        figures: tenant_figures::find(c, id)?,
        usage: usage::since(c, Period::Day, id, figures::chart_start())?,
        pages: usage::pages(c, id, figures::chart_start(), SHOWN)?,
        slow: slow_queries::costliest(c, id, SHOWN)?,
        backups: backups::of(c, Some(id))?,
        deletion: deletions::find(c, id)?,
        institution,
    })
}

/// `GET /platform/institutions/{domain}`: super admins.
pub async fn detail(
    platform: State,
    admin: AnyAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let domain = domain.into_inner();
    let whole = platform.shared.run(move |c| whole(c, &domain)).await?;
    let held = subscription::usage(&platform, &whole.institution).await;
    let clock = Clock::utc();
    let page = admin
        .page(whole.institution.name.as_str())
        .crumb("Institutions", PATH)
        .badge(status_badge(whole.institution.status));
    let page = with_actions(&admin, page, &whole);
    let on_server = match &whole.database {
        Some(database) if database.engine == Engine::Postgres => {
            databases::sessions(&platform).await?.get(&database.database_name).copied().or(Some(0))
        }
        _ => None,
    };
    Ok(html(&RecordPage::new(page, record(&platform, &admin, &clock, whole, on_server, held)))?)
}

fn with_actions(admin: &AnyAdmin, page: Page, whole: &Whole) -> Page {
    let place = format!("{PATH}/{}", whole.institution.domain);
    let registration = format!("/platform/registrations/{}", whole.registration.id);
    match whole.institution.status {
        Status::ProvisioningFailed if admin.is_operator() => {
            match whole.operations.iter().find(|o| o.may_be_tried_again()) {
                Some(failed) => page.action(
                    Action::post(
                        "Try the set-up again",
                        format!("/platform/operations/{}/attempts", failed.id),
                    )
                    .icon(Icon::Refresh),
                ),
                None => page,
            }
        }
        _ if !admin.is_super_admin() => page,
        Status::PendingApproval => page
            .action(Action::post("Approve institution", format!("{registration}/approval")).icon(Icon::Check))
            .also(
                Action::ask("Reject institution", format!("{registration}/rejection")).icon(Icon::X).danger(),
            ),
        Status::Rejected => page.also(
            Action::post("Reconsider institution", format!("{registration}/reconsideration"))
                .icon(Icon::Undo),
        ),
        Status::Active => page.also(
            Action::ask("Suspend institution", format!("{place}/suspension")).icon(Icon::Pause).danger(),
        ),
        Status::Suspended => page.action(
            Action::ask("Reactivate institution", format!("{place}/suspension/remove")).icon(Icon::Play),
        ),
        Status::Archived => page.action(
            Action::ask("Bring institution back", format!("{place}/archiving/remove")).icon(Icon::Undo),
        ),
        Status::ProvisioningFailed | Status::Provisioning | Status::Deleted => page,
    }
}

fn record(
    platform: &State,
    admin: &AnyAdmin,
    clock: &Clock,
    whole: Whole,
    on_server: Option<usize>,
    held: Option<Held>,
) -> Record {
    let Whole {
        institution,
        subscribed,
        registration,
        database,
        server,
        changes,
        operations,
        figures: present,
        usage,
        pages,
        slow,
        backups,
        deletion,
        sandbox,
        sandboxes,
    } = whole;
    let place = format!("{PATH}/{}", institution.domain);
    let reason = changes.first().and_then(|change| change.reason.clone()).unwrap_or_default();
    let notice = match institution.status {
        Status::Suspended => Some(Notice::warning(format!("Suspended. The reason given: {reason}"))),
        Status::ProvisioningFailed => Some(Notice::error(format!("The set-up failed. {reason}"))),
        Status::Rejected => Some(Notice::info(format!("Rejected. The reason given: {reason}"))),
        Status::Archived => Some(Notice::info(format!("Archived. The reason given: {reason}"))),
        Status::Deleted => Some(Notice::info(format!("Deleted. The reason given: {reason}"))),
        _ => sandbox.as_ref().map(|(sandbox, _)| Notice::info(sentence(sandbox))),
    };
    let notice = deletion.as_ref().map(|asked| leaving::pending(&place, asked)).or(notice);
    let mut record = Record::new().notice(notice).section(profile(admin, clock, &institution));
    if let Some((sandbox, of)) = &sandbox {
        record = record.section(sandbox_pages::facts(clock, sandbox, of));
    }
    if !sandboxes.is_empty() {
        record = record.section(sandbox_pages::list(&sandboxes));
    }
    let terms = subscription::facts(clock, &subscribed);
    record = record.section(if admin.is_super_admin() {
        terms.edit(format!("{place}/subscription"))
    } else {
        terms
    });
    if let Some(held) = held {
        record = record.section(limits::section(&subscribed.terms().limits, &held));
    }
    record = record.section(first_admin(clock, &registration));
    if let Some(database) = &database {
        let today = Period::Day.start(crate::db::now());
        let server =
            server.map_or_else(Cell::nothing, |server| server_pages::cell(&server, admin.is_operator()));
        let users = usage.last().filter(|day| day.starts_at == today).map_or(0, |day| day.users);
        record = record
            .section(figures::use_of(clock, &present, users))
            .section(databases::facts(platform, database, server, on_server))
            .section(backup_pages::facts(clock, &backups))
            .chart(figures::requests_chart(&usage))
            .chart(figures::size_chart(&usage));
        if !slow.is_empty() {
            record = record.list("Slow queries", figures::slow_list(clock, slow));
        }
        if !pages.is_empty() {
            record = record.list("Pages most used in 30 days", figures::page_list(pages));
        }
    }
    let invites = matches!(institution.status, Status::PendingApproval | Status::Rejected | Status::Active);
    let kept = institution.status != Status::Archived && database.is_some();
    if kept && admin.is_operator() {
        record = record
            .action(Action::post("Back up now", format!("{place}/backups")).icon(Icon::Archive))
            .action(Action::post("Tend to the database", format!("{place}/maintenance")).icon(Icon::Refresh));
    }
    let held = matches!(institution.status, Status::Active | Status::Suspended);
    if held && database.is_some() && admin.is_super_admin() {
        let elsewhere = Action::ask("Move to another server", format!("{place}/move"));
        record = record.action(elsewhere.icon(Icon::Server));
    }
    if institution.status == Status::Active && admin.is_support() {
        let look = Action::link("Look inside", format!("{place}/support-access")).icon(Icon::Shield);
        record = record.action(look);
    }
    if invites && admin.is_super_admin() {
        let label = match institution.status {
            Status::Active => "Invite an admin",
            _ if registration.admin_email.is_some() => "Change the first admin",
            _ => "Name the first admin",
        };
        record = record.action(Action::link(label, format!("{place}/invitation")).icon(Icon::UserPlus));
    }
    if admin.is_auditor() {
        record = record.action(
            Action::link("Audit entries", format!("/platform/audit?institution={}", institution.domain))
                .icon(Icon::Activity),
        );
    }
    if admin.is_super_admin() {
        let copied = matches!(institution.status, Status::Active | Status::Suspended | Status::Archived);
        if copied && sandbox.is_none() {
            let make = Action::link("Make a sandbox", format!("{place}/sandboxes")).icon(Icon::Database);
            record = record.action(make);
        }
        record = leaving::actions(record, &place, institution.status);
    }
    if institution.status == Status::Active && admin.is_super_admin() {
        let sign_out = Action::ask("Sign everybody out", format!("{place}/sessions/remove"));
        record = record.action(sign_out.icon(Icon::LogOut));
    }
    if !operations.is_empty() {
        record = record.list("Operations", operation_pages::plain_list(clock, operations));
    }
    record.history(history(clock, changes))
}

fn profile(admin: &AnyAdmin, clock: &Clock, institution: &Institution) -> Section {
    let section = Section::new("Profile")
        .fact("Name", institution.name.as_str())
        .fact("Domain", Cell::mono(institution.domain.as_str()))
        .fact("Kind", institution.kind.label())
        .fact("Country", country_name(&institution.country))
        .fact("Region", Cell::text(institution.region.clone().unwrap_or_default()))
        .fact("Website", website(institution.website.as_deref()))
        .fact("Time zone", institution.time_zone.as_str())
        .fact("Registered", Cell::time(clock, institution.created_at));
    if admin.is_super_admin() { section.edit(format!("{PATH}/{}/edit", institution.domain)) } else { section }
}

fn first_admin(clock: &Clock, registration: &Registration) -> Section {
    let link = format!("/platform/registrations/{}", registration.id);
    let stand = match registration.stand() {
        Stand::Waiting => "Waiting for a decision",
        Stand::Approved => "Approved",
        Stand::Rejected => "Rejected",
    };
    Section::new("Registration")
        .fact("First admin", Cell::text(registration.admin_name.clone().unwrap_or_default()))
        .fact("E-mail", registration.admin_email.as_deref().map_or_else(Cell::nothing, Cell::email))
        .fact("Submitted", Cell::time(clock, registration.submitted_at))
        .fact("Decision", Cell::link(stand, link))
}

/// `GET /platform/institutions/{domain}/edit`: super admins.
pub async fn edit(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = profile_form(&institution).filled(values(&institution)).at_version(institution.version);
    profile_fields(&mut form);
    Ok(html(&FormPage::new(page_about(&admin, &institution, "Edit profile"), form))?)
}

/// `POST /platform/institutions/{domain}`: super admins; a second person is shown both versions.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = profile_form(&institution).at_version(institution.version).submitted(&data);
    let changes = profile_fields(&mut form);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(changes) = changes {
        let version = form.posted_version().unwrap_or_default();
        match institution_settings::correct(&platform, &institution, admin.actor(), version, changes).await {
            Ok(saved) => {
                admin.flash(Notice::success(format!("The profile of {} is saved.", saved.name)))?;
                return Ok(see_other(format!("{PATH}/{}", institution.domain)));
            }
            Err(CorrectError::Model(ModelError::Changed(sentence))) => {
                let now = found(&platform, &domain).await?;
                form.conflict(sentence, &values(&now), now.version);
                status = StatusCode::CONFLICT;
            }
            Err(CorrectError::Model(ModelError::Refused(sentence))) => form.error("", sentence),
            Err(CorrectError::Model(error)) => return Err(error.into()),
            Err(CorrectError::Tenant(error)) => return Err(error.into()),
        }
    }
    let view = FormPage::new(page_about(&admin, &institution, "Edit profile"), form);
    Ok(html_with_status(status, &view)?)
}

fn profile_form(institution: &Institution) -> Form {
    let place = format!("{PATH}/{}", institution.domain);
    Form::new(place.as_str()).submit("Save profile").cancel(place)
}

fn values(institution: &Institution) -> FormData {
    FormData::default()
        .with("name", &institution.name)
        .with("kind", institution.kind)
        .with("country", &institution.country)
        .with_some("region", institution.region.as_ref())
        .with_some("website", institution.website.as_ref())
        .with("time_zone", &institution.time_zone)
}

fn profile_fields(form: &mut Form) -> Option<ProfileChanges> {
    let name = form.text("name", "Institution name").required();
    let kind = form.choose::<Kind>("kind", "Kind");
    let country = form.select("country", "Country", Country::all().map(|c| (c.code(), c.name()))).required();
    let region = form.text("region", "Region").optional();
    let website = form.url("website", "Website").check(|text| web_address(text).map(|_| ())).optional();
    let time_zone =
        form.select("time_zone", "Time zone", TimeZone::names().map(|name| (name, name))).required();
    form.read(|| {
        let (Chosen(country), Chosen(time_zone)) = (country?, time_zone?);
        Some(ProfileChanges { name: name?, kind: kind?, country, region, website, time_zone })
    })
}
