//! The tables of `dirsync.toml`, one function each.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use dirsync_agent::changes::Guards;
use dirsync_agent::schedule::{Schedule, ScheduledTime};
use dirsync_directory::{Address, Filter, View};
use dirsync_protocol::guard::GuardLimits;
use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::Config;
use super::link::link;
use super::mail::mail;
use super::places::places;
use super::problem::Problem;
use super::reader::{Placed, Reader, Table, shortened};
use super::sources::sources_and_targets;

/// The words that an alarm's command may have in braces.
const ALARM_WORDS: [&str; 1] = ["subject"];

/// Reads the whole file; `folder` is the one that it stands in.
pub(super) fn config<'a>(
    reader: &mut Reader<'a>,
    document: &'a DeTable<'a>,
    folder: &Path,
) -> Config {
    let root = reader.open("", 0..0, document);
    let (sources, targets) = sources_and_targets(reader, &root, folder);
    let postoffice = reader.section(&root, "postoffice");
    let home_check = reader.flag(&postoffice, "home_check");
    let view = reader.section(&root, "view");
    let view = self::view(reader, &view);
    let table = reader.section(&root, "schedule");
    let poll = reader.duration(&table, "poll");
    let zone = zone(reader, &table).unwrap_or(TimeZone::UTC);
    let schedule = schedule(reader, &table, &zone);
    let places = places(reader, &root, &zone);
    let table = reader.section(&root, "link");
    let link = link(reader, &table, folder);
    let table = reader.section(&root, "mail");
    let mail = mail(reader, &table, folder);
    let table = reader.section(&root, "guard");
    let guards = guards(reader, &table);
    let table = reader.section(&root, "alarm");
    let alarm_timeout = reader.duration(&table, "timeout");
    let alarm = alarm(reader, &table);
    let keep = reader.section(&root, "keep");
    let keep_confirmed = reader.duration(&keep, "confirmed");
    let keep_tombstones = reader.duration(&keep, "tombstones");
    check_keep(reader, &keep, keep_confirmed, keep_tombstones);
    let carrier = reader.section(&root, "carrier");
    let level = reader.number(&carrier, "compression").and_then(|level| level.try_into().ok());
    Config {
        home_check,
        view,
        zone,
        schedule,
        poll,
        sources,
        targets,
        places,
        link,
        mail,
        guards,
        alarm,
        alarm_timeout,
        keep_done: reader.duration(&keep, "done"),
        keep_log: reader.duration(&keep, "log"),
        keep_undo: reader.duration(&keep, "undo"),
        keep_confirmed,
        keep_tombstones,
        compression: level.unwrap_or_default(),
        part_bytes: reader.number(&carrier, "part_mib").unwrap_or_default() * 1024 * 1024,
        patience: reader.duration(&carrier, "patience"),
        settle_ms: reader.duration(&carrier, "settle").as_secs() * 1000,
    }
}

fn view<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> View {
    let types = list(reader, table, "types", |reader, text| address_type(reader, &text));
    let origins = list(reader, table, "origins", |reader, text| parsed(reader, &text));
    let attributes = list(reader, table, "attributes", |reader, text| parsed(reader, &text));
    let kinds = list(reader, table, "kinds", |reader, text| reader.entry_kind("view.kinds", &text));
    let filter = reader.text(table, "filter").and_then(|text| filter(reader, &text));
    let view = View { types, origins, kinds, filter, attributes };
    if let Err(error) = view.check_size() {
        reader.report(Problem::at(table.span.clone(), error.to_string()));
    }
    view
}

/// A set of values that is not empty: an empty one would let nothing be seen, and so delete the
/// whole list at this postoffice.
fn list<'a, T: Ord>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    key: &str,
    mut read: impl FnMut(&mut Reader<'a>, Placed<&'a str>) -> Option<T>,
) -> Option<BTreeSet<T>> {
    let texts = reader.texts(table, key)?;
    if texts.value.is_empty() && reader.is_empty_list(table, key) {
        let problem = Problem::at(texts.span, format!("\"view.{key}\" is empty"))
            .because(if key == "attributes" {
                "no detail would be seen"
            } else {
                "nothing would be seen"
            })
            .help("leave the key out to put no limit");
        reader.report(problem);
    }
    Some(texts.value.into_iter().filter_map(|text| read(reader, text)).collect())
}

fn parsed<T: FromStr<Err: Display>>(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<T> {
    match text.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            reader.report(Problem::at(text.span.clone(), error.to_string()));
            None
        }
    }
}

