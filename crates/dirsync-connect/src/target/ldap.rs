//! Records that an LDAP server takes below a base: classes and attributes of RFC 4519, RFC 2798 and
//! RFC 4512 alone, and each value in the syntax of its attribute.
//!
//! An entry is named by its id, which no other entry has and which stays when the entry is handed over
//! to another postoffice.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dirsync_directory::{EntryId, fold};
use icu_normalizer::ComposingNormalizerBorrowed;

use super::members::{Members, mail_of, members};
use super::{Omitted, TargetOptions};
use crate::ldif_record::push_attribute;
use crate::row::{ExportRow, plain};

/// What the values of an attribute may be, and when two are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// Any text.
    Text,
    /// Any text, and one value at most.
    OneText,
    /// A telephone number: digits, letters and some other characters (RFC 4517, section 3.3.31).
    Phone,
    /// Lines of an address with `$` between them (RFC 4517, section 3.3.28).
    Postal,
}

/// The attributes of `inetOrgPerson` that are written, by the names of details.
const ATTRIBUTES: &[(&str, &str, Syntax)] = &[
    ("businessCategory", "businessCategory", Syntax::Text),
    ("carLicense", "carLicense", Syntax::Text),
    ("cn", "cn", Syntax::Text),
    ("company", "o", Syntax::Text),
    ("department", "departmentNumber", Syntax::Text),
    ("departmentNumber", "departmentNumber", Syntax::Text),
    ("description", "description", Syntax::Text),
    ("displayName", "displayName", Syntax::OneText),
    ("employeeNumber", "employeeNumber", Syntax::OneText),
    ("employeeType", "employeeType", Syntax::Text),
    ("facsimileTelephoneNumber", "facsimileTelephoneNumber", Syntax::Phone),
    ("givenName", "givenName", Syntax::Text),
    ("homePhone", "homePhone", Syntax::Phone),
    ("homePostalAddress", "homePostalAddress", Syntax::Postal),
    ("info", "description", Syntax::Text),
    ("initials", "initials", Syntax::Text),
    ("l", "l", Syntax::Text),
    ("labeledURI", "labeledURI", Syntax::Text),
    ("mobile", "mobile", Syntax::Phone),
    ("o", "o", Syntax::Text),
    ("ou", "ou", Syntax::Text),
    ("pager", "pager", Syntax::Phone),
    ("physicalDeliveryOfficeName", "physicalDeliveryOfficeName", Syntax::Text),
    ("postOfficeBox", "postOfficeBox", Syntax::Text),
    ("postalAddress", "postalAddress", Syntax::Postal),
    ("postalCode", "postalCode", Syntax::Text),
    ("preferredLanguage", "preferredLanguage", Syntax::OneText),
    ("roomNumber", "roomNumber", Syntax::Text),
    ("sn", "sn", Syntax::Text),
    ("st", "st", Syntax::Text),
    ("street", "street", Syntax::Text),
    ("telephoneNumber", "telephoneNumber", Syntax::Phone),
    ("title", "title", Syntax::Text),
    ("uid", "uid", Syntax::Text),
];

/// Adds the record of an entry, and the empty line that separates records.
pub(super) fn push_record(
    output: &mut String,
    row: ExportRow<'_>,
    options: &TargetOptions,
    known: &Members,
    omitted: &mut Omitted,
) {
    let base = options.base.as_deref().unwrap_or_default();
    let is_list = row.record.kind == "list";
    let name = plain(row.record.name);
    push_attribute(output, "dn", &dn_of(row.id, base));
    if is_list {
        push_attribute(output, "objectClass", "groupOfNames");
        // A group of the standards has no mail address.
        push_attribute(output, "objectClass", "extensibleObject");
    } else {
        push_attribute(output, "objectClass", "inetOrgPerson");
    }
    let mut record = LdapRecord { output, seen: BTreeSet::new() };
    record.put("uid", Syntax::Text, &row.id.to_string());
    record.put("cn", Syntax::Text, &name);
    record.put("displayName", Syntax::OneText, &name);
    for address in row.record.address_texts() {
        match mail_of(address).filter(|mail| mail.is_ascii()) {
            Some(mail) => record.write("mail", &mail),
            None => omitted.values += 1,
        }
    }
    for (detail, value) in row.record.detail_lines() {
        let taken = match described(detail) {
            Some((name, syntax)) => record.put(&name, syntax, &plain(value)),
            None => detail == "member" && is_list,
        };
        omitted.values += u64::from(!taken);
    }
    if is_list {
        record.members(row, base, known, omitted);
    } else if !record.seen.iter().any(|(attribute, _)| attribute == "sn") {
        record.put("sn", Syntax::Text, &name);
    }
    if options.dirsync {
        push_attribute(output, "dirsyncOrigin", row.origin.as_str());
        push_attribute(output, "dirsyncKey", row.key);
        push_attribute(output, "dirsyncKind", row.record.kind);
        for address in row.record.address_texts() {
            push_attribute(output, "dirsyncAddress", &plain(address));
        }
    }
    output.push('\n');
}

