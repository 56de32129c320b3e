//! What lies in the inboxes of a postoffice: for `status` and `check`.

use std::path::PathBuf;

use dirsync_carrier::InboxContents;
use dirsync_protocol::tables::Registration;
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::office::Office;
use crate::words::shown;

/// So many files that are no messages are named; the others are counted.
const STRANGERS_SHOWN: usize = 5;

/// What lies there, of all inboxes together.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Messages that no step has looked at yet.
    messages: u64,
    /// Postoffices that are suspended and whose requests wait.
    suspended: Vec<String>,
    /// Postoffices that are not registered and whose requests wait.
    unknown: Vec<String>,
    /// What is no message: other names, links, devices.
    strangers: Vec<PathBuf>,
}

impl Inbox {
    /// What lies there now. A place that cannot be reached is a matter for the steps.
    pub fn of(office: &mut Office) -> Outcome<Self> {
        let registrations = office.begin()?.registrations()?;
        let places = office.places()?;
        let mut inbox = Self::default();
        for contents in places.iter().filter_map(|place| place.contents().ok()) {
            inbox.add(contents, &registrations);
        }
        Ok(inbox)
    }

    fn add(&mut self, contents: InboxContents, registrations: &[Registration]) {
        self.messages += contents.messages;
        self.strangers.extend(contents.strangers);
        for request in contents.waiting {
            let known = registrations.iter().find(|one| request.is_from(&one.name));
            match known {
                Some(registration) => self.suspended.push(registration.name.to_string()),
                None => self.unknown.push(request.sender),
            }
        }
    }

    /// Whether a person has to decide about something there.
    pub fn waits_for_a_person(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// As scripts read it.
    pub fn json(&self) -> Value {
        let strangers: Vec<_> =
            self.strangers.iter().map(|path| path.display().to_string()).collect();
        json!({
            "messages": self.messages,
            "suspended": self.suspended,
            "unregistered": self.unknown,
            "no_messages": strangers,
        })
    }

    /// As people read it, what there is of it, a line each: a word and what it stands for.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if self.messages > 0 {
            lines.push(("arrived", format!("{} messages to be looked at", self.messages)));
        }
        for name in &self.suspended {
            let name = shown(name);
            lines.push((
                "waits",
                format!("the request of {name} until `dirsync requestor resume {name}`"),
            ));
        }
        for name in &self.unknown {
            let name = shown(name);
            lines.push(("waits", format!("a request of {name}, which is not registered")));
        }
        if !self.strangers.is_empty() {
            let count = self.strangers.len();
            let names: Vec<_> = self.strangers.iter().take(STRANGERS_SHOWN).collect();
            let names: Vec<_> =
                names.iter().map(|path| shown(&path.display().to_string())).collect();
            let more = if count > STRANGERS_SHOWN { ", …" } else { "" };
            lines.push((
                "strange",
                format!("{count} that are no messages: {}{more}", names.join(", ")),
            ));
        }
        lines
    }
}
