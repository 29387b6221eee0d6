//! How commands print: aligned tables for people, JSON for scripts, questions before grave acts.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
};

use serde::Serialize;

use super::Outcome;
use crate::services::platform::StartError;

/// Any error as a sentence for the operator.
pub(super) fn sentence(error: impl Display) -> String {
    StartError::new(error).to_string()
}

/// Prints a value as JSON, for scripts.
pub(super) fn print_json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(sentence)?;
    print_line(&text);
    Ok(())
}

/// Prints rows under a heading, each column as wide as it needs to be. Put names last: scripts differ in
/// how wide a terminal draws their letters.
pub(super) fn print_table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    table(heading, rows).iter().for_each(|line| print_line(line));
}

/// The lines of a table: a row is one, whatever its cells hold.
fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let in_one_line = |cell: &String| cell.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(in_one_line)).collect();
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.max(heading[column].len())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let cells = |row: &[String; N]| line(std::array::from_fn(|column| row[column].as_str()));
    std::iter::once(line(heading)).chain(rows.iter().map(cells)).collect()
}

/// Prints a line; a reader that has gone away (`| head`) is no mistake.
pub(super) fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// "1 institution", "2 institutions".
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    let units = ["KB", "MB", "GB", "TB"];
    let (mut whole, mut rest, mut unit) = (count, 0, "bytes");
    for next in units {
        if whole < 1_024 {
            break;
        }
        (rest, whole, unit) = (whole % 1_024 * 10 / 1_024, whole / 1_024, next);
    }
    if unit == "bytes" || whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") }
}

/// Asks whoever sits at the terminal; a script, or `--yes`, is not asked.
pub(super) fn confirm(question: &str, yes: bool) -> Outcome {
    if yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    eprint!("{question} Write yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(sentence)?;
    if answer.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err("Nothing was changed.".into()) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, table};

    #[test]
    fn a_row_is_one_line() {
        let rows = [["ada.edu".to_owned(), "refused\n\tIs the server running?".to_owned()]];
        assert_eq!(table(["OF", "WHY"], &rows), ["OF       WHY", "ada.edu  refused Is the server running?"]);
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1_536), "1.5 KB");
        assert_eq!(bytes(217_088), "212 KB");
        assert_eq!(bytes(5 * 1_024 * 1_024 * 1_024), "5.0 GB");
    }
}
