//! Tables of Postfix: lines `KEY VALUE`, which `postmap` reads.
//!
//! A line that begins with `#` is a comment and one that begins with a blank continues the one before,
//! so only addresses whose characters have no meaning in such a table are written.

use dirsync_directory::RecordRef;

use super::format::is_domain;
use super::members::{mail_of, members};
use super::{Omitted, TargetOptions};

/// Adds the lines of `virtual_alias_maps`: from further addresses of an entry to its primary one, and
/// from the address of a list to its members.
pub(super) fn push_aliases(
    text: &mut String,
    record: RecordRef<'_>,
    options: &TargetOptions,
    omitted: &mut Omitted,
) {
    let mut mails = mails(record);
    let Some(primary) = mails.next() else {
        omitted.entries += 1;
        return;
    };
    let mut receivers = String::new();
    for member in members(record) {
        match mail_of(member).filter(|mail| is_plain(mail)) {
            Some(mail) => {
                receivers.push_str(if receivers.is_empty() { "" } else { ", " });
                receivers.push_str(&mail);
            }
            None => omitted.members += 1,
        }
    }
    if !receivers.is_empty() && is_of(&primary, options) {
        push_line(text, &primary, &receivers);
    }
    for alias in mails.filter(|mail| is_of(mail, options)) {
        push_line(text, &alias, &primary);
    }
}

/// Adds the lines of `relay_recipient_maps`: each address for which mail is accepted.
pub(super) fn push_recipients(
    text: &mut String,
    record: RecordRef<'_>,
    options: &TargetOptions,
    omitted: &mut Omitted,
) {
    let mut any = false;
    for mail in mails(record) {
        any = true;
        if is_of(&mail, options) {
            push_line(text, &mail, "OK");
        }
    }
    omitted.entries += u64::from(!any);
}

/// Adds a line. Postfix looks keys up in small letters, and `postmap` makes them so.
fn push_line(text: &mut String, key: &str, value: &str) {
    text.push_str(&key.to_lowercase());
    text.push(' ');
    text.push_str(value);
    text.push('\n');
}

/// The mail addresses that can stand in a table.
fn mails<'a>(record: RecordRef<'a>) -> impl Iterator<Item = String> + 'a {
    record.address_texts().filter_map(mail_of).filter(|mail| is_plain(mail)).map(|m| m.into_owned())
}

/// Whether an address is in one of the domains for which Postfix asks.
fn is_of(mail: &str, options: &TargetOptions) -> bool {
    mail.rsplit_once('@').is_some_and(|(_, domain)| options.has_domain(domain))
}

/// Whether an address needs no quotes (the *dot-atom* of RFC 5322, with RFC 6531), and begins no comment.
fn is_plain(mail: &str) -> bool {
    let Some((local, domain)) = mail.rsplit_once('@') else { return false };
    let atom = |atom: &str| {
        let allowed = |character: char| {
            !character.is_ascii() && !character.is_whitespace() && !character.is_control()
                || character.is_ascii_alphanumeric()
                || "!#$%&'*+-/=?^_`{|}~".contains(character)
        };
        !atom.is_empty() && atom.chars().all(allowed)
    };
    !local.starts_with('#') && local.split('.').all(atom) && is_domain(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mean_something_else_in_a_table_are_none() {
        for mail in ["ana@x.org", "a.b+c@x-y.org", "jörg@bücher.example", "|x@x.org", "a/b@x"] {
            assert!(is_plain(mail), "{mail}");
        }
        for mail in ["#a@x.org", "a b@x.org", "a,b@x.org", "\"a\"@x.org", "a@[1.2.3.4]", "a", "@x"]
        {
            assert!(!is_plain(mail), "{mail}");
        }
        for mail in [".a@x.org", "a..b@x.org", "a\n@x.org", "a@x.org\t", "a:b@x.org", "a@b@\u{a0}"]
        {
            assert!(!is_plain(mail), "{mail}");
        }
    }
}
