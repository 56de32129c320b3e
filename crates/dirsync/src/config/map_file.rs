//! Maps, in a file of their own (`--map`) or in a source.

use std::collections::BTreeMap;
use std::path::Path;

use dirsync_connect::{Map, Template};
use dirsync_directory::AttributeName;
use toml::de::{DeTable, DeValue};

use super::error::ConfigErrors;
use super::file::Reader;

/// Reads a map file.
///
/// # Errors
///
/// Everything that is wrong with it, with positions.
pub fn load_map(path: &Path) -> Result<Map, ConfigErrors> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
    let mut errors = ConfigErrors::new(path, &text);
    let map = match DeTable::parse(&text) {
        Ok(document) => read_map(Reader::new(document.get_ref(), "map", 0..0), &mut errors),
        Err(error) => {
            errors.add(error.span().unwrap_or(0..0), error.message().to_owned(), None);
            None
        }
    };
    errors.or(map).map(|map| map.expect("a map without mistakes is whole"))
}

fn template(
    text: &str,
    span: std::ops::Range<usize>,
    errors: &mut ConfigErrors,
) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            // One more for the quote that opens the text.
            let at = span.start + 1 + error.position;
            errors.add(at..at + 1, error.reason.to_owned(), None);
            None
        }
    }
}

pub(super) fn read_map(mut table: Reader<'_, '_>, errors: &mut ConfigErrors) -> Option<Map> {
    let mut required = |table: &mut Reader<'_, '_>, key: &'static str| {
        let span = table.span();
        match table.text(key, errors) {
            Some((text, span)) => template(text, span, errors),
            None => {
                errors.add(span, format!("a map needs {key} = \"{{column}}\""), None);
                None
            }
        }
    };
    let key = required(&mut table, "key");
    let name = required(&mut table, "name");
    let kind = table.text("kind", errors).and_then(|(text, span)| template(text, span, errors));
    let span = table.span();
    let address = match table.value("address").map(|value| value.get_ref()) {
        Some(DeValue::String(_)) => table.text("address", errors).into_iter().collect(),
        Some(_) => table.texts("address", errors).unwrap_or_default(),
        None => {
            errors.add(span, "a map needs address = [\"SMTP:{column}\"]".into(), None);
            Vec::new()
        }
    };
    let address: Vec<Template> =
        address.into_iter().filter_map(|(text, span)| template(text, span, errors)).collect();
    let mut details = BTreeMap::new();
    if let Some(inner) = table.table("details", errors) {
        for (name, text, span, name_span) in inner.entries(errors) {
            match name.parse::<AttributeName>() {
                Ok(name) => {
                    if let Some(template) = template(text, span, errors) {
                        details.insert(name, template);
                    }
                }
                Err(error) => errors.add(name_span, error.to_string(), None),
            }
        }
    }
    table.finish(errors);
    Some(Map { key: key?, name: name?, address, kind, details })
}
