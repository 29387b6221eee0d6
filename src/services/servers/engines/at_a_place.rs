//! What is done at a place, by the engine of the server that the place is on.

use std::io::{Read, Write};

use super::Engines;
use crate::db::{
    Id,
    engine::{
        Act, Condition, Contents, CopyTools, Dumped, EngineError, Examined, Opener, Permit, Place, Room,
    },
    tenant::TenantConn,
};

impl Engines {
    /// As [`TenantEngine::create_role`].
    ///
    /// # Errors
    /// As there.
    pub fn create_role(&self, place: &Place, password: &str, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.create_role(place, password, permit)
    }

    /// As [`TenantEngine::create`].
    ///
    /// # Errors
    /// As there.
    pub fn create(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.create(place, permit)
    }

    /// As [`TenantEngine::grant_and_open`].
    ///
    /// # Errors
    /// As there.
    pub fn grant_and_open(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.grant_and_open(place, permit)
    }

    /// As [`TenantEngine::verify`]; a foreign database on another server proves nothing and is left out.
    ///
    /// # Errors
    /// As there.
    pub fn verify(
        &self,
        place: &Place,
        connection: &mut TenantConn,
        password: Option<&str>,
        foreign: Option<&Place>,
    ) -> Result<(), EngineError> {
        let foreign = foreign.filter(|foreign| foreign.server_id == place.server_id);
        self.of(place.server_id)?.verify(place, connection, password, foreign)
    }

    /// As [`TenantEngine::drop_database`].
    ///
    /// # Errors
    /// As there.
    pub fn drop_database(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.drop_database(place, permit)
    }

    /// As [`TenantEngine::drop_role`].
    ///
    /// # Errors
    /// As there.
    pub fn drop_role(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.drop_role(place, permit)
    }

    /// As [`TenantEngine::exists`].
    ///
    /// # Errors
    /// As there.
    pub fn exists(&self, place: &Place) -> Result<bool, EngineError> {
        self.of(place.server_id)?.exists(place)
    }

    /// As [`TenantEngine::size`].
    ///
    /// # Errors
    /// As there.
    pub fn size(&self, place: &Place) -> Result<u64, EngineError> {
        self.of(place.server_id)?.size(place)
    }

    /// As [`TenantEngine::log_size`].
    ///
    /// # Errors
    /// As there.
    pub fn log_size(&self, place: &Place) -> Result<u64, EngineError> {
        self.of(place.server_id)?.log_size(place)
    }

    /// As [`TenantEngine::opener`].
    ///
    /// # Errors
    /// As there.
    pub fn opener(&self, place: &Place, password: Option<&str>) -> Result<Opener, EngineError> {
        self.of(place.server_id)?.opener(place, password)
    }

    /// As [`TenantEngine::open_as_owner`].
    ///
    /// # Errors
    /// As there.
    pub fn open_as_owner(&self, place: &Place) -> Result<TenantConn, EngineError> {
        self.of(place.server_id)?.open_as_owner(place)
    }

    /// As [`TenantEngine::dump`].
    ///
    /// # Errors
    /// As there.
    pub fn dump(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        out: &mut dyn Write,
    ) -> Result<Dumped, EngineError> {
        self.of(place.server_id)?.dump(place, tools, out)
    }

    /// As [`TenantEngine::load`].
    ///
    /// # Errors
    /// As there.
    pub fn load(
        &self,
        place: &Place,
        tools: CopyTools<'_>,
        input: &mut dyn Read,
        permit: Permit<'_>,
    ) -> Result<(), EngineError> {
        self.of(place.server_id)?.load(place, tools, input, permit)
    }

    /// As [`TenantEngine::contents`].
    ///
    /// # Errors
    /// As there.
    pub fn contents(&self, place: &Place) -> Result<Contents, EngineError> {
        self.of(place.server_id)?.contents(place)
    }

    /// As [`TenantEngine::stop_writing`].
    ///
    /// # Errors
    /// As there.
    pub fn stop_writing(&self, place: &Place, permit: Permit<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.stop_writing(place, permit)
    }

    /// As [`TenantEngine::allow_writing`].
    ///
    /// # Errors
    /// As there.
    pub fn allow_writing(&self, place: &Place) -> Result<(), EngineError> {
        self.of(place.server_id)?.allow_writing(place)
    }

    /// As [`TenantEngine::condition`].
    ///
    /// # Errors
    /// As there.
    pub fn condition(&self, place: &Place) -> Result<Condition, EngineError> {
        self.of(place.server_id)?.condition(place)
    }

    /// As [`TenantEngine::tend`].
    ///
    /// # Errors
    /// As there.
    pub fn tend(&self, place: &Place, act: Act, room: Room<'_>) -> Result<(), EngineError> {
        self.of(place.server_id)?.tend(place, act, room)
    }

    /// As [`TenantEngine::adopt`].
    ///
    /// # Errors
    /// As there.
    pub fn adopt(&self, place: &Place, from: Id) -> Result<(), EngineError> {
        self.of(place.server_id)?.adopt(place, from)
    }

    /// As [`TenantEngine::write_anew`].
    ///
    /// # Errors
    /// As there.
    pub fn write_anew(&self, place: &Place) -> Result<(), EngineError> {
        self.of(place.server_id)?.write_anew(place)
    }

    /// As [`TenantEngine::examine`].
    ///
    /// # Errors
    /// As there.
    pub fn examine(&self, place: &Place, connection: &mut TenantConn) -> Result<Examined, EngineError> {
        self.of(place.server_id)?.examine(place, connection)
    }

    /// As [`TenantEngine::expected_shape`], of a database on this server.
    ///
    /// # Errors
    /// As there.
    pub fn expected_shape(&self, server: Id) -> Result<Option<Vec<String>>, EngineError> {
        self.of(server)?.expected_shape()
    }
}
