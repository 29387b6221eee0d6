//! How large each database is: a bounded number of them at a time, those that were measured longest ago first.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use crate::{
    db::now,
    models::platform::{
        tenant_databases::TenantDatabase,
        tenant_figures::{self, Measured},
    },
    services::{platform::Platform, tenants},
};

/// A size is good for so long.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(30);
/// Databases measured in one run, and the time that it may take.
const MOST: i64 = 500;
const LONGEST: Duration = Duration::from_secs(5);

/// The scheduled job: measures what was not measured for half an hour.
pub(crate) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    measure(platform, GOOD_FOR).map(|_| ())
}

/// Measures databases whose size is older than `good_for`; says how many.
///
/// # Errors
/// When the shared database fails.
pub fn measure(platform: &Platform, good_for: TimeDelta) -> Result<usize, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let connection = || platform.shared.get().map_err(|error| words(&error));
    let stale = tenant_figures::to_measure(&mut *connection()?, now() - good_for, MOST)
        .map_err(|error| words(&error))?;
    let began = Instant::now();
    // No connection is held while engines are asked.
    let measured: Vec<_> = stale
        .iter()
        .take_while(|_| began.elapsed() < LONGEST)
        .map(|database| Measured {
            institution_id: database.institution_id,
            bytes: bytes_of(platform, database),
        })
        .collect();
    for some in measured.chunks(100) {
        tenant_figures::set_sizes(&mut *connection()?, some).map_err(|error| words(&error))?;
    }
    Ok(measured.len())
}

/// Nothing where the database is missing or cannot be reached.
fn bytes_of(platform: &Platform, database: &TenantDatabase) -> Option<(i64, i64)> {
    let place = tenants::place(database);
    let size = platform.engine.size(&place).ok().filter(|size| *size > 0)?;
    let log = platform.engine.log_size(&place).ok()?;
    Some((i64::try_from(size).ok()?, i64::try_from(log).ok()?))
}
