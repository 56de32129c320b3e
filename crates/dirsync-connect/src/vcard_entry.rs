//! Builds an entry from a vCard of version 2.1, 3.0 (RFC 2426) or 4.0 (RFC 6350), and from the
//! properties of our own export.

use dirsync_directory::{Address, Key, PostofficeName, unescape};

use crate::draft::{Draft, key_of_mail};
use crate::guid;
use crate::headers::phone_attribute;
use crate::row::{Item, SourceRow, rejected};
use crate::vcard_property::{Charset, Property, Unfolded};

/// The values of a card that are not details.
#[derive(Default)]
struct Found {
    origin: Option<String>,
    own_key: Option<String>,
    uid: Option<String>,
    name: String,
    own_name: Option<String>,
    name_parts: Vec<String>,
    organisation: String,
    /// The mail addresses with their rank.
    mails: Vec<(u8, String)>,
    own_addresses: Vec<String>,
}

/// The item for an unfolded card.
pub(crate) fn item_of(first: u64, card: &Unfolded, charset: Charset) -> Item {
    let own = card.properties().any(|property| property.is("X-DIRSYNC-KEY"));
    let mut found = Found::default();
    let mut draft = Draft::default();
    draft.clear();
    for property in card.properties() {
        let result = match own_name(&property) {
            Some(name) => take_own(name, &property, charset, &mut found, &mut draft),
            None => take(&property, charset, own, &mut found, &mut draft),
        };
        if let Err(reason) = result {
            return rejected(first, "", reason);
        }
    }
    // The preferred address comes first. The sort is stable, so the others stay in their order.
    found.mails.sort_by_key(|(rank, _)| *rank);
    let mail = found.mails.first().map(|(_, mail)| key_of_mail(mail).into_owned());
    let own_key = found.own_key.or(found.uid);
    let derived_key = own_key.is_none();
    for address in &found.own_addresses {
        draft.address(address);
    }
    if !draft.has_address() {
        for (_, mail) in &found.mails {
            draft.address(&format!("SMTP:{mail}"));
        }
    }
    let parts = found.name_parts.join(" ");
    let names = [&found.name, &parts, &found.organisation];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or(&found.name);
    draft.name(found.own_name.as_ref().unwrap_or(name));
    if !own {
        draft.name_by_address();
    }
    if !draft.has_address() {
        return draft.addressless(first, own_key.as_deref().unwrap_or_default());
    }
    let key = own_key.or(mail).unwrap_or_default();
    let key = match key.parse::<Key>() {
        Ok(key) => key.into_string(),
        Err(error) => return rejected(first, "", error.to_string()),
    };
    let origin = match found.origin.map(|origin| origin.parse::<PostofficeName>()).transpose() {
        Ok(origin) => origin,
        Err(error) => return rejected(first, "", format!("X-DIRSYNC-ORIGIN: {error}")),
    };
    Item::Row(SourceRow { origin, key, record: draft.record(), line: first, derived_key })
}

/// The name of the property, if it is one of our own.
fn own_name(property: &Property<'_>) -> Option<&'static str> {
    [
        "X-DIRSYNC-ORIGIN",
        "X-DIRSYNC-KEY",
        "X-DIRSYNC-KIND",
        "X-DIRSYNC-NAME",
        "X-DIRSYNC-ADDRESS",
        "X-DIRSYNC-DETAIL",
    ]
    .into_iter()
    .find(|known| property.is(known))
}

/// Takes one of our own properties. Their values are escaped like those of records, because a vCard
/// cannot contain control characters.
fn take_own(
    name: &str,
    property: &Property<'_>,
    charset: Charset,
    found: &mut Found,
    draft: &mut Draft,
) -> Result<(), String> {
    let text = property.text(charset)?;
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
/// as they cannot state the values exactly; these are skipped, and so are their bytes.
fn take(
    property: &Property<'_>,
    charset: Charset,
    own: bool,
    found: &mut Found,
    draft: &mut Draft,
) -> Result<(), String> {
    let text = || {
        let text = property.text(charset)?;
        Ok::<String, String>(if own { text } else { text.trim().to_owned() })
    };
    match property.name().to_ascii_uppercase().as_str() {
        "FN" => {
            let name = text()?;
            if !name.is_empty() {
                found.name = name;
            }
        }
        "EMAIL" => {
            let mail = text()?;
            if !mail.is_empty() {
                found.mails.push((property.rank(), without_scheme(&mail, "mailto:").to_owned()));
            }
        }
        "TEL" => draft.detail(phone_attribute(&property.types()), without_scheme(&text()?, "tel:")),
        "TITLE" => draft.detail("title", &text()?),
        "NOTE" => draft.detail("info", &text()?),
        "URL" => draft.detail("labeledURI", &text()?),
        _ if own => {}
        "UID" => {
            let uid = text()?;
            found.uid = Some(guid::canonical(&uid).into_owned()).filter(|uid| !uid.is_empty());
        }
        "MEMBER" => take_member(&text()?, draft),
        "KIND" => match text()?.to_ascii_lowercase().as_str() {
            "group" => draft.kind("list"),
            "location" | "device" => draft.kind("resource"),
            _ => {}
        },
        name => take_parts(name, property, charset, found, draft)?,
    }
    Ok(())
}

/// Takes a property whose value has parts.
fn take_parts(
    name: &str,
    property: &Property<'_>,
    charset: Charset,
    found: &mut Found,
    draft: &mut Draft,
) -> Result<(), String> {
    let parts = |wanted: &[usize]| {
        let parts = property.parts(charset)?;
        let part = |at: &usize| parts.get(*at).map_or("", |part| part.trim()).to_owned();
        Ok::<Vec<String>, String>(wanted.iter().map(part).collect())
    };
    match name {
        "N" => {
            let parts = parts(&[0, 1, 2])?;
            draft.detail("sn", &parts[0]);
            draft.detail("givenName", &parts[1]);
            found.name_parts = [1, 2, 0].iter().map(|at| parts[*at].clone()).collect();
            found.name_parts.retain(|part| !part.is_empty());
        }
        "ORG" => {
            let parts = parts(&[0, 1])?;
            draft.detail("o", &parts[0]);
            draft.detail("department", &parts[1]);
            found.organisation.clone_from(&parts[0]);
        }
        "ADR" if !property.types().contains("home") => {
            let attributes = ["street", "l", "st", "postalCode", "co"];
            for (attribute, part) in attributes.iter().zip(parts(&[2, 3, 4, 5, 6])?) {
                draft.detail(attribute, &part);
            }
        }
        _ => {}
    }
    Ok(())
}

fn take_member(text: &str, draft: &mut Draft) {
    let mail = without_scheme(text, "mailto:");
    let kind = if mail == text { "" } else { "SMTP:" };
    if let Ok(member) = format!("{kind}{mail}").parse::<Address>() {
        draft.detail("member", member.as_str());
    }
}

pub(crate) fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => &text[scheme.len()..],
        _ => text,
    }
}
