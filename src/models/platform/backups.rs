//! Backups as the registry knows them. A row means that the file is there, whole and with this digest; only one that
//! was restored for a trial and compared counts as a backup.

mod list;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::{
    db::{
        Engine, Id, now,
        schema_shared::{backups, institutions, tenant_databases},
        shared::SharedConn,
    },
    models::{
        ModelError, ModelResult,
        platform::{institutions::Status, tenant_databases::DatabaseStatus},
        search::fold,
    },
};

pub use list::{BackupFilter, BackupRow, older_than, page};

crate::text_enum! {
    /// Why a backup was taken.
    Reason {
        Scheduled = "scheduled",
        Requested = "requested",
        BeforeRestore = "before_restore",
        BeforeMigration = "before_migration",
        BeforeMove = "before_move",
        BeforeArchive = "before_archive",
        BeforeDelete = "before_delete",
    }
}

impl Reason {
    /// For a person.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Requested => "Requested",
            Self::BeforeRestore => "Before a restore",
            Self::BeforeMigration => "Before a migration",
            Self::BeforeMove => "Before a move",
            Self::BeforeArchive => "Before archiving",
            Self::BeforeDelete => "Before deletion",
        }
    }
}

/// A backup.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = backups)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Backup {
    pub id: Id,
    /// None for the shared database.
    pub institution_id: Option<Id>,
    /// The institution's name at that time.
    pub subject: String,
    pub search_key: String,
    pub engine: Engine,
    pub schema_version: String,
    pub reason: Reason,
    pub bytes: i64,
    pub row_total: i64,
    pub digest: Vec<u8>,
    /// What lies beside the file, word by word.
    pub manifest: String,
    /// The engine's mark of the database right before it was copied.
    pub mark: Option<String>,
    pub taken_at: NaiveDateTime,
    pub kept_until: NaiveDateTime,
    pub verified_at: Option<NaiveDateTime>,
    /// Why it cannot be restored, where that was found.
    pub fault: Option<String>,
}

impl Backup {
    /// The words that a search looks through.
    #[must_use]
    pub fn search_key_of(subject: &str, domain: &str) -> String {
        format!("{}\t{domain}", fold(subject))
    }
}

/// Enters a backup whose file is in its place; entering it again changes nothing. True when it is new.
///
/// # Errors
/// Any database error.
pub fn insert_once(connection: &mut SharedConn, new: &Backup) -> ModelResult<bool> {
    connection.write_tx(|connection| {
        let known: i64 = backups::table.find(new.id).count().get_result(connection)?;
        if known > 0 {
            return Ok(false);
        }
        diesel::insert_into(backups::table).values(new).execute(connection)?;
        Ok(true)
    })
}

/// One backup.
///
/// # Errors
/// Any database error; `NotFound` when there is none.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Backup> {
    Ok(backups::table.find(id).select(Backup::as_select()).first(connection)?)
}

/// The backups of an institution, or of the shared database, newest first.
///
/// # Errors
/// Any database error.
pub fn of(connection: &mut SharedConn, institution_id: Option<Id>) -> ModelResult<Vec<Backup>> {
    let all =
        backups::table.order((backups::taken_at.desc(), backups::id.desc())).select(Backup::as_select());
    Ok(match institution_id {
        Some(id) => all.filter(backups::institution_id.eq(id)).load(connection)?,
        None => all.filter(backups::institution_id.is_null()).load(connection)?,
    })
}

/// A restore into a scratch database was equal to what was backed up.
///
/// # Errors
/// Any database error; `NotFound` when it is gone meanwhile.
pub fn mark_verified(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    let marked = diesel::update(backups::table.find(id))
        .set((backups::verified_at.eq(now()), backups::fault.eq(None::<String>)))
        .execute(connection)?;
    if marked == 1 { Ok(()) } else { Err(ModelError::NOT_FOUND) }
}

/// It cannot be restored, and counts no more.
///
/// # Errors
/// Any database error.
pub fn mark_faulty(connection: &mut SharedConn, id: Id, why: &str) -> ModelResult<()> {
    diesel::update(backups::table.find(id))
        .set((backups::verified_at.eq(None::<NaiveDateTime>), backups::fault.eq(why)))
        .execute(connection)?;
    Ok(())
}

