//! Entries that were taken out of a log into a file: of the audit log, or of an institution's activity log. The rows of
//! the audit log go on with its chain, and only those can be made whose maker has its key.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::audit::AuditKey;
use crate::{
    db::{
        Id,
        schema_shared::{institutions, log_archives},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend},
};

/// An archive. Its file is whole and durable before its row is there.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = log_archives)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct LogArchive {
    pub id: Id,
    /// None for the audit log.
    pub institution_id: Option<Id>,
    /// Of the audit log: numbers of the first and the last entry, and the hashes before and at the end.
    pub first_sequence: Option<i64>,
    pub last_sequence: Option<i64>,
    pub before_hash: Option<Vec<u8>>,
    pub head_hash: Option<Vec<u8>>,
    pub first_at: NaiveDateTime,
    pub last_at: NaiveDateTime,
    /// Of an activity log: every entry before this moment is in this archive or an earlier one.
    pub until: NaiveDateTime,
    pub entries: i64,
    pub bytes: i64,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    pub created_at: NaiveDateTime,
    /// A keyed hash over everything else that counts.
    pub seal: Vec<u8>,
}

impl LogArchive {
    /// The row with its seal.
    #[must_use]
    pub fn sealed(mut self, key: &AuditKey) -> Self {
        self.seal = self.seal_by(key);
        self
    }

    /// Whether it is as it was made.
    #[must_use]
    pub fn is_authentic(&self, key: &AuditKey) -> bool {
        self.seal == self.seal_by(key)
    }

    fn seal_by(&self, key: &AuditKey) -> Vec<u8> {
        let number = |number: Option<i64>| number.unwrap_or_default().to_be_bytes();
        let hash = |hash: &Option<Vec<u8>>| hash.clone().unwrap_or_default();
        key.seal(&[
            b"log archive",
            self.id.as_bytes(),
            self.institution_id.unwrap_or(Id::NIL).as_bytes(),
            &number(self.first_sequence),
            &number(self.last_sequence),
            &hash(&self.before_hash),
            &hash(&self.head_hash),
            &self.entries.to_be_bytes(),
            &self.digest,
        ])
    }
}

/// Enters an archive of the audit log, whose file is in its place. Call it in the `write_tx` that records it.
///
/// # Errors
/// `Changed` when another has archived meanwhile.
pub fn enter_audit(connection: &mut SharedConn, new: &LogArchive) -> ModelResult<()> {
    let last = last_of_audit(connection)?.and_then(|last| last.last_sequence).unwrap_or(0);
    if new.first_sequence != Some(last + 1) {
        return Err(ModelError::Changed("The audit log is being archived by somebody else.".into()));
    }
    enter(connection, new)
}

/// Enters an archive whose file is in its place.
///
/// # Errors
/// Any database error.
pub fn enter(connection: &mut SharedConn, new: &LogArchive) -> ModelResult<()> {
    diesel::insert_into(log_archives::table).values(new).execute(connection)?;
    Ok(())
}

/// The archives of the audit log, oldest first.
///
/// # Errors
/// Any database error.
pub fn of_audit(connection: &mut SharedConn) -> ModelResult<Vec<LogArchive>> {
    Ok(log_archives::table
        .filter(log_archives::institution_id.is_null())
        .order(log_archives::last_sequence)
        .select(LogArchive::as_select())
        .load(connection)?)
}

/// The newest archive of the audit log.
///
/// # Errors
/// Any database error.
pub fn last_of_audit(connection: &mut SharedConn) -> ModelResult<Option<LogArchive>> {
    Ok(log_archives::table
        .filter(log_archives::institution_id.is_null())
        .order(log_archives::last_sequence.desc())
        .select(LogArchive::as_select())
        .first(connection)
        .optional()?)
}

/// Since when an institution's own log is kept: everything before this moment is archived.
///
/// # Errors
/// Any database error.
pub fn kept_since(connection: &mut SharedConn, institution_id: Id) -> ModelResult<Option<NaiveDateTime>> {
    Ok(log_archives::table
        .filter(log_archives::institution_id.eq(institution_id))
        .select(diesel::dsl::max(log_archives::until))
        .first(connection)?)
}

/// One archive.
///
/// # Errors
/// Any database error; `NotFound` when there is none.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<LogArchive> {
    Ok(log_archives::table.find(id).select(LogArchive::as_select()).first(connection)?)
}

/// An archive with the names of its institution, where it is of one.
pub type ArchiveRow = (LogArchive, Option<String>, Option<String>);

type Matching<'a> = diesel::dsl::IntoBoxed<
    'a,
    diesel::dsl::LeftJoin<log_archives::table, institutions::table>,
    SharedBackend,
>;

fn matching<'a>(q: &str) -> Matching<'a> {
    let query = log_archives::table.left_join(institutions::table).into_boxed();
    containing!(query, q, institutions::name_key, institutions::domain)
}

/// One page of the archives, by the time when they were made.
///
/// # Errors
/// Any database error.
pub fn page(connection: &mut SharedConn, q: &str, paging: &Paging) -> ModelResult<Slice<ArchiveRow>> {
    let total = matching(q).count().get_result(connection)?;
    let rows = ordered!(matching(q), paging.descending, log_archives::created_at, log_archives::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select((LogArchive::as_select(), institutions::domain.nullable(), institutions::name.nullable()))
        .load(connection)?;
    Ok(Slice { rows, total })
}
