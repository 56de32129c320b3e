//! Builds an entry from the columns of a CSV file: by the header of our own export, by a map, or by the
//! headers that other programs write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use csv::StringRecord;

use crate::csv_cell::{unmarked, values};
use crate::draft::{Draft, key_of_mail};
use crate::error::{OpenError, did_you_mean, listed};
use crate::guid;
use crate::headers::{Meaning, OWN, meanings, phone_attribute};
use crate::map::{Compiled, Filled, Map, Template};

/// The separator that Google Contacts writes between several values of one field.
const GOOGLE_SEPARATOR: &str = " ::: ";

/// The way in which rows are read.
pub(crate) enum Columns {
    /// A file of our own export, which is read back exactly.
    Own {
        /// Whether values may have the mark of a file for people.
        for_people: bool,
        /// The attributes of the columns after the fixed ones.
        attributes: Vec<String>,
    },
    /// Any other file.
    Foreign(Plan),
}

/// The columns of a foreign file that make up an entry.
pub(crate) struct Plan {
    origin: Option<usize>,
    key: Compiled,
    key_is_uuid: bool,
    pub(crate) key_is_mail: bool,
    kind: Option<Compiled>,
    /// The name is the first of these that has a value.
    names: Vec<Compiled>,
    name_by_address: bool,
    addresses: Vec<Compiled>,
    aliases: Option<usize>,
    details: Vec<Detail>,
}

struct Detail {
    attribute: String,
    value: Compiled,
    /// The column with the sort of a telephone number.
    sort: Option<usize>,
}

/// The parts of a row that are not in its record.
#[derive(Default)]
pub(crate) struct Subject {
    pub(crate) origin: String,
    pub(crate) key: String,
}

impl Columns {
    /// Reads a row into `draft` and `subject`. `value` is scratch space.
    pub(crate) fn fill(
        &self,
        row: &StringRecord,
        draft: &mut Draft,
        subject: &mut Subject,
        value: &mut String,
    ) {
        draft.clear();
        subject.origin.clear();
        subject.key.clear();
        match self {
            Self::Own { for_people, attributes } => {
                fill_own(row, *for_people, attributes, draft, subject);
            }
            Self::Foreign(plan) => plan.fill(row, draft, subject, value),
        }
    }

    /// The columns of a file of our own export, or `None` if it has another header.
    pub(crate) fn of_own(headers: &StringRecord) -> Option<Self> {
        let fixed = headers.iter().take(OWN.len());
        if headers.len() < OWN.len() || !fixed.zip(OWN).all(|(a, b)| a.eq_ignore_ascii_case(b)) {
            return None;
        }
        // Only a file for people has capitals in its header. In the other one an apostrophe at the
        // beginning of a value belongs to the value.
        let for_people = headers.get(0).is_some_and(|header| header.starts_with('O'));
        let attributes = headers.iter().skip(OWN.len());
        Some(Self::Own {
            for_people,
            attributes: attributes.map(|name| one_spelling(name.trim())).collect(),
        })
    }
}

/// An attribute name in its one spelling. A text that is not one is kept, so that the check of the
/// record can report it.
fn one_spelling(name: &str) -> String {
    name.parse::<dirsync_directory::AttributeName>()
        .map_or_else(|_| name.to_owned(), |name| name.as_str().to_owned())
}

fn fill_own(
    row: &StringRecord,
    for_people: bool,
    attributes: &[String],
    draft: &mut Draft,
    subject: &mut Subject,
) {
    let mut fields = row.iter().map(|field| if for_people { unmarked(field) } else { field });
    let mut field = || fields.next().unwrap_or_default();
    subject.origin.push_str(field());
    subject.key.push_str(field());
    let kind = field();
    if !kind.is_empty() {
        draft.kind(kind);
    }
    draft.name(field());
    let primary = field();
    if !primary.is_empty() {
        draft.address(primary);
    }
    for alias in values(field()) {
        draft.address(&alias);
    }
    for attribute in attributes {
        for value in values(field()) {
            draft.detail(attribute, &value);
        }
    }
}

