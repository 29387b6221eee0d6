//! Tells webhooks, signed as Standard Webhooks asks for: whoever has the secret can tell that a message is ours, and new.

use base64::Engine as _;
use chrono::{TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::network;
use crate::{
    db::{Id, now, shared::SharedConn},
    models::{
        ModelError, ModelResult,
        platform::webhooks::{self, Attempted, Delivery, Webhook, WebhookStatus},
    },
    services::{keys::Keys, platform::Platform},
};

/// Messages sent at one go.
const BATCH: i64 = 20;
/// While somebody sends a message, for so long nobody else does.
const HOLD: TimeDelta = TimeDelta::seconds(60);
/// Seconds before the second attempt, the third, and so on; after the last, a message is given up.
const WAITS: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 86_400];

/// The secret of a webhook as its receiver keeps it. Derived from the platform's keys: nothing is stored.
#[must_use]
pub fn secret(keys: &Keys, webhook: &Webhook) -> String {
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key(keys, webhook)))
}

fn key(keys: &Keys, webhook: &Webhook) -> Vec<u8> {
    let mut what = webhook.id.as_bytes().to_vec();
    what.extend_from_slice(&webhook.secret_number.to_be_bytes());
    keys.hash("webhook", &what)
}

/// The signature of a message: over its id, the time and the body.
#[must_use]
pub fn signature(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    for part in [id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
}

/// Puts a message on its way that says nothing but that it arrives.
///
/// # Errors
/// [`ModelError::Changed`] when the webhook is disabled; `NotFound`; any database error.
pub fn send_test(connection: &mut SharedConn, webhook_id: Id) -> ModelResult<Webhook> {
    let body = json!({
        "type": "webhook.test",
        "timestamp": Utc::now().to_rfc3339(),
        "data": { "message": "This is a test. If you can read it and its signature is right, all is well." }
    });
    connection.write_tx(|c| {
        let webhook = webhooks::find(c, webhook_id)?;
        if webhook.status != WebhookStatus::Active {
            return Err(ModelError::Changed("The webhook is disabled.".into()));
        }
        webhooks::enqueue(c, webhook_id, "webhook.test", &body.to_string())?;
        Ok(webhook)
    })
}

/// Sends what is due; begins no further message once `keep_going` says no. Says how many arrived. Blocks.
///
/// # Errors
/// Any database error. A message that does not arrive is tried again later.
pub fn send_due_while(platform: &Platform, keep_going: impl Fn() -> bool) -> ModelResult<usize> {
    let due = webhooks::due(&mut *platform.shared.get()?, BATCH)?;
    let mut arrived = 0;
    for (delivery, webhook) in due {
        if !keep_going() {
            break;
        }
        if !webhooks::claim(&mut *platform.shared.get()?, &delivery, HOLD)? {
            continue;
        }
        // No connection is held while another server is talked to.
        let outcome = send(platform, &delivery, &webhook);
        arrived += usize::from(outcome.error.is_none());
        webhooks::attempted(&mut *platform.shared.get()?, delivery.id, &outcome)?;
    }
    Ok(arrived)
}

fn send(platform: &Platform, delivery: &Delivery, webhook: &Webhook) -> Attempted {
    let id = format!("msg_{}", delivery.id);
    let timestamp = Utc::now().timestamp();
    let headers = [
        ("webhook-id", id.clone()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature(&key(&platform.keys, webhook), &id, timestamp, &delivery.body)),
    ];
    let private = platform.settings.webhooks_to_private_networks;
    let answered = network::post(&webhook.url, private, &headers, &delivery.body);
    let (answer, error) = match answered {
        Ok(status @ 200..=299) => (Some(status), None),
        // Gone for good, says HTTP.
        Ok(410) => return Attempted { answer: Some(410), error: Some(told(410)), again_at: None },
        Ok(status) => (Some(status), Some(told(status))),
        Err(words) => (None, Some(words)),
    };
    let wait = usize::try_from(delivery.attempts).ok().and_then(|attempt| WAITS.get(attempt));
    let again_at = wait.filter(|_| error.is_some()).map(|seconds| now() + TimeDelta::seconds(*seconds));
    Attempted { answer: answer.map(i32::from), error, again_at }
}

fn told(status: u16) -> String {
    format!("It answered with HTTP status {status}.")
}
