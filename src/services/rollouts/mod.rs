//! The schema of all tenant databases: who is where, what would run, and bringing everybody along, canaries first and
//! then wave by wave. Also at the first touch of a database that is behind while nobody has got round to it.

mod first_touch;
mod one;
mod run;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{operations::Failure, platform::Platform, tenants};
use crate::{
    db::{
        Id,
        shared::SharedConn,
        tenant_migrations::{Ran, TenantMigration},
    },
    models::{
        ModelError, ModelResult,
        platform::{
            audit::Audit,
            institutions,
            operations::{self, Kind, NewOperation},
            rollouts::{self, Direction, NewRollout, Rollout, RolloutState},
            schema_ledger,
            tenant_databases::{self, TenantDatabase, VersionCount},
        },
    },
};

pub use first_touch::FirstTouches;
pub(super) use run::MigrateFleet;

/// Institutions that go first where none are named.
pub const CANARIES: usize = 3;
/// Institutions in a wave, where nothing else is said.
pub const WAVE_SIZE: i32 = 100;
/// So many in a hundred may fail before a rollout stops, where nothing else is said.
pub const FAILURE_PERCENT: i32 = 5;
/// So many fail before their share counts.
pub const LEAST_FAILURES: i64 = 3;

/// The steps of a rollout's operation.
const UP_STEPS: [&str; 4] = ["plan", "rehearse", "canaries", "waves"];
const DOWN_STEPS: [&str; 2] = ["plan", "waves"];

/// Names of the crash points of a rollout, for the kill sweep.
pub const CRASH_POINTS: &[&str] = &[
    "operation:claimed",
    "step:plan:begun",
    "rollout:planned",
    "step:plan:acted",
    "step:rehearse:acted",
    "step:canaries:begun",
    "migrate:locked",
    "migrate:performed",
    "migrate:committed",
    "rollout:noting",
    "rollout:noted",
    "step:canaries:acted",
    "step:waves:begun",
    "rollout:ended",
    "step:waves:acted",
    "operation:steps-done",
];

/// What a step does, for a person.
#[must_use]
pub fn step_label(step: &str) -> &'static str {
    match step {
        "plan" => "Write down whose turn is when",
        "rehearse" => "Try it on one database and take it back",
        "canaries" => "Bring the first few along",
        "waves" => "Bring everybody else along, wave by wave",
        _ => "Unknown step",
    }
}

/// Who is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The schema that this binary works with.
    pub version: String,
    /// The versions there are, the oldest first.
    pub versions: Vec<VersionCount>,
    /// What the databases furthest behind have yet to run.
    pub pending: Vec<TenantMigration>,
    /// Databases that are behind.
    pub behind: i64,
    /// Databases of a version that only a newer Provost knows.
    pub newer: i64,
    /// Databases in quarantine.
    pub quarantined: i64,
}

impl Plan {
    /// Whether something of it takes away what going back cannot bring back.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.pending.iter().any(|migration| migration.destructive)
    }
}

/// Looks who is where, and what would run: one query.
///
/// # Errors
/// Any database error.
pub fn plan(connection: &mut SharedConn, platform: &Platform) -> ModelResult<Plan> {
    let version = platform.migrations.version().to_owned();
    let versions = tenant_databases::versions(connection)?;
    let sum = |which: &dyn Fn(&VersionCount) -> bool| -> i64 {
        versions.iter().filter(|count| which(count)).map(|count| count.tenants).sum()
    };
    let oldest = versions.iter().map(|count| &count.version).filter(|known| **known < version).min();
    let pending =
        oldest.map(|oldest| platform.migrations.after(oldest).cloned().collect()).unwrap_or_default();
    Ok(Plan {
        behind: sum(&|count| count.version < version),
        newer: sum(&|count| count.version > version),
        quarantined: versions.iter().map(|count| count.quarantined).sum(),
        pending,
        version,
        versions,
    })
}

/// How a rollout is to go.
#[derive(Debug, Clone)]
pub struct Order {
    /// Domains of the institutions that go first; none means the first few.
    pub canaries: Vec<String>,
    /// Institutions in a wave.
    pub wave_size: i32,
    /// So many in a hundred may fail before it stops.
    pub failure_percent: i32,
    /// Whether whoever asks agrees to migrations that take something away for good.
    pub destructive_agreed: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            canaries: Vec::new(),
            wave_size: WAVE_SIZE,
            failure_percent: FAILURE_PERCENT,
            destructive_agreed: false,
        }
    }
}