impl Plan {
    fn fill(
        &self,
        row: &StringRecord,
        draft: &mut Draft,
        subject: &mut Subject,
        value: &mut String,
    ) {
        subject.origin.push_str(self.origin.and_then(|at| row.get(at)).unwrap_or_default().trim());
        // A key with an empty part could be the same for many rows, so it is no key.
        if self.key.fill(row, value) == Filled::Whole {
            if self.key_is_uuid {
                subject.key = guid::canonical(value);
            } else if self.key_is_mail {
                let first = value.split(GOOGLE_SEPARATOR).next().unwrap_or_default();
                subject.key.push_str(&key_of_mail(first));
            } else {
                subject.key.push_str(value);
            }
        }
        if let Some(kind) = &self.kind
            && kind.fill(row, value) != Filled::Empty
        {
            draft.kind(value);
        }
        for name in &self.names {
            if name.fill(row, value) != Filled::Empty {
                draft.name(value);
                break;
            }
        }
        for address in &self.addresses {
            if address.fill(row, value) == Filled::Whole {
                for (number, part) in value.split(GOOGLE_SEPARATOR).enumerate() {
                    let kind = value.split_once(':').map_or("", |(kind, _)| kind);
                    if number == 0 {
                        draft.address(part.trim_end());
                    } else {
                        draft.address(&format!("{kind}:{}", part.trim()));
                    }
                }
            }
        }
        for alias in self.aliases.and_then(|at| row.get(at)).unwrap_or_default().lines() {
            if !alias.trim().is_empty() {
                draft.address(alias.trim());
            }
        }
        for detail in &self.details {
            detail.fill(row, draft, value);
        }
        if self.name_by_address {
            draft.name_by_address();
        }
    }

    /// The plan of a map.
    ///
    /// # Errors
    ///
    /// If the map names a column that the file does not have.
    pub(crate) fn of_map(
        path: &Path,
        headers: &StringRecord,
        map: &Map,
    ) -> Result<Self, OpenError> {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for (at, name) in headers.iter().enumerate() {
            numbers.entry(name.trim().to_lowercase()).or_insert(at);
        }
        let index = |column: &str| {
            numbers.get(&column.trim().to_lowercase()).copied().ok_or_else(|| OpenError::NoColumn {
                path: path.to_owned(),
                column: column.to_owned(),
                hint: did_you_mean(column, headers.iter().map(str::trim)),
            })
        };
        let compile = |template: &Template| template.compile(index);
        let detail = |(name, template): (&dirsync_directory::AttributeName, _)| {
            let value = compile(template)?;
            Ok(Detail { attribute: name.as_str().to_owned(), value, sort: None })
        };
        Ok(Self {
            origin: None,
            key: compile(&map.key)?,
            key_is_uuid: false,
            key_is_mail: false,
            kind: map.kind.as_ref().map(compile).transpose()?,
            names: vec![compile(&map.name)?],
            name_by_address: false,
            addresses: map.address.iter().map(compile).collect::<Result<_, _>>()?,
            aliases: None,
            details: map.details.iter().map(detail).collect::<Result<_, OpenError>>()?,
        })
    }

