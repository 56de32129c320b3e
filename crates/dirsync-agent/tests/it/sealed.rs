//! Messages that are sealed with keys, and those that only seem to be.

use dirsync_agent::step::ProcessReport;
use dirsync_carrier::Arrived;
use dirsync_directory::PostofficeName;
use dirsync_message::BodyWriter;
use dirsync_protocol::context::Level;
use dirsync_protocol::invitation::proof;
use dirsync_protocol::row::Row;
use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, FirstContact, Front, MessageName, OwnKeys, PublicKey,
    work,
};
use dirsync_store::Store;
use dirsync_testing::rows::postoffice;
use dirsync_testing::{DAY_MS, Letter, Readable, SERVER, World, changed_keys, key_of, own_keys};

const A: &str = "SOUTH/A";
const B: &str = "WEST/B";

/// A server and two requestors, each with an entry that all list.
fn three_postoffices() -> World {
    let mut world = World::sealed(&[A, B]);
    for (name, address) in [(SERVER, "s@x"), (A, "a@x"), (B, "b@x")] {
        world.at(name).import(&[("1", "Ana", &*format!("SMTP:{address}"), "1")]);
    }
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 3);
    world
}

/// The file of a message that says `from`, `to` and `head`, signed by `signer` and sealed to `to_key`.
fn forged(
    (from, to): (&str, &str),
    head: &str,
    name: &MessageName,
    (signer, to_key): (&OwnKeys, &PublicKey),
    first_contact: Option<FirstContact>,
) -> Vec<u8> {
    let body = BodyWriter::new(BodySealer::new(Vec::new(), 1).unwrap());
    let (body, bytes) = body.finish().unwrap().finish().unwrap();
    let front = Front {
        from: postoffice(from),
        to: postoffice(to),
        name: name.clone(),
        body: BodyStatement { content: body.content, place: BodyPlace::Inline },
        holds: Vec::new(),
        rotated: Vec::new(),
        first_contact,
    };
    [front.seal(head, &body.key, signer.newest(), to_key).unwrap(), bytes].concat()
}

/// Takes the only message that waits for a postoffice out of the network.
fn intercepted(world: &World, to: &str) -> Letter {
    let letters = world.network.letters(to);
    let [letter] = letters.as_slice() else { panic!("{} messages for {to}", letters.len()) };
    world.network.lose(&postoffice(to), &letter.arrived);
    letter.clone()
}

fn files_of(world: &World, to: &str) -> Vec<(Arrived, Vec<u8>)> {
    let to = postoffice(to);
    let pending = world.network.pending(&to).into_iter();
    pending.map(|arrived| (arrived.clone(), world.network.copy(&to, &arrived).unwrap())).collect()
}

fn keys(name: &str) -> std::sync::Arc<OwnKeys> {
    own_keys(&postoffice(name))
}

fn key(name: &str) -> PublicKey {
    key_of(&postoffice(name))
}

/// Gives one file to T2. Returns its report, and the decryptions that it began.
fn processed(world: &mut World, arrived: &Arrived, file: Vec<u8>) -> (ProcessReport, u64) {
    world.network.deliver(&postoffice(SERVER), arrived, file);
    let before = work::so_far();
    let report = world.process();
    (report, work::so_far().decryptions - before.decryptions)
}

#[test]
fn sealed_postoffices_agree_and_nobody_reads_what_travels() {
    let mut world = three_postoffices();
    world.at(A).import(&[("1", "Ana Secret", "SMTP:a@x", "2")]);
    world.send(A);
    let [(_, request)] = &files_of(&world, SERVER)[..] else { panic!("one request") };
    let has =
        |file: &[u8], text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(request, "from: SOUTH/A\n"));
    assert!(!has(request, "Ana") && !has(request, "own-digest") && !has(request, "AGE-SECRET"));
    assert!(Readable::read(request).unwrap().body.contains("Ana Secret"));
    world.process();
    world.cycle();
    assert!(world.converged().iter().any(|line| line.contains("Ana Secret")));
}

