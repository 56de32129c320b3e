//! The names of the notes in a postoffice's database that several modules share.

/// An agent works on this postoffice.
pub const AGENT: &str = "agent";
/// Why the last call of the alarm command failed.
pub const ALARM_ERROR: &str = "alarm-error";
/// The step that cannot be done, and why.
pub const STEP_ERROR: &str = "step-error";
/// Since when a request waits for its answer.
pub const FIRST_UNANSWERED: &str = "first_unanswered";
/// When a request was sent last.
pub const LAST_SENT: &str = "last_sent";
/// When an answer was applied last.
pub const LAST_APPLIED: &str = "last_applied";
/// Beginning of the notes of windows that were missed; the step follows.
pub const MISSED: &str = "missed:";
/// Beginning of the notes of sources that could not be read; the source's name follows.
pub const SOURCE_ERROR: &str = "source-error:";
