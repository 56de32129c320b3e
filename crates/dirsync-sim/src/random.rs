//! Random steps with faults, from a seed; then the faults stop and the world must settle. What breaks
//! is shrunk to the shortest trace found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dirsync_testing::Random;

use crate::agents::Pace;
use crate::calendar::Calendar;
use crate::check::{Checked, claimable, own_of};
use crate::naming::{Sight, name_of};
use crate::network::Parts;
use crate::plan::{Kind, Plan};
use crate::step::{Change, Delivery, Step, Trouble};
use crate::world::{Setup, World, site_of};

/// Steps that need no budget, with how often they come relative to others.
const FREE: [(Kind, u64); 4] =
    [(Kind::Send, 3), (Kind::Take, 6), (Kind::Answer, 5), (Kind::Apply, 6)];

/// A world that was run to its end.
pub struct Run {
    /// The world as it ended.
    pub world: World,
    /// The random steps that were done.
    pub trace: Vec<Step>,
    /// How many cycles it took to settle, or what broke.
    pub result: Checked<usize>,
}

/// Runs the world of a plan. What panics in it is broken as well.
pub fn run(plan: &Plan, random: Random) -> Run {
    let mut world = World::with(plan.setup.clone());
    let result = unwound(|| run_in(&mut world, plan, random));
    ended(world, result)
}

fn run_in(world: &mut World, plan: &Plan, mut random: Random) -> Checked<usize> {
    let mut budget = plan.budget.clone();
    for step in &plan.told {
        let edit = plan.edited > 0 && random.one_in(plan.edited);
        match if edit { random.below(3) } else { 3 } {
            0 => continue,
            1 => {
                world.step(step)?;
            }
            2 => {
                let (_, other) = choose(world, &mut random, plan, &budget);
                world.step(&other)?;
            }
            _ => {}
        }
        world.step(step)?;
    }
    if plan.days > 0 {
        let mut calendar = Calendar::draw(world, &mut random);
        calendar.live(world, &mut random, plan.days, |world, random| {
            choose(world, random, plan, &budget).1
        })?;
        return world.try_settle(plan.approving);
    }
    if plan.has(Kind::Night) {
        live_nights(world, &mut random, plan, &budget)?;
        return world.try_settle(plan.approving);
    }
    if plan.has(Kind::Run) {
        start_agents(world, &mut random)?;
    }
    let mut done = 0;
    for _ in 0..plan.steps * 40 {
        if done == plan.steps {
            break;
        }
        let (kind, step) = choose(world, &mut random, plan, &budget);
        if world.step(&step)? {
            done += 1;
            for (limited, left) in &mut budget {
                if *limited == kind {
                    *left -= 1;
                }
            }
        }
    }
    world.try_settle(plan.approving)
}

/// Nights and changes, and nothing else: no byte passes a line in vain, and no night.
fn live_nights(
    world: &mut World,
    random: &mut Random,
    plan: &Plan,
    budget: &[(Kind, u64)],
) -> Checked<()> {
    let registered = random.below(2 * plan.steps as u64) as usize;
    for nth in 0..plan.steps {
        if nth == registered {
            world.step(&Step::Register("C".into()))?;
        }
        let (_, step) = choose(world, random, plan, budget);
        world.step(&step)?;
        for machine in world.machines() {
            let Step::Night(_, bytes, parts) = night(random, machine.clone()) else { continue };
            if !world.is_slow(name_of(&machine)) {
                world.step(&Step::Go(machine))?;
            } else if !random.one_in(3) {
                world.step(&Step::Night(machine, bytes, parts))?;
            }
        }
    }
    Ok(())
}

/// Agents look after all sites, some in one process and at one pace, some not.
fn start_agents(world: &mut World, random: &mut Random) -> Checked<()> {
    // Two that are next to each other: who asks every minute is late for one who answers once a night.
    let at = random.below(Pace::ALL.len() as u64) as usize;
    let paces = [at, if random.one_in(2) { at } else { (at + 1).min(Pace::ALL.len() - 1) }];
    let sites = world.site_names().into_iter();
    let paces = sites.map(|site| (site, Pace::ALL[random.pick(&paces)].1)).collect();
    world.step(&Step::Agent(paces)).map(|_| ())
}

fn ended(world: World, result: Checked<usize>) -> Run {
    let trace = world.trace.clone();
    Run { world, trace, result }
}