/// `docs/failure-stories.md` §13: wrong key, right key of another postoffice, or a message for somebody else:
/// refused, logged, not answered, and never decrypted. A replayed older replace is not applied.
#[test]
fn old_but_signed_is_refused() {
    let mut world = three_postoffices();
    world.send(A);
    let letter = intercepted(&world, SERVER);
    let Readable { head, name, .. } = &letter.message;
    let plain = Readable { sealed: false, ..letter.message.clone() }.file();
    let version_1 = b"DIRSYNC-ENVELOPE 1\nfrom: SOUTH/A\nto: NORTH/HQ\n".to_vec();
    let to_server =
        |signer: &OwnKeys, from| forged((from, SERVER), head, name, (signer, &key(SERVER)), None);
    let forgeries = [
        ("it is not sealed", version_1),
        ("it does not begin with", plain),
        ("which is not (or no longer) the key of SOUTH/A", to_server(&keys(B), A)),
        ("which is not (or no longer) the key of NORTH/HQ", to_server(&keys(A), SERVER)),
        ("disagree about the sender", to_server(&keys(B), B)),
        ("addressed to WEST/B", forged((A, B), head, name, (&keys(A), &key(B)), None)),
        ("is not here", forged((A, SERVER), head, name, (&keys(A), &key(B)), None)),
    ];
    for (why, file) in forgeries {
        let (report, decryptions) = processed(&mut world, &letter.arrived, file);
        let reasons = world.network.reasons(&postoffice(SERVER));
        assert!(reasons.last().is_some_and(|last| last.contains(why)), "{why}: {reasons:?}");
        assert_eq!(report.refused, 1, "{why}");
        assert_eq!((report.requests, report.messages), (0, 0), "{why}: not taken, not answered");
        // Only a peer can sign lines that its head does not agree with.
        let expected = 2 * u64::from(why.contains("disagree"));
        assert_eq!(decryptions, expected, "{why}: nothing is decrypted");
    }
    let whole = Readable { ..letter.message.clone() }.file();
    assert_eq!(processed(&mut world, &letter.arrived, whole.clone()).0.requests, 1);
    let updates = files_of(&world, A);

    // The same request once more, and the answer to it after later ones.
    world.cycle();
    world.at(SERVER).import(&[("1", "Later", "SMTP:s@x", "2")]);
    world.cycle();
    world.cycle();
    let list = world.converged();
    processed(&mut world, &letter.arrived, whole);
    for (arrived, update) in updates {
        world.network.deliver(&postoffice(A), &arrived, update);
    }
    world.apply(A);
    assert_eq!(world.at(A).list(), list);
    world.cycle();
    assert_eq!(world.converged(), list);
}

/// The same for what a requestor receives.
#[test]
fn an_update_of_another_than_the_server_is_refused() {
    let mut world = three_postoffices();
    world.at(SERVER).import(&[("1", "Later", "SMTP:s@x", "2")]);
    world.send(SERVER);
    world.send(A);
    world.process();
    let letter = intercepted(&world, A);
    let Readable { head, name, .. } = &letter.message;
    for (why, from, to, signer) in [
        ("which is not (or no longer) the key of NORTH/HQ", SERVER, A, B),
        ("which is not the directory server", B, A, B),
        ("addressed to WEST/B", SERVER, B, SERVER),
    ] {
        let file = forged((from, to), head, name, (&keys(signer), &key(to)), None);
        world.network.deliver(&postoffice(A), &letter.arrived, file);
        let before = work::so_far().decryptions;
        let report = world.apply(A);
        let reasons = world.network.reasons(&postoffice(A));
        assert!(reasons.last().is_some_and(|last| last.contains(why)), "{why}: {reasons:?}");
        assert_eq!((report.refused, report.updates), (1, 0), "{why}");
        assert_eq!(work::so_far().decryptions, before, "{why}: nothing is decrypted");
    }
    world.cycle();
    world.cycle();
    assert!(world.converged().iter().any(|line| line.contains("Later")));
}

