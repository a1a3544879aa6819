//! What an SMTP reply means, and when to try again.
//!
//! Permanent or temporary is a type here and nowhere a string match. A reply is read in this order
//! (DESIGN §8): an enhanced status code (RFC 3463, RFC 5248) that names the recipient, whatever
//! basic code it comes with; then the words of providers whose codes lie; then any other enhanced
//! code; then the basic code (RFC 5321 §4.2.3). In doubt a reply never suppresses anybody.

use crate::book::contact::Moment;

/// What kind of trouble a reply tells of (DESIGN §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No such mailbox.
    InvalidRecipient,
    /// The mailbox exists but is disabled.
    Inactive,
    /// The domain takes no mail (null MX) or does not exist.
    BadDomain,
    /// The mailbox is full.
    Quota,
    /// Too much, too fast: acts on the path.
    Rate,
    /// Greylisting and its like.
    Greylist,
    /// Policy or reputation: acts on the path.
    Policy,
    /// Taken for spam: acts on the path.
    Spam,
    /// SPF, DKIM, DMARC, PTR, TLS: stops the sender identity.
    Auth,
    /// The message itself: size, encoding, content.
    Message,
    /// Network, DNS, TLS, time-outs, cut connections.
    Network,
    /// The peer broke the protocol, or we did.
    Protocol,
    /// Everything else.
    Other,
}

impl Class {
    /// Whether a refusal of this class ends writing to the contact for good. Everything else acts
    /// on the path or the letter, never on the contact.
    #[must_use]
    pub fn suppresses(self) -> bool {
        matches!(self, Self::InvalidRecipient | Self::Inactive | Self::BadDomain)
    }
}

/// What a machine that answers for a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoKind {
    /// Away for a time.
    Vacation,
    /// Gone for good, or the address is.
    Left,
    /// A desk that numbers what it gets.
    Ticket,
    /// Nothing of these.
    Other,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2yz after the dot: the peer has taken the letter.
    Accepted {
        /// The peer's words.
        reply: String,
    },
    /// To be tried again: 4yz, a 5yz that means throttling, or cut off before the dot.
    Deferred {
        /// What kind of trouble.
        class: Class,
        /// The peer's words, or what cut it off.
        reply: String,
    },
    /// Not to be tried again in this round.
    Refused {
        /// What kind of refusal.
        class: Class,
        /// The peer's words.
        reply: String,
    },
    /// Cut off after the dot was written: nobody can tell, so it is never sent again.
    Unknown {
        /// What cut it off.
        why: String,
    },
}

/// Which command a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The banner.
    Greeting,
    /// EHLO, HELO or STARTTLS.
    Hello,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA itself, before the message.
    Data,
    /// The final dot.
    Dot,
}

impl Stage {
    /// Before MAIL the peer speaks about us, not about a letter.
    fn is_about_us(self) -> bool {
        matches!(self, Self::Greeting | Self::Hello | Self::Auth)
    }

    /// Only here can a reply be about the recipient.
    fn is_about_recipient(self) -> bool {
        matches!(self, Self::Rcpt | Self::Dot)
    }
}

/// What a reply to `stage` means. `enhanced` is `[0, 0, 0]` when the reply has none; a detail over
/// 99 (Microsoft's 5.7.515) arrives as 255. `text` is without the codes, lines joined by `\n`.
#[must_use]
pub fn read_reply(code: u16, enhanced: [u8; 3], text: &str, stage: Stage) -> Verdict {
    let reply = words(code, enhanced, text);
    if !(200..=599).contains(&code) || (300..=399).contains(&code) {
        // No such answer exists; after the dot nobody knows what the peer made of the letter.
        return match stage {
            Stage::Dot => Verdict::Unknown { why: reply },
            _ => Verdict::Deferred { class: Class::Protocol, reply },
        };
    }
    if code < 300 {
        return Verdict::Accepted { reply };
    }
    let (class, throttle) = classify(code, enhanced, text, stage);
    // 503 says that the two ends have lost step, which another connection mends.
    let passing = code < 500 || enhanced.first() == Some(&4) || code == 503;
    if passing || throttle || stage.is_about_us() {
        Verdict::Deferred { class, reply }
    } else {
        Verdict::Refused { class, reply }
    }
}

