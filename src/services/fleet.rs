//! All tenant databases at once: which are behind this version's schema, and bringing them up to it.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use serde_json::json;

use super::{
    operations::Failure,
    platform::{Platform, StartError},
    tenants,
};
use crate::{
    db::migrate::{Migrate as _, tenant_schema_version},
    models::platform::{
        audit::{Audit, Subject},
        institutions,
        tenant_databases::{self, TenantDatabase},
    },
};

/// How many databases are migrated at once: enough that one slow one holds up no other, few enough that pages keep
/// their connections.
const AT_ONCE: usize = 4;

/// What became of one tenant database.
#[derive(Debug, Clone)]
pub struct Migrated {
    /// The institution.
    pub domain: String,
    /// Its database.
    pub database: String,
    /// The schema it had.
    pub from: String,
    /// The migrations that ran, or why they did not.
    pub outcome: Result<Vec<String>, String>,
}

/// Brings every ready database whose recorded schema differs from this binary's up to date, a few at once; `told`
/// hears of each. With nothing to do it is one query, and what was interrupted is finished by the next call.
///
/// # Errors
/// When the shared database cannot be read. What fails in one tenant's database is in its report.
pub fn migrate_tenants(
    platform: &Platform,
    audit: &Audit,
    mut told: impl FnMut(&Migrated),
) -> Result<(), Failure> {
    let version = schema_version()?;
    let outdated = {
        let connection = &mut *platform.shared.get()?;
        let databases = tenant_databases::outdated(connection, &version)?.into_iter();
        let named = |database: TenantDatabase| {
            institutions::find(connection, database.institution_id).map(|found| (database, found.domain))
        };
        databases.map(named).collect::<Result<Vec<_>, _>>()?
    };
    let waiting = Mutex::new(outdated.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (done, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (done, version) = (done.clone(), &version);
            scope.spawn(move || {
                while let Some((database, domain)) = next() {
                    let outcome = migrate_one(platform, audit, &database, &domain, version);
                    // The receiver goes only when `told` panicked.
                    let _ = done.send(Migrated {
                        domain,
                        database: database.database_name,
                        from: database.schema_version,
                        outcome: outcome.map_err(|failure| StartError::new(failure).to_string()),
                    });
                }
            });
        }
        drop(done);
        reports.iter().for_each(|report| told(&report));
    });
    Ok(())
}

/// The schema that tenant databases have in this version of Provost.
///
/// # Errors
/// When the binary holds none.
pub fn schema_version() -> Result<String, Failure> {
    tenant_schema_version().map_err(|error| Failure::Permanent(format!("{error}.")))
}

fn migrate_one(
    platform: &Platform,
    audit: &Audit,
    database: &TenantDatabase,
    domain: &str,
    version: &str,
) -> Result<Vec<String>, Failure> {
    let mut connection = platform.engine.open_as_owner(&tenants::place(database))?;
    connection.lock_for_migration()?;
    let ran = connection.migrate().map_err(|error| Failure::Permanent(format!("The {error}.")))?;
    drop(connection);
    let subject = Subject {
        kind: "institution",
        id: Some(database.institution_id),
        label: domain,
        institution_id: Some(database.institution_id),
    };
    platform.shared.get()?.write_tx(|shared| {
        tenant_databases::set_schema_version(shared, database.institution_id, version)?;
        let detail = json!({ "from": database.schema_version, "to": version, "migrations": ran });
        audit.record(shared, "database.migrated", &subject, &detail)?;
        Ok::<_, Failure>(())
    })?;
    Ok(ran)
}
