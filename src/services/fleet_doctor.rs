//! The doctor's round over the whole fleet: every database opened with its own institution's rights, and looked into.
//! Changes nothing but the report that it keeps.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use chrono::{NaiveDateTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::{
    backups::retention::{self, Overdue},
    operations::{Failure, Work},
    platform::Platform,
    tenants,
};
use crate::{
    db::{Id, engine::Examined, now},
    models::platform::{
        audit, fleet_reports,
        institutions::Status,
        tenant_databases::{self, DatabaseRow, DatabaseStatus},
    },
};

/// Databases looked into at once.
const AT_ONCE: usize = 8;
/// Institutions named with each finding.
const MOST_NAMED: usize = 200;
/// Clocks may differ by so much.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(60);

/// What may be wrong with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complaint {
    /// It cannot be opened.
    Unreachable,
    /// The engine finds damage.
    Damaged,
    /// Its role may enter other databases.
    OpenDoors,
    /// Its schema is another version's.
    OtherVersion,
    /// Its schema is not that of its version.
    Drift,
    /// Rows refer to rows that are not there.
    BrokenReferences,
    /// Its backups are not as they should be.
    Backup,
    /// The clock was set back.
    Clock,
}

impl Complaint {
    /// What is wrong, what to do, and whether something does not work because of it.
    const fn words(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Unreachable => (
                "Databases cannot be opened.",
                "If the server runs and the file is there, bring the institution back with: provost restore DOMAIN \
                 --without-saving",
                true,
            ),
            Self::Damaged => (
                "Databases are damaged.",
                "Bring each back from its last verified backup with: provost restore DOMAIN --without-saving",
                true,
            ),
            Self::OpenDoors => (
                "Institutions' roles may enter other databases.",
                "As the owner of the database that is named run: REVOKE ALL ON DATABASE \u{2026} FROM PUBLIC",
                true,
            ),
            Self::OtherVersion => {
                ("Databases have the schema of another version.", "Run: provost migrate tenants", true)
            }
            Self::Drift => (
                "Databases have not the schema that their version has: somebody changed it by hand.",
                "Take that change back, or restore the institution with: provost restore DOMAIN",
                true,
            ),
            Self::BrokenReferences => (
                "Rows refer to rows that are not there.",
                "Look at them in a copy (provost restore DOMAIN --beside), then restore or mend them.",
                true,
            ),
            Self::Backup => (
                "Institutions' backups are not as they should be.",
                "Run: provost backup run DOMAIN, then provost backup verify DOMAIN",
                false,
            ),
            Self::Clock => (
                "The clock of this machine is behind what was recorded before.",
                "Set the clock right, and let it be kept so by NTP.",
                true,
            ),
        }
    }
}

/// A finding, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetFinding {
    /// What kind.
    pub complaint: Complaint,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// Whether something does not work because of it, now.
    pub urgent: bool,
    /// How many institutions.
    pub count: usize,
    /// Which, up to a few hundred, each with what was seen.
    pub tenants: Vec<Named>,
}

/// An institution, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its domain; empty where it is about no institution.
    pub domain: String,
    /// A few words.
    pub detail: String,
}

/// What a round has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Databases that were looked into.
    pub tenants: usize,
    /// How long it took.
    pub milliseconds: u64,
    /// What is wrong, the gravest first.
    pub findings: Vec<FleetFinding>,
}

impl Report {
    /// How many institutions something is wrong with, counted once for each finding.
    #[must_use]
    pub fn complaints(&self) -> usize {
        self.findings.iter().map(|finding| finding.count).sum()
    }
}

type Told = Vec<(Complaint, Named)>;
/// The schemas of databases at the present version, by domain, of each server.
type Shapes = HashMap<Id, HashMap<String, Vec<String>>>;

/// Looks into every database of an institution in use. `progress` is asked now and then whether to go on.
///
/// # Errors
/// When the shared database fails, or `progress` says no.
pub fn examine(
    platform: &Platform,
    progress: &dyn Fn(usize, usize) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let began = Instant::now();
    let mut rows = tenant_databases::all(&mut *platform.shared.get()?)?;
    rows.retain(|row| {
        row.database.status == DatabaseStatus::Ready
            && matches!(row.institution_status, Status::Active | Status::Suspended)
    });
    let (mut told, shapes) = round(platform, &rows, progress)?;
    for (server, shapes) in &shapes {
        told.extend(drift(platform, *server, shapes)?);
    }
    told.extend(backups(platform)?);
    told.extend(clock(platform)?);
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Report { tenants: rows.len(), milliseconds, findings: summed(told) })
}

