//! The lines of a postoffice to its slow places, and the exchanges over them.

mod beside;
mod mailbox;
mod messages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dirsync_agent::exchange::{BodyLine, Exchange, ExchangeError, Exchanged, Probe};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::notes::PIECE_CAME;
use dirsync_agent::probes::{self, LastProbes};
use dirsync_agent::route::Routes;
use dirsync_agent::schedule::Windows;
use dirsync_agent::step::PlaceFailure;
use dirsync_agent::trouble::{keep_lines, line_step, note_places};
use dirsync_carrier::{Carrier, FolderCarrier, Place};
use dirsync_directory::{PostofficeName, plural};
use dirsync_link::client::Link;
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{LogLine, Mode, Stored, Tables};
use dirsync_seal::OwnKeys;
use dirsync_transit::Outbox;
use jiff::Timestamp;

use self::messages::{Messages, Queue};
use crate::config::{PlaceSettings, is_line};
use crate::failure::{Failure, Result};
use crate::mail::Mail;
use crate::postoffice::Postoffice;
use crate::slow_place::SlowPlace;
use crate::time::now_ms;

/// The name of exchanges in the log.
const STEP: &str = "line";
/// The longest sleep of a line that keeps to its rate: it looks whether it is to end so often.
const SLEEP_MAX: Duration = Duration::from_millis(200);

/// An exchange ends after this time, so that the next one finds new messages, keys and settings.
const EXCHANGE_MAX: Duration = Duration::from_secs(60);

/// What moves files at a slow place.
pub(crate) enum Way {
    Folder(FolderCarrier),
    /// The link to the directory server.
    Link(Box<Link>),
    /// The link of this directory server, at which its requestors move everything but signals.
    OwnLink(FolderCarrier),
    Mail(Arc<Mail>),
}

impl Way {
    pub(crate) fn carrier(&self) -> &dyn Carrier {
        match self {
            Self::Folder(folder) | Self::OwnLink(folder) => folder,
            Self::Link(link) => &**link,
            Self::Mail(mail) => &mail.carrier,
        }
    }
}

/// How long a requestor listens at its server's link before it begins anew. Proxies end connections that are silent for a
/// minute.
const LISTEN_TIME: Duration = Duration::from_secs(55);

/// A line to a slow place. It needs no database, so it works in a thread of its own while the postoffice does.
pub struct Line {
    place: Place,
    settings: PlaceSettings,
    way: Way,
    messages: Messages,
    /// The texts of the places for which it stands. Behind one mailbox there are all who exchange mail.
    texts: Vec<String>,
    outbox: Outbox,
    keys: Arc<OwnKeys>,
    peers: KnownPeers,
    to: Vec<PostofficeName>,
    /// Those of them for which it is the place in use.
    pieces_to: Vec<PostofficeName>,
    probes: Vec<Probe>,
}

/// The end of an exchange.
#[derive(Debug)]
pub struct LineReport {
    /// The place.
    pub place: String,
    /// The texts of the places for which the line stands.
    texts: Vec<String>,
    /// What came back by mail, and what came that nobody can use.
    returned: Vec<String>,
    /// The work.
    pub done: Exchanged,
    /// Whether messages came that a step can take.
    pub has_arrived: bool,
    /// Why it ended early.
    pub failed: Option<ExchangeError>,
}

impl LineReport {
    /// Whether the line has moved something, and its time was over before everything was moved.
    pub fn has_more(&self) -> bool {
        let Exchanged { sent, messages, pieces, is_over, .. } = self.done;
        self.failed.is_none() && is_over && sent + messages + pieces > 0
    }
}

impl Line {
    /// The settings of its place.
    pub fn settings(&self) -> &PlaceSettings {
        &self.settings
    }

    /// Whether messages or pieces wait for it.
    pub fn has_waiting(&self) -> bool {
        if let Way::OwnLink(_) = self.way {
            return !self.probes.is_empty() || self.has_reports();
        }
        let waits = |to: &PostofficeName| {
            let place = self.messages.of(to);
            let queued = |place: &SlowPlace| place.queued(to).is_ok_and(|(count, _)| count > 0);
            let messages = place.is_some_and(queued);
            let pieces = self.pieces_to.contains(to) && self.outbox.has_next(to).unwrap_or(false);
            messages || pieces
        };
        !self.probes.is_empty() || self.to.iter().any(waits)
    }

    fn has_reports(&self) -> bool {
        let due = self.outbox.reports_due().unwrap_or_default();
        due.iter().any(|name| self.pieces_to.contains(name))
    }

    /// The place, as registrations name it.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// Whether its windows let it work now.
    pub fn is_up(&self) -> bool {
        self.settings.is_open(Timestamp::now())
    }

