//! OpenLDAP's syncrepl: a provider and a consumer with mdb databases that are synced to disk, in
//! `refreshAndPersist`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::people::{BASE, Person};
use super::relay::Relay;
use super::session::Session;
use super::{Figures, PATIENCE, SINGLES, Work, folder, free_port, median, shown, write};
use crate::failure::Failure;
use crate::process;
use crate::service::{Line, Service, until};

/// What brings it on Debian.
pub const PACKAGES: &str = "slapd ldap-utils";

const START: Duration = Duration::from_secs(60);
/// Between two looks while a server starts or fills, each of which is a process.
const LOOK: Duration = Duration::from_millis(50);
const ADMIN: &str = "cn=admin,dc=bench";
const PASSWORD: &str = "bench";
/// The database may grow to this; the file is sparse.
const DATABASE_BYTES_MAX: u64 = 16 << 30;

/// None where it is not installed.
pub fn measure(work: &Work) -> Result<Option<Figures>, Failure> {
    let Some(programs) = Programs::find() else { return Ok(None) };
    let home = folder(work.folder.join("openldap"))?;
    let mut figures = Figures { version: programs.version(), ..Figures::default() };
    let provider = Place::new(&programs, folder(home.join("provider"))?, None)?;
    figures.load = provider.load(&home, &work.people.all)?;
    let provider = provider.start()?;
    let newest = provider.newest();
    let relay = Relay::to(provider.port)?;

    let place = Place::new(&programs, folder(home.join("consumer"))?, Some(relay.port()))?;
    let start = Instant::now();
    let consumer = place.start()?;
    // It is written when the refresh is over.
    until("the first fill", PATIENCE, LOOK, || {
        let state = consumer.newest();
        Ok((state.is_some() && state == newest).then_some(()))
    })?;
    figures.fill = start.elapsed();
    figures.fill_bytes = relay.bytes();

    let mut target = consumer.search()?;
    let file = home.join("change.ldif");
    write(&file, &work.people.changed.iter().map(Person::ldif_change).collect::<String>())?;
    let start = Instant::now();
    process::run(provider.client("ldapmodify").arg("-f").arg(&file))?;
    let committed = start.elapsed();
    shown("the last change", || {
        let Some(last) = work.people.changed.last() else { return Ok(true) };
        let entry = entry(&mut target, &last.key)?;
        let has =
            |name: &str, value: &str| entry.iter().any(|it| *it == format!("{name}: {value}"));
        Ok(has("telephoneNumber", &last.phone) && has("title", &last.title))
    })?;
    figures.changes = start.elapsed();
    figures.after_commit = figures.changes.saturating_sub(committed);
    figures.changes_bytes = relay.bytes() - figures.fill_bytes;
    figures.one = singles(&provider, &mut target)?;
    figures.peak_bytes = provider.service.peak_bytes().max(consumer.service.peak_bytes());
    Ok(Some(figures))
}

/// Single changes, each after the one before is there.
fn singles(provider: &Server, target: &mut Session) -> Result<Duration, Failure> {
    let mut client = Session::start(&mut provider.client("ldapmodify"))?;
    let key = "north-0000001";
    let mut times = Vec::new();
    for turn in 1..=SINGLES {
        let title = format!("title: Change {turn}");
        let change =
            format!("dn: uid={key},{BASE}\nchangetype: modify\nreplace: title\n{title}\n\n");
        let start = Instant::now();
        client.tell(&change)?;
        shown("a change", || Ok(entry(target, key)?.contains(&title)))?;
        times.push(start.elapsed());
    }
    Ok(median(times))
}

/// The lines of one entry, as the consumer has it.
fn entry(search: &mut Session, key: &str) -> Result<Vec<String>, Failure> {
    search.ask(&format!("{key}\n"), |lines| {
        let begins = lines.iter().any(|line| line.starts_with("dn:"));
        begins && lines.last().is_some_and(String::is_empty)
    })
}

/// Where its parts are.
struct Programs {
    slapd: PathBuf,
    slapadd: PathBuf,
    schemas: PathBuf,
    modules: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path)
            .chain(["/usr/sbin", "/usr/lib/openldap", "/usr/libexec"].map(PathBuf::from))
            .collect();
        let program =
            |name: &str| folders.iter().map(|it| it.join(name)).find(|path| path.is_file());
        let place = |names: &[&str], file: &str| {
            names.iter().map(PathBuf::from).find(|folder| folder.join(file).is_file())
        };
        for client in ["ldapmodify", "ldapsearch", "stdbuf"] {
            program(client)?;
        }
        Some(Self {
            slapd: program("slapd")?,
            slapadd: program("slapadd")?,
            schemas: place(&["/etc/ldap/schema", "/etc/openldap/schema"], "inetorgperson.schema")?,
            modules: place(
                &["/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap"],
                "syncprov.so",
            )?,
        })
    }

    /// It says its version on standard error.
    fn version(&self) -> String {
        let output = Command::new(&self.slapd).arg("-VV").output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
        let said = said.unwrap_or_default();
        let version = said.split("slapd ").nth(1).and_then(|rest| rest.split(' ').next());
        format!("OpenLDAP {}", version.unwrap_or_default())
    }
}

