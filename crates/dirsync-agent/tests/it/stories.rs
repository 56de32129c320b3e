//! Stories of `docs/failure-stories.md` that the steps answer.

use std::collections::BTreeMap;

use dirsync_agent::changes::{ExampleKind, ReadRow, ReadSettings, SourceRead, approve};
use dirsync_agent::decisions::DecisionKind;
use dirsync_carrier::Transit;
use dirsync_directory::{EntryId, PostofficeName};
use dirsync_message::{Change, Stamp, Transaction};
use dirsync_store::Store;

use dirsync_testing::rows::{people, record};
use dirsync_testing::{DAY_MS, SERVER, START_MS, TestPostoffice, World, held_changes};

/// §1: what is held holds up nothing else, deletions that drip are counted together, and one command
/// lets it through.
#[test]
fn held_deletes_do_not_block_the_rest() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..60));
    world.cycle();
    // Five at a time are few; the third five within a day are not.
    for (left, removed, held) in [(55, 5, 0), (50, 5, 0), (45, 0, 5)] {
        let report = world.at("SOUTH/A").import(&people(0..left));
        assert_eq!((report.removed, report.held_removals), (removed, held), "{left}");
    }
    let mut more = people(0..45);
    more.extend(people(100..103));
    more[0].3 = "changed".into();
    let report = world.at("SOUTH/A").import(&more);
    assert_eq!((report.added, report.changed, report.held_removals), (3, 1, 5));
    world.cycle();
    let list = world.converged();
    assert_eq!(list.len(), 53, "held ones stay, new ones come");
    assert!(list.iter().any(|line| line.contains("telephoneNumber/changed")));
    let south = world.at("SOUTH/A");
    let approved = south.transact(|tables, context, _| approve(tables, context.now, None));
    assert_eq!(approved.unwrap(), 5);
    world.cycle();
    assert_eq!(world.converged().len(), 48);
}

/// §1: a field emptied of everybody waits, and the next good read clears it without a command.
#[test]
fn mass_blanking_is_held() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..40));
    world.cycle();
    let mut blank = people(0..40);
    blank.iter_mut().for_each(|row| row.3.clear());
    let report = world.at("SOUTH/A").import(&blank);
    assert_eq!((report.changed, report.held), (0, 40));
    assert!(report.warnings.iter().any(|warning| warning.contains("lose a field")));
    world.cycle();
    assert!(world.converged().iter().all(|line| line.contains("telephoneNumber/")));
    let report = world.at("SOUTH/A").import(&people(0..40));
    assert_eq!(report.unchanged, 40);
    let mut tables = world.at("SOUTH/A").store.begin().unwrap();
    assert!(held_changes(&mut *tables).unwrap().is_empty());
}

/// §14: the first read after a source's settings changed changes nobody without a word.
#[test]
fn changed_settings_are_a_dry_run_first() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    let read = |postoffice: &mut TestPostoffice, fingerprint: &str, suffix: &str| {
        let settings = ReadSettings {
            source: "hr".into(),
            whole: true,
            fingerprint: fingerprint.into(),
            ..ReadSettings::default()
        };
        let rows = people(0..30)
            .into_iter()
            .map(|(key, name, address, _)| (key, record(&format!("{name}{suffix}"), &address, "")));
        postoffice.read(settings, rows, true).unwrap()
    };
    let postoffice = world.at("SOUTH/A");
    assert_eq!(read(postoffice, "map 1", "").added, 30);
    let report = read(postoffice, "map 2", " (external)");
    assert_eq!((report.changed, report.held), (0, 30));
    assert!(report.warnings.iter().any(|warning| warning.contains("settings")));
    assert!(report.examples[&ExampleKind::Held].len() == 30, "the counts come with examples");
    let approved = postoffice.transact(|tables, context, _| approve(tables, context.now, None));
    assert_eq!(approved.unwrap(), 30);
    assert_eq!(read(postoffice, "map 2", " (external)").unchanged, 30);
}

