//! What is due: Dispatch alone, with hands that only write down which actions they were asked for.

use std::time::Duration;

use dirsync_agent::decisions::Decision;
use dirsync_agent::dispatch::{
    Action, CONFIRM_PAUSE, Dispatch, Done, Found, HEARTBEAT, Hands, Moment, Note, Settings,
    note_sent, turn,
};
use dirsync_agent::schedule::{Schedule, Step};
use dirsync_protocol::context::{Level, ReceiveError};
use dirsync_protocol::requestor::make_request;
use dirsync_protocol::tables::{StoreError, Stored};
use dirsync_store::{Store, Transaction};
use dirsync_testing::{SERVER, TestPostoffice, TestStore, rows};
use jiff::tz::TimeZone;

const MINUTE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(30);
/// A noon, in milliseconds since 1970.
const NOON_MS: u64 = 1_767_268_800_000;

/// Hands at a postoffice whose steps do nothing but what Dispatch can see of them.
struct Desk {
    postoffice: TestPostoffice,
    now: Moment,
    found: Found,
    done: Done,
    list_moves: bool,
    did: Vec<Action>,
}

impl Desk {
    fn at(name: &str) -> Self {
        let mut postoffice =
            TestPostoffice::new(name, TestStore::default(), Vec::<Decision>::new());
        if name == SERVER {
            postoffice.found_server()
        } else {
            postoffice.found_requestor()
        }
        Self {
            postoffice,
            now: Moment { wall: NOON_MS, steady: Duration::ZERO },
            found: Found::default(),
            done: Done { complete: true, has_left: false },
            list_moves: false,
            did: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.wall += time.as_millis() as u64;
        self.now.steady += time;
    }

    /// One turn: the actions in order, without those of every day.
    fn turn(&mut self, dispatch: &mut Dispatch) -> Vec<Action> {
        dispatch.begin(dispatch.settings().clone());
        turn(dispatch, self).unwrap();
        assert!(dispatch.wake_at(self.now) > self.now.steady, "a turn is followed by a rest");
        let is_daily = |action: &Action| matches!(action, Action::TidyUp);
        std::mem::take(&mut self.did).into_iter().filter(|action| !is_daily(action)).collect()
    }
}

impl Hands for Desk {
    type Error = StoreError;

    fn now(&mut self) -> Moment {
        self.now
    }

    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        self.postoffice.store.begin()
    }

    fn look(&mut self) -> Result<Found, StoreError> {
        self.did.push(Action::Look);
        Ok(std::mem::take(&mut self.found))
    }

    fn step(&mut self, action: Action) -> Result<Done, StoreError> {
        self.did.push(action);
        let (wall, moves) = (self.now.wall, self.list_moves);
        let worked = self.postoffice.transact(|tables, context, _| {
            if let Action::Send { .. } = action {
                make_request(tables, context, Default::default(), None)?;
                note_sent(tables, wall)?;
            }
            if action == Action::Apply && moves {
                let mut state = tables.requestor()?;
                let number = state.point.map_or(1, |point| point.srv_seq.0 + 1);
                state.point = Some(rows::point(number));
                tables.put_requestor(&state)?;
            }
            Ok::<_, ReceiveError>(())
        });
        worked.unwrap();
        Ok(self.done)
    }

    fn tidy_up(&mut self) -> Result<(), StoreError> {
        self.did.push(Action::TidyUp);
        Ok(())
    }

    fn say(&mut self, _: &str, _: Level, _: &str) {}
}

fn continuous() -> Dispatch {
    Dispatch::new(Settings { schedule: None, poll: POLL }, false)
}

/// A schedule whose steps have a run window of an hour. The first turn notes where it begins.
fn scheduled(lines: &[&str], desk: &mut Desk) -> Dispatch {
    let schedule = Schedule {
        zone: TimeZone::UTC,
        times: lines.iter().map(|line| line.parse().unwrap()).collect(),
        window: 60 * MINUTE,
    };
    let mut dispatch = Dispatch::new(Settings { schedule: Some(schedule), poll: POLL }, false);
    assert_eq!(desk.turn(&mut dispatch), [], "nothing before the first time that comes");
    dispatch
}

const SEND: Action = Action::Send { verify: false };
const VERIFIED_SEND: Action = Action::Send { verify: true };

#[test]
fn a_requestor_asks_at_first_and_at_each_heartbeat() {
    let (mut desk, mut dispatch) = (Desk::at("SOUTH/SALES"), continuous());
    let idle = [Action::ReadSources, Action::Look];
    assert_eq!(desk.turn(&mut dispatch), [idle[0], idle[1], VERIFIED_SEND]);
    assert_eq!(dispatch.wake_at(desk.now), desk.now.steady + POLL);
    desk.pass(HEARTBEAT - POLL);
    assert_eq!(desk.turn(&mut dispatch), idle);
    desk.pass(POLL);
    assert_eq!(desk.turn(&mut dispatch), [idle[0], idle[1], SEND]);
    desk.pass(60 * MINUTE);
    assert_eq!(
        desk.turn(&mut dispatch),
        [idle[0], idle[1], VERIFIED_SEND],
        "verified once an hour"
    );
}

#[test]
fn an_own_change_is_sent_at_once_and_only_once() {
    let (mut desk, mut dispatch) = (Desk::at("SOUTH/SALES"), continuous());
    desk.turn(&mut dispatch);
    desk.postoffice.import(&[("1", "Bo Ek", "SMTP:bo@south.example", "200")]);
    assert!(desk.turn(&mut dispatch).contains(&SEND));
    assert!(!desk.turn(&mut dispatch).contains(&SEND), "its answer is under way");
}

