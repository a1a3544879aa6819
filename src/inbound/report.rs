//! Reports in field groups: delivery status (RFC 3464, RFC 6533) and complaints (RFC 5965), and the
//! codes that stand in the words of servers (RFC 5321 replies, RFC 3463 status).

use std::fmt;

/// One group of fields, names in lower case, continuation lines joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group(Vec<(String, String)>);

/// Field groups that are read of one report.
const GROUPS_MAX: usize = 500;

impl Group {
    /// The first field of that name (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All fields of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The groups of a report: blank lines part them.
#[must_use]
pub fn groups(text: &str) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for line in text.lines() {
        if groups.len() >= GROUPS_MAX {
            break;
        }
        let Some(group) = groups.last_mut() else { break };
        if line.trim().is_empty() {
            if !group.0.is_empty() {
                groups.push(Group::default());
            }
            continue;
        }
        let field = line.split_once(':').filter(|(name, _)| is_name(name));
        match (field, group.0.last_mut()) {
            (Some((name, value)), _) => {
                group.0.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            // Folded, or broken by a server that forgot to fold.
            (None, Some((_, value))) => {
                value.push('\n');
                value.push_str(line.trim());
            }
            (None, None) => (),
        }
    }
    groups.retain(|group| !group.0.is_empty());
    groups
}

fn is_name(name: &str) -> bool {
    (2..=60).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `rfc822;ann@acme.example`, `utf-8; …`, `<…>` or bare: the address, if it is one.
#[must_use]
pub fn mailbox(field: &str) -> Option<String> {
    let field = field.lines().next().unwrap_or_default();
    let typed = field.split_once(';').filter(|(kind, _)| !kind.contains(['@', '"', '<']));
    let bare = typed.map_or(field, |(_, address)| address).trim();
    let bare = match (bare.rfind('<'), bare.rfind('>')) {
        (Some(open), Some(close)) if open < close => bare.get(open + 1..close).unwrap_or(bare),
        _ => bare,
    };
    let bare = bare.trim().trim_end_matches(['.', ',', ';']);
    let (local, domain) = bare.rsplit_once('@')?;
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    let sound = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"".contains(c);
    let fits = bare.len() <= 254 && !local.is_empty() && !domain.is_empty();
    let named = domain.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '.');
    (fits && named && (quoted || local.chars().all(sound))).then(|| bare.to_owned())
}

/// What became of the letter to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Given up.
    Failed,
    /// Still being tried.
    Delayed,
    /// Delivered, relayed or expanded: all is well as far as is known.
    Delivered,
}

/// An enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8, pub u16, pub u16);

impl Status {
    /// Says no more than permanent or passing.
    #[must_use]
    pub fn is_vague(self) -> bool {
        self.1 == 0 && self.2 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// All status codes of a text, with the place where each begins. Dotted numbers that are longer
/// (addresses, versions) are none.
pub fn statuses(text: &str) -> impl Iterator<Item = (usize, Status)> + '_ {
    runs(text, |b| b.is_ascii_digit() || b == b'.').filter_map(|(at, run)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + run.len()..).and_then(|after| after.chars().next());
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_/".contains(c));
        if joined(before) || joined(after) {
            return None;
        }
        let mut parts = run.trim_end_matches('.').split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !matches!(class, "2" | "4" | "5") {
            return None;
        }
        let part = |digits: &str| digits.parse().ok().filter(|n: &u16| *n < 1000);
        Some((at, Status(class.parse().ok()?, part(subject)?, part(detail)?)))
    })
}

/// All SMTP reply codes of a text, with their places.
pub fn replies(text: &str) -> impl Iterator<Item = (usize, u16)> + '_ {
    runs(text, |b| b.is_ascii_digit()).filter_map(|(at, run)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let rest = text.get(at + run.len()..).unwrap_or_default();
        let mut after = rest.chars();
        let next = after.next();
        let opens = before.is_none_or(|c| c.is_whitespace() || ":(<>='\"[;,".contains(c));
        // `2.550` and `550.1` are other numbers; `550-5.1.1` and `(550)` are replies.
        let closes = next.is_none_or(|c| c.is_whitespace() || "-:,;)]'\"#<".contains(c))
            || (next == Some('.') && after.next().is_none_or(char::is_whitespace));
        let code: u16 = run.parse().ok()?;
        (opens && closes && run.len() == 3 && is_reply(code)).then_some((at, code))
    })
}

/// Refusals that servers give; other numbers from 400 to 599 in a text are rarely replies.
fn is_reply(code: u16) -> bool {
    matches!(code,
        421 | 422 | 430..=432 | 441 | 442 | 446 | 447 | 449..=455 | 458 | 459 | 471
        | 500..=504 | 510..=513 | 515 | 517 | 521 | 523..=525 | 530 | 531 | 533..=535 | 538 | 541
        | 542 | 550..=557 | 570 | 571 | 577)
}

fn runs(text: &str, wanted: fn(u8) -> bool) -> impl Iterator<Item = (usize, &str)> + '_ {
    let bytes = text.as_bytes();
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|b| wanted(*b))?;
        let length = bytes.get(at..)?.iter().take_while(|b| wanted(**b)).count();
        from = at + length;
        Some((at, text.get(at..from)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_parted_and_unfolded() {
        let text = "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\n\
            Action: failed\r\nDiagnostic-Code: smtp; 550-5.1.1 no\r\n  550 5.1.1 such user\r\n\r\n\
            \r\nFINAL-RECIPIENT: rfc822;c@d.example\r\n";
        let found = groups(text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].get("action"), Some("failed"));
        let said = found[1].get("diagnostic-code");
        assert_eq!(said, Some("smtp; 550-5.1.1 no\n550 5.1.1 such user"));
        assert_eq!(found[2].get("final-recipient"), Some("rfc822;c@d.example"));
        assert!(groups("").is_empty());
    }

    #[test]
    fn addresses_are_told_from_other_words() {
        for (field, address) in [
            ("rfc822;a@b.example", Some("a@b.example")),
            ("RFC822; <a@b.example>", Some("a@b.example")),
            ("utf-8; 王@例子.example", Some("王@例子.example")),
            ("a@b.example", Some("a@b.example")),
            ("rfc822; \"a..b\"@c.example", Some("\"a..b\"@c.example")),
            ("rfc822; |exec procmail #a b@c.example", None),
            ("rfc822; somebody", None),
            ("x-unix; @", None),
        ] {
            assert_eq!(mailbox(field).as_deref(), address, "{field}");
        }
    }

    #[test]
    fn codes_are_told_from_other_numbers() {
        for (text, status, reply) in [
            ("550 5.1.1 <a@b>... User unknown", Some("5.1.1"), Some(550)),
            ("550-5.7.26 This mail", Some("5.7.26"), Some(550)),
            ("no such host (#5.1.2)", Some("5.1.2"), None),
            ("host mx[192.0.5.1] said: 452 later", None, Some(452)),
            ("Exim 4.80.1.2 at 10:00, 500ms, port 587, id=5.1.1x", None, None),
            ("ERROR_CODE :550, ERROR_CODE :5.2.1 <a@b>", Some("5.2.1"), Some(550)),
            ("(state 14): 550 550 #5.1.0 Address rejected.", Some("5.1.0"), Some(550)),
            ("it weighs 550.5 kg", None, None),
        ] {
            let found = statuses(text).next().map(|(_, status)| status.to_string());
            assert_eq!(found.as_deref(), status, "{text}");
            assert_eq!(replies(text).next().map(|(_, code)| code), reply, "{text}");
        }
    }
}
