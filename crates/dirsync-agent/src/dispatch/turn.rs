//! One turn: what is due, one action after the other.

use dirsync_protocol::context::Level;
use dirsync_protocol::simulation::Rule;
use dirsync_protocol::tables::{StoreError, Stored};
use dirsync_store::Transaction;
use jiff::Timestamp;

use super::{CONFIRM_PAUSE, Dispatch, HEARTBEAT, Moment, Note, State, TIDY, VERIFY, timestamp};
use crate::schedule::{Due, Schedule, Step, clock_jump};

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Looks whether messages have arrived, and tells [`Dispatch::found`].
    Look,
    /// T0 from every source.
    ReadSources,
    /// T1.
    Send {
        /// The list is verified from its content.
        verify: bool,
    },
    /// T2.
    Process {
        /// Requestors are answered unasked when the list has moved.
        push: bool,
    },
    /// T3.
    Apply,
    /// What is past its time is forgotten.
    TidyUp,
    /// Something is noted for the next turns.
    Note(Note),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// It could use every place, source and target.
    pub complete: bool,
    /// It left messages in the inbox without looking at them.
    pub has_left: bool,
}

/// What a look at the places of a postoffice found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Updates have arrived, or a place of T3 fails.
    pub updates: bool,
    /// Requests have arrived at the server, or one of its places fails.
    pub requests: bool,
    /// Each place is away through which T1 would send.
    pub is_away: bool,
}

/// A place in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Looks whether a step of the schedule is due.
    Due(Step),
    Sources,
    Look,
    /// A requestor applies before it sends, so that its request confirms that.
    ApplyFirst,
    Send,
    Process,
    Apply,
    /// The server's own postoffice confirms like every requestor, and is answered at once.
    Confirm,
    ProcessOwn,
    ApplyOwn,
    /// Notes that a step of the schedule ran.
    Ran(Step),
    TidyUp,
}

use Stage::{
    Apply, ApplyFirst, ApplyOwn, Confirm, Due as IsDue, Look, Process, ProcessOwn, Ran, Send,
    Sources, TidyUp,
};

/// Without a schedule: an own change starts T1, an arrival T2 or T3.
const CONTINUOUS: &[Stage] =
    &[Sources, Look, ApplyFirst, Send, Process, Apply, Confirm, ProcessOwn, ApplyOwn, TidyUp];

/// With a schedule: its weekdays and times start the steps.
const SCHEDULED: &[Stage] = &[
    IsDue(Step::Send),
    Sources,
    Look,
    Send,
    Ran(Step::Send),
    IsDue(Step::Process),
    Process,
    Ran(Step::Process),
    IsDue(Step::Apply),
    Apply,
    Ran(Step::Apply),
    TidyUp,
];

/// How far a turn has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    stage: usize,
    found: Found,
    sent: bool,
    processed: bool,
    confirmed: bool,
    /// The time for which a step of the schedule is due.
    due: Option<Timestamp>,
    /// It ran before for that time, and could not use every place.
    again: bool,
    /// Everything that it did could use every place.
    complete: bool,
}

impl Dispatch {
    /// What is due next in this turn, if the database says `state`.
    pub fn next(&mut self, state: &State, now: Moment) -> Option<Action> {
        let schedule = self.settings.schedule.clone();
        let stages = if schedule.is_some() { SCHEDULED } else { CONTINUOUS };
        while let Some(stage) = stages.get(self.turn.stage) {
            self.turn.stage += 1;
            let action = match (stage, &schedule) {
                (TidyUp, _) => tidy_up(state, now),
                (_, Some(schedule)) => self.scheduled(*stage, schedule, state, now),
                (_, None) => self.continuous(*stage, state, now),
            };
            if action.is_some() {
                return action;
            }
        }
        None
    }