/// When to try again after `attempt` attempts (1: the first has just failed): 5, 15, 30 min, 1, 2,
/// 4 h, then every 4 h, each ±10 % (the same for the same seed). None past 48 h from the first.
#[must_use]
pub fn next_attempt(
    attempt: u16,
    first_at: Moment,
    now: Moment,
    jitter_seed: u64,
) -> Option<Moment> {
    const MINUTES: [i64; 6] = [5, 15, 30, 60, 120, 240];
    const LIFE_SECONDS: i64 = 48 * 3600;
    let step = usize::from(attempt.saturating_sub(1)).min(MINUTES.len() - 1);
    let delay_ms = MINUTES.get(step).copied().unwrap_or(240) * 60_000;
    let draw = i64::try_from(scatter(jitter_seed ^ u64::from(attempt)) % 2001).unwrap_or(1000);
    let at = Moment(now.0.saturating_add(delay_ms * (9_000 + draw) / 10_000));
    (at <= first_at.plus_seconds(LIFE_SECONDS)).then_some(at)
}

/// The finalizer of splitmix64: neighbouring seeds give unrelated numbers.
fn scatter(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The reply on one line, as it is kept: at most 500 characters.
fn words(code: u16, enhanced: [u8; 3], text: &str) -> String {
    const CHARS_MAX: usize = 500;
    let codes = match enhanced {
        [0, 0, 0] => format!("{code} "),
        [class, subject, 255] => format!("{code} {class}.{subject}.* "),
        [class, subject, detail] => format!("{code} {class}.{subject}.{detail} "),
    };
    let line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    codes.chars().chain(line).take(CHARS_MAX).collect::<String>().trim_end().to_owned()
}

/// The class, and whether this is a throttle whatever the code says.
fn classify(code: u16, enhanced: [u8; 3], text: &str, stage: Stage) -> (Class, bool) {
    let by_code = by_enhanced(enhanced);
    let sure = matches!(enhanced, [4 | 5, 1, 1..=4 | 6]);
    let text = text.to_lowercase();
    let spoken = PATTERNS.iter().find(|p| p.words.iter().all(|word| text.contains(word)));
    let (class, throttle) = match (by_code, spoken) {
        (Some(class), _) if sure => (class, false),
        (_, Some(pattern)) => (pattern.class, pattern.throttle),
        (Some(class), None) => (class, false),
        (None, None) => (by_basic(code, stage), false),
    };
    // A reply to MAIL that speaks of an unknown user means the sender's address.
    let misplaced = class.suppresses() && !stage.is_about_recipient();
    (if misplaced { Class::Policy } else { class }, throttle)
}

/// RFC 3463, RFC 5248, RFC 7372, RFC 7505. Codes that say nothing (x.0.0, x.1.0) are none.
fn by_enhanced(enhanced: [u8; 3]) -> Option<Class> {
    let [4 | 5, subject, detail] = enhanced else { return None };
    Some(match (subject, detail) {
        (1, 1 | 3 | 4) => Class::InvalidRecipient,
        // The domain was not found; only seen on two days does that say anything of the contact.
        (1, 2) => Class::Network,
        (1, 6) | (2, 1) | (7, 13) => Class::Inactive,
        (1, 7 | 8) => Class::Policy,
        (1, 10) => Class::BadDomain,
        (2, 2) | (3, 1) => Class::Quota,
        (2, 3) | (3, 3 | 4) | (6, _) => Class::Message,
        (4, 5) | (5, 3) | (7, 28) => Class::Rate,
        (3, 2) | (4, _) => Class::Network,
        (5, _) => Class::Protocol,
        (7, 4..=12 | 20..=27 | 29 | 30) => Class::Auth,
        (7, _) => Class::Policy,
        _ => return None,
    })
}

/// RFC 5321 §4.2.3, RFC 4954, RFC 7504. A bare 550 may mean policy as well as no such mailbox, so
/// it suppresses nobody.
fn by_basic(code: u16, stage: Stage) -> Class {
    match code {
        421 | 521 => Class::Network,
        450 if stage.is_about_recipient() => Class::Greylist,
        452 | 552 if stage == Stage::Rcpt => Class::Quota,
        552 => Class::Message,
        454 | 530 | 534 | 535 | 538 => Class::Auth,
        500..=504 | 555 => Class::Protocol,
        556 => Class::BadDomain,
        554 => Class::Policy,
        _ => Class::Other,
    }
}

/// Words of providers, all of which must occur (lower case); the first match counts.
struct Pattern {
    words: &'static [&'static str],
    class: Class,
    /// Means "slow down" even as 5yz.
    throttle: bool,
}

const fn throttle(words: &'static [&'static str]) -> Pattern {
    Pattern { words, class: Class::Rate, throttle: true }
}

const fn says(class: Class, words: &'static [&'static str]) -> Pattern {
    Pattern { words, class, throttle: false }
}

