//! The day plan's budget (DESIGN §13): 1 M contacts, 60 tags, 4 views, cap 20, in under 5 ms.
//!
//! Contacts are strewn over the batches at random, which is the hard case for bitmaps: a real book,
//! tagged import by import, is denser. Views are evaluated within the targets, as the daemon does.

use std::collections::HashMap;

use divan::{Bencher, black_box};
use tradewind::book::condition::{Condition, TagMatch, TextAt};
use tradewind::book::contact::{CompanyNo, ContactId, Day};
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{Series, SeriesKind, Tag, TagId, TagName};
use tradewind::book::view::{Facts, View, Views};
use tradewind::cadence::plan::{Book, Limits, Plan, Round, plan};

const CONTACTS: u32 = 1_000_000;
const COMPANIES: u64 = 150_000;
const TODAY: Day = Day(20_000);
const VIEWS: [&str; 4] = ["阅读客户", "意向客户", "风险客户", "不发邮箱"];

fn main() {
    divan::main();
}

#[divan::bench]
fn day_of_a_million(bencher: Bencher<'_, '_>) {
    let world = World::new();
    assert!(world.plan(&world.due()).order.len() > 15_000, "a day worth planning");
    bencher.bench_local(|| black_box(world.plan(&world.due())));
}

#[divan::bench]
fn of_which_views(bencher: Bencher<'_, '_>) {
    let world = World::new();
    bencher.bench_local(|| black_box(world.due()));
}

/// A batch, its rhythm, and who of its targets is in which exclusion view.
type Due = (usize, SeriesKind, Vec<(&'static str, ContactSet)>);

struct World {
    tags: Vec<Tag>,
    holders: Vec<ContactSet>,
    views: Views,
    leaves: HashMap<String, ContactSet>,
    last: Vec<u16>,
    company: Vec<u32>,
    rank: Vec<u32>,
    nobody: ContactSet,
}

/// The same numbers in every run (splitmix64).
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

fn small<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("drawn below the type's bound")
}

impl World {
    fn new() -> Self {
        let (names, groups) = names();
        let mut seed = 1;
        let mut ids = vec![Vec::new(); names.len()];
        let mut leaf = Vec::new();
        let (mut last, mut company, mut rank) = (Vec::new(), Vec::new(), Vec::new());
        let mut give = |tag: u64, id| ids.get_mut(small::<usize>(tag)).expect("a tag").push(id);
        for id in (0..CONTACTS).map(ContactId) {
            let batch = draw(&mut seed, 30);
            give(batch, id);
            if draw(&mut seed, 10) == 0 {
                give(30 + batch % 10, id);
            }
            if draw(&mut seed, 12) == 0 {
                give(40 + draw(&mut seed, 20), id);
            }
            if draw(&mut seed, 8) == 0 {
                leaf.push(id);
            }
            last.push(small(u64::from(TODAY.0) - 25 - draw(&mut seed, 20)));
            // The lowest of two draws: some companies have hundreds of addresses, most a few.
            let drawn = draw(&mut seed, COMPANIES).min(draw(&mut seed, COMPANIES));
            company.push(small(drawn * drawn / COMPANIES));
            rank.push(small(1 + draw(&mut seed, 20)));
        }
        let tags = names.iter().zip(groups).zip(0..).map(|((name, group), id)| Tag {
            id: TagId(id),
            name: name.clone(),
            group: group.to_owned(),
            batch: match TagName::parse(name, &Series::default()) {
                Ok(TagName::Batch(batch)) => Some(batch),
                _ => None,
            },
        });
        let views = views();
        let leaf: ContactSet = leaf.into_iter().collect();
        Self {
            tags: tags.collect(),
            holders: ids.into_iter().map(|ids| ids.into_iter().collect()).collect(),
            leaves: views.leaves().map(|of| (of.key().to_owned(), leaf.clone())).collect(),
            views,
            last,
            company,
            rank,
            nobody: ContactSet::new(),
        }
    }

    fn holders(&self, tag: usize) -> &ContactSet {
        self.holders.get(tag).expect("a tag")
    }

    fn due(&self) -> [Due; 2] {
        let facts = Facts {
            today: TODAY,
            tags: &self.tags,
            tag_set: &|tag| self.holders.get(usize::from(tag.0)),
            leaf_set: &|key| self.leaves.get(key),
            labels: &[],
            acts: &|_, _| (None, 0),
            acted: &|_, _| None,
            created: &|_| None,
            company: &|_| None,
            company_named: &|_| None,
            colleagues: &|_| Vec::new(),
        };
        let due = |tag, kind, views: &[&'static str]| {
            let targets = self.holders(tag);
            let within = |view| self.views.eval(view, targets, &facts).expect("all indexed");
            (tag, kind, views.iter().map(|view| (*view, within(view))).collect())
        };
        let (_, but_readers) = VIEWS.split_first().expect("four");
        [due(8, SeriesKind::Marketing, &VIEWS), due(38, SeriesKind::Reading, but_readers)]
    }

    fn plan(&self, due: &[Due]) -> Plan {
        let rounds: Vec<Round<'_>> = due
            .iter()
            .map(|(tag, kind, excluded)| Round {
                tag: TagId(u16::try_from(*tag).expect("few")),
                kind: *kind,
                due: TODAY,
                targets: self.holders(*tag),
                done: &self.nobody,
                exclusions: excluded.iter().map(|(name, who)| (*name, who)).collect(),
                held: false,
                has_template: true,
                window_open: true,
                closed: &self.nobody,
                audience_left: None,
            })
            .collect();
        let taken = |company: CompanyNo| u32::from(company.0 == 7);
        let book = Book {
            suppressed: self.holders(59),
            waiting: &self.nobody,
            in_flight: &self.nobody,
            already_today: &self.nobody,
            last: &self.last,
            last_silent: &self.last,
            company: &self.company,
            rank: &self.rank,
            company_taken: &taken,
            first_given: &|_, tags| *tags.first().expect("asked about some"),
        };
        plan(TODAY, &rounds, &book, &Limits::default())
    }
}

/// 30 marketing, 10 reading, 3 intention, 3 risk and 14 other tags.
fn names() -> (Vec<String>, Vec<&'static str>) {
    let batches = |series: &'static str, last: u8| {
        (1..=last).map(move |no| format!("英语-工程设备经销商-{series}{no:02}"))
    };
    let others = (0..20).map(|n| format!("标签{n}款"));
    let names = batches("营销", 30).chain(batches("阅读", 10)).chain(others).collect();
    let counts = [("marketing", 30), ("reading", 10), ("intention", 3), ("risk", 3), ("other", 14)];
    let groups = counts.into_iter().flat_map(|(group, count)| std::iter::repeat_n(group, count));
    (names, groups.collect())
}

/// The seed's four; its "do not send" list has four conditions on addresses.
fn views() -> Views {
    let group = |name: &str| Condition::Tag(TagMatch::Group(name.to_owned()));
    let leaf = |at, text: &str| Condition::Address { at, values: vec![text.to_owned()] };
    let unwanted = Condition::Any(vec![
        leaf(TextAt::Starts, "hr@"),
        leaf(TextAt::Ends, "qq.com"),
        leaf(TextAt::Ends, ".cn"),
        leaf(TextAt::Contains, ".gov"),
    ]);
    let conditions = [group("reading"), group("intention"), group("risk"), unwanted];
    let views: Vec<View> = VIEWS
        .iter()
        .zip(conditions)
        .map(|(name, condition)| View { name: (*name).to_owned(), condition })
        .collect();
    Views::new(&views).expect("well formed")
}
