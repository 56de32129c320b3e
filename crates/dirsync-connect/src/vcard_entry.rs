//! Builds an entry from a vCard of version 2.1, 3.0 (RFC 2426) or 4.0 (RFC 6350), and from the
//! properties of our own export.

use dirsync_directory::{Address, Key, PostofficeName, unescape};

use crate::draft::{Draft, key_of_mail};
use crate::guid;
use crate::headers::phone_attribute;
use crate::private::postal_address;
use crate::row::{Item, SourceRow, rejected};
use crate::vcard_lists::MEMBER_ID;
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
pub(crate) fn item_of(first: u64, card: &Unfolded, charset: Charset, draft: &mut Draft) -> Item {
    draft.clear();
    let is_own = card.properties().any(|property| property.is("X-DIRSYNC-KEY"));
    if is_own {
        draft.keep_private();
    }
    let mut reader = CardReader { charset, is_own, found: Found::default(), draft };
    for property in card.properties() {
        if let Err(reason) = reader.take(&property) {
            return rejected(first, "", reason);
        }
    }
    let CardReader { mut found, draft, .. } = reader;
    // The preferred address comes first. The sort is stable, so the others stay in their order.
    found.mails.sort_by_key(|(rank, _)| *rank);
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
    if !is_own {
        draft.name_by_address();
        draft.address_list();
    }
    let own_key = found.own_key.or(found.uid);
    if !draft.has_address() {
        return draft.addressless(first, own_key.as_deref().unwrap_or_default());
    }
    let derived_key = own_key.is_none();
    let mail = found.mails.first().map(|(_, mail)| key_of_mail(mail).into_owned());
    let key = own_key.or(mail).or_else(|| draft.derived_key()).unwrap_or_default();
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

/// A card that is being read.
struct CardReader<'d> {
    charset: Charset,
    /// Whether it is one of our own.
    is_own: bool,
    found: Found,
    draft: &'d mut Draft,
}

