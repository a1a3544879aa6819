//! The day somebody says to be back, in the ways letters write dates.

use chrono::{Datelike, NaiveDate};

/// Characters between a word of return and its date.
const REACH: usize = 40;
/// Dates further off are about something else.
const DAYS_MAX: i64 = 400;

/// The day of return in a text (lower case): the date after a word of return or until, else the last
/// date of all. `sent` gives the year where none is written; without it only whole dates count.
#[must_use]
pub fn back(text: &str, sent: Option<NaiveDate>) -> Option<NaiveDate> {
    let dates = dates(text, sent);
    let sensible = |day: &NaiveDate| {
        sent.is_none_or(|sent| (0..=DAYS_MAX).contains(&(*day - sent).num_days()))
    };
    let named = WORDS.iter().flat_map(|word| text.match_indices(word)).filter_map(|(at, word)| {
        let from = at + word.len();
        let near = dates.iter().filter(|(start, day)| *start >= from && sensible(day));
        near.min_by_key(|(start, _)| *start).filter(|(start, _)| start - from <= REACH)
    });
    let named = named.max_by_key(|(_, day)| *day);
    let last = || dates.iter().filter(|(_, day)| sensible(day)).max_by_key(|(_, day)| *day);
    named.or_else(last).map(|(_, day)| *day)
}

/// Words before a day of return or the last day away.
const WORDS: &[&str] = &[
    "until",
    "through",
    "return",
    "back on",
    "back in the office on",
    "back from",
    "bis zum",
    "bis ",
    "zurück am",
    "ab dem",
    "wieder am",
    "jusqu'au",
    "retour le",
    "hasta el",
    "regreso el",
    "regresaré el",
    "fino al",
    "rientro il",
    "rientrerò il",
    "até",
    "regresso a",
    "tot en met",
    "tot ",
    "terug op",
    "t.o.m.",
    "till",
    "tillbaka",
    "tilbage",
    "tilbake",
    "asti",
    "saakka",
    "do dnia",
    "do ",
    "wracam",
    "вернусь",
    "до ",
    "по ",
    "tarihine kadar",
    "حتى",
    "至",
    "到",
    "直到",
    "まで",
    "까지",
    "đến",
    "sampai",
];

/// All dates of a text with their places.
fn dates(text: &str, sent: Option<NaiveDate>) -> Vec<(usize, NaiveDate)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let rest = tokens.get(at..).unwrap_or_default();
        if let Some(day) = numeric(rest, sent).or_else(|| worded(rest, sent)) {
            found.push((rest.first().map_or(0, |(start, _)| *start), day));
        }
    }
    found
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(u32, usize),
    Month(u32),
    Mark(char),
}

/// Numbers, month names and the marks between them; anything else parts dates.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_ascii_digit() {
            let mut digits = c.to_string();
            while let Some((_, next)) = chars.next_if(|(_, next)| next.is_ascii_digit()) {
                digits.push(next);
            }
            let token = match digits.parse() {
                Ok(number) if digits.len() <= 4 => Token::Number(number, digits.len()),
                _ => Token::Mark('?'),
            };
            tokens.push((at, token));
        } else if "年月日".contains(c) || "년월일".contains(c) {
            tokens.push((at, Token::Mark(c)));
        } else if c.is_alphabetic() {
            let mut word = c.to_string();
            while let Some((_, next)) =
                chars.next_if(|(_, next)| next.is_alphabetic() && !"年月日년월일".contains(*next))
            {
                word.push(next);
            }
            match month(&word) {
                Some(month) => tokens.push((at, Token::Month(month))),
                None if ["st", "nd", "rd", "th", "de", "of", "er", "den", "the"]
                    .contains(&word.as_str()) => {}
                None => tokens.push((at, Token::Mark('?'))),
            }
        } else if !c.is_whitespace() && c != ',' && c != '’' {
            tokens.push((at, Token::Mark(c)));
        }
    }
    tokens
}

/// `2024-09-15`, `15.09.2024`, `15/9/24`, `15.9.`, `2024年9月15日`, `9月15日`.
fn numeric(rest: &[(usize, Token)], sent: Option<NaiveDate>) -> Option<NaiveDate> {
    let token = |at: usize| rest.get(at).map(|(_, token)| token.clone());
    let (Some(Token::Number(a, width)), Some(Token::Mark(first))) = (token(0), token(1)) else {
        return None;
    };
    let Some(Token::Number(b, _)) = token(2) else { return None };
    let third = match (token(3), token(4)) {
        (Some(Token::Mark(mark)), Some(Token::Number(c, width))) => Some((mark, c, width)),
        _ => None,
    };
    match (first, third) {
        ('年' | '년', Some((_, day, _))) => {
            NaiveDate::from_ymd_opt(i32::try_from(a).ok()?, b, day)
        }
        ('月' | '월', _) => upcoming(a, b, sent),
        ('-' | '/' | '.', Some((mark, day, _))) if width == 4 && mark == first => {
            NaiveDate::from_ymd_opt(i32::try_from(a).ok()?, b, day)
        }
        ('-' | '/' | '.', Some((mark, year, 2 | 4))) if mark == first => {
            let year = i32::try_from(if year < 100 { 2000 + year } else { year }).ok()?;
            let day_first = a > 12 || first == '.';
            let month_first = b > 12 && first != '.';
            match (day_first, month_first) {
                (true, false) => NaiveDate::from_ymd_opt(year, b, a),
                (false, true) => NaiveDate::from_ymd_opt(year, a, b),
                // 05/06/2024 is two days: neither is said.
                _ => (a == b).then(|| NaiveDate::from_ymd_opt(year, a, b)).flatten(),
            }
        }
        ('.', None) if matches!(token(3), Some(Token::Mark('.'))) => upcoming(b, a, sent),
        _ => None,
    }
}

