//! Reads tables key by key and notes every mistake instead of stopping at the first one.

use std::ops::Range;
use std::time::Duration;

use dirsync_agent::schedule::parse_duration;
use dirsync_directory::EntryKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Kind, find, heading, names_in, nearest, tables_with};
use super::problem::Problem;

/// Longer times are slips of the hand, and would overflow when they are added to a date.
const DURATION_MAX: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// A value and the bytes where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// A rule of a map as it is written.
#[derive(Clone, Debug)]
pub(super) struct RuleTexts<'a> {
    pub span: Range<usize>,
    pub value: Option<Placed<&'a str>>,
    pub condition: Option<Placed<&'a str>>,
}

/// A table of the file.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    /// Where it belongs among [`super::keys::KEYS`].
    pub path: String,
    pub span: Range<usize>,
    /// `None` if the table is not there.
    entries: Option<&'a DeTable<'a>>,
}

impl Table<'_> {
    /// Whether it is in the file.
    pub fn is_there(&self) -> bool {
        self.entries.is_some()
    }
}

/// The file's text, and the mistakes that were found in it so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The table that the whole file is: empty for `dirsync.toml`, `source.map` for a map.
    root: &'static str,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str, root: &'static str) -> Self {
        Self { text, root, problems: Vec::new() }
    }

    /// Everything that was found to be wrong.
    pub fn finish(self) -> Vec<Problem> {
        self.problems
    }

    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A key as its user sees it.
    pub fn shown(&self, table: &Table<'_>, key: &str) -> String {
        let path = match table.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        path.strip_prefix(self.root)
            .map_or(path.as_str(), |rest| rest.trim_start_matches('.'))
            .to_owned()
    }

    /// Begins a table: every key in it has to be a known one.
    pub fn open(&mut self, path: &str, span: Range<usize>, entries: &'a DeTable<'a>) -> Table<'a> {
        let names = names_in(path);
        if !names.contains(&"*") {
            for (key, value) in entries.iter() {
                if !names.contains(&key.get_ref().as_ref()) {
                    let table = value.get_ref().is_table() || is_tables(value.get_ref());
                    let problem = self.unknown(path, key.get_ref(), key.span(), table, &names);
                    self.report(problem);
                }
            }
        }
        Table { path: path.to_owned(), span, entries: Some(entries) }
    }

    fn unknown(
        &self,
        path: &str,
        key: &str,
        span: Range<usize>,
        is_table: bool,
        names: &[&'static str],
    ) -> Problem {
        let inner =
            |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
        let written = |name: &str| {
            // A table is shown as one, by the name that its header has.
            if path.is_empty() && self.root.is_empty() { heading(name) } else { name.to_owned() }
        };
        let what = if is_table { "table" } else { "key" };
        let place = match path {
            _ if path == self.root => "this file".to_owned(),
            _ => heading(path.strip_prefix(self.root).unwrap_or(path).trim_start_matches('.')),
        };
        let hint = match nearest(key, names.iter().copied()) {
            Some(name) => format!("; did you mean \"{}\"?", written(name)),
            None => {
                let mut others = tables_with(key).filter(|table| table.starts_with(self.root));
                let other = others.next().filter(|other| *other != inner(key));
                other.map_or(String::new(), |table| {
                    format!("; it belongs to \"{}\"", heading(table))
                })
            }
        };
        let allowed: Vec<String> = names.iter().map(|name| written(name)).collect();
        Problem::at(span, format!("unknown {what} \"{}\"{hint}", shortened(key)))
            .because(format!("not a {what} of {place}"))
            .help(format!("{place} may have: {}", allowed.join(", ")))
    }

    fn value(&self, table: &Table<'a>, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        table.entries?.get(key)
    }

    /// Where a key itself stands.
    pub fn key_span(&self, table: &Table<'a>, key: &str) -> Range<usize> {
        table
            .entries
            .and_then(|entries| entries.get_key_value(key))
            .map_or(table.span.clone(), |(key, _)| key.span())
    }

    /// Whether a key is there at all, right or wrong.
    pub fn has(&self, table: &Table<'a>, key: &str) -> bool {
        self.value(table, key).is_some()
    }

    /// Where a key's value stands.
    pub fn value_span(&self, table: &Table<'a>, key: &str) -> Range<usize> {
        self.value(table, key).map_or(table.span.clone(), Spanned::span)
    }

    /// Whether a key is a list of nothing.
    pub fn is_empty_list(&self, table: &Table<'a>, key: &str) -> bool {
        self.value(table, key)
            .and_then(|value| value.get_ref().as_array())
            .is_some_and(|items| items.is_empty())
    }

    /// All keys of a table whose names the user chooses, in the order of the file.
    pub fn names(&self, table: &Table<'a>) -> Vec<Placed<&'a str>> {
        let keys = table.entries.into_iter().flat_map(DeTable::iter);
        let mut names: Vec<_> = keys
            .map(|(key, _)| Placed { value: key.get_ref().as_ref(), span: key.span() })
            .collect();
        names.sort_by_key(|name| name.span.start);
        names
    }

    /// The rules of a line of a map: a text, a table `{ value, if }`, or a list of both.
    pub fn rules(&mut self, table: &Table<'a>, key: &str) -> Vec<RuleTexts<'a>> {
        let Some(value) = self.value(table, key) else { return Vec::new() };
        let shown = self.shown(table, key);
        match value.get_ref().as_array() {
            Some(items) => items.iter().filter_map(|item| self.rule(&shown, item)).collect(),
            None => self.rule(&shown, value).into_iter().collect(),
        }
    }

    fn rule(&mut self, shown: &str, value: &'a Spanned<DeValue<'a>>) -> Option<RuleTexts<'a>> {
        let span = value.span();
        let Some(entries) = value.get_ref().as_table() else {
            if !value.get_ref().is_str() {
                let expected = "a text, { value = \"…\", if = \"…\" }, or a list of these";
                self.mistyped(shown, expected, value);
                return None;
            }
            let value = Some(self.as_text(shown, value)?);
            return Some(RuleTexts { span, value, condition: None });
        };
        let (mut template, mut condition) = (None, None);
        for (key, value) in entries.iter() {
            match key.get_ref().as_ref() {
                "value" => template = Some(self.as_text(&format!("{shown}.value"), value)?),
                "if" => condition = Some(self.as_text(&format!("{shown}.if"), value)?),
                other => {
                    let message = format!("unknown key \"{}\"", shortened(other));
                    let problem = Problem::at(key.span(), message);
                    self.report(problem.because("a rule has the keys \"value\" and \"if\""));
                }
            }
        }
        Some(RuleTexts { span, value: template, condition })
    }

    /// The number of the line on which a place of the file is, from 1.
    pub fn line_number(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn mistyped(&mut self, shown: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a decimal point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(
            Problem::at(value.span(), format!("\"{shown}\" must be {expected}"))
                .because(format!("this is {found}")),
        );
    }

    /// Says that a required key is missing.
    pub fn missing(&mut self, table: &Table<'_>, key: &str, example: &str) {
        let shown = self.shown(table, key);
        let message = format!("\"{shown}\" is missing");
        let problem = if table.path == self.root {
            Problem::of_file(message)
        } else {
            Problem::at(table.span.clone(), message).because(format!("this table needs \"{key}\""))
        };
        let problem = problem.help(format!("for example: {key} = {example}")).lack();
        self.report(problem);
    }

    /// The table `[path.key]`.
    pub fn table(&mut self, table: &Table<'a>, key: &str) -> Option<Table<'a>> {
        let value = self.value(table, key)?;
        let shown = self.shown(table, key);
        match value.get_ref() {
            DeValue::Table(entries) => {
                let path = join(&table.path, key);
                Some(self.open(&path, value.span(), entries))
            }
            DeValue::Array(_) => {
                let problem = Problem::at(value.span(), format!("\"[{shown}]\" stands once"))
                    .because("this makes a list of tables")
                    .help(format!("write [{shown}]"));
                self.report(problem);
                None
            }
            _ => {
                self.mistyped(&shown, &format!("a table, [{shown}]"), value);
                None
            }
        }
    }

    /// The tables `[[key]]` of the file.
    pub fn tables(&mut self, table: &Table<'a>, key: &str) -> Vec<Table<'a>> {
        let Some(value) = self.value(table, key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => items
                .iter()
                .filter_map(|item| Some((item.span(), item.get_ref().as_table()?)))
                .map(|(span, entries)| self.open(&join(&table.path, key), span, entries))
                .collect(),
            DeValue::Table(_) => {
                let problem = Problem::at(value.span(), format!("\"{key}\" is a list of tables"))
                    .because("one pair of brackets makes a single table")
                    .help(format!("write [[{key}]]"));
                self.report(problem);
                Vec::new()
            }
            _ => {
                self.mistyped(key, &format!("a list of tables, [[{key}]]"), value);
                Vec::new()
            }
        }
    }

    fn as_text(&mut self, shown: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Placed<&'a str>> {
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(shown, "a text, in quotes", value);
            return None;
        };
        if text.trim().is_empty() {
            let problem = Problem::at(value.span(), format!("\"{shown}\" is empty"));
            self.report(problem.because("a text is expected"));
            return None;
        }
        Some(Placed { value: text, span: value.span() })
    }

    /// A text that is not empty.
    pub fn text(&mut self, table: &Table<'a>, key: &str) -> Option<Placed<&'a str>> {
        let value = self.value(table, key)?;
        self.as_text(&self.shown(table, key), value)
    }

    /// A list of texts that are not empty.
    pub fn texts(&mut self, table: &Table<'a>, key: &str) -> Option<Placed<Vec<Placed<&'a str>>>> {
        let value = self.value(table, key)?;
        let shown = self.shown(table, key);
        let Some(items) = value.get_ref().as_array() else {
            self.mistyped(&shown, "a list of texts, in brackets", value);
            return None;
        };
        let texts = items.iter().filter_map(|item| self.as_text(&shown, item)).collect();
        Some(Placed { value: texts, span: value.span() })
    }

    /// The table `[key]` of the file, also if it is not there.
    pub fn section(&mut self, root: &Table<'a>, key: &str) -> Table<'a> {
        let absent = || Table { path: key.to_owned(), span: 0..0, entries: None };
        self.table(root, key).unwrap_or_else(absent)
    }

    /// `true` or `false`, or else the key's default.
    pub fn flag(&mut self, table: &Table<'a>, key: &str) -> bool {
        let default = default(table, key) == "true";
        let Some(value) = self.value(table, key) else { return default };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mistyped(&self.shown(table, key), "true or false", value);
        }
        flag.unwrap_or(default)
    }

    /// A whole number within the key's limits, or else its default.
    pub fn number(&mut self, table: &Table<'a>, key: &str) -> Option<u64> {
        let number = self.written_number(table, key);
        number.or_else(|| default(table, key).parse().ok())
    }

    fn written_number(&mut self, table: &Table<'a>, key: &str) -> Option<u64> {
        let Some(Kind::Number(first, last)) = find(&table.path, key).map(|key| key.kind) else {
            return None;
        };
        let value = self.value(table, key)?;
        let shown = self.shown(table, key);
        let expected = format!("a whole {}", Kind::Number(first, last));
        let Some(integer) = value.get_ref().as_integer() else {
            self.mistyped(&shown, &expected, value);
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (first..=last).contains(&number) => Some(number.unsigned_abs()),
            Ok(number) => {
                let reason = if number < first { "too small" } else { "too large" };
                let problem = Problem::at(value.span(), format!("\"{shown}\" must be {expected}"));
                self.report(problem.because(reason));
                None
            }
            Err(_) => {
                let problem = Problem::at(value.span(), format!("\"{shown}\" must be {expected}"));
                self.report(problem.because("too many digits"));
                None
            }
        }
    }

    /// A length of time, or else the key's default.
    pub fn duration(&mut self, table: &Table<'a>, key: &str) -> Duration {
        let written = self.written_duration(table, key);
        written.unwrap_or_else(|| {
            parse_duration(default(table, key).trim_matches('"')).unwrap_or_default()
        })
    }

    fn written_duration(&mut self, table: &Table<'a>, key: &str) -> Option<Duration> {
        let zero = find(&table.path, key).is_some_and(|key| key.kind == Kind::Duration);
        let value = self.value(table, key)?;
        let shown = self.shown(table, key);
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(&shown, "a length of time, for example \"90 min\"", value);
            return None;
        };
        let problem = match parse_duration(text) {
            Ok(duration) if duration.is_zero() && !zero => {
                Problem::at(value.span(), format!("\"{shown}\" must not be zero"))
                    .because("longer than zero is expected")
            }
            Ok(duration) if duration > DURATION_MAX => {
                Problem::at(value.span(), format!("\"{shown}\" is too long"))
                    .because("at most 1000 years are expected")
            }
            Ok(duration) => return Some(duration),
            Err(error) => Problem::at(value.span(), format!("\"{shown}\" is not a length of time"))
                .because(error.to_string()),
        };
        self.report(problem);
        None
    }

    /// One of the key's words.
    pub fn word(&mut self, table: &Table<'a>, key: &str) -> Option<&'static str> {
        let text = self.text(table, key)?;
        let Some(Kind::Word(words)) = find(&table.path, key).map(|key| key.kind) else {
            return None;
        };
        let words: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
        self.one_of(&self.shown(table, key), &text, &words)
    }

    /// A text that has to be the word of a kind of entries.
    pub fn entry_kind(&mut self, shown: &str, text: &Placed<&str>) -> Option<EntryKind> {
        self.one_of(shown, text, &EntryKind::ALL.map(|kind| (kind.as_str(), kind)))
    }

    /// A text that has to be one of some words.
    fn one_of<T: Copy>(
        &mut self,
        shown: &str,
        text: &Placed<&str>,
        words: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text.value, allowed.iter().copied())
            .map_or(String::new(), |word| format!("; did you mean \"{word}\"?"));
        let problem = Problem::at(
            text.span.clone(),
            format!("\"{shown}\" cannot be \"{}\"{hint}", shortened(text.value)),
        );
        self.report(
            problem.because("unknown word").help(format!("allowed: {}", allowed.join(", "))),
        );
        None
    }

    /// A mistake inside a text, some bytes after its beginning.
    pub fn inside(
        &mut self,
        text: &Placed<&str>,
        position: usize,
        message: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let source = self.text.get(text.span.clone()).unwrap_or_default();
        let span = match offset_in_source(source, position) {
            Some(offset) => text.span.start + offset..text.span.start + offset,
            None => text.span.clone(),
        };
        self.report(Problem::at(span, message).because(reason));
    }
}

/// The default of a key, as TOML.
fn default(table: &Table<'_>, key: &str) -> &'static str {
    find(&table.path, key).map_or("", |key| key.default)
}

fn is_tables(value: &DeValue<'_>) -> bool {
    value.as_array().is_some_and(|items| {
        !items.is_empty() && items.iter().all(|item| item.get_ref().is_table())
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A word of the user's, short enough for a line.
pub(super) fn shortened(word: &str) -> String {
    const CHARACTERS: usize = 40;
    match word.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// Where in the source of a one-line TOML string, quotes included, a byte of its value stands.
fn offset_in_source(source: &str, position: usize) -> Option<usize> {
    let quote = source.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    if source.starts_with(&quote.to_string().repeat(3)) {
        return None;
    }
    let (mut at, mut value) = (1, 0);
    while value < position {
        let rest = source.get(at..)?;
        let first = rest.chars().next().filter(|first| *first != quote)?;
        if quote == '"' && first == '\\' {
            let escape = rest[1..].chars().next()?;
            let digits = match escape {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            let code = rest.get(2..2 + digits)?;
            let character = if digits == 0 {
                escape
            } else {
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?
            };
            value += character.len_utf8();
            at += 1 + escape.len_utf8() + digits;
        } else {
            value += first.len_utf8();
            at += first.len_utf8();
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::offset_in_source;

    #[test]
    fn a_byte_of_a_value_is_found_in_its_source() {
        for (source, position, offset) in [
            (r#""abc""#, 0, Some(1)),
            (r#""abc""#, 2, Some(3)),
            (r#""abc""#, 3, Some(4)),
            (r#""abc""#, 4, None),
            (r#""a\tb""#, 2, Some(4)),
            (r#""ü\u00fcx""#, 4, Some(9)),
            (r#""\U0001F600x""#, 4, Some(11)),
            (r#""\x41x""#, 1, Some(5)),
            (r"'a\tb'", 2, Some(3)),
            (r#""""abc""""#, 1, None),
            ("", 0, None),
        ] {
            assert_eq!(offset_in_source(source, position), offset, "{source} {position}");
        }
    }
}
