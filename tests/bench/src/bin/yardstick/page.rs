//! A page of students written by hand.

use std::fmt::Write as _;

/// What a row shows.
pub struct Row<'a> {
    pub id: uuid::Uuid,
    pub name: &'a str,
    pub number: &'a str,
    pub status: &'a str,
    pub year: Option<i64>,
    pub programme: &'a str,
    pub updated: &'a str,
}

/// Grows row by row, and is filled up to the size of the real page.
pub struct Body(String);

impl Body {
    pub fn new(bytes: usize, institution: &str, user: &str, total: i64) -> Self {
        let mut html = String::with_capacity(bytes + 1024);
        let _ = write!(
            html,
            "<!doctype html><title>{institution}</title><p>{user}</p><p>{total} students</p><table>"
        );
        Self(html)
    }

    pub fn year(&mut self, year: i64) {
        let _ = write!(self.0, "<option value=\"{year}\">{year}</option>");
    }

    pub fn row(&mut self, domain: &str, row: &Row<'_>) {
        let Row { id, name, number, status, year, programme, updated } = row;
        let _ = write!(
            self.0,
            "<tr><td><input type=\"checkbox\" name=\"id\" value=\"{id}\"></td>\
             <th><a href=\"/i/{domain}/students/{id}\">{name}</a></th><td>{number}</td><td>{status}</td><td>{}</td>\
             <td>{programme}</td><td><time>{updated}</time></td></tr>",
            year.unwrap_or_default()
        );
    }

    pub fn filled(mut self, bytes: usize) -> String {
        self.0.push_str("</table>");
        let missing = bytes.saturating_sub(self.0.len());
        self.0.extend(std::iter::repeat_n(' ', missing));
        self.0
    }
}
