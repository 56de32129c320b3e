//! No forged message is ever applied. Thousands of forgeries of genuine messages are given to the server and to
//! requestors, all with keys, and nothing changes: not a list, not a position, not a pinned key.
//!
//! `DIRSYNC_FORGED=100000 cargo test -p dirsync-agent --test it forged -- --nocapture` makes more of them, and says
//! by which means they were refused.

mod forger;
mod kind;
mod means;
mod scene;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use dirsync_agent::step::UNTAKEN_PER_STEP_MAX;
use dirsync_carrier::{Arrived, FolderTransit, Transit};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::ListPlace;
use dirsync_seal::{Lines, work};
use dirsync_testing::rows::postoffice;
use dirsync_testing::{MemoryNetwork, SERVER, TestPostoffice};

use forger::{Forger, HINTS};
use kind::Kind;
use means::Means;
use scene::{D, Scene, network_with};

/// The number of forgeries, unless `DIRSYNC_FORGED` says another one.
const FORGERIES: u64 = 10_000;
/// The number of forgeries that a step finds in its inbox.
const BATCH: usize = 40;
/// The number of steps after which a postoffice is put back to its first state, so that its log stays short.
const STEPS_IN_A_ROW: usize = 10;
/// Every fourth step also finds genuine messages.
const GENUINE_EVERY: usize = 4;
/// The number of threads that open them then.
const THREADS: usize = 3;

const _: () = assert!(BATCH < UNTAKEN_PER_STEP_MAX, "no step leaves a forgery for the next one");

/// A forgery in an inbox.
struct Forged {
    kind: Kind,
    arrived: Arrived,
    file: Vec<u8>,
}

/// The result of T2 at the server, or T3 elsewhere.
struct Step {
    /// Messages that it has taken.
    taken: u64,
    refused: u64,
    events: Vec<dirsync_protocol::context::Event>,
    messages: u64,
    work: work::Work,
}

fn step(victim: &mut TestPostoffice, transit: &dyn Transit) -> Step {
    let before = work::so_far();
    let (taken, refused, events, messages) = if victim.name.as_str() == SERVER {
        let report = victim.process(transit, false).expect("T2 does not fail");
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        (report.requests, report.refused, report.events, report.messages)
    } else {
        let report = victim.apply(transit).expect("T3 does not fail");
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        (report.updates, report.refused, report.events, 0)
    };
    let after = work::so_far();
    let work = work::Work {
        signatures_verified: after.signatures_verified - before.signatures_verified,
        decryptions: after.decryptions - before.decryptions,
        decompressions: after.decompressions - before.decompressions,
    };
    Step { taken, refused, events, messages, work }
}

/// The most log lines about refused messages of a step: one for each name that is misused, and one for files of which
/// not even that can be read.
const LINES_MAX: usize = forger::HINTS.len() + 1;

/// What a refused message may change: which messages were left where they are, and of whom one was refused.
const MAY_CHANGE: [&str; 3] = ["left:", "looked-at:", "refused:"];

/// The same postoffice without what refused messages may change. The log is not compared anyway.
fn content(postoffice: &TestPostoffice) -> TestPostoffice {
    let mut copy = postoffice.copy();
    copy.store.write(|tables| {
        for prefix in MAY_CHANGE {
            for (note, _) in tables.notes(prefix).unwrap() {
                tables.put_note(&note, None).unwrap();
            }
        }
    });
    copy
}

fn assert_same(one: &TestPostoffice, other: &TestPostoffice, why: &str) {
    let (one, other) = (content(one), content(other));
    assert!(one.store.same_content(&other.store), "{}, {why}: its database changed", one.name);
    assert_eq!(one.decisions, other.decisions, "{}, {why}", one.name);
}

