//! Builds an entry from a vCard of version 2.1, 3.0 (RFC 2426) or 4.0 (RFC 6350), and from the
//! properties of our own export.

use calcard::common::IanaString;
use calcard::vcard::{
    VCard, VCardEntry, VCardParameterName, VCardParameterValue, VCardProperty, VCardValue,
};
use dirsync_directory::{Address, Key, PostofficeName, unescape};

use crate::draft::{Draft, key_of_mail};
use crate::guid;
use crate::headers::phone_attribute;
use crate::row::{Item, SourceRow, rejected};

/// The values of a card that are not details.
#[derive(Default)]
struct Found {
    origin: Option<String>,
    own_key: Option<String>,
    uid: Option<String>,
    name: String,
    own_name: Option<String>,
    name_parts: Vec<String>,
    mails: Vec<(bool, String)>,
    own_addresses: Vec<String>,
}

/// The item for an unfolded card.
pub(crate) fn item_of(first: u64, text: &str) -> Item {
    let Ok(card) = VCard::parse(text) else {
        return rejected(first, "", "the card cannot be read".into());
    };
    let own = card.entries.iter().any(|entry| other_name(entry) == Some("X-DIRSYNC-KEY"));
    let mut found = Found::default();
    let mut draft = Draft::default();
    draft.clear();
    for entry in &card.entries {
        let result = match other_name(entry) {
            Some(name) => take_own(name, entry, &mut found, &mut draft),
            None => {
                take(entry, own, &mut found, &mut draft);
                Ok(())
            }
        };
        if let Err(reason) = result {
            return rejected(first, "", reason);
        }
    }
    // The preferred address comes first. The sort is stable, so the others stay in their order.
    found.mails.sort_by_key(|(preferred, _)| !preferred);
    let mail = found.mails.first().map(|(_, mail)| key_of_mail(mail).into_owned());
    let own_key = found.own_key.or(found.uid);
    let derived_key = own_key.is_none();
    let Some(key) = own_key.or(mail) else {
        return rejected(first, "", "the card has no key: neither UID nor EMAIL".into());
    };
    let key = match key.parse::<Key>() {
        Ok(key) => key.into_string(),
        Err(error) => return rejected(first, "", error.to_string()),
    };
    let origin = match found.origin.map(|origin| origin.parse::<PostofficeName>()).transpose() {
        Ok(origin) => origin,
        Err(error) => return rejected(first, "", format!("X-DIRSYNC-ORIGIN: {error}")),
    };
    for address in &found.own_addresses {
        draft.address(address);
    }
    if !draft.has_address() {
        for (_, mail) in &found.mails {
            draft.address(&format!("SMTP:{mail}"));
        }
    }
    let parts = found.name_parts.join(" ");
    draft.name(found.own_name.as_ref().unwrap_or(if found.name.is_empty() {
        &parts
    } else {
        &found.name
    }));
    if !own {
        draft.name_by_address();
    }
    Item::Row(SourceRow { origin, key, record: draft.record(), line: first, derived_key })
}

/// The name of the property, if it is one of our own.
fn other_name(entry: &VCardEntry) -> Option<&'static str> {
    let VCardProperty::Other(name) = &entry.name else { return None };
    [
        "X-DIRSYNC-ORIGIN",
        "X-DIRSYNC-KEY",
        "X-DIRSYNC-KIND",
        "X-DIRSYNC-NAME",
        "X-DIRSYNC-ADDRESS",
        "X-DIRSYNC-DETAIL",
    ]
    .into_iter()
    .find(|known| known.eq_ignore_ascii_case(name))
}

/// Takes one of our own properties. Their values are escaped like those of records, because a vCard
/// cannot contain control characters.
fn take_own(
    name: &str,
    entry: &VCardEntry,
    found: &mut Found,
    draft: &mut Draft,
) -> Result<(), String> {
    let text = parts_of(entry).concat();
    let value =
        unescape(&text).ok_or_else(|| format!("{name} contains a wrong escape"))?.into_owned();
    match name {
        "X-DIRSYNC-ORIGIN" => found.origin = Some(value),
        "X-DIRSYNC-KEY" => found.own_key = Some(value),
        "X-DIRSYNC-KIND" => draft.kind(&value),
        "X-DIRSYNC-NAME" => found.own_name = Some(value),
        "X-DIRSYNC-ADDRESS" => found.own_addresses.push(value),
        _ => match value.split_once('/') {
            Some((attribute, value)) => draft.detail(attribute, value),
            None => return Err(format!("{name} is not ATTRIBUTE/VALUE")),
        },
    }
    Ok(())
}

