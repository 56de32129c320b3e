//! Database files with flipped bits, and cut ones, with their logs.

use std::path::Path;

use dirsync_store::sqlite::SqliteStore;
use dirsync_testing::Random;

use crate::crash::{copy, put_back};
use crate::sandbox::{Sandbox, people};
use crate::{number, quick_folder};

/// What is done with a damaged postoffice: every way to read it, then every step.
const COMMANDS: [&str; 12] = [
    "status",
    "check",
    "export",
    "entry list",
    "log",
    "held list",
    "why p3@x.example",
    "import north.csv",
    "send",
    "process",
    "apply",
    "cycle",
];

/// Two equal postoffices, a backup of each, and a log that still holds the last changes.
struct Scene {
    sandbox: Sandbox,
    snapshot: tempfile::TempDir,
    list: String,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox { folder: quick_folder() };
        sandbox.run("-C hq init NORTH/HQ --server").expect(0);
        sandbox
            .run("-C hq requestor add SOUTH/SALES --folder share --out sales.invitation")
            .expect(0);
        sandbox.run("-C sales init --invitation sales.invitation").expect(0);
        sandbox.write("north.csv", &people(0..40));
        sandbox.write("south.csv", &people(40..60).replace("@x", "@south"));
        for postoffice in ["hq", "sales"] {
            sandbox
                .write(&format!("{postoffice}/dirsync.toml"), "[[target]]\nfile = \"list.csv\"\n");
        }
        sandbox.run("-C hq import north.csv --whole").expect(0);
        sandbox.run("-C sales import south.csv --whole").expect(0);
        for _ in 0..3 {
            sandbox.cycle();
        }
        for postoffice in ["hq", "sales"] {
            sandbox.run(&format!("-C {postoffice} backup {postoffice}.backup")).expect(0);
        }
        // Open handles keep the last changes in the logs.
        let paths =
            ["hq", "sales"].map(|postoffice| sandbox.path(&format!("{postoffice}/postoffice.db")));
        let open = paths.map(|path| SqliteStore::open(path).unwrap());
        sandbox.run("-C hq entry add --key n --name New --address SMTP:n@north.example").expect(0);
        sandbox
            .run("-C sales entry add --key s --name New --address SMTP:s@south.example")
            .expect(0);
        for _ in 0..3 {
            sandbox.cycle();
        }
        let list = sandbox.read("sales/list.csv");
        assert_eq!(list.lines().count(), 63);
        let snapshot = quick_folder();
        copy(sandbox.folder.path(), snapshot.path());
        drop(open);
        Self { sandbox, snapshot, list }
    }

    /// Damages a file, does everything there, puts the backup back, and looks whether all is well.
    fn damaged(
        &self,
        postoffice: &str,
        file: &str,
        how: &str,
        damage: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        let sandbox = &self.sandbox;
        put_back(self.snapshot.path(), sandbox.folder.path());
        let path = sandbox.path(&format!("{postoffice}/{file}"));
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let mut told = 0;
        for command in COMMANDS {
            let ran = sandbox.run(&format!("-C {postoffice} {command}"));
            let at = format!("{postoffice}/{file} {how}: {command}: {}{}", ran.out, ran.err);
            assert!(!ran.err.contains("panicked"), "{at}");
            assert!([0, 1, 2, 3].contains(&ran.code), "{} {at}", ran.code);
            if ran.code == 1 && command != "check" && !ran.err.contains("no entry has") {
                told += 1;
                let says = ["error: ", "could not", "postoffice.db"];
                assert!(says.iter().all(|says| ran.err.contains(says)), "{at}");
            }
        }
        let exported = sandbox.read(&format!("{postoffice}/list.csv"));
        assert!(exported.lines().count() >= 41, "{postoffice}/{file} {how}: {exported}");
        self.heal(postoffice, &format!("{postoffice}/{file} {how}"));
        told
    }

    /// The backup takes the database's place, and the next cycles bring back what it lacks; but for
    /// what the server itself added since, where nothing but its damaged log held it.
    fn heal(&self, postoffice: &str, at: &str) {
        let sandbox = &self.sandbox;
        sandbox.run(&format!("-C {postoffice} restore {postoffice}.backup")).expect(0);
        let without: Vec<&str> = self.list.lines().filter(|line| !is_the_server_s(line)).collect();
        let is_whole = |list: &str| {
            list == self.list || (postoffice == "hq" && list.lines().collect::<Vec<_>>() == without)
        };
        let lists =
            || ["hq", "sales"].map(|postoffice| sandbox.read(&format!("{postoffice}/list.csv")));
        for _ in 0..6 {
            sandbox.cycle();
            if lists().iter().all(|list| is_whole(list)) && lists()[0] == lists()[1] {
                break;
            }
        }
        let [hq, sales] = lists();
        assert_eq!(hq, sales, "{at}");
        assert!(is_whole(&hq), "{at}: {hq}");
        for postoffice in ["hq", "sales"] {
            sandbox.run(&format!("-C {postoffice} check")).expect(0);
        }
    }
}

