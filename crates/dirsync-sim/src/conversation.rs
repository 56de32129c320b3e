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
//! | `expect b1 has x` | the entry is published with an address |
//! | `expect s1 publishes a1 whole` | it is published exactly as it was last written |
//! | `expect A lists a1` | every machine of A that is not fenced lists it |
//! | `expect A1 lives`, `expect A1 acknowledged` | the machine is not fenced; the server has all its changes |
//! | `expect one A lives`, `expect one s lives` | all machines of A but one are fenced; all servers but one |
//! | `expect A1 rang overdue N/S begins` | the alarm of its agent said so, once; `expect A1 rang 2` is how often it sounded |
//! | `expect R18 2 times` | how often a row was taken anywhere |
//!
//! `4 times turn A1; turn s1` does the steps of the line so often.
//!
//! `settle` ends the faults: all must be as the origins have it within 14 cycles; `settle within 2`.
//! `settle undecided`: nobody approves what is held. `strict` after the world's letters: two deletions are
//! too many; `slow A`: A is behind a line; `views all narrow`: what each wants to see.

macro_rules! told {
    ($($name:literal,)+) => {
        [$(($name, include_str!(concat!("../testdata/", $name, ".world"))),)+]
    };
}

use crate::check::{Checked, list_of, own_of, published};
use crate::naming::{Sight, addresses_of, entry};
use crate::step::Step;
use crate::world::{STRICT, Setup, World};

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
                "slow" => {
                    let slow = words.next();
                    setup.slow = slow.ok_or(format!("line {number}: who is slow?"))?.into();
                }
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

    /// One of those that come with the simulator.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it is wrong.
    pub fn told(name: &str) -> Checked<Self> {
        let found = TOLD.iter().find(|(known, _)| *known == name);
        Self::parse(found.ok_or(format!("there is no conversation \"{name}\""))?.1)
    }

    /// What it begins with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its steps, without what it expects of them; a `go` as the four that it stands for.
    pub fn steps(&self) -> Vec<Step> {
        let lines = self.lines.iter().map(|(_, line)| line.as_str());
        let told = lines.filter(|line| !line.starts_with("expect") && !line.starts_with("settle"));
        let told = told.flat_map(|line| {
            let (times, steps) = repeated(line);
            std::iter::repeat_n(steps, times)
        });
        let steps = told.flat_map(|line| line.split(';')).filter_map(|text| text.parse().ok());
        steps
            .flat_map(|step: Step| match step {
                Step::Go(machine) => Step::exchange(&machine),
                step => vec![step],
            })
            .collect()
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

/// How often the steps of a line are done, and the steps.
fn repeated(line: &str) -> (usize, &str) {
    let count =
        line.split_once(" times ").and_then(|(count, rest)| Some((count.parse().ok()?, rest)));
    count.unwrap_or((1, line))
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
        _ => {
            let (times, steps) = repeated(line);
            (0..times).try_for_each(|_| world.try_run(steps))
        }
    }
}

fn expect(world: &mut World, what: &[&str]) -> Checked<bool> {
    match what {
        [rule, count, "times"] => Ok(world.times(rule).to_string() == *count),
        [key, "has", address] => {
            let servers = world.live_servers();
            let server = servers.first().ok_or("no server lives")?;
            let published = published(world.site(server));
            let addresses = published.get(&entry(key)).map(|(_, record)| addresses_of(record));
            Ok(addresses.is_some_and(|addresses| addresses.contains(&(*address).to_owned())))
        }
        ["one", "s", "lives"] => Ok(world.live_servers().len() == 1),
        ["one", name, "lives"] => Ok(world.live_machines(name).len() == 1),
        [name, "lists", key] if name.len() == 1 => {
            let machines = world.live_machines(name);
            let lists = |world: &mut World, machine: &String| {
                list_of(world.site(machine)).contains_key(&entry(key))
            };
            Ok(machines.iter().all(|machine| lists(world, machine)))
        }
        [name, "acknowledged"] if name.len() == 1 => {
            let machines = world.live_machines(name);
            Ok(machines.iter().all(|machine| is_acknowledged(world, machine)))
        }
        [at, ..] if !world.sites.contains_key(crate::world::site_of(at)) => {
            Err(format!("\"{at}\" is none of this world"))
        }
        [at, "said", rule] => Ok(world.said(at, rule)),
        [at, "never", "said", rule] => Ok(!world.said(at, rule)),
        [at, "publishes", key, "whole"] => {
            let found = published(world.site(at)).remove(&entry(key));
            Ok(found.is_some_and(|(_, record)| world.ghost.is_as_written(&record)))
        }
        [at, "publishes", key] => Ok(published(world.site(at)).contains_key(&entry(key))),
        [at, "lists", key] => Ok(list_of(world.site(at)).contains_key(&entry(key))),
        [at, "owns", key] => Ok(own_of(world.site(at)).contains_key(&entry(key))),
        [at, "rang", count] => {
            Ok(world.rung(crate::world::site_of(at)).len().to_string() == *count)
        }
        [at, "rang", ..] => {
            let what = what[2..].join(" ");
            let rung = world.rung(crate::world::site_of(at));
            Ok(rung.iter().filter(|(_, said)| *said == what).count() == 1)
        }
        [at, "lives"] => Ok(world.is_live(at)),
        [at, "acknowledged"] => Ok(is_acknowledged(world, at)),
        _ => Err(format!("\"{}\" is nothing that can be expected", what.join(" "))),
    }
}

