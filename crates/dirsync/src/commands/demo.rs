//! `dirsync demo`: a whole system on this machine, working, told in a page.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dirsync_agent::changes::{HandChange, ReadReport, ReadSettings, change_by_hand};
use dirsync_agent::intake::{SourceFile, take_in};
use dirsync_carrier::{FolderTransit, Place, Transit as _};
use dirsync_connect::{Format, OpenOptions};
use dirsync_directory::{EntryId, PostofficeName, Record, View};
use dirsync_link::certificate::server_config;
use dirsync_link::server::{Hub, Limits, Server};
use dirsync_postoffice::config::load_map;
use dirsync_postoffice::init::{make_requestor, make_server};
use dirsync_postoffice::link_desk::LinkDesk;
use dirsync_postoffice::registrations::{invite, shared_folder};
use dirsync_postoffice::restore::restore;
use dirsync_postoffice::{Postoffice, now_ms, steps};
use dirsync_protocol::tables::ListPlace;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::DemoArgs;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::{listed, plural};

const NORTH: &str = include_str!("../../demo/north.csv");
const NORTH_MAP: &str = include_str!("../../demo/north.map.toml");
const SALES: &str = include_str!("../../demo/sales.ldif");
const LAB: &str = include_str!("../../demo/lab.vcf");
/// Entries in the three bundled files.
const BUNDLED: u32 = 30;

/// The end of the demonstration.
#[derive(Serialize, JsonSchema)]
pub struct Proof {
    /// How many postoffices it has.
    postoffices: usize,
    /// How many entries each list has.
    entries: u64,
    /// How many cycles were run.
    cycles: u32,
    /// Whether all lists are equal.
    converged: bool,
    /// The digest of the list.
    digest: String,
    /// How long it took.
    seconds: f64,
}

struct Demo {
    folder: PathBuf,
    share: PathBuf,
    names: Vec<String>,
    /// Open postoffices: a database that stays open is folded together once, at the end.
    postoffices: Vec<Option<Postoffice>>,
    cycles: u32,
    quiet: bool,
    /// The link of the server, if its requestors use it.
    link: Option<DemoLink>,
}

/// The link of the demo's server.
struct DemoLink {
    _server: Server,
    desk: LinkDesk,
}

/// `dirsync demo [DIR]`.
pub fn demo(arguments: &DemoArgs, json: bool) -> Result<ExitStatus> {
    let began = Instant::now();
    if arguments.folder.exists() {
        return Err(Failure::usage(format!("\"{}\" exists already", arguments.folder.display()))
            .hint("name another folder, or remove this one"));
    }
    let share = shared_folder(&arguments.folder.join("share"))?;
    let folder = fs::canonicalize(&arguments.folder)?;
    let mut names: Vec<String> =
        ["NORTH/HQ", "SOUTH/SALES", "WEST/LAB", "EAST/DEPOT"].map(str::to_owned).to_vec();
    names.truncate(arguments.postoffices as usize);
    for number in names.len()..arguments.postoffices as usize {
        names.push(format!("SHIP/{number:03}"));
    }
    let postoffices = names.iter().map(|_| None).collect();
    let mut demo = Demo { folder, share, names, postoffices, cycles: 0, quiet: json, link: None };
    demo.found(arguments.link)?;
    demo.fill(arguments.entries)?;
    demo.change()?;
    demo.lose_a_message()?;
    demo.restore_a_postoffice()?;
    demo.hold_a_mass_deletion()?;
    let (converged, digest, entries) = demo.proof()?;
    let seconds = began.elapsed().as_secs_f64();
    if json {
        let (postoffices, cycles) = (demo.names.len(), demo.cycles);
        document::print(&Proof { postoffices, entries, cycles, converged, digest, seconds });
    } else {
        let program = std::env::args().next().unwrap_or_else(|| "dirsync".into());
        let program = pasted(&program);
        let at = |name: &str| pasted(&arguments.folder.join(folder_of(name)).display().to_string());
        let (server, requestor) = (at(&demo.names[0]), at(&demo.names[1]));
        println!("\nTry next, in this folder:");
        println!("  {program} -C {server} status");
        println!("  {program} -C {server} held list");
        println!("  {program} run {server} {requestor} --once");
    }
    Ok(if converged { ExitStatus::Done } else { ExitStatus::Failed })
}

