//! The requests and answers of a link, HTTP/1.1 over TLS. Paths follow the path of the server's URL.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /v1/tickets`, a [login](dirsync_seal::Login) | a ticket, good for an hour |
//! | `PUT /v1/messages/NAME?wait=SECONDS`, a file | the files that wait, once there are some or the time is over |
//! | `GET /v1/messages?wait=SECONDS` | the same |
//! | `GET /v1/messages/NAME` | a file |
//! | `DELETE /v1/messages/NAME` | nothing: the file was taken |
//! | `HEAD /v1/bodies/SHA256` | `Upload-Offset`: how many bytes of the requestor's body have come |
//! | `PATCH /v1/bodies/SHA256`, with `Upload-Offset`, `Upload-Length`, `Upload-Complete` | the new `Upload-Offset`, or 409 with the true one |
//! | `GET /v1/bodies/SHA256`, with `Range`, `If-Range` | a part of a body that travels to the requestor |
//!
//! `HEAD` and `PATCH` follow the HTTP working group's resumable uploads, draft-ietf-httpbis-resumable-upload-12, where
//! the upload resource is known beforehand: it is the body's hash. The hash is also its strong `ETag`.
//!
//! All but the first need `Authorization: Dirsync TICKET`. Without a valid one the answer is 401 with
//! `WWW-Authenticate: Dirsync nonce="NONCE"`, and a login answers this nonce.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use dirsync_carrier::{is_of_message, is_of_piece, is_of_signal};
use dirsync_seal::{ContentHash, LINES_BYTES_MAX, Nonce, PIECE_BYTES_MAX, SEALED_HEAD_BYTES_MAX};
use thiserror::Error;

/// The most bytes of a body that one request moves.
pub const PART_BYTES_MAX: u64 = 1024 * 1024;
/// The largest file that a request takes or an answer brings, in bytes: a message with the longest head, or a piece.
pub const FILE_BYTES_MAX: u64 = SEALED_HEAD_BYTES_MAX + LINES_BYTES_MAX + PIECE_BYTES_MAX;
/// The largest login, in bytes.
pub const LOGIN_BYTES_MAX: u64 = LINES_BYTES_MAX;
/// Files up to this size come with the answer that names them, as long as all together have no more.
pub const INLINE_BYTES_MAX: u64 = 64 * 1024;
/// An answer names at most this number of files. The others follow when these are taken.
pub const LISTED_MAX: usize = 1000;
/// The largest answer with files, in bytes.
pub const LISTING_BYTES_MAX: u64 = 512 * 1024;
/// The longest time for which a request waits.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a ticket is good.
pub const TICKET_TIME: Duration = Duration::from_secs(60 * 60);

/// The scheme of `Authorization` and `WWW-Authenticate`.
pub const SCHEME: &str = "Dirsync";
/// The media type of [`Files`].
pub const FILES_TYPE: &str = "application/vnd.dirsync.files";
/// The media type of a part of a body, as resumable uploads name it.
pub const PARTIAL_UPLOAD_TYPE: &str = "application/partial-upload";
/// The number of bytes that have come.
pub const UPLOAD_OFFSET: &str = "upload-offset";
/// The size of the whole body.
pub const UPLOAD_LENGTH: &str = "upload-length";
/// `?1` if a request or a body is the last of it, else `?0`.
pub const UPLOAD_COMPLETE: &str = "upload-complete";

/// Text that is not what the link speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is no {0} of a link")]
pub struct NotOfLink(&'static str);

/// A file that waits for a requestor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its content, if it came with the answer.
    pub content: Option<Vec<u8>>,
}

/// The files that wait for a requestor.
///
/// ```text
/// NAME BYTES                    whose content is fetched by its name
/// NAME BYTES inline             whose content follows the empty line, in this order
///
/// …
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub Vec<ListedFile>);

impl Files {
    /// The bytes of the answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut lines = String::new();
        let mut contents = Vec::new();
        for ListedFile { name, bytes, content } in &self.0 {
            let inline = if content.is_some() { " inline" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{name} {bytes}{inline}");
            contents.extend_from_slice(content.as_deref().unwrap_or_default());
        }
        lines.push('\n');
        let mut answer = lines.into_bytes();
        answer.append(&mut contents);
        answer
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// If it has another form, or names that no files of the link have.
    pub fn parse(answer: &[u8]) -> Result<Self, NotOfLink> {
        let wrong = NotOfLink("list of files");
        let mut files = Vec::new();
        let mut rest = answer;
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or(wrong)?;
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            let line = std::str::from_utf8(line).map_err(|_| wrong)?;
            files.push(listed(line).ok_or(wrong)?);
            if files.len() > LISTED_MAX {
                return Err(wrong);
            }
        }
        for file in files.iter_mut().filter(|file| file.content.is_some()) {
            let bytes = usize::try_from(file.bytes).map_err(|_| wrong)?;
            let (content, after) = rest.split_at_checked(bytes).ok_or(wrong)?;
            file.content = Some(content.to_vec());
            rest = after;
        }
        if rest.is_empty() { Ok(Self(files)) } else { Err(wrong) }
    }
}

