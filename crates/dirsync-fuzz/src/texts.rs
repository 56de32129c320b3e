//! Names, addresses, records, filters, views and tokens.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use dirsync_connect::Template;
use dirsync_directory::{
    Address, AttributeName, EntryId, EntryKind, Filter, Key, PostofficeName, Record, RecordRef,
    SetDigest, View, ViewHash, escape, fold, list_element, own_element, unescape,
};
use dirsync_message::{
    Challenge, FormatVersion, Instance, ReqEpoch, RequestId, RequestNo, ServerEpoch, SyncPoint,
};

use crate::bytes::parts;

/// A value that is parsed prints as a text that parses to the same.
pub(crate) fn prints_back<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let printed = value.to_string();
    let again: Option<T> = printed.parse().ok();
    assert_eq!(again.as_ref(), Some(&value), "{text:?} prints as {printed:?}");
    Some(value)
}

/// As [`prints_back`], for values that have only one text.
fn has_one_text<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Some(value) = prints_back::<T>(text) {
        assert_eq!(value.to_string(), text);
    }
}

/// Names of postoffices, addresses, attributes, keys, folds and templates. Folding a fold changes
/// nothing, and a name is equal to itself in ASCII capitals.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let folded = fold(text).into_owned();
    assert_eq!(fold(&folded), folded, "folding twice changes nothing: {text:?}");
    assert_eq!(fold(&text.to_ascii_uppercase()), folded, "{text:?}");
    if let Some(name) = prints_back::<PostofficeName>(text) {
        assert_eq!(name.as_str(), text);
        assert_eq!(name.folded(), folded);
        own_element(EntryId::derive(&name, text), Some(&name), sample(text));
    }
    if let Some(address) = prints_back::<Address>(text) {
        assert_eq!(address.comparison_key(), folded);
        assert_eq!(format!("{}:{}", address.kind(), address.value()), address.as_str());
    }
    if let Some(name) = prints_back::<AttributeName>(text) {
        assert!(AttributeName::is_canonical(name.as_str()));
    }
    assert!(!AttributeName::is_canonical(text) || text.parse::<AttributeName>().is_ok());
    let key = prints_back::<Key>(text);
    assert_eq!(Key::is_key(text), key.is_some_and(|key| key.as_str() == text));
    prints_back::<EntryKind>(text);
    match Template::parse(text) {
        Ok(template) => assert_eq!(template.as_str(), text),
        Err(error) => assert!(text.is_char_boundary(error.position), "{error}"),
    }
}

fn sample(value: &str) -> RecordRef<'_> {
    RecordRef { kind: "mailbox", name: value, addresses: "SMTP:a@b", details: "" }
}

/// Tokens of messages, each of which has one text.
pub fn tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    has_one_text::<ServerEpoch>(text);
    has_one_text::<SyncPoint>(text);
    has_one_text::<FormatVersion>(text);
    has_one_text::<Instance>(text);
    has_one_text::<ReqEpoch>(text);
    has_one_text::<RequestId>(text);
    has_one_text::<Challenge>(text);
    has_one_text::<ViewHash>(text);
    has_one_text::<SetDigest>(text);
    prints_back::<EntryId>(text);
    prints_back::<RequestNo>(text);
}

/// Escapes, and the four texts of a record: equal content is equal text.
pub fn record(data: &[u8]) {
    let Some([kind, name, addresses, details]) = parts(data) else { return };
    for text in [kind, name, addresses, details] {
        let escaped = escape(text);
        assert!(!escaped.bytes().any(|byte| byte < 0x20 || byte == 0x7f));
        assert_eq!(unescape(&escaped).as_deref(), Some(text));
        let control = |byte: u8| byte < 0x20 || byte == 0x7f;
        if let Some(value) = unescape(text).filter(|_| !text.bytes().any(control)) {
            assert_eq!(escape(&value), text, "a value has one escaped form");
        }
    }
    let given = RecordRef { kind, name, addresses, details };
    check_record(given);
    given.address_keys().for_each(drop);
    let shown = given.with_attributes(|attribute| attribute.len() % 2 == 0);
    assert!(given.check().is_err() || shown.as_ref().check().is_ok(), "{given:?}");
    let name: PostofficeName = "NORTH/HQ".parse().expect("a name");
    let id = EntryId::derive(&name, "1");
    assert_eq!(list_element(id, &name, given), list_element(id, &name, given));
}

/// A valid record is the one text of its entry, and an invalid one has no entry.
pub(crate) fn check_record(given: RecordRef<'_>) {
    match given.check() {
        Ok(()) => {
            let entry = given.to_entry().expect("it was checked");
            assert_eq!(Record::from(&entry).as_ref(), given);
        }
        Err(error) => assert_eq!(given.to_entry().err(), Some(error)),
    }
}

/// A filter prints as a text that parses to the same, or the position of its mistake is within the text.
pub fn filter(data: &[u8]) {
    let Some([text, name, addresses, details]) = parts(data) else { return };
    let record = RecordRef { kind: "mailbox", name, addresses, details };
    if let Some(filter) = prints_back::<Filter>(text) {
        let both = filter.clone().and(filter.clone());
        assert_eq!(both.matches(record), filter.matches(record));
    } else if let Err(error) = text.parse::<Filter>() {
        assert!((1..=text.len() + 1).contains(&error.position), "{error}");
    }
}

/// Two views and their intersection print as texts that parse to the same, with the same hash. The
/// intersection shows nothing that one of them hides.
pub fn view(data: &[u8]) {
    let Some([left, right, name, details]) = parts(data) else { return };
    let (Some(left), Some(right)) = (one_view(left), one_view(right)) else { return };
    let both = left.intersect(&right);
    one_view(&both.to_string());
    let origin: PostofficeName = "NORTH/HQ".parse().expect("a name");
    let record = RecordRef { kind: "mailbox", name, addresses: "SMTP:a@b\tX400:c", details };
    let seen = [&left, &right, &both].map(|view| view.shows(&origin, record));
    // The converse does not hold: an entry may have an address of a type of each view, but none of
    // a type of both.
    assert!(!seen[2] || seen[0] && seen[1], "{left}{right}");
    for view in [&left, &right, &both] {
        view.disclosed(record);
    }
    assert_eq!(left.intersect(&View::default()), left);
}

fn one_view(text: &str) -> Option<View> {
    let view = prints_back::<View>(text)?;
    let again: View = view.to_string().parse().expect("it prints back");
    assert_eq!(again.hash(), view.hash());
    Some(view)
}
