//! Bounces: mail by which a mail server says that it did not deliver one of ours, or is late (RFC 3464).
//!
//! A bounce is matched to the file that it is about by the header that it returns, or by the id of the mail. It may come
//! from anybody, so it is no proof of anything: it makes the next piece smaller, or is shown to people.

#[cfg(any(test, feature = "servers"))]
use dirsync_carrier::CarrierErrorKind;
use dirsync_directory::{PostofficeName, shown};

use crate::hint;
use crate::parts::{Head, Part, Parts};

/// The most recipients of a report that are read.
const RECIPIENTS_MAX: usize = 20;
/// The most ids that are read of one bounce.
pub(crate) const IDS_MAX: usize = 10;
/// The most characters of the words of the other side.
const WORDS_CHARS_MAX: usize = 300;
/// The part of a text that is searched for the reason of a bounce in no standard form, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BounceClass {
    /// It is late, and is still tried. This is no failure.
    Delayed,
    /// It is larger than a mail server on its way takes.
    TooLarge,
    /// It was not delivered.
    Failed,
}

/// A bounce, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// What became of the mail.
    pub class: BounceClass,
    /// The words of the other side.
    pub words: String,
    /// The sender, the addressee and the name of the file, as the returned header says them.
    pub(crate) returned: Option<(PostofficeName, PostofficeName, String)>,
    /// The ids of mails of this program that it names.
    pub(crate) ids: Vec<String>,
    /// The mail addresses for which the mail was.
    pub(crate) recipients: Vec<String>,
}

impl Bounce {
    /// Whether it is about a mail of this program.
    pub(crate) fn is_ours(&self) -> bool {
        self.returned.is_some() || !self.ids.is_empty()
    }
}

/// Whether words or a code of a mail server say that a mail is too large.
pub(crate) fn says_too_large(code: &str, words: &str) -> bool {
    const PHRASES: [&str; 12] = [
        "message size exceeds",
        "exceeds size limit",
        "exceeds maximum",
        "exceeded maximum message size",
        "message too large",
        "message too big",
        "message is too large",
        "size limit",
        "maximum message size",
        "too large for",
        "file too big",
        "file too large",
    ];
    let words = words.to_ascii_lowercase();
    let has_code = |wanted: &str| {
        code == wanted
            || words
                .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
                .any(|word| word.trim_matches(|c: char| !c.is_ascii_digit()) == wanted)
    };
    // A full mailbox is answered with 552 as well, but smaller mail does not help.
    let is_full = has_code("5.2.2") || words.contains("quota") || words.contains("mailbox full");
    let codes = ["5.3.4", "5.2.3"].into_iter().any(has_code);
    codes
        || !is_full
            && (code == "552"
                || has_code("552")
                || PHRASES.iter().any(|phrase| words.contains(phrase)))
}

/// Reads the report in a mail. `None` if it has none.
pub(crate) fn of_report(parts: &Parts<'_>) -> Option<Bounce> {
    let is_report = |part: &&Part<'_>| {
        matches!(part.kind.as_str(), "message/delivery-status" | "message/global-delivery-status")
    };
    let report = parts.parts.iter().find(is_report)?;
    let mut bounce = Bounce {
        class: BounceClass::Delayed,
        words: String::new(),
        returned: returned(parts),
        ids: ids(parts),
        recipients: Vec::new(),
    };
    let mut is_known = false;
    for recipient in recipients(&report.bytes).take(RECIPIENTS_MAX) {
        let Some(class) = class_of(&recipient) else { continue };
        // If there are several, the worst is told.
        if !is_known || class > bounce.class {
            bounce.class = class;
            bounce.words = words_of(&recipient);
        }
        is_known = true;
        for field in ["Final-Recipient", "Original-Recipient"] {
            bounce.recipients.extend(recipient.get(field).map(typed).map(|(_, address)| address));
        }
    }
    // A report of success, or of nothing that is understood, is no bounce. It is not a file either.
    if !is_known {
        bounce.ids.clear();
        bounce.returned = None;
    }
    Some(bounce)
}

/// The groups of fields of a report, without the first one, which is of the whole mail.
fn recipients(report: &[u8]) -> impl Iterator<Item = Head> {
    let text =
        String::from_utf8_lossy(&report[..report.len().min(TEXT_BYTES_MAX)]).replace("\r\n", "\n");
    let groups: Vec<Head> = text
        .split("\n\n")
        .filter(|group| !group.trim().is_empty())
        .map(|group| Head::read(format!("{}\n", group.trim_start()).as_bytes()))
        .collect();
    groups.into_iter().filter(|group| group.get("Action").is_some())
}

fn class_of(recipient: &Head) -> Option<BounceClass> {
    let action = recipient.get("Action")?.trim().to_ascii_lowercase();
    match action.as_str() {
        "delayed" => Some(BounceClass::Delayed),
        "failed" => {
            let status = recipient.get("Status").unwrap_or_default().trim();
            let (_, words) = typed(recipient.get("Diagnostic-Code").unwrap_or_default());
            let too_large =
                says_too_large(status.split_whitespace().next().unwrap_or_default(), &words);
            Some(if too_large { BounceClass::TooLarge } else { BounceClass::Failed })
        }
        // Delivered, relayed, expanded.
        _ => None,
    }
}

