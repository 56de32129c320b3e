//! What a message may say is bounded: no number of it stops anybody.

use dirsync_directory::{EntryId, PostofficeName, RecordRef, SetDigest, own_element};
use dirsync_message::{GENERATION_MAX, Head, NUMBER_MAX, ServerEpoch};
use dirsync_store::Store;

use dirsync_testing::rows::postoffice;
use dirsync_testing::{EVIDENCE, Readable, SERVER, World};

const A: &str = "SOUTH/A";
const B: &str = "SOUTH/B";

/// A server and two requestors, each with an entry that all list.
fn three_postoffices() -> World {
    let mut world = World::new(&[A, B]);
    world.cycle();
    world.at(A).import(&[("1", "Ana", "SMTP:ana@a.example", "1")]);
    world.at(B).import(&[("1", "Bo", "SMTP:bo@b.example", "1"), ("2", "Cy", "SMTP:c@b", "")]);
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 3);
    world
}

/// Replaces the one message that waits for `to` from `from`: head and body are what `alter` makes of
/// them, and the message is one that `from` has sealed.
fn forge(world: &World, to: &str, from: &str, alter: &dyn Fn(&str, &str) -> (String, String)) {
    let (to_name, from) = (postoffice(to), postoffice(from));
    let mut waiting = world.network.letters(to);
    waiting.retain(|letter| letter.message.from == from);
    let [letter] = waiting.as_slice() else { panic!("one message from {from}: {waiting:?}") };
    let (head, body) = alter(&letter.message.head, &letter.message.body);
    let forged = Readable { head, body, ..letter.message.clone() };
    world.network.deliver(&to_name, &letter.arrived, forged.file());
}

/// Everybody goes on: after some cycles a new entry of each is listed by all, and the numbers in
/// force are ones that can be sent.
fn all_goes_on(world: &mut World, what: &str) {
    for _ in 0..6 {
        world.cycle();
    }
    world
        .at(A)
        .import(&[("1", "Ana", "SMTP:ana@a.example", "2"), ("3", "Di", "SMTP:di@a.example", "1")]);
    world.at(B).import(&[("2", "Cy", "SMTP:c@b", "1"), ("4", "Ed", "SMTP:ed@b", "")]);
    for _ in 0..6 {
        world.cycle();
    }
    let list = world.converged();
    let names = ["Ana", "Di", "Cy", "Ed"];
    assert_eq!(list.len(), names.len(), "{what}: {list:?}");
    assert!(names.iter().all(|name| list.iter().any(|line| line.contains(name))), "{what}");
    let server = world.at(SERVER).store.begin().unwrap().server().unwrap().unwrap();
    assert!(server.epoch.generation < GENERATION_MAX && !server.fenced, "{what}");
    assert!(!server.recovering, "{what}: nobody is waited for");
}

/// Values at and around every limit, and a usual one that is far ahead.
fn values() -> Vec<u64> {
    let mut values = vec![NUMBER_MAX, NUMBER_MAX - 1, NUMBER_MAX + 1, u64::MAX, 1 << 20, 1 << 32];
    values.extend([(1 << 32) + 7, GENERATION_MAX, GENERATION_MAX - 1, GENERATION_MAX + 1]);
    values
}

fn with_number(text: &str, field: &str, number: u64) -> String {
    let prefix = format!("{field}=");
    let line = text.lines().find(|line| line.starts_with(&prefix)).map(str::to_owned);
    let line = line.unwrap_or_else(|| panic!("no {field} in {text}"));
    let value = &line[prefix.len()..];
    let changed = match field {
        "epoch-heard" | "server-epoch" | "after-epoch" => {
            format!("{number}.{}", value.split_once('.').unwrap().1)
        }
        "point" | "stated" => {
            let mut parts: Vec<&str> = value.split('/').collect();
            let number = number.to_string();
            parts[1] = &number;
            parts.join("/")
        }
        "own-digest" | "list-digest" => format!("{number}-{}", value.split_once('-').unwrap().1),
        _ => number.to_string(),
    };
    text.replace(&line, &format!("{prefix}{changed}"))
}

/// The same with right evidence of the epoch that the head names then, as of a server that has its secret.
/// A head that cannot be read stays as it is.
fn with_evidence(head: &str) -> String {
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    let epoch = value("epoch-heard").or_else(|| value("server-epoch")).unwrap();
    let Ok(epoch) = epoch.parse::<ServerEpoch>() else { return head.to_owned() };
    let stated = value("epoch-evidence").unwrap();
    head.replace(
        &format!("epoch-evidence={stated}"),
        &format!("epoch-evidence={}", EVIDENCE.of_epoch(&epoch)),
    )
}

