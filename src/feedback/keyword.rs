//! Rules of the house: what somebody did or wrote, to what is done about it (`config/rules.toml`).
//!
//! A rule fires on what comes from outside (a reply, a bounce, an open), never on what another rule
//! did: rules cannot chase each other, and each gives a tag to a contact once.

use regex_lite::Regex;

use crate::feedback::verdict::AutoKind;

/// Text that rules look at (bytes); patterns take time linear in it.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What a rule waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// A person wrote.
    Replied,
    /// A machine answered for a person.
    AutoReplied,
    /// A letter came back.
    Bounced,
    /// "Spam" was pressed.
    Complained,
    /// Somebody asked to be left alone.
    Unsubscribed,
    /// A person opened a letter.
    Opened,
    /// A person followed a link.
    Clicked,
}

impl When {
    /// As `rules.toml` spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replied => "replied",
            Self::AutoReplied => "auto-reply",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Unsubscribed => "unsubscribed",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
        }
    }
}

/// How urgent a reply is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May wait.
    Low,
    /// As any.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// As `rules.toml` spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// A rule, checked.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name: the author of what it does.
    pub name: String,
    /// What it waits for.
    pub when: When,
    /// Words, lower case: one of them must stand in the text.
    pub words: Vec<String>,
    /// A pattern that must be found in the text.
    pub pattern: Option<Regex>,
    /// Languages, ISO 639-1; empty: any.
    pub languages: Vec<String>,
    /// The kind of an auto-reply.
    pub kind: Option<AutoKind>,
    /// Whether a bounce must be hard.
    pub hard: Option<bool>,
    /// So many opens or clicks at least, this one included.
    pub times: u32,
    /// A view that must hold the contact.
    pub view: Option<String>,
    /// A tag to give.
    pub tag: Option<String>,
    /// Only say that the tag should be given.
    pub propose: bool,
    /// A note to write.
    pub note: Option<String>,
    /// How urgent a reply becomes.
    pub priority: Option<Priority>,
}

/// Something that happened, as rules see it.
pub struct Happening<'a> {
    /// What.
    pub when: When,
    /// Subject and own words.
    pub text: &'a str,
    /// Their language.
    pub language: Option<&'a str>,
    /// The kind of an auto-reply.
    pub kind: Option<AutoKind>,
    /// Whether a bounce is hard.
    pub hard: bool,
    /// How often it happened so far.
    pub times: u32,
    /// Whether the contact is in a view.
    pub in_view: &'a dyn Fn(&str) -> bool,
}

impl Rule {
    /// Whether the rule fires.
    #[must_use]
    pub fn fires(&self, on: &Happening<'_>) -> bool {
        let text = on.text.get(..on.text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default();
        self.when == on.when
            && self.kind.is_none_or(|kind| on.kind == Some(kind))
            && self.hard.is_none_or(|hard| on.hard == hard)
            && on.times >= self.times
            && (self.languages.is_empty()
                || on.language.is_some_and(|own| self.languages.iter().any(|one| one == own)))
            && (self.words.is_empty() || has_word(&text.to_lowercase(), &self.words))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
            && self.view.as_ref().is_none_or(|view| (on.in_view)(view))
    }
}

/// Whether one of the words stands in a text, as a word of its own where the script parts words.
fn has_word(text: &str, words: &[String]) -> bool {
    words.iter().any(|word| {
        text.match_indices(word.as_str()).any(|(at, found)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|text| text.chars().next());
            let joined = |outer: Option<char>, inner: Option<char>| match (outer, inner) {
                (Some(outer), Some(inner)) => {
                    outer.is_alphanumeric() && parts_words(outer) && parts_words(inner)
                }
                _ => false,
            };
            !joined(before, found.chars().next()) && !joined(after, found.chars().next_back())
        })
    })
}

/// Scripts with blanks between words; Chinese, Japanese, Korean and Thai have none to rely on.
fn parts_words(c: char) -> bool {
    !matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (text, list, found) in [
            ("please quote us 20 pieces", ["quote"], true),
            ("he quoted shakespeare", ["quote"], false),
            ("请报价20台", ["报价"], true),
            ("what is the price?", ["price"], true),
            ("priceless", ["price"], false),
            ("moq?", ["moq"], true),
        ] {
            assert_eq!(has_word(text, &words(&list)), found, "{text}");
        }
    }
}