/// A panic of a step as what is broken.
fn unwound(run: impl FnOnce() -> Checked<usize>) -> Checked<usize> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a word")))
    })
}

/// The steps of a trace that are possible, then settles.
pub fn replay(setup: &Setup, approving: bool, trace: &[Step]) -> Run {
    let mut world = World::with(setup.clone());
    let result = unwound(|| {
        for step in trace {
            world.step(step)?;
        }
        world.try_settle(approving)
    });
    ended(world, result)
}

/// The shortest trace found that breaks in the same way, and what it breaks.
pub fn shrink(plan: &Plan, trace: Vec<Step>, why: &str) -> (Vec<Step>, String) {
    let kind = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
    let (mut shortest, mut why) = (trace, why.to_owned());
    let mut size = shortest.len().div_ceil(2).max(1);
    loop {
        let (mut at, mut changed) = (0, false);
        while at < shortest.len() {
            let mut shorter = shortest.clone();
            shorter.drain(at..(at + size).min(shortest.len()));
            let Run { trace, result, .. } = replay(&plan.setup, plan.approving, &shorter);
            match result {
                Err(found) if kind(&found) == kind(&why) => {
                    (shortest, why, changed) = (trace, found, true);
                }
                _ => at += size,
            }
        }
        if size == 1 && !changed {
            return (shortest, why);
        }
        size = (size / 2).max(1);
    }
}

/// The next kind of step, drawn by weight.
fn choose_kind(random: &mut Random, budget: &[(Kind, u64)]) -> Kind {
    let weight = |kind: Kind| {
        if matches!(kind, Kind::Change | Kind::Hand | Kind::Run | Kind::Line) { 3 } else { 1 }
    };
    let limited =
        budget.iter().filter(|(_, left)| *left > 0).map(|(kind, _)| (*kind, weight(*kind)));
    let by_agents = budget.iter().any(|(kind, _)| matches!(kind, Kind::Run | Kind::Night));
    let free = FREE.into_iter().filter(|_| !by_agents);
    let kinds: Vec<(Kind, u64)> = free.chain(limited).collect();
    let mut at = random.below(kinds.iter().map(|(_, weight)| weight).sum());
    for (kind, weight) in &kinds {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *kind,
        }
    }
    Kind::Send
}

/// By how many seconds a clock may be wrong.
const CLOCKS: [i64; 9] = [-400_000, -86_400, -3600, -5, 0, 5, 3600, 86_400, 400_000];

fn choose(
    world: &mut World,
    random: &mut Random,
    plan: &Plan,
    budget: &[(Kind, u64)],
) -> (Kind, Step) {
    let kind = choose_kind(random, budget);
    if kind == Kind::Hand
        && random.one_in(2)
        && let Some(step) = hand_over(world, random)
    {
        return (kind, step);
    }
    let names: Vec<char> = plan.setup.postoffices.chars().collect();
    let name = random.pick(&names);
    let twin = plan.has(Kind::Clone) && random.one_in(3);
    let number =
        if twin && plan.has(Kind::Turn) { 2 + random.below(2) } else { 1 + u64::from(twin) };
    let machine = format!("{name}{number}");
    let servers = [Kind::Promote, Kind::Move, Kind::CloneServer].iter().any(|kind| plan.has(*kind));
    let server = if servers && random.one_in(2) { "s2" } else { "s1" }.to_owned();
    let owner = if random.one_in(4) { random.pick(&names) } else { name };
    let key = format!("{}{}", owner.to_ascii_lowercase(), 1 + random.below(plan.keys));
    let step = match kind {
        Kind::Send
        | Kind::Take
        | Kind::Answer
        | Kind::Apply
        | Kind::Double
        | Kind::Harm
        | Kind::Crash
        | Kind::Drop
        | Kind::Parts => exchange(random, kind, name.to_string(), machine, server),
        Kind::Change
        | Kind::Collide
        | Kind::Hide
        | Kind::Hand
        | Kind::Mass
        | Kind::Read
        | Kind::Undo => {
            let collides = plan.has(Kind::Collide);
            Step::Change(machine, change(random, kind, key, &names, collides))
        }
        Kind::View => Step::View(machine, random.pick(&Sight::ALL).1),
        Kind::Disk => disk(random, machine, server),
        Kind::Clock => clock(random, machine, server),
        Kind::Wait => Step::Wait(1 + random.below(20)),
        Kind::BackupServer => Step::Backup(server),
        Kind::RestoreServer => Step::Restore(server, random.one_in(3)),
        Kind::BackupMachine => Step::Backup(machine),
        Kind::RestoreMachine => Step::Restore(machine, random.one_in(3)),
        Kind::Reinstall => Step::Reinstall(machine),
        Kind::Clone => Step::Clone(format!("{name}1")),
        Kind::Standby => Step::Standby,
        Kind::Promote => Step::Promote,
        Kind::Move => Step::Move,
        Kind::Purge => Step::Purge(server),
        Kind::Remove => Step::Remove(name.to_string()),
        Kind::Decide => decide(random),
        Kind::Damage => Step::Damage(machine, key),
        Kind::Turn => turn(random, machine, server),
        Kind::CloneServer => Step::Clone("s1".into()),
        Kind::Line | Kind::Wipe | Kind::Rate => of_lines(random, kind, machine, server),
        Kind::Night => night(random, machine),
        Kind::Rotate => Step::Rotate(site_of(&pick_site(random, machine, server)).to_owned()),
        Kind::Run | Kind::Away => of_agents(world, random, kind, name),
        Kind::Stop => stop(world, random, &machine, &server),
    };
    (kind, step)
}

