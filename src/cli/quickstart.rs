//! `quickstart`: a few days of Tradewind on a real store, real SMTP and real HTTP, in seconds.
//!
//! Only the clock is rehearsed, and only the mail server is ours. Everything a stranger sees here is
//! what the same commands show on a store of their own.

use std::io::{self, Write};
use std::net::SocketAddr;

use chrono::{DateTime, FixedOffset, NaiveDate};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use serde_json::{Value, json};

use crate::cli::render::{self, Face};
use crate::cli::stage::{Letter, Stage};
use crate::control::{Answer, Failure, Request};

/// A Thursday, so that the Monday that turns readers into reading contacts is near.
const BEGIN: &str = "2024-09-05T09:00:00+08:00";
const FIRST_DAY: &str = "2024-09-05";
/// When each day's letters have left, and when the readers have read theirs.
const SENT: &str = "10:00:00+08:00";
const READ: &str = "11:00:00+08:00";
const EVENING: &str = "20:30:00+08:00";
const DAYS: [&str; 5] = ["2024-09-05", "2024-09-06", "2024-09-07", "2024-09-08", MONDAY];
/// When readers become reading contacts, and when those of the first day are next written to.
const MONDAY: &str = "2024-09-09";
const READING_DAY: &str = "2024-09-15";
/// When the first day's silent batch falls due again.
const NEXT_ROUND: &str = "2024-10-05";
/// How many people open their letter.
const READERS: usize = 3;
/// What a person's own browser says it is.
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                       (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36";

const CONFIG: &str = include_str!("../../config/quickstart.toml");
const SEARCH: &str = include_str!("../../config/sample-search.csv");
/// The saved search once for each audience: rows of another language are refused, not misplaced.
const TAGS: [&str; 2] = ["英语-工程设备经销商-营销05", "法语-工程设备经销商-营销05"];
const TEMPLATES: [(&str, &str); 4] = [
    (
        "templates/英语-工程设备经销商-营销.letter",
        include_str!("../../config/templates/英语-工程设备经销商-营销.letter"),
    ),
    (
        "templates/英语-工程设备经销商-阅读.letter",
        include_str!("../../config/templates/英语-工程设备经销商-阅读.letter"),
    ),
    (
        "templates/法语-工程设备经销商-营销.letter",
        include_str!("../../config/templates/法语-工程设备经销商-营销.letter"),
    ),
    (
        "templates/法语-工程设备经销商-阅读.letter",
        include_str!("../../config/templates/法语-工程设备经销商-阅读.letter"),
    ),
];

/// Plays it all; a bad finding if it did not end as it must.
///
/// # Errors
/// When a part does not come up or does not answer: never for what it answers.
pub fn run(keep: bool, json: bool) -> Result<Answer, Failure> {
    let mut play = Play { voice: Voice { silent: json, scene: 0 }, tally: Tally::default() };
    let mut stage = Stage::set(keep, BEGIN, files)?;
    play.all(&mut stage)?;
    let tally = play.tally;
    play.voice.farewell(stage, keep);
    let summary = if json { tally.to_json() } else { Value::Null };
    Ok(if tally.is_good() { Answer::One(summary) } else { Answer::Bad(summary) })
}

/// The shipped configuration, its letters going to the stage's mail server instead of into files.
fn files(sink: SocketAddr) -> Result<Vec<(String, String)>, Failure> {
    const MAILDIR: &str = "\ntransport = \"maildir\"\n";
    if !CONFIG.contains(MAILDIR) {
        let message = "config/quickstart.toml has no line `transport = \"maildir\"`";
        return Err(Failure::new(70, message, "this is a fault of tradewind: report it"));
    }
    let config = CONFIG.replace(MAILDIR, "\ntransport = \"relay\"\n");
    let relay =
        format!("\n[[relay]]\nhost = \"{}\"\nport = {}\nsink = true\n", sink.ip(), sink.port());
    let templates = TEMPLATES.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Ok([("quickstart.toml".to_owned(), config + &relay)].into_iter().chain(templates).collect())
}

/// What is counted on the way, each from the part that knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    imported: u64,
    planned: u64,
    accepted: u64,
    at_sink: u64,
    opened: u64,
    unsubscribed: u64,
    promoted: u64,
    violations: u64,
}

