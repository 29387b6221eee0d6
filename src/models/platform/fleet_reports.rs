//! What the doctor found when it last looked at the whole fleet.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{Id, now, schema_shared::fleet_reports, shared::SharedConn},
    models::ModelResult,
};

/// Reports that are kept.
const KEPT: i64 = 20;

/// A report.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = fleet_reports)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct FleetReport {
    pub id: Id,
    pub taken_at: NaiveDateTime,
    pub tenants: i64,
    pub findings: i64,
    /// As JSON.
    pub report: String,
}

/// Keeps a report, and the last few before it.
///
/// # Errors
/// Any database error.
pub fn keep(connection: &mut SharedConn, tenants: i64, findings: i64, report: String) -> ModelResult<()> {
    connection.write_tx(|c| {
        let new = FleetReport { id: Id::new(), taken_at: now(), tenants, findings, report };
        diesel::insert_into(fleet_reports::table).values(&new).execute(c)?;
        let oldest: Option<NaiveDateTime> = fleet_reports::table
            .order(fleet_reports::taken_at.desc())
            .offset(KEPT)
            .select(fleet_reports::taken_at)
            .first(c)
            .optional()?;
        if let Some(at) = oldest {
            diesel::delete(fleet_reports::table.filter(fleet_reports::taken_at.le(at))).execute(c)?;
        }
        Ok(())
    })
}

/// The newest report.
///
/// # Errors
/// Any database error.
pub fn newest(connection: &mut SharedConn) -> ModelResult<Option<FleetReport>> {
    Ok(fleet_reports::table
        .order((fleet_reports::taken_at.desc(), fleet_reports::id.desc()))
        .select(FleetReport::as_select())
        .first(connection)
        .optional()?)
}