/// What the operation of a rollout is given: whom it is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Input {
    /// They go first; of none the first few do.
    canaries: Vec<Id>,
    /// Nobody else than this one.
    only: Option<Id>,
    /// Whom that rollout brought along goes back to where it was.
    undoes: Option<Id>,
}

/// A rollout that was begun, and its operation.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// The rollout.
    pub rollout: Id,
    /// What carries it out. Wake the workers after the commit.
    pub operation: Id,
}

/// Begins to bring every database that is behind up to date.
///
/// # Errors
/// `Refused` when nothing is behind, when a migration is no longer what it was, when a destructive one is to run and
/// nobody has agreed to it, or when a canary is unknown; `Changed` while another rollout is open.
pub fn start(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    order: &Order,
) -> ModelResult<Started> {
    connection.write_tx(|connection| {
        let plan = plan(connection, platform)?;
        if plan.behind == 0 {
            return Err(ModelError::Refused("Every institution's database is up to date.".into()));
        }
        unchanged(connection, platform)?;
        agreed(plan.is_destructive(), order.destructive_agreed)?;
        let input = Input { canaries: canaries(connection, order, &plan.version)?, ..Input::default() };
        let subject = format!("Migrate {} to {}", counted(plan.behind), plan.version);
        begin(connection, audit, order, (Direction::Up, &plan.version), (&subject, &input))
    })
}

fn canaries(connection: &mut SharedConn, order: &Order, version: &str) -> ModelResult<Vec<Id>> {
    let mut find = |domain: &String| {
        let unknown = || ModelError::Refused(format!("No institution has the domain {domain}."));
        let found = institutions::find_by_domain(connection, domain);
        let institution = found.map_err(|error| if error.is_not_found() { unknown() } else { error })?;
        match tenant_databases::find(connection, institution.id)?
            .filter(|database| *database.schema_version < *version)
        {
            Some(_) => Ok(institution.id),
            None => Err(ModelError::Refused(format!("{domain} has no database that is behind."))),
        }
    };
    order.canaries.iter().map(&mut find).collect()
}

/// Refuses while a migration differs from the one that ran before.
fn unchanged(connection: &mut SharedConn, platform: &Platform) -> ModelResult<()> {
    let changed = schema_ledger::changed(connection, platform.migrations.all())?;
    if changed.is_empty() {
        return schema_ledger::remember(connection, platform.migrations.all());
    }
    Err(ModelError::Refused(format!(
        "{} was changed after it had run. Put the original back, and write what is to be different as a new migration.",
        changed.join(", ")
    )))
}

/// Brings one database that is in quarantine, or behind, up to date: within the open rollout where it is part of it.
///
/// # Errors
/// As [`start`].
pub fn try_again(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution_id: Id,
    destructive_agreed: bool,
) -> ModelResult<Started> {
    connection.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        let database = ready(connection, institution_id)?;
        let version = platform.migrations.version();
        let held = *database.schema_version == *version && database.quarantine_reason.is_some();
        if *database.schema_version >= *version && !held {
            return Err(ModelError::Refused(format!("{} is not behind.", institution.name)));
        }
        unchanged(connection, platform)?;
        audit.record(connection, "database.migration_tried_again", &institution.subject(), &json!({}))?;
        if let Some(open) = rollouts::open(connection)?.filter(|open| open.direction == Direction::Up) {
            rollouts::retry(connection, open.id, institution_id)?;
            operations::hurry(connection, open.operation_id)?;
            return Ok(Started { rollout: open.id, operation: open.operation_id });
        }
        let destructive =
            platform.migrations.after(&database.schema_version).any(|migration| migration.destructive);
        agreed(destructive, destructive_agreed)?;
        let order = Order { destructive_agreed, ..Order::default() };
        let input = Input { only: Some(institution_id), ..Input::default() };
        let subject = format!("Migrate {} to {version}", institution.name);
        begin(connection, audit, &order, (Direction::Up, version), (&subject, &input))
    })
}

