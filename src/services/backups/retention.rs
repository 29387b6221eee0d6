//! How long backups are kept, and what the schedule does about them: take what changed, try some out, let go of what
//! has had its time, and enter what lies in the storage without a row.
//!
//! The first backup of a month is kept for months, the first of a week for weeks, every other for days. The last
//! verified one of a database is never let go.

use std::{collections::HashSet, time::Duration};

use chrono::{Datelike as _, NaiveDateTime, TimeDelta};

use super::{manifest::Manifest, owner_key, read_manifest, storage, storage::Names};
use crate::{
    db::{Id, engine::Place, now, shared::SharedConn},
    models::{
        Actor, ModelError, ModelResult,
        platform::{
            audit::Audit,
            backups::{self, Backup, Reason, Standing},
            operations::{self, Kind},
            servers,
        },
    },
    services::{operations::Failure, platform::Platform, settings::BackupSettings},
};

/// A day, less what the schedule may be late.
const DAILY: TimeDelta = TimeDelta::minutes(23 * 60 + 30);
/// A database is tried out again after so long.
const TRY_OUT_AFTER: TimeDelta = TimeDelta::days(7);
/// So long after it was due, a backup or a trial is missed.
const LATE: TimeDelta = TimeDelta::days(2);
/// Where one has failed, the next attempt waits for so long.
const AGAIN_AFTER: TimeDelta = TimeDelta::hours(4);
/// As many may wait at once: pages and set-ups share the workers.
const AT_ONCE: i64 = 8;
const TRIALS_AT_ONCE: i64 = 2;
/// What nobody has written to for so long is the rest of an interrupted backup.
const SILENT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when a backup that is taken now is kept.
#[must_use]
pub fn kept_until(settings: &BackupSettings, known: &[Backup], taken_at: NaiveDateTime) -> NaiveDateTime {
    let good = || known.iter().filter(|backup| backup.fault.is_none()).map(|backup| backup.taken_at.date());
    let day = taken_at.date();
    let first_of_month = good().all(|other| (other.year(), other.month()) != (day.year(), day.month()));
    let first_of_week = good().all(|other| other.iso_week() != day.iso_week());
    let mut days = settings.keep_days;
    if first_of_week {
        days = days.max(settings.keep_weeks * 7);
    }
    if first_of_month {
        days = days.max(settings.keep_months * 31);
    }
    taken_at + TimeDelta::days(i64::from(days))
}

fn audit(platform: &Platform) -> Audit {
    platform.audit(Actor::system())
}

/// Asks for the backups that are due: a day old, and changed since. A few at a time; the next call asks for more.
/// Returns how many.
///
/// # Errors
/// When the shared database, or the server, cannot be asked.
pub fn request_due(platform: &Platform) -> Result<usize, Failure> {
    let mut connection = platform.shared.get()?;
    let mut room = AT_ONCE - operations::open_count(&mut connection, Kind::BackUp)?;
    if room <= 0 {
        return Ok(0);
    }
    let mut asked = 0;
    let shared = backups::of(&mut connection, None)?.into_iter().next();
    if is_old(shared.map(|backup| backup.taken_at)) {
        asked += request_one(platform, None)?;
        room -= 1;
    }
    let standings = backups::standings(&mut connection)?;
    let known = backups::marks(&mut connection)?;
    let passed_over = passed_over(&mut connection, Kind::BackUp)?;
    let silent = servers::silent(&mut connection)?;
    let mut due: Vec<Standing> = standings.into_iter().filter(|found| is_old(found.last_taken_at)).collect();
    due.retain(|found| !passed_over.contains(&found.institution_id) && !silent.contains(&found.server_id));
    due.sort_by_key(|found| found.last_taken_at);
    drop(connection);
    let marks = platform.engine.marks(&due.iter().map(place).collect::<Vec<_>>())?;
    for (found, mark) in due.iter().zip(marks) {
        if room <= 0 {
            break;
        }
        let same = mark.is_some() && known.get(&found.institution_id) == mark.as_ref();
        if !same {
            asked += request_one(platform, Some(found.institution_id))?;
            room -= 1;
        }
    }
    Ok(asked)
}

/// Why an institution's backups are not as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// None has ever been restored for a trial.
    NeverVerified,
    /// Written to, and not backed up for two days.
    ChangedSince,
    /// Newer ones wait for a trial for too long.
    NotVerifiedLately,
}

