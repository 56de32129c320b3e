//! A reader of TNEF (`winmail.dat`), the form in which Exchange and Outlook wrap attachments ([MS-OXTNEF]).
//!
//! ```text
//! 78 9f 3e 22   the signature, little-endian 0x223e9f78
//! KEY           two bytes
//! attributes, each:
//!     LEVEL     one byte: 1 of the message, 2 of an attachment
//!     ID        four bytes, type in the upper two
//!     LENGTH    four bytes
//!     DATA      LENGTH bytes
//!     SUM       two bytes: the sum of the data, modulo 65,536
//! ```
//!
//! Read are the attributes of attachments: each begins with `attAttachRenddata`, has its name in
//! `attAttachTitle`, or its long name among the properties of `attAttachment`, and its bytes in `attAttachData`. Everything
//! else is passed over. Damage ends the reading with an error; what was read before it is not used.

use thiserror::Error;

const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];
/// The bytes before the attributes, and those around the data of an attribute.
const HEADER_BYTES: usize = 6;
const LEVEL_OF_ATTACHMENTS: u8 = 2;
const RENDERING: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;
const PROPERTIES: u32 = 0x0006_9005;
/// Properties of an attachment: its long name, in Unicode or in bytes.
const LONG_NAME: u16 = 0x3707;
const TYPE_STRING8: u16 = 0x001e;
const TYPE_UNICODE: u16 = 0x001f;
/// The most attachments and attributes that are read.
const ATTACHMENTS_MAX: usize = 100;
const ATTRIBUTES_MAX: usize = 10_000;
/// The most properties of one attachment that are read.
const PROPERTIES_MAX: usize = 500;
/// The longest name that is taken, in bytes.
const NAME_BYTES_MAX: usize = 1024;

/// An attachment in a `winmail.dat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The name of its file, as somebody wrote it.
    pub name: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a `winmail.dat` is not read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TnefError {
    /// It does not begin like one.
    #[error("it does not begin with the signature of TNEF")]
    NoTnef,
    /// It ends within an attribute.
    #[error("it is cut off")]
    CutOff,
    /// The sum of an attribute is wrong, or its level is unknown.
    #[error("it is damaged")]
    Damaged,
    /// It has too many attributes or attachments.
    #[error("it has more than {ATTACHMENTS_MAX} attachments or {ATTRIBUTES_MAX} attributes")]
    TooMany,
}

/// Whether bytes begin like a `winmail.dat`.
pub fn is_tnef(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE)
}

/// The attachments of a `winmail.dat`, in their order.
///
/// # Errors
///
/// See [`TnefError`].
pub fn attachments(bytes: &[u8]) -> Result<Vec<Attachment>, TnefError> {
    if !is_tnef(bytes) {
        return Err(TnefError::NoTnef);
    }
    let mut rest = bytes.get(HEADER_BYTES..).ok_or(TnefError::CutOff)?;
    let mut attachments: Vec<Attachment> = Vec::new();
    let mut attributes = 0;
    while !rest.is_empty() {
        // Some senders fill the end with zeros.
        if rest.iter().all(|byte| *byte == 0) {
            break;
        }
        attributes += 1;
        let (level, id, data) = attribute(&mut rest)?;
        if attributes > ATTRIBUTES_MAX || attachments.len() > ATTACHMENTS_MAX {
            return Err(TnefError::TooMany);
        }
        if level != LEVEL_OF_ATTACHMENTS {
            continue;
        }
        if id == RENDERING || attachments.is_empty() {
            attachments.push(Attachment::default());
        }
        let Some(attachment) = attachments.last_mut() else { continue };
        match id {
            DATA => attachment.bytes = data.to_vec(),
            TITLE if attachment.name.is_none() => attachment.name = text_of_bytes(data),
            PROPERTIES => {
                if let Some(name) = long_name(data) {
                    attachment.name = Some(name);
                }
            }
            _ => {}
        }
    }
    Ok(attachments)
}

/// Takes `count` bytes from the beginning.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(take(rest, 2)?.try_into().ok()?))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

fn attribute<'a>(rest: &mut &'a [u8]) -> Result<(u8, u32, &'a [u8]), TnefError> {
    let cut_off = TnefError::CutOff;
    let level = take(rest, 1).ok_or(cut_off)?[0];
    if !(1..=LEVEL_OF_ATTACHMENTS).contains(&level) {
        return Err(TnefError::Damaged);
    }
    let id = take_u32(rest).ok_or(cut_off)?;
    let length = take_u32(rest).ok_or(cut_off)?;
    let data = take(rest, usize::try_from(length).map_err(|_| cut_off)?).ok_or(cut_off)?;
    let sum = take_u16(rest).ok_or(cut_off)?;
    if data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte))) != sum {
        return Err(TnefError::Damaged);
    }
    Ok((level, id, data))
}

/// A name in an unknown character set. Names of this program are ASCII, and others are only looked at.
fn text_of_bytes(data: &[u8]) -> Option<String> {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let data = &data[..end.min(NAME_BYTES_MAX)];
    (!data.is_empty()).then(|| String::from_utf8_lossy(data).into_owned())
}

fn text_of_units(data: &[u8]) -> Option<String> {
    let units = data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).take(NAME_BYTES_MAX / 2).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// The long name among the properties of an attachment. `None` if there is none, or if they are not understood.
fn long_name(data: &[u8]) -> Option<String> {
    let mut rest = data;
    let count = take_u32(&mut rest)?;
    for _ in 0..count.min(PROPERTIES_MAX as u32) {
        let (kind, id) = (take_u16(&mut rest)?, take_u16(&mut rest)?);
        if id >= 0x8000 {
            skip_property_name(&mut rest)?;
        }
        let value = property(&mut rest, kind)?;
        match (id, kind) {
            (LONG_NAME, TYPE_UNICODE) => return text_of_units(value),
            (LONG_NAME, TYPE_STRING8) => return text_of_bytes(value),
            _ => {}
        }
    }
    None
}

/// Passes over the set and the name of a named property.
fn skip_property_name(rest: &mut &[u8]) -> Option<()> {
    take(rest, 16)?;
    if take_u32(rest)? == 0 {
        take(rest, 4)?;
    } else {
        let length = take_u32(rest)?;
        take_padded(rest, length)?;
    }
    Some(())
}

/// Takes bytes that are filled up to a multiple of four.
fn take_padded<'a>(rest: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    let data = take(rest, length)?;
    let fill = length.next_multiple_of(4) - length;
    // The last one may lack it.
    take(rest, fill.min(rest.len()))?;
    Some(data)
}

/// The first value of a property, of its size by its type.
fn property<'a>(rest: &mut &'a [u8], kind: u16) -> Option<&'a [u8]> {
    const MULTIPLE: u16 = 0x1000;
    let is_multiple = kind & MULTIPLE != 0;
    let kind = kind & !MULTIPLE;
    let fixed = match kind {
        0x0001 => Some(0),
        0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => Some(4),
        0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => Some(8),
        0x0048 => Some(16),
        0x000d | TYPE_STRING8 | TYPE_UNICODE | 0x0102 => None,
        _ => return None,
    };
    // Values of a size that varies are counted, even if there is only one.
    let count = if is_multiple || fixed.is_none() { take_u32(rest)? } else { 1 };
    let mut first = None;
    for _ in 0..count.min(PROPERTIES_MAX as u32) {
        let value = match fixed {
            Some(bytes) => take(rest, bytes)?,
            None => {
                let length = take_u32(rest)?;
                take_padded(rest, length)?
            }
        };
        first.get_or_insert(value);
    }
    Some(first.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
