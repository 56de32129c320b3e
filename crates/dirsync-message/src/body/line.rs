//! Parses the first line of a transaction, without copying any text.

use std::ops::Range;

use dirsync_directory::EntryId;

use super::fault::BodyFault;

/// The difference between a change stamp and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StampDelta {
    Plus(u64),
    Minus(u64),
}

/// The content of the line. Texts are ranges of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `A`, or an unknown code in capitals, which becomes the kind.
    Whole { kind: Option<Range<usize>>, name: Range<usize>, addresses: Range<usize> },
    /// `M`.
    Delta {
        kind: Option<Range<usize>>,
        name: Option<Range<usize>>,
        addresses: Option<Range<usize>>,
    },
    /// `D`.
    Delete { id: EntryId, approved: bool },
}

/// The first line of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TransactionLine {
    /// The number, if it is not the next one.
    pub number: Option<u64>,
    /// The change of the stamp, if it is not plus one.
    pub delta: Option<StampDelta>,
    /// The escaped key; empty for a deletion.
    pub key: Range<usize>,
    pub shape: Shape,
}

/// A problem, and its position in the line in bytes.
type Fault = (usize, BodyFault);

impl TransactionLine {
    pub fn parse(line: &str) -> Result<Self, Fault> {
        let bytes = line.as_bytes();
        let mut at = 0;
        let number = match bytes.first() {
            Some(b'0'..=b'9') => Some(decimal(bytes, &mut at).ok_or((0, BodyFault::Number))?),
            _ => None,
        };
        let delta = match bytes.get(at) {
            Some(b'@') => Some(stamp_delta(bytes, &mut at)?),
            _ => None,
        };
        if bytes.get(at) != Some(&b' ') {
            return Err((at, BodyFault::Code));
        }
        at += 1;
        let code = at..until(bytes, at, b' ');
        let subject = (code.end + 1).min(bytes.len());
        let subject = subject..until(bytes, subject, b'\t');
        debug_assert!(code.end <= subject.start && subject.end <= bytes.len(), "{line:?}");
        let (key, shape) = shape(line, code, subject)?;
        Ok(Self { number, delta, key, shape })
    }
}

/// Parses the part of the line after number and stamp, and checks that it is in its one form. `subject`
/// is the key, or the id of a deletion.
fn shape(
    line: &str,
    code: Range<usize>,
    subject: Range<usize>,
) -> Result<(Range<usize>, Shape), Fault> {
    let end = line.len();
    let name = (subject.end + 1).min(end);
    let name = name..until(line.as_bytes(), name, b'\t');
    let addresses = (name.end + 1).min(end)..end;
    debug_assert!(subject.end <= name.start && name.start <= name.end, "{line:?}");
    debug_assert!(name.end <= addresses.start && addresses.start <= end, "{line:?}");
    let has_addresses = name.end < end;
    if has_addresses && line[addresses.clone()].split('\t').any(str::is_empty) {
        return Err((addresses.start, BodyFault::EmptyField));
    }
    if line[code.clone()].contains('\t') {
        return Err((code.start, BodyFault::Code));
    }
    let kind = match line.as_bytes().get(code.start + 1) {
        Some(b'.') => Some(code.start + 2..code.end),
        _ => None,
    };
    let shape = match &line[code.clone()] {
        "D" | "D.approved" => {
            let id = line[subject.start..].parse().ok().filter(|_| is_id(&line[subject.start..]));
            let id = id.ok_or((subject.start, BodyFault::Id))?;
            let approved = code.len() > 1;
            return Ok((0..0, Shape::Delete { id, approved }));
        }
        "A.mailbox" => return Err((code.start, BodyFault::KindStated)),
        text if text == "M" || text.starts_with("M.") => {
            if subject.end < end && name.is_empty() && !has_addresses {
                return Err((end, BodyFault::EmptyField));
            }
            Shape::Delta {
                kind,
                name: (!name.is_empty()).then_some(name),
                addresses: has_addresses.then_some(addresses),
            }
        }
        text if text == "A" || text.starts_with("A.") => Shape::Whole { kind, name, addresses },
        // An unknown code is handed on as an entry of an unknown kind, which is kept unpublished. That
        // would be wrong for a new variant of `D`, which deletes an entry, so it refuses the body.
        text if text.starts_with(|c: char| c.is_ascii_uppercase() && c != 'D') => {
            Shape::Whole { kind: Some(code), name, addresses }
        }
        _ => return Err((code.start, BodyFault::Code)),
    };
    Ok((subject, shape))
}

