//! Maps, which build the parts of an entry from the columns of a row.
//!
//! A map has lines, such as `name` or `address`, a line has rules, and a rule has a template and perhaps
//! a condition. `docs/file-formats.md` describes the language. A map is resolved once, when a file is
//! opened ([`Plan`]), and then evaluated for each row ([`Evaluator`]), whatever the format of the file.

mod built_in;
mod evaluate;
mod function;
mod lookup;
mod plan;
mod row;
mod template;
mod values;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dirsync_directory::{AttributeName, Filter};

pub use built_in::{BUILT_IN, NamedMap};
pub(crate) use evaluate::{Evaluator, Subject};
pub use evaluate::{LeftOut, Made, RowMade};
pub(crate) use function::Function;
pub(crate) use plan::Plan;
pub(crate) use row::{Columns, Row, nearest};
pub(crate) use template::{Part, Value};
pub use template::{Template, TemplateError};
pub(crate) use written::quoted;

/// A map from columns to entries.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// The name of its file, for messages.
    pub file: String,
    /// The folder that the files of `lookup` are relative to.
    pub folder: PathBuf,
    /// What it is for, in a few words.
    pub title: String,
    /// The encoding of files of this kind that are not UTF-8 and whose encoding nobody has named.
    pub encoding: Option<String>,
    /// The columns by which a file of this kind is recognised: of each group it has one.
    pub recognised_by: Vec<Vec<String>>,
    /// It comes with the program, so nobody has decided that it takes private things over.
    pub built_in: bool,
    /// A column that the file does not have is empty, instead of an error.
    pub lenient: bool,
    /// The origin, if the rows name one. Only the recognised headers of our own files have it.
    pub origin: Line,
    /// The key, which must never change for an entry.
    pub key: Line,
    /// The display name.
    pub name: Line,
    /// The addresses, `TYPE:value`. An address with an empty column is left out.
    pub address: Line,
    /// The kind: `mailbox`, `contact`, `resource` or `list`. An entry without one is a mailbox.
    pub kind: Line,
    /// Whether the row is hidden from address lists, and therefore left out.
    pub hidden: Line,
    /// Whether the row is left out for another reason, which may be the value.
    pub skip: Line,
    /// The details. An empty one is left out.
    pub details: BTreeMap<AttributeName, Line>,
}

/// A line of a map: all its rules are used for addresses and details, for everything else the first that
/// has a value.
pub type Line = Vec<Rule>;

/// A template, which is used for the rows that meet its condition.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The template.
    pub value: Template,
    /// The condition, over columns.
    pub condition: Option<Filter>,
    /// The line of the map's file on which it stands, or 0.
    pub line: usize,
}

impl Map {
    /// The lines with the names that they have in a map's file.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Line)> {
        let lines = [
            ("origin", &self.origin),
            ("key", &self.key),
            ("name", &self.name),
            ("address", &self.address),
            ("kind", &self.kind),
            ("hidden", &self.hidden),
            ("skip", &self.skip),
        ];
        let details = self.details.iter().map(|(name, line)| (name.as_str(), line));
        lines.into_iter().chain(details)
    }

    /// The files that its `lookup`s read.
    pub fn lookups(&self) -> impl Iterator<Item = PathBuf> {
        let rules = self.lines().flat_map(|(_, line)| line);
        let files = rules.flat_map(|rule| rule.value.lookups());
        files.map(|(file, _)| self.folder.join(file))
    }
}

impl Rule {
    /// A rule without a condition.
    pub fn new(value: Template) -> Self {
        Self { value, condition: None, line: 0 }
    }
}

impl From<Template> for Rule {
    fn from(value: Template) -> Self {
        Self::new(value)
    }
}
