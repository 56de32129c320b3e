//! Reading the file: every mistake in it is found in one run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dirsync_connect::{Format, Map, OpenOptions};
use dirsync_directory::View;
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::schedule::{Schedule, parse_duration};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigErrors;
use super::map_file::read_map;
use super::{Config, SourceConfig, TargetConfig};

/// A table that is being read: keys that nobody asked for are unknown.
pub(super) struct Reader<'t, 'd> {
    table: &'t DeTable<'d>,
    name: &'static str,
    known: Vec<&'static str>,
    span: Range<usize>,
}

type Value<'t, 'd> = &'t Spanned<DeValue<'d>>;

impl<'t, 'd> Reader<'t, 'd> {
    pub(super) fn new(table: &'t DeTable<'d>, name: &'static str, span: Range<usize>) -> Self {
        Self { table, name, known: Vec::new(), span }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of a key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t, 'd>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// A text.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        errors: &mut ConfigErrors,
    ) -> Option<(&'t str, Range<usize>)> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            _ => {
                errors.add(value.span(), format!("{key} has to be a text in quotes"), None);
                None
            }
        }
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        errors: &mut ConfigErrors,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, span) = self.text(key, errors)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                errors.add(span, reason, None);
                None
            }
        }
    }

    fn duration(&mut self, key: &'static str, errors: &mut ConfigErrors, into: &mut Duration) {
        let parsed = self.parsed(key, errors, |text| {
            parse_duration(text).map_err(|error| format!("{key}: {error}"))
        });
        if let Some(duration) = parsed {
            *into = duration;
        }
    }

    fn flag(&mut self, key: &'static str, errors: &mut ConfigErrors) -> bool {
        match self.value(key).map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::Boolean(flag), _)) => *flag,
            Some((_, span)) => {
                errors.add(span, format!("{key} has to be true or false"), None);
                false
            }
            None => false,
        }
    }

    fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        errors: &mut ConfigErrors,
    ) -> Option<u64> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let reason =
                format!("{key} has to be a number from {} to {}", range.start(), range.end());
            errors.add(value.span(), reason, None);
        }
        number
    }

    /// The texts of a list.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        errors: &mut ConfigErrors,
    ) -> Option<Vec<(&'t str, Range<usize>)>> {
        let value = self.value(key)?;
        let DeValue::Array(values) = value.get_ref() else {
            errors.add(value.span(), format!("{key} has to be a list of texts"), None);
            return None;
        };
        let mut texts = Vec::new();
        for value in values {
            match value.get_ref() {
                DeValue::String(text) => texts.push((text.as_ref(), value.span())),
                _ => errors.add(value.span(), format!("{key} has to be a list of texts"), None),
            }
        }
        Some(texts)
    }

    /// A table below this one.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        errors: &mut ConfigErrors,
    ) -> Option<Reader<'t, 'd>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Reader::new(table, key, value.span())),
            _ => {
                errors.add(value.span(), format!("{key} has to be a table, [{key}]"), None);
                None
            }
        }
    }

    fn tables(&mut self, key: &'static str, errors: &mut ConfigErrors) -> Vec<Reader<'t, 'd>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(values) = value.get_ref() else {
            errors.add(value.span(), format!("write [[{key}]], with two brackets"), None);
            return Vec::new();
        };
        let table = |value: &'t Spanned<DeValue<'d>>| match value.get_ref() {
            DeValue::Table(table) => Some(Reader::new(table, key, value.span())),
            _ => None,
        };
        values.iter().filter_map(table).collect()
    }

    /// All keys with their texts, for tables whose keys are free: (key, text, its span, the key's).
    pub(super) fn entries(
        self,
        errors: &mut ConfigErrors,
    ) -> Vec<(&'t str, &'t str, Range<usize>, Range<usize>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table.iter() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::String(text) => {
                    entries.push((name, text.as_ref(), value.span(), key.span()));
                }
                _ => errors.add(value.span(), format!("{name} has to be a text in quotes"), None),
            }
        }
        entries
    }

    /// Reports the keys that nobody asked for, with the nearest known one.
    pub(super) fn finish(self, errors: &mut ConfigErrors) {
        for (key, _) in self.table.iter() {
            let text: &str = key.get_ref();
            if self.known.contains(&text) {
                continue;
            }
            let place =
                if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            let nearest = nearest(text, &self.known);
            let help = match nearest {
                Some(nearest) => format!("help: did you mean \"{nearest}\"?"),
                None => format!("help: known keys are {}", self.known.join(", ")),
            };
            errors.add(key.span(), format!("unknown key \"{text}\"{place}"), Some(help));
        }
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| edits(word, other);
    let best = known.iter().map(|known| (distance(known), *known)).min()?;
    (best.0 <= 1 + word.len() / 3).then_some(best.1)
}

