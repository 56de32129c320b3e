//! Runs every target over its corpus in `fuzz/corpus` and mutations of it. This takes seconds, without
//! libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use dirsync_fuzz::{TARGETS, Target};

/// The number of mutations of a target's corpus, all files together. Slow targets have fewer.
const MUTATIONS: usize = 4000;
const MUTATIONS_OF_STEPS: usize = 150;
/// The longest input that mutation makes, in bytes.
const INPUT_BYTES_MAX: usize = 8 * 1024;
/// Texts with a meaning in the formats, which mutation inserts.
const PIECES: [&[u8]; 28] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b"\\",
    b"\\x1b",
    b"\"",
    b"'",
    b"=",
    b",",
    b";",
    b"(&(",
    b")",
    b"*",
    b"{",
    b"}",
    b"[[",
    b"/",
    b"-",
    b"18446744073709551615",
    b"9223372036854775808",
    b"0",
    b"\xff",
    b"\xc2\x85",
    "ŉ".as_bytes(),
    "\u{345}\u{301}".as_bytes(),
    b"\xef\xbb\xbf",
    b"[END] 1\n",
];

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// Random numbers, the same ones from the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % count.max(1) as u64) as usize
    }
}

/// Makes one to eight edits in an input. `other` is another input of the same corpus.
fn mutated(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at.min(end)..end)),
            4 if at < end => bytes.extend_from_within(at..end),
            5 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn try_one(target: &Target, what: &str, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    assert!(outcome.is_ok(), "{} fails for {what}: \"{}\"", target.name, input.escape_ascii());
}

fn run(name: &str, mutations: usize) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let mut files: Vec<PathBuf> = fs::read_dir(corpus().join(name))
        .unwrap_or_else(|error| panic!("no corpus of {name}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    let inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    try_one(target, "nothing", b"");
    for (file, input) in files.iter().zip(&inputs) {
        try_one(target, &file.display().to_string(), input);
    }
    let seed = |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte));
    let mut random = Random(name.bytes().fold(1, seed));
    for number in 0..mutations {
        let input = &inputs[number % inputs.len()];
        let other = &inputs[random.below(inputs.len())];
        let input = mutated(input, other, &mut random);
        try_one(target, &format!("mutation {number}"), &input);
    }
}

macro_rules! over_its_corpus {
    ($($name:ident $mutations:expr;)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), $mutations);
            }
        )*

        /// Each target has a test here, a file for libFuzzer, and a corpus.
        #[test]
        fn every_target_is_run() {
            let tested = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            let known: BTreeSet<String> =
                TARGETS.iter().map(|target| target.name.to_owned()).collect();
            assert_eq!(tested, known);
            let stems = |folder: PathBuf| -> BTreeSet<String> {
                let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
                entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
            };
            assert_eq!(stems(corpus()), known);
            assert_eq!(stems(corpus().join("../fuzz_targets")), known);
            let manifest = fs::read_to_string(corpus().join("../Cargo.toml")).unwrap();
            for name in known {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

over_its_corpus! {
    body MUTATIONS;
    bounce MUTATIONS / 2;
    cell MUTATIONS;
    config MUTATIONS;
    csv MUTATIONS / 4;
    decision MUTATIONS;
    dn MUTATIONS;
    file_name MUTATIONS;
    filter MUTATIONS;
    fragment MUTATIONS / 2;
    guid MUTATIONS;
    head MUTATIONS;
    invitation MUTATIONS;
    key_statement MUTATIONS / 2;
    ldif MUTATIONS / 4;
    mail MUTATIONS / 2;
    link MUTATIONS;
    map MUTATIONS;
    names MUTATIONS;
    record MUTATIONS;
    schedule MUTATIONS / 4;
    sealed_message MUTATIONS / 2;
    signal MUTATIONS / 2;
    steps MUTATIONS_OF_STEPS;
    steps_sqlite MUTATIONS_OF_STEPS / 10;
    tnef MUTATIONS;
    tokens MUTATIONS;
    vcard MUTATIONS / 4;
    view MUTATIONS;
}
