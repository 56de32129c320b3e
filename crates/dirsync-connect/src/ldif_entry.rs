//! Builds an entry from an LDIF record: exactly from one of our own export, and from any other by its
//! object classes and attributes.

use std::collections::BTreeSet;

use dirsync_directory::AttributeName;

use crate::dn;
use crate::draft::{Draft, key_of_mail};
use crate::guid;
use crate::headers::carried;
use crate::ldif_line::{BadLine, Value};
use crate::ldif_mozilla::{Mozilla, is_mozilla};
use crate::row::{Item, SourceRow, rejected};

/// The parts of a file that are left out, for a note at its end.
#[derive(Default)]
pub(crate) struct Ignored {
    /// Attributes that are not taken over.
    pub(crate) attributes: BTreeSet<String>,
    /// The number of binary values.
    pub(crate) binary: u64,
    /// The number of records that are not entries of an address list.
    pub(crate) records: u64,
    /// The number of records whose mail address is their key. These are not left out.
    pub(crate) derived_keys: u64,
    /// The number of members that are known only by a distinguished name without a mail address.
    pub(crate) members: u64,
}

/// Attributes whose values are not text (RFC 2798, RFC 4523, Active Directory).
const BINARY: &[&str] = &[
    "audio",
    "cacertificate",
    "jpegphoto",
    "objectsid",
    "photo",
    "thumbnaillogo",
    "thumbnailphoto",
    "usercertificate",
    "userpkcs12",
    "usersmimecertificate",
];

/// Attributes that every server exports and that are not worth a note.
const UNREMARKABLE: &[&str] =
    &["changetype", "control", "dn", "objectclass", "entryuuid", "modifytimestamp", "userpassword"];

/// Checks that a record states that an entry exists: it begins with its dn, and is not a change.
pub(crate) fn check(values: &[Value]) -> Result<(), BadLine> {
    let bad = |line, reason: &str| BadLine { line, reason: reason.into() };
    if let Some(first) = values.first().filter(|value| !value.is("dn")) {
        return Err(bad(first.line, "the record does not begin with its dn"));
    }
    for value in values.iter().filter(|value| value.is("changetype")) {
        let change = value.text()?.trim().to_ascii_lowercase();
        match change.as_str() {
            "add" => {}
            "modify" | "delete" | "moddn" | "modrdn" => {
                let reason = format!(
                    "the record is a change of type {change}, but a source states what exists: only \
                     changetype: add is accepted"
                );
                return Err(BadLine { line: value.line, reason });
            }
            _ => return Err(bad(value.line, "the changetype is not one of RFC 2849")),
        }
    }
    Ok(())
}

/// The item for a record, or `None` if the record is not an entry of an address list.
pub(crate) fn item_of(
    first: u64,
    values: &[Value],
    draft: &mut Draft,
    ignored: &mut Ignored,
) -> Result<Option<Item>, BadLine> {
    check(values)?;
    let own = values.iter().any(|value| value.is("dirsynckey"));
    draft.clear();
    if own {
        draft.keep_private();
        own_item(first, values, draft).map(Some)
    } else {
        foreign_item(first, values, draft, ignored)
    }
}

fn own_item(first: u64, values: &[Value], draft: &mut Draft) -> Result<Item, BadLine> {
    let (mut origin, mut key) = (None, String::new());
    for value in values {
        let text = value.text()?;
        let name = if value.options.is_empty() { value.attribute.as_str() } else { "" };
        match name {
            "dn" | "changetype" | "control" | "objectclass" | "mail" => {}
            "cn" => draft.name(text),
            "dirsyncorigin" => {
                let parsed = text.parse();
                let bad = |error: dirsync_directory::PostofficeNameError| BadLine {
                    line: value.line,
                    reason: error.to_string(),
                };
                origin = Some(parsed.map_err(bad)?);
            }
            "dirsynckey" => key = text.to_owned(),
            "dirsynckind" => draft.kind(text),
            "dirsyncaddress" => draft.address(text),
            "dirsyncdetail" => match text.split_once('/') {
                Some((attribute, value)) => draft.detail(attribute, value),
                None => {
                    let reason = "dirsyncDetail is not ATTRIBUTE/VALUE".into();
                    return Err(BadLine { line: value.line, reason });
                }
            },
            _ => draft.detail(&name_of(value), text),
        }
    }
    Ok(row(first, origin, key, draft, false))
}

