//! Views: the seed's four over addresses it names, which tags are meant, and what is refused.

use tradewind::book::condition::{Condition, TagMatch, TextAt};
use tradewind::book::contact::{Card, ContactId, Day};
use tradewind::book::leaf::Leaf;
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{Series, Tag, TagId, TagName};
use tradewind::book::view::{Facts, View, ViewError, Views};

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

/// A store that knows these tags and nothing else.
fn facts(tags: &[Tag]) -> Facts<'_> {
    Facts {
        today: Day(0),
        tags,
        tag_set: &|_| None,
        leaf_set: &|_| None,
        labels: &[],
        acts: &|_, _| (None, 0),
        acted: &|_, _| None,
        created: &|_| None,
        company: &|_| None,
        company_named: &|_| None,
        colleagues: &|_| Vec::new(),
    }
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
    let leaves: Vec<&Leaf> = views.leaves().collect();
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
        let hit = leaves.iter().any(|leaf| leaf.matches(address, &Card::default()));
        assert_eq!(hit, expected, "{address}");
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
        // Contact n has tag n.
        let holders: Vec<ContactSet> =
            (0..6).map(|n| std::iter::once(ContactId(n)).collect()).collect();
        let tag_set = |tag: TagId| holders.get(usize::from(tag.0));
        let found =
            views.eval("v", &ContactSet::all(6), &Facts { tag_set: &tag_set, ..facts(&tags) });
        let found: Vec<u32> = found.unwrap().iter().map(|id| id.0).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
}

#[test]
fn the_domain_is_what_stands_behind_the_at() {
    let domain = |at, value: &str| {
        Leaf::domain(at, &texts(&[value])).matches("acme@shop.example", &Card::default())
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
    let facts = facts(&[]);
    let all = ContactSet::all(3);
    assert!(matches!(views.eval("a", &all, &facts), Err(ViewError::Unindexed(_))), "no guessing");
    assert!(matches!(views.eval("b", &all, &facts), Err(ViewError::NoSuchView { .. })));
}