impl Tally {
    fn is_good(self) -> bool {
        self.at_sink == self.accepted && self.promoted >= 1 && self.violations == 0
    }

    fn to_json(self) -> Value {
        json!({
            "imported": self.imported, "planned": self.planned, "accepted": self.accepted,
            "at_sink": self.at_sink, "opened": self.opened, "unsubscribed": self.unsubscribed,
            "promoted": self.promoted, "violations": self.violations,
        })
    }
}

/// Tells the story, unless only the end is wanted. Who stopped listening stops nothing.
struct Voice {
    silent: bool,
    scene: u32,
}

impl Voice {
    fn say(&self, text: &str) {
        if !self.silent {
            let _ = writeln!(io::stdout(), "{text}");
        }
    }

    fn scene(&mut self, title: &str) {
        self.scene += 1;
        self.say(&format!("\n{}. {title}", self.scene));
    }

    /// A command and what it prints, as on a terminal.
    fn command(&self, words: &str, output: &str) {
        self.say(&format!("   $ tradewind {words}"));
        for line in output.lines() {
            self.say(format!("     {line}").trim_end());
        }
    }

    fn farewell(&self, stage: Stage, keep: bool) {
        let dir = stage.dir().display().to_string();
        if keep && self.silent {
            let _ = writeln!(io::stderr(), "tradewind: everything goes on running in {dir}");
        }
        if keep {
            let flags = format!("--config {dir}/quickstart.toml --store {dir}/store");
            let ids: Vec<String> = stage.leave().iter().map(u32::to_string).collect();
            self.say(&format!("\nEverything goes on running in {dir}:"));
            self.say(&format!("   $ tradewind status {flags}"));
            self.say(&format!("   $ tradewind clock --to {READING_DAY}T{SENT} {flags}"));
            self.say(&format!("   $ ls {dir}/letters; less {dir}/daemon.log"));
            self.say(&format!("   $ kill {}; rm -r {dir}     ends it", ids.join(" ")));
        } else {
            self.say("\nThe directory is gone again; `tradewind quickstart --keep` leaves it.");
            self.say("Next: README.md, config/quickstart.toml, `tradewind --help`.");
        }
    }
}

/// The play: its story and its counts.
struct Play {
    voice: Voice,
    tally: Tally,
}

impl Play {
    fn all(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        self.stage_is_set(stage);
        self.searches_come_in(stage)?;
        let missed = self.a_day_is_planned(stage)?;
        let letters = self.letters_leave(stage)?;
        let cast = Cast::of(&letters)?;
        self.people_answer(stage, &cast)?;
        self.days_go_by(stage)?;
        self.readers_have_moved(stage, &cast)?;
        self.who_and_why(stage, &cast, &missed)?;
        self.proof(stage)
    }

    fn stage_is_set(&mut self, stage: &Stage) {
        self.voice.scene("A store, a daemon and a mail server");
        self.voice
            .say(&format!("   In {}: the configuration (two audiences,", stage.dir().display()));
        self.voice.say("   four letters), a new store, and a daemon whose clock says Thursday,");
        self.voice.say("   5 September 2024, 09:00 in Shanghai. Its letters go over SMTP to");
        self.voice.say(&format!(
            "   {}, a server that keeps them all. Nothing leaves this machine.",
            stage.sink()
        ));
    }

