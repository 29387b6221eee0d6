//! The institution's activity log: who did what to which record, before and after, when, from where.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    db::{
        Id, now,
        schema_tenant::activity_log,
        tenant::{MultiBackend, TenantConn},
    },
    models::{
        Actor, Limits, ModelResult, Paging, Slice, bulk::insert_many, containing, ordered, search::fold,
    },
};

/// More people than this are not offered to choose from.
const MOST_ACTORS: usize = 200;

/// The right to change records: whoever holds it leaves a trace in the same transaction.
#[derive(Debug, Clone)]
pub struct Activity {
    /// In whose name.
    pub actor: Actor,
    /// Within which limits: whatever adds to what the institution holds looks at them in its transaction.
    pub limits: Limits,
}

/// One field of a record, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The field, named as its column is.
    pub field: String,
    /// The value before; none when it was empty or the record is new.
    pub before: Option<String>,
    /// The value after; none when it was emptied or the record is gone.
    pub after: Option<String>,
}

impl Change {
    /// A change of one field.
    #[must_use]
    pub fn new(field: &str, before: Option<String>, after: Option<String>) -> Self {
        Self { field: field.to_owned(), before, after }
    }

    /// Adds the field to `changes` when the two values differ.
    pub fn note(changes: &mut Vec<Self>, field: &str, before: Option<String>, after: Option<String>) {
        if before != after {
            changes.push(Self::new(field, before, after));
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = activity_log, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Entry {
    pub id: Id,
    pub at: NaiveDateTime,
    pub actor_id: Option<Id>,
    pub actor_name: String,
    pub action: String,
    pub record_kind: String,
    pub record_id: Option<Id>,
    pub record_label: String,
    pub changes: String,
    pub search_key: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
}

impl Entry {
    /// The changes in order; empty when the text cannot be read.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        serde_json::from_str(&self.changes).unwrap_or_default()
    }

    /// How many entries, each about one record, this one sums up.
    fn sums_up(&self) -> i64 {
        let numbers = |change: Change| change.after?.parse::<i64>().ok();
        if self.record_kind == "students" { self.changes().into_iter().filter_map(numbers).sum() } else { 0 }
    }
}

impl Activity {
    /// Changes made with this are signed with `actor`'s name.
    #[must_use]
    pub fn new(actor: Actor) -> Self {
        Self { actor, limits: Limits::default() }
    }

    /// The same, held to what the institution's plan allows; without, there are no limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Appends an entry; call it inside the `write_tx` of the change. `action` is "noun.verb", `label`
    /// the record's name as people know it now.
    ///
    /// # Errors
    /// Any database error; the change must not happen then.
    pub fn record(
        &self,
        connection: &mut TenantConn,
        action: &str,
        record_kind: &str,
        record_id: Option<Id>,
        label: &str,
        changes: &[Change],
    ) -> ModelResult<()> {
        let entry = self.entry(action, record_kind, record_id, label, changes);
        diesel::insert_into(activity_log::table).values(&entry).execute(connection)?;
        Ok(())
    }

    /// An entry for [`record_many`](Self::record_many), dated now.
    #[must_use]
    pub fn entry(
        &self,
        action: &str,
        record_kind: &str,
        record_id: Option<Id>,
        label: &str,
        changes: &[Change],
    ) -> Entry {
        Entry {
            id: Id::new(),
            at: now(),
            actor_id: self.actor.id,
            actor_name: self.actor.name.clone(),
            action: action.to_owned(),
            record_kind: record_kind.to_owned(),
            record_id,
            record_label: label.to_owned(),
            changes: serde_json::to_string(changes).unwrap_or_else(|_| "[]".into()),
            search_key: search_key(label, &self.actor.name, action),
            ip: self.actor.ip.clone(),
            user_agent: self.actor.user_agent.clone(),
        }
    }

    /// Appends the entries of a bulk change; as [`record`](Self::record).
    ///
    /// # Errors
    /// Any database error; the change must not happen then.
    pub fn record_many(&self, connection: &mut TenantConn, entries: &[Entry]) -> ModelResult<()> {
        Ok(insert_many!(TenantConn: connection, activity_log::table, entries)?)
    }
}

/// What a search for an entry looks through, folded.
pub(super) fn search_key(label: &str, actor: &str, action: &str) -> String {
    fold(&format!("{label} {actor} {action}"))
}

/// Filters of the activity page.
#[derive(Debug, Clone, Default)]
pub struct ActivityFilter {
    /// Words in the record's name, the actor's name or the action.
    pub q: String,
    /// Only this action.
    pub action: Option<String>,
    /// Only records of this kind.
    pub record_kind: Option<String>,
    /// Only what this user did.
    pub actor_id: Option<Id>,
    /// Not before this moment.
    pub from: Option<NaiveDateTime>,
    /// Before this moment.
    pub until: Option<NaiveDateTime>,
}

fn matching(filter: &ActivityFilter) -> activity_log::BoxedQuery<'static, MultiBackend> {
    let mut query = containing!(activity_log::table.into_boxed(), filter.q, activity_log::search_key);
    if let Some(action) = &filter.action {
        query = query.filter(activity_log::action.eq(action.clone()));
    }
    if let Some(kind) = &filter.record_kind {
        query = query.filter(activity_log::record_kind.eq(kind.clone()));
    }
    if let Some(id) = filter.actor_id {
        query = query.filter(activity_log::actor_id.eq(id));
    }
    if let Some(from) = filter.from {
        query = query.filter(activity_log::at.ge(from));
    }
    if let Some(until) = filter.until {
        query = query.filter(activity_log::at.lt(until));
    }
    query
}

/// How many entries match.
///
/// # Errors
/// Any database error.
pub fn count(connection: &mut TenantConn, filter: &ActivityFilter) -> ModelResult<i64> {
    Ok(matching(filter).count().get_result(connection)?)
}

/// One page of the log, newest first unless asked otherwise. Ids are ordered by time and break ties.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut TenantConn,
    filter: &ActivityFilter,
    paging: &Paging,
) -> ModelResult<Slice<Entry>> {
    let total = count(connection, filter)?;
    let rows = ordered!(matching(filter), paging.descending, activity_log::at, activity_log::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Entry::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The newest lines of the log, of an import or another act on many only the one that sums it up: those for
/// each record stand right before it. What somebody else did in that very moment may be passed over with them.
///
/// # Errors
/// Any database error.
pub fn recent(connection: &mut TenantConn, limit: usize) -> ModelResult<Vec<Entry>> {
    let (mut found, mut passed) = (Vec::new(), 0);
    while found.len() < limit {
        let next = activity_log::table
            .order(activity_log::id.desc())
            .offset(passed)
            .select(Entry::as_select())
            .first(connection)
            .optional()?;
        let Some(entry) = next else { break };
        passed += 1 + entry.sums_up();
        found.push(entry);
    }
    Ok(found)
}

/// The next `limit` matching entries older than `before` (an id this function returned), newest
/// first: for reading the whole log in bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut TenantConn,
    filter: &ActivityFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<Entry>> {
    let mut query = matching(filter);
    if let Some(id) = before {
        query = query.filter(activity_log::id.lt(id));
    }
    Ok(query.order(activity_log::id.desc()).limit(limit).select(Entry::as_select()).load(connection)?)
}

/// When the oldest entry was written.
///
/// # Errors
/// Any database error.
pub fn oldest_at(connection: &mut TenantConn) -> ModelResult<Option<NaiveDateTime>> {
    Ok(activity_log::table.select(diesel::dsl::min(activity_log::at)).first(connection)?)
}

/// The next entries from before a moment, in the order of ids: for reading all of them in bounded pieces.
///
/// # Errors
/// Any database error.
pub fn before(
    connection: &mut TenantConn,
    moment: NaiveDateTime,
    after: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<Entry>> {
    let mut query = activity_log::table.filter(activity_log::at.lt(moment)).into_boxed();
    if let Some(last) = after {
        query = query.filter(activity_log::id.gt(last));
    }
    Ok(query.order(activity_log::id).limit(limit).select(Entry::as_select()).load(connection)?)
}

/// Removes some of the entries from before a moment; says how many. They are archived before.
///
/// # Errors
/// Any database error.
pub fn remove_before(connection: &mut TenantConn, moment: NaiveDateTime, most: i64) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let ids: Vec<Id> = activity_log::table
            .filter(activity_log::at.lt(moment))
            .order(activity_log::at)
            .limit(most)
            .select(activity_log::id)
            .load(c)?;
        for some in ids.chunks(500) {
            diesel::delete(activity_log::table.filter(activity_log::id.eq_any(some.to_vec()))).execute(c)?;
        }
        Ok(ids.len())
    })
}

