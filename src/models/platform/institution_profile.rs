//! What an institution says of itself, mirrored in the registry so that the platform shows the same.

use diesel::prelude::*;
use serde_json::json;

use super::{audit::Audit, institutions};
use crate::{
    db::{Id, now, schema_shared::institutions as table, shared::SharedConn},
    models::{ModelResult, search::fold},
};

/// The mirrored part of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its name.
    pub name: String,
    /// What sort of institution it is.
    pub kind: institutions::Kind,
    /// Two-letter code.
    pub country: String,
    /// Its website.
    pub website: Option<String>,
    /// IANA name.
    pub time_zone: String,
}

/// Brings the registry's row to what the institution says; nothing happens when it says so already.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn mirror(connection: &mut SharedConn, audit: &Audit, id: Id, new: &Mirror) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let old = institutions::find(connection, id)?;
        let same = old.name == new.name
            && old.kind == new.kind
            && old.country == new.country
            && old.website == new.website
            && old.time_zone == new.time_zone;
        if same {
            return Ok(());
        }
        diesel::update(table::table.find(id))
            .set((
                table::name.eq(&new.name),
                table::name_key.eq(fold(&new.name)),
                table::kind.eq(new.kind),
                table::country.eq(&new.country),
                table::website.eq(&new.website),
                table::time_zone.eq(&new.time_zone),
                table::updated_at.eq(now()),
                table::version.eq(table::version + 1),
            ))
            .execute(connection)?;
        let detail = json!({ "name": [old.name, new.name], "time_zone": [old.time_zone, new.time_zone] });
        audit.record(connection, "institution.profile_changed", &old.subject(), &detail)
    })
}