/// `15 September 2024`, `15. september`, `September 15, 2024`, `sept 15`.
fn worded(rest: &[(usize, Token)], sent: Option<NaiveDate>) -> Option<NaiveDate> {
    let mut parts = rest.iter().map(|(_, token)| token).filter(|token| **token != Token::Mark('.'));
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
    let (month, day) = match (first, second) {
        (Token::Number(day, 1 | 2), Token::Month(month))
        | (Token::Month(month), Token::Number(day, 1 | 2)) => (*month, *day),
        _ => return None,
    };
    match third {
        Some(Token::Number(year, 4)) => {
            NaiveDate::from_ymd_opt(i32::try_from(*year).ok()?, month, day)
        }
        _ => upcoming(month, day, sent),
    }
}

/// That day of the year of `sent`, or of the next one when it has passed.
fn upcoming(month: u32, day: u32, sent: Option<NaiveDate>) -> Option<NaiveDate> {
    let sent = sent?;
    let this = NaiveDate::from_ymd_opt(sent.year(), month, day)?;
    if this >= sent { Some(this) } else { NaiveDate::from_ymd_opt(sent.year() + 1, month, day) }
}

/// The month of a word (lower case), by how it begins.
fn month(word: &str) -> Option<u32> {
    let named = MONTHS.iter().position(|names| {
        names.iter().any(|name| match name.strip_suffix('*') {
            Some(stem) => word.starts_with(stem),
            None => word == *name,
        })
    })?;
    u32::try_from(named + 1).ok()
}

/// English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Finnish, Polish,
/// Czech, Hungarian, Romanian, Russian, Turkish.
const MONTHS: [&[&str]; 12] = [
    &[
        "jan",
        "januar*",
        "january",
        "janvier",
        "enero",
        "gennaio",
        "janeiro",
        "tammikuu*",
        "stycz*",
        "led*",
        "ianuarie",
        "янв*",
        "ocak",
    ],
    &[
        "feb",
        "febr*",
        "février",
        "fevrier",
        "fevereiro",
        "helmikuu*",
        "lut*",
        "únor*",
        "фев*",
        "şubat",
    ],
    &[
        "mar",
        "march",
        "märz",
        "mars",
        "marzo",
        "março",
        "maart",
        "marts",
        "maaliskuu*",
        "marz*",
        "březn*",
        "március",
        "martie",
        "мар*",
        "mart",
    ],
    &["apr", "april*", "avril", "abril", "aprile", "huhtikuu*", "kwie*", "dubn*", "апр*", "nisan"],
    &[
        "may",
        "mai",
        "mayo",
        "maggio",
        "maio",
        "mei",
        "maj",
        "maja",
        "toukokuu*",
        "květ*",
        "május",
        "мая",
        "май",
        "mayıs",
    ],
    &[
        "jun",
        "june",
        "juni",
        "juin",
        "junio",
        "giugno",
        "junho",
        "kesäkuu*",
        "czerw*",
        "červn*",
        "június",
        "iunie",
        "июн*",
        "haziran",
    ],
    &[
        "jul",
        "july",
        "juli",
        "juillet",
        "julio",
        "luglio",
        "julho",
        "heinäkuu*",
        "lip*",
        "červenc*",
        "július",
        "iulie",
        "июл*",
        "temmuz",
    ],
    &["aug", "august*", "août", "aout", "agosto", "elokuu*", "sierp*", "srpn*", "авг*", "ağustos"],
    &[
        "sep",
        "sept*",
        "setiembre",
        "settembre",
        "setembro",
        "syyskuu*",
        "wrze*",
        "září",
        "szept*",
        "сен*",
        "eylül",
    ],
    &[
        "oct",
        "oktober",
        "october",
        "okt",
        "octobre",
        "octubre",
        "ottobre",
        "outubro",
        "lokakuu*",
        "paździer*",
        "říj*",
        "október",
        "octombrie",
        "окт*",
        "ekim",
    ],
    &["nov", "novemb*", "noviembre", "marraskuu*", "listopad*", "noiembrie", "ноя*", "kasım"],
    &[
        "dec",
        "decemb*",
        "dez",
        "dezember",
        "décembre",
        "diciembre",
        "dicembre",
        "dezembro",
        "desember",
        "joulukuu*",
        "grud*",
        "prosin*",
        "дек*",
        "aralık",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_return_are_read_as_people_write_them() {
        let sent = NaiveDate::from_ymd_opt(2024, 9, 2);
        for (text, day) in [
            ("i am away until 15 september 2024 and will answer then", "2024-09-15"),
            ("back in the office on september 16th", "2024-09-16"),
            ("from 2 sept to 9 sept; back on 10 sept", "2024-09-10"),
            ("ich bin bis zum 15.09.2024 nicht im büro", "2024-09-15"),
            ("ich bin bis 15.9. im urlaub", "2024-09-15"),
            ("je serai de retour le 3 janvier", "2025-01-03"),
            ("estaré fuera hasta el 20 de septiembre de 2024", "2024-09-20"),
            ("休假至9月15日", "2024-09-15"),
            ("2024年9月20日まで不在です", "2024-09-20"),
            ("off 2024-09-02 to 2024-09-13", "2024-09-13"),
            ("я в отпуске до 16 сентября", "2024-09-16"),
            ("return on 09/25/2024", "2024-09-25"),
        ] {
            let found = back(text, sent).map(|day| day.to_string());
            assert_eq!(found.as_deref(), Some(day), "{text}");
        }
        for text in ["back soon", "return on 05/06/2024", "call +49 30 12345", "since 1 may 2019"] {
            assert_eq!(back(text, sent), None, "{text}");
        }
    }
}
