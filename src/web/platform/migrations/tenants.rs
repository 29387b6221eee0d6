//! `/platform/migrations/tenants`: every institution's schema; one tried again, one taken back.

use actix_web::{HttpRequest, HttpResponse};

use super::{DATABASES, PATH, TENANTS, standing};
use crate::{
    db::shared::SharedConn,
    error::AppError,
    models::{
        ModelResult,
        platform::{
            institutions::{self, Institution},
            tenant_databases::{self, DatabaseFilter, DatabaseRow, DatabaseStatus},
        },
    },
    services::rollouts::{self as service, Started},
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::FormData,
        icons::Icon,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        platform::{acting::settled, list_file::ListFile},
        respond::{html, see_other},
    },
};

const COLUMNS: &[Column] = &[
    Column::new("institution", "Institution").sortable(),
    Column::new("version", "Schema").sortable(),
    Column::new("standing", "State"),
    Column::new("reason", "Why in quarantine").minor(),
];

async fn asked(
    request: &HttpRequest,
    platform: &State,
) -> Result<(ListSpec, ListQuery, DatabaseFilter), AppError> {
    let known = platform.shared.run(tenant_databases::versions).await?;
    let versions = known.into_iter().map(|count| (count.version.clone(), count.version));
    let standings = [
        ("behind", "Behind"),
        ("current", "Up to date"),
        ("newer", "Newer"),
        ("quarantine", "In quarantine"),
    ];
    let spec = ListSpec::new(TENANTS, DATABASES, COLUMNS)
        .search("Institution or database")
        .filter(Filter::one_of("standing", "State", standings))
        .filter(Filter::one_of("version", "Schema", versions))
        .csv()
        .empty(
            "No databases yet",
            "An institution's database is made when its registration is approved.",
            None,
        );
    let query = ListQuery::parse(&spec, request.query_string());
    let current = || Some(platform.migrations.version().to_owned());
    let standing = query.filter("standing").unwrap_or_default();
    let mut filter = DatabaseFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: Some(DatabaseStatus::Ready),
        version: query.filter("version").map(ToOwned::to_owned),
        quarantined: standing == "quarantine",
        ..DatabaseFilter::default()
    };
    match standing {
        "behind" => filter.older_than = current(),
        "newer" => filter.newer_than = current(),
        "current" => filter.version = filter.version.or_else(current),
        _ => {}
    }
    Ok((spec, query, filter))
}

/// `GET /platform/migrations/tenants`: every platform admin.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let (spec, query, filter) = asked(&request, &platform).await?;
    let paging = query.paging();
    let slice = platform.shared.run(move |c| tenant_databases::page(c, &filter, &paging)).await?;
    let current = platform.migrations.version();
    let first = platform.migrations.all().first().map_or("", |migration| &migration.name);
    let rows = slice.rows.into_iter().map(|found| row(&admin, found, current, first)).collect();
    let page = admin
        .page("Schemas")
        .crumb("Migrations", PATH)
        .intro(format!("This version of Provost works with the schema {current}."));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn row(admin: &AnyAdmin, found: DatabaseRow, current: &str, first: &str) -> Row {
    let (id, version) = (found.database.institution_id, found.database.schema_version);
    let held = found.database.quarantine_reason.is_some();
    let mut badges = vec![standing(&version, current)];
    if held {
        badges.push(Badge::new(Tone::Bad, "In quarantine"));
    }
    let row = Row::new(found.database.id, format!("/platform/institutions/{}", found.domain))
        .cell(Cell::text(found.name).note(found.domain))
        .cell(Cell::mono(version.as_str()))
        .cell(Cell::badges(badges))
        .cell(found.database.quarantine_reason.map_or_else(Cell::nothing, Cell::lines));
    if !admin.is_operator() {
        return row;
    }
    let again = |label| Action::post(label, format!("{TENANTS}/{id}/attempts")).icon(Icon::Refresh);
    let row = match (held, *version < *current) {
        (true, _) => row.action(again("Try again")),
        (false, true) => row.action(again("Migrate")),
        _ => row,
    };
    if *version <= *current && *version > *first {
        row.action(Action::ask("Roll back", format!("{TENANTS}/{id}/rollback")).icon(Icon::Undo).danger())
    } else {
        row
    }
}

