//! kill -9, some dozens of times, in the middle of an import, of a batch and of a start: nothing
//! that was answered is lost, nobody is written to twice, and the audit finds nothing.
//!
//! Where a kill fell is told by what is found afterwards, the journal and the sink's own record,
//! and not by what was aimed at. `TRADEWIND_CRASH_ROUNDS` and `TRADEWIND_CRASH_SEED` may be set.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tradewind::book::contact::ContactId;
use tradewind::control::{Answer, ImportBegin, ImportRow, Request};
use tradewind::feedback::entry::{LetterId, What};
use tradewind::socket::Client;
use tradewind::store::journal::Reader;

#[path = "common/place.rs"]
mod place;
#[path = "crash/sink.rs"]
mod sink;

use place::{Daemon, Place};
use sink::{PATIENCE, Sink};

/// Conversations at once.
const CONNECTIONS: usize = 4;
/// Rounds on one store: a day each, so that every contact falls due once.
const ROUNDS_PER_STORE: u32 = 15;
/// Of one company, four more than it may get a day; and of companies of their own.
const COLLEAGUES: u32 = 24;
const LONERS: u32 = 24;
/// Rows that are answered at once.
const STRETCH: usize = 6;
/// Rows of the file that the command imports by itself: more than one stretch.
const FILE_ROWS: u32 = 4_500;

/// What a round aims at. Where the kill fell is found out afterwards.
#[derive(Clone, Copy, Debug)]
enum Aim {
    Import,
    ImportOfFile,
    ImportAlone,
    ClaimToDot,
    DotToSettle,
    Batch,
    Start,
    Hits,
}

const AIMS: [Aim; 8] = [
    Aim::Import,
    Aim::ClaimToDot,
    Aim::DotToSettle,
    Aim::Start,
    Aim::ImportOfFile,
    Aim::Batch,
    Aim::Hits,
    Aim::ImportAlone,
];

/// Where kills fell.
#[derive(Clone, Copy, Debug, Default)]
struct Fell {
    import: u32,
    claim_to_dot: u32,
    dot_to_settle: u32,
    start: u32,
    elsewhere: u32,
}

/// xorshift64*: enough to scatter kills.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn pause(&mut self, micros: u64) {
        let until = Instant::now() + Duration::from_micros(self.below(micros));
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

#[test]
fn kills_anywhere_lose_nothing_and_repeat_nothing() {
    let rounds = setting("TRADEWIND_CRASH_ROUNDS").map_or(30, |n| u32::try_from(n).unwrap());
    let seed = setting("TRADEWIND_CRASH_SEED").unwrap_or_else(|| std::process::id().into());
    println!("TRADEWIND_CRASH_SEED={seed} TRADEWIND_CRASH_ROUNDS={rounds}");
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (mut fell, mut kills, mut done) = (Fell::default(), 0, 0);
    while done < rounds {
        let mut drill = Drill::new(&mut dice, fell);
        let here = ROUNDS_PER_STORE.min(rounds - done);
        for n in 0..here {
            drill.round(n, AIMS[(done + n) as usize % AIMS.len()]);
        }
        drill.end(here);
        (fell, kills) = (drill.fell, kills + drill.kills);
        done += here;
    }
    println!("{kills} kills in {rounds} rounds fell: {fell:?}");
    for (place, count) in [
        ("inside an import", fell.import),
        ("between claim and dot", fell.claim_to_dot),
        ("between dot and settle", fell.dot_to_settle),
        ("in start-up", fell.start),
    ] {
        assert!(count > 0, "no kill fell {place}: {fell:?}, seed {seed}");
    }
}

/// What the journal says, read by nobody but its reader.
#[derive(Default)]
struct Told {
    addresses: HashMap<ContactId, String>,
    /// Letters claimed, and how each ended (`None`: under way when the journal ends).
    letters: BTreeMap<LetterId, Option<&'static str>>,
    /// Imports that were begun and not ended.
    open_imports: BTreeSet<u32>,
    /// Who opened a letter, and who unsubscribed.
    readers: BTreeSet<ContactId>,
    leavers: BTreeSet<ContactId>,
}

