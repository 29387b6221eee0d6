//! Looks at every rule, keeps what fires and since when, and tells super admins and webhooks of each change once.

use std::sync::Arc;

use serde_json::json;

use super::rules::RULES;
use crate::{
    db::shared::SharedConn,
    models::{
        ModelResult,
        platform::{
            admins,
            alerts::{self, Alert, Changes, Found},
            notifications::{self, Topic},
            webhooks,
        },
        text::Email,
    },
    services::{mail_texts::Recipient, outbox, platform::Platform},
};

/// The scheduled job.
pub(crate) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    evaluate(platform).map(|_| ())
}

/// Looks at every rule once; says what fires and what is resolved since.
///
/// # Errors
/// When the shared database fails.
pub fn evaluate(platform: &Platform) -> Result<Changes, String> {
    let mut looked = Vec::new();
    let mut found = Vec::new();
    for rule in RULES {
        match (rule.look)(platform) {
            Ok(findings) => {
                looked.push(rule.name);
                found.extend(findings);
            }
            Err(error) => log::warn!("the rule {} could not look cause={error:?}", rule.name),
        }
    }
    settle(platform, &looked, &found).map_err(|error| error.to_string())
}

/// Brings the alerts of these rules to what was found, and tells of every change. For rules that look elsewhere, such
/// as at the end of an operation.
///
/// # Errors
/// Any database error; nobody is told anything then.
pub fn settle(platform: &Platform, rules: &[&str], found: &[Found]) -> ModelResult<Changes> {
    platform.shared.get()?.write_tx(|c| {
        let changes = alerts::settle(c, rules, found)?;
        for alert in &changes.fired {
            webhooks::tell_all(c, "alert.fired", &body(platform, "alert.fired", alert))?;
            notifications::tell_admins(c, Topic::Alert, &alert.summary, &alert.link)?;
        }
        for alert in &changes.resolved {
            webhooks::tell_all(c, "alert.resolved", &body(platform, "alert.resolved", alert))?;
        }
        mail(c, platform, &changes.fired)?;
        Ok(changes)
    })
}

/// One mail to each super admin for all that has begun to fire at this look.
fn mail(c: &mut SharedConn, platform: &Platform, fired: &[Alert]) -> ModelResult<()> {
    if fired.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        fired.iter().map(|alert| format!("{} {} {}", alert.summary, alert.advice, runbook(alert))).collect();
    for admin in admins::all_active(c)? {
        let Ok(email) = Email::parse(&admin.email) else { continue };
        let to = Recipient { email: &email, name: &admin.name };
        let message = platform.mail_texts.alerts(to, &lines, &platform.link("/platform/alerts"));
        outbox::enqueue(c, &platform.keys, None, &message)?;
    }
    Ok(())
}

/// Where the steps are written down.
#[must_use]
pub fn runbook(alert: &Alert) -> String {
    format!("See {} in docs/runbooks.md.", alert.rule)
}

/// What a webhook is told: the event, when it happened, and the alert.
fn body(platform: &Platform, event: &str, alert: &Alert) -> String {
    json!({
        "type": event,
        "timestamp": alert.resolved_at.unwrap_or(alert.firing_since).and_utc().to_rfc3339(),
        "data": {
            "id": alert.id,
            "rule": alert.rule,
            "severity": alert.severity,
            "institution_id": alert.institution_id,
            "summary": alert.summary,
            "advice": alert.advice,
            "runbook": format!("docs/runbooks.md#{}", alert.rule),
            "link": platform.link(&alert.link),
            "firing_since": alert.firing_since.and_utc().to_rfc3339(),
            "resolved_at": alert.resolved_at.map(|at| at.and_utc().to_rfc3339()),
        }
    })
    .to_string()
}