    fn continuous(&mut self, stage: Stage, state: &State, now: Moment) -> Option<Action> {
        let apply_due = self.turn.found.updates || state.applies_again;
        let is_wanted = match stage {
            Sources | Look => true,
            ApplyFirst => !state.is_server && apply_due,
            Send => self.is_to_send(state, now, self.once),
            Process => {
                let requests = self.turn.found.requests || state.processes_again;
                state.is_server && (requests || apply_due || self.turn.sent)
            }
            Apply => self.turn.processed,
            Confirm => self.turn.processed && self.is_to_send(state, now, false),
            ProcessOwn | ApplyOwn => self.turn.confirmed,
            IsDue(_) | Ran(_) | TidyUp => false,
        };
        if !is_wanted {
            return None;
        }
        Some(match stage {
            Sources => Action::ReadSources,
            Look => Action::Look,
            Send | Confirm => {
                self.turn.confirmed = stage == Confirm;
                self.send(now)
            }
            Process | ProcessOwn => Action::Process { push: true },
            _ => Action::Apply,
        })
    }

    /// T1 is due for own changes that have not been sent, to confirm what was applied, and now and then
    /// to ask for what others changed.
    fn is_to_send(&self, state: &State, now: Moment, asked: bool) -> bool {
        // To a place that is away nothing is sent: each try would use up a number.
        if self.turn.found.is_away {
            return false;
        }
        let heartbeat = self.sent_at.is_none_or(|at| now.steady >= at + HEARTBEAT);
        let confirm = self.confirm_at.is_some_and(|at| at <= now.steady);
        state.unsent
            || confirm && Rule::Confirm.holds()
            || heartbeat && (Rule::Heartbeat.holds() || self.sent_at.is_none())
            || asked
    }

    fn send(&self, now: Moment) -> Action {
        Action::Send { verify: self.verified_at.is_none_or(|at| now.steady >= at + VERIFY) }
    }

    /// A step that could not use a place, source or target stays due until it could, at each poll of
    /// its run window: who was reached is not kept waiting, and who was not is no day late.
    fn scheduled(
        &mut self,
        stage: Stage,
        schedule: &Schedule,
        state: &State,
        now: Moment,
    ) -> Option<Action> {
        if let IsDue(step) = stage {
            self.turn.due = None;
            return if state.steps().any(|known| known == step) {
                self.look_up(step, schedule, state, now)
            } else {
                None
            };
        }
        let scheduled_for = self.turn.due?;
        match stage {
            Sources => Some(Action::ReadSources),
            Look => (self.turn.again && state.unsent).then_some(Action::Look),
            Send => {
                // To a place that is away nothing is sent: each try would use up a number.
                if !self.turn.again || state.unsent && !self.turn.found.is_away {
                    return Some(self.send(now));
                }
                self.turn.complete &= !state.unsent;
                None
            }
            Process => Some(Action::Process { push: false }),
            Apply => Some(Action::Apply),
            // It is due until it has looked at everything.
            Ran(_) if self.has_left => None,
            Ran(step) => {
                let complete = self.turn.complete || !Rule::Incomplete.holds();
                Some(Action::Note(Note::Ran { step, scheduled_for, complete }))
            }
            _ => None,
        }
    }

    /// Whether a step is due by the weekday and time.
    fn look_up(
        &mut self,
        step: Step,
        schedule: &Schedule,
        state: &State,
        now: Moment,
    ) -> Option<Action> {
        let run = state.run(step);
        let today = timestamp(now.wall);
        let Some(last) = run.last else { return Some(Action::Note(Note::Begun(step))) };
        let is_back = clock_jump(last, today, TIDY).is_some_and(|jump| jump.is_negative());
        if is_back && Rule::ClockBack.holds() {
            return Some(Action::Note(Note::BegunAnew(step)));
        }
        let due = match schedule.due(step, Some(last), today) {
            Due::Missed { scheduled_for, .. } if !Rule::Window.holds() => {
                Due::Now { scheduled_for }
            }
            Due::Now { scheduled_for }
                if !Rule::CatchUp.holds() && is_late(scheduled_for, today) =>
            {
                Due::Missed { scheduled_for, next: None }
            }
            due => due,
        };
        match due {
            Due::Now { scheduled_for } => {
                self.turn.due = Some(scheduled_for);
                self.turn.again = run.incomplete == Some(scheduled_for);
                self.turn.complete = true;
                None
            }
            Due::Missed { scheduled_for, .. } => {
                let ran = run.incomplete == Some(scheduled_for);
                Some(Action::Note(Note::Missed { step, scheduled_for, ran }))
            }
            Due::At(_) | Due::Never => None,
        }
    }

