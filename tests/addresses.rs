//! What cells become addresses, and which company an address belongs to.

use proptest::prelude::*;
use tradewind::book::address::{Address, AddressError, Mend};
use tradewind::book::company::{Companies, CompanyError};
use tradewind::book::domain::{self, DomainError};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|err| panic!("{text:?}: {err}")).address
}

#[test]
fn sound_cells_are_taken_as_they_are() {
    let local_64 = format!("{}@x.com", "a".repeat(64));
    let domain = format!("{0}.{0}.{0}.com", "d".repeat(62));
    let whole_254 = format!("{}@{domain}", "a".repeat(254 - 1 - domain.len()));
    for (typed, printed) in [
        ("ann@x.com", "ann@x.com"),
        ("Ann.Lee+trade@Mail.ACME.co.uk", "Ann.Lee+trade@mail.acme.co.uk"),
        ("o'brien@x.com", "o'brien@x.com"),
        ("!#$%&'*+-/=?^_`{|}~@x.com", "!#$%&'*+-/=?^_`{|}~@x.com"),
        ("a@b.c", "a@b.c"),
        ("12345@qq.com", "12345@qq.com"),
        ("a@163.com", "a@163.com"),
        ("a@r3--s.com", "a@r3--s.com"),
        ("a@MÜNCHEN.de", "a@xn--mnchen-3ya.de"),
        ("a@xn--mnchen-3ya.de", "a@xn--mnchen-3ya.de"),
        ("a@XN--MNCHEN-3YA.de", "a@xn--mnchen-3ya.de"),
        ("a@例子.公司.cn", "a@xn--fsqu00a.xn--55qx5d.cn"),
        ("用户@例子.中国", "用户@xn--fsqu00a.xn--fiqs8s"),
        ("Дима.佐々木@x.com", "Дима.佐々木@x.com"),
        (&local_64, &local_64),
        (&whole_254, &whole_254),
    ] {
        let parsed = Address::parse(typed).unwrap_or_else(|err| panic!("{typed:?}: {err}"));
        assert_eq!(parsed.address.as_str(), printed, "{typed:?}");
        assert_eq!((parsed.name, parsed.repair), (None, None), "{typed:?}");
        let whole = format!("{}@{}", parsed.address.local(), parsed.address.domain());
        assert_eq!(whole, printed);
    }
}

