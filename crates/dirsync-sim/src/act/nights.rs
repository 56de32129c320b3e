//! Nights: a line passes a little, and nothing of it in vain.

use std::rc::Rc;

use dirsync_message::ReqSeq;

use super::lines::outbox_of;
use crate::check::{Checked, list_of, seen};
use crate::naming::{SERVER, Sight, name_of, postoffice};
use crate::network::{Listed, Parts};
use crate::step::{Step, Trouble};
use crate::world::World;

/// The bytes of a piece beside its content are fewer: lines, signature, and the proof of an invitation.
const PIECE_LINES: u64 = 1500;
/// The same with as many changes of a key as can be followed.
const PIECE_LINES_WITH_KEYS: u64 = 6500;
/// The number of nights in a row, each long enough for everything, after which everything has arrived: the first one
/// brings the bodies on their way, and the next one the changes made meanwhile.
const QUIET: u32 = 2;

/// The bytes that passed in one direction since something arrived.
#[derive(Clone, Debug, Default)]
struct Passed {
    bytes: u64,
    /// The most bytes that were on their way at once, and their bodies.
    needed: u64,
    bodies: u64,
}

impl Passed {
    /// A night is over. `on_their_way` are the bytes and the number of the bodies.
    fn night(
        &mut self,
        bytes: u64,
        on_their_way: (u64, u64),
        arrived: bool,
        piece_lines: u64,
    ) -> Checked<()> {
        self.bytes += bytes;
        self.needed = self.needed.max(on_their_way.0);
        self.bodies = self.bodies.max(on_their_way.1);
        // A line that is cut off passes no byte twice. One that brings something begins anew.
        let most = self.needed + self.needed / 4 + piece_lines * self.bodies.max(1);
        if self.bytes > most {
            let Self { bytes, needed, .. } = self;
            return Err(format!("{bytes} bytes passed for {needed} that were on their way"));
        }
        if arrived {
            *self = Self::default();
        }
        Ok(())
    }
}

/// What the nights of a machine came to.
#[derive(Clone, Debug, Default)]
pub struct Nights {
    /// So many in a row passed everything.
    quiet: u32,
    down: Passed,
    up: Passed,
}

/// What nights may have between them: anything else may cost bytes and nights.
pub(super) fn is_strict(step: &Step) -> bool {
    matches!(
        step,
        Step::Change(..) | Step::Night(..) | Step::Go(_) | Step::Rotate(_) | Step::Register(_)
    )
}

/// A night before its check.
struct Night {
    machine: String,
    server: String,
    /// The bytes and bodies on their way up and down.
    on_their_way: [(u64, u64); 2],
    /// The bytes that passed up and down.
    passed: [u64; 2],
    /// Whether something arrived up and down.
    arrived: [bool; 2],
    /// Whether the line was cut off.
    cut: bool,
    /// The machine's last change when it sent.
    own: ReqSeq,
    /// The server's list when it answered.
    published: Rc<Listed>,
}

impl World {
    /// T1, T2 and T3 of a machine, whose line passes so many bytes before T2 and again after it.
    pub(super) fn night(&mut self, machine: &str, bytes: u64, parts: Parts) -> Checked<bool> {
        let name = name_of(machine).to_owned();
        let Some(server) = self.live_servers().first().cloned() else { return Ok(false) };
        if !self.is_slow(&name) || !self.can_send(machine) {
            return Ok(false);
        }
        let before = self.arrivals(machine, &server);
        let place = self.line(&name).place.clone();
        let bytes_before = (place.bytes_left(), place.bytes_fetched());
        self.send(machine, Trouble::None)?;
        let up = self.on_their_way(machine, SERVER)?;
        let own = self.state(machine).req_seq;
        let mut cut = self.use_line(machine, bytes)?;
        self.look_at_place(&server, &name)?;
        for number in self.network.numbers(true, &name) {
            self.take_from_inbox(&server, number)?;
        }
        let published = self.published(&server);
        if self.answer_is_due(&server, &name) {
            self.answer(&server, std::slice::from_ref(&name), parts, Trouble::None)?;
        }
        let down = self.on_their_way(&server, &name)?;
        self.look_at_place(&server, &name)?;
        cut |= self.use_line(machine, bytes)?;
        self.take_inbox(machine)?;
        let after = self.arrivals(machine, &server);
        let arrived = [after.0 != before.0, after.1 != before.1];
        let passed = [place.bytes_left() - bytes_before.0, place.bytes_fetched() - bytes_before.1];
        let (machine, on_their_way) = (machine.to_owned(), [up, down]);
        self.check_night(Night {
            machine,
            server,
            on_their_way,
            passed,
            arrived,
            cut,
            own,
            published,
        })?;
        Ok(true)
    }

    /// The last request of a machine that the server took, and the last answer with the point that the machine took.
    fn arrivals(&mut self, machine: &str, server: &str) -> (String, String) {
        let taken = self.registration(server, name_of(machine)).taken.last().copied();
        let state = self.state(machine);
        (format!("{taken:?}"), format!("{:?} {:?}", state.last_answer, state.point))
    }

    /// The bytes and the number of the bodies that travel to a peer.
    fn on_their_way(&self, at: &str, to: &str) -> Checked<(u64, u64)> {
        let frozen = outbox_of(self, at).frozen(&postoffice(to));
        let (bodies, progress) = frozen.map_err(|error| error.to_string())?;
        Ok((progress.bytes, bodies.len() as u64))
    }

    /// I15.
    fn check_night(&mut self, night: Night) -> Checked<()> {
        let Night { machine, .. } = &night;
        let piece_lines = if self.setup.sealed { PIECE_LINES_WITH_KEYS } else { PIECE_LINES };
        let strict = !self.ghost.disturbed && !self.ghost.faulty;
        let nights = self.ghost.nights.entry(machine.clone()).or_default();
        nights.quiet = if night.cut { 0 } else { nights.quiet + 1 };
        let quiet = nights.quiet;
        let directions = [("from", &mut nights.up), ("to", &mut nights.down)];
        for (at, (word, passed)) in directions.into_iter().enumerate() {
            let (bytes, on_their_way) = (night.passed[at], night.on_their_way[at]);
            let counted = passed.night(bytes, on_their_way, night.arrived[at], piece_lines);
            if strict {
                counted.map_err(|why| format!("I15: {word} {machine} {why}"))?;
            }
        }
        if !strict || quiet < QUIET {
            return Ok(());
        }
        let after = self.state(machine);
        if after.req_sync < night.own {
            return Err(format!("I15: what {machine} changed is not acknowledged"));
        }
        let sight = Sight::of(&after.view_wanted).ok_or("nobody asked for this view")?;
        if list_of(self.site(machine)) != seen(&night.published, sight) {
            return Err(format!("I15: the list of {machine} is behind that of {}", night.server));
        }
        Ok(())
    }
}