/// §10: two forms of one umlaut are one address, and a change of form is no deletion.
#[test]
fn nfc_and_nfd_are_one_name() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.cycle();
    world.at("SOUTH/A").import(&[("1", "Jörg", "SMTP:j\u{f6}rg@x.example", "")]);
    world.cycle();
    world.at("WEST/B").import(&[("9", "Jorg", "SMTP:jo\u{308}rg@x.example", "")]);
    world.cycle();
    let list = world.converged();
    assert_eq!(list.len(), 1, "one address, one holder: {list:?}");
    let report = world.at("SOUTH/A").import(&[("1", "Jörg", "SMTP:jo\u{308}rg@x.example", "")]);
    assert_eq!((report.changed, report.removed, report.added), (1, 0, 0));
    world.cycle();
    let after = world.converged();
    assert_eq!(after.len(), 1);
    assert!(after[0].contains("jo\u{308}rg"), "values travel as their origin wrote them");
    assert_eq!(after[0].split(' ').next(), list[0].split(' ').next(), "the id stays");
}

/// §7: two agents, or an agent and a command, on one inbox: each message once, no error.
#[test]
fn share_without_events() {
    let folder = tempfile::tempdir().unwrap();
    let (north, south): (PostofficeName, PostofficeName) =
        ("NORTH/HQ".parse().unwrap(), "SOUTH/A".parse().unwrap());
    let transit =
        |me: &PostofficeName| dirsync_carrier::FolderTransit::new(folder.path(), me.clone());
    let body = dirsync_carrier::Body::default();
    let outgoing = dirsync_carrier::Outgoing {
        from: &north,
        to: &south,
        epoch: "e",
        number: 1,
        part: 1,
        front: b"h",
        body: &body,
    };
    transit(&north).send(&outgoing).unwrap();
    let (first, second) = (transit(&south), transit(&south));
    // Nobody was told that something arrived: a look finds it, at both.
    let (at_first, at_second) = (first.arrived().unwrap(), second.arrived().unwrap());
    assert_eq!(at_first, at_second);
    assert!(first.finished(&at_first[0]).unwrap());
    assert!(second.open(&at_second[0]).unwrap().is_none(), "gone, and that is no error");
    assert!(!second.finished(&at_second[0]).unwrap());
    assert!(second.arrived().unwrap().is_empty());
}

/// §12: only ReqSync and SrvSync release anything; lose all that the transit took, nothing is lost.
#[test]
fn transport_ack_is_not_an_ack() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..20));
    for _ in 0..5 {
        assert_eq!(world.send("SOUTH/A").transactions, 20, "sent again until acknowledged");
        let server: PostofficeName = SERVER.parse().unwrap();
        for message in world.network.pending(&server) {
            world.network.lose(&server, &message);
        }
    }
    world.cycle();
    assert_eq!(world.converged().len(), 20);
    assert_eq!(world.send("SOUTH/A").transactions, 0);
}

