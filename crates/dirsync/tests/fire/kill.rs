//! `kill -9` of agents and commands at random instants, under load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dirsync_testing::Random;

use crate::sandbox::Sandbox;
use crate::{number, quick_folder, temporaries};

const POSTOFFICES: [&str; 4] = ["hq", "a", "b", "c"];
/// Rows in each postoffice's source.
const ROWS: u64 = 40;
/// How long all lists may take to be equal when nobody is killed any more.
const SETTLED: Duration = Duration::from_secs(60);

/// What a key may be called at the end; more than one name, or none, where a command was killed
/// and nobody knows whether it had done its work.
type Names = BTreeSet<Option<String>>;

/// A command under way, and what it makes of its key.
struct Order {
    postoffice: usize,
    key: String,
    name: Option<String>,
    child: Child,
}

/// A server and three requestors with their agents, and what they were told.
struct Fire {
    sandbox: Sandbox,
    random: Random,
    agents: Vec<Option<Child>>,
    orders: Vec<Order>,
    /// By postoffice: the rows of its source as last written, by key.
    sources: Vec<BTreeMap<String, String>>,
    /// By postoffice: what became of the keys that commands wrote.
    hands: Vec<BTreeMap<String, Names>>,
    drawn: u64,
    kills: u64,
}

impl Fire {
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox { folder: quick_folder() };
        sandbox.run("-C hq init NORTH/HQ --server").expect(0);
        for postoffice in &POSTOFFICES[1..] {
            let add = format!(
                "-C hq requestor add SOUTH/{postoffice} --folder share --out {postoffice}.inv"
            );
            sandbox.run(&add).expect(0);
            sandbox.run(&format!("-C {postoffice} init --invitation {postoffice}.inv")).expect(0);
        }
        for postoffice in POSTOFFICES {
            let settings = format!(
                "[schedule]\npoll = \"1 s\"\n[guard]\nentries = 1000000\npercent = 100\n\
                 [[source]]\nname = \"hr\"\nfile = \"../people/{postoffice}.csv\"\nwhole = true\n\
                 [[target]]\nfile = \"list.csv\"\n"
            );
            sandbox.write(&format!("{postoffice}/dirsync.toml"), &settings);
        }
        std::fs::create_dir(sandbox.path("people")).unwrap();
        let mut fire = Self {
            sandbox,
            random: Random::new(seed),
            agents: POSTOFFICES.map(|_| None).into(),
            orders: Vec::new(),
            sources: POSTOFFICES.map(|_| BTreeMap::new()).into(),
            hands: POSTOFFICES.map(|_| BTreeMap::new()).into(),
            drawn: 0,
            kills: 0,
        };
        (0..POSTOFFICES.len()).for_each(|postoffice| fire.write_source(postoffice));
        fire
    }

    fn draw(&mut self, word: &str) -> String {
        self.drawn += 1;
        format!("{word} {}", self.drawn)
    }

    /// Changes some rows of a source, at times takes one out, and puts the file in its place.
    fn write_source(&mut self, postoffice: usize) {
        for _ in 0..8 {
            let key = format!("{}", self.random.below(ROWS));
            let name = self.draw("Person");
            self.sources[postoffice].insert(key, name);
        }
        if self.random.one_in(2) {
            let key = format!("{}", self.random.below(ROWS));
            self.sources[postoffice].remove(&key);
        }
        let mut text = String::from("key,cn,mail\n");
        for (key, name) in &self.sources[postoffice] {
            text.push_str(&format!("{key},{name},p{key}@{}.example\n", POSTOFFICES[postoffice]));
        }
        // What nobody wrote is no empty file: a source is put in its place whole.
        self.sandbox.write("people/next", &text);
        let file = self.sandbox.path(&format!("people/{}.csv", POSTOFFICES[postoffice]));
        std::fs::rename(self.sandbox.path("people/next"), file).unwrap();
    }

    fn said(&self, postoffice: &str) -> File {
        let path = self.sandbox.path(&format!("{postoffice}.said"));
        OpenOptions::new().create(true).append(true).open(path).unwrap()
    }

    fn spawn(&self, postoffice: usize, words: &[&str]) -> Child {
        let mut command = self.sandbox.command(words);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.said(POSTOFFICES[postoffice]));
        command.spawn().unwrap()
    }

    /// Starts every agent that is not running. One that ended by itself is a failure.
    fn start_agents(&mut self) {
        for (postoffice, name) in POSTOFFICES.iter().enumerate() {
            if let Some(agent) = &mut self.agents[postoffice] {
                let ended = agent.try_wait().unwrap();
                assert!(ended.is_none(), "{name}: {ended:?}\n{}", self.last_said(name));
                continue;
            }
            self.agents[postoffice] = Some(self.spawn(postoffice, &["run", name]));
        }
    }

    fn last_said(&self, postoffice: &str) -> String {
        let text = self.sandbox.read(&format!("{postoffice}.said"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Begins a command that adds, changes or deletes an entry whose state is known.
    fn order(&mut self) {
        let postoffice = self.random.below(POSTOFFICES.len() as u64) as usize;
        let busy =
            |key: &str| self.orders.iter().any(|o| o.postoffice == postoffice && o.key == key);
        let known: Vec<(String, Option<String>)> = self.hands[postoffice]
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
                let address = format!("SMTP:{key}@{}.example", POSTOFFICES[postoffice]);
                let words = ["add", "--key", &key, "--name", &name, "--address", &address];
                let words = words.map(str::to_owned).to_vec();
                (key, Some(name), words)
            }
        };
        // Until it is known to have succeeded, both may be.
        let names =
            self.hands[postoffice].entry(key.clone()).or_insert_with(|| Names::from([None]));
        names.insert(new.clone());
        let mut line = vec!["-C", POSTOFFICES[postoffice], "entry"];
        line.extend(words.iter().map(String::as_str));
        let child = self.spawn(postoffice, &line);
        self.orders.push(Order { postoffice, key, name: new, child });
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
            assert!(
                ended.success(),
                "{}\n{}",
                order.key,
                self.last_said(POSTOFFICES[order.postoffice])
            );
            self.hands[order.postoffice].insert(order.key, Names::from([order.name]));
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
        for postoffice in 0..POSTOFFICES.len() {
            if all || self.random.one_in(2) {
                killed.extend(self.agents[postoffice].take().map(|agent| (postoffice, agent)));
            }
        }
        let mut left = Vec::new();
        for order in std::mem::take(&mut self.orders) {
            if self.random.one_in(2) {
                killed.push((order.postoffice, order.child));
            } else {
                left.push(order);
            }
        }
        self.orders = left;
        for (postoffice, child) in &mut killed {
            child.kill().unwrap();
            hit.insert(*postoffice);
        }
        for (_, child) in &mut killed {
            child.wait().unwrap();
        }
        for postoffice in hit {
            let check = self.sandbox.run(&format!("-C {} check", POSTOFFICES[postoffice]));
            let said = self.last_said(POSTOFFICES[postoffice]);
            assert_eq!(
                check.code, 0,
                "{}: {}{}\n{said}",
                POSTOFFICES[postoffice], check.out, check.err
            );
        }
        self.kills += killed.len() as u64;
        killed.len() as u64
    }

    /// What a postoffice's list holds: name by origin and key.
    fn list(&self, postoffice: &str) -> Option<BTreeMap<(String, String), String>> {
        let ran = self.sandbox.run(&format!("-C {postoffice} entry list --json"));
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
        for (postoffice, sources) in self.sources.iter().enumerate() {
            let origin = match POSTOFFICES[postoffice] {
                "hq" => "NORTH/HQ".to_owned(),
                name => format!("SOUTH/{name}"),
            };
            for (key, name) in sources {
                let found = rest.remove(&(origin.clone(), key.clone()));
                if found.as_ref() != Some(name) {
                    return Some(format!("{origin} {key} is {found:?}, not {name}"));
                }
            }
            for (key, names) in &self.hands[postoffice] {
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
            let lists: Vec<_> =
                POSTOFFICES.iter().map(|postoffice| self.list(postoffice)).collect();
            let server = lists[0].clone().expect("the server's list is read");
            let wrong = self.wrong(&server);
            let equal = lists.iter().all(|list| list.as_ref() == Some(&server));
            if equal && wrong.is_none() {
                break;
            }
            let said: Vec<String> =
                POSTOFFICES.iter().map(|postoffice| self.last_said(postoffice)).collect();
            assert!(Instant::now() < end, "equal: {equal}; {wrong:?}\n{}", said.join("\n\n"));
            std::thread::sleep(Duration::from_millis(200));
        }
        for mut agent in self.agents.iter_mut().filter_map(Option::take) {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        // The agents died just now, perhaps while they wrote: what they left goes when the same is
        // written again, so something new is written to every inbox.
        (0..POSTOFFICES.len()).for_each(|postoffice| self.write_source(postoffice));
        for _ in 0..4 {
            self.sandbox.run("run a b c hq --once");
        }
        let digest = |postoffice: &str| self.sandbox.status(postoffice)["digest"].clone();
        for postoffice in POSTOFFICES {
            self.sandbox.run(&format!("-C {postoffice} check")).expect(0);
            assert_eq!(digest(postoffice), digest("hq"), "{postoffice}");
            let said = self.sandbox.read(&format!("{postoffice}.said"));
            assert!(!said.contains("panicked"), "{postoffice} panicked:\n{said}");
        }
        let left = temporaries(self.sandbox.folder.path());
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
            let postoffice = fire.random.below(POSTOFFICES.len() as u64) as usize;
            fire.write_source(postoffice);
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