/// A changed byte anywhere is noticed before anything is decrypted.
#[test]
fn altered_messages_are_refused_before_they_are_decrypted() {
    let mut world = three_postoffices();
    world.at(A).import(&[("1", "Ana", "SMTP:a@x", "2")]);
    world.send(A);
    let [(arrived, whole)] = &files_of(&world, SERVER)[..] else { panic!("one request") };
    let (arrived, whole) = (arrived.clone(), whole.clone());
    world.network.lose(&postoffice(SERVER), &arrived);
    let list = world.at(SERVER).list();
    for at in (0..whole.len()).step_by(7) {
        let mut altered = whole.clone();
        altered[at] ^= 1 << (at % 8);
        let (report, decryptions) = processed(&mut world, &arrived, altered);
        assert_eq!((report.requests, report.messages, decryptions), (0, 0, 0), "byte {at}");
    }
    for length in (0..whole.len()).step_by(11) {
        let (report, decryptions) = processed(&mut world, &arrived, whole[..length].to_vec());
        assert_eq!((report.requests, report.messages, decryptions), (0, 0, 0), "cut at {length}");
    }
    assert_eq!(world.at(SERVER).list(), list);
    assert_eq!(processed(&mut world, &arrived, whole).0.requests, 1);
}

/// `docs/failure-stories.md` §7: a file that is cut off may still be written. It is left alone for a while.
#[test]
fn a_half_written_message_is_left_until_it_is_old() {
    let mut world = three_postoffices();
    world.send(A);
    let [(arrived, whole)] = &files_of(&world, SERVER)[..] else { panic!("one request") };
    world.network.lose(&postoffice(SERVER), arrived);
    let arrived = Arrived { modified: world.at(SERVER).now, ..arrived.clone() };
    let half = whole[..whole.len() / 2].to_vec();
    let (report, _) = processed(&mut world, &arrived, half.clone());
    assert_eq!((report.requests, report.refused), (0, 0));
    assert_eq!(world.network.pending(&postoffice(SERVER)), std::slice::from_ref(&arrived));
    world.network.deliver(&postoffice(SERVER), &arrived, whole.clone());
    assert_eq!(world.process().requests, 1, "its other half has come");
    world.network.deliver(&postoffice(SERVER), &arrived, half);
    world.pass(60_000);
    assert_eq!(world.process().refused, 1);
}

/// Anybody can claim to be an invited postoffice. Without the secret that costs the server no verification of
/// a signature by their key, and no decryption.
#[test]
fn a_first_contact_without_the_secret_is_not_opened() {
    let mut world = three_postoffices();
    let name = MessageName::new("e", 1, 1).unwrap();
    let pair = |text: &str| {
        let name: PostofficeName = text.parse().unwrap();
        own_keys(&name)
    };
    // The test's keys derive from names: this one is a stranger's.
    let thief = pair("FAR/THIEF");
    let key_text = thief.newest().public().to_string();
    let guessed = FirstContact::new(*thief.newest().public(), &proof("guess", &key_text)).unwrap();
    let other = FirstContact::new(
        *thief.newest().public(),
        &proof(&format!("secret of {A}"), &key(A).to_string()),
    );
    world.send(A);
    let letter = intercepted(&world, SERVER);
    for (row, contact) in [(Row::F8, Some(guessed)), (Row::F8, other), (Row::T2, None)] {
        let signer = (&*thief, &key(SERVER));
        let file = forged((A, SERVER), &letter.message.head, &name, signer, contact);
        // The log has one line a day of each.
        world.pass(DAY_MS);
        let before = work::so_far();
        for is_said in [true, false] {
            let (report, decryptions) = processed(&mut world, &letter.arrived, file.clone());
            let said = report.events.iter().any(|event| event.row == row);
            assert_eq!(said, is_said, "{:?}", report.events);
            assert_eq!((report.requests, report.messages, decryptions), (0, 0, 0));
            assert_eq!(report.refused, 1);
        }
        assert_eq!(work::so_far().signatures_verified, before.signatures_verified);
    }
    // The postoffice itself goes on.
    world.cycle();
    world.cycle();
    world.converged();
}