impl Told {
    fn by(place: &Place) -> Self {
        let mut told = Self::default();
        let entries = Reader::open(&place.store().join("journal")).unwrap().read_from(1).unwrap();
        for entry in entries {
            let what = entry.unwrap().1.what;
            let kind = what.kind();
            match what {
                What::Imported { contact, address, .. } => {
                    told.addresses.insert(contact, address);
                }
                What::ImportBegan { import, .. } => drop(told.open_imports.insert(import)),
                What::ImportEnded { import, .. } => drop(told.open_imports.remove(&import)),
                What::Claimed { letter, .. } => drop(told.letters.insert(letter, None)),
                What::Opened { letter, .. } => drop(told.readers.insert(letter.contact)),
                What::Unsubscribed { contact, .. } => drop(told.leavers.insert(contact)),
                What::Accepted { letter, .. }
                | What::Deferred { letter, .. }
                | What::Refused { letter, .. }
                | What::Unknown { letter, .. } => drop(told.letters.insert(letter, Some(kind))),
                _ => (),
            }
        }
        told
    }

    fn names(&self, who: &BTreeSet<ContactId>) -> BTreeSet<String> {
        who.iter().map(|contact| self.addresses[contact].clone()).collect()
    }

    /// The addresses of letters that came to this end.
    fn ended(&self, how: Option<&str>) -> BTreeSet<&str> {
        let such = self.letters.iter().filter(|(_, end)| **end == how);
        such.map(|(letter, _)| self.addresses[&letter.contact].as_str()).collect()
    }
}

/// One store over some days, with a kill or more on each.
struct Drill<'a> {
    dice: &'a mut Dice,
    place: Place,
    sink: Sink,
    daemon: Option<Daemon>,
    /// Rehearsal time that the next daemon starts at.
    clock: String,
    fell: Fell,
    kills: u32,
    /// Imports left open by kills that were counted already.
    counted: BTreeSet<u32>,
    /// Everybody who was given a batch.
    planned: BTreeSet<String>,
    /// Whose open and whose unsubscribe were answered, and those of them since the last start.
    opened: BTreeSet<String>,
    left: BTreeSet<String>,
    fresh: BTreeSet<String>,
}

impl<'a> Drill<'a> {
    fn new(dice: &'a mut Dice, fell: Fell) -> Self {
        let sink = Sink::listen();
        let relay = format!(
            "[[relay]]\nhost = \"{}\"\nport = {}\nconnections = {CONNECTIONS}\nsink = true",
            sink.addr.ip(),
            sink.addr.port()
        );
        let place = Place::new(Some(&relay));
        place.ask(&["init"]).good();
        Self {
            dice,
            place,
            sink,
            daemon: None,
            clock: "2024-09-01T00:00:00+08:00".to_owned(),
            fell,
            kills: 0,
            counted: BTreeSet::new(),
            planned: BTreeSet::new(),
            opened: BTreeSet::new(),
            left: BTreeSet::new(),
            fresh: BTreeSet::new(),
        }
    }