/// One entry.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut TenantConn, id: Id) -> ModelResult<Entry> {
    Ok(activity_log::table.find(id).select(Entry::as_select()).first(connection)?)
}

/// The newest entries about one record.
///
/// # Errors
/// Any database error.
pub fn for_record(connection: &mut TenantConn, kind: &str, id: Id, limit: i64) -> ModelResult<Vec<Entry>> {
    Ok(activity_log::table
        .filter(activity_log::record_kind.eq(kind))
        .filter(activity_log::record_id.eq(id))
        .order((activity_log::at.desc(), activity_log::id.desc()))
        .limit(limit)
        .select(Entry::as_select())
        .load(connection)?)
}

/// Everybody who appears in the log, under their latest name and in the order of names: the choices of the
/// filter. Leaps from one actor to the next along an index, so that a long log costs no more than a short one.
///
/// # Errors
/// Any database error.
pub fn actors(connection: &mut TenantConn) -> ModelResult<Vec<(Id, String)>> {
    let mut actors: Vec<(Id, String)> = Vec::new();
    while actors.len() < MOST_ACTORS {
        let mut query = activity_log::table.filter(activity_log::actor_id.is_not_null()).into_boxed();
        if let Some((last, _)) = actors.last() {
            query = query.filter(activity_log::actor_id.gt(*last));
        }
        let next: Option<Option<Id>> = query
            .order(activity_log::actor_id.asc())
            .select(activity_log::actor_id)
            .first(connection)
            .optional()?;
        let Some(id) = next.flatten() else { break };
        let name = activity_log::table
            .filter(activity_log::actor_id.eq(id))
            .order(activity_log::at.desc())
            .select(activity_log::actor_name)
            .first(connection)?;
        actors.push((id, name));
    }
    actors.sort_by_cached_key(|(_, name)| fold(name));
    Ok(actors)
}
