//! The log of the steps, as people look at it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{Flow, LogLine};

use crate::failure::Result;
use crate::postoffice::Postoffice;
use crate::time::{now_ms, parse_since};

/// The lines of the log that a person wants to see.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// From when on, in words.
    pub since: Option<String>,
    /// This level and those above it.
    pub level: Option<Level>,
    /// Only so many lines, the newest.
    pub last: Option<usize>,
}

/// A reader of the log that goes on where it stopped.
#[derive(Debug)]
pub struct LogReader {
    level: Option<Level>,
    last: Option<usize>,
    /// The time of the last line that was read, and the number of lines of that time that were read.
    read: (u64, usize),
}

impl LogReader {
    /// A reader of the wanted lines. Dates are those of the schedule's zone.
    ///
    /// # Errors
    ///
    /// A time that cannot be read.
    pub fn new(postoffice: &Postoffice, wanted: &Wanted) -> Result<Self> {
        let zone = postoffice.config.zone();
        let since = wanted.since.as_ref().map(|text| parse_since(text, now_ms(), &zone));
        let since = since.transpose()?.unwrap_or(0);
        Ok(Self { level: wanted.level, last: wanted.last, read: (since, 0) })
    }

    /// Visits the lines that are new since the last visit, oldest first.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn visit(
        &mut self,
        postoffice: &mut Postoffice,
        visit: &mut dyn FnMut(&LogLine) -> Flow,
    ) -> Result<()> {
        let (since, skipped) = self.read;
        let (level, last) = (self.level, self.last.take());
        let mut kept = VecDeque::new();
        let (mut at, mut count) = (since, 0);
        let mut broken = false;
        postoffice.begin()?.visit_log(since, &mut |line| {
            count = if line.at == at { count + 1 } else { 1 };
            at = line.at;
            if at == since && count <= skipped || level.is_some_and(|level| line.level < level) {
                return ControlFlow::Continue(());
            }
            let Some(last) = last else {
                let flow = visit(line);
                broken = flow.is_break();
                return flow;
            };
            kept.push_back(line.clone());
            if kept.len() > last {
                kept.pop_front();
            }
            ControlFlow::Continue(())
        })?;
        self.read = (at, count.max(if at == since { skipped } else { 0 }));
        if !broken {
            // A break is the visitor's decision, so its caller knows about it.
            let _ = kept.iter().try_for_each(visit);
        }
        Ok(())
    }
}
