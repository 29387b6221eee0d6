//! The platform's audit log: append-only, each entry chained to the one before by a keyed hash.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    db::{Id, locks::Lock, now, schema_shared::audit_log, shared::SharedConn},
    models::{
        Actor, ModelResult, Paging, Slice, containing, ordered,
        platform::{
            SharedBackend,
            log_archives::{self, LogArchive},
        },
        search::fold,
    },
};

/// The key of the chain; it lives outside the database, so whoever edits rows cannot mend the hashes.
#[derive(Clone)]
pub struct AuditKey([u8; 32]);

impl AuditKey {
    /// Wraps a derived key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// HMAC-SHA-256 over fields, each with its length, so that no two rows of fields read alike.
    pub(super) fn seal(&self, fields: &[&[u8]]) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

/// The right to change platform records: whoever holds it leaves a trace in the same transaction.
#[derive(Clone)]
pub struct Audit {
    key: AuditKey,
    /// In whose name.
    pub actor: Actor,
}

/// What an entry is about.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// "institution", "platform admin", ...
    pub kind: &'static str,
    /// The record, where it is one.
    pub id: Option<Id>,
    /// Its name as people knew it then.
    pub label: &'a str,
    /// The institution concerned, if one is.
    pub institution_id: Option<Id>,
}

/// One line of the log.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, serde::Serialize, serde::Deserialize)]
#[diesel(table_name = audit_log)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct AuditEntry {
    pub sequence: i64,
    pub id: Id,
    pub at: NaiveDateTime,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub action: String,
    pub subject_kind: String,
    pub subject_id: Option<Id>,
    pub subject_label: String,
    pub institution_id: Option<Id>,
    pub detail: String,
    pub ip: Option<String>,
    #[serde(with = "hexadecimal")]
    pub previous_hash: Vec<u8>,
    #[serde(with = "hexadecimal")]
    pub hash: Vec<u8>,
}

/// Hashes as a file holds them.
mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error};

    #[expect(clippy::ptr_arg, reason = "serde hands over what the field is")]
    pub(super) fn serialize<S: Serializer>(hash: &Vec<u8>, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&super::hex(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        let digits = |at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digits).collect();
        bytes.ok_or_else(|| D::Error::custom("a hash is not hexadecimal"))
    }
}

impl Audit {
    /// Changes made with this are signed with `actor`'s name.
    #[must_use]
    pub fn new(key: AuditKey, actor: Actor) -> Self {
        Self { key, actor }
    }

    /// Appends an entry; call it inside the `write_tx` of the change. `action` is "noun.verb",
    /// `detail` JSON without secrets.
    ///
    /// # Errors
    /// Any database error; the change must not happen then.
    pub fn record(
        &self,
        connection: &mut SharedConn,
        action: &str,
        subject: &Subject<'_>,
        detail: &serde_json::Value,
    ) -> ModelResult<()> {
        lock_chain(connection)?;
        let last: Option<(i64, Vec<u8>)> = audit_log::table
            .select((audit_log::sequence, audit_log::hash))
            .order(audit_log::sequence.desc())
            .first(connection)
            .optional()?;
        let (sequence, previous_hash) =
            last.map_or((1, vec![0; 32]), |(sequence, hash)| (sequence + 1, hash));
        let mut entry = AuditEntry {
            sequence,
            id: Id::new(),
            at: now(),
            actor_id: self.actor.id,
            actor_name: self.actor.name.clone(),
            action: action.to_owned(),
            subject_kind: subject.kind.to_owned(),
            subject_id: subject.id,
            subject_label: subject.label.to_owned(),
            institution_id: subject.institution_id,
            detail: detail.to_string(),
            ip: self.actor.ip.clone(),
            previous_hash,
            hash: Vec::new(),
        };
        entry.hash = entry.chained_hash(&self.key);
        // Not part of the hash: it says nothing that the fields do not.
        let search_key = fold(&format!("{}\t{}\t{action}", subject.label, self.actor.name));
        diesel::insert_into(audit_log::table)
            .values((&entry, audit_log::search_key.eq(search_key)))
            .execute(connection)?;
        Ok(())
    }
}

impl AuditEntry {
    /// HMAC-SHA-256 over every field, each with its length, so that no two entries read alike.
    fn chained_hash(&self, key: &AuditKey) -> Vec<u8> {
        let optional_id = |id: &Option<Id>| id.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let fields: [&[u8]; 13] = [
            &self.sequence.to_be_bytes(),
            self.id.as_bytes(),
            &self.at.and_utc().timestamp_micros().to_be_bytes(),
            &optional_id(&self.actor_id),
            self.actor_name.as_bytes(),
            self.action.as_bytes(),
            self.subject_kind.as_bytes(),
            &optional_id(&self.subject_id),
            self.subject_label.as_bytes(),
            &optional_id(&self.institution_id),
            self.detail.as_bytes(),
            self.ip.as_deref().unwrap_or_default().as_bytes(),
            &self.previous_hash,
        ];
        key.seal(&fields)
    }
}

