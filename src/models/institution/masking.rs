//! Masking a copy of an institution's database: whoever is in it becomes somebody else, the same one everywhere, and
//! nobody can find out who it was, because the key that decides is thrown away.
//!
//! [`COLUMNS`] says of every column what becomes of it; a test holds it to the schema.

mod columns;
mod disguise;

use diesel::prelude::*;

use super::{
    activity::{self, Change, Entry},
    people::Person,
    students::Student,
    users::UserStatus,
};
use crate::{
    db::{
        Id, now,
        schema_tenant::{activity_log, imports, institution, people, students, users},
        tenant::TenantConn,
    },
    models::search::fold,
};

pub use columns::{COLUMNS, Rule};
pub use disguise::{Disguise, MAIL_DOMAIN};

/// Rows read at a time.
const CHUNK: i64 = 1_000;

/// Who the copy is from now on.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Identity {
    pub id: Id,
    pub domain: String,
    pub name: String,
}

/// Masks everything in one transaction. Done again, with another key, it masks what is masked. Returns how many rows were
/// changed. `go_on` is asked before each chunk.
///
/// # Errors
/// What `go_on` says, or any database error; nothing is changed then.
pub fn mask<E: From<diesel::result::Error>>(
    connection: &mut TenantConn,
    disguise: &Disguise,
    own: &Identity,
    go_on: &dyn Fn() -> Result<(), E>,
) -> Result<usize, E> {
    connection.write_tx(|c| {
        diesel::update(institution::table)
            .set((
                institution::id.eq(own.id),
                institution::domain.eq(&own.domain),
                institution::name.eq(&own.name),
                institution::website.eq(None::<String>),
                institution::updated_at.eq(now()),
            ))
            .execute(c)?;
        let mut changed = diesel::delete(imports::table).execute(c)?;
        for table in TABLES {
            let mut last = Some(Id::NIL);
            while let Some(after) = last {
                go_on()?;
                let (rows, end) = table(c, disguise, after)?;
                changed += rows;
                last = end;
            }
        }
        crate::crash_point!("sandbox:masking");
        Ok(changed)
    })
}

/// How many rows a chunk had, and the id of its last one.
type Chunk = QueryResult<(usize, Option<Id>)>;

/// Masks the next rows of a table.
type Masked = fn(&mut TenantConn, &Disguise, Id) -> Chunk;

const TABLES: [Masked; 4] = [mask_users, mask_people, mask_students, mask_activity];

/// Nobody can sign in by an account of the original.
fn mask_users(c: &mut TenantConn, disguise: &Disguise, after: Id) -> Chunk {
    let rows: Vec<(Id, String, String)> = users::table
        .filter(users::id.gt(after))
        .order(users::id)
        .limit(CHUNK)
        .select((users::id, users::email_normalised, users::name))
        .load(c)?;
    for (id, email, name) in &rows {
        let (email, name) = (disguise.email(email), disguise.name(name));
        diesel::update(users::table.find(id))
            .set((
                users::email.eq(&email),
                users::email_normalised.eq(&email),
                users::name_key.eq(fold(&name)),
                users::name.eq(name),
                users::password_hash.eq(None::<String>),
                users::status.eq(UserStatus::Disabled),
                users::last_sign_in_at.eq(None::<chrono::NaiveDateTime>),
            ))
            .execute(c)?;
    }
    Ok((rows.len(), rows.last().map(|row| row.0)))
}

fn mask_people(c: &mut TenantConn, disguise: &Disguise, after: Id) -> Chunk {
    let rows: Vec<Person> = people::table
        .filter(people::id.gt(after))
        .order(people::id)
        .limit(CHUNK)
        .select(Person::as_select())
        .load(c)?;
    for person in &rows {
        let text = |value: &Option<String>, mask: &dyn Fn(&str) -> String| value.as_deref().map(mask);
        diesel::update(people::table.find(person.id))
            .set((
                people::name.eq(disguise.name(&person.name)),
                people::preferred_name.eq(text(&person.preferred_name, &|name| disguise.given(name))),
                people::birth_date.eq(person.birth_date.map(|date| disguise.date(date))),
                people::email.eq(text(&person.email, &|email| disguise.email(email))),
                people::phone.eq(text(&person.phone, &|phone| disguise.phone(phone))),
                people::address.eq(text(&person.address, &|address| disguise.address(address))),
            ))
            .execute(c)?;
    }
    Ok((rows.len(), rows.last().map(|person| person.id)))
}

