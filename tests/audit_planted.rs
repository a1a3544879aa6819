//! What must never happen, planted in a copy of a store that the binary made: `tradewind audit`
//! ends with 1 and names it. What it made itself is clean.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tradewind::book::contact::{CompanyNo, ContactId, Day, Moment};
use tradewind::book::tag::TagId;
use tradewind::feedback::entry::{Entry, LetterId, Via, What};
use tradewind::store::journal::{Journal, Reader};

#[path = "common/copy.rs"]
mod copy;
#[path = "common/place.rs"]
mod place;

use copy::copy_dir;
use place::Place;

const DAY: &str = "2024-09-05";

/// What the journal of the day says: who was claimed, who was not, and for which company.
#[derive(Default)]
struct Told {
    claims: Vec<(LetterId, CompanyNo)>,
    imported: Vec<(ContactId, CompanyNo, Vec<TagId>)>,
    day: Option<Day>,
    last: Option<Moment>,
}

impl Told {
    fn by(journal: &Path) -> Self {
        let mut told = Self::default();
        for entry in Reader::open(journal).unwrap().read_from(1).unwrap() {
            let (_, Entry { at, what }) = entry.unwrap();
            // The store was made by the real clock.
            if !matches!(what, What::StoreCreated { .. }) {
                told.last = told.last.max(Some(at));
            }
            match what {
                What::Imported { contact, company, tags, .. } => {
                    told.imported.push((contact, company, tags));
                }
                What::Claimed { letter, company, day, .. } => {
                    told.claims.push((letter, company));
                    told.day = Some(day);
                }
                _ => (),
            }
        }
        told
    }

    fn claim(&self, letter: LetterId, company: CompanyNo) -> What {
        let day = self.day.unwrap();
        let (attempt, counts, template, rehearsal) = (1, true, 1, true);
        What::Claimed { letter, day, company, attempt, counts, template, rehearsal }
    }
}

/// A store after a day with letters: 22 of one company, of which 20 went out, and some others.
fn a_day() -> Place {
    let place = Place::new(None);
    place.ask(&["init"]).good();
    let mut rows = "email\n".to_owned();
    (0..22).for_each(|n| writeln!(rows, "c{n}@acme.example").unwrap());
    (0..5).for_each(|n| writeln!(rows, "x{n}@lone{n}.example").unwrap());
    fs::write(place.path().join("search.csv"), rows).unwrap();
    let mut daemon = place.start(&format!("{DAY}T07:00:00+08:00"));
    let tag = "英语-工程设备经销商-营销05";
    place.ask(&["import", "search.csv", "--tag", tag, "--cap", "0"]).good();
    place.ask(&["clock", "--to", &format!("{DAY}T20:30:00+08:00")]).good();
    let status = place.ask(&["status"]).good();
    assert_eq!(status["accepted"], 25, "{status}");
    daemon.kill();
    place
}

/// Copies the store, appends to the copy's journal, and audits it.
fn audited(place: &Place, name: &str, planted: Vec<What>) -> (i32, Vec<String>) {
    let copy = place.path().join(name);
    copy_dir(&place.store(), &copy);
    let (mut journal, opened) = Journal::open(&copy.join("journal"), 0).unwrap();
    assert_eq!(opened.torn, None);
    let at = Told::by(&copy.join("journal")).last.unwrap();
    for what in planted {
        journal.push(&Entry { at, what });
    }
    journal.commit().unwrap();
    drop(journal);
    let audit = place.ask_of(name, &["audit"]);
    let named = audit.json["violations"].as_array().unwrap_or_else(|| panic!("{audit:?}"));
    let named = named.iter().map(|one| one["kind"].as_str().unwrap().to_owned());
    (audit.code, named.collect())
}

#[test]
fn each_planted_violation_is_named() {
    let place = a_day();
    let told = Told::by(&place.store().join("journal"));
    let big = told.imported[0].1;
    let (written, lone) =
        *told.claims.iter().find(|(_, company)| *company != big).expect("a loner was written to");
    let of = |contact| LetterId { contact, ..written };
    let over = told.imported.iter().find(|(contact, company, _)| {
        *company == big && !told.claims.iter().any(|(letter, _)| letter.contact == *contact)
    });
    let over = of(over.expect("two were above the cap").0);
    let gone = over.contact;

    assert_eq!(audited(&place, "clean", Vec::new()), (0, Vec::new()));

    // Another letter for somebody who got one today: of another round, and of the same.
    let other = LetterId { due: written.due.plus(-1), ..written };
    let (code, named) = audited(&place, "second", vec![told.claim(other, lone)]);
    assert_eq!(code, 1);
    assert!(named.contains(&"twice-a-day".to_owned()), "{named:?}");
    let (code, named) = audited(&place, "again", vec![told.claim(written, lone)]);
    assert_eq!(code, 1);
    assert!(named.contains(&"sent-again".to_owned()), "{named:?}");

    // One more of the company that had its twenty.
    let (code, named) = audited(&place, "cap", vec![told.claim(over, big)]);
    assert_eq!((code, named), (1, vec!["company-cap".to_owned()]));

    // Somebody who unsubscribed, on the next day, when nothing else stands in the way.
    let leaves = What::Unsubscribed { contact: gone, letter: None, via: Via::OneClick };
    let What::Claimed { letter, company, attempt, counts, template, rehearsal, .. } =
        told.claim(over, big)
    else {
        unreachable!()
    };
    let day = told.day.unwrap().plus(1);
    let claim = What::Claimed { letter, day, company, attempt, counts, template, rehearsal };
    let (code, named) = audited(&place, "tomorrow", vec![claim.clone()]);
    assert_eq!((code, named), (0, Vec::new()), "without the unsubscribe nothing is wrong with it");
    let (code, named) = audited(&place, "left", vec![leaves, claim]);
    assert_eq!((code, named), (1, vec!["suppressed".to_owned()]));
}
