//! Heads: each has one text, and nothing else is read.

use dirsync_message::*;
use proptest::prelude::*;

use crate::strategies::{request, update};

/// A small request.
pub const REQUEST: &str = include_str!("../../testdata/format-1.0/request.head");
/// A small update.
pub const UPDATE: &str = include_str!("../../testdata/format-1.0/update.head");

fn wrong(text: &str) -> (u64, HeadErrorKind) {
    let error = Head::parse(text).expect_err(text);
    (error.line, error.kind)
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_printed(request in request()) {
        let text = request.to_text();
        prop_assert_eq!(Head::parse(&text).unwrap(), Head::Request(Box::new(request)), "{}", text);
    }

    #[test]
    fn an_update_is_read_as_it_was_printed(update in update()) {
        let text = update.to_text();
        prop_assert_eq!(Head::parse(&text).unwrap(), Head::Update(Box::new(update)), "{}", text);
    }

    #[test]
    fn a_damaged_head_has_its_one_form_or_is_refused(
        update in update(),
        at in any::<prop::sample::Index>(),
        with in "[\\x00-\\x7f]{0,3}",
    ) {
        let mut text = update.to_text();
        let at = text.floor_char_boundary(at.index(text.len()));
        let end = text.ceil_char_boundary((at + 1).min(text.len()));
        text.replace_range(at..end, &with);
        if let Ok(head) = Head::parse(&text) {
            // A later minor version is read, too, and written as this one.
            let rest = |text: &str| text.split_once("\nmessage=").map(|(_, rest)| rest.to_owned());
            prop_assert_eq!(rest(&head.to_text()), rest(&text));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\[DIRSYNC\\]\nformat=1\\.[01]\n)?(\\PC|\n|=){0,60}") {
        let _ = Head::parse(&text);
    }
}

#[test]
fn a_truncated_head_is_refused_at_every_byte() {
    for text in [REQUEST, UPDATE] {
        for length in 0..text.len() {
            assert!(Head::parse(&text[..length]).is_err(), "{length}");
        }
        assert!(Head::parse(&format!("{text}\n")).is_err());
    }
    assert_eq!(wrong(&REQUEST.replace("[END]\n", "")), (24, HeadErrorKind::Truncated));
}

#[test]
fn a_newer_major_is_refused_untouched_and_named() {
    let newer = "[DIRSYNC]\nformat=2.0\nwhatever else\n";
    let found = HeadErrorKind::NewerFormat { found: "2.0".into() };
    assert_eq!(wrong(newer), (2, found));
    let said = Head::parse(newer).unwrap_err().to_string();
    assert!(said.contains("2.0") && said.contains("1.0"), "{said}");
}

#[test]
fn what_a_newer_minor_adds_is_passed_over() {
    let newer =
        REQUEST.replace("format=1.0\n", "format=1.7\n").replace("\nto=", "\ncolour=red\nto=");
    assert_eq!(Head::parse(&newer).unwrap(), Head::parse(REQUEST).unwrap());
    let same = REQUEST.replace("\nto=", "\ncolour=red\nto=");
    assert_eq!(wrong(&same), (5, HeadErrorKind::Unknown { field: "colour".into() }));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let twice = REQUEST.replace("to=SOUTH/HQ\n", "to=SOUTH/HQ\nto=SOUTH/HQ\n");
    assert_eq!(wrong(&twice), (6, HeadErrorKind::Twice { field: "to".into() }));
    let missing = REQUEST.replace("own=delta\n", "");
    assert_eq!(wrong(&missing).1, HeadErrorKind::MissingField { field: "own" });
    let value = REQUEST.replace("own=delta\n", "own=everything\n");
    let kind = HeadErrorKind::Value {
        field: "own",
        text: "everything".into(),
        expected: "delta, full or want-own",
    };
    assert_eq!(wrong(&value).1, kind);
    let form = REQUEST.replace("number=12\n", "number=012\n");
    assert_eq!(wrong(&form).1, HeadErrorKind::Form { expected: "number".into() });
    let order = REQUEST.replace("message=request\n", "").replace("\nto=", "\nmessage=request\nto=");
    assert_eq!(wrong(&order), (3, HeadErrorKind::Form { expected: "message".into() }));
    assert_eq!(wrong("").1, HeadErrorKind::Header);
    assert_eq!(wrong(&REQUEST.replace('\n', "\r\n")).1, HeadErrorKind::Header);
    assert_eq!(wrong("[DIRSYNC]\nfrom=A/B\n").1, HeadErrorKind::MissingField { field: "format" });
    let bits = UPDATE.replace("buckets=2:0,3\n", "buckets=2:0,4\n");
    assert_ne!(bits, UPDATE);
    assert!(matches!(wrong(&bits).1, HeadErrorKind::Value { field: "buckets", .. }));
}

