//! Leases: while a worker works, its claim is renewed in the background; a silent one loses it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    db::pools::SharedPool,
    models::platform::operations::{self, Claim},
};

/// The claims that this process holds.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<HashSet<Claim>>>);

/// A claim that is renewed for as long as this lives.
pub(super) struct Holding<'a> {
    held: &'a Held,
    claim: &'a Claim,
}

impl Held {
    pub(super) fn hold<'a>(&'a self, claim: &'a Claim) -> Holding<'a> {
        self.claims(|claims| claims.insert(claim.clone()));
        Holding { held: self, claim }
    }

    /// Renews what is held. A claim that was lost is no longer renewed; its worker finds out at its next write.
    pub(super) fn renew(&self, shared: &SharedPool, lease: Duration) {
        let claims: Vec<Claim> = self.claims(|claims| claims.iter().cloned().collect());
        for claim in claims {
            let renewed =
                shared.get().map_err(Into::into).and_then(|mut c| operations::renew(&mut c, &claim, lease));
            match renewed {
                Ok(true) => {}
                Ok(false) => {
                    self.claims(|claims| claims.remove(&claim));
                }
                Err(error) => log::warn!("the lease of operation {} was not renewed: {error}", claim.id),
            }
        }
    }

    fn claims<T>(&self, work: impl FnOnce(&mut HashSet<Claim>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.held.claims(|claims| claims.remove(self.claim));
    }
}
