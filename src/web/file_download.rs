//! An institution's data as a download: read, packed and sent a piece at a time, however much it is.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Bytes, block},
};
use futures_util::{StreamExt as _, future::ready, stream};

use crate::{
    db::pools::TenantDb,
    error::AppError,
    models::platform::institutions::Institution,
    services::{
        leaving::export::{Archive, Chunk},
        operations::Failure,
    },
};

/// The next piece, and the archive to go on with. It is made whether or not somebody takes it by then: the answer's body
/// is looked at only while there is room for more of it, and whoever waits for a connection in there, and is given it,
/// would keep it from everybody else.
async fn next(db: &TenantDb, archive: Archive) -> Result<Option<(Bytes, Archive)>, Failure> {
    let made = actix_web::rt::spawn(piece(db.clone(), archive));
    made.await.map_err(|error| broken(&error))?
}

async fn piece(db: TenantDb, mut archive: Archive) -> Result<Option<(Bytes, Archive)>, Failure> {
    while let Some(next) = archive.next() {
        let chunk: Result<Chunk, Failure> = db.run(move |c| next.read(c)).await;
        let chunk = chunk?;
        let packed = block(move || archive.add(&chunk).map(|bytes| (bytes, archive)));
        let (bytes, packed) = packed.await.map_err(|error| broken(&error))??;
        if !bytes.is_empty() {
            return Ok(Some((Bytes::from(bytes), packed)));
        }
        archive = packed;
    }
    Ok(None)
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::Transient(format!("The export broke off: {error}."))
}

/// Everything of an institution. What fails before the first piece is an error; later the download breaks off, so that
/// nobody takes half for all.
///
/// # Errors
/// When its database cannot be read.
pub async fn everything(db: &TenantDb, institution: &Institution) -> Result<HttpResponse, AppError> {
    let domain: String =
        institution.domain.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    let Some((first, archive)) = next(db, Archive::new(institution)).await.map_err(told)? else {
        return Err(AppError::NotFound);
    };
    let rest = stream::try_unfold((db.clone(), archive), |(db, archive)| async move {
        let piece = next(&db, archive).await.map_err(actix_web::error::ErrorInternalServerError)?;
        Ok::<_, actix_web::Error>(piece.map(|(bytes, archive)| (bytes, (db, archive))))
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