/// `GET /platform/migrations/tenants.csv`: every platform admin; all that match.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let (_, query, filter) = asked(&request, &platform).await?;
    ListFile {
        name: "schemas.csv",
        action: "schemas.exported",
        heads: &["institution", "domain", "database", "schema", "quarantine"],
        key: |row: &DatabaseRow| row.database.id,
        cells: |row| {
            vec![
                row.name,
                row.domain,
                row.database.database_name,
                row.database.schema_version,
                row.database.quarantine_reason.unwrap_or_default(),
            ]
        },
        page: tenant_databases::page,
        after: tenant_databases::older_than,
    }
    .send(&platform, &admin, &query, filter)
    .await
}

/// `POST /platform/migrations/tenants/{id}/attempts`: operators.
pub async fn try_again(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (audit, state) = (admin.audit(&platform), platform.clone());
    let outcome = platform.shared.run(move |c| service::try_again(c, &state, &audit, id, false)).await;
    platform.operations.wake();
    let back = place_of(&outcome);
    settled(&admin, outcome, |_| Notice::success("It is migrated now."), &back)
}

/// Where to see what was begun.
fn place_of(outcome: &ModelResult<Started>) -> String {
    outcome.as_ref().map_or_else(|_| TENANTS.to_owned(), |started| format!("{PATH}/{}", started.rollout))
}

/// Whose database is taken back, and where to.
fn look(
    c: &mut SharedConn,
    platform: &State,
    id: crate::db::Id,
) -> ModelResult<(Institution, Option<String>)> {
    let institution = institutions::find(c, id)?;
    let target = match tenant_databases::find(c, id)? {
        Some(database) => service::one_before(c, platform, &database)?,
        None => None,
    };
    Ok((institution, target))
}

fn question(admin: &AnyAdmin, institution: &Institution, target: &str) -> ConfirmPage {
    let confirm = Confirm::new(format!("{TENANTS}/{}/rollback", institution.id), "Roll back database")
        .says(format!("The database of {} goes back to the schema {target}.", institution.name))
        .says("What was written in the newer schema only is lost; the database is backed up right before.")
        .says(
            "Its pages are closed for maintenance until it is migrated again, or an older Provost serves it.",
        )
        .typed(institution.domain.as_str())
        .danger()
        .cancel(TENANTS);
    let page = admin.page(format!("Roll {} back?", institution.name)).crumb("Migrations", PATH);
    ConfirmPage::new(page, confirm)
}

fn nothing_before(admin: &AnyAdmin, institution: &Institution) -> Result<HttpResponse, AppError> {
    let words = format!("{} has the first schema there is. Nothing was changed.", institution.name);
    admin.flash(Notice::info(words))?;
    Ok(see_other(TENANTS))
}

/// `GET /platform/migrations/tenants/{id}/rollback`: operators.
pub async fn ask_roll_back(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let (institution, target) = platform.shared.run(move |c| look(c, &state, id)).await?;
    let Some(target) = target else { return nothing_before(&admin, &institution) };
    Ok(html(&question(&admin, &institution, &target))?)
}

/// `POST /platform/migrations/tenants/{id}/rollback`: operators.
pub async fn roll_back(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let (institution, target) = platform.shared.run(move |c| look(c, &state, id)).await?;
    let Some(target) = target else { return nothing_before(&admin, &institution) };
    if let Err(page) = question(&admin, &institution, &target).answer(&data)? {
        return Ok(page);
    }
    let (audit, state) = (admin.audit(&platform), platform.clone());
    let outcome = platform.shared.run(move |c| service::roll_back_one(c, &state, &audit, id)).await;
    platform.operations.wake();
    let back = place_of(&outcome);
    settled(&admin, outcome, |_| Notice::success("It is being taken back."), &back)
}
