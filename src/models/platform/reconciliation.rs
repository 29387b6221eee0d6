//! Where the registry and what is really there differ: each difference once, from the day it was first seen until it
//! is seen no more.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde::Serialize;

use crate::{
    db::{
        Id, now,
        schema_shared::{institutions, reconciliation_findings as findings},
        shared::SharedConn,
    },
    models::{ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend, search::fold},
};

crate::text_enum! {
    /// In what they differ.
    FindingKind {
        /// An institution in use that has no database by its row.
        NoDatabase = "no_database",
        /// A database that serves by its row, and does not exist.
        MissingDatabase = "missing_database",
        /// A database that is out of service by its row, and exists.
        LeftDatabase = "left_database",
        /// A database that no row knows.
        UnknownDatabase = "unknown_database",
        /// A role on the server that no row knows.
        UnknownRole = "unknown_role",
        /// What an interrupted removal has left on the server.
        InvalidDatabase = "invalid_database",
        /// A name that was reserved, and nobody works on it.
        HalfMade = "half_made",
        /// A database says another schema version than its row.
        VersionDrift = "version_drift",
        /// A log without its database.
        StrayLog = "stray_log",
        /// What a removal was interrupted at.
        Trash = "trash",
        /// A copy that does not exist.
        MissingCopy = "missing_copy",
        /// A backup whose file is gone.
        MissingBackup = "missing_backup",
    }
}

/// How long something unknown must have been seen before it may be removed: somebody may know it.
pub const UNKNOWN_FOR: TimeDelta = TimeDelta::days(7);

impl FindingKind {
    /// For a person.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoDatabase => "Institution without a database",
            Self::MissingDatabase => "Database is missing",
            Self::LeftDatabase => "Database was left over",
            Self::UnknownDatabase => "Unknown database",
            Self::UnknownRole => "Unknown role",
            Self::InvalidDatabase => "Half-removed database",
            Self::HalfMade => "Half-made institution",
            Self::VersionDrift => "Other schema version",
            Self::StrayLog => "Log without its database",
            Self::Trash => "Rest of a removal",
            Self::MissingCopy => "Copy is missing",
            Self::MissingBackup => "Backup is missing",
        }
    }

    /// Of several, for a person.
    #[must_use]
    pub const fn problem(self) -> &'static str {
        match self {
            Self::NoDatabase => "Institutions in use without a database",
            Self::MissingDatabase => "Databases are registered and do not exist",
            Self::LeftDatabase => "Databases of archived or deleted institutions are still there",
            Self::UnknownDatabase => "Databases belong to no institution",
            Self::UnknownRole => "Roles on the server belong to no institution",
            Self::InvalidDatabase => "Databases are half removed",
            Self::HalfMade => "Databases are half made, and nobody works on them",
            Self::VersionDrift => "Databases have another schema version than the registry says",
            Self::StrayLog => "Folders have a log without its database",
            Self::Trash => "Removals were interrupted and left something",
            Self::MissingCopy => "Copies are registered and do not exist",
            Self::MissingBackup => "Backups are registered and their files are gone",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoDatabase => "Restore the shared database and theirs from the same backup.",
            Self::MissingDatabase => "Restore it from a backup.",
            Self::LeftDatabase => "Remove it: the institution is archived or deleted.",
            Self::UnknownDatabase => {
                "Look what is in it. If nobody needs it, it can be removed after 7 days."
            }
            Self::UnknownRole => "If nobody needs it, it can be removed after 7 days.",
            Self::InvalidDatabase => "Remove it: nobody can use it. If an institution used it, restore that.",
            Self::HalfMade => "Take the set-up back, or begin it again.",
            Self::VersionDrift => "Note the version that the database itself says.",
            Self::StrayLog => "Remove the log: without its database it is of no use.",
            Self::Trash => "Remove the rest.",
            Self::MissingCopy => "Forget the copy.",
            Self::MissingBackup => "Forget the backup: it cannot be restored.",
        }
    }

    /// The button, where one click mends it.
    #[must_use]
    pub const fn repair(self) -> Option<&'static str> {
        match self {
            Self::NoDatabase | Self::MissingDatabase => None,
            Self::LeftDatabase | Self::UnknownDatabase | Self::InvalidDatabase => Some("Remove database"),
            Self::UnknownRole => Some("Remove role"),
            Self::HalfMade => Some("Finish or take back"),
            Self::VersionDrift => Some("Note the version"),
            Self::StrayLog => Some("Remove log"),
            Self::Trash => Some("Remove rest"),
            Self::MissingCopy => Some("Forget copy"),
            Self::MissingBackup => Some("Forget backup"),
        }
    }

    /// Whether something does not work because of it, now.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::NoDatabase | Self::MissingDatabase)
    }

    /// Whether somebody may know what the registry does not.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::UnknownDatabase | Self::UnknownRole)
    }
}

