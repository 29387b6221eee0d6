//! Logs that have grown old: their entries go into a file first, and only then out of the database.
//!
//! A file is lines of JSON, compressed and sealed chunk by chunk, and lies with the backups. It is written aside, synced and
//! named; then its row; then the entries go. Killed at any point, an entry is in the log, or in a durable archive, or in
//! both, and the next run goes on. Of the audit log, the row goes on with the chain.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{Datelike as _, NaiveDateTime, TimeDelta};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::Serialize;
use serde_json::json;

use super::{
    audit_anchor,
    backups::{
        cipher::{Binding, Digested, Opener, Sealer},
        storage::{self, explain},
    },
    keys::KeyError,
    operations::Failure,
    platform::Platform,
    secrets::Purpose,
};
use crate::{
    db::{Id, now, shared::SharedConn, tenant::TenantConn},
    models::{
        Actor, ModelResult,
        institution::activity,
        platform::{
            audit::{self, Audit, AuditEntry, Break, Subject, Verified, Walk},
            institutions::{self, Institution},
            log_archives::{self, LogArchive},
            platform_settings::{self, Keeping},
        },
    },
};

/// Entries that are read, and that are removed, at once.
const BATCH: i64 = 1_000;
/// Entries of one file.
const MOST: i64 = 200_000;
/// An archive a month is enough: fewer days than this are not worth a file.
const AT_LEAST: TimeDelta = TimeDelta::days(30);
/// Institutions take turns by day, within four weeks.
const TURNS: u32 = 28;
/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The scheduled job, daily: what is older than the policy says, where it is a month's worth.
pub(super) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    let words = |failure: Failure| failure.to_string();
    let keeping = {
        let mut connection = platform.shared.get().map_err(|error| error.to_string())?;
        platform_settings::keeping(&mut connection).map_err(|error| error.to_string())?
    };
    let audit = platform.audit(Actor::system());
    archive_audit(platform, &audit, &keeping, AT_LEAST).map_err(words)?;
    archive_activities(platform, &audit, &keeping).map_err(words)
}

/// Archives what the policy lets go of the audit log, where at least so much time of it is there. Says what was made.
///
/// # Errors
/// A log that is not as it was written, the storage, the database. What is archived until then stays so.
pub fn archive_audit(
    platform: &Platform,
    audit: &Audit,
    keeping: &Keeping,
    at_least: TimeDelta,
) -> Result<Vec<LogArchive>, Failure> {
    // Against what was seen outside the database, before anything leaves it.
    audit_anchor::note(platform).map_err(|error| Failure::Transient(error.to_string()))?;
    let moment = now() - TimeDelta::days(keeping.audit_days);
    // What an interrupted run has left.
    let archived = log_archives::last_of_audit(&mut *platform.shared.get()?)?;
    let mut begin = archived.as_ref().map_or_else(Walk::from_start, Walk::after);
    remove(platform, begin.expected() - 1)?;
    let (last, oldest) = {
        let connection = &mut *platform.shared.get()?;
        (audit::last_before(connection, moment)?.unwrap_or_default(), audit::oldest_at(connection)?)
    };
    let mut made = Vec::new();
    if oldest.is_none_or(|at| at >= moment - at_least) {
        return Ok(made);
    }
    while begin.expected() <= last {
        let until = last.min(begin.expected() + MOST - 1);
        let archive = one_of_audit(platform, audit, begin, until)?;
        begin = Walk::after(&archive);
        made.push(archive);
    }
    Ok(made)
}

fn one_of_audit(platform: &Platform, audit: &Audit, begin: Walk, last: i64) -> Result<LogArchive, Failure> {
    let key = platform.keys.audit_key();
    let first = begin.expected();
    let before = begin.head().to_vec();
    let mut walk = begin;
    let (mut first_at, mut last_at) = (None, None);
    let id = Id::new();
    let file = write(platform, None, id, |out| {
        while walk.expected() <= last {
            let connection = &mut *platform.shared.get()?;
            let most = BATCH.min(last - walk.expected() + 1);
            let batch = audit::from_sequence(connection, walk.expected(), most)?;
            if batch.is_empty() {
                return Err(broken(&Break {
                    sequence: walk.expected(),
                    reason: "Its end is missing.".into(),
                }));
            }
            for entry in &batch {
                walk.step(entry, &key).map_err(|found| broken(&found))?;
                out(entry)?;
            }
            first_at = first_at.or(batch.first().map(|entry| entry.at));
            last_at = batch.last().map(|entry| entry.at);
        }
        Ok(())
    })?;
    let last_at = last_at.unwrap_or_else(now);
    let row = LogArchive {
        id,
        institution_id: None,
        first_sequence: Some(first),
        last_sequence: Some(last),
        before_hash: Some(before),
        head_hash: Some(walk.head().to_vec()),
        first_at: first_at.unwrap_or(last_at),
        last_at,
        until: last_at,
        entries: last - first + 1,
        bytes: file.bytes,
        digest: file.digest,
        created_at: now(),
        seal: Vec::new(),
    }
    .sealed(&key);
    platform.shared.get()?.write_tx(|c| {
        log_archives::enter_audit(c, &row)?;
        note(c, audit, "audit_log.archived", &row, "Audit log")
    })?;
    crate::crash_point!("archive:entered");
    remove(platform, last)?;
    Ok(row)
}

