//! Writes an entry as an LDIF record (RFC 2849).

use data_encoding::BASE64;

use crate::dn;
use crate::lines::push_folded;
use crate::row::{ExportRow, plain};

/// Attributes that a record has for other programs or for the format itself. A detail with one of these
/// names is written as `dirsyncDetail`, so that it is not read as something else.
const RESERVED: &[&str] = &["changetype", "cn", "control", "dn", "mail", "objectclass", "version"];

/// Adds the record of an entry, after the empty line that separates records.
pub(crate) fn push_record(output: &mut String, row: ExportRow<'_>) {
    output.push('\n');
    let mut put = |name: &str, value: &str| push_attribute(output, name, value);
    // Different origins may use the same key, so both are needed to make the name unique in the file.
    let name = format!("uid={},o={}", dn::escape(row.key), dn::escape(row.origin.as_str()));
    put("dn", &name);
    put("objectClass", object_class(row.record.kind));
    put("cn", &plain(row.record.name));
    if let Some(mail) = row.record.address_texts().find_map(|text| text.strip_prefix("SMTP:")) {
        put("mail", &plain(mail));
    }
    put("dirsyncOrigin", row.origin.as_str());
    put("dirsyncKey", row.key);
    put("dirsyncKind", row.record.kind);
    for address in row.record.address_texts() {
        put("dirsyncAddress", &plain(address));
    }
    for (name, value) in row.record.detail_lines() {
        let reserved = RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
            || name.starts_with("dirsync");
        if reserved {
            put("dirsyncDetail", &format!("{name}/{}", plain(value)));
        } else {
            put(name, &plain(value));
        }
    }
}

fn object_class(kind: &str) -> &'static str {
    match kind {
        "list" => "groupOfNames",
        "resource" => "device",
        "contact" => "mailRecipient",
        _ => "inetOrgPerson",
    }
}

pub(crate) fn push_attribute(output: &mut String, name: &str, value: &str) {
    let line = if is_safe(value) {
        format!("{name}: {value}")
    } else {
        format!("{name}:: {}", BASE64.encode(value.as_bytes()))
    };
    push_folded(output, &line, "\n");
}

/// Whether a value can be written without base64: a SAFE-STRING of RFC 2849 that does not end with a
/// blank (note 8).
fn is_safe(value: &str) -> bool {
    !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ')
        && value.bytes().all(|byte| byte.is_ascii() && !matches!(byte, 0 | b'\n' | b'\r'))
}