/// Edits between two words (Levenshtein).
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let mut errors = ConfigErrors::new(path, text);
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            errors.add(error.span().unwrap_or(0..0), error.message().to_owned(), None);
            return errors.or(Config::default());
        }
    };
    let mut config = Config::default();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut root = Reader::new(document.get_ref(), "", 0..0);
    read_view(&mut root, &mut config, &mut errors);
    read_schedule(&mut root, &mut config, &mut errors);
    read_sources(&mut root, folder, &mut config, &mut errors);
    read_targets(&mut root, folder, &mut config, &mut errors);
    read_guard(&mut root, &mut config, &mut errors);
    if let Some(mut alarm) = root.table("alarm", &mut errors) {
        if let Some(command) = alarm.texts("command", &mut errors) {
            config.alarm = command.into_iter().map(|(word, _)| word.to_owned()).collect();
        }
        alarm.finish(&mut errors);
    }
    if let Some(mut keep) = root.table("keep", &mut errors) {
        keep.duration("done", &mut errors, &mut config.keep_done);
        keep.duration("log", &mut errors, &mut config.keep_log);
        keep.duration("confirmed", &mut errors, &mut config.keep_confirmed);
        keep.duration("tombstones", &mut errors, &mut config.keep_tombstones);
        keep.finish(&mut errors);
    }
    if let Some(mut carrier) = root.table("carrier", &mut errors) {
        if let Some(mebibytes) = carrier.number("part_mib", 1..=1024, &mut errors) {
            config.part_bytes = mebibytes * 1024 * 1024;
        }
        if let Some(level) = carrier.number("compression", 1..=19, &mut errors) {
            config.compression = level as i32;
        }
        let mut settle = Duration::from_millis(config.settle_ms);
        carrier.duration("settle", &mut errors, &mut settle);
        config.settle_ms = settle.as_millis() as u64;
        carrier.finish(&mut errors);
    }
    root.finish(&mut errors);
    errors.or(config)
}

fn read_view(root: &mut Reader<'_, '_>, config: &mut Config, errors: &mut ConfigErrors) {
    let Some(mut table) = root.table("view", errors) else { return };
    let mut lines = Vec::new();
    for key in ["types", "origins", "kinds", "attributes"] {
        if let Some(values) = table.texts(key, errors) {
            for (value, span) in &values {
                if let Err(error) = format!("{key}\t{value}\n").parse::<View>() {
                    errors.add(span.clone(), error.to_string(), None);
                }
            }
            let values: Vec<&str> = values.into_iter().map(|(value, _)| value).collect();
            lines.push(format!("{key}\t{}\n", values.join("\t")));
        }
    }
    let filter = table.parsed("filter", errors, |text| {
        text.parse::<dirsync_directory::Filter>().map_err(|error| error.to_string())
    });
    if let Ok(view) = lines.concat().parse::<View>() {
        config.view = View { filter, ..view };
    }
    table.finish(errors);
}

fn read_schedule(root: &mut Reader<'_, '_>, config: &mut Config, errors: &mut ConfigErrors) {
    let Some(mut table) = root.table("schedule", errors) else { return };
    table.duration("poll", errors, &mut config.poll);
    if config.poll.is_zero() {
        errors.add(table.span(), "poll cannot be zero".into(), None);
    }
    let zone = table.parsed("zone", errors, |name| {
        jiff::tz::TimeZone::get(name)
            .map_err(|_| format!("\"{name}\" is not a time zone; write it like Europe/Berlin"))
    });
    let mut window = Schedule::WINDOW;
    table.duration("window", errors, &mut window);
    if let Some(lines) = table.texts("times", errors) {
        let mut times = Vec::new();
        for (line, span) in lines {
            match line.parse() {
                Ok(time) => times.push(time),
                Err(error) => errors.add(span, format!("{error}"), None),
            }
        }
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        config.schedule = Some(Schedule { zone, times, window });
    }
    table.finish(errors);
}

