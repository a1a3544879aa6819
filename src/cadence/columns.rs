//! Columns: which one of a saved search means what, by its name in English or Chinese.
//!
//! Names are compared without case, blanks, `_`, `-` and `/`. What no field answers to becomes an
//! attribute under its own name.

use csv::StringRecord;

use crate::book::contact::{Card, Kind};
use crate::cadence::fault::{RowFault, Unreadable};

/// Most bytes in one cell: 4 KiB.
pub const CELL_BYTES_MAX: usize = 4096;

/// Most columns: a header with more is none.
const COLUMNS_MAX: usize = 1000;

/// What one row says, cells trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    /// The address as it stands in the row, never empty.
    pub address: String,
    /// What the row says about the contact.
    pub card: Card,
    /// 精准 or 普通, if the row says.
    pub kind: Option<Kind>,
    /// The place within (company, kind), if the row says; from 1.
    pub rank: Option<u32>,
    /// Tags of this row, beside those of the whole import.
    pub tags: Vec<String>,
    first: String,
    last: String,
}

/// What a column is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Address,
    Name,
    First,
    Last,
    Company,
    Country,
    Language,
    Title,
    Kind,
    Rank,
    Source,
    Tags,
    Attribute,
}

/// The names a field answers to, [`plain`]; the first is how a mapping spells it.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::Address,
        &[
            "email",
            "mail",
            "emailaddress",
            "mailaddress",
            "邮箱",
            "邮件",
            "电子邮件",
            "电子邮箱",
            "邮件地址",
            "邮箱地址",
            "电子邮件地址",
        ],
    ),
    (Field::Name, &["name", "fullname", "contactname", "姓名", "联系人", "联系人姓名", "客户姓名"]),
    (Field::First, &["firstname", "givenname", "名"]),
    (Field::Last, &["lastname", "surname", "familyname", "姓"]),
    (Field::Company, &["company", "companyname", "公司", "公司名", "公司名称"]),
    (Field::Country, &["country", "国家", "国家地区"]),
    (Field::Language, &["language", "语言", "语种"]),
    (Field::Title, &["title", "jobtitle", "position", "职位", "职务"]),
    (Field::Kind, &["kind", "type", "类型", "邮箱类型"]),
    (Field::Rank, &["rank", "序号", "排序", "编号"]),
    (Field::Source, &["source", "来源"]),
    (Field::Tags, &["tags", "tag", "标签"]),
    (Field::Attribute, &["domain", "域名"]),
];

/// A header, understood.
#[derive(Clone, Debug)]
pub struct Columns {
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    field: Field,
    name: String,
}

impl Columns {
    /// Reads the header that stands on `line`; `map` holds (header, field) pairs that go before the
    /// names known here.
    ///
    /// # Errors
    /// [`Unreadable`] when no column holds addresses, or `map` does not fit.
    pub fn of(
        line: u64,
        header: &StringRecord,
        map: &[(String, String)],
    ) -> Result<Self, Unreadable> {
        if header.len() > COLUMNS_MAX {
            return Err(Unreadable::Columns { line, found: header.len(), max: COLUMNS_MAX });
        }
        let found = || listed(header);
        let absent = |typed: &str| header.iter().all(|name| plain(name) != plain(typed));
        if let Some((typed, _)) = map.iter().find(|(typed, _)| absent(typed)) {
            return Err(Unreadable::MapHeader { header: typed.clone(), found: found() });
        }
        let mut new = Self { columns: Vec::with_capacity(header.len()) };
        for name in header {
            new.push(name, map)?;
        }
        if !new.has(Field::Address) {
            // `address` is a street as often as not: it counts only where nothing else does.
            let address = new.columns.iter_mut().find(|column| plain(&column.name) == "address");
            let none = || Unreadable::NoAddressColumn { line, found: found() };
            address.ok_or_else(none)?.field = Field::Address;
        }
        if new.has(Field::Name) {
            let parts = |column: &&mut Column| matches!(column.field, Field::First | Field::Last);
            new.columns.iter_mut().filter(parts).for_each(|c| c.field = Field::Attribute);
        }
        Ok(new)
    }

    /// Reads the keys of a JSON object as a header.
    ///
    /// # Errors
    /// A [`RowFault`] when no key is one of addresses, or there are too many.
    pub fn of_keys(keys: &StringRecord, map: &[(String, String)]) -> Result<Self, RowFault> {
        let used = |(typed, _): &&(String, String)| keys.iter().any(|k| plain(k) == plain(typed));
        let map: Vec<_> = map.iter().filter(used).cloned().collect();
        Self::of(0, keys, &map).map_err(|fault| match fault {
            Unreadable::Columns { found, max, .. } => {
                RowFault::Json { reason: format!("{found} keys, at most {max}") }
            }
            _ => RowFault::NoAddress,
        })
    }

    /// One column of addresses and nothing else.
    #[must_use]
    pub fn bare() -> Self {
        Self { columns: vec![Column { field: Field::Address, name: "email".to_owned() }] }
    }

    /// Whether a header of that name is one of addresses.
    #[must_use]
    pub fn names_addresses(header: &str) -> bool {
        let name = plain(header);
        name == "address" || field(&name) == Some(Field::Address)
    }

    /// The field of a contact's card that a header of that name fills, as `card` spells it.
    #[must_use]
    pub fn card_field(header: &str) -> Option<&'static str> {
        match field(&plain(header))? {
            Field::Name => Some("name"),
            Field::Company => Some("company"),
            Field::Country => Some("country"),
            Field::Language => Some("language"),
            Field::Title => Some("title"),
            Field::Source => Some("source"),
            _ => None,
        }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// A [`RowFault`] when the width is another than the header's or a cell is not what its column
    /// promises.
    pub fn cells(&self, record: &StringRecord) -> Result<Cells, RowFault> {
        if record.len() != self.columns.len() {
            return Err(RowFault::Width { found: record.len(), expected: self.columns.len() });
        }
        let mut cells = Cells::default();
        for (column, cell) in self.columns.iter().zip(record) {
            column.put(cell, &mut cells)?;
        }
        Self::whole(cells)
    }

