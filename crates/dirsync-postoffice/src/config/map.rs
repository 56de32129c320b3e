//! A map as it is written: `[source.map]`, or a file of its own for `dirsync import --map`.

use std::collections::BTreeMap;
use std::path::Path;

use dirsync_connect::{Map, Template};
use dirsync_directory::AttributeName;

use super::problem::{ConfigErrors, Problem};
use super::reader::{Placed, Reader, Table};
use super::syntax::Syntax;

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
    let map = read_map(&mut reader, &table);
    let meaning = reader.finish();
    let problems = syntax.with(meaning);
    match map {
        Some(map) if problems.is_empty() => Ok(map),
        _ => Err(ConfigErrors::new(path, text, problems)),
    }
}

/// Reads a table of the path `source.map`; nothing when something that it needs is wrong.
pub(super) fn read_map<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Map> {
    let key = required(reader, table, "key", "\"{employee_no}\"");
    let name = required(reader, table, "name", "\"{first} {last}\"");
    let address = addresses(reader, table);
    let kind = kind(reader, table);
    let details = match reader.table(table, "details") {
        Some(table) => details(reader, &table),
        None => BTreeMap::new(),
    };
    Some(Map { key: key?, name: name?, address: address?, kind, details })
}

fn required<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    key: &str,
    example: &str,
) -> Option<Template> {
    if !reader.has(table, key) {
        reader.missing(table, key, example);
    }
    let text = reader.text(table, key)?;
    let shown = reader.shown(table, key);
    template(reader, &shown, &text)
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

/// A list of templates, or one alone.
fn addresses<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Vec<Template>> {
    if !reader.has(table, "address") {
        reader.missing(table, "address", "[\"SMTP:{mail}\"]");
    }
    let shown = reader.shown(table, "address");
    if reader.is_text(table, "address") {
        let text = reader.text(table, "address")?;
        return template(reader, &shown, &text).map(|template| vec![template]);
    }
    let texts = reader.texts(table, "address")?;
    if reader.is_empty_list(table, "address") {
        let problem = Problem::at(texts.span, format!("\"{shown}\" is empty"));
        reader.report(problem.because("an entry needs an address"));
        return None;
    }
    Some(texts.value.iter().filter_map(|text| template(reader, &shown, text)).collect())
}

fn kind<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<Template> {
    let text = reader.text(table, "kind")?;
    let shown = reader.shown(table, "kind");
    if !text.value.contains(['{', '}']) {
        reader.entry_kind(&shown, &text)?;
    }
    template(reader, &shown, &text)
}

fn details<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> BTreeMap<AttributeName, Template> {
    let mut details = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (name, text) in reader.named_texts(table) {
        let shown = reader.shown(table, name.value);
        let template = template(reader, &shown, &text);
        match name.value.parse::<AttributeName>() {
            Ok(attribute) => {
                if let Some(first) = places.insert(attribute.clone(), name.span.clone()) {
                    let problem = Problem::at(name.span, format!("\"{attribute}\" stands twice"))
                        .because("the same attribute")
                        .see(first, "also here");
                    reader.report(problem);
                }
                details.extend(template.map(|template| (attribute, template)));
            }
            Err(error) => reader.report(Problem::at(name.span, error.to_string())),
        }
    }
    details
}