/// The line of a machine passes some bytes, which may not be enough for a body, or bodies are lost.
fn of_lines(random: &mut Random, kind: Kind, machine: String, server: String) -> Step {
    if kind == Kind::Wipe {
        return Step::Wipe(pick_site(random, machine, server));
    }
    if kind == Kind::Rate {
        let rate = random.pick(&[Some(100), Some(300), Some(1000), None]);
        return Step::Rate(name_of(&machine).to_owned(), rate);
    }
    let bytes = random.pick(&[0, 100, 300, 700, 1500, 100_000]);
    Step::Line { machine, bytes, server, lost: random.one_in(20) }
}

/// A night in which the line passes less than most bodies have.
fn night(random: &mut Random, machine: String) -> Step {
    let bytes = random.pick(&[150, 400, 1000, 100_000]);
    let parts = if random.one_in(4) { Parts::Each } else { Parts::One };
    Step::Night(machine, bytes, parts)
}

/// A disk that is full, or has space again.
fn disk(random: &mut Random, machine: String, server: String) -> Step {
    let is_full = random.one_in(2);
    let site = pick_site(random, machine, server);
    if is_full { Step::Full(site) } else { Step::Space(site) }
}

/// A clock goes wrong, or right again.
fn clock(random: &mut Random, machine: String, server: String) -> Step {
    let seconds = random.pick(&CLOCKS);
    Step::Clock(pick_site(random, machine, server), seconds)
}

/// A person decides what is held.
fn decide(random: &mut Random) -> Step {
    if random.one_in(3) { Step::Reject } else { Step::Approve }
}

/// Somebody takes what lies in an inbox.
fn turn(random: &mut Random, machine: String, server: String) -> Step {
    match random.below(5) {
        0 | 1 => Step::Turn(server),
        2 => Step::Inbox(machine),
        _ => Step::Turn(machine),
    }
}

/// Time in which agents work, or a place that they use.
fn of_agents(world: &World, random: &mut Random, kind: Kind, name: char) -> Step {
    if kind == Kind::Away {
        return Step::Away(name.to_string(), random.one_in(2));
    }
    let tenths = world.cycle_minutes() * random.pick(&[1, 2, 5, 10, 20, 45]);
    Step::Run((tenths / 10).max(1))
}

/// A process ends, or one that ended begins again.
fn stop(world: &World, random: &mut Random, machine: &str, server: &str) -> Step {
    let site = site_of(if random.one_in(3) { server } else { machine }).to_owned();
    if random.one_in(2) {
        Step::Stop(site)
    } else {
        Step::Agent(vec![(site.clone(), world.pace_of(&site))])
    }
}

fn pick_site(random: &mut Random, machine: String, server: String) -> String {
    if random.one_in(3) { server } else { machine }
}

