//! What an entry says, written and read in the formats of the program.

use std::collections::BTreeMap;

use super::step::Site;

/// The details that entries of a history have; a view may hide the last two.
pub const ATTRIBUTES: [&str; 3] = ["ou", "telephoneNumber", "title"];

/// The content of an entry: unique by its number, so that what is found tells which version it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    pub kind: String,
    pub name: String,
    pub address: String,
    pub details: BTreeMap<String, String>,
}

impl Content {
    /// The content that version `number` of a key has, at its own address.
    pub fn new(key: &str, number: usize) -> Self {
        // A key keeps its kind and its unit, so that views which ask for them show the same keys.
        let odd = key.bytes().last().is_some_and(|byte| byte % 2 == 1);
        let details = [
            ("ou", format!("unit{}", usize::from(odd))),
            ("telephoneNumber", number.to_string()),
            ("title", format!("title {number}")),
        ];
        Self {
            kind: if odd { "contact" } else { "mailbox" }.to_owned(),
            name: format!("{key} v{number}"),
            address: format!("SMTP:{key}@x.example"),
            details: details.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// As words of `dirsync entry add` and `modify`.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["--kind", &self.kind, "--name", &self.name, "--address", &self.address]
                .map(str::to_owned)
                .into();
        for (name, value) in &self.details {
            words.extend(["--detail".to_owned(), format!("{name}={value}")]);
        }
        words
    }
}

/// An entry of a list, as an export shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub origin: String,
    pub content: Content,
}

/// A list, by key: keys of a history are unique.
pub type List = BTreeMap<String, Row>;

/// File formats that are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ldif,
    Vcard,
}

impl Format {
    pub fn of(number: usize) -> Self {
        [Self::Csv, Self::Ldif, Self::Vcard][number % 3]
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ldif => "ldif",
            Self::Vcard => "vcf",
        }
    }

    /// A file of a site with these entries.
    pub fn write(self, site: Site, rows: &BTreeMap<String, Content>) -> String {
        let origin = site.postoffice();
        let mut text = match self {
            Self::Csv => format!("origin,key,kind,name,address,aliases,{}\n", ATTRIBUTES.join(",")),
            Self::Ldif => "version: 1\n".to_owned(),
            Self::Vcard => String::new(),
        };
        for (key, content) in rows {
            text.push_str(&self.row(origin, key, content));
        }
        text
    }

    fn row(self, origin: &str, key: &str, content: &Content) -> String {
        let Content { kind, name, address, details } = content;
        let mail = address.trim_start_matches("SMTP:");
        let detail = |name: &str| details.get(name).map_or("", String::as_str);
        let [unit, phone, title] = ATTRIBUTES.map(detail);
        match self {
            Self::Csv => {
                format!("{origin},{key},{kind},{name},{address},,{unit},{phone},{title}\n")
            }
            Self::Ldif => format!(
                "\ndn: uid={key},o={origin}\nobjectClass: inetOrgPerson\ncn: {name}\nmail: {mail}\n\
                 dirsyncOrigin: {origin}\ndirsyncKey: {key}\ndirsyncKind: {kind}\n\
                 dirsyncAddress: {address}\nou: {unit}\ntelephoneNumber: {phone}\ntitle: {title}\n"
            ),
            Self::Vcard => format!(
                "BEGIN:VCARD\nVERSION:3.0\nUID:{origin}/{key}\nFN:{name}\nN:;;;;\n\
                 EMAIL;TYPE=INTERNET,PREF:{mail}\nX-DIRSYNC-ORIGIN:{origin}\nX-DIRSYNC-KEY:{key}\n\
                 X-DIRSYNC-KIND:{kind}\nTEL;TYPE=VOICE,WORK:{phone}\nTITLE:{title}\n\
                 X-DIRSYNC-DETAIL:ou/{unit}\nEND:VCARD\n"
            ),
        }
    }
}

/// Reads an export in CSV. Values of a history need no quotes.
pub fn read_export(text: &str) -> Result<List, String> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().ok_or("an export has no header")?.split(',').collect();
    let mut list = List::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let wrong = || format!("a line of an export cannot be read: {line}");
        if cells.len() != header.len() {
            return Err(wrong());
        }
        let mut fields: BTreeMap<String, String> = header
            .iter()
            .zip(cells)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect();
        let mut take = |name: &str| fields.remove(name).ok_or_else(wrong);
        let (origin, key) = (take("origin")?, take("key")?);
        let (kind, name, address) = (take("kind")?, take("name")?, take("address")?);
        let row = Row { origin, content: Content { kind, name, address, details: fields } };
        if list.insert(key, row).is_some() {
            return Err(format!("a key stands twice in an export: {line}"));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_read_as_it_was_written() {
        let content = Content::new("a-h1", 7);
        let text = Format::Csv.write(Site::A, &BTreeMap::from([("a-h1".into(), content.clone())]));
        let row = Row { origin: "SOUTH/A".into(), content };
        assert_eq!(read_export(&text), Ok(List::from([("a-h1".into(), row)])));
        assert!(read_export("origin,key,kind,name,address\na,b\n").is_err());
        assert!(read_export("").is_err());
    }
}
