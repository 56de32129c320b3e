//! Copies of a folder that work side by side, and copies of a server that take the place of later ones.

use std::collections::BTreeSet;

use dirsync_sim::world::World;

/// All orders of some words.
fn orders<'a>(words: &[&'a str]) -> Vec<Vec<&'a str>> {
    if words.is_empty() {
        return vec![Vec::new()];
    }
    let begun = words.iter().enumerate().flat_map(|(at, first)| {
        let rest: Vec<&str> = [&words[..at], &words[at + 1..]].concat();
        orders(&rest).into_iter().map(move |order| [vec![*first], order].concat())
    });
    begun.collect()
}

/// A machine that is fenced sends nothing; that is no reason to end a round.
fn run_unless_fenced(world: &mut World, step: &str) -> Result<(), String> {
    match step.strip_prefix("req ") {
        Some(machine) if !world.is_live(machine) => Ok(()),
        _ => world.try_run(step),
    }
}

/// Whether in rounds of this order some requestor's requests come to each of two servers: where each has
/// its own requestors, nobody can know of both.
fn crosses(order: &[&str]) -> bool {
    ["turn A1", "turn B1"].iter().any(|requestor| {
        let sent = order.iter().enumerate().filter(|(_, step)| step == &requestor);
        let taken_by: BTreeSet<&str> = sent
            .filter_map(|(at, _)| {
                let later = order[at..].iter().chain(&order[..at]);
                later.copied().find(|step| step.starts_with("turn s"))
            })
            .collect();
        taken_by.len() == 2
    })
}

/// Plays a beginning and then rounds of each order; says for which of them something is wrong.
fn in_every_order(
    postoffices: &str,
    beginning: &str,
    round: &[&str],
    check: impl Fn(&mut World) -> Result<(), String>,
) {
    in_orders(postoffices, beginning, orders(round), check);
}

fn in_orders(
    postoffices: &str,
    beginning: &str,
    orders: Vec<Vec<&str>>,
    check: impl Fn(&mut World) -> Result<(), String>,
) {
    let wrong: Vec<String> = orders
        .iter()
        .filter_map(|order| {
            let mut world = World::new(postoffices);
            let played = world.try_run(beginning).and_then(|()| {
                for _ in 0..4 {
                    order.iter().try_for_each(|step| run_unless_fenced(&mut world, step))?;
                }
                // A cycle ends with T2 and T3, wherever in it the rounds begin.
                let servers = world.live_servers();
                servers.iter().try_for_each(|server| world.try_run(&format!("turn {server}")))?;
                for machine in world.machines() {
                    run_unless_fenced(&mut world, &format!("inbox {machine}"))?;
                }
                check(&mut world)?;
                world.try_settle(true).map(|_| ())
            });
            played.err().map(|why| format!("{}: {why}", order.join("; ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), orders.len(), wrong.join("\n"));
}

fn one_lives(world: &mut World, name: &str) -> Result<(), String> {
    let live = if name == "s" { world.live_servers() } else { world.live_machines(name) };
    if live.len() == 1 { Ok(()) } else { Err(format!("{} live", live.join(" and "))) }
}

#[test]
fn one_of_two_copies_is_fenced_in_any_order_of_steps() {
    let beginning = "A1 +a1; B1 +b1; cycle; cycle; clone A1; A1 +a2; A2 ~a1; B1 +b2; turn B1";
    let round = ["req A1", "inbox A1", "req A2", "inbox A2", "turn s1"];
    in_every_order("AB", beginning, &round, |world| one_lives(world, "A"));
}

#[test]
fn two_of_three_copies_are_fenced_in_any_order_of_turns() {
    let beginning =
        "A1 +a1; B1 +b1; cycle; cycle; clone A1; clone A1; A1 +a2; A2 ~a1; A3 -a1; turn B1";
    let round = ["turn A1", "turn A2", "turn A3", "turn s1", "turn B1"];
    in_every_order("AB", beginning, &round, |world| one_lives(world, "A"));
}

#[test]
fn one_of_two_servers_is_fenced_in_any_order_of_turns() {
    let beginning = "A1 +a1; B1 +b1; cycle; cycle; clone s1; A1 +a2; B1 ~b1";
    let round = ["turn A1", "turn s1", "turn B1", "turn A1", "turn s2"];
    let orders = orders(&round).into_iter().filter(|order| crosses(order)).collect();
    in_orders("AB", beginning, orders, |world| one_lives(world, "s"));
}

/// The server's backup is made at each step of what a requestor goes through, and restored at its end.
fn restored_from_each_step(script: &str) {
    let steps: Vec<&str> = script.split("; ").collect();
    let mut wrong = Vec::new();
    for backup in 0..=steps.len() {
        for restore in ["restore s1", "restore s1 told"] {
            let mut world = World::new("AB");
            let (before, after) = steps.split_at(backup);
            let script =
                format!("{}; backup s1; {}; {restore}", before.join("; "), after.join("; "));
            let settled = world.try_run(&script).and_then(|()| world.try_settle(true));
            let fenced = world.said("A1", "R4").then(|| Err("A1 was fenced".to_owned()));
            if let Err(why) = fenced.unwrap_or(settled) {
                wrong.push(format!("{script}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * steps.len(), wrong.join("\n"));
}

#[test]
fn server_restore_fences_nobody() {
    let exchange = "req A1; t2 A; an A; t3 A1";
    let doubled = "req A1; A1 +a8; req A1; t2 A; t2 A; an A; t3 A1";
    let beginning = "A1 +a1; B1 +b1; cycle; cycle";
    // A reinstallation, undisturbed and with changes under way.
    restored_from_each_step(&format!(
        "{beginning}; reinstall A1; {exchange}; A1 +a2; {exchange}; A1 ~a1; {exchange}"
    ));
    restored_from_each_step(&format!(
        "{beginning}; reinstall A1; {exchange}; {doubled}; {exchange}; {exchange}; A1 -a1; {exchange}"
    ));
    // Two of them.
    restored_from_each_step(&format!(
        "{beginning}; reinstall A1; {exchange}; {exchange}; reinstall A1; {doubled}; A1 -a8; \
         {doubled}; {exchange}"
    ));
    // A merge after a restore of the requestor.
    for restore in ["restore A1", "restore A1 told"] {
        restored_from_each_step(&format!(
            "{beginning}; backup A1; A1 +a2; A1 ~a1; {exchange}; {restore}; A1 +a3; {exchange}; \
             {doubled}; {exchange}; {exchange}"
        ));
    }
}