    /// A day: its batch comes in and goes out, some read it, one has enough.
    fn round(&mut self, n: u32, aim: Aim) {
        self.step(&time(n, "07:00"));
        let rows = batch(n);
        self.planned.extend(rows.iter().map(|row| row.address.clone()));
        match aim {
            Aim::Import => self.kill_in_import(n, &rows),
            Aim::ImportOfFile => self.kill_in_import_of_file(n, false),
            Aim::ImportAlone => self.kill_in_import_of_file(n, true),
            _ => (),
        }
        let answered = import(self.client(), n, &rows, &|_| ());
        assert_eq!(answered.len(), rows.len());
        // Idempotent: whatever was kept before the kill is known, and nothing is new twice.
        let again = import(self.client(), n, &rows, &|_| ());
        assert!(again.iter().all(|(_, word)| word == "known"), "{again:?}");
        match aim {
            Aim::ClaimToDot => self.kill_between_claim_and_dot(n),
            Aim::DotToSettle => self.kill_between_dot_and_settle(n),
            Aim::Batch => self.kill_in_batch(n),
            Aim::Start => {
                self.kill_in_batch(n);
                self.kill_in_start();
                self.kill_in_start();
            }
            _ => (),
        }
        self.step(&time(n, "09:00"));
        self.people_answer(n);
        if matches!(aim, Aim::Hits) {
            self.kill();
        }
        self.step(&time(n, "20:30"));
    }

    /// Two more days, for what carries; then the account.
    fn end(&mut self, rounds: u32) {
        self.step(&time(rounds, "20:30"));
        self.step(&time(rounds + 1, "20:30"));
        assert_eq!(self.ask(&["status"])["remaining"], 0);
        self.kill();
        self.start();
        let told = Told::by(&self.place);
        let unknown = told.ended(Some("unknown"));
        let arrived: BTreeSet<String> = self.sink.letters().into_iter().map(|(to, _)| to).collect();
        for address in &self.planned {
            let there = arrived.contains(address) || unknown.contains(address.as_str());
            assert!(there, "{address} was planned and never sent");
        }
        let most = CONNECTIONS * self.kills as usize;
        assert!(unknown.len() <= most, "{} unknown of {} kills", unknown.len(), self.kills);
    }

    fn start(&mut self) {
        let log = self.place.path().join("daemon.log");
        let _ = fs::remove_file(log);
        self.daemon = Some(self.place.start(&self.clock));
        self.check();
    }

    /// Runs the clock up to an instant, with a daemon started if there is none.
    fn step(&mut self, to: &str) {
        self.clock = to.to_owned();
        if self.daemon.is_none() {
            self.start();
        }
        self.ask(&["clock", "--to", to]);
    }

    fn ask(&self, words: &[&str]) -> Value {
        let answered = self.place.ask(words);
        let log = self.daemon.as_ref().map(Daemon::log);
        assert_eq!(answered.code, 0, "{words:?}: {answered:?}\n{log:?}");
        answered.json
    }

    /// After every start: what must hold whatever happened.
    fn check(&mut self) {
        let audit = self.ask(&["audit"]);
        assert_eq!(audit["violations"], Value::Array(Vec::new()), "{audit}");
        for address in std::mem::take(&mut self.fresh) {
            let shown = self.ask(&["show", &address]);
            let kinds = kinds(&shown);
            assert_eq!(kinds.contains("opened"), self.opened.contains(&address), "{shown}");
            assert_eq!(kinds.contains("unsubscribed"), self.left.contains(&address), "{shown}");
            assert_eq!(shown["suppressed"], self.left.contains(&address), "{shown}");
        }
    }

    /// SIGKILL, and then: where did it fall?
    fn kill(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        daemon.kill();
        self.fallen(Some(&daemon));
    }