/// A postoffice counts on from the numbers that it takes, and stores have 63 bits. A larger number would
/// stop the same step again and again.
#[test]
fn numbers_are_below_2_to_the_62nd() {
    let numbers = |text: &'static str| {
        let fields = text.lines().filter_map(|line| line.split_once('='));
        fields.filter(|(_, value)| value.parse::<u64>().is_ok()).map(|(name, _)| name)
    };
    for (text, fields) in [(REQUEST, 5), (UPDATE, 4)] {
        assert_eq!(numbers(text).filter(|name| *name != "part").count(), fields);
        for name in numbers(text).filter(|name| *name != "part") {
            let with = |number: u64| {
                let line = text.lines().find(|line| line.starts_with(&format!("{name}=")));
                text.replace(line.unwrap(), &format!("{name}={number}"))
            };
            assert!(Head::parse(&with(NUMBER_MAX)).is_ok(), "{name}");
            let error = wrong(&with(NUMBER_MAX + 1)).1;
            assert!(matches!(error, HeadErrorKind::Value { .. }), "{name}: {error}");
        }
    }
    for (text, names) in [(REQUEST, vec!["epoch-heard", "point"]), (UPDATE, vec!["point"])] {
        for name in names {
            let line = text.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
            let (_, value) = line.split_once('=').unwrap();
            let (_, rest) = value.split_once('.').unwrap();
            let generation = format!("{name}={}.{rest}", GENERATION_MAX + 1);
            let error = wrong(&text.replace(line, &generation)).1;
            assert!(matches!(error, HeadErrorKind::Value { .. }), "{name}: {error}");
            if let [epoch, _, rest @ ..] = value.split('/').collect::<Vec<_>>().as_slice() {
                let reached = |number: u64| format!("{name}={epoch}/{number}/{}", rest.join("/"));
                assert!(Head::parse(&text.replace(line, &reached(NUMBER_MAX))).is_ok());
                let error = wrong(&text.replace(line, &reached(NUMBER_MAX + 1))).1;
                assert!(matches!(error, HeadErrorKind::Value { .. }), "{name}: {error}");
            }
        }
    }
}

/// More entries may wait than an update has room for. It is readable all the same, and no transfer
/// is left out.
#[test]
fn outcomes_are_as_many_as_can_be_read() {
    let outcome =
        |number: u64, kind| Outcome { id: format!("{number:032x}").parse().unwrap(), kind };
    let invalid = |number| {
        let reason = "é".repeat(if number < 10 { 1_000_000 } else { 120 });
        outcome(number, OutcomeKind::Invalid { reason })
    };
    let given: Vec<Outcome> = (0..OUTCOMES_MAX as u64 + 10)
        .map(invalid)
        .chain([outcome(7, OutcomeKind::Transferred { to: "A/B".parse().unwrap() })])
        .collect();
    let outcomes = Outcome::within_limits(given);
    assert!(outcomes.len() > 10_000 && outcomes.len() < OUTCOMES_MAX, "{}", outcomes.len());
    assert!(matches!(outcomes[0].kind, OutcomeKind::Transferred { .. }));
    let Head::Update(update) = Head::parse(UPDATE).unwrap() else { panic!("it is an update") };
    let text = Update { outcomes, ..*update.clone() }.to_text();
    assert!(text.len() < HEAD_BYTES_MAX && Head::parse(&text).is_ok());

    // For short outcomes, the limit is their number.
    let held = (0..OUTCOMES_MAX as u64 + 10).map(|number| outcome(number, OutcomeKind::Held));
    let outcomes = Outcome::within_limits(held.collect());
    assert_eq!(outcomes.len(), OUTCOMES_MAX);
    assert!(Head::parse(&Update { outcomes, ..*update.clone() }.to_text()).is_ok());

    // The longest reason is accepted, and a longer one is not.
    let reason = "x".repeat(REASON_BYTES_MAX);
    let outcomes = vec![outcome(1, OutcomeKind::Invalid { reason: reason.clone() })];
    let text = Update { outcomes, ..*update }.to_text();
    assert!(Head::parse(&text).is_ok());
    let error = wrong(&text.replace(&reason, &format!("{reason}x"))).1;
    assert!(matches!(error, HeadErrorKind::Value { field: "outcome", .. }), "{error}");
}

#[test]
fn a_head_over_its_limit_is_refused() {
    let text = format!("[DIRSYNC]\n{}", "x".repeat(HEAD_BYTES_MAX - 10));
    assert!(matches!(wrong(&text).1, HeadErrorKind::ValueLength { .. }), "it is looked into");
    let bytes = HEAD_BYTES_MAX + 1;
    assert_eq!(wrong(&(text + "x")), (1, HeadErrorKind::Length { bytes }));
}
