//! Reading saved searches: encodings, formats, headers, and every way to be broken.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tradewind::book::contact::Kind;
use tradewind::cadence::columns::Cells;
use tradewind::cadence::rows::{Options, Row, Rows};

const SHEET: &[u8] = include_bytes!("data/saved-search.xlsx");
const CHINESE: &[u8] = include_bytes!("data/saved-search.gb18030.csv");

fn rows(input: &[u8]) -> Vec<Row> {
    rows_with(input, &Options::default())
}

fn rows_with(input: &[u8], options: &Options) -> Vec<Row> {
    let rows = Rows::open(input, options).expect("readable");
    rows.collect::<Result<_, _>>().expect("slices do not fail")
}

fn unreadable(input: &[u8], options: &Options) -> String {
    Rows::open(input, options).err().expect("unreadable").to_string()
}

/// `line address` of good rows, `line! fault` of bad ones.
fn said(input: &[u8]) -> Vec<String> {
    let say = |row: Row| match row.cells {
        Ok(cells) => format!("{} {}", row.line, cells.address),
        Err(fault) => format!("{}! {fault}", row.line),
    };
    rows(input).into_iter().map(say).collect()
}

fn only(input: &[u8]) -> Cells {
    let [row] = rows(input).try_into().expect("one row");
    row.cells.expect("a good row")
}

#[test]
fn every_encoding_reads_alike() {
    let text = "邮箱,姓名\r\nann@acme.example,安娜 Müller\r\nbob@acme.example,鲍勃\r\n";
    let le = || text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let be = || text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let gb = encoding_rs::GB18030.encode(text).0.into_owned();
    for (name, bytes) in [
        ("UTF-8", text.as_bytes().to_vec()),
        ("UTF-8 BOM", [b"\xEF\xBB\xBF", text.as_bytes()].concat()),
        ("UTF-16LE BOM", [b"\xFF\xFE".to_vec(), le()].concat()),
        ("UTF-16BE BOM", [b"\xFE\xFF".to_vec(), be()].concat()),
        ("UTF-16LE", le()),
        ("UTF-16BE", be()),
        ("GB18030", gb),
    ] {
        assert_eq!(rows(&bytes), rows(text.as_bytes()), "{name}");
    }
    assert_eq!(rows(text.as_bytes())[0].cells.clone().unwrap().card.name, "安娜 Müller");
}

#[test]
fn a_file_of_another_tool_in_gb18030() {
    let rows = rows(CHINESE);
    let ann = rows[0].cells.clone().unwrap();
    assert_eq!(
        (ann.card.name.as_str(), ann.card.company.as_str()),
        ("安娜", "宏达工程,设备有限公司")
    );
    assert_eq!(ann.tags, ["💬询盘", "成交"]);
    assert_eq!(rows[1].cells.clone().unwrap().kind, Some(Kind::Ordinary));
}

#[test]
fn undecodable_bytes_cost_their_row_only() {
    let gb = |text: &str| encoding_rs::GB18030.encode(text).0.into_owned();
    let chinese = [gb("邮箱,姓名\nann@acme.example,安娜\n"), b"b@acme.example,\xFF\n".to_vec()];
    let late = [gb("c@acme.example,鲍\n"), b"d@acme.example,x\x81".to_vec()];
    // The fault lies behind the block by which the encoding is judged, and behind a good one.
    let filler = gb("x@acme.example,安\n").repeat(5000);
    let input = [chinese[0].clone(), filler, chinese[1].clone(), late.concat()].concat();
    let said = said(&input);
    let bad: Vec<_> = said.iter().filter(|row| row.contains('!')).collect();
    assert_eq!(said.len(), 5004);
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(bad[0].starts_with("5003! bytes that are no GB18030"), "{bad:?}");
    assert!(bad[1].starts_with("5005! "), "{bad:?}");

    let western = b"email,name\na@acme.example,Jos\xE9 Pe\xF1a\nb@acme.example,Bob\n";
    let said = self::said(western);
    assert!(said[0].starts_with("2! bytes that are no UTF-8"), "{said:?}");
    assert_eq!(said[1], "3 b@acme.example");
}

