//! `[[place]]`: when and how fast messages go through a place, and how long it may fail.

use std::time::Duration;

use dirsync_agent::route::FallBack;
use dirsync_agent::schedule::{Window, Windows};
use dirsync_carrier::Place;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::problem::Problem;
use super::reader::{Placed, Reader, Table};

/// The settings of one place.
#[derive(Clone, Debug)]
pub struct PlaceSettings {
    /// The place.
    pub place: Place,
    /// When messages may go through it; `None` for always.
    pub windows: Option<Windows>,
    /// How many KiB may go through it in a second; `None` for any number.
    pub kib_per_second: Option<u64>,
    /// How long it may fail before the next place of a postoffice is used.
    pub fall_back: Duration,
}

impl PlaceSettings {
    /// The settings of a place that `[[place]]` does not name.
    pub(crate) fn of(place: Place) -> Self {
        Self { place, windows: None, kib_per_second: None, fall_back: FallBack::DEFAULT }
    }

    /// Whether messages go through it over a line of its own: a link, or a place that is used in windows or at a
    /// limited rate.
    pub fn is_slow(&self) -> bool {
        is_line(&self.place) || self.windows.is_some() || self.kib_per_second.is_some()
    }

    /// Whether messages may go through it at a time.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.windows.as_ref().is_none_or(|windows| windows.contains(at))
    }

    /// When it opens after a time, in milliseconds since 1970. 0 if it is open then, or never opens.
    pub(crate) fn opens(&self, after: Timestamp) -> u64 {
        let closed = self.windows.as_ref().filter(|_| !self.is_open(after));
        let opens = closed.and_then(|windows| windows.next_opening(after));
        opens.map_or(0, |at| u64::try_from(at.as_millisecond()).unwrap_or(0))
    }
}

/// Whether a place is a line whatever its settings are.
pub(crate) fn is_line(place: &Place) -> bool {
    matches!(place, Place::Link(_) | Place::Mail(_))
}

/// Reads all tables `[[place]]`. Windows are local times of `zone`.
pub(super) fn places<'a>(
    reader: &mut Reader<'a>,
    root: &Table<'a>,
    zone: &TimeZone,
) -> Vec<PlaceSettings> {
    let mut known: Vec<(Placed<&str>, PlaceSettings)> = Vec::new();
    for table in reader.tables(root, "place") {
        let windows = windows(reader, &table, zone);
        let kib_per_second = reader.number(&table, "kib_per_second");
        let fall_back = reader.duration(&table, "fall_back");
        let Some(text) = reader.text(&table, "place") else {
            if !reader.has(&table, "place") {
                reader.missing(&table, "place", "\"folder:/srv/share\"");
            }
            continue;
        };
        let Some(place) = place(reader, &text) else { continue };
        if let Some((first, _)) = known.iter().find(|(_, known)| known.place == place) {
            let message = format!("\"place.place\": {place} has settings already");
            let problem = Problem::at(text.span.clone(), message).because("the same place again");
            reader.report(problem.see(first.span.clone(), "here").help("make one table of both"));
            continue;
        }
        known.push((text, PlaceSettings { place, windows, kib_per_second, fall_back }));
    }
    known.into_iter().map(|(_, settings)| settings).collect()
}

