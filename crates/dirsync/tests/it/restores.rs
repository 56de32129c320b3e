//! Copies that are put back: the right one, and those that are none of this postoffice's.

use std::path::PathBuf;

use crate::site::{Place, people};

/// The server, `sales` and `depot`, each with entries and a backup.
fn three_sites() -> Place {
    let place = Place::two_sites();
    place.run("-C hq requestor add ALPS/DEPOT --folder share --out depot.invitation").expect(0);
    place.run("-C depot init --invitation depot.invitation").expect(0);
    for (at, site) in ["hq", "sales", "depot"].into_iter().enumerate() {
        let from = at as u32 * 10;
        place.write(&format!("{site}.csv"), &people(from..from + 3));
        place.run(&format!("-C {site} import {site}.csv --whole")).expect(0);
    }
    settle(&place);
    for site in ["hq", "sales", "depot"] {
        place.run(&format!("-C {site} backup {site}.backup")).expect(0);
    }
    place
}

fn settle(place: &Place) {
    for _ in 0..3 {
        for site in ["sales", "depot"] {
            place.run(&format!("-C {site} send"));
        }
        place.run("-C hq cycle");
        for site in ["sales", "depot"] {
            place.run(&format!("-C {site} apply"));
        }
    }
}

fn database(place: &Place, site: &str) -> PathBuf {
    place.path(&format!("{site}/postoffice.db"))
}

/// `failure-stories` §15: name, role and installation are compared before anything is written.
#[test]
fn restore_of_the_wrong_copy_is_refused() {
    let place = three_sites();
    // Another server of the same name, and `sales` as it was before it was installed anew.
    place.run("-C twin init NORTH/HQ --server").expect(0);
    place.run("-C twin backup twin.backup").expect(0);
    std::fs::remove_dir_all(place.path("sales")).unwrap();
    place
        .run("-C hq requestor add SOUTH/SALES --folder share --again --out again.invitation")
        .expect(0);
    place.run("-C sales init --invitation again.invitation").expect(0);
    settle(&place);
    for (site, backup, named) in [
        ("hq", "sales", ["SOUTH/SALES, a requestor", "NORTH/HQ, a directory server"]),
        ("sales", "hq", ["NORTH/HQ, a directory server", "SOUTH/SALES, a requestor"]),
        ("depot", "sales", ["SOUTH/SALES, a requestor", "ALPS/DEPOT, a requestor"]),
        ("hq", "twin", ["another installation of NORTH/HQ", "\"hq\""]),
        ("sales", "sales", ["another installation of SOUTH/SALES", "\"sales\""]),
    ] {
        for damaged in [false, true] {
            let path = database(&place, site);
            let whole = std::fs::read(&path).unwrap();
            if damaged {
                std::fs::write(&path, "no database at all").unwrap();
            }
            let before = std::fs::read(&path).unwrap();
            let ran = place.run(&format!("-C {site} restore {backup}.backup")).expect(2);
            for text in named {
                assert!(ran.err.contains(text), "{site} {backup}: {}", ran.err);
            }
            assert!(std::fs::read(&path).unwrap() == before, "{site} {backup}: untouched");
            assert!(!place.exists(&format!("{site}/postoffice.db.before-restore")));
            std::fs::write(&path, whole).unwrap();
        }
    }
    place.run("-C hq restore hq.backup --force").expect(2);
}

/// The database that a restore replaces is kept beside, the newest one, for its user alone.
#[test]
fn the_replaced_database_stays_beside() {
    let place = three_sites();
    for site in ["hq", "sales"] {
        for late in ["one", "two"] {
            place.run(&format!("-C {site} backup {site}.{late}.backup")).expect(0);
            let add = format!("entry add --name {late} --address SMTP:{site}{late}@x.example");
            place.run(&format!("-C {site} {add}")).expect(0);
            place.run(&format!("-C {site} restore {site}.{late}.backup")).expect(0);
            let kept = place.path(&format!("{site}/postoffice.db.before-restore"));
            let bytes = std::fs::read(&kept).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(holds(&format!("{site}{late}@x.example")), "{site} {late}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = kept.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
            settle(&place);
            assert_eq!(place.status("hq")["entries"], 9, "what is kept is not the database");
            assert_eq!(place.status(site)["digest"], place.status("hq")["digest"]);
        }
    }
}

/// One that cannot be read any more: what is left beside it says whose it is.
#[test]
fn a_damaged_database_is_replaced_by_its_own_copy() {
    let place = three_sites();
    for site in ["hq", "sales"] {
        std::fs::write(database(&place, site), "no database at all").unwrap();
        place.run(&format!("-C {site} restore {site}.backup")).expect(0);
        assert_eq!(
            place.read(&format!("{site}/postoffice.db.before-restore")),
            "no database at all"
        );
    }
    std::fs::remove_file(database(&place, "depot")).unwrap();
    place.run("-C depot restore depot.backup").expect(0);
    settle(&place);
    for site in ["hq", "sales", "depot"] {
        assert_eq!(place.status(site)["entries"], 9, "{site}");
        place.run(&format!("-C {site} check")).expect(0);
    }
}

/// An error about the file that was to be put back is about that file.
#[test]
fn a_backup_that_is_none_is_what_the_error_names() {
    let place = three_sites();
    let mut cut = std::fs::read(place.path("hq.backup")).unwrap();
    cut.truncate(cut.len() / 2);
    let mut newer = std::fs::read(place.path("hq.backup")).unwrap();
    newer[60..64].copy_from_slice(&999u32.to_be_bytes());
    for (name, bytes) in [
        ("text.backup", &b"This is a letter, and no database."[..]),
        ("empty.backup", b""),
        ("cut.backup", &cut),
        ("newer.backup", &newer),
    ] {
        std::fs::write(place.path(name), bytes).unwrap();
    }
    std::fs::create_dir(place.path("folder.backup")).unwrap();
    for name in ["text", "empty", "cut", "newer", "folder", "missing"] {
        for site in ["hq", "sales"] {
            let before = std::fs::read(database(&place, site)).unwrap();
            let ran = place.run(&format!("-C {site} restore {name}.backup")).expect(1);
            let said = &ran.err;
            assert!(said.contains(&format!("\"{name}.backup\"")), "{name}: {said}");
            assert!(!said.contains("postoffice.db"), "{name}: {said}");
            assert!(!said.contains("invite this site"), "{name}: {said}");
            assert!(std::fs::read(database(&place, site)).unwrap() == before, "{name}: untouched");
        }
    }
    // A database that fails is named, whichever of several it is.
    std::fs::write(database(&place, "depot"), "no database at all").unwrap();
    let ran = place.run("run hq depot --once").expect(1);
    assert!(ran.err.contains("depot/postoffice.db"), "{}", ran.err);
    assert!(!ran.err.contains("\"./postoffice.db\""), "{}", ran.err);
}
