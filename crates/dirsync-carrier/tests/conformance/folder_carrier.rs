//! The carrier of a shared folder.

use std::fs;
use std::io;
use std::path::Path;

use dirsync_carrier::{
    Carrier, CarrierErrorKind, CarrierFile, FolderCarrier, FolderTransit, durable,
};
use dirsync_directory::PostofficeName;
use dirsync_testing::conformance::carrier::{
    FIRST, FailingPlace, Points, addressee, all_fail, run, run_failing,
};
use tempfile::TempDir;

const MESSAGE: &str = "north+hq-e-1-1.dirsync";

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

fn carrier(folder: &Path, me: &PostofficeName) -> FolderCarrier {
    FolderCarrier::new(FolderTransit::new(folder, me.clone()))
}

/// A folder whose file operations fail.
struct Full {
    folder: TempDir,
}

impl FailingPlace for Full {
    fn connect(&self, me: &PostofficeName) -> Box<dyn Carrier> {
        Box::new(carrier(self.folder.path(), me))
    }

    fn failing(&self, me: &PostofficeName, nth: u64, work: &mut dyn FnMut(&dyn Carrier)) {
        durable::fail_at(Some(nth + 1));
        work(&carrier(self.folder.path(), me));
        durable::fail_at(None);
    }
}

#[test]
fn it_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    run(&|me| Box::new(carrier(folder.path(), me)));
    let folder = tempfile::tempdir().unwrap();
    run(&|me| {
        Box::new(FolderCarrier::beside_messages(FolderTransit::new(folder.path(), me.clone())))
    });
}

#[test]
fn each_file_operation_fails() {
    let points = run_failing(&|| Box::new(Full { folder: tempfile::tempdir().unwrap() }));
    assert_eq!(points, Points { put: 9, list: 2, fetch: 2, taken: 3 });
}

#[test]
fn a_folder_that_is_away_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("away");
    all_fail(&carrier(&away, &addressee()), CarrierErrorKind::Unreachable);
    assert!(!away.exists(), "nothing is made in its place");
    fs::write(&away, "a file in its place").unwrap();
    all_fail(&carrier(&away, &addressee()), CarrierErrorKind::Unreachable);
}

/// The user that runs the tests may write everywhere, so the refusal is made.
#[test]
fn a_folder_that_may_not_be_written_refuses() {
    let south = name("SOUTH/HQ");
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
        for nth in 1..=9 {
            let folder = tempfile::tempdir().unwrap();
            let carrier = carrier(folder.path(), &name("NORTH/HQ"));
            durable::fail_at_with(nth, kind);
            let error = carrier.put(&south, "x.piece", b"x").unwrap_err();
            assert_eq!(error.kind, CarrierErrorKind::Refused, "{nth}: {error}");
        }
    }
}

#[test]
fn messages_are_listed_beside_pieces_if_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
    for name in [MESSAGE, "zz.piece", "0.piece"] {
        carrier(folder.path(), &north).put(&south, name, b"bytes").unwrap();
    }
    let to = FolderTransit::new(folder.path(), south);
    let names = |carrier: FolderCarrier| {
        carrier.list().unwrap().into_iter().map(|file| file.name).collect::<Vec<_>>()
    };
    assert_eq!(names(FolderCarrier::new(to.clone())), ["0.piece", MESSAGE, "zz.piece"]);
    assert_eq!(names(FolderCarrier::beside_messages(to)), ["0.piece", "zz.piece"]);
}

#[cfg(target_os = "linux")]
mod hostile {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    /// An inbox in which others have left something, and a file that they want to be read or removed.
    struct Hostile {
        folder: TempDir,
        me: PostofficeName,
    }

    impl Hostile {
        fn new() -> Self {
            let hostile = Self { folder: tempfile::tempdir().unwrap(), me: name("SOUTH/HQ") };
            fs::create_dir_all(hostile.at("root/south+hq/folder.piece")).unwrap();
            fs::write(hostile.at("outside.piece"), "outside").unwrap();
            fs::write(hostile.at("root/beside.piece"), "outside").unwrap();
            hostile
        }

        fn at(&self, path: &str) -> std::path::PathBuf {
            self.folder.path().join(path)
        }

        fn carrier(&self) -> FolderCarrier {
            carrier(&self.at("root"), &self.me)
        }

