//! Files of records: reading CSV as spreadsheets write it, and writing CSV that they read safely.
//!
//! A reader of our own, because what matters here is what general readers pass over in silence: quotes that are
//! never closed, rows of another length, and on which line it was.

use std::fmt;

/// What a file may have at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    pub rows: usize,
    pub columns: usize,
    pub cell_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 10 * 1024 * 1024, rows: 50_000, columns: 100, cell_chars: 10_000 }
    }
}

/// A file that was read: headers, and the rows that fit them.
#[derive(Debug)]
pub struct Table {
    pub headers: Vec<String>,
    pub rows: Vec<Row>,
    /// Rows with too few or too many cells: not in `rows`, to be reported with their lines.
    pub ragged: Vec<Ragged>,
    pub delimiter: char,
}

/// One row, and the line of the file on which it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub line: usize,
    /// All cells in one piece, and where each ends: a tenth of the memory of a text a cell.
    text: String,
    ends: Vec<u32>,
}

/// A row whose cells do not match the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ragged {
    pub line: usize,
    pub found: usize,
    pub expected: usize,
}

/// Why a file cannot be read, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvProblem {
    #[error("The file is too large: at most {} MB. Split it into several files", limit / (1024 * 1024))]
    TooLarge { limit: usize },
    #[error(
        "The file is empty. It needs a first row with the names of the columns, and a row for each record"
    )]
    Empty,
    #[error(
        "This is a spreadsheet file, not CSV. In the spreadsheet choose “Save as” and the format “CSV UTF-8”"
    )]
    Spreadsheet,
    #[error(
        "The file is not in UTF-8 (see line {line}), so its letters would be guessed. In the spreadsheet choose \
         “Save as” and the format “CSV UTF-8”"
    )]
    NotUtf8 { line: usize },
    #[error(
        "Line {line} contains a NUL character: the file is damaged, or not CSV. Export it again as “CSV UTF-8”"
    )]
    Nul { line: usize },
    #[error(
        "The quotation mark opened on line {line} is never closed. Close it, or write \"\" for a mark in a text"
    )]
    UnclosedQuote { line: usize },
    #[error(
        "On line {line} there is text after a closing quotation mark. Write \"\" for a mark within a text"
    )]
    TextAfterQuote { line: usize },
    #[error("The file has more than {limit} rows. Split it into several files")]
    TooManyRows { limit: usize },
    #[error("Line {line} has more than {limit} columns. Remove the columns that are not needed")]
    TooManyColumns { line: usize, limit: usize },
    #[error("On line {line}, column {column} has more than {limit} characters. Shorten the text")]
    CellTooLong { line: usize, column: usize, limit: usize },
    #[error("Column {column} has no name. Name it in the first row, or remove the column")]
    EmptyHeader { column: usize },
    #[error("Two columns are named “{name}”. Give each column a name of its own")]
    DuplicateHeader { name: String },
}

impl Row {
    /// The cell of a column, counted from 0. Empty beyond the last.
    pub fn get(&self, column: usize) -> &str {
        let end = self.ends.get(column).map_or(self.text.len(), |end| *end as usize);
        let start = match column.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).map_or(self.text.len(), |end| *end as usize),
        };
        &self.text[start..end]
    }

    /// All cells in order.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|column| self.get(column))
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is nothing in any cell.
    pub fn is_empty(&self) -> bool {
        self.cells().all(|cell| cell.trim().is_empty())
    }
}

impl fmt::Display for Ragged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, found, expected } = self;
        write!(f, "Line {line} has {found} cells, but the first row has {expected}. ")?;
        f.write_str("Add what is missing, or put text that contains a separator in quotation marks")
    }
}