/// A line of [`Files`]. The content is empty until it is read.
fn listed(line: &str) -> Option<ListedFile> {
    let mut words = line.split(' ');
    let (name, bytes, inline) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() || inline.is_some_and(|word| word != "inline") {
        return None;
    }
    let file = ListedFile {
        name: is_of_link(name).then(|| name.to_owned())?,
        bytes: decimal(bytes).filter(|bytes| *bytes <= FILE_BYTES_MAX)?,
        content: inline.map(|_| Vec::new()),
    };
    Some(file)
}

/// Whether a file of the link can have this name.
pub fn is_of_link(name: &str) -> bool {
    is_of_message(name) || is_of_piece(name) || is_of_signal(name)
}

/// A whole number in its only form.
pub fn decimal(text: &str) -> Option<u64> {
    let number = text.parse().ok()?;
    (u64::to_string(&number) == text).then_some(number)
}

/// The value of `Authorization` with a ticket.
pub fn authorization(ticket: &str) -> String {
    format!("{SCHEME} {ticket}")
}

/// The ticket of an `Authorization`.
pub fn ticket_of(authorization: &str) -> Option<&str> {
    authorization.strip_prefix(SCHEME)?.strip_prefix(' ')
}

/// The value of `WWW-Authenticate` with a nonce.
pub fn challenge(nonce: &Nonce) -> String {
    format!("{SCHEME} nonce=\"{nonce}\"")
}

/// The nonce of a `WWW-Authenticate`.
pub fn nonce_of(challenge: &str) -> Option<Nonce> {
    let quoted = challenge.strip_prefix(SCHEME)?.strip_prefix(" nonce=\"")?;
    quoted.strip_suffix('"')?.parse().ok()
}

/// The seconds of `wait=SECONDS`, the only query of the link, at most [`WAIT_MAX`].
pub fn wait_of(query: Option<&str>) -> Result<Duration, NotOfLink> {
    let Some(query) = query else { return Ok(Duration::ZERO) };
    let seconds = query.strip_prefix("wait=").and_then(decimal);
    Ok(Duration::from_secs(seconds.ok_or(NotOfLink("query"))?).min(WAIT_MAX))
}

/// The `ETag` of a body.
pub fn etag(body: &ContentHash) -> String {
    format!("\"{body}\"")
}

/// The value of `Range` for these bytes.
pub fn range_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// The bytes of a `Range` of one run, of a body of this size. `None` if the header has another form, which is then
/// passed over; an empty range if the body has none of these bytes.
pub fn range_of(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first = decimal(first)?;
    let end = if last.is_empty() { size } else { decimal(last)?.saturating_add(1).min(size) };
    if first >= size || first >= end { Some(0..0) } else { Some(first..end) }
}

/// The value of `Content-Range`.
pub fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// The offset of the first byte of a `Content-Range`, and the size of the body.
pub fn content_range_of(header: &str) -> Option<(u64, u64)> {
    let (range, size) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((decimal(first)?, decimal(size)?))
}

/// A hash in a path.
pub fn hash_of(text: &str) -> Result<ContentHash, NotOfLink> {
    let hash = ContentHash::from_str(text).map_err(|_| NotOfLink("body"))?;
    if hash.to_string() == text { Ok(hash) } else { Err(NotOfLink("body")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64, content: Option<&[u8]>) -> ListedFile {
        ListedFile { name: name.into(), bytes, content: content.map(<[u8]>::to_vec) }
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let files = Files(vec![
            file("north+hq-e-1-1.dirsync", 5, Some(b"a\n\nb\n")),
            file("report-ab.signal", 1_000_000, None),
            file("0000-0000000000-9-ab.piece", 0, Some(b"")),
        ]);
        let bytes = files.to_bytes();
        assert!(bytes.starts_with(b"north+hq-e-1-1.dirsync 5 inline\nreport-ab.signal 1000000\n"));
        assert_eq!(Files::parse(&bytes), Ok(files));
        assert_eq!(Files::parse(b"\n"), Ok(Files::default()));
        for length in 0..bytes.len() {
            assert!(Files::parse(&bytes[..length]).is_err(), "{length} bytes of it");
        }
        assert!(Files::parse(&[&bytes[..], b"x"].concat()).is_err());
        for line in
            ["../x.signal 1", "x.signal", "x.signal 01", "x.signal 1 out", "x.signal 1  inline"]
        {
            assert!(Files::parse(format!("{line}\n\n").as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        let nonce = Nonce([3; 40]);
        assert_eq!(nonce_of(&challenge(&nonce)), Some(nonce));
        assert_eq!(nonce_of("Basic realm=\"x\""), None);
        assert_eq!(ticket_of(&authorization("ab")), Some("ab"));
        assert_eq!(range_of(&range_header(&(5..9)), 100), Some(5..9));
        assert_eq!(range_of("bytes=5-", 9), Some(5..9));
        assert_eq!(range_of("bytes=9-", 9), Some(0..0));
        assert_eq!(range_of("bytes=0-1,4-5", 9), None);
        assert_eq!(content_range_of(&content_range(&(5..9), 100)), Some((5, 100)));
        assert_eq!(wait_of(Some("wait=9999")), Ok(WAIT_MAX));
        assert_eq!(wait_of(None), Ok(Duration::ZERO));
        assert!(wait_of(Some("wait=-1")).is_err());
        let hash = ContentHash([9; 32]);
        assert_eq!(hash_of(&hash.to_string()), Ok(hash));
        assert!(
            hash_of(&hash.to_string().to_uppercase()).is_err()
                || hash.to_string().to_uppercase() == hash.to_string()
        );
    }
}
