//! Templates: what the file may say, what rendering makes of it, what `check` finds, who gets which.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::collections::HashMap;
use std::fs;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use tradewind::book::contact::{Card, ContactId, Day};
use tradewind::book::tag::{Audience, Series, SeriesKind};
use tradewind::letter::lint::{Level, check};
use tradewind::letter::template::{Rendered, Template, Vars, one_line};
use tradewind::letter::template_file::{Part, TemplateError};
use tradewind::letter::variant::Templates;

const HEAD: &str =
    "+++\naudience = \"英语-工程设备经销商\"\nseries = \"营销\"\nsubject = \"Hi\"\n+++\n";

fn parse(source: &str) -> Result<Template, TemplateError> {
    Template::parse("a.letter", source, &Series::default())
}

fn with_body(body: &str) -> Template {
    parse(&format!("{HEAD}{body}")).unwrap()
}

fn card() -> Card {
    Card {
        name: "Zoë <b>".to_owned(),
        company: "Müller & Söhne".to_owned(),
        attributes: vec![
            ("采购量".to_owned(), "40".to_owned()),
            ("Annual volume".to_owned(), "7".to_owned()),
        ],
        ..Card::default()
    }
}

fn render(template: &Template, card: &Card) -> Result<Rendered, TemplateError> {
    template.render(&Vars {
        address: "zoe@example.de",
        card,
        sender: "Lin Mei",
        batch: "英语-工程设备经销商-营销05",
        unsubscribe_url: "https://t.example/u/AB_c",
    })
}

fn text_of(body: &str, card: &Card) -> String {
    render(&with_body(body), card).unwrap().text
}

#[test]
fn variables_in_english_and_chinese() {
    let nobody = Card::default();
    for (body, expected) in [
        ("{{ name }} {{ 姓名 }} {姓名} {客户姓名}", "Zoë <b> Zoë <b> Zoë <b> Zoë <b>"),
        ("{公司} {{ 公司 | upper }}", "Müller & Söhne MÜLLER & SÖHNE"),
        (
            "{{ email }} {{ address }} {{ 邮箱 }} {{ domain }}",
            "zoe@example.de zoe@example.de zoe@example.de example.de",
        ),
        ("{{ 采购量 }} {采购量} {{ annual_volume }}", "40 40 7"),
        ("{{ attributes[\"Annual volume\"] }} {{ 属性[\"采购量\"] }}", "7 40"),
        (
            "{{ sender }} {{ batch }} {{ unsubscribe_url }}",
            "Lin Mei 英语-工程设备经销商-营销05 https://t.example/u/AB_c",
        ),
        ("{{ 预算 | default('?') }} {% if 预算 is defined %}x{% endif %}.", "? ."),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{color} { name }", "{color} { name }"),
    ] {
        assert_eq!(text_of(body, &card()), expected, "{body}");
    }
    let blank = Card { name: " \t".to_owned(), ..Card::default() };
    for somebody in [&nobody, &blank] {
        let greeting = text_of("Dear {{ name or \"Sir or Madam\" }},", somebody);
        assert_eq!(greeting, "Dear Sir or Madam,");
    }
}

#[test]
fn html_is_escaped_and_text_is_not() {
    let template = with_body("{{ name }}\n=== html ===\n<p title=\"{{ name }}\">{{ 公司 }}</p>");
    let letter = render(&template, &card()).unwrap();
    assert_eq!(letter.text, "Zoë <b>");
    assert_eq!(letter.html.unwrap(), "<p title=\"Zoë &lt;b&gt;\">Müller &amp; Söhne</p>");
    assert_eq!(render(&with_body("hello"), &card()).unwrap().html, None);
}

#[test]
fn values_stay_on_one_line() {
    let card = Card { name: "Ann\r\nBcc: x@y\0\u{2028}!".to_owned(), ..Card::default() };
    let source = HEAD.replace("\"Hi\"", "\"For {{ name }}\"") + "{{ name }}";
    let letter = render(&parse(&source).unwrap(), &card).unwrap();
    assert_eq!(letter.subject, "For Ann Bcc: x@y !");
    assert_eq!(letter.text, "Ann Bcc: x@y !");
}