/// Reads a CSV file: UTF-8, or UTF-16 with its mark; separated by commas, semicolons or tabs; empty lines left out.
pub fn read_csv(bytes: &[u8], limits: Limits) -> Result<Table, CsvProblem> {
    if bytes.len() > limits.bytes {
        return Err(CsvProblem::TooLarge { limit: limits.bytes });
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return Err(CsvProblem::Spreadsheet);
    }
    let text = decode(bytes)?;
    if let Some(at) = text.find('\0') {
        return Err(CsvProblem::Nul { line: line_of(&text.as_bytes()[..at]) });
    }
    let delimiter = guess_delimiter(&text);
    let mut reader = Reader { text: &text, at: 0, line: 1, delimiter, limits };
    let headers = match reader.next_filled()? {
        Some(row) => read_headers(&row)?,
        None => return Err(CsvProblem::Empty),
    };
    let mut table = Table { headers, rows: Vec::new(), ragged: Vec::new(), delimiter };
    while let Some(row) = reader.next_filled()? {
        if table.rows.len() + table.ragged.len() >= limits.rows {
            return Err(CsvProblem::TooManyRows { limit: limits.rows });
        }
        table.add(row);
    }
    Ok(table)
}

impl Table {
    fn add(&mut self, mut row: Row) {
        let expected = self.headers.len();
        // Empty cells after the last column carry nothing: spreadsheets add them.
        while row.len() > expected && row.get(row.len() - 1).is_empty() {
            row.ends.pop();
        }
        if row.len() == expected {
            row.text.shrink_to_fit();
            row.ends.shrink_to_fit();
            self.rows.push(row);
        } else {
            self.ragged.push(Ragged { line: row.line, found: row.len(), expected });
        }
    }
}

fn decode(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, CsvProblem> {
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

fn read_headers(row: &Row) -> Result<Vec<String>, CsvProblem> {
    let mut headers: Vec<String> = row.cells().map(|cell| cell.trim().to_owned()).collect();
    while headers.last().is_some_and(String::is_empty) {
        headers.pop();
    }
    for (index, name) in headers.iter().enumerate() {
        if name.is_empty() {
            return Err(CsvProblem::EmptyHeader { column: index + 1 });
        }
        if headers[..index].iter().any(|other| other.to_lowercase() == name.to_lowercase()) {
            return Err(CsvProblem::DuplicateHeader { name: name.clone() });
        }
    }
    Ok(headers)
}

struct Reader<'a> {
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
    fn next_filled(&mut self) -> Result<Option<Row>, CsvProblem> {
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

/// Whether a spreadsheet would take the text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// Whether the text is a formula, or one that is guarded already: both get one more mark on the way out, and lose
/// one on the way in, so that every text comes back as it was.
fn needs_guard(text: &str) -> bool {
    is_formula(text.trim_start_matches('\''))
}

fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| needs_guard(text)).unwrap_or(cell)
}

/// Writes CSV after RFC 4180, in UTF-8 with a mark so that spreadsheets show every script. Cells that would be
/// formulas get a `'` before them.
#[derive(Debug)]
pub struct CsvWriter {
    text: String,
}

impl CsvWriter {
    /// A file with nothing but the mark of UTF-8.
    pub fn new() -> Self {
        Self { text: "\u{FEFF}".to_owned() }
    }

    /// Adds a row.
    pub fn row<I>(&mut self, cells: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let start = self.text.len();
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.cell(cell.as_ref());
        }
        // A row of one empty cell would be an empty line, which is no row.
        if self.text.len() == start {
            self.text.push_str("\"\"");
        }
        self.text.push_str("\r\n");
    }

    /// What has been written since the last call: for sending a long file piece by piece.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    /// The whole file.
    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    fn cell(&mut self, cell: &str) {
        let guard = if needs_guard(cell) { "'" } else { "" };
        let special = cell.contains([',', ';', '\t', '"', '\r', '\n']) || cell.trim() != cell;
        if special {
            self.text.push('"');
            self.text.push_str(guard);
            self.text.push_str(&cell.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(guard);
            self.text.push_str(cell);
        }
    }
}

impl Default for CsvWriter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "csv_text_tests.rs"]
mod tests;
