//! `/platform/institutions/{domain}`: everything that is known of one institution, and what can be done with it.

use actix_web::{HttpResponse, web::Path};

use super::{
    super::{
        backups as backup_pages, country_name, databases, figures, history, leaving,
        operations as operation_pages, registrations::website, sandbox as sandbox_pages,
        servers as server_pages, status_badge, subscription,
    },
    PATH,
};
use crate::{
    db::Engine,
    error::AppError,
    models::{
        ModelResult, Paging, Usage as Held,
        platform::{
            backups::{self, Backup},
            deletions::{self, Deletion},
            institutions::{self, Institution, Status, StatusChange},
            operations::{self, Operation, OperationFilter},
            registrations::{self, Registration, Stand},
            sandboxes::{self, Sandbox},
            servers::{self, DatabaseServer},
            slow_queries::{self, SlowQuery},
            subscriptions::{self, Subscribed},
            tenant_databases::{self, TenantDatabase},
            tenant_figures::{self, TenantFigures},
            usage::{self, Period, Usage},
        },
    },
    services::sandboxes::sentence,
    web::{
        State,
        auth::AnyAdmin,
        cell::Cell,
        icons::Icon,
        limits,
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::html,
        time::Clock,
    },
};

/// Rows shown of slow queries and of pages.
const SHOWN: i64 = 10;

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
            let page = match whole.sandbox {
                Some(_) if admin.is_super_admin() => page.also(
                    Action::ask("Give the sandbox up", format!("{place}/set-up/remove"))
                        .icon(Icon::Trash)
                        .danger(),
                ),
                _ => page,
            };
            let set_ups = whole.operations.iter().filter(|o| o.kind == operations::Kind::Provision);
            match set_ups.take(1).find(|o| o.may_be_tried_again()) {
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
