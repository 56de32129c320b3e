//! The places in which a postoffice exchanges messages, and its transits there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use dirsync_agent::dispatch::Found;
use dirsync_agent::probes::LastProbes;
use dirsync_agent::route::{FallBack, Routes};
use dirsync_agent::step::requests_arrived;
use dirsync_carrier::{FolderTransit, PatientTransit, Place, Shares, Transit, TransitError};
use dirsync_directory::{PostofficeName, escape, shown, unescape};
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_store::Store as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::is_line;
use crate::failure::{Failure, FailureKind, Result};
use crate::folder::TRANSIT;
use crate::json;
use crate::line_status::LineStatus;
use crate::links::Links;
use crate::postoffice::Postoffice;
use crate::probe::ProbeStatus;
use crate::slow_place::SlowPlace;
use crate::time::now_ms;

/// The name of the note that says through which places messages to the server travel.
const CARRIER: &str = "carrier";

/// The places of one postoffice in order, with the transit at each.
pub type Transits = Vec<(String, Box<dyn Transit>)>;

impl Postoffice {
    /// Lets this postoffice work in shared folders by the threads of others in the program. A folder that
    /// does not answer one of them is then not tried by the next.
    pub fn share_threads(&mut self, shares: &Shares) {
        self.shares = shares.clone();
    }

    /// The places through which messages to the directory server travel, the preferred one first.
    pub fn own_places(&mut self) -> Result<Vec<String>> {
        if self.is_server {
            return Ok(vec![Place::Local.to_string()]);
        }
        let places = noted(&mut *self.store.begin()?)?;
        if places.is_empty() {
            return Err(Failure::usage(
                "no place is known through which messages to the server travel",
            )
            .hint("`dirsync carrier set --folder DIR` names one"));
        }
        Ok(places)
    }

    /// The transits to the directory server, the preferred one first.
    pub fn own_transits(&mut self) -> Result<Transits> {
        let places = self.own_places()?.into_iter();
        places.map(|place| Ok((place.clone(), self.transit_at(&place)?))).collect()
    }

    /// The transits of a server's registrations, by their text.
    pub fn transits(&mut self) -> Result<BTreeMap<String, Box<dyn Transit>>> {
        let registrations = self.store.begin()?.registrations()?;
        let texts: BTreeSet<String> =
            registrations.into_iter().flat_map(|registration| registration.places).collect();
        texts.into_iter().map(|text| Ok((text.clone(), self.transit_at(&text)?))).collect()
    }

    /// The places in which messages for this postoffice arrive, but for slow ones. [`Self::at_place`] works in them.
    pub fn places(&mut self) -> Result<Vec<FolderTransit>> {
        let mut places = Vec::new();
        for text in self.place_texts()? {
            let place = parse(&text)?;
            if self.slow_settings(&place).is_none() {
                places.push(self.folder_transit(&place)?);
            }
        }
        Ok(places)
    }