/// Those that were found faulty with nothing verified since: of each database the newest, up to `most` of all.
///
/// # Errors
/// Any database error.
pub fn faulty(connection: &mut SharedConn, most: i64) -> ModelResult<Vec<Backup>> {
    use diesel::dsl::max;
    let found: Vec<Backup> = backups::table
        .filter(backups::fault.is_not_null())
        .order((backups::taken_at.desc(), backups::id.desc()))
        .limit(most)
        .select(Backup::as_select())
        .load(connection)?;
    if found.is_empty() {
        return Ok(found);
    }
    let verified: Vec<(Option<Id>, Option<NaiveDateTime>)> = backups::table
        .filter(backups::verified_at.is_not_null())
        .group_by(backups::institution_id)
        .select((backups::institution_id, max(backups::taken_at)))
        .load(connection)?;
    let verified: std::collections::HashMap<_, _> = verified.into_iter().collect();
    let mut told = std::collections::HashSet::new();
    Ok(found
        .into_iter()
        .filter(|backup| {
            let since = verified.get(&backup.institution_id).copied().flatten();
            since.is_none_or(|since| since < backup.taken_at) && told.insert(backup.institution_id)
        })
        .collect())
}

/// What an archived institution is brought back from: its newest verified backup.
///
/// # Errors
/// Any database error.
pub fn last_verified(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<Backup>> {
    let all = of(connection, Some(institution_id))?;
    Ok(all.into_iter().find(|backup| backup.verified_at.is_some() && backup.fault.is_none()))
}

/// Forgets every backup of an institution; the files go after.
///
/// # Errors
/// Any database error.
pub fn forget_all(connection: &mut SharedConn, institution_id: Id) -> ModelResult<usize> {
    Ok(diesel::delete(backups::table.filter(backups::institution_id.eq(institution_id)))
        .execute(connection)?)
}

/// Forgets a backup; its file goes after.
///
/// # Errors
/// Any database error.
pub fn forget(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::delete(backups::table.find(id)).execute(connection)?;
    Ok(())
}

/// What has had its time. The last verified one of each database is not among them, however old, nor the newest of one
/// that has none verified, nor what is left of an archived institution.
///
/// # Errors
/// Any database error.
pub fn expired(connection: &mut SharedConn) -> ModelResult<Vec<Backup>> {
    let archived = institutions::table.filter(institutions::status.eq(Status::Archived));
    let due: Vec<Backup> = backups::table
        .filter(backups::kept_until.lt(now()))
        .filter(
            backups::reason
                .ne(Reason::BeforeArchive)
                .or(backups::institution_id.is_null())
                .or(backups::institution_id.assume_not_null().ne_all(archived.select(institutions::id))),
        )
        .order(backups::id)
        .limit(1_000)
        .select(Backup::as_select())
        .load(connection)?;
    let mut gone = Vec::new();
    let mut spared = std::collections::HashMap::new();
    for backup in due {
        let last = match spared.get(&backup.institution_id) {
            Some(last) => *last,
            None => {
                let last = last_good(connection, backup.institution_id)?;
                spared.insert(backup.institution_id, last);
                last
            }
        };
        if last != Some(backup.id) {
            gone.push(backup);
        }
    }
    Ok(gone)
}

/// The ids of all backups.
///
/// # Errors
/// Any database error.
pub fn ids(connection: &mut SharedConn) -> ModelResult<Vec<Id>> {
    Ok(backups::table.select(backups::id).load(connection)?)
}

/// Every backup with its owner, and what it is of.
///
/// # Errors
/// Any database error.
pub fn owners(connection: &mut SharedConn) -> ModelResult<Vec<(Id, Option<Id>, String)>> {
    Ok(backups::table.select((backups::id, backups::institution_id, backups::subject)).load(connection)?)
}

/// The mark that each institution's database had at its newest backup that is not faulty.
///
/// # Errors
/// Any database error.
pub fn marks(connection: &mut SharedConn) -> ModelResult<std::collections::HashMap<Id, String>> {
    type Marked = (Option<Id>, Option<String>);
    let rows: Vec<Marked> = backups::table
        .filter(backups::institution_id.is_not_null())
        .filter(backups::fault.is_null())
        .order((backups::taken_at, backups::id))
        .select((backups::institution_id, backups::mark))
        .load(connection)?;
    // Of several the newest is read last.
    Ok(rows.into_iter().filter_map(|(id, mark)| Some((id?, mark?))).collect())
}

/// The last verified backup of a database; where there is none, the newest that is not known to be faulty.
fn last_good(connection: &mut SharedConn, institution_id: Option<Id>) -> ModelResult<Option<Id>> {
    let all = of(connection, institution_id)?;
    let verified = all.iter().find(|backup| backup.verified_at.is_some());
    Ok(verified.or_else(|| all.iter().find(|backup| backup.fault.is_none())).map(|backup| backup.id))
}

/// How an active institution stands with its backups.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "what the names say")]
pub struct Standing {
    pub institution_id: Id,
    pub domain: String,
    pub name: String,
    /// Where its database is.
    pub database_name: String,
    pub location: String,
    /// Since when it has a database.
    pub made_at: NaiveDateTime,
    pub server_id: Id,
    /// Its newest backup, verified or not.
    pub last_taken_at: Option<NaiveDateTime>,
    /// When the newest one that was verified was taken: how much would be lost at most.
    pub last_good_at: Option<NaiveDateTime>,
    /// When one was verified for the last time.
    pub last_verified_at: Option<NaiveDateTime>,
}

/// Every institution that has a database in use, and its backups' dates; those without a verified backup first, then
/// the one whose verified backup is the oldest. Two queries, whatever their number.
///
/// # Errors
/// Any database error.
pub fn standings(connection: &mut SharedConn) -> ModelResult<Vec<Standing>> {
    use diesel::dsl::max;
    type Dates = (Option<Id>, Option<NaiveDateTime>, Option<NaiveDateTime>);
    let good: Vec<Dates> = backups::table
        .filter(backups::verified_at.is_not_null())
        .group_by(backups::institution_id)
        .select((backups::institution_id, max(backups::taken_at), max(backups::verified_at)))
        .load(connection)?;
    let taken: Vec<(Option<Id>, Option<NaiveDateTime>)> = backups::table
        .group_by(backups::institution_id)
        .select((backups::institution_id, max(backups::taken_at)))
        .load(connection)?;
    let good: std::collections::HashMap<_, _> =
        good.into_iter().map(|(id, taken, verified)| (id, (taken, verified))).collect();
    let taken: std::collections::HashMap<_, _> = taken.into_iter().collect();
    type Used = (Id, String, String, String, String, NaiveDateTime, Id);
    let used: Vec<Used> = institutions::table
        .inner_join(tenant_databases::table)
        .filter(institutions::status.eq_any([Status::Active, Status::Suspended]))
        .filter(tenant_databases::status.eq(DatabaseStatus::Ready))
        .select((
            institutions::id,
            institutions::domain,
            institutions::name,
            tenant_databases::database_name,
            tenant_databases::location,
            tenant_databases::created_at,
            tenant_databases::server_id,
        ))
        .load(connection)?;
    let mut standings: Vec<Standing> = used
        .into_iter()
        .map(|(institution_id, domain, name, database_name, location, made_at, server_id)| {
            let (last_good_at, last_verified_at) =
                good.get(&Some(institution_id)).copied().unwrap_or_default();
            let last_taken_at = taken.get(&Some(institution_id)).copied().flatten();
            Standing {
                institution_id,
                domain,
                name,
                database_name,
                location,
                made_at,
                server_id,
                last_taken_at,
                last_good_at,
                last_verified_at,
            }
        })
        .collect();
    standings.sort_by(|a, b| (a.last_good_at, &a.domain).cmp(&(b.last_good_at, &b.domain)));
    Ok(standings)
}
