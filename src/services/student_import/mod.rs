//! Students from a file: what each column means, what each row would do, and doing it.
//!
//! Students are matched by their number. A blank cell leaves what is there, and whoever is not in the
//! file is left alone, so that the second import of a file changes nothing.

mod cells;
mod columns;
mod run;

use std::collections::HashMap;

pub use columns::{DateOrder, Field, Mapping, template};
pub use run::{KIND, LIMITS, Outcome, REFUSED_KEPT, run};

use crate::{
    db::tenant::TenantConn,
    models::{
        ModelResult,
        institution::{
            Activity,
            activity::Change,
            people::PersonFields,
            student_bulk::{self, ImportWrites},
            student_rules as rules,
            students::{Student, StudentFields, StudentStatus},
        },
    },
    services::csv_text::{Row, Table},
    text_enum,
};

text_enum! {
    /// What a row of the file does.
    Verdict {
        /// Adds a student.
        Created = "created",
        /// Changes one.
        Updated = "updated",
        /// Says what is known already.
        Unchanged = "unchanged",
        /// Cannot be used; the rest of the file can.
        Refused = "refused",
    }
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Heading of the column; empty when the whole row is meant.
    pub column: String,
    /// The value that cannot be used.
    pub value: String,
    /// What to do about it, in words.
    pub advice: String,
}

/// One row of the file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlannedRow {
    /// Line of the file on which the row starts.
    pub line: usize,
    /// The student number, as far as it could be read.
    pub number: String,
    /// The name, as far as it could be read.
    pub name: String,
    /// What the row does.
    pub verdict: Verdict,
    /// For an updated student: what changes.
    pub changes: Vec<Change>,
    /// For a refused row: why.
    pub problems: Vec<Problem>,
}

/// Rows of the file by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the verdicts under their own names")]
pub struct Counts {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub refused: usize,
}

impl Counts {
    /// Rows with this verdict.
    #[must_use]
    pub const fn of(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Created => self.created,
            Verdict::Updated => self.updated,
            Verdict::Unchanged => self.unchanged,
            Verdict::Refused => self.refused,
        }
    }

    /// Rows of the file.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.created + self.updated + self.unchanged + self.refused
    }

    /// Rows that write something.
    #[must_use]
    pub const fn writes(&self) -> usize {
        self.created + self.updated
    }
}

/// What an import would do, row by row.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of the file.
    pub rows: Vec<PlannedRow>,
    writes: ImportWrites,
}

impl Plan {
    /// How many rows do what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |verdict| self.rows.iter().filter(|row| row.verdict == verdict).count();
        Counts {
            created: of(Verdict::Created),
            updated: of(Verdict::Updated),
            unchanged: of(Verdict::Unchanged),
            refused: of(Verdict::Refused),
        }
    }
}

/// Compares a file with the students there are: the dry run. Reads only, a query per 500 rows.
///
/// # Errors
/// Any database error; what is wrong with rows is in the plan.
pub fn plan(connection: &mut TenantConn, table: &Table, mapping: &Mapping) -> ModelResult<Plan> {
    let numbers: Vec<String> = table.rows.iter().map(|row| number_of(mapping, row)).collect();
    let existing = student_bulk::by_numbers(connection, &numbers)?;
    let mut planner = Planner {
        table,
        mapping,
        existing,
        first_lines: HashMap::with_capacity(numbers.len()),
        plan: Plan::default(),
    };
    for row in &table.rows {
        planner.add(row);
    }
    let mut plan = planner.plan;
    plan.rows.extend(table.ragged.iter().map(|ragged| PlannedRow {
        line: ragged.line,
        number: String::new(),
        name: String::new(),
        verdict: Verdict::Refused,
        changes: Vec::new(),
        problems: vec![Problem { column: String::new(), value: String::new(), advice: format!("{ragged}.") }],
    }));
    plan.rows.sort_by_key(|row| row.line);
    Ok(plan)
}

/// Imports a file in one transaction and returns what was done with each row: it is compared anew, every usable row is written, or none is.
/// `progress` hears the rows written so far and the rows to write, and may stop it.
///
/// # Errors
/// Any database error, or that of `progress`; nothing was written then.
pub fn apply(
    connection: &mut TenantConn,
    activity: &Activity,
    file_name: &str,
    table: &Table,
    mapping: &Mapping,
    progress: &mut dyn FnMut(usize, usize) -> ModelResult<()>,
) -> ModelResult<Plan> {
    connection.write_tx(|connection| {
        let plan = plan(connection, table, mapping)?;
        let counts = plan.counts();
        if counts.writes() > 0 {
            let mut written = |rows| progress(rows, counts.writes());
            student_bulk::write_import(connection, activity, file_name, &plan.writes, &mut written)?;
        }
        Ok(plan)
    })
}

