//! Times and dates as people read them, in the institution's time zone and format.
//!
//! Everything is stored in UTC. A [`Clock`] carries one request's "now", zone and date format.

use askama::{Template, filters::HtmlSafe};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How an institution writes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateFormat {
    /// 5 Sep 2026
    #[default]
    DayMonthYear,
    /// Sep 5, 2026
    MonthDayYear,
    /// 2026-09-05
    Iso,
}

impl DateFormat {
    fn of(locale: &str) -> Self {
        match locale {
            "en-US" => Self::MonthDayYear,
            "en-SE" => Self::Iso,
            _ => Self::DayMonthYear,
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::DayMonthYear => "%-d %b %Y",
            Self::MonthDayYear => "%b %-d, %Y",
            Self::Iso => "%Y-%m-%d",
        }
    }
}

/// One request's view of time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: NaiveDateTime,
    zone: Tz,
    format: DateFormat,
}

impl Clock {
    /// A clock that stands at `now` (UTC) and speaks in `zone`.
    pub fn at(now: NaiveDateTime, zone: Tz, format: DateFormat) -> Self {
        Self { now, zone, format }
    }

    /// The clock of platform pages: now, in UTC.
    pub fn utc() -> Self {
        Self::at(Utc::now().naive_utc(), Tz::UTC, DateFormat::default())
    }

    /// The clock of an institution: now, in its time zone and in the format of its locale.
    pub fn local(time_zone: &str, locale: &str) -> Self {
        Self::at(Utc::now().naive_utc(), time_zone.parse().unwrap_or(Tz::UTC), DateFormat::of(locale))
    }

    /// Today's date where the institution is.
    pub fn today(&self) -> NaiveDate {
        self.here(self.now).date_naive()
    }

    /// A moment (UTC), relative with the exact one in its title.
    pub fn when(&self, at: NaiveDateTime) -> When {
        let here = self.here(at);
        let exact = format!("{}, {}", here.format(self.format.pattern()), here.format("%H:%M:%S %Z"));
        let seconds = (self.now - at).num_seconds();
        let text = relative(seconds).unwrap_or_else(|| here.format(self.format.pattern()).to_string());
        When { iso: at.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true), exact, text }
    }

    /// A moment (UTC) written out: "5 Sep 2026, 14:03".
    pub fn exact(&self, at: NaiveDateTime) -> String {
        let here = self.here(at);
        format!("{}, {}", here.format(self.format.pattern()), here.format("%H:%M"))
    }

    /// A calendar date in the institution's format.
    pub fn date(&self, date: NaiveDate) -> String {
        date.format(self.format.pattern()).to_string()
    }

    fn here(&self, at: NaiveDateTime) -> DateTime<Tz> {
        self.zone.from_utc_datetime(&at)
    }
}

/// A moment ready to be shown: `{{ when }}` writes a `<time>` element.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "kit/when.html")]
pub struct When {
    /// For machines, in UTC.
    pub iso: String,
    /// In full, in the institution's time zone.
    pub exact: String,
    /// "3 minutes ago", or the date when that is long past.
    pub text: String,
}

impl HtmlSafe for When {}

/// A span of seconds in words: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 days".
pub fn span(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        ..0 => "0 s".to_owned(),
        0 if milliseconds < 100 => format!("{milliseconds} ms"),
        0..10 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Words for a distance of up to a month; positive seconds lie in the past.
fn relative(seconds: i64) -> Option<String> {
    let distance = seconds.abs();
    let (n, unit) = match distance {
        0..45 => return Some(if seconds >= -5 { "just now" } else { "in a moment" }.to_owned()),
        45..2700 => ((distance + 30) / 60, "minute"),
        2700..79_200 => ((distance + 1800) / 3600, "hour"),
        79_200..2_592_000 => ((distance + 43_200) / 86_400, "day"),
        _ => return None,
    };
    Some(match (n, unit, seconds > 0) {
        (1, "day", true) => "yesterday".to_owned(),
        (1, "day", false) => "tomorrow".to_owned(),
        (1, _, true) => format!("1 {unit} ago"),
        (1, _, false) => format!("in 1 {unit}"),
        (_, _, true) => format!("{n} {unit}s ago"),
        (_, _, false) => format!("in {n} {unit}s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a moment")
    }

    #[test]
    fn times_are_relative_with_the_exact_one_in_the_zone() {
        let clock = Clock::at(moment("2026-09-05 22:30:00"), Tz::Europe__Berlin, DateFormat::DayMonthYear);
        let when = clock.when(moment("2026-09-05 22:27:00"));
        assert_eq!(when.text, "3 minutes ago");
        assert_eq!(when.exact, "6 Sep 2026, 00:27:00 CEST");
        assert_eq!(when.iso, "2026-09-05T22:27:00Z");
        assert_eq!(clock.today(), NaiveDate::from_ymd_opt(2026, 9, 6).expect("a date"));
        assert_eq!(clock.when(moment("2026-09-08 22:30:00")).text, "in 3 days");
        assert_eq!(clock.when(moment("2026-01-05 12:00:00")).text, "5 Jan 2026");
    }

    #[test]
    fn spans_read_well() {
        assert_eq!(span(40), "40 ms");
        assert_eq!(span(1450), "1.4 s");
        assert_eq!(span(185_000), "3 min 5 s");
        assert_eq!(span(7_800_000), "2 h 10 min");
    }
}
