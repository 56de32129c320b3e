//! Copies of a folder that work side by side, and copies of a server that take the place of later ones.

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

/// Plays a beginning and then rounds of each order; says for which of them something is wrong.
fn in_every_order(
    postoffices: &str,
    beginning: &str,
    round: &[&str],
    check: impl Fn(&mut World) -> Result<(), String>,
) {
    let orders = orders(round);
    let wrong: Vec<String> = orders
        .iter()
        .filter_map(|order| {
            let mut world = World::new(postoffices);
            let played = world.try_run(beginning).and_then(|()| {
                (0..4).try_for_each(|_| world.try_run(&order.join("; ")))?;
                check(&mut world)?;
                world.try_settle(true).map(|_| ())
            });
            played.err().map(|why| format!("{}: {why}", order.join("; ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), orders.len(), wrong.join("\n"));
}

fn one_lives(world: &mut World, name: &str) -> Result<(), String> {
    let live = world.live_machines(name);
    if live.len() == 1 { Ok(()) } else { Err(format!("{} live", live.join(" and "))) }
}

#[test]
#[ignore = "being mended"]
fn one_of_two_copies_is_fenced_in_any_order_of_steps() {
    let beginning = "A1 +a1; B1 +b1; cycle; cycle; clone A1; A1 +a2; A2 ~a1; B1 +b2; turn B1";
    let round = ["req A1", "inbox A1", "req A2", "inbox A2", "turn s1"];
    in_every_order("AB", beginning, &round, |world| one_lives(world, "A"));
}

#[test]
#[ignore = "being mended"]
fn two_of_three_copies_are_fenced_in_any_order_of_turns() {
    let beginning =
        "A1 +a1; B1 +b1; cycle; cycle; clone A1; clone A1; A1 +a2; A2 ~a1; A3 -a1; turn B1";
    let round = ["turn A1", "turn A2", "turn A3", "turn s1", "turn B1"];
    in_every_order("AB", beginning, &round, |world| one_lives(world, "A"));
}

#[test]
#[ignore = "being mended"]
fn one_of_two_servers_is_fenced_in_any_order_of_turns() {
    let beginning = "A1 +a1; B1 +b1; cycle; cycle; clone s1; A1 +a2; B1 ~b1";
    let round = ["turn A1", "turn s1", "turn B1", "turn A1", "turn s2"];
    in_every_order("AB", beginning, &round, |world| {
        let live = world.live_servers();
        if live.len() == 1 { Ok(()) } else { Err(format!("{} live", live.join(" and "))) }
    });
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
#[ignore = "being mended"]
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
        "{beginning}; reinstall A1; {exchange}; {exchange}; reinstall A1; {doubled}; {doubled}; \
         {exchange}"
    ));
    // A merge after a restore of the requestor.
    for restore in ["restore A1", "restore A1 told"] {
        restored_from_each_step(&format!(
            "{beginning}; backup A1; A1 +a2; A1 ~a1; {exchange}; {restore}; A1 +a3; {exchange}; \
             {doubled}; {exchange}; {exchange}"
        ));
    }
}