    /// Whether every mapping names a field.
    ///
    /// # Errors
    /// [`Unreadable::MapField`] for the first that does not.
    pub fn check(map: &[(String, String)]) -> Result<(), Unreadable> {
        let strange = map.iter().find(|(_, named)| field(&plain(named)).is_none());
        strange.map_or(Ok(()), |(header, field)| {
            Err(Unreadable::MapField { header: header.clone(), field: field.clone() })
        })
    }

    /// A second column of the same name, or for the same field, becomes an attribute.
    fn push(&mut self, header: &str, map: &[(String, String)]) -> Result<(), Unreadable> {
        let name = plain(header);
        let typed = map.iter().find(|(typed, _)| plain(typed) == name).map(|(_, to)| plain(to));
        let known = field(typed.as_deref().unwrap_or(&name));
        let field = known.filter(|field| !self.has(*field)).unwrap_or(Field::Attribute);
        let stem = match (known, header.trim()) {
            // 域名 is asked for as `domain`, whatever the file calls it.
            (Some(Field::Attribute), _) => "domain".to_owned(),
            (_, "") => format!("column_{}", self.columns.len() + 1),
            (_, header) => header.to_owned(),
        };
        let taken = |name: &str| self.columns.iter().any(|column| column.name == name);
        let numbered = (2..).map(|n: u32| format!("{stem}_{n}"));
        let mut names = std::iter::once(stem.clone()).chain(numbered);
        let name = names.find(|name| !taken(name)).unwrap_or_default();
        self.columns.push(Column { field, name });
        Ok(())
    }

    fn has(&self, field: Field) -> bool {
        field != Field::Attribute && self.columns.iter().any(|column| column.field == field)
    }

    /// Joins first and last name where no column has the whole, and asks for an address.
    fn whole(mut cells: Cells) -> Result<Cells, RowFault> {
        if cells.address.is_empty() {
            return Err(RowFault::NoAddress);
        }
        let (first, last) = (std::mem::take(&mut cells.first), std::mem::take(&mut cells.last));
        if !first.is_empty() || !last.is_empty() {
            let chinese = |text: &str| text.chars().any(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c));
            cells.card.name = match (first.is_empty(), last.is_empty()) {
                (false, false) if chinese(&last) => last + &first,
                (false, false) => format!("{first} {last}"),
                _ => first + &last,
            };
        }
        Ok(cells)
    }
}

impl Column {
    fn put(&self, cell: &str, into: &mut Cells) -> Result<(), RowFault> {
        let cell = cell.trim();
        if cell.is_empty() {
            return Ok(());
        }
        let column = || self.name.clone();
        if cell.len() > CELL_BYTES_MAX {
            let (bytes, max) = (cell.len(), CELL_BYTES_MAX);
            return Err(RowFault::Cell { column: column(), bytes, max });
        }
        let one_line = matches!(self.field, Field::Name | Field::First | Field::Last);
        if cell.bytes().any(|b| b == 0 || (one_line && matches!(b, b'\r' | b'\n'))) {
            return Err(RowFault::Control { column: column() });
        }
        let value = || cell.to_owned();
        match self.field {
            Field::Address => into.address = value(),
            Field::Name => into.card.name = value(),
            Field::First => into.first = value(),
            Field::Last => into.last = value(),
            Field::Company => into.card.company = value(),
            Field::Country => into.card.country = value(),
            Field::Language => into.card.language = value(),
            Field::Title => into.card.title = value(),
            Field::Source => into.card.source = value(),
            Field::Attribute => into.card.attributes.push((column(), value())),
            Field::Kind => {
                let fault = || RowFault::Kind { column: column(), value: value() };
                into.kind = Some(kind(cell).ok_or_else(fault)?);
            }
            Field::Rank => {
                let fault = || RowFault::Rank { column: column(), value: value() };
                let rank = cell.parse().ok().filter(|rank| *rank > 0);
                into.rank = Some(rank.ok_or_else(fault)?);
            }
            Field::Tags => {
                let tags = cell.split([';', '；', '|', ',']).map(str::trim);
                into.tags.extend(tags.filter(|tag| !tag.is_empty()).map(str::to_owned));
            }
        }
        Ok(())
    }
}

/// The names of a header as a message can hold them.
fn listed(header: &StringRecord) -> String {
    const SHOWN: usize = 20;
    let short = |name: &str| name.trim().chars().take(40).collect::<String>();
    let names: Vec<_> = header.iter().take(SHOWN).map(short).collect();
    let more = if header.len() > SHOWN { ", …" } else { "" };
    names.join(", ") + more
}

fn kind(cell: &str) -> Option<Kind> {
    match cell.to_lowercase().as_str() {
        "精准" | "precise" => Some(Kind::Precise),
        "普通" | "ordinary" | "general" => Some(Kind::Ordinary),
        _ => None,
    }
}

fn field(plain: &str) -> Option<Field> {
    let mut names = NAMES.iter();
    names.find(|(_, names)| names.contains(&plain)).map(|(field, _)| *field)
}

/// A name without case, blanks, `_`, `-`, `/` and the byte order mark.
fn plain(name: &str) -> String {
    let kept = |c: &char| !c.is_whitespace() && !matches!(c, '_' | '-' | '/' | '\u{FEFF}');
    name.chars().filter(kept).flat_map(char::to_lowercase).collect()
}