/// What only the server's log holds.
fn is_the_server_s(line: &str) -> bool {
    line.starts_with("NORTH/HQ,n,")
}

/// Bits anywhere in the database or its log: an error that says where and what to do, or nothing at
/// all; the exported list is not taken away; and the backup brings everything back.
#[test]
fn flipped_bits_are_told_and_healed() {
    let scene = Scene::new();
    let mut random = Random::new(number("DIRSYNC_SEED", 1));
    let mut told = 0;
    for round in 0..number("DIRSYNC_DAMAGES", 24) {
        let postoffice = random.pick(&["hq", "sales"]);
        let file = random.pick(&["postoffice.db", "postoffice.db", "postoffice.db-wal"]);
        let flips = 1 << random.below(8);
        let mut bits = random.clone();
        told += scene.damaged(postoffice, file, &format!("round {round}, {flips} bits"), |bytes| {
            for _ in 0..flips {
                let at = bits.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << bits.below(8);
            }
        });
        random = Random::new(random.bits());
    }
    assert!(told > 0, "some damage is found by whoever meets it");
}

/// A database, or its log, that ends too early.
#[test]
fn cut_files_are_told_and_healed() {
    let scene = Scene::new();
    for postoffice in ["hq", "sales"] {
        let length = |file: &str| {
            let path = scene.snapshot.path().join(postoffice).join(file);
            std::fs::metadata(path).unwrap().len() as usize
        };
        let whole = length("postoffice.db");
        for to in [0, 60, 100, 4000, 8192, whole / 2, whole - 8192, whole - 100] {
            let how = format!("cut to {to} of {whole} bytes");
            let told = scene.damaged(postoffice, "postoffice.db", &how, |bytes| bytes.truncate(to));
            assert!(told > 0 || to > 8192, "{how}: is said");
        }
        let whole = length("postoffice.db-wal");
        for to in [0, 20, 32, 5000, whole / 2, whole - 100] {
            let how = format!("cut to {to} of {whole} bytes");
            scene.damaged(postoffice, "postoffice.db-wal", &how, |bytes| bytes.truncate(to));
        }
    }
}

/// A log whose last commits are lost is an older state, which the other side notices: what had been
/// sent comes back without a command. Only what the server added itself was kept by that log alone.
#[test]
fn a_lost_log_comes_back_without_a_command() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    for postoffice in ["hq", "sales"] {
        put_back(scene.snapshot.path(), sandbox.folder.path());
        let lost = |name: &str| sandbox.path(&format!("{postoffice}/postoffice.db{name}"));
        assert!(Path::new(&lost("-wal")).exists());
        std::fs::remove_file(lost("-wal")).unwrap();
        for _ in 0..6 {
            sandbox.cycle();
        }
        for at in ["hq", "sales"] {
            sandbox.run(&format!("-C {at} check")).expect(0);
            let list = sandbox.read(&format!("{at}/list.csv"));
            let kept = |line: &&str| postoffice != "hq" || !is_the_server_s(line);
            let expected: Vec<&str> = scene.list.lines().filter(kept).collect();
            assert_eq!(list.lines().collect::<Vec<_>>(), expected, "{postoffice} lost: {at}");
        }
    }
}
