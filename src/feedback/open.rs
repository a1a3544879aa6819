//! Who fetched the pixel: a person, a proxy for a person, or a machine.
//!
//! Much of what fetches a pixel is no person: Apple and Gmail fetch ahead, security gateways look
//! at every letter within seconds. The rules are data, one line each, because the field changes
//! faster than this program does; `config/opens.txt` is what we ship and says how they are written.

/// The rules we ship.
const SHIPPED: &str = include_str!("../../config/opens.txt");

/// How an open is counted (DESIGN §9). Only the first two lead to a reading tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenClass {
    /// A person's own mail program or browser.
    Human,
    /// A proxy that fetches when a person looks (Gmail's image proxy).
    ProxyHuman,
    /// Fetched ahead, whether or not anybody looks.
    Prefetch,
    /// A scanner.
    Machine,
    /// Cannot be told.
    Unknown,
}

impl OpenClass {
    const ALL: [Self; 5] =
        [Self::Human, Self::ProxyHuman, Self::Prefetch, Self::Machine, Self::Unknown];

    /// As rules, `show` and reports spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::ProxyHuman => "proxy-human",
            Self::Prefetch => "prefetch",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a person looked: only such opens lead to a reading tag.
    #[must_use]
    pub fn is_person(self) -> bool {
        matches!(self, Self::Human | Self::ProxyHuman)
    }
}

/// One fetch of a pixel, as the endpoint saw it.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The user agent; empty when there was none.
    pub user_agent: &'a str,
    /// Whether the method was HEAD, which shows nothing to anybody.
    pub head: bool,
    /// Milliseconds since the letter was accepted; negative before; `None` when no acceptance is
    /// known (cut off after the dot), which no line with a `within` matches.
    pub since_accepted_ms: Option<i64>,
}

/// What is wrong with a line of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not four fields.
    #[error("line {0}: write `class | user agent | within | reason`")]
    Fields(usize),
    /// A class nobody knows.
    #[error("line {0}: {1:?} is no class: use human, proxy-human, prefetch, machine or unknown")]
    Class(usize, String),
    /// Not a number of milliseconds.
    #[error("line {0}: {1:?} is no number of milliseconds: write one, or nothing")]
    Within(usize, String),
    /// Nothing to say in reports.
    #[error("line {0}: the reason is missing: say in a few words what such a fetch is")]
    Reason(usize),
}

/// Rules in order: the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    class: OpenClass,
    /// In lower case.
    pattern: String,
    within_ms: Option<i64>,
    reason: String,
}

impl OpenRules {
    /// The rules we ship.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("config/opens.txt is tested to parse")
    }

    /// Reads rules as `config/opens.txt` describes them.
    ///
    /// # Errors
    /// For the first line that is none, by its number.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let rules = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        rules.map(|(line, number)| rule(line, number)).collect::<Result<_, _>>().map(Self)
    }

    /// The class of a fetch, and why.
    #[must_use]
    pub fn classify(&self, seen: &Fetch<'_>) -> (OpenClass, &str) {
        if seen.head {
            return (OpenClass::Machine, "a HEAD request, which shows nothing");
        }
        let agent = seen.user_agent.trim().to_lowercase();
        let rule = self.0.iter().find(|rule| rule.holds(&agent, seen.since_accepted_ms));
        rule.map_or((OpenClass::Unknown, "a user agent that no rule knows"), |rule| {
            (rule.class, rule.reason.as_str())
        })
    }
}

impl Rule {
    fn holds(&self, agent: &str, since_accepted_ms: Option<i64>) -> bool {
        let in_time = match (self.within_ms, since_accepted_ms) {
            (None, _) => true,
            (Some(within), Some(since)) => since < within,
            (Some(_), None) => false,
        };
        in_time && matches(self.pattern.as_bytes(), agent.as_bytes())
    }
}

fn rule(line: &str, number: usize) -> Result<Rule, RuleError> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[class, pattern, within, reason] = fields.as_slice() else {
        return Err(RuleError::Fields(number));
    };
    let class = OpenClass::ALL
        .into_iter()
        .find(|known| known.as_str() == class)
        .ok_or_else(|| RuleError::Class(number, class.to_owned()))?;
    let within_ms = match within {
        "" => None,
        ms => Some(ms.parse().map_err(|_| RuleError::Within(number, ms.to_owned()))?),
    };
    if reason.is_empty() {
        return Err(RuleError::Reason(number));
    }
    Ok(Rule { class, pattern: pattern.to_lowercase(), within_ms, reason: reason.to_owned() })
}