fn read_sources(
    root: &mut Reader<'_, '_>,
    folder: &Path,
    config: &mut Config,
    errors: &mut ConfigErrors,
) {
    let mut names = BTreeSet::new();
    for mut table in root.tables("source", errors) {
        let Some((name, span)) = table.text("name", errors) else {
            errors.add(table.span(), "a source needs a name".into(), None);
            continue;
        };
        if ["hand", "import", "adopted", "merge", ""].contains(&name) {
            errors.add(
                span.clone(),
                format!("the name \"{name}\" is taken by dirsync itself"),
                None,
            );
        }
        if !names.insert(name.to_owned()) {
            errors.add(span, format!("two sources are called \"{name}\""), None);
        }
        let file = read_file(&mut table, folder, errors);
        let format = read_format(&mut table, file.as_deref(), errors);
        let whole = table.flag("whole", errors);
        let encoding = table.text("encoding", errors).map(|(text, _)| text.to_owned());
        let map: Option<Map> = table.table("map", errors).and_then(|map| read_map(map, errors));
        table.finish(errors);
        if let (Some(file), Some(format)) = (file, format) {
            let fingerprint = format!("{} {format} {encoding:?} {map:?}", file.display());
            let fingerprint = blake3::hash(fingerprint.as_bytes()).to_hex().to_string();
            let options = OpenOptions { encoding, map };
            let name = name.to_owned();
            config.sources.push(SourceConfig { name, file, format, whole, options, fingerprint });
        }
    }
}

fn read_targets(
    root: &mut Reader<'_, '_>,
    folder: &Path,
    config: &mut Config,
    errors: &mut ConfigErrors,
) {
    let mut files = BTreeSet::new();
    for mut table in root.tables("target", errors) {
        let file = read_file(&mut table, folder, errors);
        let format = read_format(&mut table, file.as_deref(), errors);
        let for_people = table.flag("for_people", errors);
        let own = table.flag("own", errors);
        let span = table.span();
        table.finish(errors);
        if let (Some(file), Some(format)) = (file, format) {
            if !files.insert(file.clone()) {
                errors.add(span, format!("two targets write \"{}\"", file.display()), None);
            }
            config.targets.push(TargetConfig { file, format, for_people, own });
        }
    }
}

fn read_file(
    table: &mut Reader<'_, '_>,
    folder: &Path,
    errors: &mut ConfigErrors,
) -> Option<PathBuf> {
    let span = table.span();
    let file = table.text("file", errors).map(|(text, _)| folder.join(text));
    if file.is_none() && table.table.get("file").is_none() {
        errors.add(span, format!("a {} needs a file", table.name), None);
    }
    file
}

fn read_format(
    table: &mut Reader<'_, '_>,
    file: Option<&Path>,
    errors: &mut ConfigErrors,
) -> Option<Format> {
    let span = table.span();
    if table.table.get("format").is_some() {
        return table.parsed("format", errors, |text| {
            text.parse().map_err(|error: dirsync_connect::UnknownFormat| error.to_string())
        });
    }
    table.known.push("format");
    match Format::of_path(file?) {
        Ok(format) => Some(format),
        Err(_) => {
            let reason = "the file's extension does not say its format; add format = \"csv\"";
            errors.add(span, reason.into(), None);
            None
        }
    }
}

fn read_guard(root: &mut Reader<'_, '_>, config: &mut Config, errors: &mut ConfigErrors) {
    let Some(mut table) = root.table("guard", errors) else { return };
    let limits =
        |table: &mut Reader<'_, '_>, base: GuardLimits, errors: &mut ConfigErrors| GuardLimits {
            entries: table.number("entries", 0..=u32::MAX.into(), errors).unwrap_or(base.entries),
            percent: table.number("percent", 0..=100, errors).unwrap_or(base.percent),
        };
    let all = limits(&mut table, GuardLimits::default(), errors);
    let guards = &mut config.guards;
    for (key, guard) in [
        ("delete", &mut guards.delete),
        ("blank", &mut guards.blank),
        ("move", &mut guards.moved),
        ("settings", &mut guards.settings),
    ] {
        *guard = all;
        if let Some(mut inner) = table.table(key, errors) {
            *guard = limits(&mut inner, all, errors);
            inner.finish(errors);
        }
    }
    table.finish(errors);
}
