//! A template file, taken apart: TOML front matter, a text body, perhaps an HTML body.
//!
//! The file is called `NAME.letter`. Everything but `audience`, `series` and `subject` may be left
//! out; the text is required, the HTML is not:
//!
//! ```text
//! +++
//! audience = "英语-工程设备经销商"   # or: language = "英语", audience = "工程设备经销商"
//! series = "marketing"              # or "reading", or the configured name of a series
//! subject = "Spare parts for {{ company or 'your fleet' }}"
//! name = "spring"                   # default: NAME
//! from_name = "Lin Mei"             # default: the sender's
//! weight = 1                        # share among the variants of one audience and series
//! check_language = true             # compare the body's language with the declared one
//! +++
//! Dear {{ name or "Sir or Madam" }},
//! === html ===
//! <p>Dear {{ name or "Sir or Madam" }},</p>
//! ```

use crate::book::tag::{Audience, Series, SeriesKind};

/// Stands around the front matter.
const FENCE: &str = "+++";
/// Stands between text and HTML.
const HTML: &str = "=== html ===";
/// A template file is at most this long, in bytes.
const SOURCE_MAX: usize = 1 << 20;

/// What a template file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Whom it is for.
    pub audience: Audience,
    /// Which rhythm it is for.
    pub kind: SeriesKind,
    /// Its name in reports.
    pub name: String,
    /// The sender's name in place of the configured one.
    pub from_name: Option<String>,
    /// Its share among the variants of one audience and series, 1 to 1000.
    pub weight: u16,
    /// Whether the body's language is to be compared with the declared one.
    pub check_language: bool,
    /// Subject, text and perhaps HTML, in this order.
    pub parts: Vec<Source>,
}

/// One part as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which part.
    pub part: Part,
    /// Its first line in the file, from 1.
    pub line: usize,
    /// What is written there.
    pub text: String,
}

/// The parts of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The subject line.
    Subject,
    /// The plain text.
    Text,
    /// The HTML.
    Html,
}

/// What is wrong with a template, or with rendering it for somebody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}; {fix}")]
pub struct TemplateError {
    /// The template's file.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl TemplateFile {
    /// Takes a file apart; `series` says which names of a series mean which kind.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and the fix.
    pub fn read(file: &str, source: &str, series: &Series) -> Result<Self, TemplateError> {
        let clean = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        Self::of(file, &clean, series).map_err(|fault| TemplateError {
            file: file.to_owned(),
            line: fault.line,
            what: fault.what,
            fix: fault.fix,
        })
    }

    fn of(file: &str, source: &str, series: &Series) -> Result<Self, Fault> {
        let sheet = Sheet::split(source)?;
        let front = sheet.front()?;
        let kind = kind_of(&front.series, series).ok_or_else(|| {
            let what = format!("no series is called {:?}", front.series);
            let fix = "write marketing, reading, or a name from [series] of the configuration";
            sheet.fault("series", &what, fix)
        })?;
        let audience = front.audience().map_err(|fix| {
            sheet.fault("audience", "the audience is not {language}-{audience}", &fix)
        })?;
        if !(1..=1000).contains(&front.weight) {
            let fix = "write 1 to 1000, or take the file away to retire it";
            return Err(sheet.fault("weight", "the weight is out of range", fix));
        }
        let stem = file.rsplit('/').next().unwrap_or(file);
        let stem = stem.strip_suffix(".letter").unwrap_or(stem);
        let mut parts = vec![
            Source { part: Part::Subject, line: sheet.line_of("subject"), text: front.subject },
            Source { part: Part::Text, line: sheet.text_line, text: sheet.text.to_owned() },
        ];
        parts.extend(sheet.html.map(|(line, html)| Source {
            part: Part::Html,
            line,
            text: html.to_owned(),
        }));
        Ok(Self {
            audience,
            kind,
            name: front.name.unwrap_or_else(|| stem.to_owned()),
            from_name: front.from_name,
            weight: front.weight,
            check_language: front.check_language,
            parts,
        })
    }
}