    /// What a look found.
    pub fn found(&mut self, found: Found) {
        self.turn.found = found;
    }

    /// What an action came to; `list_moved` after a T3 that changed the point of the list.
    pub fn did(&mut self, action: Action, done: Done, list_moved: bool, now: Moment) {
        self.turn.complete &= done.complete;
        self.has_left |= done.has_left;
        match action {
            Action::Send { verify } => {
                self.turn.sent = true;
                self.sent_at = Some(now.steady);
                self.confirm_at = None;
                if verify {
                    self.verified_at = self.sent_at;
                }
            }
            Action::Process { .. } => self.turn.processed = true,
            // A changed list is confirmed, several changes of it together.
            Action::Apply if list_moved => {
                let pause = if self.once { std::time::Duration::ZERO } else { CONFIRM_PAUSE };
                self.confirm_at.get_or_insert(now.steady + pause);
            }
            _ => {}
        }
    }
}

/// Without catching up only what is due this minute runs.
fn is_late(scheduled_for: Timestamp, now: Timestamp) -> bool {
    now.duration_since(scheduled_for).as_secs() > 60
}

/// Once a day what is past its time is forgotten. A clock that jumped postpones that.
fn tidy_up(state: &State, now: Moment) -> Option<Action> {
    let Some(last) = state.tidied else { return Some(Action::TidyUp) };
    let jump = clock_jump(timestamp(last), timestamp(now.wall), TIDY);
    if jump.is_some() && Rule::TidyJump.holds() {
        return Some(Action::Note(Note::TidyPostponed));
    }
    (now.wall.saturating_sub(last) >= TIDY.as_millis() as u64).then_some(Action::TidyUp)
}

/// What does the steps of one postoffice.
pub trait Hands {
    /// A step could not be done; the turn ends.
    type Error: From<StoreError>;

    /// The time.
    fn now(&mut self) -> Moment;
    /// A transaction of the postoffice's database.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>>;
    /// Looks whether messages have arrived.
    ///
    /// # Errors
    ///
    /// When the turn cannot go on.
    fn look(&mut self) -> Result<Found, Self::Error>;
    /// Does what is due with places: reads sources, sends, processes, applies.
    ///
    /// # Errors
    ///
    /// When the turn cannot go on.
    fn step(&mut self, action: Action) -> Result<Done, Self::Error>;
    /// Forgets what is past its time.
    ///
    /// # Errors
    ///
    /// When the turn cannot go on.
    fn tidy_up(&mut self) -> Result<(), Self::Error>;
    /// Tells a person who follows the agent.
    fn say(&mut self, step: &str, level: Level, text: &str);
}

/// Does what is due at one postoffice.
///
/// # Errors
///
/// When the store or a step fails: the turn is taken again after a pause.
pub fn turn<H: Hands>(dispatch: &mut Dispatch, hands: &mut H) -> Result<(), H::Error> {
    loop {
        let state = State::load(&mut *hands.begin()?)?;
        let now = hands.now();
        let Some(action) = dispatch.next(&state, now) else { return Ok(()) };
        match action {
            Action::Look => dispatch.found(hands.look()?),
            Action::TidyUp => {
                hands.tidy_up()?;
                write(hands, Note::Tidied, now)?;
            }
            Action::Note(note) => write(hands, note, now)?,
            step => {
                let done = hands.step(step)?;
                let list_moved = hands.begin()?.requestor()?.point != state.point;
                let now = hands.now();
                dispatch.did(step, done, list_moved, now);
            }
        }
    }
}

fn write<H: Hands>(hands: &mut H, note: Note, now: Moment) -> Result<(), H::Error> {
    let mut tables = hands.begin()?;
    let line = note.write(&mut *tables, now.wall)?;
    tables.commit()?;
    if let Some(line) = line {
        hands.say(&line.step, Level::Warning, &line.text);
    }
    Ok(())
}
