//! What the agent would do next, without doing it: the steps in order, and what the sources say now.

use dirsync_agent::schedule::Step;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Result;
use crate::inbox::Inbox;
use crate::json;
use crate::next::{Next, Starts};
use crate::postoffice::Postoffice;
use crate::report::Counts;
use crate::sources;
use crate::status::unacknowledged;
use crate::time::now_ms;

/// What the agent would do next at a postoffice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Forecast {
    /// The postoffice.
    pub postoffice: String,
    /// Its directory server, which may be itself.
    pub server: String,
    /// What starts the steps, and their next times.
    pub next: Next,
    /// The steps in the order in which they come.
    pub steps: Vec<ForecastStep>,
}

/// A step that comes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ForecastStep {
    /// The step.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub step: Step,
    /// When; null if it is due now, or as soon as something changes.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub at: u64,
    /// With T1: the sources that are read before, and what a read would do now.
    pub reads: Vec<ForecastRead>,
    /// With T1: own changes that the server has not acknowledged, without those of the reads.
    pub changes: u64,
    /// With T2, and at a requestor with T3: messages that have arrived so far.
    pub messages: u64,
    /// With T3: the files that equal the list afterwards.
    pub targets: Vec<String>,
}

/// What a read of a source would do now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ForecastRead {
    /// The source.
    pub source: String,
    /// Its file.
    pub file: String,
    /// The counts; null if it cannot be read.
    pub counts: Option<Counts>,
    /// Why it would not be read to its end.
    pub failed: Option<String>,
}

impl Forecast {
    /// What the agent would do next. Nothing is kept.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let now = now_ms();
        let next = Next::of(postoffice, now)?;
        let reads = reads(postoffice);
        let messages = Inbox::of(postoffice)?.messages;
        let targets = &postoffice.config.targets;
        let targets: Vec<String> =
            targets.iter().map(|target| target.file.display().to_string()).collect();
        let mut tables = postoffice.begin()?;
        let state = tables.requestor()?;
        let changes = unacknowledged(&mut *tables, &state)?;
        drop(tables);
        let is_server = postoffice.is_server;
        let step = |(at, step)| ForecastStep {
            step,
            at,
            reads: if step == Step::Send { reads.clone() } else { Vec::new() },
            changes: if step == Step::Send { changes } else { 0 },
            messages: match step {
                Step::Process => messages,
                Step::Apply if !is_server => messages,
                Step::Send | Step::Apply => 0,
            },
            targets: if step == Step::Apply { targets.clone() } else { Vec::new() },
        };
        let steps = in_order(&next, is_server).into_iter().map(step).collect();
        let (postoffice, server) = (postoffice.name.to_string(), postoffice.server.to_string());
        Ok(Self { postoffice, server, next, steps })
    }

    /// Whether every source could be read.
    pub fn is_well(&self) -> bool {
        self.steps.iter().flat_map(|step| &step.reads).all(|read| read.failed.is_none())
    }
}

/// The steps with their next times, 0 for at once. A step that never runs is left out.
fn in_order(next: &Next, is_server: bool) -> Vec<(u64, Step)> {
    if next.starts == Starts::Continuous {
        let steps = [Step::Send, Step::Process, Step::Apply].into_iter();
        return steps
            .filter(|step| is_server || *step != Step::Process)
            .map(|step| (0, step))
            .collect();
    }
    let first = |times: &[u64], due| if due { Some(0) } else { times.first().copied() };
    let steps = next.steps.iter();
    let mut steps: Vec<(u64, Step)> =
        steps.filter_map(|one| Some((first(&one.times, one.due)?, one.step))).collect();
    steps.sort_unstable();
    steps
}

fn reads(postoffice: &mut Postoffice) -> Vec<ForecastRead> {
    let sources = postoffice.config.sources.clone();
    let read = |source| {
        let read = sources::read_dry(postoffice, source, &mut |_| {});
        let (counts, failed) = match read {
            Ok(intake) => {
                let failed = intake.broke_off.as_ref().map(ToString::to_string);
                (Some(Counts::from(&intake.report)), failed)
            }
            Err(failure) => (None, Some(failure.text())),
        };
        let file = source.file.display().to_string();
        ForecastRead { source: source.name.clone(), file, counts, failed }
    };
    sources.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::init;

    #[test]
    fn a_forecast_has_the_steps_in_order_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        init::make_server(folder.path(), &"NORTH/HQ".parse().unwrap()).unwrap();
        let settings = "[schedule]\ntimes = [\"T1 daily 22:00\", \"T2 daily 23:00\", \"T3 daily 23:30\"]\n\
                        [[source]]\nname = \"hr\"\nfile = \"hr.csv\"\nwhole = true\n\
                        [[source]]\nname = \"gone\"\nfile = \"gone.csv\"\n\
                        [[target]]\nfile = \"list.csv\"\n";
        fs::write(folder.path().join("dirsync.toml"), settings).unwrap();
        let people = "key,name,mail\n1,Ana,ana@x.example\n2,Bo,bo@x.example\n";
        fs::write(folder.path().join("hr.csv"), people).unwrap();
        for _ in 0..2 {
            let mut postoffice = Postoffice::open(folder.path(), "test").unwrap();
            let forecast = Forecast::of(&mut postoffice).unwrap();
            let times: Vec<u64> = forecast.steps.iter().map(|step| step.at).collect();
            assert!(forecast.steps.len() == 3 && times.is_sorted(), "{forecast:?}");
            let sends = forecast.steps.iter().find(|step| step.step == Step::Send).unwrap();
            assert_eq!(sends.reads[0].counts.as_ref().map(|counts| counts.added), Some(2));
            assert!(sends.reads[1].failed.is_some() && !forecast.is_well());
            assert_eq!(postoffice.begin().unwrap().requestor().unwrap().own_digest.count, 0);
        }
        assert!(!folder.path().join("list.csv").exists());
    }
}
