//! Time zones by their IANA names: times are stored in UTC and shown where the institution is.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};

/// A time zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeZone(Tz);

/// The name is not one of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("This time zone is not known. Choose one from the list, such as Europe/Paris")]
pub struct UnknownTimeZone;

impl TimeZone {
    /// Coordinated universal time, where nothing else was chosen.
    pub const UTC: Self = Self(Tz::UTC);

    /// Finds a zone by its name, in any case of letters.
    pub fn parse(name: &str) -> Result<Self, UnknownTimeZone> {
        let name = name.trim();
        TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(name))
            .map(|zone| Self(*zone))
            .ok_or(UnknownTimeZone)
    }

    /// The IANA name, such as `Europe/Paris`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A stored time as the clocks of this zone showed it.
    pub fn local(self, utc: NaiveDateTime) -> DateTime<Tz> {
        self.0.from_utc_datetime(&utc)
    }

    /// The names to choose from, by continent and city, UTC first. Old spellings are understood but not offered.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let by_city = TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|name| {
            let area = name.split_once('/').map_or("", |(area, _)| area);
            AREAS.contains(&area)
        });
        std::iter::once("UTC").chain(by_city)
    }
}

const AREAS: [&str; 10] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn every_offered_name_parses_to_itself() {
        assert!(TimeZone::names().count() > 400);
        assert_eq!(TimeZone::names().next(), Some("UTC"));
        for name in TimeZone::names() {
            assert_eq!(TimeZone::parse(name).map(TimeZone::name), Ok(name));
        }
    }

    #[test]
    fn any_case_is_understood_and_anything_else_refused() {
        assert_eq!(TimeZone::parse(" europe/paris "), TimeZone::parse("Europe/Paris"));
        for bad in ["", "Mars/Base", "+02:00", "Europe"] {
            assert_eq!(TimeZone::parse(bad), Err(UnknownTimeZone), "{bad}");
        }
    }

    #[test]
    fn shows_local_time_with_summer_time() {
        let noon = |month| NaiveDate::from_ymd_opt(2026, month, 1).unwrap().and_hms_opt(12, 0, 0).unwrap();
        let paris = TimeZone::parse("Europe/Paris").unwrap();
        assert_eq!(paris.local(noon(1)).format("%H:%M").to_string(), "13:00");
        assert_eq!(paris.local(noon(7)).format("%H:%M").to_string(), "14:00");
        assert_eq!(TimeZone::default().local(noon(7)).format("%H:%M").to_string(), "12:00");
    }
}