    /// Works in a place by its thread, so that a folder which hangs does not hold up the program.
    ///
    /// # Errors
    ///
    /// If the place does not answer within `carrier.patience`.
    pub fn at_place<R: Send + 'static>(
        &self,
        place: &FolderTransit,
        work: impl FnOnce(&FolderTransit) -> R + Send + 'static,
    ) -> io::Result<R> {
        let own = place.clone();
        self.shares.run(place.root(), self.config.patience, 0, move || work(&own))
    }

    /// Lets this postoffice use the connections of others in the program, and tell their waiting requestors.
    pub fn share_links(&mut self, links: &Links) {
        self.links = links.clone();
    }

    /// How long its places may fail before others are used.
    pub(crate) fn fall_back(&self) -> FallBack {
        let places = self.config.places.iter();
        places.map(|settings| (settings.place.to_string(), settings.fall_back)).collect()
    }

    /// A warning for each place that settings name and nobody uses: most likely another spelling of one.
    pub(crate) fn unused_settings(&mut self) -> Result<Vec<String>> {
        let used = self.place_texts()?;
        let named = self.config.places.iter().map(|settings| settings.place.to_string());
        let unused = named.filter(|place| !used.contains(place));
        let command = if self.is_server { "requestor show NAME" } else { "carrier list" };
        let warning = |place| {
            format!(
                "[[place]] {place} is none of the places of this postoffice, as `dirsync {command}` shows them"
            )
        };
        Ok(unused.map(warning).collect())
    }

    /// Looks whether messages have arrived, and whether a request could be sent.
    pub fn look(&mut self) -> Result<Found> {
        let ways = self.own_transits()?;
        let arrived: Vec<_> = ways.iter().map(|(_, transit)| transit.arrived()).collect();
        let updates =
            arrived.iter().any(|arrived| arrived.as_ref().map_or(true, |new| !new.is_empty()));
        let places: Vec<&str> = ways.iter().map(|(place, _)| place.as_str()).collect();
        let routes = Routes::load(&mut *self.begin()?)?;
        let tried = routes.tried(&places, &self.server, &self.fall_back(), now_ms());
        // One whose inbox alone cannot be listed still takes messages to others.
        let is_away = arrived
            .iter()
            .take(tried.in_use + 1)
            .all(|arrived| matches!(arrived, Err(TransitError::Unreachable { .. })));
        let mut found = Found { updates, requests: false, is_away };
        if self.is_server {
            let places = self.transits()?;
            let places = places.iter().map(|(text, transit)| (text.clone(), &**transit)).collect();
            found.requests = requests_arrived(&mut self.store, &places)?;
        }
        Ok(found)
    }

    /// The places of this postoffice and of all registrations.
    fn place_texts(&mut self) -> Stored<BTreeSet<String>> {
        all_texts(&mut *self.begin()?)
    }

    fn transit_at(&self, text: &str) -> Result<Box<dyn Transit>> {
        let place = parse(text)?;
        if place == Place::Local {
            return Ok(Box::new(self.folder_transit(&place)?));
        }
        if self.slow_settings(&place).is_some() {
            return Ok(Box::new(self.slow_place(&place)?));
        }
        let transit = self.folder_transit(&place)?;
        let root = transit.root().to_owned();
        let (shares, patience) = (self.shares.clone(), self.config.patience);
        Ok(Box::new(PatientTransit::new(transit, root, shares, patience)))
    }

    /// The messages at a slow place.
    pub(crate) fn slow_place(&self, place: &Place) -> Result<SlowPlace> {
        match place {
            Place::Link(_) if self.is_server => self.own_link(),
            _ => SlowPlace::open(&self.folder, place, &self.name),
        }
    }

    /// The messages at the link of this directory server.
    pub(crate) fn own_link(&self) -> Result<SlowPlace> {
        SlowPlace::at_own_link(&self.folder, &self.name, self.links.hub(&self.folder))
    }

    pub(crate) fn folder_transit(&self, place: &Place) -> Result<FolderTransit> {
        let root = match place {
            Place::Local => self.folder.join(TRANSIT),
            Place::Folder(path) => PathBuf::from(path),
            Place::Link(_) | Place::Mail(_) => {
                return Err(Failure::usage(format!("{place} is not a folder")));
            }
        };
        Ok(FolderTransit::new(root, self.name.clone()))
    }

    /// The folders in which messages for this postoffice arrive, for watching them. A share that is away is
    /// not among them: the steps report it.
    pub fn inboxes(&mut self) -> Result<Vec<PathBuf>> {
        let mut inboxes = Vec::new();
        for text in self.place_texts()? {
            let place = parse(&text)?;
            if place == Place::Local || self.slow_settings(&place).is_some() {
                continue;
            }
            let folder = self.folder_transit(&place)?;
            inboxes.extend(
                self.at_place(&folder, FolderTransit::make_inbox).ok().and_then(|made| made.ok()),
            );
        }
        Ok(inboxes)
    }
}

/// One of the places of a postoffice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlaceStatus {
    /// The place, for instance `folder:/srv/dirsync`.
    pub place: String,
    /// Messages are sent through it now. If it fails, they wait for it.
    pub in_use: bool,
    /// Since when it fails; null if it works, as far as is known.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub fails_since: u64,
    /// What failed there last, and why; null if it works.
    pub error: Option<String>,
    /// What waits for its line; null if it is used at any time and at any rate.
    pub line: Option<LineStatus>,
    /// The last probe over it; null if there was none.
    pub probe: Option<ProbeStatus>,
}

/// What the database knows of places.
pub(crate) struct KnownOfPlaces {
    routes: Routes,
    fall_back: FallBack,
    probes: LastProbes,
}

impl KnownOfPlaces {
    pub(crate) fn load(tables: &mut dyn Tables, fall_back: FallBack) -> Stored<Self> {
        let (routes, probes) = (Routes::load(tables)?, LastProbes::load(tables)?);
        Ok(Self { routes, fall_back, probes })
    }
}

