//! `/platform/backups`: what could be restored, how old it is, and whether that was tried out.

use actix_web::{HttpRequest, HttpResponse, web::Path};

use super::{
    acting::begin,
    institutions::{found, page_about},
    list_file::ListFile,
};
use crate::{
    db::{Id, engine::Contents, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        platform::{
            backups::{self, Backup, BackupFilter, BackupRow, Reason},
            institutions::{self, Institution},
            tenant_copies::{self, Purpose, TenantCopy},
        },
    },
    services::backups::{self as service, RestoreHow, manifest::Manifest},
    web::{
        RecordId, State,
        auth::{AnyAdmin, Operator, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        csv_file::moment,
        forms::FormData,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::html,
        time::Clock,
        words::{Noun, bytes},
    },
};

pub(super) const PATH: &str = "/platform/backups";

const COLUMNS: &[Column] = &[
    Column::new("of", "Of"),
    Column::new("taken", "Taken").sortable(),
    Column::new("state", "State"),
    Column::new("verified", "Verified").sortable(),
    Column::new("size", "Size").numeric().sortable(),
    Column::new("reason", "Reason").minor(),
    Column::new("kept", "Kept until").minor(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("backup", "backups"), COLUMNS)
        .sorted_by("taken", Dir::Desc)
        .search("Institution")
        .filter(Filter::one_of("state", "State", [("verified", "Verified"), ("unverified", "Not verified")]))
        .filter(Filter::one_of("reason", "Reason", Reason::ALL.iter().map(|r| (r.as_str(), r.label()))))
        .csv()
        .empty(
            "No backups yet",
            "Every database that has changed is backed up once a day. You can also begin one now.",
            Some(Action::post("Back up the shared database", PATH).icon(Icon::Database)),
        )
}

fn filter(query: &ListQuery) -> BackupFilter {
    BackupFilter {
        q: query.q().unwrap_or_default().to_owned(),
        reason: query.chosen("reason"),
        verified: query.filter("state").map(|state| state == "verified"),
        institution_id: None,
    }
}

fn badge(backup: &Backup) -> Badge {
    match (&backup.fault, backup.verified_at) {
        (Some(_), _) => Badge::new(Tone::Bad, "Faulty"),
        (None, Some(_)) => Badge::new(Tone::Good, "Verified"),
        (None, None) => Badge::new(Tone::Waiting, "Not verified"),
    }
}

fn row(clock: &Clock, admin: &AnyAdmin, BackupRow { backup, domain }: BackupRow) -> Row {
    let state = badge(&backup);
    let path = format!("{PATH}/{}", backup.id);
    let mut row = Row::new(backup.id, path.as_str())
        .cell(Cell::text(backup.subject).note(domain.unwrap_or_default()))
        .cell(Cell::time(clock, backup.taken_at))
        .cell(state)
        .cell(Cell::time(clock, backup.verified_at))
        .cell(Cell::figure(bytes(backup.bytes)))
        .cell(backup.reason.label())
        .cell(Cell::time(clock, backup.kept_until));
    if admin.is_operator() {
        row = row.action(Action::post("Verify", format!("{path}/verification")));
    }
    if admin.is_operator() && backup.institution_id.is_some() {
        row = row.action(Action::post("Restore beside", format!("{path}/copy")));
    }
    if admin.is_super_admin() && backup.institution_id.is_some() {
        row = row.action(Action::ask("Restore", format!("{path}/restore")).danger());
    }
    row
}

/// `GET /platform/backups`: every platform admin.
pub async fn list(request: HttpRequest, platform: State, admin: AnyAdmin) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| backups::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| row(&clock, &admin, found)).collect();
    let mut page = admin
        .page("Backups")
        .intro("Only a backup that was restored for a trial and compared counts: it is verified.");
    if admin.is_operator() {
        page = page.action(Action::post("Back up the shared database", PATH).icon(Icon::Database));
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/backups.csv`: every platform admin; all that match, the newest first.
pub async fn export(
    request: HttpRequest,
    platform: State,
    admin: AnyAdmin,
) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "backups.csv",
        action: "backups.exported",
        heads: &[
            "id",
            "of",
            "domain",
            "taken_at",
            "verified_at",
            "bytes",
            "rows",
            "reason",
            "kept_until",
            "fault",
        ],
        key: |row: &BackupRow| row.backup.id,
        cells: |BackupRow { backup, domain }| {
            vec![
                backup.id.to_string(),
                backup.subject,
                domain.unwrap_or_default(),
                moment(backup.taken_at),
                backup.verified_at.map(moment).unwrap_or_default(),
                backup.bytes.to_string(),
                backup.row_total.to_string(),
                backup.reason.as_str().to_owned(),
                moment(backup.kept_until),
                backup.fault.unwrap_or_default(),
            ]
        },
        page: backups::page,
        after: backups::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

/// `POST /platform/backups`: operators; the shared database, now.
pub async fn back_up_shared(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    begin(&platform, &admin, move |c, audit| service::request(c, audit, None, Reason::Requested), PATH).await
}

/// `POST /platform/institutions/{domain}/backups`: operators; this institution, now.
pub async fn back_up(
    platform: State,
    admin: Operator,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (id, back) = (institution.id, format!("{}/{}", super::institutions::PATH, institution.domain));
    begin(&platform, &admin, move |c, audit| service::request(c, audit, Some(id), Reason::Requested), &back)
        .await
}

/// `POST /platform/backups/{id}/verification`: operators.
pub async fn verify(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    begin(
        &platform,
        &admin,
        move |c, audit| service::request_verification(c, audit, id),
        &format!("{PATH}/{id}"),
    )
    .await
}

/// `POST /platform/backups/{id}/copy`: operators; a copy beside, which nobody but the operator can enter.
pub async fn copy(
    platform: State,
    admin: Operator,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let how = RestoreHow { beside: true, without_saving: false };
    begin(
        &platform,
        &admin,
        move |c, audit| service::request_restore(c, audit, id, how),
        &format!("{PATH}/{id}"),
    )
    .await
}

struct Whole {
    backup: Backup,
    institution: Option<Institution>,
    copies: Vec<TenantCopy>,
}

async fn whole(platform: &State, id: Id) -> Result<Whole, AppError> {
    let read = move |c: &mut SharedConn| {
        let backup = backups::find(c, id)?;
        let institution = backup.institution_id.map(|id| institutions::find(c, id)).transpose()?;
        let mut copies = match &institution {
            Some(institution) => tenant_copies::of_institution(c, institution.id)?,
            None => Vec::new(),
        };
        copies.retain(|copy| copy.backup_id == Some(id) && copy.purpose == Purpose::Beside);
        ModelResult::Ok(Whole { backup, institution, copies })
    };
    Ok(platform.shared.run(read).await?)
}

fn titled(admin: &AnyAdmin, backup: &Backup) -> Page {
    admin.page(format!("Backup of {}", backup.subject)).crumb("Backups", PATH).badge(badge(backup))
}

/// `GET /platform/backups/{id}`: every platform admin; what is in it, and what can be done with it.
pub async fn detail(
    platform: State,
    admin: AnyAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let whole = whole(&platform, id).await?;
    let (clock, path) = (Clock::utc(), format!("{PATH}/{id}"));
    let mut page = titled(&admin, &whole.backup);
    if admin.is_operator() {
        page = page.action(Action::post("Verify backup", format!("{path}/verification")).icon(Icon::Check));
    }
    if admin.is_operator() && whole.institution.is_some() {
        page = page.also(Action::post("Restore beside", format!("{path}/copy")).icon(Icon::Database));
    }
    if let Some(of) = whole.institution.as_ref().filter(|_| admin.is_super_admin()) {
        let make = format!("{}/{}/sandboxes?backup={id}", super::institutions::PATH, of.domain);
        page = page.also(Action::link("Make a sandbox of it", make).icon(Icon::Database));
        page = page.also(Action::ask("Restore", format!("{path}/restore")).icon(Icon::Undo).danger());
    }
    Ok(html(&RecordPage::new(page, record(&clock, whole)))?)
}

fn record(clock: &Clock, Whole { backup, institution, copies }: Whole) -> Record {
    let notice = backup.fault.as_ref().map(|fault| Notice::error(format!("It cannot be restored. {fault}")));
    let manifest = Manifest::of_line(&backup.manifest).ok();
    let mut facts = Section::new("Backup");
    if let Some(institution) = institution {
        let place = format!("{}/{}", super::institutions::PATH, institution.domain);
        facts = facts.fact("Institution", Cell::link(institution.name, place));
    }
    facts = facts
        .fact("Taken", Cell::time(clock, backup.taken_at))
        .fact("Verified", Cell::time(clock, backup.verified_at))
        .fact("Kept until", Cell::time(clock, backup.kept_until))
        .fact("Reason", backup.reason.label())
        .fact("Size", Cell::figure(bytes(backup.bytes)))
        .fact("Rows", Cell::number(backup.row_total))
        .fact("Schema version", Cell::mono(backup.schema_version.as_str()));
    let mut record = Record::new().notice(notice);
    if let Some(manifest) = manifest {
        facts = facts.fact("Made by", Cell::text(manifest.tool)).fact("SHA-256", Cell::mono(manifest.digest));
        record = record.section(facts).section(tables(&manifest.contents));
    } else {
        record = record.section(facts);
    }
    for copy in copies {
        record = record.section(
            Section::new("Copy beside")
                .fact("Database", Cell::mono(copy.database_name))
                .fact("Location", Cell::mono(copy.location))
                .fact("Goes by itself", Cell::time(clock, copy.drop_after)),
        );
    }
    record
}

/// Every table and how many rows it has.
fn tables(contents: &Contents) -> Section {
    let section = Section::new("What is in it");
    contents
        .tables
        .iter()
        .filter(|(table, _)| !table.starts_with("__"))
        .fold(section, |section, (table, rows)| section.fact(table.replace('_', " "), Cell::number(*rows)))
}

fn question(admin: &AnyAdmin, institution: &Institution, backup: &Backup) -> ConfirmPage {
    let confirm = Confirm::new(format!("{PATH}/{}/restore", backup.id), "Restore institution")
        .says(format!(
            "{} goes back to its state of {} UTC. What was entered there since is no longer seen.",
            institution.name,
            backup.taken_at.format("%Y-%m-%d %H:%M")
        ))
        .says("The present state is backed up first, and everybody there is signed out.")
        .count("rows in the backup", backup.row_total)
        .undo(
            "The replaced database is kept for 7 days, and the backup of the present state can be restored.",
        )
        .typed(institution.domain.as_str())
        .danger()
        .cancel(format!("{PATH}/{}", backup.id));
    ConfirmPage::new(page_about(admin, institution, format!("Restore {}?", institution.name)), confirm)
}

/// `GET /platform/backups/{id}/restore`: super admins.
pub async fn ask_restore(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let whole = whole(&platform, id).await?;
    let institution = whole.institution.ok_or(AppError::NotFound)?;
    Ok(html(&question(&admin, &institution, &whole.backup))?)
}

/// `POST /platform/backups/{id}/restore`: super admins, who type the domain.
pub async fn restore(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let whole = whole(&platform, id).await?;
    let institution = whole.institution.ok_or(AppError::NotFound)?;
    if let Err(page) = question(&admin, &institution, &whole.backup).answer(&data)? {
        return Ok(page);
    }
    begin(
        &platform,
        &admin,
        move |c, audit| service::request_restore(c, audit, id, RestoreHow::default()),
        &format!("{PATH}/{id}"),
    )
    .await
}

/// The backups on the page of their institution.
pub(super) fn facts(clock: &Clock, all: &[Backup]) -> Section {
    let verified = all.iter().find(|backup| backup.verified_at.is_some());
    let link = |backup: &Backup| format!("{PATH}/{}", backup.id);
    let mut section = Section::new("Backups")
        .fact("Last backup", Cell::time(clock, all.first().map(|backup| backup.taken_at)))
        .fact("Last verified backup", Cell::time(clock, verified.map(|backup| backup.taken_at)));
    if let Some(newest) = all.first() {
        section = section.fact("Newest", Cell::link(bytes(newest.bytes), link(newest)));
    }
    let kept = Noun::new("backup", "backups").count(i64::try_from(all.len()).unwrap_or(i64::MAX));
    section.fact("Kept", kept)
}
