//! Messages: what a mail reader gets out of the bytes, and that nothing gets into them that should
//! not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests panic as tests do"
)]

use std::borrow::Cow;
use std::env;
use std::fs;

use chrono::{DateTime, FixedOffset};
use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders};
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::{collection, option, sample};
use tradewind::book::contact::Card;
use tradewind::book::tag::{Audience, Series};
use tradewind::letter::compose::{ComposeError, Envelope, Mailbox, compose};
use tradewind::letter::template::{Rendered, Template, Vars};

fn date() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339("2024-09-05T09:00:00+08:00").unwrap()
}

fn audience() -> Audience {
    Audience::parse("英语-工程设备经销商").unwrap()
}

fn envelope(audience: &Audience) -> Envelope<'_> {
    Envelope {
        from: Mailbox { name: "Lin Mei", address: "lin@mail.tradewind.example" },
        to: Mailbox { name: "Zoë Müller", address: "zoe@example.de" },
        message_id: "00000012.0003.20240905@mail.tradewind.example",
        date: date(),
        audience,
        language: Some("en"),
        unsubscribe_url: "https://t.example/u/AbC-_1",
        unsubscribe_mailto: Some("mailto:unsubscribe+AbC-_1@mail.tradewind.example"),
        pixel_url: Some("https://t.example/o/AbC-_1.gif"),
        feedback_id: Some("m05:en-dealers:marketing:tradewind"),
        extra: &[],
    }
}

fn letter(text: &str, html: Option<&str>) -> Rendered {
    Rendered { subject: "Parts".to_owned(), text: text.to_owned(), html: html.map(str::to_owned) }
}

fn read(bytes: &[u8]) -> Message<'_> {
    MessageParser::new().parse(bytes).unwrap()
}

fn only(address: Option<&Address<'_>>) -> (String, String) {
    let all: Vec<_> = address.unwrap().iter().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (owned(all[0].name()), owned(all[0].address()))
}