/// §13: over many views, what travels to a requestor holds no entry and no field outside its view:
/// first fill, deltas, deletions, and notices of collisions.
#[test]
fn shared_body_shows_only_the_view() {
    let views: BTreeMap<&'static str, &str> = BTreeMap::from([
        ("V/ALL", ""),
        ("V/TITLES", "attributes\ttitle\n"),
        ("V/NORTH", "origins\tNORTH/HQ\n"),
        ("V/ODD", "filter\t(title=odd)\n"),
    ]);
    let mut world = World::new(&views.keys().copied().collect::<Vec<_>>());
    for (name, view) in &views {
        world.decide(name, DecisionKind::Allow(view.parse().unwrap()));
    }
    for round in 0..4u32 {
        let settings =
            ReadSettings { source: "import".into(), whole: true, ..ReadSettings::default() };
        let rows = people(round..round + 12).into_iter().map(|(key, name, address, phone)| {
            let number: u32 = key.parse().unwrap();
            let title = if (number + round) % 2 == 1 { "odd" } else { "even" };
            let details = format!("telephoneNumber/secret{phone}\ntitle/{title}\n");
            (key, record(&name, &address, &details))
        });
        world.at(SERVER).read(settings, rows, true).unwrap();
        world.at("V/ALL").import(&people(500 + round..505 + round));
        for name in views.keys().copied().chain([SERVER]).collect::<Vec<_>>() {
            world.send(name);
        }
        world.process();
        for name in views.keys() {
            for letter in world.network.letters(name) {
                let text = letter.message.head + &letter.message.body;
                match *name {
                    "V/TITLES" => assert!(!text.contains("telephone"), "{name}: {text}"),
                    "V/NORTH" => assert!(!text.contains("p50"), "{name}: {text}"),
                    "V/ODD" => assert!(!text.contains("title/even"), "{name}: {text}"),
                    _ => {}
                }
            }
        }
        for name in views.keys().copied().chain([SERVER]).collect::<Vec<_>>() {
            let report = world.apply(name);
            assert_eq!(report.refused, 0);
        }
    }
    for name in views.keys() {
        for line in world.at(name).list() {
            assert!(*name != "V/ODD" || line.contains("title/odd"), "{line}");
            assert!(*name != "V/TITLES" || !line.contains("telephone"), "{line}");
        }
    }
    let odd = world.at("V/ODD").list().len();
    assert_eq!(odd, 6, "half of twelve are odd now");
}

/// §8, the agent's part: reads and cycles with any clock give the same lists.
#[test]
fn clocks_that_are_years_apart_give_the_same_lists() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.at("SOUTH/A").now += 3650 * DAY_MS;
    world.at("WEST/B").now -= 3650 * DAY_MS;
    world.cycle();
    for (postoffice, shift) in [("SOUTH/A", 0i64), ("WEST/B", 1)] {
        let years = if shift == 0 { 10 } else { -10i64 };
        let at = (START_MS as i64 + years * 365 * DAY_MS as i64) as u64;
        let postoffice = world.at(postoffice);
        postoffice.now = at;
        postoffice.import(&people(shift as u32 * 100..shift as u32 * 100 + 5));
        postoffice.now = at - 5 * 365 * DAY_MS;
        postoffice.import(&people(shift as u32 * 100..shift as u32 * 100 + 6));
    }
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 12);
}

/// The operations of all stores so far.
fn operations(world: &World) -> u64 {
    let stores = world.postoffices.values().map(|postoffice| &postoffice.store);
    stores.map(|store| store.faults.operations()).sum()
}

/// A file in which everybody has the address of the reception: one gets it, the others wait, and the server
/// does not look at each of them for each of them.
#[test]
fn one_address_for_everybody_takes_a_server_no_longer() {
    let operations_of = |count: u32| {
        let mut world = World::new(&["SOUTH/A"]);
        world.cycle();
        let everybody: Vec<_> =
            (0..count).map(|n| (n.to_string(), format!("Person {n}"))).collect();
        let everybody: Vec<_> = everybody
            .iter()
            .map(|(key, name)| (key.as_str(), name.as_str(), "SMTP:reception@south.example", ""))
            .collect();
        world.at("SOUTH/A").import(&everybody);
        let before = operations(&world);
        world.cycle();
        assert_eq!(world.converged().len(), 1);
        operations(&world) - before
    };
    let (once, twice) = (operations_of(100), operations_of(200));
    assert!(twice <= once * 2 + 100, "{once} operations, then {twice}");
}

