//! What messages mean, read without any store: fixtures of our own, one shape each.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use tradewind::book::contact::ContactId;
use tradewind::book::contact::Day;
use tradewind::book::tag::TagId;
use tradewind::feedback::entry::LetterId;
use tradewind::feedback::verdict::{AutoKind, Class};
use tradewind::inbound::clue::{self, Way};
use tradewind::inbound::mail::Mail;
use tradewind::inbound::reading::{Kind, Reading, read};
use tradewind::letter::token::{Keys, TokenKind};

fn mail(text: &str) -> Mail {
    Mail::parse(text.as_bytes()).unwrap()
}

fn understood(text: &str) -> Reading {
    read(&mail(text), None)
}

/// A letter from Ann with a subject, more headers, and a body.
fn letter(subject: &str, more: &str, body: &str) -> String {
    format!(
        "From: Ann <ann@acme.example>\nTo: lin@tradewind.example\nDate: Mon, 2 Sep 2024 10:00:00 +0200\n\
         Message-ID: <1@acme.example>\nSubject: {subject}\n{more}MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}\n"
    )
}

/// Language, subject, body; kind and day of return.
const AUTO_REPLIES: &[(&str, &str, &str, AutoKind, Option<&str>)] = &[
    (
        "en",
        "Automatic reply: Offer",
        "I am out of the office until 16 September 2024.",
        AutoKind::Vacation,
        Some("2024-09-16"),
    ),
    (
        "de",
        "Automatische Antwort: Angebot",
        "Ich bin bis zum 15.09.2024 nicht im Büro.",
        AutoKind::Vacation,
        Some("2024-09-15"),
    ),
    (
        "fr",
        "Réponse automatique : Offre",
        "Je suis absente du bureau, de retour le 9 septembre 2024.",
        AutoKind::Vacation,
        Some("2024-09-09"),
    ),
    (
        "es",
        "Respuesta automática: Oferta",
        "Estaré de vacaciones hasta el 20 de septiembre de 2024.",
        AutoKind::Vacation,
        Some("2024-09-20"),
    ),
    (
        "it",
        "Risposta automatica: Offerta",
        "Sono in ferie fino al 13 settembre.",
        AutoKind::Vacation,
        Some("2024-09-13"),
    ),
    (
        "pt",
        "Resposta automática: Oferta",
        "O João não trabalha mais na empresa. Escreva para vendas.",
        AutoKind::Left,
        None,
    ),
    (
        "nl",
        "Automatisch antwoord: Aanbod",
        "Ik ben afwezig tot 10 september 2024.",
        AutoKind::Vacation,
        Some("2024-09-10"),
    ),
    (
        "sv",
        "Autosvar: Erbjudande",
        "Jag är på semester och är tillbaka den 11 september.",
        AutoKind::Vacation,
        Some("2024-09-11"),
    ),
    (
        "fi",
        "Automaattinen vastaus: Tarjous",
        "Olen lomalla 13.9.2024 asti.",
        AutoKind::Vacation,
        Some("2024-09-13"),
    ),
    (
        "pl",
        "Autoodpowiedź: Oferta",
        "Pani Anna już nie pracuje w naszej firmie.",
        AutoKind::Left,
        None,
    ),
    (
        "cs",
        "Automatická odpověď: Nabídka",
        "Jsem na dovolené do 12. září 2024.",
        AutoKind::Vacation,
        Some("2024-09-12"),
    ),
    ("hu", "Automatikus válasz: Ajánlat", "Szabadságon vagyok.", AutoKind::Vacation, None),
    (
        "ru",
        "Автоматический ответ: Предложение",
        "Я в отпуске до 16 сентября 2024 года.",
        AutoKind::Vacation,
        Some("2024-09-16"),
    ),
    (
        "zh",
        "自动回复: 报价",
        "您好，我正在休假，至9月15日。",
        AutoKind::Vacation,
        Some("2024-09-15"),
    ),
    ("zh", "自动答复：产品", "该员工已离职，请联系其他同事。", AutoKind::Left, None),
    (
        "ja",
        "自動応答: ご提案",
        "2024年9月20日まで不在のため、返信が遅れます。",
        AutoKind::Vacation,
        Some("2024-09-20"),
    ),
    ("ko", "자동 회신: 제안", "9월 12일까지 휴가입니다.", AutoKind::Vacation, Some("2024-09-12")),
    (
        "tr",
        "Otomatik yanıt: Teklif",
        "Yıllık izin nedeniyle ofis dışındayım.",
        AutoKind::Vacation,
        None,
    ),
    ("ar", "الرد التلقائي: عرض", "أنا في إجازة حاليا.", AutoKind::Vacation, None),
];

