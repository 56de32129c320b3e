//! UUIDs and GUIDs as keys. They have one text form, whatever form a source uses, so that the same entry
//! has the same key in a CSV and in an LDIF file.

use std::borrow::Cow;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// The text form of an Active Directory `objectGUID`, as administrators see and type it. The bytes
/// of its first three fields are little-endian (MS-DTYP, section 2.3.4.2).
pub fn of_object_guid(bytes: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    let mut ordered = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    ordered[8..].copy_from_slice(&rest);
    with_hyphens(&HEXLOWER.encode(&ordered))
}

/// A UUID in its one form: lower case, without braces or `urn:uuid:`. Text in the form `X'…'`,
/// which csvde writes, is read as the bytes of an `objectGUID`. Any other text is returned
/// unchanged.
pub fn canonical(text: &str) -> Cow<'_, str> {
    if let Some(hex) = text.strip_prefix("X'").and_then(|rest| rest.strip_suffix('\''))
        && let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(hex.as_bytes())
        && let Ok(bytes) = <[u8; 16]>::try_from(bytes)
    {
        return Cow::Owned(of_object_guid(&bytes));
    }
    let bare = match text.get(..9) {
        Some(scheme) if scheme.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        _ => text,
    };
    let bare = bare.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(bare);
    match is_uuid(bare) {
        true if bare.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Owned(bare.to_ascii_lowercase())
        }
        true => Cow::Borrowed(bare),
        false => Cow::Borrowed(text),
    }
}

/// Whether a text is 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between them (RFC 9562,
/// section 4).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn with_hyphens(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_guid_has_one_text() {
        let bytes: [u8; 16] = std::array::from_fn(|at| at as u8);
        let text = "03020100-0504-0706-0809-0a0b0c0d0e0f";
        assert_eq!(of_object_guid(&bytes), text);
        for other in [
            "03020100-0504-0706-0809-0A0B0C0D0E0F",
            "{03020100-0504-0706-0809-0a0b0c0d0e0f}",
            "urn:uuid:03020100-0504-0706-0809-0a0b0c0d0e0f",
            "X'000102030405060708090A0B0C0D0E0F'",
        ] {
            assert_eq!(canonical(other), text);
        }
        for itself in ["4711", "X'00'", "urn:uuid:x", "ä234567890"] {
            assert_eq!(canonical(itself), itself);
        }
    }
}