    /// Moves what waits, until its window closes, `stops` says so, or a minute is over.
    pub fn exchange(&self, stops: &dyn Fn() -> bool) -> LineReport {
        let mut done = Exchanged::default();
        let queue = Queue { messages: &self.messages, to: &self.to };
        let bodies: Option<&dyn BodyLine> = match &self.way {
            Way::Link(link) => Some(&**link),
            Way::Folder(_) | Way::OwnLink(_) | Way::Mail(_) => None,
        };
        let exchange = Exchange {
            carrier: self.way.carrier(),
            bodies,
            messages: &queue,
            outbox: &self.outbox,
            sealing: &*self.keys,
            peers: &self.peers,
            to: &self.to,
            pieces_to: &self.pieces_to,
            probes: &self.probes,
            clock: &now_ms,
        };
        let began = Instant::now();
        let mut goes_on = |bytes: u64| {
            self.keep_rate(bytes, stops);
            self.is_up() && !stops() && began.elapsed() < EXCHANGE_MAX
        };
        let mut failed = match &self.way {
            Way::OwnLink(_) => exchange.send_signals(&mut done),
            Way::Folder(_) | Way::Mail(_) => exchange.run(&mut done, &mut goes_on),
            // An answer that came with a request is taken at once.
            Way::Link(link) => exchange.run(&mut done, &mut goes_on).and_then(|()| {
                match link.has_news() && !done.is_over {
                    true => exchange.receive(&mut done, &mut goes_on),
                    false => Ok(()),
                }
            }),
        }
        .err();
        if let Way::OwnLink(_) = self.way {
            for place in self.messages.all() {
                self.to.iter().for_each(|to| place.announce(to));
            }
        }
        let has_arrived = match self.messages.release(&self.keys, &self.outbox) {
            Ok(has_arrived) => has_arrived,
            Err(failure) => {
                let text = std::io::Error::other(failure.text());
                failed.get_or_insert(ExchangeError::Bodies(text.into()));
                // Some may have been released before.
                true
            }
        };
        let returned = match &self.way {
            Way::Mail(mail) => self.take_back(mail, &mut failed),
            _ => Vec::new(),
        };
        let (place, texts) = (self.place(), self.texts.clone());
        LineReport { place, texts, returned, done, has_arrived, failed }
    }

    /// Whether the other end can say when something comes.
    pub fn can_listen(&self) -> bool {
        matches!(self.way, Way::Link(_))
    }

    /// Waits until something comes over a link, for [`LISTEN_TIME`] at most, and takes it. `None` if nothing came.
    pub fn listen(&self, stops: &dyn Fn() -> bool) -> Option<LineReport> {
        let Way::Link(link) = &self.way else { return None };
        match link.wait_for_news(LISTEN_TIME) {
            Ok(false) => None,
            Ok(true) => Some(self.exchange(stops)),
            Err(error) => {
                let (place, texts) = (self.place(), self.texts.clone());
                let (done, returned) = (Exchanged::default(), Vec::new());
                let failed = Some(ExchangeError::Carrier(error));
                let has_arrived = false;
                Some(LineReport { place, texts, returned, done, has_arrived, failed })
            }
        }
    }

    /// Sleeps as long as these bytes may take.
    fn keep_rate(&self, bytes: u64, stops: &dyn Fn() -> bool) {
        let Some(kib_per_second) = self.settings.kib_per_second else { return };
        let time = Duration::from_secs_f64(bytes as f64 / (kib_per_second as f64 * 1024.0));
        let end = Instant::now() + time;
        while !stops() && self.is_up() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(SLEEP_MAX));
        }
    }
}

impl Postoffice {
    /// The settings of a place, if they make it a slow one.
    pub(crate) fn slow_settings(&self, place: &Place) -> Option<PlaceSettings> {
        let known = self.config.places.iter().find(|settings| settings.place == *place);
        let settings =
            known.cloned().or_else(|| is_line(place).then(|| PlaceSettings::of(place.clone())));
        settings.filter(PlaceSettings::is_slow)
    }

    /// Whether this postoffice is fenced or removed. It may be a copy of a folder that works elsewhere: files at a place
    /// are fetched once, and the other one waits for them.
    fn takes_nothing(&mut self) -> Result<bool> {
        let mut tables = self.begin()?;
        Ok(match tables.server()? {
            Some(server) => server.fenced,
            None => matches!(tables.requestor()?.mode, Mode::Fenced | Mode::Removed),
        })
    }

    /// Whether settings make any place a slow one.
    pub(crate) fn has_slow_places(&self) -> bool {
        self.has_lines || self.config.places.iter().any(PlaceSettings::is_slow)
    }