/// Front matter as typed.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    language: Option<String>,
    audience: String,
    series: String,
    subject: String,
    name: Option<String>,
    from_name: Option<String>,
    #[serde(default = "one")]
    weight: u16,
    #[serde(default = "yes")]
    check_language: bool,
}

fn one() -> u16 {
    1
}

fn yes() -> bool {
    true
}

impl Front {
    /// The audience, from its whole name or from two parts that agree; else how to write it.
    fn audience(&self) -> Result<Audience, String> {
        let example = "write audience = \"英语-工程设备经销商\"".to_owned();
        let Some(language) = &self.language else {
            return Audience::parse(&self.audience).ok_or(example);
        };
        let agrees = self.audience.strip_prefix(language).is_some_and(|rest| rest.starts_with('-'));
        let whole = match self.audience.contains('-') {
            true if agrees => self.audience.clone(),
            true => return Err(format!("language says {language:?}: make the two agree")),
            false => format!("{language}-{}", self.audience),
        };
        Audience::parse(&whole).filter(|read| read.language() == language).ok_or(example)
    }
}

fn kind_of(name: &str, series: &Series) -> Option<SeriesKind> {
    let is = |names: &[String], english| name == english || names.iter().any(|known| known == name);
    if is(&series.marketing, "marketing") {
        return Some(SeriesKind::Marketing);
    }
    is(&series.reading, "reading").then_some(SeriesKind::Reading)
}

/// What is wrong, before the file's name is known.
struct Fault {
    line: usize,
    what: String,
    fix: String,
}

impl Fault {
    fn new(line: usize, what: &str, fix: &str) -> Self {
        Self { line, what: what.to_owned(), fix: fix.to_owned() }
    }
}

/// A file cut at its marks, with the line each part begins on.
struct Sheet<'a> {
    front: &'a str,
    text: &'a str,
    text_line: usize,
    html: Option<(usize, &'a str)>,
}

impl<'a> Sheet<'a> {
    fn split(source: &'a str) -> Result<Self, Fault> {
        if source.len() > SOURCE_MAX {
            return Err(Fault::new(1, "longer than 1 MiB", "link to pictures, do not embed them"));
        }
        let fix = "begin with +++, front matter, +++ on lines of their own";
        let Some((_, rest)) = cut(source, FENCE).filter(|(before, _)| before.is_empty()) else {
            return Err(Fault::new(1, "the file does not begin with +++", fix));
        };
        let Some((front, body)) = cut(rest, FENCE) else {
            return Err(Fault::new(1, "the front matter does not end", fix));
        };
        let text_line = 3 + front.matches('\n').count();
        let (text, html) = match cut(body, HTML) {
            Some((text, html)) => (text, Some((text_line + 1 + text.matches('\n').count(), html))),
            None => (body, None),
        };
        if text.trim().is_empty() {
            let fix = "write the letter after the second +++";
            return Err(Fault::new(text_line, "there is no text", fix));
        }
        Ok(Self { front, text, text_line, html })
    }

    fn front(&self) -> Result<Front, Fault> {
        toml::from_str(self.front).map_err(|err| {
            let before = err.span().and_then(|span| self.front.get(..span.start));
            let line = 2 + before.map_or(0, |text| text.matches('\n').count());
            let fix = "keys are audience, series, subject; language, name, from_name, weight, \
                       check_language";
            Fault::new(line, err.message(), fix)
        })
    }

    /// The line of a key of the front matter.
    fn line_of(&self, key: &str) -> usize {
        let is = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        2 + self.front.lines().position(is).unwrap_or(0)
    }

    fn fault(&self, key: &str, what: &str, fix: &str) -> Fault {
        Fault::new(self.line_of(key), what, fix)
    }
}

/// What stands before and after the first line that is `mark`.
fn cut<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == mark {
            return Some((text.get(..at)?, text.get(at + line.len()..)?));
        }
        at += line.len();
    }
    None
}