impl CardReader<'_> {
    fn text(&self, property: &Property<'_>) -> Result<String, String> {
        let text = property.text(self.charset)?;
        Ok(if self.is_own { text } else { text.trim().to_owned() })
    }

    /// The parts of a value with these numbers.
    fn parts<const N: usize>(
        &self,
        property: &Property<'_>,
        wanted: [usize; N],
    ) -> Result<[String; N], String> {
        let parts = property.parts(self.charset)?;
        Ok(wanted.map(|at| parts.get(at).map_or("", |part| part.trim()).to_owned()))
    }

    /// Takes a property. In our own cards some exist for other programs only, as they cannot state the
    /// values exactly; these are skipped, and so are the bytes of properties that nobody uses.
    fn take(&mut self, property: &Property<'_>) -> Result<(), String> {
        if let Some(name) = own_name(property) {
            return self.take_own(name, property);
        }
        match property.name().to_ascii_uppercase().as_str() {
            "FN" => {
                let name = self.text(property)?;
                if !name.is_empty() {
                    self.found.name = name;
                }
            }
            "EMAIL" => {
                let text = self.text(property)?;
                let mail = without_scheme(&text, "mailto:");
                if !mail.is_empty() {
                    self.found.mails.push((property.rank(), mail.to_owned()));
                }
            }
            "TEL" => {
                let attribute = phone_attribute(&property.types());
                let number = self.text(property)?;
                self.draft.detail(attribute, without_scheme(&number, "tel:"));
            }
            "TITLE" => self.detail("title", property)?,
            "NOTE" => self.detail("info", property)?,
            "URL" => self.detail("labeledURI", property)?,
            _ if self.is_own => {}
            name => self.take_foreign(name, property)?,
        }
        Ok(())
    }

    fn detail(&mut self, attribute: &str, property: &Property<'_>) -> Result<(), String> {
        if !property.is_empty() && !self.draft.omits(attribute) {
            let text = self.text(property)?;
            self.draft.detail(attribute, &text);
        }
        Ok(())
    }

    /// Takes one of our own properties. Their values are escaped like those of records, because a vCard
    /// cannot contain control characters.
    fn take_own(&mut self, name: &str, property: &Property<'_>) -> Result<(), String> {
        let text = property.text(self.charset)?;
        let value =
            unescape(&text).ok_or_else(|| format!("{name} contains a wrong escape"))?.into_owned();
        let Self { found, draft, .. } = self;
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

    fn take_home(&mut self, property: &Property<'_>) -> Result<(), String> {
        if property.value_has_text() && !self.draft.omits("homePostalAddress") {
            // Box, extension, street, place, region, code and country.
            let parts = self.parts(property, [0, 1, 2, 3, 4, 5, 6])?;
            let address = postal_address(parts.iter().map(String::as_str));
            self.draft.detail("homePostalAddress", &address);
        }
        Ok(())
    }

    /// Takes a property that only the cards of other programs have for us.
    fn take_foreign(&mut self, name: &str, property: &Property<'_>) -> Result<(), String> {
        match name {
            "UID" => {
                let uid = uid(&self.text(property)?);
                self.found.uid = Some(uid).filter(|uid| !uid.is_empty());
            }
            "N" => {
                let [family, given, middle] = self.parts(property, [0, 1, 2])?;
                self.draft.detail("sn", &family);
                self.draft.detail("givenName", &given);
                self.found.name_parts = vec![given, middle, family];
                self.found.name_parts.retain(|part| !part.is_empty());
            }
            "ORG" => {
                let [organisation, department] = self.parts(property, [0, 1])?;
                self.draft.detail("o", &organisation);
                self.draft.detail("department", &department);
                self.found.organisation = organisation;
            }
            "ADR" if property.types().contains("home") => self.take_home(property)?,
            "ADR" => {
                let attributes = ["street", "l", "st", "postalCode", "co"];
                for (attribute, part) in
                    attributes.iter().zip(self.parts(property, [2, 3, 4, 5, 6])?)
                {
                    self.draft.detail(attribute, &part);
                }
            }
            "BDAY" => self.detail("birthday", property)?,
            "ANNIVERSARY" | "X-ANNIVERSARY" | "X-EVOLUTION-ANNIVERSARY" | "X-MS-ANNIVERSARY" => {
                self.detail("anniversary", property)?;
            }
            "X-SPOUSE" | "X-EVOLUTION-SPOUSE" | "X-MS-SPOUSE" => self.detail("spouse", property)?,
            "RELATED" if property.types().contains("spouse") => self.detail("spouse", property)?,
            // Apple's address book writes vCard 3.0, which has no groups, with properties of its own.
            "KIND" | "X-ADDRESSBOOKSERVER-KIND" => {
                match self.text(property)?.to_ascii_lowercase().as_str() {
                    "group" => self.draft.kind("list"),
                    "location" | "device" => self.draft.kind("resource"),
                    _ => {}
                }
            }
            "MEMBER" | "X-ADDRESSBOOKSERVER-MEMBER" => {
                let text = self.text(property)?;
                take_member(&text, self.draft);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A UID as a key. Apple's older address books add what kind of thing has it: `…:ABPerson`.
fn uid(text: &str) -> String {
    let bare = text.strip_suffix(":ABPerson").or_else(|| text.strip_suffix(":ABGroup"));
    guid::canonical(bare.unwrap_or(text)).into_owned()
}

/// Takes a member, which is a mail address or the UID of a card.
fn take_member(text: &str, draft: &mut Draft) {
    let mail = without_scheme(text, "mailto:");
    let member = if mail != text {
        format!("SMTP:{mail}")
    } else if let Some(id) = text.get(..9).filter(|scheme| scheme.eq_ignore_ascii_case("urn:uuid:"))
    {
        format!("{MEMBER_ID}{}", uid(&text[id.len()..]))
    } else {
        text.to_owned()
    };
    if let Ok(member) = member.parse::<Address>() {
        draft.detail("member", member.as_str());
    }
}

pub(crate) fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => &text[scheme.len()..],
        _ => text,
    }
}
