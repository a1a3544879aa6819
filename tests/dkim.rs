//! DKIM: keys by `keygen`, signatures as dkimpy, an independent verifier, sees them.
//!
//! dkimpy comes from Debian (`apt-get install python3-dkim python3-nacl`) or a virtual environment
//! in `target/dkimpy`. Without it the tests are skipped, but never under `TRADEWIND_NO_SKIP`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use serde_json::Value;
use tempfile::TempDir;
use tradewind::letter::sign::{DkimKey, KeyError, sign, zone_text};

const HOME: &str = env!("CARGO_MANIFEST_DIR");
const AT: i64 = 1_725_498_000;

/// A Python that has dkimpy.
fn python() -> Option<String> {
    let own = format!("{HOME}/target/dkimpy/bin/python");
    let found = [own.as_str(), "/usr/bin/python3", "python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import dkim, nacl"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    assert!(
        found.is_some() || std::env::var_os("TRADEWIND_NO_SKIP").is_none(),
        "no Python with dkimpy: apt-get install python3-dkim python3-nacl"
    );
    found.map(str::to_owned)
}

/// Letters and DNS records for dkimpy to look at.
struct Court {
    python: String,
    dir: TempDir,
    records: BTreeMap<String, String>,
}

impl Court {
    fn sit(keys: &[&DkimKey]) -> Option<Self> {
        let records = keys.iter().map(|key| (key.name(), key.record())).collect();
        Some(Self { python: python()?, dir: tempfile::tempdir().unwrap(), records })
    }

    fn show(&self, name: &str, message: &[u8]) {
        fs::write(self.dir.path().join(format!("{name}.eml")), message).unwrap();
    }

    /// `name index ok|bad`, a line each.
    fn verdicts(&self) -> Vec<String> {
        let records = serde_json::to_string(&self.records).unwrap();
        fs::write(self.dir.path().join("records.json"), records).unwrap();
        let output = Command::new(&self.python)
            .arg(Path::new(HOME).join("tests/data/verify_dkim.py"))
            .arg(self.dir.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

fn tradewind(dir: &Path, words: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(dir)
        .env_remove("TRADEWIND_CONFIG")
        .args(words)
        .arg("--json")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
}

/// An RSA and an Ed25519 key of one domain, made by `keygen`.
fn keys(dir: &Path) -> [DkimKey; 2] {
    [("r1", "rsa"), ("e1", "ed25519")].map(|(selector, algorithm)| {
        let words =
            ["keygen", "mail.acme.example", "--selector", selector, "--algorithm", algorithm];
        let (code, made) = tradewind(dir, &words);
        assert_eq!(code, 0, "{made}");
        let pem = fs::read_to_string(dir.join(format!("{selector}.pem"))).unwrap();
        let key = DkimKey::parse("mail.acme.example", selector, &pem).unwrap();
        assert_eq!(made["value"], key.record());
        assert_eq!(made["name"], key.name());
        key
    })
}

const HEADER: &str = "From: \"Lin Mei\" <lin@mail.acme.example>\r\n\
    To: =?utf-8?B?w4lsb2RpZQ==?= <elodie@chantiers.example>\r\n\
    Subject: Undercarriage  parts:\r\n\twhat wears   first \r\n\
    Date: Thu, 05 Sep 2024 09:00:00 +0800\r\n\
    Message-ID: <12.3.20240905@mail.acme.example>\r\n\
    List-Unsubscribe: <https://t.example/u/x>,\r\n <mailto:u@mail.acme.example>\r\n\
    List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
    X-Empty:\r\n\
    MIME-Version: 1.0\r\n";

/// A small generator of bodies: blanks, tabs, empty lines and letters where they hurt.
fn body(seed: u64) -> String {
    const PIECES: [&str; 8] = ["\r\n", " ", "\t", "a", "=20\r\n", ".", " \r\n", "–b"];
    let mut state = seed;
    let mut text = String::new();
    for _ in 0..seed % 40 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(PIECES[usize::try_from(state >> 61).unwrap()]);
    }
    text + "\r\n"
}

#[test]
fn dkimpy_agrees_on_every_body() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path());
    let keys = [&keys[0], &keys[1]];
    let Some(court) = Court::sit(&keys) else { return };
    let mut bodies: Vec<String> = [
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        " \r\n",
        "\t \r\n \r\n",
        "a",
        "a\r\n",
        "a \r\n",
        " a\r\n",
        "a\t b\r\n",
        "a\r\n \t\r\n",
        "a\r\n\r\n \r\n\r\n",
        "\r\n\r\na\r\n",
        " \r\na\r\n",
        ".\r\n..\r\n",
        "a\r\n.\r\n",
        "no line end",
    ]
    .map(str::to_owned)
    .into();
    bodies.extend((0..60).map(body));
    for (n, body) in bodies.iter().enumerate() {
        let message = format!("{HEADER}\r\n{body}");
        let signed = sign(&keys, message.as_bytes(), AT).unwrap();
        assert_eq!(signed, sign(&keys, message.as_bytes(), AT).unwrap(), "the same bytes again");
        assert!(
            signed
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() <= 79 || !line.starts_with(b"\t"))
        );
        court.show(&format!("{n:03}"), &signed);
    }
    let verdicts = court.verdicts();
    assert_eq!(verdicts.len(), bodies.len() * 2);
    let bad: Vec<&String> = verdicts.iter().filter(|line| !line.ends_with(" ok")).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn nothing_that_readers_see_can_be_changed_or_added() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path());
    let keys = [&keys[0], &keys[1]];
    let Some(court) = Court::sit(&keys) else { return };
    let message = format!("{HEADER}\r\nDear friend,\r\n");
    let signed = String::from_utf8(sign(&keys, message.as_bytes(), AT).unwrap()).unwrap();
    court.show("whole", signed.as_bytes());
    court.show(
        "refolded",
        signed.replace("Undercarriage  parts:\r\n\t", "Undercarriage parts: ").as_bytes(),
    );
    for name in [
        "From",
        "Subject",
        "To",
        "Date",
        "Message-ID",
        "List-Unsubscribe-Post",
        "List-Id",
        "Feedback-ID",
        "MIME-Version",
        "Content-Type",
    ] {
        court.show(&format!("added-{name}"), format!("{name}: x\r\n{signed}").as_bytes());
    }
    court.show("more-body", format!("{signed}more\r\n").as_bytes());
    court.show("other-subject", signed.replace("wears", "tears").as_bytes());
    for line in court.verdicts() {
        let good = line.starts_with("whole") || line.starts_with("refolded");
        assert_eq!(line.ends_with(" ok"), good, "{line}");
    }
}

