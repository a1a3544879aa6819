//! A full disk in the middle of a batch: the daemon ends, nothing leaves without a claim that is on
//! disk, and with room again all goes on.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "common/place.rs"]
mod place;

use place::Place;

const NAME: &str = "a_full_disk_ends_the_daemon_and_nothing_more_leaves";
const LETTERS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(30);

/// A small disk in memory; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`: this user or this kernel may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tradewind-test"]).arg(&at);
        mount.stderr(Stdio::null()).status().is_ok_and(|done| done.success()).then_some(Self(at))
    }

    /// Fills it until so many bytes are left.
    fn fill(&self, left: usize) {
        let mut filler = File::options().append(true).create(true).open(self.0.join("filler"));
        let filler = filler.as_mut().unwrap();
        for piece in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![1; piece]).is_ok() {}
        }
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(left as u64)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The binary's own sink, writing letters beside the full disk.
struct Sink(Child, String);

impl Sink {
    fn start(place: &Place) -> Self {
        let mut sink = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        sink.current_dir(place.path()).args(["sink", "letters"]).stdout(Stdio::piped());
        let mut sink = sink.spawn().unwrap();
        let mut at = String::new();
        BufReader::new(sink.stdout.take().unwrap()).read_line(&mut at).unwrap();
        Self(sink, at.trim().to_owned())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn recipients(letters: &Path) -> Vec<String> {
    let files = fs::read_dir(letters).unwrap().map(|file| file.unwrap().path());
    let letters = files.filter(|path| path.extension().is_some_and(|kind| kind == "eml"));
    letters
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("Delivered-To: "));
            line.unwrap().to_owned()
        })
        .collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_ends_the_daemon_and_nothing_more_leaves() {
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(home.path().join("disk")) else {
        println!("skipped: {NAME}: this user may not mount a tmpfs");
        return;
    };
    let relay = |at: &str| {
        let (host, port) = at.rsplit_once(':').unwrap();
        format!("[[relay]]\nhost = \"{host}\"\nport = {port}\nconnections = 2\nsink = true")
    };
    let bare = Place::new(None);
    let sink = Sink::start(&bare);
    let place = Place::new(Some(&relay(&sink.1)));
    let letters = bare.path().join("letters");
    fs::create_dir(disk.0.join("store")).unwrap();
    std::os::unix::fs::symlink(disk.0.join("store"), place.store()).unwrap();
    place.ask_of("store", &["init"]).good();

    let mut rows = "email\n".to_owned();
    (0..LETTERS).for_each(|n| writeln!(rows, "p{n}@c{n}.example").unwrap());
    fs::write(place.path().join("search.csv"), rows).unwrap();
    let mut daemon = place.start("2024-09-05T07:00:00+08:00");
    place.ask(&["import", "search.csv", "--tag", "英语-工程设备经销商-营销05"]).good();
    disk.fill(32 << 10);
    let mut stepping = place.command_on("store", &["clock", "--to", "2024-09-05T20:30:00+08:00"]);
    let stepping = stepping.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    until("the first letters", || recipients(&letters).len() > 1);
    disk.fill(0);
    let mut ended = None;
    until("the daemon ends", || {
        ended = daemon.child.try_wait().unwrap();
        ended.is_some()
    });
    stepping.unwrap().wait().unwrap();
    let ended = ended.unwrap();
    assert!(ended.code().is_some_and(|code| code != 0), "{ended:?}: {}", daemon.log());
    assert!(daemon.log().contains("make room"), "{}", daemon.log());
    let left = recipients(&letters);
    assert!(left.len() < LETTERS, "all had left before the disk was full");

    disk.make_room();
    let clock = "2024-09-05T08:00:00+08:00";
    let _daemon = place.start(clock);
    assert_eq!(place.ask(&["audit"]).good()["violations"], serde_json::json!([]));
    place.ask(&["clock", "--to", "2024-09-05T20:30:00+08:00"]).good();
    let status = place.ask(&["status"]).good();
    let arrived = recipients(&letters);
    let once: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "somebody was written to twice");
    let unknown = status["unknown"].as_u64().unwrap();
    assert!(unknown <= 2, "{status}");
    let (accepted, count) = (status["accepted"].as_u64().unwrap(), u64::try_from(LETTERS).unwrap());
    assert_eq!((accepted + unknown, &status["remaining"]), (count, &serde_json::json!(0)));
    println!("{} of {LETTERS} had left when the disk was full, {unknown} unknown", left.len());
}