/// The name of an attribute with its options, in its one spelling.
fn name_of(value: &Value) -> String {
    let name = if value.options.is_empty() {
        value.attribute.clone()
    } else {
        format!("{};{}", value.attribute, value.options)
    };
    name.parse::<AttributeName>().map_or(name, |name| name.as_str().to_owned())
}

fn row(
    first: u64,
    origin: Option<dirsync_directory::PostofficeName>,
    key: String,
    draft: &mut Draft,
    derived_key: bool,
) -> Item {
    if !draft.has_address() {
        return draft.addressless(first, &key);
    }
    if key.is_empty() {
        let reason = "the record has no key: no entryUUID, objectGUID, employeeNumber or mail";
        return rejected(first, "", reason.into());
    }
    let key = match key.parse::<dirsync_directory::Key>() {
        Ok(key) => key.into_string(),
        Err(error) => return rejected(first, "", error.to_string()),
    };
    Item::Row(SourceRow { origin, key, record: draft.record(), line: first, derived_key })
}

/// The values of a foreign record that are not details.
#[derive(Default)]
struct Found<'a> {
    keys: [Option<String>; 3],
    /// Whether the record states any object class.
    classes: bool,
    kind: Kind,
    display_name: Option<&'a str>,
    common_name: Option<&'a str>,
    given_name: Option<&'a str>,
    surname: Option<&'a str>,
    mails: Vec<&'a str>,
    second_mails: Vec<&'a str>,
    proxies: Vec<&'a str>,
    /// Whether Thunderbird has written the record.
    is_mozilla: bool,
    mozilla: Mozilla<'a>,
}

/// The kind that an object class stands for. A record has several classes, and the greatest decides: a
/// contact is a person, too.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[default]
    None,
    Mailbox,
    Contact,
    Resource,
    List,
    /// A computer. In Active Directory it is a user, too, but not an entry of an address list.
    Machine,
}

fn foreign_item(
    first: u64,
    values: &[Value],
    draft: &mut Draft,
    ignored: &mut Ignored,
) -> Result<Option<Item>, BadLine> {
    let mut found = Found { is_mozilla: is_mozilla(values), ..Found::default() };
    for value in values {
        found.take(value, draft, ignored)?;
    }
    found.mozilla.details(draft);
    found.mails.append(&mut found.second_mails);
    let unaddressed = found.mails.is_empty() && found.proxies.is_empty();
    let nobody = found.classes && found.kind == Kind::None && unaddressed;
    if found.kind == Kind::Machine || nobody {
        ignored.records += 1;
        return Ok(None);
    }
    draft.kind(match found.kind {
        Kind::List => "list",
        Kind::Resource => "resource",
        Kind::Contact => "contact",
        _ => "mailbox",
    });
    for address in addresses(&found.mails, &found.proxies) {
        draft.address(&address);
    }
    if let Some(name) = found.name() {
        draft.name(&name);
    }
    draft.name_by_address();
    draft.address_list();
    let key = found.keys.into_iter().flatten().next();
    let derived_key = key.is_none() && draft.has_address();
    ignored.derived_keys += u64::from(derived_key);
    let mail = found.mails.first().map(|mail| key_of_mail(mail).into_owned());
    let key = key.or(mail).or_else(|| draft.derived_key()).unwrap_or_default();
    Ok(Some(row(first, None, key, draft, derived_key)))
}

impl<'a> Found<'a> {
    fn take(
        &mut self,
        value: &'a Value,
        draft: &mut Draft,
        ignored: &mut Ignored,
    ) -> Result<(), BadLine> {
        let attribute = value.attribute.as_str();
        if attribute == "objectguid" {
            self.keys[1] = Some(match <&[u8; 16]>::try_from(value.bytes.as_slice()) {
                Ok(bytes) => guid::of_object_guid(bytes),
                Err(_) => guid::canonical(value.text()?.trim()).into_owned(),
            });
            return Ok(());
        }
        let carried = carried(attribute).is_some();
        let binary = value.options.split(';').any(|option| option == "binary");
        if binary || BINARY.contains(&attribute) {
            ignored.binary += 1;
            return Ok(());
        }
        if value.options.is_empty() && self.take_subject(value)? {
            return Ok(());
        }
        if attribute == "member" || attribute == "uniquemember" {
            return take_member(value, draft, ignored);
        }
        if self.is_mozilla && self.mozilla.take(value, draft)? {
            return Ok(());
        }
        if carried {
            let text = value.text()?;
            if attribute == "employeenumber" && value.options.is_empty() && !text.is_empty() {
                self.keys[2].get_or_insert_with(|| text.to_owned());
            }
            draft.detail(&name_of(value), text);
        } else if std::str::from_utf8(&value.bytes).is_err() {
            ignored.binary += 1;
        } else if !UNREMARKABLE.contains(&attribute) {
            remember(&mut ignored.attributes, attribute);
        }
        Ok(())
    }