fn is_acknowledged(world: &mut World, machine: &str) -> bool {
    let state = world.state(machine);
    state.req_sync == state.req_seq
}
/// The conversations that come with the simulator: every trace of `docs/failure-stories.md` §16, and stories about
/// the cycle. Random worlds begin with one now and then.
pub const TOLD: &[(&str, &str)] = &told![
    "a_clock_that_went_back_silences_nobody",
    "a_copy_one_request_behind",
    "a_copy_that_began_later",
    "a_copy_that_went_ahead",
    "a_deletion_survives_two_restores",
    "a_full_disk_is_said_and_tried_again",
    "a_place_that_is_back_is_used_within_the_window",
    "a_share_that_is_away_is_asked_again",
    "a_silent_requestor_is_an_alarm",
    "a_silent_server_is_an_alarm",
    "a_step_runs_late_within_its_window",
    "absence_from_a_source",
    "absence_longer_than_the_horizon",
    "acknowledged_more_than_was_made",
    "address_reuse_in_one_cycle",
    "bodies_under_way_arrive",
    "claim_follows_the_offer",
    "claim_keeps_hidden_details",
    "claimed_and_deleted_by_a_slow_clock",
    "clock_goes_back",
    "cloned_machine_is_detected",
    "bare_claim_begins_no_epoch",
    "bare_claim_fences_nobody",
    "bare_point_begins_no_epoch",
    "cut_and_altered_messages",
    "dead_postoffice_has_an_end",
    "decisions_survive_a_restore_by_hand",
    "deletion_after_a_restore_stands",
    "deletion_reaches_every_requestor",
    "exchange_between_origins",
    "first_contact_before_promotion",
    "first_contact_with_the_replaced_server",
    "first_fill_overtaken",
    "first_fill_overtaken_and_purged",
    "full_disk_at_the_server",
    "hand_entries_survive_a_source",
    "house_moves_up",
    "hub_restored_without_begging",
    "late_export_of_the_life_before_a_restore",
    "late_message_of_an_old_epoch",
    "late_request_ends_no_recovery",
    "leaving_the_view_is_a_delete",
    "loss_order_and_doubling_heal",
    "lost_part_of_a_changed_entry",
    "offer_after_the_deletion",
    "old_server_runs_on_beside_a_restored_requestor",
    "older_answer_to_the_same_request",
    "older_fill_meets_a_part_of_a_newer",
    "own_changes_under_way_arrive",
    "removal_taken_back_before_it_was_heard",
    "removal_taken_back_when_it_was_heard",
    "replaced_server_is_asked",
    "requestor_restored_reuses_numbers",
    "restore_twice",
    "restored_requestor_merges_at_a_server_that_was_replaced",
    "restored_requestor_merges_at_the_old_server_first",
    "server_dies_between_taking_and_answering",
    "server_restore_fences_nobody",
    "server_restored_and_overtaken",
    "server_restored_knowingly",
    "stub_changed_after_its_offer",
    "stub_ends_before_the_offer",
    "t_ackzero",
    "t_chalkeep",
    "t_complete",
    "t_complete_with_content",
    "t_content",
    "t_deaddel",
    "t_dots",
    "t_dots_not_accepted",
    "t_dots_under_way",
    "t_duel",
    "t_epochorder",
    "t_forgotten",
    "t_held",
    "t_histany",
    "t_histany_changed_after",
    "t_horizon",
    "t_house",
    "t_leave",
    "t_neworigin",
    "t_outbox",
    "t_ownerwins",
    "t_partmark",
    "t_partmark_issued_twice",
    "t_pingpong",
    "t_points",
    "t_range",
    "t_removed",
    "t_replace",
    "t_reuse",
    "t_rollback",
    "t_spoken",
    "t_staleinstall",
    "t_stub",
    "t_stub_withdrawn",
    "t_swap",
    "t_tie",
    "t_twin_answers",
    "t_twin_ids",
    "t_twin_numbers",
    "t_twinold",
    "t_vanish",
    "t_viewbind",
    "three_copies_backwards",
    "three_copies_in_turn",
    "two_agents_see_one_message",
    "two_answers_from_a_lost_life",
    "two_copies_eat_each_others_answers",
    "two_copies_in_turn",
    "two_copies_send_before_either_applies",
    "two_copies_with_nothing_to_say",
    "two_replaces_answer_one_request",
    "two_servers_and_two_of_their_own_postoffice",
    "two_servers_each_with_a_requestor",
    "two_servers_in_turn",
    "two_servers_of_which_one_is_behind",
    "two_servers_with_their_own_postoffice",
    "two_sources_and_hands_after_a_reinstallation",
    "undone_deletion_comes_back",
    "undone_read_holds_its_source",
    "update_across_lives_fits_exactly",
];

/// Conversations that are being mended: the steps do not go as they say yet. Nothing plays them but a test
/// that looks whether they still go wrong.
pub const BEING_MENDED: &[&str] = &[];

/// The conversations that go as they say.
pub fn playable() -> Vec<(&'static str, &'static str)> {
    TOLD.iter().filter(|(name, _)| !BEING_MENDED.contains(name)).copied().collect()
}