fn dn_of(id: EntryId, base: &str) -> String {
    format!("uid={id},{base}")
}

/// The attribute description that a detail has in a record, and its syntax. Of the options of
/// descriptions, servers know those of languages (RFC 3866).
fn described(detail: &str) -> Option<(Cow<'_, str>, Syntax)> {
    let (base, option) = detail.split_once(';').unwrap_or((detail, ""));
    let (_, name, syntax) = ATTRIBUTES.iter().find(|(known, ..)| *known == base)?;
    if option.is_empty() {
        return Some(((*name).into(), *syntax));
    }
    let tag = option.strip_prefix("lang-")?;
    let is_tag = !tag.is_empty() && !tag.ends_with('-') && !tag.contains(';');
    is_tag.then(|| (format!("{name};{option}").into(), *syntax))
}

/// A record that is being written.
struct LdapRecord<'o> {
    output: &'o mut String,
    /// The attributes and values so far, the latter as a server compares them: two equal ones are an error.
    seen: BTreeSet<(String, String)>,
}

impl LdapRecord<'_> {
    fn write(&mut self, name: &str, value: &str) {
        push_attribute(self.output, name, value);
    }

    /// Writes a value, unless the record has an equal one. Returns whether the record states it.
    fn put(&mut self, name: &str, syntax: Syntax, value: &str) -> bool {
        let value = match syntax {
            Syntax::Text | Syntax::OneText => Cow::Borrowed(value),
            Syntax::Phone if is_phone(value) => Cow::Borrowed(value),
            Syntax::Phone => return false,
            Syntax::Postal => match postal(value) {
                Some(value) => Cow::Owned(value),
                None => return false,
            },
        };
        let compared = (name.to_owned(), compared(&value, syntax));
        if self.seen.contains(&compared) {
            return true;
        }
        let is_second = || self.seen.iter().any(|(attribute, _)| attribute == name);
        if syntax == Syntax::OneText && is_second() {
            return false;
        }
        self.seen.insert(compared);
        self.write(name, &value);
        true
    }

    /// Writes the members of a list that are entries of the file. A group must have a member, so one
    /// without any has the empty name.
    fn members(&mut self, row: ExportRow<'_>, base: &str, known: &Members, omitted: &mut Omitted) {
        let mut written = BTreeSet::new();
        for member in members(row.record) {
            match known.entry(member) {
                Some(id) if written.insert(id) => self.write("member", &dn_of(id, base)),
                Some(_) => {}
                None => omitted.members += 1,
            }
        }
        if written.is_empty() {
            self.write("member", "");
        }
    }
}

/// A value as a server compares it, or less distinct: without regard to case, compatibility variants, and
/// the number of blanks; in telephone numbers without regard to blanks and hyphens.
fn compared(value: &str, syntax: Syntax) -> String {
    if syntax == Syntax::Phone {
        let counts = |character: &char| !matches!(character, ' ' | '-');
        return value.chars().filter(counts).collect::<String>().to_ascii_lowercase();
    }
    let compatible = if value.is_ascii() {
        Cow::Borrowed(value)
    } else {
        ComposingNormalizerBorrowed::new_nfkc().normalize(value)
    };
    fold(&compatible).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a value has only the characters of a *PrintableString*, and one that counts.
fn is_phone(value: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+,-./:=? ".contains(&byte);
    value.bytes().all(printable) && value.bytes().any(|byte| !matches!(byte, b' ' | b'-'))
}

/// A postal address with `$` between its lines. `None` if it has a backslash: there it begins an escape.
fn postal(value: &str) -> Option<String> {
    let lines: Vec<&str> =
        value.split(['\n', '$']).map(str::trim).filter(|line| !line.is_empty()).collect();
    (!lines.is_empty() && !value.contains('\\')).then(|| lines.join("$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_have_their_attributes() {
        let described = |detail| described(detail).map(|(name, _)| name.into_owned());
        assert_eq!(described("department").as_deref(), Some("departmentNumber"));
        assert_eq!(described("title;lang-fr").as_deref(), Some("title;lang-fr"));
        for unknown in
            ["x-floor", "userPassword", "title;x-a", "title;lang-", "title;lang-a;x", "co"]
        {
            assert_eq!(described(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn values_have_the_syntax_of_their_attributes() {
        assert!(is_phone("+1 (206) 555-0100") && !is_phone("5#1") && !is_phone(" - "));
        assert_eq!(postal("Main St 1\n\nKiel").as_deref(), Some("Main St 1$Kiel"));
        assert_eq!((postal("C:\\x"), postal("$")), (None, None));
        assert_eq!(compared(" Chief  PILOT ", Syntax::Text), "chief pilot");
        assert_eq!(compared("\u{fb01}rst", Syntax::Text), "first");
        assert_eq!(compared("+1 206-5", Syntax::Phone), "+12065");
    }
}