/// A machine claims what it could claim, or else offers what it has: blind choices come to that once in
/// many worlds.
fn hand_over(world: &mut World, random: &mut Random) -> Option<Step> {
    let (mut claims, mut offers) = (Vec::new(), Vec::new());
    for machine in world.live_machines("") {
        for id in claimable(world.site(&machine), name_of(&machine)) {
            claims.push(Step::Change(machine.clone(), Change::Claim(world.ghost.key(id).into())));
        }
        let own = own_of(world.site(&machine)).into_values();
        offers.extend(
            own.filter(|row| row.released_to.is_none()).map(|row| (machine.clone(), row.key)),
        );
    }
    if !claims.is_empty() && !random.one_in(4) {
        return Some(claims.swap_remove(random.below(claims.len() as u64) as usize));
    }
    let (machine, key) = offers.get(random.below(offers.len().max(1) as u64) as usize)?.clone();
    let others: Vec<String> =
        world.names().into_iter().filter(|name| name != name_of(&machine)).collect();
    let to = others.get(random.below(others.len().max(1) as u64) as usize)?.clone();
    Some(Step::Change(machine, Change::Release(key, to)))
}

/// A step of the cycle, undisturbed or not.
fn exchange(
    random: &mut Random,
    kind: Kind,
    name: String,
    machine: String,
    server: String,
) -> Step {
    let at = random.below(3) as usize;
    let (mut delivery, mut trouble, mut parts) = (Delivery::Whole, Trouble::None, Parts::One);
    match kind {
        Kind::Double => delivery = Delivery::Keep,
        Kind::Harm => {
            let place = random.below(1000);
            delivery = match random.below(3) {
                0 => Delivery::Cut(place),
                1 => Delivery::Flip(place),
                _ => Delivery::Twice,
            };
        }
        Kind::Crash if random.one_in(3) => trouble = Trouble::Breaks(random.below(3)),
        Kind::Crash => trouble = Trouble::Dies(1 + random.below(40)),
        Kind::Parts if random.one_in(2) => parts = Parts::First,
        Kind::Parts => parts = Parts::Each,
        Kind::Drop => return Step::Drop { is_request: random.one_in(2), name, at },
        _ => {}
    }
    let step = match kind {
        Kind::Send => 0,
        Kind::Take => 1,
        Kind::Answer | Kind::Parts => 2,
        Kind::Apply => 3,
        Kind::Double | Kind::Harm => 1 + 2 * random.below(2),
        _ => random.below(4),
    };
    match step {
        0 => Step::Request(machine, trouble),
        1 => Step::Take { name, at, server, delivery, trouble },
        2 => Step::Answer { name, server, parts, trouble },
        _ => Step::Apply { machine, at, delivery, trouble },
    }
}

fn change(random: &mut Random, kind: Kind, key: String, names: &[char], collides: bool) -> Change {
    let address = random.pick(&["x", "y"]).to_owned();
    match kind {
        Kind::Change => match random.below(3) {
            0 if collides => Change::Add(key, vec![address]),
            0 => Change::Add(key.clone(), vec![key]),
            1 => Change::Modify(key),
            _ => Change::Delete(key),
        },
        Kind::Collide if random.one_in(4) => Change::Rename(key, vec!["x".into(), "y".into()]),
        Kind::Collide => Change::Rename(key, vec![address]),
        Kind::Hide => Change::Hide(key),
        Kind::Hand => match random.below(4) {
            0 => Change::Release(key, random.pick(names).to_string()),
            1 => Change::Withdraw(key),
            _ => Change::Claim(key),
        },
        Kind::Mass => Change::Mass,
        Kind::Undo => undo(random),
        _ => read(random, key),
    }
}

/// What a person undoes: mostly what was done last.
fn undo(random: &mut Random) -> Change {
    match random.below(6) {
        0 => Change::Undo(Some(1)),
        1 => Change::Undo(Some(2 + random.below(4) as usize)),
        2 => Change::GoOn(random.pick(&["list", "more", "part"]).to_owned()),
        _ => Change::Undo(None),
    }
}

/// What happens around a source.
fn read(random: &mut Random, key: String) -> Change {
    let source = random.pick(&["list", "list", "more", "part"]).to_owned();
    match random.below(8) {
        0 | 1 => {
            let letter = &key[..1];
            let numbers = (1..5).filter(|_| random.one_in(2));
            Change::File(source, numbers.map(|number| format!("{letter}{number}")).collect())
        }
        2 => Change::Line(source, key),
        3 => Change::Decide(random.one_in(2)),
        4 => Change::Read(source, false),
        _ => Change::Read(source, true),
    }
}