/// What a message that was taken before leaves alone, too: lists, entries, keys and positions. It may be answered
/// once more.
fn lasting(postoffice: &TestPostoffice) -> String {
    let mut postoffice = postoffice.copy();
    let is_server = postoffice.name.as_str() == SERVER;
    let mut text = postoffice.list().join("\n");
    let own: Vec<String> = postoffice.store.gather(|tables, visit| {
        tables.visit_own(Default::default(), &mut |row| visit(format!("{row:?}")))
    });
    text += &own.join("\n");
    postoffice.store.look(|tables| {
        writeln!(text, "{:?}", tables.requestor()?).unwrap();
        let notes = tables.notes("")?.into_iter();
        let notes = notes.filter(|(name, _)| name.contains("key") && !name.contains("contact"));
        for (name, value) in notes {
            // The key to which a peer sealed last only decides how many changes of key it is told.
            let confirmed = value.split(' ').next().filter(|_| name.starts_with("confirmed-keys:"));
            writeln!(text, "{name} {}", confirmed.unwrap_or(&value)).unwrap();
        }
        if !is_server {
            return Ok(());
        }
        let mut server = tables.server()?.unwrap();
        server.cycle = 0;
        writeln!(text, "{server:?}").unwrap();
        for registration in tables.registrations()? {
            let of = &registration;
            write!(text, "{} {:?} {:?} {:?}", of.name, of.state, of.key, of.invitation).unwrap();
            write!(text, " {:?} {:?} {:?}", of.epoch, of.retired, of.acknowledged).unwrap();
            writeln!(text, " {:?} {:?} {:?}", of.taken, of.position, of.own_digest).unwrap();
            tables.visit_submitted(&registration.name, &mut |row| {
                writeln!(text, "{row:?}").unwrap();
                std::ops::ControlFlow::Continue(())
            })?;
        }
        tables.visit_numbered(Default::default(), dirsync_message::SrvSeq(u64::MAX), &mut |row| {
            writeln!(text, "{row:?}").unwrap();
            std::ops::ControlFlow::Continue(())
        })
    });
    let staged: Vec<String> = postoffice.store.gather(|tables, visit| {
        tables.visit_list(ListPlace::Staged, &mut |row| visit(row.key.to_owned()))
    });
    text + &staged.join("\n")
}

fn assert_lasting(after: &str, before: &str, label: &str) {
    let changed: Vec<_> =
        after.lines().zip(before.lines()).filter(|(a, b)| a != b).take(3).collect();
    assert!(after == before, "{label}: a list, a key or a position changed: {changed:#?}");
}

/// A file that is left where it is: it may still be written, or be for another machine of the same name.
fn may_stay(victim: &str, forged: &Forged) -> bool {
    let is_of_other_machine = || {
        let lines = Lines::read(&mut forged.file.as_slice());
        lines.is_ok_and(|lines| lines.parties().to.as_str() == victim)
    };
    forged.kind == Kind::HalfWritten || victim != SERVER && is_of_other_machine()
}

/// What was done, for the figures.
#[derive(Default)]
struct Figures {
    kinds: BTreeMap<Kind, u64>,
    means: Means,
    steps: u64,
    work: work::Work,
}

struct Attack<'s> {
    forger: Forger<'s>,
    figures: Figures,
    made: u64,
}

