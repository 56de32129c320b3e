use super::*;
use crate::read::{Mail, read};

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

fn long_address() -> MailAddress {
    format!("{}@{}.example", "a".repeat(32), "b".repeat(31)).parse().unwrap()
}

const NAMES: [&str; 6] = [
    "south+sales-4f2a-12-1.dirsync",
    "south+sales-4f2a-12-3.dirsync",
    "0001-0000065536-1048576-aa.piece",
    "x.piece",
    "probe-1.signal",
    "answer.signal",
];

/// Every name, parties with short and long names, and contents of each length around a line.
fn each(check: &mut dyn FnMut(&Letter<'_>)) {
    let short: MailAddress = "d@n.example".parse().unwrap();
    let longest_part = "N".repeat(64);
    let parties = [
        (name("SOUTH/SALES"), name("NORTH/HQ"), short),
        (name(&format!("{longest_part}/{longest_part}")), name("SÜD/Zoé & Co"), long_address()),
    ];
    let long = format!("{}.piece", "a".repeat(200));
    let long_message =
        format!("{}-{}-18446744073709551615-4294967295.dirsync", "a".repeat(100), "b".repeat(100));
    for (from, to, address) in &parties {
        for name in NAMES.iter().copied().chain([long.as_str(), &long_message]) {
            for length in [0, 1, 2, 3, 56, 57, 58, 114, 200] {
                let bytes: Vec<u8> = (0..length).map(|n| (n * 37 % 256) as u8).collect();
                let letter = Letter {
                    from,
                    to,
                    from_address: address,
                    to_address: address,
                    name,
                    bytes: &bytes,
                    sent: 1_795_867_200_000,
                };
                check(&letter);
            }
        }
    }
}

#[test]
fn no_line_is_long_and_each_ends_with_crlf() {
    each(&mut |letter| {
        let mail = letter.compose();
        assert_eq!(mail, letter.compose(), "it is the same each time");
        let text = std::str::from_utf8(&mail).unwrap();
        assert!(text.is_ascii() && text.ends_with("\r\n"));
        for line in text.split_terminator("\r\n") {
            assert!(line.len() <= LINE_BYTES_MAX, "{line}");
            assert!(!line.contains(['\r', '\n']) && !line.ends_with([' ', '\t']), "{line:?}");
            assert!(!line.starts_with('.') && !line.starts_with("From "), "{line:?}");
        }
    });
}

#[test]
fn a_composed_mail_is_read_as_it_was_written() {
    each(&mut |letter| {
        let (Mail::Files(files), about) = read(&letter.compose()) else {
            panic!("a file is there")
        };
        assert_eq!(files.len(), 1);
        assert_eq!(
            (files[0].name.as_str(), files[0].bytes.as_slice()),
            (letter.name, letter.bytes)
        );
        assert_eq!(files[0].to.as_ref(), Some(letter.to));
        assert!(
            about.subject.starts_with("dirsync ") && about.subject.contains(" to "),
            "{about:?}"
        );
        assert!(about.from.contains(letter.from_address.as_str()));
    });
}

#[test]
fn people_and_programs_are_told_what_it_is() {
    let (from, to) = (name("SOUTH/SALES"), name("NORTH/HQ"));
    let address: MailAddress = "d@s.example".parse().unwrap();
    let letter = |file| Letter {
        from: &from,
        to: &to,
        from_address: &address,
        to_address: &address,
        name: file,
        bytes: b"x",
        sent: 1_795_867_200_000,
    };
    let mail = String::from_utf8(letter(NAMES[1]).compose()).unwrap();
    for line in [
        "Subject: dirsync SOUTH/SALES to NORTH/HQ: message 12, part 3\r\n",
        "Date: Sat, 28 Nov 2026 12:00:00 +0000\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "X-Auto-Response-Suppress: All\r\n",
        "\r\nTo the postoffice:   NORTH/HQ\r\n",
    ] {
        assert!(mail.contains(line), "{line}{mail}");
    }
    assert!(mail.contains("Do not answer it"));
    for (file, words) in [
        (NAMES[0], "message 12"),
        (NAMES[2], "piece of a message, from byte 65536"),
        (NAMES[3], "piece of a message"),
        (NAMES[4], "signal"),
    ] {
        assert_eq!(letter(file).subject(), format!("dirsync SOUTH/SALES to NORTH/HQ: {words}"));
    }
    let mut other = letter(NAMES[0]);
    let id = other.message_id();
    (other.bytes, other.sent) = (b"y", 0);
    assert_eq!(other.message_id(), id, "the same file has one id");
    assert!(id.ends_with("@s.example") && id != letter(NAMES[1]).message_id());
}

/// The limit is exact: a file of the largest size fits, and not much more would.
#[test]
fn the_size_of_a_file_follows_from_that_of_its_mail() {
    each(&mut |letter| {
        for limit in [3000_u64, 10_000, 99_999] {
            let parties = (letter.from, letter.from_address);
            let most = file_bytes_max(limit, parties, [(letter.to, letter.to_address)]);
            let bytes = vec![7; usize::try_from(most).unwrap()];
            let mail = Letter { bytes: &bytes, ..*letter }.compose();
            assert!(mail.len() as u64 <= limit, "{limit} {most} {}", mail.len());
            assert!(
                most == 0 || limit - mail.len() as u64 <= 1800,
                "{limit} {most} {}",
                mail.len()
            );
        }
    });
    let (name, address) = (name("A/B"), long_address());
    let none = file_bytes_max(100, (&name, &address), []);
    assert_eq!(none, 0);
}
