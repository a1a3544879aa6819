//! What people see of each answer.

use serde_json::json;
use tradewind::cli::render::{Face, lines, one};

#[test]
fn a_plan_is_a_table_of_batches_and_reasons() {
    let text = one(
        Face::Plan,
        &json!({"date": "2024-09-05", "send": 12, "reasons": {"company-cap": 2, "gap": 1},
        "due": [
            {"batch": "英语-工程设备经销商-营销05", "targets": 13, "send": 10,
             "reasons": {"company-cap": 2, "gap": 1}},
            {"batch": "英语-工程设备经销商-阅读05", "targets": 2, "send": 2, "reasons": {}},
        ]}),
    );
    assert_eq!(
        text,
        "2024-09-05: 12 letters\n\n \
         batch                       reasons               targets  send\n \
         英语-工程设备经销商-营销05  company-cap 2, gap 1       13    10\n \
         英语-工程设备经销商-阅读05                              2     2\n\n\
         not written to, over all batches: company-cap 2, gap 1\n"
    );
    let text = one(Face::Plan, &json!({"date": "2024-08-31", "send": 0, "due": []}));
    assert_eq!(text, "2024-08-31: 0 letters, no batch is due\n");
}

#[test]
fn why_is_one_sentence_and_its_detail() {
    let text = one(
        Face::Why,
        &json!({"address": "ann@acme.example", "date": "2024-09-05", "outcome": "skip",
            "reason": "company-cap", "detail": "20 of 20 letters to acme.example"}),
    );
    assert_eq!(
        text,
        "ann@acme.example is not written to on 2024-09-05: the company had its letters of that \
         day (company-cap)\n  20 of 20 letters to acme.example\n"
    );
    let text = one(
        Face::Why,
        &json!({"address": "a@b.example", "date": "2024-09-05", "outcome": "send",
            "reason": null, "detail": null}),
    );
    assert_eq!(text, "a@b.example is written to on 2024-09-05\n");
    let text = one(
        Face::Why,
        &json!({"address": "a@b.example", "date": "2024-09-05", "outcome": "mailed",
            "reason": "accepted", "detail": "英语-a-营销05: 250 Ok"}),
    );
    let said = "a@b.example was written to on 2024-09-05: accepted\n  英语-a-营销05: 250 Ok\n";
    assert_eq!(text, said);
}

#[test]
fn a_contact_is_lines_and_a_timeline() {
    let text = one(
        Face::Show,
        &json!({"address": "a@b.example", "id": 7, "company": "b.example",
            "tags": ["x", "y"], "suppressed": false,
            "timeline": [{"at": "2024-09-05T09:00:00+08:00", "kind": "imported", "import": 1},
                         {"at": "2024-09-05T10:00:00+08:00", "kind": "accepted",
                              "letter": {"batch": "x", "due": "2024-09-05"}}]}),
    );
    assert_eq!(
        text,
        "a@b.example\n id          7\n company     b.example\n suppressed  no\n \
         tags        x, y\n\n \
         at                         kind      detail\n \
         2024-09-05T09:00:00+08:00  imported  import 1\n \
         2024-09-05T10:00:00+08:00  accepted  letter (batch x, due 2024-09-05)\n"
    );
}

#[test]
fn an_audit_says_it_first() {
    let clean = one(Face::Audit, &json!({"letters": 1, "violations": []}));
    assert_eq!(clean, "1 letter, no violation\n");
    let bad = one(Face::Audit, &json!({"letters": 9, "violations": ["twice: a@b.example"]}));
    assert_eq!(bad, "9 letters, 1 violation:\n  twice: a@b.example\n");
}

#[test]
fn lists_are_tables_and_strange_keys_are_kept() {
    let text = lines(&[json!({"tag": "询盘", "count": 2, "zeal": true}), json!({"tag": "同行"})]);
    assert_eq!(text, " tag   count  zeal\n 询盘      2  yes\n 同行\n");
    assert_eq!(lines(&[]), "none\n");
}

#[test]
fn a_report_shows_what_there_is() {
    let text = one(
        Face::Report,
        &json!({"from": "2024-09-05", "to": "2024-09-06", "reasons": {"gap": 2},
            "totals": {"accepted": 5, "refused": 0},
            "rounds": [{"date": "2024-09-05", "batch": "英语-a-营销05", "targets": 7,
                "accepted": 5, "refused": 0, "reasons": {"gap": 2}}]}),
    );
    assert_eq!(
        text,
        "2024-09-05 to 2024-09-06: 1 round\n\n \
         date        batch          reasons  targets  accepted\n \
         2024-09-05  英语-a-营销05  gap 2          7         5\n\n \
         in all          accepted 5\n not written to  gap 2\n"
    );
}

#[test]
fn tags_stand_by_group() {
    let text = one(
        Face::Tags,
        &json!({"tags": {"询盘": 2, "同行": 0}, "groups": {"询盘": "intention", "同行": "risk"}}),
    );
    assert_eq!(
        text,
        " group      tag   contacts\n intention  询盘         2\n risk       同行         0\n"
    );
}

#[test]
fn nothing_steers_the_terminal() {
    let text = one(Face::Plain, &json!({"name": "a\u{1b}[2Jb\nc"}));
    assert_eq!(text, " name  a [2Jb c\n");
}
