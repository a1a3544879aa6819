//! The names that templates may use: contact fields in English and Chinese, and any column header.
//!
//! The template engine reads ASCII names only, so every other name is written in ASCII before a
//! template is compiled (`采购量` becomes `u__e98787…`), and `{姓名}`, the form people know from
//! other mailers, becomes `{{ 姓名 }}`. Lines stay where they were, so that errors name the right
//! one.

use std::borrow::Cow;

use data_encoding::HEXLOWER;

/// Before the hexadecimal UTF-8 bytes of a name that is not ASCII.
const PREFIX: &str = "u__";
/// What is known under a name of its own, beside the columns of the saved search.
const SYNONYMS: &[(&str, &str)] = &[
    ("姓名", "name"),
    ("客户姓名", "name"),
    ("联系人", "name"),
    ("公司", "company"),
    ("公司名称", "company"),
    ("客户公司", "company"),
    ("国家", "country"),
    ("客户国家", "country"),
    ("语言", "language"),
    ("职位", "title"),
    ("来源", "source"),
    ("邮箱", "email"),
    ("客户邮箱", "email"),
    ("电子邮件", "email"),
    ("address", "email"),
    ("域名", "domain"),
    ("发件人", "sender"),
    ("批次", "batch"),
    ("退订链接", "unsubscribe_url"),
    ("属性", "attributes"),
];

/// The English name of a variable: `姓名` is `name`; any other name is its own.
#[must_use]
pub fn english(name: &str) -> &str {
    SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map_or(name, |(_, english)| english)
}

/// The name as the author wrote it, from its ASCII form.
#[must_use]
pub fn plain(name: &str) -> Cow<'_, str> {
    name.strip_prefix(PREFIX)
        .and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map_or(Cow::Borrowed(name), Cow::Owned)
}

/// A template's source with every name in ASCII and `{姓名}` as a variable.
#[must_use]
pub fn to_ascii(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + source.len() / 4);
    let mut rest = source;
    while let Some((before, from)) = split_at_char(rest, '{') {
        out.push_str(before);
        rest = if let Some(code) = span(from, "{{", "}}") {
            tag(code, &mut out);
            after(from, code)
        } else if let Some(comment) = span(from, "{#", "#}") {
            out.push_str(comment);
            after(from, comment)
        } else if let Some(code) = span(from, "{%", "%}") {
            tag(code, &mut out);
            let tail = after(from, code);
            let verbatim = if is_raw(code) { tail.find("endraw").unwrap_or(tail.len()) } else { 0 };
            let (raw, tail) = tail.split_at_checked(verbatim).unwrap_or((tail, ""));
            out.push_str(raw);
            tail
        } else if let Some(name) = braced(from) {
            out.push_str("{{ ");
            tag(name, &mut out);
            out.push_str(" }}");
            from.get(name.len() + 2..).unwrap_or_default()
        } else {
            out.push('{');
            from.get(1..).unwrap_or_default()
        };
    }
    out.push_str(rest);
    out
}

/// `("ab", "{cd")` of `ab{cd`.
fn split_at_char(text: &str, found: char) -> Option<(&str, &str)> {
    text.find(found).and_then(|at| text.split_at_checked(at))
}

/// What follows `part`, which `text` begins with.
fn after<'a>(text: &'a str, part: &str) -> &'a str {
    text.get(part.len()..).unwrap_or_default()
}

/// The whole of `{{ … }}` at the start of `text`, an end within quotes not counted.
fn span<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            None if open != "{#" && matches!(c, '"' | '\'') => quote = Some(c),
            None if inner.get(at..)?.starts_with(close) => {
                return text.get(..open.len() + at + close.len());
            }
            _ => (),
        }
    }
    None
}

fn is_raw(code: &str) -> bool {
    code.trim_matches(|c: char| matches!(c, '{' | '}' | '%' | '-' | '+') || c.is_whitespace())
        == "raw"
}

/// The name in `{姓名}`: Chinese characters only, so that no style sheet is mistaken for a name.
fn braced(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    (!name.is_empty() && name.chars().all(is_han)).then_some(name)
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
}

/// One piece of template code, names in ASCII, what stands in quotes as it is.
fn tag(code: &str, out: &mut String) {
    let mut quote = None;
    let mut word = String::new();
    for c in code.chars() {
        if quote.is_none() && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        flush(&mut word, out);
        match quote {
            Some(q) if c == q => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => (),
        }
        out.push(c);
    }
    flush(&mut word, out);
}

fn flush(word: &mut String, out: &mut String) {
    if word.is_ascii() {
        out.push_str(word);
    } else {
        out.push_str(PREFIX);
        out.push_str(&HEXLOWER.encode(word.as_bytes()));
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ascii_and_nothing_else_changes() {
        let han = |name: &str| format!("u__{}", HEXLOWER.encode(name.as_bytes()));
        for (source, expected) in [
            ("Dear {{ name }},", "Dear {{ name }},".to_owned()),
            ("{{ 姓名 }}", format!("{{{{ {} }}}}", han("姓名"))),
            ("{姓名}!", format!("{{{{ {} }}}}!", han("姓名"))),
            (r#"{{ 姓名 or "客户}}" }}"#, format!(r#"{{{{ {} or "客户}}}}" }}}}"#, han("姓名"))),
            ("p {color: red} {a}", "p {color: red} {a}".to_owned()),
            ("{# 姓名 it's {公司} #}x", "{# 姓名 it's {公司} #}x".to_owned()),
            ("{% raw %}{公司}{% endraw %}", "{% raw %}{公司}{% endraw %}".to_owned()),
            ("{% if 职位 %}a{% endif %}", format!("{{% if {} %}}a{{% endif %}}", han("职位"))),
            ("{{ 姓名", "{{ 姓名".to_owned()),
            ("{", "{".to_owned()),
            ("{姓名", "{姓名".to_owned()),
            ("{姓名}{公司}", format!("{{{{ {} }}}}{{{{ {} }}}}", han("姓名"), han("公司"))),
        ] {
            assert_eq!(to_ascii(source), expected, "{source}");
        }
        assert_eq!(plain(&han("采购量")), "采购量");
        assert_eq!(plain("u__zz"), "u__zz");
        assert_eq!(english("客户姓名"), "name");
        assert_eq!(english("采购量"), "采购量");
    }

    proptest::proptest! {
        #[test]
        fn lines_stay_where_they_were(source in "[{}%# \n\"'a姓é]{0,60}") {
            let lines = |text: &str| text.matches('\n').count();
            assert_eq!(lines(&to_ascii(&source)), lines(&source));
        }
    }
}
