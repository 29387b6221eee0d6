//! The institution's own profile and settings: the one row of the table `institution`.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::activity::{Activity, Change};
use crate::{
    db::{Id, now, schema_tenant::institution, tenant::TenantConn},
    models::{ModelError, ModelResult},
    text_enum,
};

text_enum! {
    /// The day a week begins with.
    WeekStart {
        /// Most of the world.
        Monday = "monday",
        /// Much of the Middle East.
        Saturday = "saturday",
        /// The Americas, Japan, India and others.
        Sunday = "sunday",
    }
}

impl WeekStart {
    /// The word people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }
}

/// The institution as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = institution)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct Profile {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: String,
    pub country: String,
    pub website: Option<String>,
    pub time_zone: String,
    pub locale: String,
    pub week_start: WeekStart,
    pub updated_at: NaiveDateTime,
    pub version: i64,
}

/// How the institution tells the time.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = institution)]
pub struct LocalSettings {
    /// Of the IANA database.
    pub time_zone: String,
    /// Decides how dates are written.
    pub locale: String,
}

/// What provisioning knows of an institution: the registration's answers.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = institution, treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct NewProfile {
    pub id: Id,
    pub domain: String,
    pub name: String,
    pub kind: String,
    pub country: String,
    pub website: Option<String>,
    pub time_zone: String,
    pub locale: String,
    pub week_start: WeekStart,
}

/// What an owner may change. The domain is the institution's identity and stays.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = institution, treat_none_as_null = true)]
#[expect(missing_docs, reason = "the columns of the table, under their own names")]
pub struct ProfileChanges {
    pub name: String,
    pub kind: String,
    pub country: String,
    pub website: Option<String>,
    pub time_zone: String,
    pub locale: String,
    pub week_start: WeekStart,
}

/// The profile.
///
/// # Errors
/// `NotFound` in a database that was never provisioned, or any database error.
pub fn find(connection: &mut TenantConn) -> ModelResult<Profile> {
    Ok(institution::table.select(Profile::as_select()).first(connection)?)
}

/// How the institution tells the time.
///
/// # Errors
/// As [`find`].
pub fn local(connection: &mut TenantConn) -> ModelResult<LocalSettings> {
    Ok(institution::table.select(LocalSettings::as_select()).first(connection)?)
}

/// Writes the profile when there is none yet; provisioning may call it again after a crash.
///
/// # Errors
/// Refused when the database holds another institution; any database error.
pub fn create_if_absent(connection: &mut TenantConn, new: &NewProfile) -> ModelResult<()> {
    connection.write_tx(|connection| {
        let present: Option<Id> = institution::table.select(institution::id).first(connection).optional()?;
        match present {
            Some(id) if id == new.id => Ok(()),
            Some(_) => Err(ModelError::Refused("This database belongs to another institution.".into())),
            None => {
                diesel::insert_into(institution::table)
                    .values((new, institution::updated_at.eq(now())))
                    .execute(connection)?;
                Ok(())
            }
        }
    })
}

/// Changes the profile that was read as `version`. Returns it as it is now.
///
/// # Errors
/// `Changed` when somebody saved in between; any database error.
pub fn update(
    connection: &mut TenantConn,
    activity: &Activity,
    version: i64,
    new: &ProfileChanges,
) -> ModelResult<Profile> {
    connection.write_tx(|connection| {
        let old = find(connection)?;
        let changes = differences(&old, new);
        if old.version == version && changes.is_empty() {
            return Ok(old);
        }
        let saved = diesel::update(institution::table)
            .filter(institution::version.eq(version))
            .set((new, institution::version.eq(version + 1), institution::updated_at.eq(now())))
            .execute(connection)?;
        if saved == 0 {
            return Err(ModelError::Changed(
                "Somebody else changed these settings while you were editing.".into(),
            ));
        }
        activity.record(connection, "settings.updated", "institution", Some(old.id), &new.name, &changes)?;
        find(connection)
    })
}

fn differences(old: &Profile, new: &ProfileChanges) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |field, before: &str, after: &str| {
        Change::note(&mut changes, field, Some(before.to_owned()), Some(after.to_owned()));
    };
    note("name", &old.name, &new.name);
    note("kind", &old.kind, &new.kind);
    note("country", &old.country, &new.country);
    note("time_zone", &old.time_zone, &new.time_zone);
    note("locale", &old.locale, &new.locale);
    note("week_start", old.week_start.as_str(), new.week_start.as_str());
    Change::note(&mut changes, "website", old.website.clone(), new.website.clone());
    changes
}