#[test]
fn front_matter_is_read() {
    let source = "\u{feff}+++\r\nlanguage = \"法语\"\r\naudience = \"工程\"\r\nseries = \"reading\"\r\n\
                  subject = \"S\"\r\nname = \"n\"\r\nfrom_name = \"Lin\"\r\nweight = 3\r\n\
                  check_language = false\r\n+++\r\nbody\r\n";
    let template = parse(source).unwrap();
    assert_eq!(template.audience().as_str(), "法语-工程");
    assert_eq!((template.kind(), template.weight()), (SeriesKind::Reading, 3));
    assert_eq!((template.name(), template.sender_name()), ("n", Some("Lin")));
    assert!(!template.check_language());
    assert_eq!(template.source(), source);
    assert_ne!(template.hash(), with_body("body").hash());
    assert_eq!(with_body("body").hash(), with_body("body").hash());
    let named = Template::parse("dir/spring.letter", &format!("{HEAD}x"), &Series::default());
    assert_eq!(named.unwrap().name(), "spring");
    let both = HEAD.replace("audience", "language = \"英语\"\naudience") + "x";
    assert_eq!(parse(&both).unwrap().audience().as_str(), "英语-工程设备经销商");
}

#[test]
fn errors_name_file_line_and_fix() {
    let series = |name: &str| HEAD.replace("营销", name) + "x";
    for (source, line, what) in [
        ("hello".to_owned(), 1, "does not begin with +++"),
        ("\n+++\n+++\nx".to_owned(), 1, "does not begin with +++"),
        ("+++\naudience = \"a-b\"\n".to_owned(), 1, "does not end"),
        (format!("{HEAD}\n \n"), 6, "there is no text"),
        (HEAD.replace("\"Hi\"", "Hi") + "x", 4, ""),
        (HEAD.replace("subject", "subjekt") + "x", 4, "unknown field"),
        (
            "+++\naudience = \"a-b\"\nseries = \"营销\"\n+++\nx".to_owned(),
            2,
            "missing field `subject`",
        ),
        (HEAD.replace("英语-", "") + "x", 2, "the audience is not"),
        (HEAD.replace("audience", "language = \"法语\"\naudience") + "x", 3, "the audience is not"),
        (series("spam"), 3, "no series is called \"spam\""),
        (HEAD.replace("series", "weight = 0\nseries") + "x", 3, "weight"),
        (format!("{HEAD}a\nb {{{{ name }}\nc"), 7, "syntax error"),
        (format!("{HEAD}a\n{{% if 姓名 %}}\n"), 7, "syntax error"),
        (format!("{HEAD}a\n\n=== html ===\n<p>\n{{{{ name | safe }}}}"), 10, "safe"),
        (format!("{HEAD}a\n{{{{ name | shout }}}}"), 7, "shout"),
        (
            format!(
                "{HEAD}{{% for a in range(9999) %}}{{% for b in range(9999) %}}.{{% endfor %}}{{% endfor %}}"
            ),
            6,
            "fuel",
        ),
        (format!("{HEAD}{{% include 'x' %}}"), 6, "include"),
        (format!("{HEAD}{}", "x".repeat(1 << 20)), 1, "longer than 1 MiB"),
    ] {
        let err = parse(&source).unwrap_err();
        let shown = err.to_string();
        assert!(shown.starts_with(&format!("a.letter:{line}: ")), "{shown}");
        assert!(shown.contains(what), "{shown}");
        assert!(!err.fix.is_empty(), "{shown}");
    }
}

#[test]
fn what_a_contact_lacks_is_an_error_that_names_it() {
    for (body, line, name) in [
        ("a\nb\n{{ 预算 }}", 8, "预算"),
        ("{预算}", 6, "预算"),
        ("{{ budget or 'x' }}", 6, "budget"),
        ("{% if budget %}{% endif %}", 6, "budget"),
    ] {
        let err = render(&with_body(body), &card()).unwrap_err();
        assert_eq!((err.line, err.what), (line, format!("the contact has no {name:?}")), "{body}");
    }
    let err = render(&with_body("{{ attributes['none'] }}"), &card()).unwrap_err();
    assert!(err.what.contains("undefined"), "{err}");
    let source = HEAD.replace("\"Hi\"", "\"{{ title }}\"") + "x";
    let err = render(&parse(&source).unwrap(), &card()).unwrap_err();
    assert_eq!((err.line, err.what.as_str()), (4, "the subject for zoe@example.de is empty"));
}

