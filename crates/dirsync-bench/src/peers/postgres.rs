//! PostgreSQL's logical replication: two clusters with the settings that it ships with, but for
//! `wal_level`, and one table.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use super::people::Person;
use super::relay::Relay;
use super::session::Session;
use super::{Figures, SINGLES, Work, folder, free_port, median, shown, write};
use crate::failure::Failure;
use crate::process::{self, peak_of};
use crate::service::{Line, Service, until};

/// What brings it on Debian.
pub const PACKAGES: &str = "postgresql";

const START: Duration = Duration::from_secs(60);
const START_PAUSE: Duration = Duration::from_millis(50);
const TABLE: &str = "CREATE TABLE entry (id text PRIMARY KEY, address text NOT NULL UNIQUE, \
                     name text NOT NULL, kind text NOT NULL, owner text NOT NULL, \
                     details jsonb NOT NULL);";
/// Printed after each answer.
const END: &str = "@@";

/// None where it is not installed.
pub fn measure(work: &Work) -> Result<Option<Figures>, Failure> {
    let Some(programs) = programs() else { return Ok(None) };
    let home = folder(work.folder.join("postgres"))?;
    let user = unprivileged(&home)?;
    let publisher = Cluster::start(&programs, &home.join("publisher"), user.as_ref())?;
    let subscriber = Cluster::start(&programs, &home.join("subscriber"), user.as_ref())?;
    let mut source = publisher.session("postgres")?;
    let mut target = subscriber.session("postgres")?;
    let version = source.answer("SHOW server_version;")?;
    // What follows is the distribution's own name for it.
    let version = version.split(' ').next().unwrap_or_default();
    let mut figures = Figures { version: format!("PostgreSQL {version}"), ..Figures::default() };
    source.answer(TABLE)?;
    target.answer(TABLE)?;
    figures.load = publisher.load(&home, &work.people.all)?;
    source.answer("CREATE PUBLICATION bench FOR TABLE entry;")?;

    let clusters = [&publisher, &subscriber];
    let mut peak = None;
    let start = Instant::now();
    subscribe(&mut target, publisher.port, "timed")?;
    shown("the first fill", || {
        peak = peak.max(largest(&clusters));
        has(&mut target, work.people.all.last(), "")
    })?;
    figures.fill = start.elapsed();
    ready(&mut target)?;
    let count = target.answer("SELECT count(*) FROM entry;")?;
    if count != work.people.all.len().to_string() {
        return Err(Failure::failed(format!("the subscriber has {count} entries")));
    }

    let file = change_file(&home, &work.people.changed)?;
    let start = Instant::now();
    publisher.run_file(&file)?;
    let committed = start.elapsed();
    shows(&mut target, work.people.changed.last())?;
    figures.changes = start.elapsed();
    figures.after_commit = figures.changes.saturating_sub(committed);
    figures.one = singles(&mut source, &mut target)?;
    figures.peak_bytes = peak.max(largest(&clusters));

    bytes(work, &home, &publisher, &subscriber, &mut figures)?;
    Ok(Some(figures))
}

/// The bytes, by another subscriber behind a relay, so that counting does not slow what is timed.
fn bytes(
    work: &Work,
    home: &Path,
    publisher: &Cluster,
    subscriber: &Cluster,
    figures: &mut Figures,
) -> Result<(), Failure> {
    subscriber.session("postgres")?.answer("CREATE DATABASE counted;")?;
    let mut target = subscriber.session("counted")?;
    target.answer(TABLE)?;
    let relay = Relay::to(publisher.port)?;
    subscribe(&mut target, relay.port(), "counted")?;
    shown("the first fill", || has(&mut target, work.people.all.last(), ""))?;
    ready(&mut target)?;
    figures.fill_bytes = relay.bytes();
    let unchanged = work.people.unchanged();
    publisher.run_file(&change_file(home, &unchanged)?)?;
    shows(&mut target, unchanged.last())?;
    figures.changes_bytes = relay.bytes() - figures.fill_bytes;
    Ok(())
}

/// Single changes, each after the one before is there.
fn singles(source: &mut Session, target: &mut Session) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for turn in 1..=SINGLES {
        let (value, key) = (format!("\"Change {turn}\""), "north-0000001");
        let start = Instant::now();
        source.answer(&format!(
            "UPDATE entry SET details = jsonb_set(details, '{{title}}', '{value}') \
             WHERE id = '{key}';"
        ))?;
        let question =
            format!("SELECT details->'title' = '{value}' FROM entry WHERE id = '{key}';");
        shown("a change", || Ok(target.answer(&question)? == "t"))?;
        times.push(start.elapsed());
    }
    Ok(median(times))
}

fn subscribe(target: &mut Session, port: u16, name: &str) -> Result<(), Failure> {
    target.answer(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 port={port} dbname=postgres \
         user=bench' PUBLICATION bench;"
    ))?;
    Ok(())
}

/// Waits until the initial copy has turned into streaming.
fn ready(target: &mut Session) -> Result<(), Failure> {
    let question = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel;";
    shown("the end of the copy", || Ok(target.answer(question)? == "t"))
}