impl PlaceStatus {
    /// How the places stand through which messages to `peer` travel.
    pub(crate) fn all(
        places: &[String],
        peer: &PostofficeName,
        known: &KnownOfPlaces,
        now: u64,
    ) -> Vec<Self> {
        let KnownOfPlaces { routes, fall_back, probes } = known;
        let in_use = routes.tried(places, peer, fall_back, now).in_use;
        let status = |(at, place): (usize, &String)| {
            let trouble = routes.trouble(place, peer);
            Self {
                place: place.clone(),
                in_use: at == in_use,
                fails_since: trouble.map_or(0, |trouble| trouble.since),
                error: trouble.map(|trouble| trouble.text.clone()),
                line: None,
                probe: probes.of(place, peer).map(ProbeStatus::of),
            }
        };
        places.iter().enumerate().map(status).collect()
    }

    /// How the places stand through which this postoffice sends to its server.
    pub fn own(postoffice: &mut Postoffice) -> Result<Vec<Self>> {
        let (places, fall_back) = (postoffice.own_places()?, postoffice.fall_back());
        let server = postoffice.server.clone();
        let known = KnownOfPlaces::load(&mut *postoffice.begin()?, fall_back)?;
        let mut all = Self::all(&places, &server, &known, now_ms());
        postoffice.add_lines(&mut all, &server);
        Ok(all)
    }
}

/// A place as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedPlace {
    /// A folder, by a path that may be relative.
    Folder(PathBuf),
    /// A link, by its URL.
    Link(String),
    /// A mailbox, by its address.
    Mail(String),
}

impl fmt::Display for NamedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "the shared folder \"{}\"", folder.display()),
            Self::Link(url) => write!(f, "the link \"{}\"", shown(url)),
            Self::Mail(address) => write!(f, "the mailbox \"{}\"", shown(address)),
        }
    }
}

/// The named places in order, of which folders are mounted here.
///
/// # Errors
///
/// A folder that is not there, and a place that is named twice.
pub(crate) fn mounted(named: &[NamedPlace]) -> Result<Vec<Place>> {
    of_named(named, |folder| match fs::canonicalize(folder) {
        Ok(absolute) if absolute.is_dir() => Ok(absolute),
        found => {
            let why = found.err().map_or("it is not a folder".to_owned(), |why| why.to_string());
            let text =
                format!("the shared folder \"{}\" cannot be reached: {why}", folder.display());
            let hint = "mount it, or name the folder in which it is mounted here: --folder DIR";
            Err(Failure::usage(text).with_kind(FailureKind::Unreachable).hint(hint))
        }
    })
}

/// The named places in order; of folders by their absolute paths.
///
/// # Errors
///
/// A folder of which there is no absolute path, a text that is no URL of a link, and a place that is named twice.
pub(crate) fn of_named(
    named: &[NamedPlace],
    absolute: impl Fn(&Path) -> Result<PathBuf>,
) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for one in named {
        let place = match one {
            NamedPlace::Folder(folder) => Place::folder(&absolute(folder)?),
            NamedPlace::Link(url) => Place::link(url),
            NamedPlace::Mail(address) => Place::mail(address),
        };
        let place = place.map_err(Failure::usage)?;
        if let Some(first) = places.iter().position(|known| *known == place) {
            let text = format!("{} and {one} are the same place", named[first]);
            return Err(Failure::usage(text).hint("name each place once; the first is preferred"));
        }
        places.push(place);
    }
    Ok(places)
}

/// Whether any place of a postoffice is a line whatever its settings are.
pub(crate) fn has_lines(tables: &mut dyn Tables) -> Stored<bool> {
    let is_line = |text: &String| text.parse().is_ok_and(|place| is_line(&place));
    Ok(all_texts(tables)?.iter().any(is_line))
}

/// The places of a postoffice, and of all registrations of a server.
fn all_texts(tables: &mut dyn Tables) -> Stored<BTreeSet<String>> {
    let mut texts: BTreeSet<String> = noted(tables)?.into_iter().collect();
    let registrations = tables.registrations()?;
    texts.extend(registrations.into_iter().flat_map(|registration| registration.places));
    Ok(texts)
}

pub(crate) fn parse(text: &str) -> Result<Place> {
    text.parse().map_err(Failure::usage)
}

/// The places of a requestor in order: each is an escaped line of a note.
fn noted(tables: &mut dyn Tables) -> Stored<Vec<String>> {
    let note = tables.note(CARRIER)?.unwrap_or_default();
    Ok(note.lines().filter_map(|line| unescape(line).map(String::from)).collect())
}

/// Notes the places of a requestor.
pub(crate) fn note(tables: &mut dyn Tables, places: &[Place]) -> Stored<()> {
    let lines: String =
        places.iter().map(|place| format!("{}\n", escape(&place.to_string()))).collect();
    tables.put_note(CARRIER, Some(&lines))
}
