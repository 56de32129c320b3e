//! The fields of a head: `name=value` lines with escaped values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use dirsync_directory::{escape, unescape};

use super::error::{HeadError, HeadErrorKind};
use super::{FIELDS_MAX, HEAD_BYTES_MAX, HEADER, OUTCOME_BYTES_MAX, TRAILER, VALUE_BYTES_MAX};
use crate::text::excerpt;
use crate::{FormatVersion, GENERATION_MAX, NUMBER_MAX, OUTCOMES_MAX, ServerEpoch, SyncPoint};

/// The fields that may occur several times.
const REPEATED: [&str; 2] = ["outcome", "offer"];
const NUMBER_FORM: &str = "a number below 2^62";
const EPOCH_FORM: &str = "a server epoch: GENERATION.INSTANCE.RANDOM, the generation at most 2^40";
const POINT_FORM: &str = "a sync point: EPOCH/NUMBER/MARK/VIEW/complete or …/part";
/// The longest field name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Prints fields. A field that says nothing is left out: an absent value, `no`, or 0.
pub(super) struct FieldWriter(String);

impl FieldWriter {
    pub fn new() -> Self {
        Self(HEADER.into())
    }

    pub fn put(&mut self, name: &str, value: impl Display) {
        debug_assert!(is_name(name), "{name}");
        self.0.push_str(name);
        self.0.push('=');
        let value = value.to_string();
        let escaped = escape(&value);
        debug_assert!(!escaped.contains('\n'), "{name} is one line");
        self.0.push_str(&escaped);
        self.0.push('\n');
    }

    pub fn put_some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Prints `yes` if the value is true, and otherwise nothing.
    pub fn put_flag(&mut self, name: &str, value: bool) {
        self.put_some(name, value.then_some("yes"));
    }

    /// Prints a number that is left out if it is 0.
    pub fn put_count(&mut self, name: &str, value: u64) {
        self.put_some(name, Some(value).filter(|value| *value != 0));
    }

    pub fn finish(mut self) -> String {
        self.0.push_str(TRAILER);
        self.0
    }
}

/// The unescaped value of a field, and the number of its line.
pub(super) struct Field<'a> {
    line: u64,
    text: Cow<'a, str>,
}

/// The fields of a head, from which the parsers take one after the other by name.
///
/// All lines are split and checked first, so that the limits hold before any value is parsed.
pub(super) struct FieldReader<'a> {
    version: FormatVersion,
    /// The fields that were not taken yet.
    fields: BTreeMap<&'a str, Field<'a>>,
    repeated: [Vec<Field<'a>>; REPEATED.len()],
    /// The number of lines, for errors about a field that is missing.
    lines: u64,
}

impl<'a> FieldReader<'a> {
    pub fn new(text: &'a str) -> Result<Self, HeadError> {
        let error = |line, kind| Err(HeadError { line, kind });
        if text.len() > HEAD_BYTES_MAX {
            return error(1, HeadErrorKind::Length { bytes: text.len() });
        }
        let mut lines = text.split_inclusive('\n').zip(1u64..);
        if lines.next().map(|(line, _)| line) != Some(HEADER) {
            return error(1, HeadErrorKind::Header);
        }
        let mut reader = Self {
            version: FormatVersion::CURRENT,
            fields: BTreeMap::new(),
            repeated: Default::default(),
            lines: 1,
        };
        for (text, line) in lines.by_ref() {
            reader.lines = line;
            if text == TRAILER {
                break;
            }
            check_length(text).map_err(|kind| HeadError { line, kind })?;
            let Some((name, field)) = field(text, line) else {
                return error(line, HeadErrorKind::Line { text: excerpt(text.as_bytes()) });
            };
            if line == 2 {
                reader.version = version(name, &field)?;
            }
            if let Some(at) = REPEATED.iter().position(|repeated| *repeated == name) {
                if reader.repeated[at].len() == OUTCOMES_MAX {
                    return error(line, HeadErrorKind::Outcomes);
                }
                reader.repeated[at].push(field);
            } else if reader.fields.len() == FIELDS_MAX {
                return error(line, HeadErrorKind::Fields);
            } else if reader.fields.insert(name, field).is_some() {
                return error(line, HeadErrorKind::Twice { field: name.into() });
            }
        }
        if let Some((text, line)) = lines.next() {
            return error(line, HeadErrorKind::Line { text: excerpt(text.as_bytes()) });
        }
        // Fields may be absent, so a head that is cut off between two fields would be read as
        // another one.
        if !text.ends_with(TRAILER) {
            return error(reader.lines, HeadErrorKind::Truncated);
        }
        debug_assert!(reader.fields.len() <= FIELDS_MAX);
        debug_assert!(reader.repeated.iter().all(|fields| fields.len() <= OUTCOMES_MAX));
        reader.required::<FormatVersion>("format", "MAJOR.MINOR")?;
        Ok(reader)
    }

    /// The version of the message's format.
    pub fn version(&self) -> FormatVersion {
        self.version
    }

    pub fn required<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, HeadError> {
        self.optional(name, expected)?.ok_or_else(|| self.missing(name))
    }

    pub fn optional<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, HeadError> {
        self.parsed(name, expected, |text| text.parse().ok())
    }

