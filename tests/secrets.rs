//! Secrets stay secret: relay passwords and token keys are in no log, answer, error or argument, and
//! files that hold them are not used while strangers may read them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::time::Duration;

use common::{Place, started};
use data_encoding::BASE64;

const PASSWORD: &str = "correct-horse-battery";
const TAG: &str = "英语-工程设备经销商-营销05";

fn mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn told(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let output = place.command(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_store_is_its_owners_only() {
    let place = Place::new();
    place.ask(&["init"]);
    let mode_of = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode_of("store"), mode_of("store/token-keys")), (0o700, 0o600));
    place.ask(&["tags"]);
    for open in [0o640, 0o604, 0o620] {
        mode(&place, "store/token-keys", open);
        let (code, said) = told(&place, &["tags"]);
        assert_eq!(code, Some(78), "{open:o}: {said}");
        assert!(
            said.contains("token-keys: others may read") && said.contains("chmod 0600"),
            "{said}"
        );
    }
    mode(&place, "store/token-keys", 0o600);
    place.ask(&["tags"]);
}

#[test]
fn a_password_strangers_may_read_is_refused() {
    let place = Place::new();
    place.ask(&["init"]);
    place.relay(9);
    let config = fs::read_to_string(place.path("quickstart.toml")).unwrap();
    place.write("quickstart.toml", config + "user = \"tw\"\nsecret_file = \"password\"\n");
    place.write("password", PASSWORD);
    let start = || told(&place, &["run", "--clock", "2024-09-05T09:00:00+08:00"]);
    for open in [0o644, 0o660, 0o602] {
        mode(&place, "password", open);
        let (code, said) = start();
        assert_eq!(code, Some(78), "{open:o}: {said}");
        assert!(said.contains("password: others may read") && said.contains("chmod 06"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    fs::remove_file(place.path("password")).unwrap();
    let (code, said) = start();
    assert!(code == Some(78) && said.contains("password: No such file"), "{said}");
    place.edit("quickstart.toml", "user = \"tw\"\n", "");
    let (code, said) = told(&place, &["check"]);
    assert!(code == Some(78) && said.contains("user without secret_file"), "{said}");
}

/// A relay that takes nobody's login; tells what it was sent as one.
fn picky() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for talk in listener.incoming() {
            let _ = refuse(talk.unwrap(), &tell);
        }
    });
    (port, told)
}

fn refuse(mut talk: TcpStream, tell: &mpsc::Sender<String>) -> std::io::Result<()> {
    let lines = BufReader::new(talk.try_clone()?).lines();
    talk.write_all(b"220 picky.example ESMTP\r\n")?;
    for line in lines {
        let line = line?;
        let answer = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-picky.example\r\n250 AUTH PLAIN\r\n",
            "AUTH" => "535 5.7.8 not you\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "503 first log in\r\n",
        };
        if line.starts_with("AUTH") {
            let _ = tell.send(line);
        }
        talk.write_all(answer.as_bytes())?;
    }
    Ok(())
}

#[test]
fn neither_passwords_nor_keys_are_ever_told() {
    let place = Place::new();
    let (port, logins) = picky();
    place.relay(port);
    let config = fs::read_to_string(place.path("quickstart.toml")).unwrap();
    let login = "tls = \"none\"\nuser = \"tw\"\nsecret_file = \"password\"\n";
    place.write("quickstart.toml", config + login);
    place.write("password", format!("{PASSWORD}\n"));
    mode(&place, "password", 0o640);
    place.ask(&["init"]);
    let log = fs::File::create(place.path("log")).unwrap();
    let mut run = place.command(&["run", "--clock", "2024-09-05T09:00:00+08:00"]);
    run.stderr(log);
    let daemon = started(&place, run);
    let taken = place.ask_piped(&["import", "-", "--tag", TAG], b"ann@acme.example\n");
    assert_eq!(taken["new"], 1, "{taken}");
    let mut all = told(&place, &["clock", "--to", "2024-09-05T10:00:00+08:00"]).1;
    // It was refused: the password has been read, sent, and complained about.
    let sent = logins.recv_timeout(Duration::from_secs(60)).unwrap();
    let encoded = BASE64.encode(format!("\0tw\0{PASSWORD}").as_bytes());
    assert_eq!(sent, format!("AUTH PLAIN {encoded}"));
    for words in [["check", "--json"].as_slice(), &["show", "ann@acme.example"], &["status"]] {
        all += &told(&place, words).1;
    }
    let process = format!("/proc/{}", daemon.0.id());
    for file in ["cmdline", "environ"] {
        all += &String::from_utf8_lossy(&fs::read(format!("{process}/{file}")).unwrap());
    }
    drop(daemon);
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains("ready"), "{log}");
    all += &log;
    let keys = fs::read_to_string(place.path("store/token-keys")).unwrap();
    let key = keys.split_whitespace().last().unwrap();
    for secret in [PASSWORD, &encoded, &BASE64.encode(PASSWORD.as_bytes()), key] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}