    /// Works at all lines whose windows are open, one after the other, until `stops` says so. Returns log lines for the
    /// person who waits for it.
    pub fn exchange(&mut self, stops: &dyn Fn() -> bool) -> Result<Vec<LogLine>> {
        let mut said = Vec::new();
        for line in self.lines()? {
            while line.is_up() {
                let report = line.exchange(stops);
                let has_more = report.has_more();
                let mut lines = self.note_line(&report)?;
                // The log repeats a failure only now and then, a command each time.
                let text = report.failed.map(|error| error.to_string());
                if let Some(text) = text.filter(|text| lines.iter().all(|line| line.text != *text))
                {
                    let (at, step) = (now_ms(), STEP.into());
                    lines.push(LogLine { at, step, level: Level::Error, text, run: None });
                }
                said.extend(lines);
                if !has_more || stops() {
                    break;
                }
            }
        }
        Ok(said)
    }

    /// The lines to the slow places that this postoffice uses.
    pub fn lines(&mut self) -> Result<Vec<Line>> {
        let routes = if self.has_slow_places() { self.routes()? } else { Vec::new() };
        let places = self.slow_places_of(&routes);
        self.forget_other_lines(&places, &routes)?;
        if places.is_empty() || self.takes_nothing()? {
            return Ok(Vec::new());
        }
        let (keys, outbox) = (self.own_keys()?, self.open_outbox()?);
        let peers = KnownPeers::read(&mut *self.begin()?, &*keys)?;
        let last_probes = LastProbes::load(&mut *self.begin()?)?;
        let in_use = self.places_in_use(&routes)?;
        let mut lines = Vec::new();
        if self.is_server {
            lines.extend(self.mail_line(&routes, &in_use, &peers, &last_probes)?);
        }
        for settings in places {
            if self.is_server && matches!(settings.place, Place::Mail(_)) {
                continue;
            }
            let text = settings.place.to_string();
            let to: Vec<PostofficeName> = routes
                .iter()
                .filter(|(_, places)| places.contains(&text))
                .map(|(name, _)| name.clone())
                .collect();
            if to.is_empty() {
                continue;
            }
            let is_used = |name: &&PostofficeName| in_use.get(name.folded()) == Some(&text);
            let pieces_to = to.iter().filter(is_used).cloned().collect();
            let messages = self.slow_place(&settings.place)?;
            let way = self.way(&settings.place, &messages, &peers)?;
            let probes = last_probes.waiting(&text, &to);
            lines.push(Line {
                place: settings.place.clone(),
                settings,
                way,
                messages: Messages::One(messages),
                texts: vec![text],
                outbox: outbox.clone(),
                keys: Arc::clone(&keys),
                peers: peers.clone(),
                to,
                pieces_to,
                probes,
            });
        }
        Ok(lines)
    }

    /// The slow places of peers, each once, in their order.
    fn slow_places_of(&self, routes: &[(PostofficeName, Vec<String>)]) -> Vec<PlaceSettings> {
        let mut places: Vec<PlaceSettings> = Vec::new();
        for text in routes.iter().flat_map(|(_, texts)| texts) {
            let settings = text.parse().ok().and_then(|place| self.slow_settings(&place));
            let is_known =
                |settings: &PlaceSettings| places.iter().any(|known| known.place == settings.place);
            places.extend(settings.filter(|settings| !is_known(settings)));
        }
        places
    }

    pub(crate) fn way(
        &mut self,
        place: &Place,
        messages: &SlowPlace,
        peers: &KnownPeers,
    ) -> Result<Way> {
        Ok(match place {
            Place::Link(_) if self.is_server => Way::OwnLink(messages.outgoing()),
            Place::Link(url) => Way::Link(Box::new(self.link(url, peers)?)),
            Place::Mail(address) => {
                let address = address.parse().map_err(Failure::usage)?;
                let peers = BTreeMap::from([(self.server.clone(), address)]);
                Way::Mail(self.mail(peers)?)
            }
            Place::Folder(_) | Place::Local => {
                Way::Folder(FolderCarrier::new(self.folder_transit(place)?))
            }
        })
    }

    /// Forgets the troubles of places that are slow, or used, no longer.
    fn forget_other_lines(
        &mut self,
        places: &[PlaceSettings],
        routes: &[(PostofficeName, Vec<String>)],
    ) -> Result<()> {
        let texts = places.iter().map(|settings| settings.place.to_string());
        let is_used = |text: &String| routes.iter().any(|(_, places)| places.contains(text));
        let mut tables = self.begin()?;
        if keep_lines(&mut *tables, &texts.filter(is_used).collect())? {
            tables.commit()?;
        }
        Ok(())
    }

