//! What the platform forgets, and when: nothing about people is kept for longer than it is of use.

use std::sync::Arc;

use chrono::TimeDelta;

use super::platform::Platform;
use crate::{
    db::{now, shared::SharedConn},
    models::{
        ModelResult,
        platform::{
            account_tokens, alerts, imports, maintenance, notifications, operations, outgoing_mails,
            platform_settings, registrations, security_log, sessions, slow_queries, throttles, usage,
            webhooks,
        },
    },
};

/// The scheduled job.
pub(super) fn run(platform: &Arc<Platform>) -> Result<(), String> {
    let mut connection = platform.shared.get().map_err(|error| error.to_string())?;
    let swept = sweep(&mut connection).map_err(|error| error.to_string())?;
    if swept != Swept::default() {
        log::info!("swept {swept:?}");
    }
    Ok(())
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what was removed")]
pub struct Swept {
    pub sessions: usize,
    pub throttles: usize,
    pub links: usize,
    pub uploaded_files: usize,
    pub sent_mails: usize,
    pub security_events: usize,
    pub rejected_passwords: usize,
    pub figures: usize,
    pub alerts: usize,
    pub notifications: usize,
    pub operations: usize,
}

/// Forgets what has had its time. Each kind in a transaction of its own, so that nobody waits for long.
///
/// # Errors
/// Any database error; what was forgotten until then stays so.
pub fn sweep(connection: &mut SharedConn) -> ModelResult<Swept> {
    let keeping = platform_settings::keeping(connection)?;
    let before = |days: i64| now() - TimeDelta::days(days);
    let (short, operations) = (before(keeping.mail_days), before(keeping.operation_days));
    Ok(Swept {
        sessions: sessions::sweep(connection)?,
        throttles: throttles::sweep(connection)?,
        links: account_tokens::purge(connection, short)?,
        uploaded_files: imports::purge(connection, short)?,
        sent_mails: outgoing_mails::purge(connection, short)?,
        security_events: security_log::purge(connection, before(keeping.security_days))?,
        rejected_passwords: registrations::forget_rejected_passwords(connection, short)?,
        figures: usage::purge(connection)? + slow_queries::purge(connection)?,
        alerts: alerts::purge(connection)? + webhooks::purge(connection)?,
        notifications: notifications::purge(connection, before(keeping.notification_days))?,
        operations: operations::purge(connection, operations)? + maintenance::purge(connection, operations)?,
    })
}