/// The names of the header fields, as they stand on the wire.
fn fields(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

/// 7 bits, no NUL, every line ended by CRLF and at most 998 long.
fn wire_faults(bytes: &[u8]) -> Option<String> {
    if let Some(byte) = bytes.iter().find(|b| **b == 0 || **b > 126) {
        return Some(format!("byte {byte}"));
    }
    if !bytes.ends_with(b"\r\n") {
        return Some("no CRLF at the end".to_owned());
    }
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split("\r\n").find_map(|line| {
        (line.contains(['\r', '\n']) || line.len() > 998).then(|| format!("line {line:?}"))
    })
}

const FIELDS: &[&str] = &[
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
    "MIME-Version",
    "Content-Type",
];

#[test]
fn a_mail_reader_gets_what_was_meant() {
    let audience = audience();
    let mut rendered = letter("Grüße,\nLin\n", Some("<body><p>Grüße</p></body>"));
    rendered.subject = "Pièces détachées für 工程设备".to_owned();
    let bytes = compose(&rendered, &envelope(&audience)).unwrap();
    assert_eq!(wire_faults(&bytes), None);
    assert_eq!(fields(&bytes), FIELDS);
    let message = read(&bytes);
    assert_eq!(only(message.from()), ("Lin Mei".into(), "lin@mail.tradewind.example".into()));
    assert_eq!(only(message.to()), ("Zoë Müller".into(), "zoe@example.de".into()));
    assert_eq!(message.subject().unwrap(), rendered.subject);
    assert_eq!(message.date().unwrap().to_rfc3339(), "2024-09-05T09:00:00+08:00");
    assert_eq!(message.message_id().unwrap(), "00000012.0003.20240905@mail.tradewind.example");
    assert_eq!(message.body_text(0).unwrap(), "Grüße,\r\nLin\r\n");
    let html = message.body_html(0).unwrap();
    assert!(html.contains("<p>Grüße</p><img src=\"https://t.example/o/AbC-_1.gif\""), "{html}");
    assert!(html.ends_with("</body>\r\n"), "{html}");
    assert_eq!(message.parts.len(), 3);
    for part in &message.parts[1..] {
        assert_eq!(part.content_language(), &HeaderValue::Text(Cow::Borrowed("en")));
    }
    let raw = |name: &str| message.header_raw(name).unwrap().trim().replace("\r\n", "");
    assert_eq!(
        raw("List-Unsubscribe"),
        "<https://t.example/u/AbC-_1>, <mailto:unsubscribe+AbC-_1@mail.tradewind.example>"
    );
    assert_eq!(raw("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(raw("Feedback-ID"), "m05:en-dealers:marketing:tradewind");
    assert!(
        raw("List-Id").ends_with(".mail.tradewind.example>") && raw("List-Id").len() == 41,
        "{}",
        raw("List-Id")
    );
    assert_eq!(raw("Date"), "Thu, 05 Sep 2024 09:00:00 +0800");
}

#[test]
fn a_letter_without_html_gets_a_page_for_the_pixel() {
    let audience = audience();
    let text = "Dear A & B,\nsecond line\n\n<see> https://t.example/u/x?a=1&b=2.\n";
    let bytes = compose(&letter(text, None), &envelope(&audience)).unwrap();
    let html = read(&bytes).body_html(0).unwrap().into_owned();
    assert!(html.contains("<html lang=\"en\">"), "{html}");
    assert!(html.contains("<p>Dear A &amp; B,<br>\r\nsecond line</p>"), "{html}");
    let link = "https://t.example/u/x?a=1&amp;b=2";
    let expected = format!("<p>&lt;see&gt; <a href=\"{link}\">{link}</a>.</p>\r\n<img ");
    assert!(html.contains(&expected), "{html}");

    let bare = Envelope { pixel_url: None, ..envelope(&audience) };
    let bytes = compose(&letter(text, None), &bare).unwrap();
    let message = read(&bytes);
    assert_eq!((message.parts.len(), message.html_body_count()), (1, 1));
    assert!(message.content_type().unwrap().subtype() == Some("plain"));
    let bytes = compose(&letter(text, Some("<p>x</p>")), &bare).unwrap();
    assert!(!read(&bytes).body_html(0).unwrap().contains("<img"));
}

#[test]
fn the_same_letter_gives_the_same_bytes() {
    let audience = audience();
    let (plain, other) = (letter("ü", None), letter("ü!", None));
    let first = compose(&plain, &envelope(&audience)).unwrap();
    let again = std::thread::spawn({
        let plain = plain.clone();
        move || {
            compose(&plain, &envelope(&Audience::parse("英语-工程设备经销商").unwrap())).unwrap()
        }
    });
    assert_eq!(first, again.join().unwrap());
    assert_ne!(first, compose(&other, &envelope(&audience)).unwrap());
}

#[test]
fn what_cannot_stand_in_a_header_is_refused() {
    let audience = audience();
    let good = envelope(&audience);
    let long = "x".repeat(901);
    let to = |address| Envelope { to: Mailbox { name: "", address }, ..good };
    for bad in ["a@x\r\nBcc: v@x", "a@x\0", "a b@x", "a@x>,<b@x", "a@x,b@x", "é@x", "", &long] {
        assert!(compose(&letter("x", None), &to(bad)).is_err(), "{bad}");
    }
    for bad in ["https://a/\r\nX: y", "https://a/ b", "https://a/>", "https://é/", "", &long] {
        for envelope in [
            Envelope { unsubscribe_url: bad, ..good },
            Envelope { unsubscribe_mailto: Some(bad), ..good },
            Envelope { pixel_url: Some(bad), ..good },
            Envelope { message_id: bad, ..good },
            Envelope { feedback_id: Some(bad), ..good },
            Envelope { language: Some(bad), ..good },
        ] {
            let err = compose(&letter("x", None), &envelope).unwrap_err();
            assert!(!err.to_string().contains(['\r', '\n']), "{err}");
        }
    }
    for bad in ["From", "message-id", "Content-Type", "X Y", "X:", "", "X\r\nY", "DKIM-Signature"] {
        let extra = [(bad, "x")];
        let result = compose(&letter("x", None), &Envelope { extra: &extra, ..good });
        assert_eq!(result.unwrap_err(), ComposeError::Extra(bad.to_owned()));
    }
    let twice = [("X-A", "1"), ("x-a", "2")];
    assert!(compose(&letter("x", None), &Envelope { extra: &twice, ..good }).is_err());
    let once = [("Reply-To", "lin@tradewind.example"), ("X-Auto-Response-Suppress", "DR\r\nRN: x")];
    let bytes = compose(&letter("x", None), &Envelope { extra: &once, ..good }).unwrap();
    let message = read(&bytes);
    assert_eq!(only(message.reply_to()).1, "lin@tradewind.example");
    assert_eq!(message.header_raw("X-Auto-Response-Suppress").unwrap().trim(), "DR RN: x");
}

/// One whole letter, as it was agreed. `UPDATE=1 cargo test` writes it anew.
#[test]
fn golden() {
    const FILE: &str = "tests/golden/letter.eml";
    let name = "法语-工程设备经销商-阅读.letter";
    let source = fs::read_to_string(format!("config/templates/{name}")).unwrap();
    let template = Template::parse(name, &source, &Series::default()).unwrap();
    let card = Card {
        name: "Élodie Dupré".to_owned(),
        company: "Chantiers & Fils".to_owned(),
        ..Card::default()
    };
    let envelope = Envelope {
        to: Mailbox { name: &card.name, address: "elodie@chantiers.example" },
        language: Some("fr"),
        ..envelope(template.audience())
    };
    let rendered = template.render(&Vars {
        address: envelope.to.address,
        card: &card,
        sender: envelope.from.name,
        batch: "法语-工程设备经销商-阅读09",
        unsubscribe_url: envelope.unsubscribe_url,
    });
    let bytes = compose(&rendered.unwrap(), &envelope).unwrap();
    if env::var_os("UPDATE").is_some() {
        fs::write(FILE, &bytes).unwrap();
    }
    let agreed = fs::read(FILE).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), String::from_utf8(agreed).unwrap());
}

/// Anything at all, with what breaks messages more often than chance would have it.
fn anything() -> impl Strategy<Value = String> {
    let poison = sample::select(vec![
        "\r",
        "\n",
        "\r\n",
        "\n\n",
        "\0",
        "\r\nBcc: x@y.example\r\n",
        "\u{85}",
        "\u{2028}",
        "\t",
        " ",
        "=?utf-8?Q?=0D=0A?=",
        "\"",
        "\\",
        "<",
        ">",
        ",",
        ";",
        "@",
        "--=_",
        ".\r\n",
        "\u{7f}",
        "\u{1b}",
        "é",
        "工程设备",
        "😀",
        "https://a.example/",
        "</body>",
        "x",
    ]);
    let piece = proptest::prop_oneof![
        poison.prop_map(str::to_owned),
        "(?s).{0,12}",
        (1..1500_usize).prop_map(|n| "x".repeat(n)),
        (1..700_usize).prop_map(|n| "é".repeat(n)),
    ];
    collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_gets_out_of_its_place(
        subject in anything(), text in anything(), html in option::of(anything()),
        from in anything(), to in anything(), extra in anything(), pixel in proptest::bool::ANY,
    ) {
        let audience = audience();
        let extra = [("X-Note", extra.as_str())];
        let good = envelope(&audience);
        let envelope = Envelope {
            from: Mailbox { name: &from, ..good.from },
            to: Mailbox { name: &to, ..good.to },
            pixel_url: good.pixel_url.filter(|_| pixel),
            extra: &extra,
            ..good
        };
        let rendered = Rendered { subject, text, html };
        let bytes = compose(&rendered, &envelope).unwrap();
        prop_assert_eq!(wire_faults(&bytes), None);
        let mut names = fields(&bytes);
        names.retain(|name| !name.starts_with("Content-") && name != "X-Note");
        prop_assert_eq!(names, &FIELDS[..FIELDS.len() - 1]);
        let message = read(&bytes);
        prop_assert_eq!(only(message.from()).1, good.from.address);
        prop_assert_eq!(only(message.to()).1, good.to.address);
        prop_assert!(message.attachment_count() == 0);
        let parts = if pixel || rendered.html.is_some() { 3 } else { 1 };
        prop_assert_eq!(message.parts.len(), parts);
        prop_assert_eq!(&bytes, &compose(&rendered, &envelope).unwrap());
    }

    #[test]
    fn no_field_that_stands_as_it_is_breaks_a_line(
        value in anything(), name in anything(), which in 0..8_usize,
    ) {
        let audience = audience();
        let good = envelope(&audience);
        let extra = [(name.as_str(), "x")];
        let mailbox = Mailbox { name: "", address: &value };
        let envelope = match which {
            0 => Envelope { from: mailbox, ..good },
            1 => Envelope { to: mailbox, ..good },
            2 => Envelope { message_id: &value, ..good },
            3 => Envelope { unsubscribe_url: &value, ..good },
            4 => Envelope { unsubscribe_mailto: Some(&value), ..good },
            5 => Envelope { pixel_url: Some(&value), ..good },
            6 => Envelope { feedback_id: Some(&value), ..good },
            _ => Envelope { extra: &extra, ..good },
        };
        if let Ok(bytes) = compose(&letter("x", None), &envelope) {
            prop_assert_eq!(wire_faults(&bytes), None);
            let expected = FIELDS.len() + usize::from(which == 7);
            prop_assert_eq!(fields(&bytes).len(), expected);
        }
    }
}
