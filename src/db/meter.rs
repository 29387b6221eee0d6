//! What people ask of each institution in this process: counted as it happens, taken away once a minute.
//!
//! A request costs one short lock of its own tenant's figures and a few atomic additions; nothing is written here.

mod histogram;
mod statements;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use histogram::{BOUNDS, BUCKETS, Histogram};
pub use statements::{SlowQuery, Watch, without_values};

use super::Id;

/// Routes told apart; more there are not, and what is beyond them is counted without a name.
const MOST_ROUTES: usize = 512;
/// Slow queries told apart of one tenant between two visits.
const MOST_STATEMENTS: usize = 50;
/// People told apart of one tenant between two visits.
const MOST_USERS: usize = 10_000;
/// A query that takes this long is slow, unless another time was set.
pub const SLOW_AFTER: Duration = Duration::from_millis(200);

/// What was counted of one tenant since the last visit.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names of what is counted")]
pub struct Figures {
    pub requests: u64,
    /// Answers of 500 and above.
    pub errors: u64,
    pub bytes: u64,
    /// Time of all requests together.
    pub micros: u64,
    pub histogram: Histogram,
    /// Times somebody had to wait for a connection.
    pub waits: u64,
    pub wait_micros: u64,
    /// Requests by the number of their route.
    pub routes: HashMap<u16, u64>,
    pub users: HashSet<Id>,
    /// By fingerprint.
    pub statements: HashMap<i64, SlowQuery>,
}

impl Figures {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests == 0 && self.waits == 0 && self.statements.is_empty()
    }

    /// Adds what was counted elsewhere or earlier.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.bytes += other.bytes;
        self.micros += other.micros;
        self.histogram.add(&other.histogram);
        self.waits += other.waits;
        self.wait_micros += other.wait_micros;
        for (route, count) in &other.routes {
            *self.routes.entry(*route).or_default() += count;
        }
        self.users.extend(&other.users);
        for (fingerprint, query) in &other.statements {
            self.note(*fingerprint, query.clone());
        }
    }

    /// How often a query was slow.
    #[must_use]
    pub fn slow_queries(&self) -> u64 {
        self.statements.values().map(|query| query.runs).sum()
    }

    fn note(&mut self, fingerprint: i64, query: SlowQuery) {
        if self.statements.len() >= MOST_STATEMENTS && !self.statements.contains_key(&fingerprint) {
            return;
        }
        match self.statements.entry(fingerprint) {
            std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().add(&query),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(query);
            }
        }
    }
}

/// The figures of one tenant.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Figures>);

impl Meter {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody waited for a connection.
    pub fn waited(&self, time: Duration) {
        let mut figures = self.figures();
        figures.waits += 1;
        figures.wait_micros += micros(time);
    }

    fn slow(&self, fingerprint: i64, query: SlowQuery) {
        self.figures().note(fingerprint, query);
    }

    /// Takes what was counted; counting begins anew.
    pub fn take(&self) -> Figures {
        std::mem::take(&mut *self.figures())
    }

    /// Puts back what could not be kept.
    pub fn put_back(&self, figures: &Figures) {
        self.figures().add(figures);
    }
}

/// An answered request.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names of what is counted")]
pub struct Request<'a> {
    /// The route's pattern; none for an address that nothing answers.
    pub route: Option<&'a str>,
    pub status: u16,
    pub bytes: u64,
    pub time: Duration,
    pub user: Option<Id>,
}

/// Everything that this process has answered since its start.
#[derive(Debug)]
pub struct Totals {
    /// By first digit of the status.
    classes: [AtomicU64; 5],
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    routes: Vec<AtomicU64>,
}

/// What [`Totals`] hold at one moment.
#[derive(Debug, Clone)]
pub struct TotalsNow {
    /// Requests by first digit of their status, from 1 to 5.
    pub classes: [u64; 5],
    /// Time of all requests together, in microseconds.
    pub micros: u64,
    /// Requests by time.
    pub histogram: Histogram,
    /// Requests by route.
    pub routes: Vec<(String, u64)>,
}

/// The figures of all tenants and of the platform's own pages.
#[derive(Debug)]
pub struct Meters {
    on: AtomicBool,
    slow_after: Duration,
    tenants: RwLock<HashMap<Id, Arc<Meter>>>,
    /// Requests that are no tenant's, and the waits for the shared database.
    platform: Arc<Meter>,
    routes: RwLock<HashMap<String, u16>>,
    totals: Totals,
}

impl Default for Meters {
    fn default() -> Self {
        Self::new(true, SLOW_AFTER)
    }
}