    fn fallen(&mut self, daemon: Option<&Daemon>) {
        self.kills += 1;
        self.sink.read_out();
        let told = Told::by(&self.place);
        let arrived: Vec<String> = self.sink.letters().into_iter().map(|(to, _)| to).collect();
        let once: BTreeSet<&str> = arrived.iter().map(String::as_str).collect();
        assert_eq!(once.len(), arrived.len(), "somebody was written to twice: {arrived:?}");
        // No letter without a claim that was durable before its dot.
        let claimed = told.letters.keys().map(|letter| told.addresses[&letter.contact].as_str());
        let claimed: BTreeSet<&str> = claimed.collect();
        let bare: Vec<_> = once.difference(&claimed).collect();
        assert!(bare.is_empty(), "sent without a claim: {bare:?}");
        let lost: Vec<_> =
            told.ended(Some("accepted")).into_iter().filter(|to| !once.contains(to)).collect();
        assert!(lost.is_empty(), "accepted, and not at the sink: {lost:?}");
        assert_eq!(told.names(&told.readers), self.opened, "opens that were answered");
        assert_eq!(told.names(&told.leavers), self.left, "unsubscribes that were answered");
        let doubt = told.ended(None);
        let dotted = doubt.iter().filter(|to| once.contains(**to)).count();
        let fresh: Vec<u32> = told.open_imports.difference(&self.counted).copied().collect();
        self.counted.extend(&fresh);
        // The lock names a daemon that had begun to open the store; its log, one that was ready.
        let starting = daemon.is_some_and(|daemon| {
            let holder = fs::read_to_string(self.place.store().join("lock")).unwrap_or_default();
            holder.trim() == daemon.child.id().to_string() && !daemon.log().contains(" ready ")
        });
        self.fell.start += u32::from(starting);
        self.fell.import += u32::from(!fresh.is_empty());
        self.fell.dot_to_settle += u32::from(dotted > 0 && !starting);
        self.fell.claim_to_dot += u32::from(dotted < doubt.len() && !starting);
        let elsewhere = !starting && fresh.is_empty() && doubt.is_empty();
        self.fell.elsewhere += u32::from(elsewhere);
    }

    fn client(&self) -> Client {
        Client::connect(&self.place.store().join("control.sock")).unwrap().unwrap()
    }

    fn kill_in_import(&mut self, n: u32, rows: &[ImportRow]) {
        let (progress, answered_so_far) = channel();
        let (client, all) = (self.client(), rows.to_vec());
        let importing = thread::spawn(move || {
            // Nobody counts any more once the daemon is killed.
            import(client, n, &all, &|done| _ = progress.send(done))
        });
        let until = usize::try_from(self.dice.below(7)).unwrap();
        wait_for(&answered_so_far, until);
        self.dice.pause(4_000);
        self.kill();
        let answered = importing.join().unwrap();
        self.start();
        self.kept(&format!("英语-工程设备经销商-营销{:02}", n + 1), &answered);
    }

    /// The command reads a file of more than one stretch, over a daemon or by itself.
    fn kill_in_import_of_file(&mut self, n: u32, alone: bool) {
        let mut text = "email,name\n".to_owned();
        for k in 0..FILE_ROWS {
            writeln!(text, "f{k}@r{n}k{k}.example,Ann {k}").unwrap();
        }
        fs::write(self.place.path().join("file.csv"), text).unwrap();
        if alone {
            self.kill();
        }
        let before = self.journal_bytes();
        let words = ["import", "file.csv", "--tag", "同行", "--verdicts", "verdicts.csv"];
        let mut command = self.place.command_on("store", &words);
        if alone {
            command.args(["--clock", &self.clock]);
        }
        let mut importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.wait_for_growth(before, &mut importing);
        self.dice.pause(300_000);
        if alone {
            importing.kill().unwrap();
            importing.wait().unwrap();
            self.fallen(None);
        } else {
            self.kill();
            importing.wait().unwrap();
        }
        // Its last line may be cut off in the middle.
        let verdicts = fs::read_to_string(self.place.path().join("verdicts.csv")).unwrap();
        let whole = verdicts.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let answered: Vec<(String, String)> = whole
            .lines()
            .skip(1)
            .map(|line| {
                let mut cells = line.split(',').skip(1).map(ToOwned::to_owned);
                (cells.next().unwrap(), cells.next().unwrap())
            })
            .collect();
        self.start();
        self.kept("同行", &answered);
        let summary = self.ask(&["import", "file.csv", "--tag", "同行"]);
        let (new, known) = (summary["new"].as_u64().unwrap(), summary["known"].as_u64().unwrap());
        assert_eq!(new + known, u64::from(FILE_ROWS), "{summary}");
        assert!(known >= u64::try_from(answered.len()).unwrap(), "{summary}");
    }

