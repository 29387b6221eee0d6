//! Addresses that are told of alerts, and what was sent to each.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde_json::json;

use super::audit::{Audit, Subject};
use crate::{
    db::{
        Id, now,
        schema_shared::{webhook_deliveries, webhooks},
        shared::SharedConn,
    },
    models::{ModelError, ModelResult, Paging, Slice, ordered},
};

/// More addresses than this nobody needs.
pub const MOST: i64 = 20;
/// What was sent is kept for so long.
const KEPT: TimeDelta = TimeDelta::days(30);

crate::text_enum! {
    /// Whether a webhook is told anything.
    WebhookStatus { Active = "active", Disabled = "disabled" }
}

crate::text_enum! {
    /// How far a delivery is.
    DeliveryStatus { Waiting = "waiting", Delivered = "delivered", GivenUp = "given_up" }
}

/// An address.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = webhooks)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Webhook {
    pub id: Id,
    pub url: String,
    pub status: WebhookStatus,
    /// Which secret it has: a new one has the next number.
    pub secret_number: i32,
    pub created_at: NaiveDateTime,
    pub created_by: String,
}

impl Webhook {
    fn subject(&self) -> Subject<'_> {
        Subject { kind: "webhook", id: Some(self.id), label: &self.url, institution_id: None }
    }
}

/// One message to one address.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Delivery {
    pub id: Id,
    pub webhook_id: Id,
    pub event: String,
    pub body: String,
    pub status: DeliveryStatus,
    pub attempts: i32,
    pub next_attempt_at: NaiveDateTime,
    /// The HTTP status of the last answer.
    pub answer: Option<i32>,
    pub error: Option<String>,
    pub created_at: NaiveDateTime,
    pub ended_at: Option<NaiveDateTime>,
}

/// Adds an address.
///
/// # Errors
/// [`ModelError::Refused`] when there are many already; any database error.
pub fn create(connection: &mut SharedConn, audit: &Audit, url: &str) -> ModelResult<Webhook> {
    connection.write_tx(|c| {
        let count: i64 = webhooks::table.count().get_result(c)?;
        if count >= MOST {
            return Err(ModelError::Refused(format!(
                "There are {count} webhooks already, which is the most. Remove one first."
            )));
        }
        let id = Id::new();
        diesel::insert_into(webhooks::table)
            .values((
                webhooks::id.eq(id),
                webhooks::url.eq(url),
                webhooks::status.eq(WebhookStatus::Active),
                webhooks::secret_number.eq(1),
                webhooks::created_at.eq(now()),
                webhooks::created_by.eq(&audit.actor.name),
            ))
            .execute(c)?;
        let webhook = find(c, id)?;
        audit.record(c, "webhook.created", &webhook.subject(), &json!({}))?;
        Ok(webhook)
    })
}

/// The webhook with this id.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn find(connection: &mut SharedConn, id: Id) -> ModelResult<Webhook> {
    Ok(webhooks::table.find(id).select(Webhook::as_select()).first(connection)?)
}

/// One page of the webhooks, by when they were made.
///
/// # Errors
/// Any database error.
pub fn page(connection: &mut SharedConn, paging: &Paging) -> ModelResult<Slice<Webhook>> {
    let total = webhooks::table.count().get_result(connection)?;
    let rows = ordered!(webhooks::table.into_boxed(), paging.descending, webhooks::created_at, webhooks::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Webhook::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}

/// Switches a webhook on or off.
///
/// # Errors
/// [`ModelError::Changed`] when it is so already; `NotFound`; any database error.
pub fn set_status(
    connection: &mut SharedConn,
    audit: &Audit,
    id: Id,
    status: WebhookStatus,
) -> ModelResult<Webhook> {
    connection.write_tx(|c| {
        let changed = diesel::update(webhooks::table.find(id))
            .filter(webhooks::status.ne(status))
            .set(webhooks::status.eq(status))
            .execute(c)?;
        let webhook = find(c, id)?;
        if changed == 0 {
            return Err(ModelError::Changed(format!("The webhook is {status} already.")));
        }
        let action = if status == WebhookStatus::Active { "webhook.enabled" } else { "webhook.disabled" };
        audit.record(c, action, &webhook.subject(), &json!({}))?;
        Ok(webhook)
    })
}

/// Gives a webhook a new secret; what is signed with the old one is not believed any more.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn renew_secret(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Webhook> {
    connection.write_tx(|c| {
        diesel::update(webhooks::table.find(id))
            .set(webhooks::secret_number.eq(webhooks::secret_number + 1))
            .execute(c)?;
        let webhook = find(c, id)?;
        audit.record(c, "webhook.secret_renewed", &webhook.subject(), &json!({}))?;
        Ok(webhook)
    })
}

/// Removes a webhook and the log of what was sent to it.
///
/// # Errors
/// `NotFound`, or any database error.
pub fn remove(connection: &mut SharedConn, audit: &Audit, id: Id) -> ModelResult<Webhook> {
    connection.write_tx(|c| {
        let webhook = find(c, id)?;
        diesel::delete(webhooks::table.find(id)).execute(c)?;
        audit.record(c, "webhook.removed", &webhook.subject(), &json!({}))?;
        Ok(webhook)
    })
}

