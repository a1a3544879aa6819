//! What comes back by mail does what it should: the real binary, a daemon on a rehearsal clock,
//! messages written here against letters that really left.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Output, Stdio};

use common::{Place, Running, daemon};
use mail_parser::MessageParser;
use serde_json::{Value, json};

const TAG: &str = "英语-工程设备经销商-营销05";
const PEOPLE: &[&str] = &[
    "ann@acme.example",
    "bob@bolts.example",
    "eve@gears.example",
    "kim@cranes.example",
    "lea@pumps.example",
    "max@acme.example",
    "pia@valves.example",
    "tom@drills.example",
];

/// A letter that left: its envelope sender and its id.
struct Left {
    return_path: String,
    id: String,
    whole: String,
}

/// A place whose letters of the 5th have left, and its daemon.
struct Journey {
    place: Place,
    daemon: Option<Running>,
    letters: BTreeMap<String, Left>,
}

impl Journey {
    fn new(more: &str) -> Self {
        Self::with(more, |_| ())
    }

    fn with(more: &str, prepare: impl Fn(&Place)) -> Self {
        let place = Place::new();
        prepare(&place);
        place.edit(
            "quickstart.toml",
            "address = \"lin.wei@tradewind.example\"",
            "address = \"lin.wei@tradewind.example\"\nreturn_path = \"bounce@tradewind.example\"\nverp = true",
        );
        let config = fs::read_to_string(place.path("quickstart.toml")).unwrap();
        place.write("quickstart.toml", format!("{config}\n{more}\n"));
        let mut sink =
            Running(place.command(&["sink", "letters"]).stdout(Stdio::piped()).spawn().unwrap());
        let mut address = String::new();
        BufReader::new(sink.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        place.relay(address.trim().rsplit_once(':').unwrap().1.parse().unwrap());
        place.ask(&["init"]);
        let daemon = daemon(&place, "2024-09-05T07:00:00+08:00");
        place.ask_piped(&["import", "-", "--tag", TAG], PEOPLE.join("\n").as_bytes());
        place.ask(&["clock", "--to", "2024-09-05T09:00:00+08:00"]);
        let mut letters = BTreeMap::new();
        for file in fs::read_dir(place.path("letters")).unwrap() {
            let whole = fs::read_to_string(file.unwrap().path()).unwrap();
            let letter = MessageParser::default().parse(whole.as_bytes()).unwrap();
            let to = letter.to().unwrap().first().unwrap().address().unwrap().to_owned();
            let first = whole.lines().next().unwrap();
            let path = first.strip_prefix("Return-Path: <").and_then(|path| path.strip_suffix('>'));
            let return_path = path.unwrap().to_owned();
            let id = letter.message_id().unwrap().to_owned();
            letters.insert(to, Left { return_path, id, whole });
        }
        assert_eq!(letters.len(), PEOPLE.len());
        Self { place, daemon: Some(daemon), letters }
    }

    fn inbound(&self, message: &str) -> Value {
        self.place.ask_piped(&["inbound"], message.as_bytes())
    }

    fn show(&self, address: &str) -> Value {
        self.place.ask(&["show", address])
    }

    fn kinds(&self, address: &str) -> Vec<String> {
        let shown = self.show(address);
        let timeline = shown["timeline"].as_array().unwrap();
        timeline.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn lines(&self, words: &[&str]) -> Vec<Value> {
        let output = self.place.command(words).arg("--json").output().unwrap();
        lines(&output)
    }

    fn reason(&self, address: &str) -> String {
        let why = self.place.ask(&["why", address, "--date", "2024-10-05"]);
        why["reason"].as_str().unwrap_or_default().to_owned()
    }

    fn bounce(&self, about: &str, to: &str, status: &str, words: &str) -> String {
        format!(
            "Return-Path: <>\nDelivered-To: {to}\nFrom: MAILER-DAEMON@mx.example\nTo: {to}\n\
             Subject: Undelivered Mail Returned to Sender\nMessage-ID: <b-{about}-{status}@mx.example>\n\
             Date: Thu, 5 Sep 2024 10:00:00 +0800\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\
             Content-Type: text/plain\n\n<{about}>: host mx said: {words} (in reply to RCPT TO command)\n\
             --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
             Final-Recipient: rfc822; {about}\nAction: failed\nStatus: {status}\n\
             Diagnostic-Code: smtp; {words}\n\n--b--\n"
        )
    }

    fn reply(&self, from: &str, more: &str, body: &str) -> String {
        let id = &self.letters[from].id;
        format!(
            "From: <{from}>\nTo: lin.wei@tradewind.example\nSubject: Re: machines\nIn-Reply-To: <{id}>\n\
             Message-ID: <r-{}-{from}>\nDate: Thu, 5 Sep 2024 11:00:00 +0800\n{more}\
             Content-Type: text/plain; charset=utf-8\n\n{body}\n",
            body.len()
        )
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn has_tag(shown: &Value, tag: &str) -> bool {
    shown["tags"].as_array().unwrap().iter().any(|one| one == tag)
}

#[test]
fn every_kind_does_what_it_should() {
    let journey = Journey::new("");
    hard_and_soft_bounces(&journey);
    complaints(&journey);
    replies(&journey);
    wishes(&journey);
    auto_replies(&journey);
    assert_eq!(journey.place.ask(&["audit"])["violations"], json!([]));
}

fn hard_and_soft_bounces(journey: &Journey) {
    let (ann, bob) = ("ann@acme.example", "bob@bolts.example");
    let path = &journey.letters[ann].return_path;
    assert!(path.starts_with("bounce+") && path.ends_with("@tradewind.example"), "{path}");
    let forged = journey.bounce(ann, "bounce@tradewind.example", "5.1.1", "550 5.1.1 User unknown");
    let line = journey.inbound(&forged);
    assert_eq!((&line["kind"], &line["letter"]), (&json!("bounce"), &Value::Null), "{line}");
    assert_eq!(journey.show(ann)["suppressed"], false, "a report without our token");

    let real = journey.bounce(ann, path, "5.1.1", "550 5.1.1 User unknown");
    let explained = journey.place.ask_piped(&["inbound", "--explain"], real.as_bytes());
    assert_eq!(explained["letter"]["batch"], TAG, "{explained}");
    assert_eq!(explained["recipients"][0]["hard"], true, "{explained}");
    assert_eq!(explained["recipients"][0]["reply"], "550", "{explained}");
    assert_eq!(journey.show(ann)["suppressed"], false, "explained, not stored");
    assert_eq!(journey.inbound(&real), explained);
    let shown = journey.show(ann);
    assert_eq!(shown["suppressed"], true, "{shown}");
    let count = |kind: &str| journey.kinds(ann).iter().filter(|one| *one == kind).count();
    assert_eq!((count("bounced"), count("suppressed")), (2, 1));
    journey.inbound(&real);
    assert_eq!(count("bounced"), 2, "the same message counts once");

    let path = &journey.letters[bob].return_path;
    journey.inbound(&journey.bounce(bob, path, "5.2.2", "552 5.2.2 mailbox full"));
    assert_eq!(journey.show(bob)["suppressed"], false);
    assert!(journey.kinds(bob).contains(&"bounced".to_owned()));
}

fn complaints(journey: &Journey) {
    let eve = "eve@gears.example";
    let arf = |original: &str| {
        format!(
            "From: fbl@isp.example\nTo: lin@t.example\nSubject: complaint\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\
             Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n\
             Original-Rcpt-To: {eve}\n\n--b\nContent-Type: message/rfc822\n\n{original}\n--b--\n"
        )
    };
    journey.inbound(&arf("Message-ID: <made.up@tradewind.example>\nTo: x@y.example\n\nHi"));
    assert_eq!(journey.show(eve)["suppressed"], false, "forged");
    let line = journey.inbound(&arf(&journey.letters[eve].whole));
    assert_eq!(
        (&line["kind"], &line["feedback"]),
        (&json!("complaint"), &json!("abuse")),
        "{line}"
    );
    let shown = journey.show(eve);
    assert_eq!(shown["suppressed"], true, "{shown}");
    assert!(has_tag(&shown, "退订"), "{shown}");
    assert!(journey.kinds(eve).contains(&"complained".to_owned()));
}

fn replies(journey: &Journey) {
    let kim = "kim@cranes.example";
    let line = journey.inbound(&journey.reply(
        kim,
        "",
        "Hello Lin,\nplease send us a quotation for 20 pieces.",
    ));
    assert_eq!((&line["kind"], &line["language"]), (&json!("reply"), &json!("en")), "{line}");
    assert_eq!(journey.reason(kim), "waiting");
    let waiting = journey.lines(&["inbox"]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["address"], kim);
    assert_eq!(waiting[0]["priority"], "high", "{waiting:?}");
    assert_eq!(waiting[0]["proposals"], json!(["询盘"]), "{waiting:?}");
    assert!(!has_tag(&journey.show(kim), "询盘"), "proposed, not given");
    let shown = journey.place.ask(&["inbox", "show", kim]);
    assert!(shown["text"].as_str().unwrap().contains("20 pieces"), "{shown}");

    let refused = journey.place.command(&["inbox", "done", kim]).output().unwrap();
    assert_eq!(refused.status.code(), Some(64), "a decision has to be named");
    journey.place.ask(&["tag", kim, "样品"]);
    assert_eq!(journey.lines(&["inbox"]).len(), 1, "nothing but a decision ends the waiting");
    journey.place.ask(&["inbox", "done", kim, "--tag", "询盘"]);
    assert!(has_tag(&journey.show(kim), "询盘"));
    assert_eq!(journey.lines(&["inbox"]), Vec::<Value>::new());
    let again = journey.place.command(&["inbox", "done", kim, "--resume"]).output().unwrap();
    assert_eq!(again.status.code(), Some(66));

    let dry = journey.lines(&["rules", "dry-run", "--from", "2024-09-05"]);
    assert!(dry.iter().any(|line| line["address"] == kim), "{dry:?}");
}

fn wishes(journey: &Journey) {
    let lea = "lea@pumps.example";
    let line = journey.inbound(&journey.reply(lea, "", "Merci de me désabonner.\n\n> machines"));
    assert_eq!(line["kind"], "unsubscribe", "{line}");
    let shown = journey.show(lea);
    assert_eq!(shown["suppressed"], true);
    assert!(has_tag(&shown, "退订"), "{shown}");
    let via =
        shown["timeline"].as_array().unwrap().iter().find(|one| one["kind"] == "unsubscribed");
    assert_eq!(via.unwrap()["via"], "mail");
}

fn auto_replies(journey: &Journey) {
    let (pia, tom) = ("pia@valves.example", "tom@drills.example");
    let auto = "Auto-Submitted: auto-replied\n";
    let away = journey.reply(pia, auto, "I am on vacation until 20 September 2024.");
    let line = journey.inbound(&away);
    assert_eq!(line["kind"], "auto-reply", "{line}");
    assert!(line["reason"].as_str().unwrap().contains("vacation until 2024-09-20"), "{line}");
    let shown = journey.show(pia);
    assert_eq!(shown["suppressed"], false);
    assert!(!has_tag(&shown, "不发"), "{shown}");
    let left = journey.reply(tom, auto, "Tom no longer works here. Please contact sales.");
    let tried = journey.place.ask_piped(&["rules", "test"], left.as_bytes());
    assert_eq!(tried["rules"][0]["rule"], "left-the-company", "{tried}");
    assert!(!has_tag(&journey.show(tom), "不发"), "tried, not done");
    journey.inbound(&left);
    let shown = journey.show(tom);
    assert!(has_tag(&shown, "不发"), "{shown}");
    let given = shown["timeline"].as_array().unwrap().iter().rfind(|one| one["kind"] == "tagged");
    assert_eq!(given.unwrap()["by"], "rule left-the-company", "{shown}");
    assert_eq!(journey.lines(&["inbox"]), Vec::<Value>::new(), "machines wait for nobody");
}

#[test]
fn a_reply_may_stop_the_whole_company() {
    let journey = Journey::new("[inbound]\nreply_stops = \"company\"");
    let (ann, max) = ("ann@acme.example", "max@acme.example");
    journey.inbound(&journey.reply(ann, "", "We are interested, who is your engineer?"));
    assert_eq!((journey.reason(ann), journey.reason(max)), ("waiting".into(), "waiting".into()));
    assert_eq!(journey.lines(&["inbox"]).len(), 2);
    journey.place.ask(&["inbox", "done", ann, "--resume"]);
    assert_eq!(journey.lines(&["inbox"]), Vec::<Value>::new(), "colleagues go on with her");
}

#[test]
fn waiting_and_its_end_outlive_the_daemon() {
    let mut journey = Journey::new("");
    let kim = "kim@cranes.example";
    journey.inbound(&journey.reply(kim, "", "请报价"));
    journey.daemon = None;
    assert_eq!(journey.lines(&["inbox"])[0]["language"], "zh");
    fs::remove_dir_all(journey.place.path("store/sled")).unwrap();
    assert_eq!(journey.lines(&["inbox"]).len(), 1, "rebuilt from the journal");
    journey.place.ask(&["inbox", "done", kim, "--suppress"]);
    assert_eq!(journey.lines(&["inbox"]).len(), 0);
    assert_eq!(journey.show(kim)["suppressed"], true);
    let text = journey.inbound(&journey.reply(kim, "", "hello again, without any daemon"));
    assert_eq!(text["kind"], "reply");
}

#[test]
fn the_watched_maildir_is_taken_in_and_moved() {
    let journey = Journey::new("[inbound]\nmaildir = \"incoming\"");
    let dir = journey.place.path("store/incoming");
    for folder in ["tmp", "new", "cur"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let lea = "lea@pumps.example";
    fs::write(dir.join("tmp/1.a"), journey.reply(lea, "", "unsubscribe")).unwrap();
    fs::rename(dir.join("tmp/1.a"), dir.join("new/1.a")).unwrap();
    fs::write(dir.join("tmp/2.b"), "nothing at all").unwrap();
    fs::rename(dir.join("tmp/2.b"), dir.join("new/2.b")).unwrap();
    while !dir.join("cur/1.a:2,S").exists() || !dir.join("cur/2.b:2,S").exists() {
        std::thread::yield_now();
    }
    assert_eq!(journey.show(lea)["suppressed"], true, "durable before it is moved");
    assert_eq!(fs::read_dir(dir.join("new")).unwrap().count(), 0);

    // By hand, without a daemon.
    let mut journey = journey;
    journey.daemon = None;
    fs::write(dir.join("new/3.c"), journey.reply("kim@cranes.example", "", "hello there")).unwrap();
    let words = ["inbound", "--maildir", "store/incoming"];
    let taken = journey.lines(&words);
    assert_eq!((taken.len(), &taken[0]["kind"]), (1, &json!("reply")), "{taken:?}");
    assert!(dir.join("cur/3.c:2,S").exists());
    fs::remove_file(dir.join("cur/2.b:2,S")).unwrap();
    let explained = journey.lines(&[&words[..], &["--explain"]].concat()[..]);
    assert_eq!(explained.len(), 2, "{explained:?}");
}

#[test]
fn exit_codes_are_what_a_delivery_program_needs() {
    let place = Place::new();
    let ordinary = b"From: x@y.example\nSubject: hi\n\nhello\n".as_slice();
    let code = |words: &[&str], input: &[u8]| place.piped(words, input).status.code();
    assert_eq!(code(&["inbound"], ordinary), Some(75), "no store yet: again later");
    assert_eq!(code(&["inbound", "--explain"], ordinary), Some(0), "needs no store");
    assert_eq!(code(&["inbound", "--explain"], b""), Some(65));
    place.ask(&["init"]);
    assert_eq!(code(&["inbound"], ordinary), Some(0), "harmless");
    for nothing in [b"".as_slice(), b"\0\0\0", b"just words\n"] {
        assert_eq!(code(&["inbound"], nothing), Some(65), "{nothing:?}");
    }
    assert_eq!(code(&["inbound", "nowhere.eml"], b""), Some(66));
    let mut large = ordinary.to_vec();
    large.resize((25 << 20) + 100, b'x');
    assert_eq!(code(&["inbound"], &large), Some(0), "too large to look at, not to be bounced");
    let lock = daemon(&place, "2024-09-05T07:00:00+08:00");
    assert_eq!(code(&["inbound"], ordinary), Some(0), "through the daemon");
    drop(lock);
}

/// Fetches the pixel of a letter as a person's mail program does, an hour after it came.
fn open(journey: &Journey, to: &str) {
    const BROWSER: &str =
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0";
    let status = journey.place.ask(&["status"]);
    let http = status["http"].as_str().unwrap();
    let letter = MessageParser::default().parse(journey.letters[to].whole.as_bytes()).unwrap();
    let html = letter.body_html(0).unwrap();
    let path = html.split_once("/o/").unwrap().1.split_once(".gif").unwrap().0;
    let mut talk = TcpStream::connect(http).unwrap();
    let request = format!(
        "GET /o/{path}.gif HTTP/1.1\r\nHost: x\r\nUser-Agent: {BROWSER}\r\nConnection: close\r\n\r\n"
    );
    talk.write_all(request.as_bytes()).unwrap();
    let mut said = Vec::new();
    talk.read_to_end(&mut said).unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_rule_about_opens_fires_once_when_its_number_is_reached() {
    let journey = Journey::with("", |place| {
        place.write(
            "own.toml",
            "[[rule]]\nname = 'keen'\nwhen = 'opened'\nif = { times = 2 }\nthen = { tag = '询盘' }\n",
        );
        place.edit("quickstart.toml", "zone =", "rules = \"own.toml\"\nzone =");
    });
    let kim = "kim@cranes.example";
    journey.place.ask(&["clock", "--to", "2024-09-05T11:00:00+08:00"]);
    open(&journey, kim);
    assert!(!has_tag(&journey.show(kim), "询盘"));
    open(&journey, kim);
    open(&journey, kim);
    let shown = journey.show(kim);
    let given = shown["timeline"].as_array().unwrap().iter().filter(|one| one["tag"] == "询盘");
    let given: Vec<&Value> = given.collect();
    assert_eq!(given.len(), 1, "{shown}");
    assert_eq!(given[0]["by"], "rule keen", "{shown}");
    journey.place.ask(&["untag", kim, "询盘", "--reason", "too early"]);
    open(&journey, kim);
    assert!(!has_tag(&journey.show(kim), "询盘"), "a person's correction stands");
}
