//! Two real directories with a real history: the chambers of the United States Congress, 2017 to
//! 2021 (`testdata/congress`). People join, leave, change office and phone, and some move from one
//! chamber to the other; one state lacks the keys of 60 rows and most phones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dirsync_agent::changes::{ReadReport, ReadSettings, approve};
use dirsync_agent::intake::{SourceFile, take_in};
use dirsync_connect::{Format, Map, OpenOptions, Template};
use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::requestor::{claim, release};
use dirsync_protocol::tables::ListPlace;
use dirsync_store::Store;

use dirsync_testing::{DAY_MS, SERVER, World, held_changes};

const SENATE: &str = "US/SENATE";
const HOUSE: &str = "US/HOUSE";
const PRESS: &str = "US/PRESS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/congress")
}

/// The states in the order of their dates; `-2` is a second one of the same day.
fn states() -> Vec<String> {
    let mut states: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.starts_with("20"))
        .collect();
    states.sort();
    assert_eq!(states.len(), 58);
    states
}

fn map() -> Map {
    let line = |text| vec![Template::parse(text).unwrap().into()];
    let details = [
        ("telephoneNumber", "{phone}"),
        ("street", "{address}"),
        ("st", "{state}"),
        ("labeledURI", "{url}"),
    ];
    Map {
        key: line("{bioguide_id}"),
        name: line("{first_name} {last_name}"),
        address: line("SMTP:{bioguide_id}@congress.example"),
        details: details.map(|(name, text)| (name.parse().unwrap(), line(text))).into(),
        ..Map::default()
    }
}

fn import(world: &mut World, postoffice: &'static str, state: &str) -> ReadReport {
    let file = if postoffice == SENATE { "senate.csv" } else { "house.csv" };
    let postoffice = world.at(postoffice);
    let settings = ReadSettings {
        source: "congress".into(),
        whole: true,
        now: postoffice.now,
        ..ReadSettings::default()
    };
    let options = OpenOptions { map: Some(map()), ..OpenOptions::default() };
    let path = folder().join(state).join(file);
    let taken_in = postoffice.transact(|tables, _, _| {
        let file = SourceFile { path: &path, format: Format::Csv, options: &options };
        take_in(tables, file, settings, false, &mut |_| {})
    });
    let intake = taken_in.unwrap();
    assert!(intake.broke_off.is_none());
    intake.report
}