#[test]
fn every_format_reads_alike() {
    let expected = ["2 a@acme.example", "3 b@acme.example"];
    for (name, text) in [
        ("comma", "email,name\na@acme.example,Ann\nb@acme.example,Bob\n"),
        ("no last line end", "email,name\na@acme.example,Ann\nb@acme.example,Bob"),
        ("CR LF", "email,name\r\na@acme.example,Ann\r\nb@acme.example,Bob\r\n"),
        ("CR", "email,name\ra@acme.example,Ann\rb@acme.example,Bob\r"),
        ("semicolon", "email;name\na@acme.example;Ann, MSc\nb@acme.example;Bob\n"),
        ("tab", "email\tname\na@acme.example\tAnn\nb@acme.example\tBob; x\n"),
        (
            "quoted",
            "\"e-mail\",\"name, full\"\n\"a@acme.example\",\"A\"\nb@acme.example,\"B\"\"b\"\n",
        ),
        ("one column", "E_Mail\na@acme.example\nb@acme.example\n"),
        ("blanks trimmed", " email , name \n a@acme.example , Ann\n b@acme.example,Bob\n"),
        ("blank rows", "email,name\na@acme.example,Ann\nb@acme.example,Bob\n\n , \n\n"),
    ] {
        assert_eq!(said(text.as_bytes()), expected, "{name}");
    }
    for (name, text, expected) in [
        ("bare", "a@acme.example\n\nb@acme.example\n", ["1 a@acme.example", "3 b@acme.example"]),
        ("bare, broken first", "root\nb@acme.example\n", ["1 root", "2 b@acme.example"]),
        (
            "bare, delimiters at the end",
            "a@b.example,\nc@b.example,\n",
            ["1 a@b.example,", "2 c@b.example,"],
        ),
        (
            "display form",
            "\"Doe, A\" <a@b.example>\nB <b@b.example>",
            ["1 \"Doe, A\" <a@b.example>", "2 B <b@b.example>"],
        ),
        (
            "JSON lines",
            "\n{\"email\":\"a@b.example\"}\n{\"name\":1,\"mail\":\"b@b.example\"}\n",
            ["2 a@b.example", "3 b@b.example"],
        ),
    ] {
        assert_eq!(said(text.as_bytes()), expected, "{name}");
    }
}

#[test]
fn columns_by_name_in_both_languages() {
    let english = only(
        b"E-Mail,Full Name,company_name,Domain,COUNTRY,language,Position,Type,Rank,Source,Tag,Founded\n\
          a@acme.example,Ann,Acme,acme.example,FR,French,CEO,general,7,fair,\"x;y|z,w\",1998\n",
    );
    let chinese = only(
        "邮箱地址,客户姓名,公司名称,域名,国家,语言,职务,类型,排序,来源,标签,Founded\n\
         a@acme.example,Ann,Acme,acme.example,FR,French,CEO,普通,7,fair,x；y;z;w,1998\n"
            .as_bytes(),
    );
    assert_eq!(english, chinese);
    let card = &english.card;
    assert_eq!(
        card.fields().map(|(_, value)| value),
        ["Ann", "Acme", "FR", "French", "CEO", "fair"]
    );
    let attributes: Vec<_> = card.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(attributes, ["domain=acme.example", "Founded=1998"]);
    assert_eq!((english.kind, english.rank), (Some(Kind::Ordinary), Some(7)));
    assert_eq!(english.tags, ["x", "y", "z", "w"]);
}

#[test]
fn odd_headers() {
    let attributes = |text: &str| {
        let card = only(text.as_bytes()).card;
        let pairs = card.attributes.iter().map(|(name, value)| format!("{name}={value}"));
        (card.name.clone(), pairs.collect::<Vec<_>>().join(" "))
    };
    for (text, name, expected) in [
        ("email,name,name,name\na@b.example,1,2,3", "1", "name_2=2 name_3=3"),
        ("email,x,x\na@b.example,1,", "", "x=1"),
        ("email,mail\na@b.example,c@d.example", "", "mail=c@d.example"),
        ("email,first_name,Last Name\na@b.example,Ann,Lee", "Ann Lee", ""),
        ("email,first name,last name\na@b.example,伟,王", "王伟", ""),
        ("email,first name,last name\na@b.example,,Lee", "Lee", ""),
        ("email,first name,name\na@b.example,Ann,Ann Lee", "Ann Lee", "first name=Ann"),
        ("email,,\na@b.example,1,2", "", "column_2=1 column_3=2"),
        ("address,email\nHigh Street 1,a@b.example", "", "address=High Street 1"),
        ("name,address\nAnn,a@b.example", "Ann", ""),
    ] {
        assert_eq!(attributes(text), (name.to_owned(), expected.to_owned()), "{text}");
    }
}

