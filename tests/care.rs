//! Contact care with the real program: ad-hoc conditions, bulk tags, owners, stages, pools, views.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

#[path = "common/desk.rs"]
mod desk;

use desk::Desk;
use serde_json::{Value, json};

const ROWS: &str = "\
email,company,country,employees,来源,since
ann@acme.example,Acme,DE,12,fair,2019-03-01
bob@acme.example,Acme,DE,,fair,
hr@acme.example,Acme,DE,12,web,
cid@myqq.com,,CN,200,web,2021-01-01
dee@qq.com,,CN,,web,
eve@sub.shop.example,Shop,Österreich,7.5,,2024-01-02
";
const TAG: &str = "英语-工程设备经销商-营销05";

fn desk() -> Desk {
    let desk = Desk::open("[care]\nstages = [\"quoted\", \"sample sent\"]\noverdue_days = 5\n");
    let counts = desk.pipe(&["import", "-", "--tag", TAG, "--cap", "0"], ROWS);
    assert_eq!(counts["new"], 6, "{counts}");
    desk
}

fn who(desk: &Desk, condition: &str) -> String {
    let found = desk.addresses(&["contacts", "--where", condition, "--list"]);
    let names = found.iter().map(|address| address.split('@').next().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn any_condition_may_be_asked_once() {
    let mut desk = desk();
    desk.ask(&["assign", "ann@acme.example", "Wang"]);
    desk.ask(&["stage", "ann@acme.example", "Quoted"]);
    desk.ask(&["tag", "bob@acme.example", "同行"]);
    for (condition, expected) in [
        ("domain = { ends_with = \".example\" }", "ann bob hr eve"),
        ("domain = { equals = [\"QQ.com\", \"myqq.com\"] }", "cid dee"),
        ("company = \"shop.example\"", "eve"),
        ("company = \"www.acme.example\"", "ann bob hr"),
        ("attr = { name = \"国家\", \"=\" = [\"ÖSTERREICH\"] }", "eve"),
        ("attr = { name = \"Employees\", \">=\" = 12 }", "ann hr cid"),
        ("attr = { name = \"employees\", \"<\" = 8 }", "eve"),
        ("attr = { name = \"employees\", \"!=\" = 12 }", "bob cid dee eve"),
        ("attr = { name = \"since\", \">\" = 2020-01-01 }", "cid eve"),
        ("attr = { name = \"since\", exists = false }", "bob hr dee"),
        ("source = \"FAIR\"", "ann bob"),
        ("source = { contains = \"e\" }", "hr cid dee"),
        ("owner = \"wang\"", "ann"),
        ("owner = { exists = false }", "bob hr cid dee eve"),
        ("stage = \"quoted\"", "ann"),
        ("last_touched = { within_days = 0 }", "ann bob"),
        ("last_sent = \"never\"", "ann bob hr cid dee eve"),
        ("created = { \"=\" = 2024-09-05 }", "ann bob hr cid dee eve"),
        ("created = { before_days = 0 }", ""),
        ("letters = { \">\" = 0 }", ""),
        ("company_has = { tag = \"同行\" }", "ann bob hr"),
        ("{ all = [{ view = \"静默客户\" }, { not = { owner = \"wang\" } }] }", "eve"),
        ("tag = \"营销*\"", "ann bob hr cid dee eve"),
    ] {
        assert_eq!(who(&desk, condition), expected, "{condition}");
    }
    let both = ["contacts", "--view", "不发邮箱", "--where", "attr={name='country','='='CN'}"];
    assert_eq!(desk.ask(&both), json!({"contacts": 2}));
    desk.clock = "2024-09-12T09:00:00+08:00".to_owned();
    assert_eq!(who(&desk, "created = { before_days = 6 }"), "ann bob hr cid dee eve");
    assert_eq!(who(&desk, "last_touched = { before_days = 7 }"), "");
    assert_eq!(who(&desk, "last_touched = { before_days = 6 }"), "ann bob");
}

#[test]
fn an_update_moves_contacts_in_and_out() {
    let desk = desk();
    let condition = "attr = { name = \"country\", \"=\" = \"FR\" }";
    let config = desk.dir.path().join("tradewind.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[[views]]\nname = \"French\"\n{condition}\n"))
        .unwrap();
    assert_eq!(desk.ask(&["view", "French"])["contacts"], 0);
    let rows = "email,country\nann@acme.example,FR\n";
    desk.pipe(&["import", "-", "--mode", "update"], rows);
    assert_eq!(desk.addresses(&["view", "French", "--list"]), ["ann@acme.example"]);
    desk.pipe(&["import", "-", "--mode", "update"], "email,country\nann@acme.example,DE\n");
    assert_eq!(desk.ask(&["view", "French"])["contacts"], 0);
}

#[test]
fn views_are_listed_and_explained() {
    let desk = desk();
    let views = desk.ask(&["view"]);
    let sizes: Vec<(&str, u64)> = views["views"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["view"].as_str().unwrap(), one["contacts"].as_u64().unwrap()))
        .collect();
    let expected =
        [("阅读客户", 0), ("意向客户", 0), ("风险客户", 0), ("不发邮箱", 3), ("静默客户", 3)];
    assert_eq!(sizes, expected);
    assert_eq!(views["views"][0]["excluded_from"], json!(["silent"]));
    let told = desk.ask(&["view", "不发邮箱", "--explain"]);
    let parts: Vec<u64> =
        told["parts"].as_array().unwrap().iter().map(|p| p["contacts"].as_u64().unwrap()).collect();
    assert_eq!(parts, [3, 1, 2, 0, 0, 0], "{told}");
    let accident = &told["accidents"][0];
    assert_eq!((&accident["suffix"], &accident["contacts"]), (&json!("qq.com"), &json!(1)));
    assert_eq!(accident["domains"], json!(["myqq.com"]), "{told}");
    let findings = desk.ask(&["check"])["findings"].to_string();
    assert!(findings.contains("myqq.com") && findings.contains("@qq.com"), "{findings}");
    let (code, said, _) = desk.refused(&["view", "不发"]);
    assert!(code == 66 && said.contains("declared are"), "{said}");
}

