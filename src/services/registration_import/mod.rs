//! Registrations from a CSV file: a dry run that says what each row would do, and the operation that does it.

mod cells;

use std::collections::HashMap;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use cells::{Cells, Columns};

pub use cells::web_address;

use super::{
    csv_text::{CsvProblem, Limits, read_csv},
    operations::{Failure, Handler, Work},
};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelResult,
        platform::{
            audit::Audit,
            imports,
            institutions::{self, Status},
            operations::{self, NewOperation},
            registrations::{self, NewRegistration, RegisterError, Source},
        },
    },
};

/// The kind under which an uploaded file is kept.
pub const FILE_KIND: &str = "registrations";
/// What a file may have at most.
pub const LIMITS: Limits = Limits { bytes: 10 * 1024 * 1024, rows: 50_000, columns: 50, cell_chars: 1_000 };
/// Columns a file must have, and those it may have besides.
pub const REQUIRED: [&str; 3] = ["name", "domain", "country"];
/// See [`REQUIRED`].
pub const OPTIONAL: [&str; 6] = ["region", "website", "kind", "time_zone", "admin_name", "admin_email"];
/// Longest name of an institution, in characters.
pub const LONGEST_NAME: usize = 200;
/// Rows applied in one transaction.
const CHUNK: usize = 100;

/// Why a file cannot be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// It is no CSV file that can be read.
    #[error(transparent)]
    Csv(#[from] CsvProblem),
    /// Columns are missing.
    #[error("The file has no column named {0}. The first row must name at least: name, domain, country")]
    MissingColumns(String),
}

/// What is wrong with one cell of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// Name of the column; empty when it is the row as a whole.
    pub column: String,
    /// What stands there.
    pub value: String,
    /// What is wrong and what to do.
    pub todo: String,
}

/// A row that can be applied.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Line of the file.
    pub line: usize,
    /// What it asks for.
    pub new: NewRegistration,
}

/// A file as it was understood.
#[derive(Debug, Default)]
pub struct Reading {
    /// Rows that can be applied.
    pub rows: Vec<Planned>,
    /// What is wrong with the others.
    pub refusals: Vec<Refusal>,
    /// How many rows are refused; one may have several refusals.
    pub refused: usize,
    /// Lines whose text was mended from a wrong encoding.
    pub mended: Vec<usize>,
    /// Columns that mean nothing here.
    pub ignored: Vec<String>,
}

/// What applying the file would do now.
#[derive(Debug)]
pub struct DryRun {
    /// The file.
    pub reading: Reading,
    /// Registrations it would make.
    pub create: usize,
    /// Lines and domains of institutions that are there already, and how they stand.
    pub already: Vec<(usize, String, Status)>,
}

/// What applying the file did: every row is in exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOutcome {
    /// Registrations made.
    pub created: usize,
    /// Institutions that were there before.
    pub already_there: usize,
    /// Rows that could not be read.
    pub refused: usize,
}

/// Reads a file, row by row; what is wrong with a row does not stop the others.
///
/// # Errors
/// When no row of it can be understood.
pub fn read(bytes: &[u8]) -> Result<Reading, FileProblem> {
    let table = read_csv(bytes, LIMITS)?;
    let (columns, ignored) = Columns::of(&table)?;
    let mut reading = Reading { ignored, ..Reading::default() };
    for ragged in &table.ragged {
        reading.refused += 1;
        reading.refusals.push(Refusal {
            line: ragged.line,
            column: String::new(),
            value: String::new(),
            todo: format!("{ragged}."),
        });
    }
    let (mut seen, mut countries) = (HashMap::<String, usize>::new(), HashMap::new());
    for row in &table.rows {
        let mut cells = Cells::new(&columns, &mut countries, row);
        let new = cells.registration();
        if let Some(domain) = new.as_ref().map(|new| new.institution.domain.clone()) {
            match seen.get(&domain) {
                Some(first) => {
                    cells.refuse("domain", &domain, format!("Line {first} has the same domain. Remove one."))
                }
                None => {
                    seen.insert(domain, row.line);
                }
            }
        }
        if cells.mended {
            reading.mended.push(row.line);
        }
        match new {
            Some(new) if cells.refusals.is_empty() => reading.rows.push(Planned { line: row.line, new }),
            _ => {
                reading.refused += 1;
                reading.refusals.append(&mut cells.refusals);
            }
        }
    }
    reading.refusals.sort_by_key(|refusal| refusal.line);
    Ok(reading)
}

/// What applying the file would do now. Changes nothing.
///
/// # Errors
/// Any database error.
pub fn dry_run(connection: &mut SharedConn, reading: Reading) -> ModelResult<DryRun> {
    let domains: Vec<String> = reading.rows.iter().map(|row| row.new.institution.domain.clone()).collect();
    let statuses = institutions::statuses_of(connection, &domains)?;
    let already: Vec<_> = reading
        .rows
        .iter()
        .filter_map(|row| {
            let domain = &row.new.institution.domain;
            let status = *statuses.get(domain)?;
            (status != Status::Rejected).then(|| (row.line, domain.clone(), status))
        })
        .collect();
    Ok(DryRun { create: reading.rows.len() - already.len(), already, reading })
}

