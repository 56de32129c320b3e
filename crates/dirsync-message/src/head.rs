//! The text of heads. The format is in `docs/message-format.md`, "Head".
//!
//! A head has exactly one text: [`Head::parse`] accepts what [`Request::to_text`] and
//! [`Update::to_text`] print, and of this format version nothing else.

mod buckets;
mod error;
mod fields;
mod offer;
mod request;
mod update;

pub use error::{HeadError, HeadErrorKind};

use dirsync_directory::VIEW_BYTES_MAX;

use crate::update::{OFFERS_BYTES_MAX, OUTCOMES_BYTES_MAX, REASON_BYTES_MAX};
use crate::{FormatVersion, ReqEpoch, Request, Update};
use fields::{FieldReader, FieldWriter};

/// The first line of a head.
const HEADER: &str = "[DIRSYNC]\n";
/// The last line of a head.
const TRAILER: &str = "[END]\n";
/// The largest head that is read, in bytes: the outcomes, and 4 MiB for everything else.
pub const HEAD_BYTES_MAX: usize = OUTCOMES_BYTES_MAX + 4 * 1024 * 1024;
/// The most fields of a head, not counting outcomes and offers. This version has far fewer; newer ones
/// may have more.
const FIELDS_MAX: usize = 100;
/// The longest value of a field, in bytes as written. The longest of all are buckets with digests.
const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// The longest value of an outcome, in bytes as written: names, an address, or a reason, escaped.
const OUTCOME_BYTES_MAX: usize = 8 * 1024;
/// The most epochs that a request names as its ancestors. Each restore or renewal of a postoffice adds
/// one.
pub const LINEAGE_MAX: usize = 1024;
/// The longest version of a program, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 128;

// Every head that the other limits allow can be read. A value grows when it is escaped: a reason to four
// times its length at most, and the text of a view, which has no controls but tabs and line ends, to
// twice. The view in force joins the views of two parties.
const _: () = assert!(4 * REASON_BYTES_MAX + 64 <= OUTCOME_BYTES_MAX);
const _: () = assert!(2 * 2 * VIEW_BYTES_MAX <= VALUE_BYTES_MAX);
const _: () = assert!(OFFERS_BYTES_MAX <= VALUE_BYTES_MAX, "the largest offer is one value");
const _: () =
    assert!(OUTCOMES_BYTES_MAX + OFFERS_BYTES_MAX + 2 * VALUE_BYTES_MAX <= HEAD_BYTES_MAX);
const _: () = assert!(LINEAGE_MAX * (2 * size_of::<ReqEpoch>() + 1) <= VALUE_BYTES_MAX);

/// The head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// T1: a requestor to its server.
    Request(Box<Request>),
    /// T2: the server to a requestor.
    Update(Box<Update>),
}

impl Head {
    /// Reads a head.
    ///
    /// # Errors
    ///
    /// If the text is not a head, if the MAJOR of its format is another one, or if a field is missing,
    /// duplicated, or not in its one form. Unknown fields, and other forms of known ones, are accepted
    /// only if the MINOR of the format is newer than [`FormatVersion::CURRENT`].
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let mut fields = FieldReader::new(text)?;
        let head = match fields.word("message", "request or update", &["request", "update"])? {
            0 => Self::Request(Box::new(Request::from_fields(&mut fields)?)),
            _ => Self::Update(Box::new(Update::from_fields(&mut fields)?)),
        };
        if fields.version() <= FormatVersion::CURRENT {
            fields.end()?;
            check_form(text, &head.print())?;
        }
        Ok(head)
    }

    /// The one text of the head.
    pub fn to_text(&self) -> String {
        match self {
            Self::Request(request) => request.to_text(),
            Self::Update(update) => update.to_text(),
        }
    }

    /// [`Self::to_text`] without reading the text back, which parsing itself needs.
    fn print(&self) -> String {
        match self {
            Self::Request(request) => request.print(),
            Self::Update(update) => update.print(),
        }
    }
}

/// Whether every head and transaction is read back as it is written: in debug builds, and in the
/// simulator.
pub(crate) const READ_BACK: bool = cfg!(any(debug_assertions, feature = "simulation"));

/// Asserts that a head is read as it was written, if [`READ_BACK`].
///
/// A head is made from committed state. One that its addressee cannot read would be made again and sent
/// again for ever, so it is better to stop.
fn read_back(text: String, is_same: impl FnOnce(&Head) -> bool) -> String {
    if READ_BACK {
        let read = Head::parse(&text);
        assert!(read.as_ref().is_ok_and(is_same), "this head is read as {read:?}:\n{text}");
    }
    text
}

/// Refuses a head that has another text than its one, such as fields out of order or the number `007`.
///
/// The whole head is printed again and compared, so no parser of a value has to be strict by itself.
fn check_form(text: &str, one_form: &str) -> Result<(), HeadError> {
    if text == one_form {
        return Ok(());
    }
    let same = text.lines().zip(one_form.lines()).take_while(|(line, form)| line == form).count();
    let field = one_form.lines().nth(same).and_then(|line| line.split('=').next());
    let expected = field.unwrap_or("end of the head").into();
    Err(HeadError { line: same as u64 + 1, kind: HeadErrorKind::Form { expected } })
}

/// The first fields of every head.
fn begin(message: &str) -> FieldWriter {
    let mut fields = FieldWriter::new();
    fields.put("format", FormatVersion::CURRENT);
    fields.put("message", message);
    fields
}
