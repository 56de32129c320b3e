//! The text of heads: small, one per addressee.
//!
//! Format: `docs/message-format.md`, "Head". Each head has one text: what [`Request::to_text`] and
//! [`Update::to_text`] print is what [`Head::parse`] accepts, and in this version nothing else.

mod buckets;
mod error;
mod fields;
mod offer;
mod request;
mod update;

pub use error::{HeadError, HeadErrorKind};
pub(crate) use offer::offer_bytes;
pub(crate) use update::outcome_bytes;

use crate::update::OUTCOMES_BYTES_MAX;
use crate::{FormatVersion, Request, Update};
use fields::{FieldReader, FieldWriter};

/// The first line of a head.
const HEADER: &str = "[DIRSYNC]\n";
/// The last line of a head.
const TRAILER: &str = "[END]\n";
/// Largest head that is read, in bytes: room for the outcomes, and 4 MiB for the rest.
pub const HEAD_BYTES_MAX: usize = OUTCOMES_BYTES_MAX + 4 * 1024 * 1024;
/// Most fields of a head, without its outcomes; newer formats may have more than this one.
const FIELDS_MAX: usize = 100;
/// Longest value of a field as it stands, in bytes. The longest of all are buckets with digests.
const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Longest value of an outcome as it stands, in bytes: two names, an address, or a reason, escaped.
const OUTCOME_BYTES_MAX: usize = 8 * 1024;
/// Most ancestors that a request names; each is a restore or a renewal of its postoffice.
pub const LINEAGE_MAX: usize = 1024;
/// Longest proof of an invitation's secret, in bytes.
const PROOF_BYTES_MAX: usize = 128;
/// Longest public key, in bytes, with its comment.
pub const PUBLIC_KEY_BYTES_MAX: usize = 1024;
/// Longest version of a program, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 128;

/// The head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// T1.
    Request(Box<Request>),
    /// T2.
    Update(Box<Update>),
}

impl Head {
    /// Reads a head.
    ///
    /// # Errors
    ///
    /// When the text is no head, its format's MAJOR is another, a field is missing, stands twice,
    /// or has another form than its one. Fields that are not known, and other forms of known ones,
    /// are passed over when the format's MINOR is newer than [`FormatVersion::CURRENT`].
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

    /// [`Self::to_text`] without reading it back.
    fn print(&self) -> String {
        match self {
            Self::Request(request) => request.print(),
            Self::Update(update) => update.print(),
        }
    }
}

/// Whether what is written is read back at once: in debug builds and in the simulator.
pub(crate) const READ_BACK: bool = cfg!(any(debug_assertions, feature = "simulation"));

/// A head that its receiver could not read would be sent again and again: better to end here.
fn read_back(text: String, is_same: impl FnOnce(&Head) -> bool) -> String {
    if READ_BACK {
        match Head::parse(&text) {
            Ok(head) => assert!(is_same(&head), "this head is read as another one:\n{text}"),
            Err(error) => panic!("{error}, in this head:\n{text}"),
        }
    }
    text
}

/// Fields out of order, and values such as `007`, are found by printing the head again.
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