    fn searches_come_in(&mut self, stage: &Stage) -> Result<(), Failure> {
        self.voice.scene("Saved searches come in by pipe");
        self.voice
            .say("   At most ten of a company and kind go into one batch, and --spread fills the");
        self.voice.say("   next ones: one company here has 58 addresses, for batches 05 to 10.");
        for tag in TAGS {
            let words = ["import", "-", "--tag", tag, "--spread"];
            let summary = stage.pipe(&words, SEARCH)?;
            self.tally.imported += count(&summary, "new");
            let shown = format!("{} < sample-search.csv", words.join(" "));
            self.voice.command(&shown, &render::one(Face::Plain, &summary));
        }
        Ok(())
    }

    /// Somebody who is due and yet not written to.
    fn a_day_is_planned(&mut self, stage: &mut Stage) -> Result<Option<String>, Failure> {
        self.voice.scene("Who is written to today, and why the others are not");
        let date = Some(day(FIRST_DAY)?);
        let plan = stage.ask(&Request::Plan { date, list: false })?;
        self.voice.command("plan", &render::one(Face::Plan, &plan));
        let list = stage.ask(&Request::Plan { date, list: true })?;
        let mut list = list.as_array().into_iter().flatten();
        let missed = list.find(|line| line.get("outcome").is_some_and(|how| how == "skip"));
        Ok(missed.map(|line| text(line, "address")))
    }

    fn letters_leave(&mut self, stage: &mut Stage) -> Result<Vec<Letter>, Failure> {
        self.voice.scene("The letters leave");
        self.clock(stage, FIRST_DAY, SENT)?;
        let status = stage.ask(&Request::Status {})?;
        self.voice.command("status", &render::one(Face::Plain, &status));
        let letters = stage.letters()?;
        self.voice
            .say(&format!("   The mail server has {} letters; the first one:", letters.len()));
        if let Some(letter) = letters.first() {
            self.voice.say(&format!("     To: {}\n     Subject: {}", letter.to, letter.subject));
        }
        Ok(letters)
    }

    fn people_answer(&mut self, stage: &mut Stage, cast: &Cast<'_>) -> Result<(), Failure> {
        self.voice.scene("An hour later, people answer");
        self.clock(stage, FIRST_DAY, READ)?;
        let status = stage.ask(&Request::Status {})?;
        let http = text(&status, "http");
        let http =
            http.trim_start_matches("http://").trim_end_matches('/').parse().map_err(|_| {
                let message = format!("`status` names no HTTP address: {http:?}");
                Failure::new(70, message, "set http.listen in the configuration")
            })?;
        for (reader, pixel) in &cast.readers {
            let status = stage.fetch(http, opening(http, pixel)?)?;
            self.voice
                .say(&format!("   {reader} opens the letter: its pixel is fetched ({status})"));
        }
        let (leaver, link) = cast.leaver;
        let status = stage.fetch(http, one_click(http, link)?)?;
        self.voice.say(&format!("   {leaver} presses \"unsubscribe\": one click ({status})"));
        Ok(())
    }

    fn days_go_by(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        self.voice.scene("Days go by, until Monday evening");
        for date in DAYS {
            self.clock(stage, date, EVENING)?;
            let status = stage.ask(&Request::Status {})?;
            let (planned, accepted) = (count(&status, "planned"), count(&status, "accepted"));
            self.tally.planned += planned;
            self.tally.accepted += accepted;
            self.voice.say(&format!("     {date}: {planned} planned, {accepted} accepted"));
        }
        self.tally.at_sink = u64::try_from(stage.letters()?.len()).unwrap_or(u64::MAX);
        self.voice.say(&format!(
            "   Accepted over these days: {}; at the mail server: {}.",
            self.tally.accepted, self.tally.at_sink
        ));
        Ok(())
    }

    fn readers_have_moved(&mut self, stage: &mut Stage, cast: &Cast<'_>) -> Result<(), Failure> {
        self.voice.scene("On Monday the readers moved to the reading batch");
        for (n, (reader, _)) in cast.readers.iter().enumerate() {
            let shown = stage.ask(&Request::Show { address: (*reader).to_owned() })?;
            self.tally.opened += u64::from(has_event(&shown, "opened"));
            self.tally.promoted += u64::from(in_reading(&shown));
            if n == 0 {
                self.voice.command(&format!("show {reader}"), &render::one(Face::Show, &shown));
            }
        }
        let leaver = stage.ask(&Request::Show { address: cast.leaver.0.to_owned() })?;
        self.tally.unsubscribed += u64::from(has_event(&leaver, "unsubscribed"));
        Ok(())
    }

