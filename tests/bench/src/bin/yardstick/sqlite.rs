//! On SQLite: one blocking call a request, connections kept by the thread that makes it.

use std::{cell::RefCell, path::PathBuf};

use actix_web::{HttpRequest, HttpResponse, web};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use crate::{Asked, SIZE, page, sql};

/// The files to read, and how long an answer shall be.
#[derive(Clone)]
pub struct Files {
    pub shared: PathBuf,
    pub tenant: PathBuf,
    pub bytes: usize,
}

thread_local! {
    static OPEN: RefCell<Option<(Connection, Connection)>> = const { RefCell::new(None) };
}

pub async fn students(files: web::Data<Files>, request: HttpRequest) -> HttpResponse {
    let Some(asked) = Asked::of(&request) else { return HttpResponse::BadRequest().finish() };
    let answer = web::block(move || {
        OPEN.with_borrow_mut(|open| {
            let (shared, tenant) = match open {
                Some(both) => both,
                None => open.insert((connect(&files.shared)?, connect(&files.tenant)?)),
            };
            answer(shared, tenant, &asked, files.bytes)
        })
    })
    .await;
    match answer {
        Ok(Ok(Some(html))) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html),
        Ok(Ok(None)) => HttpResponse::NotFound().finish(),
        other => HttpResponse::InternalServerError().body(format!("{other:?}")),
    }
}

fn connect(file: &PathBuf) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn answer(
    shared: &Connection,
    tenant: &Connection,
    asked: &Asked,
    bytes: usize,
) -> rusqlite::Result<Option<String>> {
    let now = chrono::Utc::now().naive_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let session = shared
        .prepare_cached(sql::SESSION)?
        .query_row(params![asked.token_hash, now], |row| Ok((whole(row, 1)?, whole(row, 2)?)))
        .optional()?;
    let Some((institution, user)) = session else { return Ok(None) };
    let (id, name, status): (Vec<u8>, String, String) = shared
        .prepare_cached(sql::INSTITUTION)?
        .query_row([&asked.domain], |row| Ok((row.get(0)?, row.get(2)?, row.get(8)?)))?;
    if id != institution || status != "active" {
        return Ok(None);
    }
    let user: String = tenant.prepare_cached(sql::USER)?.query_row([&user], |row| row.get(2))?;
    let years: Vec<i64> =
        tenant.prepare_cached(sql::YEARS)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let total: i64 = match &asked.pattern {
        None => tenant.prepare_cached(sql::COUNT)?.query_row([], |row| row.get(0))?,
        Some(pattern) => tenant.prepare_cached(sql::SEARCH_COUNT)?.query_row([pattern], |row| row.get(0))?,
    };

    let mut body = page::Body::new(bytes, &name, &user, total);
    years.into_iter().for_each(|year| body.year(year));
    let mut list =
        tenant.prepare_cached(if asked.pattern.is_some() { sql::SEARCH_LIST } else { sql::LIST })?;
    let mut rows = match &asked.pattern {
        None => list.query(params![SIZE, 0])?,
        Some(pattern) => list.query(params![SIZE, 0, pattern])?,
    };
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column).map(|value| value.as_str().unwrap_or_default());
        let row = page::Row {
            id: uuid::Uuid::from_slice(row.get_ref(0)?.as_blob()?).unwrap_or_default(),
            name: text(11)?,
            number: text(1)?,
            status: text(2)?,
            year: row.get(3)?,
            programme: text(4)?,
            updated: text(8)?,
        };
        body.row(&asked.domain, &row);
    }
    Ok(Some(body.filled(bytes)))
}

fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    row.get(column)
}