impl Attack<'_> {
    fn scene(&self) -> &Scene {
        self.forger.scene
    }

    /// Forgeries under names of files that say anything.
    fn batch(&mut self, victim: &TestPostoffice, kinds: &[Kind]) -> Vec<Forged> {
        let name = victim.name.as_str().to_owned();
        (0..BATCH)
            .map(|number| self.forged(victim.now, &name, kinds[number % kinds.len()]))
            .collect()
    }

    fn forged(&mut self, now: u64, victim: &str, kind: Kind) -> Forged {
        let file = self.forger.forgery(kind, victim);
        self.made += 1;
        *self.figures.kinds.entry(kind).or_default() += 1;
        let random = &mut self.forger.random;
        let sender = postoffice(random.pick(&HINTS)).folded().to_owned();
        let genuine = &self.forger.scene.pending
            [random.below(self.forger.scene.pending.len() as u64) as usize];
        let renamed = !random.one_in(3);
        let modified = if kind == Kind::HalfWritten { now - self.made % 60_000 } else { self.made };
        let arrived = Arrived {
            sender: if renamed { sender } else { genuine.arrived.sender.clone() },
            number: if renamed { random.below(100) } else { genuine.arrived.number },
            part: if renamed { 1 + random.below(3) as u32 } else { genuine.arrived.part },
            epoch: genuine.arrived.epoch.clone(),
            id: format!("forged/{}", self.made),
            whereabouts: "a forgery".into(),
            bytes: file.len() as u64,
            modified,
        };
        Forged { kind, arrived, file }
    }

    /// A step that finds forgeries alone. Nothing changes, and nearly nothing is done.
    fn step_without_genuine(&mut self, victim: &mut TestPostoffice, batch: &[Forged], label: &str) {
        let name = victim.name.as_str().to_owned();
        let before = victim.copy();
        let lasted = lasting(victim);
        let network = network_with(&name, batch.iter().map(|one| (&one.arrived, &one.file)));
        let done = step(victim, &network.transit(&victim.name));
        let replays = batch.iter().filter(|one| one.kind == Kind::Replayed).count() as u64;
        if replays == 0 {
            assert_eq!(
                (done.taken, done.messages),
                (0, 0),
                "{name}, {label}: not taken, not answered"
            );
            assert_same(victim, &before, label);
        }
        assert_lasting(&lasting(victim), &lasted, &format!("{name}, {label}"));
        assert!(done.taken <= replays, "{name}, {label}");
        self.assert_work(&name, batch, &done, label);
        self.count(&name, batch, &done, &network);
    }

    fn assert_work(&self, name: &str, batch: &[Forged], done: &Step, label: &str) {
        let allowed: u64 = batch.iter().map(|one| one.kind.decryptions_max(name)).sum();
        assert!(done.work.decryptions <= allowed, "{name}, {label}: {:?}", done.work);
        assert!(done.work.decompressions <= allowed, "{name}, {label}: {:?}", done.work);
        if batch.iter().all(|one| one.kind.is_of_stranger()) {
            assert_eq!(done.work.signatures_verified, 0, "{name}, {label}");
        }
    }

    /// Asserts what became of each file, and counts it.
    fn count(&mut self, name: &str, batch: &[Forged], done: &Step, network: &MemoryNetwork) {
        let figures = &mut self.figures;
        let reasons = network.reasons(&postoffice(name));
        assert_eq!(figures.means.count(&reasons), done.refused, "each is set aside with a reason");
        let logged =
            done.events.iter().filter(|event| event.text.contains("refused and set aside"));
        assert!(logged.count() <= LINES_MAX, "{name}: {:?}", done.events);
        let mut left = network.pending(&postoffice(name));
        // A server that has taken a message of its own once more has answered it.
        left.retain(|arrived| arrived.id.starts_with("forged"));
        for arrived in &left {
            let forged = batch.iter().find(|one| one.arrived == *arrived);
            assert!(
                forged.is_some_and(|forged| may_stay(name, forged)),
                "{name}: {:?} stays in the inbox",
                forged.map(|forged| forged.kind)
            );
        }
        let half_written = batch
            .iter()
            .filter(|one| one.kind == Kind::HalfWritten && left.contains(&one.arrived))
            .count();
        figures.means.add("left: may still be written", half_written as u64);
        let others = left.len() - half_written;
        figures.means.add("left: sealed to another machine's key", others as u64);
        figures.means.add("taken as a repeat", done.taken);
        // Of each stranger the newest one is kept.
        let gone = batch.len() as u64 - left.len() as u64 - done.refused - done.taken;
        assert!(
            gone == 0 || !network.waiting(&postoffice(name)).is_empty(),
            "{name}: {gone} are gone"
        );
        figures.means.add("waiting: from a stranger", gone);
        figures.steps += 1;
        figures.work.signatures_verified += done.work.signatures_verified;
        figures.work.decryptions += done.work.decryptions;
        figures.work.decompressions += done.work.decompressions;
    }

    /// A step that finds forgeries and genuine messages does the same as one that finds the genuine ones alone.
    fn step_with_genuine(&mut self, victim: &TestPostoffice, batch: &[Forged], label: &str) {
        let name = victim.name.as_str().to_owned();
        let genuine = self.scene().pending_for(&name);
        let genuine = || genuine.iter().map(|one| (&one.arrived, &one.file));
        let mut alone = victim.copy();
        let expected = step(&mut alone, &network_with(&name, genuine()).transit(&victim.name));
        assert_eq!((expected.taken, expected.refused), (genuine().count() as u64, 0), "{name}");
        let mut beside = victim.copy();
        // As on machines with several cores, where messages are opened at the same time.
        beside.threads = THREADS;
        let forged = batch.iter().map(|one| (&one.arrived, &one.file));
        let network = network_with(&name, genuine().chain(forged));
        let done = step(&mut beside, &network.transit(&victim.name));
        assert_eq!(done.taken, expected.taken, "{name}, {label}: genuine messages are taken");
        assert_eq!(done.messages, expected.messages, "{name}, {label}: and answered");
        assert_same(&beside, &alone, label);
    }
}

