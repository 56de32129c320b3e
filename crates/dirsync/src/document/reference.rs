//! `docs/json.md`, made from the types.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use schemars::Schema;
use serde_json::{Map, Value};

use super::all;
use crate::cli::Cli;

/// Set this to write the page anew; then read the difference as code.
const UPDATE: &str = "DIRSYNC_WRITE_DOCS";

const INTRODUCTION: &str = "\
# JSON

Every command takes `--json` and prints one document on standard output. This page is made from the program's
types, and a test compares them.

Times are texts in RFC 3339, in UTC, to the second. Ids, names of postoffices, addresses and views are texts. A
value that is not known is null. Characters that are not seen are written as escapes. New fields may appear;
those that are here keep their meaning.

`run --json` writes a line of JSON for each line of its log on standard error. `export` writes the file itself
where no file is named.
";

/// Commands that print no document.
const WITHOUT: &[&str] = &["run"];

#[test]
fn the_page_about_json_is_what_the_types_say() {
    let mut page = String::from(INTRODUCTION);
    for (commands, schema) in all() {
        let _ = write!(page, "\n## {}\n\n", commands.join(", "));
        Section { definitions: definitions(&schema), page: &mut page }.write(&schema);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/json.md differs; set {UPDATE}=1 to write it anew");
}

#[test]
fn every_command_has_its_document() {
    let documented: Vec<&str> =
        all().iter().flat_map(|(commands, _)| commands.iter().copied()).collect();
    let mut missing = Vec::new();
    leaves(&Cli::command(), "", &mut |command| {
        if !documented.contains(&command) && !WITHOUT.contains(&command) {
            missing.push(command.to_owned());
        }
    });
    assert!(missing.is_empty(), "without a document in docs/json.md: {missing:?}");
}

fn leaves(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&str)) {
    let mut children = command.get_subcommands().peekable();
    if children.peek().is_none() {
        return visit(path);
    }
    for child in children {
        leaves(child, format!("{path} {}", child.get_name()).trim_start(), visit);
    }
}

fn definitions(schema: &Schema) -> Map<String, Value> {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    definitions.cloned().unwrap_or_default()
}

/// The section of one document.
struct Section<'p> {
    definitions: Map<String, Value>,
    page: &'p mut String,
}

impl Section<'_> {
    fn write(&mut self, schema: &Schema) {
        let schema = schema.as_value();
        let mut fields = Vec::new();
        let of_all = match item(schema) {
            Some(item) => {
                self.fields("[]", item, &mut fields);
                format!("A list. {}", description(self.resolved(item)))
            }
            None => {
                self.fields("", schema, &mut fields);
                description(schema)
            }
        };
        let _ = writeln!(self.page, "{}\n", of_all.trim());
        if fields.is_empty() {
            return;
        }
        self.page.push_str("| field | value | meaning |\n| --- | --- | --- |\n");
        for (field, value, meaning) in fields {
            assert!(!meaning.is_empty(), "{field} has no meaning");
            let _ =
                writeln!(self.page, "| `{field}` | {value} | {} |", meaning.replace('|', "\\|"));
        }
    }

    /// The fields of an object, with those of the objects in it.
    fn fields(&self, path: &str, schema: &Value, fields: &mut Vec<(String, String, String)>) {
        let schema = self.resolved(schema);
        for variant in variants(schema) {
            let variant = self.resolved(variant);
            if variant["properties"].is_object() {
                fields.push((path.to_owned(), self.tag(variant), description(variant)));
                self.properties(path, variant, fields);
            }
        }
        self.properties(path, schema, fields);
    }

    fn properties(&self, path: &str, schema: &Value, fields: &mut Vec<(String, String, String)>) {
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, property) in properties {
            if property.get("const").is_some() {
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let resolved = self.resolved(property);
            let own = description(property);
            let meaning = if own.is_empty() { description(resolved) } else { own };
            fields.push((path.clone(), self.value_words(property), meaning));
            match (item(resolved), resolved.get("additionalProperties")) {
                (Some(item), _) => self.fields(&format!("{path}[]"), item, fields),
                (None, Some(each)) if each.is_object() => {
                    self.fields(&format!("{path}.NAME"), each, fields);
                }
                _ => self.fields(&path, resolved, fields),
            }
        }
    }

    /// The field by which a variant is known.
    fn tag(&self, variant: &Value) -> String {
        let properties = variant["properties"].as_object().into_iter().flatten();
        let mut tags = properties.filter_map(|(name, property)| {
            Some(format!("with `{name}` = `{}`", property.get("const")?.as_str()?))
        });
        tags.next().unwrap_or_else(|| "object".to_owned())
    }

    fn value_words(&self, property: &Value) -> String {
        let or_null = if is_nullable(property) { " or null" } else { "" };
        format!("{}{or_null}", self.words(self.resolved(property)))
    }

    fn words(&self, schema: &Value) -> String {
        if let Some(item) = item(schema) {
            return format!("list of {}", self.value_words(item));
        }
        let mut words: Vec<String> = Vec::new();
        let listed = schema["enum"].as_array().into_iter().flatten();
        words.extend(listed.filter_map(Value::as_str).map(|word| format!("`{word}`")));
        let variants = variants(schema).filter_map(|variant| variant.get("const")?.as_str());
        words.extend(variants.map(|word| format!("`{word}`")));
        if !words.is_empty() {
            return words.join(", ");
        }
        match type_of(schema) {
            "string" if schema["format"] == "date-time" => "time",
            "string" => "text",
            "integer" | "number" => "number",
            "boolean" => "true or false",
            _ => "object",
        }
        .to_owned()
    }

    /// The schema that a reference stands for; that of an optional value is the value's.
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            return self.resolved(&self.definitions[name]);
        }
        let optional = schema["anyOf"].as_array();
        match optional.and_then(|any| any.iter().find(|one| one["type"] != "null")) {
            Some(value) => self.resolved(value),
            None => schema,
        }
    }
}

fn variants(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["oneOf"].as_array().into_iter().flatten()
}

fn item(schema: &Value) -> Option<&Value> {
    schema.get("items")
}

fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => types.iter().find_map(|one| one.as_str().filter(|t| *t != "null")),
        one => one.as_str(),
    }
    .unwrap_or_default()
}

fn is_nullable(schema: &Value) -> bool {
    let types = schema["type"].as_array().into_iter().flatten();
    let any = schema["anyOf"].as_array().into_iter().flatten();
    types.chain(any.map(|one| &one["type"])).any(|one| one == "null")
}

fn description(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