/// One body is sealed for all requestors that lack the same, and each is sent little beside it.
#[test]
fn a_body_is_sealed_once_for_all() {
    const NAMES: [&str; 12] =
        ["N/A", "N/B", "N/C", "N/D", "N/E", "N/F", "N/G", "N/H", "N/I", "N/J", "N/K", "N/L"];
    let mut world = World::sealed(&NAMES);
    world.cycle();
    world.cycle();
    let people: Vec<_> = (0..200)
        .map(|n| (format!("{n}"), format!("Person {n}"), format!("SMTP:p{n}@x"), String::new()))
        .collect();
    world.at(SERVER).import(&people);
    world.send(SERVER);
    NAMES.iter().for_each(|name| drop(world.send(name)));
    let report = world.process();
    assert_eq!(report.bodies, 1, "the list's; the server's own answer shares it");
    let mut bodies = Vec::new();
    for name in NAMES {
        let [(_, file)] = &files_of(&world, name)[..] else { panic!("one answer for {name}") };
        let lines = dirsync_seal::Lines::read(&mut file.as_slice()).unwrap();
        let body =
            lines.clone().verify(&keys(name), &dirsync_testing::peer_keys(&postoffice(SERVER)));
        let body = body.unwrap().front().body.content;
        assert!(file.len() as u64 - body.bytes <= 2560, "{} bytes", file.len() as u64 - body.bytes);
        bodies.push(body.hash);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

/// The key of a machine that restored its database is the same, so nobody has to be asked.
#[test]
fn keys_are_pinned_by_the_first_request() {
    let mut world = World::sealed(&[A]);
    let pinned = |world: &mut World| {
        let mut tables = world.at(SERVER).store.begin().unwrap();
        tables.registration(&postoffice(A)).unwrap().unwrap().key
    };
    assert_eq!(pinned(&mut world), None);
    world.cycle();
    assert_eq!(pinned(&mut world), Some(key(A).to_string()));
}

/// A request that was delayed on its way, and comes after its sender has changed its key, is no second machine.
#[test]
fn a_request_that_a_change_of_key_overtook_alarms_nobody() {
    let mut world = three_postoffices();
    world.send(A);
    let [(delayed, file)] = &files_of(&world, SERVER)[..] else { panic!("one request") };
    world.network.lose(&postoffice(SERVER), delayed);
    world.pass(1000);
    world.at(A).keys = Some(changed_keys(&postoffice(A), 1));
    let before = world.at(SERVER).decisions.len();
    world.cycle();
    world.cycle();
    assert_eq!(world.at(SERVER).decisions.len(), before + 1, "the new key is pinned");
    let (report, _) = processed(&mut world, delayed, file.clone());
    assert_eq!((report.refused, report.messages), (1, 0), "nobody is told that the name is taken");
    assert!(report.events.iter().all(|event| event.level != Level::Alarm), "{:?}", report.events);
}

/// Without answers the newest key signs. An answer that was sealed to the key before it takes that not back: the server
/// may have pinned the newest.
#[test]
fn who_has_signed_by_its_newest_key_signs_by_no_older_one() {
    let mut world = three_postoffices();
    for _ in 0..3 {
        world.pass(1000);
        world.send(A);
    }
    world.at(A).keys = Some(changed_keys(&postoffice(A), 1));
    world.send(A);
    let mut requests = files_of(&world, SERVER);
    let newest = requests.pop().expect("the last request");
    world.network.lose(&postoffice(SERVER), &newest.0);
    assert_eq!(world.process().refused, 0);
    world.apply(A);
    world.send(A);
    world.network.deliver(&postoffice(SERVER), &newest.0, newest.1);
    let before = world.at(SERVER).decisions.len();
    let report = world.process();
    assert_eq!((report.requests, report.refused), (2, 0));
    assert_eq!(world.at(SERVER).decisions.len(), before + 1, "the newest key is pinned");
    world.apply(A);
    world.cycle();
    world.converged();
}