fn shows(target: &mut Session, person: Option<&Person>) -> Result<(), Failure> {
    let details = person.map_or_else(String::new, Person::details).replace('\'', "''");
    let condition = format!(" AND details = '{details}'");
    shown("the last change", || has(target, person, &condition))
}

fn has(target: &mut Session, person: Option<&Person>, condition: &str) -> Result<bool, Failure> {
    let Some(person) = person else { return Ok(true) };
    let question =
        format!("SELECT EXISTS (SELECT FROM entry WHERE id = '{}'{condition});", person.key);
    Ok(target.answer(&question)? == "t")
}

/// One transaction that changes all of `people`.
fn change_file(home: &Path, people: &[Person]) -> Result<PathBuf, Failure> {
    let mut sql = "BEGIN;\nCREATE TEMP TABLE change (LIKE entry) ON COMMIT DROP;\n\
                   COPY change FROM STDIN;\n"
        .to_owned();
    people.iter().for_each(|person| sql.push_str(&person.copy_line()));
    sql.push_str(
        "\\.\nUPDATE entry SET details = change.details FROM change WHERE entry.id = change.id;\n\
         COMMIT;\n",
    );
    let path = home.join("change.sql");
    write(&path, &sql)?;
    Ok(path)
}

/// The folder of its programs: that of Debian's newest version, or what the path has.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for item in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let version = item.file_name().to_string_lossy().parse().unwrap_or(0);
        versions.push((version, item.path().join("bin")));
    }
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = versions.into_iter().rev().map(|(_, folder)| folder);
    debian.chain(std::env::split_paths(&path)).find(|folder| {
        ["initdb", "postgres", "psql"].iter().all(|program| folder.join(program).is_file())
    })
}

/// It refuses to work as root; then another user owns its folder.
fn unprivileged(home: &Path) -> Result<Option<User>, Failure> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    let user =
        user.ok_or_else(|| Failure::failed("there is no user that PostgreSQL can run as"))?;
    chown(home, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .map_err(|error| Failure::file("give away", home, &error))?;
    Ok(Some(user))
}

struct Cluster {
    programs: PathBuf,
    port: u16,
    service: Service,
    /// What it says; dropped last.
    _lines: Receiver<Line>,
}

impl Cluster {
    fn start(programs: &Path, data: &Path, user: Option<&User>) -> Result<Self, Failure> {
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.arg("-D").arg(data).current_dir(data.parent().unwrap_or(data));
            if let Some(user) = user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let words = ["-U", "bench", "-A", "trust", "--no-locale", "-E", "UTF8"];
        process::run(command("initdb").args(words))?;
        let port = free_port()?;
        let mut server = command("postgres");
        server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", "wal_level=logical"]);
        let (sender, lines) = channel();
        // The fast shutdown: clients are sent away.
        let service = Service::start(&mut server, Signal::SIGINT, 0, sender)?;
        let mut cluster = Self { programs: programs.to_owned(), port, service, _lines: lines };
        until("PostgreSQL", START, START_PAUSE, || {
            if cluster.service.has_ended() {
                let said: Vec<String> = cluster._lines.try_iter().map(|line| line.text).collect();
                return Err(Failure::failed(format!("PostgreSQL ended: {}", said.join("; "))));
            }
            Ok(process::run(cluster.psql("postgres").args(["-c", "SELECT 1"])).ok())
        })?;
        Ok(cluster)
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-U", "bench"]);
        command.env("PGOPTIONS", "-c client_min_messages=warning");
        command.args(["-v", "ON_ERROR_STOP=1", "-p", &self.port.to_string(), "-d", database]);
        command
    }

    fn session(&self, database: &str) -> Result<Session, Failure> {
        Session::start(&mut self.psql(database))
    }

    fn run_file(&self, file: &Path) -> Result<Duration, Failure> {
        let (measurement, _) = process::run(self.psql("postgres").arg("-f").arg(file))?;
        Ok(measurement.took)
    }

    fn load(&self, home: &Path, people: &[Person]) -> Result<Duration, Failure> {
        let mut sql = "COPY entry FROM STDIN;\n".to_owned();
        people.iter().for_each(|person| sql.push_str(&person.copy_line()));
        sql.push_str("\\.\n");
        let path = home.join("load.sql");
        write(&path, &sql)?;
        self.run_file(&path)
    }
}

/// The peak of the largest process of the clusters; pages of the shared buffers count in each.
fn largest(clusters: &[&Cluster]) -> Option<u64> {
    let peaks = |cluster: &&Cluster| {
        let id = cluster.service.id();
        let children =
            fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let of = |text: &str| text.parse().ok().and_then(peak_of);
        children.split_whitespace().filter_map(of).max()
    };
    clusters.iter().filter_map(peaks).max()
}

impl Session {
    /// The one value that a statement gives, or nothing.
    fn answer(&mut self, sql: &str) -> Result<String, Failure> {
        let question = format!("{sql}\n\\echo {END}\n");
        let mut lines = self.ask(&question, |lines| lines.last().is_some_and(|it| it == END))?;
        lines.truncate(lines.len() - 1);
        Ok(lines.join("\n"))
    }
}