/// The institutions whose backups are not as they should be, the worst first. A database that nobody has written to
/// since its last backup needs no newer one, and one of the last two days has time yet.
///
/// # Errors
/// When the shared database, or the server, cannot be asked.
pub fn overdue(platform: &Platform) -> Result<Vec<(Standing, Overdue)>, Failure> {
    let mut connection = platform.shared.get()?;
    let mut standings = backups::standings(&mut connection)?;
    standings.retain(|found| found.made_at < now() - LATE);
    let known = backups::marks(&mut connection)?;
    drop(connection);
    let old = |found: &Standing| found.last_taken_at.is_none_or(|at| at < now() - LATE);
    let asked: Vec<&Standing> = standings.iter().filter(|found| old(found)).collect();
    let places: Vec<Place> = asked.iter().map(|found| place(found)).collect();
    let marks = platform.engine.marks(&places)?;
    let changed: HashSet<Id> = asked
        .iter()
        .zip(marks)
        .filter(|(found, mark)| mark.is_none() || known.get(&found.institution_id) != mark.as_ref())
        .map(|(found, _)| found.institution_id)
        .collect();
    let why = |found: &Standing| {
        if found.last_good_at.is_none() {
            return Some(Overdue::NeverVerified);
        }
        if changed.contains(&found.institution_id) {
            return Some(Overdue::ChangedSince);
        }
        let waits = found.last_taken_at > found.last_good_at;
        let late = found.last_verified_at.is_none_or(|at| at < now() - TRY_OUT_AFTER - LATE);
        (waits && late).then_some(Overdue::NotVerifiedLately)
    };
    Ok(standings.into_iter().filter_map(|found| why(&found).map(|why| (found, why))).collect())
}

/// Where this work has failed of late: what is tried again at once would keep all others from their turn.
fn passed_over(connection: &mut SharedConn, kind: Kind) -> ModelResult<HashSet<Id>> {
    Ok(operations::institutions_failed_since(connection, kind, now() - AGAIN_AFTER)?.into_iter().collect())
}

fn is_old(taken_at: Option<NaiveDateTime>) -> bool {
    taken_at.is_none_or(|at| at < now() - DAILY)
}

fn place(standing: &Standing) -> Place {
    Place {
        institution_id: standing.institution_id,
        name: standing.database_name.clone(),
        location: standing.location.clone(),
        server_id: standing.server_id,
    }
}