    fn who_and_why(
        &mut self,
        stage: &mut Stage,
        cast: &Cast<'_>,
        missed: &Option<String>,
    ) -> Result<(), Failure> {
        self.voice.scene("The report, and an answer for everybody");
        let (from, to) = (day(FIRST_DAY)?, day(MONDAY)?);
        let report = stage.ask(&Request::Report { from: Some(from), to: Some(to) })?;
        self.voice.command(
            &format!("report --from {from} --to {to}"),
            &render::one(Face::Report, &report),
        );
        let reader = cast.readers.first().map(|(reader, _)| ((*reader).to_owned(), FIRST_DAY));
        let next = reader.clone().map(|(reader, _)| (reader, READING_DAY));
        let missed = missed.clone().map(|missed| (missed, FIRST_DAY));
        let leaver = (cast.leaver.0.to_owned(), NEXT_ROUND);
        for (address, date) in [reader, missed, next, Some(leaver)].into_iter().flatten() {
            let asked = Request::Why { address: address.clone(), date: Some(day(date)?) };
            let why = stage.ask(&asked)?;
            self.voice
                .command(&format!("why {address} --date {date}"), &render::one(Face::Why, &why));
        }
        Ok(())
    }

    fn proof(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        self.voice.scene("The proof, from the journal alone");
        let audit = stage.ask(&Request::Audit {})?;
        let violations = audit.get("violations").and_then(Value::as_array).map_or(0, Vec::len);
        self.tally.violations = u64::try_from(violations).unwrap_or(u64::MAX);
        self.voice.command("audit", &render::one(Face::Audit, &audit));
        if !self.tally.is_good() {
            self.voice.say(&format!("   This is not how it should end: {}", self.tally.to_json()));
        }
        Ok(())
    }

    fn clock(&self, stage: &mut Stage, date: &str, time: &str) -> Result<(), Failure> {
        let to = instant(&format!("{date}T{time}"))?;
        stage.ask(&Request::Clock { to: Some(to) })?;
        self.voice.command(&format!("clock --to {date}T{time}"), "");
        Ok(())
    }
}

/// Who does what: readers of different companies, and one who has had enough.
struct Cast<'a> {
    readers: Vec<(&'a str, &'a str)>,
    leaver: (&'a str, &'a str),
}

impl<'a> Cast<'a> {
    fn of(letters: &'a [Letter]) -> Result<Self, Failure> {
        let mut domains: Vec<&str> = Vec::new();
        // Several opens at one company within an hour would look like a scanner's.
        let mut apart = letters.iter().filter(|letter| {
            let domain = letter.to.rsplit('@').next().unwrap_or_default();
            let new = !domains.contains(&domain);
            domains.push(domain);
            new
        });
        let pixel = |letter: &'a Letter| Some((letter.to.as_str(), letter.pixel.as_deref()?));
        let link = |letter: &'a Letter| Some((letter.to.as_str(), letter.unsubscribe.as_deref()?));
        let readers: Vec<_> = apart.by_ref().filter_map(pixel).take(READERS).collect();
        match (readers.is_empty(), apart.find_map(link)) {
            (false, Some(leaver)) => Ok(Self { readers, leaver }),
            _ => Err(Failure::new(
                70,
                format!("among {} letters there is no pixel or no unsubscribe link", letters.len()),
                "see the letters with `tradewind quickstart --keep`",
            )),
        }
    }
}

