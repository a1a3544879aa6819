//! Where the writer's own words end: the copy of the original in a report, the quotation in a reply.

/// What a report says, and the message that it quotes below, if any.
#[must_use]
pub fn parted(text: &str) -> (&str, Option<&str>) {
    let mut at = 0;
    let mut run: Option<(usize, u8, bool)> = None;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        if is_rule(line) {
            return (text.get(..start).unwrap_or(text), text.get(at..));
        }
        run = match (run, header(line)) {
            (Some((from, count, sure)), Some(name)) => {
                Some((from, count.saturating_add(1), sure || is_trace(name)))
            }
            (Some(run), None) if line.starts_with([' ', '\t']) => Some(run),
            (None, Some(name)) => Some((start, 1, is_trace(name))),
            (_, None) => None,
        };
        if let Some((from, 3.., true)) = run {
            return (text.get(..from).unwrap_or(text), text.get(from..));
        }
    }
    (text, None)
}

/// The name of a header line of a mail, lower case not needed.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    let sound = !name.is_empty()
        && name.len() <= 60
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    sound.then_some(name)
}

/// Headers that no report writes of itself.
fn is_trace(name: &str) -> bool {
    ["received", "return-path", "message-id", "dkim-signature", "arc-seal", "x-received"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// `--- Below this line is a copy of the message.` and what else stands above a copy.
fn is_rule(line: &str) -> bool {
    let bare = line.trim_start();
    let lower = bare.to_lowercase();
    let dashed = bare.starts_with("--") || bare.starts_with("|--") || bare.starts_with("==");
    let names = ["message", "mail", "header", "email"].iter().any(|word| lower.contains(word));
    let copies = ["copy", "original", "returned", "unsent", "undelivered", "header", "text follow"]
        .iter()
        .any(|word| lower.contains(word));
    let plain = [
        "original message follows",
        "message headers follow",
        "below is a copy of the original message",
        "included is a copy of the message",
        "the original message is attached",
        "the header of the original message",
        "this is a copy of the message",
    ];
    (dashed && names && copies && lower.len() < 120)
        || plain.iter().any(|phrase| lower.starts_with(phrase))
}

/// A text without one level of `> `, where most of its lines have it.
#[must_use]
pub fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.lines() {
        if let Some(own) = line.strip_prefix('>') {
            if !inside {
                // What stands before the quotation is the forwarder's.
                out.clear();
            }
            inside = true;
            out.push_str(own.strip_prefix(' ').unwrap_or(own));
        } else if !inside || line.trim().is_empty() {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// The writer's own words in a reply: without quotations, their headings, and the signature.
#[must_use]
pub fn own(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim();
        if bare.starts_with('>') {
            continue;
        }
        // `-- ` is the mark of signatures (RFC 3676 §4.3).
        if *line == "-- " || (bare == "--" && !kept.is_empty()) {
            break;
        }
        let next = lines.get(at + 1).map_or("", |next| next.trim());
        if heads_quotation(bare, next) {
            break;
        }
        kept.push(line.trim_end());
    }
    kept.join("\n").trim().to_owned()
}

/// Whether from here on another letter is quoted (`On Mon … Ann wrote:`, `From:` and `Sent:`).
fn heads_quotation(line: &str, next: &str) -> bool {
    let lower = line.to_lowercase();
    let ends = |text: &str| {
        let text = text.to_lowercase();
        let text = text.trim_end_matches([' ', '\u{a0}']);
        text.ends_with([':', '：']) && WROTE.iter().any(|word| text.contains(word))
    };
    let has_date = |text: &str| text.chars().filter(char::is_ascii_digit).count() >= 4;
    if lower.len() < 200 && ends(line) && (has_date(line) || line.contains('@')) {
        return true;
    }
    let begins = OPENS.iter().any(|word| lower.starts_with(word));
    if begins && lower.len() < 200 && ends(next) && has_date(line) {
        return true;
    }
    if line.starts_with("____") && line.chars().all(|c| c == '_') && line.len() >= 10 {
        return true;
    }
    if line.starts_with("--") && ORIGINALS.iter().any(|word| lower.contains(word)) {
        return true;
    }
    let field = |text: &str, names: &[&str]| {
        let text = text.trim_start_matches(['*', '>', ' ']).to_lowercase();
        names.iter().any(|name| {
            text.strip_prefix(name).is_some_and(|rest| {
                rest.trim_start_matches(['*', ' ', '\u{a0}']).starts_with([':', '：'])
            })
        })
    };
    field(line, FROM) && (field(next, SENT) || next.contains('@') || line.contains('@'))
}

const OPENS: &[&str] = &["on ", "am ", "le ", "el ", "il ", "em ", "op ", "den ", "在", "dnia "];

/// The verb in the line above a quotation, which ends in a colon.
const WROTE: &[&str] = &[
    "wrote",
    "writes",
    "schrieb",
    "a écrit",
    "escribió",
    "ha scritto",
    "escreveu",
    "schreef",
    "skrev",
    "kirjoitti",
    "napisał",
    "napsal",
    "írta",
    "a scris",
    "написал",
    "пишет",
    "yazdı",
    "写道",
    "寫道",
    "のメール",
    "書きました",
    "작성",
    "đã viết",
    "menulis",
    "كتب",
];

const ORIGINALS: &[&str] = &[
    "original message",
    "originalnachricht",
    "ursprüngliche nachricht",
    "message d'origine",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
    "oorspronkelijk bericht",
    "ursprungligt meddelande",
    "alkuperäinen viesti",
    "oryginalna wiadomość",
    "původní zpráva",
    "исходное сообщение",
    "пересылаемое сообщение",
    "原始邮件",
    "原邮件",
    "原始郵件",
    "元のメッセージ",
    "원본 메시지",
    "forwarded message",
];

const FROM: &[&str] = &[
    "from",
    "von",
    "de",
    "da",
    "van",
    "från",
    "fra",
    "lähettäjä",
    "od",
    "feladó",
    "от",
    "kimden",
    "发件人",
    "寄件者",
    "差出人",
    "보낸 사람",
    "من",
];

const SENT: &[&str] = &[
    "sent",
    "date",
    "gesendet",
    "datum",
    "envoyé",
    "enviado",
    "inviato",
    "data",
    "verzonden",
    "skickat",
    "sendt",
    "lähetetty",
    "wysłano",
    "odesláno",
    "küldve",
    "отправлено",
    "дата",
    "gönderildi",
    "发送时间",
    "发送日期",
    "日期",
    "寄件日期",
    "送信日時",
    "날짜",
    "보낸 날짜",
    "to",
    "收件人",
    "subject",
];
