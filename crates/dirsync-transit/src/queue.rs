//! The bodies that one peer has still to get.

use std::collections::BTreeMap;
use std::ops::Range;

use dirsync_seal::{BODY_BYTES_MAX, BodyKey, Content, ContentHash, Holding};
use serde::{Deserialize, Serialize};

use crate::runs::Runs;
use crate::text;

/// The size of a piece of a body, unless a carrier takes less, in bytes.
pub const PIECE_BYTES: u64 = 1024 * 1024;
/// The smallest size to which pieces are halved, in bytes.
pub const PIECE_BYTES_MIN: u64 = 16 * 1024;

/// How often bodies are begun again before those bytes count as lost that the peer has reported.
const SILENT_TIMES_MAX: u32 = 2;

/// A body that was made for a message, and never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrozenBody {
    /// Its sealed bytes.
    #[serde(with = "text::content")]
    pub content: Content,
    /// The key that opens them.
    #[serde(with = "text::key")]
    pub key: BodyKey,
    /// The text of the head that was made with it. It says what the body is.
    pub made_for: String,
    /// When it was made, in milliseconds since 1970.
    pub made_at: u64,
}

/// A body on its way to a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Travelling {
    body: FrozenBody,
    /// The bytes that the peer has, as its last message says.
    came: Runs,
    /// The bytes that a carrier took since the peer's last message.
    handed_over: Runs,
    /// The bytes that a carrier took before the peer's last message, which does not name them. The two may
    /// have crossed, so the next message decides.
    unsure: Runs,
}

impl Travelling {
    fn taken(&self) -> Runs {
        self.came.with(&self.handed_over).with(&self.unsure)
    }

    fn hear(&mut self, holding: Option<&Holding>) {
        let runs = holding.map(Holding::runs).unwrap_or_default();
        let has =
            Runs::from(runs.iter().map(|run| (*run.start(), run.end() + 1)).collect::<Vec<_>>());
        self.unsure = self.came.with(&self.handed_over).without(&has);
        self.came = has;
        self.handed_over = Runs::default();
    }
}

/// A piece of a body that is to be handed over to a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The body.
    pub body: Content,
    /// The offset of its first byte.
    pub at: u64,
    /// The number of its bytes.
    pub bytes: u64,
}

impl Piece {
    /// The offset after its last byte.
    pub fn end(&self) -> u64 {
        self.at + self.bytes
    }
}

/// The bodies that one peer has still to get, in their order. They are the parts of one answer, or the body of one
/// request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Queue {
    travelling: Vec<Travelling>,
    /// The size of a piece that has proved to be small enough for the carriers to this peer.
    piece_bytes: Option<u64>,
    /// Whether a carrier took a piece, or has a part of one. It stays so also if the peer does not report the bytes:
    /// it may have a part of the piece, too.
    has_begun: bool,
    /// How many messages of the peer in a row said that it has all bodies.
    heard_whole: u32,
    /// How often it was begun again since something came from the peer.
    silent_times: u32,
    /// The request for which the bodies were named last.
    named_for: Option<String>,
}

impl Queue {
    /// Whether its bodies and pieces have sizes that are possible.
    pub(crate) fn is_sound(&self) -> bool {
        let is_sound = |one: &Travelling| {
            let bytes = one.body.content.bytes;
            bytes <= BODY_BYTES_MAX && one.taken().are_within(bytes)
        };
        self.piece_bytes.is_none_or(|bytes| bytes >= PIECE_BYTES_MIN)
            && self.travelling.iter().all(is_sound)
    }

    /// Adds a body after the others.
    pub fn push(&mut self, body: FrozenBody) {
        let nothing = Runs::default;
        let (came, handed_over, unsure) = (nothing(), nothing(), nothing());
        self.travelling.push(Travelling { body, came, handed_over, unsure });
    }

    /// Forgets all bodies, because others are sent instead.
    pub fn clear(&mut self) {
        self.travelling.clear();
        self.has_begun = false;
        self.heard_whole = 0;
        self.silent_times = 0;
        self.named_for = None;
    }

    /// The bodies, in their order.
    pub fn bodies(&self) -> impl Iterator<Item = &FrozenBody> {
        self.travelling.iter().map(|one| &one.body)
    }

