//! The columns that Google Contacts imports, as its own export has them since 2024.

use super::contacts::Cell::{self, Empty, Given, Label, Mail, Mails, Name, Surname, Value, Values};
use super::contacts::Column;

/// What stands between several values of one field.
const BETWEEN: &str = " ::: ";
const OTHER_MAILS: Cell = Mails(1, BETWEEN);
const WORK: Cell = Values(&["telephoneNumber"], BETWEEN);
const MOBILE: Cell = Values(&["mobile"], BETWEEN);
const HOME: Cell = Values(&["homePhone"], BETWEEN);
const FAX: Cell = Values(&["facsimileTelephoneNumber"], BETWEEN);
const PAGER: Cell = Values(&["pager"], BETWEEN);
const PLACE: Cell = Values(&["street", "l", "st", "postalCode", "co", "c"], " ");
const WEBSITE: Cell = Values(&["labeledURI"], BETWEEN);

pub(super) const COLUMNS: &[Column] = &[
    ("First Name", Given),
    ("Middle Name", Empty),
    ("Last Name", Surname),
    ("Phonetic First Name", Empty),
    ("Phonetic Middle Name", Empty),
    ("Phonetic Last Name", Empty),
    ("Name Prefix", Empty),
    ("Name Suffix", Empty),
    ("Nickname", Empty),
    ("File As", Name),
    ("Organization Name", Values(&["o", "company"], "; ")),
    ("Organization Title", Values(&["title"], "; ")),
    ("Organization Department", Values(&["department", "ou"], "; ")),
    ("Birthday", Empty),
    ("Notes", Values(&["info", "description"], "\n")),
    ("Photo", Empty),
    ("Labels", Empty),
    ("E-mail 1 - Label", Label("Work", &Mail(0))),
    ("E-mail 1 - Value", Mail(0)),
    ("E-mail 2 - Label", Label("Work", &OTHER_MAILS)),
    ("E-mail 2 - Value", OTHER_MAILS),
    ("Phone 1 - Label", Label("Work", &WORK)),
    ("Phone 1 - Value", WORK),
    ("Phone 2 - Label", Label("Mobile", &MOBILE)),
    ("Phone 2 - Value", MOBILE),
    ("Phone 3 - Label", Label("Home", &HOME)),
    ("Phone 3 - Value", HOME),
    ("Phone 4 - Label", Label("Work Fax", &FAX)),
    ("Phone 4 - Value", FAX),
    ("Phone 5 - Label", Label("Pager", &PAGER)),
    ("Phone 5 - Value", PAGER),
    ("Address 1 - Label", Label("Work", &PLACE)),
    ("Address 1 - Formatted", Empty),
    ("Address 1 - Street", Value(&["street"], 0)),
    ("Address 1 - City", Value(&["l"], 0)),
    ("Address 1 - PO Box", Value(&["postOfficeBox"], 0)),
    ("Address 1 - Region", Value(&["st"], 0)),
    ("Address 1 - Postal Code", Value(&["postalCode"], 0)),
    ("Address 1 - Country", Value(&["co", "c"], 0)),
    ("Address 1 - Extended Address", Empty),
    ("Website 1 - Label", Label("Work", &WEBSITE)),
    ("Website 1 - Value", WEBSITE),
];