/// The input of the operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportInput {
    /// The kept file.
    pub import_id: Id,
}

/// Writes the operation down and ties the file to it. Wake the workers after the transaction.
///
/// # Errors
/// [`ModelError::Changed`] when the file is being applied already, or any database error.
pub fn start(connection: &mut SharedConn, audit: &Audit, import_id: Id, rows: usize) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let file = imports::find(connection, import_id, FILE_KIND)?;
        let new = NewOperation {
            kind: operations::Kind::ImportRegistrations,
            institution_id: None,
            subject: &format!("Registrations from {}", file.file_name),
            input: &serde_json::json!(ImportInput { import_id }),
            steps: &["import"],
            total: i64::try_from(rows).unwrap_or(i64::MAX),
        };
        let operation = operations::enqueue(connection, &new, &audit.actor)?;
        imports::claim(connection, import_id, operation)?;
        Ok(operation)
    })
}

/// The handler of [`operations::Kind::ImportRegistrations`]: a few rows per transaction. Begun again after a
/// crash, rows of the first run are counted as made.
pub(super) struct Import;

impl Handler for Import {
    fn perform(&self, _step: &str, work: &Work<'_>) -> Result<Option<String>, Failure> {
        let input: ImportInput = work.input()?;
        let file = imports::find(&mut *work.shared()?, input.import_id, FILE_KIND)?;
        let reading = read(&file.content).map_err(|problem| Failure::Permanent(format!("{problem}.")))?;
        let (audit, since) = (work.audit(), work.operation.created_at);
        let total = i64::try_from(reading.rows.len()).unwrap_or(i64::MAX);
        let mut outcome = ImportOutcome { refused: reading.refused, ..ImportOutcome::default() };
        for chunk in reading.rows.chunks(CHUNK) {
            // The connection goes back after each chunk, so that pages get their turn.
            let connection = &mut *work.shared()?;
            let (created, already_there) =
                connection.write_tx(|connection| apply(connection, &audit, chunk, since))?;
            outcome.created += created;
            outcome.already_there += already_there;
            work.progress(i64::try_from(outcome.created + outcome.already_there).unwrap_or(total), total)?;
        }
        work.set_result(&serde_json::json!(outcome));
        let ImportOutcome { created, already_there, refused } = outcome;
        Ok(Some(format!("{created} registered, {already_there} already there, {refused} refused.")))
    }
}

fn apply(
    connection: &mut SharedConn,
    audit: &Audit,
    rows: &[Planned],
    since: NaiveDateTime,
) -> ModelResult<(usize, usize)> {
    let (mut created, mut already_there) = (0, 0);
    for row in rows {
        match registrations::register(connection, audit, &row.new) {
            Ok(_) => created += 1,
            Err(RegisterError::Taken(_)) => {
                let known = institutions::find_by_domain(connection, &row.new.institution.domain)?;
                let latest = registrations::latest_of(connection, known.id)?;
                let ours = latest.source == Source::Import && latest.submitted_at >= since;
                if ours { created += 1 } else { already_there += 1 }
            }
            Err(RegisterError::Model(error)) => return Err(error),
        }
    }
    Ok((created, already_there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_planned_or_refused_with_what_to_do() {
        let file = "name,domain,country,region,website,Kind,notes\n\
                    Université Évry,EVRY.fr.,France,,https://evry.fr,university,x\n\
                    ,nowhere,Atlantis,,ftp://x,castle,\n\
                    Évry again,evry.fr,FR,,,,\n\
                    too,few\n";
        let reading = read(file.as_bytes()).expect("readable");
        assert_eq!((reading.rows.len(), reading.refused), (1, 3));
        assert_eq!(reading.ignored, ["notes"]);
        let new = &reading.rows[0].new.institution;
        assert_eq!((new.domain.as_str(), new.country.as_str()), ("evry.fr", "FR"));
        let lines: Vec<_> = reading.refusals.iter().map(|r| (r.line, r.column.as_str())).collect();
        let third = [(3, "domain"), (3, "country"), (3, "website"), (3, "kind"), (3, "name")];
        assert_eq!(&lines[..5], third);
        assert_eq!(&lines[5..], [(4, "domain"), (5, "")]);
        assert!(reading.refusals[5].todo.contains("Line 2 has the same domain"));
    }

    #[test]
    fn a_file_without_its_columns_is_refused_whole() {
        assert!(
            matches!(read(b"title,host\na,b\n"), Err(FileProblem::MissingColumns(names)) if names == "name, domain, country")
        );
    }
}