fn note(c: &mut SharedConn, audit: &Audit, action: &str, row: &LogArchive, label: &str) -> ModelResult<()> {
    let subject =
        Subject { kind: "log archive", id: Some(row.id), label, institution_id: row.institution_id };
    let detail = json!({ "entries": row.entries, "first": row.first_sequence, "last": row.last_sequence });
    audit.record(c, action, &subject, &detail)
}

/// Removes entries that are archived, a few at a time, so that nobody waits for long.
fn remove(platform: &Platform, last: i64) -> Result<(), Failure> {
    while audit::remove_archived(&mut *platform.shared.get()?, last, BATCH)? > 0 {
        crate::crash_point!("archive:removing");
    }
    Ok(())
}

fn broken(found: &Break) -> Failure {
    Failure::Permanent(format!(
        "The audit log is not as it was written, so nothing of it is archived. {} Run: provost audit verify",
        found.reason
    ))
}

/// Archives the activity logs of those whose turn it is today.
fn archive_activities(platform: &Platform, audit: &Audit, keeping: &Keeping) -> Result<(), Failure> {
    let moment = now() - TimeDelta::days(keeping.activity_days);
    let old = institutions::with_database_since(&mut *platform.shared.get()?, moment - AT_LEAST)?;
    let (today, began) = (now().date().ordinal() % TURNS, Instant::now());
    let turn = |id: Id| id.as_bytes().iter().fold(0, |sum, byte| sum + u32::from(*byte)) % TURNS;
    for institution in old.iter().filter(|one| turn(one.id) == today) {
        if began.elapsed() >= LONGEST {
            break;
        }
        if let Err(failure) = archive_activity(platform, audit, institution, moment, AT_LEAST) {
            log::warn!("the activity log of {} was not archived: {failure}", institution.domain);
        }
    }
    Ok(())
}

/// Archives what an institution's own log has from before a moment, where at least so much time of it is there.
///
/// # Errors
/// The storage, either database.
pub fn archive_activity(
    platform: &Platform,
    audit: &Audit,
    institution: &Institution,
    moment: NaiveDateTime,
    at_least: TimeDelta,
) -> Result<Option<LogArchive>, Failure> {
    let id = institution.id;
    let connection = &mut *platform.shared.get()?;
    let db = platform.tenants.open_in_any_state(connection, id)?;
    if let Some(until) = log_archives::kept_since(connection, id)? {
        // What an interrupted run has left.
        forget(&mut *db.get()?, until)?;
    }
    let oldest = activity::oldest_at(&mut *db.get()?)?;
    if oldest.is_none_or(|at| at >= moment - at_least) {
        return Ok(None);
    }
    let (archive, mut entries, mut last) = (Id::new(), 0, None);
    let (mut first_at, mut last_at) = (moment, moment);
    let file = write(platform, Some(id), archive, |out| {
        let tenant = &mut *db.get()?;
        loop {
            let batch = activity::before(tenant, moment, last, BATCH)?;
            for entry in &batch {
                out(entry)?;
                (first_at, last_at) = (first_at.min(entry.at), entry.at);
                last = Some(entry.id);
                entries += 1;
            }
            if batch.is_empty() {
                return Ok(());
            }
        }
    })?;
    let row = LogArchive {
        id: archive,
        institution_id: Some(id),
        first_sequence: None,
        last_sequence: None,
        before_hash: None,
        head_hash: None,
        first_at,
        last_at,
        until: moment,
        entries,
        bytes: file.bytes,
        digest: file.digest,
        created_at: now(),
        seal: Vec::new(),
    }
    .sealed(&platform.keys.audit_key());
    connection.write_tx(|c| {
        log_archives::enter(c, &row)?;
        note(c, audit, "activity_log.archived", &row, &institution.name)
    })?;
    crate::crash_point!("archive:entered");
    forget(&mut *db.get()?, moment)?;
    Ok(Some(row))
}

fn forget(connection: &mut TenantConn, until: NaiveDateTime) -> Result<(), Failure> {
    while activity::remove_before(connection, until, BATCH)? > 0 {
        crate::crash_point!("archive:removing");
    }
    Ok(())
}

/// A file in its place.
struct Kept {
    digest: Vec<u8>,
    bytes: i64,
}

fn name(institution_id: Option<Id>, id: Id) -> String {
    let owner = institution_id.map_or_else(|| "audit".to_owned(), |id| id.to_string());
    format!("{owner}/{id}.archive")
}

fn binding(institution_id: Option<Id>, id: Id) -> Binding {
    Binding { institution_id, backup_id: id }
}

