//! From bytes to rows: encoding, separator, quotes.

use std::borrow::Cow;

use super::{CsvProblem, Limits, Row, writer::unguarded};

/// The text of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, CsvProblem> {
    let utf16 = |from: fn([u8; 2]) -> u16| {
        let (units, odd) = bytes[2..].as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(units.iter().map(|unit| from(*unit))).collect();
        match text {
            Ok(text) if odd.is_empty() => Ok(text.into()),
            _ => Err(CsvProblem::NotUtf8 { line: 1 }),
        }
    };
    match bytes {
        [0xFF, 0xFE, ..] => utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => utf16(u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let text = std::str::from_utf8(bytes);
            text.map(Into::into)
                .map_err(|error| CsvProblem::NotUtf8 { line: line_of(&bytes[..error.valid_up_to()]) })
        }
    }
}

fn line_of(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The separator that the first filled line has most of, outside quotes.
fn guess_delimiter(text: &str) -> char {
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    let (mut quoted, mut seen) = (false, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' | '\r' if !quoted && seen => break,
            _ => {}
        }
        seen |= !c.is_whitespace();
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| !quoted && *delimiter == c) {
            *count += 1;
        }
    }
    // `max_by_key` takes the last of equals: with nothing to choose, the comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(delimiter, _)| delimiter)
}

/// Reads row by row.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    delimiter: char,
    limits: Limits,
}

/// What a cell ended with.
enum End {
    Cell,
    Row,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, limits: Limits) -> Result<Self, CsvProblem> {
        if let Some(at) = text.find('\0') {
            return Err(CsvProblem::Nul { line: line_of(&text.as_bytes()[..at]) });
        }
        Ok(Self { text, at: 0, line: 1, delimiter: guess_delimiter(text), limits })
    }

    pub(super) fn delimiter(&self) -> char {
        self.delimiter
    }

    /// The next row that has something in it.
    pub(super) fn next_filled(&mut self) -> Result<Option<Row>, CsvProblem> {
        while self.at < self.text.len() {
            let row = self.next_row()?;
            if !row.is_empty() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn next_row(&mut self) -> Result<Row, CsvProblem> {
        let mut row = Row { line: self.line, text: String::new(), ends: Vec::new() };
        let mut cell = String::new();
        loop {
            if row.len() == self.limits.columns {
                return Err(CsvProblem::TooManyColumns { line: row.line, limit: self.limits.columns });
            }
            cell.clear();
            let end = self.next_cell(&mut cell)?;
            let limit = self.limits.cell_chars;
            if cell.len() > limit && cell.chars().count() > limit {
                return Err(CsvProblem::CellTooLong { line: row.line, column: row.len() + 1, limit });
            }
            row.text.push_str(unguarded(&cell));
            // The limit on bytes keeps every file far below 4 GB.
            row.ends.push(u32::try_from(row.text.len()).unwrap_or(u32::MAX));
            if let End::Row = end {
                return Ok(row);
            }
        }
    }

    fn next_cell(&mut self, cell: &mut String) -> Result<End, CsvProblem> {
        if self.rest().starts_with('"') {
            self.quoted(cell)?;
        } else {
            let rest = self.rest();
            let length = rest.find([self.delimiter, '\r', '\n']).unwrap_or(rest.len());
            cell.push_str(&rest[..length]);
            self.at += length;
        }
        self.end_of_cell()
    }

    /// A cell in quotes: everything is text up to the closing mark, and two marks are one.
    fn quoted(&mut self, cell: &mut String) -> Result<(), CsvProblem> {
        let opened = self.line;
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(length) = rest.find('"') else {
                return Err(CsvProblem::UnclosedQuote { line: opened });
            };
            cell.push_str(&rest[..length]);
            self.line += line_of(&rest.as_bytes()[..length]) - 1;
            self.at += length + 1;
            if !self.rest().starts_with('"') {
                return Ok(());
            }
            cell.push('"');
            self.at += 1;
        }
    }

    fn end_of_cell(&mut self) -> Result<End, CsvProblem> {
        // Blanks between a closing mark and the separator are no text.
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(' ');
        self.at += rest.len() - trimmed.len();
        let (length, end) = match trimmed.chars().next() {
            None => (0, End::Row),
            Some(c) if c == self.delimiter => (1, End::Cell),
            Some('\r') if trimmed.starts_with("\r\n") => (2, End::Row),
            Some('\r' | '\n') => (1, End::Row),
            Some(_) => return Err(CsvProblem::TextAfterQuote { line: self.line }),
        };
        self.at += length;
        if let End::Row = end {
            self.line += 1;
        }
        Ok(end)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}
