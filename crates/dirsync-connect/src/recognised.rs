//! The map of a file without a map: what its columns mean, by their names.

use std::collections::BTreeMap;

use dirsync_directory::{AttributeName, Filter};

use crate::headers::{Meaning, PLACE_PARTS, meanings};
use crate::map::{Function, Line, Map, Part, Rule, Template, Value};

/// The separator that Google Contacts writes between several values of one field.
const GOOGLE_SEPARATOR: &str = " ::: ";

/// The map of a file with these columns. It has no rule for an address if no column is known to be one.
pub(crate) fn map_of(names: &[&str]) -> Map {
    let google = names.iter().any(|name| name.trim().to_lowercase().ends_with(" - value"));
    let separator = google.then(|| Function::Split(GOOGLE_SEPARATOR.into()));
    Known { meanings: meanings(names.iter().copied()), names, separator }.map()
}

/// The columns that are known.
struct Known<'a> {
    names: &'a [&'a str],
    meanings: Vec<Option<Meaning>>,
    /// Splits the values of a field, if the file writes several into one.
    separator: Option<Function>,
}

impl Known<'_> {
    fn map(&self) -> Map {
        let mails = self.ranked(|m| if let Meaning::Mail(n) = m { Some(n) } else { None });
        let keys = self.ranked(|m| if let Meaning::Key(n) = m { Some(n) } else { None });
        let address = self.first(Meaning::Address);
        let key = keys.first().or(mails.first()).copied().or(address);
        let mut addresses: Line = address.map(|at| self.column(at)).into_iter().collect();
        addresses.extend(mails.iter().map(|at| self.prefixed("SMTP:", *at)));
        addresses.extend(self.first(Meaning::Aliases).map(|at| self.split(at, "\n")));
        Map {
            lenient: true,
            origin: self.first(Meaning::Origin).map(|at| self.column(at)).into_iter().collect(),
            key: key.map(|at| self.column(at)).into_iter().collect(),
            name: self.name_rules(&mails, address),
            address: addresses,
            kind: self.first(Meaning::Kind).map(|at| self.column(at)).into_iter().collect(),
            details: self.details(),
            ..Map::default()
        }
    }

    fn first(&self, wanted: Meaning) -> Option<usize> {
        self.meanings.iter().position(|meaning| *meaning == Some(wanted))
    }

    /// The columns for which `rank` returns a rank, in the order of the ranks. Of columns with the same
    /// name there is one.
    fn ranked(&self, rank: impl Fn(Meaning) -> Option<u8>) -> Vec<usize> {
        let meanings = self.meanings.iter().enumerate();
        let mut found: Vec<(u8, usize)> =
            meanings.filter_map(|(at, meaning)| Some((rank((*meaning)?)?, at))).collect();
        found.sort_unstable();
        let mut columns: Vec<usize> = Vec::new();
        for (_, at) in found {
            let same = |other: &usize| self.names[*other].eq_ignore_ascii_case(self.names[at]);
            if !columns.iter().any(same) {
                columns.push(at);
            }
        }
        columns
    }

    fn value(&self, at: usize) -> Value {
        let functions = self.separator.iter().cloned().collect();
        Value { columns: vec![self.names[at].trim().to_owned()], functions }
    }

    fn column(&self, at: usize) -> Rule {
        Template::of(vec![Part::Value(self.value(at))]).into()
    }

    fn prefixed(&self, prefix: &str, at: usize) -> Rule {
        Template::of(vec![Part::Text(prefix.into()), Part::Value(self.value(at))]).into()
    }

    fn split(&self, at: usize, separator: &str) -> Rule {
        let functions = vec![Function::Split(separator.into())];
        let value = Value { columns: vec![self.names[at].trim().to_owned()], functions };
        Template::of(vec![Part::Value(value)]).into()
    }

    /// The rules of the name, in the order of preference: the display name, its parts, the organisation,
    /// the address.
    fn name_rules(&self, mails: &[usize], address: Option<usize>) -> Line {
        let whole = self.ranked(|m| if let Meaning::Name(n) = m { Some(n) } else { None });
        let parts = self.ranked(|m| if let Meaning::NamePart(n) = m { Some(n) } else { None });
        let organisation =
            self.ranked(|m| matches!(m, Meaning::Detail("o" | "company")).then_some(0));
        let mut names: Line = whole.into_iter().map(|at| self.column(at)).collect();
        if !parts.is_empty() {
            let mut template = Vec::new();
            for at in parts {
                if !template.is_empty() {
                    template.push(Part::Text(" ".into()));
                }
                template.push(Part::Value(self.value(at)));
            }
            names.push(Template::of(template).into());
        }
        names.extend(organisation.into_iter().map(|at| self.column(at)));
        names.extend(mails.iter().map(|at| self.column(*at)));
        names.extend(address.and_then(|at| {
            let without_type = ["^[^:]*:".to_owned(), String::new()];
            let function = Function::of("replace", &without_type).ok()?;
            let value = Value { functions: vec![function], ..self.value(at) };
            Some(Rule::new(Template::of(vec![Part::Value(value)])))
        }));
        names
    }

    fn details(&self) -> BTreeMap<AttributeName, Line> {
        let mut details: BTreeMap<AttributeName, Line> = BTreeMap::new();
        if let Ok(attribute) = "homePostalAddress".parse() {
            let homes = self.homes();
            if !homes.is_empty() {
                details.insert(attribute, homes);
            }
        }
        for (at, meaning) in self.meanings.iter().enumerate() {
            let rules = match meaning {
                Some(Meaning::Detail(attribute)) => vec![(*attribute, self.column(at))],
                Some(Meaning::Key(3)) => vec![("employeeNumber", self.column(at))],
                Some(Meaning::NamePart(0)) => vec![("givenName", self.column(at))],
                Some(Meaning::NamePart(2)) => vec![("sn", self.column(at))],
                Some(Meaning::Phone(number)) => self.phone(at, *number),
                Some(Meaning::Place(1, part)) => self.place(at, *part),
                _ => continue,
            };
            for (attribute, rule) in rules {
                if let Ok(attribute) = attribute.parse() {
                    let line = details.entry(attribute).or_default();
                    let same = |known: &Rule| {
                        known.value.as_str().eq_ignore_ascii_case(rule.value.as_str())
                    };
                    if rule.condition.is_some() || !line.iter().any(same) {
                        line.push(rule);
                    }
                }
            }
        }
        details
    }

    /// The rules of a telephone number whose sort is in another column, as
    /// [`crate::headers::phone_attribute`] tells the sorts apart.
    fn phone(&self, at: usize, number: u8) -> Vec<(&'static str, Rule)> {
        const SORTS: [(&str, &[&str]); 4] = [
            ("facsimileTelephoneNumber", &["fax"]),
            ("mobile", &["mobile", "cell"]),
            ("pager", &["pager"]),
            ("homePhone", &["home"]),
        ];
        let Some(sort) = self.first(Meaning::PhoneSort(number)) else {
            return vec![("telephoneNumber", self.column(at))];
        };
        let sort = self.names[sort].trim();
        let mut rules = Vec::new();
        let mut others = String::new();
        for (attribute, words) in SORTS {
            let any: String = words.iter().map(|word| format!("({sort}=*{word}*)")).collect();
            rules.push((attribute, self.if_rule(at, &format!("(&(|{any}){others})"))));
            others.push_str(&format!("(!(|{any}))"));
        }
        rules.push(("telephoneNumber", self.if_rule(at, &format!("(&{others})"))));
        rules
    }

    /// The rule of a part of the first address, which is not taken if it is a home.
    fn place(&self, at: usize, part: u8) -> Vec<(&'static str, Rule)> {
        let Some((_, attribute)) = PLACE_PARTS.get(usize::from(part)) else { return Vec::new() };
        match self.first(Meaning::PlaceSort(1)) {
            Some(sort) => {
                let sort = self.names[sort].trim();
                vec![(*attribute, self.if_rule(at, &format!("(!({sort}=*home*))")))]
            }
            None => vec![(*attribute, self.column(at))],
        }
    }

    /// The rules of home addresses, each in one value.
    fn homes(&self) -> Line {
        let home = self.ranked(|m| if let Meaning::Home(part) = m { Some(part) } else { None });
        let mut rules: Line = Vec::new();
        if !home.is_empty() {
            rules.push(self.postal(&home).into());
        }
        let sorts = self.meanings.iter().enumerate().filter_map(|(at, meaning)| match meaning {
            Some(Meaning::PlaceSort(number)) => Some((*number, self.names[at].trim())),
            _ => None,
        });
        for (number, sort) in sorts {
            let parts = self.ranked(|m| match m {
                Meaning::Place(of, part) if of == number => Some(part),
                _ => None,
            });
            if !parts.is_empty() {
                let condition = Filter::over_columns(&format!("({sort}=*home*)")).ok();
                rules.push(Rule { condition, ..self.postal(&parts).into() });
            }
        }
        rules
    }

    /// A postal address, whose empty lines are dropped when it becomes a detail.
    fn postal(&self, columns: &[usize]) -> Template {
        let mut template = Vec::new();
        for at in columns {
            if !template.is_empty() {
                template.push(Part::Text("$".into()));
            }
            let columns = vec![self.names[*at].trim().to_owned()];
            template.push(Part::Value(Value { columns, functions: vec![Function::Postal] }));
        }
        Template::of(template)
    }

    fn if_rule(&self, at: usize, condition: &str) -> Rule {
        Rule { condition: Filter::over_columns(condition).ok(), ..self.column(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rules() {
        let map = map_of(&["Mail", "MAIL", "Phone 1 - Label", "Phone 1 - Value", "Surname, all"]);
        let texts = |line: &Line| {
            line.iter().map(|rule| rule.value.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&map.address), ["SMTP:{Mail|split \" ::: \"}"]);
        assert_eq!(map.details.len(), 5);
        let fax = &map.details[&"facsimileTelephoneNumber".parse::<AttributeName>().unwrap()];
        let condition = fax[0].condition.as_ref().unwrap().to_string();
        assert_eq!(condition, "(&(|(Phone 1 - Label=*fax*)))");
    }
}
