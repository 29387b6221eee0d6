//! What happens to many students at once: archive and undo it, and the writing half of an import.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{
    activity::{Activity, Change, Entry},
    people::PersonRow,
    quota,
    students::{self as one, Student, StudentFields, StudentFilter, StudentRow},
};
use crate::{
    db::{
        Id, now,
        schema_tenant::{people, students},
        tenant::TenantConn,
    },
    models::{
        ModelError, ModelResult, Resource,
        bulk::{ROWS_PER_INSERT, insert_many},
    },
};

/// Students that one bulk act may touch: it is one transaction, and others wait for it.
pub const BULK_LIMIT: i64 = 50_000;

/// Whom a bulk act is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// The ticked ones.
    Ids(Vec<Id>),
    /// All that match.
    Matching(StudentFilter),
}

/// What a bulk act did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// With which it can be undone.
    pub id: Id,
    /// Students it changed; those already as wished are not counted.
    pub count: usize,
}

/// Archives the chosen students that are not archived yet, in one transaction.
///
/// # Errors
/// Refused for more than [`BULK_LIMIT`]; any database error.
pub fn archive(connection: &mut TenantConn, activity: &Activity, chosen: &Chosen) -> ModelResult<Batch> {
    let batch = Id::new();
    connection.write_tx(|connection| {
        let named = match chosen {
            Chosen::Ids(ids) => named_among(connection, ids)?,
            Chosen::Matching(filter) => named_matching(connection, filter)?,
        };
        for chunk in named.chunks(ROWS_PER_INSERT) {
            let ids: Vec<Id> = chunk.iter().map(|(id, _)| *id).collect();
            let archived = set_archived(connection, &ids, batch)?;
            if archived != chunk.len() {
                return Err(ModelError::Changed(
                    "Somebody else archived some of these students at the same moment. Nothing was changed; \
                     try again."
                        .into(),
                ));
            }
        }
        log(connection, activity, "archived", &named)?;
        Ok(Batch { id: batch, count: named.len() })
    })
}

/// Undoes an archiving: restores who is still archived by that batch. Returns how many.
///
/// # Errors
/// Refused when the plan has no room; any database error.
pub fn restore_batch(connection: &mut TenantConn, activity: &Activity, batch: Id) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        let named: Vec<(Id, String)> = students::table
            .inner_join(people::table)
            .filter(students::archive_batch.eq(batch))
            .filter(students::archived_at.is_not_null())
            .order(students::id)
            .select((students::id, people::name))
            .load(connection)?;
        quota::require(connection, &activity.limits, Resource::Students, named.len())?;
        for chunk in named.chunks(ROWS_PER_INSERT) {
            let ids: Vec<Id> = chunk.iter().map(|(id, _)| *id).collect();
            set_restored(connection, &ids)?;
        }
        log(connection, activity, "restored", &named)?;
        Ok(named.len())
    })
}

fn named_among(connection: &mut TenantConn, ids: &[Id]) -> ModelResult<Vec<(Id, String)>> {
    within_limit(i64::try_from(ids.len()).unwrap_or(i64::MAX))?;
    let mut named = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_PER_INSERT) {
        let part: Vec<(Id, String)> = students::table
            .inner_join(people::table)
            .filter(students::id.eq_any(chunk.to_vec()))
            .filter(students::archived_at.is_null())
            .select((students::id, people::name))
            .load(connection)?;
        named.extend(part);
    }
    Ok(named)
}

fn named_matching(connection: &mut TenantConn, filter: &StudentFilter) -> ModelResult<Vec<(Id, String)>> {
    if filter.archived {
        return Err(ModelError::Refused("These students are archived already.".into()));
    }
    within_limit(one::count(connection, filter)?)?;
    let mut named: Vec<(Id, String)> = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let part = one::after_number(connection, filter, last.as_deref(), 1_000)?;
        let Some(end) = part.last() else { return Ok(named) };
        last = Some(end.student_number.clone());
        named.extend(part.into_iter().map(|student| (student.id, student.person.name)));
    }
}

fn within_limit(count: i64) -> ModelResult<()> {
    if count > BULK_LIMIT {
        return Err(ModelError::Refused(format!(
            "These are {count} students; at most {BULK_LIMIT} can be changed at once. Narrow the list first."
        )));
    }
    Ok(())
}

pub(super) fn set_archived(connection: &mut TenantConn, ids: &[Id], batch: Id) -> ModelResult<usize> {
    let at = now();
    Ok(diesel::update(students::table)
        .filter(students::id.eq_any(ids.to_vec()))
        .filter(students::archived_at.is_null())
        .set((
            students::archived_at.eq(at),
            students::archive_batch.eq(batch),
            students::updated_at.eq(at),
            students::version.eq(students::version + 1),
        ))
        .execute(connection)?)
}