        fn is_untouched(&self) -> bool {
            ["outside.piece", "root/beside.piece"]
                .iter()
                .all(|path| fs::read_to_string(self.at(path)).unwrap() == "outside")
        }
    }

    fn file(name: &str) -> CarrierFile {
        CarrierFile { name: name.into(), bytes: None }
    }

    #[test]
    fn only_own_files_are_listed() {
        let hostile = Hostile::new();
        let inbox = hostile.at("root/south+hq");
        symlink(hostile.at("outside.piece"), inbox.join("link.piece")).unwrap();
        symlink(hostile.at("outside.piece"), inbox.join(MESSAGE)).unwrap();
        symlink("missing", inbox.join("dangling.piece")).unwrap();
        assert!(Command::new("mkfifo").arg(inbox.join("pipe.piece")).status().unwrap().success());
        let long = format!("{}.piece", "a".repeat(201));
        let names = [
            "UPPER.piece",
            "lower.PIECE",
            ".hidden.piece",
            ".dirsync-x.piece.aBcDeF.tmp",
            ".piece",
            "a b.piece",
            "a.b.piece",
            "..piece",
            "a\\b.piece",
            "a\nb.piece",
            "é.piece",
            "NORTH+hq-e-1-1.dirsync",
            "north+hq-e-01-1.dirsync",
            &long,
        ];
        let names = names.iter().map(|name| name.as_bytes()).chain([&b"\xff.piece"[..]]);
        for name in names {
            fs::write(inbox.join(OsStr::from_bytes(name)), "stranger").unwrap();
        }
        fs::write(inbox.join("own.piece"), "own").unwrap();
        let listed = hostile.carrier().list().unwrap();
        assert_eq!(listed, [CarrierFile { name: "own.piece".into(), bytes: Some(3) }]);
        let other = "\u{fffd}.piece";
        for name in ["UPPER.piece", ".hidden.piece", "é.piece", other, &long] {
            assert_eq!(hostile.carrier().fetch(&file(name), 100).unwrap(), None, "{name:?}");
            hostile.carrier().taken(&file(name)).unwrap();
        }
        assert!(inbox.join("UPPER.piece").exists() && inbox.join(&long).exists());
    }

    #[test]
    fn nothing_outside_is_fetched_or_removed() {
        let hostile = Hostile::new();
        let carrier = hostile.carrier();
        let absolute = hostile.at("outside.piece").display().to_string();
        for name in ["../../outside.piece", "../beside.piece", "folder.piece/../../x", &absolute] {
            assert_eq!(carrier.fetch(&file(name), 100).unwrap(), None, "{name}");
            carrier.taken(&file(name)).unwrap();
        }
        let link = hostile.at("root/south+hq/link.piece");
        symlink(hostile.at("outside.piece"), &link).unwrap();
        for name in ["link.piece", "folder.piece"] {
            let error = carrier.fetch(&file(name), 100).unwrap_err();
            assert_eq!(error.kind, CarrierErrorKind::Refused, "{error}");
        }
        carrier.taken(&file("link.piece")).unwrap();
        assert!(!link.is_symlink() && hostile.is_untouched(), "the link alone is removed");

        symlink(hostile.at("outside.piece"), &link).unwrap();
        carrier.put(&hostile.me, "link.piece", b"own").unwrap();
        assert!(!link.is_symlink() && hostile.is_untouched(), "the link alone is replaced");
        let error = carrier.put(&hostile.me, "folder.piece", b"own").unwrap_err();
        assert_eq!(error.kind, CarrierErrorKind::Refused, "{error}");
    }

    /// Somebody replaces the inbox by a link to a folder in which a file has such a name.
    #[test]
    fn an_inbox_that_is_a_link_is_refused() {
        let hostile = Hostile::new();
        let elsewhere = hostile.at("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let inside = elsewhere.join(FIRST);
        fs::write(&inside, "outside").unwrap();
        let south = addressee();
        let inbox = FolderTransit::new(hostile.at("root"), south.clone()).inbox(&south);
        symlink(&elsewhere, inbox).unwrap();
        all_fail(&carrier(&hostile.at("root"), &south), CarrierErrorKind::Refused);
        assert_eq!(fs::read_to_string(&inside).unwrap(), "outside");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    }
}
