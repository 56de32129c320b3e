//! Tries the places between this postoffice and another: a signed probe there, and its answer back.
//!
//! The other side answers when it looks at the place, so its agent has to run, or a person has to say `cycle` there. The
//! lock of the postoffice is held only while a probe leaves and while its answer is noted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dirsync_agent::exchange::{Exchange, ExchangeError, Exchanged, Probe};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::probes::{self, LastProbe, LastProbes};
use dirsync_carrier::{Carrier, FolderCarrier, FolderTransit, Place};
use dirsync_directory::PostofficeName;
use dirsync_seal::{OwnKeys, ProbeId};
use dirsync_transit::Outbox;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::is_line;
use crate::failure::{Failure, Result};
use crate::json;
use crate::keys::random_seed;
use crate::lines::Way;
use crate::places::parse;
use crate::postoffice::Postoffice;
use crate::registrations;
use crate::time::now_ms;

/// The last probe to a postoffice over a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProbeStatus {
    /// When it left; null while it waits for the line.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub sent: u64,
    /// Its answer; null if none has come yet.
    pub answer: Option<ProbeTimes>,
}

/// How long a probe and its answer were on their way, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProbeTimes {
    /// There and back, by the clock here.
    pub there_and_back: u64,
    /// There, from the clock here to the one there. Below 0, the clocks differ.
    pub there: i64,
    /// Back, from the clock there to the one here. Below 0, the clocks differ.
    pub back: i64,
}

impl ProbeStatus {
    /// How a probe stands.
    pub(crate) fn of(last: &LastProbe) -> Self {
        let sent = last.sent.unwrap_or(0);
        let length = |from: u64, until: u64| until.cast_signed().saturating_sub(from.cast_signed());
        let answer = last.answer.map(|answer| ProbeTimes {
            there_and_back: answer.came.saturating_sub(sent),
            there: length(sent, answer.answered),
            back: length(answer.answered, answer.came),
        });
        Self { sent, answer }
    }
}

/// How a place did in a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlaceTest {
    /// The place, for instance `folder:/srv/dirsync`.
    pub place: String,
    /// Why the probe could not be left there; null if it was.
    pub error: Option<String>,
    /// When the place opens, after which the probe leaves; null if it is open.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub opens: u64,
    /// The answer; null if none came in time.
    pub answer: Option<ProbeTimes>,
}

impl PlaceTest {
    fn is_pending(&self) -> bool {
        self.error.is_none() && self.opens == 0 && self.answer.is_none()
    }
}

/// A test of all places between this postoffice and another.
pub struct Test {
    folder: PathBuf,
    /// The other postoffice.
    pub to: PostofficeName,
    tried: Vec<Tried>,
    keys: Arc<OwnKeys>,
    peers: KnownPeers,
    outbox: Outbox,
}

struct Tried {
    probe: Probe,
    reach: Reach,
    test: PlaceTest,
    /// An answer that is not noted yet.
    done: Exchanged,
}

/// How a place is reached.
enum Reach {
    /// By the thread of the folder.
    Folder(FolderTransit),
    Line(Arc<Way>),
}

impl Test {
    /// Sends a probe over each place that is open now; over the others, it leaves when they open.
    ///
    /// # Errors
    ///
    /// At a directory server without the name of a requestor, and at a requestor with another name than the server's; and
    /// if `to` has never been heard, so that no key of it is known.
    pub fn begin(folder: &Path, to: Option<&PostofficeName>) -> Result<Self> {
        let purpose = if to.is_some() { "requestor test" } else { "carrier test" };
        let mut postoffice = Postoffice::open(folder, purpose)?;
        let (to, places) = destination(&mut postoffice, to)?;
        let keys = postoffice.own_keys()?;
        let peers = KnownPeers::read(&mut *postoffice.begin()?, &*keys)?;
        if peers.peer(&to).is_none() {
            let text = format!(
                "{to} has not been heard yet, so no key is known to which a probe could be sealed"
            );
            return Err(Failure::usage(text)
                .hint("`carrier test` there tries the places from the other side"));
        }
        let (folder, outbox) = (folder.to_owned(), postoffice.open_outbox()?);
        let mut test = Self { folder, to, tried: Vec::new(), keys, peers, outbox };
        for text in places {
            let tried = test.leave_probe(&mut postoffice, text)?;
            test.tried.push(tried);
        }
        Ok(test)
    }

    fn leave_probe(&self, postoffice: &mut Postoffice, place: String) -> Result<Tried> {
        let probe = Probe { to: self.to.clone(), id: new_id()? };
        let parsed = parse(&place)?;
        let reach = self.reach(postoffice, &parsed)?;
        let mut tables = postoffice.begin()?;
        probes::ask(&mut *tables, &place, &probe, now_ms())?;
        tables.commit()?;
        let settings = postoffice.slow_settings(&parsed);
        let opens = settings.map_or(0, |settings| settings.opens(Timestamp::now()));
        let test = PlaceTest { place, error: None, opens, answer: None };
        let mut tried = Tried { probe, reach, test, done: Exchanged::default() };
        if opens > 0 {
            return Ok(tried);
        }
        let probes = vec![tried.probe.clone()];
        let exchanged = self.exchange(postoffice, &tried.reach, probes, |exchange, done| {
            exchange.send_probes(done)
        });
        match exchanged {
            Ok(done) => {
                let mut tables = postoffice.begin()?;
                probes::note_exchanged(&mut *tables, &done)?;
                tables.commit()?;
            }
            Err(error) => tried.test.error = Some(error),
        }
        Ok(tried)
    }

