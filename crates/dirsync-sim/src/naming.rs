//! The names of a world: postoffices are capital letters, their entries `a1` and `a2`, machines `A1`
//! and `A2`, servers `s1` and `s2`; an entry's content says which change it comes from.

use dirsync_directory::{EntryId, PostofficeName, Record, View};
use dirsync_message::Stamp;
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::tables::OwnRow;

/// The directory server of every world.
pub const SERVER: &str = "S";

/// The postoffice of a letter.
///
/// # Panics
///
/// When the letter is none that a name can have.
pub fn postoffice(letter: &str) -> PostofficeName {
    format!("N/{letter}").parse().expect("a letter makes a name")
}

/// The letter of a postoffice.
pub fn letter_of(name: &PostofficeName) -> &str {
    &name.as_str()[2..]
}

/// The postoffice of a machine: `A1` is one of `A`.
pub fn name_of(machine: &str) -> &str {
    &machine[..1]
}

/// The first origin of an entry: `a1` comes from `A`.
pub fn first_origin(key: &str) -> PostofficeName {
    postoffice(&key[..1].to_uppercase())
}

/// The id of an entry by its key.
pub fn entry(key: &str) -> EntryId {
    EntryId::derive(&first_origin(key), key)
}

/// A record whose phone number tells one change from every other.
pub fn record(addresses: &[&str], hidden: bool, change: u64) -> Record {
    let addresses: Vec<String> =
        addresses.iter().map(|address| format!("SMTP:{address}@n.example")).collect();
    let title = if change.is_multiple_of(5) { "" } else { "title/Pilot\n" };
    Record {
        kind: "mailbox".into(),
        name: "Ana Souza".into(),
        addresses: addresses.join("\t"),
        details: format!("ou/{}\ntelephoneNumber/{change}\n{title}", u8::from(hidden)),
    }
}

/// The source of entries that a person keeps.
pub const HAND: &str = "hand";

/// A row for an own entry that is made by hand.
pub fn own_row(key: &str, record: Record) -> OwnRow {
    OwnRow {
        id: entry(key),
        first_origin: first_origin(key),
        key: key.into(),
        source: HAND.into(),
        record,
        numbers: ChangeNumbers::default(),
        stamp: Stamp(0),
        released_to: None,
    }
}

/// The change that a record tells of; 0 where its view does not show it.
pub fn change_of(record: &Record) -> u64 {
    let mut lines = record.details.lines();
    lines.find_map(|line| line.strip_prefix("telephoneNumber/")?.parse().ok()).unwrap_or(0)
}

/// The addresses of a record, as they stand in steps.
pub fn addresses_of(record: &Record) -> Vec<String> {
    let texts = record.addresses.split('\t').filter(|text| !text.is_empty());
    texts.map(|text| text[5..].trim_end_matches("@n.example").to_owned()).collect()
}

/// Whether the narrow view hides a record.
pub fn is_hidden(record: &Record) -> bool {
    record.details.lines().any(|line| line == "ou/1")
}

/// The views of worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// All of everything.
    All,
    /// Without entries whose unit is 1.
    Narrow,
    /// Everything, without titles.
    Untitled,
    /// Everything, of each entry little more than its name.
    Bare,
    /// Only entries of A and B.
    Neighbours,
}

impl Sight {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Sight); 5] = [
        ("all", Sight::All),
        ("narrow", Sight::Narrow),
        ("untitled", Sight::Untitled),
        ("bare", Sight::Bare),
        ("neighbours", Sight::Neighbours),
    ];

    /// As the protocol has it.
    ///
    /// # Panics
    ///
    /// Never: the texts are views.
    pub fn view(self) -> View {
        let text = match self {
            Self::All => "",
            Self::Narrow => "filter\t(ou=0)\n",
            Self::Untitled => "attributes\tou\ttelephoneNumber\n",
            Self::Bare => "attributes\tou\n",
            Self::Neighbours => "origins\tN/A\tN/B\n",
        };
        text.parse().expect("it is a view")
    }

    /// What it shows of an entry, said a second time, apart from the shipped views.
    pub fn shown(self, owner: &PostofficeName, record: &Record) -> Option<Record> {
        match self {
            Self::Narrow if is_hidden(record) => None,
            Self::Neighbours if !["A", "B"].contains(&letter_of(owner)) => None,
            Self::Untitled => Some(without(record, &["title/"])),
            Self::Bare => Some(without(record, &["title/", "telephoneNumber/"])),
            _ => Some(record.clone()),
        }
    }

    /// The one that a view of the protocol is.
    pub fn of(view: &View) -> Option<Self> {
        Self::ALL.into_iter().map(|(_, sight)| sight).find(|sight| sight.view() == *view)
    }
}

/// A record without some of its details.
fn without(record: &Record, hidden: &[&str]) -> Record {
    let lines = record.details.split_inclusive('\n');
    let shown = lines.filter(|line| !hidden.iter().any(|name| line.starts_with(name)));
    Record { details: shown.collect(), ..record.clone() }
}