#[test]
fn a_mapping_goes_first() {
    let map = |pairs: &[(&str, &str)]| Options {
        map: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..Options::default()
    };
    let text = b"Kontakt,Firma,name\na@b.example,B GmbH,Ann\n";
    let options = map(&[("kontakt", "email"), ("Firma", "company"), ("name", "title")]);
    let cells = rows_with(text, &options)[0].cells.clone().unwrap();
    assert_eq!((cells.card.company.as_str(), cells.card.title.as_str()), ("B GmbH", "Ann"));
    let json = b"{\"Kontakt\":\"a@b.example\"}\n";
    assert_eq!(rows_with(json, &options)[0].cells.clone().unwrap().address, "a@b.example");
    assert!(unreadable(text, &map(&[("Kontakt", "emial")])).contains("no field \"emial\""));
    assert!(unreadable(text, &map(&[("Mail", "email")])).contains("no such column among Kontakt"));
    let pipes = Options { delimiter: Some(b'|'), ..Options::default() };
    assert_eq!(rows_with(b"email|name\na@b.example|Ann;Lee", &pipes).len(), 1);
}

#[test]
fn json_values() {
    let cells = only(
        "{\"z\":1.50,\"email\":\" a@b.example \",\"tags\":[\"x\",\"y\"],\"a\":true,\"n\":null,\"rank\":3,\"o\":{\"k\":[1]}}"
            .as_bytes(),
    );
    let attributes: Vec<_> =
        cells.card.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(attributes, ["z=1.5", "a=true", "o={\"k\":[1]}"]);
    assert_eq!((cells.tags.len(), cells.rank), (2, Some(3)));
}

#[test]
fn a_workbook_of_another_tool() {
    let said = said(SHEET);
    assert_eq!(said.len(), 5);
    assert_eq!(said[..2], ["2 ann@acme.example", "3 bob@acme.example"]);
    assert!(said[2].starts_with("5! column 类型: \"别的\" is no kind"), "{said:?}");
    assert!(said[3].starts_with("6! no address"), "{said:?}");
    assert_eq!(said[4], "7 zoe@acme.example");
    let ann = rows(SHEET)[0].cells.clone().unwrap();
    assert_eq!((ann.rank, ann.kind), (Some(1), Some(Kind::Precise)));
    let attributes: Vec<_> = ann.card.attributes.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(attributes, ["1998-04-03", "120"]);
}

#[test]
fn broken_workbooks_and_bombs_are_refused() {
    assert!(unreadable(&SHEET[..2000], &Options::default()).contains("convert it to CSV"));
    assert!(unreadable(b"PK\x03\x04nothing", &Options::default()).contains("convert it to CSV"));
    let bomb = zip_of(&[("xl/worksheets/sheet1.xml", 65 * 1024 * 1024)]);
    assert!(bomb.len() < 100_000);
    assert!(unreadable(&bomb, &Options::default()).contains("more than 64 MiB"));
    let parts = [("a", 33 * 1024 * 1024), ("b", 33 * 1024 * 1024)];
    let mut lying = zip_of(&parts);
    for size in parts.map(|(_, size)| u32::try_from(size).expect("fits")) {
        patch(&mut lying, &size.to_le_bytes(), &1000_u32.to_le_bytes());
    }
    let said = unreadable(&lying, &Options::default());
    assert!(said.contains("convert it to CSV"), "{said}");
}