#[test]
fn tags_in_bulk_and_back() {
    let desk = desk();
    let by_pipe = desk.pipe(&["tag", "-", "询盘"], "ann@acme.example\nbob@acme.example\n");
    assert_eq!(by_pipe, json!({"tagged": 2, "known": 0}));
    assert_eq!(desk.ask(&["tag", "--view", "不发邮箱", "同行"])["tagged"], 3);
    let again = desk.ask(&["tag", "--where", "domain = { ends_with = \"qq.com\" }", "同行"]);
    assert_eq!(again, json!({"tagged": 0, "known": 2}));
    let back = desk.ask(&["untag", "--view", "风险客户", "同行", "--reason", "mixed up"]);
    assert_eq!(back, json!({"untagged": 3}));
    let shown = desk.ask(&["show", "hr@acme.example"]);
    let kinds: Vec<&Value> =
        shown["timeline"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["imported", "tagged", "untagged"]);
    for words in [&["tag", "询盘"][..], &["tag", "--view", "不发邮箱", "a@b.example", "询盘"]]
    {
        assert_eq!(desk.refused(words).0, 64, "{words:?}");
    }
    let unused = desk.ask(&["tags", "--unused"]);
    assert!(unused["tags"].get("询盘").is_none() && unused["tags"]["样品"] == 0, "{unused}");
    let similar = desk.ask(&["tags", "--similar"])["similar"].to_string();
    assert!(similar.contains("💬询盘"), "{similar}");
}

#[test]
fn owners_and_stages_replace_each_other() {
    let desk = desk();
    assert_eq!(desk.ask(&["assign", "ann@acme.example", "wang"])["assigned"], 1);
    assert_eq!(desk.ask(&["assign", "ann@acme.example", "WANG"])["assigned"], 0);
    assert_eq!(desk.ask(&["assign", "ann@acme.example", "li"])["assigned"], 1);
    assert_eq!(desk.ask(&["stage", "ann@acme.example", "QUOTED"])["staged"], 1);
    let shown = desk.ask(&["show", "ann@acme.example"]);
    assert_eq!((&shown["owner"], &shown["stage"]), (&json!("li"), &json!("quoted")));
    assert_eq!(desk.ask(&["assign", "ann@acme.example", ""])["assigned"], 1);
    assert!(desk.ask(&["show", "ann@acme.example"]).get("owner").is_none());
    let (code, said, fix) = desk.refused(&["stage", "ann@acme.example", "quotd"]);
    assert!(code == 65 && said.contains("quotd") && fix.contains("\"quoted\""), "{said} {fix}");
}

#[test]
fn pools_say_who_came_and_left_and_who_waits_too_long() {
    let mut desk = desk();
    let pools = |desk: &Desk| {
        let told = desk.ask(&["pools"]);
        let line = |one: &Value| {
            let number = |key: &str| one[key].as_u64().unwrap();
            (
                one["pool"].as_str().unwrap().to_owned(),
                number("contacts"),
                number("came"),
                number("left"),
            )
        };
        let lines: Vec<_> = told["pools"].as_array().unwrap().iter().map(line).collect();
        (lines, told["overdue"].as_u64().unwrap())
    };
    let pool = |name: &str, is, came, left| (name.to_owned(), is, came, left);
    assert_eq!(
        pools(&desk).0,
        [
            pool("silent", 3, 3, 0),
            pool("reading", 0, 0, 0),
            pool("do-not-send", 3, 3, 0),
            pool("intention", 0, 0, 0),
            pool("risk", 0, 0, 0)
        ]
    );
    desk.clock = "2024-09-06T09:00:00+08:00".to_owned();
    desk.ask(&["tag", "ann@acme.example", "询盘"]);
    desk.ask(&["tag", "dee@qq.com", "同行"]);
    desk.ask(&["suppress", "eve@sub.shop.example", "--reason", "asked"]);
    let after = (
        vec![
            pool("silent", 1, 0, 2),
            pool("reading", 0, 0, 0),
            pool("do-not-send", 3, 1, 1),
            pool("intention", 1, 1, 0),
            pool("risk", 1, 1, 0),
        ],
        0,
    );
    assert_eq!(pools(&desk), after);
    desk.clock = "2024-09-11T09:00:00+08:00".to_owned();
    assert_eq!(pools(&desk).1, 0);
    desk.clock = "2024-09-12T09:00:00+08:00".to_owned();
    assert_eq!(pools(&desk).1, 1);
    let overdue = desk.lines(&["pools", "--overdue"]);
    assert_eq!(
        (&overdue[0]["address"], &overdue[0]["untouched_days"]),
        (&json!("ann@acme.example"), &json!(6))
    );
    desk.ask(&["note", "ann@acme.example", "called her"]);
    assert_eq!(pools(&desk).1, 0);
}
