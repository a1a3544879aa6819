//! A template: compiled once, rendered many times.
//!
//! An undefined variable is an error (DESIGN §7), an empty one is not: `or` gives it a default.
//! Values are put into HTML escaped, and `safe` does not exist: a contact cannot write our HTML.

use std::borrow::Cow;
use std::mem;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use xxhash_rust::xxh3::xxh3_64;

use crate::book::contact::Card;
use crate::book::tag::{Audience, Series, SeriesKind};
use crate::letter::name;
use crate::letter::template_file::{Part, Source, TemplateError, TemplateFile};

/// Steps one part may take to render; a long letter takes some hundreds.
const FUEL: u64 = 50_000;
/// A letter to be, for one audience and series.
#[derive(Debug)]
pub struct Template {
    file: String,
    source: String,
    hash: u64,
    read: TemplateFile,
    pieces: Vec<Piece>,
    engine: Environment<'static>,
}

/// What a letter's variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Vars<'a> {
    /// `local@domain`.
    pub address: &'a str,
    /// The contact's columns.
    pub card: &'a Card,
    /// The sender's name.
    pub sender: &'a str,
    /// The batch tag.
    pub batch: &'a str,
    /// This letter's own unsubscribe page.
    pub unsubscribe_url: &'a str,
}

/// A rendered letter, not yet a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line, never empty.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML, when the template has one.
    pub html: Option<String>,
}

impl Template {
    /// Reads and compiles a template file; `series` says which names of a series mean which kind.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and the fix.
    pub fn parse(file: &str, source: &str, series: &Series) -> Result<Self, TemplateError> {
        let mut read = TemplateFile::read(file, source, series)?;
        let parts = mem::take(&mut read.parts);
        let mut template = Self {
            file: file.to_owned(),
            hash: xxh3_64(source.as_bytes()),
            source: source.to_owned(),
            read,
            pieces: Vec::new(),
            engine: engine(),
        };
        for part in parts {
            template.compile(part)?;
        }
        Ok(template)
    }

    /// The template's file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its name in reports: as declared, else the file's name without folder and ending.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.read.name
    }

    /// The whole file, byte for byte.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Hash of the source (xxh3, 64 bits): which template a letter was made of.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whom it is for.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.read.audience
    }

    /// Which rhythm it is for.
    #[must_use]
    pub fn kind(&self) -> SeriesKind {
        self.read.kind
    }

    /// Its share among the variants of one audience and series, 1 to 1000.
    #[must_use]
    pub fn weight(&self) -> u16 {
        self.read.weight
    }

    /// The sender's name in place of the configured one.
    #[must_use]
    pub fn sender_name(&self) -> Option<&str> {
        self.read.from_name.as_deref()
    }

    /// Whether the body's language is to be compared with the declared one.
    #[must_use]
    pub fn check_language(&self) -> bool {
        self.read.check_language
    }

    /// The parts there are, as written.
    pub fn parts(&self) -> impl Iterator<Item = &Source> {
        self.pieces.iter().map(|piece| &piece.source)
    }

    /// The variables a part may look up, by their English names or column headers.
    pub fn variables(&self, part: Part) -> impl Iterator<Item = &str> {
        let pieces = self.pieces.iter().filter(move |piece| piece.source.part == part);
        pieces.flat_map(|piece| &piece.used).map(|used| used.name.as_str())
    }

    /// The columns of the saved search it may look up: variables that are no field of ours.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let used = self.pieces.iter().flat_map(|piece| &piece.used);
        used.filter(|used| !is_ours(&used.name)).map(|used| used.name.as_str())
    }

    /// Renders all parts for one contact. The same variables give the same letter.
    ///
    /// # Errors
    /// A variable this contact lacks, a failing expression, a subject that comes out empty.
    pub fn render(&self, vars: &Vars<'_>) -> Result<Rendered, TemplateError> {
        let mut rendered = Rendered { subject: String::new(), text: String::new(), html: None };
        for piece in &self.pieces {
            let part = piece.source.part;
            let text = self.fill(part, piece.context(vars)).map_err(|err| {
                let missing = piece.used.iter().find(|used| !used.is_given(vars));
                self.error(piece, &err, missing.map(|used| used.name.as_str()))
            })?;
            match part {
                Part::Subject => rendered.subject = one_line(&text).into_owned(),
                Part::Text => rendered.text = text,
                Part::Html => rendered.html = Some(text),
            }
            if rendered.subject.is_empty() {
                return Err(TemplateError {
                    file: self.file.clone(),
                    line: piece.source.line,
                    what: format!("the subject for {} is empty", vars.address),
                    fix: "give its variables a default: {{ company or 'your company' }}".to_owned(),
                });
            }
        }
        Ok(rendered)
    }

    fn compile(&mut self, source: Source) -> Result<(), TemplateError> {
        let part = source.part;
        let ascii = name::to_ascii(&source.text);
        let mut piece = Piece { source, used: Vec::new() };
        let added = self.engine.add_template_owned(id(part), ascii);
        let compiled = added.and_then(|()| self.engine.get_template(id(part)));
        let mut keys: Vec<String> = match compiled {
            Ok(compiled) => compiled.undeclared_variables(false).into_iter().collect(),
            Err(err) => return Err(self.error(&piece, &err, None)),
        };
        keys.retain(|key| !self.engine.globals().any(|(global, _)| global == key));
        keys.sort_unstable();
        piece.used = keys.into_iter().map(Used::new).collect();
        // Unknown filters and endless loops show only in rendering: better here than at 9 o'clock.
        for sample in ["x", ""] {
            let context = piece.used.iter().map(|used| (used.key.as_str(), Value::from(sample)));
            match self.fill(part, Value::from_pairs(context)) {
                Err(err) if is_fault_of_template(err.kind()) => {
                    return Err(self.error(&piece, &err, None));
                }
                _ => (),
            }
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn fill(&self, part: Part, context: Value) -> Result<String, minijinja::Error> {
        self.engine.get_template(id(part))?.render(context)
    }

    fn error(&self, piece: &Piece, err: &minijinja::Error, missing: Option<&str>) -> TemplateError {
        let line = piece.source.line + err.line().map_or(0, |line| line.saturating_sub(1));
        let (what, fix) = match (err.kind(), missing) {
            (ErrorKind::UndefinedError, Some(name)) => (
                format!("the contact has no {name:?}"),
                format!("import that column, or write {{{{ {name} | default(\"…\") }}}}"),
            ),
            (kind, _) => {
                let detail = err.detail().map_or_else(String::new, |detail| format!(": {detail}"));
                (format!("{kind}{detail}"), "mend the expression on this line".to_owned())
            }
        };
        TemplateError { file: self.file.clone(), line, what, fix }
    }
}

/// A part's name in the template engine.
fn id(part: Part) -> &'static str {
    match part {
        Part::Subject => "subject",
        Part::Text => "text",
        Part::Html => "html",
    }
}