#[test]
fn variables_of_each_part_are_known() {
    let template = with_body("{姓名} {{ 采购量 }} {{ range(2) }}\n=== html ===\n{{ sender }}");
    assert_eq!(template.variables(Part::Subject).count(), 0);
    let mut names: Vec<_> = template.variables(Part::Text).collect();
    names.sort_unstable();
    assert_eq!(names, ["name", "采购量"]);
    assert_eq!(template.variables(Part::Html).collect::<Vec<_>>(), ["sender"]);
    assert_eq!(template.attributes().collect::<Vec<_>>(), ["采购量"]);
}

#[test]
fn check_finds_what_receivers_refuse() {
    let good = "Dear {{ name }},\nTradewind, 12 Harbour Road, Shanghai\n{{ unsubscribe_url }}\n";
    let found = |source: &str, columns: Option<&[&str]>| {
        check(&parse(source).unwrap(), columns)
            .into_iter()
            .map(|f| format!("{}:{:?}:{}", f.line, f.level, f.what))
            .collect::<Vec<_>>()
            .join("|")
    };
    let subject = |text: &str| HEAD.replace("Hi", text) + good;
    let body = |text: &str| format!("{HEAD}{good}{text}");
    assert_eq!(found(&body(""), None), "");
    for fine in ["Regarding: parts", "Price: 5", "Report on wear"] {
        assert_eq!(found(&subject(fine), None), "", "{fine}");
    }
    for fine in ["上海市浦东新区海港路12号", "Rue du Port 12, 1000 Bruxelles", "P.O. Box 7"]
    {
        let source = format!("{HEAD}{{{{ unsubscribe_url }}}}\n{fine}\n");
        assert_eq!(found(&source, None), "", "{fine}");
    }
    let long = "s".repeat(999);
    for (source, part) in [
        (subject(" "), "4:Error:the subject is empty"),
        (subject("Re: parts"), "4:Error:the subject claims"),
        (subject("RE[2]: parts"), "4:Error:the subject claims"),
        (subject("Fwd : parts"), "4:Error:the subject claims"),
        (subject("回复：价格"), "4:Error:the subject claims"),
        (subject("转发: 价格"), "4:Error:the subject claims"),
        (subject(&long), "4:Error:a header is longer than 998"),
        (format!("{HEAD}12 High Street, Ulm"), "6:Error:the text has no unsubscribe link"),
        (body("=== html ===\n<p>"), "10:Error:the HTML has no unsubscribe link"),
        (format!("{HEAD}a\n{{{{ unsubscribe_url }}}}\nb\n"), "8:Warning:no postal address"),
        (body(&"https://a.example ".repeat(9)), "6:Warning:the text has 9 links"),
        (
            body(&format!("=== html ===\n{{{{ unsubscribe_url }}}}{}", "<img>".repeat(6))),
            "10:Warning:the HTML has 6 pictures",
        ),
        (body("=== html ===\n{{ unsubscribe_url }}<script>"), "10:Error:the HTML holds <script"),
        (body(&"x\n".repeat(50_001)), "6:Warning:the text is 1000"),
        (body("{{ 预算 }}"), "9:Warning:\"预算\" is no field of ours"),
    ] {
        let all = found(&source, None);
        assert!(all.contains(part), "{part}: {all}");
    }
    let columns: &[&str] = &["采购量", "Annual volume"];
    assert_eq!(found(&body("{{ 采购量 }} {{ annual_volume }}"), Some(columns)), "");
    let all = found(&body("{{ 预算 }}"), Some(columns));
    assert!(all.starts_with("9:Warning:attribute \"预算\" is unknown"), "{all}");
    assert!(Level::Error < Level::Warning);
}

#[test]
fn the_shipped_templates_are_without_fault() {
    let mut seen = Vec::new();
    for entry in fs::read_dir("config/templates").unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        let template = Template::parse(&file, &source, &Series::default()).unwrap();
        assert_eq!(check(&template, Some(&[])), [], "{file}");
        for card in [card(), Card::default()] {
            let letter = render(&template, &card).unwrap();
            for part in [Some(&letter.text), letter.html.as_ref()].into_iter().flatten() {
                assert!(part.contains("https://t.example/u/AB_c"), "{file}");
                assert!(!part.contains("  ,") && !part.contains("{{"), "{file}");
            }
        }
        seen.push((template.audience().to_string(), template.kind()));
    }
    seen.sort_unstable();
    let both = [SeriesKind::Marketing, SeriesKind::Reading];
    let expected = ["法语-工程设备经销商", "英语-工程设备经销商"]
        .iter()
        .flat_map(|audience| both.map(|kind| ((*audience).to_owned(), kind)));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