/// After the people: what is searched and sorted is made of what they are called now.
fn mask_students(c: &mut TenantConn, disguise: &Disguise, after: Id) -> Chunk {
    let rows: Vec<Student> = students::table
        .inner_join(people::table)
        .filter(students::id.gt(after))
        .order(students::id)
        .limit(CHUNK)
        .select(Student::as_select())
        .load(c)?;
    for student in &rows {
        diesel::update(students::table.find(student.id))
            .set((
                students::notes.eq(student.notes.as_ref().map(|_| disguise.text())),
                students::name_key.eq(fold(&student.person.name)),
                students::search_key.eq(student.fields().search_key()),
            ))
            .execute(c)?;
    }
    Ok((rows.len(), rows.last().map(|student| student.id)))
}

fn mask_activity(c: &mut TenantConn, disguise: &Disguise, after: Id) -> Chunk {
    let rows: Vec<Entry> = activity_log::table
        .filter(activity_log::id.gt(after))
        .order(activity_log::id)
        .limit(CHUNK)
        .select(Entry::as_select())
        .load(c)?;
    for entry in &rows {
        let label = label(disguise, entry);
        // Whoever has no id is no person.
        let actor = match entry.actor_id {
            Some(_) => disguise.name(&entry.actor_name),
            None => entry.actor_name.clone(),
        };
        let changes: Vec<Change> = entry
            .changes()
            .into_iter()
            .map(|Change { field, before, after }| {
                let mask = |value: String| self::value(disguise, &entry.record_kind, &field, value);
                Change { before: before.map(mask), after: after.map(mask), field: field.clone() }
            })
            .collect();
        diesel::update(activity_log::table.find(entry.id))
            .set((
                activity_log::search_key.eq(activity::search_key(&label, &actor, &entry.action)),
                activity_log::actor_name.eq(actor),
                activity_log::record_label.eq(label),
                activity_log::changes.eq(serde_json::to_string(&changes).unwrap_or_else(|_| "[]".into())),
                activity_log::ip.eq(None::<String>),
                activity_log::user_agent.eq(None::<String>),
            ))
            .execute(c)?;
    }
    Ok((rows.len(), rows.last().map(|entry| entry.id)))
}

/// What an entry is about: a person's name, the institution's, or a number of rows; a file's name may be anybody's.
fn label(disguise: &Disguise, entry: &Entry) -> String {
    let label = &entry.record_label;
    match entry.record_kind.as_str() {
        "student" | "user" => disguise.name(label),
        "institution" | "institution_data" => label.clone(),
        _ if entry.action != "students.imported" && label.starts_with(|c: char| c.is_ascii_digit()) => {
            label.clone()
        }
        _ => disguise.text(),
    }
}

/// A value of one field, before or after. What is not known to say nothing of anybody is masked.
fn value(disguise: &Disguise, record_kind: &str, field: &str, value: String) -> String {
    match field {
        _ if record_kind == "institution" => value,
        "student_number" | "status" | "admission_year" | "programme" | "roles" | "role" | "students"
        | "created" | "updated" => value,
        "name" => disguise.name(&value),
        "preferred_name" => disguise.given(&value),
        "email" => disguise.email(&value),
        "phone" => disguise.phone(&value),
        "address" => disguise.address(&value),
        "birth_date" => match value.parse() {
            Ok(date) => disguise.date(date).to_string(),
            Err(_) => disguise.text(),
        },
        _ => disguise.text(),
    }
}