/// On PostgreSQL two writers would read the same last entry; SQLite's write lock already orders them.
fn lock_chain(connection: &mut SharedConn) -> ModelResult<()> {
    if let SharedConn::Postgres(connection) = connection {
        Lock::AuditChain.hold_in_transaction(connection)?;
    }
    Ok(())
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Sequence number of the first entry that is wrong or missing.
    pub sequence: i64,
    /// What is wrong, for a person.
    pub reason: String,
}

/// Outcome of [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Entries read.
    pub entries: i64,
    /// Hash of the last one, hexadecimal.
    pub head: String,
    /// The first break, if any.
    pub broken: Option<Break>,
}

/// Walks along a chain, entry by entry.
#[derive(Debug, Clone)]
pub struct Walk {
    expected: i64,
    previous: Vec<u8>,
}

impl Walk {
    /// From the very first entry on.
    #[must_use]
    pub fn from_start() -> Self {
        Self { expected: 1, previous: vec![0; 32] }
    }

    /// From the end of an archive on.
    #[must_use]
    pub fn after(archive: &LogArchive) -> Self {
        Self {
            expected: archive.last_sequence.unwrap_or_default() + 1,
            previous: archive.head_hash.clone().unwrap_or_default(),
        }
    }

    /// The entry that is expected next.
    #[must_use]
    pub fn expected(&self) -> i64 {
        self.expected
    }

    /// Hash of the last entry.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.previous
    }

    /// Steps on to an entry.
    ///
    /// # Errors
    /// Why it is not the next one as it was written.
    pub fn step(&mut self, entry: &AuditEntry, key: &AuditKey) -> Result<(), Break> {
        let expected = self.expected;
        let broken = |reason| Err(Break { sequence: expected, reason });
        if entry.sequence != expected {
            return broken(format!("Entry {expected} is missing."));
        }
        if entry.previous_hash != self.previous {
            return broken(format!("Entry {expected} does not follow the one before it."));
        }
        if entry.chained_hash(key) != entry.hash {
            return broken(format!("Entry {expected} was changed after it was written."));
        }
        self.expected += 1;
        self.previous.clone_from(&entry.hash);
        Ok(())
    }

    /// Steps on over an archive, by its row alone.
    ///
    /// # Errors
    /// Why it is not the next one as it was made.
    pub fn step_over(&mut self, archive: &LogArchive, key: &AuditKey) -> Result<(), Break> {
        let expected = self.expected;
        let broken = |reason| Err(Break { sequence: expected, reason });
        if archive.first_sequence != Some(expected) {
            return broken(format!("The archive that begins with entry {expected} is missing."));
        }
        if archive.before_hash.as_deref() != Some(&self.previous) || !archive.is_authentic(key) {
            return broken(format!("The archive that begins with entry {expected} is not as it was made."));
        }
        *self = Self::after(archive);
        Ok(())
    }
}

/// Walks the chain from the end of the last archive, or the first entry, and finds the first break: an edited, deleted,
/// inserted or reordered entry or archive. Reads 1,000 entries at a time.
///
/// # Errors
/// Any database error.
pub fn verify(connection: &mut SharedConn, key: &AuditKey) -> ModelResult<Verified> {
    let mut walk = Walk::from_start();
    let ended =
        |walk: &Walk, broken| Verified { entries: walk.expected - 1, head: hex(&walk.previous), broken };
    for archive in log_archives::of_audit(connection)? {
        if let Err(broken) = walk.step_over(&archive, key) {
            return Ok(ended(&walk, Some(broken)));
        }
    }
    loop {
        let batch = from_sequence(connection, walk.expected, 1_000)?;
        if batch.is_empty() {
            return Ok(ended(&walk, None));
        }
        for entry in batch {
            if let Err(broken) = walk.step(&entry, key) {
                return Ok(ended(&walk, Some(broken)));
            }
        }
    }
}

/// The next entries from this number on, in order.
///
/// # Errors
/// Any database error.
pub fn from_sequence(connection: &mut SharedConn, first: i64, limit: i64) -> ModelResult<Vec<AuditEntry>> {
    Ok(audit_log::table
        .filter(audit_log::sequence.ge(first))
        .order(audit_log::sequence)
        .limit(limit)
        .select(AuditEntry::as_select())
        .load(connection)?)
}