/// A text on one line: blanks and control characters become single spaces, none at the ends.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    let foul = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let text = text.trim();
    if !text.contains(foul) && !text.contains("  ") {
        return Cow::Borrowed(text);
    }
    let words = text.split(|c: char| c.is_whitespace() || foul(c)).filter(|word| !word.is_empty());
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

/// A text as HTML. The slash stays as it is, so that an unsubscribe link can be read in the source.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// One part as written, and what it looks up.
#[derive(Debug)]
struct Piece {
    source: Source,
    used: Vec<Used>,
}

impl Piece {
    fn context(&self, vars: &Vars<'_>) -> Value {
        Value::from_pairs(self.used.iter().filter_map(|used| {
            let value = match used.name.as_str() {
                "attributes" => Value::from_pairs(
                    vars.card.attributes.iter().map(|(k, v)| (k.as_str(), one_line(v))),
                ),
                name => Value::from(one_line(value_of(name, vars)?)),
            };
            Some((used.key.as_str(), value))
        }))
    }
}

/// A variable: its key in the engine and its English name or column header.
#[derive(Debug)]
struct Used {
    key: String,
    name: String,
}

impl Used {
    fn new(key: String) -> Self {
        let name = name::english(&name::plain(&key)).to_owned();
        Self { key, name }
    }

    fn is_given(&self, vars: &Vars<'_>) -> bool {
        self.name == "attributes" || value_of(&self.name, vars).is_some()
    }
}

fn is_ours(name: &str) -> bool {
    let fields = Card::default();
    matches!(name, "email" | "domain" | "sender" | "batch" | "unsubscribe_url" | "attributes")
        || fields.fields().iter().any(|(field, _)| *field == name)
}

/// What a variable stands for; `None` is undefined. A column is found by its header, or by its
/// header with `_` for blanks in any case (`annual_volume` for `Annual volume`).
fn value_of<'a>(name: &str, vars: &Vars<'a>) -> Option<&'a str> {
    match name {
        "email" => Some(vars.address),
        "domain" => Some(vars.address.rsplit_once('@').map_or("", |(_, domain)| domain)),
        "sender" => Some(vars.sender),
        "batch" => Some(vars.batch),
        "unsubscribe_url" => Some(vars.unsubscribe_url),
        _ => {
            let card = vars.card;
            let field = card.fields().into_iter().find(|(field, _)| *field == name);
            let exact = || card.attributes.iter().find(|(header, _)| header == name);
            let loose = || card.attributes.iter().find(|(header, _)| is_loosely(header, name));
            field
                .map(|(_, value)| value)
                .or_else(|| exact().or_else(loose).map(|(_, value)| value.as_str()))
        }
    }
}

/// Whether a template may call the column `header` by `name`.
#[must_use]
pub fn is_loosely(header: &str, name: &str) -> bool {
    header.len() == name.len()
        && header.bytes().zip(name.bytes()).all(|(a, b)| match a {
            b' ' | b'-' | b'.' => b == b'_',
            _ => a.eq_ignore_ascii_case(&b),
        })
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|part| match part {
        "html" => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    engine.set_formatter(|out, state, value| match (state.auto_escape(), value.as_str()) {
        (AutoEscape::Html, Some(text)) if !value.is_safe() => {
            out.write_str(&escape(text)).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    engine.set_fuel(Some(FUEL));
    engine.set_debug(false);
    engine.remove_filter("safe");
    engine.remove_global("debug");
    engine
}

fn is_fault_of_template(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::OutOfFuel
            | ErrorKind::MissingArgument
            | ErrorKind::TooManyArguments
    )
}