/// Whether the whole of `text` is like `pattern`: `*` stands for any text, `?` for one byte.
/// Remembers the last `*` only, so that no user agent can make it slow.
fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((want, rest)), Some((have, tail))) if want == have || *want == b'?' => {
                (pattern, text) = (rest, tail);
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = retry else { return false };
                let Some((_, tail)) = from.split_first() else { return false };
                retry = Some((after_star, tail));
                (pattern, text) = (after_star, tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::{Fetch, OpenClass, OpenRules, RuleError, matches};

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
    const HOUR: Option<i64> = Some(3_600_000);

    fn class(user_agent: &str, since_accepted_ms: Option<i64>) -> OpenClass {
        let fetch = Fetch { user_agent, head: false, since_accepted_ms };
        OpenRules::shipped().classify(&fetch).0
    }

    #[test]
    fn the_field_as_we_know_it() {
        use OpenClass::{Human, Machine, Prefetch, ProxyHuman, Unknown};
        let cases = [
            (
                ProxyHuman,
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            ),
            (
                ProxyHuman,
                "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            ),
            (
                Prefetch,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
            ),
            (
                Human,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246",
            ),
            (Prefetch, "Mozilla/5.0"),
            (Prefetch, " Mozilla/5.0 "),
            (Human, CHROME),
            (Human, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            (Human, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.2.0"),
            (
                Human,
                "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.4266; ms-office; MSOffice 16)",
            ),
            (Human, "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"),
            (
                Human,
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            ),
            (
                Human,
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            ),
            (
                Human,
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
            ),
            (
                Human,
                "Mozilla/5.0 (Linux; Android 11; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            ),
            (Human, "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko"),
            (Machine, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
            (Machine, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +https://ahrefs.com/robot/)"),
            (Machine, "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
            (
                Machine,
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
            ),
            (Machine, "curl/8.5.0"),
            (Machine, "python-requests/2.32.3"),
            (Machine, "Python-urllib/3.11"),
            (Machine, "Python/3.11 aiohttp/3.9.5"),
            (Machine, "Go-http-client/1.1"),
            (Machine, "Apache-HttpClient/4.5.14 (Java/17.0.11)"),
            (Machine, "Java/17.0.11"),
            (Unknown, ""),
            (Unknown, "   "),
            (Unknown, "Dalvik/2.1.0 (Linux; U; Android 13)"),
            (Unknown, "something nobody has seen"),
        ];
        for (want, agent) in cases {
            assert_eq!(class(agent, HOUR), want, "{agent}");
            assert_eq!(class(agent, None), want, "{agent}, acceptance unknown");
            assert_eq!(class(&agent.to_uppercase(), HOUR), want, "{agent} in upper case");
        }
    }

    #[test]
    fn nobody_looks_before_the_letter_is_there() {
        let google = "Mozilla/5.0 (via ggpht.com GoogleImageProxy)";
        for (since, want) in [
            (i64::MIN, OpenClass::Machine),
            (-1, OpenClass::Machine),
            (0, OpenClass::Machine),
            (1_999, OpenClass::Machine),
            (2_000, OpenClass::Human),
            (i64::MAX, OpenClass::Human),
        ] {
            assert_eq!(class(CHROME, Some(since)), want, "{since} ms");
            assert_eq!(class(google, Some(since)), OpenClass::ProxyHuman, "{since} ms");
        }
        assert_eq!(class("", Some(0)), OpenClass::Unknown);
    }

    #[test]
    fn head_never_counts() {
        let fetch = Fetch { user_agent: CHROME, head: true, since_accepted_ms: HOUR };
        let rules = OpenRules::shipped();
        let (class, reason) = rules.classify(&fetch);
        assert!(!class.is_person() && reason.contains("HEAD"), "{class:?} {reason}");
    }

    #[test]
    fn every_shipped_line_can_be_the_first_to_match() {
        let rules = OpenRules::shipped();
        for (n, rule) in rules.0.iter().enumerate() {
            let agent = rule.pattern.replace('*', "").replace('?', "x");
            let shadow = rules.0.iter().take(n).find(|above| above.holds(&agent, HOUR));
            let twin = shadow.filter(|above| above.class != rule.class && rule.within_ms.is_none());
            assert_eq!(twin, None, "{rule:?}");
        }
        assert_eq!(OpenClass::ALL.map(OpenClass::is_person), [true, true, false, false, false]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let cases = [
            ("machine | a | b", RuleError::Fields(1)),
            ("# fine\n\nrobot | a | | b", RuleError::Class(3, "robot".to_owned())),
            ("human | a | soon | b", RuleError::Within(1, "soon".to_owned())),
            ("human | a | 5 |", RuleError::Reason(1)),
        ];
        for (text, want) in cases {
            assert_eq!(OpenRules::parse(text), Err(want), "{text}");
        }
        assert_eq!(OpenRules::parse("# nothing").unwrap(), OpenRules(vec![]));
    }

    #[test]
    fn patterns() {
        let cases: [(&str, &str, bool); 12] = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?*", "", false),
            ("?*", "a", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("*b", "aab", true),
            ("*ab", "aab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a*", "bcb", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn patterns_agree_with_the_plain_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), tail) => {
                        plain(rest, text) || tail.is_some_and(|(_, tail)| plain(pattern, tail))
                    }
                    (Some((want, rest)), Some((have, tail))) => {
                        (want == have || *want == b'?') && plain(rest, tail)
                    }
                    _ => false,
                }
            }
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            assert_eq!(matches(pattern, text), plain(pattern, text));
        }

        #[test]
        fn no_user_agent_panics(agent: String, since: Option<i64>) {
            class(&agent, since);
        }
    }
}