/// §12: twice the entries are at most twice the operations of the store, counted and not timed.
#[test]
fn linear_and_bounded() {
    let operations_of = |count: u32| {
        let mut world = World::new(&["SOUTH/A"]);
        world.cycle();
        let before = operations(&world);
        world.at("SOUTH/A").import(&people(0..count));
        world.cycle();
        assert_eq!(world.converged().len(), count as usize);
        let filled = operations(&world);
        let report = world.at("SOUTH/A").import(&people(0..count));
        assert_eq!(report.unchanged, u64::from(count));
        let read_again = operations(&world);
        (filled - before, read_again - filled)
    };
    let (once, once_again) = operations_of(1000);
    let (twice, twice_again) = operations_of(2000);
    assert!(twice <= once * 2 + 100, "{once} operations, then {twice}");
    assert!(once / 1000 <= 20, "{} operations an entry", once / 1000);
    // What is unchanged costs nothing at all.
    assert!(twice_again <= once_again + 10, "{once_again} operations, then {twice_again}");
}

/// What travels is small, in bytes: only the key of an id, only what changed of an entry.
#[test]
fn bytes_on_the_wire_are_few() {
    const ENTRIES: u32 = 5000;
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..ENTRIES));
    let bytes = world.send("SOUTH/A").bytes;
    assert!(bytes / u64::from(ENTRIES) <= 45, "{} bytes an entry", bytes / u64::from(ENTRIES));
    world.cycle();
    let mut changed = people(0..ENTRIES);
    changed.iter_mut().step_by(5).for_each(|row| row.3.push_str("77"));
    let report = world.at("SOUTH/A").import(&changed);
    assert_eq!(report.changed, 1000);
    let sent = world.send("SOUTH/A");
    assert_eq!(sent.transactions, 1000);
    assert!(sent.bytes <= 20_000, "{} bytes for 1,000 changed phones", sent.bytes);
}

/// §1: an empty read is held at any size, also where the ordinary limits would let it through.
#[test]
fn an_empty_read_of_a_small_postoffice_is_held_too() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..5));
    world.cycle();
    let report = world.at("SOUTH/A").import::<&str>(&[]);
    assert_eq!((report.removed, report.held_removals), (0, 5));
    let report = world.at("SOUTH/A").import(&people(0..2));
    assert_eq!((report.removed, report.held_removals), (0, 3), "under half of the last good read");
    let report = world.at("SOUTH/A").import(&people(0..4));
    assert_eq!((report.removed, report.held_removals), (1, 0));
}

/// `protocol` 6.4: until the server has answered, a read may add, never delete: this may be a
/// reinstallation, and what the server holds is not known yet.
#[test]
fn before_the_first_answer_nobody_is_deleted() {
    let mut world = World::new(&["SOUTH/A"]);
    world.at("SOUTH/A").import(&people(0..5));
    let report = world.at("SOUTH/A").import(&people(0..4));
    assert_eq!((report.removed, report.held_removals, report.absent_kept), (0, 0, 1));
    world.cycle();
    let report = world.at("SOUTH/A").import(&people(0..4));
    assert_eq!(report.removed, 1);
}

/// §5: two rows with the key of an entry that is known: neither is believed, the entry stays as it is.
#[test]
fn two_rows_with_one_known_key_change_nothing() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..5));
    world.cycle();
    let before = world.converged();
    let mut twice = people(0..5);
    twice[2].1 = "Somebody Else".into();
    twice.push(("2".into(), "A Third".into(), "SMTP:third@x.example".into(), String::new()));
    let report = world.at("SOUTH/A").import(&twice);
    assert_eq!((report.changed, report.quarantined, report.removed), (0, 2, 0));
    world.cycle();
    assert_eq!(world.converged(), before);
}

/// §5: both rows are listed, whatever the first one had done.
#[test]
fn two_rows_with_one_key_are_listed_as_two() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..5));
    let mut rows = people(0..7);
    rows[1].1 = "Somebody Else".into();
    rows[2].2 = "SMTP:no address".into();
    for twice in [0, 1, 2, 6] {
        let (key, name) = (twice.to_string(), format!("Twice {twice}"));
        rows.push((key, name, format!("SMTP:t{twice}@x.example"), String::new()));
    }
    let postoffice = world.at("SOUTH/A");
    let report = postoffice.import(&rows);
    assert_eq!((report.added, report.changed, report.unchanged), (1, 0, 2));
    assert_eq!((report.quarantined, report.removed), (8, 0));
    let cases = postoffice.store.begin().unwrap().quarantined().unwrap();
    let mut lines: Vec<u64> = cases.iter().filter_map(|case| case.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 3, 4, 8, 9, 10, 11, 12]);
    let unchanged = cases.iter().find(|case| case.line == Some(2)).unwrap();
    assert!(unchanged.reason.ends_with("also on line 9"), "{}", unchanged.reason);
    assert_eq!((unchanged.subject.as_str(), unchanged.text.as_str()), ("0", "Person 0"));
}