pub(super) fn set_restored(connection: &mut TenantConn, ids: &[Id]) -> ModelResult<usize> {
    Ok(diesel::update(students::table)
        .filter(students::id.eq_any(ids.to_vec()))
        .filter(students::archived_at.is_not_null())
        .set((
            students::archived_at.eq(None::<chrono::NaiveDateTime>),
            students::archive_batch.eq(None::<Id>),
            students::updated_at.eq(now()),
            students::version.eq(students::version + 1),
        ))
        .execute(connection)?)
}

/// One entry per student, and one that sums up: "Archived 312 students".
fn log(
    connection: &mut TenantConn,
    activity: &Activity,
    deed: &str,
    named: &[(Id, String)],
) -> ModelResult<()> {
    if named.is_empty() {
        return Ok(());
    }
    let action = format!("student.{deed}");
    let mut entries: Vec<Entry> =
        named.iter().map(|(id, name)| activity.entry(&action, "student", Some(*id), name, &[])).collect();
    let label = if let [(_, name)] = named { name.clone() } else { format!("{} students", named.len()) };
    let changes = [Change::new("students", None, Some(named.len().to_string()))];
    entries.push(activity.entry(&format!("students.{deed}"), "students", None, &label, &changes));
    activity.record_many(connection, &entries)
}

/// The students that have these numbers, archived ones included, by number: a query per 500.
///
/// # Errors
/// Any database error.
pub fn by_numbers(connection: &mut TenantConn, numbers: &[String]) -> ModelResult<HashMap<String, Student>> {
    let mut found = HashMap::with_capacity(numbers.len());
    for chunk in numbers.chunks(ROWS_PER_INSERT) {
        let part: Vec<Student> = students::table
            .inner_join(people::table)
            .filter(students::student_number.eq_any(chunk.to_vec()))
            .select(Student::as_select())
            .load(connection)?;
        found.extend(part.into_iter().map(|student| (student.student_number.clone(), student)));
    }
    Ok(found)
}

/// What an import writes.
#[derive(Debug, Clone, Default)]
pub struct ImportWrites {
    /// New students; their numbers are free and differ from each other.
    pub create: Vec<StudentFields>,
    /// Students read in the same transaction, and what they become.
    pub update: Vec<(Student, StudentFields)>,
}

/// Writes an import and its log entries; call it inside the `write_tx` that compared the file.
/// `progress` hears the number of students written so far, and may stop it.
///
/// # Errors
/// Refused when the plan has no room; any database error, or that of `progress`; nothing must be kept then.
pub fn write_import(
    connection: &mut TenantConn,
    activity: &Activity,
    file_name: &str,
    writes: &ImportWrites,
    progress: &mut dyn FnMut(usize) -> ModelResult<()>,
) -> ModelResult<()> {
    quota::require(connection, &activity.limits, Resource::Students, writes.create.len())?;
    let mut written = 0;
    for chunk in writes.create.chunks(ROWS_PER_INSERT) {
        create_chunk(connection, activity, chunk)?;
        written += chunk.len();
        progress(written)?;
    }
    for chunk in writes.update.chunks(ROWS_PER_INSERT) {
        let mut entries = Vec::with_capacity(chunk.len());
        for (old, fields) in chunk {
            entries.extend(one::write_fields(connection, activity, old, fields)?);
        }
        activity.record_many(connection, &entries)?;
        written += chunk.len();
        progress(written)?;
    }
    let changes = [
        Change::new("created", None, Some(writes.create.len().to_string())),
        Change::new("updated", None, Some(writes.update.len().to_string())),
    ];
    activity.record(connection, "students.imported", "students", None, file_name, &changes)
}

fn create_chunk(
    connection: &mut TenantConn,
    activity: &Activity,
    chunk: &[StudentFields],
) -> ModelResult<()> {
    let persons: Vec<PersonRow> = chunk.iter().map(|fields| PersonRow::new(&fields.person)).collect();
    let rows: Vec<StudentRow> =
        chunk.iter().zip(&persons).map(|(fields, person)| StudentRow::new(fields, person.id)).collect();
    let entries: Vec<Entry> = chunk
        .iter()
        .zip(&rows)
        .map(|(fields, row)| {
            let changes = StudentFields::changes(None, fields);
            activity.entry("student.created", "student", Some(row.id), &fields.person.name, &changes)
        })
        .collect();
    insert_many!(TenantConn: connection, people::table, persons)?;
    insert_many!(TenantConn: connection, students::table, rows)?;
    activity.record_many(connection, &entries)
}