/// Takes a property of the standards. In our own cards some of them exist for other programs only,
/// as they cannot state the values exactly; these are skipped.
fn take(entry: &VCardEntry, own: bool, found: &mut Found, draft: &mut Draft) {
    let parts = parts_of(entry);
    let text = parts.join(",");
    let part = |at: usize| parts.get(at).map_or("", |part| part.trim());
    let trimmed = if own { text.as_str() } else { text.trim() };
    if trimmed.is_empty() {
        return;
    }
    match &entry.name {
        VCardProperty::Uid if !own => found.uid = Some(guid::canonical(trimmed)),
        VCardProperty::Fn => found.name = trimmed.to_owned(),
        VCardProperty::N if !own => {
            draft.detail("sn", part(0));
            draft.detail("givenName", part(1));
            let parts = [part(1), part(2), part(0)].into_iter().filter(|part| !part.is_empty());
            found.name_parts = parts.map(str::to_owned).collect();
        }
        VCardProperty::Email => {
            let mail = without_scheme(trimmed, "mailto:");
            found.mails.push((is_preferred(entry), mail.to_owned()));
        }
        VCardProperty::Tel => {
            draft.detail(phone_attribute(&sorts(entry)), without_scheme(trimmed, "tel:"));
        }
        VCardProperty::Title => draft.detail("title", trimmed),
        VCardProperty::Note => draft.detail("info", trimmed),
        VCardProperty::Url => draft.detail("labeledURI", trimmed),
        VCardProperty::Org if !own => {
            draft.detail("o", part(0));
            draft.detail("department", part(1));
        }
        VCardProperty::Adr if !own && !sorts(entry).contains("home") => {
            for (at, attribute) in
                [(2, "street"), (3, "l"), (4, "st"), (5, "postalCode"), (6, "co")]
            {
                draft.detail(attribute, part(at));
            }
        }
        VCardProperty::Member if !own => {
            let mail = without_scheme(trimmed, "mailto:");
            let kind = if mail == trimmed { "" } else { "SMTP:" };
            if let Ok(member) = format!("{kind}{mail}").parse::<Address>() {
                draft.detail("member", member.as_str());
            }
        }
        VCardProperty::Kind if !own => match trimmed.to_ascii_lowercase().as_str() {
            "group" => draft.kind("list"),
            "location" | "device" => draft.kind("resource"),
            _ => {}
        },
        _ => {}
    }
}

fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => &text[scheme.len()..],
        _ => text,
    }
}

/// Whether a property is the preferred one: `TYPE=PREF` in 2.1 and 3.0, `PREF=1` in 4.0.
fn is_preferred(entry: &VCardEntry) -> bool {
    entry.params.iter().any(|parameter| parameter.name == VCardParameterName::Pref)
        || sorts(entry).split(' ').any(|sort| sort == "pref")
}

/// The types of a property in lower case, separated by blanks.
fn sorts(entry: &VCardEntry) -> String {
    let mut sorts = String::new();
    for parameter in entry.params.iter().filter(|p| p.name == VCardParameterName::Type) {
        let sort = match &parameter.value {
            VCardParameterValue::Type(sort) => sort.as_str(),
            VCardParameterValue::Text(sort) => sort,
            _ => continue,
        };
        sorts.push(' ');
        sorts.push_str(&sort.to_lowercase());
    }
    sorts
}

fn parts_of(entry: &VCardEntry) -> Vec<String> {
    let text = |value: &VCardValue| match value {
        VCardValue::Text(text) => Some(text.clone()),
        VCardValue::Component(components) => Some(components.join(",")),
        VCardValue::Kind(kind) => Some(kind.as_str().to_owned()),
        VCardValue::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    entry.values.iter().filter_map(text).collect()
}
