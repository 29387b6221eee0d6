//! The last line of every handler: a rendered page, a redirect, a file of rows.

use std::fmt;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use askama::Template;

use crate::services::csv_text::CsvWriter;

/// A template that could not be rendered. A person is told nothing of the cause.
#[derive(Debug)]
pub struct RenderError(pub askama::Error);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a page could not be rendered: {}", self.0)
    }
}

impl std::error::Error for RenderError {}

impl ResponseError for RenderError {
    fn error_response(&self) -> HttpResponse {
        log::error!("{self}");
        HttpResponse::InternalServerError()
            .content_type("text/plain; charset=utf-8")
            .body("This page could not be shown. The fault is ours; please try again in a minute.")
    }
}

/// A page, 200.
pub fn html(view: &impl Template) -> Result<HttpResponse, RenderError> {
    html_with_status(StatusCode::OK, view)
}

/// A page with a status of its own, such as 422 for a form that needs mending.
pub fn html_with_status(status: StatusCode, view: &impl Template) -> Result<HttpResponse, RenderError> {
    let body = view.render().map_err(RenderError)?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body))
}

/// "Look over there": the answer to every form that was accepted.
pub fn see_other(path: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path.as_ref())).finish()
}

/// Rows as a CSV file to download, safe to open in a spreadsheet.
pub fn csv<R>(file_name: &str, heads: &[&str], rows: impl IntoIterator<Item = R>) -> HttpResponse
where
    R: IntoIterator,
    R::Item: AsRef<str>,
{
    let mut writer = CsvWriter::new();
    writer.row(heads);
    rows.into_iter().for_each(|row| writer.row(row));
    csv_download(file_name).body(writer.finish())
}

/// The head of an answer that is a CSV file, whole or in pieces.
pub fn csv_download(file_name: &str) -> HttpResponseBuilder {
    let name: String =
        file_name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer
}

/// A path of this site, or `/`: what a form says about where to go next is never trusted.
pub fn local_path(path: &str) -> &str {
    let mut chars = path.chars();
    let local = chars.next() == Some('/')
        && !matches!(chars.next(), Some('/' | '\\'))
        && !path.chars().any(|c| c.is_control() || c == '\\')
        && path.is_ascii();
    if local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        assert_eq!(local_path("/platform?page=2"), "/platform?page=2");
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x"] {
            assert_eq!(local_path(bad), "/", "{bad:?}");
        }
    }
}