#[test]
fn auto_replies_are_told_in_many_languages() {
    for (language, subject, body, kind, until) in AUTO_REPLIES {
        let found = understood(&letter(subject, "", body));
        assert_eq!(found.kind, Kind::AutoReply, "{subject}: {}", found.reason);
        let auto = found.auto.unwrap();
        assert_eq!(auto.kind, *kind, "{language} {subject}");
        let day = auto.until.map(|day| day.to_string());
        assert_eq!(day.as_deref(), *until, "{language} {subject}");
    }
}

#[test]
fn headers_tell_an_auto_reply_and_text_alone_does_not() {
    for header in [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-generated (rejected)\n",
        "X-Autoreply: yes\nPrecedence: bulk\n",
        "X-Autorespond: Offer\n",
        "Precedence: auto_reply\n",
        "X-POST-MessageClass: 9; Autoresponder\n",
        "X-Apple-Action: vacation\n",
    ] {
        let ticket = "Thank you for contacting us. Your ticket number is 4711.";
        let found = understood(&letter("Re: Offer", header, ticket));
        assert_eq!(found.kind, Kind::AutoReply, "{header}");
        assert_eq!(found.auto.unwrap().kind, AutoKind::Ticket, "{header}");
    }
    for (header, body) in [
        ("", "I was out of office last week. Please quote 20 pieces."),
        ("Auto-Submitted: no\n", "Please send your catalogue."),
        ("X-Auto-Response-Suppress: All\n", "Please send your catalogue."),
    ] {
        let found = understood(&letter("Re: Offer", header, body));
        assert_eq!(found.kind, Kind::Reply, "{header}{body}");
    }
}

#[test]
fn a_reply_is_its_own_words() {
    let body = "Please quote 20 pieces.\n\n-- \nAnn\n\nOn Mon, 2 Sep 2024 at 09:00, Lin wrote:\n\
                > unsubscribe here\n> 退订\n";
    let found = understood(&letter("Re: Offer", "", body));
    assert_eq!((found.kind, found.own.as_str()), (Kind::Reply, "Please quote 20 pieces."));
    for quoted in [
        "Bitte ein Angebot.\n\nAm 02.09.2024 um 09:00 schrieb Lin <lin@tradewind.example>:\n> x",
        "Bitte ein Angebot.\n\nVon: Lin <lin@tradewind.example>\nGesendet: Montag, 2. September 2024\nAn: Ann",
        "Bitte ein Angebot.\n\n-----Ursprüngliche Nachricht-----\nVon: Lin",
        "Bitte ein Angebot.\n\n________________________________\nVon: Lin",
    ] {
        assert_eq!(
            understood(&letter("AW: Offer", "", quoted)).own,
            "Bitte ein Angebot.",
            "{quoted}"
        );
    }
}

#[test]
fn wishes_are_heard_and_lists_are_nobody() {
    let found =
        understood(&letter("Re: Offer", "", "Bitte aus dem Verteiler nehmen.\n\n> Angebot"));
    assert_eq!(found.kind, Kind::Unsubscribe);
    let found = understood(&letter("News", "List-Id: <news.acme.example>\n", "Our news"));
    assert_eq!(found.kind, Kind::Other);
}