impl Meters {
    /// Counts nothing yet, and nothing ever unless `on`.
    #[must_use]
    pub fn new(on: bool, slow_after: Duration) -> Self {
        Self {
            on: AtomicBool::new(on),
            slow_after,
            tenants: RwLock::default(),
            platform: Arc::default(),
            routes: RwLock::default(),
            totals: Totals {
                classes: Default::default(),
                micros: AtomicU64::new(0),
                buckets: std::array::from_fn(|_| AtomicU64::new(0)),
                routes: std::iter::repeat_with(|| AtomicU64::new(0)).take(MOST_ROUTES).collect(),
            },
        }
    }

    /// Whether anything is counted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The meter of a tenant.
    #[must_use]
    pub fn tenant(&self, institution_id: Id) -> Arc<Meter> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&institution_id).cloned();
        known.unwrap_or_else(|| {
            let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tenants.entry(institution_id).or_default())
        })
    }

    /// The meter of what is no tenant's.
    #[must_use]
    pub fn platform(&self) -> &Arc<Meter> {
        &self.platform
    }

    /// What watches the queries of one connection of a tenant; none while nothing is counted.
    #[must_use]
    pub fn watch(&self, meter: &Arc<Meter>) -> Option<Watch> {
        self.is_on().then(|| Watch::new(Arc::clone(meter), self.slow_after))
    }

    /// Counts a request of a tenant, or of the platform's own pages.
    pub fn request(&self, tenant: Option<&Meter>, request: &Request<'_>) {
        if !self.is_on() {
            return;
        }
        let spent = micros(request.time);
        let bucket = Histogram::bucket_of(spent);
        let class = usize::from(request.status / 100).clamp(1, 5) - 1;
        let route = request.route.and_then(|route| self.number_of(route));
        self.totals.classes[class].fetch_add(1, Ordering::Relaxed);
        self.totals.micros.fetch_add(spent, Ordering::Relaxed);
        self.totals.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        if let Some(count) = route.and_then(|number| self.totals.routes.get(usize::from(number))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut figures = tenant.unwrap_or(&self.platform).figures();
        figures.requests += 1;
        figures.errors += u64::from(class == 4);
        figures.bytes += request.bytes;
        figures.micros += spent;
        figures.histogram.count(bucket);
        if let Some(number) = route {
            *figures.routes.entry(number).or_default() += 1;
        }
        if let Some(user) = request.user
            && figures.users.len() < MOST_USERS
        {
            figures.users.insert(user);
        }
    }

    /// The number of a route; routes are entered as they are first asked for.
    fn number_of(&self, route: &str) -> Option<u16> {
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route).copied();
        known.or_else(|| {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            let next = routes.len();
            if next >= MOST_ROUTES {
                return None;
            }
            let number = u16::try_from(next).ok()?;
            Some(*routes.entry(route.to_owned()).or_insert(number))
        })
    }

    /// Every route that was asked for, by its number.
    #[must_use]
    pub fn routes(&self) -> HashMap<u16, String> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.iter().map(|(route, number)| (*number, route.clone())).collect()
    }

    /// Every tenant that was asked for since the start.
    #[must_use]
    pub fn tenants(&self) -> Vec<(Id, Arc<Meter>)> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(id, meter)| (*id, Arc::clone(meter))).collect()
    }

    /// Everything since the start.
    #[must_use]
    pub fn totals(&self) -> TotalsNow {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut routes: Vec<_> = self
            .routes()
            .into_iter()
            .map(|(number, route)| (route, self.totals.routes.get(usize::from(number)).map_or(0, read)))
            .collect();
        routes.sort();
        TotalsNow {
            classes: std::array::from_fn(|class| read(&self.totals.classes[class])),
            micros: read(&self.totals.micros),
            histogram: Histogram::of(std::array::from_fn(|bucket| read(&self.totals.buckets[bucket]))),
            routes,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_once_and_taken_once() {
        let meters = Meters::default();
        let (id, user) = (Id::new(), Id::new());
        let meter = meters.tenant(id);
        let request = Request {
            route: Some("/i/{domain}"),
            status: 503,
            bytes: 10,
            time: Duration::from_millis(7),
            user: Some(user),
        };
        meters.request(Some(&meter), &request);
        meters.request(None, &Request { status: 200, ..request });
        let mut taken = meters.tenant(id).take();
        assert_eq!((taken.requests, taken.errors, taken.bytes, taken.users.len()), (1, 1, 10, 1));
        assert!(meter.take().is_empty());
        taken.add(&taken.clone());
        meter.put_back(&taken);
        assert_eq!(meter.take().requests, 2);
        let totals = meters.totals();
        assert_eq!((totals.classes, totals.routes), ([0, 1, 0, 0, 1], vec![("/i/{domain}".to_owned(), 2)]));
        let off = Meters::new(false, SLOW_AFTER);
        off.request(None, &request);
        assert!(off.platform().take().is_empty() && off.watch(&meter).is_none());
    }
}
