//! Tests of reading and writing CSV.

use super::*;

fn read(text: &str) -> Result<Table, CsvProblem> {
    read_csv(text.as_bytes(), Limits::default())
}

fn rows(table: &Table) -> Vec<Vec<&str>> {
    table.rows.iter().map(|row| row.cells().collect()).collect()
}

fn lines(table: &Table) -> Vec<usize> {
    table.rows.iter().map(|row| row.line).collect()
}

#[test]
fn reads_what_spreadsheets_write() {
    for text in [
        "name,city\r\nAda,London\r\nGrace,New York\r\n",
        "name,city\nAda,London\nGrace,New York",
        "name,city\rAda,London\rGrace,New York\r",
        "\u{FEFF}name;city\r\nAda;London\r\n\r\nGrace;New York\r\n;\r\n",
        "\"name\"\t\"city\"\r\n\"Ada\"\t\"London\" \r\nGrace\tNew York\t\t\r\n",
        "\n\n name , city ,,\nAda,London,,\nGrace,New York,,\n",
    ] {
        let table = read(text).unwrap();
        assert_eq!(table.headers, ["name", "city"], "{text:?}");
        assert_eq!(rows(&table), [["Ada", "London"], ["Grace", "New York"]], "{text:?}");
        assert!(table.ragged.is_empty(), "{text:?}");
    }
}

#[test]
fn quotes_hold_separators_marks_and_lines() {
    let table = read("a,b\n\"x, \"\"y\"\"\nz\",2\n3,it's \"so\"\n").unwrap();
    assert_eq!(rows(&table), [["x, \"y\"\nz", "2"], ["3", "it's \"so\""]]);
    assert_eq!(lines(&table), [2, 4]);
    assert_eq!(table.rows[0].get(7), "");
}

#[test]
fn a_semicolon_within_quotes_is_no_separator() {
    assert_eq!(read("\"a;b;c\",d\n1,2\n").unwrap().headers, ["a;b;c", "d"]);
    assert_eq!(read("one\n1\n").unwrap().delimiter, ',');
}

#[test]
fn utf16_is_read_by_its_mark() {
    let text = "name\tcity\r\nМария\t東京 🗼\r\n";
    let big: Vec<u8> =
        "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let little: Vec<u8> =
        "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [&big, &little] {
        assert_eq!(rows(&read_csv(bytes, Limits::default()).unwrap()), [["Мария", "東京 🗼"]]);
        let cut = read_csv(&bytes[..bytes.len() - 1], Limits::default());
        assert!(matches!(cut, Err(CsvProblem::NotUtf8 { .. })));
    }
}

#[test]
fn other_encodings_and_files_are_refused_with_advice() {
    let latin = read_csv(b"name\nAda\nJos\xE9\n", Limits::default()).unwrap_err();
    assert_eq!(latin, CsvProblem::NotUtf8 { line: 3 });
    assert!(latin.to_string().contains("CSV UTF-8"));
    assert_eq!(read_csv(b"PK\x03\x04rest", Limits::default()).unwrap_err(), CsvProblem::Spreadsheet);
    assert_eq!(read("a\n1\nb\0c\n").unwrap_err(), CsvProblem::Nul { line: 3 });
    for empty in ["", "\u{FEFF}", "\n\n", " ,, \n"] {
        assert_eq!(read(empty).unwrap_err(), CsvProblem::Empty, "{empty:?}");
    }
}

#[test]
fn damage_is_reported_with_its_line() {
    assert_eq!(read("a,b\n1,2\n3,\"open\n5,6\n").unwrap_err(), CsvProblem::UnclosedQuote { line: 3 });
    assert_eq!(read("a,b\n\"1\"x,2\n").unwrap_err(), CsvProblem::TextAfterQuote { line: 2 });
    assert_eq!(read("a,,b\n").unwrap_err(), CsvProblem::EmptyHeader { column: 2 });
    assert_eq!(read("Name,city, name\n").unwrap_err(), CsvProblem::DuplicateHeader { name: "name".into() });
    let table = read("a,b\n1\n1,2\n1,2,3\n\"x\ny\",2\n4,5,6,7\n").unwrap();
    assert_eq!(rows(&table), [["1", "2"], ["x\ny", "2"]]);
    let ragged: Vec<_> = table.ragged.iter().map(|row| (row.line, row.found)).collect();
    assert_eq!(ragged, [(2, 1), (4, 3), (7, 4)]);
    assert!(table.ragged[0].to_string().starts_with("Line 2 has 1 cells, but the first row has 2."));
}

