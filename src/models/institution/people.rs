//! People: one row a person, whatever their roles. Students are the first; staff and guardians follow.

use chrono::{NaiveDate, NaiveDateTime};
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_tenant::people, tenant::TenantConn},
    models::ModelResult,
};

/// A person, as every role of theirs shows them.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = people)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Person {
    pub id: Id,
    pub name: String,
    pub preferred_name: Option<String>,
    pub birth_date: Option<NaiveDate>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
}

/// What is known of a person, as it is entered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct PersonFields {
    pub name: String,
    pub preferred_name: Option<String>,
    pub birth_date: Option<NaiveDate>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = people, treat_none_as_default_value = false)]
pub(super) struct PersonRow {
    pub id: Id,
    name: String,
    preferred_name: Option<String>,
    birth_date: Option<NaiveDate>,
    email: Option<String>,
    phone: Option<String>,
    address: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl PersonRow {
    pub(super) fn new(fields: &PersonFields) -> Self {
        let at = now();
        Self {
            id: Id::new(),
            name: fields.name.clone(),
            preferred_name: fields.preferred_name.clone(),
            birth_date: fields.birth_date,
            email: fields.email.clone(),
            phone: fields.phone.clone(),
            address: fields.address.clone(),
            created_at: at,
            updated_at: at,
        }
    }
}

/// Writes a person's fields; part of a role's own transaction, which checks its version.
pub(super) fn update(connection: &mut TenantConn, id: Id, fields: &PersonFields) -> ModelResult<()> {
    diesel::update(people::table.find(id))
        .set((
            people::name.eq(&fields.name),
            people::preferred_name.eq(&fields.preferred_name),
            people::birth_date.eq(fields.birth_date),
            people::email.eq(&fields.email),
            people::phone.eq(&fields.phone),
            people::address.eq(&fields.address),
            people::updated_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}
