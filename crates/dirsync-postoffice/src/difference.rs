//! The difference between two versions of an entry, part by part.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dirsync_directory::{RecordRef, unescape};
use schemars::JsonSchema;
use serde::Serialize;

/// A part of an entry that has other values in another version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// `kind`, `name`, `addresses`, or the name of an attribute.
    pub part: String,
    /// The values before; empty if there were none.
    pub before: Vec<String>,
    /// The values after; empty if there are none.
    pub after: Vec<String>,
}

/// A stored text as the value that it stands for.
pub(crate) fn value(text: &str) -> String {
    unescape(text).map_or_else(|| text.to_owned(), Cow::into_owned)
}

/// The parts in which two versions differ: kind, name, addresses, then attributes by name.
pub fn differences(before: RecordRef<'_>, after: RecordRef<'_>) -> Vec<Difference> {
    let one = |text: &str| vec![value(text)];
    let all = |record: RecordRef<'_>| record.address_texts().map(value).collect();
    let mut parts = vec![
        ("kind", one(before.kind), one(after.kind)),
        ("name", one(before.name), one(after.name)),
        ("addresses", all(before), all(after)),
    ];
    let mut details: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (attribute, text) in before.detail_lines() {
        details.entry(attribute).or_default().0.push(value(text));
    }
    for (attribute, text) in after.detail_lines() {
        details.entry(attribute).or_default().1.push(value(text));
    }
    parts.extend(details.into_iter().map(|(attribute, (old, new))| (attribute, old, new)));
    parts.retain(|(_, before, after)| before != after);
    let difference =
        |(part, before, after): (&str, _, _)| Difference { part: part.to_owned(), before, after };
    parts.into_iter().map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_that_differ_are_told_with_their_values() {
        let before = RecordRef {
            kind: "mailbox",
            name: "Ana\\n",
            addresses: "SMTP:a@x.example\tX400:/c=BR",
            details: "ou/Bridge\ntelephoneNumber/1\ntelephoneNumber/2\n",
        };
        let after = RecordRef {
            name: "Ana",
            addresses: "X400:/c=BR\tSMTP:a@x.example",
            details: "ou/Bridge\ntelephoneNumber/2\ntitle/Pilot\n",
            ..before
        };
        let told = differences(before, after);
        let parts: Vec<&str> = told.iter().map(|difference| &*difference.part).collect();
        assert_eq!(parts, ["name", "addresses", "telephoneNumber", "title"]);
        assert_eq!(told[0].before, ["Ana\n"]);
        assert_eq!(
            (&*told[2].before, &*told[2].after),
            (&["1".into(), "2".into()][..], &["2".into()][..])
        );
        assert!(told[3].before.is_empty());
        assert_eq!(differences(before, before), []);
    }
}
