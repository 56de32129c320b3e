//! The meanings of column headers in the exports of Outlook, Google Contacts and Thunderbird, and
//! in files whose columns have the names of LDAP attributes.

use dirsync_directory::AttributeName;

use crate::map::nearest;

/// The first columns of our own export.
pub(crate) const OWN: [&str; 6] = ["origin", "key", "kind", "name", "address", "aliases"];

/// The meaning of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The origin, in files that are similar to our own.
    Origin,
    /// A key. The lower the number, the more it is trusted never to change.
    Key(u8),
    /// The kind.
    Kind,
    /// The display name. The lower the number, the more it is preferred.
    Name(u8),
    /// A part of the name: 0 first, 1 middle, 2 last.
    NamePart(u8),
    /// `TYPE:value`, the primary address.
    Address,
    /// Further addresses, `TYPE:value`, one on each line.
    Aliases,
    /// A mail address. The lowest number is the primary one.
    Mail(u8),
    /// A detail.
    Detail(&'static str),
    /// A telephone number whose sort is in another column (Google Contacts).
    Phone(u8),
    /// The sort of the telephone number with the same index.
    PhoneSort(u8),
    /// A part of the home address, in the order of its lines.
    Home(u8),
    /// A part of an address whose sort is in another column (Google Contacts): its number, and an index
    /// of [`PLACE_PARTS`].
    Place(u8, u8),
    /// The sort of the address with the same number.
    PlaceSort(u8),
}

/// The attributes of the parts of an address, in the order of its lines, by their names at Google Contacts.
pub(crate) const PLACE_PARTS: [(&str, &str); 5] = [
    ("street", "street"),
    ("city", "l"),
    ("region", "st"),
    ("postal code", "postalCode"),
    ("country", "co"),
];

use Meaning::{
    Address, Aliases, Detail, Home, Key, Kind, Mail, Name, NamePart, Origin, Phone, PhoneSort,
    Place, PlaceSort,
};

/// The known headers, in lower case. They are taken from the CSV exports of Outlook 2019, Google
/// Contacts (before and since 2024) and Thunderbird 115, and the attribute names from RFC 2798 and
/// RFC 4519.
const KNOWN: &[(&str, Meaning)] = &[
    ("origin", Origin),
    ("key", Key(0)),
    ("entryuuid", Key(1)),
    ("objectguid", Key(2)),
    ("employeenumber", Key(3)),
    ("employee number", Key(3)),
    ("employee_no", Key(3)),
    ("kind", Kind),
    ("address", Address),
    ("aliases", Aliases),
    ("displayname", Name(0)),
    ("display name", Name(0)),
    ("full name", Name(1)),
    ("name", Name(1)),
    ("cn", Name(2)),
    ("first name", NamePart(0)),
    ("first_name", NamePart(0)),
    ("first", NamePart(0)),
    ("given name", NamePart(0)),
    ("givenname", NamePart(0)),
    ("middle name", NamePart(1)),
    ("middle_name", NamePart(1)),
    ("additional name", NamePart(1)),
    ("last name", NamePart(2)),
    ("last_name", NamePart(2)),
    ("last", NamePart(2)),
    ("family name", NamePart(2)),
    ("sn", NamePart(2)),
    ("mail", Mail(0)),
    ("email", Mail(0)),
    ("email address", Mail(0)),
    ("e-mail", Mail(0)),
    ("e-mail address", Mail(0)),
    ("e-mail 2 address", Mail(1)),
    ("e-mail 3 address", Mail(2)),
    ("primary email", Mail(0)),
    ("secondary email", Mail(1)),
    ("business phone", Detail("telephoneNumber")),
    ("business phone 2", Detail("telephoneNumber")),
    ("work phone", Detail("telephoneNumber")),
    ("phone", Detail("telephoneNumber")),
    ("phone number", Detail("telephoneNumber")),
    ("telephone", Detail("telephoneNumber")),
    ("mobile phone", Detail("mobile")),
    ("mobile number", Detail("mobile")),
    ("home phone", Detail("homePhone")),
    ("home phone 2", Detail("homePhone")),
    ("business fax", Detail("facsimileTelephoneNumber")),
    ("fax number", Detail("facsimileTelephoneNumber")),
    ("pager number", Detail("pager")),
    ("job title", Detail("title")),
    ("organization title", Detail("title")),
    ("organization 1 - title", Detail("title")),
    ("organization", Detail("o")),
    ("organization name", Detail("o")),
    ("organization 1 - name", Detail("o")),
    ("organization department", Detail("department")),
    ("organization 1 - department", Detail("department")),
    ("office location", Detail("physicalDeliveryOfficeName")),
    ("business street", Detail("street")),
    ("work address", Detail("street")),
    ("business city", Detail("l")),
    ("work city", Detail("l")),
    ("business state", Detail("st")),
    ("work state", Detail("st")),
    ("business postal code", Detail("postalCode")),
    ("work zipcode", Detail("postalCode")),
    ("business country/region", Detail("co")),
    ("work country", Detail("co")),
    ("home street", Home(0)),
    ("home street 2", Home(1)),
    ("home address", Home(0)),
    ("home address 2", Home(1)),
    ("home city", Home(2)),
    ("home state", Home(3)),
    ("home postal code", Home(4)),
    ("home zipcode", Home(4)),
    ("home country/region", Home(5)),
    ("home country", Home(5)),
    ("web page", Detail("labeledURI")),
    ("web page 1", Detail("labeledURI")),
    ("website 1 - value", Detail("labeledURI")),
    ("notes", Detail("info")),
    ("birthday", Detail("birthday")),
    ("anniversary", Detail("anniversary")),
    ("spouse", Detail("spouse")),
];