/// A difference that was seen just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// In what.
    pub kind: FindingKind,
    /// The name of the database, role, folder, copy or backup, or the domain.
    pub subject: String,
    /// Whose, where that is known.
    pub institution_id: Option<Id>,
    /// More about it, for a person.
    pub detail: String,
}

/// A difference as it is kept.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = findings)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Finding {
    pub id: Id,
    pub kind: FindingKind,
    pub subject: String,
    pub institution_id: Option<Id>,
    pub detail: String,
    pub first_seen_at: NaiveDateTime,
    pub last_seen_at: NaiveDateTime,
}

impl Finding {
    /// Whether one click may mend it at `at`.
    #[must_use]
    pub fn may_be_repaired(&self, at: NaiveDateTime) -> bool {
        self.kind.repair().is_some() && (!self.kind.is_unknown() || self.first_seen_at <= at - UNKNOWN_FOR)
    }

    /// Whether it is what was found just now.
    #[must_use]
    pub fn is(&self, found: &Found) -> bool {
        self.kind == found.kind && self.subject == found.subject
    }
}

/// Enters what was found, and takes out what is not there any more. Returns how many are new.
///
/// # Errors
/// Any database error.
pub fn settle(connection: &mut SharedConn, found: &[Found]) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        let known: Vec<Finding> = findings::table.select(Finding::as_select()).load(connection)?;
        for gone in known.iter().filter(|known| !found.iter().any(|found| known.is(found))) {
            forget(connection, gone.id)?;
        }
        let mut new = 0;
        for found in found {
            if let Some(known) = known.iter().find(|known| known.is(found)) {
                diesel::update(findings::table.find(known.id))
                    .set((findings::last_seen_at.eq(now()), findings::detail.eq(&found.detail)))
                    .execute(connection)?;
            } else {
                insert(connection, found)?;
                new += 1;
            }
        }
        Ok(new)
    })
}

fn insert(connection: &mut SharedConn, found: &Found) -> ModelResult<()> {
    diesel::insert_into(findings::table)
        .values((
            findings::id.eq(Id::new()),
            findings::kind.eq(found.kind),
            findings::subject.eq(&found.subject),
            findings::search_key.eq(fold(&found.subject)),
            findings::institution_id.eq(found.institution_id),
            findings::detail.eq(&found.detail),
            findings::first_seen_at.eq(now()),
            findings::last_seen_at.eq(now()),
        ))
        .execute(connection)?;
    Ok(())
}

/// One difference.
///
/// # Errors
/// Any database error; `NotFound` when it is seen no more.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Finding> {
    Ok(findings::table.find(id).select(Finding::as_select()).first(connection)?)
}

/// Takes one out.
///
/// # Errors
/// Any database error.
pub fn forget(connection: &mut SharedConn, id: Id) -> ModelResult<()> {
    diesel::delete(findings::table.find(id)).execute(connection)?;
    Ok(())
}

/// Filters of the page.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Part of a name.
    pub q: String,
    /// Only this kind.
    pub kind: Option<FindingKind>,
}

/// A difference, with the domain of its institution.
#[derive(Debug, Clone, Queryable)]
#[expect(missing_docs, reason = "the columns of the two tables, under their own names")]
pub struct FindingRow {
    pub finding: Finding,
    pub domain: Option<String>,
}

type Matching<'a> =
    diesel::dsl::IntoBoxed<'a, diesel::dsl::LeftJoin<findings::table, institutions::table>, SharedBackend>;

fn matching<'a>(filter: &FindingFilter) -> Matching<'a> {
    let query = containing!(
        findings::table.left_join(institutions::table).into_boxed(),
        filter.q,
        findings::search_key
    );
    match filter.kind {
        Some(kind) => query.filter(findings::kind.eq(kind)),
        None => query,
    }
}

/// One page of the differences that match. Sorts by `subject` (default) or `seen`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &FindingFilter,
    paging: &Paging,
) -> ModelResult<Slice<FindingRow>> {
    let total = matching(filter).count().get_result(connection)?;
    let sorted = match paging.sort.as_str() {
        "seen" => ordered!(matching(filter), paging.descending, findings::first_seen_at, findings::id),
        _ => ordered!(matching(filter), paging.descending, findings::subject, findings::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select((Finding::as_select(), institutions::domain.nullable()))
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// The next `limit` matching differences before the one with this id, newest first: for reading all that match in
/// bounded pieces. Ids are ordered by time.
///
/// # Errors
/// Any database error.
pub fn older_than(
    connection: &mut SharedConn,
    filter: &FindingFilter,
    before: Option<Id>,
    limit: i64,
) -> ModelResult<Vec<FindingRow>> {
    let mut query = matching(filter);
    if let Some(last) = before {
        query = query.filter(findings::id.lt(last));
    }
    Ok(query
        .order(findings::id.desc())
        .limit(limit)
        .select((Finding::as_select(), institutions::domain.nullable()))
        .load(connection)?)
}
