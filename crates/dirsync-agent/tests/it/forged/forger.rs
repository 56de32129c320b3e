//! Makes forgeries of genuine messages. The forger has read every message, knows every public key, and holds
//! the keys of all postoffices but the one whose name it misuses, where a kind does not say otherwise.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use dirsync_agent::peers::Peer;
use dirsync_agent::sealing::{CarriedBody, Letter, Sealing};
use dirsync_carrier::Spool;
use dirsync_protocol::invitation::proof;
use dirsync_seal::{
    BodyPlace, BodySealer, BodyStatement, Content, Front, KeyStatement, Lines, MessageName,
    Namespace, OwnKeys, PublicKey, Signature,
};
use dirsync_testing::rows::postoffice;
use dirsync_testing::{PlainSealing, Random, SERVER, changed_keys, own_keys, peer_keys};

use super::kind::Kind;
use super::scene::{A, B, C, D, Genuine, STRANGER, Scene};

/// The pieces of a message file.
#[derive(Clone)]
struct Pieces {
    lines: Vec<String>,
    signature: String,
    head: Vec<u8>,
    body: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----\n";
const END: &[u8] = b"-----END SSH SIGNATURE-----\n\n";

fn position(file: &[u8], text: &[u8]) -> usize {
    file.windows(text.len()).position(|part| part == text).unwrap()
}

/// Where lines, signature, head and body of a genuine file are.
pub fn regions(file: &[u8]) -> [Range<usize>; 4] {
    let (signature, head) = (position(file, BEGIN), position(file, END) + END.len());
    let text = std::str::from_utf8(&file[..signature]).unwrap();
    let head_line = text.lines().find_map(|line| line.strip_prefix("head: ")).unwrap();
    let body = head + head_line.split(' ').next().unwrap().parse::<usize>().unwrap();
    [0..signature, signature..head, head..body, body..file.len()]
}

impl Pieces {
    fn of(genuine: &Genuine) -> Self {
        Self::at(&genuine.file, genuine.regions.clone())
    }

    fn parse(file: &[u8]) -> Self {
        Self::at(file, regions(file))
    }

    fn at(file: &[u8], regions: [Range<usize>; 4]) -> Self {
        let [lines, signature, head, body] = regions.map(|region| &file[region]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let lines = text(lines).lines().map(str::to_owned).collect();
        Self { lines, signature: text(signature), head: head.to_vec(), body: body.to_vec() }
    }

    fn line(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.lines.iter().find_map(|line| line.strip_prefix(&prefix))
    }

    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        let prefix = format!("{name}: ");
        let line = self.lines.iter_mut().find(|line| line.starts_with(&prefix)).unwrap();
        *line = format!("{prefix}{value}");
    }

    /// Puts a change of key behind those that are there.
    fn add_rotated(&mut self, statement: &str) {
        let at = self.lines.iter().position(|line| line.starts_with("key: "));
        let at = at.unwrap_or(self.lines.len());
        self.lines.insert(at, format!("rotated: {statement}"));
    }

    fn remove(&mut self, names: &[&str]) {
        self.lines.retain(|line| !names.iter().any(|name| line.starts_with(name)));
    }

    fn set_contact(&mut self, key: &str, proof: &str) {
        self.remove(&["key: ", "admission: "]);
        self.lines.extend([format!("key: {key}"), format!("admission: {proof}")]);
    }

    fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The file with the signature as it was.
    fn file(&self) -> Vec<u8> {
        [self.text().as_bytes(), self.signature.as_bytes(), &self.head, &self.body].concat()
    }

    /// The file with the lines signed by another key.
    fn signed(mut self, keys: &OwnKeys) -> Vec<u8> {
        let signature = Signature::sign(&self.text(), Namespace::Message, keys.newest()).unwrap();
        self.signature = signature.to_pem() + "\n";
        self.file()
    }

    /// The same, and the lines name the key.
    fn signed_and_named(mut self, keys: &OwnKeys) -> Vec<u8> {
        self.set("from-key", keys.newest().public().fingerprint());
        self.signed(keys)
    }

    fn content(bytes: &[u8]) -> String {
        let Content { bytes, hash } = Content::of(bytes);
        format!("{bytes} {hash}")
    }

