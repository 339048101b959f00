use std::io::Write;

use super::*;

fn table(text: &str) -> Table {
    Table::from_reader("t.csv", text.as_bytes(), &TableOptions::default()).expect(text)
}

fn message(bytes: &[u8]) -> String {
    Table::from_reader("t.csv", bytes, &TableOptions::default()).expect_err("a broken table").to_string()
}

fn rows(table: &Table) -> Vec<Vec<&str>> {
    (0..table.rows()).map(|row| (0..table.columns()).map(|column| table.cell(row, column)).collect()).collect()
}

#[test]
fn cells_are_trimmed_and_quotes_are_taken_off() {
    let table = table("name, note ,n\r\nann, \"a, \"\"b\"\"\" ,1\r\n\r\nbob,\"two\nlines\", ?\r\n");
    assert!(table.has_header());
    assert_eq!(table.names(), ["name", "note", "n"]);
    assert_eq!(rows(&table), [["ann", "a, \"b\"", "1"], ["bob", "two\nlines", "?"]]);
    assert_eq!((table.line(0), table.line(1)), (2, 4));
    assert_eq!((table.value(0, 2), table.value(1, 2)), (Some("1"), None));
}

#[test]
fn headers_are_told_from_data() {
    let check = |text: &str, header| assert_eq!(table(text).has_header(), header, "{text:?}");
    check("a,b\n1,2\n3,4\n", true);
    check("1,2\n3,4\n", false);
    check("1,red\n3,blue\n", false);
    check("id,2019,2020\n1,5,6\n2,7,8\n", true);
    check("colour,size\nred,big\nblue,small\nred,small\nblue,big\n", true);
    check("red,big\nblue,small\nred,small\nblue,big\n", false);
    check("when,what\n2024-01-01,x\n2024-01-02,y\n", true);
    check("ok,n\nyes,a\nno,b\n", true);
    check(",a\n0,1\n1,2\n", true);
    check("?,1\n2,3\n4,5\n", false);
    check("5.1,3.5\n", false);
    let unnamed = table(",a,a\n0,1,2\n1,2,3\n");
    assert_eq!(unnamed.names(), ["column1", "a", "a_2"]);
    assert_eq!(unnamed.notes().len(), 1, "{:?}", unnamed.notes());
}

#[test]
fn a_line_of_counts_is_neither_header_nor_data() {
    for text in ["2,2,no,yes\n1,2,0\n3,4,1\n", "2,2,yes\n1,2,0\n3,4,1\n"] {
        let table = table(text);
        assert_eq!((table.rows(), table.has_header(), table.notes().len()), (2, false, 1), "{text:?}");
        assert_eq!(table.line(0), 2);
    }
    assert!(message(b"7,2,yes,no\n1,2,0\n3,4,1\n").contains("line 1, column 4"), "the counts are wrong");
}

#[test]
fn names_that_are_known_tell_a_header_and_other_names_are_noticed() {
    let read = |text: &str| {
        let known_names = ["size", "colour", "price"].map(String::from).to_vec();
        let options = TableOptions { known_names, ..TableOptions::default() };
        Table::from_reader("t", text.as_bytes(), &options).expect(text).has_header()
    };
    assert!(read("colour,size\nred,1\nblue,2\n"));
    assert!(read("length,width,kind\n1,2,a\n3,4,b\n"), "other names above numbers");
    assert!(!read("red,1,5\nblue,2,6\n"), "data");
    assert!(!read("red,1,5\n"), "a single row of data");
    assert!(!read("unknown,unknown,5\nblue,2,6\nred,3,7\n"), "a word among numbers is data");
}

#[test]
fn what_is_set_is_not_detected() {
    let read = |options: TableOptions, text: &str| Table::from_reader("t", text.as_bytes(), &options).expect(text);
    let spaced =
        read(TableOptions { delimiter: Some(b'|'), header: Some(true), ..Default::default() }, "1,5|2,5\n3|4\n");
    assert_eq!((spaced.names(), rows(&spaced)), (&["1,5".to_string(), "2,5".to_string()][..], vec![vec!["3", "4"]]));
    let bare = read(TableOptions { header: Some(false), ..Default::default() }, "a,b\n1,2\n");
    assert_eq!((bare.rows(), bare.names()[1].as_str()), (2, "column2"));
    let marked =
        read(TableOptions { missing: vec!["-9".into()], header: Some(false), ..Default::default() }, "1,NA\n-9,2\n");
    assert_eq!((marked.value(1, 0), marked.value(0, 1)), (None, Some("NA")));
    let known = |names: &[&str], text: &str| {
        let known_names = names.iter().map(|name| name.to_string()).collect();
        read(TableOptions { known_names, ..Default::default() }, text)
    };
    assert!(!known(&["colour", "size"], "red,big\n").has_header(), "a single row of text to predict from");
    assert!(known(&["colour", "size", "price"], "size,colour\nred,big\n").has_header());
    let error = Table::from_reader("t", "a".as_bytes(), &TableOptions { delimiter: Some(b'"'), ..Default::default() });
    assert!(matches!(error, Err(TableError::Delimiter { delimiter: '"' })));
}

