//! vCard files as sources: their cards and unfolded lines.

use std::path::{Path, PathBuf};

use crate::draft::Draft;
use crate::error::{OpenError, ReadError};
use crate::lines::Lines;
use crate::map::{LeftOut, RowMade};
use crate::private::PrivateCounts;
use crate::row::{Item, rejected};
use crate::source::OpenOptions;
use crate::text::Input;
use crate::vcard_entry::item_of;
use crate::vcard_lists::Lists;
use crate::vcard_mapped::Mapped;
use crate::vcard_property::{Charset, Unfolded};

/// The longest card that is read, in bytes, including photographs.
const CARD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A vCard file that is being read.
///
/// The file is split into cards before it is parsed. A broken card then does not affect the others, and
/// memory is bounded by the largest card.
pub(crate) struct VcardSource {
    lines: Lines,
    path: PathBuf,
    charset: Charset,
    card: Card,
    unfolded: Unfolded,
    /// The line at which the next card begins, if reading the last one went past its beginning.
    begun: Option<u64>,
    derived_keys: u64,
    draft: Draft,
    lists: Lists,
    map: Option<Mapped>,
}

/// The lines of a card, each ended by a line feed.
#[derive(Default)]
struct Card {
    bytes: Vec<u8>,
    first: u64,
    too_long: bool,
}

/// The end of a card.
enum End {
    /// The card is complete.
    Card,
    /// Another card began inside it.
    Another,
    /// There was other text where a card should begin.
    Stray,
    /// The file ended between cards.
    File,
}

impl VcardSource {
    pub(crate) fn open(
        path: &Path,
        reader: Input,
        charset: Charset,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let map = options.map.as_ref().map(|map| Mapped::new(path, map, options));
        Ok(Self {
            lines: Lines::new(reader),
            path: path.to_owned(),
            charset,
            card: Card::default(),
            unfolded: Unfolded::default(),
            begun: None,
            derived_keys: 0,
            draft: Draft::new(options.private()),
            lists: Lists::default(),
            map: map.transpose()?,
        })
    }

    pub(crate) fn private(&self) -> &PrivateCounts {
        self.map.as_ref().map_or(&self.draft, |map| &map.draft).private()
    }

    /// The cards that the map left out so far.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        self.map.as_ref().map_or(Vec::new(), |map| map.evaluator.left_out())
    }

    /// The cards that were traced since the last call.
    pub(crate) fn take_trace(&mut self) -> Vec<RowMade> {
        self.map.as_mut().map_or(Vec::new(), |map| map.evaluator.take_trace())
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            let end = match self.read_card() {
                Ok(end) => end,
                Err(error) => return Some(Err(error)),
            };
            let reason = match end {
                End::File => return self.lists.next().map(|row| Ok(Item::Row(row))),
                End::Card if self.card.too_long => "the card is longer than 16 MiB",
                End::Card => match self.item() {
                    Some(item) => return Some(Ok(item)),
                    None => continue,
                },
                End::Another => "the card has no END:VCARD before the next one begins",
                End::Stray => "this is not a card: BEGIN:VCARD is expected",
            };
            return Some(Ok(rejected(self.card.first, &self.card.text(), reason.into())));
        }
    }

    /// Adds notes on the cards as a whole.
    pub(crate) fn summarize(&mut self, notes: &mut Vec<String>) {
        if let Some(map) = &self.map {
            map.evaluator.summarize(notes);
        }
        self.lists.summarize(notes);
        let cards = match self.derived_keys {
            0 => return,
            1 => "1 card has".to_owned(),
            many => format!("{many} cards have"),
        };
        notes.push(format!(
            "warning: {cards} no UID; the mail address is the key, so an entry whose address changes is \
             another entry"
        ));
    }

    /// The item of the card that was just read, or `None` if the map leaves it out.
    fn item(&mut self) -> Option<Item> {
        let card = &self.card;
        self.unfolded.read(&card.bytes, card.first, card.is_version_2());
        let item = match &mut self.map {
            Some(map) => map.item(card.first, &self.unfolded, self.charset)?,
            None => item_of(card.first, &self.unfolded, self.charset, &mut self.draft),
        };
        Some(match item {
            Item::Row(row) => {
                self.derived_keys += u64::from(row.derived_key && self.map.is_none());
                Item::Row(self.lists.take(row)?)
            }
            Item::Rejected(row) => rejected(card.first, &card.text(), row.reason),
            nobody => nobody,
        })
    }

    /// Reads up to the end of the next card.
    fn read_card(&mut self) -> Result<End, ReadError> {
        self.card.bytes.clear();
        self.card.too_long = false;
        let mut inside = false;
        if let Some(line) = self.begun.take() {
            self.card.first = line;
            self.card.push(b"BEGIN:VCARD");
            inside = true;
        }
        // In vCard 2.1, the card of an agent is nested in the outer card, and its lines belong to that.
        let (mut depth, mut agent) = (0, false);
        loop {
            let last = self.lines.number();
            let line = self.lines.next().map_err(|source| ReadError::Io {
                path: self.path.clone(),
                line: last,
                source,
            })?;
            let Some(line) = line else {
                if inside {
                    let (path, line) = (self.path.clone(), self.card.first);
                    return Err(ReadError::CutOff { path, what: "a card", line });
                }
                return Ok(if self.card.bytes.is_empty() { End::File } else { End::Stray });
            };
            // Inside a card, a line that begins with a blank continues the one before it, even if
            // it looks like a beginning or end.
            let word = if inside { line.bytes.trim_ascii_end() } else { line.bytes.trim_ascii() };
            if word.is_empty() && !inside {
                continue;
            }
            let begins = word.eq_ignore_ascii_case(b"BEGIN:VCARD");
            let ends = word.eq_ignore_ascii_case(b"END:VCARD");
            if begins && !agent && (inside || !self.card.bytes.is_empty()) {
                self.begun = Some(line.number);
                return Ok(if inside { End::Another } else { End::Stray });
            }
            depth += u32::from(begins && agent);
            agent = word.eq_ignore_ascii_case(b"AGENT:");
            if self.card.bytes.is_empty() {
                self.card.first = line.number;
            }
            inside |= begins;
            self.card.too_long |= line.cut;
            // Of text between cards the beginning is enough.
            if inside || self.card.bytes.len() < 200 {
                self.card.push(line.bytes);
            }
            if ends && inside {
                if depth == 0 {
                    return Ok(End::Card);
                }
                depth -= 1;
            }
        }
    }
}

impl Card {
    fn push(&mut self, line: &[u8]) {
        self.too_long |= self.bytes.len() + line.len() > CARD_BYTES_MAX;
        if !self.too_long {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    fn is_version_2(&self) -> bool {
        self.bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii().eq_ignore_ascii_case(b"VERSION:2.1"))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(1000)]).into_owned()
    }
}
