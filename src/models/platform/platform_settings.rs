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
