//! The most memory that each field of a hostile message makes its reader use. The test counts
//! allocations, so it is a program of its own. The table is in `docs/message-format.md`.

use std::io::{BufReader, Read};

use dirsync_message::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const DOCUMENT: &str = include_str!("../../../../docs/message-format.md");
const REQUEST: &str = include_str!("../../testdata/format-1.0/request.head");
const UPDATE: &str = include_str!("../../testdata/format-1.0/update.head");
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The most memory in use while `read` runs, beyond that in use before.
fn peak(read: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    read();
    MEMORY.peak_usage() - before
}

/// A head with another value of one field, which is added as the last one if the head does not have it.
fn with(head: &str, field: &str, value: &str) -> String {
    let line = format!("{field}={value}\n");
    match head.lines().find(|line| line.starts_with(&format!("{field}="))) {
        Some(old) => head.replace(&format!("{old}\n"), &line),
        None => head.replace("[END]\n", &format!("{line}[END]\n")),
    }
}

/// The rest of a body that never ends: a line after the other is made as it is read.
struct Endless {
    line: fn(u64) -> String,
    number: u64,
    rest: Vec<u8>,
}

impl Endless {
    fn after(start: &str, line: fn(u64) -> String) -> impl std::io::BufRead + use<> {
        let rest = format!("[DIRSYNC-TRANSACTIONS]\n*A/B\n{start}").into_bytes();
        BufReader::with_capacity(64 * KIB, Self { line, number: 0, rest }.take(20 * MIB as u64))
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.len() < buffer.len() {
            self.rest.extend_from_slice((self.line)(self.number).as_bytes());
            self.number += 1;
        }
        buffer.copy_from_slice(&self.rest[..buffer.len()]);
        self.rest.drain(..buffer.len());
        Ok(buffer.len())
    }
}

/// The heads of the table: the hostile part of each, and the memory that it may use.
fn heads() -> Vec<(&'static str, usize, String)> {
    let terms = |count| format!("filter\\t(|{})\\n", "(a=b)".repeat(count));
    let many =
        |count: u64, item: fn(u64) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    let types = "\\tX".repeat(3_000_000);
    let outcome = format!("outcome={}\\theld\n", "0".repeat(32));
    let reason = format!("outcome={}\\tinvalid\\t{}\n", "0".repeat(32), "x".repeat(MIB / 2));
    let buckets = many(300_000, |number| format!("{number}=1-{}", "0".repeat(32)));
    let unknown: String =
        (0..1_000_000).map(|number| format!("x-{}=\n", letters(number))).collect();
    let newer = |text: &str| text.replace("format=1.0", "format=1.9");
    let lineage = |count| with(REQUEST, "lineage", &many(count, |number| format!("{number:032x}")));
    assert!(Head::parse(&lineage(1000)).is_ok());
    vec![
        ("a filter of a million terms", MIB, with(REQUEST, "view", &terms(1_000_000))),
        ("a filter of ten thousand terms", MIB, with(REQUEST, "view", &terms(10_000))),
        ("a filter nested 30,000 deep", MIB, {
            let (open, close) = ("(!".repeat(30_000), ")".repeat(30_000));
            with(REQUEST, "view", &format!("filter\\t{open}(a=b){close}\\n"))
        }),
        ("a view of three million types", MIB, with(REQUEST, "view", &format!("types{types}\\n"))),
        ("a view of 60,000 types", MIB, {
            with(REQUEST, "view", &format!("types{}\\n", "\\tX".repeat(60_000)))
        }),
        ("a lineage of 300,000 epochs", MIB, lineage(300_000)),
        ("a lineage of 20,000 epochs", MIB, lineage(20_000)),
        ("300,000 buckets", MIB, with(REQUEST, "list-buckets", &format!("12:{buckets}"))),
        ("a program's version of 16 MiB", MIB, with(REQUEST, "program", &"p".repeat(16 * MIB))),
        ("a program's version of 64 KiB", MIB, with(REQUEST, "program", &"p".repeat(64 * KIB))),
        (
            "a million unknown fields",
            MIB,
            newer(REQUEST).replace("[END]\n", &(unknown + "[END]\n")),
        ),
        (
            "300,000 outcomes",
            10 * MIB,
            UPDATE.replacen("outcome=", &(outcome.repeat(300_000) + "outcome="), 1),
        ),
        ("30 outcomes with reasons of 512 KiB", MIB, {
            UPDATE.replacen("outcome=", &(reason.repeat(30) + "outcome="), 1)
        }),
    ]
}

fn letters(mut number: u32) -> String {
    let mut text = String::new();
    loop {
        text.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return text;
        }
    }
}

/// For a body within its limits one transaction is in memory: 16 MiB, and as much again while its buffer
/// grows.
fn bodies() -> Vec<(&'static str, usize, Box<dyn std::io::BufRead>)> {
    let endless = |start: &str, line| Box::new(Endless::after(start, line)) as Box<_>;
    vec![
        ("a line without an end", 26 * MIB, endless(" A k\tN", |_| "x".repeat(KIB))),
        ("a key without an end", 26 * MIB, endless(" A ", |_| "k".repeat(KIB))),
        ("an origin without an end", 26 * MIB, endless("*", |_| "o".repeat(KIB))),
        ("details without an end", 26 * MIB, endless(" A k\tN\tX:a\n", |n| format!("-a/{n}\n"))),
        ("lines of an unknown kind without an end", 26 * MIB, {
            endless(" A k\tN\tX:a\n", |n| format!("?{n}\n"))
        }),
        ("addresses without an end", 26 * MIB, endless(" A k\tN", |n| format!("\tX:{n}"))),
        ("transactions without an end", MIB, { endless("", |n| format!(" A {n}\tN\tX:a\n")) }),
    ]
}

fn row(what: &str, allowed: usize) -> String {
    format!("| {what} | {} MiB |", allowed / MIB)
}

/// The largest number of outcomes that is accepted.
fn outcomes() -> String {
    let outcome = |number| format!("outcome={number:032x}\\tinvalid\\t{}\n", "x".repeat(100));
    let outcomes: String = (0..OUTCOMES_MAX as u64).map(outcome).collect();
    let head: String = UPDATE
        .lines()
        .filter(|line| !line.starts_with("outcome="))
        .fold(String::new(), |head, line| {
            head + line + "\n" + if line.starts_with("ack=") { &outcomes } else { "" }
        });
    head
}

#[test]
fn a_hostile_field_costs_no_more_than_its_limit() {
    let mut rows = Vec::new();
    for (what, allowed, text) in heads() {
        let used = peak(|| assert!(Head::parse(&text).is_err(), "{what}"));
        assert!(used <= allowed, "{what}: {used} bytes are held, {allowed} are allowed");
        rows.push(row(what, allowed));
    }
    let (what, allowed, text) = ("100,000 outcomes, which are taken", 56 * MIB, outcomes());
    let used = peak(|| drop(Head::parse(&text).expect(what)));
    assert!(used <= allowed, "{what}: {used} bytes are held, {allowed} are allowed");
    rows.push(row(what, allowed));
    for (what, allowed, body) in bodies() {
        let used = peak(|| {
            let mut reader = BodyReader::new(body);
            let refused = loop {
                match reader.next() {
                    Ok(Some(transaction)) => drop(transaction.change.check()),
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            assert!(refused, "{what}");
        });
        assert!(used <= allowed, "{what}: {used} bytes are held, {allowed} are allowed");
        rows.push(row(what, allowed));
    }
    for row in rows {
        assert!(DOCUMENT.contains(&row), "docs/message-format.md has no row {row}");
    }
}
