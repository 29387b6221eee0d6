//! The way into one institution's database: status and generation are looked at each time.

use std::sync::Arc;

use super::keys::{KeyError, Keys};
use crate::{
    db::{
        Id,
        engine::{EngineError, Place, TenantEngine},
        pools::{PoolError, PoolStatistics, TenantDb, TenantPools},
        shared::SharedConn,
    },
    models::{
        ModelError,
        platform::{
            institutions::{Institution, Status},
            tenant_databases::{self, DatabaseStatus, TenantDatabase},
        },
    },
};

/// Why a tenant's database cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// There is no such institution, or it has no database.
    #[error("there is no such institution")]
    NotFound,
    /// The institution is not active.
    #[error("the institution is {0}")]
    NotActive(Status),
    /// No connection could be had.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The shared database.
    #[error(transparent)]
    Database(ModelError),
    /// The sealed password cannot be read.
    #[error("the key to the institution's database is not usable: {0}")]
    Key(#[from] KeyError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<ModelError> for TenantError {
    fn from(error: ModelError) -> Self {
        if error.is_not_found() { Self::NotFound } else { Self::Database(error) }
    }
}

impl From<diesel::result::Error> for TenantError {
    fn from(error: diesel::result::Error) -> Self {
        ModelError::from(error).into()
    }
}

/// Opens tenants' databases. Cheap to clone.
#[derive(Clone)]
pub struct Tenants {
    pools: TenantPools,
    engine: Arc<dyn TenantEngine>,
    keys: Keys,
}

impl Tenants {
    pub(super) fn new(pools: TenantPools, engine: Arc<dyn TenantEngine>, keys: Keys) -> Self {
        Self { pools, engine, keys }
    }

    /// The database of an active institution.
    ///
    /// # Errors
    /// Why it cannot be entered: unknown, suspended, ...
    pub fn open(&self, connection: &mut SharedConn, institution_id: Id) -> Result<TenantDb, TenantError> {
        let (institution, database) = tenant_databases::find_with_institution(connection, institution_id)?;
        self.open_found(connection, &institution, database.as_ref())
    }

    /// As [`Self::open`], for a caller whose own query already read both. The password is unsealed, with a
    /// query more, only for a new pool.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_found(
        &self,
        connection: &mut SharedConn,
        institution: &Institution,
        database: Option<&TenantDatabase>,
    ) -> Result<TenantDb, TenantError> {
        if institution.status != Status::Active {
            return Err(TenantError::NotActive(institution.status));
        }
        let ready = database.filter(|database| {
            database.institution_id == institution.id && database.status == DatabaseStatus::Ready
        });
        self.open_database(connection, ready.ok_or(TenantError::NotFound)?)
    }

    /// The database whatever the institution's status: for operations and the command line only.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in_any_state(
        &self,
        connection: &mut SharedConn,
        institution_id: Id,
    ) -> Result<TenantDb, TenantError> {
        let database = tenant_databases::find(connection, institution_id)?.ok_or(TenantError::NotFound)?;
        self.open_database(connection, &database)
    }

    fn open_database(
        &self,
        connection: &mut SharedConn,
        database: &TenantDatabase,
    ) -> Result<TenantDb, TenantError> {
        if let Some(known) = self.pools.find(database.institution_id, database.generation)? {
            return Ok(known);
        }
        let password = password(&self.keys, connection, database)?;
        let opener = self.engine.opener(&place(database), password.as_ref().map(|text| text.as_str()))?;
        Ok(self.pools.open(database.institution_id, database.generation, opener)?)
    }

    /// Lets go of a tenant's connections in this process at once. Other processes, and this one, refuse
    /// older handles once `tenant_databases::raise_generation` is committed.
    pub fn retire(&self, institution_id: Id) {
        self.pools.retire(institution_id);
    }

    /// Figures for the page of databases.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        self.pools.statistics()
    }

    pub(super) fn close(&self) {
        self.pools.close();
    }
}

/// Where the engine finds a database.
#[must_use]
pub fn place(database: &TenantDatabase) -> Place {
    Place {
        institution_id: database.institution_id,
        name: database.database_name.clone(),
        location: database.location.clone(),
    }
}

/// The unsealed password of a tenant's role, where tenants have one.
///
/// # Errors
/// A missing key, a damaged value.
pub(super) fn password(
    keys: &Keys,
    connection: &mut SharedConn,
    database: &TenantDatabase,
) -> Result<Option<zeroize::Zeroizing<String>>, KeyError> {
    unsealed(keys, connection, database.institution_id, database.sealed_password.as_deref())
}

/// As [`password`], of a database that does not serve.
pub(super) fn unsealed(
    keys: &Keys,
    connection: &mut SharedConn,
    institution_id: Id,
    sealed: Option<&[u8]>,
) -> Result<Option<zeroize::Zeroizing<String>>, KeyError> {
    use super::secrets::{Purpose, SealError};
    let Some(sealed) = sealed else { return Ok(None) };
    let key = keys.data_key(connection, institution_id)?.ok_or(KeyError::NoDataKey)?;
    let plain = key.open(Purpose::TenantDatabaseUrl, sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|_| KeyError::Seal(SealError::Format))?;
    Ok(Some(zeroize::Zeroizing::new(text.to_owned())))
}
