//! Reading a mail: whether it carries files of this program, and which other mail it is.

use dirsync_directory::{PostofficeName, shown};

use crate::bounce::{self, Bounce};
use crate::file::{FoundFile, Hints};
use crate::hint;
use crate::parts::{Head, Parts};

/// The most files that one mail carries.
pub const FILES_MAX: usize = 20;
/// The most characters of a subject or an address that people are shown.
const SHOWN_CHARS_MAX: usize = 200;
/// The beginnings of the two texts of the classic protocol.
const CLASSIC: [&[u8]; 2] = [b"[dirsync]", b"[dirsync-transactions]"];
/// The reason for a file that Exchange or Outlook wrapped.
const WINMAIL: &str = "its attachment is wrapped as winmail.dat, and no file of dirsync could be found in it; at the \
                       sender, turn off rich text (TNEF) for this address: in Exchange \
                       \"Set-RemoteDomain -TNEFEnabled $false\", in Outlook the format of mail to this address";

/// The reason for a file that was encrypted, or signed in a form that hides it.
const HIDDEN: &str = "it is encrypted, or signed so that its attachment is inside the signature; files of dirsync are \
                      encrypted and signed already: exempt this address from S/MIME and PGP at the sender";
/// The reason for a mail that lost its file.
const REMOVED: &str = "its attachment was removed or replaced on its way; tell the mail filters of both sites to let \
                       attachments of these two addresses through";
/// Types of parts that hide what they have inside.
const HIDING: [&str; 3] =
    ["application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"];

/// What a mail is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// It carries files of this program, for whichever postoffice.
    Files(Vec<FoundFile>),
    /// It tells that a mail of this program was not delivered, or is late.
    Bounce(Bounce),
    /// A program answered a mail of this one: somebody is away.
    AutomaticReply,
    /// It was sent for a file, but none was found in it, for this reason.
    Unusable(&'static str),
    /// A message of the classic protocol. It is for another program.
    Classic,
    /// Mail for people, or for others.
    Others,
}

/// What people are told of a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The field `From`.
    pub from: String,
    /// The field `Subject`.
    pub subject: String,
}

/// Reads a mail. It never fails: whatever cannot be read carries no file.
pub fn read(mail: &[u8]) -> (Mail, About) {
    let parts = Parts::of(mail);
    let about =
        About { from: to_show(parts.head(), "From"), subject: to_show(parts.head(), "Subject") };
    let kind = kind(&parts, mail);
    // Line ends of CR alone are no line ends to a reader of mail. In a file that travels as it is they may be data, so
    // they are changed only if nothing was found.
    if kind == Mail::Others
        && let Some(mail) = with_line_feeds(mail)
    {
        let parts = Parts::of(&mail);
        let about = About {
            from: to_show(parts.head(), "From"),
            subject: to_show(parts.head(), "Subject"),
        };
        return (self::kind(&parts, &mail), about);
    }
    (kind, about)
}

/// The mail with LF for each CR that stands alone. `None` if there is none.
fn with_line_feeds(mail: &[u8]) -> Option<Vec<u8>> {
    let is_bare = |at: usize| mail[at] == b'\r' && mail.get(at + 1) != Some(&b'\n');
    if !(0..mail.len()).any(is_bare) {
        return None;
    }
    let byte = |at: usize| if is_bare(at) { b'\n' } else { mail[at] };
    Some((0..mail.len()).map(byte).collect())
}

fn kind(parts: &Parts<'_>, mail: &[u8]) -> Mail {
    // A bounce may return the whole mail. The file in it is one that was sent, not one that came.
    if let Some(bounce) = bounce::of_report(parts) {
        return if bounce.is_ours() { Mail::Bounce(bounce) } else { Mail::Others };
    }
    if !is_automatic_reply(parts.head()) {
        let files = files(parts);
        if !files.is_empty() {
            return Mail::Files(files);
        }
    }
    let concerns_us = concerns_us(parts, mail);
    if parts.has_tnef && (parts.has_broken_tnef || concerns_us) {
        return Mail::Unusable(WINMAIL);
    }
    if concerns_us && is_automatic_reply(parts.head()) {
        return Mail::AutomaticReply;
    }
    if concerns_us && parts.kinds.iter().any(|kind| HIDING.contains(&kind.as_str())) {
        return Mail::Unusable(HIDDEN);
    }
    if let Some(bounce) = bounce::in_words(parts, mail) {
        return Mail::Bounce(bounce);
    }
    if parts.head().get(hint::FILE).is_some() {
        return Mail::Unusable(REMOVED);
    }
    let is_classic = |part: &crate::parts::Part<'_>| {
        let text = part.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&part.bytes);
        let text = text.trim_ascii_start();
        let begins = |begin: &&[u8]| {
            text.get(..begin.len()).is_some_and(|text| text.eq_ignore_ascii_case(begin))
        };
        CLASSIC.iter().any(begins)
    };
    if parts.parts.iter().any(is_classic) { Mail::Classic } else { Mail::Others }
}

fn files(parts: &Parts<'_>) -> Vec<FoundFile> {
    let mut files: Vec<FoundFile> = Vec::new();
    for part in &parts.parts {
        let hints = parts.heads.get(part.message).map(hints).unwrap_or_default();
        let file = FoundFile::of(&part.bytes, part.file_name.as_deref(), &hints);
        // The two copies in a mail with alternatives are one file.
        if let Some(file) = file.filter(|file| !files.contains(file)) {
            files.push(file);
        }
        if files.len() >= FILES_MAX {
            break;
        }
    }
    files
}

/// What the header of a message says of its file.
fn hints(head: &Head) -> Hints {
    let decoded = |name: &str| head.get(name).and_then(hint::decode);
    let to = decoded(hint::TO).and_then(|text| text.parse::<PostofficeName>().ok());
    Hints { to, file: decoded(hint::FILE).filter(|name| hint::is_file_name(name)) }
}

/// Whether a program answered for a person, or said that it could not deliver (RFC 3834). Mail of this program is
/// generated, and answers nothing.
fn is_automatic_reply(head: &Head) -> bool {
    let replies = |value: &str| value.trim().to_ascii_lowercase().starts_with("auto-replied");
    let has = |name: &str| head.get(name).is_some();
    head.all("Auto-Submitted").any(replies)
        || ["X-Autoreply", "X-Autorespond", "X-Auto-Reply"].into_iter().any(has)
}

/// Whether a mail has to do with one of this program: it names its id, or repeats its subject.
fn concerns_us(parts: &Parts<'_>, mail: &[u8]) -> bool {
    let subject = to_show(parts.head(), "Subject");
    let is_ours = |word: &str| word == "dirsync";
    subject.split_ascii_whitespace().any(is_ours) && subject.contains(" to ")
        || parts.heads.iter().any(|head| head.get(hint::FILE).is_some())
        || !hint::ids_in(&beginning(mail), 1).is_empty()
}

/// The beginning of a mail as text, where replies and bounces name the id of the mail they are about.
pub(crate) fn beginning(mail: &[u8]) -> std::borrow::Cow<'_, str> {
    const SEARCHED_BYTES_MAX: usize = 256 * 1024;
    String::from_utf8_lossy(&mail[..mail.len().min(SEARCHED_BYTES_MAX)])
}

/// A field for people, on one line.
fn to_show(head: &Head, field: &str) -> String {
    let text = head.get(field).unwrap_or_default();
    let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    shown(&text).into_owned()
}

#[cfg(test)]
mod tests;
