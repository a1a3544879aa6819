//! Leaves: conditions on the text of an address or of a contact's columns.
//!
//! Whoever holds the contacts judges each of them once per leaf and keeps a set per leaf, so that
//! evaluating a view is set algebra whose cost follows the contacts asked about, not the book.

use std::borrow::Cow;

use chrono::NaiveDate;

use crate::book::condition::{Cell, Op, Test, TextAt};
use crate::book::contact::Card;

/// A condition on texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    key: String,
    part: Part,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Address(TextAt, Vec<String>),
    Domain(TextAt, Vec<String>),
    Column(String, Test),
}

impl Leaf {
    /// On the whole address.
    #[must_use]
    pub fn address(at: TextAt, values: &[String]) -> Self {
        let values = folded(values);
        Self { key: format!("address {} {values:?}", at.as_str()), part: Part::Address(at, values) }
    }

    /// On what stands behind the `@`.
    #[must_use]
    pub fn domain(at: TextAt, values: &[String]) -> Self {
        let values = folded(values);
        Self { key: format!("domain {} {values:?}", at.as_str()), part: Part::Domain(at, values) }
    }

    /// On a field or column.
    #[must_use]
    pub fn column(name: &str, test: &Test) -> Self {
        let cell = |cell: &Cell| match cell {
            Cell::Text(text) => Cell::Text(text.to_lowercase()),
            other => other.clone(),
        };
        let test = match test {
            Test::OneOf(cells) => Test::OneOf(cells.iter().map(cell).collect()),
            Test::NoneOf(cells) => Test::NoneOf(cells.iter().map(cell).collect()),
            Test::Compares(op, with) => Test::Compares(*op, cell(with)),
            Test::Text(at, values) => Test::Text(*at, folded(values)),
            Test::Exists => Test::Exists,
        };
        let name = name.to_lowercase();
        Self { key: format!("attr {name:?} {test}"), part: Part::Column(name, test) }
    }

    /// The leaf's name: the same for the same condition, whatever the case of its values.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it compares with an empty text, which stands in every text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.part {
            Part::Address(_, values) | Part::Domain(_, values) => {
                values.iter().any(String::is_empty)
            }
            Part::Column(name, test) => {
                name.is_empty()
                    || matches!(test, Test::Text(_, values) if values.iter().any(String::is_empty))
            }
        }
    }

    /// Whether it looks at columns, which change.
    #[must_use]
    pub fn reads_card(&self) -> bool {
        matches!(self.part, Part::Column(..))
    }

    /// Whether it holds for a contact, whose address is given as
    /// [`crate::book::address::Address::key`].
    #[must_use]
    pub fn matches(&self, address_key: &str, card: &Card) -> bool {
        match &self.part {
            Part::Address(at, values) => values.iter().any(|value| at.finds(value, address_key)),
            Part::Domain(at, values) => {
                let domain = domain_of(address_key);
                values.iter().any(|value| at.finds(value, domain))
            }
            Part::Column(name, test) => holds(test, cells(name, card)),
        }
    }

    /// Whether one of its values may be hit in the middle of a name.
    #[must_use]
    pub fn may_hit_by_accident(&self) -> bool {
        match &self.part {
            Part::Address(TextAt::Ends, values) | Part::Domain(TextAt::Ends, values) => {
                values.iter().any(|value| !value.starts_with(['.', '@']))
            }
            _ => false,
        }
    }

    /// The value by which an address is hit in the middle of a name: `qq.com` hits `a@myqq.com`,
    /// which is another company's. `None` when it is not hit, or rightly.
    #[must_use]
    pub fn hits_by_accident(&self, address_key: &str) -> Option<&str> {
        let (Part::Address(TextAt::Ends, values) | Part::Domain(TextAt::Ends, values)) = &self.part
        else {
            return None;
        };
        let domain = domain_of(address_key);
        let mut hit = None;
        for value in values {
            let Some(before) = address_key.strip_suffix(value.as_str()) else { continue };
            let whole_names = value.starts_with(['.', '@'])
                || value.len() > domain.len()
                || before.ends_with(['.', '@']);
            if whole_names {
                return None;
            }
            hit = Some(value.as_str());
        }
        hit
    }
}

