//! Files of records: reading CSV as spreadsheets write it, and writing CSV that they read safely.
//!
//! A reader of our own, because what matters here is what general readers pass over in silence: quotes that are
//! never closed, rows of another length, and on which line it was.

mod reader;
mod writer;

use std::fmt;

use reader::Reader;
pub use writer::CsvWriter;

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
    let text = reader::decode(bytes)?;
    let mut reader = Reader::new(&text, limits)?;
    let headers = match reader.next_filled()? {
        Some(row) => read_headers(&row)?,
        None => return Err(CsvProblem::Empty),
    };
    let mut table = Table { headers, rows: Vec::new(), ragged: Vec::new(), delimiter: reader.delimiter() };
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

#[cfg(test)]
mod tests;
