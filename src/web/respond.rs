//! The last line of every handler: a rendered page, a redirect, a file of rows.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use askama::Template;

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
pub fn csv<R, C>(
    file_name: &str,
    heads: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> Result<HttpResponse, csv::Error>
where
    R: IntoIterator<Item = C>,
    C: AsRef<str>,
{
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(heads)?;
    for row in rows {
        for cell in row {
            writer.write_field(harmless(cell.as_ref()).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    let body = writer.into_inner().map_err(|error| error.into_error())?;
    let name: String =
        file_name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(body))
}

/// A spreadsheet runs a cell that looks like a formula; an apostrophe makes it plain text.
fn harmless(cell: &str) -> std::borrow::Cow<'_, str> {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if formula { format!("'{cell}").into() } else { cell.into() }
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

    #[test]
    fn formulas_become_text_and_numbers_stay() {
        assert_eq!(harmless("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(harmless("-12.5"), "-12.5");
        assert_eq!(harmless("Ada"), "Ada");
    }
}