#[test]
fn an_update_is_applied_before_the_request_that_confirms_it() {
    let (mut desk, mut dispatch) = (Desk::at("SOUTH/SALES"), continuous());
    desk.turn(&mut dispatch);
    (desk.found.updates, desk.list_moves) = (true, true);
    assert!(desk.turn(&mut dispatch).contains(&Action::Apply));
    assert_eq!(
        dispatch.wake_at(desk.now),
        desk.now.steady + CONFIRM_PAUSE,
        "changes come together"
    );
    desk.pass(CONFIRM_PAUSE);
    assert!(desk.turn(&mut dispatch).contains(&SEND));
    desk.pass(CONFIRM_PAUSE);
    assert!(!desk.turn(&mut dispatch).contains(&SEND), "it is confirmed");
}

#[test]
fn a_server_processes_requests_and_applies_its_own_answer() {
    let (mut desk, mut dispatch) = (Desk::at(SERVER), continuous());
    desk.turn(&mut dispatch);
    desk.found.requests = true;
    let did = desk.turn(&mut dispatch);
    let process = Action::Process { push: true };
    assert_eq!(did, [Action::ReadSources, Action::Look, process, Action::Apply]);
    assert_eq!(desk.turn(&mut dispatch), [Action::ReadSources, Action::Look]);
}

#[test]
fn a_scheduled_step_runs_once_in_its_window() {
    let mut desk = Desk::at("SOUTH/SALES");
    let mut dispatch =
        scheduled(&["T1 daily 13:00", "T2 daily 13:00", "T3 daily 14:00"], &mut desk);
    desk.pass(59 * MINUTE);
    assert_eq!(desk.turn(&mut dispatch), [], "it is not yet time");
    desk.pass(10 * MINUTE);
    assert_eq!(
        desk.turn(&mut dispatch),
        [Action::ReadSources, VERIFIED_SEND],
        "no requestor has T2"
    );
    assert_eq!(desk.turn(&mut dispatch), []);
    desk.pass(60 * MINUTE);
    assert_eq!(desk.turn(&mut dispatch), [Action::Apply]);
}

#[test]
fn a_step_that_missed_its_window_waits_for_its_next_time() {
    let mut desk = Desk::at("SOUTH/SALES");
    let mut dispatch = scheduled(&["T1 daily 13:00"], &mut desk);
    desk.pass(3 * 60 * MINUTE);
    assert_eq!(desk.turn(&mut dispatch), []);
    let missed = desk.postoffice.store.look(|tables| tables.notes("missed"));
    assert_eq!(missed.len(), 1, "which is said: {missed:?}");
    desk.pass(22 * 60 * MINUTE);
    assert!(desk.turn(&mut dispatch).contains(&VERIFIED_SEND));
}

#[test]
fn a_step_that_could_not_use_every_place_stays_due_in_its_window() {
    let mut desk = Desk::at("SOUTH/SALES");
    let mut dispatch = scheduled(&["T3 daily 13:00"], &mut desk);
    desk.pass(61 * MINUTE);
    desk.done.complete = false;
    assert_eq!(desk.turn(&mut dispatch), [Action::Apply]);
    desk.pass(POLL);
    desk.done.complete = true;
    assert_eq!(desk.turn(&mut dispatch), [Action::Apply], "tried again");
    desk.pass(POLL);
    assert_eq!(desk.turn(&mut dispatch), [], "it could use all of them");
}

#[test]
fn a_clock_that_goes_back_begins_the_schedule_anew() {
    let mut desk = Desk::at("SOUTH/SALES");
    let mut dispatch = scheduled(&["T3 daily 13:00"], &mut desk);
    desk.pass(61 * MINUTE);
    desk.turn(&mut dispatch);
    desk.now.wall -= 40 * 24 * 60 * 60 * 1000;
    assert_eq!(desk.turn(&mut dispatch), []);
    desk.pass(23 * 60 * MINUTE);
    assert_eq!(desk.turn(&mut dispatch), [], "it is noon again");
    desk.pass(61 * MINUTE);
    assert_eq!(desk.turn(&mut dispatch), [Action::Apply], "not in forty days");
}

#[test]
fn a_failure_pauses_the_postoffice_and_is_said_less_and_less() {
    let (mut desk, mut dispatch) = (Desk::at("SOUTH/SALES"), continuous());
    let mut said = 0;
    for _ in 0..60 {
        said += u64::from(dispatch.failed("the disk is full", desk.now).is_some());
        assert!(dispatch.has_to_wait(desk.now), "not at once");
        desk.pass(POLL);
        assert!(!dispatch.has_to_wait(desk.now));
    }
    assert!((4..=8).contains(&said), "{said} times in half an hour");
    assert!(dispatch.failed("another one", desk.now).is_some(), "a new failure is said");
    dispatch.succeeded();
    assert!(!dispatch.has_failed());
}

#[test]
fn a_note_of_a_run_is_what_the_next_process_goes_by() {
    let mut desk = Desk::at("SOUTH/SALES");
    scheduled(&["T3 daily 13:00"], &mut desk);
    desk.pass(61 * MINUTE);
    let scheduled_for = jiff::Timestamp::from_millisecond((NOON_MS + 3_600_000) as i64).unwrap();
    let ran = Note::Ran { step: Step::Apply, scheduled_for, complete: true };
    let mut tables = desk.postoffice.store.begin().unwrap();
    ran.write(&mut *tables, desk.now.wall).unwrap();
    tables.commit().unwrap();
    scheduled(&["T3 daily 13:00"], &mut desk);
}
