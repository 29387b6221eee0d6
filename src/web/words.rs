//! Small pieces of wording that every page shares: counted nouns, grouped numbers, initials.

/// What a list holds, in both numbers: `Noun::new("student", "students")`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noun {
    pub one: &'static str,
    pub many: &'static str,
}

impl Noun {
    pub const fn new(one: &'static str, many: &'static str) -> Self {
        Self { one, many }
    }

    /// "1 student", "5,000 students".
    pub fn count(self, n: i64) -> String {
        format!("{} {}", grouped(n), self.of(n))
    }

    /// "1 student is", "5,000 students are".
    pub fn are(self, n: i64) -> String {
        format!("{} {}", self.count(n), if n == 1 { "is" } else { "are" })
    }

    /// The word alone, in the number that `n` asks for.
    pub fn of(self, n: i64) -> &'static str {
        if n == 1 { self.one } else { self.many }
    }
}

pub use crate::models::text::grouped;

/// How long to wait, in one unit, never shorter than it is: "1 second", "2 minutes".
pub fn waiting_time(seconds: i64) -> String {
    const UNITS: [(i64, Noun); 2] =
        [(3600, Noun::new("hour", "hours")), (60, Noun::new("minute", "minutes"))];
    let seconds = seconds.max(1);
    // A little over a unit is still told in the smaller one: "90 seconds", not "2 minutes".
    let unit = UNITS.iter().find(|(length, _)| seconds >= 2 * length || seconds == *length);
    let (length, noun) = unit.copied().unwrap_or((1, Noun::new("second", "seconds")));
    noun.count((seconds + length - 1) / length)
}

/// One or two letters that stand for a name in a mark: "Ada Lovelace" becomes "AL".
pub fn initials(name: &str) -> String {
    let mut words =
        name.split_whitespace().filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    let first = words.next();
    let last = words.next_back();
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// Bytes as people read them: "512 B", "1.4 MB".
pub fn bytes(n: i64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = n as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit < UNITS.len() - 1 {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// Bytes more or fewer than before: "+1.4 MB", "−2.0 kB".
pub fn growth(n: i64) -> String {
    match n {
        0 => "0 B".to_owned(),
        1.. => format!("+{}", bytes(n)),
        _ => format!("\u{2212}{}", bytes(n.saturating_neg())),
    }
}

/// A short time as people read it: "0.8 ms", "12 ms", "1.3 s".
pub fn short_time(micros: i64) -> String {
    match micros {
        ..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// Parts of a thousand as "0.3 %".
pub fn percent(permille: i64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(5000), "5,000");
        assert_eq!(grouped(-1234567), "\u{2212}1,234,567");
        assert_eq!(Noun::new("student", "students").count(1), "1 student");
        assert_eq!(bytes(1_400_000), "1.4 MB");
        assert_eq!([growth(0), growth(2_000), growth(-2_000)], ["0 B", "+2.0 kB", "\u{2212}2.0 kB"]);
        assert_eq!(
            [short_time(800), short_time(12_345), short_time(1_300_000)],
            ["0.8 ms", "12 ms", "1.3 s"]
        );
        assert_eq!(percent(3), "0.3 %");
    }

    #[test]
    fn a_wait_is_told_in_the_unit_that_fits() {
        let told = [1, 59, 60, 90, 130, 3600, 7300].map(waiting_time);
        assert_eq!(
            told,
            ["1 second", "59 seconds", "1 minute", "90 seconds", "3 minutes", "1 hour", "3 hours"]
        );
    }

    #[test]
    fn initials_take_the_first_and_the_last_word() {
        assert_eq!(initials("Ada King Lovelace"), "AL");
        assert_eq!(initials("élan"), "É");
        assert_eq!(initials("  (The) University of 東京 "), "T東");
        assert_eq!(initials("—"), "");
    }
}