/// `docs/failure-stories.md` §15: a request names a server epoch of a generation near 2^62; and so with
/// every other number, in both directions.
#[test]
fn no_number_bricks_a_server() {
    let request = ["number", "own-from", "own-to", "own-digest", "epoch-heard", "point"];
    let request = request.iter().chain(&["list-digest", "clock"]);
    let update = ["answers", "server-epoch", "ack", "after", "after-epoch", "stated", "point"];
    let update = update.iter().chain(&["head", "list-digest", "part"]);
    let fields = request.map(|field| (true, *field)).chain(update.map(|field| (false, *field)));
    for (in_request, field) in fields {
        for value in values() {
            let mut world = three_postoffices();
            world.at(A).import(&[("1", "Ana", "SMTP:ana@a.example", "5")]);
            world.at(B).import(&[("2", "Cy", "SMTP:c@b", "7")]);
            world.pass(60_000);
            world.send(A);
            world.send(B);
            let alter = |head: &str, body: &str| {
                (with_evidence(&with_number(head, field, value)), body.to_owned())
            };
            if in_request {
                forge(&world, SERVER, A, &alter);
                world.process();
            } else {
                world.process();
                forge(&world, A, SERVER, &alter);
                world.apply(A);
            }
            all_goes_on(&mut world, &format!("{field} {value}"));
        }
    }
}

/// A stamp later than any clock shows is taken for what it is, and whoever takes it over goes on.
#[test]
fn no_stamp_bricks_anybody() {
    for stamp in [NUMBER_MAX, NUMBER_MAX - 1, NUMBER_MAX + 1, u64::MAX] {
        let mut world = three_postoffices();
        world.at(A).import(&[("1", "Ana", "SMTP:ana@a.example", "5")]);
        world.pass(60_000);
        world.send(A);
        forge(&world, SERVER, A, &|head, body| {
            let line = body.lines().find(|line| line.contains(" M ")).unwrap();
            let number = line.split('@').next().unwrap();
            let (_, change) = line.split_once(" M ").unwrap();
            let altered = format!("{number}@+{stamp} M {change}");
            (head.to_owned(), body.replace(line, &altered))
        });
        world.process();
        // What follows deletes the entry behind it, so that a deletion follows the stamp in the list.
        world.at(B).import(&[("1", "Bo", "SMTP:bo@b.example", "1")]);
        all_goes_on(&mut world, &format!("stamp {stamp}"));
        let mut tables = world.at(A).store.begin().unwrap();
        assert!(tables.requestor().unwrap().last_stamp.0 <= NUMBER_MAX, "stamp {stamp}");
    }
}

/// What came in as one transaction, or in several, is refused when it could not leave again: the
/// server would fail at every answer, and the requestor at every request.
#[test]
fn an_entry_that_no_message_can_carry_is_refused() {
    // Written again, each line takes one byte more. The hashes keep it from being compressed too well.
    let hash = |number: u64| blake3::hash(&number.to_be_bytes()).to_hex().repeat(63);
    let raw: String = (0..4193).map(|number| format!("?{}\n", &hash(number)[..3999])).collect();
    let name: PostofficeName = A.parse().unwrap();
    let record = RecordRef { kind: "mailbox", name: "N", addresses: "X:a", details: &raw };
    let digest = SetDigest::one(own_element(EntryId::derive(&name, "k"), None, record));
    let mut world = World::new(&[A, B]);
    world.cycle();
    world.pass(60_000);
    world.send(A);
    world.send(B);
    forge(&world, SERVER, A, &|head, _| {
        let head = with_number(head, "own-to", 1);
        let old = head.lines().find(|line| line.starts_with("own-digest=")).unwrap();
        let head = head.replace(old, &format!("own-digest={digest}"));
        let line = format!(" A k\tN\tX:a\n{raw}");
        (head, format!("[DIRSYNC-TRANSACTIONS]\n*{A}\n{line}[END] 1\n"))
    });
    let report = world.process();
    assert_eq!(report.refused, 1, "{:?}", report.events);
    assert!(report.events.iter().any(|event| event.text.contains("no message can carry")));
    world.at(A).import(&[("1", "Ana", "SMTP:ana@a.example", "1")]);
    world.at(B).import(&[("1", "Bo", "SMTP:bo@b.example", "1"), ("2", "Cy", "SMTP:c@b", "")]);
    all_goes_on(&mut world, "an entry of 16 MiB");
}