    /// A text of at most `bytes_max` bytes, or `None` if there is no such field.
    pub fn text(
        &mut self,
        name: &'static str,
        expected: &'static str,
        bytes_max: usize,
    ) -> Result<Option<String>, HeadError> {
        self.parsed(name, expected, |text| (text.len() <= bytes_max).then(|| text.to_owned()))
    }

    /// The value of a field, read by `parse`, or `None` if there is no such field.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, HeadError> {
        let Some(field) = self.fields.remove(name) else { return Ok(None) };
        field.parsed(name, expected, parse).map(Some)
    }

    /// The index in `words` of the value of a required field.
    pub fn word(
        &mut self,
        name: &'static str,
        expected: &'static str,
        words: &[&str],
    ) -> Result<usize, HeadError> {
        self.optional_word(name, expected, words)?.ok_or_else(|| self.missing(name))
    }

    pub fn optional_word(
        &mut self,
        name: &'static str,
        expected: &'static str,
        words: &[&str],
    ) -> Result<Option<usize>, HeadError> {
        self.parsed(name, expected, |text| words.iter().position(|word| *word == text))
    }

    pub fn flag(&mut self, name: &'static str) -> Result<bool, HeadError> {
        Ok(self.optional_word(name, "yes, or no such field", &["yes"])?.is_some())
    }

    /// A required number, converted by `of`.
    pub fn number<T>(&mut self, name: &'static str, of: fn(u64) -> T) -> Result<T, HeadError> {
        self.parsed(name, NUMBER_FORM, number)?.map(of).ok_or_else(|| self.missing(name))
    }

    pub fn epoch(&mut self, name: &'static str) -> Result<Option<ServerEpoch>, HeadError> {
        self.parsed(name, EPOCH_FORM, |text| text.parse().ok().filter(is_epoch))
    }

    pub fn point(&mut self, name: &'static str) -> Result<Option<SyncPoint>, HeadError> {
        let is_point = |point: &SyncPoint| is_epoch(&point.epoch) && point.srv_seq.0 <= NUMBER_MAX;
        self.parsed(name, POINT_FORM, |text| text.parse().ok().filter(is_point))
    }

    pub fn count(&mut self, name: &'static str) -> Result<u64, HeadError> {
        Ok(self.parsed(name, NUMBER_FORM, number)?.unwrap_or(0))
    }

    /// All fields of a name in [`REPEATED`], in their order.
    pub fn repeated<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, HeadError> {
        let at = REPEATED.iter().position(|repeated| *repeated == name);
        let fields = at.map(|at| std::mem::take(&mut self.repeated[at])).unwrap_or_default();
        fields.into_iter().map(|field| field.parsed(name, expected, &parse)).collect()
    }

    pub fn missing(&self, field: &'static str) -> HeadError {
        HeadError { line: self.lines, kind: HeadErrorKind::MissingField { field } }
    }

    /// Checks that every field was taken, which means that all of them are known.
    pub fn end(&self) -> Result<(), HeadError> {
        let left = self.fields.iter().map(|(name, field)| (field.line, *name));
        let repeated = REPEATED.iter().zip(&self.repeated);
        let left = left.chain(
            repeated.flat_map(|(name, fields)| fields.iter().map(|field| (field.line, *name))),
        );
        match left.min() {
            None => Ok(()),
            Some((line, name)) => {
                Err(HeadError { line, kind: HeadErrorKind::Unknown { field: name.into() } })
            }
        }
    }
}

impl Field<'_> {
    fn parsed<T>(
        &self,
        field: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, HeadError> {
        parse(&self.text).ok_or_else(|| HeadError {
            line: self.line,
            kind: HeadErrorKind::Value { field, text: excerpt(self.text.as_bytes()), expected },
        })
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= NUMBER_MAX)
}

fn is_epoch(epoch: &ServerEpoch) -> bool {
    epoch.generation <= GENERATION_MAX
}

/// Checks the length of a line before anything of it is kept.
fn check_length(text: &str) -> Result<(), HeadErrorKind> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let allowed = if name == REPEATED[0] { OUTCOME_BYTES_MAX } else { VALUE_BYTES_MAX };
    let bytes = value.len().max(name.len());
    if bytes > allowed {
        let field = excerpt(name.as_bytes());
        return Err(HeadErrorKind::ValueLength { field, bytes, allowed });
    }
    Ok(())
}

/// Splits a line into name and value. `None` if it is not a field.
fn field(line: &str, number: u64) -> Option<(&str, Field<'_>)> {
    let (name, value) = line.strip_suffix('\n')?.split_once('=')?;
    let escaped = !value.bytes().any(|byte| byte < 0x20 || byte == 0x7f);
    let text = unescape(value)?;
    (is_name(name) && escaped).then_some((name, Field { line: number, text }))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Reads the version from the first field. It comes first so that no other line of a message with a
/// newer MAJOR is interpreted.
fn version(name: &str, field: &Field<'_>) -> Result<FormatVersion, HeadError> {
    let line = field.line;
    if name != "format" {
        return Err(HeadError { line, kind: HeadErrorKind::MissingField { field: "format" } });
    }
    let version: FormatVersion = field.parsed("format", "MAJOR.MINOR", |text| text.parse().ok())?;
    if version.major != FormatVersion::CURRENT.major {
        let found = version.to_string();
        return Err(HeadError { line, kind: HeadErrorKind::NewerFormat { found } });
    }
    Ok(version)
}