fn forgeries() -> u64 {
    let text = std::env::var("DIRSYNC_FORGED").unwrap_or_default();
    text.parse().unwrap_or(FORGERIES)
}

/// The kinds that can be made for a postoffice. D knows the server's first key alone, and has taken nothing yet.
fn kinds_for(victim: &str) -> Vec<Kind> {
    let not_for_d = [Kind::RetiredKey, Kind::Replayed];
    let kinds = Kind::ALL.into_iter();
    kinds.filter(|kind| victim != D || !not_for_d.contains(kind)).collect()
}

/// The most memory that this process ever had, in KiB. `None` where the system does not say.
fn memory_max() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// `docs/failure-stories.md` §13: wrong key, right key of another postoffice, a message for somebody else, an old
/// message, and every other way that we could think of.
#[test]
fn no_forged_message_is_ever_applied() {
    let (started, memory) = (Instant::now(), memory_max());
    let scene = Scene::new();
    let mut attack =
        Attack { forger: Forger::new(&scene, 1), figures: Figures::default(), made: 0 };
    let mut bases: Vec<TestPostoffice> = scene.victims.iter().map(TestPostoffice::copy).collect();
    for base in &mut bases {
        // What is due without any message is done before.
        step(base, &MemoryNetwork::default().transit(&base.name.clone()));
    }
    let mut victims: Vec<TestPostoffice> = bases.iter().map(TestPostoffice::copy).collect();
    let mut turns = 0;
    while attack.made < forgeries() || turns < bases.len() * (Kind::ALL.len() + 8) {
        let at = turns % bases.len();
        let round = turns / bases.len();
        if round.is_multiple_of(STEPS_IN_A_ROW) {
            victims[at] = bases[at].copy();
        }
        let mut kinds = kinds_for(bases[at].name.as_str());
        // One kind at a time shows its cost, all together that none lets another through.
        if !round.is_multiple_of(5) {
            kinds = vec![kinds[(round - round / 5) % kinds.len()]];
        }
        let label = format!("{kinds:?}, turn {turns}");
        let batch = attack.batch(&bases[at], &kinds);
        attack.step_without_genuine(&mut victims[at], &batch, &label);
        let has_replay = batch.iter().any(|one| one.kind == Kind::Replayed);
        if turns.is_multiple_of(GENUINE_EVERY) && !has_replay {
            attack.step_with_genuine(&bases[at], &batch, &label);
        }
        turns += 1;
    }
    let Attack { figures, made, .. } = attack;
    report(&figures, made, started, memory);
    for kind in Kind::ALL {
        assert!(figures.kinds.get(&kind).is_some_and(|count| *count > 0), "{kind:?} was made");
    }
    assert_eq!(figures.means.unused(), ["over a limit"], "each protection was needed, but for one");
}

