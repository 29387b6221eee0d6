//! Notifications: what a person should know, whenever they look next. One row for each who is told.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::{SharedBackend, admins};
use crate::{
    db::{Id, now, schema_shared::notifications, shared::SharedConn},
    models::{ModelResult, Paging, Slice, containing, ordered, search::fold},
};

crate::text_enum! {
    /// What it is about.
    Topic {
        Registration = "registration",
        Operation = "operation",
        Alert = "alert",
        Subscription = "subscription",
        Suspension = "suspension",
        Limit = "limit",
        Import = "import",
    }
}

/// A notification.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = notifications)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Notification {
    pub id: Id,
    pub kind: Topic,
    pub text: String,
    /// A local path: where to look closer.
    pub href: String,
    pub created_at: NaiveDateTime,
    pub read_at: Option<NaiveDateTime>,
}

/// What people are told.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct News<'a> {
    pub topic: Topic,
    /// The institution whose people are told; none for those who run the platform.
    pub institution_id: Option<Id>,
    pub text: &'a str,
    pub href: &'a str,
}

/// Tells these people. Call it inside the `write_tx` of what it is about.
///
/// # Errors
/// Any database error.
pub fn tell(connection: &mut SharedConn, recipients: &[Id], news: &News<'_>) -> ModelResult<()> {
    for recipient in recipients {
        diesel::insert_into(notifications::table)
            .values((
                notifications::id.eq(Id::new()),
                notifications::recipient_id.eq(*recipient),
                notifications::institution_id.eq(news.institution_id),
                notifications::kind.eq(news.topic),
                notifications::text.eq(news.text),
                notifications::search_key.eq(fold(news.text)),
                notifications::href.eq(news.href),
                notifications::created_at.eq(now()),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Tells everybody who runs the platform: the way in for alerts too.
///
/// # Errors
/// Any database error.
pub fn tell_admins(connection: &mut SharedConn, topic: Topic, text: &str, href: &str) -> ModelResult<()> {
    let admins: Vec<Id> = admins::all_active(connection)?.into_iter().map(|admin| admin.id).collect();
    tell(connection, &admins, &News { topic, institution_id: None, text, href })
}

/// How many this person has not read; reads an index only.
///
/// # Errors
/// Any database error.
pub fn unread(connection: &mut SharedConn, recipient: Id) -> ModelResult<i64> {
    Ok(notifications::table
        .filter(notifications::recipient_id.eq(recipient))
        .filter(notifications::read_at.is_null())
        .count()
        .get_result(connection)?)
}

/// Whose notifications, and which.
#[derive(Debug, Clone)]
pub struct NotificationFilter {
    /// Whose.
    pub recipient: Id,
    /// Words of it.
    pub q: String,
    /// Only those not read, or only those read.
    pub unread: Option<bool>,
}

fn matching<'a>(filter: &NotificationFilter) -> notifications::BoxedQuery<'a, SharedBackend> {
    let query = containing!(notifications::table.into_boxed(), filter.q, notifications::search_key)
        .filter(notifications::recipient_id.eq(filter.recipient));
    match filter.unread {
        Some(true) => query.filter(notifications::read_at.is_null()),
        Some(false) => query.filter(notifications::read_at.is_not_null()),
        None => query,
    }
}

/// One page of a person's notifications, by time.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &NotificationFilter,
    paging: &Paging,
) -> ModelResult<Slice<Notification>> {
    let total = matching(filter).count().get_result(connection)?;
    let rows = ordered!(matching(filter), paging.descending, notifications::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Notification::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Marks one of this person's own as read, or all of them; returns how many were unread.
///
/// # Errors
/// Any database error.
pub fn mark_read(connection: &mut SharedConn, recipient: Id, id: Option<Id>) -> ModelResult<usize> {
    let mut unread = notifications::table
        .filter(notifications::recipient_id.eq(recipient))
        .filter(notifications::read_at.is_null())
        .select(notifications::id)
        .into_boxed();
    if let Some(id) = id {
        unread = unread.filter(notifications::id.eq(id));
    }
    connection.write_tx(|connection| {
        let ids: Vec<Id> = unread.limit(10_000).load(connection)?;
        for chunk in ids.chunks(500) {
            diesel::update(notifications::table.filter(notifications::id.eq_any(chunk.to_vec())))
                .set(notifications::read_at.eq(now()))
                .execute(connection)?;
        }
        Ok(ids.len())
    })
}

/// Forgets what was told before; returns how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn, before: NaiveDateTime) -> ModelResult<usize> {
    connection.write_tx(|connection| {
        Ok(diesel::delete(notifications::table.filter(notifications::created_at.lt(before)))
            .execute(connection)?)
    })
}
