//! The shared database alone, for tests of its models.

use provost::{
    db::{Id, shared::SharedConn},
    models::{
        Actor,
        platform::audit::{Audit, AuditKey},
    },
};

use super::Site;

/// A shared database of its own, on the engine of this run, gone with the test.
pub struct Shared {
    pub connection: SharedConn,
    _site: Site,
}

impl Shared {
    pub fn new() -> Self {
        let site = Site::new();
        site.open().close();
        Self { connection: SharedConn::open(&site.settings.database).expect("opened"), _site: site }
    }
}

/// The right to change the platform's records in this name.
pub fn by(name: &str) -> Audit {
    let actor = Actor { id: Some(Id::new()), name: name.into(), ip: None, user_agent: None };
    Audit::new(AuditKey::new([7; 32]), actor)
}
