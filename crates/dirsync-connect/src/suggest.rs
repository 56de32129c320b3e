//! The map to begin with for a file that has none.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::csv_file;
use crate::error::OpenError;
use crate::format::Format;
use crate::headers::nearest_known;
use crate::ldif;
use crate::map::{Map, quoted};
use crate::private::is_private;
use crate::recognised::map_of;
use crate::source::{OpenOptions, text_of};

/// The map of cards, in which all properties have their names.
const OF_CARDS: &str = r#"key = "{UID}"
name = ["{FN}", "{N.2} {N.1}", "{ORG.1}"]
address = "SMTP:{EMAIL}"
kind = [{ value = "list", if = "(KIND=group)" }, "mailbox"]

[details]
givenName = "{N.2}"
sn = "{N.1}"
title = "{TITLE}"
o = "{ORG.1}"
department = "{ORG.2}"
telephoneNumber = "{TEL;WORK}"
mobile = "{TEL;CELL}"
facsimileTelephoneNumber = "{TEL;FAX}"
street = "{ADR;WORK.3}"
l = "{ADR;WORK.4}"
postalCode = "{ADR;WORK.6}"
co = "{ADR;WORK.7}"
labeledURI = "{URL}"
"#;

/// A map to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// The file fits a built-in map, which needs no copy.
    BuiltIn(&'static str),
    /// A map, as the text of a file.
    Text(String),
}

/// Suggests a map for an open file. `path` is used in messages only.
///
/// # Errors
///
/// If the file cannot be read.
pub fn suggest(
    file: File,
    path: &Path,
    format: Format,
    options: &OpenOptions,
) -> Result<Suggestion, OpenError> {
    let io = |source: io::Error| OpenError::Io { path: path.to_owned(), source };
    let text = text_of(file, path, format, options)?;
    let names: Vec<String> = match format {
        Format::Vcard => return Ok(Suggestion::Text(OF_CARDS.to_owned())),
        Format::Csv => {
            let headers = csv_file::headers(path, text.into_reader())?;
            if let Some(known) = csv_file::fitting(&headers, options) {
                return Ok(Suggestion::BuiltIn(known.name));
            }
            headers.iter().map(|name| name.trim().to_owned()).collect()
        }
        Format::Ldif => ldif::attributes(text.into_reader()).map_err(io)?,
    };
    Ok(Suggestion::Text(of_columns(&names)))
}

fn of_columns(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut map = map_of(&names);
    let unused = unused(&map, &names);
    let (private, details) = std::mem::take(&mut map.details)
        .into_iter()
        .partition(|(name, _)| is_private(name.as_str()));
    map.details = details;
    let mut text = String::new();
    for (line, example) in
        [("key", "{employee_no}"), ("address", "SMTP:{mail}"), ("name", "{first} {last}")]
    {
        let is_missing = map.lines().any(|(name, rules)| name == line && rules.is_empty());
        if is_missing {
            text.push_str(&format!(
                "# No column is known to hold this; for example:\n# {line} = \"{example}\"\n"
            ));
        }
    }
    text.push_str(&map.to_toml());
    let private = Map { details: private, ..Map::default() };
    if !private.details.is_empty() {
        text.push_str("# Private: take the # away to send these to every postoffice.\n");
        let lines = private.to_toml();
        let lines = lines.split_once("[details]\n").map_or("", |(_, lines)| lines);
        lines.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
    }
    for name in unused {
        let template = quoted(&format!("{{{name}}}"));
        text.push_str(&match nearest_known(name) {
            Some(attribute) => format!("# Perhaps: {attribute} = {template}\n"),
            None => format!("# Not used: {template}\n"),
        });
    }
    text
}

fn unused<'a>(map: &Map, names: &[&'a str]) -> Vec<&'a str> {
    let used: BTreeSet<String> = map
        .lines()
        .flat_map(|(_, line)| line)
        .flat_map(|rule| rule.value.columns())
        .map(str::to_lowercase)
        .collect();
    let mut seen = BTreeSet::new();
    let is_unused = |name: &&str| {
        let name = name.trim().to_lowercase();
        !name.is_empty() && !used.contains(&name) && seen.insert(name)
    };
    names.iter().copied().filter(is_unused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_things_are_comments_that_say_so() {
        for names in [
            ["uid", "cn", "mail", "homePhone", "homePostalAddress", "title"],
            ["uid", "cn", "mail", "Home Phone", "Home Street", "title"],
        ] {
            let text = of_columns(&names.map(str::to_owned));
            let (offered, private) = text.split_once("# Private: ").unwrap();
            assert!(!offered.contains("home") && offered.contains("title = "), "{text}");
            assert!(private.contains("\n# homePhone = \"{"), "{text}");
            assert!(private.contains("\n# homePostalAddress = \"{"), "{text}");
            assert!(!private.contains("Not used"), "{text}");
        }
    }

    #[test]
    fn columns_that_are_not_sure_are_comments() {
        let names = ["Employee No", "Name", "Telephon", "Shoe size"].map(str::to_owned);
        let text = of_columns(&names);
        assert!(text.contains("# address = \"SMTP:{mail}\""), "{text}");
        assert!(text.contains("# Perhaps: telephoneNumber = \"{Telephon}\""), "{text}");
        assert!(text.contains("# Not used: \"{Shoe size}\""), "{text}");
    }
}
