//! Views: the seed's four over addresses it names, what is refused, and set algebra against brute
//! force over single contacts.

use std::collections::HashMap;

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use tradewind::book::contact::ContactId;
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{Series, Tag, TagId, TagName};
use tradewind::book::view::{Condition, Facts, TagMatch, TextAt, View, ViewError, Views};

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn view(name: &str, condition: Condition) -> View {
    View { name: name.to_owned(), condition }
}

fn address(at: TextAt, values: &[&str]) -> Condition {
    Condition::Address { at, values: texts(values) }
}

fn group(name: &str) -> Condition {
    Condition::Tag(TagMatch::Group(name.to_owned()))
}

fn tags() -> Vec<Tag> {
    let names = [
        ("英语-工程设备经销商-营销01", "marketing"),
        ("英语-工程设备经销商-阅读01", "reading"),
        ("法语-阅读灯-营销02", "marketing"),
        ("💬询盘", "intention"),
        ("退订", "risk"),
        ("VIP", "own"),
    ];
    let tag = |(id, (name, group)): (usize, (&str, &str))| Tag {
        id: TagId(u16::try_from(id).expect("few")),
        name: name.to_owned(),
        group: group.to_owned(),
        batch: match TagName::parse(name, &Series::default()) {
            Ok(TagName::Batch(batch)) => Some(batch),
            _ => None,
        },
    };
    names.into_iter().enumerate().map(tag).collect()
}

fn seeds_views() -> Vec<View> {
    vec![
        view("阅读客户", group("reading")),
        view("意向客户", group("intention")),
        view("风险客户", group("risk")),
        view(
            "不发邮箱",
            Condition::Any(vec![
                address(
                    TextAt::Starts,
                    &["hr@", "noreply@", "marketing@", "jobs@", "customerservice@"],
                ),
                address(
                    TextAt::Ends,
                    &["qq.com", "163.com", "aliyun.com", "263.com", "88.com", "188.com"],
                ),
                address(TextAt::Ends, &[".cn", ".tw", ".hk", ".in"]),
                address(TextAt::Contains, &[".gov", ".org", ".edu"]),
            ]),
        ),
        view(
            "静默客户",
            Condition::All(vec![
                group("marketing"),
                Condition::Not(Box::new(Condition::View("阅读客户".to_owned()))),
            ]),
        ),
    ]
}

#[test]
fn the_seeds_do_not_send_list() {
    let views = Views::new(&seeds_views()).unwrap();
    for (address, expected) in [
        ("hr@acme.example", true),
        ("chr@acme.example", false),
        ("noreply@acme.example", true),
        ("info@acme.example", false),
        ("12345@qq.com", true),
        ("a@vip.163.com", true),
        ("a@acme.com.cn", true),
        ("a@cn.example", false),
        ("a@tax.gov.example", true),
        ("a@my.education.example", true),
    ] {
        assert_eq!(views.holds("不发邮箱", address, &[]), Ok(expected), "{address}");
    }
    assert_eq!(views.names().count(), 5);
    assert_eq!(views.leaves().count(), 4);
}

