//! A map as it is written: `[source.map]`, or a file of its own for `dirsync import --map`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use dirsync_connect::{BUILT_IN, Line, Map, NamedMap, Rule, Template};
use dirsync_directory::{AttributeName, Filter};

use super::problem::{ConfigErrors, Problem};
use super::reader::{Placed, Reader, RuleTexts, Table};
use super::syntax::Syntax;

/// The maps that come with the program.
pub fn built_in() -> &'static [NamedMap] {
    static MAPS: LazyLock<Vec<NamedMap>> = LazyLock::new(|| {
        let maps = BUILT_IN.iter().map(|(name, text)| {
            let map = parse_map(Path::new(name), text);
            debug_assert!(map.is_ok(), "{name}: {map:?}");
            Some(NamedMap { name, map: Map { built_in: true, ..map.ok()? } })
        });
        maps.flatten().collect()
    });
    &MAPS
}

/// The text of a map that comes with the program.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Reads a map file.
///
/// # Errors
///
/// Everything that is wrong with it, with positions, or that it is not there.
pub fn load_map(path: &Path) -> Result<Map, ConfigErrors> {
    match super::read_file(path)? {
        Some(text) => parse_map(path, &text),
        None => {
            let problem =
                Problem::of_file("could not read the map").because("there is no such file");
            Err(ConfigErrors::new(path, "", vec![problem]))
        }
    }
}

/// Reads a map from the content of the file at `path`.
pub(super) fn parse_map(path: &Path, text: &str) -> Result<Map, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let syntax = Syntax::of(text);
    let (document, _) = toml::de::DeTable::parse_recoverable(&syntax.text);
    let mut reader = Reader::new(&syntax.text, "source.map");
    let table = reader.open("source.map", 0..0, document.get_ref());
    let map = read_map(&mut reader, &table, path);
    let meaning = reader.finish();
    let problems = syntax.with(meaning);
    match map {
        Some(map) if problems.is_empty() => Ok(map),
        _ => Err(ConfigErrors::new(path, text, problems)),
    }
}

/// Reads a table of the path `source.map` in the file at `path`; nothing when something that it needs is
/// wrong.
pub(super) fn read_map<'a>(reader: &mut Reader<'a>, table: &Table<'a>, path: &Path) -> Option<Map> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let title = reader.text(table, "title").map_or("", |text| text.value);
    let columns = reader.texts(table, "columns").map_or(Vec::new(), |texts| texts.value);
    let lenient = reader.word(table, "absent") == Some("empty");
    let encoding = reader.text(table, "encoding").map(|text| text.value.to_owned());
    let key = required(reader, table, "key", "\"{employee_no}\"");
    let display_name = required(reader, table, "name", "\"{first} {last}\"");
    let address = required(reader, table, "address", "[\"SMTP:{mail}\"]");
    let kind = kind(reader, table);
    let hidden = line(reader, table, "hidden", Some("true"));
    let skip = line(reader, table, "skip", Some("true"));
    let details = match reader.table(table, "details") {
        Some(table) => details(reader, &table),
        None => BTreeMap::new(),
    };
    let names =
        |text: &Placed<&str>| text.value.split(',').map(|name| name.trim().into()).collect();
    Some(Map {
        built_in: false,
        file: name.to_string_lossy().into_owned(),
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        title: title.to_owned(),
        encoding,
        recognised_by: columns.iter().map(names).collect(),
        lenient,
        origin: Line::new(),
        key: key?,
        name: display_name?,
        address: address?,
        kind,
        hidden,
        skip,
        details,
    })
}

/// A line that a map must have, with at least one rule.
fn required<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    key: &str,
    example: &str,
) -> Option<Line> {
    if !reader.has(table, key) {
        reader.missing(table, key, example);
        return None;
    }
    if reader.is_empty_list(table, key) {
        let shown = reader.shown(table, key);
        let problem = Problem::at(reader.value_span(table, key), format!("\"{shown}\" is empty"));
        reader.report(problem.because(format!("an entry needs this: {key} = {example}")));
        return None;
    }
    let line = line(reader, table, key, None);
    (!line.is_empty()).then_some(line)
}

/// The rules of a line. A rule without a value has the value `default`, if there is one.
fn line<'a>(reader: &mut Reader<'a>, table: &Table<'a>, key: &str, default: Option<&str>) -> Line {
    let shown = reader.shown(table, key);
    let rules = reader.rules(table, key);
    rules.iter().filter_map(|rule| read_rule(reader, &shown, rule, default)).collect()
}

fn read_rule(
    reader: &mut Reader<'_>,
    shown: &str,
    rule: &RuleTexts<'_>,
    default: Option<&str>,
) -> Option<Rule> {
    let condition = match &rule.condition {
        Some(text) => Some(condition(reader, shown, text)?),
        None => None,
    };
    let line = reader.line_number(&rule.span);
    let value = match (&rule.value, default) {
        (Some(text), _) => template(reader, shown, text)?,
        (None, Some(default)) if condition.is_some() => Template::parse(default).ok()?,
        (None, _) => {
            let problem = Problem::at(rule.span.clone(), format!("\"{shown}\" has no value"));
            reader.report(problem.because("a rule needs \"value\""));
            return None;
        }
    };
    Some(Rule { value, condition, line })
}

fn condition(reader: &mut Reader<'_>, shown: &str, text: &Placed<&str>) -> Option<Filter> {
    match Filter::over_columns(text.value) {
        Ok(filter) => Some(filter),
        Err(error) => {
            let position = error.position.saturating_sub(1);
            let message = format!("the condition of \"{shown}\" is not a filter");
            reader.inside(text, position, message, error.expected);
            None
        }
    }
}

fn template(reader: &mut Reader<'_>, shown: &str, text: &Placed<&str>) -> Option<Template> {
    match Template::parse(text.value) {
        Ok(template) => Some(template),
        Err(error) => {
            let message = format!("\"{shown}\" is not a template");
            reader.inside(text, error.position, message, error.reason);
            None
        }
    }
}

fn kind<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Line {
    let shown = reader.shown(table, "kind");
    let mut line = Line::new();
    for rule in reader.rules(table, "kind") {
        let is_word = |text: &&Placed<&str>| !text.value.contains(['{', '}']);
        let is_kind = match rule.value.as_ref().filter(is_word) {
            Some(text) => reader.entry_kind(&shown, text).is_some(),
            None => true,
        };
        if is_kind {
            line.extend(read_rule(reader, &shown, &rule, None));
        }
    }
    line
}

fn details<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> BTreeMap<AttributeName, Line> {
    let mut details = BTreeMap::new();
    let mut places = BTreeMap::new();
    for name in reader.names(table) {
        let line = line(reader, table, name.value, None);
        match name.value.parse::<AttributeName>() {
            Ok(attribute) => {
                if let Some(first) = places.insert(attribute.clone(), name.span.clone()) {
                    let problem = Problem::at(name.span, format!("\"{attribute}\" stands twice"))
                        .because("the same attribute")
                        .see(first, "also here");
                    reader.report(problem);
                }
                details.insert(attribute, line);
            }
            Err(error) => reader.report(Problem::at(name.span, error.to_string())),
        }
    }
    details
}