fn place(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<Place> {
    let problem = match text.value.parse() {
        Ok(Place::Local) => Problem::at(text.span.clone(), "\"place.place\" cannot be \"local:\"")
            .because("only the server's own postoffice uses it")
            .help("for example: place = \"folder:/srv/share\""),
        Ok(place) => return Some(place),
        Err(error) => Problem::at(text.span.clone(), "\"place.place\" is not a place")
            .because(error.to_string())
            .help("`dirsync carrier list` or `requestor show` has the places of this postoffice"),
    };
    reader.report(problem);
    None
}

fn windows<'a>(reader: &mut Reader<'a>, table: &Table<'a>, zone: &TimeZone) -> Option<Windows> {
    let texts = reader.texts(table, "windows")?;
    if texts.value.is_empty() && reader.is_empty_list(table, "windows") {
        let problem = Problem::at(texts.span, "\"place.windows\" is empty")
            .because("nothing would ever be sent")
            .help("leave the key out to send at any time");
        reader.report(problem);
    }
    let mut windows = Vec::new();
    for text in texts.value {
        match text.value.parse::<Window>() {
            Ok(window) => windows.push(window),
            Err(error) => {
                let message = "\"place.windows\": this is not a window";
                reader.inside(&text, error.position, message, error.reason());
            }
        }
    }
    Some(Windows::new(zone.clone(), windows))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn parsed(text: &str) -> Result<Vec<PlaceSettings>, Vec<(usize, usize, String)>> {
        let config = Config::parse(Path::new("dirsync.toml"), text);
        config.map(|config| config.places).map_err(|errors| errors.positions())
    }

    #[test]
    fn the_settings_of_places_are_read() {
        let text = "[schedule]\nzone = \"Europe/Berlin\"\n\
                    [[place]]\nplace = \"folder:/srv/share\"\nwindows = [\"Mon-Fri 22:00-06:00\", \"Sun 12:00-24:00\"]\n\
                    kib_per_second = 64\nfall_back = \"90 min\"\n[[place]]\nplace = \"folder:/srv/other\"\n";
        let places = parsed(text).unwrap();
        let [share, other] = places.as_slice() else { panic!("{places:?}") };
        assert_eq!(share.place.to_string(), "folder:/srv/share");
        assert_eq!((share.kib_per_second, other.kib_per_second), (Some(64), None));
        assert_eq!(share.fall_back, Duration::from_secs(90 * 60));
        assert_eq!(other.fall_back, dirsync_agent::route::FallBack::DEFAULT);
        assert!(other.windows.is_none());
        let windows = share.windows.as_ref().unwrap();
        let at = |text: &str| text.parse().unwrap();
        assert!(windows.contains(at("2026-01-06T05:59+01")), "a time of the schedule's zone");
        assert!(!windows.contains(at("2026-01-06T06:30+01")));
    }

    #[test]
    fn mistakes_are_found_at_their_place() {
        let place = "[[place]]\nplace = \"folder:/srv/share\"\n";
        for (text, line, column, says) in [
            ("[[place]]\nplace = \"pigeon:x\"\n".into(), 2, 9, "known kinds are: folder:"),
            ("[[place]]\nplace = \"folder:srv\"\n".into(), 2, 9, "an absolute path"),
            ("[[place]]\nplace = \"local:\"\n".into(), 2, 9, "the server's own postoffice"),
            ("[[place]]\nfall_back = \"1 h\"\n".into(), 1, 1, "\"place.place\" is missing"),
            (format!("{place}{place}"), 4, 9, "the same place again"),
            (format!("{place}windows = []\n"), 3, 11, "nothing would ever be sent"),
            (format!("{place}windows = [\"Mon 22:00\"]\n"), 3, 17, "times are expected"),
            (format!("{place}windows = [\"Mo 22:00-23:00\"]\n"), 3, 13, "days are expected"),
            (format!("{place}windows = \"Mon 22:00-23:00\"\n"), 3, 11, "a list of texts"),
            (format!("{place}kib_per_second = 0\n"), 3, 18, "too small"),
            (format!("{place}kib_per_second = \"64\"\n"), 3, 18, "a whole number from 1"),
            (format!("{place}fall_back = \"6\"\n"), 3, 13, "a unit is expected"),
            (format!("{place}window = []\n"), 3, 1, "not a key of [[place]]"),
            ("[place]\nplace = \"folder:/srv\"\n".into(), 1, 1, "single table"),
        ] {
            let mistakes = parsed(&text).unwrap_err();
            let [(at, column_at, reason)] = mistakes.as_slice() else { panic!("{mistakes:?}") };
            assert_eq!((*at, *column_at), (line, column), "{text}: {reason}");
            assert!(reason.contains(says), "{text}: {reason}");
        }
    }
}
