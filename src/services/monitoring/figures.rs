//! What this process counted goes into the shared database, about once a minute.

use std::{sync::Arc, time::Duration};

use crate::{
    db::{
        Id,
        meter::{Figures, Meter},
        now,
    },
    models::{ModelResult, platform::usage},
    services::platform::Platform,
};

/// How often.
pub const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// Tenants that one transaction adds: nobody waits long for it.
const AT_ONCE: usize = 100;

/// Adds what was counted since the last time. What cannot be added is counted again.
///
/// # Errors
/// Any database error.
pub fn flush(platform: &Platform) -> ModelResult<()> {
    let meters = &platform.meters;
    let mut all = meters.platform().take();
    let mut taken: Vec<(Id, Arc<Meter>, Figures)> = Vec::new();
    for (id, meter) in meters.tenants() {
        let figures = meter.take();
        if !figures.is_empty() {
            all.add(&Figures {
                users: Default::default(),
                statements: Default::default(),
                ..figures.clone()
            });
            taken.push((id, meter, figures));
        }
    }
    if all.is_empty() {
        return Ok(());
    }
    taken.push((Id::NIL, Arc::clone(meters.platform()), all));
    let routes = meters.routes();
    let mut left = taken.into_iter().peekable();
    while left.peek().is_some() {
        let some: Vec<_> = left.by_ref().take(AT_ONCE).collect();
        let counted: Vec<_> = some.iter().map(|(id, _, figures)| (*id, figures.clone())).collect();
        let added = platform
            .shared
            .get()
            .map_err(Into::into)
            .and_then(|mut c| usage::add(&mut c, now(), &counted, &routes));
        if let Err(error) = added {
            for (_, meter, figures) in some.iter().chain(&left.collect::<Vec<_>>()) {
                // The platform's own meter must not count the tenants' requests a second time.
                if !Arc::ptr_eq(meter, meters.platform()) {
                    meter.put_back(figures);
                }
            }
            return Err(error);
        }
    }
    Ok(())
}