    /// Takes a value of the key, the name, the addresses or the kind. Returns false if the value is
    /// a detail, alone or as well.
    fn take_subject(&mut self, value: &'a Value) -> Result<bool, BadLine> {
        match value.attribute.as_str() {
            "entryuuid" => {
                self.keys[0] = Some(guid::canonical(value.text()?.trim()).into_owned());
            }
            "cn" => {
                self.common_name.get_or_insert(value.text()?);
            }
            "displayname" => self.display_name = Some(value.text()?),
            "mail" => self.mails.push(value.text()?.trim()),
            "mozillasecondemail" | "xmozillasecondemail" => {
                self.second_mails.push(value.text()?.trim());
            }
            "proxyaddresses" => self.proxies.push(value.text()?.trim()),
            "objectclass" => {
                self.classes = true;
                self.kind = self.kind.max(kind_of(value.text()?.trim()));
            }
            "givenname" => {
                self.given_name.get_or_insert(value.text()?);
                return Ok(false);
            }
            "sn" => {
                self.surname.get_or_insert(value.text()?);
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn name(&self) -> Option<String> {
        let whole = self.display_name.or(self.common_name).filter(|name| !name.trim().is_empty());
        let parts = || {
            let parts = [self.given_name, self.surname];
            let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            (!name.is_empty()).then_some(name)
        };
        whole.map(str::to_owned).or_else(parts)
    }
}

/// The addresses of a record, primary one first.
///
/// Exchange marks the primary one among its proxy addresses by the capitals of `SMTP:`; it comes before
/// the mail addresses, and the other proxy addresses come after them.
fn addresses(mails: &[&str], proxies: &[&str]) -> Vec<String> {
    let of_mails = mails.iter().filter(|mail| !mail.is_empty()).map(|mail| format!("SMTP:{mail}"));
    let (primary, others): (Vec<&str>, Vec<&str>) =
        proxies.iter().partition(|proxy| proxy.starts_with("SMTP:"));
    let primary = primary.into_iter().map(str::to_owned);
    primary.chain(of_mails).chain(others.into_iter().map(str::to_owned)).collect()
}

fn kind_of(class: &str) -> Kind {
    match class.to_ascii_lowercase().as_str() {
        "computer" => Kind::Machine,
        "groupofnames" | "groupofuniquenames" | "groupofurls" | "group" | "mailgroup"
        | "nismailalias" => Kind::List,
        "device" | "room" => Kind::Resource,
        "contact" | "mailrecipient" => Kind::Contact,
        "inetorgperson" | "organizationalperson" | "person" | "user" => Kind::Mailbox,
        _ => Kind::None,
    }
}

/// Takes a member of a list, which is stated as a distinguished name. If the name contains a mail
/// address, that is the member. Otherwise the name itself is kept, as `DN:`.
fn take_member(value: &Value, draft: &mut Draft, ignored: &mut Ignored) -> Result<(), BadLine> {
    if let Some(range) = value.options.strip_prefix("range=")
        && range != "0-*"
    {
        let reason =
            format!("the record has only the members {range} of the list; read the list whole");
        return Err(BadLine { line: value.line, reason });
    }
    let name = value.text()?;
    // Thunderbird writes the address into the name: cn=Ana,mail=ana@north.example.
    let parts = dn::parse(name).unwrap_or_default();
    let mail = parts.into_iter().find(|(attribute, _)| attribute.eq_ignore_ascii_case("mail"));
    match mail {
        Some((_, mail)) => draft.detail("member", &format!("SMTP:{}", mail.trim())),
        None => {
            ignored.members += 1;
            draft.detail("member", &format!("DN:{}", name.trim()));
        }
    }
    Ok(())
}

/// Remembers a name for a note, within limits.
pub(crate) fn remember(names: &mut BTreeSet<String>, name: &str) {
    const NAMES_MAX: usize = 200;
    if names.len() < NAMES_MAX && !names.contains(name) {
        names.insert(name.to_owned());
    }
}