fn request_one(platform: &Platform, institution_id: Option<Id>) -> Result<usize, Failure> {
    let asked =
        super::request(&mut *platform.shared.get()?, &audit(platform), institution_id, Reason::Scheduled);
    match asked {
        Ok(_) => {
            platform.operations.wake();
            Ok(1)
        }
        // Under way already, or suspended from use meanwhile.
        Err(ModelError::Changed(_) | ModelError::Refused(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Asks for a few trials: where no backup was ever verified first, then where that is the longest ago. Returns how many.
///
/// # Errors
/// Any database error.
pub fn request_trials(platform: &Platform) -> Result<usize, Failure> {
    let mut connection = platform.shared.get()?;
    let room = TRIALS_AT_ONCE - operations::open_count(&mut connection, Kind::VerifyBackup)?;
    let passed_over = passed_over(&mut connection, Kind::VerifyBackup)?;
    let mut owners: Vec<(Option<NaiveDateTime>, Option<Id>)> = backups::standings(&mut connection)?
        .into_iter()
        .filter(|found| found.last_taken_at.is_some() && !passed_over.contains(&found.institution_id))
        .map(|found| (found.last_verified_at, Some(found.institution_id)))
        .collect();
    let shared = backups::of(&mut connection, None)?;
    if !shared.is_empty() {
        owners.push((shared.iter().filter_map(|backup| backup.verified_at).max(), None));
    }
    owners.retain(|(verified, _)| verified.is_none_or(|at| at < now() - TRY_OUT_AFTER));
    owners.sort();
    let mut asked = 0;
    for (_, owner) in owners {
        if asked >= room {
            break;
        }
        let newest = backups::of(&mut connection, owner)?;
        let newest = newest.into_iter().find(|backup| backup.fault.is_none() && backup.verified_at.is_none());
        let Some(backup) = newest else { continue };
        match super::request_verification(&mut connection, &audit(platform), backup.id) {
            Ok(_) => asked += 1,
            Err(ModelError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if asked > 0 {
        platform.operations.wake();
    }
    Ok(usize::try_from(asked).unwrap_or_default())
}

/// What [`tidy`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Backups whose time was over.
    pub expired: usize,
    /// Whole backups in the storage that had no row.
    pub adopted: usize,
    /// Rests of interrupted backups.
    pub swept: usize,
}

/// Lets go of what has had its time, enters whole backups without a row, and sweeps the rests of interrupted ones.
///
/// # Errors
/// The storage, or any database error; what was done until then stays so.
pub fn tidy(platform: &Platform) -> Result<Tidied, Failure> {
    let storage = storage::of(&platform.settings.backups);
    let swept = storage.sweep(SILENT_FOR).map_err(|error| storage::explain("sweep the backups", &error))?;
    let mut expired = 0;
    for backup in backups::expired(&mut *platform.shared.get()?)? {
        forget(platform, &*storage, &backup)?;
        expired += 1;
    }
    Ok(Tidied { expired, adopted: adopt(platform, &*storage)?, swept })
}

/// The row goes first: a row without a file would be a lie, a file without a row is found again. Of the two objects the
/// manifest goes first, because what has none is no backup.
fn forget(platform: &Platform, storage: &dyn storage::Storage, backup: &Backup) -> Result<(), Failure> {
    platform.shared.get()?.write_tx(|connection| {
        backups::forget(connection, backup.id)?;
        let detail = serde_json::json!({ "backup_id": backup.id, "taken_at": backup.taken_at });
        let (of, label) = (backup.institution_id, &backup.subject);
        super::note(connection, &audit(platform), "backup.expired", of, label, &detail)
    })?;
    crate::crash_point!("backup:row-forgotten");
    let names = Names::of(backup.institution_id, backup.id);
    for name in [&names.manifest, &names.file] {
        storage.remove(name).map_err(|error| storage::explain("remove a backup", &error))?;
    }
    Ok(())
}

/// Enters what is whole and sealed by the key of an institution that there is, but that no row knows: an interrupted
/// backup, or one that is newer than the shared database that was restored.
pub(crate) fn adopt(platform: &Platform, storage: &dyn storage::Storage) -> Result<usize, Failure> {
    let names = storage.list().map_err(|error| storage::explain("list the backups", &error))?;
    let known: HashSet<Id> = backups::ids(&mut *platform.shared.get()?)?.into_iter().collect();
    let there: HashSet<&String> = names.iter().collect();
    let mut adopted = 0;
    for name in &names {
        let Some((owner, id)) = Names::read(name) else { continue };
        if known.contains(&id)
            || !there.contains(&Names::of(owner, id).file)
            || is_being_written(platform, owner)?
        {
            continue;
        }
        match read_authentic(platform, storage, owner, name) {
            Ok(manifest) if manifest.backup_id == id && manifest.institution_id == owner => {
                let audit = audit(platform);
                platform.shared.get()?.write_tx(|connection| super::record(connection, &audit, &manifest))?;
                adopted += 1;
            }
            Ok(_) => log::warn!("the backup {name} says that it is another one"),
            // Such as one of an institution whose key was destroyed.
            Err(failure) => log::info!("the backup {name} is not entered: {failure}"),
        }
    }
    Ok(adopted)
}

/// The operation that writes it enters it.
fn is_being_written(platform: &Platform, owner: Option<Id>) -> Result<bool, Failure> {
    let connection = &mut *platform.shared.get()?;
    for kind in [Kind::BackUp, Kind::Restore] {
        let open = match owner {
            Some(id) => operations::latest(connection, id, kind)?.is_some_and(|found| !found.is_over()),
            None => operations::is_open_without_institution(connection, kind)?,
        };
        if open {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_authentic(
    platform: &Platform,
    storage: &dyn storage::Storage,
    owner: Option<Id>,
    name: &str,
) -> Result<Manifest, Failure> {
    let key = owner_key(platform, &mut *platform.shared.get()?, owner)?;
    let input = storage.open(name).map_err(|error| storage::explain("read a backup", &error))?;
    Manifest::of_object(&read_manifest(input)?, &key)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_first_of_a_month_and_of_a_week_stay_longer() {
        let settings = BackupSettings::new(Path::new("data"));
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        let mut known = Vec::new();
        for (taken, days) in [
            ("2026-11-02 03:00", 12 * 31),
            ("2026-11-02 12:00", 7),
            ("2026-11-08 03:00", 7),
            ("2026-11-09 03:00", 35),
            ("2026-11-30 03:00", 35),
            ("2026-12-01 03:00", 12 * 31),
        ] {
            let taken_at = at(taken);
            let until = kept_until(&settings, &known, taken_at);
            assert_eq!((until - taken_at).num_days(), days, "{taken}");
            known.push(Backup {
                id: Id::new(),
                institution_id: None,
                subject: String::new(),
                search_key: String::new(),
                engine: crate::db::Engine::Sqlite,
                schema_version: String::new(),
                reason: Reason::Scheduled,
                bytes: 0,
                row_total: 0,
                digest: Vec::new(),
                manifest: String::new(),
                mark: None,
                taken_at,
                kept_until: until,
                verified_at: None,
                fault: None,
            });
        }
    }
}