/// The meaning of each header, or `None` if it is not known. A header that is the name of an
/// attribute is known only if address lists usually carry it.
pub(crate) fn meanings<'a>(headers: impl Iterator<Item = &'a str>) -> Vec<Option<Meaning>> {
    let names: Vec<String> = headers.map(|header| header.trim().to_lowercase()).collect();
    // In an export of Outlook, "Title" is a form of address such as "Dr.", and the title is "Job Title".
    let outlook = names.iter().any(|name| name == "job title");
    names
        .iter()
        .map(|name| {
            let known = KNOWN.iter().find(|(known, _)| known == name).map(|(_, meaning)| *meaning);
            known.or_else(|| numbered(name)).or_else(|| match attribute(name) {
                Some("title") if outlook => None,
                other => other.map(Detail),
            })
        })
        .collect()
}

/// The meaning of a column of Google Contacts, which numbers addresses and telephones: `E-mail 7 - Value`.
fn numbered(name: &str) -> Option<Meaning> {
    let (column, part) = name.split_once(" - ")?;
    let (column, number) = column.rsplit_once(' ')?;
    let number: u8 = number.parse().ok().filter(|number| *number > 0)?;
    match (column, part) {
        ("e-mail", "value") => Some(Mail(number - 1)),
        ("phone", "value") => Some(Phone(number)),
        ("phone", "label" | "type") => Some(PhoneSort(number)),
        ("address", "label" | "type") => Some(PlaceSort(number)),
        ("address", part) => {
            let at = PLACE_PARTS.iter().position(|(name, _)| *name == part)?;
            Some(Place(number, u8::try_from(at).ok()?))
        }
        _ => None,
    }
}

/// The attribute that has this name.
fn attribute(header: &str) -> Option<&'static str> {
    carried(header)
}

/// The attribute that is taken over from a foreign file under this name, or `None` if it is left out.
///
/// Only well-known attributes are taken over (those of RFC 4519, RFC 2798 and RFC 4524, and `co`,
/// `company`, `department`, `info` and `ipPhone` of Active Directory), except those of the name and
/// the addresses. Among all others are passwords, and the internal attributes of a server.
pub(crate) fn carried(name: &str) -> Option<&'static str> {
    AttributeName::well_known(name).filter(|name| !["cn", "displayName", "mail"].contains(name))
}

/// The attribute of the known header that is nearest to an unknown one, if one is near.
pub(crate) fn nearest_known(name: &str) -> Option<&'static str> {
    let known = KNOWN.iter().filter_map(|(header, meaning)| match meaning {
        Detail(attribute) => Some((*header, *attribute)),
        _ => None,
    });
    let near = nearest(name, known.clone().map(|(header, _)| header))?;
    known.clone().find(|(header, _)| *header == near).map(|(_, attribute)| attribute)
}

/// The attribute of a telephone number, by the sort that Google Contacts or a vCard states for it.
pub(crate) fn phone_attribute(sort: &str) -> &'static str {
    let sort = sort.to_lowercase();
    if sort.contains("fax") {
        "facsimileTelephoneNumber"
    } else if sort.contains("mobile") || sort.contains("cell") {
        "mobile"
    } else if sort.contains("pager") {
        "pager"
    } else if sort.contains("home") {
        "homePhone"
    } else {
        "telephoneNumber"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_their_headers() {
        let of = |headers: &[&str]| meanings(headers.iter().copied());
        assert_eq!(
            of(&[" E-Mail Address ", "TELEPHONENUMBER", "userPassword"]),
            [Some(Mail(0)), Some(Detail("telephoneNumber")), None]
        );
        assert_eq!(of(&["Title"]), [Some(Detail("title"))]);
        assert_eq!(of(&["Title", "Job Title"]), [None, Some(Detail("title"))]);
        assert_eq!(
            of(&["Phone 1 - Value", "Phone 12 - Label", "E-mail 7 - Value", "E-mail 0 - Value"]),
            [Some(Phone(1)), Some(PhoneSort(12)), Some(Mail(6)), None]
        );
        for name in ["TELEPHONENUMBER", "uid", "labeleduri", "IpPhone"] {
            assert!(carried(name).is_some_and(AttributeName::is_canonical), "{name}");
        }
        for name in ["cn", "displayName", "MAIL", "userPassword", "title;lang-fr"] {
            assert_eq!(carried(name), None, "{name}");
        }
    }
}
