//! The contents of the inboxes of a postoffice, for `status` and `check`.

use std::path::PathBuf;

use dirsync_carrier::{FolderTransit, InboxContents};
use dirsync_protocol::tables::Registration;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Result;
use crate::json;
use crate::postoffice::Postoffice;

/// The contents of all inboxes of a postoffice.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Inbox {
    /// Messages that no step has looked at yet.
    pub messages: u64,
    /// Postoffices that are suspended and whose requests wait.
    pub suspended: Vec<String>,
    /// Postoffices that are not registered and whose requests wait.
    pub unregistered: Vec<String>,
    /// Files that are no messages: other names, links, devices.
    #[serde(serialize_with = "json::paths")]
    #[schemars(with = "Vec<String>")]
    pub no_messages: Vec<PathBuf>,
}

impl Inbox {
    /// Reads the inboxes. A place that cannot be reached is skipped; the steps report it.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let registrations = postoffice.begin()?.registrations()?;
        let places = postoffice.places()?;
        let mut inbox = Self::default();
        for place in places {
            if let Ok(Ok(contents)) = postoffice.at_place(&place, FolderTransit::contents) {
                inbox.add(contents, &registrations);
            }
        }
        Ok(inbox)
    }

    fn add(&mut self, contents: InboxContents, registrations: &[Registration]) {
        self.messages += contents.messages;
        self.no_messages.extend(contents.strangers);
        for request in contents.waiting {
            let known = registrations.iter().find(|one| request.is_from(&one.name));
            match known {
                Some(registration) => self.suspended.push(registration.name.to_string()),
                None => self.unregistered.push(request.sender),
            }
        }
    }

    /// Whether a person has to decide about something there.
    pub fn waits_for_a_person(&self) -> bool {
        !self.unregistered.is_empty()
    }
}
