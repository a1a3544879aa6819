//! A letter that a stranger's mail server took and a stranger's parser reads: Postfix's smtp-sink
//! and Python's email, and the pixel of that very letter.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, Running, daemon, skip, tool};
use serde_json::{Value, json};

const SEARCH: &str = "email,name,company,country,language\n\
    zoe@lefevre-tp.example,Zoé Lefèvre,Société Lefèvre TP,France,法语\n";
const TAG: &str = "法语-工程设备经销商-营销05";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Reads one message with the strictest policy Python has; says what a mail program would see.
const READER: &str = r#"
import email, email.policy, json, sys
message = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
parts = list(message.walk())
body = lambda kind: message.get_body((kind,)).get_content()
print(json.dumps({
    "headers": {name.lower(): str(value) for name, value in message.items()},
    "names": [name.lower() for name in message.keys()],
    "to": [[a.display_name, a.addr_spec] for a in message["to"].addresses],
    "from": [[a.display_name, a.addr_spec] for a in message["from"].addresses],
    "date": message["date"].datetime.isoformat(),
    "types": [part.get_content_type() for part in parts],
    "defects": [repr(d) for part in parts for d in part.defects]
        + [repr(d) for part in parts for v in part.values() for d in v.defects],
    "plain": body("plain"), "html": body("html"),
}))
"#;

#[test]
fn postfix_takes_it_python_reads_it_and_its_pixel_is_seen() {
    let Some(sink) = tool("smtp-sink") else {
        return skip("postfix_sink", "no smtp-sink: install Debian's postfix");
    };
    let Some(python) = tool("python3") else {
        return skip("postfix_sink", "no python3");
    };
    let place = Place::new();
    let (port, _sink) = listen(&sink, &place);
    place.relay(port);
    place.ask(&["init"]);
    let _daemon = daemon(&place, "2024-09-05T09:00:00+08:00");
    let taken = place.ask_piped(&["import", "-", "--tag", TAG], SEARCH.as_bytes());
    assert_eq!(taken["new"], 1, "{taken}");
    place.ask(&["clock", "--to", "2024-09-05T10:00:00+08:00"]);
    let status = place.ask(&["status"]);
    assert_eq!(status["accepted"], 1, "{status}");

    let letter = letter(&python, &place);
    reads_well(&letter);
    let html = letter["html"].as_str().unwrap();
    let base = format!("http://{}", status["http"].as_str().unwrap());
    let pixel = html.split('"').find(|word| word.ends_with(".gif")).expect("a pixel");
    let path = pixel.strip_prefix(&base).unwrap_or_else(|| panic!("{pixel} is not at {base}"));
    assert!(path.starts_with("/o/"), "{pixel}");

    place.ask(&["clock", "--to", "2024-09-05T11:00:00+08:00"]);
    let seen = |kind: &str| {
        let shown = place.ask(&["show", "zoe@lefevre-tp.example"]);
        let timeline = shown["timeline"].as_array().unwrap().clone();
        timeline.iter().filter(|event| event["kind"] == kind).count()
    };
    assert_eq!((seen("accepted"), seen("opened")), (1, 0));
    let answer = get(status["http"].as_str().unwrap(), path);
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    assert!(answer.windows(6).any(|bytes| bytes == b"GIF89a"));
    assert_eq!((seen("accepted"), seen("opened")), (1, 1));
}

fn reads_well(letter: &Value) {
    let headers = &letter["headers"];
    assert_eq!(letter["defects"], Value::Array(Vec::new()), "{letter}");
    // What the envelope said, as smtp-sink writes it above the letter.
    assert!(headers["x-mail-args"].as_str().unwrap().contains("<lin.wei@tradewind.example>"));
    assert!(headers["x-rcpt-args"].as_str().unwrap().contains("<zoe@lefevre-tp.example>"));
    assert_eq!(
        letter["from"],
        json!([["Lin Wei, Tradewind Machinery", "lin.wei@tradewind.example"]])
    );
    assert_eq!(letter["to"], json!([["Zoé Lefèvre", "zoe@lefevre-tp.example"]]));
    assert!(letter["date"].as_str().unwrap().starts_with("2024-09-05T"), "{letter}");
    for once in ["from", "to", "subject", "date", "message-id", "mime-version"] {
        let names = letter["names"].as_array().unwrap();
        assert_eq!(names.iter().filter(|name| *name == once).count(), 1, "{once}: {letter}");
    }
    let subject = headers["subject"].as_str().unwrap();
    assert!(subject.contains("Société Lefèvre TP") && !subject.contains("=?"), "{subject}");
    assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    assert!(headers["list-unsubscribe"].as_str().unwrap().contains("/u/"), "{headers}");
    assert_eq!(letter["types"], json!(["multipart/alternative", "text/plain", "text/html"]));
    for part in ["plain", "html"] {
        let text = letter[part].as_str().unwrap();
        assert!(text.contains("Zoé Lefèvre") && text.contains("/u/"), "{part}: {text}");
    }
}

/// Starts smtp-sink on a free port; it keeps each letter in a file under `sink/`.
fn listen(sink: &Path, place: &Place) -> (u16, Running) {
    let kept = place.path("sink");
    fs::create_dir(&kept).unwrap();
    let mut command = Command::new(sink);
    // It refuses to be root, and asks root whom else to be.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        fs::set_permissions(kept.parent().unwrap(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o777)).unwrap();
        command.args(["-u", "nobody"]);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.arg("-d").arg(kept.join("letter-")).arg(format!("127.0.0.1:{port}")).arg("16");
    let mut sink = Running(command.stdout(Stdio::null()).spawn().unwrap());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(sink.0.try_wait().unwrap().is_none(), "smtp-sink ended");
        std::thread::yield_now();
    }
    (port, sink)
}

/// The one letter the sink kept, once it is whole.
fn letter(python: &Path, place: &Place) -> Value {
    let whole = || {
        let mut files = fs::read_dir(place.path("sink")).unwrap().map(|file| file.unwrap().path());
        let file = files.next()?;
        assert!(files.next().is_none(), "more than one letter");
        let text = fs::read_to_string(&file).unwrap();
        let boundary = text.split("boundary=\"").nth(1)?.split('"').next()?;
        text.contains(&format!("--{boundary}--")).then_some(file)
    };
    // It was accepted, so only the sink's last write can be outstanding.
    let started = Instant::now();
    let file = loop {
        match whole() {
            Some(file) => break file,
            None => std::thread::yield_now(),
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the sink kept no whole letter");
    };
    let read = Command::new(python).arg("-c").arg(READER).arg(file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

fn get(host: &str, path: &str) -> Vec<u8> {
    let mut talk = TcpStream::connect(host).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {BROWSER}\r\nConnection: close\r\n\r\n"
    );
    talk.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    talk.read_to_end(&mut answer).unwrap();
    answer
}