/// From what the providers publish and their peers report; `reference/delivery.md` §1.4, §1.5.
const PATTERNS: &[Pattern] = &[
    // QQ: "550 Ip frequency limited", also Domain, Sender, Connection.
    throttle(&["frequency limited"]),
    says(Class::Spam, &["mail content denied"]),
    // NetEase (163, 126): too many recipients in a while, daily limit, too much at once.
    throttle(&["rp:orq"]),
    throttle(&["hl:itc"]),
    throttle(&["dt:spm"]),
    // Gmail.
    throttle(&["unusual rate"]),
    throttle(&["receiving mail at a rate"]),
    throttle(&["receiving mail too quickly"]),
    throttle(&["sending limit exceeded"]),
    throttle(&["relay limit exceeded"]),
    says(Class::Auth, &["unauthenticated", "dmarc"]),
    says(Class::Auth, &["not authenticated", "spf"]),
    says(Class::Spam, &["likely unsolicited mail"]),
    says(Class::Quota, &["out of storage"]),
    // Outlook and Microsoft 365; the first is its word for an unknown user (with 5.4.1).
    says(Class::InvalidRecipient, &["recipient address rejected: access denied"]),
    // Exchange says 5.1.10 here, which RFC 7505 made the null MX.
    says(Class::InvalidRecipient, &["resolver.adr.recipientnotfound"]),
    throttle(&["rate limited"]),
    throttle(&["server busy"]),
    says(Class::Policy, &["on our block list"]),
    says(Class::Policy, &["banned sending ip"]),
    says(Class::Auth, &["required authentication level"]),
    says(Class::Auth, &["does not pass dmarc"]),
    // Yahoo.
    throttle(&["temporarily deferred"]),
    // Anybody.
    throttle(&["too many connections"]),
    throttle(&["too many messages"]),
    throttle(&["too many recipients"]),
    throttle(&["rate limit"]),
    says(Class::Greylist, &["greylist"]),
    says(Class::Greylist, &["graylist"]),
    says(Class::Quota, &["over quota"]),
    says(Class::Quota, &["quota exceeded"]),
    says(Class::Quota, &["mailbox full"]),
    says(Class::Quota, &["mailbox is full"]),
    says(Class::InvalidRecipient, &["user unknown"]),
    says(Class::InvalidRecipient, &["unknown user"]),
    says(Class::InvalidRecipient, &["no such user"]),
    says(Class::InvalidRecipient, &["user not found"]),
    says(Class::InvalidRecipient, &["mailbox not found"]),
    says(Class::Inactive, &["mailbox disabled"]),
    says(Class::Inactive, &["account is disabled"]),
    says(Class::Policy, &["spamhaus"]),
    says(Class::Policy, &["blacklist"]),
    says(Class::Spam, &["spam"]),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const NONE: [u8; 3] = [0, 0, 0];

    /// Stage, codes, words; fate and class.
    const REPLIES: &str = r"
        # The enhanced code, whatever the basic one.
        Rcpt     | 550 5.1.1 | The email account that you tried to reach does not exist. | refused InvalidRecipient
        Rcpt     | 553 5.1.1 | sorry | refused InvalidRecipient
        Rcpt     | 550 5.1.1 | too many messages for nobody | refused InvalidRecipient
        Rcpt     | 450 4.1.1 | unverified address | deferred InvalidRecipient
        Rcpt     | 550 5.2.1 | The email account that you tried to reach is disabled. | refused Inactive
        Rcpt     | 552 5.2.2 | The email account that you tried to reach is over quota | refused Quota
        Rcpt     | 452 4.2.2 | The recipient's inbox is out of storage space | deferred Quota
        Rcpt     | 556 5.1.10 | Recipient address has null MX | refused BadDomain
        Dot      | 550 5.7.26 | Unauthenticated email from example.com is not accepted | refused Auth
        Dot      | 550 5.7.25 | The IP address sending this message does not have a PTR record | refused Auth
        Dot      | 421 4.7.28 | Gmail has detected an unusual rate of unsolicited mail | deferred Rate
        Rcpt     | 550 4.2.1 | try later | deferred Inactive
        Mail     | 552 5.3.4 | message size exceeds fixed limit | refused Message
        Mail     | 550 5.1.8 | Sender address rejected: Domain not found | refused Policy
        Mail     | 554 5.1.1 | who are you | refused Policy
        # Providers whose codes lie.
        Mail     | 550 | Ip frequency limited. https://service.mail.qq.com/detail/0/725 | deferred Rate
        Rcpt     | 550 | Domain frequency limited. | deferred Rate
        Dot      | 550 | Mail content denied. https://service.mail.qq.com | refused Spam
        Dot      | 554 | DT:SPM 163 smtp12,D9GowACHp | deferred Rate
        Rcpt     | 550 | RP:ORQ 163 mx31 | deferred Rate
        Rcpt     | 554 | HL:ITC 163 mx4 | deferred Rate
        Rcpt     | 550 5.4.1 | Recipient address rejected: Access denied. AS(201806281) | refused InvalidRecipient
        Dot      | 550 5.1.10 | RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup | refused InvalidRecipient
        Dot      | 550 5.7.1 | Our system has detected an unusual rate of unsolicited mail | deferred Rate
        Rcpt     | 550 5.2.1 | The user you are trying to contact is receiving mail at a rate that prevents | deferred Rate
        Dot      | 550 5.7.255 | Access denied, sending domain x.example does not meet the required authentication level | refused Auth
        Mail     | 550 5.7.1 | Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on our block list (S3150) | refused Policy
        Mail     | 451 4.7.255 | The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation | deferred Rate
        Mail     | 421 | 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume | deferred Rate
        # Basic codes.
        Rcpt     | 450 4.7.1 | Greylisted, see http://postgrey.schweikert.ch | deferred Greylist
        Rcpt     | 450 | mailbox busy | deferred Greylist
        Rcpt     | 550 | no | refused Other
        Rcpt     | 550 | Requested action not taken: user unknown | refused InvalidRecipient
        Rcpt     | 503 | bad sequence | deferred Protocol
        Rcpt     | 354 | go on | deferred Protocol
        Greeting | 421 | closing | deferred Network
        Greeting | 554 | no SMTP service here | deferred Policy
        Auth     | 535 5.7.8 | authentication failed | deferred Auth
    ";

    #[test]
    fn replies_as_providers_write_them() {
        let stages = [Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Dot];
        let cases = REPLIES.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        for case in cases {
            let [stage, codes, text, expected] =
                case.split('|').map(str::trim).collect::<Vec<_>>()[..]
            else {
                panic!("{case}");
            };
            let stage = stages.into_iter().find(|s| format!("{s:?}") == stage).expect(case);
            let (code, enhanced) = codes.split_once(' ').unwrap_or((codes, "0.0.0"));
            let enhanced: Vec<u8> = enhanced.split('.').map(|n| n.parse().unwrap()).collect();
            let enhanced = enhanced.try_into().expect(case);
            let found = match read_reply(code.parse().unwrap(), enhanced, text, stage) {
                Verdict::Deferred { class, .. } => format!("deferred {class:?}"),
                Verdict::Refused { class, .. } => format!("refused {class:?}"),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn a_reply_is_kept_on_one_line() {
        let reply = "250 2.0.0 Ok: queued as 4F".to_owned();
        let verdict = read_reply(250, [2, 0, 0], "Ok:\nqueued as 4F\r", Stage::Dot);
        assert_eq!(verdict, Verdict::Accepted { reply });
        let verdict = read_reply(354, NONE, "go on", Stage::Dot);
        assert_eq!(verdict, Verdict::Unknown { why: "354 go on".to_owned() });
        let verdict = read_reply(550, [5, 7, 255], "", Stage::Dot);
        assert_eq!(
            verdict,
            Verdict::Refused { class: Class::Policy, reply: "550 5.7.*".to_owned() }
        );
    }

    #[test]
    fn the_schedule_is_the_one_of_the_design() {
        let mut now = Moment(0);
        let mut delays = Vec::new();
        let mut attempt = 1;
        while let Some(at) = next_attempt(attempt, Moment(0), now, 7) {
            delays.push((at.0 - now.0) / 60_000);
            now = at;
            attempt += 1;
        }
        let plain = [5, 15, 30, 60, 120, 240].into_iter().chain(std::iter::repeat(240));
        for (delay, plain) in delays.iter().zip(plain) {
            assert!((plain * 9 / 10 - 1..=plain * 11 / 10).contains(delay), "{delays:?}");
        }
        assert!((14..=18).contains(&delays.len()), "{delays:?}");
    }

    proptest! {
        #[test]
        fn no_attempt_is_early_late_or_random(attempt in any::<u16>(), now in 0_i64..200_000_000, seed in any::<u64>()) {
            let next = next_attempt(attempt, Moment(0), Moment(now), seed);
            prop_assert_eq!(next, next_attempt(attempt, Moment(0), Moment(now), seed));
            if let Some(at) = next {
                prop_assert!(at.0 - now >= 270_000 && at.0 - now <= 15_840_000);
                prop_assert!(at.0 <= 48 * 3_600_000);
            }
        }

        #[test]
        fn only_words_about_the_recipient_suppress(code in 200_u16..600, enhanced in any::<[u8; 3]>(), text in ".{0,60}") {
            for stage in [Stage::Greeting, Stage::Hello, Stage::Auth, Stage::Mail, Stage::Data] {
                if let Verdict::Refused { class, .. } = read_reply(code, enhanced, &text, stage) {
                    prop_assert!(!class.suppresses());
                }
            }
        }
    }
}