#[test]
fn letters_that_leave_are_signed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let keys = keys(dir);
    let Some(court) = Court::sit(&[&keys[0], &keys[1]]) else { return };
    let mut config = fs::read_to_string(Path::new(HOME).join("config/quickstart.toml")).unwrap();
    config = config
        .replace("lin.wei@tradewind.example", "lin.wei@mail.acme.example")
        .replace("\"templates\"", &format!("\"{HOME}/config/templates\""));
    for selector in ["r1", "e1"] {
        write!(
            config,
            "\n[[dkim]]\ndomain = \"mail.acme.example\"\nselector = \"{selector}\"\nkey_file = \"{selector}.pem\"\n"
        )
        .unwrap();
    }
    fs::write(dir.join("tradewind.toml"), config).unwrap();
    let clock = ["--store", "store", "--clock", "2024-09-05T09:00:00+08:00"];
    let with = |words: &[&'static str]| -> Vec<&str> { [words, &clock].concat() };
    assert_eq!(tradewind(dir, &with(&["init"])).0, 0);
    let sample = format!("{HOME}/config/sample-search.csv");
    let import = ["import", &sample, "--tag", "英语-工程设备经销商-营销05", "--store", "store"];
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(dir)
        .args(with(&["run"]))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = dir.join("store/control.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(daemon.try_wait().unwrap().is_none(), "the daemon ended");
        std::thread::yield_now();
    }
    let (code, summary) = tradewind(dir, &import);
    assert_eq!(code, 0, "{summary}");
    let to = ["clock", "--to", "2024-09-05T10:00:00+08:00", "--store", "store"];
    let (code, told) = tradewind(dir, &to);
    let (_, status) = tradewind(dir, &["status", "--store", "store"]);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(code, 0, "{told}");
    let mut letters = 0;
    for entry in fs::read_dir(dir.join("store/maildir/new")).unwrap() {
        letters += 1;
        court.show(&format!("{letters:03}"), &fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(letters > 0 && status["accepted"] == letters, "{status}");
    let verdicts = court.verdicts();
    assert_eq!(verdicts.len(), letters * 2);
    assert!(verdicts.iter().all(|line| line.ends_with(" ok")), "{verdicts:?}");
}

#[test]
fn a_key_is_shown_again_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["keygen", "acme.example", "--selector", "a", "--algorithm", "ed25519"];
    let (_, made) = tradewind(dir.path(), &words);
    let (code, refused) = tradewind(dir.path(), &words);
    assert_eq!((code, refused["error"]["code"].as_i64()), (73, Some(73)), "{refused}");
    let (code, shown) =
        tradewind(dir.path(), &["keygen", "acme.example", "--selector", "a", "--show", "a.pem"]);
    assert_eq!((code, &shown), (0, &made));
    let (code, refused) =
        tradewind(dir.path(), &["keygen", "a b", "--selector", "a", "--out", "b"]);
    assert_eq!(code, 64, "{refused}");
    assert!(!dir.path().join("b").exists());
}

#[test]
fn keys_that_are_none_are_refused() {
    for (pem, error) in [
        ("", KeyError::NotAKey),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyError::NotAKey),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyError::Unsound),
        ("-----BEGIN PRIVATE KEY-----\n%\n-----END PRIVATE KEY-----\n", KeyError::NotAKey),
    ] {
        assert_eq!(DkimKey::parse("a.example", "s", pem).unwrap_err(), error, "{pem}");
    }
    for (domain, selector) in [("a b", "s"), ("a.example", "s;x"), ("", "s"), ("a.example", "é")] {
        assert_eq!(DkimKey::parse(domain, selector, "").unwrap_err(), KeyError::Name);
    }
}