    /// Everybody who was answered is in the book, with the tag.
    fn kept(&self, tag: &str, answered: &[(String, String)]) {
        let mut client = self.client();
        let (view, tag) = (None, Some(tag.to_owned()));
        let kept = match client.ask(&Request::Contacts { view, tag, condition: None, list: true }) {
            Answer::Lines(lines) => lines,
            // The tag itself came with the first row that was kept.
            other => {
                assert!(answered.is_empty(), "{other:?}");
                return;
            }
        };
        let kept: BTreeSet<&str> =
            kept.iter().filter_map(|line| line["address"].as_str()).collect();
        for (address, word) in answered {
            assert_eq!(word, "new", "{address}");
            assert!(kept.contains(address.as_str()), "{address} was answered and is lost");
        }
    }

    fn journal_bytes(&self) -> u64 {
        let files = fs::read_dir(self.place.store().join("journal")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    /// Waits until the journal grows beyond `before`, or `process` ends.
    fn wait_for_growth(&self, before: u64, process: &mut Child) {
        let until = Instant::now() + PATIENCE;
        while self.journal_bytes() <= before && Instant::now() < until {
            if process.try_wait().unwrap().is_some() {
                return;
            }
        }
    }

    /// Begins the day's batch without waiting for its end.
    fn begin_batch(&mut self, n: u32) -> Child {
        self.clock = time(n, "09:00");
        let words = ["clock", "--to", &self.clock];
        let mut command = self.place.command_on("store", &words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// All conversations wait for their 354. When they get it, claims are the only thing that makes
    /// the journal grow: the kill comes while they are synced.
    fn kill_between_claim_and_dot(&mut self, n: u32) {
        let left = u32::try_from(self.dice.below(20)).unwrap();
        self.sink.hold_data(left);
        let mut stepping = self.begin_batch(n);
        assert!(self.sink.wait_held_data(4), "no letter gets as far as DATA");
        let before = self.journal_bytes();
        self.sink.release();
        self.wait_for_growth(before, &mut stepping);
        self.kill();
        stepping.wait().unwrap();
        self.start();
    }

    /// The sink keeps a letter and does not say so.
    fn kill_between_dot_and_settle(&mut self, n: u32) {
        let left = u32::try_from(self.dice.below(30)).unwrap();
        self.sink.hold_dots(left);
        let mut stepping = self.begin_batch(n);
        assert!(self.sink.wait_held_dot(), "no letter gets as far as the dot");
        self.dice.pause(2_000);
        self.kill();
        stepping.wait().unwrap();
        self.start();
    }

    fn kill_in_batch(&mut self, n: u32) {
        let so_far = self.sink.count();
        let mut stepping = self.begin_batch(n);
        assert!(self.sink.wait_for(so_far + 1), "no letter leaves");
        self.dice.pause(60_000);
        self.kill();
        stepping.wait().unwrap();
        if !matches!(self.dice.below(2), 0) {
            self.start();
        }
    }

    /// Killed as soon as it holds the store, or a little later.
    fn kill_in_start(&mut self) {
        self.kill();
        let mut daemon = self.place.spawn(&self.clock);
        let (pid, lock) = (daemon.child.id().to_string(), self.place.store().join("lock"));
        let until = Instant::now() + PATIENCE;
        while fs::read_to_string(&lock).unwrap_or_default().trim() != pid {
            assert!(Instant::now() < until, "it does not open the store: {}", daemon.log());
            assert!(daemon.child.try_wait().unwrap().is_none(), "it ended: {}", daemon.log());
        }
        self.dice.pause(60_000);
        daemon.kill();
        self.fallen(Some(&daemon));
    }

    /// Pixels are fetched and one unsubscribes: once answered, that is there for ever.
    fn people_answer(&mut self, n: u32) {
        let http = self.ask(&["status"])["http"].as_str().unwrap().to_owned();
        let here = format!("@r{n}l");
        let letters = self.sink.letters();
        let mut letters = letters.iter().filter(|(to, _)| to.contains(&here));
        for (to, message) in letters.by_ref().take(2) {
            let body = decoded(message);
            let path = token(&body, "/o/");
            let answer = exchange(&http, &format!("GET {path} HTTP/1.1\r\n"), "");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            self.opened.insert(to.clone());
            self.fresh.insert(to.clone());
        }
        let (to, message) = letters.next().expect("some arrived");
        let path = token(&message.replace("\r\n ", ""), "/u/");
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let head = format!("POST {path} HTTP/1.1\r\n{kind}");
        let answer = exchange(&http, &head, "List-Unsubscribe=One-Click");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        self.left.insert(to.clone());
        self.fresh.insert(to.clone());
    }
}

fn time(day: u32, clock: &str) -> String {
    format!("2024-09-{:02}T{clock}:00+08:00", day + 1)
}

fn kinds(shown: &Value) -> BTreeSet<&str> {
    let timeline = shown["timeline"].as_array().unwrap();
    timeline.iter().filter_map(|event| event["kind"].as_str()).collect()
}

/// The contacts of round `n`.
fn batch(n: u32) -> Vec<ImportRow> {
    let colleagues = (0..COLLEAGUES).map(|k| format!("c{k}@r{n}.example"));
    let loners = (0..LONERS).map(|k| format!("x{k}@r{n}l{k}.example"));
    let row = |(line, address)| ImportRow { line, address, ..ImportRow::default() };
    (2..).zip(colleagues.chain(loners)).map(row).collect()
}

/// Imports the batch of round `n` in stretches; what was answered, by address, until it was done or
/// the daemon died.
fn import(
    mut client: Client,
    n: u32,
    rows: &[ImportRow],
    progress: &dyn Fn(usize),
) -> Vec<(String, String)> {
    let begin = ImportBegin {
        tag: Some(format!("英语-工程设备经销商-营销{:02}", n + 1)),
        cap: Some(0),
        ..ImportBegin::default()
    };
    let mut answered = Vec::new();
    let Answer::One(begun) = client.ask(&Request::ImportBegin(begin)) else { return answered };
    let import = u32::try_from(begun["import"].as_u64().unwrap()).unwrap();
    for (n, stretch) in rows.chunks(STRETCH).enumerate() {
        let told = client.ask(&Request::ImportRows { import, rows: stretch.to_vec() });
        let Answer::One(told) = told else { return answered };
        for (row, verdict) in stretch.iter().zip(told["verdicts"].as_array().unwrap()) {
            assert_eq!(verdict[0], row.line);
            answered.push((row.address.clone(), verdict[1].as_str().unwrap().to_owned()));
        }
        progress(n + 1);
    }
    let _ = client.ask(&Request::ImportEnd { import });
    answered
}

fn wait_for(progress: &Receiver<usize>, until: usize) {
    let mut so_far = 0;
    while so_far < until {
        match progress.recv_timeout(PATIENCE) {
            Ok(n) => so_far = n,
            Err(_) => return,
        }
    }
}

/// The body of a letter without its transfer encoding.
fn decoded(message: &str) -> String {
    let parsed = mail_parser::MessageParser::default().parse(message).unwrap();
    parsed.body_html(0).unwrap().into_owned()
}

/// The path in `text` that begins so.
fn token(text: &str, begin: &str) -> String {
    let (_, rest) = text.split_once(begin).unwrap();
    let end = rest.find(['"', '>', '\'']).unwrap();
    format!("{begin}{}", &rest[..end])
}

fn exchange(at: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36";
    let length = body.len();
    write!(
        stream,
        "{head}Host: {at}\r\nUser-Agent: {browser}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
