//! The faults stop, and everything has to come to rest.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::Checked;
use super::step::Site;
use super::world::World;

/// So many cycles of everybody may pass until nothing moves.
const CYCLES_MAX: usize = 14;
/// So many cycles must then change nothing.
const QUIET_CYCLES: usize = 2;
/// So long agents alone may take. On an idle machine it is five seconds.
const AGENTS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl World {
    /// Faults stop, shares and late messages return, everybody takes part: then all must be right.
    pub(super) fn rest(&mut self, by_agents: bool) -> Checked<()> {
        self.place.stop_agents()?;
        self.faults.stop(&mut self.place)?;
        self.mend_sources()?;
        for site in Site::REQUESTORS {
            if std::mem::take(&mut self.model.site(site).suspended) {
                self.place.must(Site::Hq, &["requestor", "resume", site.postoffice()])?;
            }
        }
        if by_agents {
            self.rest_by_agents()?;
        }
        let quiet = self.cycle_until_quiet();
        if self.say_who_is_kept()? {
            self.cycle_until_quiet()?;
        } else {
            quiet?;
        }
        let seen = self.check()?;
        self.say_who_is_one(&seen)?;
        self.note_settled(seen);
        Ok(())
    }

    /// Who takes part, the server last: so each round is a whole cycle.
    fn taking_part(&self) -> Vec<Site> {
        let sites = Site::REQUESTORS.into_iter().chain([Site::Hq]);
        sites.filter(|site| !self.model.state(*site).removed).collect()
    }

    fn cycle_until_quiet(&mut self) -> Checked<()> {
        let mut quiet = 0;
        let mut moved = String::new();
        for _ in 0..CYCLES_MAX + QUIET_CYCLES {
            moved.clear();
            for site in self.taking_part() {
                let ran = self.place.must(site, &["cycle", "--json"])?;
                if let Some(what) = moves(&ran.json()?) {
                    moved += &format!(" {site} {what};");
                }
            }
            quiet = if moved.is_empty() { quiet + 1 } else { 0 };
            if quiet == QUIET_CYCLES {
                return Ok(());
            }
        }
        // What is wrong says more than that it does not end.
        self.check()?;
        Err(format!("moves: {CYCLES_MAX} cycles do not bring it to rest:{moved}"))
    }

    /// Agents alone bring everything to rest.
    fn rest_by_agents(&mut self) -> Checked<()> {
        for site in self.taking_part() {
            self.place.start_agent(site)?;
        }
        let end = Instant::now() + AGENTS_WITHIN;
        loop {
            std::thread::sleep(LOOK_EVERY);
            self.place.check_agents()?;
            self.say_who_is_kept()?;
            match self.check() {
                Ok(_) => break,
                Err(why) if Instant::now() > end => return Err(format!("agents: {why}")),
                Err(_) => {}
            }
        }
        self.place.stop_agents()
    }
}

/// What a cycle moved, if anything: own changes, bodies of updates, entries of the list.
fn moves(steps: &Value) -> Option<String> {
    let mut moved = Vec::new();
    let mut count = |step: &str, counts: &Value, name: &str| {
        if counts[name].as_u64().is_some_and(|count| count > 0) {
            moved.push(format!("{step} {name}={}", counts[name]));
        }
    };
    for read in steps["T0"].as_array().into_iter().flatten() {
        for name in ["added", "changed", "removed"] {
            count("T0", &read["counts"], name);
        }
    }
    for (step, name) in [("T1", "changes"), ("T2", "bodies"), ("T3", "entries")] {
        count(step, &steps[step], name);
    }
    (!moved.is_empty()).then(|| moved.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_that_only_asks_and_is_told_nothing_new_moves_nothing() {
        let quiet =
            r#"{"T1":{"bytes":9,"changes":0},"T2":{"bodies":0,"messages":3},"T3":{"entries":0}}"#;
        assert_eq!(moves(&serde_json::from_str(quiet).unwrap()), None);
        let busy = r#"{"T1":{"changes":2},"T3":{"entries":1}}"#;
        let moved = moves(&serde_json::from_str(busy).unwrap());
        assert_eq!(moved.as_deref(), Some("T1 changes=2 T3 entries=1"));
    }
}