    /// By folded names, the places through which messages to these peers travel now.
    fn places_in_use(
        &mut self,
        peers: &[(PostofficeName, Vec<String>)],
    ) -> Result<BTreeMap<String, String>> {
        let fall_back = self.fall_back();
        let known = Routes::load(&mut *self.begin()?)?;
        let in_use = |(name, places): &(PostofficeName, Vec<String>)| {
            let used = known.tried(places, name, &fall_back, now_ms()).in_use;
            Some((name.folded().to_owned(), places.get(used)?.clone()))
        };
        Ok(peers.iter().filter_map(in_use).collect())
    }

    /// The peers of this postoffice, each with its places.
    fn routes(&mut self) -> Result<Vec<(PostofficeName, Vec<String>)>> {
        if !self.is_server {
            return Ok(vec![(self.server.clone(), self.own_places()?)]);
        }
        let registrations = self.begin()?.registrations()?.into_iter();
        Ok(registrations.map(|registration| (registration.name, registration.places)).collect())
    }

    /// By folded names, the windows of the peers whose first place has some.
    pub(crate) fn windows_of_peers(&mut self) -> Result<BTreeMap<String, Windows>> {
        if !self.has_slow_places() {
            return Ok(BTreeMap::new());
        }
        let mut windows = BTreeMap::new();
        for (name, places) in self.routes()? {
            let first = places.first().and_then(|place| place.parse().ok());
            let settings = first.and_then(|place| self.slow_settings(&place));
            if let Some(open) = settings.and_then(|settings| settings.windows.clone()) {
                windows.insert(name.folded().to_owned(), open);
            }
        }
        Ok(windows)
    }

    /// Logs the end of an exchange. A place that failed counts as failing until an exchange succeeds.
    pub fn note_line(&mut self, report: &LineReport) -> Result<Vec<LogLine>> {
        let at = now_ms();
        let LineReport { place, done, failed, .. } = report;
        let failure = |text: &String, error: &ExchangeError| PlaceFailure {
            place: text.clone(),
            to: None,
            unreachable: true,
            text: error.to_string(),
        };
        let failed =
            failed.iter().flat_map(|error| report.texts.iter().map(move |text| (text, error)));
        let failures: Vec<PlaceFailure> =
            failed.map(|(text, error)| failure(text, error)).collect();
        let mut tables = self.begin()?;
        note_came(&mut *tables, done, at)?;
        let step = line_step(place);
        let mut lines = note_places(&mut *tables, &step, &failures, &Default::default(), at)?;
        let mut say = |level: Level, text: String| {
            lines.push(LogLine { at, step: STEP.into(), level, text, run: None });
        };
        for (file, why) in &done.refused {
            say(Level::Error, format!("{place}: {} was refused and removed: {why}", file.name));
        }
        for text in &report.returned {
            say(Level::Error, format!("{place}: {text}"));
        }
        if done.sent > 0 || done.messages > 0 || done.pieces > 0 {
            say(Level::Info, format!("{place}: {}", summary(done)));
        }
        for line in &lines {
            if line.step == STEP {
                tables.put_log(line)?;
            }
        }
        tables.commit()?;
        Ok(lines)
    }

    /// Notes from whom pieces came, and the answers to probes.
    pub(crate) fn note_came(&mut self, done: &Exchanged) -> Result<()> {
        let mut tables = self.begin()?;
        note_came(&mut *tables, done, now_ms())?;
        Ok(tables.commit()?)
    }
}

fn note_came(tables: &mut dyn Tables, done: &Exchanged, at: u64) -> Stored<()> {
    for from in &done.pieces_from {
        let note = format!("{PIECE_CAME}{}", from.folded());
        tables.put_note(&note, Some(&at.to_string()))?;
    }
    probes::note_exchanged(tables, done).map(drop)
}

/// What an exchange did, in words.
fn summary(done: &Exchanged) -> String {
    let mut parts = Vec::new();
    if done.sent > 0 {
        parts.push(format!(
            "{} left, {} bytes",
            plural(done.sent, "file", "files"),
            done.bytes_sent
        ));
    }
    if done.messages > 0 {
        parts.push(format!("{} fetched", plural(done.messages, "message", "messages")));
    }
    if done.pieces > 0 {
        let bodies = plural(done.bodies, "body is", "bodies are");
        parts.push(format!(
            "{} fetched, {} bytes, {bodies} whole now",
            plural(done.pieces, "piece", "pieces"),
            done.bytes_fetched
        ));
    }
    parts.join("; ")
}
