//! A keeper on a rehearsal clock without a daemon: what is due is done, letters are claimed and
//! settled by a peer of the test's making, instant by instant.
#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "every test takes what it needs of this"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tradewind::book::contact::{Day, Moment};
use tradewind::config::Config;
use tradewind::control::{Answer, Request};
use tradewind::desk::draft::Ready;
use tradewind::desk::keeper::{Keeper, Opener, init};
use tradewind::feedback::verdict::{Class, Verdict};
use tradewind::net::crowd::Crowd;

const HOME: &str = env!("CARGO_MANIFEST_DIR");
/// Rounds of hand-outs at one instant after which a house never comes to rest.
const ROUNDS_MAX: usize = 500;

/// A letter as the peer got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub day: Day,
    pub to: String,
    pub attempt: u16,
    pub message: String,
}

pub struct House {
    pub dir: TempDir,
    pub keeper: Option<Keeper>,
    pub now: Moment,
    pub got: Vec<Got>,
}

pub fn at(text: &str) -> Moment {
    let text = format!("{text}:00+08:00");
    Moment::from_utc(chrono::DateTime::parse_from_rfc3339(&text).unwrap().to_utc())
}

pub fn accepted() -> Verdict {
    Verdict::Accepted { reply: "250 ok".to_owned() }
}

pub fn deferred() -> Verdict {
    Verdict::Deferred { class: Class::Network, reply: "450 later".to_owned() }
}

impl House {
    /// The shipped configuration, with replacements; the clock stands at `now`.
    pub fn new(now: &str, replacements: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let templates = dir.path().join("templates");
        std::fs::create_dir(&templates).unwrap();
        for file in std::fs::read_dir(Path::new(HOME).join("config/templates")).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, templates.join(file.file_name().unwrap())).unwrap();
        }
        let mut house = Self { dir, keeper: None, now: at(now), got: Vec::new() };
        house.configure(replacements);
        init(&house.store(), house.now).unwrap();
        house.open();
        house
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Writes the shipped configuration with replacements.
    pub fn configure(&self, replacements: &[(&str, &str)]) {
        let mut text =
            std::fs::read_to_string(Path::new(HOME).join("config/quickstart.toml")).unwrap();
        for (old, new) in replacements {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        std::fs::write(self.dir.path().join("tradewind.toml"), text).unwrap();
    }

    fn config(&self) -> Arc<Config> {
        let file = self.dir.path().join("tradewind.toml");
        Arc::new(Config::load(&file, Some(&self.store())).unwrap())
    }

    fn open(&mut self) {
        let opener = Opener { config: self.config(), rehearsal: Some(true), progress: &mut |_| () };
        let now = self.now;
        self.keeper = Some(Keeper::open(opener, &|_| now).unwrap().0);
    }

    /// As after kill -9: what was not committed is gone.
    pub fn restart(&mut self) {
        self.keeper = None;
        self.open();
    }

    /// Takes the configuration as it is written now.
    pub fn reload(&mut self) {
        let config = self.config();
        self.keeper().reconfigure(config).unwrap();
    }

    pub fn keeper(&mut self) -> &mut Keeper {
        self.keeper.as_mut().unwrap()
    }

    pub fn ask(&mut self, request: Value) -> Value {
        let now = self.now;
        let request: Request = serde_json::from_value(request).unwrap();
        match self.keeper().answer(request, "test", now) {
            Answer::One(value) | Answer::Bad(value) => value,
            Answer::Lines(lines) => Value::Array(lines),
            Answer::Failed(failure) => json!({ "error": failure.message }),
        }
    }

    /// Imports bare addresses.
    pub fn import(&mut self, tag: &str, addresses: &[String]) -> Value {
        self.import_with(json!({ "tag": tag, "cap": 0 }), addresses)
    }

    pub fn import_with(&mut self, begin: Value, addresses: &[String]) -> Value {
        let mut begin = begin;
        let fields = begin.as_object_mut().unwrap();
        fields.insert("command".into(), json!("import-begin"));
        fields.entry("file").or_insert(json!("-"));
        let import = self.ask(begin)["import"].clone();
        let rows: Vec<Value> = addresses
            .iter()
            .enumerate()
            .map(|(line, address)| json!({ "line": line + 1, "address": address }))
            .collect();
        self.ask(json!({ "command": "import-rows", "import": import, "rows": rows }));
        self.ask(json!({ "command": "import-end", "import": import }))
    }

    /// Up to `room` letters as they would leave now.
    pub fn hand_out(&mut self, room: usize) -> Vec<Ready> {
        let now = self.now;
        let drafts = self.keeper().hand_out(now, room, &Crowd::default()).unwrap();
        let mut ready = Vec::new();
        for draft in drafts {
            match draft.compose() {
                Ok(one) => ready.push(one),
                Err(why) => self.keeper().unfit(draft.letter, &why, now).unwrap(),
            }
        }
        ready
    }

    /// One pass at this instant: what is due is done, and up to `room` letters meet the peer.
    pub fn pass(&mut self, room: usize, peer: &mut dyn FnMut(&Ready) -> Verdict) -> usize {
        let now = self.now;
        self.keeper().tick(now).unwrap();
        let ready = self.hand_out(room);
        let count = ready.len();
        for one in ready {
            if self.keeper().claim(one.letter, now).unwrap().is_err() {
                continue;
            }
            self.keeper().store.commit().unwrap();
            let verdict = peer(&one);
            let day = self.keeper().day_of(now);
            let message = String::from_utf8(one.message.clone()).unwrap();
            self.got.push(Got { day, to: one.to.clone(), attempt: one.attempt, message });
            self.keeper().settle(one.letter, true, verdict, now).unwrap();
        }
        self.keeper().store.commit().unwrap();
        count
    }

    /// Everything that happens at this instant, to its rest.
    pub fn rest(&mut self, peer: &mut dyn FnMut(&Ready) -> Verdict) {
        for _ in 0..ROUNDS_MAX {
            if self.pass(50, peer) == 0 {
                return;
            }
        }
        panic!("the house never comes to rest at {:?}", self.now);
    }

    /// Lives on until `to`, from timer to timer.
    pub fn live(&mut self, to: &str, peer: &mut dyn FnMut(&Ready) -> Verdict) {
        let to = at(to);
        loop {
            self.rest(peer);
            if self.now >= to {
                return;
            }
            let now = self.now;
            let next = self.keeper().next_timer(now);
            assert!(next > now, "time must move on");
            self.now = next.min(to);
        }
    }

    /// Lives on, everything accepted.
    pub fn accept(&mut self, to: &str) {
        self.live(to, &mut |_| accepted());
    }

    /// Whom the peer got first attempts for on a day.
    pub fn mailed(&self, day: &str) -> BTreeSet<String> {
        let day = Day::from_date(day.parse().unwrap());
        self.got.iter().filter(|got| got.day == day).map(|got| got.to.clone()).collect()
    }

    pub fn violations(&mut self) -> Value {
        self.ask(json!({ "command": "audit" }))["violations"].clone()
    }

    pub fn why(&mut self, address: &str, date: &str) -> (String, String) {
        let answer = self.ask(json!({ "command": "why", "address": address, "date": date }));
        let word = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        (word("outcome"), word("reason"))
    }
}

/// `count` addresses of one company.
pub fn staff(company: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("p{n:02}@{company}.example")).collect()
}