/// A server that followed a forged epoch as far as it may is followed by those who lag behind it.
#[test]
fn a_generation_is_followed_by_a_step_at_most() {
    use dirsync_protocol::bounds::GENERATION_STEP_MAX;

    let generation = |world: &mut World| {
        world.at(SERVER).store.begin().unwrap().server().unwrap().unwrap().epoch.generation
    };
    for (ahead, followed) in [(GENERATION_STEP_MAX, true), (GENERATION_STEP_MAX + 1, false)] {
        let mut world = three_postoffices();
        let before = generation(&mut world);
        world.send(A);
        forge(&world, SERVER, A, &|head, body| {
            assert!(Head::parse(head).is_ok());
            let head = with_number(head, "epoch-heard", before + ahead);
            (with_evidence(&head), body.to_owned())
        });
        let report = world.process();
        let expected = if followed { before + ahead + 1 } else { before };
        assert_eq!(generation(&mut world), expected);
        assert_eq!(report.refused, u64::from(!followed));
        all_goes_on(&mut world, &format!("{ahead} ahead"));
    }
}

/// Without evidence it does not follow at all, and nobody is disturbed.
#[test]
fn a_generation_without_evidence_is_not_followed() {
    let mut world = three_postoffices();
    let server =
        |world: &mut World| world.at(SERVER).store.begin().unwrap().server().unwrap().unwrap();
    let before = server(&mut world);
    world.send(A);
    forge(&world, SERVER, A, &|head, body| {
        (with_number(head, "epoch-heard", before.epoch.generation + 1), body.to_owned())
    });
    let report = world.process();
    assert!(report.events.iter().any(|event| event.row.name() == "S4a"), "{:?}", report.events);
    let after = server(&mut world);
    assert_eq!((after.epoch, after.recovering), (before.epoch, false));
    all_goes_on(&mut world, "without evidence");
}

/// After the last generation none follows that a head can say: nobody is believed to have heard it.
#[test]
fn the_last_generation_is_believed_of_nobody() {
    for (behind, followed) in [(1, true), (0, false)] {
        let mut world = three_postoffices();
        let mut tables = world.at(SERVER).store.begin().unwrap();
        let mut server = tables.server().unwrap().unwrap();
        server.epoch.generation = GENERATION_MAX - 2;
        tables.put_server(&server).unwrap();
        tables.commit().unwrap();
        world.send(A);
        forge(&world, SERVER, A, &|head, body| {
            let head = with_number(head, "epoch-heard", GENERATION_MAX - behind);
            (with_evidence(&head), body.to_owned())
        });
        let report = world.process();
        assert_eq!(report.refused, u64::from(!followed), "{:?}", report.events);
        let server = world.at(SERVER).store.begin().unwrap().server().unwrap().unwrap();
        let expected = GENERATION_MAX - if followed { 0 } else { 2 };
        assert_eq!(server.epoch.generation, expected);
    }
}

/// What a server gives back is looked at as well: a requestor would fail at its next request.
#[test]
fn a_merge_takes_no_entry_that_no_message_can_carry() {
    let hash = |number: u64| blake3::hash(&number.to_be_bytes()).to_hex().repeat(63);
    let raw: String = (0..4193).map(|number| format!("?{}\n", &hash(number)[..3999])).collect();
    let mut world = three_postoffices();
    world.at(A).begin_anew().unwrap();
    world.send(A);
    world.process();
    forge(&world, A, SERVER, &|head, body| {
        let line = head.lines().find(|line| line.starts_with("own-digest=")).unwrap();
        let name: PostofficeName = A.parse().unwrap();
        let record = RecordRef { kind: "mailbox", name: "N", addresses: "X:a", details: &raw };
        let digest = SetDigest::one(own_element(EntryId::derive(&name, "k"), None, record));
        assert!(body.contains(" A 1\t"), "{body}");
        let head = head.replace(line, &format!("own-digest={digest}"));
        let entry = format!(" A k\tN\tX:a\n{raw}");
        (head, format!("[DIRSYNC-TRANSACTIONS]\n*{A}\n{entry}[END] 1\n"))
    });
    let report = world.apply(A);
    assert_eq!(report.refused, 1, "{:?}", report.events);
    assert!(report.events.iter().any(|event| event.text.contains("no message can carry")));
    all_goes_on(&mut world, "an entry of 16 MiB that comes back");
}
