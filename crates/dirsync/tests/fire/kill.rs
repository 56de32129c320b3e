//! `kill -9` of agents and commands at random instants, under load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dirsync_testing::Random;

use crate::site::Place;
use crate::{number, quick_folder, temporaries};

const SITES: [&str; 4] = ["hq", "a", "b", "c"];
/// Rows in each site's source.
const ROWS: u64 = 40;
/// How long all lists may take to be equal when nobody is killed any more.
const SETTLED: Duration = Duration::from_secs(60);

/// What a key may be called at the end; more than one name, or none, where a command was killed
/// and nobody knows whether it had done its work.
type Names = BTreeSet<Option<String>>;

/// A command under way, and what it makes of its key.
struct Order {
    site: usize,
    key: String,
    name: Option<String>,
    child: Child,
}

/// A server and three requestors with their agents, and what they were told.
struct Fire {
    place: Place,
    random: Random,
    agents: Vec<Option<Child>>,
    orders: Vec<Order>,
    /// By site: the rows of its source as last written, by key.
    sources: Vec<BTreeMap<String, String>>,
    /// By site: what became of the keys that commands wrote.
    hands: Vec<BTreeMap<String, Names>>,
    drawn: u64,
    kills: u64,
}

impl Fire {
    fn new(seed: u64) -> Self {
        let place = Place { folder: quick_folder() };
        place.run("-C hq init NORTH/HQ --server").expect(0);
        for site in &SITES[1..] {
            let add = format!("-C hq requestor add SOUTH/{site} --folder share --out {site}.inv");
            place.run(&add).expect(0);
            place.run(&format!("-C {site} init --invitation {site}.inv")).expect(0);
        }
        for site in SITES {
            let settings = format!(
                "[schedule]\npoll = \"1 s\"\n[guard]\nentries = 1000000\npercent = 100\n\
                 [[source]]\nname = \"hr\"\nfile = \"../people/{site}.csv\"\nwhole = true\n\
                 [[target]]\nfile = \"list.csv\"\n"
            );
            place.write(&format!("{site}/dirsync.toml"), &settings);
        }
        std::fs::create_dir(place.path("people")).unwrap();
        let mut fire = Self {
            place,
            random: Random::new(seed),
            agents: SITES.map(|_| None).into(),
            orders: Vec::new(),
            sources: SITES.map(|_| BTreeMap::new()).into(),
            hands: SITES.map(|_| BTreeMap::new()).into(),
            drawn: 0,
            kills: 0,
        };
        (0..SITES.len()).for_each(|site| fire.write_source(site));
        fire
    }

    fn draw(&mut self, word: &str) -> String {
        self.drawn += 1;
        format!("{word} {}", self.drawn)
    }

    /// Changes some rows of a source, at times takes one out, and puts the file in its place.
    fn write_source(&mut self, site: usize) {
        for _ in 0..8 {
            let key = format!("{}", self.random.below(ROWS));
            let name = self.draw("Person");
            self.sources[site].insert(key, name);
        }
        if self.random.one_in(2) {
            let key = format!("{}", self.random.below(ROWS));
            self.sources[site].remove(&key);
        }
        let mut text = String::from("key,cn,mail\n");
        for (key, name) in &self.sources[site] {
            text.push_str(&format!("{key},{name},p{key}@{}.example\n", SITES[site]));
        }
        // What nobody wrote is no empty file: a source is put in its place whole.
        self.place.write("people/next", &text);
        let file = self.place.path(&format!("people/{}.csv", SITES[site]));
        std::fs::rename(self.place.path("people/next"), file).unwrap();
    }

    fn said(&self, site: &str) -> File {
        let path = self.place.path(&format!("{site}.said"));
        OpenOptions::new().create(true).append(true).open(path).unwrap()
    }

