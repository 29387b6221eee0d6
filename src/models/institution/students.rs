//! Students: who studies here, one at a time. What happens to many at once is in [`super::student_bulk`].

mod list;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{
    activity::{Activity, Change, Entry},
    people::{self, Person, PersonFields, PersonRow},
    quota, student_bulk,
};
use crate::{
    db::{
        Id, now,
        schema_tenant::{activity_log, people as people_table, students},
        tenant::TenantConn,
    },
    models::{ModelError, ModelResult, Resource, search::fold},
    text_enum,
};

pub use list::{StudentCounts, StudentFilter, admission_years, after_number, count, counts, following, page};

text_enum! {
    /// Where a student stands.
    StudentStatus {
        /// Admitted, not yet here.
        Expected = "expected",
        /// Studying here.
        Active = "active",
        /// Away for a while.
        OnLeave = "on_leave",
        /// Finished.
        Graduated = "graduated",
        /// Gone without finishing.
        Left = "left",
    }
}

impl StudentStatus {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Expected => "Expected",
            Self::Active => "Active",
            Self::OnLeave => "On leave",
            Self::Graduated => "Graduated",
            Self::Left => "Left",
        }
    }
}

/// A student with the person they are.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = students)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Student {
    pub id: Id,
    pub student_number: String,
    pub status: StudentStatus,
    pub admission_year: Option<i32>,
    pub programme: Option<String>,
    pub notes: Option<String>,
    pub archived_at: Option<NaiveDateTime>,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
    #[diesel(embed)]
    pub person: Person,
}

/// Everything about a student that people enter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct StudentFields {
    pub student_number: String,
    pub person: PersonFields,
    pub status: StudentStatus,
    pub admission_year: Option<i32>,
    pub programme: Option<String>,
    pub notes: Option<String>,
}

impl Student {
    /// The entered fields of this student.
    #[must_use]
    pub fn fields(&self) -> StudentFields {
        let person = &self.person;
        StudentFields {
            student_number: self.student_number.clone(),
            person: PersonFields {
                name: person.name.clone(),
                preferred_name: person.preferred_name.clone(),
                birth_date: person.birth_date,
                email: person.email.clone(),
                phone: person.phone.clone(),
                address: person.address.clone(),
            },
            status: self.status,
            admission_year: self.admission_year,
            programme: self.programme.clone(),
            notes: self.notes.clone(),
        }
    }
}

impl StudentFields {
    /// The fields in which `after` differs, in the order of the form.
    #[must_use]
    pub fn changes(before: Option<&Self>, after: &Self) -> Vec<Change> {
        let old = before.map(Self::values).unwrap_or_default();
        let mut changes = Vec::new();
        for (index, (field, value)) in after.values().into_iter().enumerate() {
            let previous = old.get(index).and_then(|(_, value)| value.clone());
            Change::note(&mut changes, field, previous, value);
        }
        changes
    }

    /// Every field with its name and its value as text.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, Option<String>)> {
        let person = &self.person;
        vec![
            ("student_number", Some(self.student_number.clone())),
            ("name", Some(person.name.clone())),
            ("preferred_name", person.preferred_name.clone()),
            ("birth_date", person.birth_date.map(|date| date.to_string())),
            ("email", person.email.clone()),
            ("phone", person.phone.clone()),
            ("address", person.address.clone()),
            ("status", Some(self.status.to_string())),
            ("admission_year", self.admission_year.map(|year| year.to_string())),
            ("programme", self.programme.clone()),
            ("notes", self.notes.clone()),
        ]
    }

    /// What a search looks through, folded.
    pub(super) fn search_key(&self) -> String {
        let person = &self.person;
        let parts = [
            Some(person.name.as_str()),
            person.preferred_name.as_deref(),
            Some(self.student_number.as_str()),
            person.email.as_deref(),
        ];
        fold(&parts.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = students, treat_none_as_default_value = false)]
pub(super) struct StudentRow {
    pub id: Id,
    person_id: Id,
    student_number: String,
    status: StudentStatus,
    admission_year: Option<i32>,
    programme: Option<String>,
    notes: Option<String>,
    name_key: String,
    search_key: String,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl StudentRow {
    pub(super) fn new(fields: &StudentFields, person_id: Id) -> Self {
        let at = now();
        Self {
            id: Id::new(),
            person_id,
            student_number: fields.student_number.clone(),
            status: fields.status,
            admission_year: fields.admission_year,
            programme: fields.programme.clone(),
            notes: fields.notes.clone(),
            name_key: fold(&fields.person.name),
            search_key: fields.search_key(),
            created_at: at,
            updated_at: at,
        }
    }
}

/// One student, archived or not.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut TenantConn, id: Id) -> ModelResult<Student> {
    Ok(students::table
        .inner_join(people_table::table)
        .filter(students::id.eq(id))
        .select(Student::as_select())
        .first(connection)?)
}

/// Who has this student number, archived students included; none when it is free.
///
/// # Errors
/// Any database error.
pub fn holder_of_number(connection: &mut TenantConn, number: &str) -> ModelResult<Option<(Id, String)>> {
    Ok(students::table
        .inner_join(people_table::table)
        .filter(students::student_number.eq(number))
        .select((students::id, people_table::name))
        .first(connection)
        .optional()?)
}

