//! The bytes of what comes back by mail: every kind comes back as it was, and the format is fixed.

use data_encoding::HEXLOWER;
use tradewind::book::contact::{ContactId, Day, Moment};
use tradewind::book::tag::TagId;
use tradewind::feedback::entry::{By, Entry, LetterId, What};
use tradewind::feedback::verdict::{AutoKind, Class};
use tradewind::store::record::{decode, encode};

fn kinds() -> Vec<(What, &'static str)> {
    let contact = ContactId(18);
    let letter = Some(LetterId { contact, tag: TagId(3), due: Day(19971) });
    vec![
        (
            What::Bounced {
                contact,
                letter,
                hard: true,
                status: "5.1.1".to_owned(),
                class: Class::InvalidRecipient,
                words: "no".to_owned(),
                mail: 300,
            },
            "1b28809c84fdb76412011203839c010105352e312e3101026e6fac02",
        ),
        (
            What::Complained { contact, letter: None, feedback: "abuse".to_owned(), mail: 1 },
            "1029809c84fdb764120005616275736501",
        ),
        (
            What::Replied {
                contact,
                letter,
                from: "a@b".to_owned(),
                subject: "s".to_owned(),
                language: "en".to_owned(),
                text: "价".to_owned(),
                files: vec![("f".to_owned(), "t/x".to_owned(), 7)],
                mail: 2,
                day: Day(19971),
            },
            "272a809c84fdb76412011203839c0103614062017302656e03e4bbb701016603742f780702839c01",
        ),
        (
            What::AutoReplied {
                contact,
                letter: None,
                kind: AutoKind::Left,
                until: Some(Day(19971)),
                text: String::new(),
                mail: 3,
            },
            "102b809c84fdb76412000201839c010003",
        ),
        (What::StoppedFor { contact, because: ContactId(19) }, "092c809c84fdb7641213"),
        (
            What::Decided { contact, by: By::Person("l".to_owned()), how: "resume".to_owned() },
            "122d809c84fdb7641201016c06726573756d65",
        ),
    ]
}

/// A journal is read for years: a changed byte here is a journal that cannot be read.
#[test]
fn the_form_is_fixed_and_comes_back() {
    for (what, golden) in kinds() {
        let entry = Entry { at: Moment(1_725_500_000_000), what };
        let mut bytes = Vec::new();
        encode(&entry, &mut bytes);
        assert_eq!(HEXLOWER.encode(&bytes), golden, "{entry:?}");
        assert_eq!(decode(&mut bytes.as_slice()), Ok(entry));
        for cut in 0..bytes.len() {
            assert!(decode(&mut &bytes[..cut]).is_err());
        }
    }
}