    /// The plan for a file without a map, by the headers that are known.
    ///
    /// # Errors
    ///
    /// If no column is a name, or none is an address.
    pub(crate) fn of_headers(
        path: &Path,
        headers: &StringRecord,
        notes: &mut Vec<String>,
    ) -> Result<Self, OpenError> {
        let known = Known(meanings(headers.iter()));
        let no_subject = |what| OpenError::NoSubject {
            path: path.to_owned(),
            what,
            columns: headers.iter().map(str::trim).collect::<Vec<_>>().join(", "),
        };
        let mails =
            known.all(|meaning| if let Meaning::Mail(n) = meaning { Some(n) } else { None });
        let address = known.first(Meaning::Address);
        if address.is_none() && mails.is_empty() {
            return Err(no_subject("an address"));
        }
        let names = known.names();
        if names.is_empty() {
            return Err(no_subject("a name"));
        }
        let keys = known.all(|meaning| if let Meaning::Key(n) = meaning { Some(n) } else { None });
        let key_is_mail = keys.is_empty();
        let key = keys.first().or(mails.first()).copied().or(address).unwrap_or_default();
        notes.push(if key_is_mail {
            "warning: no column is a key; the mail address is used, so an entry whose address \
             changes is another entry"
                .into()
        } else {
            format!("the key is the column \"{}\"", headers.get(key).unwrap_or_default().trim())
        });
        let unused = known.unused(headers);
        if !unused.is_empty() {
            notes.push(format!("warning: columns that are not used: {}", listed(&unused)));
        }
        let mails = mails.into_iter().map(|at| Compiled::prefixed("SMTP:", at));
        Ok(Self {
            origin: known.first(Meaning::Origin),
            key: Compiled::column(key),
            key_is_uuid: matches!(known.0[key], Some(Meaning::Key(1 | 2))),
            key_is_mail,
            kind: known.first(Meaning::Kind).map(Compiled::column),
            names,
            name_by_address: true,
            addresses: address.map(Compiled::column).into_iter().chain(mails).collect(),
            aliases: known.first(Meaning::Aliases),
            details: known.details(),
        })
    }
}

/// The meanings of a header's columns.
struct Known(Vec<Option<Meaning>>);

impl Known {
    fn first(&self, wanted: Meaning) -> Option<usize> {
        self.0.iter().position(|meaning| *meaning == Some(wanted))
    }

    /// The columns for which `rank` returns a rank, in the order of the ranks.
    fn all(&self, rank: impl Fn(Meaning) -> Option<u8>) -> Vec<usize> {
        let meanings = self.0.iter().enumerate();
        let mut found: Vec<(u8, usize)> =
            meanings.filter_map(|(at, meaning)| Some((rank((*meaning)?)?, at))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }

    /// The columns of the name, in the order of preference: the display name, its parts, the
    /// organisation. The organisation only stands in for rows without a name, in a file that has
    /// names.
    fn names(&self) -> Vec<Compiled> {
        let whole = self.all(|m| if let Meaning::Name(n) = m { Some(n) } else { None });
        let parts = self.all(|m| if let Meaning::NamePart(n) = m { Some(n) } else { None });
        let organisation = self.all(|m| matches!(m, Meaning::Detail("o" | "company")).then_some(0));
        let mut names: Vec<Compiled> = whole.into_iter().map(Compiled::column).collect();
        if !parts.is_empty() {
            names.push(Compiled::joined(&parts));
        }
        if !names.is_empty() {
            names.extend(organisation.into_iter().map(Compiled::column));
        }
        names
    }

    fn details(&self) -> Vec<Detail> {
        let detail = |at, attribute: &str, sort| Detail {
            attribute: attribute.to_owned(),
            value: Compiled::column(at),
            sort,
        };
        let meanings = self.0.iter().enumerate();
        meanings
            .filter_map(|(at, meaning)| match (*meaning)? {
                Meaning::Detail(attribute) => Some(detail(at, attribute, None)),
                Meaning::Key(3) => Some(detail(at, "employeeNumber", None)),
                Meaning::NamePart(0) => Some(detail(at, "givenName", None)),
                Meaning::NamePart(2) => Some(detail(at, "sn", None)),
                Meaning::Phone(n) => {
                    Some(detail(at, "telephoneNumber", self.first(Meaning::PhoneSort(n))))
                }
                _ => None,
            })
            .collect()
    }

    fn unused(&self, headers: &StringRecord) -> BTreeSet<String> {
        let columns = headers.iter().zip(&self.0);
        columns
            .filter(|(_, meaning)| meaning.is_none())
            .map(|(header, _)| header.trim())
            .filter(|header| !header.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Detail {
    fn fill(&self, row: &StringRecord, draft: &mut Draft, value: &mut String) {
        if self.value.fill(row, value) == Filled::Empty {
            return;
        }
        let attribute = match self.sort.and_then(|at| row.get(at)) {
            Some(sort) => phone_attribute(sort),
            None => &self.attribute,
        };
        for part in value.split(GOOGLE_SEPARATOR) {
            draft.detail(attribute, part);
        }
    }
}