/// Takes one database back to the schema before: to where the last rollout found it, else one migration. Its pages are
/// closed from then on, until it is tried again or an older Provost serves it.
///
/// # Errors
/// `Refused` when nothing is before; `Changed` while a rollout is open.
pub fn roll_back_one(
    connection: &mut SharedConn,
    platform: &Platform,
    audit: &Audit,
    institution_id: Id,
) -> ModelResult<Started> {
    connection.write_tx(|connection| {
        let institution = institutions::find(connection, institution_id)?;
        let database = ready(connection, institution_id)?;
        let target = one_before(connection, platform, &database)?.ok_or_else(|| {
            ModelError::Refused(format!(
                "{} has the first schema there is; nothing is before it.",
                institution.name
            ))
        })?;
        let input = Input { only: Some(institution_id), ..Input::default() };
        let subject = format!("Take {} back to {target}", institution.name);
        begin(connection, audit, &Order::default(), (Direction::Down, &target), (&subject, &input))
    })
}

/// Where a database goes when it is taken back.
///
/// # Errors
/// Any database error.
pub fn one_before(
    connection: &mut SharedConn,
    platform: &Platform,
    database: &TenantDatabase,
) -> ModelResult<Option<String>> {
    let latest = rollouts::latest_of(connection, database.institution_id)?;
    let from = latest.filter(|done| done.to_version == database.schema_version).map(|done| done.from_version);
    // What is older than the first migration has no schema at all.
    let known =
        |version: &String| platform.migrations.all().iter().any(|migration| migration.name == *version);
    let before = || platform.migrations.before(&database.schema_version).map(ToOwned::to_owned);
    Ok(from.filter(known).or_else(before))
}

/// Takes everybody whom a rollout brought along back to where they were.
///
/// # Errors
/// As [`roll_back_one`].
pub fn roll_back(connection: &mut SharedConn, audit: &Audit, rollout_id: Id) -> ModelResult<Started> {
    connection.write_tx(|connection| {
        let rollout = rollouts::find(connection, rollout_id)?;
        let done = rollouts::done_of(connection, rollout_id)?;
        if rollout.direction == Direction::Down || done.is_empty() {
            return Err(ModelError::Refused("This rollout brought nobody along who could go back.".into()));
        }
        if rollout.is_open() {
            let held = [RolloutState::Paused, RolloutState::Stopped];
            rollouts::turn(
                connection,
                rollout_id,
                &held,
                RolloutState::Cancelled,
                Some("It was rolled back."),
            )?;
            rollouts::skip_rest(connection, rollout_id)?;
            operations::hurry(connection, rollout.operation_id)?;
        }
        let target = done.iter().map(|tenant| &tenant.from_version).min().cloned().unwrap_or_default();
        let input = Input { undoes: Some(rollout_id), ..Input::default() };
        let count = counted(i64::try_from(done.len()).unwrap_or(i64::MAX));
        let subject = format!("Take {count} back from {}", rollout.target_version);
        begin(connection, audit, &Order::default(), (Direction::Down, &target), (&subject, &input))
    })
}

fn agreed(destructive: bool, agreed: bool) -> ModelResult<()> {
    if agreed || !destructive {
        return Ok(());
    }
    Err(ModelError::Refused(
        "A migration takes something away for good. Every database is backed up right before; say that you agree."
            .into(),
    ))
}

fn ready(connection: &mut SharedConn, institution_id: Id) -> ModelResult<TenantDatabase> {
    let database = tenant_databases::find(connection, institution_id)?;
    let ready = database.filter(|database| database.status == tenant_databases::DatabaseStatus::Ready);
    ready.ok_or_else(|| ModelError::Refused("The institution has no database that is in use.".into()))
}

fn begin(
    connection: &mut SharedConn,
    audit: &Audit,
    order: &Order,
    (direction, target_version): (Direction, &str),
    (subject, input): (&str, &Input),
) -> ModelResult<Started> {
    let steps: &[&str] = if direction == Direction::Up { &UP_STEPS } else { &DOWN_STEPS };
    let new = NewOperation {
        kind: Kind::MigrateFleet,
        institution_id: None,
        subject,
        input: &json!(input),
        steps,
        total: 0,
    };
    let operation = operations::enqueue(connection, &new, &audit.actor)?;
    let new = NewRollout {
        operation_id: operation,
        direction,
        target_version,
        wave_size: order.wave_size.max(1),
        failure_percent: order.failure_percent.clamp(1, 100),
        destructive_agreed: order.destructive_agreed,
    };
    let id = rollouts::create(connection, audit, &new)?;
    let rollout = rollouts::find(connection, id)?;
    let detail =
        json!({ "subject": subject, "direction": direction, "destructive_agreed": order.destructive_agreed });
    audit.record(connection, "rollout.started", &rollout.subject(), &detail)?;
    Ok(Started { rollout: id, operation })
}

