//! `/platform/audit/archives`: logs that have grown old, in files.

use std::io::Read as _;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, block},
};
use chrono::TimeDelta;
use futures_util::stream;
use serde_json::json;

use super::audit::ENTRIES;
use crate::{
    error::AppError,
    models::platform::{
        audit::Subject,
        log_archives::{self, ArchiveRow},
        platform_settings,
    },
    services::{log_archives as service, operations::Failure},
    web::{
        RecordId, State,
        auth::{Auditor, SuperAdmin},
        cell::Cell,
        icons::Icon,
        list::{Column, Dir, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        respond::{html, see_other},
        time::Clock,
        words::{Noun, bytes},
    },
};

const PATH: &str = "/platform/audit/archives";
/// Bytes of a download that are read at once.
const PIECE: u64 = 256 * 1024;

const COLUMNS: &[Column] = &[
    Column::new("of", "Of"),
    Column::new("from", "From"),
    Column::new("to", "To"),
    Column::new("entries", "Entries").numeric(),
    Column::new("size", "Size").numeric(),
    Column::new("made", "Archived").sortable(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("archive", "archives"), COLUMNS)
        .sorted_by("made", Dir::Desc)
        .search("Institution")
        .empty(
            "No archives yet",
            "What is older than the policy says is archived here, a month at a time.",
            None,
        )
}

fn row(clock: &Clock, (archive, domain, name): ArchiveRow) -> Row {
    Row::new(archive.id, format!("{PATH}/{}", archive.id))
        .cell(match name {
            Some(name) => Cell::text(name).note(domain.unwrap_or_default()),
            None => Cell::text("Audit log"),
        })
        .cell(Cell::time(clock, archive.first_at))
        .cell(Cell::time(clock, archive.last_at))
        .cell(Cell::number(archive.entries))
        .cell(Cell::figure(bytes(archive.bytes)))
        .cell(Cell::time(clock, archive.created_at))
}

/// `GET /platform/audit/archives`: auditors.
pub async fn list(request: HttpRequest, platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (q, paging) = (query.q().unwrap_or_default().to_owned(), query.paging());
    let slice = platform.shared.run(move |c| log_archives::page(c, &q, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| row(&clock, found)).collect();
    let mut page = admin
        .page("Archives of logs")
        .crumb("Audit log", "/platform/audit")
        .intro("Entries that were taken out of a log because of their age. An archive leads to its download.")
        .also(Action::post("Verify with archives", format!("{PATH}/verification")).icon(Icon::Check));
    if admin.is_super_admin() {
        page = page
            .also(Action::post("Archive now", PATH).icon(Icon::Archive))
            .also(Action::link("What is kept how long", super::keeping::PATH));
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `POST /platform/audit/archives`: super admins; what the policy lets go of the audit log, now.
pub async fn archive(platform: State, admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let keeping = platform.shared.run(platform_settings::keeping).await?;
    let (state, audit) = (platform.clone(), admin.audit(&platform));
    let made = block(move || service::archive_audit(&state, &audit, &keeping, TimeDelta::zero())).await;
    let entries = |made: &[log_archives::LogArchive]| made.iter().map(|one| one.entries).sum::<i64>();
    admin.flash(match made.map_err(AppError::internal)? {
        Ok(made) if made.is_empty() => {
            Notice::info("No entry is as old as the policy says. Nothing was archived.")
        }
        Ok(made) => Notice::success(format!("{} archived.", ENTRIES.count(entries(&made)))),
        Err(Failure::Permanent(words) | Failure::Transient(words)) => Notice::error(words),
        Err(failure) => return Err(AppError::internal(failure)),
    })?;
    Ok(see_other(PATH))
}

/// `POST /platform/audit/archives/verification`: auditors; every entry that was ever written.
pub async fn verify(platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let verified = block(move || service::verify_with_archives(&state)).await.map_err(AppError::internal)?;
    let found = verified.map_err(AppError::internal)?;
    let entries = ENTRIES.count(found.entries);
    admin.flash(match found.broken {
        None => Notice::success(format!("{entries} as written, archives and log together.")),
        Some(broken) => Notice::error(format!(
            "The audit log is not as it was written. {} The {entries} before it hold. Keep the shared database and \
             the archives as they are, and compare them with a backup.",
            broken.reason
        )),
    })?;
    Ok(see_other(PATH))
}

/// `GET /platform/audit/archives/{id}`: auditors; the entries, a line of JSON each. That they were taken is recorded.
pub async fn download(
    platform: State,
    admin: Auditor,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let archive = platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                let archive = log_archives::find(c, id)?;
                let institution_id = archive.institution_id;
                let label = if institution_id.is_some() { "activity log" } else { "audit log" };
                let subject = Subject { kind: "log archive", id: Some(id), label, institution_id };
                audit.record(c, "log_archive.exported", &subject, &json!({ "entries": archive.entries }))?;
                crate::models::ModelResult::Ok(archive)
            })
        })
        .await?;
    let name = format!("attachment; filename=\"log-{}.jsonl\"", archive.first_at.format("%Y-%m-%d"));
    let state = platform.clone();
    let opened = block(move || service::open(&state, &archive)).await.map_err(AppError::internal)?;
    let input = opened.map_err(AppError::internal)?;
    let pieces = stream::try_unfold(input, |mut input| async move {
        let read = move || {
            let mut piece = Vec::new();
            input.by_ref().take(PIECE).read_to_end(&mut piece).map(|_| (piece, input))
        };
        let read = block(read).await.map_err(AppError::internal)?;
        let (piece, input) = read.map_err(AppError::internal)?;
        Ok::<_, actix_web::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), input)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(pieces))
}