/// A configured server that does not run yet.
struct Place<'a> {
    programs: &'a Programs,
    configuration: PathBuf,
}

impl<'a> Place<'a> {
    /// A provider, or the consumer of what listens on a port.
    fn new(
        programs: &'a Programs,
        folder: PathBuf,
        provider: Option<u16>,
    ) -> Result<Self, Failure> {
        let path = folder.join("slapd.conf");
        let data = super::folder(folder.join("data"))?;
        let schemas = ["core", "cosine", "inetorgperson"]
            .map(|name| format!("include {}/{name}.schema\n", programs.schemas.display()))
            .concat();
        let (modules, data) = (programs.modules.display(), data.display());
        let common = format!(
            "{schemas}modulepath {modules}\nmoduleload back_mdb\nmoduleload syncprov\n\
             sizelimit unlimited\n\
             database mdb\nmaxsize {DATABASE_BYTES_MAX}\nsuffix \"{BASE}\"\nrootdn \"{ADMIN}\"\n\
             rootpw {PASSWORD}\ndirectory {data}\n\
             index objectClass eq\nindex cn,uid eq\nindex mail eq\n\
             index entryUUID,entryCSN eq\n"
        );
        let role = match provider {
            None => "overlay syncprov\nsyncprov-checkpoint 100 10\nsyncprov-sessionlog 100000\n"
                .to_owned(),
            Some(port) => format!(
                "syncrepl rid=001 provider=ldap://127.0.0.1:{port} bindmethod=simple \
                 binddn=\"{ADMIN}\" credentials={PASSWORD} searchbase=\"{BASE}\" \
                 type=refreshAndPersist retry=\"1 +\"\n"
            ),
        };
        write(&path, &format!("{common}{role}"))?;
        Ok(Self { programs, configuration: path })
    }

    fn load(&self, home: &Path, people: &[Person]) -> Result<Duration, Failure> {
        let mut ldif = format!(
            "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: bench\n\n"
        );
        people.iter().for_each(|person| ldif.push_str(&person.ldif()));
        let file = home.join("load.ldif");
        write(&file, &ldif)?;
        let mut command = Command::new(&self.programs.slapadd);
        command.args(["-q", "-w", "-f"]).arg(&self.configuration).arg("-l").arg(&file);
        Ok(process::run(&mut command)?.0.took)
    }

    fn start(&self) -> Result<Server, Failure> {
        let port = free_port()?;
        let mut command = Command::new(&self.programs.slapd);
        command.arg("-f").arg(&self.configuration);
        // With a debug level, even of nothing, it stays in the foreground.
        command.args(["-h", &format!("ldap://127.0.0.1:{port}/"), "-d", "0"]);
        let (sender, lines) = channel();
        let service = Service::start(&mut command, Signal::SIGTERM, 0, sender)?;
        let mut server = Server { port, service, lines };
        until("slapd", START, Duration::from_millis(5), || {
            if server.service.has_ended() {
                let said: Vec<String> = server.lines.try_iter().map(|line| line.text).collect();
                return Err(Failure::failed(format!("slapd ended: {}", said.join("; "))));
            }
            let address = ("127.0.0.1", server.port);
            Ok(std::net::TcpStream::connect(address).ok().map(|_| ()))
        })?;
        Ok(server)
    }
}

struct Server {
    port: u16,
    service: Service,
    lines: Receiver<Line>,
}

impl Server {
    fn client(&self, program: &str) -> Command {
        self.as_admin(Command::new(program))
    }

    fn as_admin(&self, mut command: Command) -> Command {
        command.args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.port)]);
        command.args(["-D", ADMIN, "-w", PASSWORD]);
        command
    }

    /// The change that it has last, by its `contextCSN`.
    fn newest(&self) -> Option<String> {
        let mut command = self.client("ldapsearch");
        command.args(["-LLL", "-s", "base", "-b", BASE, "contextCSN"]);
        let (_, printed) = process::run(&mut command).ok()?;
        printed.lines().find(|line| line.starts_with("contextCSN:")).map(str::to_owned)
    }

    /// A client that looks up entries by key.
    fn search(&self) -> Result<Session, Failure> {
        let mut command = Command::new("stdbuf");
        // Its answers would wait for a full buffer.
        command.args(["-oL", "ldapsearch"]);
        let mut command = self.as_admin(command);
        command.args(["-LLL", "-b", BASE, "-f", "-", "(uid=%s)", "telephoneNumber", "title"]);
        Session::start(&mut command)
    }
}
