//! Mistakes in views: each names its file, its line and what to write instead.

#[path = "common/desk.rs"]
mod desk;

use desk::Desk;

#[test]
fn every_mistake_names_its_line_and_the_fix() {
    let desk = Desk::new("");
    let own = std::fs::read_to_string(desk.dir.path().join("tradewind.toml")).unwrap();
    let line = own.lines().count() + 3;
    for (condition, message, fix) in [
        ("adress = { equals = \"a@b\" }", "no condition \"adress\"", "\"address\""),
        ("tag = \"询价\"", "tag \"询价\" is not declared", "\"询盘\""),
        ("tag = \"Nosuch*\"", "no declared tag begins with", "tags.groups"),
        ("tag = \"德语-设备-营销01\"", "audience 德语-设备 is not declared", "audiences"),
        ("tag = \"英语-工程设备经销商-营销31\"", "no batch 31", "correct"),
        ("tag = 5", "a text is needed, this is a integer", "quotes"),
        ("tag = []", "empty list", "name at least one"),
        ("tag_group = \"intentoin\"", "no tag group \"intentoin\"", "\"intention\""),
        ("address = { start_with = \"a\" }", "no operator \"start_with\"", "\"starts_with\""),
        ("address = { ends_with = 5 }", "a text is needed", "quotes"),
        ("address = { ends_with = \"\" }", "empty text", "take it out"),
        ("address = \"a\"", "where must the text stand", "ends_with"),
        ("company = \"gmail.com\"", "it is no company", "domain"),
        ("attr = { \"=\" = \"DE\" }", "attr needs a name", "country"),
        ("attr = { name = \"size\", \">\" = \"many\" }", "a number or a date", "2024-09-05"),
        ("attr = { name = \"size\", contains = 5 }", "a text is needed", "quotes"),
        ("attr = { name = \"size\", \"=>\" = 5 }", "no operator \"=>\"", ">="),
        ("opens = { \">=\" = \"2\" }", "a whole number is needed", "write one"),
        ("opens = { \">=\" = 2, within_days = 365 }", "not in 0 to 92", "last_opened"),
        ("letters = 3", "a count needs a comparison", "letters = {"),
        ("last_opened = { before = 3 }", "no operator \"before\"", "before_days"),
        ("last_sent = \"sometimes\"", "when?", "never"),
        ("created = \"never\"", "when?", "before_days"),
        ("created = { \">=\" = \"soon\" }", "a date is needed", "2024-09-01"),
        ("view = \"意向\"", "not declared; declared are: 阅读客户", "correct that view"),
        ("view = \"mine\"", "circle: mine -> mine", "correct that view"),
        ("any = { tag = \"询盘\" }", "a list is needed", "[{"),
        ("any = [\"询盘\"]", "a condition must be a table", "braces"),
        ("not = { tag = \"询盘\", tag_group = \"risk\" }", "both", "exactly one"),
        ("owner = { is = 1 }", "no operator \"is\"", "exists"),
        ("tag = ", "must be quoted", "literal string"),
    ] {
        let text = format!("{own}\n[[views]]\nname = \"mine\"\n{condition}\n");
        std::fs::write(desk.dir.path().join("tradewind.toml"), text).unwrap();
        let (code, said, told) = desk.refused(&["check"]);
        assert_eq!(code, 78, "{condition}: {said}");
        assert!(said.contains(message) && told.contains(fix), "{condition}: {said} | {told}");
        let at = [line - 1, line, line + 1].map(|line| format!("tradewind.toml:{line}"));
        assert!(at.iter().any(|at| said.contains(at)), "{condition}: {line}: {said}");
    }
}

#[test]
fn included_files_and_exclusions_are_named_as_well() {
    let desk = Desk::new("");
    let views = desk.dir.path().join("views.toml");
    let shipped = std::fs::read_to_string(&views).unwrap();
    for (from, to, message) in [
        ("tag_group = \"reading\"", "tag_group = \"raeding\"", "views.toml:12:13: there is no"),
        (
            "silent = [\"阅读客户\"",
            "silent = [\"阅读\"",
            "views.toml:56: exclude.silent: view \"阅读\"",
        ),
        ("\n[exclude]\n", "\n[excludes]\n", "excludes"),
        (
            "name = \"意向客户\"",
            "name = \"阅读客户\"",
            "views.toml:15:1: view \"阅读客户\" is declared",
        ),
    ] {
        std::fs::write(&views, shipped.replacen(from, to, 1)).unwrap();
        let (code, said, fix) = desk.refused(&["check"]);
        assert_eq!(code, 78, "{from}");
        assert!(said.contains(message) && !fix.is_empty(), "{to}: {said}");
    }
    std::fs::remove_file(&views).unwrap();
    let (_, said, _) = desk.refused(&["check"]);
    assert!(said.contains("views.toml"), "{said}");
}

#[test]
fn a_condition_on_the_command_line_is_checked_the_same() {
    let desk = Desk::open("");
    for (condition, message) in [
        ("tag = \"询价\"", "not declared"),
        ("{ tag = \"询价\" }", "not declared"),
        ("{ tag = \"询盘\" } x", ""),
        ("view = \"none\"", "declared are"),
        ("", "there is no condition"),
        ("tag = \"询盘\"\nview = \"风险客户\"", "both"),
    ] {
        let (code, said, fix) = desk.refused(&["contacts", "--where", condition]);
        assert!(code == 64 || code == 66, "{condition}: {code} {said}");
        assert!(said.contains(message) && !fix.is_empty(), "{condition}: {said}");
    }
}