    fn reach(&self, postoffice: &mut Postoffice, place: &Place) -> Result<Reach> {
        if !is_line(place) {
            return Ok(Reach::Folder(postoffice.folder_transit(place)?));
        }
        let messages = postoffice.slow_place(place)?;
        Ok(Reach::Line(Arc::new(postoffice.way(place, &messages, &self.peers)?)))
    }

    /// Works at a place, without messages. Returns why it failed in words.
    fn exchange(
        &self,
        postoffice: &Postoffice,
        reach: &Reach,
        probes: Vec<Probe>,
        work: impl FnOnce(&Exchange<'_>, &mut Exchanged) -> std::result::Result<(), ExchangeError>
        + Send
        + 'static,
    ) -> std::result::Result<Exchanged, String> {
        let (keys, peers, outbox) =
            (Arc::clone(&self.keys), self.peers.clone(), self.outbox.clone());
        let at = move |carrier: &dyn Carrier| {
            let exchange = Exchange {
                probes: &probes,
                ..Exchange::without_messages(carrier, &outbox, &*keys, &peers, &now_ms)
            };
            let mut done = Exchanged::default();
            work(&exchange, &mut done).map(|()| done).map_err(|error| error.to_string())
        };
        match reach {
            // It has deadlines of its own.
            Reach::Line(way) => at(way.carrier()),
            Reach::Folder(transit) => {
                let exchanged = postoffice.at_place(transit, move |folder| {
                    at(&FolderCarrier::beside_messages(folder.clone()))
                });
                let silent = |error: io::Error| format!("{}: {error}", transit.root().display());
                exchanged.map_err(silent)?
            }
        }
    }

    /// Looks for answers, at the places and in what an agent has noted. Returns whether one is still to come.
    ///
    /// # Errors
    ///
    /// If the postoffice cannot be read.
    pub fn look(&mut self) -> Result<bool> {
        let mut postoffice = Postoffice::read(&self.folder)?;
        let noted = LastProbes::load(&mut *postoffice.begin()?)?;
        let mut tried = std::mem::take(&mut self.tried);
        for one in tried.iter_mut().filter(|one| one.test.is_pending()) {
            one.hear(&noted, &self.to);
            let found = self.exchange(&postoffice, &one.reach, Vec::new(), |exchange, done| {
                exchange.receive_signals(done)
            });
            match found {
                Ok(done) => one.done.answers.extend(done.answers),
                Err(error) => one.test.error = Some(error),
            }
        }
        self.tried = tried;
        self.note_answers()?;
        Ok(self.tried.iter().any(|tried| tried.test.is_pending()))
    }

    /// Notes the answers that came here.
    fn note_answers(&mut self) -> Result<()> {
        if self.tried.iter().all(|tried| tried.done.answers.is_empty()) {
            return Ok(());
        }
        let mut postoffice = Postoffice::open(&self.folder, "test")?;
        let mut tables = postoffice.begin()?;
        for tried in &mut self.tried {
            probes::note_exchanged(&mut *tables, &std::mem::take(&mut tried.done))?;
        }
        let noted = LastProbes::load(&mut *tables)?;
        self.tried.iter_mut().for_each(|tried| tried.hear(&noted, &self.to));
        Ok(tables.commit()?)
    }

    /// How the places did, the preferred one first.
    pub fn end(self) -> Vec<PlaceTest> {
        self.tried.into_iter().map(|tried| tried.test).collect()
    }
}

impl Tried {
    fn hear(&mut self, noted: &LastProbes, to: &PostofficeName) {
        let last = noted.of(&self.test.place, to).filter(|last| last.is(self.probe.id));
        self.test.answer = last.and_then(|last| ProbeStatus::of(last).answer);
    }
}

/// The other postoffice, and the places on the way to it.
fn destination(
    postoffice: &mut Postoffice,
    to: Option<&PostofficeName>,
) -> Result<(PostofficeName, Vec<String>)> {
    let Some(name) = to else {
        crate::carrier::require_requestor(postoffice)?;
        return Ok((postoffice.server.clone(), postoffice.own_places()?));
    };
    if !postoffice.is_server {
        let text = format!("registrations are at the directory server, {}", postoffice.server);
        return Err(Failure::usage(text).hint("`carrier test` tries the places to it"));
    }
    if *name == postoffice.name {
        let text = format!("{name} is this postoffice itself");
        return Err(Failure::usage(text).hint("name one of its requestors"));
    }
    let registration = registrations::taking_part(postoffice, name)?;
    Ok((registration.name, registration.places))
}

fn new_id() -> Result<ProbeId> {
    let seed = random_seed()?;
    let (id, _) = seed.split_first_chunk().unwrap_or((&[0; 16], &[]));
    Ok(ProbeId(*id))
}