/// Who is listed at a postoffice: bioguide id → owners.
fn listed(world: &mut World, postoffice: &str) -> BTreeMap<String, Vec<String>> {
    let mut listed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut tables = world.at(postoffice).store.begin().unwrap();
    tables
        .visit_list(ListPlace::Live, &mut |row| {
            listed.entry(row.key.to_owned()).or_default().push(row.owner.to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    listed
}

/// What the last state says, read with nothing of ours but the files: (owner, id, name, address,
/// sorted details).
fn expected(state: &str) -> BTreeSet<(String, String, String, String, Vec<String>)> {
    let mut expected = BTreeSet::new();
    for (owner, file) in [(SENATE, "senate.csv"), (HOUSE, "house.csv")] {
        let mut reader = csv::Reader::from_path(folder().join(state).join(file)).unwrap();
        let headers = reader.headers().unwrap().clone();
        for row in reader.records() {
            let row = row.unwrap();
            let field = |name: &str| {
                let at = headers.iter().position(|header| header == name).unwrap();
                row[at].trim().to_owned()
            };
            let id = field("bioguide_id");
            let mut details: Vec<String> = [
                ("telephoneNumber", "phone"),
                ("street", "address"),
                ("st", "state"),
                ("labeledURI", "url"),
            ]
            .into_iter()
            .filter(|(_, column)| !field(column).is_empty())
            .map(|(attribute, column)| format!("{attribute}/{}", field(column)))
            .collect();
            details.sort();
            let name = format!("{} {}", field("first_name"), field("last_name"));
            let address = format!("SMTP:{id}@congress.example");
            expected.insert((owner.to_owned(), id, name, address, details));
        }
    }
    expected
}

/// Loses some messages and doubles others: which, the number of the cycle decides.
struct Postman {
    cycle: u64,
    lost: u64,
    copies: Vec<(PostofficeName, dirsync_carrier::Arrived, Vec<u8>)>,
}

impl Postman {
    fn interfere(&mut self, world: &World, to: &str, every: u64) {
        let to: PostofficeName = to.parse().unwrap();
        for message in world.network.pending(&to) {
            if self.cycle.is_multiple_of(3) {
                let bytes = world.network.copy(&to, &message).unwrap();
                self.copies.push((to.clone(), message.clone(), bytes));
            }
            if (self.cycle + message.number).is_multiple_of(every) {
                world.network.lose(&to, &message);
                self.lost += 1;
            }
        }
    }

    fn deliver_copies(&mut self, world: &World) {
        for (to, message, bytes) in self.copies.drain(..) {
            world.network.deliver(&to, &message, bytes);
        }
    }

    fn run_cycle(&mut self, world: &mut World, with_faults: bool) {
        self.cycle += 1;
        for postoffice in [SERVER, SENATE, HOUSE, PRESS] {
            world.send(postoffice);
        }
        if with_faults {
            self.interfere(world, SERVER, 11);
        }
        world.process();
        if with_faults {
            self.interfere(world, PRESS, 5);
            self.interfere(world, HOUSE, 7);
        }
        for postoffice in [SERVER, SENATE, HOUSE, PRESS] {
            world.apply(postoffice);
        }
        self.deliver_copies(world);
    }
}

/// Nobody is listed twice; who moves from one chamber to the other is missing for at most one cycle,
/// plus one for each lost message.
struct Movers {
    movers: BTreeSet<String>,
    missing: BTreeMap<String, u64>,
}

impl Movers {
    fn of_all_states() -> Self {
        let mut chambers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for state in states() {
            for (owner, id, ..) in expected(&state) {
                let chamber = if owner == SENATE { "senate" } else { "house" };
                chambers.entry(id).or_default().insert(chamber);
            }
        }
        let movers = chambers.into_iter().filter(|(id, both)| !id.is_empty() && both.len() == 2);
        Self { movers: movers.map(|(id, _)| id).collect(), missing: BTreeMap::new() }
    }

    fn look(&mut self, world: &mut World, lost: u64) {
        for postoffice in [SERVER, SENATE, HOUSE, PRESS] {
            let listed = listed(world, postoffice);
            for (id, owners) in &listed {
                assert_eq!(owners.len(), 1, "{id} is listed twice at {postoffice}: {owners:?}");
            }
            for id in &self.movers {
                let key = format!("{postoffice} {id}");
                let missing = self.missing.entry(key.clone()).or_insert(u64::MAX);
                if listed.contains_key(id) {
                    *missing = 0;
                } else if *missing != u64::MAX {
                    *missing += 1;
                    assert!(*missing <= 1 + lost, "{key} is missing for {missing} cycles");
                }
            }
        }
    }
}

#[test]
fn four_years_of_two_chambers_end_equal_everywhere() {
    let mut world = World::new(&[SENATE, HOUSE, PRESS]);
    let mut postman = Postman { cycle: 0, lost: 0, copies: Vec::new() };
    let mut movers = Movers::of_all_states();
    assert!(movers.movers.len() >= 7, "{:?}", movers.movers);
    let states = states();
    let mut held_at = Vec::new();
    // First contact: until the server has answered, nobody may delete.
    postman.run_cycle(&mut world, false);
    for (number, state) in states.iter().enumerate() {
        let date: jiff::civil::Date = state[..10].parse().unwrap();
        let at = jiff::tz::TimeZone::UTC.to_timestamp(date.at(12, 0, 0, 0)).unwrap();
        let hour = if state.len() > 10 { 60 * 60 * 1000 } else { 0 };
        for postoffice in world.postoffices.values_mut() {
            postoffice.now = at.as_millisecond() as u64 + hour;
        }
        let reports =
            [SENATE, HOUSE].map(|postoffice| (postoffice, import(&mut world, postoffice, state)));
        let last = number + 1 == states.len();
        postman.run_cycle(&mut world, !last);
        movers.look(&mut world, postman.lost);
        for (postoffice, report) in &reports {
            if report.held + report.held_removals == 0 {
                continue;
            }
            held_at.push(format!("{state} {postoffice}"));
            assert!(!report.warnings.is_empty(), "a hold is said");
            if state == "2021-01-03" {
                // The keys and phones are back in the next state: no command is needed.
                assert_eq!(report.held_removals, 0, "rows without keys delete nobody");
                continue;
            }
            // What is held held up nothing else; one command where it waits lets it through.
            let before = listed(&mut world, postoffice).len();
            let postoffice = world.at(postoffice);
            let approved =
                postoffice.transact(|tables, context, _| approve(tables, context.now, None));
            assert_eq!(approved.unwrap(), report.held + report.held_removals);
            assert!(before > 0);
            postman.run_cycle(&mut world, !last);
            movers.look(&mut world, postman.lost);
        }
    }
    assert!(held_at.iter().any(|at| at.starts_with("2019-01-04 US/HOUSE")), "{held_at:?}");
    assert!(held_at.iter().any(|at| at.starts_with("2021-01-03-2 US/HOUSE")), "{held_at:?}");
    assert!(postman.lost > 10, "{} messages were lost", postman.lost);
    for _ in 0..3 {
        postman.run_cycle(&mut world, false);
    }
    world.converged();
    let mut found = BTreeSet::new();
    let mut tables = world.at(PRESS).store.begin().unwrap();
    tables
        .visit_list(ListPlace::Live, &mut |row| {
            found.insert((
                row.owner.to_string(),
                row.key.to_owned(),
                row.record.name.to_owned(),
                row.record.addresses.to_owned(),
                row.record.details.lines().map(str::to_owned).collect::<Vec<_>>(),
            ));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, expected(states.last().unwrap()));
}

/// `docs/failure-stories.md` §1, with the real state of 2021-01-03.
#[test]
fn rows_without_their_key_delete_nobody() {
    let mut world = World::new(&[HOUSE]);
    world.cycle();
    import(&mut world, HOUSE, "2020-12-07");
    world.cycle();
    let before = world.converged().len();
    world.at(HOUSE).now += 30 * DAY_MS;
    let report = import(&mut world, HOUSE, "2021-01-03");
    assert_eq!(report.quarantined, 57);
    assert_eq!((report.removed, report.held_removals), (0, 0));
    assert_eq!(report.absent_kept, 57);
    assert!(report.held > 300, "the mass blanking of phones is held: {}", report.held);
    world.cycle();
    assert_eq!(world.converged().len(), before + 3, "three are new, nobody is gone");
    world.at(HOUSE).now += DAY_MS;
    let report = import(&mut world, HOUSE, "2021-01-03-2");
    assert_eq!(report.quarantined, 0);
    let store = &mut world.at(HOUSE).store;
    let mut tables = store.begin().unwrap();
    assert!(tables.quarantined().unwrap().is_empty(), "the next good read clears the cases");
    let blanks = held_changes(&mut *tables)
        .unwrap()
        .iter()
        .filter(|held| held.kind == dirsync_protocol::guard::GuardKind::Blank)
        .count();
    assert_eq!(blanks, 0, "and the holds");
}

/// A person moves by release and claim: the entry's id survives.
#[test]
fn a_transfer_keeps_the_id() {
    let mut world = World::new(&[SENATE, HOUSE, PRESS]);
    import(&mut world, HOUSE, "2018-12-07");
    world.cycle();
    world.cycle();
    let house: PostofficeName = HOUSE.parse().unwrap();
    let id = EntryId::derive(&house, "S001191");
    let senate: PostofficeName = SENATE.parse().unwrap();
    let house = world.at(HOUSE);
    house.transact(|tables, context, _| release(tables, context.now, id, Some(senate))).unwrap();
    world.cycle();
    world.cycle();
    let senate = world.at(SENATE);
    senate.transact(|tables, context, _| claim(tables, context.now, id, "congress")).unwrap();
    world.cycle();
    world.cycle();
    world.converged();
    let mut tables = world.at(PRESS).store.begin().unwrap();
    let row = tables.list_row(ListPlace::Live, id).unwrap().expect("the id is listed");
    assert_eq!((row.owner.to_string().as_str(), row.key.as_str()), (SENATE, "S001191"));
    drop(tables);
    // The house's next state lacks her: that deletes nobody else's entry.
    assert!(world.at(HOUSE).store.begin().unwrap().own(id).unwrap().is_none());
}
