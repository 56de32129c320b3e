//! Lists whose members are other cards of the file, by their UIDs.

use std::collections::{BTreeMap, VecDeque};

use dirsync_directory::Record;

use crate::row::SourceRow;

/// The type of a member that is the UID of a card.
pub(crate) const MEMBER_ID: &str = "URN:uuid:";

/// The most cards whose address is remembered. A member beyond them stays a UID.
const CARDS_MAX: usize = 250_000;
/// The most bytes of lists that wait for the end of the file. Those beyond them know only the cards before.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The lists of a file that wait until all cards are known, and the addresses of the cards.
#[derive(Default)]
pub(crate) struct Lists {
    /// By the bytes of a UID.
    mails: BTreeMap<u128, Box<str>>,
    waiting: VecDeque<SourceRow>,
    waiting_bytes: usize,
    unknown: u64,
}

impl Lists {
    /// Remembers the address of a row. Returns the row, or keeps it if it is a list that has to wait.
    pub(crate) fn take(&mut self, mut row: SourceRow) -> Option<SourceRow> {
        if row.origin.is_some() {
            // Our own cards say exactly what they contain.
            return Some(row);
        }
        if row.record.kind == "list" && row.record.details.contains(MEMBER_ID) {
            let bytes = row.record.details.len();
            if self.waiting_bytes + bytes > WAITING_BYTES_MAX {
                self.resolve(&mut row.record);
                return Some(row);
            }
            self.waiting_bytes += bytes;
            self.waiting.push_back(row);
            return None;
        }
        let mail = row.record.as_ref().address_texts().next();
        if self.mails.len() < CARDS_MAX
            && let (Some(id), Some(mail)) = (number(&row.key), mail)
        {
            self.mails.insert(id, mail.into());
        }
        Some(row)
    }

    /// The next list at the end of the file.
    pub(crate) fn next(&mut self) -> Option<SourceRow> {
        let mut row = self.waiting.pop_front()?;
        self.resolve(&mut row.record);
        Some(row)
    }

    /// Adds a note on the members that are not known.
    pub(crate) fn summarize(&self, notes: &mut Vec<String>) {
        match self.unknown {
            0 => {}
            1 => notes.push("1 member is known by its UID only".into()),
            many => notes.push(format!("{many} members are known by their UID only")),
        }
    }

    /// Writes the addresses of members in place of their UIDs.
    fn resolve(&mut self, record: &mut Record) {
        let mut unknown = 0;
        let mut lines: Vec<String> = Vec::new();
        for line in record.details.lines() {
            let id = line.strip_prefix("member/").and_then(|member| member.strip_prefix(MEMBER_ID));
            let mail = id.and_then(|id| self.mails.get(&number(id)?));
            unknown += u64::from(id.is_some() && mail.is_none());
            lines.push(match mail {
                Some(mail) => format!("member/{mail}"),
                None => line.to_owned(),
            });
        }
        self.unknown += unknown;
        lines.sort_unstable();
        lines.dedup();
        record.details = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    }
}

/// A UUID as a number. `None` if the text is none.
fn number(id: &str) -> Option<u128> {
    let is_uuid = id.len() == 36 && id.bytes().filter(|byte| *byte == b'-').count() == 4;
    let digits: String = id.chars().filter(|character| *character != '-').collect();
    if is_uuid { u128::from_str_radix(&digits, 16).ok() } else { None }
}
