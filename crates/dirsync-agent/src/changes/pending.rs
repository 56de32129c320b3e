//! Changes of entries that a read decides at its end, when it knows how many they are.

use std::collections::BTreeSet;
use std::ops::Range;

use dirsync_directory::RecordRef;
use dirsync_protocol::guard::GuardKind;

/// What an entry would become. A read may change every entry, and all of them wait in memory, so the
/// content is in one piece, and everything else stays in the store.
pub(super) struct Pending {
    /// Kind, name, addresses and details, one after another.
    text: Box<str>,
    /// Where the first three of them end.
    ends: [u32; 3],
    loses_field: bool,
    moves: bool,
}

impl Pending {
    pub(super) fn new(record: RecordRef<'_>, loses_field: bool, moves: bool) -> Self {
        let RecordRef { kind, name, addresses, details } = record;
        let mut end = 0;
        let ends = [kind, name, addresses].map(|part| {
            // A row of a source has at most 16 MiB.
            end += u32::try_from(part.len()).unwrap_or(u32::MAX);
            end
        });
        let text = [kind, name, addresses, details].concat().into_boxed_str();
        Self { text, ends, loses_field, moves }
    }

    pub(super) fn record(&self) -> RecordRef<'_> {
        let [kind, name, addresses] = self.ends.map(|end| end as usize);
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        RecordRef {
            kind: part(0..kind),
            name: part(kind..name),
            addresses: part(name..addresses),
            details: part(addresses..self.text.len()),
        }
    }

    /// Whether a guard counts the change.
    pub(super) fn is_of(&self, kind: GuardKind) -> bool {
        self.loses_field && kind == GuardKind::Blank || self.moves && kind == GuardKind::Move
    }

    /// The guard that holds the change, of those that hold changes.
    pub(super) fn held_by(&self, kinds: &BTreeSet<GuardKind>) -> Option<GuardKind> {
        let all = [GuardKind::Settings, GuardKind::Blank, GuardKind::Move];
        let holds = |kind: &GuardKind| {
            kinds.contains(kind) && (*kind == GuardKind::Settings || self.is_of(*kind))
        };
        all.into_iter().find(holds)
    }
}

#[cfg(test)]
mod tests {
    use dirsync_directory::Record;

    use super::*;

    #[test]
    fn a_record_is_as_it_was() {
        for parts in
            [["mailbox", "Ané", "SMTP:a@b\tX400:c", "ou/ß\ntitle/x\n"], ["list", "", "", ""]]
        {
            let [kind, name, addresses, details] = parts.map(str::to_owned);
            let record = Record { kind, name, addresses, details };
            let pending = Pending::new(record.as_ref(), false, true);
            assert_eq!(pending.record(), record.as_ref());
        }
    }
}
