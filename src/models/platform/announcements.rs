//! Announcements: what the platform says to its institutions, over their pages, for a while.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::json;

use super::{
    SharedBackend, ago,
    audit::{Audit, Subject},
    institutions::Institution,
};
use crate::{
    db::{Id, now, schema_shared::announcements, shared::SharedConn},
    models::{ModelError, ModelResult, Paging, Slice, containing, ordered, search::fold},
};

/// Announcements that hold at once, at most: a page shows the gravest only.
const MOST_CURRENT: i64 = 100;

/// Characters of what is said: it stands over every page.
pub const LONGEST: usize = 300;

crate::text_enum! {
    /// How grave it is.
    Level {
        /// Good to know.
        Info = "info",
        /// Something to look out for.
        Warning = "warning",
        /// Work on the platform: not everything answers.
        Maintenance = "maintenance",
    }
}

impl Level {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Info => "Information",
            Self::Warning => "Warning",
            Self::Maintenance => "Maintenance",
        }
    }
}

crate::text_enum! {
    /// To whom it is said.
    Audience { Everybody = "everybody", Plans = "plans", Institution = "institution" }
}

impl Audience {
    /// The words people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Everybody => "All institutions",
            Self::Plans => "Institutions on some plans",
            Self::Institution => "One institution",
        }
    }
}

/// An announcement.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = announcements)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Announcement {
    pub id: Id,
    pub text: String,
    pub level: Level,
    pub audience: Audience,
    /// Keys, separated by blanks.
    pub plans: String,
    pub institution_id: Option<Id>,
    pub starts_at: NaiveDateTime,
    pub ends_at: Option<NaiveDateTime>,
    /// Whether somebody can put it away.
    pub dismissible: i32,
    pub created_by: String,
    pub created_at: NaiveDateTime,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

/// What of an announcement people enter.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset, Insertable, serde::Serialize)]
#[diesel(table_name = announcements, treat_none_as_null = true, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct AnnouncementFields {
    pub text: String,
    pub level: Level,
    pub audience: Audience,
    pub plans: String,
    pub institution_id: Option<Id>,
    pub starts_at: NaiveDateTime,
    pub ends_at: Option<NaiveDateTime>,
    pub dismissible: i32,
}

impl Announcement {
    /// Whether it is shown at `at`.
    #[must_use]
    pub fn holds(&self, at: NaiveDateTime) -> bool {
        self.starts_at <= at && self.ends_at.is_none_or(|end| end > at)
    }

    /// Whether it is meant for this institution.
    #[must_use]
    pub fn concerns(&self, institution: &Institution) -> bool {
        match self.audience {
            Audience::Everybody => true,
            Audience::Plans => self.plans.split_whitespace().any(|plan| plan == institution.plan),
            Audience::Institution => self.institution_id == Some(institution.id),
        }
    }

    fn subject(&self) -> Subject<'_> {
        let label = self.text.as_str();
        Subject { kind: "announcement", id: Some(self.id), label, institution_id: self.institution_id }
    }
}

/// The announcement with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Announcement> {
    Ok(announcements::table.find(id).select(Announcement::as_select()).first(connection)?)
}

/// What holds now or begins within the hour: for keeping in memory for a moment.
///
/// # Errors
/// Any database error.
pub fn current(connection: &mut SharedConn) -> ModelResult<Vec<Announcement>> {
    let at = now();
    Ok(announcements::table
        .filter(announcements::starts_at.le(at + chrono::TimeDelta::hours(1)))
        .filter(announcements::ends_at.is_null().or(announcements::ends_at.gt(at)))
        .order(announcements::starts_at.desc())
        .limit(MOST_CURRENT)
        .select(Announcement::as_select())
        .load(connection)?)
}

/// Which announcements are asked for.
#[derive(Debug, Clone, Default)]
pub struct AnnouncementFilter {
    /// Words of it.
    pub q: String,
    /// Only this level.
    pub level: Option<Level>,
}

fn matching<'a>(filter: &AnnouncementFilter) -> announcements::BoxedQuery<'a, SharedBackend> {
    let query = containing!(announcements::table.into_boxed(), filter.q, announcements::search_key);
    match filter.level {
        Some(level) => query.filter(announcements::level.eq(level)),
        None => query,
    }
}

/// One page of those that match. Sorts by `from` (default) and `until`.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &AnnouncementFilter,
    paging: &Paging,
) -> ModelResult<Slice<Announcement>> {
    let total = matching(filter).count().get_result(connection)?;
    let (query, down) = (matching(filter), paging.descending);
    let sorted = match paging.sort.as_str() {
        "until" => ordered!(query, down, blank last announcements::ends_at, announcements::id),
        _ => ordered!(query, down, announcements::starts_at, announcements::id),
    };
    let rows = sorted
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Announcement::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Says something.
///
/// # Errors
/// Any database error.
pub fn create(
    connection: &mut SharedConn,
    audit: &Audit,
    fields: &AnnouncementFields,
) -> ModelResult<Announcement> {
    connection.write_tx(|connection| {
        let (id, at) = (Id::new(), now());
        diesel::insert_into(announcements::table)
            .values((
                announcements::id.eq(id),
                fields,
                announcements::search_key.eq(fold(&fields.text)),
                announcements::created_by.eq(&audit.actor.name),
                announcements::created_at.eq(at),
                announcements::updated_at.eq(at),
                announcements::version.eq(1_i64),
            ))
            .execute(connection)?;
        let made = find(connection, id)?;
        audit.record(connection, "announcement.created", &made.subject(), &json!({ "after": fields }))?;
        Ok(made)
    })
}

/// Changes the announcement that was read as `version`.
///
/// # Errors
/// `Changed` when somebody else saved first, `NotFound`, or any database error.
pub fn update(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    version: i64,
    fields: &AnnouncementFields,
) -> ModelResult<Announcement> {
    connection.write_tx(|connection| {
        let before = find(connection, id)?;
        let saved = diesel::update(announcements::table.find(id))
            .filter(announcements::version.eq(version))
            .set((
                fields,
                announcements::search_key.eq(fold(&fields.text)),
                announcements::updated_at.eq(now()),
                announcements::version.eq(version + 1),
            ))
            .execute(connection)?;
        if saved == 0 {
            let sentence = format!("Somebody else changed this announcement {}.", ago(before.updated_at));
            return Err(ModelError::Changed(sentence));
        }
        let after = find(connection, id)?;
        let detail = json!({ "before": before.text, "after": fields });
        audit.record(connection, "announcement.updated", &after.subject(), &detail)?;
        Ok(after)
    })
}

/// Takes it off the pages from now on.
///
/// # Errors
/// `Changed` when it has ended already, `NotFound`, or any database error.
pub fn end(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Announcement> {
    connection.write_tx(|connection| {
        let at = now();
        let open = announcements::ends_at.is_null().or(announcements::ends_at.gt(at));
        let ended = diesel::update(announcements::table.find(id))
            .filter(open)
            .set((
                announcements::ends_at.eq(at),
                announcements::updated_at.eq(at),
                announcements::version.eq(announcements::version + 1),
            ))
            .execute(connection)?;
        let now_it_is = find(connection, id)?;
        if ended == 0 {
            return Err(ModelError::Changed("This announcement has ended already.".into()));
        }
        audit.record(connection, "announcement.ended", &now_it_is.subject(), &json!({}))?;
        Ok(now_it_is)
    })
}
