//! A file to download: read and sent in pieces, however long it is.

use std::{fs::File, io::Read as _};

use actix_web::{
    HttpResponse,
    error::ErrorInternalServerError,
    http::header,
    web::{Bytes, block},
};
use futures_util::stream;

/// Read at a time.
const PIECE: usize = 64 * 1024;

/// A ZIP archive under this name.
pub fn zip(name: &str, file: File) -> HttpResponse {
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let read = block(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            std::io::Result::Ok((piece, file))
        });
        let (piece, file) =
            read.await.map_err(ErrorInternalServerError)?.map_err(ErrorInternalServerError)?;
        let next = if piece.is_empty() { None } else { Some((Bytes::from(piece), file)) };
        Ok::<_, actix_web::Error>(next)
    });
    HttpResponse::Ok()
        .content_type("application/zip")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(pieces)
}
