use dirsync_seal::BODY_BYTES_MAX;
use tempfile::TempDir;

use super::*;
use crate::outbox::Outbox;
use crate::testing::frozen;

fn north() -> PostofficeName {
    "NORTH/HQ".parse().unwrap()
}

/// A folder with the state of a body of four bytes, of which two have come.
fn with_state() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(DiskBodies::open(folder.path()).unwrap());
    outbox.take_piece(&north(), &piece(0), b"bo", 1).unwrap();
    outbox.freeze(&north(), &frozen(b"to it"), &mut b"to it".as_slice()).unwrap();
    folder
}

fn piece(at: u64) -> Piece {
    Piece { body: Content::of(b"body"), at, bytes: 2 }
}

/// The state is as good as none, and the exchange begins again.
fn begins_again(folder: &TempDir, why: &str) {
    let outbox = Outbox::new(DiskBodies::open(folder.path()).unwrap());
    assert_eq!(outbox.holds(&north()).unwrap(), [], "{why}");
    assert_eq!(outbox.next_piece(&north(), 100).unwrap(), None, "{why}");
    assert_eq!(outbox.frozen(&north()).unwrap().0.len(), 0, "{why}");
    outbox.tidy_up(0).unwrap();
    assert!(!outbox.take_piece(&north(), &piece(2), b"dy", 1).unwrap(), "{why}");
    assert!(outbox.take_piece(&north(), &piece(0), b"bo", 1).unwrap(), "{why}");
    outbox.freeze(&north(), &frozen(b"anew"), &mut b"anew".as_slice()).unwrap();
    assert_eq!(outbox.next_piece(&north(), 100).unwrap().unwrap().bytes, b"anew", "{why}");
}

#[test]
fn a_database_that_is_none_is_made_anew() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("text", |bytes| *bytes = b"not a database, but a text of some length".to_vec()),
        ("empty", |bytes| bytes.clear()),
        ("cut off", |bytes| bytes.truncate(5000)),
        ("zeros after the first page", |bytes| bytes[4096..].fill(0)),
        ("noise after the first page", |bytes| bytes[4096..].fill(0xa5)),
    ];
    for (why, damage) in damages {
        let folder = with_state();
        let path = folder.path().join(DATABASE);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        begins_again(&folder, why);
    }
}

#[test]
fn a_state_of_another_form_is_as_good_as_none() {
    let huge = format!("UPDATE peer SET bodies = bodies || printf('%{STATE_BYTES_MAX}s', '')");
    let deep = format!("UPDATE peer SET bodies = '{}'", "[".repeat(100_000));
    let set = |from: &str, to: &str| {
        format!("UPDATE peer SET bodies = replace(bodies, '{from}', '{to}')")
    };
    let bytes = BODY_BYTES_MAX + 1;
    let statements = [
        "UPDATE peer SET bodies = ''".into(),
        "UPDATE peer SET bodies = 'null'".into(),
        "UPDATE peer SET bodies = '{}'".into(),
        "UPDATE peer SET bodies = '[[], []]'".into(),
        "UPDATE peer SET bodies = CAST(x'00ff' AS TEXT)".into(),
        "UPDATE peer SET name = CAST(x'00ff' AS TEXT), bodies = ''".into(),
        "DROP TABLE peer".into(),
        "DROP TABLE peer; CREATE TABLE peer (folded, name, bodies BLOB)".into(),
        "DROP TABLE peer; CREATE VIEW peer AS SELECT 1 AS folded, 2 AS name, 3 AS bodies".into(),
        "CREATE TRIGGER t AFTER INSERT ON peer BEGIN DELETE FROM peer; END; DELETE FROM peer"
            .into(),
        set("[[0,2]]", "[[0,5]]"),
        set("[[0,2]]", "[[0,18446744073709551615]]"),
        set("\"4 ", &format!("\"{bytes} ")),
        set("\"5 ", &format!("\"{bytes} ")),
        set("\"piece_bytes\":null", "\"piece_bytes\":0"),
        deep,
        huge,
    ];
    for statement in statements {
        let folder = with_state();
        let path = folder.path().join(DATABASE);
        let changed = |text: &str| {
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(text).unwrap();
        };
        changed(&statement);
        begins_again(&folder, &statement[..statement.len().min(100)]);
    }
}

/// A disk that is full for the state, though not for the files.
#[test]
fn a_change_that_does_not_fit_is_not_made() {
    let folder = with_state();
    let bodies = DiskBodies::open(folder.path()).unwrap();
    let pages = |most: i64| {
        let connection = bodies.connection();
        connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(())).unwrap();
    };
    let before = serde_json::to_string(&bodies.peer(&north()).unwrap()).unwrap();
    let change = || {
        bodies.change(&north(), &mut |state| {
            state.queue.name_for(&"x".repeat(100_000));
            Ok(())
        })
    };
    pages(1);
    let error = change().unwrap_err().to_string();
    assert!(error.contains("full"), "{error}");
    assert_eq!(serde_json::to_string(&bodies.peer(&north()).unwrap()).unwrap(), before);
    pages(1_000_000);
    change().unwrap();
}

/// Somebody else has the database, or the disk is full. Then it is not taken for a damaged one, and removed.
#[test]
fn only_a_damaged_database_is_made_anew() {
    let of = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_FULL, ffi::SQLITE_IOERR] {
        assert!(!is_damaged(&of(code)), "{code}");
    }
    assert!(is_damaged(&of(ffi::SQLITE_CORRUPT)) && is_damaged(&of(ffi::SQLITE_NOTADB)));
}

#[test]
fn the_files_of_dead_programs_go() {
    let folder = with_state();
    let bodies = folder.path().join(BODIES);
    let hash = Content::of(b"gone").hash;
    let dead = bodies.join(format!(".dirsync-{hash}.aBcDeF.tmp"));
    fs::write(&dead, "half").unwrap();
    let alive = bodies.join(format!(".dirsync-{hash}.gHiJkL.tmp"));
    let writer = File::create(&alive).unwrap();
    writer.try_lock().unwrap();
    fs::write(bodies.join("a stranger"), "").unwrap();
    Outbox::new(DiskBodies::open(folder.path()).unwrap()).tidy_up(0).unwrap();
    assert!(!dead.exists() && alive.exists() && bodies.join("a stranger").exists());
}
