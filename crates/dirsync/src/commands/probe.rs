//! `dirsync carrier test` and `dirsync requestor test`.

use std::path::Path;
use std::time::{Duration, Instant};

use dirsync_directory::PostofficeName;
use dirsync_postoffice::probe::{PlaceTest, Test};
use dirsync_postoffice::{Postoffice, json, now_ms};
use schemars::JsonSchema;
use serde::Serialize;

use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::progress::Progress;
use crate::time::Times;
use crate::words::hint::DIRSYNC;
use crate::words::shown;
use crate::words::status::probe_times;

/// The pause between two looks for answers, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A test of the places between two postoffices.
#[derive(Serialize, JsonSchema)]
pub struct Tested {
    /// The other postoffice.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// The places, the preferred one first.
    places: Vec<PlaceTest>,
}

/// Tries the places to a requestor, or those to the server.
pub fn run(
    folder: &Path,
    to: Option<&PostofficeName>,
    wait: Duration,
    json: bool,
) -> Result<ExitStatus> {
    let mut test = Test::begin(folder, to)?;
    let to = test.to.clone();
    wait_for_answers(&mut test, wait)?;
    let places = test.end();
    let status = exit_status(&places);
    if json {
        document::print(&Tested { postoffice: to, places });
        return Ok(status);
    }
    let postoffice = Postoffice::read(folder)?;
    let times = Times { zone: postoffice.config.zone(), now: now_ms() };
    for (number, place) in (1..).zip(&places) {
        let words = words(place, &to, &times, postoffice.is_server);
        println!("  {number}  {}: {}", shown(&place.place), shown(&words));
    }
    Ok(status)
}

/// Until all places have answered, or the time is over.
fn wait_for_answers(test: &mut Test, wait: Duration) -> Result<()> {
    let end = Instant::now() + wait;
    let _progress = Progress::of("waiting for answers");
    let mut pause = PAUSE;
    while test.look()? {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(pause.min(left));
        pause = (2 * pause).min(PAUSE_MAX);
    }
    Ok(())
}

fn exit_status(places: &[PlaceTest]) -> ExitStatus {
    if places.iter().any(|place| place.error.is_some()) {
        ExitStatus::Unreachable
    } else if places.iter().any(|place| place.answer.is_none()) {
        ExitStatus::Waiting
    } else {
        ExitStatus::Done
    }
}

fn words(test: &PlaceTest, to: &PostofficeName, times: &Times, is_server: bool) -> String {
    let later = if is_server { "status --verbose" } else { "carrier list" };
    match (&test.error, &test.answer) {
        (Some(error), _) => error.clone(),
        (None, Some(answer)) => probe_times(answer),
        (None, None) if test.opens > 0 => format!(
            "it opens {}; the probe leaves then, and `{DIRSYNC} {later}` says the answer",
            times.until(test.opens)
        ),
        (None, None) => format!(
            "no answer yet: {to} answers when its agent, or `cycle` there, looks at the place; \
             `{DIRSYNC} {later}` says it then"
        ),
    }
}
