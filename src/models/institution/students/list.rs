//! The list of students: its filters, its pages, and what a home page counts.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{Student, StudentStatus};
use crate::{
    db::{
        Id,
        schema_tenant::{people as people_table, students},
        tenant::{MultiBackend, TenantConn},
    },
    models::{ModelResult, Paging, Slice, containing, ordered},
};

/// Filters of the list, of its CSV and of what is done to all that match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudentFilter {
    /// Words in name, preferred name, number or e-mail.
    pub q: String,
    /// Only this status.
    pub status: Option<StudentStatus>,
    /// Only who was admitted in this year.
    pub admission_year: Option<i32>,
    /// The archived ones instead of the others.
    pub archived: bool,
}

/// Narrows a boxed query over `students` (joined or not) to a [`StudentFilter`].
macro_rules! narrow {
    ($query:expr, $filter:expr) => {{
        let (mut query, filter) = ($query, $filter);
        query = if filter.archived {
            query.filter(students::archived_at.is_not_null())
        } else {
            query.filter(students::archived_at.is_null())
        };
        query = containing!(query, filter.q, students::search_key);
        if let Some(status) = filter.status {
            query = query.filter(students::status.eq(status));
        }
        if let Some(year) = filter.admission_year {
            query = query.filter(students::admission_year.eq(year));
        }
        query
    }};
}

type Joined = diesel::dsl::IntoBoxed<
    'static,
    diesel::dsl::InnerJoin<students::table, people_table::table>,
    MultiBackend,
>;

fn matching(filter: &StudentFilter) -> Joined {
    narrow!(students::table.inner_join(people_table::table).into_boxed(), filter)
}

/// How many match: never needs the join.
///
/// # Errors
/// Any database error.
pub fn count(connection: &mut TenantConn, filter: &StudentFilter) -> ModelResult<i64> {
    let query: students::BoxedQuery<'static, MultiBackend> = students::table.into_boxed();
    Ok(narrow!(query, filter).count().get_result(connection)?)
}

/// One page of students, by name unless asked otherwise: `number`, `status`, `admission_year`, `updated`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut TenantConn,
    filter: &StudentFilter,
    paging: &Paging,
) -> ModelResult<Slice<Student>> {
    let total = count(connection, filter)?;
    let rows = sorted(matching(filter), paging)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Student::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

fn sorted(query: Joined, paging: &Paging) -> Joined {
    let down = paging.descending;
    match paging.sort.as_str() {
        "number" => ordered!(query, down, students::student_number),
        "status" => ordered!(query, down, students::status, students::id),
        "admission_year" => ordered!(query, down, blank last students::admission_year, students::id),
        "updated" => ordered!(query, down, students::updated_at, students::id),
        _ => ordered!(query, down, students::name_key, students::id),
    }
}

/// Where a student stands in each order of the list.
#[derive(Queryable, Selectable)]
#[diesel(table_name = students)]
struct Place {
    name_key: String,
    student_number: String,
    status: StudentStatus,
    admission_year: Option<i32>,
    updated_at: NaiveDateTime,
}

/// The next matching students in the order of [`page`], after the one with this id: for reading all that match
/// in bounded pieces. Whoever changes their place in the meantime may be met twice or not at all.
///
/// # Errors
/// Any database error.
pub fn following(
    connection: &mut TenantConn,
    filter: &StudentFilter,
    paging: &Paging,
    last: Option<Id>,
) -> ModelResult<Vec<Student>> {
    let mut query = matching(filter);
    if let Some(id) = last {
        let place = students::table.find(id).select(Place::as_select()).first(connection)?;
        query = beyond(query, paging, id, place);
    }
    Ok(sorted(query, paging).limit(paging.limit).select(Student::as_select()).load(connection)?)
}

/// Narrows to those after a place in the order of [`sorted`].
fn beyond(query: Joined, paging: &Paging, id: Id, last: Place) -> Joined {
    macro_rules! past {
        ($column:expr, $value:expr) => {
            if paging.descending {
                query.filter($column.lt($value).or($column.eq($value).and(students::id.lt(id))))
            } else {
                query.filter($column.gt($value).or($column.eq($value).and(students::id.gt(id))))
            }
        };
    }
    let (year, down) = (students::admission_year, paging.descending);
    match (paging.sort.as_str(), last.admission_year) {
        ("number", _) => past!(students::student_number, last.student_number.clone()),
        ("status", _) => past!(students::status, last.status),
        // Who has no year comes last in both directions.
        ("admission_year", Some(last)) if down => {
            query.filter(year.is_null().or(year.lt(last)).or(year.eq(last).and(students::id.lt(id))))
        }
        ("admission_year", Some(last)) => {
            query.filter(year.is_null().or(year.gt(last)).or(year.eq(last).and(students::id.gt(id))))
        }
        ("admission_year", None) if down => query.filter(year.is_null().and(students::id.lt(id))),
        ("admission_year", None) => query.filter(year.is_null().and(students::id.gt(id))),
        ("updated", _) => past!(students::updated_at, last.updated_at),
        _ => past!(students::name_key, last.name_key.clone()),
    }
}

/// The next `limit` matching students after a student number, in the order of numbers: for reading
/// all that match in bounded pieces.
///
/// # Errors
/// Any database error.
pub fn after_number(
    connection: &mut TenantConn,
    filter: &StudentFilter,
    after: Option<&str>,
    limit: i64,
) -> ModelResult<Vec<Student>> {
    let mut query = matching(filter);
    if let Some(number) = after {
        query = query.filter(students::student_number.gt(number.to_owned()));
    }
    Ok(query
        .order(students::student_number.asc())
        .limit(limit)
        .select(Student::as_select())
        .load(connection)?)
}

/// The years that students were admitted in, newest first: the choices of the filter.
///
/// # Errors
/// Any database error.
pub fn admission_years(connection: &mut TenantConn) -> ModelResult<Vec<i32>> {
    let years: Vec<Option<i32>> = students::table
        .filter(students::admission_year.is_not_null())
        .select(students::admission_year)
        .distinct()
        .order(students::admission_year.desc())
        .load(connection)?;
    Ok(years.into_iter().flatten().collect())
}

/// How many students there are, for the dashboard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudentCounts {
    /// Not archived, by status; a status without students is not listed.
    pub by_status: Vec<(StudentStatus, i64)>,
    /// Archived ones, whatever their status.
    pub archived: i64,
}

impl StudentCounts {
    /// Not archived with this status.
    #[must_use]
    pub fn of(&self, status: StudentStatus) -> i64 {
        self.by_status.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
    }

    /// All that are not archived.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.by_status.iter().map(|(_, count)| count).sum()
    }
}

/// Counts the students.
///
/// # Errors
/// Any database error.
pub fn counts(connection: &mut TenantConn) -> ModelResult<StudentCounts> {
    let by_status = students::table
        .filter(students::archived_at.is_null())
        .group_by(students::status)
        .select((students::status, diesel::dsl::count_star()))
        .load(connection)?;
    let archived =
        students::table.filter(students::archived_at.is_not_null()).count().get_result(connection)?;
    Ok(StudentCounts { by_status, archived })
}