/// Writes entries into a new file; it is durable and has its name when this returns.
fn write<E: Serialize>(
    platform: &Platform,
    institution_id: Option<Id>,
    id: Id,
    fill: impl FnOnce(&mut dyn FnMut(&E) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<Kept, Failure> {
    let failed = |error: io::Error| explain("write the archive", &error);
    let storage = storage::of(&platform.settings.backups);
    let wrap = wrap(platform, institution_id)?;
    let (part, file) = storage.part().map_err(failed)?;
    let gone = |_: &Failure| drop(std::fs::remove_file(&part));
    let written = || -> Result<_, Failure> {
        let sealer = Sealer::new(Digested::new(file), binding(institution_id, id), wrap).map_err(failed)?;
        let mut out = GzEncoder::new(sealer, Compression::default());
        fill(&mut |entry| {
            serde_json::to_writer(&mut out, entry).map_err(|error| failed(error.into()))?;
            out.write_all(b"\n").map_err(failed)
        })?;
        let (digested, _) = out.finish().and_then(Sealer::finish).map_err(failed)?;
        let (file, digest, bytes) = digested.end();
        file.sync_all().map_err(failed)?;
        Ok((digest, bytes))
    };
    let (digest, bytes) = written().inspect_err(gone)?;
    crate::crash_point!("archive:part-written");
    storage.keep(&part, &name(institution_id, id)).map_err(failed)?;
    crate::crash_point!("archive:file-named");
    Ok(Kept { digest, bytes: i64::try_from(bytes).unwrap_or(i64::MAX) })
}

type Wrap = Box<dyn FnOnce(&[u8]) -> Result<Vec<u8>, String>>;

/// Seals a file's own key: with the institution's data key, or for the audit log with a key that outlasts every
/// master key.
fn wrap(platform: &Platform, institution_id: Option<Id>) -> Result<Wrap, Failure> {
    let words = |error: super::secrets::SealError| error.to_string();
    Ok(match institution_id {
        Some(id) => {
            let key = platform.keys.data_key(&mut *platform.shared.get()?, id)?.ok_or(KeyError::NoDataKey)?;
            Box::new(move |plain| key.seal(Purpose::ArchiveKey, plain).map_err(words))
        }
        None => {
            let key = platform.keys.archive_key();
            Box::new(move |plain| key.seal("audit log", plain).map_err(words))
        }
    })
}

/// The lines of an archive, as they were written: for a download, and for verification.
///
/// # Errors
/// A missing or altered file, a destroyed key.
pub fn open(platform: &Platform, archive: &LogArchive) -> Result<Box<dyn Read + Send>, Failure> {
    let failed = |error: io::Error| explain("read the archive", &error);
    let words = |error: super::secrets::SealError| error.to_string();
    let storage = storage::of(&platform.settings.backups);
    let input = storage.open(&name(archive.institution_id, archive.id)).map_err(failed)?;
    let bound = binding(archive.institution_id, archive.id);
    let opener = match archive.institution_id {
        Some(id) => {
            let key = platform.keys.data_key(&mut *platform.shared.get()?, id)?.ok_or(KeyError::NoDataKey)?;
            Opener::new(input, bound, |sealed| key.open(Purpose::ArchiveKey, sealed).map_err(words))
        }
        None => {
            let key = platform.keys.archive_key();
            Opener::new(input, bound, |sealed| key.open("audit log", sealed).map_err(words))
        }
    };
    Ok(Box::new(GzDecoder::new(opener.map_err(failed)?)))
}

/// As [`audit_anchor::verify`], and reads every archive of the audit log: each entry that was ever written. Blocks.
///
/// # Errors
/// The database or the file of anchors; a log that does not hold is in the answer.
pub fn verify_with_archives(platform: &Platform) -> Result<Verified, Failure> {
    let key = platform.keys.audit_key();
    let archives = log_archives::of_audit(&mut *platform.shared.get()?)?;
    let mut walk = Walk::from_start();
    for archive in &archives {
        if let Err(found) = read_through(platform, archive, &mut walk, &key) {
            let head = walk.head().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Verified { entries: walk.expected() - 1, head, broken: Some(found) });
        }
    }
    audit_anchor::verify(platform).map_err(|error| Failure::Transient(error.to_string()))
}

fn read_through(
    platform: &Platform,
    archive: &LogArchive,
    walk: &mut Walk,
    key: &audit::AuditKey,
) -> Result<(), Break> {
    let unreadable = |sequence: i64, why: &dyn std::fmt::Display| Break {
        sequence,
        reason: format!("The archive of entry {sequence} cannot be read: {why}."),
    };
    let mut whole = walk.clone();
    whole.step_over(archive, key)?;
    let input = open(platform, archive).map_err(|failure| unreadable(walk.expected(), &failure))?;
    for line in BufReader::new(input).lines() {
        let line = line.map_err(|error| unreadable(walk.expected(), &error))?;
        let entry: AuditEntry =
            serde_json::from_str(&line).map_err(|error| unreadable(walk.expected(), &error))?;
        walk.step(&entry, key)?;
    }
    if walk.expected() == whole.expected() && walk.head() == whole.head() {
        Ok(())
    } else {
        Err(Break { sequence: walk.expected(), reason: "The archive does not end where it should.".into() })
    }
}