/// Three variants of one audience with weights 1, 1 and 2, and a stranger.
fn templates() -> Templates {
    let of = |file: &str, weight: u16| {
        let head = HEAD.replace("series", &format!("weight = {weight}\nseries"));
        Template::parse(file, &(head + file), &Series::default()).unwrap()
    };
    let stranger = HEAD.replace("英语", "法语") + "x";
    Templates::new(vec![
        of("c.letter", 2),
        Template::parse("d.letter", &stranger, &Series::default()).unwrap(),
        of("a.letter", 1),
        of("b.letter", 1),
    ])
}

fn day(text: &str) -> Day {
    Day::from_date(text.parse().unwrap())
}

#[test]
fn variants_share_a_round_by_weight() {
    let templates = templates();
    let audience = Audience::parse("英语-工程设备经销商").unwrap();
    for due in ["2024-09-05", "2024-10-05"] {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for id in 0..40_000 {
            let pick = templates.pick(&audience, SeriesKind::Marketing, ContactId(id), day(due));
            *counts.entry(pick.unwrap().file()).or_default() += 1;
        }
        for (file, expected) in
            [("a.letter", 10_000_u32), ("b.letter", 10_000), ("c.letter", 20_000)]
        {
            assert!(counts[file].abs_diff(expected) < 400, "{due}: {counts:?}");
        }
    }
}

#[test]
fn a_contact_meets_every_variant_in_turn() {
    let templates = templates();
    let audience = Audience::parse("英语-工程设备经销商").unwrap();
    for id in 0..200 {
        let file = |due| {
            let pick = templates.pick(&audience, SeriesKind::Marketing, ContactId(id), day(due));
            pick.unwrap().file()
        };
        let mut year = ["2024-11-05", "2024-12-05", "2025-01-05", "2025-02-05"].map(file);
        assert_eq!(file("2025-02-05"), year[3]);
        year.sort_unstable();
        assert_eq!(year, ["a.letter", "b.letter", "c.letter", "c.letter"]);
    }
}

#[test]
fn nobody_gets_another_audience_s_letter() {
    let templates = templates();
    let pick = |audience: &str, kind| {
        let audience = Audience::parse(audience).unwrap();
        templates.pick(&audience, kind, ContactId(1), day("2024-09-05")).map(Template::file)
    };
    assert_eq!(pick("法语-工程设备经销商", SeriesKind::Marketing), Some("d.letter"));
    assert_eq!(pick("法语-工程设备经销商", SeriesKind::Reading), None);
    assert_eq!(pick("法语-工程设备", SeriesKind::Marketing), None);
    let files: Vec<_> = templates.iter().map(Template::file).collect();
    assert_eq!(files, ["a.letter", "b.letter", "c.letter", "d.letter"]);
    for template in templates.iter() {
        assert_eq!(templates.by_hash(template.hash()).unwrap().file(), template.file());
    }
    assert!(templates.by_hash(0).is_none());
    assert!(Templates::new(Vec::new()).iter().next().is_none());
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(body in "(?s).{0,200}", front in "(?s).{0,60}") {
        let _ = parse(&body);
        let _ = parse(&format!("+++\n{front}\n+++\n{body}"));
        let _ = parse(&format!("{HEAD}{body}"));
        let _ = parse(&format!("{HEAD}{{{{ {body} }}}}{{% {front} %}}"));
    }

    #[test]
    fn no_value_gets_out_of_its_place(name in "(?s).{0,80}", company in "[<>\"'&{}% a\r\n\0]{0,40}") {
        let source = HEAD.replace("\"Hi\"", "\"For {{ name }}.\"")
            + "[{{ name }}]\n=== html ===\n<a title=\"{{ company }}\">{{ name }}</a>";
        let card = Card { name: name.clone(), company, ..Card::default() };
        let template = parse(&source).unwrap();
        let letter = render(&template, &card).unwrap();
        prop_assert!(!letter.subject.chars().any(char::is_control));
        prop_assert_eq!(letter.text.lines().count(), 1);
        let html = letter.html.as_deref().unwrap();
        prop_assert_eq!(html.matches('<').count(), 2);
        prop_assert_eq!(html.matches('"').count(), 2);
        prop_assert_eq!(&letter, &render(&template, &card).unwrap());
        let once = one_line(&name);
        prop_assert_eq!(one_line(&once), once.as_ref());
    }
}