fn zip_of(parts: &[(&str, usize)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, size) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("in memory");
        zip.write_all(&vec![b' '; *size]).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

fn patch(bytes: &mut [u8], from: &[u8; 4], to: &[u8; 4]) {
    while let Some(at) = bytes.windows(4).position(|window| window == from) {
        bytes.iter_mut().skip(at).zip(to).for_each(|(byte, new)| *byte = *new);
    }
}

#[test]
fn inputs_that_hold_no_rows() {
    for (input, part) in [
        (&b""[..], "empty"),
        (b"\n \n\n", "empty"),
        (b"\xEF\xBB\xBF", "empty"),
        (b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0", "binary"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0\0\0", "binary"),
        (b"[{\"email\":\"a@b.example\"}]", "one object per line"),
        (b"name,company\nAnn,Acme\n", "line 1: no column of addresses among name, company"),
        (b"\n\nname\nAnn\n", "line 3: no column of addresses among name"),
        (b"a@b.example,Ann,Acme\n", "put a header line above it"),
        (b"email,\"name\nann\n", "header cannot be read: a quote opens here"),
    ] {
        let said = unreadable(input, &Options::default());
        assert!(said.contains(part), "{said}");
    }
    assert!(unreadable(",".repeat(5000).as_bytes(), &Options::default()).contains("at most 1000"));
    let wide = format!("email{}", ",x".repeat(5000));
    assert!(unreadable(wide.as_bytes(), &Options::default()).contains("at most 1000"));
    assert_eq!(rows(b"email,name\n"), []);
}

#[test]
fn faulty_rows_cost_themselves_only() {
    for (row, part) in [
        ("b@b.example,Bob", "2 fields where the header names 5"),
        ("b@b.example,Bob,1,精准,x,y", "6 fields where the header names 5"),
        (",Bob,1,精准,", "no address"),
        ("b@b.example,Bob,0,精准,", "column rank: \"0\" is no rank"),
        ("b@b.example,Bob,first,精准,", "\"first\" is no rank"),
        ("b@b.example,Bob,-1,精准,", "no rank"),
        ("b@b.example,Bob,1,好,", "\"好\" is no kind"),
        ("b@b.example,B\0b,1,,", "column name: a line break or NUL"),
        ("b@b.example,\"B\nBcc: x@y.example\",1,,", "column name: a line break or NUL"),
        (&format!("b@b.example,Bob,1,,{}", "x".repeat(4097)), "column note: 4097 bytes"),
    ] {
        // The filler keeps a NUL from making it a binary file.
        let filler = "x@b.example,,,,\n".repeat(20);
        let text = format!("email,name,rank,kind,note\n{filler}{row}\nc@b.example,C,1,,\"a\nb\"\n");
        let said = said(text.as_bytes());
        assert_eq!(said.len(), 22, "{said:?}");
        assert!(said[20].starts_with("22! ") && said[20].contains(part), "{}", said[20]);
        assert!(said[21].ends_with(" c@b.example"), "{}", said[21]);
    }
    let said = said(b"{\"email\":\"a@b.example\"}\n{\"email\":\n{\"x\":1}\n{} x\n7\n{\"mail\":\"b@b.example\"}\n");
    assert_eq!((said[0].as_str(), said[5].as_str()), ("1 a@b.example", "6 b@b.example"));
    for (row, part) in [
        (1, "2! no JSON object (EOF"),
        (2, "3! no address"),
        (3, "4! no JSON object"),
        (4, "5! no JSON object (invalid type"),
    ] {
        assert!(said[row].starts_with(part), "{}", said[row]);
    }
}

#[test]
fn an_open_quote_never_swallows_the_file() {
    let good = "b@b.example,Bob\n".repeat(3);
    for (name, head, bad) in [
        ("to the end", "email,name\na@b.example,\"Ann\n", 1),
        (
            "to the next quote",
            "email,name\na@b.example,\"Ann\nx@b.example,X\nd@b.example,\"D\"\n",
            1,
        ),
        ("text after a quote", "email,name\na@b.example,\"Ann\" Lee\n", 0),
    ] {
        let said = said(format!("{head}{good}").as_bytes());
        let faults: Vec<_> = said.iter().filter(|row| row.contains('!')).collect();
        assert_eq!(faults.len(), bad, "{name}: {said:?}");
        assert!(
            faults.iter().all(|f| f.starts_with("2! a quote opens here")),
            "{name}: {faults:?}"
        );
        assert_eq!(said.len(), head.lines().count() - 1 + 3, "{name}: {said:?}");
    }
    let long = format!("email,name\na@b.example,\"Ann\n{}", "b@b.example,Bob\n".repeat(200_000));
    let said = said(long.as_bytes());
    assert_eq!(said.len(), 200_001);
    assert!(said[0].starts_with("2! a quote opens here"));
    assert_eq!(said[200_000], "200002 b@b.example");
}

#[test]
fn the_shipped_sample() {
    let rows = rows(include_bytes!("../config/sample-search.csv"));
    let good: Vec<_> = rows.iter().filter_map(|row| row.cells.as_ref().ok()).collect();
    assert_eq!((rows.len(), good.len()), (209, 205));
    let of_one = |cells: &&&Cells| cells.address.ends_with("@northgate-machinery.example");
    assert_eq!(good.iter().filter(of_one).count(), 58);
    let real = ["gmail.com", "outlook.com", "orange.fr", "qq.com"];
    for cells in good.iter().filter(|cells| !cells.address.to_lowercase().contains(".example")) {
        let (local, domain) = cells.address.split_once('@').unwrap_or((&cells.address, ""));
        let sample = local.starts_with("tradewind.sample.") && real.contains(&domain);
        assert!(sample || ["not-an-address", "two"].contains(&local), "{}", cells.address);
    }
}

/// Gives at most `step` bytes a time, and may fail in the end.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
    fails: bool,
}

impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.fails {
            return Err(io::Error::other("the disk went away"));
        }
        let step = self.step.min(buf.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(step);
        buf.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        self.bytes = rest;
        Ok(step)
    }
}

#[test]
fn long_lines_cost_bounded_memory_and_themselves() {
    for length in [1_000_000, 1024 * 1024 + 1, 5_000_000] {
        for filler in ["x", ",", "x,", "\"", "\"x", "中"] {
            let long = filler.repeat(length / filler.len());
            let text = format!("email,name\na@b.example,Ann\n{long}\nb@b.example,Bob\n");
            let said = said(text.as_bytes());
            assert_eq!(said.len(), 3, "{filler}{length}");
            assert!(said[1].starts_with("3! "), "{filler}{length}: {:.99}", said[1]);
            assert!(said[1].len() < 300);
            assert_eq!(said[2], "4 b@b.example");
        }
    }
    let said = said(
        "x".repeat(1_000_000)
            .as_bytes()
            .iter()
            .chain(b"\na@b.example\n")
            .copied()
            .collect::<Vec<_>>()
            .as_slice(),
    );
    assert!(said[0].starts_with("1! column email: 1000000 bytes"), "{:.99}", said[0]);
    let endless = unreadable("x".repeat(3_000_000).as_bytes(), &Options::default());
    assert!(endless.contains("longer than 1048576 bytes"), "{endless}");
}

#[test]
fn an_input_that_fails_ends_the_rows() {
    let text = "email,name\n".to_owned() + &"a@b.example,Ann\n".repeat(10_000);
    let drip = Drip { bytes: text.as_bytes(), step: 1000, fails: true };
    let mut rows = Rows::open(drip, &Options::default()).expect("a good beginning");
    let good = rows.by_ref().take_while(Result::is_ok).count();
    assert_eq!(good, 10_000);
    assert!(rows.next().is_none());
    let drip = Drip { bytes: b"", step: 1, fails: true };
    assert!(
        Rows::open(drip, &Options::default()).err().expect("fails").to_string().contains("disk")
    );
}

proptest! {
    /// What the csv crate writes, we read, whatever the blocks.
    #[test]
    fn we_read_what_others_write(
        table in prop::collection::vec(prop::collection::vec("[a-z \",;\r\n中é]{0,8}", 3), 1..40),
        delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        crlf: bool,
        step in 1_usize..200,
    ) {
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut csv = csv::WriterBuilder::new().delimiter(delimiter).terminator(end).from_writer(Vec::new());
        csv.write_record(["email", "x", "y", "z"]).unwrap();
        for row in &table {
            csv.write_record(["a@b.example", &row[0], &row[1], &row[2]]).unwrap();
        }
        let bytes = csv.into_inner().unwrap();
        let drip = Drip { bytes: &bytes, step, fails: false };
        let read: Vec<_> = Rows::open(drip, &Options::default()).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), table.len());
        for (read, row) in read.into_iter().zip(&table) {
            let found = read.cells.unwrap().card.attributes;
            let expected: Vec<_> = ["x", "y", "z"].into_iter().zip(row)
                .map(|(name, cell)| (name.to_owned(), cell.trim().to_owned()))
                .filter(|(_, cell)| !cell.is_empty()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// No input panics, and lines never go backwards.
    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), head in prop::sample::select(vec!["", "email,name\n", "a@b.example\n", "{}\n", "PK\x03\x04"])) {
        let input = [head.as_bytes(), &bytes].concat();
        if let Ok(rows) = Rows::open(&input[..], &Options::default()) {
            let lines: Vec<_> = rows.map(|row| row.unwrap().line).collect();
            prop_assert!(lines.is_sorted_by(|a, b| a < b));
        }
    }
}
