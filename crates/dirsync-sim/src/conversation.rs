//! Conversations as files, for people to read and write.
//!
//! ```text
//! # What it tells, in a sentence or two; where it comes from.
//! world AB
//! A1 +a1; go A1
//! expect s1 publishes a1
//! settle
//! ```
//!
//! A line `world` names the postoffices, each a letter. Steps stand one a line or separated by
//! semicolons; [`crate::step`] has their words. Lines that begin with `expect` say what must hold then:
//!
//! | words | what |
//! | --- | --- |
//! | `expect s1 said S13c`, `expect s1 never said S5` | a row of the decision tables was taken there, or never |
//! | `expect s1 publishes a1`, `expect not s1 publishes a1` | what the server's list has |
//! | `expect B1 lists a1`, `expect A1 owns a1` | what a machine's list or own entries have |
//! | `expect A1 lives` | the machine is not fenced |
//! | `expect R18 2 times` | how often a row was taken anywhere |
//!
//! `settle` ends the faults: all must be as the origins have it within 14 cycles; `settle within 2`.
//! `settle undecided`: nobody approves what is held. `strict` after the world's letters: two deletions are
//! too many; `views all narrow`: what each wants to see.

use crate::check::{list_of, own_of, published};
use crate::naming::{Sight, entry};
use crate::world::{Checked, STRICT, Setup, World};

/// A conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    setup: Setup,
    lines: Vec<(usize, String)>,
}

impl Conversation {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with its line.
    pub fn parse(text: &str) -> Checked<Self> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.split('#').next().unwrap_or_default().trim()))
            .filter(|(_, line)| !line.is_empty());
        let Some((number, first)) = lines.next() else { return Err("it is empty".into()) };
        let mut words = first.split_whitespace();
        let (Some("world"), Some(postoffices)) = (words.next(), words.next()) else {
            return Err(format!("line {number}: it begins with \"world\" and letters"));
        };
        let mut setup = Setup::of(postoffices);
        while let Some(word) = words.next() {
            match word {
                "strict" => setup.guard = STRICT,
                "views" => {
                    let sights: Option<Vec<Sight>> = words
                        .by_ref()
                        .map(|word| Sight::ALL.iter().find(|(known, _)| *known == word))
                        .map(|known| known.map(|(_, sight)| *sight))
                        .collect();
                    setup.sights = sights.ok_or(format!("line {number}: a view is not known"))?;
                }
                other => return Err(format!("line {number}: \"{other}\" is not known")),
            }
        }
        Ok(Self { setup, lines: lines.map(|(at, line)| (at, line.to_owned())).collect() })
    }

    /// Plays it.
    ///
    /// # Errors
    ///
    /// What is not as it says, with the line.
    pub fn play(&self) -> Checked<World> {
        let mut world = World::with(self.setup.clone());
        for (number, line) in &self.lines {
            play_line(&mut world, line).map_err(|why| format!("line {number}: {why}"))?;
        }
        Ok(world)
    }
}

fn play_line(world: &mut World, line: &str) -> Checked<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["settle"] => world.try_settle(true).map(|_| ()),
        ["settle", "undecided"] => world.try_settle(false).map(|_| ()),
        ["settle", "within", most] => {
            let most: usize = most.parse().map_err(|_| format!("\"{most}\" is no number"))?;
            let cycles = world.try_settle(true)?;
            if cycles <= most { Ok(()) } else { Err(format!("it took {cycles} cycles")) }
        }
        ["expect", "not", ref what @ ..] => match expect(world, what)? {
            false => Ok(()),
            true => Err(format!("it is not so that not {}", what.join(" "))),
        },
        ["expect", ref what @ ..] => match expect(world, what)? {
            true => Ok(()),
            false => Err(format!("it is not so: {}", what.join(" "))),
        },
        _ => world.try_run(line),
    }
}

fn expect(world: &mut World, what: &[&str]) -> Checked<bool> {
    match what {
        [rule, count, "times"] => Ok(world.times(rule).to_string() == *count),
        [at, ..] if !world.sites.contains_key(crate::world::site_of(at)) => {
            Err(format!("\"{at}\" is none of this world"))
        }
        [at, "said", rule] => Ok(world.said(at, rule)),
        [at, "never", "said", rule] => Ok(!world.said(at, rule)),
        [at, "publishes", key] => Ok(published(world.site(at)).contains_key(&entry(key))),
        [at, "lists", key] => Ok(list_of(world.site(at)).contains_key(&entry(key))),
        [at, "owns", key] => Ok(own_of(world.site(at)).contains_key(&entry(key))),
        [at, "lives"] => Ok(world.is_live(at)),
        _ => Err(format!("\"{}\" is nothing that can be expected", what.join(" "))),
    }
}