/// §1: without its address a row stands for nobody; many at once are as suspicious as a short file.
#[test]
fn rows_without_an_address_are_no_rows() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..20));
    world.cycle();
    let mut rows = people(0..20);
    rows[0].2 = String::new();
    let report = world.at("SOUTH/A").import(&rows);
    assert_eq!((report.without_address, report.removed, report.unchanged), (1, 1, 19));
    assert!(!report.needs_a_person());
    rows[1..].iter_mut().for_each(|row| row.2 = String::new());
    let report = world.at("SOUTH/A").import(&rows);
    assert_eq!((report.without_address, report.removed, report.held_removals), (20, 0, 19));
}

/// A mail address that is the key and wrong: the row may stand for anybody.
#[test]
fn a_wrong_address_that_is_the_key_deletes_nobody() {
    let mut world = World::new(&["SOUTH/A"]);
    world.cycle();
    world.at("SOUTH/A").import(&people(0..5));
    world.cycle();
    for (derived_key, absent_kept, removed) in [(true, 1, 0), (false, 0, 1)] {
        let report = world.at("SOUTH/A").transact(|tables, _, _| {
            let settings =
                ReadSettings { source: "import".into(), whole: true, ..ReadSettings::default() };
            let mut read = SourceRead::begin(tables, settings).unwrap();
            for (line, (key, name, address, _)) in (2..).zip(people(0..4)) {
                let record = record(&name, &address, "");
                let record = record.as_ref();
                read.row(ReadRow { origin: None, key: &key, record, line, derived_key }).unwrap();
            }
            let wrong = record("P", "SMTP:p4 x.example", "");
            let (key, record) = ("p4 x.example", wrong.as_ref());
            read.row(ReadRow { origin: None, key, record, line: 6, derived_key }).unwrap();
            read.finish(true)
        });
        let report = report.unwrap();
        assert_eq!((report.absent_kept, report.removed), (absent_kept, removed));
    }
}

/// A message that names an entry twice is not taken, not tried for ever, and the list is repaired.
#[test]
fn an_update_that_names_an_entry_twice_is_healed() {
    let mut world = World::new(&["SOUTH/A"]);
    world.at(SERVER).import(&people(0..5));
    world.send(SERVER);
    world.send("SOUTH/A");
    world.process();
    let south: PostofficeName = "SOUTH/A".parse().unwrap();
    let north: PostofficeName = SERVER.parse().unwrap();
    let letter = world.network.letters("SOUTH/A").remove(0);
    let mut body = dirsync_message::BodyWriter::new(Vec::new());
    let record = record("Twice", "SMTP:twice@x.example", "");
    for number in 1..=2 {
        let transaction = Transaction {
            number,
            stamp: Stamp(number),
            id: EntryId::derive(&north, "same"),
            owner: Some(&north),
            first_origin: Some(&north),
            key: "same",
            released_to: None,
            change: Change::Whole(record.as_ref()),
            line: 0,
        };
        body.write(&transaction).unwrap();
    }
    let body = String::from_utf8(body.finish().unwrap()).unwrap();
    let file = dirsync_testing::Readable { body, ..letter.message }.file();
    world.network.deliver(&south, &letter.arrived, file);
    world.apply("SOUTH/A");
    assert!(world.network.pending(&south).is_empty(), "it is not tried again");
    assert!(world.at("SOUTH/A").list().is_empty());
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 5);
}