    fn state_hashes(&mut self) {
        let (head, body) = (Self::content(&self.head), Self::content(&self.body));
        self.set("head", head);
        self.set("body", format!("{body} inline"));
    }
}

/// Draws forgeries.
pub struct Forger<'s> {
    pub scene: &'s Scene,
    pub random: Random,
    thief: Arc<OwnKeys>,
}

impl<'s> Forger<'s> {
    pub fn new(scene: &'s Scene, seed: u64) -> Self {
        Self { scene, random: Random::new(seed), thief: own_keys(&postoffice("THIEF/X")) }
    }

    /// A forgery for `victim`. It equals no genuine message, unless that is what is wrong with it.
    pub fn forgery(&mut self, kind: Kind, victim: &str) -> Vec<u8> {
        let is_genuine = [Kind::Misdelivered, Kind::Replayed].contains(&kind);
        for _ in 0..100 {
            let Some(file) = self.attempt(kind, victim) else { continue };
            if is_genuine || self.scene.all().all(|genuine| genuine.file != file) {
                return file;
            }
        }
        panic!("{kind:?} cannot be made for {victim}")
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn one_of(&mut self, which: impl Fn(&Genuine) -> bool) -> &'s Genuine {
        let found: Vec<&Genuine> = self.scene.all().filter(|message| which(message)).collect();
        assert!(!found.is_empty(), "the scene has such a message");
        found[self.below(found.len())]
    }