#[test]
fn reports_tell_per_recipient() {
    let report = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: lin@tradewind.example\n\
        Subject: Undelivered Mail\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
        --b\nContent-Type: text/plain\n\n<ann@acme.example>: host mx.acme.example said: 550 5.1.1\n \
        User unknown (in reply to RCPT TO command)\n\n\
        --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
        Final-Recipient: rfc822; ann@acme.example\nAction: failed\nStatus: 5.1.1\n\
        Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\n\
        Final-Recipient: rfc822; bob@acme.example\nAction: delayed\nStatus: 4.4.1\n\n\
        Final-Recipient: rfc822; eve@acme.example\nAction: relayed\nStatus: 2.0.0\n\n--b--\n";
    let found = understood(report);
    assert_eq!(found.kind, Kind::Bounce);
    let told: Vec<(&str, String, bool)> = found
        .recipients
        .iter()
        .map(|one| (one.address.as_str(), one.status.to_string(), one.hard))
        .collect();
    assert_eq!(
        told,
        [
            ("ann@acme.example", "5.1.1".to_owned(), true),
            ("bob@acme.example", "4.4.1".to_owned(), false),
            ("eve@acme.example", "2.0.0".to_owned(), false),
        ]
    );
    assert_eq!(found.recipients[0].class, Class::InvalidRecipient);
    let only_delayed = report.replace("Action: failed", "Action: delayed");
    assert_eq!(understood(&only_delayed).kind, Kind::Delayed);
}

/// Texts of mail systems that write no report in fields: recipient, status, hard.
const PLAIN: &[(&str, &str, &str, &str, bool)] = &[
    // NetEase and Tencent tell their users in Chinese, and the world in a transcript.
    (
        "系统退信/Systems bounce",
        "抱歉，您的邮件被退回来了……\n收件人：\nann@163.example\n退信原因：收件人不存在\n\
      SMTP error, RCPT TO: 550 User not found: ann@163.example\n",
        "ann@163.example",
        "5.0.0",
        true,
    ),
    (
        "failure notice",
        "Hi. This is the qmail-send program at mx.example.\n\n<ann@acme.example>:\n\
      192.0.2.1 does not like recipient.\nRemote host said: 550 sorry, no mailbox here by that name (#5.1.1)\n\
      Giving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\nReceived: x\n",
        "ann@acme.example",
        "5.1.1",
        true,
    ),
    (
        "Mail delivery failed: returning message to sender",
        "This message was created automatically by mail \
      delivery software.\n\n  ann@acme.example\n    SMTP error from remote mail server after end of data:\n\
      \x20   550 5.7.1 looks like spam\n",
        "ann@acme.example",
        "5.7.1",
        false,
    ),
    (
        "Undeliverable: Offer",
        "Your message did not reach some or all of the intended recipients.\n\n\
      ann@acme.example on 02.09.2024 10:00\n  The e-mail account does not exist.\n  <mx.acme.example #5.1.1>\n",
        "ann@acme.example",
        "5.1.1",
        true,
    ),
    (
        "Returned mail: see transcript",
        "   ----- The following addresses had permanent fatal errors -----\n\
      <ann@acme.example>\n    (reason: 552 5.2.2 mailbox full)\n\n   ----- Transcript of session follows -----\n\
      ... while talking to mx:\n>>> RCPT To:<ann@acme.example>\n<<< 552 5.2.2 mailbox full\n",
        "ann@acme.example",
        "5.2.2",
        false,
    ),
];

#[test]
fn plain_words_of_mail_systems_are_read() {
    for (subject, body, address, status, hard) in PLAIN {
        let text = format!(
            "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example>\nTo: l@t.example\n\
             Subject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{body}"
        );
        let found = understood(&text);
        assert_eq!(found.kind, Kind::Bounce, "{subject}: {}", found.reason);
        let one = &found.recipients[0];
        let told = (one.address.as_str(), one.status.to_string(), one.hard);
        assert_eq!(told, (*address, (*status).to_owned(), *hard), "{subject}");
        let by_person =
            text.replace("Mail Delivery System <MAILER-DAEMON@mx.example>", "Ann <a@x.example>");
        let by_person =
            by_person.replace("Return-Path: <>\n", "").replace(subject, "Look what I got");
        assert_eq!(understood(&by_person).kind, Kind::Reply, "{subject}");
    }
}

