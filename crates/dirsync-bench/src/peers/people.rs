//! The generated people as rows of a table and as entries of a tree.

use std::fmt::Write as _;

use serde_json::json;

use crate::failure::Failure;
use crate::generator::{Directory, Options};

/// Where the entries are in the tree.
pub const BASE: &str = "dc=bench";

/// The people, and those of them that change.
pub struct People {
    pub all: Vec<Person>,
    /// As they are after their change, with the same keys.
    pub changed: Vec<Person>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub key: String,
    first: String,
    last: String,
    pub mail: String,
    pub phone: String,
    pub title: String,
    department: String,
}

impl People {
    pub fn generate(options: &Options, changes: u32) -> Result<Self, Failure> {
        let all = read(options)?;
        let after = read(&Options { change: changes, ..options.clone() })?;
        let changed = after.into_iter().zip(&all).filter(|(after, before)| after != *before);
        let changed = changed.map(|(after, _)| after).collect();
        Ok(Self { all, changed })
    }

    /// The changed ones as they were before.
    pub fn unchanged(&self) -> Vec<Person> {
        let keys: std::collections::BTreeSet<&str> =
            self.changed.iter().map(|person| person.key.as_str()).collect();
        self.all.iter().filter(|person| keys.contains(person.key.as_str())).cloned().collect()
    }
}

fn read(options: &Options) -> Result<Vec<Person>, Failure> {
    let mut csv = Vec::new();
    let written = Directory::generate(options).write_csv(&mut csv);
    written.map_err(|error| Failure::failed(format!("could not generate people: {error}")))?;
    let text = String::from_utf8_lossy(&csv);
    Ok(text.lines().skip(1).filter_map(person).collect())
}

/// No field of a generated row holds a comma.
fn person(row: &str) -> Option<Person> {
    let mut fields = row.split(',').map(str::to_owned);
    let mut next = || fields.next();
    Some(Person {
        key: next()?,
        first: next()?,
        last: next()?,
        mail: next()?,
        phone: next()?,
        title: next()?,
        department: next()?,
    })
}

impl Person {
    /// The details as a JSON object.
    pub fn details(&self) -> String {
        json!({
            "givenName": self.first,
            "sn": self.last,
            "telephoneNumber": self.phone,
            "title": self.title,
            "departmentNumber": self.department,
        })
        .to_string()
    }

    /// A line for COPY, which takes a tab as the separator. No value holds one, nor a backslash.
    pub fn copy_line(&self) -> String {
        format!(
            "{}\t{}\t{} {}\tmailbox\tBENCH/NORTH\t{}\n",
            self.key,
            self.mail,
            self.first,
            self.last,
            self.details()
        )
    }

    pub fn ldif(&self) -> String {
        let Self { key, first, last, mail, phone, title, department } = self;
        let mut ldif = format!("dn: uid={key},{BASE}\nobjectClass: inetOrgPerson\nuid: {key}\n");
        line(&mut ldif, "cn", &format!("{first} {last}"));
        line(&mut ldif, "givenName", first);
        line(&mut ldif, "sn", last);
        line(&mut ldif, "mail", mail);
        line(&mut ldif, "telephoneNumber", phone);
        line(&mut ldif, "title", title);
        line(&mut ldif, "departmentNumber", department);
        ldif.push('\n');
        ldif
    }

    /// What makes this of the person that has the key.
    pub fn ldif_change(&self) -> String {
        let Self { key, phone, title, .. } = self;
        let mut ldif = format!("dn: uid={key},{BASE}\nchangetype: modify\n");
        ldif.push_str("replace: telephoneNumber\n");
        line(&mut ldif, "telephoneNumber", phone);
        ldif.push_str("-\nreplace: title\n");
        line(&mut ldif, "title", title);
        ldif.push_str("-\n\n");
        ldif
    }
}

/// Generated values are safe strings but for letters beyond ASCII, which slapd takes as they are.
fn line(ldif: &mut String, attribute: &str, value: &str) {
    let _ = writeln!(ldif, "{attribute}: {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_those_of_the_generator() {
        let options = Options {
            entries: 50,
            seed: 1,
            origin_prefix: "north".to_owned(),
            change: 0,
            shuffle: false,
        };
        let people = People::generate(&options, 7).unwrap();
        assert_eq!((people.all.len(), people.changed.len()), (50, 7));
        let unchanged = people.unchanged();
        for (before, after) in unchanged.iter().zip(&people.changed) {
            assert_eq!(before.key, after.key);
            assert!((before.phone != after.phone) ^ (before.title != after.title));
        }
        let first = &people.all[0];
        assert!(first.ldif().starts_with("dn: uid=north-0000001,dc=bench\n"), "{}", first.ldif());
        assert_eq!(first.copy_line().matches('\t').count(), 5);
        assert!(first.ldif_change().contains("changetype: modify"));
    }
}