    /// The size of all bodies together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bodies().map(|body| body.content.bytes).sum()
    }

    /// The number of bytes that carriers have taken, or the peer has.
    pub fn bytes_taken(&self) -> u64 {
        self.travelling.iter().map(|one| one.taken().bytes()).sum()
    }

    /// How many messages of the peer in a row said that it has all bodies.
    pub fn heard_whole(&self) -> u32 {
        self.heard_whole
    }

    /// The request for which the bodies were named last, as [`Queue::name_for`] was told.
    pub fn named_for(&self) -> Option<&str> {
        self.named_for.as_deref()
    }

    /// A message names the bodies, because of this request.
    pub fn name_for(&mut self, request: &str) {
        self.named_for = Some(request.to_owned());
    }

    /// The next piece to be handed over, of at most `bytes_max` bytes. `None` if carriers have taken all.
    ///
    /// The number is that of its body in the queue.
    pub fn next(&self, bytes_max: u64) -> Option<(usize, Piece)> {
        let bytes_max = self.piece_bytes.unwrap_or(PIECE_BYTES).min(bytes_max);
        self.travelling.iter().enumerate().find_map(|(nth, one)| {
            let body = one.body.content;
            let (at, end) = one.taken().first_gap(body.bytes)?;
            Some((nth, Piece { body, at, bytes: (end - at).min(bytes_max) }))
        })
    }

    /// A carrier has a part of a piece, which it continues.
    pub fn begin(&mut self) {
        self.has_begun = true;
    }

    /// Whether a carrier ever had any byte of the bodies, or the peer has.
    pub fn has_begun(&self) -> bool {
        self.has_begun || self.bytes_taken() > 0
    }

    /// A carrier has taken a piece.
    pub fn hand_over(&mut self, piece: &Piece) {
        self.has_begun = true;
        for one in self.of(&piece.body.hash) {
            one.handed_over.add(piece.at, piece.end());
        }
    }

    /// A carrier did not take a piece of this size: it was cut off, or too large. The next ones are half as large.
    pub fn halve_pieces(&mut self, bytes: u64) {
        let known = self.piece_bytes.unwrap_or(PIECE_BYTES);
        self.piece_bytes = Some((bytes / 2).min(known).max(PIECE_BYTES_MIN));
    }

    /// A message of the peer says what it has of incomplete bodies. Bytes that two messages in a row do not name,
    /// although a carrier took them before the first one, are lost and handed over again.
    pub fn hear(&mut self, holds: &[Holding]) {
        self.hear_report(holds);
        let is_whole = |one: &Travelling| one.came.is_whole(one.body.content.bytes);
        self.heard_whole =
            if self.travelling.iter().all(is_whole) { self.heard_whole + 1 } else { 0 };
    }

    /// The same from a report between the messages of the peer. It does not say that the peer needs more.
    pub fn hear_report(&mut self, holds: &[Holding]) {
        self.hear_of_peer();
        let holds: BTreeMap<&ContentHash, &Holding> =
            holds.iter().map(|holding| (holding.body(), holding)).collect();
        for one in &mut self.travelling {
            one.hear(holds.get(&one.body.content.hash).copied());
        }
    }

    /// The peer has this many bytes of a body, from its beginning, and no others. It said so just now, so nothing of it
    /// is on its way.
    pub fn know(&mut self, body: &ContentHash, held: u64) {
        self.has_begun = true;
        self.hear_of_peer();
        for one in self.of(body) {
            let held = held.min(one.body.content.bytes);
            one.came = Runs::from(vec![(0, held)]);
            one.handed_over = Runs::default();
            one.unsure = Runs::default();
        }
    }

    /// These bytes of a body came back. They are handed over again, unless the peer has them by another way.
    pub fn lose(&mut self, body: &ContentHash, bytes: &Range<u64>) {
        let lost = Runs::from(vec![(bytes.start, bytes.end)]);
        for one in self.of(body) {
            one.handed_over = one.handed_over.without(&lost);
            one.unsure = one.unsure.without(&lost);
        }
    }

    /// Everything that the peer has not reported is handed over again, because it has not answered for long. If
    /// nothing at all has been heard of it for several times, it may have lost what it reported.
    pub fn begin_again(&mut self) {
        self.silent_times += 1;
        let is_lost = self.silent_times > SILENT_TIMES_MAX;
        for one in &mut self.travelling {
            one.handed_over = Runs::default();
            one.unsure = Runs::default();
            if is_lost {
                one.came = Runs::default();
            }
        }
    }

    /// Something came from the peer.
    pub fn hear_of_peer(&mut self) {
        self.silent_times = 0;
    }

    fn of<'q>(&'q mut self, body: &'q ContentHash) -> impl Iterator<Item = &'q mut Travelling> {
        self.travelling.iter_mut().filter(move |one| one.body.content.hash == *body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frozen;

    fn holding(body: &FrozenBody, first: u64, last: u64) -> Holding {
        Holding::new(body.content.hash, vec![first..=last]).unwrap()
    }

    fn next(queue: &Queue) -> Option<(u64, u64)> {
        queue.next(u64::MAX).map(|(_, piece)| (piece.at, piece.end()))
    }

    fn hand_over(queue: &mut Queue) -> (u64, u64) {
        let (_, piece) = queue.next(u64::MAX).unwrap();
        queue.hand_over(&piece);
        (piece.at, piece.end())
    }

    #[test]
    fn bodies_travel_in_order_and_once() {
        let mut queue = Queue::default();
        assert_eq!(queue.next(10), None);
        queue.push(frozen(b"part one"));
        queue.push(frozen(b"part 2"));
        let mut pieces = Vec::new();
        while let Some((nth, piece)) = queue.next(5) {
            pieces.push((nth, piece.at, piece.bytes));
            queue.hand_over(&piece);
        }
        assert_eq!(pieces, [(0, 0, 5), (0, 5, 3), (1, 0, 5), (1, 5, 1)]);
        assert_eq!((queue.bytes(), queue.bytes_taken()), (14, 14));
    }

    #[test]
    fn lost_bytes_are_sent_again_after_two_messages_without_them() {
        let body = frozen(&[7; 100_000]);
        let mut queue = Queue::default();
        queue.push(body.clone());
        queue.halve_pieces(80_000);
        assert_eq!(hand_over(&mut queue), (0, 40_000));
        assert_eq!(hand_over(&mut queue), (40_000, 80_000));
        queue.hear(&[holding(&body, 0, 39_999)]);
        assert_eq!(next(&queue), Some((80_000, 100_000)), "the message may have crossed the piece");
        queue.hear(&[holding(&body, 0, 39_999)]);
        assert_eq!(hand_over(&mut queue), (40_000, 80_000), "it is lost");
        assert_eq!(hand_over(&mut queue), (80_000, 100_000));
        queue.hear(&[holding(&body, 0, 99_999)]);
        queue.hear(&[holding(&body, 0, 99_999)]);
        assert_eq!(next(&queue), None, "it has come");
        queue.hear(&[]);
        assert_eq!(next(&queue), None, "an old message comes late");
        queue.hear(&[]);
        assert_eq!(next(&queue), Some((0, 40_000)), "the peer has lost what it had");
        assert!(queue.has_begun(), "it may have a part of a piece");
    }

    #[test]
    fn reported_bytes_travel_again_only_to_a_peer_that_is_silent() {
        let body = frozen(&[7; 100]);
        let mut queue = Queue::default();
        queue.push(body.clone());
        hand_over(&mut queue);
        queue.hear_report(&[holding(&body, 0, 59)]);
        assert_eq!(next(&queue), None, "the rest may be on its way");
        for _ in 0..4 {
            queue.begin_again();
            assert_eq!(hand_over(&mut queue), (60, 100), "it was not reported");
            queue.hear_of_peer();
        }
        for _ in 0..SILENT_TIMES_MAX {
            queue.begin_again();
            assert_eq!(hand_over(&mut queue), (60, 100));
        }
        queue.begin_again();
        assert_eq!(next(&queue), Some((0, 100)));
    }

    #[test]
    fn pieces_become_smaller_but_not_tiny() {
        let mut queue = Queue::default();
        queue.push(frozen(&[7; 100_000]));
        for bytes in [60_000, 30_000, 16_384, 16_384] {
            queue.halve_pieces(bytes);
        }
        queue.halve_pieces(1_000_000);
        assert_eq!(next(&queue), Some((0, PIECE_BYTES_MIN)));
    }

    #[test]
    fn a_queue_is_the_same_after_it_was_written_and_read() {
        let mut queue = Queue::default();
        queue.push(frozen(b"body"));
        queue.hand_over(&queue.next(3).unwrap().1);
        let text = serde_json::to_string(&queue).unwrap();
        let read: Queue = serde_json::from_str(&text).unwrap();
        assert_eq!(next(&read), Some((3, 4)));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
