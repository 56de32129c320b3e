//! Which column is what, in the exports of Outlook, Google Contacts and Thunderbird, in our own, and
//! in files whose columns have LDAP attribute names.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The origin, in our own export.
    Origin,
    /// What never changes of an entry.
    Key,
    /// The kind.
    Kind,
    /// The display name.
    Name,
    /// Part of a name: 0 first, 1 middle, 2 last.
    NamePart(u8),
    /// `TYPE:value`, the primary address.
    Address,
    /// Further `TYPE:value` addresses, one a line.
    Aliases,
    /// A mail address, in this order of importance.
    Mail(u8),
    /// A detail.
    Detail(&'static str),
}

use Meaning::{Address, Aliases, Detail, Key, Kind, Mail, Name, NamePart, Origin};

/// Headers, in lower case. Sources: the CSV exports of Outlook 2019, Google Contacts (until and
/// since 2024) and Thunderbird 115, and RFC 2798 and 4519 for attribute names.
const KNOWN: &[(&str, Meaning)] = &[
    ("origin", Origin),
    ("key", Key),
    ("kind", Kind),
    ("name", Name),
    ("address", Address),
    ("aliases", Aliases),
    ("entryuuid", Key),
    ("objectguid", Key),
    ("employee_no", Key),
    ("employee number", Key),
    ("cn", Name),
    ("displayname", Name),
    ("display name", Name),
    ("full name", Name),
    ("first name", NamePart(0)),
    ("first_name", NamePart(0)),
    ("first", NamePart(0)),
    ("given name", NamePart(0)),
    ("middle name", NamePart(1)),
    ("additional name", NamePart(1)),
    ("last name", NamePart(2)),
    ("last_name", NamePart(2)),
    ("last", NamePart(2)),
    ("family name", NamePart(2)),
    ("mail", Mail(0)),
    ("email", Mail(0)),
    ("e-mail", Mail(0)),
    ("e-mail address", Mail(0)),
    ("e-mail 2 address", Mail(1)),
    ("e-mail 3 address", Mail(2)),
    ("e-mail 1 - value", Mail(0)),
    ("e-mail 2 - value", Mail(1)),
    ("primary email", Mail(0)),
    ("secondary email", Mail(1)),
    ("business phone", Detail("telephoneNumber")),
    ("work phone", Detail("telephoneNumber")),
    ("phone", Detail("telephoneNumber")),
    ("phone 1 - value", Detail("telephoneNumber")),
    ("telephone", Detail("telephoneNumber")),
    ("mobile phone", Detail("mobile")),
    ("mobile number", Detail("mobile")),
    ("home phone", Detail("homePhone")),
    ("business fax", Detail("facsimileTelephoneNumber")),
    ("fax number", Detail("facsimileTelephoneNumber")),
    ("pager number", Detail("pager")),
    ("job title", Detail("title")),
    ("organization title", Detail("title")),
    ("organization 1 - title", Detail("title")),
    ("organization name", Detail("o")),
    ("organization 1 - name", Detail("o")),
    ("organization", Detail("o")),
    ("company", Detail("company")),
    ("organization department", Detail("department")),
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
    ("web page", Detail("labeledURI")),
    ("web page 1", Detail("labeledURI")),
    ("website 1 - value", Detail("labeledURI")),
    ("notes", Detail("info")),
];

/// What a header names, when it is one of the known ones that is no plain attribute name.
pub(crate) fn meaning(header: &str) -> Option<Meaning> {
    let header = header.trim().to_lowercase();
    KNOWN.iter().find(|(known, _)| *known == header).map(|(_, meaning)| *meaning)
}