/// Adds a student.
///
/// # Errors
/// Refused when the number is somebody's already or the plan has no room; any database error.
pub fn create(connection: &mut TenantConn, activity: &Activity, fields: &StudentFields) -> ModelResult<Id> {
    connection
        .write_tx(|connection| {
            quota::require(connection, &activity.limits, Resource::Students, 1)?;
            require_free_number(connection, &fields.student_number, None)?;
            let person = PersonRow::new(&fields.person);
            let student = StudentRow::new(fields, person.id);
            diesel::insert_into(people_table::table).values(&person).execute(connection)?;
            diesel::insert_into(students::table).values(&student).execute(connection)?;
            let changes = StudentFields::changes(None, fields);
            let label = &fields.person.name;
            activity.record(connection, "student.created", "student", Some(student.id), label, &changes)?;
            Ok(student.id)
        })
        .map_err(|error| number_taken_meanwhile(error, &fields.student_number))
}

/// Changes the student that was read as `version`.
///
/// # Errors
/// `Changed` when somebody saved in between (nothing is written, and the caller can show both);
/// refused when the number is somebody else's; any database error.
pub fn update(
    connection: &mut TenantConn,
    activity: &Activity,
    id: Id,
    version: i64,
    fields: &StudentFields,
) -> ModelResult<()> {
    connection
        .write_tx(|connection| {
            let old = find(connection, id)?;
            if old.version != version {
                return Err(changed_by_somebody(connection, &old)?);
            }
            require_free_number(connection, &fields.student_number, Some(id))?;
            let entry = write_fields(connection, activity, &old, fields)?;
            activity.record_many(connection, entry.as_slice())
        })
        .map_err(|error| number_taken_meanwhile(error, &fields.student_number))
}

/// Writes fields over a student read in this very transaction. Returns the log entry of the difference,
/// which the caller must record in the same transaction; none when there is no difference.
pub(super) fn write_fields(
    connection: &mut TenantConn,
    activity: &Activity,
    old: &Student,
    fields: &StudentFields,
) -> ModelResult<Option<Entry>> {
    let before = old.fields();
    let changes = StudentFields::changes(Some(&before), fields);
    if changes.is_empty() {
        return Ok(None);
    }
    let saved = diesel::update(students::table.find(old.id))
        .filter(students::version.eq(old.version))
        .set((
            students::student_number.eq(&fields.student_number),
            students::status.eq(fields.status),
            students::admission_year.eq(fields.admission_year),
            students::programme.eq(&fields.programme),
            students::notes.eq(&fields.notes),
            students::name_key.eq(fold(&fields.person.name)),
            students::search_key.eq(fields.search_key()),
            students::updated_at.eq(now()),
            students::version.eq(old.version + 1),
        ))
        .execute(connection)?;
    if saved == 0 {
        return Err(changed_by_somebody(connection, old)?);
    }
    if before.person != fields.person {
        people::update(connection, old.person.id, &fields.person)?;
    }
    Ok(Some(activity.entry("student.updated", "student", Some(old.id), &fields.person.name, &changes)))
}

/// Takes a student off the lists. Returns the batch, with which [`student_bulk::restore_batch`] undoes it.
///
/// # Errors
/// `Changed` when they are archived already; any database error.
pub fn archive(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<Id> {
    connection.write_tx(|connection| {
        let student = find(connection, id)?;
        let batch = Id::new();
        let archived = student_bulk::set_archived(connection, &[id], batch)?;
        if archived == 0 {
            return Err(ModelError::Changed(format!("{} is already archived.", student.person.name)));
        }
        activity.record(connection, "student.archived", "student", Some(id), &student.person.name, &[])?;
        Ok(batch)
    })
}

/// Puts an archived student back on the lists.
///
/// # Errors
/// `Changed` when they are not archived; refused when the plan has no room; any database error.
pub fn restore(connection: &mut TenantConn, activity: &Activity, id: Id) -> ModelResult<()> {
    connection.write_tx(|connection| {
        quota::require(connection, &activity.limits, Resource::Students, 1)?;
        let student = find(connection, id)?;
        if student_bulk::set_restored(connection, &[id])? == 0 {
            return Err(ModelError::Changed(format!("{} is not archived.", student.person.name)));
        }
        activity.record(connection, "student.restored", "student", Some(id), &student.person.name, &[])
    })
}

fn require_free_number(connection: &mut TenantConn, number: &str, own: Option<Id>) -> ModelResult<()> {
    match holder_of_number(connection, number)? {
        Some((holder, name)) if Some(holder) != own => Err(ModelError::Refused(format!(
            "{name} already has the student number {number}. Enter another one."
        ))),
        _ => Ok(()),
    }
}

/// On PostgreSQL somebody may take the number between the check and the commit.
fn number_taken_meanwhile(error: ModelError, number: &str) -> ModelError {
    if error.is_unique_violation() {
        ModelError::Refused(format!(
            "Somebody else just used the student number {number}. Enter another one."
        ))
    } else {
        error
    }
}

fn changed_by_somebody(connection: &mut TenantConn, student: &Student) -> ModelResult<ModelError> {
    let who: Option<String> = activity_log::table
        .filter(activity_log::record_kind.eq("student"))
        .filter(activity_log::record_id.eq(student.id))
        .order((activity_log::at.desc(), activity_log::id.desc()))
        .select(activity_log::actor_name)
        .first(connection)
        .optional()?;
    let who = who.as_deref().unwrap_or("Somebody else");
    Ok(ModelError::Changed(format!("{who} changed {} while you were editing.", student.person.name)))
}