#[test]
fn limits_stop_early() {
    let limits = Limits { bytes: 1000, rows: 3, columns: 4, cell_chars: 5 };
    let read = |text: &str| read_csv(text.as_bytes(), limits).map(|table| table.rows.len());
    assert_eq!(read("a\n1\n2\n3\n"), Ok(3));
    assert_eq!(read("a\n1\n2\n3\n4\n"), Err(CsvProblem::TooManyRows { limit: 3 }));
    assert_eq!(read("a\n1,2,3,4,5\n"), Err(CsvProblem::TooManyColumns { line: 2, limit: 4 }));
    assert_eq!(read("a,b\n1,ééééé\n"), Ok(1));
    assert_eq!(read("a,b\n1,éééééé\n"), Err(CsvProblem::CellTooLong { line: 2, column: 2, limit: 5 }));
    assert_eq!(read(&"x".repeat(1001)), Err(CsvProblem::TooLarge { limit: 1000 }));
}

#[test]
fn hostile_files_are_answered_quickly() {
    let start = std::time::Instant::now();
    let million = 1_000_000;
    let big = Limits { bytes: 20 * million, ..Limits::default() };
    for text in [
        ",".repeat(million),
        "\"".repeat(million),
        "x\n".repeat(million),
        "\"a".repeat(million),
        "\n".repeat(million),
    ] {
        assert!(read_csv(text.as_bytes(), big).is_err());
    }
    assert!(start.elapsed().as_secs() < 5);
}

/// A small generator of numbers, the same at every run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn whatever_is_written_is_read_back_the_same() {
    let pieces = [
        "=", "+", "-", "@", "'", "''", "\t", "\r", "\n", "\r\n", "\"", ",", ";", " ", "a", "1", "é", "＝",
        "李", "🗼", "",
    ];
    let mut next = numbers();
    let mut written = Vec::new();
    let mut writer = CsvWriter::new();
    writer.row(["first", "second", "third"]);
    for line in 0..5000 {
        let mut cell =
            |length: usize| (0..next(length)).map(|_| pieces[next(pieces.len())]).collect::<String>();
        // A record of nothing but blanks is no record, so each has a key.
        let row = [format!("key {line}"), cell(6), cell(3)];
        writer.row(&row);
        written.push(row);
    }
    let bytes = writer.finish();
    let table = read_csv(&bytes, Limits::default()).unwrap();
    assert_eq!(table.rows.len(), written.len());
    for (row, expected) in table.rows.iter().zip(&written) {
        assert_eq!(row.cells().collect::<Vec<_>>(), expected.each_ref().map(String::as_str));
    }
}

#[test]
fn no_cell_is_a_formula_to_a_spreadsheet() {
    for cell in
        ["=HYPERLINK(\"x\")", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "'=1"]
    {
        let mut writer = CsvWriter::new();
        writer.row([cell]);
        let text = String::from_utf8(writer.finish()).unwrap();
        let shown = text.trim_start_matches(['\u{FEFF}', '"']);
        assert!(shown.starts_with('\''), "{cell:?} is written as {text:?}");
    }
    let mut writer = CsvWriter::new();
    writer.row(["O'Brien", "'tis", "a=b", "", "x;=1"]);
    writer.row([""]);
    assert_eq!(writer.take(), "\u{FEFF}O'Brien,'tis,a=b,,\"x;=1\"\r\n\"\"\r\n".as_bytes());
    assert_eq!(writer.take(), b"");
}