fn folded(values: &[String]) -> Vec<String> {
    let mut values: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn domain_of(address_key: &str) -> &str {
    address_key.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// The cells under a name (a file may have a header twice), empty ones left out.
fn cells<'a>(name: &'a str, card: &'a Card) -> impl Iterator<Item = &'a str> + Clone {
    let is = move |header: &str| {
        header.eq_ignore_ascii_case(name) || (!header.is_ascii() && header.to_lowercase() == name)
    };
    let fields = card.fields().into_iter().filter(move |(field, _)| *field == name);
    let others = card.attributes.iter().filter(move |(header, _)| is(header));
    fields
        .map(|(_, value)| value)
        .chain(others.map(|(_, value)| value.as_str()))
        .filter(|value| !value.is_empty())
}

fn holds<'a>(test: &Test, mut cells: impl Iterator<Item = &'a str> + Clone) -> bool {
    match test {
        Test::Exists => cells.next().is_some(),
        Test::OneOf(wanted) => {
            cells.any(|cell| wanted.iter().any(|want| compares(cell, Op::Eq, want)))
        }
        Test::NoneOf(wanted) => {
            !cells.any(|cell| wanted.iter().any(|want| compares(cell, Op::Eq, want)))
        }
        Test::Compares(op, with) => cells.any(|cell| compares(cell, *op, with)),
        Test::Text(at, values) => cells.any(|cell| {
            let cell = lower(cell);
            values.iter().any(|value| at.finds(value, &cell))
        }),
    }
}

fn compares(cell: &str, op: Op, with: &Cell) -> bool {
    match with {
        Cell::Text(text) => op.holds(lower(cell).as_ref().cmp(text)),
        Cell::Number(number) => cell
            .parse::<f64>()
            .ok()
            .filter(|found| found.is_finite())
            .and_then(|found| found.partial_cmp(number))
            .is_some_and(|found| op.holds(found)),
        Cell::Date(date) => date_in(cell).is_some_and(|found| op.holds(found.cmp(date))),
    }
}

fn lower(cell: &str) -> Cow<'_, str> {
    let plain = cell.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if plain { Cow::Borrowed(cell) } else { Cow::Owned(cell.to_lowercase()) }
}

/// The date a cell begins with, as 2024-09-05, 2024/9/5 or 2024.9.5; a time of day may follow.
#[must_use]
pub fn date_in(cell: &str) -> Option<NaiveDate> {
    let date = cell.split([' ', 'T']).next()?;
    ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"]
        .into_iter()
        .find_map(|form| NaiveDate::parse_from_str(date, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(pairs: &[(&str, &str)]) -> Card {
        let attributes = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Card { country: "Österreich".to_owned(), attributes, ..Card::default() }
    }

    #[test]
    fn cells_compare_as_what_they_are() {
        let card = card(&[
            ("Employees", "12"),
            ("Founded", "1999-05-01"),
            ("行业", "Pumps"),
            ("Employees", "x"),
        ]);
        let number = |op, n| Test::Compares(op, Cell::Number(n));
        let text = |text: &str| vec![Cell::Text(text.to_owned())];
        let date = |y| Cell::Date(NaiveDate::from_ymd_opt(y, 1, 1).unwrap());
        for (name, test, expected) in [
            ("employees", number(Op::Gt, 9.0), true),
            ("employees", number(Op::Gt, 12.0), false),
            ("employees", Test::OneOf(vec![Cell::Number(12.0)]), true),
            ("employees", Test::OneOf(text("X")), true),
            ("employees", Test::NoneOf(text("x")), false),
            ("founded", Test::Compares(Op::Lt, date(2000)), true),
            ("founded", Test::Compares(Op::Lt, date(1999)), false),
            ("founded", number(Op::Gt, 1.0), false),
            ("country", Test::OneOf(text("ÖSTERREICH")), true),
            ("country", Test::Text(TextAt::Contains, vec!["REICH".to_owned()]), true),
            ("行业", Test::Text(TextAt::Starts, vec!["pump".to_owned()]), true),
            ("nothing", Test::Exists, false),
            ("行业", Test::Exists, true),
            ("nothing", Test::NoneOf(text("a")), true),
            ("title", Test::Exists, false),
        ] {
            assert_eq!(Leaf::column(name, &test).matches("a@b", &card), expected, "{name} {test}");
        }
        for (cell, found) in
            [("2024/9/5", true), ("2024-09-05T10:00", true), ("5.9.2024", false), ("", false)]
        {
            assert_eq!(date_in(cell).is_some(), found, "{cell}");
        }
    }

    #[test]
    fn a_suffix_may_hit_by_accident() {
        let leaf = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            Leaf::address(TextAt::Ends, &values)
        };
        for (values, address, hit) in [
            (vec!["qq.com"], "a@myqq.com", Some("qq.com")),
            (vec!["qq.com"], "a@qq.com", None),
            (vec!["qq.com"], "a@vip.qq.com", None),
            (vec!["qq.com"], "a@b.example", None),
            (vec![".cn"], "a@b.cn", None),
            (vec!["@qq.com"], "a@qq.com", None),
            (vec!["qq.com", "myqq.com"], "a@myqq.com", None),
            (vec!["cn"], "a@b.cn", None),
            (vec!["le"], "a@b.example", Some("le")),
        ] {
            assert_eq!(leaf(&values).hits_by_accident(address), hit, "{values:?} {address}");
        }
    }
}