fn opening(host: SocketAddr, path: &str) -> Result<hyper::Request<String>, Failure> {
    let request = hyper::Request::get(path).header(HOST, host.to_string());
    let request = request.header(USER_AGENT, BROWSER).header(ACCEPT, "image/avif,image/webp,*/*");
    request.body(String::new()).map_err(|err| no_url(path, &err))
}

/// As RFC 8058 §3.1 has it.
fn one_click(host: SocketAddr, path: &str) -> Result<hyper::Request<String>, Failure> {
    let request = hyper::Request::post(path).header(HOST, host.to_string());
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body("List-Unsubscribe=One-Click".to_owned()).map_err(|err| no_url(path, &err))
}

fn no_url(path: &str, err: &hyper::http::Error) -> Failure {
    Failure::new(70, format!("the letter's link {path:?}: {err}"), "see http.public_url")
}

fn has_event(contact: &Value, kind: &str) -> bool {
    let timeline = contact.get("timeline").and_then(Value::as_array);
    timeline.into_iter().flatten().any(|event| event.get("kind").is_some_and(|is| is == kind))
}

fn in_reading(contact: &Value) -> bool {
    let tags = contact.get("tags").and_then(Value::as_array);
    tags.into_iter().flatten().any(|tag| tag.as_str().is_some_and(|tag| tag.contains("-阅读")))
}

fn count(answer: &Value, key: &str) -> u64 {
    answer.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn text(answer: &Value, key: &str) -> String {
    answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn day(date: &str) -> Result<NaiveDate, Failure> {
    date.parse().map_err(|err| Failure::new(70, format!("{date}: {err}"), "report it"))
}

fn instant(at: &str) -> Result<DateTime<FixedOffset>, Failure> {
    let parsed = DateTime::parse_from_rfc3339(at);
    parsed.map_err(|err| Failure::new(70, format!("{at}: {err}"), "report it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(to: &str) -> Letter {
        Letter {
            to: to.to_owned(),
            subject: String::new(),
            pixel: Some(format!("/o/{to}.gif")),
            unsubscribe: Some(format!("/u/{to}")),
        }
    }

    #[test]
    fn the_shipped_configuration_takes_the_sink() {
        let sink = "127.0.0.1:2525".parse().unwrap();
        let files = files(sink).unwrap();
        let (name, config) = files.first().unwrap();
        assert_eq!(name, "quickstart.toml");
        assert!(config.contains("transport = \"relay\"") && !config.contains("\"maildir\"\n"));
        assert!(config.ends_with("[[relay]]\nhost = \"127.0.0.1\"\nport = 2525\nsink = true\n"));
        toml::from_str::<toml::Table>(config).unwrap();
    }

    #[test]
    fn readers_are_of_different_companies() {
        let to = [
            "a@x.example",
            "b@x.example",
            "c@y.example",
            "d@z.example",
            "e@z.example",
            "f@w.example",
        ];
        let letters = to.map(letter);
        let cast = Cast::of(&letters).unwrap();
        let readers: Vec<&str> = cast.readers.iter().map(|(reader, _)| *reader).collect();
        assert_eq!(readers, ["a@x.example", "c@y.example", "d@z.example"]);
        assert_eq!(cast.leaver, ("f@w.example", "/u/f@w.example"));
        assert!(Cast::of(&[]).is_err());
    }

    #[test]
    fn it_must_end_well() {
        let good = Tally { accepted: 9, at_sink: 9, promoted: 1, ..Tally::default() };
        assert!(good.is_good());
        for bad in [
            Tally { at_sink: 8, ..good },
            Tally { promoted: 0, ..good },
            Tally { violations: 1, ..good },
        ] {
            assert!(!bad.is_good());
        }
    }

    #[test]
    fn its_days_and_hours_exist() {
        for date in DAYS.iter().chain([&FIRST_DAY, &READING_DAY, &NEXT_ROUND]) {
            day(date).unwrap();
            for time in [SENT, READ, EVENING] {
                instant(&format!("{date}T{time}")).unwrap();
            }
        }
        instant(BEGIN).unwrap();
    }
}
