//! What lies in the inboxes, as `status` and `check` show it.

use dirsync_postoffice::inbox::Inbox;

use crate::words::hint::DIRSYNC;
use crate::words::{plural, shown};

/// How many of the files that are no messages are named; the others are counted.
const STRANGERS_SHOWN: usize = 5;

/// As people read it, what there is of it, a line each: a word and what it stands for.
pub fn lines(inbox: &Inbox) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if inbox.messages > 0 {
        lines.push((
            "arrived",
            format!("{} to be looked at", plural(inbox.messages, "message", "messages")),
        ));
    }
    for name in &inbox.suspended {
        let name = shown(name);
        lines.push((
            "waits",
            format!("the request of {name} until `{DIRSYNC} requestor resume {name}`"),
        ));
    }
    for name in &inbox.unregistered {
        let name = shown(name);
        lines.push(("waits", format!("a request of {name}, which is not registered")));
    }
    if !inbox.no_messages.is_empty() {
        let count = inbox.no_messages.len();
        let names: Vec<_> = inbox.no_messages.iter().take(STRANGERS_SHOWN).collect();
        let names: Vec<_> = names.iter().map(|path| shown(&path.display().to_string())).collect();
        let more = if count > STRANGERS_SHOWN { ", …" } else { "" };
        lines.push((
            "strange",
            format!(
                "{}: {}{more}",
                plural(count as u64, "file that is no message", "files that are no messages"),
                names.join(", ")
            ),
        ));
    }
    lines
}
