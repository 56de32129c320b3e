//! Files of age, as far as sealing uses them: one recipient, and a header of bounded size.

use std::io::{self, BufRead, Chain, Cursor, Read, Write};
use std::iter;

use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient};
use zeroize::Zeroizing;

use crate::body::BodyKey;
use crate::error::{Part, SealError};
use crate::hash::Content;
use crate::key::{KeyPair, PublicKey};
use crate::work;

/// The largest header of an age file that is read, in bytes. One recipient and the random stanza that the
/// library adds have less than 500. The library itself sets no limit, and its reader takes quadratic time.
const HEADER_BYTES_MAX: u64 = 4096;
/// The beginning of a header's last line (age specification, "Header MAC").
const HEADER_END: &[u8] = b"---";
/// The beginning of a decrypted head.
const BODY_KEY: &[u8] = b"body-key: ";

/// An age file that is decrypted as it is read.
pub(crate) type Decrypted<R> = StreamReader<Chain<Cursor<Vec<u8>>, R>>;

/// Encrypts what is written to one recipient.
pub(crate) fn encrypt<W: Write>(
    part: Part,
    recipient: &dyn Recipient,
    output: W,
) -> Result<StreamWriter<W>, SealError> {
    let encryptor = Encryptor::with_recipients(iter::once(recipient));
    let encryptor = encryptor.map_err(|_| SealError::CannotEncrypt(part))?;
    Ok(encryptor.wrap_output(output)?)
}

/// Decrypts what is read. Only signed bytes whose hash is right may come here.
pub(crate) fn decrypt<R: BufRead>(
    part: Part,
    identity: &dyn Identity,
    mut input: R,
) -> Result<Decrypted<R>, SealError> {
    work::count(|work| work.decryptions += 1);
    let mut header = Vec::new();
    let mut limited = (&mut input).take(HEADER_BYTES_MAX);
    loop {
        let begin = header.len();
        limited.read_until(b'\n', &mut header)?;
        if header.last() != Some(&b'\n') || header.len() == begin {
            return Err(SealError::CannotDecrypt(part));
        } else if header[begin..].starts_with(HEADER_END) {
            break;
        }
    }
    let refusal = |error| match error {
        DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            SealError::Io(error)
        }
        // The reason is of no use to anybody but a forger, and the library would translate it.
        _ => SealError::CannotDecrypt(part),
    };
    let decryptor = Decryptor::new_buffered(Cursor::new(header).chain(input)).map_err(refusal)?;
    decryptor.decrypt(iter::once(identity)).map_err(refusal)
}

/// Encrypts the body's key and a head to the key of the addressee.
pub(crate) fn seal_head(
    head: &str,
    body_key: &BodyKey,
    to_key: &PublicKey,
) -> Result<Vec<u8>, SealError> {
    // Of a `PublicKey`, so it is never RSA, which this library would take.
    let recipient: age::ssh::Recipient =
        to_key.to_string().parse().map_err(|_| SealError::CannotEncrypt(Part::Head))?;
    let mut writer = encrypt(Part::Head, &recipient, Vec::new())?;
    writer.write_all(BODY_KEY)?;
    writer.write_all(body_key.to_secret_text().as_bytes())?;
    writer.write_all(b"\n")?;
    writer.write_all(head.as_bytes())?;
    Ok(writer.finish()?)
}

/// A decrypted head: the key of the body, and the text after it.
pub(crate) struct HeadText {
    text: Zeroizing<String>,
    begin: usize,
}

impl HeadText {
    /// The text, without the key of the body.
    pub(crate) fn as_str(&self) -> &str {
        self.text.get(self.begin..).unwrap_or_default()
    }
}

/// Decrypts a head, whose signature and hash are right.
pub(crate) fn open_head(
    sealed: &[u8],
    content: Content,
    pair: &KeyPair,
) -> Result<(BodyKey, HeadText), SealError> {
    let mut reader = decrypt(Part::Head, pair.identity(), sealed)?;
    // With room for all of it, so that no copy of the key stays behind when it grows.
    let room = usize::try_from(content.bytes).unwrap_or(0);
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    reader.read_to_end(&mut text).map_err(|_| SealError::CannotDecrypt(Part::Head))?;
    let end = text.iter().position(|byte| *byte == b'\n').ok_or(SealError::WrongHead)?;
    let secret = text[..end].strip_prefix(BODY_KEY).ok_or(SealError::WrongHead)?;
    let secret = std::str::from_utf8(secret).map_err(|_| SealError::WrongHead)?;
    let body_key = BodyKey::from_secret_text(secret).ok_or(SealError::WrongHead)?;
    let bytes = std::mem::take(&mut *text);
    let text = String::from_utf8(bytes).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        SealError::WrongHead
    })?;
    Ok((body_key, HeadText { text: Zeroizing::new(text), begin: end + 1 }))
}
