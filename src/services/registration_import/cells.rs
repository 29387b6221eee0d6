//! The cells of one row, read into a registration.

use std::collections::HashMap;

use super::{FileProblem, LONGEST_NAME, OPTIONAL, REQUIRED, Refusal};
use crate::{
    models::{
        country::Country,
        domain::Domain,
        platform::{
            institutions::Kind,
            registrations::{FirstAdmin, NewInstitution, NewRegistration, Source},
        },
        text::{Email, clean_line, mend_windows_1252},
        time_zone::TimeZone,
    },
    services::csv_text::{Row, Table},
};

/// Which column of the file holds what.
pub(super) struct Columns(HashMap<String, usize>);

impl Columns {
    pub(super) fn of(table: &Table) -> Result<(Self, Vec<String>), FileProblem> {
        let (mut known, mut ignored) = (HashMap::new(), Vec::new());
        for (index, header) in table.headers.iter().enumerate() {
            let key = header.trim().to_lowercase().replace([' ', '-'], "_");
            if REQUIRED.contains(&key.as_str()) || OPTIONAL.contains(&key.as_str()) {
                known.entry(key).or_insert(index);
            } else {
                ignored.push(header.clone());
            }
        }
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| !known.contains_key(*name)).collect();
        if missing.is_empty() {
            Ok((Self(known), ignored))
        } else {
            Err(FileProblem::MissingColumns(missing.join(", ")))
        }
    }

    fn get<'r>(&self, row: &'r Row, name: &str) -> &'r str {
        self.0.get(name).map_or("", |index| row.get(*index)).trim()
    }
}

/// One row on its way to a registration.
pub(super) struct Cells<'r> {
    columns: &'r Columns,
    /// Countries looked up so far: thousands of rows share a few.
    countries: &'r mut HashMap<String, Option<Country>>,
    row: &'r Row,
    pub(super) refusals: Vec<Refusal>,
    /// Whether text was mended from a wrong encoding.
    pub(super) mended: bool,
}

impl<'r> Cells<'r> {
    pub(super) fn new(
        columns: &'r Columns,
        countries: &'r mut HashMap<String, Option<Country>>,
        row: &'r Row,
    ) -> Self {
        Self { columns, countries, row, refusals: Vec::new(), mended: false }
    }

    /// What the row asks for, unless something in it is refused.
    pub(super) fn registration(&mut self) -> Option<NewRegistration> {
        let name = self.words("name", LONGEST_NAME);
        let domain = self.parsed("domain", |text| Domain::parse(text).map_err(|error| format!("{error}.")));
        let country = self.country();
        let region = self.words("region", 200);
        let website = self.optional("website", web_address);
        let kind = self.optional("kind", |text| {
            kind(text).ok_or_else(|| "Use university, college, school, training_centre or other.".into())
        });
        let time_zone = self.optional("time_zone", |text| {
            TimeZone::parse(text).map_err(|_| "Use the name of a time zone, such as Europe/Paris.".into())
        });
        let admin = self.admin();
        let name = name.filter(|name| !name.is_empty());
        if name.is_none() && !self.refused("name") {
            self.refuse("name", "", "Enter the name of the institution.".into());
        }
        if !self.refusals.is_empty() {
            return None;
        }
        Some(NewRegistration {
            institution: NewInstitution {
                domain: domain?.as_str().to_owned(),
                name: name?,
                kind: kind.unwrap_or(Kind::University),
                country: country?.code().to_owned(),
                region: region.filter(|region| !region.is_empty()),
                website,
                time_zone: time_zone.unwrap_or(TimeZone::UTC).name().to_owned(),
            },
            admin,
            source: Source::Import,
            trial_ends_at: None,
        })
    }

    fn country(&mut self) -> Option<Country> {
        let raw = self.columns.get(self.row, "country").to_owned();
        let known = *self.countries.entry(raw.clone()).or_insert_with(|| Country::parse(&raw).ok());
        if known.is_none() {
            let todo = "This is no country we know. Use its English name or two-letter code.";
            self.refuse("country", &raw, todo.into());
        }
        known
    }

    fn admin(&mut self) -> Option<FirstAdmin> {
        let name = self.words("admin_name", 200).unwrap_or_default();
        let email =
            self.optional("admin_email", |text| Email::parse(text).map_err(|error| format!("{error}.")));
        if email.is_none() && !name.is_empty() && !self.refused("admin_email") {
            self.refuse(
                "admin_email",
                "",
                "Enter the e-mail of the first admin, or leave the name out too.".into(),
            );
        }
        let email = email?;
        Some(FirstAdmin { name, email: email.as_str().to_owned(), password_hash: None })
    }

    /// Text of one line; mended when it was read as the wrong encoding somewhere before.
    fn words(&mut self, column: &str, longest: usize) -> Option<String> {
        let raw = self.columns.get(self.row, column).to_owned();
        let mended = mend_windows_1252(&raw);
        self.mended |= mended.is_some();
        match clean_line(mended.as_deref().unwrap_or(&raw), longest) {
            Ok(text) => Some(text),
            Err(problem) => {
                self.refuse(column, &raw, format!("{problem}."));
                None
            }
        }
    }

    fn parsed<T>(&mut self, column: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let raw = self.columns.get(self.row, column).to_owned();
        parse(&raw).map_err(|todo| self.refuse(column, &raw, todo)).ok()
    }

    fn optional<T>(&mut self, column: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.columns.get(self.row, column).is_empty() { None } else { self.parsed(column, parse) }
    }

    fn refused(&self, column: &str) -> bool {
        self.refusals.iter().any(|refusal| refusal.column == column)
    }

    pub(super) fn refuse(&mut self, column: &str, value: &str, todo: String) {
        let value = value.chars().filter(|c| !c.is_control()).take(100).collect();
        self.refusals.push(Refusal { line: self.row.line, column: column.into(), value, todo });
    }
}

/// A web address as it is kept; shared with the registration form.
///
/// # Errors
/// What to do about it.
pub fn web_address(text: &str) -> Result<String, String> {
    let wrong = || "Enter a web address in full, for example https://example.org.".to_owned();
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let fine =
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.username().is_empty();
    if fine && text.len() <= 300 { Ok(url.to_string()) } else { Err(wrong()) }
}

fn kind(text: &str) -> Option<Kind> {
    text.trim()
        .to_lowercase()
        .replace([' ', '-'], "_")
        .replace("training_center", "training_centre")
        .parse()
        .ok()
}
