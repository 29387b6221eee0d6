//! All tenant databases at once: which are behind this version's schema, and bringing them up to it.

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

/// Brings every ready database whose recorded schema differs from this binary's up to date, one after the
/// other; `told` hears of each. With nothing to do it is one query.
///
/// # Errors
/// When the shared database cannot be read. What fails in one tenant's database is in its report.
pub fn migrate_tenants(
    platform: &Platform,
    audit: &Audit,
    mut told: impl FnMut(&Migrated),
) -> Result<(), Failure> {
    let version = schema_version()?;
    let outdated = tenant_databases::outdated(&mut *platform.shared.get()?, &version)?;
    for database in outdated {
        let domain = institutions::find(&mut *platform.shared.get()?, database.institution_id)?.domain;
        let outcome = migrate_one(platform, audit, &database, &domain, &version);
        told(&Migrated {
            domain,
            database: database.database_name,
            from: database.schema_version,
            outcome: outcome.map_err(|failure| StartError::new(failure).to_string()),
        });
    }
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