#[test]
fn blanks_separate_and_semicolons_make_commas_decimal() {
    let housing = table(" 0.1  18.0   2.3\n 0.2  0.0  7.1 \n");
    assert_eq!(rows(&housing), [["0.1", "18.0", "2.3"], ["0.2", "0.0", "7.1"]]);
    let european = table("\u{feff}a;b\n1,5;2\n2,5;3\n");
    assert!(european.has_header() && european.decimal_comma());
    assert_eq!(european.names(), ["a", "b"]);
}

#[test]
fn broken_rows_are_named_by_line_and_column() {
    let check = |bytes: &[u8], parts: &[&str]| {
        let message = message(bytes);
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message:?}");
        }
    };
    check(
        b"a,b,c\n1,2,3\n\n4,5\n6,7,8\n",
        &["t.csv, line 4, column 3", "2 fields where the others have 3", "add the missing"],
    );
    check(b"1,2\n3,4,5\n6,7\n", &["line 2, column 3", "3 fields where the others have 2", "in quotes"]);
    check(b"1,2\n3,4\n5;6\n7,8\n", &["line 3, column 2", "separated by ';'"]);
    check(b"1,2\n\"3,4\n5,6\"\n7,8\n", &["line 2, column 2", "may not be closed"]);
    check(b"1,2\n3,4\n5,\"6\n7,8\n", &["line 3, column 2", "never closed"]);
    check(b"1,2\n3,4\n\"5,6\n7,8\n", &["line 3, column 1", "never closed"]);
    check(b"1,a\n3,\"x,y\"\n\"q\",caf\xe9\n", &["line 3, column 2", "0xE9", "UTF-8"]);
    check(b"", &["t.csv is empty"]);
    check(b" \n\n", &["t.csv is empty"]);
    check(b"a,b\n", &["header but no rows", "a, b"]);
    check(b"PK\x03\x04rest", &["spreadsheet"]);
    check(b"\xff\xfea\x00,\x00", &["UTF-16"]);
    check(b"a,\x00\n", &["not a text file"]);
    check(b"\x1f\x8b\x08garbage", &["gzip"]);
}

#[test]
fn files_may_be_gzipped_but_not_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let text: String = (0..2000).map(|row| format!("{row},{}\n", row * 7919 % 1009)).collect();
    encoder.write_all(text.as_bytes()).expect("in memory");
    let bytes = encoder.finish().expect("in memory");
    std::fs::write(&path, &bytes).expect("written");
    let table = Table::read(&path, &TableOptions::default()).expect("a gzipped table");
    assert_eq!((table.rows(), table.cell(1999, 0)), (2000, "1999"));
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    assert!(matches!(Table::read(&path, &TableOptions::default()), Err(TableError::Gzip { .. })));
    assert!(matches!(Table::read(folder.path(), &TableOptions::default()), Err(TableError::Directory { .. })));
    let absent = Table::read(folder.path().join("absent"), &TableOptions::default());
    assert!(matches!(absent, Err(TableError::Io { .. })));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    // A walk over mutations of a valid file: each byte replaced by each of those that carry structure.
    let text = b"a,\"b \"\" c\",d\n1,\"2\n3\",?\r\n 4, \"5\" ,6\n";
    let mut tried = 0;
    for at in 0..text.len() {
        for byte in *b"\",;\t \n\r|a0\x00\xff\xc3" {
            let mut bytes = text.to_vec();
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..=at]] {
                if let Ok(table) = Table::from_reader("t", bytes, &TableOptions::default()) {
                    assert!(table.rows() > 0 && table.columns() > 0);
                }
                tried += 1;
            }
        }
    }
    assert_eq!(tried, text.len() * 13 * 2);
}