struct Planner<'a> {
    table: &'a Table,
    mapping: &'a Mapping,
    existing: HashMap<String, Student>,
    /// The line on which each number was first seen.
    first_lines: HashMap<String, usize>,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, row: &Row) {
        let number = number_of(self.mapping, row);
        let existing = self.existing.get(&number);
        let old = existing.map(Student::fields);
        let mut fields = old.clone().unwrap_or_else(blank);
        let mut problems = self.read(row, &mut fields);
        problems.extend(self.rules_of_the_row(row, &number, existing, &fields));
        self.first_lines.entry(number.clone()).or_insert(row.line);

        let changes = match &old {
            Some(old) if problems.is_empty() => StudentFields::changes(Some(old), &fields),
            _ => Vec::new(),
        };
        let verdict = match &old {
            _ if !problems.is_empty() => Verdict::Refused,
            None => Verdict::Created,
            Some(_) if changes.is_empty() => Verdict::Unchanged,
            Some(_) => Verdict::Updated,
        };
        // What is shown and kept is bounded, however long the cell.
        let (number, name) = (clip(&number), fields.person.name.clone());
        match (verdict, existing) {
            (Verdict::Created, _) => self.plan.writes.create.push(fields),
            (Verdict::Updated, Some(student)) => self.plan.writes.update.push((student.clone(), fields)),
            _ => {}
        }
        self.plan.rows.push(PlannedRow { line: row.line, number, name, verdict, changes, problems });
    }

    fn cell<'r>(&self, row: &'r Row, field: Field) -> &'r str {
        self.mapping.column(field).map_or("", |column| row.get(column).trim())
    }

    /// Puts every cell that is not blank into `fields`; returns what cannot be used.
    fn read(&self, row: &Row, fields: &mut StudentFields) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (column, field) in self.mapping.columns.iter().enumerate() {
            let (Some(field), cell) = (field, row.get(column).trim()) else { continue };
            if cell.is_empty() {
                continue;
            }
            if let Err(advice) = cells::put(fields, *field, cell, self.mapping.dates) {
                problems.push(self.problem(Some(column), cell, advice));
            }
        }
        if self.cell(row, Field::Name).is_empty() {
            let parts = [self.cell(row, Field::GivenName), self.cell(row, Field::FamilyName)];
            let joined = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
            match rules::line(&joined, rules::NAME_MAX) {
                Ok(name) if name.is_empty() => {}
                Ok(name) => fields.person.name = name,
                Err(advice) => {
                    problems.push(self.problem(self.mapping.column(Field::FamilyName), &joined, advice))
                }
            }
        }
        problems
    }

    fn rules_of_the_row(
        &self,
        row: &Row,
        number: &str,
        existing: Option<&Student>,
        fields: &StudentFields,
    ) -> Option<Problem> {
        let column = self.mapping.column(Field::StudentNumber);
        if number.is_empty() {
            let advice = "Enter the student number: students are matched by it.";
            return Some(self.problem(column, "", advice.into()));
        }
        if let Some(line) = self.first_lines.get(number) {
            let advice = format!("Line {line} has the same student number. Keep one of the two rows.");
            return Some(self.problem(column, number, advice));
        }
        if existing.is_some_and(|student| student.archived_at.is_some()) {
            let advice = "This student is archived. Restore the student first, or remove the row.";
            return Some(self.problem(column, number, advice.into()));
        }
        if fields.person.name.is_empty() {
            let name = [Field::Name, Field::GivenName, Field::FamilyName];
            let column = name.into_iter().find_map(|field| self.mapping.column(field));
            let value = column.map_or("", |column| row.get(column).trim());
            return Some(self.problem(column, value, "Enter the student's name: this number is new.".into()));
        }
        None
    }

    fn problem(&self, column: Option<usize>, value: &str, advice: String) -> Problem {
        let column = column.and_then(|column| self.table.headers.get(column));
        Problem {
            column: column.map(|heading| clip(heading)).unwrap_or_default(),
            value: clip(value),
            advice,
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The student number of a row as it is stored: composed letters, no blanks around it.
fn number_of(mapping: &Mapping, row: &Row) -> String {
    let cell = mapping.column(Field::StudentNumber).map_or("", |column| row.get(column).trim());
    rules::line(cell, rules::NUMBER_MAX).unwrap_or_else(|_| cell.to_owned())
}

fn blank() -> StudentFields {
    StudentFields {
        student_number: String::new(),
        person: PersonFields::default(),
        status: StudentStatus::Active,
        admission_year: None,
        programme: None,
        notes: None,
    }
}