fn address_type(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<String> {
    match format!("{}:x", text.value).parse::<Address>() {
        Ok(address) if !text.value.contains(':') => Some(address.kind().to_owned()),
        _ => {
            let what = shortened(text.value);
            let problem =
                Problem::at(text.span.clone(), format!("\"{what}\" is not an address type"))
                    .because("1 to 16 letters or digits are expected, without a colon")
                    .help("for example: SMTP, X400, PCM");
            reader.report(problem);
            None
        }
    }
}

fn filter(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<Filter> {
    match text.value.parse::<Filter>() {
        Ok(filter) => Some(filter),
        Err(error) => {
            let position = error.position.saturating_sub(1);
            reader.inside(text, position, "\"view.filter\" is not a filter", error.expected);
            None
        }
    }
}

fn schedule<'a>(reader: &mut Reader<'a>, table: &Table<'a>, zone: &TimeZone) -> Option<Schedule> {
    let times = times(reader, table);
    let window = reader.duration(table, "window");
    let mode = reader.word(table, "mode");
    let no_times = !reader.has(table, "times") || reader.is_empty_list(table, "times");
    if mode == Some("scheduled") && no_times {
        let problem = Problem::at(reader.value_span(table, "mode"), "nothing would ever run")
            .because("steps run at \"times\", and there are none")
            .help("for example: times = [\"T1 daily 22:00\", \"T3 daily 06:00\"]")
            .lack();
        reader.report(problem);
    }
    let is_scheduled = mode != Some("continuous") && !no_times;
    is_scheduled.then(|| Schedule { zone: zone.clone(), times, window })
}

fn zone<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Option<TimeZone> {
    let text = reader.text(table, "zone")?;
    let zone = TimeZone::get(text.value).ok();
    if zone.is_none() {
        let what = shortened(text.value);
        let problem = Problem::at(text.span, format!("\"{what}\" is not a time zone"))
            .because("no zone has this name")
            .help("IANA names are expected, for example \"Europe/Berlin\"");
        reader.report(problem);
    }
    zone
}

fn times<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Vec<ScheduledTime> {
    let mut times = Vec::new();
    for line in reader.texts(table, "times").into_iter().flat_map(|texts| texts.value) {
        match line.value.parse::<ScheduledTime>() {
            Ok(time) => times.push(time),
            Err(error) => {
                let message = "\"schedule.times\": this is not a schedule line";
                // The line shows the wrong word already.
                reader.inside(&line, error.position, message, error.reason());
            }
        }
    }
    times
}

fn guards<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Guards {
    let any = limits(reader, table, GuardLimits { entries: 0, percent: 0 });
    let mut of_kind = |key| match reader.table(table, key) {
        Some(table) => limits(reader, &table, any),
        None => any,
    };
    Guards {
        delete: of_kind("delete"),
        blank: of_kind("blank"),
        moved: of_kind("move"),
        taken: of_kind("taken"),
        settings: of_kind("settings"),
    }
}

/// The limits of a table; those that it does not say are those of `general`.
fn limits<'a>(reader: &mut Reader<'a>, table: &Table<'a>, general: GuardLimits) -> GuardLimits {
    GuardLimits {
        entries: reader.number(table, "entries").unwrap_or(general.entries),
        percent: reader.number(table, "percent").unwrap_or(general.percent),
    }
}

fn alarm<'a>(reader: &mut Reader<'a>, table: &Table<'a>) -> Vec<String> {
    if table.is_there() && !reader.has(table, "command") {
        reader.missing(table, "command", "[\"/usr/local/bin/page\", \"{subject}\"]");
    }
    let Some(command) = reader.texts(table, "command") else { return Vec::new() };
    if reader.is_empty_list(table, "command") {
        let problem = Problem::at(command.span, "\"alarm.command\" is empty")
            .because("a program is expected")
            .help("leave the table out for no alarm");
        reader.report(problem);
    }
    for word in &command.value {
        unknown_braces(reader, word);
    }
    command.value.into_iter().map(|word| word.value.to_owned()).collect()
}

/// A mistyped `{subjekt}` would reach the person who is called unchanged.
fn unknown_braces(reader: &mut Reader<'_>, text: &Placed<&str>) {
    for (at, _) in text.value.match_indices('{') {
        let Some((word, _)) = text.value[at + 1..].split_once('}') else { continue };
        if text.value[..at].ends_with('$') {
            // A shell's variable.
            continue;
        }
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word && !ALARM_WORDS.contains(&word) {
            let message =
                format!("\"{{{}}}\" stands for nothing in \"alarm.command\"", shortened(word));
            let reason = format!("known: {{{}}}", ALARM_WORDS.join("}, {"));
            reader.inside(text, at, message, reason);
        }
    }
}

fn check_keep<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    confirmed: Duration,
    tombstones: Duration,
) {
    if confirmed <= tombstones {
        return;
    }
    let key = if reader.has(table, "confirmed") { "confirmed" } else { "tombstones" };
    let days = |duration: Duration| duration.as_secs() / 86_400;
    let problem = Problem::at(
        reader.value_span(table, key),
        "\"keep.confirmed\" must not be longer than \"keep.tombstones\"",
    )
    .because(format!(
        "confirmed is {} days, tombstones {} days",
        days(confirmed),
        days(tombstones)
    ));
    reader.report(problem);
}