#[test]
fn display_forms_give_a_name() {
    for (typed, name) in [
        ("Ann <ann@x.com>", Some("Ann")),
        ("\"Ann\" <ann@x.com>", Some("Ann")),
        ("\"Lee, Ann\" <ann@x.com>", Some("Lee, Ann")),
        ("'Ann Lee' <ann@x.com>", Some("Ann Lee")),
        (r#""Ann \"Boss\" Lee" <ann@x.com>"#, Some("Ann \"Boss\" Lee")),
        ("株式会社ＡＢＣ <ann@x.com>", Some("株式会社ＡＢＣ")),
        ("张三＜ann＠x．com＞", Some("张三")),
        ("\"Ann @ Acme\" <ann@x.com>", Some("Ann @ Acme")),
        ("ann@x.com <ann@x.com>", None),
        ("\"ANN@x.com\" <ann@x.com>", None),
        ("\"\" <ann@x.com>", None),
        ("Ann <ann@x.com>;", Some("Ann")),
        ("Ann <ann@x.com", Some("Ann")),
        ("Ann <mailto:ann@x.com>", Some("Ann")),
    ] {
        let parsed = Address::parse(typed).unwrap_or_else(|err| panic!("{typed:?}: {err}"));
        assert_eq!(parsed.address.as_str(), "ann@x.com", "{typed:?}");
        assert_eq!(parsed.name.as_deref(), name, "{typed:?}");
    }
    assert_eq!(Address::parse("Ann <ann@x.com>").unwrap().repair, None);
}

#[test]
fn broken_cells_are_mended_when_they_can_mean_one_thing() {
    use Mend::{Blanks, FullWidth, Punctuation, Scheme, Wrapping};
    for (typed, mends) in [
        (" ann@x.com ", vec![Blanks]),
        ("\u{FEFF}ann@x.com\u{200B}", vec![Blanks]),
        ("\u{A0}ann@x.com\u{3000}", vec![Blanks]),
        ("\u{202A}ann@x.com\u{202C}", vec![Blanks]),
        ("ann @ x.com", vec![Blanks]),
        ("ann＠x．com", vec![FullWidth]),
        ("ａｎｎ＠ｘ．ｃｏｍ", vec![FullWidth]),
        ("ann@x。com", vec![FullWidth]),
        ("ann@x.com.", vec![Punctuation]),
        ("ann@x.com,", vec![Punctuation]),
        ("ann@x.com;", vec![Punctuation]),
        ("ann@x.com>", vec![Punctuation]),
        ("ann@x.com。", vec![Punctuation]),
        ("ann@x.com；", vec![Punctuation]),
        ("ann@x.com，", vec![Punctuation]),
        ("ann@x.com、", vec![Punctuation]),
        ("ann@x.com ; ", vec![Blanks, Punctuation]),
        ("mailto:ann@x.com", vec![Scheme]),
        ("MAILTO: ann@x.com?subject=Hi", vec![Scheme, Blanks]),
        ("<ann@x.com>", vec![Wrapping]),
        ("\"ann@x.com\"", vec![Wrapping]),
        ("'ann@x.com'", vec![Wrapping]),
        ("“ann@x.com”", vec![Wrapping]),
        ("[ann@x.com]", vec![Wrapping]),
        ("（ann@x.com）", vec![Wrapping]),
        ("(ann@x.com).", vec![Wrapping, Punctuation]),
    ] {
        let parsed = Address::parse(typed).unwrap_or_else(|err| panic!("{typed:?}: {err}"));
        assert_eq!(parsed.address.as_str(), "ann@x.com", "{typed:?}");
        let repair = parsed.repair.unwrap_or_else(|| panic!("{typed:?} is told as sound"));
        assert_eq!(repair.mends(), mends, "{typed:?}");
    }
    let repair = Address::parse("mailto: ann@x.com;").unwrap().repair.unwrap();
    let told = "mailto: removed, trailing punctuation removed, blanks removed";
    assert_eq!(repair.to_string(), told);
}

#[test]
fn all_else_is_refused_with_its_reason() {
    use AddressError as E;
    let local_65 = format!("{}@x.com", "a".repeat(65));
    let domain = format!("{0}.{0}.{0}.com", "d".repeat(62));
    let whole_255 = format!("{}@{domain}", "a".repeat(255 - 1 - domain.len()));
    let label_64 = format!("a@{}.com", "d".repeat(64));
    let domain_254 = format!("a@{0}.{0}.{0}.{0}.com", "d".repeat(62));
    for (typed, error) in [
        ("", E::Empty),
        (" \u{200B} ", E::Empty),
        ("<>", E::Empty),
        ("Ann <>", E::Empty),
        ("ann@x.com\r", E::Control('\r')),
        ("ann@x.com\n", E::Control('\n')),
        ("ann@x.com\r\nRCPT TO:<bob@x.com>", E::Control('\r')),
        ("\"A\nnn\" <ann@x.com>", E::Control('\n')),
        ("An\0n <ann@x.com>", E::Control('\0')),
        ("ann@x.com\t", E::Control('\t')),
        ("an\u{85}n@x.com", E::Control('\u{85}')),
        ("Ann\u{2028} <ann@x.com>", E::Control('\u{2028}')),
        ("ann", E::NoAt),
        ("ann.x.com", E::NoAt),
        ("Ann Lee", E::NoAt),
        ("ann@@x.com", E::ManyAts),
        ("ann@x.com bob@y.com", E::ManyAts),
        ("ann@x.com;bob@y.com", E::ManyAts),
        ("ann@x.com, bob@y.com", E::ManyAts),
        ("Ann <ann@x.com>, Bob <bob@y.com>", E::ManyAts),
        ("<ann@x.com> bob@y.com", E::ManyAts),
        ("bob@y.com <ann@x.com>", E::ManyAts),
        ("ann lee@x.com", E::Blank),
        ("Ann ann@x.com", E::Blank),
        ("ann@x. com", E::Blank),
        ("an\u{200B}n@x.com", E::Blank),
        ("ann@x.com (Ann)", E::Blank),
        ("<ann@x.com> (Ann)", E::Blank),
        ("\"ann lee\"@x.com", E::Quoted),
        ("\"ann\"@x.com", E::Quoted),
        ("Ann <\"ann\"@x.com>", E::Quoted),
        ("@x.com", E::NoLocal),
        (".ann@x.com", E::Dots),
        ("ann.@x.com", E::Dots),
        ("an..n@x.com", E::Dots),
        ("an,n@x.com", E::Character(',')),
        ("an(n)@x.com", E::Character('(')),
        ("ann。lee@x.com", E::Character('。')),
        ("an\u{FFFD}n@x.com", E::Character('\u{FFFD}')),
        (&local_65, E::LocalTooLong),
        (&whole_255, E::TooLong),
        ("ann@", E::Domain(DomainError::Empty)),
        ("ann@localhost", E::Domain(DomainError::NoDot)),
        ("ann@x..com", E::Domain(DomainError::Invalid)),
        ("ann@.x.com", E::Domain(DomainError::Invalid)),
        ("ann@-x.com", E::Domain(DomainError::Invalid)),
        ("ann@x-.com", E::Domain(DomainError::Invalid)),
        ("ann@x_y.com", E::Domain(DomainError::Invalid)),
        ("ann@x.com:25", E::Domain(DomainError::Invalid)),
        ("ann@xn--.com", E::Domain(DomainError::Invalid)),
        ("ann@xn--zzzzzzz9.com", E::Domain(DomainError::Invalid)),
        (&label_64, E::Domain(DomainError::Invalid)),
        (&domain_254, E::Domain(DomainError::Invalid)),
        ("ann@127.0.0.1", E::Domain(DomainError::Number)),
        ("ann@[127.0.0.1]", E::Domain(DomainError::Number)),
        ("ann@[IPv6:::1]", E::Domain(DomainError::Number)),
        ("ann@x.123", E::Domain(DomainError::Number)),
        ("ann@１２７.0.0.1", E::Domain(DomainError::Number)),
    ] {
        assert_eq!(Address::parse(typed).map(|p| p.address), Err(error), "{typed:?}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn stored_addresses_come_back_unjudged() {
    for text in ["ann@x.com", "用户@xn--fsqu00a.xn--fiqs8s", "odd one@x"] {
        assert_eq!(Address::stored(text).unwrap().as_str(), text);
    }
    for text in ["", "@", "ann@", "@x.com", "ann"] {
        assert_eq!(Address::stored(text), None, "{text:?}");
    }
}

#[test]
fn domains_alone() {
    for (typed, domain) in
        [("X.com", "x.com"), (" x.com. ", "x.com"), ("例子.中国", "xn--fsqu00a.xn--fiqs8s")]
    {
        assert_eq!(domain::parse(typed).as_deref(), Ok(domain));
    }
    for typed in ["", ".", "x", "x..", "x.com\r", "a@x.com", "1.2.3.4", "x y.com"] {
        assert!(domain::parse(typed).is_err(), "{typed:?}");
    }
}

#[test]
fn companies_are_registrable_domains() {
    let companies = Companies::default();
    for (typed, company) in [
        ("ann@siemens.com", "siemens.com"),
        ("ann@mail.bosch.de", "bosch.de"),
        ("ann@mitsubishi.co.jp", "mitsubishi.co.jp"),
        ("ann@huawei.com", "huawei.com"),
        ("ann@tencent.com", "tencent.com"),
        ("ann@alibaba.com", "alibaba.com"),
        ("ann@hk.alibaba-inc.com", "alibaba-inc.com"),
        ("ann@facebook.com", "facebook.com"),
        ("ann@google.com", "google.com"),
        ("ann@microsoft.com", "microsoft.com"),
        ("ann@ACME.co.uk", "acme.co.uk"),
        ("ann@sales.acme.co.uk", "acme.co.uk"),
        ("ann@acme.uk.com", "acme.uk.com"),
        ("ann@a.公司.cn", "a.xn--55qx5d.cn"),
        ("ann@user.blogspot.com", "user.blogspot.com"),
        ("ann@acme.com.br", "acme.com.br"),
        ("ann@co.uk", "co.uk"),
        // No list knows `internal`: its default rule `*` holds, which joins and so caps the harder.
        ("ann@mail.corp.internal", "corp.internal"),
        ("ann@corp.internal", "corp.internal"),
        ("ann@northgate-machinery.example", "northgate-machinery.example"),
        ("ann@parts.northgate-machinery.example", "northgate-machinery.example"),
        ("Ann@gmail.com", "ann@gmail.com"),
        ("ann@googlemail.com", "ann@googlemail.com"),
        ("10001@qq.com", "10001@qq.com"),
        ("Ann@VIP.qq.com", "ann@vip.qq.com"),
        ("ann@163.com", "ann@163.com"),
        ("ann@ms1.hinet.net", "ann@ms1.hinet.net"),
        ("ann@del3.vsnl.net.in", "ann@del3.vsnl.net.in"),
    ] {
        assert_eq!(companies.of(&address(typed)).as_str(), company, "{typed}");
    }
    let ten = (0..10).map(|n| companies.of(&address(&format!("ann{n}@gmail.com"))));
    assert_eq!(ten.collect::<std::collections::HashSet<_>>().len(), 10);
}

#[test]
fn mail_services_of_the_world_are_no_companies() {
    let companies = Companies::default();
    let free = "tutanota.com mailbox.org 263.net wo.cn hinet.net pchome.com.tw sfr.fr neuf.fr tin.it \
        telia.com sympatico.ca netvigator.com vsnl.net emirates.net.ae bezeqint.net gmail.com \
        outlook.com hotmail.com live.com msn.com yahoo.com yahoo.co.jp yahoo.co.in icloud.com me.com \
        aol.com proton.me protonmail.com fastmail.com mail.com zoho.com qq.com foxmail.com 163.com \
        126.com yeah.net 139.com 189.cn 21cn.com sina.com sina.cn sohu.com tom.com aliyun.com 188.com \
        web.de gmx.de gmx.net t-online.de freenet.de arcor.de posteo.de orange.fr wanadoo.fr free.fr \
        laposte.net libero.it virgilio.it alice.it tiscali.it uol.com.br bol.com.br terra.com.br \
        ig.com.br naver.com daum.net hanmail.net nate.com kakao.com mail.ru yandex.ru bk.ru list.ru \
        rambler.ru rediffmail.com indiatimes.com docomo.ne.jp ezweb.ne.jp nifty.com ocn.ne.jp \
        biglobe.ne.jp comcast.net att.net verizon.net btinternet.com bigpond.com ukr.net seznam.cz wp.pl";
    for domain in free.split_whitespace() {
        assert!(companies.is_free(domain), "{domain}");
    }
    let firms = "alibaba.com facebook.com starbucks.com siemens.com basf.com sap.com volkswagen.de \
        toyota.co.jp sony.com samsung.com hyundai.com lenovo.com haier.com byd.com sany.com.cn \
        xcmg.com petrobras.com.br tata.com infosys.com gazprom.ru eni.it total.com airbus.com \
        caterpillar.com ge.com ibm.com apple.com amazon.com maersk.com aramco.com dpworld.com nus.edu.sg";
    for domain in firms.split_whitespace() {
        assert!(!companies.is_free(domain), "{domain}");
    }
    assert!(companies.is_free("GMAIL.com"));
    assert!(!companies.is_free("not a domain"));
}

#[test]
fn the_overlay_holds_only_what_it_must() {
    let lines = |text: &'static str| {
        text.lines().map(|l| l.split('#').next().unwrap().trim()).filter(|l| !l.is_empty())
    };
    let list: Vec<_> = lines(include_str!("../config/freemail.txt")).collect();
    assert!(list.is_sorted(), "freemail.txt is sorted, each name once");
    let mut seen = std::collections::HashSet::new();
    for line in lines(include_str!("../config/freemail-overlay.txt")) {
        let (sign, domain) = line.split_at(1);
        assert!(seen.insert(domain), "{line} stands twice");
        assert_eq!(domain::parse(domain).as_deref(), Ok(domain), "{line}");
        match sign {
            "+" => assert!(list.binary_search(&domain).is_err(), "{line} is in the list already"),
            "-" => assert!(list.binary_search(&domain).is_ok(), "{line} is not in the list"),
            _ => panic!("{line}: write +domain or -domain"),
        }
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn operators_join_and_reclass_domains() {
    let companies = Companies::new(
        &pairs(&[
            ("ACME.com", "acme.de"),
            ("acme.de", "www.acme.eu"),
            ("eu.beta.com", "acme.com"),
            ("fünf.de", "5.example"),
        ]),
        &names(&["isp.example.org", "Provider.de"]),
        &names(&["qq.com", "corp.21cn.com", "gmx.li"]),
    )
    .unwrap();
    for (typed, company) in [
        ("a@acme.com", "acme.eu"),
        ("a@mail.acme.com", "acme.eu"),
        ("a@acme.de", "acme.eu"),
        ("a@acme.eu", "acme.eu"),
        ("a@eu.beta.com", "acme.eu"),
        ("a@us.beta.com", "beta.com"),
        ("a@FÜNF.de", "5.example"),
        ("a@isp.example.org", "a@isp.example.org"),
        ("a@example.org", "example.org"),
        ("a@mail.provider.de", "a@mail.provider.de"),
        ("a@qq.com", "qq.com"),
        ("a@vip.qq.com", "a@vip.qq.com"),
        ("a@corp.21cn.com", "corp.21cn.com"),
        ("a@21cn.com", "a@21cn.com"),
    ] {
        assert_eq!(companies.of(&address(typed)).as_str(), company, "{typed}");
    }
}

#[test]
fn impossible_companies_are_refused_by_name() {
    let new = |aliases: &[(&str, &str)], free: &[&str], not_free: &[&str]| {
        Companies::new(&pairs(aliases), &names(free), &names(not_free)).map(|_| ()).unwrap_err()
    };
    let domain = |domain: &str, reason| CompanyError::Domain { domain: domain.to_owned(), reason };
    assert_eq!(new(&[], &["acme"], &[]), domain("acme", DomainError::NoDot));
    assert_eq!(new(&[], &[], &["a b.de"]), domain("a b.de", DomainError::Invalid));
    assert_eq!(new(&[("acme.de", "1.2.3.4")], &[], &[]), domain("1.2.3.4", DomainError::Number));
    assert_eq!(new(&[], &["X.de"], &["x.de"]), CompanyError::Contradiction("x.de".into()));
    assert_eq!(
        new(&[("gmail.com", "x.de")], &[], &[]),
        CompanyError::FreeAlias("gmail.com".into())
    );
    assert_eq!(
        new(&[("x.de", "vip.qq.com")], &[], &[]),
        CompanyError::FreeAlias("vip.qq.com".into())
    );
    let twice = [("a.de", "b.de"), ("A.de", "c.de")];
    assert_eq!(new(&twice, &[], &[]), CompanyError::Twice("a.de".into()));
    let cycle = [("b.de", "c.de"), ("c.de", "a.de"), ("a.de", "b.de")];
    assert_eq!(new(&cycle, &[], &[]), CompanyError::Cycle("a.de".into()));
}

/// Cells as people break them: an address-like core in any wrapping, or anything at all.
fn cells() -> impl Strategy<Value = String> {
    let core = "[a-zA-Z0-9.'+_用é-]{1,12}@[a-zA-Z0-9ü-]{1,8}(\\.[a-zA-Z0-9公-]{1,6}){0,3}";
    let edge = "[ <>\"'(),;.。＜＞＂“”【】\u{FEFF}\u{200B}\u{3000}:\r\n\0]{0,3}";
    prop_oneof![
        (edge, "(mailto:|Ann |\"Ann\" <|Ann <)?", core, edge)
            .prop_map(|(a, b, c, d)| a + &b + &c + &d),
        ".{0,40}",
        "\\PC{0,10}[@＠]\\PC{0,10}\\.\\PC{0,5}",
        "[\\x00-\\x7f]{0,10}@[\\x00-\\x7f]{0,10}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_printed_parses_back(cell in cells()) {
        if let Ok(parsed) = Address::parse(&cell) {
            let again = Address::parse(parsed.address.as_str());
            let again = again.map_err(|err| TestCaseError::fail(format!("{parsed:?}: {err}")))?;
            prop_assert_eq!(&again.address, &parsed.address);
            prop_assert_eq!((again.name, again.repair), (None, None));
            prop_assert_eq!(Address::stored(parsed.address.as_str()), Some(parsed.address));
        }
    }

    #[test]
    fn what_is_parsed_is_well_formed(cell in cells()) {
        if let Ok(parsed) = Address::parse(&cell) {
            let address = parsed.address;
            prop_assert!(!cell.contains(char::is_control));
            prop_assert!(!address.as_str().contains(|c: char| c.is_control() || c.is_whitespace()));
            prop_assert_eq!(address.as_str().matches('@').count(), 1);
            prop_assert!(address.as_str().len() <= 254 && address.local().len() <= 64);
            prop_assert!(address.domain().is_ascii() && address.domain().contains('.'));
            prop_assert_eq!(address.domain(), address.domain().to_ascii_lowercase());
            prop_assert!(!parsed.name.is_some_and(|name| name.contains(char::is_control)));
        }
    }

    #[test]
    fn a_control_character_anywhere_is_refused(
        before in "\\PC{0,8}", control in "[\\x00-\\x1f\\x7f-\\u{9f}]", after in "\\PC{0,8}",
    ) {
        for cell in [
            format!("{before}{control}{after}@x.com"),
            format!("ann@{before}{control}{after}.com"),
            format!("{before}{control}{after} <ann@x.com>"),
            format!("{control}ann@x.com"),
            format!("ann@x.com{control}"),
        ] {
            prop_assert!(Address::parse(&cell).is_err(), "{:?}", cell);
        }
    }

    #[test]
    fn case_makes_no_other_mailbox_and_no_other_company(
        local in "[a-zäøжσς用0-9._-]{1,10}", domain in "(gmail|acme|mail\\.acme|qq)\\.(com|co\\.uk)",
    ) {
        let lower = format!("{local}@{domain}");
        let upper = lower.to_uppercase();
        if let (Ok(lower), Ok(upper)) = (Address::parse(&lower), Address::parse(&upper)) {
            let companies = Companies::default();
            prop_assert_eq!(lower.address.key(), upper.address.key());
            prop_assert_eq!(companies.of(&lower.address), companies.of(&upper.address));
        }
    }

    #[test]
    fn a_key_is_its_own_key(cell in cells()) {
        if let Ok(parsed) = Address::parse(&cell) {
            let key = parsed.address.key();
            prop_assert_eq!(Address::stored(&key).map(|a| a.key()), Some(key));
        }
    }
}