    fn spawn(&self, site: usize, words: &[&str]) -> Child {
        let mut command = self.place.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.said(SITES[site]));
        command.spawn().unwrap()
    }

    /// Starts every agent that is not running. One that ended by itself is a failure.
    fn start_agents(&mut self) {
        for (site, name) in SITES.iter().enumerate() {
            if let Some(agent) = &mut self.agents[site] {
                let ended = agent.try_wait().unwrap();
                assert!(ended.is_none(), "{name}: {ended:?}\n{}", self.last_said(name));
                continue;
            }
            self.agents[site] = Some(self.spawn(site, &["run", name]));
        }
    }

    fn last_said(&self, site: &str) -> String {
        let text = self.place.read(&format!("{site}.said"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Begins a command that adds, changes or deletes an entry whose state is known.
    fn order(&mut self) {
        let site = self.random.below(SITES.len() as u64) as usize;
        let busy = |key: &str| self.orders.iter().any(|o| o.site == site && o.key == key);
        let known: Vec<(String, Option<String>)> = self.hands[site]
            .iter()
            .filter(|(key, names)| names.len() == 1 && !busy(key))
            .map(|(key, names)| (key.clone(), names.first().cloned().flatten()))
            .filter(|(_, name)| name.is_some())
            .collect();
        let name = self.draw("Hand");
        let pick = self.random.below(4 + known.len().min(20) as u64);
        let (key, new, words) = match known.get((pick as usize).wrapping_sub(4)) {
            Some((key, _)) if pick.is_multiple_of(3) => {
                (key.clone(), None, vec!["delete".to_owned(), key.clone()])
            }
            Some((key, _)) => {
                let words = ["modify", key, "--name", &name].map(str::to_owned).to_vec();
                (key.clone(), Some(name), words)
            }
            None => {
                let key = format!("hand{}", self.drawn);
                let address = format!("SMTP:{key}@{}.example", SITES[site]);
                let words = ["add", "--key", &key, "--name", &name, "--address", &address];
                let words = words.map(str::to_owned).to_vec();
                (key, Some(name), words)
            }
        };
        // Until it is known to have succeeded, both may be.
        let names = self.hands[site].entry(key.clone()).or_insert_with(|| Names::from([None]));
        names.insert(new.clone());
        let mut line = vec!["-C", SITES[site], "entry"];
        line.extend(words.iter().map(String::as_str));
        let child = self.spawn(site, &line);
        self.orders.push(Order { site, key, name: new, child });
    }

    /// Takes note of commands that ended: what succeeded must be there for ever.
    fn collect(&mut self, wait: bool) {
        let mut left = Vec::new();
        for mut order in std::mem::take(&mut self.orders) {
            let ended = match wait {
                true => Some(order.child.wait().unwrap()),
                false => order.child.try_wait().unwrap(),
            };
            let Some(ended) = ended else {
                left.push(order);
                continue;
            };
            assert!(ended.success(), "{}\n{}", order.key, self.last_said(SITES[order.site]));
            self.hands[order.site].insert(order.key, Names::from([order.name]));
        }
        self.orders = left;
    }

    /// Kills some of what runs, looks whether each postoffice that was hit contradicts itself, and
    /// returns how many died.
    fn kill(&mut self) -> u64 {
        self.collect(false);
        let mut hit = BTreeSet::new();
        let mut killed = Vec::new();
        let all = self.random.one_in(4);
        for site in 0..SITES.len() {
            if all || self.random.one_in(2) {
                killed.extend(self.agents[site].take().map(|agent| (site, agent)));
            }
        }
        let mut left = Vec::new();
        for order in std::mem::take(&mut self.orders) {
            if self.random.one_in(2) {
                killed.push((order.site, order.child));
            } else {
                left.push(order);
            }
        }
        self.orders = left;
        for (site, child) in &mut killed {
            child.kill().unwrap();
            hit.insert(*site);
        }
        for (_, child) in &mut killed {
            child.wait().unwrap();
        }
        for site in hit {
            let check = self.place.run(&format!("-C {} check", SITES[site]));
            let said = self.last_said(SITES[site]);
            assert_eq!(check.code, 0, "{}: {}{}\n{said}", SITES[site], check.out, check.err);
        }
        self.kills += killed.len() as u64;
        killed.len() as u64
    }

    /// What a site's list holds: name by origin and key.
    fn list(&self, site: &str) -> Option<BTreeMap<(String, String), String>> {
        let ran = self.place.run(&format!("-C {site} entry list --json"));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let list = (ran.code == 0).then(|| ran.json())?;
        let rows = list.as_array().unwrap().iter();
        Some(
            rows.map(|row| ((text(&row["origin"]), text(&row["key"])), text(&row["name"])))
                .collect(),
        )
    }

    /// What contradicts what was acknowledged; none when a list is as it must be.
    fn wrong(&self, list: &BTreeMap<(String, String), String>) -> Option<String> {
        let mut rest = list.clone();
        for (site, sources) in self.sources.iter().enumerate() {
            let origin = match SITES[site] {
                "hq" => "NORTH/HQ".to_owned(),
                name => format!("SOUTH/{name}"),
            };
            for (key, name) in sources {
                let found = rest.remove(&(origin.clone(), key.clone()));
                if found.as_ref() != Some(name) {
                    return Some(format!("{origin} {key} is {found:?}, not {name}"));
                }
            }
            for (key, names) in &self.hands[site] {
                let found = rest.remove(&(origin.clone(), key.clone()));
                if !names.contains(&found) {
                    return Some(format!("{origin} {key} is {found:?}, not one of {names:?}"));
                }
            }
        }
        rest.into_keys().next().map(|(origin, key)| format!("{origin} {key} is nobody's"))
    }

    /// Nobody is killed any more: all lists become equal, and hold what was acknowledged.
    fn settle(&mut self) {
        self.collect(true);
        self.start_agents();
        let end = Instant::now() + SETTLED;
        loop {
            let lists: Vec<_> = SITES.iter().map(|site| self.list(site)).collect();
            let server = lists[0].clone().expect("the server's list is read");
            let wrong = self.wrong(&server);
            let equal = lists.iter().all(|list| list.as_ref() == Some(&server));
            if equal && wrong.is_none() {
                break;
            }
            let said: Vec<String> = SITES.iter().map(|site| self.last_said(site)).collect();
            assert!(Instant::now() < end, "equal: {equal}; {wrong:?}\n{}", said.join("\n\n"));
            std::thread::sleep(Duration::from_millis(200));
        }
        for mut agent in self.agents.iter_mut().filter_map(Option::take) {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        // The agents died just now, perhaps while they wrote: what they left goes when the same is
        // written again, so something new is written to every inbox.
        (0..SITES.len()).for_each(|site| self.write_source(site));
        for _ in 0..4 {
            self.place.run("run a b c hq --once");
        }
        let digest = |site: &str| self.place.status(site)["digest"].clone();
        for site in SITES {
            self.place.run(&format!("-C {site} check")).expect(0);
            assert_eq!(digest(site), digest("hq"), "{site}");
            let said = self.place.read(&format!("{site}.said"));
            assert!(!said.contains("panicked"), "{site} panicked:\n{said}");
        }
        let left = temporaries(self.place.folder.path());
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Fire {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let orders = self.orders.iter_mut().map(|order| &mut order.child);
        for child in self.agents.iter_mut().flatten().chain(orders) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Kills until so many have died, settles every so many kills, and says how fast it was.
fn kill(seed: u64, kills: u64, settle_every: u64) {
    let begin = Instant::now();
    let mut fire = Fire::new(seed);
    let mut settled = 0;
    while fire.kills < kills {
        fire.start_agents();
        for _ in 0..fire.random.below(3) {
            let site = fire.random.below(SITES.len() as u64) as usize;
            fire.write_source(site);
        }
        for _ in 0..fire.random.below(4) {
            fire.order();
        }
        let pause = if fire.random.one_in(10) { 400 } else { 100 };
        std::thread::sleep(Duration::from_micros(fire.random.below(pause * 1000)));
        fire.kill();
        if fire.kills / settle_every > settled {
            settled = fire.kills / settle_every;
            fire.settle();
            eprintln!("seed {seed}: {} kills, {:.0} s", fire.kills, begin.elapsed().as_secs_f64());
        }
    }
    fire.settle();
    let rows = fire.list("a").map_or(0, |list| list.len());
    let took = begin.elapsed().as_secs_f64();
    eprintln!("seed {seed}: {} killed in {took:.0} s, {rows} entries are equal", fire.kills);
}

/// Whatever is killed when: what a command acknowledged is there at the end, every postoffice agrees
/// with itself after each kill, and all lists become equal without a command.
#[test]
fn killed_agents_and_commands_lose_nothing() {
    kill(1, 300, 1000);
}

/// The same at length: `DIRSYNC_KILLS=10000 cargo test -p dirsync --test fire -- --ignored
/// thousands_of_kills --nocapture`; `DIRSYNC_SEED` is another run.
#[test]
#[ignore = "long: run it as its comment says"]
fn thousands_of_kills() {
    kill(number("DIRSYNC_SEED", 2), number("DIRSYNC_KILLS", 1000), 500);
}