/// Holds a rollout: what is being migrated ends, nothing else begins.
///
/// # Errors
/// `Changed` when it is not running.
pub fn pause(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Rollout> {
    let reason = format!("{} paused it.", audit.actor.name);
    control(connection, audit, "rollout.paused", |connection| {
        rollouts::turn(connection, id, &[RolloutState::Running], RolloutState::Paused, Some(&reason))
    })
}

/// Lets a rollout that is paused, or has stopped, go on. Wake the workers after.
///
/// # Errors
/// `Changed` when it is not held.
pub fn resume(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Rollout> {
    control(connection, audit, "rollout.resumed", |connection| rollouts::resume(connection, id))
}

/// Ends a rollout: who has been brought along stays so, everybody else is left as they are. Wake the workers after.
///
/// # Errors
/// `Changed` when it is over.
pub fn cancel(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Rollout> {
    let reason = format!("{} cancelled it.", audit.actor.name);
    control(connection, audit, "rollout.cancelled", |connection| {
        let rollout =
            rollouts::turn(connection, id, &rollouts::OPEN, RolloutState::Cancelled, Some(&reason))?;
        rollouts::skip_rest(connection, id)?;
        operations::hurry(connection, rollout.operation_id)?;
        Ok(rollout)
    })
}

fn control(
    connection: &mut SharedConn,
    audit: &Audit,
    action: &str,
    act: impl FnOnce(&mut SharedConn) -> ModelResult<Rollout>,
) -> ModelResult<Rollout> {
    connection.write_tx(|connection| {
        let rollout = act(connection)?;
        audit.record(connection, action, &rollout.subject(), &json!({}))?;
        Ok(rollout)
    })
}

/// What a rehearsal on one database showed.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Whose database it was.
    pub domain: String,
    /// What ran, and was taken back.
    pub ran: Vec<Ran>,
}

/// Runs what is pending on one database, in a transaction that is rolled back. Blocks.
///
/// # Errors
/// Why it would fail; nothing was changed.
pub fn rehearse(
    platform: &Platform,
    database: &TenantDatabase,
    domain: String,
) -> Result<Rehearsal, Failure> {
    let mut connection = platform.engine.open_as_owner(&tenants::place(database))?;
    connection.wait_for_others(platform.settings.limits.migration_lock_wait)?;
    match platform.migrations.rehearse(&mut connection) {
        Ok(ran) => Ok(Rehearsal { domain, ran }),
        Err(failure) => {
            let migration = failure.migration.as_deref().unwrap_or("The migrations");
            let words =
                format!("{migration} would fail at {domain}: {} Nothing was changed.", failure.message);
            Err(if failure.passing { Failure::Transient(words) } else { Failure::Permanent(words) })
        }
    }
}

/// As [`rehearse`], on the first database that is behind, or this one's. None when nothing is behind.
///
/// # Errors
/// As there.
pub fn rehearse_first(platform: &Platform, domain: Option<&str>) -> Result<Option<Rehearsal>, Failure> {
    let mut connection = platform.shared.get()?;
    let version = platform.migrations.version();
    let found = match domain {
        Some(domain) => {
            let institution = institutions::find_by_domain(&mut connection, domain)?;
            tenant_databases::find(&mut connection, institution.id)?
                .filter(|row| *row.schema_version < *version)
        }
        None => tenant_databases::outdated(&mut connection, version)?.into_iter().next(),
    };
    let Some(database) = found else { return Ok(None) };
    let domain = institutions::find(&mut connection, database.institution_id)?.domain;
    drop(connection);
    rehearse(platform, &database, domain).map(Some)
}

fn counted(n: i64) -> String {
    format!("{n} institution{}", if n == 1 { "" } else { "s" })
}
