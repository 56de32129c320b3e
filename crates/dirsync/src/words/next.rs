//! The words for what the agent does next.

use dirsync_postoffice::next::{Next, NextStep, Starts};

use crate::time::Times;

/// The step that comes first, e.g. "T1 today 22:00 Europe/Berlin (in 3 h)".
pub fn first(next: NextStep, times: &Times) -> String {
    match next.at.checked_sub(times.now).filter(|left| *left > 0) {
        Some(_) => {
            let (step, at, zone) = (next.step, times.day(next.at), times.zone_name());
            format!("{step} {at} {zone} ({})", times.until(next.at))
        }
        None => format!("{} now", next.step),
    }
}

/// The next times of each step, a line each.
pub fn lines(next: &Next, times: &Times) -> Vec<String> {
    if next.starts == Starts::Continuous {
        let poll = next.poll_seconds;
        return vec![format!(
            "continuous: a change is sent at once, and places are looked at every {poll} s"
        )];
    }
    let line = |at: &dirsync_postoffice::next::NextTimes| {
        let now = at.due.then(|| "now".to_owned());
        let mut last_day = String::new();
        let later = at.times.iter().map(|at| {
            let (day, time) = times.day_and_time(*at);
            let text = if day == last_day { time.clone() } else { format!("{day} {time}") };
            last_day = day;
            text
        });
        let all: Vec<String> = now.into_iter().chain(later).collect();
        match all.is_empty() {
            true => format!("{} never", at.step),
            false => format!("{} {} {}", at.step, all.join(", "), times.zone_name()),
        }
    };
    next.steps.iter().map(line).collect()
}