/// `smtp; 550 5.1.1 …` without its type, on one line.
fn typed(value: &str) -> (&str, String) {
    let (kind, text) = value.split_once(';').unwrap_or(("", value));
    (kind, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn words_of(recipient: &Head) -> String {
    let (_, words) = typed(recipient.get("Diagnostic-Code").unwrap_or_default());
    let (_, server) = typed(recipient.get("Remote-MTA").unwrap_or_default());
    let status = recipient.get("Status").unwrap_or_default().trim();
    let words = match (words.is_empty(), server.is_empty()) {
        (true, _) => format!("status {status}"),
        (false, true) => words,
        (false, false) => format!("{server}: {words}"),
    };
    to_show(&words)
}

fn to_show(words: &str) -> String {
    let words: String = words.chars().take(WORDS_CHARS_MAX).collect();
    shown(&words).into_owned()
}

/// What the returned header says of the file: that of a message inside, or a header alone.
fn returned(parts: &Parts<'_>) -> Option<(PostofficeName, PostofficeName, String)> {
    let alone = parts.parts.iter().filter(|part| {
        matches!(
            part.kind.as_str(),
            "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers"
        )
    });
    let alone = alone.map(|part| Head::read(&part.bytes));
    let inside = parts.heads.iter().skip(1).cloned();
    inside.chain(alone).find_map(|head| {
        let decoded = |name: &str| head.get(name).and_then(hint::decode);
        let name = |field| decoded(field)?.parse::<PostofficeName>().ok();
        let file = decoded(hint::FILE).filter(|name| hint::is_file_name(name))?;
        Some((name(hint::FROM)?, name(hint::TO)?, file))
    })
}

/// The ids in the header and the texts of a mail.
fn ids(parts: &Parts<'_>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        for id in hint::ids_in(text, IDS_MAX) {
            if ids.len() < IDS_MAX && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
    };
    for field in ["In-Reply-To", "References", "X-Original-Message-ID"] {
        parts.head().all(field).for_each(&mut add);
    }
    for head in parts.heads.iter().skip(1) {
        head.all("Message-ID").for_each(&mut add);
    }
    for part in &parts.parts {
        if part.kind.starts_with("text/") || part.kind.starts_with("message/") {
            add(&String::from_utf8_lossy(&part.bytes[..part.bytes.len().min(TEXT_BYTES_MAX)]));
        }
    }
    ids
}

/// A bounce in no standard form: mail without a return path, or from the mail system, that names a mail of this program
/// and says something of failure. Old servers write such.
pub(crate) fn in_words(parts: &Parts<'_>, mail: &[u8]) -> Option<Bounce> {
    let head = parts.head();
    let is_empty = |path: &str| path.trim() == "<>";
    let from = head.get("From").unwrap_or_default().to_ascii_lowercase();
    let is_of_system = head.all("Return-Path").any(is_empty)
        || ["mailer-daemon", "postmaster", "mail delivery"].iter().any(|who| from.contains(who));
    if !is_of_system {
        return None;
    }
    let text = crate::read::beginning(mail);
    let mut ids = ids(parts);
    ids.extend(hint::ids_in(&text, IDS_MAX).into_iter().map(str::to_owned));
    ids.sort_unstable();
    ids.dedup();
    ids.truncate(IDS_MAX);
    let recipients = head.all("X-Failed-Recipients").map(|text| text.trim().to_owned());
    let (returned, recipients) = (returned(parts), recipients.collect());
    if returned.is_none() && ids.is_empty() {
        return None;
    }
    let words = parts.parts.iter().find(|part| part.kind.starts_with("text/"));
    let words = words
        .map(|part| String::from_utf8_lossy(&part.bytes[..part.bytes.len().min(TEXT_BYTES_MAX)]));
    let words = words.unwrap_or_default();
    let lower = words.to_ascii_lowercase();
    let is_late = ["delayed", "will be retried", "still being tried", "has not yet been delivered"];
    let class = if says_too_large("", &words) {
        BounceClass::TooLarge
    } else if is_late.iter().any(|phrase| lower.contains(phrase)) {
        BounceClass::Delayed
    } else {
        BounceClass::Failed
    };
    let words = to_show(&words.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(Bounce { class, words, returned, ids, recipients })
}

/// The kind of an error that a mail server answers with while a mail is handed over.
#[cfg(any(test, feature = "servers"))]
pub(crate) fn error_kind(code: u16, words: &str) -> CarrierErrorKind {
    match code {
        _ if code >= 500 && says_too_large(&code.to_string(), words) => CarrierErrorKind::TooLarge,
        530 | 534 | 535 | 538 => CarrierErrorKind::Settings,
        500.. => CarrierErrorKind::Refused,
        _ => CarrierErrorKind::Unreachable,
    }
}

#[cfg(test)]
mod tests;
