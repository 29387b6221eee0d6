//! `/platform/reconciliation`: where the registry and what is really there differ, and mending it by a click.

use actix_web::{HttpRequest, HttpResponse, web::block};

use super::{institutions, list_file::ListFile};
use crate::{
    db::{now, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        platform::{
            reconciliation::{self, Finding, FindingFilter, FindingKind, FindingRow},
            servers,
        },
    },
    services::{operations::Failure, reconcile},
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        csv_file::moment,
        icons::Icon,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        respond::{html, see_other},
        time::Clock,
        words::Noun,
    },
};

const PATH: &str = "/platform/reconciliation";
const DIFFERENCES: Noun = Noun::new("difference", "differences");

const COLUMNS: &[Column] = &[
    Column::new("subject", "What").sortable(),
    Column::new("kind", "Difference"),
    Column::new("institution", "Institution"),
    Column::new("todo", "What to do").minor(),
    Column::new("seen", "Seen since").sortable(),
];

fn spec() -> ListSpec {
    let kinds = FindingKind::ALL.iter().map(|kind| (kind.as_str(), kind.label()));
    ListSpec::new(PATH, DIFFERENCES, COLUMNS)
        .search("Database, role or file")
        .filter(Filter::one_of("kind", "Difference", kinds))
        .csv()
        .empty(
            "Nothing differs",
            "Everything that the registry knows is there, and nothing else. It is looked at once a day.",
            Some(look_again()),
        )
}

fn look_again() -> Action {
    Action::post("Look again now", PATH).icon(Icon::Refresh)
}

fn filter(query: &ListQuery) -> FindingFilter {
    FindingFilter { q: query.q().unwrap_or_default().to_owned(), kind: query.chosen("kind") }
}

fn row(admin: &AnyAdmin, clock: &Clock, FindingRow { finding, domain }: FindingRow) -> Row {
    let tone = if finding.kind.is_urgent() { Tone::Bad } else { Tone::Waiting };
    let path = format!("{PATH}/{}/repair", finding.id);
    let offered = finding.kind.repair().filter(|_| admin.is_super_admin() && finding.may_be_repaired(now()));
    let whose = domain.map_or_else(Cell::nothing, |domain| {
        Cell::link(domain.as_str(), format!("{}/{domain}", institutions::PATH))
    });
    let row = Row::plain(finding.id)
        .cell(Cell::mono(finding.subject).note(finding.detail))
        .cell(Badge::new(tone, finding.kind.label()))
        .cell(whose)
        .cell(finding.kind.remedy())
        .cell(Cell::time(clock, finding.first_seen_at));
    match offered {
        Some(label) => row.action(Action::ask(label, path).danger()),
        None => row,
    }
}

/// `GET /platform/reconciliation`: operators; what was found when it was looked at last.
pub async fn list(request: HttpRequest, platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let read = move |c: &mut SharedConn| {
        ModelResult::Ok((reconciliation::page(c, &filter, &paging)?, servers::all(c)?))
    };
    let (slice, servers) = platform.shared.run(read).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| row(&admin, &clock, found)).collect();
    let silent = servers.iter().filter(|server| server.is_silent());
    let silent: String = silent
        .map(|server| format!(" The server {} does not answer: what is there is not known.", server.name))
        .collect();
    let page = admin
        .page("Reconciliation")
        .intro(format!(
            "Where the registry and what is really there differ. Nothing is changed by itself.{silent}"
        ))
        .action(look_again());
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/reconciliation.csv`: operators; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: Operator,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "reconciliation.csv",
        action: "reconciliation.exported",
        heads: &["difference", "what", "domain", "detail", "first_seen_at", "last_seen_at"],
        key: |row: &FindingRow| row.finding.id,
        cells: |FindingRow { finding, domain }| {
            vec![
                finding.kind.as_str().to_owned(),
                finding.subject,
                domain.unwrap_or_default(),
                finding.detail,
                moment(finding.first_seen_at),
                moment(finding.last_seen_at),
            ]
        },
        page: reconciliation::page,
        after: reconciliation::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// `POST /platform/reconciliation`: operators; looks now.
pub async fn look(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let looked = block(move || reconcile::refresh(&state)).await.map_err(AppError::internal)?;
    admin.flash(match looked {
        Ok((0, unheard)) if unheard.is_empty() => {
            Notice::success("Looked at everything. Nothing new differs.")
        }
        Ok((new, unheard)) => {
            let new = DIFFERENCES.count(i64::try_from(new).unwrap_or(i64::MAX));
            let all = if unheard.is_empty() { "everything" } else { "what could be asked" };
            let unheard: String = unheard.iter().map(|one| format!(" {}", one.sentence())).collect();
            Notice::warning(format!("Looked at {all}. New: {new}.{unheard}"))
        }
        Err(failure) => Notice::error(format!("It could not be looked at everything. {failure}")),
    })?;
    Ok(see_other(PATH))
}

fn question(finding: &Finding, label: &str) -> Confirm {
    let confirm = Confirm::new(format!("{PATH}/{}/repair", finding.id), label)
        .says(format!("{}: {}. {}", finding.kind.label(), finding.subject, finding.detail))
        .says(finding.kind.remedy())
        .says("It is looked at once more before. If it is no longer so, nothing is changed.")
        .danger()
        .cancel(PATH);
    if finding.kind.is_unknown() {
        confirm.undo("It cannot be brought back.").typed(finding.subject.as_str())
    } else {
        confirm
    }
}

/// `GET /platform/reconciliation/{id}/repair`: super admins.
pub async fn ask_repair(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let finding = platform.shared.run(move |c| reconciliation::find(c, id)).await?;
    let Some(label) = finding.kind.repair().filter(|_| finding.may_be_repaired(now())) else {
        admin.flash(Notice::info(format!("Not by a click, or not yet. {}", finding.kind.remedy())))?;
        return Ok(see_other(PATH));
    };
    let page = admin.page(format!("{label}?")).crumb("Reconciliation", PATH);
    Ok(html(&ConfirmPage::new(page, question(&finding, label)))?)
}

/// `POST /platform/reconciliation/{id}/repair`: super admins; what nobody knows only with its name typed.
pub async fn repair(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: crate::web::forms::FormData,
) -> Result<HttpResponse, AppError> {
    let finding = platform.shared.run(move |c| reconciliation::find(c, id)).await?;
    let label = finding.kind.repair().unwrap_or("Repair");
    let mut confirm = question(&finding, label);
    if confirm.read(&data).is_none() {
        let page = admin.page(format!("{label}?")).crumb("Reconciliation", PATH);
        let status = actix_web::http::StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(crate::web::respond::html_with_status(status, &ConfirmPage::new(page, confirm))?);
    }
    let (state, audit) = (platform.clone(), admin.audit(&platform));
    let done = block(move || reconcile::repair(&state, &audit, id)).await.map_err(AppError::internal)?;
    admin.flash(match done {
        Ok(finding) => Notice::success(format!("{} is mended.", finding.subject)),
        Err(Failure::Permanent(words) | Failure::Transient(words)) => Notice::warning(words),
        Err(failure) => return Err(AppError::internal(failure)),
    })?;
    Ok(see_other(PATH))
}
