//! The formats of sources: those of files, and the programs whose exports a built-in map reads.

use std::str::FromStr;

use dirsync_connect::{Format, Map};

use super::keys::nearest;
use super::map::built_in;

/// What `--format` and `format` of a source name.
#[derive(Clone, Copy, Debug)]
pub struct SourceFormat {
    /// The format of the file.
    pub format: Format,
    /// The map of the program that wrote it, if it is named by that.
    pub map: Option<&'static Map>,
}

impl From<Format> for SourceFormat {
    fn from(format: Format) -> Self {
        Self { format, map: None }
    }
}

impl FromStr for SourceFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(format) = text.parse::<Format>() {
            return Ok(format.into());
        }
        let word = text.to_ascii_lowercase();
        if let Some(known) = built_in().iter().find(|known| known.name == word) {
            return Ok(Self { format: Format::Csv, map: Some(&known.map) });
        }
        let names = || {
            ["csv", "ldif", "vcard"].into_iter().chain(built_in().iter().map(|known| known.name))
        };
        let hint = nearest(&word, names())
            .map_or(";".into(), |near| format!("; did you mean \"{near}\"?"));
        let names = names().collect::<Vec<_>>().join(", ");
        Err(format!("\"{text}\" is not a file format{hint} these are: {names}"))
    }
}