/// Reads a decimal number at `at`, and moves `at` behind it. `None` if there is no number, it has
/// leading zeros, or it does not fit into 64 bits.
pub(super) fn decimal(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let start = *at;
    let mut number = 0u64;
    while let Some(digit) = bytes.get(*at).filter(|byte| byte.is_ascii_digit()) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        *at += 1;
    }
    let length = *at - start;
    (length == 1 || length > 1 && bytes[start] != b'0').then_some(number)
}

/// Reads `@+N` or `@-N`. A difference that has a shorter form is refused: plus one is left out, and no
/// difference is `@+0`.
fn stamp_delta(bytes: &[u8], at: &mut usize) -> Result<StampDelta, Fault> {
    let start = *at;
    let sign = bytes.get(start + 1);
    *at += 2;
    let amount = decimal(bytes, at);
    match (sign, amount) {
        (Some(b'+'), Some(amount)) if amount != 1 => Ok(StampDelta::Plus(amount)),
        (Some(b'-'), Some(amount)) if amount != 0 => Ok(StampDelta::Minus(amount)),
        _ => Err((start, BodyFault::Stamp)),
    }
}

/// The position of the next `end`, or of the end of the line.
fn until(bytes: &[u8], from: usize, end: u8) -> usize {
    let length = bytes[from..].iter().position(|byte| *byte == end);
    length.map_or(bytes.len(), |length| from + length)
}

/// Whether a text that parses as an id is in its one form, which is in lower case.
fn is_id(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> BodyFault {
        TransactionLine::parse(line).unwrap_err().1
    }

    #[test]
    fn each_value_has_one_form() {
        for line in ["01 A k\tN", "18446744073709551616 A k\tN"] {
            assert_eq!(fault(line), BodyFault::Number, "{line}");
        }
        for line in ["@+1 A k\tN", "@-0 A k\tN", "@+01 A k\tN", "@5 A k\tN", "@+ A k\tN", "@"] {
            assert_eq!(fault(line), BodyFault::Stamp, "{line}");
        }
        for line in ["5", "5A k\tN", "  A k\tN", " a k\tN", " mailbox k\tN", " ", " D.not k"] {
            assert_eq!(fault(line), BodyFault::Code, "{line}");
        }
        for line in [" A k\tN\t", " A k\tN\tX:a\t\tX:b", " M k\t", " M k\tN\t"] {
            assert_eq!(fault(line), BodyFault::EmptyField, "{line}");
        }
        for line in [" D", " D x", " D 000000000000000000000000000000AA", " D \t"] {
            assert_eq!(fault(line), BodyFault::Id, "{line}");
        }
        assert_eq!(fault(&format!(" D {}\tx", "0".repeat(32))), BodyFault::Id);
        assert_eq!(fault(" A.mailbox k\tN"), BodyFault::KindStated);
        for line in [" A.a\tb k\tN", " M.\t k\tN", " X\t k\tN"] {
            assert_eq!(fault(line), BodyFault::Code, "no such kind can be written: {line}");
        }
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = "7@-3 A.list the key\tName\tX:a\tX:b";
        let parsed = TransactionLine::parse(line).unwrap();
        assert_eq!((parsed.number, parsed.delta), (Some(7), Some(StampDelta::Minus(3))));
        assert_eq!(&line[parsed.key], "the key");
        let Shape::Whole { kind, name, addresses } = parsed.shape else { panic!("A is whole") };
        assert_eq!(&line[kind.unwrap()], "list");
        assert_eq!((&line[name], &line[addresses]), ("Name", "X:a\tX:b"));
        let parsed = TransactionLine::parse("@+0 M k\t\tX:a").unwrap();
        let Shape::Delta { kind, name, addresses } = parsed.shape else { panic!("M is a delta") };
        assert_eq!((kind, name, addresses.is_some()), (None, None, true));
    }
}
