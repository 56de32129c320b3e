//! The text forms of a schedule: steps, scheduled times, lengths of time.
//!
//! ```text
//! T1 Mon-Fri 22:00
//! T2 daily 00:00
//! T3 Mon,Wed 04:30
//! T1 every 15 min
//! T1 Mon-Fri every 30 min 08:00-18:00
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::{DAY, NAMES, ScheduledTime, Step, When};

/// Where and why a text is no scheduled time or length of time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{} {expected}", place(word, *position))]
pub struct ScheduleError {
    /// Bytes before the wrong word.
    pub position: usize,
    word: String,
    expected: &'static str,
}

impl ScheduleError {
    /// What is expected, without the wrong word and its place.
    pub fn reason(&self) -> &str {
        self.expected
    }
}

fn place(word: &str, position: usize) -> String {
    match word {
        "" => "the text ends too early:".to_owned(),
        _ => format!("{word:?} at character {} is wrong:", position + 1),
    }
}

pub(super) struct Words<'a> {
    text: &'a str,
    words: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let start = text.as_ptr() as usize;
        let words = text.split_whitespace().map(|w| (w.as_ptr() as usize - start, w)).collect();
        Self { text, words, next: 0 }
    }

    pub(super) fn next(&mut self) -> Option<(usize, &'a str)> {
        self.next += 1;
        self.words.get(self.next - 1).copied()
    }

    fn has_more(&self) -> bool {
        self.next < self.words.len()
    }

    pub(super) fn end(&mut self) -> Result<(), ScheduleError> {
        self.next().map_or(Ok(()), |_| Err(self.error("nothing more is expected")))
    }

    pub(super) fn error(&self, expected: &'static str) -> ScheduleError {
        let at = self.words.get(self.next.saturating_sub(1)).copied();
        let (position, word) = at.unwrap_or((self.text.len(), ""));
        ScheduleError { position, word: word.to_owned(), expected }
    }
}

impl FromStr for ScheduledTime {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut words = Words::new(text);
        let step = parse_step(&mut words)?;
        let mut days = [true; 7];
        let mut word = words.next();
        if let Some((_, text)) = word
            && !text.eq_ignore_ascii_case("every")
            && !text.contains(':')
        {
            days = parse_days(text)
                .ok_or_else(|| words.error("days are expected: daily, Mon, Mon-Fri or Mon,Wed"))?;
            word = words.next();
        }
        let when = match word {
            Some((_, text)) if text.eq_ignore_ascii_case("every") => parse_every(&mut words)?,
            Some((_, text)) => {
                let minute = parse_minute(text);
                When::At(minute.ok_or_else(|| words.error("a time is expected, e.g. 22:00"))?)
            }
            None => return Err(words.error("a time is expected, e.g. 22:00 or every 15 min")),
        };
        words.end()?;
        Ok(Self { step, days, when })
    }
}

impl FromStr for Step {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut words = Words::new(text);
        let step = parse_step(&mut words)?;
        words.end()?;
        Ok(step)
    }
}

fn parse_step(words: &mut Words<'_>) -> Result<Step, ScheduleError> {
    match words.next().map(|(_, word)| word.to_ascii_uppercase()).as_deref() {
        Some("T1") => Ok(Step::Send),
        Some("T2") => Ok(Step::Process),
        Some("T3") => Ok(Step::Apply),
        _ => Err(words.error("T1, T2 or T3 is expected")),
    }
}

/// A number of digits alone; Rust's own parser takes a sign.
fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn parse_every(words: &mut Words<'_>) -> Result<When, ScheduleError> {
    let expected = "1 min to 24 h is expected, e.g. every 15 min";
    let seconds = parse_length(words, expected)?;
    let minutes = (seconds % 60 == 0).then_some(seconds / 60).and_then(|n| i16::try_from(n).ok());
    let minutes = minutes.filter(|minutes| (1..=DAY).contains(minutes));
    let minutes = minutes.ok_or_else(|| words.error(expected))?;
    let Some((_, range)) = words.next() else {
        return Ok(When::Every { minutes, from: 0, to: DAY - 1 });
    };
    let range = range.split_once('-').and_then(|(from, to)| {
        Some((parse_minute(from)?, parse_minute(to)?)).filter(|(from, to)| from < to)
    });
    let (from, to) = range.ok_or_else(|| words.error("times are expected, e.g. 08:00-18:00"))?;
    Ok(When::Every { minutes, from, to })
}

pub(super) fn parse_minute(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: i16| {
        (text.len() == 2).then(|| parse_number(text))?.filter(|n| (0..below).contains(n))
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

pub(super) fn parse_days(text: &str) -> Option<[bool; 7]> {
    if text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let day = |text: &str| NAMES.iter().position(|name| name.eq_ignore_ascii_case(text));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        for number in 0..7 {
            let at = (from + number) % 7;
            days[at] = true;
            if at == to {
                break;
            }
        }
    }
    Some(days)
}

/// Days as [`parse_days`] reads them.
pub(super) fn written_days(days: &[bool; 7]) -> String {
    if *days == [true; 7] {
        return "daily".into();
    }
    let days = NAMES.iter().zip(days).filter(|(_, on)| **on).map(|(name, _)| *name);
    days.collect::<Vec<_>>().join(",")
}

impl fmt::Display for ScheduledTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.step)?;
        f.write_str(&written_days(&self.days))?;
        let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
        match self.when {
            When::At(minute) => write!(f, " {}", time(minute)),
            When::Every { minutes, from: 0, to } if to == DAY - 1 => {
                write!(f, " every {minutes} min")
            }
            When::Every { minutes, from, to } => {
                write!(f, " every {minutes} min {}-{}", time(from), time(to))
            }
        }
    }
}

/// Reads a length of time: `30 s`, `90 min`, `8h`, `1h 30m`, `14 days`, `2w`, `1 year`.
///
/// # Errors
///
/// When it is none, with the place of the wrong word. A year has 365 days.
pub fn parse_duration(text: &str) -> Result<Duration, ScheduleError> {
    let mut words = Words::new(text);
    let mut seconds = 0u64;
    loop {
        let length = parse_length(&mut words, "a length of time is expected, e.g. 90 min")?;
        let sum = seconds.checked_add(length);
        seconds = sum.ok_or_else(|| words.error("this is too long"))?;
        if !words.has_more() {
            return Ok(Duration::from_secs(seconds));
        }
    }
}

/// The seconds of one word such as `90min` or `1h30m`, or of a number and the word after it.
fn parse_length(words: &mut Words<'_>, expected: &'static str) -> Result<u64, ScheduleError> {
    let Some((_, mut rest)) = words.next() else { return Err(words.error(expected)) };
    let mut seconds = 0u64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number = parse_number::<u64>(number).ok_or_else(|| words.error(expected))?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (mut unit, after) = after.split_at(letters);
        if unit.is_empty() && after.is_empty() {
            unit = words.next().map_or("", |(_, word)| word);
        }
        let unit = unit_seconds(unit);
        let unit =
            unit.ok_or_else(|| words.error("a unit is expected: s, min, h, days, weeks or years"))?;
        let sum = number.checked_mul(unit).and_then(|length| seconds.checked_add(length));
        seconds = sum.ok_or_else(|| words.error("this is too long"))?;
        rest = after;
        if rest.is_empty() {
            return Ok(seconds);
        }
    }
}

/// The seconds of a unit of time as people write it.
fn unit_seconds(unit: &str) -> Option<u64> {
    const DAY: u64 = 24 * 60 * 60;
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 60 * 60,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7 * DAY,
        "y" | "year" | "years" => 365 * DAY,
        _ => return None,
    })
}
