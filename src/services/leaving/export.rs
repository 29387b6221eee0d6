//! What an institution takes along: its records as files that any spreadsheet reads, in one archive.
//!
//! The archive is made while it is sent, a piece at a time: it lies nowhere, any node can send it, and between two pieces it
//! holds no connection, however slowly it is taken. Nor is one held while rows are packed.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use zip::{
    CompressionMethod, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use crate::{
    db::{Id, now, tenant::TenantConn},
    models::{
        institution::{
            activity::{self, ActivityFilter, Entry},
            profile::{self, Profile},
            students::{self, Student, StudentFilter},
            users::{self, User, UserFilter},
        },
        platform::institutions::Institution,
    },
    services::{csv_text::CsvWriter, operations::Failure},
};

/// Rows read at a time.
const CHUNK: i64 = 1_000;

const SETTINGS: [&str; 8] =
    ["domain", "name", "kind", "country", "website", "time_zone", "locale", "week_start"];
const STUDENTS: [&str; 15] = [
    "id",
    "student_number",
    "name",
    "preferred_name",
    "birth_date",
    "email",
    "phone",
    "address",
    "status",
    "admission_year",
    "programme",
    "notes",
    "archived_at",
    "created_at",
    "updated_at",
];
const USERS: [&str; 7] = ["id", "name", "email", "roles", "status", "last_sign_in_at", "created_at"];
const ACTIVITY: [&str; 9] =
    ["id", "at", "who", "action", "record_kind", "record_id", "record", "changes", "ip"];

/// What was packed and not yet sent.
#[derive(Clone, Default)]
struct Packed(Arc<Mutex<Vec<u8>>>);

impl Packed {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which rows come next: those after the last one that was read.
#[derive(Clone, Default)]
pub enum Next {
    /// The institution's own row.
    Settings,
    /// Those on the list, and then the archived ones.
    Students(bool, Option<String>),
    /// Without their passwords, in whatever form.
    Users(Option<Id>),
    /// Who did what.
    Activity(Option<Id>),
    /// No row: what is in it, in words.
    Words,
    /// It is whole.
    #[default]
    Nothing,
}

/// Rows that were read together.
pub enum Chunk {
    /// Of [`Next::Settings`].
    Settings(Box<Profile>),
    /// Of [`Next::Students`].
    Students(Vec<Student>),
    /// Of [`Next::Users`].
    Users(Vec<User>),
    /// Of [`Next::Activity`].
    Activity(Vec<Entry>),
    /// Where there is no row.
    None,
}

impl Next {
    /// Reads them.
    ///
    /// # Errors
    /// Any database error.
    pub fn read(&self, tenant: &mut TenantConn) -> Result<Chunk, Failure> {
        Ok(match self {
            Self::Settings => Chunk::Settings(Box::new(profile::find(tenant)?)),
            Self::Students(archived, after) => {
                let filter = StudentFilter { archived: *archived, ..StudentFilter::default() };
                Chunk::Students(students::after_number(tenant, &filter, after.as_deref(), CHUNK)?)
            }
            Self::Users(after) => {
                Chunk::Users(users::older_than(tenant, &UserFilter::default(), *after, CHUNK)?)
            }
            Self::Activity(after) => {
                Chunk::Activity(activity::older_than(tenant, &ActivityFilter::default(), *after, CHUNK)?)
            }
            Self::Words | Self::Nothing => Chunk::None,
        })
    }
}

/// An archive on its way.
pub struct Archive {
    zip: Option<ZipWriter<StreamWriter<Packed>>>,
    packed: Packed,
    /// Of the file that was begun last.
    csv: CsvWriter,
    next: Next,
    /// Files that were begun, and their rows until now.
    counts: Vec<(&'static str, i64)>,
    institution: Institution,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Transient(format!("The export could not be packed: {error}."))
}

impl Archive {
    /// Everything of an institution.
    #[must_use]
    pub fn new(institution: &Institution) -> Self {
        let packed = Packed::default();
        Self {
            zip: Some(ZipWriter::new_stream(packed.clone())),
            packed,
            csv: CsvWriter::new(),
            next: Next::Settings,
            counts: Vec::new(),
            institution: institution.clone(),
        }
    }

    /// What is to be read next; nothing when it is whole.
    #[must_use]
    pub fn next(&self) -> Option<Next> {
        (!matches!(self.next, Next::Nothing)).then(|| self.next.clone())
    }