/// Puts a message for one webhook on its way. Call it in the `write_tx` of what it tells.
///
/// # Errors
/// Any database error.
pub fn enqueue(c: &mut SharedConn, webhook_id: Id, event: &str, body: &str) -> ModelResult<Id> {
    let id = Id::new();
    diesel::insert_into(webhook_deliveries::table)
        .values((
            webhook_deliveries::id.eq(id),
            webhook_deliveries::webhook_id.eq(webhook_id),
            webhook_deliveries::event.eq(event),
            webhook_deliveries::body.eq(body),
            webhook_deliveries::status.eq(DeliveryStatus::Waiting),
            webhook_deliveries::attempts.eq(0),
            webhook_deliveries::next_attempt_at.eq(now()),
            webhook_deliveries::created_at.eq(now()),
        ))
        .execute(c)?;
    Ok(id)
}

/// As [`enqueue`], for every webhook that is active.
///
/// # Errors
/// Any database error.
pub fn tell_all(c: &mut SharedConn, event: &str, body: &str) -> ModelResult<()> {
    let active: Vec<Id> = webhooks::table
        .filter(webhooks::status.eq(WebhookStatus::Active))
        .limit(MOST)
        .select(webhooks::id)
        .load(c)?;
    for id in active {
        enqueue(c, id, event, body)?;
    }
    Ok(())
}

/// The messages that are due, each with its webhook. Those of a webhook that is switched off wait.
///
/// # Errors
/// Any database error.
pub fn due(connection: &mut SharedConn, limit: i64) -> ModelResult<Vec<(Delivery, Webhook)>> {
    Ok(webhook_deliveries::table
        .inner_join(webhooks::table)
        .filter(webhook_deliveries::status.eq(DeliveryStatus::Waiting))
        .filter(webhook_deliveries::next_attempt_at.le(now()))
        .filter(webhooks::status.eq(WebhookStatus::Active))
        .order((webhook_deliveries::next_attempt_at, webhook_deliveries::id))
        .limit(limit)
        .select((Delivery::as_select(), Webhook::as_select()))
        .load(connection)?)
}

/// Takes a message for an attempt: for `hold` nobody else does. False when another was faster.
///
/// # Errors
/// Any database error.
pub fn claim(connection: &mut SharedConn, delivery: &Delivery, hold: TimeDelta) -> ModelResult<bool> {
    let claimed = diesel::update(webhook_deliveries::table.find(delivery.id))
        .filter(webhook_deliveries::attempts.eq(delivery.attempts))
        .filter(webhook_deliveries::status.eq(DeliveryStatus::Waiting))
        .set((
            webhook_deliveries::attempts.eq(delivery.attempts + 1),
            webhook_deliveries::next_attempt_at.eq(now() + hold),
        ))
        .execute(connection)?;
    Ok(claimed == 1)
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// The HTTP status, where there was an answer.
    pub answer: Option<i32>,
    /// Why it is not delivered.
    pub error: Option<String>,
    /// When to try again; none when it is not.
    pub again_at: Option<NaiveDateTime>,
}

/// Notes how an attempt ended.
///
/// # Errors
/// Any database error.
pub fn attempted(connection: &mut SharedConn, id: Id, attempted: &Attempted) -> ModelResult<()> {
    let status = match (&attempted.error, attempted.again_at) {
        (None, _) => DeliveryStatus::Delivered,
        (Some(_), Some(_)) => DeliveryStatus::Waiting,
        (Some(_), None) => DeliveryStatus::GivenUp,
    };
    let ended = (status != DeliveryStatus::Waiting).then(now);
    diesel::update(webhook_deliveries::table.find(id))
        .set((
            webhook_deliveries::status.eq(status),
            webhook_deliveries::answer.eq(attempted.answer),
            webhook_deliveries::error.eq(&attempted.error),
            webhook_deliveries::next_attempt_at.eq(attempted.again_at.unwrap_or_else(now)),
            webhook_deliveries::ended_at.eq(ended),
        ))
        .execute(connection)?;
    Ok(())
}

/// What was last sent to a webhook, the newest first.
///
/// # Errors
/// Any database error.
pub fn deliveries(connection: &mut SharedConn, webhook_id: Id, limit: i64) -> ModelResult<Vec<Delivery>> {
    Ok(webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook_id))
        .order(webhook_deliveries::id.desc())
        .limit(limit)
        .select(Delivery::as_select())
        .load(connection)?)
}

/// Forgets what was sent long ago; says how many.
///
/// # Errors
/// Any database error.
pub fn purge(connection: &mut SharedConn) -> ModelResult<usize> {
    connection.write_tx(|c| {
        let old = webhook_deliveries::table.filter(webhook_deliveries::ended_at.lt(now() - KEPT));
        Ok(diesel::delete(old).execute(c)?)
    })
}
