//! The names of the notes in a postoffice's database: [`CommonTables::note`] takes one of these. A name
//! that ends with a colon is a prefix: the rest of the name says what the note is about.
//!
//! [`CommonTables::note`]: dirsync_protocol::tables::CommonTables::note

/// How far the log of decisions is carried out: number of renewals, number of lines, and their hash.
pub const DECISIONS: &str = "decisions";

/// By inbox, the last message that a step looked at, if it left others behind it.
pub const LOOKED_AT: &str = "looked-at:";

/// By place and message, an update for another machine of the same name, which is left where it is.
pub const LEFT: &str = "left:";

/// The epoch and number of the list up to which requestors were answered unasked.
pub const PUSHED: &str = "pushed";

/// The epoch that requestors were told of unasked, and whether it was recovering.
pub const ANNOUNCED: &str = "announced";

/// Why the server does not take this postoffice's requests.
pub const SERVER_NOTICE: &str = "server-notice";

/// The public key of the directory server.
pub const SERVER_KEY: &str = "server-key";

/// The root of the certificates of the server's link, DER in base64. None if they are public.
pub const LINK_ROOT: &str = "link-root";

/// The mail address of this postoffice, as its invitation has it.
pub const MAIL_ADDRESS: &str = "mail-address";

/// By postoffice, the keys that follow its pinned one, in their order.
pub const ANNOUNCED_KEYS: &str = "announced-keys:";

/// By postoffice, the fingerprints of the own keys to which it has sealed: the newest, and the last.
pub const CONFIRMED_KEYS: &str = "confirmed-keys:";

/// By postoffice, the public key of a machine that proved its invitation and was not admitted.
pub const CONTACT_KEY: &str = "contact-key:";

/// By postoffice, when the server refused it last, and why.
pub const REFUSED: &str = "refused:";

/// By step, the senders of the messages that it refused today, and how many were not logged.
pub const REFUSALS: &str = "refusals:";

/// By postoffice, when the last piece of a body came from it, over a slow line.
pub const PIECE_CAME: &str = "piece-came:";

/// By place and postoffice, the last probe.
pub const PROBE: &str = "probe:";

/// An agent works on this postoffice.
pub const AGENT: &str = "agent";

/// Up to which own change a request was sent.
pub const SENT_UP_TO: &str = "sent_up_to";

/// Since when a request waits for its answer.
pub const FIRST_UNANSWERED: &str = "first_unanswered";

/// When a request was sent last.
pub const LAST_SENT: &str = "last_sent";

/// When an answer was applied last.
pub const LAST_APPLIED: &str = "last_applied";

/// By step, the time of the schedule for which it ran last.
pub const LAST_RUN: &str = "last_run:";

/// By step, the time of the schedule for which it ran and could not use every place.
pub const INCOMPLETE: &str = "incomplete:";

/// By step, a run window that was missed, until the step has run again.
pub const MISSED: &str = "missed:";

/// The last command of a person, if it left no run, and the newest run before it.
pub const LAST_COMMAND: &str = "last-command";

/// When what is past its time was forgotten last.
pub const TIDIED: &str = "tidied";

/// The step that cannot be done, and why.
pub const STEP_ERROR: &str = "step-error";

/// By source, why it could not be read to its end.
pub const SOURCE_ERROR: &str = "source-error:";

/// By source, the limits of the guard for entries that it added while there was no list to compare them with.
pub const UNCOMPARED: &str = "uncompared:";

/// By target, why it could not be written.
pub const TARGET_ERROR: &str = "target-error:";

/// By step, place and addressee, a place that could not be used.
pub const TROUBLE: &str = "trouble:";

/// By requestor with several places, the one at which its newest request came.
pub const HEARD_AT: &str = "heard-at:";

/// By kind, an alarm that began and is not over.
pub const ALARM: &str = "alarm:";

/// By number, a call that the alarm command has still to make.
pub const ALARM_CALL: &str = "alarm-call:";

/// Why the last call of the alarm command failed.
pub const ALARM_ERROR: &str = "alarm-error";