/// A word as a shell takes it.
fn pasted(word: &str) -> String {
    let is_plain =
        |character: char| character.is_alphanumeric() || "/._-+=:,@\\".contains(character);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn folder_of(name: &str) -> String {
    name.split_once('/')
        .map_or(name, |(network, postoffice)| match network {
            "SHIP" => name,
            _ => postoffice,
        })
        .to_lowercase()
        .replace('/', "-")
}

impl Demo {
    fn postoffice(&mut self, at: usize) -> Result<&mut Postoffice> {
        if self.postoffices[at].is_none() {
            self.postoffices[at] = Some(Postoffice::open(&self.path(at), "demo")?);
        }
        Ok(self.postoffices[at].as_mut().expect("it was opened"))
    }

    fn path(&self, at: usize) -> PathBuf {
        self.folder.join(folder_of(&self.names[at]))
    }

    fn name(&self, at: usize) -> PostofficeName {
        self.names[at].parse().expect("the demo's names are postoffice names")
    }

    /// The server, the requestors, and what joins them.
    fn found(&mut self, by_link: bool) -> Result<()> {
        make_server(&self.path(0), &self.name(0))?;
        let place = if by_link {
            self.open_link()?
        } else {
            Place::folder(&self.share).map_err(Failure::usage)?
        };
        let places = [place];
        for at in 1..self.names.len() {
            let name = self.name(at);
            let server = self.postoffice(0)?;
            let invitation = invite(server, &name, &places, View::default(), false, None)?;
            make_requestor(&self.path(at), &invitation)?;
        }
        say(
            self.quiet,
            format!(
                "{} is the directory server; {} are its requestors.",
                self.names[0],
                listed(&self.names[1..])
            ),
        );
        say(
            self.quiet,
            match &self.link {
                Some(_) => "Nothing joins them but HTTPS, on this machine.\n",
                None => "Nothing joins them but a shared folder for message files.\n",
            },
        );
        Ok(())
    }

    /// Opens the link of the server at a free port, which its settings then name.
    fn open_link(&mut self) -> Result<Place> {
        let postoffice = self.postoffice(0)?;
        let certificates = postoffice.link_certificates()?;
        let desk = LinkDesk::open(postoffice, || {})?;
        // The demo does the steps itself, after all requests.
        desk.answer_later();
        let tls = certificates.map(|shown| server_config(shown));
        let (any, hub) = (SocketAddr::from(([127, 0, 0, 1], 0)), Hub::default());
        let server = Server::start(any, tls, Arc::new(desk.clone()), &hub, Limits::default())?;
        let address = server.address();
        self.link = Some(DemoLink { _server: server, desk });
        self.postoffices[0] = None;
        fs::write(self.path(0).join("dirsync.toml"), format!("[link]\nlisten = \"{address}\"\n"))?;
        Place::link(&format!("https://localhost:{}", address.port())).map_err(Failure::usage)
    }

    /// Moves what waits for the link, and lets it know who takes part now.
    fn exchange(&mut self) -> Result<()> {
        if self.link.is_none() {
            return Ok(());
        }
        self.renew_link()?;
        for at in 1..self.names.len() {
            self.postoffice(at)?.exchange(&|| false)?;
        }
        Ok(())
    }

    fn renew_link(&mut self) -> Result<()> {
        let Some(desk) = self.link.as_ref().map(|link| link.desk.clone()) else { return Ok(()) };
        desk.renew(self.postoffice(0)?)?;
        desk.answer_later();
        Ok(())
    }

    /// Where messages to a postoffice wait.
    fn messages_to(&self, at: usize) -> FolderTransit {
        let root = match &self.link {
            Some(_) => self.path(0).join("transit/link/out"),
            None => self.share.clone(),
        };
        FolderTransit::new(root, self.name(at))
    }

    /// Own entries from three formats.
    fn fill(&mut self, entries: u32) -> Result<()> {
        let files = self.folder.join("files");
        fs::create_dir_all(&files)?;
        let mut north = NORTH.to_owned();
        for number in BUNDLED..entries {
            let _ = writeln!(
                north,
                "{},Sailor,No. {number},sailor{number}@north.example,+47 40 {number:06},Deck hand",
                10_000 + number
            );
        }
        fs::write(files.join("north.csv"), &north)?;
        fs::write(files.join("north.map.toml"), NORTH_MAP)?;
        fs::write(files.join("sales.ldif"), SALES)?;
        fs::write(files.join("lab.vcf"), LAB)?;
        let sources = [("north.csv", 0), ("sales.ldif", 1), ("lab.vcf", 2)];
        say(self.quiet, "Each postoffice owns some people, and says so in the format that it has:");
        for (file, at) in sources {
            // With fewer postoffices the last one owns what is left.
            let at = at.min(self.names.len() - 1);
            let report = self.import(at, &files.join(file), file)?;
            say(
                self.quiet,
                format!("  {:12} {:>6} entries from {file}", self.names[at], report.added),
            );
        }
        self.cycle(None)?;
        let counts = self.counts()?;
        say(self.quiet, format!("One cycle later, T1 to T3, every list has {}.", counts));
        Ok(())
    }

    fn import(&mut self, at: usize, file: &Path, source: &str) -> Result<ReadReport> {
        let format = Format::of_path(file)?;
        let map = match format {
            Format::Csv => Some(load_map(&self.folder.join("files/north.map.toml"))?),
            _ => None,
        };
        let postoffice = self.postoffice(at)?;
        let settings = ReadSettings {
            source: source.to_owned(),
            claims: false,
            whole: true,
            guards: postoffice.config.guards,
            fingerprint: String::new(),
            configured: Vec::new(),
            now: now_ms(),
        };
        let options = OpenOptions { map, ..OpenOptions::default() };
        let mut tables = postoffice.begin()?;
        let file = SourceFile { path: file, format, options: &options };
        let intake = take_in(&mut *tables, file, settings, false, &mut |_| {})?;
        tables.commit()?;
        Ok(intake.report)
    }

    /// One cycle of all; the answer to one postoffice may be lost.
    fn cycle(&mut self, lost: Option<usize>) -> Result<()> {
        self.cycles += 1;
        for at in 0..self.names.len() {
            steps::send(self.postoffice(at)?, true)?;
        }
        self.exchange()?;
        steps::process(self.postoffice(0)?, false)?;
        if let Some(at) = lost {
            for message in self.messages_to(at).arrived()? {
                fs::remove_file(message.whereabouts)?;
            }
        }
        self.exchange()?;
        for at in 0..self.names.len() {
            steps::apply(self.postoffice(at)?)?;
        }
        Ok(())
    }

    fn counts(&mut self) -> Result<String> {
        let mut counts = BTreeSet::new();
        for at in 0..self.names.len() {
            counts.insert(self.postoffice(at)?.begin()?.requestor()?.list_digest.count);
        }
        let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
        Ok(format!("{} entries", counts.join(" or ")))
    }

    fn phone(&mut self, at: usize, id: EntryId) -> Result<String> {
        let row = self.postoffice(at)?.begin()?.list_row(ListPlace::Live, id)?;
        let record = row.map(|row| row.record).unwrap_or_default();
        let phone = record.as_ref().detail_lines().find(|(name, _)| *name == "telephoneNumber");
        Ok(phone.map_or("none".into(), |(_, value)| value.to_owned()))
    }

    /// A change at one postoffice appears at all.
    fn change(&mut self) -> Result<()> {
        let file = self.folder.join("files/north.csv");
        let text = fs::read_to_string(&file)?.replace("+47 22 10 00", "+47 22 99 99");
        fs::write(&file, text)?;
        self.import(0, &file, "north.csv")?;
        self.cycle(None)?;
        let id = EntryId::derive(&self.name(0), "1001");
        let last = self.names.len() - 1;
        let phone = self.phone(last, id)?;
        say(
            self.quiet,
            format!(
                "\nAna Souza gets a new phone at {}: {} now reads {}.",
                self.names[0], self.names[last], phone
            ),
        );
        Ok(())
    }

    /// A message is lost, and the next one heals it.
    fn lose_a_message(&mut self) -> Result<()> {
        let at = self.names.len() - 1;
        let postoffice = self.postoffice(1)?;
        let record = Record {
            kind: "mailbox".into(),
            name: "Greta Holm".into(),
            addresses: "SMTP:greta@south.example".into(),
            details: "title/New colleague\n".into(),
        };
        let mut tables = postoffice.begin()?;
        let change = HandChange { key: "greta".into(), record, add: true };
        change_by_hand(&mut *tables, now_ms(), change)?;
        tables.commit()?;
        self.cycle(Some(at))?;
        let counts = self.counts()?;
        say(
            self.quiet,
            format!(
                "\n{} adds Greta Holm, and the answer to {} is lost: the lists have {}.",
                self.names[1], self.names[at], counts
            ),
        );
        self.cycle(None)?;
        let counts = self.counts()?;
        say(
            self.quiet,
            format!("The next message says everything since the last confirmation: {}.", counts),
        );
        Ok(())
    }

    /// A postoffice is put back to an old copy, is noticed, and is repaired.
    fn restore_a_postoffice(&mut self) -> Result<()> {
        let at = self.names.len().min(3) - 1;
        let copy = self.folder.join("old-copy.backup");
        self.postoffice(at)?.store.backup_to(&copy)?;
        let postoffice = self.postoffice(at)?;
        let record = Record {
            kind: "mailbox".into(),
            name: "Hugo Lund".into(),
            addresses: "SMTP:hugo@lab.example".into(),
            details: String::new(),
        };
        let mut tables = postoffice.begin()?;
        change_by_hand(
            &mut *tables,
            now_ms(),
            HandChange { key: "hugo".into(), record, add: true },
        )?;
        tables.commit()?;
        self.cycle(None)?;
        self.postoffices[at] = None;
        restore(&self.path(at), &copy)?;
        let own = self.postoffice(at)?.begin()?.requestor()?.own_digest.count;
        say(
            self.quiet,
            format!(
                "\n{} adds Hugo Lund, then its disk is put back to a copy from before: {own} own entries.",
                self.names[at]
            ),
        );
        for _ in 0..3 {
            self.cycle(None)?;
        }
        let own = self.postoffice(at)?.begin()?.requestor()?.own_digest.count;
        let counts = self.counts()?;
        say(
            self.quiet,
            format!(
                "It and the server notice, merge, and nobody is missing: {own} own entries, lists of {}.",
                counts
            ),
        );
        Ok(())
    }

    /// A file that lost most of its rows deletes nobody.
    fn hold_a_mass_deletion(&mut self) -> Result<()> {
        let file = self.folder.join("files/north.csv");
        let text = fs::read_to_string(&file)?;
        let short: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
        let short_file = self.folder.join("files/north-short.csv");
        fs::write(&short_file, short)?;
        let report = self.import(0, &short_file, "north.csv")?;
        self.cycle(None)?;
        let counts = self.counts()?;
        say(
            self.quiet,
            format!(
                "\n{} reads a file that was cut short: {} held for a person, and the \
             lists keep {}.",
                self.names[0],
                plural(report.held_removals, "deletion is", "deletions are"),
                counts
            ),
        );
        Ok(())
    }

    /// The digests, which prove that the lists are equal.
    fn proof(&mut self) -> Result<(bool, String, u64)> {
        say(self.quiet, "\nThe proof is a digest over every field of every entry:");
        let mut digests = BTreeSet::new();
        let mut entries = 0;
        for at in 0..self.names.len() {
            let state = self.postoffice(at)?.begin()?.requestor()?;
            let digest = format!("{:032x}", state.list_digest.sum);
            const SHOWN: usize = 8;
            if at < SHOWN {
                say(
                    self.quiet,
                    format!(
                        "  {:12} {:>6} entries  {digest}",
                        self.names[at], state.list_digest.count
                    ),
                );
            } else if at == SHOWN {
                say(self.quiet, format!("  … and {} more", self.names.len() - SHOWN));
            }
            entries = state.list_digest.count;
            digests.insert(digest);
        }
        let equal = digests.len() == 1;
        say(self.quiet, if equal { "All lists are equal." } else { "THE LISTS DIFFER." });
        Ok((equal, digests.into_iter().next().unwrap_or_default(), entries))
    }
}

fn say(quiet: bool, text: impl AsRef<str>) {
    if !quiet {
        println!("{}", text.as_ref());
    }
}
