//! The attributes of Thunderbird's address book in LDIF (schema `mozillaAbPersonAlpha`).

use crate::draft::Draft;
use crate::ldif_line::{BadLine, Value};
use crate::private::postal_address;

/// The parts of a home address, in the order of its lines.
const HOME: [&str; 6] = [
    "mozillahomestreet",
    "mozillahomestreet2",
    "mozillahomelocalityname",
    "mozillahomestate",
    "mozillahomepostalcode",
    "mozillahomecountryname",
];

/// The values of a record that make a detail together.
#[derive(Default)]
pub(crate) struct Mozilla<'a> {
    home: [&'a str; HOME.len()],
    /// Year, month and day.
    birth: [&'a str; 3],
}

/// Whether Thunderbird has written a record.
pub(crate) fn is_mozilla(values: &[Value]) -> bool {
    values.iter().any(|value| {
        value.is("objectclass")
            && value.bytes.trim_ascii().eq_ignore_ascii_case(b"mozillaAbPersonAlpha")
    })
}

impl<'a> Mozilla<'a> {
    /// Takes a value that has a meaning of its own in Thunderbird. Returns whether it is one.
    pub(crate) fn take(&mut self, value: &'a Value, draft: &mut Draft) -> Result<bool, BadLine> {
        let attribute = value.attribute.as_str();
        if let Some(at) = HOME.iter().position(|home| *home == attribute) {
            self.home[at] = value.text()?.trim();
            return Ok(true);
        }
        match attribute {
            "birthyear" => self.birth[0] = value.text()?.trim(),
            "birthmonth" => self.birth[1] = value.text()?.trim(),
            "birthday" => self.birth[2] = value.text()?.trim(),
            // The notes of a person.
            "description" => draft.detail("info", value.text()?),
            "mozillaworkstreet2" => draft.detail("street", value.text()?.trim()),
            "mozillaworkurl" | "workurl" => draft.detail("labeledURI", value.text()?.trim()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Adds the details that have several parts.
    pub(crate) fn details(&self, draft: &mut Draft) {
        draft.detail("homePostalAddress", &postal_address(self.home));
        let [year, month, day] = self.birth;
        if !month.is_empty() && !day.is_empty() {
            // A birthday without a year, as vCard 4.0 writes it: --MM-DD.
            let year = if year.is_empty() { "-" } else { year };
            draft.detail("birthday", &format!("{year}-{month:0>2}-{day:0>2}"));
        }
    }
}