    /// A genuine message for the victim. Those that wait are drawn more often.
    fn genuine(&mut self, victim: &str) -> &'s Genuine {
        let scene = self.scene;
        let waits = scene.pending_for(victim);
        if self.random.one_in(4) && scene.old.iter().any(|message| message.to == victim) {
            return self.one_of(|message| message.to == victim);
        }
        waits[self.below(waits.len())]
    }

    /// The keys of another postoffice than `not`, or of the forger.
    fn other_pair(&mut self, not: &str) -> Arc<OwnKeys> {
        let others: Vec<_> = self.scene.keys.iter().filter(|(name, _)| **name != not).collect();
        let drawn = self.below(others.len() + 1);
        Arc::clone(others.get(drawn).map_or(&self.thief, |(_, keys)| keys))
    }

    fn key_of(&self, name: &str) -> PublicKey {
        *self.scene.keys[name].newest().public()
    }

    fn flipped(&mut self, genuine: &Genuine, region: usize) -> Vec<u8> {
        let region = genuine.regions[region].clone();
        let mut file = genuine.file.clone();
        for _ in 0..=self.below(2) {
            let at = region.start + self.below(region.len());
            file[at] ^= 1 << self.below(8);
        }
        file
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.random.bits() as u8).collect()
    }

    fn attempt(&mut self, kind: Kind, victim: &str) -> Option<Vec<u8>> {
        let genuine = self.genuine(victim);
        let (file, from) = (&genuine.file, genuine.from);
        let pieces = Pieces::of(genuine);
        Some(match kind {
            Kind::FlippedLines => self.flipped(genuine, 0),
            Kind::FlippedSignature => self.flipped(genuine, 1),
            Kind::FlippedHead => self.flipped(genuine, 2),
            Kind::FlippedBody => self.flipped(genuine, 3),
            Kind::Cut | Kind::HalfWritten => file[..self.below(file.len())].to_vec(),
            Kind::Inserted => {
                let (at, bytes) = (self.below(file.len()), 1 + self.below(64));
                [&file[..at], &self.noise(bytes), &file[at..]].concat()
            }
            Kind::Appended => {
                let bytes = 1 + self.below(4096);
                [&file[..], &self.noise(bytes)].concat()
            }
            Kind::Misdelivered => self.one_of(|message| message.to != victim).file.clone(),
            Kind::Readdressed => self.readdressed(victim),
            Kind::Resigned => pieces.signed(&self.other_pair(from)),
            Kind::ResignedNamed => pieces.signed_and_named(&self.other_pair(from)),
            Kind::OtherSender => self.of_other_sender(pieces, from),
            Kind::OwnName => self.in_own_name(pieces, genuine, victim),
            Kind::SplicedHead | Kind::SplicedBody => self.spliced(kind, pieces, from),
            Kind::Plain => plain(genuine),
            Kind::OtherVersion => {
                let version = self.random.pick(&["0", "1", "3", "4294967295", "02", "2 ", ""]);
                self.other_version(pieces, from, version)
            }
            Kind::ForeignProof
            | Kind::StolenProof
            | Kind::ProofForOtherKey
            | Kind::GuessedProof => self.with_proof(kind, victim),
            Kind::ForeignRotation | Kind::UnprovedRotation | Kind::RotationByOther => {
                self.with_rotation(kind, pieces, from)?
            }
            Kind::RetiredKey => self.by_retired_key(victim),
            Kind::Stranger => self.of_stranger(genuine),
            Kind::Disagreeing | Kind::Unreadable => self.by_sender(kind, &pieces, genuine),
            Kind::Replayed => {
                let is_old = |message: &&Genuine| message.to == victim;
                let old: Vec<_> = self.scene.old.iter().filter(is_old).collect();
                // The first messages of an invited postoffice wait.
                let message = if old.is_empty() { genuine } else { old[self.below(old.len())] };
                message.file.clone()
            }
        })
    }

    fn readdressed(&mut self, victim: &str) -> Vec<u8> {
        let message = self.one_of(|message| message.to != victim);
        let mut pieces = Pieces::of(message);
        pieces.set("to", victim);
        if !self.random.one_in(3) {
            pieces.set("to-key", self.key_of(victim).fingerprint());
        }
        match self.below(3) {
            0 => pieces.file(),
            1 => pieces.signed(&self.other_pair(message.from)),
            _ => pieces.signed_and_named(&self.other_pair(message.from)),
        }
    }

    fn of_other_sender(&mut self, mut pieces: Pieces, from: &'static str) -> Vec<u8> {
        let others: Vec<_> = self.scene.keys.keys().copied().filter(|name| *name != from).collect();
        let other = self.random.pick(&others);
        pieces.set("from", other);
        match self.below(3) {
            0 => pieces.file(),
            1 => {
                pieces.set("from-key", self.key_of(other).fingerprint());
                pieces.file()
            }
            // The genuine sender signs a message of another.
            _ => pieces.signed_and_named(&self.scene.keys[from]),
        }
    }

    /// A peer cannot read the head of another, but can send it on.
    fn in_own_name(&mut self, mut pieces: Pieces, genuine: &Genuine, victim: &str) -> Vec<u8> {
        let peers: Vec<_> = [A, B].into_iter().filter(|name| *name != genuine.from).collect();
        let peers: Vec<_> = peers.into_iter().filter(|name| *name != victim).collect();
        let peer = self.random.pick(&peers);
        pieces.remove(&["rotated: ", "key: ", "admission: "]);
        pieces.set("from", peer);
        pieces.signed_and_named(&self.scene.keys[peer])
    }

    fn spliced(&mut self, kind: Kind, mut pieces: Pieces, from: &str) -> Vec<u8> {
        let other = self.one_of(|_| true);
        let other = Pieces::of(other);
        match kind {
            Kind::SplicedHead => pieces.head = other.head,
            _ => pieces.body = other.body,
        }
        match self.below(3) {
            0 => return pieces.file(),
            1 => pieces.state_hashes(),
            _ => {
                pieces.state_hashes();
                return pieces.signed_and_named(&self.other_pair(from));
            }
        }
        pieces.file()
    }

    fn other_version(&mut self, mut pieces: Pieces, from: &str, version: &str) -> Vec<u8> {
        pieces.lines[0] = format!("DIRSYNC-ENVELOPE {version}");
        match self.below(3) {
            0 => pieces.file(),
            1 => pieces.signed_and_named(&self.other_pair(from)),
            // Even the sender itself may not say less than it does.
            _ => pieces.signed(&self.scene.keys[from]),
        }
    }

    /// Messages of strangers that prove an invitation, in the name of D if the server is the victim.
    fn with_proof(&mut self, kind: Kind, victim: &str) -> Vec<u8> {
        let with_proof = |message: &Genuine| Pieces::of(message).line("admission").is_some();
        let genuine = if victim == SERVER && !self.random.one_in(3) {
            self.one_of(|message| message.to == victim && with_proof(message))
        } else {
            self.genuine(victim)
        };
        let mut pieces = Pieces::of(genuine);
        let from = genuine.from;
        let thief_key = self.thief.newest().public().to_string();
        let contact_of = |message: &Genuine| {
            let pieces = Pieces::of(message);
            let line = |name| pieces.line(name).unwrap().to_owned();
            (line("key"), line("admission"))
        };
        let own = self.scene.all().find(|message| message.from == from && with_proof(message));
        let other = self.one_of(|message| message.from != from && with_proof(message));
        let (key, proof) = match kind {
            Kind::ForeignProof => contact_of(other),
            Kind::StolenProof => contact_of(own.unwrap_or(other)),
            Kind::ProofForOtherKey => (thief_key, contact_of(own.unwrap_or(other)).1),
            _ => {
                let secret = format!("guess {}", self.random.bits());
                (thief_key.clone(), proof(&secret, &thief_key))
            }
        };
        pieces.set_contact(&key, &proof);
        let thief = Arc::clone(&self.thief);
        match kind {
            // Lines may also go on naming the key that the proof covers.
            Kind::StolenProof if self.random.one_in(2) => {
                let key: PublicKey = key.parse().unwrap();
                pieces.set("from-key", key.fingerprint());
                pieces.signed(&thief)
            }
            _ => pieces.signed_and_named(&thief),
        }
    }

    fn with_rotation(
        &mut self,
        kind: Kind,
        mut pieces: Pieces,
        from: &'static str,
    ) -> Option<Vec<u8>> {
        let (name, thief) = (postoffice(from), Arc::clone(&self.thief));
        let thief_key = *thief.newest().public();
        // Keys that its addressee may know: the first one, or one that follows.
        let known: Vec<PublicKey> = self.scene.keys[from].as_peer().all().copied().collect();
        let known = self.random.pick(&known);
        let (statement, signer) = match kind {
            Kind::ForeignRotation => {
                let changing = self.random.pick(&[SERVER, C]);
                let has_one = |message: &Genuine| {
                    message.from == changing && Pieces::of(message).line("rotated").is_some()
                };
                if changing == from {
                    return None;
                }
                let other = Pieces::of(self.one_of(has_one));
                let statement = other.line("rotated").unwrap().to_owned();
                (statement, Arc::clone(&self.scene.keys[changing]))
            }
            Kind::UnprovedRotation => {
                let statement = KeyStatement::sign(&name, thief.newest(), &thief_key).unwrap();
                let text = statement.to_string();
                let (_, rest) = text.split_once(' ').unwrap();
                (format!("{} {rest}", known.to_base64()), thief)
            }
            _ => {
                let other = self.other_pair(from);
                let statement = KeyStatement::sign(&name, other.newest(), &thief_key).unwrap();
                (statement.to_string(), thief)
            }
        };
        pieces.add_rotated(&statement);
        Some(match self.below(3) {
            // Lines that go on naming the sender's key.
            0 => pieces.signed(&signer),
            _ => pieces.signed_and_named(&signer),
        })
    }

    /// The first key of A and of the server, which their peers have seen replaced.
    fn by_retired_key(&mut self, victim: &str) -> Vec<u8> {
        let is_newer =
            |message: &Genuine| message.from == if victim == SERVER { A } else { SERVER };
        let genuine = self.one_of(|message| message.to == victim && is_newer(message));
        let mut pieces = Pieces::of(genuine);
        let name = postoffice(genuine.from);
        let retired = own_keys(&name);
        // With the proof of its invitation the holder of the first key is told that the name is taken.
        pieces.remove(&["key: ", "admission: "]);
        let thief_key = *self.thief.newest().public();
        let signer = if self.random.one_in(2) {
            let statement = KeyStatement::sign(&name, retired.newest(), &thief_key).unwrap();
            pieces.add_rotated(&statement.to_string());
            if self.random.one_in(2) { Arc::clone(&self.thief) } else { retired }
        } else {
            retired
        };
        pieces.signed_and_named(&signer)
    }

    fn of_stranger(&mut self, genuine: &Genuine) -> Vec<u8> {
        let name = postoffice(STRANGER);
        let head = genuine.head.replace(&format!("from={}\n", genuine.from), "from=OTHER/ONE\n");
        let mut file = self.sealed(genuine, &head, &self.thief, genuine.to);
        let mut pieces = Pieces::parse(&file);
        pieces.set("from", name);
        file = pieces.signed(&self.thief);
        file
    }

    /// Content of a message, sealed to the key of `sealed_to` and signed.
    fn sealed(&self, genuine: &Genuine, head: &str, signer: &OwnKeys, sealed_to: &str) -> Vec<u8> {
        let mut sealer = BodySealer::new(Vec::new(), 1).unwrap();
        sealer.write_all(genuine.body.as_bytes()).unwrap();
        let (body, bytes) = sealer.finish().unwrap();
        let front = Front {
            from: postoffice(genuine.from),
            to: postoffice(genuine.to),
            name: name_of(genuine),
            body: BodyStatement { content: body.content, place: BodyPlace::Inline },
            holds: Vec::new(),
            rotated: Vec::new(),
            first_contact: None,
        };
        let front = front.seal(head, &body.key, signer.newest(), &self.key_of(sealed_to)).unwrap();
        [front, bytes].concat()
    }

    /// The sender itself signs, whose message is wrong in another way.
    fn by_sender(&mut self, kind: Kind, pieces: &Pieces, genuine: &Genuine) -> Vec<u8> {
        let (from, to) = (genuine.from, genuine.to);
        // A peer may not know the newest key yet, or have forgotten the first one.
        let name = postoffice(from);
        let print = pieces.line("from-key").map(str::to_owned);
        let signer = (0..=2).map(|changes| changed_keys(&name, changes));
        let is_of_sender =
            |keys: &Arc<OwnKeys>| Some(keys.newest().public().fingerprint().to_string()) == print;
        let Some(signer) = signer.into_iter().find(is_of_sender) else { return Vec::new() };
        let others: Vec<_> = [A, B, C, SERVER].into_iter().filter(|name| *name != to).collect();
        let other = self.random.pick(&others);
        if kind == Kind::Unreadable {
            let file = self.sealed(genuine, &genuine.head, &signer, other);
            let mut pieces = Pieces::parse(&file);
            pieces.set("to-key", self.key_of(to).fingerprint());
            return pieces.signed(&signer);
        }
        let number = genuine.arrived.number;
        let (old, new) = match self.below(3) {
            0 => (format!("to={to}\n"), format!("to={other}\n")),
            1 => (format!("from={from}\n"), "from=OTHER/ONE\n".to_owned()),
            _ if genuine.is_update() => {
                (format!("answers={number}\n"), format!("answers={}\n", number + 1))
            }
            _ => (format!("number={number}\n"), format!("number={}\n", number + 1)),
        };
        assert!(genuine.head.contains(&old), "{old} in {}", genuine.head);
        self.sealed(genuine, &genuine.head.replace(&old, &new), &signer, to)
    }
}

fn name_of(genuine: &Genuine) -> MessageName {
    Lines::read(&mut genuine.file.as_slice()).unwrap().name().clone()
}

/// The message as it is in tests that seal nothing.
fn plain(genuine: &Genuine) -> Vec<u8> {
    let sealing = PlainSealing(own_keys(&postoffice(genuine.from)));
    let mut output = sealing.body(1, Spool::in_memory().begin()).unwrap();
    output.write_all(genuine.body.as_bytes()).unwrap();
    let CarriedBody { sealed, bytes } = output.finish().unwrap();
    let to = &Peer::pinned(peer_keys(&postoffice(genuine.to)));
    let name = &name_of(genuine);
    let (head, place, holds) = (&genuine.head, BodyPlace::Inline, &[]);
    let letter = Letter { to, name, head, body: &sealed, place, holds, first_contact: None };
    let mut file = sealing.front(&letter).unwrap();
    bytes.write_to(&mut file).unwrap();
    file
}

/// Names of postoffices for the names of files, which prove nothing.
pub const HINTS: [&str; 6] = [SERVER, A, B, C, D, STRANGER];
