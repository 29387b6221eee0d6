//! Style sheets, scripts and pictures: embedded, named by their content, kept by browsers for good.

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{HttpResponse, http::header, web};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

#[derive(Embed)]
#[folder = "static/"]
struct Files;

/// The style sheet all pages load: these files in the order of their layers, in one answer.
const STYLE_SHEET: &str = "css/app.css";
const STYLE_PARTS: [&str; 9] = [
    "css/layers.css",
    "css/reset.css",
    "css/tokens.css",
    "css/base.css",
    "css/layout.css",
    "css/components.css",
    "css/pages.css",
    "css/utilities.css",
    "css/print.css",
];

struct Assets {
    /// One hash over all files: a script may then import its neighbours by relative paths.
    hash: String,
    files: BTreeMap<String, web::Bytes>,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    for path in Files::iter() {
        if let Some(file) = Files::get(&path) {
            files.insert(path.into_owned(), web::Bytes::from(file.data.into_owned()));
        }
    }
    let style: Vec<u8> =
        STYLE_PARTS.iter().filter_map(|part| files.get(*part)).flat_map(|part| part.to_vec()).collect();
    files.insert(STYLE_SHEET.to_owned(), style.into());

    let mut hash = Sha256::new();
    for (path, bytes) in &files {
        hash.update(path.as_bytes());
        hash.update(bytes);
    }
    let hash = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Assets { hash, files }
});

/// The address of an embedded file: `asset("css/app.css")`.
pub fn asset(path: &str) -> String {
    format!("/static/{}/{path}", ASSETS.hash)
}

/// `GET /static/{hash}/{path}`. An old hash is answered with today's file, which is not kept.
pub async fn serve(path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, path) = path.into_inner();
    let Some(bytes) = ASSETS.files.get(&path) else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("There is no such file.");
    };
    let keep = if hash == ASSETS.hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .content_type(content_type(&path))
        .insert_header((header::CACHE_CONTROL, keep))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes.clone())
}

/// `GET /favicon.ico`, which some browsers ask for without reading the page.
pub async fn favicon() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, asset("img/favicon.svg"))).finish()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_holds_every_part_and_stays_small() {
        let style = &ASSETS.files[STYLE_SHEET];
        for part in STYLE_PARTS {
            assert!(ASSETS.files.contains_key(part), "{part} is missing");
        }
        assert!(style.len() < 40 * 1024, "the style sheet has {} bytes; the limit is 40 KiB", style.len());
        let scripts: usize =
            ASSETS.files.iter().filter(|(path, _)| path.ends_with(".js")).map(|(_, b)| b.len()).sum();
        assert!(scripts < 15_000, "the scripts have {scripts} bytes; the limit is 15,000");
        assert!(asset("css/app.css").starts_with("/static/"));
    }
}