#[test]
fn complaints_are_told_with_their_type() {
    let arf = "From: fbl@isp.example\nTo: lin@tradewind.example\nSubject: FW: Offer\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\
        Content-Type: text/plain\n\nThis is an abuse report.\n--b\n\
        Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n\
        Original-Rcpt-To: <ann@acme.example>\n\n--b\nContent-Type: message/rfc822\n\n\
        From: lin@tradewind.example\nTo: ann@acme.example\nMessage-ID: <x@tradewind.example>\n\nHello\n--b--\n";
    let found = understood(arf);
    assert_eq!((found.kind, found.feedback.as_deref()), (Kind::Complaint, Some("abuse")));
    assert_eq!(found.addresses, ["ann@acme.example"]);
    let redacted = understood(&arf.replace("Original-Rcpt-To: <ann@acme.example>\n", ""));
    assert_eq!(redacted.addresses, ["ann@acme.example"]);
    let forged = understood(&arf.replace("Feedback-Type: abuse", "Feedback-Type: auth-failure"));
    assert_eq!(forged.kind, Kind::Other);
}

#[test]
fn only_our_tokens_name_a_letter() {
    let keys = Keys::new(vec![(1, [7; 32])]).unwrap();
    let foreign = Keys::new(vec![(1, [8; 32])]).unwrap();
    let id = LetterId { contact: ContactId(18), tag: TagId(3), due: Day(20000) };
    let bytes = id.to_bytes();
    let bounce =
        |keys: &Keys| format!("bounce+{}@t.example", keys.sign_mail(TokenKind::Bounce, bytes));
    let message =
        |keys: &Keys| format!("<{id}.{}@t.example>", keys.sign_mail(TokenKind::Open, bytes));
    let wish = |keys: &Keys| keys.sign_mail(TokenKind::Unsubscribe, bytes);
    let link =
        |keys: &Keys| format!("<https://t.example/u/{}>", keys.sign(TokenKind::Unsubscribe, bytes));
    let cases = |keys: &Keys| {
        let to = format!("Delivered-To: {}\n", bounce(keys));
        let answer = format!("In-Reply-To: {}\n", message(keys));
        let thread = format!("References: <other@x.example> {}\n", message(keys));
        let copy = |header: String| {
            format!(
                "--- Below this line is a copy of the message.\n\nReceived: from x\nSubject: o\n{header}\n\nHi"
            )
        };
        [
            (letter("x", &to, "x"), Way::ReturnPath),
            (letter("x", &to.to_uppercase().replace("DELIVERED-TO", "To"), "x"), Way::ReturnPath),
            (letter(&wish(keys), "", "x"), Way::UnsubscribeAddress),
            (letter("Re: x", &answer, "x"), Way::InReplyTo),
            (letter("Re: x", &thread, "x"), Way::InReplyTo),
            (letter("x", "", &copy(format!("Message-ID: {}", message(keys)))), Way::Original),
            (letter("x", "", &copy(format!("List-Unsubscribe: {}", link(keys)))), Way::Original),
        ]
    };
    for (text, way) in cases(&keys) {
        assert_eq!(clue::find(&mail(&text), &keys), Some((id, way)), "{text}");
    }
    for (text, _) in cases(&foreign) {
        assert_eq!(clue::find(&mail(&text), &keys), None, "{text}");
    }
    // A token for one purpose is none for another.
    let pixel = keys.sign_mail(TokenKind::Open, bytes);
    let text = letter("x", &format!("Delivered-To: bounce+{pixel}@t.example\n"), "x");
    assert_eq!(clue::find(&mail(&text), &keys), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    /// Strangers write these bytes: whatever they are, reading them ends, and ends well.
    #[test]
    fn no_bytes_make_it_panic(
        which in 0..PLAIN.len(),
        cuts in proptest::collection::vec((0_usize..1500, proptest::prelude::any::<u8>()), 0..20),
        tail in ".{0,80}",
    ) {
        let (subject, body, ..) = PLAIN[which];
        let text = format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: {subject}\n\
             Content-Type: text/plain; charset=utf-8\n\n{body}{tail}"
        );
        let mut bytes = text.into_bytes();
        for (at, byte) in cuts {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let keys = Keys::new(vec![(1, [7; 32])]).unwrap();
        if let Ok(mail) = Mail::parse(&bytes) {
            proptest::prop_assert_eq!(clue::find(&mail, &keys), None);
            let reading = read(&mail, None);
            proptest::prop_assert!(reading.recipients.len() <= 200);
        }
    }
}
