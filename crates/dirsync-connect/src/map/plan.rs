//! A map whose columns have their numbers in a file.

use std::path::Path;
use std::sync::Arc;

use dirsync_directory::RowFilter;

use super::function::{Function, Step};
use super::lookup::{Lookup, Table};
use super::row::{Columns, nearest};
use super::{Map, Part, Rule, Value};
use crate::error::OpenError;

/// A map that is ready for the rows of a file.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) lines: Vec<PlannedLine>,
    /// The tables that its functions use, each once.
    pub(super) lookups: Vec<(String, Lookup)>,
    /// Whether every rule of the key that can give a value uses a column of the addresses.
    pub(crate) key_is_mail: bool,
    /// Whether every address uses a column of the key, so that no row without a key has an address.
    pub(crate) address_has_key: bool,
}

/// A line of a map.
#[derive(Debug)]
pub(super) struct PlannedLine {
    pub(super) target: Target,
    pub(super) rules: Vec<PlannedRule>,
}

/// The part of an entry that a line makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Hidden,
    Skip,
    Origin,
    Key,
    Kind,
    Name,
    Address,
    Detail(String),
}

/// A rule of a line.
#[derive(Debug)]
pub(super) struct PlannedRule {
    pub(super) parts: Vec<PlannedPart>,
    pub(super) condition: Option<RowFilter>,
    /// It uses a column of the addresses.
    pub(super) is_mail: bool,
}

#[derive(Debug)]
pub(super) enum PlannedPart {
    Text(String),
    /// The first of the columns that has a value, and the functions for its values.
    Value(Vec<usize>, Vec<Step>),
}

impl Target {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Hidden => "hidden",
            Self::Skip => "skip",
            Self::Origin => "origin",
            Self::Key => "key",
            Self::Kind => "kind",
            Self::Name => "name",
            Self::Address => "address",
            Self::Detail(attribute) => attribute,
        }
    }

    /// Whether it is one value, so that the first rule that gives one is used.
    pub(super) fn is_single(&self) -> bool {
        !matches!(self, Self::Address | Self::Detail(_))
    }

    /// Whether a template with an empty column gives no value.
    pub(super) fn needs_all(&self) -> bool {
        matches!(self, Self::Key | Self::Address)
    }
}

impl Plan {
    /// Finds the columns of a map in a file, and loads its tables. `path` is used in messages only.
    ///
    /// # Errors
    ///
    /// If the file lacks a column that the map names, or a table cannot be used.
    pub(crate) fn new(
        path: &Path,
        map: &Map,
        columns: &mut impl Columns,
    ) -> Result<Self, OpenError> {
        let mut planner = Planner { path, map, columns, lookups: Vec::new() };
        // Rows that are left out need nothing else, so this is found out first.
        let mut lines = vec![
            planner.line(Target::Hidden, &map.hidden)?,
            planner.line(Target::Skip, &map.skip)?,
            planner.line(Target::Origin, &map.origin)?,
            planner.line(Target::Key, &map.key)?,
            planner.line(Target::Kind, &map.kind)?,
            planner.line(Target::Name, &map.name)?,
            planner.line(Target::Address, &map.address)?,
        ];
        for (attribute, line) in &map.details {
            lines.push(planner.line(Target::Detail(attribute.as_str().into()), line)?);
        }
        let lookups = planner.lookups;
        lines.retain(|line| !line.rules.is_empty());
        let mut keys = lines.iter().filter(|line| line.target == Target::Key);
        let key_is_mail = keys.all(|line| line.rules.iter().all(|rule| rule.is_mail));
        let of_key = |column: &str| {
            let mut all = map.key.iter().flat_map(|rule| rule.value.columns());
            all.any(|other| other.eq_ignore_ascii_case(column))
        };
        let address_has_key = !map.lenient
            && !map.address.is_empty()
            && map.address.iter().all(|rule| rule.value.columns().any(of_key));
        Ok(Self { lines, lookups, key_is_mail, address_has_key })
    }
}

/// Finds columns and tables.
struct Planner<'a, C> {
    path: &'a Path,
    map: &'a Map,
    columns: &'a mut C,
    lookups: Vec<(String, Lookup)>,
}

