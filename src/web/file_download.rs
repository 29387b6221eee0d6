//! An institution's data as a download: read, packed and sent a piece at a time, however much it is.

use std::time::{Duration, Instant};

use actix_web::{
    HttpResponse,
    http::header,
    rt::time::sleep,
    web::{Bytes, block},
};
use futures_util::{StreamExt as _, future::ready, stream};

use crate::{
    db::pools::TenantDb,
    error::AppError,
    models::platform::institutions::Institution,
    services::{
        leaving::export::{Archive, Chunk, Next},
        operations::Failure,
    },
};

/// How long a download that has begun waits for a database that is busy or away.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// The next piece, and the archive to go on with. It is made whether or not somebody takes it by then: the answer's body
/// is looked at only while there is room for more of it, and whoever waits for a connection in there, and is given it,
/// would keep it from everybody else.
async fn next(
    db: &TenantDb,
    archive: Archive,
    patience: Duration,
) -> Result<Option<(Bytes, Archive)>, Failure> {
    let made = actix_web::rt::spawn(piece(db.clone(), archive, patience));
    made.await.map_err(|error| broken(&error))?
}

async fn piece(
    db: TenantDb,
    mut archive: Archive,
    patience: Duration,
) -> Result<Option<(Bytes, Archive)>, Failure> {
    while let Some(next) = archive.next() {
        let chunk = read(&db, next, patience).await?;
        let packed = block(move || archive.add(&chunk).map(|bytes| (bytes, archive)));
        let (bytes, packed) = packed.await.map_err(|error| broken(&error))??;
        if !bytes.is_empty() {
            return Ok(Some((Bytes::from(bytes), packed)));
        }
        archive = packed;
    }
    Ok(None)
}

/// Reads once more what could not be read because the database was busy, for as long as `patience` lasts.
async fn read(db: &TenantDb, next: Next, patience: Duration) -> Result<Chunk, Failure> {
    let began = Instant::now();
    loop {
        let rows = next.clone();
        match db.run(move |c| rows.read(c)).await {
            Err(Failure::Transient(_)) if began.elapsed() < patience => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::Transient(format!("The export broke off: {error}."))
}

/// Everything of an institution. What fails before the first piece is an error; later it is tried for a while, and then
/// the download breaks off, so that nobody takes half for all.
///
/// # Errors
/// When its database cannot be read.
pub async fn everything(db: &TenantDb, institution: &Institution) -> Result<HttpResponse, AppError> {
    let domain: String =
        institution.domain.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    let Some((first, archive)) = next(db, Archive::new(institution), Duration::ZERO).await.map_err(told)?
    else {
        return Err(AppError::NotFound);
    };
    let of = institution.domain.clone();
    let rest = stream::try_unfold((db.clone(), archive, of), |(db, archive, of)| async move {
        let piece = next(&db, archive, PATIENCE).await.map_err(|failure| {
            log::warn!("the export of {of} broke off in the middle: {failure}");
            actix_web::error::ErrorInternalServerError(failure)
        })?;
        Ok::<_, actix_web::Error>(piece.map(|(bytes, archive)| (bytes, (db, archive, of))))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/zip")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{domain}.zip\"")))
        .streaming(stream::once(ready(Ok(first))).chain(rest)))
}

fn told(failure: Failure) -> AppError {
    match failure {
        Failure::Transient(words) => AppError::Unavailable(words, 30),
        other => AppError::internal(other),
    }
}