/// Opens all, a few at once.
fn round(
    platform: &Platform,
    rows: &[DatabaseRow],
    progress: &dyn Fn(usize, usize) -> Result<(), Failure>,
) -> Result<(Told, Shapes), Failure> {
    let queue = Mutex::new(rows.iter().collect::<VecDeque<_>>());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (tell, heard) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(rows.len()) {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while let Some(row) = next() {
                    if tell.send((row, look(platform, row))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        let (mut told, mut shapes) = (Vec::new(), Shapes::new());
        for (done, (row, outcome)) in heard.iter().enumerate() {
            progress(done + 1, rows.len())?;
            match outcome {
                Ok(found) => {
                    told.extend(complaints(platform, row, &found));
                    if *row.database.schema_version == *platform.migrations.version() {
                        let of_server = shapes.entry(row.database.server_id).or_default();
                        of_server.insert(row.domain.clone(), found.shape);
                    }
                }
                Err(failure) => told.push((Complaint::Unreachable, named(row, failure.to_string()))),
            }
        }
        Ok((told, shapes))
    })
}

fn look(platform: &Platform, row: &DatabaseRow) -> Result<Examined, Failure> {
    let place = tenants::place(&row.database);
    let password = tenants::password(&platform.keys, &mut *platform.shared.get()?, &row.database)?;
    let opener = platform.engine.opener(&place, password.as_ref().map(|text| text.as_str()))?;
    let mut connection = opener().map_err(|error| Failure::Transient(error.to_string()))?;
    Ok(platform.engine.examine(&place, &mut connection)?)
}

fn named(row: &DatabaseRow, detail: impl Into<String>) -> Named {
    Named { domain: row.domain.clone(), detail: detail.into() }
}

fn complaints(platform: &Platform, row: &DatabaseRow, found: &Examined) -> Told {
    let mut told = Vec::new();
    if let Some(damage) = &found.damage {
        told.push((Complaint::Damaged, named(row, damage)));
    }
    if found.broken_references > 0 {
        let words = format!("{} rows", found.broken_references);
        told.push((Complaint::BrokenReferences, named(row, words)));
    }
    if !found.open_doors.is_empty() {
        told.push((Complaint::OpenDoors, named(row, found.open_doors.join(", "))));
    }
    if *row.database.schema_version != *platform.migrations.version() {
        told.push((Complaint::OtherVersion, named(row, &row.database.schema_version)));
    }
    told
}

/// Schemas that are not what the engine expects, or, where it cannot say, what most others are.
fn drift(platform: &Platform, server: Id, shapes: &HashMap<String, Vec<String>>) -> Result<Told, Failure> {
    let expected = match platform.engine.expected_shape(server)? {
        Some(expected) => expected,
        None => most_common(shapes),
    };
    let wanted: HashSet<&String> = expected.iter().collect();
    let mut told = Vec::new();
    for (domain, shape) in shapes {
        let there: HashSet<&String> = shape.iter().collect();
        let missing = expected.iter().find(|line| !there.contains(line)).map(|line| ("missing", line));
        let extra = shape.iter().find(|line| !wanted.contains(line)).map(|line| ("not expected", line));
        if let Some((what, line)) = missing.or(extra) {
            let line: String =
                line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
            told.push((
                Complaint::Drift,
                Named { domain: domain.clone(), detail: format!("{what}: {line}") },
            ));
        }
    }
    told.sort_by(|(_, a), (_, b)| a.domain.cmp(&b.domain));
    Ok(told)
}

fn most_common(shapes: &HashMap<String, Vec<String>>) -> Vec<String> {
    let mut counts: HashMap<&Vec<String>, usize> = HashMap::new();
    for shape in shapes.values() {
        *counts.entry(shape).or_default() += 1;
    }
    // Of equally common ones the one with more in it: what is missing elsewhere then shows.
    let most = counts.into_iter().max_by_key(|(shape, count)| (*count, shape.len()));
    most.map(|(shape, _)| shape.clone()).unwrap_or_default()
}

fn backups(platform: &Platform) -> Result<Told, Failure> {
    let told = retention::overdue(platform)?.into_iter().map(|(one, why)| {
        let words = match why {
            Overdue::NeverVerified => "never verified",
            Overdue::ChangedSince => "not backed up for two days, and used since",
            Overdue::NotVerifiedLately => "not verified for more than a week",
        };
        (Complaint::Backup, Named { domain: one.domain, detail: words.into() })
    });
    Ok(told.collect())
}

fn clock(platform: &Platform) -> Result<Told, Failure> {
    let newest: Option<NaiveDateTime> = audit::newest_at(&mut *platform.shared.get()?)?;
    let behind = newest.filter(|at| *at > now() + CLOCK_SLACK);
    let told = behind.map(|at| {
        let detail = format!("The newest entry of the audit log is of {at} UTC.");
        (Complaint::Clock, Named { domain: String::new(), detail })
    });
    Ok(told.into_iter().collect())
}

fn summed(told: Told) -> Vec<FleetFinding> {
    let mut by: BTreeMap<Complaint, Vec<Named>> = BTreeMap::new();
    for (complaint, named) in told {
        by.entry(complaint).or_default().push(named);
    }
    let finding = |(complaint, mut tenants): (Complaint, Vec<Named>)| {
        let (problem, remedy, urgent) = complaint.words();
        let count = tenants.len();
        tenants.sort_by(|a, b| a.domain.cmp(&b.domain));
        tenants.truncate(MOST_NAMED);
        FleetFinding { complaint, problem: problem.into(), remedy: remedy.into(), urgent, count, tenants }
    };
    by.into_iter().map(finding).collect()
}

/// The step of the operation: a round, whose report is kept.
pub(super) fn perform(work: &Work<'_>) -> Result<Option<String>, Failure> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let report = examine(work.platform, &|done, total| work.progress(number(done), number(total)))?;
    keep(work.platform, &report)?;
    Ok(Some(format!("{} looked into, {} findings", report.tenants, report.complaints())))
}

/// Keeps a report for the page.
///
/// # Errors
/// Any database error.
pub fn keep(platform: &Platform, report: &Report) -> Result<(), Failure> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let text = serde_json::to_string(report)
        .map_err(|error| Failure::Permanent(format!("The report cannot be written down: {error}.")))?;
    let (tenants, findings) = (number(report.tenants), number(report.complaints()));
    Ok(fleet_reports::keep(&mut *platform.shared.get()?, tenants, findings, text)?)
}

/// The newest report that was kept, and when it was taken; one that this version cannot read is none.
///
/// # Errors
/// Any database error.
pub fn newest(
    connection: &mut crate::db::shared::SharedConn,
) -> crate::models::ModelResult<Option<(NaiveDateTime, Report)>> {
    let found = fleet_reports::newest(connection)?;
    Ok(found.and_then(|kept| Some((kept.taken_at, serde_json::from_str(&kept.report).ok()?))))
}