impl<C: Columns> Planner<'_, C> {
    fn line(&mut self, target: Target, rules: &[Rule]) -> Result<PlannedLine, OpenError> {
        let mut planned = Vec::new();
        for rule in rules {
            planned.extend(self.rule(&target, rule)?);
        }
        Ok(PlannedLine { target, rules: planned })
    }

    /// The rule, or `None` if the file has no column that could give it a value.
    fn rule(&mut self, target: &Target, rule: &Rule) -> Result<Option<PlannedRule>, OpenError> {
        let (mut parts, mut values, mut empty) = (Vec::new(), 0, 0);
        for part in rule.value.parts() {
            parts.push(match part {
                Part::Text(text) => PlannedPart::Text(text.clone()),
                Part::Value(value) => {
                    let (columns, steps) = self.value(target, rule, value)?;
                    values += 1;
                    empty += usize::from(columns.is_empty());
                    PlannedPart::Value(columns, steps)
                }
            });
        }
        let useless = if target.needs_all() { empty > 0 } else { empty > 0 && empty == values };
        let mut asked = Vec::new();
        let condition = match &rule.condition {
            Some(filter) => Some(filter.numbered(|name| {
                let number = self.number(target, rule, name)?;
                asked.push(number);
                Ok::<_, OpenError>(number.unwrap_or(usize::MAX))
            })?),
            None => None,
        };
        // Nothing can be said about rows by columns that no row has.
        let useless = useless || !asked.is_empty() && asked.iter().all(Option::is_none);
        let of_addresses = |column: &str| {
            let mut all = self.map.address.iter().flat_map(|rule| rule.value.columns());
            all.any(|other| other.eq_ignore_ascii_case(column))
        };
        // A map that a person wrote says what its key is.
        let is_mail = self.map.lenient && rule.value.columns().any(of_addresses);
        Ok((!useless).then_some(PlannedRule { parts, condition, is_mail }))
    }

    fn value(
        &mut self,
        target: &Target,
        rule: &Rule,
        value: &Value,
    ) -> Result<(Vec<usize>, Vec<Step>), OpenError> {
        let mut columns = Vec::new();
        for name in &value.columns {
            columns.extend(self.number(target, rule, name)?);
        }
        let mut steps = Vec::new();
        for function in &value.functions {
            steps.push(match function {
                Function::Lookup { file, column } => {
                    Step::Lookup(self.lookup(target, rule, file, column)?)
                }
                other => Step::of(other),
            });
        }
        Ok((columns, steps))
    }

    fn number(
        &mut self,
        target: &Target,
        rule: &Rule,
        name: &str,
    ) -> Result<Option<usize>, OpenError> {
        let number = self.columns.number(name);
        if number.is_some() || self.map.lenient {
            return Ok(number);
        }
        let names = self.columns.names();
        let has_comma =
            |column: &&str| column.contains(',') && rule.value.as_str().contains(*column);
        let hint = match names.iter().find(|column| has_comma(column)) {
            Some(column) => format!("; write {{\"{column}\"}} for the column with this name"),
            None => nearest(name, names)
                .map_or(String::new(), |near| format!("; did you mean \"{near}\"?")),
        };
        let (path, column) = (self.path.to_owned(), name.to_owned());
        Err(OpenError::NoColumn { path, column, place: self.place(target, rule), hint })
    }

    /// The place of a rule, for messages: `north.map.toml, line 7, key`.
    fn place(&self, target: &Target, rule: &Rule) -> String {
        let line = if rule.line == 0 { String::new() } else { format!("line {}, ", rule.line) };
        let file = if self.map.file.is_empty() { "the map" } else { &self.map.file };
        format!("{file}, {line}{}", target.name())
    }

    fn lookup(
        &mut self,
        target: &Target,
        rule: &Rule,
        file: &str,
        column: &str,
    ) -> Result<Lookup, OpenError> {
        let known = self.lookups.iter().find(|(of, lookup)| of == column && lookup.file == file);
        if let Some((_, lookup)) = known {
            return Ok(lookup.clone());
        }
        let path = self.map.folder.join(file);
        let table = Table::load(&path, column).map_err(|reason| OpenError::Lookup {
            path,
            place: self.place(target, rule),
            reason,
        })?;
        let lookup = Lookup::new(file, table);
        debug_assert_eq!(Arc::strong_count(&lookup.table), 1, "a table is loaded once");
        self.lookups.push((column.to_owned(), lookup.clone()));
        Ok(lookup)
    }
}