/// The number of the last entry before this moment; the newest entry of all is never it.
///
/// # Errors
/// Any database error.
pub fn last_before(connection: &mut SharedConn, moment: NaiveDateTime) -> ModelResult<Option<i64>> {
    let newest: Option<i64> =
        audit_log::table.select(diesel::dsl::max(audit_log::sequence)).first(connection)?;
    Ok(audit_log::table
        .filter(audit_log::at.lt(moment))
        .filter(audit_log::sequence.lt(newest.unwrap_or_default()))
        .select(diesel::dsl::max(audit_log::sequence))
        .first(connection)?)
}

/// When the oldest entry that is still in the log was written.
///
/// # Errors
/// Any database error.
pub fn oldest_at(connection: &mut SharedConn) -> ModelResult<Option<NaiveDateTime>> {
    let all = audit_log::table.order(audit_log::sequence).select(audit_log::at);
    Ok(all.first(connection).optional()?)
}

/// When the newest entry was written.
///
/// # Errors
/// Any database error.
pub fn newest_at(connection: &mut SharedConn) -> ModelResult<Option<NaiveDateTime>> {
    let all = audit_log::table.order(audit_log::sequence.desc()).select(audit_log::at);
    Ok(all.first(connection).optional()?)
}

/// Removes some of the oldest entries up to this number, each of which is in an archive: the database itself refuses to
/// let others go. Says how many.
///
/// # Errors
/// Any database error.
pub fn remove_archived(connection: &mut SharedConn, last: i64, most: i64) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let first: Option<i64> = audit_log::table.select(diesel::dsl::min(audit_log::sequence)).first(c)?;
        let Some(first) = first.filter(|first| *first <= last) else { return Ok(0) };
        let until = last.min(first + most - 1);
        Ok(diesel::delete(audit_log::table.filter(audit_log::sequence.le(until))).execute(c)?)
    })
}

/// How many entries there are by the last one's number, and its hash in hexadecimal; `None` before the first.
///
/// # Errors
/// Any database error.
pub fn head(connection: &mut SharedConn) -> ModelResult<Option<(i64, String)>> {
    let last: Option<(i64, Vec<u8>)> = audit_log::table
        .select((audit_log::sequence, audit_log::hash))
        .order(audit_log::sequence.desc())
        .first(connection)
        .optional()?;
    Ok(last.map(|(sequence, hash)| (sequence, hex(&hash))))
}

/// The hash of an entry, hexadecimal.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn hash_of(connection: &mut SharedConn, sequence: i64) -> ModelResult<String> {
    let hash: Vec<u8> = audit_log::table.find(sequence).select(audit_log::hash).first(connection)?;
    Ok(hex(&hash))
}

/// The entry with this number.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, sequence: i64) -> ModelResult<AuditEntry> {
    Ok(audit_log::table.find(sequence).select(AuditEntry::as_select()).first(connection)?)
}

/// Filters of the audit page.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Words in action, actor or subject.
    pub q: String,
    /// Only this action.
    pub action: Option<String>,
    /// Only this institution.
    pub institution_id: Option<Id>,
}

fn matching<'a>(filter: &AuditFilter) -> audit_log::BoxedQuery<'a, SharedBackend> {
    let mut query = containing!(audit_log::table.into_boxed(), filter.q, audit_log::search_key);
    if let Some(action) = &filter.action {
        query = query.filter(audit_log::action.eq(action.clone()));
    }
    if let Some(id) = filter.institution_id {
        query = query.filter(audit_log::institution_id.eq(id));
    }
    query
}

/// One page of the log, newest first unless asked otherwise.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &AuditFilter,
    paging: &Paging,
) -> ModelResult<Slice<AuditEntry>> {
    let total = matching(filter).count().get_result(connection)?;
    let rows = ordered!(matching(filter), paging.descending, audit_log::sequence)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(AuditEntry::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The newest entries of what people did, among so many of the newest: of a fleet, most are what was done by itself.
///
/// # Errors
/// Any database error.
pub fn newest_by_people(
    connection: &mut SharedConn,
    within: i64,
    limit: i64,
) -> ModelResult<Vec<AuditEntry>> {
    let last: Option<i64> =
        audit_log::table.select(diesel::dsl::max(audit_log::sequence)).first(connection)?;
    Ok(audit_log::table
        .filter(audit_log::sequence.gt(last.unwrap_or_default() - within))
        .filter(audit_log::actor_id.is_not_null().or(audit_log::actor_name.ne(Actor::system().name)))
        .order(audit_log::sequence.desc())
        .limit(limit)
        .select(AuditEntry::as_select())
        .load(connection)?)
}

/// The next `limit` matching entries before the one with this number, newest first: for reading all that
/// match in bounded pieces.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> ModelResult<Vec<AuditEntry>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(audit_log::sequence.lt(last));
    }
    Ok(query
        .order(audit_log::sequence.desc())
        .limit(limit)
        .select(AuditEntry::as_select())
        .load(connection)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
