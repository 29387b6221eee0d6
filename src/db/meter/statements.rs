//! Watches the queries of a tenant's connections, and keeps the text of the slow ones without any value.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use sha2::{Digest as _, Sha256};

use super::{Meter, micros};

/// Longer texts are cut.
const LONGEST: usize = 2_000;

/// A statement that was slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowQuery {
    /// Its text, without values.
    pub statement: String,
    /// How often.
    pub runs: u64,
    /// In all.
    pub total_micros: u64,
    /// The longest.
    pub worst_micros: u64,
}

impl SlowQuery {
    /// Adds the same statement's other runs.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.total_micros += other.total_micros;
        self.worst_micros = self.worst_micros.max(other.worst_micros);
    }
}

/// The eye on one connection.
pub struct Watch {
    meter: Arc<Meter>,
    slow_after: Duration,
    began: Option<Instant>,
}

impl Watch {
    pub(super) fn new(meter: Arc<Meter>, slow_after: Duration) -> Self {
        Self { meter, slow_after, began: None }
    }
}

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => self.began = Some(Instant::now()),
            InstrumentationEvent::FinishQuery { query, .. } => {
                let Some(took) = self.began.take().map(|began| began.elapsed()) else { return };
                if took >= self.slow_after {
                    // The text is written out for slow ones only.
                    let statement = without_values(&query.to_string());
                    let spent = micros(took);
                    let query = SlowQuery { runs: 1, total_micros: spent, worst_micros: spent, statement };
                    self.meter.slow(fingerprint(&query.statement), query);
                }
            }
            _ => {}
        }
    }
}

/// The same for equal statements, on every node.
fn fingerprint(statement: &str) -> i64 {
    let hash = Sha256::digest(statement.as_bytes());
    hash.first_chunk::<8>().map_or(0, |first| i64::from_be_bytes(*first))
}

/// A statement with `?` for each value and placeholder, `?, …` for several, and without the values bound to it.
#[must_use]
pub fn without_values(text: &str) -> String {
    // What diesel adds for a debugger.
    let text = text.split(" -- binds: ").next().unwrap_or_default();
    let mut out = String::with_capacity(text.len().min(LONGEST));
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let within_a_word = out.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_');
        match letter {
            '\'' => {
                skip_text(&mut letters);
                value(&mut out);
            }
            '"' | '`' => {
                out.push(letter);
                for inner in letters.by_ref() {
                    out.push(inner);
                    if inner == letter {
                        break;
                    }
                }
            }
            '?' => value(&mut out),
            '$' | '0'..='9' if !within_a_word => {
                while letters.next_if(|next| next.is_alphanumeric() || *next == '.').is_some() {}
                value(&mut out);
            }
            space if space.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            other => out.push(other),
        }
        if out.len() > LONGEST {
            out.push('…');
            break;
        }
    }
    out.trim().to_owned()
}

/// To the end of a text in quotes; two quotes within it stand for one.
fn skip_text(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(letter) = letters.next() {
        if letter == '\'' && letters.next_if_eq(&'\'').is_none() {
            return;
        }
    }
}

/// Adds a placeholder; lists of any length read alike.
fn value(out: &mut String) {
    let before = out.trim_end_matches([' ', ',']).len();
    let list = out.len() > before && out[before..].contains(',');
    if list && out[..before].ends_with('…') {
        out.truncate(before);
    } else if list && out[..before].ends_with('?') {
        out.truncate(before);
        out.push_str(", …");
    } else {
        out.push('?');
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn no_value_stays_in_a_statement() {
        for (text, expected) in [
            (
                "SELECT `a`.`b1` FROM `a` WHERE `a`.`x` = ? LIMIT ? -- binds: [\"Zoë -- binds: 7\", 25]",
                "SELECT `a`.`b1` FROM `a` WHERE `a`.`x` = ? LIMIT ?",
            ),
            (
                "SELECT \"a'1\" FROM t2 WHERE x = $1 AND y = 'it''s 5' AND z > 4.5",
                "SELECT \"a'1\" FROM t2 WHERE x = ? AND y = ? AND z > ?",
            ),
            ("x IN (?, ?, ?,\n ?)", "x IN (?, …)"),
            ("x IN ($1, $2) AND y IN (1)", "x IN (?, …) AND y IN (?)"),
            ("SELECT 'open", "SELECT ?"),
        ] {
            assert_eq!(without_values(text), expected);
        }
        assert!(without_values(&"a + ".repeat(5_000)).chars().count() < 2_010);
    }
}