#[test]
fn which_tags_are_meant() {
    let tags = tags();
    for (wanted, expected) in [
        (TagMatch::Prefix("阅读".to_owned()), vec![1]),
        (TagMatch::Prefix("阅读02".to_owned()), vec![]),
        (TagMatch::Prefix("法语-".to_owned()), vec![2]),
        (TagMatch::Name("💬询盘".to_owned()), vec![3]),
        (TagMatch::Name("vip".to_owned()), vec![5]),
        (TagMatch::Name("阅读01".to_owned()), vec![]),
        (TagMatch::Group("Marketing".to_owned()), vec![0, 2]),
    ] {
        let views = Views::new(&[view("v", Condition::Tag(wanted.clone()))]).unwrap();
        let found: Vec<u16> = tags
            .iter()
            .filter(|tag| views.holds("v", "", &[tag]).unwrap())
            .map(|t| t.id.0)
            .collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
}

#[test]
fn the_domain_is_what_stands_behind_the_at() {
    let domain = |at, value: &str| {
        let condition = Condition::Domain { at, values: texts(&[value]) };
        Views::new(&[view("v", condition)]).unwrap().holds("v", "acme@shop.example", &[]).unwrap()
    };
    assert!(domain(TextAt::Equals, "Shop.Example"));
    assert!(domain(TextAt::Starts, "shop"));
    assert!(!domain(TextAt::Starts, "acme"));
    assert!(!domain(TextAt::Contains, "acme"));
}

#[test]
fn what_is_refused() {
    let other = |name: &str| Condition::View(name.to_owned());
    let refused = |views: &[View]| Views::new(views).unwrap_err().to_string();
    let circle = [view("a", other("b")), view("b", Condition::Any(vec![other("a")]))];
    assert!(refused(&circle).contains("a -> b -> a"), "{}", refused(&circle));
    assert!(refused(&[view("a", other("a"))]).contains("a -> a"));
    let unknown = refused(&[view("a", other("c"))]);
    assert!(unknown.contains("\"c\"") && unknown.contains("declared are: a"), "{unknown}");
    assert!(refused(&[view("a", group("x")), view("a", group("y"))]).contains("twice"));
    assert!(refused(&[view("a", group(""))]).contains("empty text"));
    assert!(refused(&[view("a", address(TextAt::Ends, &["x", ""]))]).contains("empty text"));
    let views = Views::new(&[view("a", address(TextAt::Ends, &["x"]))]).unwrap();
    let facts = Facts { tags: &[], tag_set: &|_| None, leaf_set: &|_| None };
    let all = ContactSet::all(3);
    assert!(matches!(views.eval("a", &all, &facts), Err(ViewError::Unindexed(_))), "no guessing");
    assert!(matches!(views.eval("b", &all, &facts), Err(ViewError::NoSuchView { .. })));
}

/// Conditions over a small world; views named `v0`..`v2` may be asked for.
fn conditions() -> impl Strategy<Value = Condition> {
    let at = prop_oneof![
        Just(TextAt::Starts),
        Just(TextAt::Ends),
        Just(TextAt::Contains),
        Just(TextAt::Equals)
    ];
    let words = prop_oneof![Just("HR@"), Just("a.example"), Just("b"), Just("x@a.example")];
    let values = proptest::collection::vec(words.prop_map(str::to_owned), 0..3);
    let leaf = prop_oneof![
        prop_oneof![Just("marketing"), Just("risk"), Just("nobody")].prop_map(group),
        prop_oneof![Just("阅读"), Just("英语"), Just("v")]
            .prop_map(|text| Condition::Tag(TagMatch::Prefix(text.to_owned()))),
        (any::<bool>(), at, values).prop_map(|(domain, at, values)| match domain {
            true => Condition::Domain { at, values },
            false => Condition::Address { at, values },
        }),
        (0..2_u8).prop_map(|n| Condition::View(format!("v{n}"))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn sets_equal_brute_force(
        top in conditions(),
        people in proptest::collection::vec((0..6_usize, any::<u8>(), any::<bool>()), 1..40),
    ) {
        let keys = ["hr@a.example", "x@a.example", "b@b.example", "chr@b.a.example", "x@c", "hr@c"];
        let views = Views::new(&[
            view("top", top),
            view("v0", group("reading")),
            view("v1", Condition::Not(Box::new(Condition::View("v0".to_owned())))),
        ]).unwrap();
        let tags = tags();
        let ids = || people.iter().zip(0..).map(|(person, n)| (person, ContactId(n)));
        let holders: Vec<ContactSet> = (0..tags.len())
            .map(|tag| ids().filter(|(p, _)| p.1 >> tag & 1 == 1).map(|(_, id)| id).collect())
            .collect();
        let leaves: HashMap<&str, ContactSet> = views
            .leaves()
            .map(|leaf| {
                let who = ids().filter(|(p, _)| leaf.matches(keys[p.0])).map(|(_, id)| id).collect();
                (leaf.key(), who)
            })
            .collect();
        let facts = Facts {
            tags: &tags,
            tag_set: &|id| holders.get(usize::from(id.0)),
            leaf_set: &|key| leaves.get(key),
        };
        let within: ContactSet = ids().filter(|(p, _)| p.2).map(|(_, id)| id).collect();
        let expected: ContactSet = ids()
            .filter(|(p, id)| {
                let hers: Vec<&Tag> =
                    tags.iter().filter(|tag| p.1 >> tag.id.0 & 1 == 1).collect();
                within.contains(*id) && views.holds("top", keys[p.0], &hers).unwrap()
            })
            .map(|(_, id)| id)
            .collect();
        prop_assert_eq!(views.eval("top", &within, &facts).unwrap(), expected);
    }
}
