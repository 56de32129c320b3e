//! Histories drawn from a seed.

use std::collections::BTreeSet;

use super::step::{Kind, SHARES, Site, Step, Verb, Who, Whom};
use crate::random::Random;

/// Numbers of steps are below this: more than there is of anything that they select.
const NUMBERS: usize = 1000;
/// How often a look at all lists is put between two steps.
const WATCH_EVERY: usize = 7;
/// Longest time until a command is killed, in tenths of a millisecond: most take less.
const DIES_MAX: usize = 160;

/// The steps of a seed. Each history leaves kinds out, so that what is left comes often together.
pub fn history(seed: u64, length: usize, without: &BTreeSet<Kind>) -> Vec<Step> {
    let mut random = Random::new(seed);
    let kinds: BTreeSet<Kind> = Kind::ALL
        .into_iter()
        .map(|(kind, _)| kind)
        .filter(|kind| kind.is_needed() || random.below(2) == 0)
        .filter(|kind| !without.contains(kind))
        .collect();
    let weights: Vec<(Verb, Whom, usize)> = Verb::ALL
        .iter()
        .filter(|(_, _, kind, ..)| kinds.contains(kind))
        .map(|(verb, _, _, whom, weight)| (*verb, *whom, *weight))
        .collect();
    let sum = weights.iter().map(|(.., weight)| weight).sum();
    let mut steps = Vec::new();
    while steps.len() < length {
        if steps.len() % WATCH_EVERY == WATCH_EVERY - 1 {
            steps.push(Step { who: Who::All, verb: Verb::Watch, number: 0, dies: None });
        }
        let mut at = random.below(sum);
        for (verb, whom, weight) in &weights {
            if at < *weight {
                steps.push(step(&mut random, &kinds, *verb, *whom));
                break;
            }
            at -= weight;
        }
    }
    let by_agents = kinds.contains(&Kind::Alone) && random.below(2) == 0;
    let verb = if by_agents { Verb::RestByAgents } else { Verb::Rest };
    steps.push(Step { who: Who::All, verb, number: 0, dies: None });
    steps
}

fn step(random: &mut Random, kinds: &BTreeSet<Kind>, verb: Verb, whom: Whom) -> Step {
    let who = match whom {
        Whom::Any => Who::At(Site::ALL[random.below(Site::ALL.len())]),
        Whom::Requestor => Who::At(Site::requestor(random.below(3))),
        Whom::Server => Who::At(Site::Hq),
        Whom::Share => Who::Share(random.below(SHARES.len())),
        Whom::All => Who::All,
    };
    let number = if whom == Whom::All { 0 } else { random.below(NUMBERS) };
    let dies = kinds.contains(&Kind::Kills) && verb.is_killable() && random.below(6) == 0;
    let dies = dies.then(|| 1 + random.skewed(DIES_MAX) as u32);
    Step { who, verb, number, dies }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_history_and_leaves_out_what_is_not_wanted() {
        let none = BTreeSet::new();
        assert_eq!(history(5, 30, &none), history(5, 30, &none));
        assert_ne!(history(5, 30, &none), history(6, 30, &none));
        let without = BTreeSet::from([Kind::Restores]);
        let restores =
            |steps: &[Step]| steps.iter().filter(|step| step.verb == Verb::Restore).count();
        let count = |without| (0..50).map(|seed| restores(&history(seed, 30, without))).sum();
        let (all, left): (usize, usize) = (count(&none), count(&without));
        assert!(all > 0 && left == 0, "{all} {left}");
    }
}
