//! The memory behind the journal: whatever is on its way to sled, in it, or rebuilt from nothing,
//! the answers are the same.

use std::path::Path;

use tradewind::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::feedback::entry::{By, What};
use tradewind::store::db::Store;

const DAY_MS: i64 = 86_400_000;
const FIRST: u16 = 20_000;

fn open(dir: &Path) -> Store {
    Store::open(dir, Vec::new(), &mut |_| ()).expect("it opens").0
}

fn at(day: u16) -> Moment {
    Moment(i64::from(day) * DAY_MS)
}

fn declare(store: &mut Store, tags: u16) {
    for tag in 0..tags {
        let batch = Some(("英语-a".to_owned(), SeriesKind::Marketing, "营销".to_owned(), 1));
        let (name, group) = (format!("t{tag}"), "marketing".to_owned());
        store
            .record(at(FIRST), What::TagDeclared { tag: TagId(tag), name, group, batch })
            .expect("the store works");
    }
}

/// Every third contact begins a company; cards are wide, so that pages span several sled values.
fn imported(n: u32, day: u16) -> What {
    let company = n / 3;
    What::Imported {
        contact: ContactId(n),
        address: format!("P{n}@c{company}.example"),
        company: CompanyNo(company),
        company_key: n.is_multiple_of(3).then(|| format!("c{company}.example")),
        kind: Kind::Precise,
        rank: n % 3 + 1,
        day: Day(day),
        import: 1,
        tags: vec![TagId(u16::try_from(n % 2).expect("small"))],
        card: card(n, "as imported"),
    }
}

fn card(n: u32, title: &str) -> Card {
    let note = format!("{:x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(60);
    let attributes = vec![("note".to_owned(), note)];
    Card { name: format!("name {n}"), title: title.to_owned(), attributes, ..Card::default() }
}

fn update(store: &mut Store, n: u32, title: &str) {
    let what = What::Updated { contact: ContactId(n), import: 2, card: card(n, title) };
    store.record(at(FIRST + 1), what).expect("the store works");
}

/// What is told of one contact.
fn told(store: &Store, n: u32) -> (String, String, String, Vec<&'static str>) {
    let contact = store.contact(ContactId(n)).expect("the store works").expect("it was imported");
    let timeline = store.timeline(ContactId(n)).expect("the store works");
    (
        contact.address.as_str().to_owned(),
        contact.card.title,
        store.company_key(contact.company).expect("the store works"),
        timeline.iter().map(|entry| entry.what.kind()).collect(),
    )
}

fn expected(
    n: u32,
    title: &str,
    kinds: &[&'static str],
) -> (String, String, String, Vec<&'static str>) {
    let company = format!("c{}.example", n / 3);
    (format!("P{n}@{company}"), title.to_owned(), company, kinds.to_vec())
}

#[test]
fn what_is_on_its_way_to_sled_is_never_missed() {
    let dir = tempfile::tempdir().unwrap();
    Store::init(dir.path(), at(FIRST), [7; 16], || Ok(())).unwrap();
    let mut store = open(dir.path());
    declare(&mut store, 2);
    // Some times what the memory holds back, so that batches are written all the while.
    let count = 20_000;
    for n in 0..count {
        store.record(at(FIRST), imported(n, FIRST)).unwrap();
        if n % 500 == 499 {
            store.commit().unwrap();
            for back in [0, 31, 250, 499, n / 2, n] {
                assert_eq!(
                    told(&store, n - back),
                    expected(n - back, "as imported", &["imported"]),
                    "{back} before {n}"
                );
            }
        }
    }
    assert_eq!(store.contact(ContactId(count)).unwrap(), None);
    assert_eq!(store.timeline(ContactId(count)).unwrap(), []);
    // Contacts of yesterday are corrected while batches leave.
    for n in (0..count).step_by(7) {
        update(&mut store, n, "corrected");
        store.commit().unwrap();
        if n % 5 == 0 {
            assert_eq!(told(&store, n), expected(n, "corrected", &["imported", "imported"]));
        }
    }
    let same = |store: &Store| {
        for n in (0..count).step_by(311) {
            let corrected = expected(n, "corrected", &["imported", "imported"]);
            let plain = expected(n, "as imported", &["imported"]);
            assert_eq!(told(store, n), if n % 7 == 0 { corrected } else { plain });
        }
        assert_eq!(store.state().contacts.len(), count);
        assert_eq!(store.state().members.iter().map(|set| set.len()).sum::<u64>(), 20_000);
    };
    same(&store);
    // Dropped in the middle of it: the journal has what sled has not.
    drop(store);
    same(&open(dir.path()));
    let mut store = open(dir.path());
    store.settle().unwrap();
    same(&store);
    drop(store);
    let (store, opening) = Store::open(dir.path(), Vec::new(), &mut |_| ()).unwrap();
    assert_eq!((opening.replayed, opening.rebuilt), (0, None));
    same(&store);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("sled")).unwrap();
    same(&open(dir.path()));
}

#[test]
fn who_was_tagged_when_is_kept_as_long_as_it_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    Store::init(dir.path(), at(FIRST), [7; 16], || Ok(())).unwrap();
    let mut store = open(dir.path());
    declare(&mut store, 2);
    for day in 0..40_u16 {
        let today = FIRST + day;
        store.record(at(today), What::DayOpened { day: Day(today) }).unwrap();
        store.record(at(today), imported(day.into(), today)).unwrap();
        if day == 30 {
            let (contact, tag) = (ContactId(28), TagId(0));
            let (by, reason) = (By::Person("ann".to_owned()), "a slip".to_owned());
            store.record(at(today), What::Untagged { contact, tag, by, reason }).unwrap();
        }
        // Some days share a batch, some have one of their own.
        if day % 3 == 0 {
            store.settle().unwrap();
        }
        store.commit().unwrap();
    }
    let recent = store.state().recent.clone();
    assert_eq!(recent.keys().next(), Some(&Day(FIRST + 39 - 21)));
    assert_eq!(recent.len(), 22);
    store.settle().unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.state().recent, recent, "after a restart");
    let now = store.state().members_by(TagId(0), Day(FIRST + 36));
    assert_eq!((now.len(), now.contains(ContactId(28))), (18, false));
    drop(store);
    std::fs::remove_dir_all(dir.path().join("sled")).unwrap();
    assert_eq!(open(dir.path()).state().recent, recent, "rebuilt from the journal");
}
