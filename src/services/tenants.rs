//! The way into one institution's database: status and generation are looked at each time.

use std::{cmp::Ordering, sync::Arc};

use super::{
    keys::{KeyError, Keys},
    servers::Engines,
};
use crate::{
    db::{
        Id, OpenError,
        engine::{EngineError, Place},
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
    /// Its schema is older than this version's: [`Platform::catch_up`](super::platform::Platform::catch_up) first.
    #[error("the institution's database is behind this version of Provost")]
    Behind,
    /// Its schema is not this version's, and stays so for now.
    #[error("{0}")]
    Maintenance(Maintenance),
}

/// Why a database is not served although nothing is wrong with the institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Maintenance {
    /// A newer version of Provost has brought it along already.
    #[error("the institution's database is of a newer version of Provost")]
    Newer,
    /// It could not be brought along, or was taken back.
    #[error("the institution's database waits for somebody to look at it")]
    Quarantined,
    /// It is not its turn yet.
    #[error("the institution's database waits for its turn to be brought up to date")]
    HeldBack,
    /// The first few are being brought along, and it is among the next.
    #[error("the institution's database is among the next to be brought up to date")]
    Next,
    /// It is being brought along.
    #[error("the institution's database is being brought up to date")]
    UnderWay,
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
    engine: Arc<Engines>,
    keys: Keys,
    /// The schema that this binary works with.
    version: Arc<str>,
}

impl Tenants {
    pub(super) fn new(pools: TenantPools, engine: Arc<Engines>, keys: Keys, version: &str) -> Self {
        Self { pools, engine, keys, version: version.into() }
    }

    /// A database is served at this version's schema only. Costs nothing: the row is read already.
    fn check_version(&self, database: &TenantDatabase) -> Result<(), TenantError> {
        match (*database.schema_version).cmp(&*self.version) {
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(TenantError::Maintenance(Maintenance::Newer)),
            Ordering::Less if database.quarantine_reason.is_some() => {
                Err(TenantError::Maintenance(Maintenance::Quarantined))
            }
            Ordering::Less => Err(TenantError::Behind),
        }
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
        let ready = ready.ok_or(TenantError::NotFound)?;
        self.check_version(ready)?;
        self.open_database(connection, ready)
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
        match database.status {
            DatabaseStatus::Ready => self.check_version(&database)?,
            DatabaseStatus::Reserved => {}
            DatabaseStatus::Dropped => return Err(TenantError::NotFound),
        }
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
        let only_reads = database.write_block.is_some();
        let open = move || {
            let mut connection = opener()?;
            if only_reads {
                connection.only_read().map_err(|error| OpenError::unusable(&error))?;
            }
            Ok(connection)
        };
        let (id, generation) = (database.institution_id, database.generation);
        Ok(match self.engine.budget(database.server_id)? {
            None => self.pools.open(id, generation, open)?,
            Some(server) => self.pools.open_on(server, id, generation, open)?,
        })
    }

    /// Waits until nobody in this process is at work with a handle of an older generation; false when that takes too
    /// long. From this call on none is given out. Blocks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn settle(
        &self,
        connection: &mut SharedConn,
        institution_id: Id,
        most: std::time::Duration,
    ) -> Result<bool, TenantError> {
        self.open_in_any_state(connection, institution_id)?;
        Ok(self.pools.is_settled(institution_id, most))
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
        server_id: database.server_id,
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
