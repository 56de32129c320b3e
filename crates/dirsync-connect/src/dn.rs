//! Distinguished names as text (RFC 4514).

/// Escapes an attribute value (RFC 4514 §2.4).
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
    let last = value.len().saturating_sub(1);
    for (at, character) in value.char_indices() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => escaped.extend(['\\', character]),
            '#' if at == 0 => escaped.push_str("\\#"),
            ' ' if at == 0 || at == last => escaped.push_str("\\ "),
            control if control.is_ascii_control() => {
                escaped.push_str(&format!("\\{:02X}", control as u32));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The attributes and values of a distinguished name, in their order. `None` if the text is not one.
///
/// The quoted values of RFC 2253 are accepted. Values in hexadecimal (`#04…`) are returned as they are.
pub fn parse(name: &str) -> Option<Vec<(String, String)>> {
    let mut parts = Vec::new();
    let mut rest = name.trim_start();
    while !rest.is_empty() {
        let (attribute, tail) = rest.split_once('=')?;
        if attribute.contains([',', '+', '"']) {
            return None;
        }
        let (value, tail) = parse_value(tail.trim_start_matches(' '))?;
        parts.push((attribute.trim().to_owned(), value));
        rest = match tail.trim_start().strip_prefix([',', '+', ';']) {
            Some("") => return None,
            Some(next) => next.trim_start(),
            None if tail.trim().is_empty() => "",
            None => return None,
        };
    }
    Some(parts)
}

/// Splits a value, unescaped, from the text after it.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('"');
    let mut value = Vec::new();
    // Blanks at the end of a value are removed, but not those before this length: the last of them was
    // escaped, or another character followed.
    let mut kept = 0;
    let mut at = usize::from(quoted);
    let bytes = text.as_bytes();
    loop {
        match (bytes.get(at), quoted) {
            (None, true) => return None,
            (None, false) | (Some(b',' | b'+' | b';'), false) => break,
            (Some(b'"'), true) => {
                kept = value.len();
                at += 1;
                break;
            }
            (Some(b'\\'), _) => {
                let escaped = *bytes.get(at + 1)?;
                let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match hex {
                    Some(byte) if escaped != b'+' => {
                        value.push(byte);
                        at += 3;
                    }
                    _ => {
                        value.push(escaped);
                        at += 2;
                    }
                }
                kept = value.len();
            }
            (Some(byte), _) => {
                value.push(*byte);
                if *byte != b' ' {
                    kept = value.len();
                }
                at += 1;
            }
        }
    }
    value.truncate(kept);
    // A character may be escaped byte by byte, so the bytes are checked together. `at` is a boundary,
    // because the byte before it is ASCII.
    Some((String::from_utf8(value).ok()?, text.get(at..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(parts: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(parts.iter().map(|(a, v)| ((*a).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn what_is_escaped_is_parsed() {
        for value in
            [", + \" \\ < > ; # =", " outer ", "#x", "a\0b", "Ł\u{7f}é", "", " ", "a\nb", "\\20"]
        {
            let name = format!("cn={}+uid=7,o=North", escape(value));
            assert_eq!(
                parse(&name),
                pairs(&[("cn", value), ("uid", "7"), ("o", "North")]),
                "{name}"
            );
        }
        assert_eq!(escape(" a,b "), "\\ a\\,b\\ ");
    }

    #[test]
    fn other_forms_are_understood_and_what_is_none_is_refused() {
        let name = "cn=\"Doe, John\" , mail = j@x.example ; o=L\\C5\\81\\2C";
        assert_eq!(
            parse(name),
            pairs(&[("cn", "Doe, John"), ("mail", "j@x.example"), ("o", "LŁ,")])
        );
        for bad in ["cn", "cn=a,", "cn=\"a", "cn=a\\", "cn=\\ff", "a,b=c"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