#[test]
fn a_key_of_the_older_form_is_the_same_key() {
    const PKCS8_BEFORE_PKCS1: usize = 26;
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = keys(dir.path());
    let pem = fs::read_to_string(dir.path().join("r1.pem")).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64.decode(base64.as_bytes()).unwrap();
    let inner = BASE64.encode(&der[PKCS8_BEFORE_PKCS1..]);
    let older =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{inner}\n-----END RSA PRIVATE KEY-----\n");
    let again = DkimKey::parse("mail.acme.example", "r1", &older).unwrap();
    assert_eq!(again.record(), key.record());
}

#[test]
fn a_key_that_others_read_or_that_signs_for_others_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _ = keys(dir);
    let config = fs::read_to_string(Path::new(HOME).join("config/quickstart.toml")).unwrap();
    let config = config.replace("\"templates\"", &format!("\"{HOME}/config/templates\""));
    for (domain, mode, said) in [
        ("mail.acme.example", 0o600, "does not sign for"),
        ("tradewind.example", 0o644, "others may read"),
        ("tradewind.example", 0o600, ""),
    ] {
        let dkim =
            format!("[[dkim]]\ndomain = {domain:?}\nselector = \"s\"\nkey_file = \"e1.pem\"");
        fs::write(dir.join("tradewind.toml"), format!("{config}\n{dkim}\n")).unwrap();
        fs::set_permissions(dir.join("e1.pem"), Permissions::from_mode(mode)).unwrap();
        let (code, answer) = tradewind(dir, &["init", "--store", "store"]);
        assert_eq!(code, if said.is_empty() { 0 } else { 78 }, "{answer}");
        assert!(answer.to_string().contains(said), "{answer}");
    }
}

#[test]
fn a_domain_signs_for_itself_and_below() {
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = keys(dir.path());
    for (address, signs) in [
        ("a@mail.acme.example", true),
        ("a@x.mail.acme.example", true),
        ("a@acme.example", false),
        ("a@xmail.acme.example", false),
        ("mail.acme.example", false),
    ] {
        assert_eq!(key.signs_for(address), signs, "{address}");
    }
}

#[test]
fn a_zone_file_gets_strings_of_255_bytes() {
    let text = zone_text(&"x".repeat(300));
    assert_eq!(text, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
}