    /// Packs what was read. The bytes that are whole by now, often none.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn add(&mut self, chunk: &Chunk) -> Result<Vec<u8>, Failure> {
        self.next = match (std::mem::take(&mut self.next), chunk) {
            (Next::Settings, Chunk::Settings(found)) => {
                self.pack("settings.csv", &SETTINGS, std::slice::from_ref(&**found), settings)?;
                Next::Students(false, None)
            }
            (Next::Students(archived, _), Chunk::Students(rows)) => {
                match self.pack("students.csv", &STUDENTS, rows, student)? {
                    Some(last) => Next::Students(archived, Some(last.student_number.clone())),
                    None if !archived => Next::Students(true, None),
                    None => Next::Users(None),
                }
            }
            (Next::Users(_), Chunk::Users(rows)) => {
                let last = self.pack("users.csv", &USERS, rows, user)?;
                last.map_or(Next::Activity(None), |last| Next::Users(Some(last.id)))
            }
            (Next::Activity(_), Chunk::Activity(rows)) => {
                let last = self.pack("activity.csv", &ACTIVITY, rows, entry)?;
                last.map_or(Next::Words, |last| Next::Activity(Some(last.id)))
            }
            _ => {
                self.end()?;
                Next::Nothing
            }
        };
        Ok(self.packed.take())
    }

    /// Adds rows to a file. The last of them, where others may follow.
    fn pack<'r, T>(
        &mut self,
        name: &'static str,
        heads: &[&str],
        rows: &'r [T],
        cells: fn(&T) -> Vec<String>,
    ) -> Result<Option<&'r T>, Failure> {
        if self.counts.last().is_none_or(|(begun, _)| *begun != name) {
            self.begin(name)?;
            self.counts.push((name, 0));
            self.csv = CsvWriter::new();
            self.csv.row(heads);
        }
        rows.iter().for_each(|row| self.csv.row(cells(row)));
        let text = self.csv.take();
        self.write(&text)?;
        let read = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if let Some((_, count)) = self.counts.last_mut() {
            *count += read;
        }
        Ok(rows.last().filter(|_| read == CHUNK))
    }

    fn begin(&mut self, name: &str) -> Result<(), Failure> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o600)
            .large_file(true);
        self.zip.as_mut().map_or(Ok(()), |zip| zip.start_file(name, options)).map_err(broken)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.zip.as_mut().map_or(Ok(()), |zip| zip.write_all(bytes)).map_err(broken)
    }

    /// What is in it, in words and for programs; now that it is known.
    fn end(&mut self) -> Result<(), Failure> {
        let files = [
            ("README.txt", readme(&self.institution, &self.counts)),
            ("manifest.json", manifest(&self.institution, &self.counts)),
        ];
        for (name, content) in files {
            self.begin(name)?;
            self.write(content.as_bytes())?;
        }
        self.zip.take().map_or(Ok(()), |zip| zip.finish().map(drop)).map_err(broken)
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn settings(found: &Profile) -> Vec<String> {
    vec![
        found.domain.clone(),
        found.name.clone(),
        found.kind.clone(),
        found.country.clone(),
        text(found.website.as_ref()),
        found.time_zone.clone(),
        found.locale.clone(),
        found.week_start.to_string(),
    ]
}

fn student(student: &Student) -> Vec<String> {
    let person = &student.person;
    vec![
        student.id.to_string(),
        student.student_number.clone(),
        person.name.clone(),
        text(person.preferred_name.as_ref()),
        text(person.birth_date),
        text(person.email.as_ref()),
        text(person.phone.as_ref()),
        text(person.address.as_ref()),
        student.status.to_string(),
        text(student.admission_year),
        text(student.programme.as_ref()),
        text(student.notes.as_ref()),
        text(student.archived_at),
        student.created_at.to_string(),
        student.updated_at.to_string(),
    ]
}

fn user(user: &User) -> Vec<String> {
    let roles: Vec<String> = user.roles.iter().map(ToString::to_string).collect();
    vec![
        user.id.to_string(),
        user.name.clone(),
        user.email.clone(),
        roles.join(" "),
        user.status.to_string(),
        text(user.last_sign_in_at),
        user.created_at.to_string(),
    ]
}

fn entry(entry: &Entry) -> Vec<String> {
    vec![
        entry.id.to_string(),
        entry.at.to_string(),
        entry.actor_name.clone(),
        entry.action.clone(),
        entry.record_kind.clone(),
        text(entry.record_id),
        entry.record_label.clone(),
        entry.changes.clone(),
        text(entry.ip.as_ref()),
    ]
}

fn readme(institution: &Institution, counts: &[(&str, i64)]) -> String {
    let files: String = counts.iter().map(|(name, rows)| format!("  {name}: {rows} rows\n")).collect();
    format!(
        "The data of {} ({}), as they were on {} UTC.\n\n{files}\nThe files are CSV in UTF-8, with a line of headings. \
         Times are in UTC. A cell that a spreadsheet would\ntake for a formula has an apostrophe before it. Passwords \
         are not among the data. manifest.json says the same\nfor programs.\n",
        institution.name,
        institution.domain,
        now().format("%Y-%m-%d %H:%M")
    )
}

fn manifest(institution: &Institution, counts: &[(&str, i64)]) -> String {
    let rows: serde_json::Map<_, _> =
        counts.iter().map(|(name, rows)| ((*name).to_owned(), json!(rows))).collect();
    let manifest = json!({
        "format": 1, "institution_id": institution.id, "domain": institution.domain, "name": institution.name,
        "made_at": now(), "made_by": concat!("Provost ", env!("CARGO_PKG_VERSION")), "rows": rows,
    });
    format!("{manifest:#}\n")
}
