//! Bodies over lines that are cut, stall and corrupt at any byte, up and down.

use std::io::Read as _;
use std::time::Duration;

use dirsync_agent::exchange::BodyLine as _;
use dirsync_carrier::CarrierErrorKind;
use dirsync_link::client::Link;
use dirsync_link::connector::Deadlines;
use dirsync_seal::Content;
use dirsync_testing::Random;
use dirsync_transit::{MemoryBodies, Outbox, PIECE_BYTES};

use crate::desk::freeze;
use crate::proxy::{Fault, Line};
use crate::{Site, name};

const SOUTH: &str = "SOUTH/SALES";

/// Bytes that do not compress.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut noise: Vec<u8> = Vec::new();
    while noise.len() < bytes {
        noise.extend_from_slice(&random.bits().to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// Faults of all kinds, each after a number of bytes that nobody expects.
fn any_faults(seed: u64, kinds: &'static [Fault]) -> impl FnMut() -> Option<(u64, Fault)> {
    let mut random = Random::new(seed);
    let mut left = 12;
    move || {
        left -= 1;
        let bytes = if random.one_in(4) { random.below(3_000) } else { random.below(80_000) };
        (left > 0).then(|| (bytes, random.pick(kinds)))
    }
}

/// A requestor that gives up soon.
fn soon() -> Deadlines {
    let soon = Duration::from_millis(400);
    Deadlines { connect: soon, send: soon, answer: soon, body: soon, ..Deadlines::default() }
}

/// Sends a body as an exchange does, until all of it has come. Returns how often the line failed.
fn send(link: &Link, outbox: &Outbox, site: &Site) -> u64 {
    let mut failed = 0;
    while let Some(next) = outbox.next_piece(&site.me, PIECE_BYTES).unwrap() {
        match link.put_part(&next.piece, &next.bytes) {
            Ok(held) => outbox.know(&site.me, &next.piece.body, held).unwrap(),
            Err(error) => {
                assert_ne!(error.kind, CarrierErrorKind::Settings, "{error}");
                failed += 1;
                assert!(failed < 100, "{error}");
            }
        }
    }
    failed
}

/// Fetches a body as an exchange does, until all of it has come. Returns how often the line failed.
fn fetch(link: &Link, body: &Content, site: &Site, into: &Outbox) -> u64 {
    let mut failed = 0;
    while let Some(part) = into.gap(&site.me, body, PIECE_BYTES).unwrap() {
        match link.fetch_part(&part) {
            Ok(bytes) => {
                let bytes = bytes.expect("it travels to this requestor");
                let part = dirsync_transit::Piece { bytes: bytes.len() as u64, ..part };
                into.take_piece(&site.me, &part, &bytes, 0).unwrap();
            }
            Err(error) => {
                assert_ne!(error.kind, CarrierErrorKind::Settings, "{error}");
                failed += 1;
                assert!(failed < 100, "{error}");
            }
        }
    }
    failed
}

/// A whole body has its hash; a body whose bytes were changed would not be there.
fn is_there(outbox: &Outbox, body: &Content) -> bool {
    let Some(mut file) = outbox.open(body).unwrap() else { return false };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Content::of(&bytes) == *body
}

#[test]
fn a_body_arrives_over_lines_that_fail_at_any_byte() {
    let kinds = &[Fault::Cut, Fault::Cut, Fault::Corrupt, Fault::Stall];
    for seed in 1..=6 {
        let (site, south) = (Site::new("NORTH/HQ", &[SOUTH]), name(SOUTH));
        let own = Outbox::new(MemoryBodies::default());
        let up = freeze(&own, &site.me, &noise(600_000, seed));
        let line = Line::to(site.server.address(), any_faults(seed, kinds));
        let failed = send(&site.server.link_by(&south, line.port, soon()), &own, &site);
        assert!(is_there(&site.desk.outbox, &up), "seed {seed}");
        assert!(failed > 2 && line.faults() > 2, "seed {seed}: {failed}, {}", line.faults());

        let down = site.desk.freeze(&south, &noise(600_000, seed + 100));
        let line = Line::to(site.server.address(), any_faults(seed + 100, kinds));
        fetch(&site.server.link_by(&south, line.port, soon()), &down, &site, &own);
        assert!(is_there(&own, &down), "seed {seed}");
        assert!(line.faults() > 2, "seed {seed}: {}", line.faults());
    }
}

/// A body of 3 MB over a line of 10 MB/s that is cut ten times, and what passed for it.
fn of_three_megabytes(
    pace: Option<(usize, Duration)>,
    kind: Fault,
    deadlines: Deadlines,
) -> [f64; 2] {
    let (site, south) = (Site::new("NORTH/HQ", &[SOUTH]), name(SOUTH));
    let own = Outbox::new(MemoryBodies::default());
    let cuts = |seed| {
        let mut random = Random::new(seed);
        let mut left = 10;
        move || {
            left -= 1;
            (left >= 0).then(|| (200_000 + random.below(100_000), kind))
        }
    };
    let share = |passed: u64, body: &Content| passed as f64 / body.bytes as f64;

    let up = freeze(&own, &site.me, &noise(3_000_000, 1));
    let line = Line::paced(site.server.address(), pace, cuts(1));
    send(&site.server.link_by(&south, line.port, deadlines), &own, &site);
    assert!(is_there(&site.desk.outbox, &up));
    assert_eq!(line.faults(), 10);
    let up = share(line.passed(), &up);

    let down = site.desk.freeze(&south, &noise(3_000_000, 2));
    let line = Line::paced(site.server.address(), pace, cuts(2));
    fetch(&site.server.link_by(&south, line.port, deadlines), &down, &site, &own);
    assert!(is_there(&own, &down));
    assert_eq!(line.faults(), 10);
    [up, share(line.passed(), &down)]
}

#[test]
fn each_byte_of_a_body_passes_once() {
    let pace = Some((1400, Duration::from_micros(140)));
    for (kind, deadlines) in [(Fault::Cut, Deadlines::default()), (Fault::Stall, soon())] {
        let [up, down] = of_three_megabytes(pace, kind, deadlines);
        println!("{kind:?}: bytes on the wire by bytes of the body: up {up:.4}, down {down:.4}");
        assert!(up <= 1.05 && down <= 1.05, "{kind:?}: up {up:.4}, down {down:.4}");
    }
}