fn report(figures: &Figures, made: u64, started: Instant, memory: Option<u64>) {
    println!("{made} forgeries in {} steps, {:.1?}", figures.steps, started.elapsed());
    println!("{:?}", figures.work);
    for (kind, count) in &figures.kinds {
        println!("{count:8} {kind:?}");
    }
    for (means, count) in &figures.means.0 {
        println!("{count:8} {means}");
    }
    println!("memory at most, in KiB: {memory:?} before, {:?} after", memory_max());
}

/// In a folder, too: each forgery goes to `refused/` with its reason, or to `waiting/`, and those that are genuine are
/// taken.
#[test]
fn forged_files_leave_the_inbox_with_a_reason() {
    let scene = Scene::new();
    let forger = Forger::new(&scene, 2);
    let mut attack = Attack { forger, figures: Figures::default(), made: 0 };
    let no_folder = [Kind::HalfWritten, Kind::Replayed];
    for victim in &scene.victims {
        let name = victim.name.as_str().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), victim.name.clone());
        let inbox = transit.make_inbox().unwrap();
        let mut kinds = kinds_for(&name);
        kinds.retain(|kind| !no_folder.contains(kind));
        let forged: Vec<Forged> =
            (0..40).map(|at| attack.forged(victim.now, &name, kinds[at % kinds.len()])).collect();
        for (number, forged) in (1000..).zip(&forged) {
            fs::write(inbox.join(format!("far+d-f0-{number}-1.dirsync")), &forged.file).unwrap();
        }
        for (number, genuine) in (1..).zip(scene.pending_for(&name)) {
            let path = inbox.join(format!("{}-0-{number}-1.dirsync", encoded(genuine.from)));
            fs::write(path, &genuine.file).unwrap();
        }
        let mut beside = victim.copy();
        // The files were written by another clock than that of the scene, long ago or long from now.
        let done = step(&mut beside, &transit);
        let pending = scene.pending_for(&name);
        assert_eq!(done.taken, pending.len() as u64, "{name}");
        let mut alone = victim.copy();
        let genuine = pending.iter().map(|one| (&one.arrived, &one.file));
        step(&mut alone, &network_with(&name, genuine).transit(&victim.name));
        assert_same(&beside, &alone, "a folder");
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(inbox.join(folder)).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
        };
        let refused = names("refused");
        let (reasons, files): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|name| name.ends_with(".reason.txt"));
        assert_eq!((reasons.len(), files.len() as u64), (files.len(), done.refused), "{name}");
        assert_eq!(names("done").len() as u64, done.taken, "{name}");
        for left in names(".").iter().filter(|file| file.starts_with("far+d-f0-")) {
            let number: usize = left.split('-').nth(2).unwrap().parse().unwrap();
            assert!(may_stay(&name, &forged[number - 1000]), "{name}: {left}");
        }
    }
}

fn encoded(name: &str) -> String {
    name.to_lowercase().replace('/', "+")
}

/// Each request has the proof of the invitation. One that comes once more after its sender has changed its key is no
/// second machine: nobody is alarmed, and nobody is told that the name is taken.
#[test]
fn a_late_request_before_a_change_of_key_alarms_nobody() {
    let scene = Scene::new();
    let (server, mut tried) = (&scene.victims[0], 0);
    for old in scene.old.iter().filter(|one| one.from == scene::A && one.to == SERVER) {
        let mut victim = server.copy();
        let network = network_with(SERVER, [(&old.arrived, &old.file)]);
        let done = step(&mut victim, &network.transit(&server.name));
        assert!(done.events.iter().all(|event| event.level != Level::Alarm), "{:?}", done.events);
        if done.taken == 0 {
            assert_eq!((done.refused, done.messages), (1, 0));
            assert_same(&victim, server, "a late request");
            tried += 1;
        }
    }
    assert!(tried >= 2, "requests by the first key");
}
