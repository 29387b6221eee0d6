//! Settings of the platform that super admins change while it runs.

use diesel::prelude::*;
use serde_json::json;

use super::audit::{Audit, Subject};
use crate::{
    db::{now, schema_shared::platform_settings, shared::SharedConn},
    models::{ModelError, ModelResult},
};

crate::text_enum! {
    /// What happens when an institution registers.
    SignupPolicy {
        /// A super admin decides.
        Approval = "approval",
        /// It is set up at once, on a trial.
        Automatic = "automatic",
    }
}

impl SignupPolicy {
    /// The words people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Approval => "A super admin decides about every registration",
            Self::Automatic => "Every registration is set up at once, on a 14-day trial",
        }
    }
}

const SIGNUP: &str = "signup";

/// The policy chosen on the settings page; none means that the configuration decides.
///
/// # Errors
/// Any database error.
pub fn signup_override(connection: &mut SharedConn) -> ModelResult<Option<SignupPolicy>> {
    Ok(get(connection, SIGNUP)?.and_then(|text| text.parse().ok()))
}

/// The same with its version, to be handed to [`set_signup_override`]: 0 while nothing is stored.
///
/// # Errors
/// Any database error.
pub fn signup_at(connection: &mut SharedConn) -> ModelResult<(Option<SignupPolicy>, i64)> {
    let stored: Option<(String, chrono::NaiveDateTime)> = platform_settings::table
        .find(SIGNUP)
        .select((platform_settings::value, platform_settings::updated_at))
        .first(connection)
        .optional()?;
    Ok(match stored {
        Some((text, at)) => (text.parse().ok(), at.and_utc().timestamp_micros()),
        None => (None, 0),
    })
}

/// Chooses the policy, or (none) leaves it to the configuration again.
///
/// # Errors
/// `Changed` when somebody chose since `version`; any database error.
pub fn set_signup_override(
    connection: &mut SharedConn,
    audit: &Audit,
    version: i64,
    policy: Option<SignupPolicy>,
) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let (before, now_at) = signup_at(connection)?;
        if now_at != version {
            return Err(ModelError::Changed(
                "Another super admin has changed the settings meanwhile.".into(),
            ));
        }
        if before == policy {
            return Ok(());
        }
        match policy {
            Some(policy) => set(connection, SIGNUP, policy.as_str())?,
            None => remove(connection, SIGNUP)?,
        }
        let subject = Subject { kind: "setting", id: None, label: SIGNUP, institution_id: None };
        audit.record(connection, "setting.changed", &subject, &json!({ "before": before, "after": policy }))
    })
}

/// For how many days what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Keeping {
    /// The audit log; older entries are archived.
    pub audit_days: i64,
    /// Institutions' own logs; older entries are archived.
    pub activity_days: i64,
    /// Sign-ins and refusals.
    pub security_days: i64,
    /// Operations that are over, and what was done in looking after databases.
    pub operation_days: i64,
    /// Notifications.
    pub notification_days: i64,
    /// Mails that were sent, links that ran out, and uploaded files.
    pub mail_days: i64,
}

impl Keeping {
    /// Ten years.
    pub const MOST_DAYS: i64 = 3_650;
    /// The least of each. Logs of who did what are kept for a year at least.
    pub const LEAST: Self = Self {
        audit_days: 365,
        activity_days: 365,
        security_days: 30,
        operation_days: 30,
        notification_days: 30,
        mail_days: 7,
    };
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            audit_days: 730,
            activity_days: 1_095,
            security_days: 180,
            operation_days: 365,
            notification_days: 180,
            mail_days: 30,
        }
    }
}

const KEEPING: &str = "keeping";

/// For how many days what is kept.
///
/// # Errors
/// Any database error.
pub fn keeping(connection: &mut SharedConn) -> ModelResult<Keeping> {
    let stored = get(connection, KEEPING)?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// The same with its version, to be handed to [`set_keeping`]: 0 while nothing is stored.
///
/// # Errors
/// Any database error.
pub fn keeping_at(connection: &mut SharedConn) -> ModelResult<(Keeping, i64)> {
    let at: Option<chrono::NaiveDateTime> = platform_settings::table
        .find(KEEPING)
        .select(platform_settings::updated_at)
        .first(connection)
        .optional()?;
    Ok((keeping(connection)?, at.map_or(0, |at| at.and_utc().timestamp_micros())))
}

/// Chooses for how many days what is kept.
///
/// # Errors
/// `Changed` when somebody chose since `version`; any database error.
pub fn set_keeping(
    connection: &mut SharedConn,
    audit: &Audit,
    version: i64,
    chosen: &Keeping,
) -> ModelResult<()> {
    connection.write_tx(|c| {
        let (before, now_at) = keeping_at(c)?;
        if now_at != version {
            return Err(ModelError::Changed(
                "Another super admin has changed the settings meanwhile.".into(),
            ));
        }
        if before == *chosen {
            return Ok(());
        }
        set(c, KEEPING, &json!(chosen).to_string())?;
        let subject = Subject { kind: "setting", id: None, label: KEEPING, institution_id: None };
        audit.record(c, "setting.changed", &subject, &json!({ "before": before, "after": chosen }))
    })
}

/// The stored value of a setting.
///
/// # Errors
/// Any database error.
pub fn get(connection: &mut SharedConn, name: &str) -> ModelResult<Option<String>> {
    Ok(platform_settings::table.find(name).select(platform_settings::value).first(connection).optional()?)
}

fn set(connection: &mut SharedConn, name: &str, value: &str) -> ModelResult<()> {
    let changed = diesel::update(platform_settings::table.find(name))
        .set((platform_settings::value.eq(value), platform_settings::updated_at.eq(now())))
        .execute(connection)?;
    if changed == 0 {
        diesel::insert_into(platform_settings::table)
            .values((
                platform_settings::name.eq(name),
                platform_settings::value.eq(value),
                platform_settings::updated_at.eq(now()),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn remove(connection: &mut SharedConn, name: &str) -> ModelResult<()> {
    diesel::delete(platform_settings::table.find(name)).execute(connection)?;
    Ok(())
}
