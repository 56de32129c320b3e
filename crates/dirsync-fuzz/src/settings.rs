//! Texts that administrators write or pass on: settings, decisions, invitations, schedules.

use dirsync_agent::decisions::Decision;
use dirsync_agent::schedule::{Schedule, ScheduledTime, Step, parse_duration};
use dirsync_postoffice::config::{Config, ConfigErrors, load_map};
use dirsync_postoffice::invitation::Invitation;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::scratch::with_file;
use crate::texts::prints_back;

/// A file of settings is valid, or all its problems can be shown.
pub fn config(data: &[u8]) {
    with_file(data, |path| match Config::load(path) {
        Ok(config) => {
            assert!(!config.poll.is_zero() && !config.keep_log.is_zero());
            assert!(config.keep_confirmed <= config.keep_tombstones);
        }
        Err(errors) => shown(&errors),
    });
}

/// A map is valid, or all its problems can be shown.
pub fn map(data: &[u8]) {
    with_file(data, |path| match load_map(path) {
        Ok(map) => assert!(!map.address.is_empty()),
        Err(errors) => shown(&errors),
    });
}

fn shown(errors: &ConfigErrors) {
    assert!(!errors.to_string().is_empty());
}

/// A line of the decisions log prints as itself, in one line.
pub fn decision(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(decision) = prints_back::<Decision>(text) {
        assert!(!decision.to_string().contains('\n'), "{decision:?}");
    }
}

/// An invitation is read as it was written.
pub fn invitation(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(invitation) = Invitation::parse(text) {
        assert_eq!(Invitation::parse(&invitation.to_string()), Ok(invitation));
    }
}

/// The lines of a schedule print as themselves, and due times can be computed in a zone that skips
/// and repeats hours.
pub fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let times: Vec<ScheduledTime> = text.lines().take(4).filter_map(prints_back).collect();
    for line in text.lines() {
        if let Err(error) = parse_duration(line) {
            assert!(error.position <= line.len() && !error.to_string().is_empty());
        }
        if let Err(error) = line.parse::<ScheduledTime>() {
            assert!(error.position <= line.len() && !error.to_string().is_empty());
        }
    }
    if times.is_empty() {
        return;
    }
    let zone = TimeZone::get("Europe/Berlin").expect("the zones are bundled");
    let schedule = Schedule { zone, times, window: Schedule::WINDOW };
    // The length of the text chooses an hour around both changes of 2026, or an end of time.
    let hours = 3600 * (text.len() as i64 % 48);
    for second in [1_774_700_000, 1_792_900_000, 253_402_207_100 - 48 * 3600, -377_705_023_201] {
        let now = Timestamp::from_second(second + hours).expect("a time");
        for step in [Step::Send, Step::Process, Step::Apply] {
            schedule.due(step, None, now);
            schedule.nth_after(step, now, 3);
        }
    }
}
