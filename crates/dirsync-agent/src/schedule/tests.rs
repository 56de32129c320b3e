use super::*;

const DAY_HOURS: SignedDuration = SignedDuration::from_hours(24);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(zone: &str, lines: &[&str]) -> Schedule {
    Schedule {
        zone: TimeZone::get(zone).unwrap(),
        times: lines.iter().map(|line| line.parse().unwrap()).collect(),
        window: Schedule::WINDOW,
    }
}

/// Asks every minute, as Dispatch does, and gives the instants at which T1 ran.
fn runs(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let (mut now, to) = (at(from), at(to));
    let mut last_run = now;
    let mut runs = Vec::new();
    while now <= to {
        match schedule.due(Step::Send, Some(last_run), now) {
            Due::Now { scheduled_for } => {
                assert_eq!(scheduled_for, now, "in its minute");
                last_run = scheduled_for;
                runs.push(now.to_string());
            }
            Due::At(next) => assert!(next > now),
            due => panic!("{due:?} at {now}"),
        }
        now += SignedDuration::from_mins(1);
    }
    runs
}

#[test]
fn dst_runs_once() {
    // Zone, line, from, to, runs.
    let table: &[(&str, &str, &str, &str, &[&str])] = &[
        // Gap 02:00 to 03:00: its middle, its first minute, the minute after it.
        (
            "Europe/Berlin",
            "T1 daily 02:30",
            "2024-03-30T22Z",
            "2024-03-31T22Z",
            &["2024-03-31T01:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "T1 daily 02:00",
            "2024-03-30T22Z",
            "2024-03-31T22Z",
            &["2024-03-31T01:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "T1 daily 03:00",
            "2024-03-30T22Z",
            "2024-03-31T22Z",
            &["2024-03-31T01:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "T1 every 30 min 01:30-03:30",
            "2024-03-30T22Z",
            "2024-03-31T22Z",
            &["2024-03-31T00:30:00Z", "2024-03-31T01:00:00Z", "2024-03-31T01:30:00Z"],
        ),
        // Fold 03:00 to 02:00.
        (
            "Europe/Berlin",
            "T1 daily 02:30",
            "2024-10-26T22Z",
            "2024-10-27T22Z",
            &["2024-10-27T00:30:00Z"],
        ),
        (
            "Europe/Berlin",
            "T1 Sun 02:00",
            "2024-10-26T22Z",
            "2024-10-27T22Z",
            &["2024-10-27T00:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "T1 daily 03:00",
            "2024-10-26T22Z",
            "2024-10-27T22Z",
            &["2024-10-27T02:00:00Z"],
        ),
        // Midnight itself is skipped, and 23:00 to 24:00 doubled.
        (
            "America/Santiago",
            "T1 Sun 00:00",
            "2024-09-08T00Z",
            "2024-09-09T02Z",
            &["2024-09-08T04:00:00Z"],
        ),
        (
            "America/Santiago",
            "T1 Sat 23:30",
            "2024-04-06T12Z",
            "2024-04-07T12Z",
            &["2024-04-07T02:30:00Z"],
        ),
        // Half an hour.
        (
            "Australia/Lord_Howe",
            "T1 daily 02:15",
            "2024-10-05T14Z",
            "2024-10-06T12Z",
            &["2024-10-05T15:30:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            "T1 daily 01:45",
            "2024-04-06T13Z",
            "2024-04-07T12Z",
            &["2024-04-06T14:45:00Z"],
        ),
        // 30 December 2011, a Friday, did not exist: 29 at 24:00 is 31 at 00:00.
        (
            "Pacific/Apia",
            "T1 Fri 22:00",
            "2011-12-29T12Z",
            "2012-01-04T12Z",
            &["2011-12-30T10:00:00Z"],
        ),
        (
            "Pacific/Apia",
            "T1 Fri,Sat 00:00",
            "2011-12-29T12Z",
            "2012-01-04T12Z",
            &["2011-12-30T10:00:00Z"],
        ),
        (
            "Pacific/Apia",
            "T1 Thu,Sat 02:30",
            "2011-12-29T00Z",
            "2011-12-31T00Z",
            &["2011-12-29T12:30:00Z", "2011-12-30T12:30:00Z"],
        ),
        (
            "America/New_York",
            "T1 daily 02:59",
            "2024-03-10T05Z",
            "2024-03-11T03Z",
            &["2024-03-10T07:00:00Z"],
        ),
        (
            "America/New_York",
            "T1 daily 01:30",
            "2024-11-03T04Z",
            "2024-11-04T04Z",
            &["2024-11-03T05:30:00Z"],
        ),
        // A gap over midnight: 23:30 of the 30th to 00:30 of the 31st.
        (
            "America/Toronto",
            "T1 daily 23:45",
            "1919-03-30T12Z",
            "1919-03-31T12Z",
            &["1919-03-31T04:30:00Z"],
        ),
        ("UTC", "T1 daily 02:30", "2024-03-31T00Z", "2024-03-31T23Z", &["2024-03-31T02:30:00Z"]),
    ];
    for (zone, line, from, to, expected) in table {
        let (from, to) = (from.replace('Z', ":00Z"), to.replace('Z', ":00Z"));
        let schedule = schedule(zone, &[line]);
        assert_eq!(runs(&schedule, &from, &to), *expected, "{zone} {line} {from}");
        let nth = |n: usize| schedule.nth_after(Step::Send, at(&from), n as u32).unwrap();
        assert!(expected.is_empty() || nth(expected.len()) <= at(&to), "{zone} {line} {from}");
        assert!(nth(expected.len() + 1) > at(&to), "{zone} {line} {from}");
    }
}

#[test]
fn a_time_stays_where_it_is_all_year() {
    let nights = schedule("Europe/Berlin", &["T1 Mon 22:00"]);
    let mut last = at("2024-01-01T21:00:00Z");
    for _ in 0..52 {
        let Due::At(next) = nights.due(Step::Send, Some(last), last) else { panic!("not due") };
        assert_eq!(nights.zone.to_datetime(next).hour(), 22);
        last = next;
    }
}

#[test]
fn missed_and_overrunning_windows() {
    let nights = schedule("UTC", &["T1 daily 22:00", "T2 Mon 22:00"]);
    let due = |last: &str, now: &str| nights.due(Step::Send, Some(at(last)), at(now));
    let monday = at("2024-05-06T22:00:00Z");
    // Down at its time, up again while the window is open: it runs once.
    let run = Due::Now { scheduled_for: monday };
    assert_eq!(due("2024-05-05T22:00:00Z", "2024-05-07T05:59:59Z"), run);
    assert_eq!(due("2024-05-06T22:00:00Z", "2024-05-07T05:59:59Z"), Due::At(monday + DAY_HOURS));
    // The window is over: it is missed, said once, and the next is the next.
    let missed = Due::Missed { scheduled_for: monday, next: Some(monday + DAY_HOURS) };
    assert_eq!(due("2024-05-05T22:00:00Z", "2024-05-07T06:00:00Z"), missed);
    assert_eq!(due("2024-05-06T22:00:00Z", "2024-05-07T06:00:00Z"), Due::At(monday + DAY_HOURS));
    // Ten missed nights are one, and so are those that passed while a run went on.
    assert_eq!(due("2024-04-26T22:00:00Z", "2024-05-07T06:00:00Z"), missed);
    assert_eq!(due("2024-04-26T22:00:00Z", "2024-05-06T22:00:00Z"), run);
    // Other steps have other times, or none.
    let now = at("2024-05-07T06:00:00Z");
    assert_eq!(nights.due(Step::Process, Some(monday), now), Due::At(at("2024-05-13T22:00:00Z")));
    assert_eq!(nights.due(Step::Apply, None, now), Due::Never);
    assert_eq!(nights.due(Step::Send, None, now), missed);
}

#[test]
fn a_clock_that_goes_back_repeats_no_time() {
    let quarters = schedule("UTC", &["T1 every 15 min"]);
    let last = at("2024-05-06T12:00:00Z");
    let next = Due::At(at("2024-05-06T12:15:00Z"));
    for back in ["2024-05-06T11:59:59Z", "2024-05-06T11:45:00Z", "2024-05-04T00:01:00Z"] {
        assert_eq!(quarters.due(Step::Send, Some(last), at(back)), next, "{back}");
    }
    // A day forward is one run.
    let now = at("2024-05-07T12:07:00Z");
    let scheduled_for = at("2024-05-07T12:00:00Z");
    assert_eq!(quarters.due(Step::Send, Some(last), now), Due::Now { scheduled_for });
    let next = Due::At(at("2024-05-07T12:15:00Z"));
    assert_eq!(quarters.due(Step::Send, Some(scheduled_for), now), next);
}

#[test]
fn cycles_are_counted_from_the_instant_after_the_given_one() {
    let nights = schedule("Europe/Berlin", &["T1 Mon-Fri 22:00", "T1 Mon 22:00", "T3 daily 23:00"]);
    let third = |since: &str| nights.nth_after(Step::Send, at(since), 3).unwrap();
    assert_eq!(third("2024-05-06T20:00:00Z"), at("2024-05-09T20:00:00Z"));
    assert_eq!(third("2024-05-06T19:59:59Z"), at("2024-05-08T20:00:00Z"));
    assert_eq!(third("2024-05-09T20:00:00Z"), at("2024-05-14T20:00:00Z"), "over a weekend");
    assert_eq!(nights.nth_after(Step::Process, at("2024-05-06T20:00:00Z"), 1), None);
}

#[test]
fn the_ends_of_time_are_no_panic() {
    let nights = schedule("Pacific/Apia", &["T1 daily 00:00", "T1 daily 23:59"]);
    for now in [Timestamp::MIN, Timestamp::MAX] {
        nights.due(Step::Send, None, now);
        nights.due(Step::Send, Some(Timestamp::MAX), now);
        nights.nth_after(Step::Send, now, 3);
    }
    assert!(clock_jump(Timestamp::MIN, Timestamp::MAX, Duration::MAX).is_some());
}

#[test]
fn a_line_reads_back_as_it_is_shown() {
    for (text, shown) in [
        ("T1 Mon-Fri 22:00", "T1 Mon,Tue,Wed,Thu,Fri 22:00"),
        ("t2 daily 00:00", "T2 daily 00:00"),
        ("T2 00:00", "T2 daily 00:00"),
        ("T3 Mon,wed 04:30", "T3 Mon,Wed 04:30"),
        ("T3 Sat-Mon 04:30", "T3 Mon,Sat,Sun 04:30"),
        ("T1  every 15 min", "T1 daily every 15 min"),
        ("T1 every 24 h", "T1 daily every 1440 min"),
        ("T1 every 1h30m 08:00-18:00", "T1 daily every 90 min 08:00-18:00"),
        ("T1 Mon every 30 min 08:00-18:00", "T1 Mon every 30 min 08:00-18:00"),
    ] {
        let time: ScheduledTime = text.parse().unwrap();
        assert_eq!(time.to_string(), shown);
        assert_eq!(shown.parse(), Ok(time), "{shown}");
    }
    for step in [Step::Send, Step::Process, Step::Apply] {
        assert_eq!(step.to_string().parse(), Ok(step));
    }
}

#[test]
fn a_wrong_line_names_the_place_and_what_is_expected() {
    for (text, message) in [
        ("", "the text ends too early: T1, T2 or T3 is expected"),
        ("T4 22:00", "\"T4\" at character 1 is wrong: T1, T2 or T3 is expected"),
        ("T1", "the text ends too early: a time is expected, e.g. 22:00 or every 15 min"),
        ("T1 Mon", "the text ends too early: a time is expected, e.g. 22:00 or every 15 min"),
        (
            "T1 Moon 22:00",
            "\"Moon\" at character 4 is wrong: days are expected: daily, Mon, Mon-Fri or Mon,Wed",
        ),
        ("T1 Mon 24:00", "\"24:00\" at character 8 is wrong: a time is expected, e.g. 22:00"),
        ("T1 Mon +1:+5", "\"+1:+5\" at character 8 is wrong: a time is expected, e.g. 22:00"),
        ("T1 Mon 22:00 x", "\"x\" at character 14 is wrong: nothing more is expected"),
        (
            "T1 every 0 min",
            "\"min\" at character 12 is wrong: 1 min to 24 h is expected, e.g. every 15 min",
        ),
        (
            "T1 every 15 s",
            "\"s\" at character 13 is wrong: 1 min to 24 h is expected, e.g. every 15 min",
        ),
        (
            "T1 every 25h",
            "\"25h\" at character 10 is wrong: 1 min to 24 h is expected, e.g. every 15 min",
        ),
        (
            "T1 every 5 min 9-10",
            "\"9-10\" at character 16 is wrong: times are expected, e.g. 08:00-18:00",
        ),
        (
            "T1 every 5 min 10:00-09:00",
            "\"10:00-09:00\" at character 16 is wrong: times are expected, e.g. 08:00-18:00",
        ),
    ] {
        assert_eq!(text.parse::<ScheduledTime>().unwrap_err().to_string(), message, "{text}");
    }
    assert_eq!("T1 Mon 25:00".parse::<ScheduledTime>().unwrap_err().position, 7);
    assert_eq!("T1 T2".parse::<Step>().unwrap_err().position, 3);
}

#[test]
fn a_length_of_time_is_a_number_and_a_unit() {
    for (text, seconds) in [
        ("30 s", 30),
        ("90 min", 5_400),
        ("8 h", 28_800),
        ("1 day", 86_400),
        ("14 days", 1_209_600),
        ("1 year", 31_536_000),
        ("1h", 3_600),
        ("30m", 1_800),
        ("2d", 172_800),
        ("1h30m", 5_400),
        ("1 h 30 min", 5_400),
        ("2 weeks", 1_209_600),
        ("90 minutes", 5_400),
        ("0 s", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
    }
    for (text, position) in [
        ("", 0),
        ("x", 0),
        ("-1 s", 0),
        ("+1 s", 0),
        ("8", 1),
        ("8 H", 2),
        ("18446744073709551615 min", 21),
        ("8 h x", 4),
        ("8 h 3", 5),
        ("8h3", 3),
        ("1:30", 0),
        ("1 month", 2),
        ("0 s x", 4),
    ] {
        assert_eq!(parse_duration(text).unwrap_err().position, position, "{text}");
    }
}

#[test]
fn only_more_than_a_day_is_a_clock_jump() {
    let (last, hour) = (at("2024-05-06T12:00:00Z"), Duration::from_secs(3_600));
    let jump = |hours: i64| clock_jump(last, last + SignedDuration::from_hours(hours), hour);
    assert_eq!(jump(1), None);
    assert_eq!(jump(25), None);
    assert_eq!(jump(26), Some(SignedDuration::from_hours(25)));
    assert_eq!(jump(-23), None);
    assert_eq!(jump(-24), Some(SignedDuration::from_hours(-25)));
}

#[test]
fn a_delay_doubles_up_to_its_limit() {
    let delays: Vec<u64> = (0..9).map(|n| BackOff::default().delay(n).as_secs()).collect();
    assert_eq!(delays, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert_eq!(BackOff::default().delay(u32::MAX).as_secs(), 3_600);
}
